/*
 * test_claims.c - who concerned himself last with which addresses, against a plain array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lab/replay/claims.h"

enum { ADDRESSES = 48, CLAIMS = 5000 };

static uint8_t reported[CLAIMS];

static bool report(void *argument, uint32_t owner)
{
	(void)argument;
	reported[owner] = 1;
	return true;
}

static bool refuse(void *argument, uint32_t owner)
{
	(void)argument;
	(void)owner;
	return false;
}

/* Exactly the owners of the parts are named, each at least once. */
static void vma_7_former_owners_are_named(void **state)
{
	struct claims claims = { NULL };
	uint32_t owners[ADDRESSES];
	unsigned random = 3;

	(void)state;
	memset(owners, 0xff, sizeof(owners));
	for (uint32_t claim = 0; claim < CLAIMS; claim++) {
		uint8_t expected[CLAIMS] = { 0 };

		random = random * 1664525u + 1013904223u;
		uint32_t start = (random >> 16) % ADDRESSES,
			 end = start + 1 + (random >> 24) % (ADDRESSES - start);
		for (uint32_t i = start; i < end; i++) {
			if (owners[i] != UINT32_MAX)
				expected[owners[i]] = 1;
			owners[i] = claim;
		}
		memset(reported, 0, sizeof(reported));
		assert_true(claims_add(&claims, start, end, claim, report, NULL));
		assert_memory_equal(reported, expected, sizeof(expected));
	}
	claims_clear(&claims);
}

static void vma_7_a_refusal_is_passed_on(void **state)
{
	struct claims claims = { NULL };

	(void)state;
	assert_true(claims_add(&claims, 0, 10, 1, refuse, NULL));
	assert_false(claims_add(&claims, 5, UINT64_MAX, 2, refuse, NULL));
	claims_clear(&claims);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vma_7_former_owners_are_named),
		cmocka_unit_test(vma_7_a_refusal_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
