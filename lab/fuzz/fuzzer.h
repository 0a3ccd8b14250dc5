/*
 * fuzzer.h - one sequence on both sides, and what came of it.
 */
#ifndef FUZZ_FUZZER_H
#define FUZZ_FUZZER_H

#include "compare.h"
#include "legal.h"
#include "oracle.h"
#include "subject.h"

enum finding_kind {
	FINDING_NONE,
	FINDING_DIVERGENCE,
	FINDING_LEAK,	    /* both agree, but something is left in Quire when everybody has exited */
	FINDING_RACE,	    /* what came of a stretch on Quire comes of no order of its operations */
	FINDING_HOST_RACE,  /* the same on Linux: the fuzzer's idea of what is legal is wrong */
	FINDING_AGENT_DIED, /* nothing is known, for agents died again and again */
};

struct finding {
	enum finding_kind kind;
	struct divergence divergence;
};

/* How often each side runs when there are stretches. */
struct effort {
	unsigned host, quire;
};

struct fuzzer {
	struct oracle *host;
	struct oracle *other; /* the host once more, in Quire's place: checks the fuzzer itself */
	struct subject *quire;
	struct names host_names, other_names;
	struct sequence sequence;
	struct log host_log, quire_log;
	bool looking, against_itself;
	/* with stretches only */
	unsigned threads;
	struct effort effort;
	struct legal legal;
	struct nearest nearest;
	void *observed; /* Quire's log, out of the way of trials */
	struct names observed_names;
	uint64_t undecided; /* logs with too many orders */
	uint64_t excused;   /* Linux's that are no order's, where that may be for a reason known */
	uint64_t restarts;  /* zygotes started anew */
};

/*
 * @against_itself: the host on both sides. @threads: sequences have stretches of so many; 0: they have
 * none. 0, or -1 with *why.
 */
int fuzzer_open(struct fuzzer *fuzzer, bool against_itself, unsigned threads, const char **why);
void fuzzer_close(struct fuzzer *fuzzer);

/*
 * Decode @bytes, run them, compare; with stretches, with fuzzer->effort, and judge. The logs stay until
 * the next run. When an agent dies or is not heard of, the sequence runs again with fresh ones, which are
 * given more time.
 */
struct finding fuzzer_run(struct fuzzer *fuzzer, const uint8_t *bytes, size_t count);

const struct names *fuzzer_quire_names(const struct fuzzer *fuzzer);

/*
 * Make @bytes shorter and simpler while the finding stays of its sort. *count is changed; @say is told of
 * progress. Returns the finding of what is left.
 */
struct finding shrink(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding finding);

/*
 * The same for a finding of threads, which need not come each time. False: it did not come again in *runs
 * runs.
 */
bool shrink_threads(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding *finding,
		    uint64_t *runs);

/* ---- columns.c ---- */
/* What came of @op, behind it. */
void print_result(FILE *to, const struct wire_op *op, const struct wire_record *record);
/* The stretch that begins at operation @from, as @log has it. Returns what follows. */
uint32_t print_stretch(FILE *to, const struct sequence *sequence, struct log log, uint32_t from);
/* In which order the operations of stretches come; each stretch ends with a semicolon. */
void print_order(FILE *to, const struct orders *orders);

/* The last run's sequence as a C program that asserts what Linux did, up to and including operation @last. */
void print_program(FILE *to, const struct fuzzer *fuzzer, const struct finding *finding);

#endif
