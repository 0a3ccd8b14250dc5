/*
 * ops.h - from bytes to operations.
 *
 * A sequence is a string of bytes, OPS_RECORD to an operation. Every string means something, each record by
 * itself, so that a random generator, a coverage-guided fuzzer and a shrinker can cut and change it as they
 * like; zero bytes are the simplest choice everywhere.
 */
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include <stddef.h>
#include <stdio.h>

#include "wire.h"

enum {
	OPS_RECORD = 12,
	OPS_MAX = 512, /* records in a sequence */
};

struct sequence {
	uint32_t count;
	unsigned threads; /* of a stretch, at most; 0: there are none */
	struct wire_op ops[WIRE_OPS];
	uint16_t record[WIRE_OPS]; /* from which record of the bytes; OPS_MAX: from none */
};

/*
 * Decode, with stretches of up to @threads threads, 0 for none. After a stretch its process looks; the
 * closing part, in which every process reads everything and exits, is added.
 */
void ops_decode(const uint8_t *bytes, size_t count, unsigned threads, struct sequence *sequence);

/* Random bytes for @records operations, with stretches if there are @threads. *state is the generator's. */
void ops_generate(uint64_t *state, uint8_t *bytes, size_t records, unsigned threads);
uint64_t ops_random(uint64_t *state);

const char *ops_kind_name(unsigned kind);
const char *ops_errno_name(int64_t result);		 /* "EINVAL" for -22; NULL when it is no error */
void ops_print(FILE *to, const struct wire_op *op);	 /* one line, without its end */
void ops_print_call(FILE *to, const struct wire_op *op); /* as C */

#endif
