/*
 * fuzz.h - random programs in a worker (quire-check-GEOMETRY --fuzz): what its files share.
 *
 *	fuzz.c		options, one program after the other, lines of JSON
 *	trial.c		one program: run, and what came of it
 *	shrink.c	the smallest program with the same violation
 *
 * `quire fuzz --check` runs it and reads from its standard output:
 *
 *	{"at": 12, "programs": 3, ...}		before each program, with what was done so far
 *	{"finding": {...}}			an oracle has spoken
 *	{"ended": {...}}			no more programs
 *	{"shrinking": {...}}, {"shrunk": {...}}	with --shrink; then "result", as of a litmus file
 */
#ifndef LAB_CHECK_WORKER_FUZZ_H
#define LAB_CHECK_WORKER_FUZZ_H

#include "lab/check/fuzz/program.h"
#include "lab/check/worker/worker.h"

enum trial_kind {
	TRIAL_CLEAN,
	TRIAL_UNUSABLE, /* its set-up fails: memory is out */
	TRIAL_VIOLATION,
	TRIAL_SETUP, /* an oracle has spoken in the set-up: no race at all */
	TRIAL_CRASH, /* the process ended by a signal, or has stood still */
};

/* How hard a program is tried. */
struct trial_plan {
	enum litmus_model model;
	uint64_t seed, executions; /* of each random search */
	const char *without[16];
	unsigned without_count;
};

struct trial {
	enum trial_kind kind;
	char class[80]; /* which oracle: what is said but for who, where and when */
	char text[520];
	char search[16]; /* that found it: "complete", "pct", "pos" */
	uint64_t executions, transitions;
};

/* How the final file is searched, and `quire check` after it. */
enum trial_search { TRIAL_COMPLETE, TRIAL_BOUNDED, TRIAL_SAMPLED };

struct trial_file {
	char name[40], note[200];
	enum trial_search search;
	unsigned bound;
	uint64_t executions; /* of the complete search; 0: as for any file */
};

/*
 * Runs in a process of its own, forked, not started: what a program leaves behind (statics of the checker, a
 * crash) is gone with it. That costs less than the set-up of the machine.
 */
void trial_run(const struct trial_plan *plan, const uint8_t *bytes, size_t count, struct trial *out);

/* Decides how the file shows what it shows: the simplest search that finds it. */
void trial_settle(const struct trial_plan *plan, const uint8_t *bytes, size_t count, struct trial_file *file);

/* The file's text, to be freed; and its result on standard output, as quire check FILE would have it. */
char *trial_text(const struct trial_plan *plan, const uint8_t *bytes, size_t count,
		 const struct trial_file *file);
void trial_tell_result(const struct trial_plan *plan, const uint8_t *bytes, size_t count,
		       const struct trial_file *file);

/* Make *bytes shorter and simpler, while a trial's class stays *trial's. Returns how many were run. */
unsigned shrink(const struct trial_plan *plan, uint8_t *bytes, size_t *count, struct trial *trial);

int fuzz_main(int argc, char **argv);

#endif
