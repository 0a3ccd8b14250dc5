/*
 * programs.h - `quire fuzz --check`: what its files share.
 *
 *	programs.c	options, what is printed		herd.c	worker processes
 *
 * Programs are numbered. Several workers share the numbers; which finding is reported is decided by number,
 * not by who was first, so that a run says the same on every machine, and with any number of workers.
 */
#ifndef FUZZ_PROGRAMS_H
#define FUZZ_PROGRAMS_H

#include "lab/check/check.h"
#include "lab/check/fuzz/program.h"

#include <limits.h>

enum { HERD_WORKERS = 128, HERD_FINDINGS = 100 };

struct programs_options {
	uint64_t seed, programs, first, executions, findings;
	double seconds;
	const char *geometry, *model, *out;
	const char *without[CHECK_WITHOUT];
	unsigned without_count, jobs;
	bool json, list, no_shrink;
};

struct programs_counts {
	uint64_t programs, unusable, executions, transitions;
};

/* What an oracle has said of a program, and after shrinking the program's file and result. */
struct programs_finding {
	uint64_t number;
	json_t *found;	/* as the worker told it */
	json_t *shrunk; /* NULL: it did not come again */
	json_t *result; /* of the final file; NULL: none was to be had */
};

struct herd {
	const struct programs_options *options;
	char worker[PATH_MAX];
	struct programs_counts counts;
	struct programs_finding finding[HERD_FINDINGS]; /* by number */
	unsigned findings;
	double began;
};

/* False: there is no such worker, and herd->worker is where it was looked for. */
bool herd_find(struct herd *herd);

/* All programs, or until there are enough findings. 0, or an error of the operating system. */
int herd_run(struct herd *herd);

/* One finding's smallest program: fills in shrunk and result. */
int herd_shrink(struct herd *herd, struct programs_finding *finding);

#endif
