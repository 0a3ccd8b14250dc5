/*
 * little.h - tiny concurrent programs in one line, to be searched and to be reasoned about.
 *
 *	x=1 y | y=1 x		two threads: store 1 to x, load y | store 1 to y, load x
 *	x=1 F y | y=1 F x	with fences
 *
 *	x=1	store			x	load: an output
 *	x+2	fetch_add: an output	x+2!	fetch_add whose result nobody uses
 *	x^3	exchange: an output	x?1:2	compare_exchange of 1 by 2: what was there is an output
 *	F	fence
 *
 * An order may follow: r release, a acquire, b both, s seq_cst; none is relaxed, but for a fence: seq_cst.
 * After a semicolon come the locations whose last value is of interest. An outcome is the outputs, thread
 * after thread, and after a slash those values: x=1 y | y=1 x; xy has the outcomes 00/11, 01/11, 10/11,
 * 11/11.
 */
#ifndef TESTS_CHECK_LITTLE_H
#define TESTS_CHECK_LITTLE_H

#include "../../machines/check/engine.h"
#include "../../machines/check/memory.h"

enum { LITTLE_THREADS = 6, LITTLE_OPS = 10, LITTLE_LOCATIONS = 6, LITTLE_TEXT = 32, LITTLE_OUTCOMES = 4096 };

enum little_kind {
	LITTLE_STORE,
	LITTLE_LOAD,
	LITTLE_ADD,
	LITTLE_COUNT,
	LITTLE_EXCHANGE,
	LITTLE_COMPARE,
	LITTLE_FENCE
};

struct little_op {
	enum little_kind kind;
	unsigned location; /* u to z: 0 to 5 */
	unsigned value, expected;
	int order;
};

struct little {
	unsigned threads;
	struct little_op op[LITTLE_THREADS][LITTLE_OPS];
	unsigned ops[LITTLE_THREADS];
	char last[LITTLE_LOCATIONS + 1];
	bool is_walked; /* run.h */
	uint64_t most;	/* run.h */
};

struct outcomes {
	unsigned count;
	char text[LITTLE_OUTCOMES][LITTLE_TEXT];
};

struct little little(const char *program);
void little_print(const struct little *program, char *out, size_t room);

void outcomes_add(struct outcomes *outcomes, const char *text);
bool outcomes_equal(const struct outcomes *a, const struct outcomes *b);
void outcomes_print(const struct outcomes *outcomes, char *out, size_t room);

/* Search it; what comes out, violations included ("!" and the text), is added to @outcomes. */
struct engine_counts little_search(const struct little *program, enum memory_model model,
				   enum engine_search search, struct outcomes *outcomes);

/* One access, for real: little_threads.c, which is instrumented. Returns what it reads. */
unsigned little_access(const struct little_op *op, _Atomic uint32_t *at);

/*
 * What the axioms of the model allow: axioms.c. Straight-line programs, at most 16 accesses and fences.
 * Returns in how many ways: who reads from whom, and the order of the stores of each location.
 */
uint64_t axioms_outcomes(const struct little *program, enum memory_model model, struct outcomes *outcomes);

extern const char *const model_name[3];

/*
 * Fails the test, and says how, unless the search finds exactly these, space between them: under SC; what TSO
 * has more; what WEAK has more than that.
 */
void expect_outcomes(const char *program, const char *sc, const char *tso, const char *weak);

#endif
