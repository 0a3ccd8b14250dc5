/*
 * control.c - tests of the tests, run only when they are asked for by name: one that passes, one that fails,
 * one that does not end, and one that besides takes no interrupt, so that alone its CPU notices nothing.
 */
#include <quire/port.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "machines/metal/metal.h"

static void control_passes(void **state)
{
	assert_true(*state == NULL);
}

static void control_fails(void **state)
{
	assert_int_equal(*state == NULL, 0);
}

static void control_hangs(void **state)
{
	while (!*state)
		quire_port_relax(here());
}

static void control_spins(void **state)
{
	while (!*state)
		__asm__ volatile("pause");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_passes),
		cmocka_unit_test(control_fails),
		cmocka_unit_test(control_hangs),
		cmocka_unit_test(control_spins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
