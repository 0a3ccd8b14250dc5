/*
 * test_calls.c - the core itself on the check machine: small races, explored completely, every account exact.
 *
 * The races that matter are litmus files; these show that the machine and the core go together, in each
 * memory model. SCENE_VERBOSE=1 says how large they are and how fast.
 */
#include "calls_threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct scene_result run(struct scene scene, enum memory_model model)
{
	scene.config.model = model;
	struct scene_result got = scene_run(&scene, SEARCH_SOURCE);
	assert_string_equal(got.violation, "");
	assert_true(got.counts.complete);
	assert_int_equal(got.found[0], 0);
	return got;
}

static void base_3_munmap_against_a_store(void **state)
{
	struct scene scene = { .column = { col_munmap, col_store_and_load } };

	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		struct scene_result got = run(scene, model);

		assert_true(got.found[1] > 0 && got.found[2] > 0 && got.found[3] > 0);
	}
}

static void base_1_fork_against_a_store(void **state)
{
	struct scene scene = { .setup = setup_fork, .column = { col_fork, col_store }, .pair = fork_pair };

	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		struct scene_result got = run(scene, model);

		assert_true(got.found[1] > 0 && got.found[2] > 0);
	}
}

/* The child's end races with the store too: under the weak model a hundred times as many orders. */
static void base_4_exit_against_a_store(void **state)
{
	struct scene scene = { .setup = setup_fork,
			       .column = { col_fork_and_exit, col_store },
			       .pair = fork_pair };
	enum memory_model last = getenv("QUIRE_SOAK") ? MEMORY_WEAK : MEMORY_TSO;

	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= last; model++) {
		struct scene_result got = run(scene, model);

		assert_true(got.found[1] > 0 && got.found[2] > 0);
	}
}

/*
 * Two tables are locked together, and one of them has died since it was found. Its frame is a table for no
 * longer than the read-side section lasts, so it is unlocked in there.
 */
static void base_4_a_dead_table_is_unlocked_before_it_is_freed(void **state)
{
	struct scene scene = { .config = { .rcu_agent = true },
			       .setup = setup_move,
			       .column = { col_move, col_empty },
			       .without_accounts = true };

	(void)state;
	scene_must_hold(&scene);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_3_munmap_against_a_store),
		cmocka_unit_test(base_1_fork_against_a_store),
		cmocka_unit_test(base_4_exit_against_a_store),
		cmocka_unit_test(base_4_a_dead_table_is_unlocked_before_it_is_freed),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
