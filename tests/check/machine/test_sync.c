/*
 * test_sync.c - the sleeping lock of core/base/sync.c under every interleaving, which the machine elsewhere
 * takes for granted (machines/check/rwlock.c).
 *
 * Nobody is inside with a writer; what is guarded is not raced for; whoever waits is woken, or it is a
 * deadlock.
 */
#include "sync_threads.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void holds_in(enum memory_model model, void (*first)(struct quire_cpu **),
		     void (*second)(struct quire_cpu **), void (*third)(struct quire_cpu **))
{
	struct scene scene = { .config.model = model,
			       .setup = setup_sync,
			       .column = { first, second, third } };

	sync_fault = SYNC_AS_IT_IS;
	scene_must_hold(&scene);
}

/* BASE-8, CHK-5: two who use it, in each of the ways, in each of the memory models. */
static void base_8_two_users(void **state)
{
	static void (*const user[])(struct quire_cpu **) = { col_reader, col_writer, col_try_reader,
							     col_try_writer, col_two_writes };

	(void)state;
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
		for (unsigned a = 0; a < 5; a++)
			for (unsigned b = a; b < 5; b++)
				holds_in(model, user[a], user[b], NULL);
}

static void base_8_two_readers_and_a_writer(void **state)
{
	(void)state;
	holds_in(MEMORY_SC, col_reader, col_writer, col_reader);
}

static void base_8_three_writers_one_of_which_tries(void **state)
{
	(void)state;
	holds_in(MEMORY_SC, col_writer, col_writer, col_try_writer);
}

/* A release that wakes nobody, and a sleep that nobody was told of, are deadlocks in some execution. */
static void base_8_what_is_broken_is_found(void **state)
{
	struct scene scene = { .setup = setup_sync, .column = { col_writer, col_writer } };

	(void)state;
	sync_fault = SYNC_NEVER_WAKES;
	scene_must_violate(&scene, "deadlock");
	sync_fault = SYNC_SLEEPS_BLIND;
	scene_must_violate(&scene, "deadlock");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_8_two_users),
		cmocka_unit_test(base_8_two_readers_and_a_writer),
		cmocka_unit_test(base_8_three_writers_one_of_which_tries),
		cmocka_unit_test(base_8_what_is_broken_is_found),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
