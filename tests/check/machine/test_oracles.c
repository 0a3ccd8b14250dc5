/*
 * test_oracles.c - each oracle of the check machine speaks when its rule is broken, and is silent when it is
 * not.
 *
 * The columns are in oracles_threads.c; a test runs them twice, with the fault and without it.
 */
#include "oracles_threads.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void broken(enum fault what, const struct scene *scene, const char *words)
{
	fault = what;
	scene_must_violate(scene, words);
}

static void sound(const struct scene *scene)
{
	fault = FAULT_NONE;
	scene_must_hold(scene);
}

/* ---- stale translations ----------------------------------------------------------------------------- */

/* BASE-3: a frame goes back after the flush. */
static void base_3_frame_of_another_owner(void **state)
{
	struct scene scene = { .column = { col_drop_page, col_store_x } };

	(void)state;
	broken(NO_FLUSH, &scene, "stale frame|P1 stores to x|P0 gave back");
	sound(&scene);
}

/* BASE-3: who replaces a page flushes before he sets the new one. */
static void base_3_two_translations(void **state)
{
	struct scene scene = { .column = { col_replace_page, col_load_x } };

	(void)state;
	scene.without_accounts = true;
	broken(NO_FLUSH, &scene, "two translations|P1 loads from x|P0 changed");
	scene.without_accounts = false;
	sound(&scene);
}

/* CHK-5: once the call has returned nobody uses what was. */
static void chk_5_stale_after_return(void **state)
{
	struct scene scene = { .column = { col_take_away, col_load_x }, .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "stale after return|P1 loads from x|munmap");
	sound(&scene);
}

/* CHK-5: however many calls have returned before. */
static void chk_5_stale_after_many_returns(void **state)
{
	struct scene scene = { .column = { col_take_away_late, col_load_x }, .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "stale after return|P1 loads from x|munmap");
	sound(&scene);
}

/* CHK-5: nor once another call has returned, that found the work done and not flushed. */
static void chk_5_stale_after_return_of_another(void **state)
{
	struct scene scene = { .setup = setup_words,
			       .column = { col_clear_and_post, col_find_it_gone, col_load_x_at_last },
			       .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "stale after return|P2 loads from x|P1's madvise");
	sound(&scene);
}

/* CHK-5: what a program reads has been its own. */
static void chk_5_data_never_its_own(void **state)
{
	struct scene scene = { .column = { col_map_fresh_page }, .without_accounts = true };

	(void)state;
	broken(NO_ZERO, &scene, "never its own|y");
	sound(&scene);
}

/* BASE-3: a table goes back when no CPU can walk into it, whether or not one does. */
static void base_3_walk_of_a_freed_table(void **state)
{
	struct scene scene = { .column = { col_drop_table, col_nothing }, .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "walk of a table");
	sound(&scene);
}

static void base_3_loaded_root_goes(void **state)
{
	struct scene scene = { .setup = setup_words,
			       .column = { col_drop_root, col_leave_and_post },
			       .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "walk of a table|P1 has the root");
	sound(&scene);
}

/* PIN-8: no dirty bit is lost. */
static void pin_8_lost_dirty_bit(void **state)
{
	struct scene scene = { .setup = setup_file,
			       .file = scene_file,
			       .column = { col_store_y, col_unmap_file_page } };

	(void)state;
	broken(BIT_LOST, &scene, "lost dirty bit");
	sound(&scene);
}

/* BASE-7: a device lets go before an entry changes. */
static void base_7_device_not_told(void **state)
{
	struct scene scene = { .config.devices = 1,
			       .setup = setup_device,
			       .column = { col_device, col_change_under_device } };

	(void)state;
	broken(NOT_TOLD, &scene, "device 0|BASE-7");
	sound(&scene);
}

/* ---- the adversary ---------------------------------------------------------------------------------- */

/* CHK-4: between the change and the flush a CPU goes on with what it may have cached. */
static void chk_4_old_translations_are_offered(void **state)
{
	struct scene scene = { .setup = setup_words,
			       .column = { col_clear_entry, col_load_x_after },
			       .without_accounts = true };

	(void)state;
	fault = FAULT_NONE;
	struct scene_result got = scene_run(&scene, SEARCH_SOURCE);
	assert_string_equal(got.violation, "");
	assert_true(got.counts.complete);
	assert_true(got.found[1] > 0); /* 7, through the TLB */
	assert_true(got.found[2] > 0); /* a fault, and a fresh page */
}

/* CHK-4: nothing is cached whose accessed bit is clear. */
static void chk_4_nothing_unaccessed_is_cached(void **state)
{
	struct scene scene = { .setup = setup_not_accessed,
			       .column = { col_clear_entry, col_load_x_after },
			       .without_accounts = true };

	(void)state;
	fault = FAULT_NONE;
	struct scene_result got = scene_run(&scene, SEARCH_SOURCE);
	assert_string_equal(got.violation, "");
	assert_int_equal(got.found[1], 0);
	assert_true(got.found[2] > 0);
}

/*
 * CHK-4: choices are monotone, a page: what a CPU has used anew does not become old again; unless asked for.
 */
static void chk_4_one_tlb_does_not_go_back(void **state)
{
	struct scene scene = { .setup = setup_second_page,
			       .column = { col_clear_entry, col_set_other_page, col_load_x_twice },
			       .without_accounts = true };

	(void)state;
	fault = FAULT_NONE;
	struct scene_result got = scene_run(&scene, SEARCH_SOURCE);
	assert_string_equal(got.violation, "");
	assert_int_equal(got.found[1], 0); /* 9, then 7 */
	assert_true(got.found[2] > 0);	   /* 7, then 9 */
	scene.config.several_tlbs = true;
	got = scene_run(&scene, SEARCH_SOURCE);
	assert_true(got.found[1] > 0);
}

/* CHK-4: a copy of a page is torn by stores in the midst of it. */
static void chk_4_copies_are_torn(void **state)
{
	struct scene scene = { .column = { col_copy_x, col_store_two_words } };

	(void)state;
	struct scene_result got = scene_run(&scene, SEARCH_SOURCE);
	assert_string_equal(got.violation, "");
	assert_true(got.found[1] > 0); /* the second store without the first */
	assert_true(got.found[2] > 0);
	assert_true(got.found[3] > 0);
}

/* ---- locks and sleep -------------------------------------------------------------------------------- */

static void chk_5_sleep_with_a_spin_lock(void **state)
{
	struct scene scene = { .setup = setup_words, .column = { col_sleep } };

	(void)state;
	broken(SPIN_HELD, &scene, "sleeps with a spin lock");
	broken(SECTION_OPEN, &scene, "sleeps in a read-side section");
	broken(TWICE, &scene, "which it holds");
	sound(&scene);
}

static void chk_5_order_of_locks(void **state)
{
	struct scene scene = { .setup = setup_words, .column = { col_lock_two, col_lock_two_after } };

	(void)state;
	broken(WRONG_ORDER, &scene, "order of locks|a range of an mm|notifiers_lock");
	sound(&scene);
}

static void chk_5_deadlock(void **state)
{
	struct scene scene = { .setup = setup_words,
			       .column = { col_lock_two_at_once, col_lock_two_at_once_backwards } };

	(void)state;
	broken(WRONG_ORDER, &scene, "deadlock|P0 waits for|P1 waits for");
	sound(&scene);
}

/* A wake-up that does not come is a deadlock: nobody wakes for no reason. */
static void chk_5_lost_wake_up(void **state)
{
	struct scene scene = { .setup = setup_words, .column = { col_wait_for_word, col_change_word } };

	(void)state;
	broken(NO_WAKE, &scene, "deadlock|P0 waits for");
	sound(&scene);
	scene.config.model = MEMORY_TSO;
	sound(&scene);
	scene.config.model = MEMORY_WEAK;
	sound(&scene);
}

static void base_8_wait_for_a_folio(void **state)
{
	struct scene scene = { .column = { col_hold_folio, col_wait_for_folio } };

	(void)state;
	broken(MM_LOCK_HELD, &scene, "waits for a folio lock with a range of an mm held");
	sound(&scene);
}

static void chk_5_handler_takes_a_lock(void **state)
{
	struct scene scene = { .setup = setup_words, .column = { col_interrupt, col_nothing } };

	(void)state;
	broken(IN_HANDLER, &scene, "interrupt handler|P1 interrupt");
	broken(WAKE_IN_HANDLER, &scene, "interrupt handler|wakes somebody");
	sound(&scene);
}

static void chk_5_table_freed_locked(void **state)
{
	struct scene scene = { .column = { col_table_lock } };

	(void)state;
	broken(SPIN_HELD, &scene, "given back with its lock held");
	sound(&scene);
}

/* ---- accounts --------------------------------------------------------------------------------------- */

static void base_4_leaks(void **state)
{
	struct scene objects = { .column = { col_objects } }, frames = { .column = { col_frames } };

	(void)state;
	broken(LEAK, &objects, "leak|objects");
	broken(LEAK, &frames, "leak|frames");
	sound(&objects);
	sound(&frames);
}

static void chk_5_wrong_frees(void **state)
{
	struct scene scene = { .column = { col_objects } };

	(void)state;
	broken(TWICE, &scene, "freed twice");
	broken(TOO_SMALL, &scene, "is freed as 24");
}

static void chk_5_use_after_free(void **state)
{
	struct scene race = { .setup = setup_object, .column = { col_use_object, col_free_object } };
	struct scene crash = { .column = { col_follow_freed_pointer } };
	struct scene store = { .column = { col_store_to_freed } };

	(void)state;
	broken(UNORDERED, &race, "data race");
	sound(&race);
	broken(UNORDERED, &crash, "crashes|freed memory");
	sound(&crash);
	broken(UNORDERED, &store, "P0 stores to|(freed)");
	sound(&store);
}

/* BASE-3, BASE-4: nothing leads to a frame that is given back. */
static void base_4_given_back_while_mapped(void **state)
{
	struct scene scene = { .column = { col_give_back_mapped }, .without_accounts = true };

	(void)state;
	broken(NO_FLUSH, &scene, "is given back by P0 while entry");
	sound(&scene);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_3_frame_of_another_owner),
		cmocka_unit_test(base_3_two_translations),
		cmocka_unit_test(chk_5_stale_after_return),
		cmocka_unit_test(chk_5_stale_after_many_returns),
		cmocka_unit_test(chk_5_stale_after_return_of_another),
		cmocka_unit_test(chk_5_data_never_its_own),
		cmocka_unit_test(base_3_walk_of_a_freed_table),
		cmocka_unit_test(base_3_loaded_root_goes),
		cmocka_unit_test(pin_8_lost_dirty_bit),
		cmocka_unit_test(base_7_device_not_told),
		cmocka_unit_test(chk_4_old_translations_are_offered),
		cmocka_unit_test(chk_4_nothing_unaccessed_is_cached),
		cmocka_unit_test(chk_4_one_tlb_does_not_go_back),
		cmocka_unit_test(chk_4_copies_are_torn),
		cmocka_unit_test(chk_5_sleep_with_a_spin_lock),
		cmocka_unit_test(chk_5_order_of_locks),
		cmocka_unit_test(chk_5_deadlock),
		cmocka_unit_test(chk_5_lost_wake_up),
		cmocka_unit_test(base_8_wait_for_a_folio),
		cmocka_unit_test(chk_5_handler_takes_a_lock),
		cmocka_unit_test(chk_5_table_freed_locked),
		cmocka_unit_test(base_4_leaks),
		cmocka_unit_test(chk_5_wrong_frees),
		cmocka_unit_test(chk_5_use_after_free),
		cmocka_unit_test(base_4_given_back_while_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
