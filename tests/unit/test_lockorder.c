/*
 * test_lockorder.c - locks taken in two orders are reported, deadlock or not.
 *
 * The graph by itself; and the hosted machine of debug builds, which must stop, in a process of its own,
 * when the core's locks are taken in an order that docs/locking.md forbids.
 */
#include "../../core/space/mm.h"
#include "../../machines/hosted/machine.h"
#include "../../machines/lockorder/lockorder.h"
#include "stage.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the graph -------------------------------------------------------------------------------------- */

enum { A = 1, B, C };

static void base_8_two_orders_are_a_circle(void **state)
{
	(void)state;
	struct lockorder graph = { 0 };
	unsigned via;
	assert_true(lockorder_add(&graph, A, false, B, false, &via));
	assert_true(lockorder_add(&graph, A, false, B, false, &via));
	assert_false(lockorder_add(&graph, B, false, A, false, &via));
	assert_int_equal(via, A);
}

static void base_8_a_circle_of_three(void **state)
{
	(void)state;
	struct lockorder graph = { 0 };
	unsigned via;
	assert_true(lockorder_add(&graph, A, false, B, false, &via));
	assert_true(lockorder_add(&graph, B, false, C, false, &via));
	assert_true(lockorder_add(&graph, A, false, C, false, &via));
	assert_false(lockorder_add(&graph, C, false, A, false, &via));
}

/* Two readers of B keep nobody out: A, B shared and B shared, A can both go on. */
static void base_8_readers_close_no_circle(void **state)
{
	(void)state;
	struct lockorder graph = { 0 };
	unsigned via;
	assert_true(lockorder_add(&graph, A, false, B, true, &via));
	assert_true(lockorder_add(&graph, B, true, A, false, &via));
	/* But a writer of B against a reader who wants A. */
	assert_false(lockorder_add(&graph, A, false, B, false, &via));
}

/* ---- the hosted machine ----------------------------------------------------------------------------- */

#if defined(QUIRE_DEBUG) && !defined(HOSTED_TSAN)

static void in_order(struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct range_hold hold;
	range_hold_write(cpu, &mm->vmas, 0, QUIRE_PAGE_SIZE, 1, 0, &hold);
	rwlock_read(cpu, &mm->as.notifiers_lock);
	rwlock_read_done(*cpu, &mm->as.notifiers_lock);
	range_hold_done(*cpu, &hold);
}

/* What is held of an address space is free: it would be waited for, all the same. */
static void out_of_order(struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct range_hold hold;
	in_order(cpu, mm);
	rwlock_write(cpu, &mm->as.notifiers_lock);
	mm_hold(cpu, mm, 0, QUIRE_PAGE_SIZE, &hold);
	mm_hold_done(*cpu, mm, &hold);
	rwlock_write_done(*cpu, &mm->as.notifiers_lock);
}

/* Where one lock for all is asked for, it stands where ranges do. */
static void single_out_of_order(struct quire_cpu **cpu, struct quire_mm *mm)
{
	in_order(cpu, mm);
	rwlock_write(cpu, &mm->as.notifiers_lock);
	rwlock_read(cpu, &mm->lock);
	rwlock_read_done(*cpu, &mm->lock);
	rwlock_write_done(*cpu, &mm->as.notifiers_lock);
}

static void tried(struct quire_cpu **cpu, struct quire_mm *mm)
{
	in_order(cpu, mm);
	rwlock_write(cpu, &mm->as.notifiers_lock);
	assert_true(rwlock_try_read(&mm->lock)); /* waits for nobody */
	rwlock_read_done(*cpu, &mm->lock);
	rwlock_write_done(*cpu, &mm->as.notifiers_lock);
}

struct errand {
	void (*run)(struct quire_cpu **cpu, struct quire_mm *mm);
};

static void run_errand(struct quire_cpu **cpu, void *argument)
{
	const struct errand *errand = argument;
	struct quire_mm *mm;
	if (quire_mm_create(cpu, &mm))
		_exit(9);
	errand->run(cpu, mm);
	quire_mm_put(cpu, mm);
}

/* The signal that ends a process in which a CPU runs @run, 0 for none; what it says goes to *said. */
static int run_apart(void (*run)(struct quire_cpu **cpu, struct quire_mm *mm), char *said, size_t room)
{
	int ends[2], status;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		struct hosted_config config = { .cpus = 1, .memory_bytes = 256 * QUIRE_PAGE_SIZE };
		struct errand errand = { run };
		struct hosted *machine;
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], 2);
		if (hosted_create(&config, &machine))
			_exit(8);
		hosted_run(machine, 0, run_errand, &errand);
		hosted_destroy(machine);
		_exit(0);
	}
	close(ends[1]);
	ssize_t got = read(ends[0], said, room - 1);
	said[got > 0 ? got : 0] = '\0';
	close(ends[0]);
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void base_8_the_machine_watches_the_order(void **state)
{
	(void)state;
	char said[400];
	assert_int_equal(run_apart(in_order, said, sizeof(said)), 0);
	assert_int_equal(run_apart(tried, said, sizeof(said)), 0);
	assert_int_equal(run_apart(out_of_order, said, sizeof(said)), SIGABRT);
	assert_non_null(strstr(said, "a range of an mm with notifiers_lock held"));
	assert_int_equal(run_apart(single_out_of_order, said, sizeof(said)), SIGABRT);
	assert_non_null(strstr(said, "a range of an mm with notifiers_lock held"));
}

#else

static void base_8_the_machine_watches_the_order(void **state)
{
	(void)state;
	skip(); /* debug builds only */
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_8_two_orders_are_a_circle),
		cmocka_unit_test(base_8_a_circle_of_three),
		cmocka_unit_test(base_8_readers_close_no_circle),
		cmocka_unit_test(base_8_the_machine_watches_the_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
