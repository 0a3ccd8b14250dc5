/*
 * test_bench.c - what the benchmarks share: turns, medians and their intervals, words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "lab/bench/bench.h"

enum { VARIANTS = 3, MOST = VARIANTS * (BENCH_MOST + 1) };

struct told {
	unsigned order[MOST], count;
	unsigned seen[VARIANTS];
};

/* The n-th measurement of variant v: 1000 v + n, but the first, which is not to count, is far off. */
static double tell(void *argument, unsigned variant)
{
	struct told *told = argument;

	told->order[told->count++] = variant;
	return told->seen[variant]++ ? 1000.0 * variant + told->seen[variant] - 1 : 1e9;
}

static void turns_go_to_and_fro_after_one_for_nothing(void **state)
{
	static const unsigned expected[] = { 0, 1, 2, 0, 1, 2, 2, 1, 0, 0, 1, 2 };
	struct bench_figure figure[VARIANTS];
	struct told told = { .count = 0 };

	(void)state;
	bench_by_turns(tell, &told, VARIANTS, 3, figure);
	assert_int_equal(told.count, 12);
	assert_memory_equal(told.order, expected, sizeof(expected));
	assert_true(figure[1].median == 1002 && figure[1].low == 1001 && figure[1].high == 1003);
}

/* Of n measurements 1 ... n: the median, and the k-th from both ends, by the binomial distribution. */
static void intervals_are_those_of_order_statistics(void **state)
{
	static const unsigned known[][2] = { { 3, 1 },	{ 5, 1 },  { 6, 1 },  { 8, 1 },	  { 9, 2 },
					     { 12, 3 }, { 15, 4 }, { 21, 6 }, { 30, 10 }, { 101, 41 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		unsigned n = known[i][0], k = known[i][1];
		struct told told = { .count = 0 };
		struct bench_figure figure;

		bench_by_turns(tell, &told, 1, n, &figure);
		assert_true(figure.median == (n + 1) / 2.0);
		assert_true(figure.low == k && figure.high == n + 1 - k);
	}
}

static void words_say_what_a_figure_is_worth(void **state)
{
	struct bench_figure steady = { 100, 98, 103 }, shaky = { 100, 95, 110 }, noise = { 100, 70, 120 };
	struct bench_figure apart = { 110, 104, 112 };

	(void)state;
	assert_string_equal(bench_word(&steady), "steady");
	assert_string_equal(bench_word(&shaky), "shaky");
	assert_string_equal(bench_word(&noise), "noise");
	assert_true(bench_differ(&steady, &apart) && bench_differ(&apart, &steady));
	assert_false(bench_differ(&shaky, &apart) || bench_differ(&steady, &noise));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_go_to_and_fro_after_one_for_nothing),
		cmocka_unit_test(intervals_are_those_of_order_statistics),
		cmocka_unit_test(words_say_what_a_figure_is_worth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
