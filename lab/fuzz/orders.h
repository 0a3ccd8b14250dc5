/*
 * orders.h - the orders in which one thread can carry out what several did: each keeps that of every
 * thread, and what ended before another began comes before it.
 *
 * What is ordered are steps. An operation is one step, but for an access that is looked at closely: a
 * fault that brings its page in, and then the access, for what the other threads do in between can make
 * it fail after all. So there is a coarse and a fine way to cut a sequence into steps.
 */
#ifndef FUZZ_ORDERS_H
#define FUZZ_ORDERS_H

#include <stdbool.h>

#include "compare.h"
#include "subject.h"

enum { ORDERS_STEPS = 2 * WIRE_OPS };

enum cut { CUT_COARSE, CUT_FINE };

struct orders {
	const struct sequence *sequence;
	uint32_t count;
	struct step steps[ORDERS_STEPS];
	uint64_t began[WIRE_OPS], ended[WIRE_OPS]; /* of operations */
};

/* The first order, for what ran as @log says. */
void orders_begin(struct orders *orders, const struct sequence *sequence, enum cut cut, struct log log);

/* The order in which operations ended. Of a coarse cut. */
void orders_as_ended(struct orders *orders);

/* The next one that differs in one of the places up to @place. False: there is none. */
bool orders_next(struct orders *orders, uint32_t place);

/* Could operations of other times have come in this order too? */
bool orders_suit(const struct orders *orders, const struct orders *times);

#endif
