/*
 * test_memory.c - plain and atomic accesses of one location, accesses of several sizes, what hardware sees,
 * and who is told of changes.
 */
#include "memory_threads.h"
#include "race_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ALL_MODELS(model) for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)

/* Values of seen[which] over all executions, a bit each. */
static uint64_t found[4];
static uint64_t found_last;  /* of line 0 at the end */
static uint64_t found_pairs; /* seen[0] * 8 + seen[1] */

static void collect(void)
{
	for (unsigned i = 0; i < 4; i++)
		found[i] |= 1ul << (seen[i] & 63);
	found_last |= 1ul << (run_arena[0].word & 63);
	found_pairs |= 1ul << (seen[0] % 8 * 8 + seen[1] % 8);
	memset(seen, 0, sizeof(seen));
}

static struct engine_counts search(void (*thread)(unsigned thread), unsigned threads, enum memory_model model)
{
	struct run this = { .model = model, .threads = threads, .thread = thread, .finish = collect };

	memset(found, 0, sizeof(found));
	found_last = found_pairs = 0;
	struct run_result result = run(&this);
	assert_string_equal(result.violation, "");
	return result.counts;
}

#define BIT(n) (1ul << (n))

/*
 * CHK-3: a store that still waits in a buffer, or an old one of a history, does not come back behind a plain
 * one.
 */
static void chk_3_plain_behind_atomic(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		search(plain_behind_atomic_thread, 2, model);
		assert_int_equal(found[0], BIT(2) | BIT(9));
		assert_int_equal(found_last, BIT(2));
		search(plain_read_thread, 2, model);
		assert_int_equal(found[0], BIT(5));
		assert_int_equal(found[1], BIT(5));
		assert_int_equal(found[2], BIT(6));
		assert_int_equal(found[3], BIT(6));
		search(plain_again_thread, 2, model);
		assert_int_equal(found[0], BIT(0) | BIT(3));
		assert_int_equal(found[1], BIT(0) | BIT(113 & 63));
		assert_int_equal(found_last, BIT(3) | BIT(113 & 63));
	}
}

/* CHK-3: accesses of one word in two sizes conflict where they overlap, and only there. */
static void chk_3_sizes(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		search(wide_store_half_load_thread, 2, model);
		assert_int_equal(found[0], BIT(0) | BIT(7));
		search(half_store_wide_load_thread, 2, model);
		assert_int_equal(found[0], BIT(0) | BIT(7));
		assert_int_equal(search(two_halves_thread, 2, model).executions, 1);
		assert_int_equal(found[0], BIT(1));
		search(wide_exchange_thread, 2, model);
		assert_int_equal(found[0] | found[1], BIT(0) | BIT(1));
		assert_int_equal(found[2] | found[3], BIT(1) | BIT(2));
		assert_int_equal(found_last, BIT(2));
	}
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static char changes[1024];
static size_t changes_length;

/* What is there when the change is told. */
static void note_change(void *data, uintptr_t address, size_t bytes)
{
	unsigned line = (unsigned)((address - (uintptr_t)run_arena) / sizeof(run_arena[0]));

	(void)data;
	changes_length += (size_t)snprintf(
		changes + changes_length, sizeof(changes) - changes_length, " %u+%u:%x", line,
		(unsigned)bytes, *(const unsigned char *)(address + bytes - (bytes > 8 ? 8 : bytes)));
}

/* CHK-3: every change is told once, in order, after it has happened. */
static void chk_3_changes(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		struct run this = {
			.model = model, .threads = 1, .thread = changes_thread, .changed = note_change
		};

		changes_length = 0;
		run(&this);
		/* The buffer's store comes when its time has come, or when an addition waits for it. */
		assert_string_equal(changes, " 4+4:1 5+4:2 6+4:3 6+4:7 1+8:8 1+96:8 7+64:55 4+4:6");
	}
}

/* ---- hardware ------------------------------------------------------------------------------------------ */

enum { HARDWARE = 64 };

static void hardware_thread(unsigned thread)
{
	uintptr_t at = (uintptr_t)&run_arena[0].word;

	if (thread < 2) {
		stores_thread(thread);
		return;
	}
	engine_begin(HARDWARE, NULL, NULL);
	seen[0] = (unsigned)memory_hardware_load(at, 4);
	engine_begin(HARDWARE, NULL, NULL);
	seen[1] = (unsigned)memory_hardware_load(at, 4);
}

static void hardware_sets_thread(unsigned thread)
{
	uintptr_t at = (uintptr_t)&run_arena[0].word;

	if (thread < 2) {
		stores_thread(thread);
		return;
	}
	engine_begin(HARDWARE, NULL, NULL);
	seen[0] = (unsigned)memory_hardware_load(at, 4);
	memory_hardware_store(at, 4, seen[0] | 8);
}

/* CHK-4: hardware sees memory as it is at each moment: either order of two stores, and nothing twice. */
static void chk_4_hardware_sees(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		struct run this = { .model = model,
				    .threads = 3,
				    .thread = hardware_thread,
				    .finish = collect,
				    .is_walked = true };

		found_pairs = found_last = 0;
		run(&this);
		/* 00 01 02 11 12 21 22, as first and second load. */
		assert_int_equal(found_pairs,
				 BIT(0) | BIT(1) | BIT(2) | BIT(9) | BIT(10) | BIT(17) | BIT(18));
		assert_int_equal(found_last, BIT(1) | BIT(2));
		found_last = 0;
		this.thread = hardware_sets_thread;
		run(&this);
		/* Its bit stays, or goes with a store behind it. */
		assert_int_equal(found_last, BIT(1) | BIT(2) | BIT(9) | BIT(10));
	}
}

/* ---- locks of a machine -------------------------------------------------------------------------------- */

static bool is_locked;

static bool is_free(void *argument)
{
	(void)argument;
	return !is_locked;
}

void test_lock(void)
{
	engine_begin(HARDWARE + 1, is_free, NULL);
	engine_touch(5, TOUCH_ACQUIRE);
	memory_acquire(5);
	is_locked = true;
}

void test_unlock(void)
{
	memory_drain(__builtin_return_address(0));
	engine_touch(5, TOUCH_RELEASE);
	memory_release(5);
	is_locked = false;
}

/* CHK-3: that a lock empties the buffer hides no earlier moment at which a store could have left it. */
static void chk_3_release_waits_for_the_buffer(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		search(stores_and_locks_thread, 2, model);
		/* Both, either, or none. */
		assert_int_equal(found_pairs, BIT(0) | BIT(1) | BIT(8) | BIT(9));
	}
}

/* CHK-3: what was stored before a lock was given back is seen by who takes it next. */
static void chk_3_locks_publish(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		search(publish_thread, 3, model);
		/*
		 * Of the two in the lock the last; and whose word that is, that one's store outside or the
		 * other's.
		 */
		assert_int_equal(found[0], BIT(0) | BIT(1) | BIT(2));
		assert_false(found_pairs & (BIT(8) | BIT(16)));
	}
}

/* ---- waits --------------------------------------------------------------------------------------------- */

static bool is_changed(void *argument)
{
	(void)argument;
	return run_arena[0].word != 0 || memory_is_behind(1, (uintptr_t)&run_arena[0].word);
}

void test_wait(void)
{
	engine_begin(HARDWARE + 2, is_changed, NULL);
	engine_touch((uintptr_t)&run_arena[0].word, TOUCH_AWAIT);
	memory_catch_up((uintptr_t)&run_arena[0].word);
}

/*
 * CHK-3: waiting loops end under every model: who has not seen a change that has happened goes on to see it.
 */
static void chk_3_waiting_loops_end(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		search(waiting_thread, 2, model);
		assert_int_equal(found[0], BIT(1));
		search(spinning_thread, 2, model);
		assert_int_equal(found[0], BIT(0) | BIT(1));
	}
}

/* ---- interrupts ---------------------------------------------------------------------------------------- */

static bool is_free_for_interrupts(void *argument)
{
	(void)argument;
	return memory_is_drained(0);
}

static void prepare_interrupt(void)
{
	memory_interrupts(1, 0);
}

static void with_handler_thread(unsigned thread)
{
	if (!thread) {
		interrupted_thread(thread);
		return;
	}
	engine_begin(HARDWARE + 3, is_free_for_interrupts, NULL);
	engine_touch(7, TOUCH_WRITE);
	engine_interrupt_enter();
	memory_join(0);
	handle();
	memory_resume(0);
	engine_interrupt_leave();
}

/*
 * CHK-3, CHK-4: a handler comes at one point of its CPU's program, whatever the model: before it all, behind
 * it none.
 */
static void chk_4_interrupts(void **state)
{
	(void)state;
	ALL_MODELS(model)
	{
		struct run this = { .model = model,
				    .threads = 2,
				    .handlers = 1,
				    .prepare = prepare_interrupt,
				    .thread = with_handler_thread,
				    .finish = collect };

		found_pairs = 0;
		run(&this);
		/* What it reads of line 0 and whether its store of line 1 is seen: 01 11 10 20. */
		assert_int_equal(found_pairs, BIT(1) | BIT(9) | BIT(8) | BIT(16));
	}
}

static bool is_asked, has_run;

static bool is_interrupted(void *argument)
{
	(void)argument;
	return is_asked && memory_is_drained(0);
}

static bool is_answered(void *argument)
{
	(void)argument;
	return has_run;
}

static bool is_drained(void *argument)
{
	(void)argument;
	return memory_is_drained(1);
}

void test_interrupt(void)
{
	engine_begin(HARDWARE + 4, is_drained, NULL);
	engine_touch(8, TOUCH_SIGNAL);
	memory_release(8);
	is_asked = true;
	engine_begin(HARDWARE + 5, is_answered, NULL);
	engine_touch(9, TOUCH_AWAIT);
	memory_acquire(9);
}

static unsigned threads_with_sender;
static void (*with_sender)(unsigned thread);

static void prepare_sender(void)
{
	memory_interrupts(threads_with_sender, 0);
	is_asked = has_run = false;
}

static void with_sender_thread(unsigned thread)
{
	if (thread < threads_with_sender) {
		with_sender(thread);
		return;
	}
	engine_begin(HARDWARE + 3, is_interrupted, NULL);
	engine_touch(8, TOUCH_AWAIT);
	engine_interrupt_enter();
	memory_join(0);
	memory_acquire(8);
	memory_release(9);
	engine_touch(9, TOUCH_SIGNAL);
	has_run = true;
	memory_resume(0);
	engine_interrupt_leave();
}

/*
 * CHK-3, CHK-4: that an interrupt finds the store buffer empty, and that what comes behind it has seen what
 * was stored before, hides none of the moments at which it can come.
 */
static void chk_4_interrupts_between_stores(void **state)
{
	(void)state;
	threads_with_sender = 2;
	with_sender = interrupting_thread;
	threads_with_sender = 2;
	with_sender = interrupting_thread;
	ALL_MODELS(model)
	{
		struct run this = { .model = model,
				    .threads = 3,
				    .handlers = 1,
				    .prepare = prepare_sender,
				    .thread = with_sender_thread,
				    .finish = collect };

		found_pairs = 0;
		run(&this);
		/* The store of thread 0 is seen or not; its load saw that of thread 1 or not. */
		assert_int_equal(found_pairs, BIT(0) | BIT(1) | BIT(8) | BIT(9));
	}
}

/*
 * CHK-5: what is ordered only where an interrupt happened to come is a race all the same, and found.
 */
static void expect_race_around_interrupt(void (*threads)(unsigned thread), unsigned count)
{
	threads_with_sender = count;
	with_sender = threads;
	ALL_MODELS(model)
	{
		struct run this = { .model = model,
				    .threads = count + 1,
				    .handlers = 1,
				    .prepare = prepare_sender,
				    .thread = with_sender_thread,
				    .may_stop = true };
		struct run_result result = run(&this);

		if (strncmp(result.violation, "data race", 9))
			fail_msg("expected a race, found: \"%s\"", result.violation);
	}
}

static void chk_5_race_around_an_interrupt(void **state)
{
	(void)state;
	expect_race_around_interrupt(unprotected_thread, 2);
	expect_race_around_interrupt(unprotected_other_thread, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_3_plain_behind_atomic),
		cmocka_unit_test(chk_3_sizes),
		cmocka_unit_test(chk_3_changes),
		cmocka_unit_test(chk_4_hardware_sees),
		cmocka_unit_test(chk_3_release_waits_for_the_buffer),
		cmocka_unit_test(chk_3_locks_publish),
		cmocka_unit_test(chk_3_waiting_loops_end),
		cmocka_unit_test(chk_4_interrupts),
		cmocka_unit_test(chk_4_interrupts_between_stores),
		cmocka_unit_test(chk_5_race_around_an_interrupt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
