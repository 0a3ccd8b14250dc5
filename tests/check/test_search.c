/*
 * test_search.c - programs whose number of traces is known: the search finds just so many.
 *
 * lastzero and readers are those of Abdulla, Aronis, Jonsson and Sagonas (POPL'14).
 */
#include "search_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct engine_counts search(void (*thread)(unsigned thread), unsigned threads, enum memory_model model,
				   enum engine_search how)
{
	struct run this = { .model = model, .search = how, .threads = threads, .thread = thread };

	threads_count = threads;
	struct run_result result = run(&this);
	assert_string_equal(result.violation, "");
	this.is_kept = true;
	struct run_result again = run(&this);
	assert_string_equal(again.violation, "");
	assert_int_equal(again.counts.executions, result.counts.executions);
	assert_int_equal(again.counts.blocked, result.counts.blocked);
	assert_int_equal(again.counts.transitions, result.counts.transitions);
	assert_true(again.counts.run <= result.counts.run);
	return result.counts;
}

/*
 * CHK-2: lastzero(n): 2^(n-2) (n+3) traces; source-DPOR begins some in vain, but no more than it is known to.
 */
static void chk_2_lastzero(void **state)
{
	struct engine_counts counts;

	(void)state;
	for (unsigned n = 3; n <= 10; n++) {
		uint64_t traces = (1ul << (n - 2)) * (n + 3);

		counts = search(lastzero_thread, n + 1, MEMORY_SC, SEARCH_OPTIMAL);
		assert_int_equal(counts.executions, traces);
		assert_int_equal(counts.blocked, 0);
		counts = search(lastzero_thread, n + 1, MEMORY_SC, SEARCH_SOURCE);
		assert_int_equal(counts.executions, traces);
		print_message("lastzero(%u): %lu traces, %lu runs in vain\n", n, counts.executions,
			      counts.blocked);
		if (n == 5)
			assert_in_range(counts.blocked, 0, 33);
		if (n == 10)
			assert_in_range(counts.blocked, 0, 16867);
	}
}

/* CHK-2: each of n readers sees the store or does not: 2^n traces, under every model. */
static void chk_2_readers(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 8; n++) {
		for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
			assert_int_equal(search(readers_thread, n + 1, model, SEARCH_SOURCE).executions,
					 1u << n);
		assert_int_equal(search(readers_thread, n + 1, MEMORY_SC, SEARCH_OPTIMAL).executions,
				 1u << n);
	}
}

/* CHK-2: a step that meets more others than any list has room for at first: before, between, after. */
static void chk_2_many_reads(void **state)
{
	(void)state;
	assert_int_equal(search(many_reads_thread, 2, MEMORY_SC, SEARCH_SOURCE).executions, MANY_READS + 1);
	assert_int_equal(search(many_reads_thread, 2, MEMORY_TSO, SEARCH_SOURCE).executions, MANY_READS + 1);
	assert_true(search(many_reads_thread, 2, MEMORY_WEAK, SEARCH_SOURCE).executions > 2);
}

/* CHK-2: threads that share nothing have one trace. */
static void chk_2_independent(void **state)
{
	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
		assert_int_equal(search(independent_thread, 6, model, SEARCH_SOURCE).executions, 1);
}

/* CHK-2: additions whose results nobody looks at commute: one trace. With results, every order is another. */
static void chk_2_counters_commute(void **state)
{
	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_TSO; model++) {
		if (is_optimised)
			assert_int_equal(search(count_thread, 5, model, SEARCH_SOURCE).executions, 1);
		assert_int_equal(search(count_with_results_thread, 4, model, SEARCH_SOURCE).executions, 24);
	}
}

static unsigned last_ones;

static void count_last_ones(void)
{
	last_ones += run_arena[1].word;
	assert_int_equal(run_arena[0].word, threads_count);
}

/*
 * CHK-2: an addition whose result is tested does not commute: each order is tried, and one is the last in
 * each.
 */
static void chk_2_count_and_test(void **state)
{
	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		struct run this = { .model = model,
				    .threads = 4,
				    .thread = count_and_test_thread,
				    .finish = count_last_ones };

		threads_count = 4;
		last_ones = 0;
		assert_int_equal(run(&this).counts.executions, 24);
		assert_int_equal(last_ones, 24);
	}
}

static unsigned way;

static void used_thread(unsigned thread)
{
	(void)thread;
	addition_used(way);
}

static void unused_thread(unsigned thread)
{
	(void)thread;
	addition_unused(way);
}

/*
 * CHK-2: whether a result is used is read off the code that follows. In doubt it is: that a function returns
 * it is use enough. Unoptimised code keeps even what it drops, so there nothing is claimed.
 */
static void chk_2_results_of_additions(void **state)
{
	(void)state;
	for (way = 0; way < ADDITIONS_USED; way++)
		assert_true(search(used_thread, 2, MEMORY_SC, SEARCH_SOURCE).executions >= 2);
	for (way = 0; way < ADDITIONS_UNUSED && is_optimised; way++)
		assert_int_equal(search(unused_thread, 2, MEMORY_SC, SEARCH_SOURCE).executions, 1);
}

/* CHK-2: up to 11 threads of the indexer collide nowhere; with two more, some do. */
static void chk_2_indexer(void **state)
{
	(void)state;
	assert_int_equal(search(indexer_thread, 2, MEMORY_SC, SEARCH_SOURCE).executions,
			 search(indexer_thread, 2, MEMORY_SC, SEARCH_OPTIMAL).executions);
}

/* ---- conditions ---------------------------------------------------------------------------------------- */

static bool locked[2];

static bool is_free(void *lock)
{
	return !*(bool *)lock;
}

static void lock(unsigned which)
{
	engine_begin(64, is_free, &locked[which]);
	engine_touch(1 + which, TOUCH_ACQUIRE);
	locked[which] = true;
}

static void unlock(unsigned which)
{
	engine_begin(65, NULL, NULL);
	engine_touch(1 + which, TOUCH_RELEASE);
	locked[which] = false;
}

static void crossed_thread(unsigned thread)
{
	lock(thread & 1);
	lock(~thread & 1);
	unlock(0);
	unlock(1);
}

static void ordered_thread(unsigned thread)
{
	(void)thread;
	lock(0);
	lock(1);
	unlock(1);
	unlock(0);
}

/* CHK-5: two locks taken in two orders are a deadlock, and found; taken in one order they are none. */
static void chk_5_deadlock(void **state)
{
	static const enum engine_search searches[] = { SEARCH_SOURCE, SEARCH_OPTIMAL, SEARCH_BRUTE };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct run this = {
			.search = searches[i], .threads = 2, .thread = crossed_thread, .may_stop = true
		};

		memset(locked, 0, sizeof(locked));
		assert_non_null(strstr(run(&this).violation, "deadlock"));
		this.thread = ordered_thread;
		this.may_stop = false;
		memset(locked, 0, sizeof(locked));
		assert_string_equal(run(&this).violation, "");
	}
}

/*
 * CHK-2: what is given up is counted, by every search, and once by however many share it: before the frontier
 * and behind it.
 */
static void chk_2_abandoned_are_counted(void **state)
{
	struct engine_counts counts, brute;

	(void)state;
	counts = search(readers_thread, 3, MEMORY_SC, SEARCH_SOURCE);
	assert_int_equal(counts.abandoned, 0);
	counts = search(abandoning_thread, 2, MEMORY_SC, SEARCH_SOURCE);
	assert_int_equal(counts.executions, 1);
	assert_int_equal(counts.abandoned, 1);
	brute = search(abandoning_thread, 3, MEMORY_SC, SEARCH_BRUTE);
	assert_true(brute.executions > 0 && brute.abandoned > 1);
	for (unsigned frontier = 1; frontier < 8; frontier++) {
		uint64_t abandoned[3] = { 0 }, executions[3] = { 0 };

		for (unsigned workers = 1; workers <= 3; workers++) {
			for (unsigned worker = 0; worker < workers; worker++) {
				struct run this = { .threads = 4,
						    .thread = abandoning_thread,
						    .frontier = frontier,
						    .worker = worker,
						    .workers = workers };

				threads_count = this.threads;
				counts = run(&this).counts;
				abandoned[workers - 1] += counts.abandoned;
				executions[workers - 1] += counts.executions;
			}
			assert_true(abandoned[0] > 1);
			assert_int_equal(abandoned[workers - 1], abandoned[0]);
			assert_int_equal(executions[workers - 1], executions[0]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_2_lastzero),
		cmocka_unit_test(chk_2_readers),
		cmocka_unit_test(chk_2_many_reads),
		cmocka_unit_test(chk_2_independent),
		cmocka_unit_test(chk_2_counters_commute),
		cmocka_unit_test(chk_2_count_and_test),
		cmocka_unit_test(chk_2_results_of_additions),
		cmocka_unit_test(chk_2_indexer),
		cmocka_unit_test(chk_5_deadlock),
		cmocka_unit_test(chk_2_abandoned_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
