/*
 * fuzzer.h - one sequence on both sides, and what came of it.
 */
#ifndef FUZZ_FUZZER_H
#define FUZZ_FUZZER_H

#include "compare.h"
#include "oracle.h"
#include "subject.h"

enum finding_kind {
	FINDING_NONE,
	FINDING_DIVERGENCE,
	FINDING_LEAK,	    /* both agree, but something is left in Quire when everybody has exited */
	FINDING_AGENT_DIED, /* nothing is known, for agents died again and again */
};

struct finding {
	enum finding_kind kind;
	struct divergence divergence;
};

struct fuzzer {
	struct oracle *host;
	struct oracle *other; /* the host once more, in Quire's place: checks the fuzzer itself */
	struct subject *quire;
	struct names host_names, other_names;
	struct sequence sequence;
	struct log host_log, quire_log;
	bool looking, against_itself;
	uint64_t restarts; /* zygotes started anew */
};

/* @against_itself: the host on both sides. 0, or -1 with *why. */
int fuzzer_open(struct fuzzer *fuzzer, bool against_itself, const char **why);
void fuzzer_close(struct fuzzer *fuzzer);

/*
 * Decode @bytes, run them, compare. The logs stay until the next run. When an agent dies or is not heard of,
 * the sequence runs again with fresh ones, which are given more time.
 */
struct finding fuzzer_run(struct fuzzer *fuzzer, const uint8_t *bytes, size_t count);

const struct names *fuzzer_quire_names(const struct fuzzer *fuzzer);

/*
 * Make @bytes shorter and simpler while the finding stays of its sort. *count is changed; @say is told of
 * progress. Returns the finding of what is left.
 */
struct finding shrink(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding finding);

/* The last run's sequence as a C program that asserts what Linux did, up to and including operation @last. */
void print_program(FILE *to, const struct fuzzer *fuzzer, const struct finding *finding);

#endif
