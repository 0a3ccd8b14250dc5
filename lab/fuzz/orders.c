/*
 * orders.c - the orders in which one thread can carry out what several did.
 *
 * They are run through as numbers are counted up, whose digits are the threads at each place. Whoever has
 * seen where an order fails has seen that all fail which begin in the same way, and they are skipped.
 */
#include "orders.h"

#include <string.h>

static unsigned thread_at(const struct orders *o, uint32_t place)
{
	return o->sequence->ops[o->steps[place].op].thread;
}

/* Behind the last step of the stretch that @place is in. */
static uint32_t stretch_end(const struct orders *o, uint32_t place)
{
	while (place < o->count && thread_at(o, place))
		place++;
	return place;
}

/* May the step at @next come before all others from @place to @end? */
static bool may_come_first(const struct orders *o, uint32_t place, uint32_t end, uint32_t next)
{
	for (uint32_t i = place; i < end; i++) {
		if (o->ended[o->steps[i].op] < o->began[o->steps[next].op])
			return false;
	}
	return true;
}

/* From @place on, the next step that may come now, of @thread or one behind it; @end: there is none. */
static uint32_t find(const struct orders *o, uint32_t place, uint32_t end, unsigned thread)
{
	for (; thread <= WIRE_THREADS; thread++) {
		uint32_t next = place;

		while (next < end && thread_at(o, next) != thread)
			next++;
		if (next < end && may_come_first(o, place, end, next))
			return next;
	}
	return end;
}

/* The step at @next comes to @place; those between keep their order. */
static void bring(struct orders *o, uint32_t place, uint32_t next)
{
	struct step step = o->steps[next];

	memmove(&o->steps[place + 1], &o->steps[place], (next - place) * sizeof(step));
	o->steps[place] = step;
}

/* From @place on the first order that there is. */
static void fill(struct orders *o, uint32_t place)
{
	for (; place < o->count; place++) {
		if (thread_at(o, place))
			bring(o, place, find(o, place, stretch_end(o, place), 1));
	}
}

static void read_times(struct orders *o, struct log log)
{
	const struct wire_record *record;

	memset(o->began, 0, sizeof(o->began));
	memset(o->ended, 0, sizeof(o->ended));
	for (const uint8_t *at = log.at, *end = at + log.bytes; at < end; at += record->bytes) {
		record = (const struct wire_record *)at;
		o->began[record->op] = record->began;
		o->ended[record->op] = record->ended;
	}
}

void orders_begin(struct orders *o, const struct sequence *sequence, enum cut cut, struct log log)
{
	o->sequence = sequence;
	o->count = 0;
	for (uint32_t i = 0; i < sequence->count; i++) {
		const struct wire_op *op = &sequence->ops[i];

		if (cut == CUT_FINE && op->thread && (op->kind == WIRE_LOAD || op->kind == WIRE_STORE))
			o->steps[o->count++] = (struct step){ (uint16_t)i, true };
		o->steps[o->count++] = (struct step){ (uint16_t)i, false };
	}
	read_times(o, log);
	fill(o, 0);
}

void orders_as_ended(struct orders *o)
{
	for (uint32_t place = 0; place < o->count; place++) {
		uint32_t end = stretch_end(o, place), first = place;

		for (uint32_t i = place; i < end; i++) {
			if (o->ended[o->steps[i].op] < o->ended[o->steps[first].op])
				first = i;
		}
		bring(o, place, first);
	}
}

bool orders_next(struct orders *o, uint32_t place)
{
	for (place++; place-- > 0;) {
		uint32_t end = stretch_end(o, place);
		uint32_t next = place < end ? find(o, place, end, thread_at(o, place) + 1) : end;

		if (next == end)
			continue;
		bring(o, place, next);
		fill(o, place + 1);
		return true;
	}
	return false;
}

bool orders_suit(const struct orders *o, const struct orders *times)
{
	for (uint32_t place = 0; place < o->count; place++) {
		uint32_t end = stretch_end(o, place);

		for (uint32_t i = place + 1; i < end; i++) {
			if (times->ended[o->steps[i].op] < times->began[o->steps[place].op])
				return false;
		}
	}
	return true;
}
