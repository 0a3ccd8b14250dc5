/*
 * test_models.c - random tiny programs: the searches against every schedule, and both against the axioms.
 *
 * A program that differs is printed; QUIRE_SEED and QUIRE_PROGRAMS change what is tried.
 */
#include "little.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 16) % n);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static struct little_op random_op(unsigned locations, bool is_rich)
{
	static const int store_orders[] = { MO_RELAXED, MO_RELAXED, MO_RELEASE, MO_SEQ_CST };
	static const int load_orders[] = { MO_RELAXED, MO_RELAXED, MO_ACQUIRE, MO_SEQ_CST };
	static const int both_orders[] = { MO_RELAXED, MO_RELEASE, MO_ACQUIRE, MO_ACQ_REL, MO_SEQ_CST };
	static const int fence_orders[] = { MO_SEQ_CST, MO_SEQ_CST, MO_RELEASE, MO_ACQUIRE, MO_ACQ_REL };
	struct little_op op = { .location = 5 - below(locations), .value = 1 + below(2) };
	unsigned kind = below(is_rich ? 16 : 10);

	if (kind < 5) {
		op.kind = LITTLE_LOAD;
		op.order = load_orders[below(4)];
	} else if (kind < 10) {
		op.kind = LITTLE_STORE;
		op.order = store_orders[below(4)];
	} else if (kind < 12) {
		op.kind = LITTLE_FENCE;
		op.order = fence_orders[below(5)];
	} else {
		static const enum little_kind kinds[] = { LITTLE_ADD, LITTLE_COUNT, LITTLE_EXCHANGE,
							  LITTLE_COMPARE };

		op.kind = kinds[kind - 12];
		op.order = both_orders[below(5)];
		op.expected = below(3);
	}
	return op;
}

static struct little random_program(unsigned most)
{
	struct little program = { .threads = 2 + below(2) };
	unsigned locations = 2 + below(2), ops = 0;
	bool is_rich = below(3);

	for (unsigned t = 0; t < program.threads; t++) {
		unsigned room = most - ops - (program.threads - 1 - t) * 2;

		program.ops[t] = 2 + below(room > 4 ? 3 : room - 1);
		ops += program.ops[t];
		for (unsigned i = 0; i < program.ops[t]; i++)
			program.op[t][i] = random_op(locations, is_rich);
	}
	snprintf(program.last, sizeof(program.last), "%s", locations == 3 ? "xyz" : "yz");
	return program;
}

enum way { SOURCE, OPTIMAL, WALKED, BOUNDED, EVERY, WAYS };

static const char *const way_name[] = { "source-DPOR", "optimal", "source-DPOR, walked by hardware",
					"bounded", "every schedule" };

static struct {
	uint64_t programs, whole, outcomes, graphs, blocked, executions[WAYS];
} totals[3];

static struct engine_counts search(const struct little *program, enum memory_model model, enum way way,
				   struct outcomes *outcomes)
{
	static const enum engine_search search[] = { SEARCH_SOURCE, SEARCH_OPTIMAL, SEARCH_SOURCE,
						     SEARCH_BOUNDED, SEARCH_BRUTE };
	struct little copy = *program;

	copy.is_walked = way == WALKED;
	copy.most = way == EVERY ? 100000 : 0;
	outcomes->count = 0;
	struct engine_counts counts = little_search(&copy, model, search[way], outcomes);
	totals[model].executions[way] += counts.executions;
	return counts;
}

static void compare(const struct little *program, enum memory_model model, unsigned number)
{
	static struct outcomes axioms, found;
	static char a[8192], b[8192], text[256];
	uint64_t size = 0;

	axioms.count = 0;
	totals[model].graphs += axioms_outcomes(program, model, &axioms);
	totals[model].outcomes += axioms.count;
	totals[model].programs++;
	for (enum way way = SOURCE; way < WAYS; way++) {
		/* Wakeup trees are for programs without choices; and only WEAK knows of hardware. */
		if (model == MEMORY_WEAK ? way == OPTIMAL : way == WALKED)
			continue;
		/* What would take too long. */
		if ((way == EVERY || way == BOUNDED) && size > (way == EVERY ? 400 : 40))
			continue;
		struct engine_counts counts = search(program, model, way, &found);
		if (way == EVERY && !counts.complete)
			continue;
		totals[model].whole += way == EVERY;
		if (way == SOURCE) {
			size = counts.executions;
			totals[model].blocked += counts.blocked;
		}
		if (outcomes_equal(&axioms, &found))
			continue;
		little_print(program, text, sizeof(text));
		outcomes_print(&axioms, a, sizeof(a));
		outcomes_print(&found, b, sizeof(b));
		fail_msg("program %u, %s, under %s\naxioms: %s\n%s: %s", number, text, model_name[model], a,
			 way_name[way], b);
	}
}

/* CHK-2, CHK-3: what a search finds is what every schedule finds, and what the axioms allow. */
static void chk_3_random_programs(void **state)
{
	unsigned programs = from_environment("QUIRE_PROGRAMS", 1000);

	(void)state;
	for (unsigned i = 0; i < programs; i++) {
		seed = (from_environment("QUIRE_SEED", 1) + i + 1) * 0x9e3779b97f4a7c15ul;
		struct little program = random_program(from_environment("QUIRE_LARGEST", 9));

		for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
			compare(&program, model, i);
	}
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
		print_message(
			"%-4s %lu programs, %lu of them under every schedule: %lu outcomes, %lu graphs; %lu executions (%lu blocked), "
			"optimal %lu, walked %lu, bounded %lu, every schedule %lu\n",
			model_name[model], totals[model].programs, totals[model].whole,
			totals[model].outcomes, totals[model].graphs, totals[model].executions[SOURCE],
			totals[model].blocked, totals[model].executions[OPTIMAL],
			totals[model].executions[WALKED], totals[model].executions[BOUNDED],
			totals[model].executions[EVERY]);
	uint64_t whole = totals[MEMORY_SC].whole + totals[MEMORY_TSO].whole + totals[MEMORY_WEAK].whole;
	assert_true(whole >= programs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_3_random_programs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
