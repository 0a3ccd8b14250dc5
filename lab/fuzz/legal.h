/*
 * legal.h - is a log of operations that ran at once one that they can have one after another?
 *
 * The reference is Quire itself, with a single thread: that it does as Linux does is what sequences
 * without stretches show. An order of the operations is tried, and another one, until the log comes out;
 * an order whose results differ is given up at the first that does. If no order gives it, accesses are
 * cut into two steps (orders.h). Outcomes that were met stay known, for the next log of the same
 * sequence.
 */
#ifndef FUZZ_LEGAL_H
#define FUZZ_LEGAL_H

#include "orders.h"
#include "subject.h"

enum { LEGAL_KEPT = 16, LEGAL_TRIES = 3000 };

enum verdict {
	VERDICT_LEGAL,
	VERDICT_ILLEGAL,
	VERDICT_OPEN, /* too many orders */
};

struct legal {
	struct subject *quire;
	const struct sequence *sequence;
	bool looking;
	struct {
		void *log;
		size_t bytes, room;
		struct names names;
		struct orders orders;
	} kept[LEGAL_KEPT];
	unsigned count;
	uint64_t tries; /* orders, since the beginning */
	uint64_t loose;	 /* logs that are legal but for mappings that stayed apart */
	uint64_t placed; /* or but for an address that was chosen by what was there before */
	struct orders orders;
};

/* The order that goes furthest before it parts with the log. */
struct nearest {
	struct orders orders;
	uint32_t place; /* where that is */
	struct divergence divergence;
};

/* What is known is of @sequence from now on. */
void legal_begin(struct legal *legal, struct subject *quire, const struct sequence *sequence, bool looking);
void legal_free(struct legal *legal);

/* @log is not in the subject's own memory. Not VERDICT_LEGAL: *nearest tells more. */
enum verdict legal_judge(struct legal *legal, struct log log, const struct names *names,
			 struct nearest *nearest);

#endif
