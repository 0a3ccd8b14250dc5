/*
 * test_walks.c - what a CPU may have cached, computed at use, against every schedule.
 *
 * The order of a change and a flush decides what a later access may find, and none of the three reads what
 * the others write. Whether the machine tells the search of all that conflicts is tested by not asking it:
 * brute force runs every schedule of these small columns, and must find no more than the searches that
 * reorder only what they were told of.
 */
#include "walks_threads.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t outcomes(void (*first)(struct quire_cpu **), void (*second)(struct quire_cpu **),
			 void (*third)(struct quire_cpu **))
{
	struct scene scene = { .setup = setup_walks,
			       .column = { first, second, third },
			       .without_accounts = true };

	return scene_must_agree(&scene);
}

enum { FAULT = 0, FIRST = 1, SECOND = 2 };

static uint64_t only(unsigned finding)
{
	return 1ul << finding;
}

#define VIOLATION (1ul << SCENE_FINDINGS)

static void chk_4_one_load(void **state)
{
	(void)state;
	assert_int_equal(outcomes(col_clear, col_load, NULL), only(FIRST) | only(FAULT));
	assert_int_equal(outcomes(col_clear_flush, col_load, NULL), only(FIRST) | only(FAULT));
	assert_int_equal(outcomes(col_clear_flush_set, col_load, NULL),
			 only(FIRST) | only(FAULT) | only(SECOND));
	assert_int_equal(outcomes(col_clear_flush_all, col_load, NULL), only(FIRST) | only(FAULT));
	assert_int_equal(outcomes(col_protect_flush, col_load, NULL), only(FIRST) | only(FAULT));
	/* Who clears and sets has not flushed between. */
	assert_int_equal(outcomes(col_clear_set_flush, col_load, NULL),
			 only(FIRST) | only(FAULT) | only(SECOND) | VIOLATION);
}

static void chk_4_two_loads(void **state)
{
	uint64_t all = outcomes(col_clear_flush_set, col_load_twice, NULL);

	(void)state;
	assert_true(all & only(FIRST << 2 | SECOND));
	assert_false(all & only(SECOND << 2 | FIRST));
	assert_false(all & only(SECOND << 2 | FAULT));
	assert_false(all & only(FAULT << 2 | FIRST)); /* the fault has dropped it */
	all = outcomes(col_clear_flush, col_load_twice, NULL);
	assert_int_equal(all, only(FIRST << 2 | FIRST) | only(FIRST << 2) | only(0));
	outcomes(col_clear_flush_all, col_load_twice, NULL);
	outcomes(col_protect_flush, col_load_twice, NULL);
}

/* CHK-5: the return of a call, and a frame's end, against a use. */
static void chk_5_returns_and_frees(void **state)
{
	(void)state;
	assert_int_equal(outcomes(col_call_clear_flush, col_load, NULL), only(FIRST) | only(FAULT));
	assert_true(outcomes(col_call_clear, col_load, NULL) & VIOLATION);
	assert_int_equal(outcomes(col_free_after_flush, col_load, NULL), only(FIRST) | only(FAULT));
	assert_true(outcomes(col_free, col_load, NULL) & VIOLATION);
	outcomes(col_call_clear_flush, col_load_twice, NULL);
	outcomes(col_call_clear, col_load_twice, NULL);
}

/* BASE-3: an upper-level entry is kept when the table has left the tree; what is below it is read later. */
static void base_3_upper_levels(void **state)
{
	(void)state;
	assert_int_equal(outcomes(col_cut, col_load, NULL), only(FIRST) | only(FAULT));
	assert_int_equal(outcomes(col_cut_flush, col_load, NULL), only(FIRST) | only(FAULT));
	assert_true(outcomes(col_cut_refill, col_load, NULL) & only(SECOND));
	outcomes(col_cut_flush, col_load_twice, NULL);
	outcomes(col_cut, col_load_x_and_y, NULL);
	/* A flush of x forgets the upper entries, but not the leaf of y. */
	assert_true(outcomes(col_cut_flush, col_load_x_and_y, NULL) & only(FAULT << 2 | SECOND));
}

/* A tag keeps what it had; another one begins with nothing that ended before it was loaded. */
static void chk_4_windows(void **state)
{
	(void)state;
	assert_int_equal(outcomes(col_clear, col_load_after_root, NULL), only(FIRST) | only(FAULT));
	outcomes(col_clear, col_load_between_roots, NULL);
	outcomes(col_clear_flush, col_load_between_roots, NULL);
	outcomes(col_cut, col_load_between_roots, NULL);
}

static void chk_4_three_columns(void **state)
{
	(void)state;
	outcomes(col_clear, col_load, col_flush_only);
	outcomes(col_flush_only, col_load, col_clear);
	outcomes(col_cut, col_load, col_flush_only);
	outcomes(col_clear, col_load_twice, col_cut);
	outcomes(col_call_clear, col_load, col_flush_only);
	outcomes(col_clear, col_load, col_load);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_4_one_load),	   cmocka_unit_test(chk_4_two_loads),
		cmocka_unit_test(chk_5_returns_and_frees), cmocka_unit_test(base_3_upper_levels),
		cmocka_unit_test(chk_4_windows),	   cmocka_unit_test(chk_4_three_columns),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
