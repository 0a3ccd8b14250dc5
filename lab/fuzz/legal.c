/*
 * legal.c - is a log of operations that ran at once one that they can have one after another?
 */
#include "legal.h"
#include "stretch.h"

#include <stdlib.h>
#include <string.h>

void legal_begin(struct legal *legal, struct subject *quire, const struct sequence *sequence, bool looking)
{
	legal->quire = quire;
	legal->sequence = sequence;
	legal->looking = looking;
	legal->count = 0;
}

void legal_free(struct legal *legal)
{
	for (unsigned i = 0; i < LEGAL_KEPT; i++)
		free(legal->kept[i].log);
	memset(legal, 0, sizeof(*legal));
}

static void keep(struct legal *legal, struct log log, const struct names *names)
{
	unsigned i = legal->count;

	if (i == LEGAL_KEPT)
		return;
	if (legal->kept[i].room < log.bytes) {
		free(legal->kept[i].log);
		legal->kept[i].log = malloc(log.bytes);
		legal->kept[i].room = legal->kept[i].log ? log.bytes : 0;
	}
	if (legal->kept[i].room < log.bytes)
		return;
	memcpy(legal->kept[i].log, log.at, log.bytes);
	legal->kept[i].bytes = log.bytes;
	legal->kept[i].names = *names;
	legal->kept[i].orders = legal->orders;
	legal->count++;
}

static bool is_known(const struct legal *legal, struct log log, const struct names *names)
{
	struct divergence ignored;

	for (unsigned i = 0; i < legal->count; i++) {
		struct log known = { legal->kept[i].log, legal->kept[i].bytes };

		if (orders_suit(&legal->kept[i].orders, &legal->orders) &&
		    !logs_differ(legal->sequence, log, names, known, &legal->kept[i].names, &ignored))
			return true;
	}
	return false;
}

struct judging {
	struct legal *legal;
	struct log log;
	const struct names *names;
	const struct wire_record *expected[WIRE_OPS];
	bool loose, placed;
	struct nearest *nearest;
};

/* Does the log come out in this order? If not, *place says where it parts. */
static bool comes_out(struct judging *j, uint32_t *place)
{
	struct legal *legal = j->legal;
	struct trial trial = { legal->orders.steps, j->expected, j->names, j->loose, j->placed };
	struct divergence divergence;
	struct log log;

	legal->tries++;
	if (subject_try(legal->quire, legal->sequence, legal->looking, &trial, &log, place, &divergence)) {
		if (!j->loose && !j->placed)
			keep(legal, log, subject_names(legal->quire));
		return true;
	}
	if (*place >= j->nearest->place) {
		j->nearest->orders = legal->orders;
		j->nearest->place = *place;
		j->nearest->divergence = divergence;
	}
	return false;
}

static enum verdict try_all(struct judging *j, enum cut cut)
{
	uint32_t place;

	orders_begin(&j->legal->orders, j->legal->sequence, cut, j->log);
	j->nearest->place = 0;
	for (unsigned tries = 0; tries < LEGAL_TRIES; tries++) {
		if (comes_out(j, &place))
			return VERDICT_LEGAL;
		if (!orders_next(&j->legal->orders, place))
			return VERDICT_ILLEGAL;
	}
	return VERDICT_OPEN;
}

enum verdict legal_judge(struct legal *legal, struct log log, const struct names *names,
			 struct nearest *nearest)
{
	struct judging j = { .legal = legal, .log = log, .names = names, .nearest = nearest };
	enum verdict verdict;
	uint32_t place;

	orders_begin(&legal->orders, legal->sequence, CUT_COARSE, log);
	if (is_known(legal, log, names))
		return VERDICT_LEGAL;
	for (uint32_t i = 0; i < legal->sequence->count; i++)
		j.expected[i] = log_find(log, i);
	nearest->place = 0;
	orders_as_ended(&legal->orders);
	if (comes_out(&j, &place))
		return VERDICT_LEGAL;
	verdict = try_all(&j, CUT_COARSE);
	if (verdict == VERDICT_ILLEGAL)
		verdict = try_all(&j, CUT_FINE);
	if (verdict == VERDICT_ILLEGAL && stretch_may_part_mappings(legal->sequence)) {
		j.loose = true;
		verdict = try_all(&j, CUT_FINE);
		legal->loose += verdict == VERDICT_LEGAL;
	}
	if (verdict == VERDICT_ILLEGAL && stretch_may_place_late(legal->sequence)) {
		j.placed = true;
		verdict = try_all(&j, CUT_FINE);
		legal->placed += verdict == VERDICT_LEGAL;
	}
	return verdict;
}
