/*
 * tap.c - runs the tests, and tells how they went, in the Test Anything Protocol.
 *
 * A test is a task on CPU 0. One that fails ends its task where it stands, with whatever it has; the next
 * begins on a new instance of the core (machine.c). One that does not end within the limit ends the machine:
 * what goes on in a kernel cannot be taken away from it. It is the tick of some CPU that notices, so a test
 * that spins on the only one is left to whoever started the machine.
 */
#include "tap.h"

#include "machines/metal/process.h"
#include "tests.h"

static struct {
	const struct tap_test *test;
	_Atomic uint32_t ended;
	bool failed;
	const char *skipped; /* why; NULL: it was not */
	char why[512];
} now;

static unsigned ran, failed;

struct task *tap_task(const char *name, unsigned cpu, void (*run)(void))
{
	struct task *task = task_create(name);

	if (!task)
		kernel_panic("there is no memory for a test's task");
	task->pinned = metal_cpus[cpu];
	task_start(task, run);
	return task;
}

static _Noreturn void end_test(void)
{
	/* Release pairs with the acquire in tap_run(). */
	atomic_store_explicit(&now.ended, 1, memory_order_release);
	waits_wake(&now.ended, 1);
	task_end();
}

void tap_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	format_text(now.why, sizeof(now.why), format, args);
	va_end(args);
	now.failed = true;
	end_test();
}

void tap_skip(const char *why)
{
	now.skipped = why;
	end_test();
}

static void run_test(void)
{
	void *state = NULL;

	now.test->run(&state);
	end_test();
}

/* Tests of the tests only when they are meant. */
static bool is_wanted(const char *name)
{
	char pattern[64];
	size_t length = begin_option("only=", pattern, sizeof(pattern));

	if (memcmp(name, "control", 7) == 0 && memcmp(pattern, "control", 7) != 0)
		return false;
	for (; strlen(name) >= length; name++)
		if (memcmp(name, pattern, length) == 0)
			return true;
	return false;
}

static void run_one(const struct tap_test *test)
{
	static char limit[128];

	copy_string(limit, test->name, 80);
	copy_string(limit + strlen(limit), " takes longer than its limit", 40);
	report("test %s\n", test->name);
	sched_limit(limit);
	now.test = test;
	now.failed = false;
	now.skipped = NULL;
	atomic_store_explicit(&now.ended, 0, memory_order_relaxed);
	tap_task("test", 0, run_test);
	/* Acquire pairs with the release in end_test(). */
	while (!atomic_load_explicit(&now.ended, memory_order_acquire))
		task_wait_patiently(&now.ended, 0, 0);
	kprintf("%sok %u - %s%s%s\n", now.failed ? "not " : "", ++ran, test->name,
		now.skipped ? " # SKIP " : "", now.skipped ? now.skipped : "");
	if (!now.failed)
		return;
	failed++;
	kprintf("# ");
	console_write(now.why, strlen(now.why));
	kprintf("\n");
}

int tap_run(const struct tap_test *tests, size_t count)
{
	unsigned before = failed;

	for (size_t i = 0; i < count; i++)
		if (is_wanted(tests[i].name))
			run_one(&tests[i]);
	return (int)(failed - before);
}

static void run_all(void)
{
	kprintf("TAP version 13\n");
	for (unsigned i = 0; i < tests_count; i++)
		tests_all[i]();
	kprintf("1..%u\n", ran);
	power_off(failed || !ran ? 1 : 0);
}

void tap_start(void)
{
	tap_task("tests", 0, run_all);
}
