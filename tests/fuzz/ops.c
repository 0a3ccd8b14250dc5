/*
 * ops.c - coverage-guided fuzzing of Quire against the host's kernel.
 *
 * The bytes are a sequence for `quire fuzz --replay`. A computer whose kernel cannot be asked (PROCMAP_QUERY
 * is Linux 6.11's) passes with nothing done.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lab/fuzz/fuzzer.h"

static struct fuzzer fuzzer;
static int opened; /* 1 open, -1 cannot be */

static void close_it(void)
{
	fuzzer_close(&fuzzer);
}

static int open_it(void)
{
	const char *why;

	if (fuzzer_open(&fuzzer, false, 0, &why)) {
		fprintf(stderr, "fuzz ops: %s: nothing is tried\n", why);
		return -1;
	}
	atexit(close_it);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct finding finding;

	if (!opened)
		opened = open_it();
	if (opened < 0)
		return 0;
	finding = fuzzer_run(&fuzzer, data, size);
	/* What does not come again is the host's own doing. */
	if (finding.kind == FINDING_NONE || fuzzer_run(&fuzzer, data, size).kind == FINDING_NONE)
		return 0;
	fprintf(stderr, "operation %u: %s\nRepeat with: quire fuzz --replay FILE\n", finding.divergence.op,
		finding.divergence.what);
	abort();
}
