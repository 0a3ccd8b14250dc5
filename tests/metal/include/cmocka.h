/*
 * cmocka.h - of cmocka, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_CMOCKA_H
#define METAL_TESTS_CMOCKA_H

#include "../tap.h"

#define CMUnitTest tap_test
#define cmocka_unit_test(function)  \
	{                           \
#function, function \
	}
#define cmocka_run_group_tests(tests, setup, teardown) tap_run(tests, sizeof(tests) / sizeof((tests)[0]))

#define fail_msg(...) tap_fail(__VA_ARGS__)
#define assert_true(condition) ((condition) ? (void)0 : tap_fail("%s:%d: %s", __FILE__, __LINE__, #condition))
#define assert_int_equal(found, expected) assert_true((long long)(found) == (long long)(expected))
#define assert_non_null(pointer) assert_true((pointer) != NULL)

#endif
