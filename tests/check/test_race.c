/*
 * test_race.c - data races are reported, and what is ordered is not taken for one.
 */
#include "race_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool is_locked;

static bool is_free(void *argument)
{
	(void)argument;
	return !is_locked;
}

enum { LOCK = 64, UNLOCK, LOCK_PLACE = 5 };

/* A lock as a machine makes one: a condition, and happens-before from one who gives it back to the next. */
void test_lock(void)
{
	engine_begin(LOCK, is_free, NULL);
	engine_touch(LOCK_PLACE, TOUCH_ACQUIRE);
	memory_acquire(LOCK_PLACE);
	is_locked = true;
}

void test_unlock(void)
{
	memory_drain(__builtin_return_address(0));
	engine_begin(UNLOCK, NULL, NULL);
	engine_touch(LOCK_PLACE, TOUCH_RELEASE);
	memory_release(LOCK_PLACE);
	is_locked = false;
}

static void expect_race(void (*thread)(unsigned thread), unsigned threads, bool expected, const char *first,
			const char *second)
{
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		struct run this = {
			.model = model, .threads = threads, .thread = thread, .may_stop = expected
		};

		is_locked = false;
		struct run_result result = run(&this);
		if (!expected) {
			assert_string_equal(result.violation, "");
			continue;
		}
		if (strncmp(result.violation, "data race", 9) || !strstr(result.violation, first) ||
		    !strstr(result.violation, second) || !strstr(result.violation, "P0") ||
		    !strstr(result.violation, "P1"))
			fail_msg("expected a race of %s and %s, found: \"%s\"", first, second,
				 result.violation);
	}
}

/* CHK-5: two plain accesses, one of them a write, with nothing between. */
static void chk_5_plain_race(void **state)
{
	(void)state;
	expect_race(write_write_thread, 2, true, "write", "write");
	expect_race(write_read_thread, 2, true, "write", "read");
	expect_race(overlap_thread, 2, true, "write", "write");
	expect_race(read_read_thread, 4, false, "", "");
	expect_race(neighbours_thread, 3, false, "", "");
}

/* CHK-5: plain against atomic is a race, if one of them writes. */
static void chk_5_plain_against_atomic(void **state)
{
	(void)state;
	expect_race(atomic_write_plain_read_thread, 2, true, "atomic write", "read");
	expect_race(atomic_read_plain_write_thread, 2, true, "atomic read", "write");
	expect_race(atomic_read_plain_read_thread, 2, false, "", "");
}

/* CHK-5: a message orders what is behind it exactly if both its halves do, as C11 has it. */
static void chk_5_message(void **state)
{
	static const memory_order none = memory_order_relaxed;
	static const struct {
		struct message_orders orders;
		bool races;
	} cases[] = {
		{ { none, none, none, none }, true },
		{ { memory_order_release, memory_order_acquire, none, none }, false },
		{ { memory_order_release, none, none, none }, true },
		{ { none, memory_order_acquire, none, none }, true },
		{ { memory_order_seq_cst, memory_order_seq_cst, none, none }, false },
		{ { none, none, memory_order_release, memory_order_acquire }, false },
		{ { none, none, memory_order_seq_cst, memory_order_seq_cst }, false },
		{ { none, none, memory_order_release, none }, true },
		{ { none, none, none, memory_order_acquire }, true },
		{ { none, memory_order_acquire, memory_order_release, none }, false },
		{ { memory_order_release, none, none, memory_order_acquire }, false },
		{ { none, none, memory_order_acquire, memory_order_release }, true },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		message_orders = cases[i].orders;
		expect_race(message_thread, 2, cases[i].races, "write", "read");
	}
}

/* CHK-5: what a lock protects does not race, in whatever order it is taken. */
static void chk_5_locked(void **state)
{
	(void)state;
	expect_race(locked_thread, 3, false, "", "");
}

/* CHK-5: compilers make calls of copies and fills, and these are seen. */
static void chk_5_copies_and_fills(void **state)
{
	(void)state;
	expect_race(copy_thread, 2, true, "write", "read");
	expect_race(fill_thread, 2, true, "write", "write");
}

static bool is_first_line(void *data, uintptr_t address)
{
	(void)data;
	return address - (uintptr_t)&run_arena[0] < sizeof(run_arena[0]);
}

/* CHK-5: user data may race; what lies beside it may not. */
static void chk_5_exempt(void **state)
{
	struct run this = { .threads = 2, .thread = write_write_thread, .is_exempt = is_first_line };

	(void)state;
	assert_string_equal(run(&this).violation, "");
	this.thread = fill_thread;
	this.may_stop = true;
	assert_non_null(strstr(run(&this).violation, "data race"));
}

static void reused_thread(unsigned thread)
{
	engine_begin(LOCK, NULL, NULL);
	engine_touch(LOCK_PLACE, TOUCH_WRITE);
	memory_forget((uintptr_t)&run_arena[0], sizeof(run_arena[0]));
	write_write_thread(thread);
}

/* CHK-5: memory that is given back and taken anew has no past. */
static void chk_5_forget(void **state)
{
	(void)state;
	expect_race(reused_thread, 2, false, "", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_5_plain_race),	  cmocka_unit_test(chk_5_plain_against_atomic),
		cmocka_unit_test(chk_5_message),	  cmocka_unit_test(chk_5_locked),
		cmocka_unit_test(chk_5_copies_and_fills), cmocka_unit_test(chk_5_exempt),
		cmocka_unit_test(chk_5_forget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
