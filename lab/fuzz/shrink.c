/*
 * shrink.c - the shortest sequence that still shows a divergence.
 *
 * First what comes after the divergence goes, then ever smaller pieces, then single bytes become zero, the
 * simplest choice of each field. A candidate counts when it fails in the same way: the same sort of finding,
 * at the same kind of operation, in the same respect.
 */
#include "fuzzer.h"

#include <string.h>

enum {
	RUNS = 1500,
	FIRST_RUNS = 3000,     /* of threads, until something is to come again */
	TIMES_AS_PATIENT = 10, /* candidates run as often as it took to come again, times this */
	FEWEST_RUNS = 20,
	MOST_RUNS = 60000, /* of threads, in all */
};

struct shrinking {
	struct fuzzer *fuzzer;
	uint8_t *bytes;
	size_t count;
	struct finding finding;
	uint8_t kind; /* of the diverging operation */
	unsigned runs, most_runs;
	unsigned patience; /* runs of a candidate */
	uint8_t candidate[OPS_MAX * OPS_RECORD];
};

static bool alike(const struct shrinking *s, const struct finding *finding)
{
	size_t respect = strcspn(s->finding.divergence.what, " :");

	if (finding->kind != s->finding.kind)
		return false;
	if (finding->kind != FINDING_DIVERGENCE)
		return true; /* of threads too: what they did differently need not be the same each time */
	return s->fuzzer->sequence.ops[finding->divergence.op].kind == s->kind &&
	       strncmp(finding->divergence.what, s->finding.divergence.what, respect) == 0;
}

/* Take the candidate if it fails as before. */
static bool try_candidate(struct shrinking *s, size_t count)
{
	struct finding finding;

	if (s->runs > s->most_runs)
		return false;
	s->runs += s->patience;
	finding = fuzzer_run(s->fuzzer, s->candidate, count);
	if (!alike(s, &finding))
		return false;
	memcpy(s->bytes, s->candidate, count);
	s->count = count;
	s->finding = finding;
	return true;
}

static void cut_tail(struct shrinking *s)
{
	uint16_t record = s->fuzzer->sequence.record[s->finding.divergence.op];

	if (record == OPS_MAX || (size_t)(record + 1) * OPS_RECORD >= s->count)
		return;
	memcpy(s->candidate, s->bytes, s->count);
	try_candidate(s, (size_t)(record + 1) * OPS_RECORD);
}

/* Remove pieces of @records. True when something went. */
static bool cut_pieces(struct shrinking *s, size_t records)
{
	size_t piece = records * OPS_RECORD;
	bool any = false;

	for (size_t at = s->count; at >= piece && s->runs <= s->most_runs;) {
		at -= piece;
		if (at + piece > s->count)
			continue;
		memcpy(s->candidate, s->bytes, at);
		memcpy(s->candidate + at, s->bytes + at + piece, s->count - at - piece);
		any |= try_candidate(s, s->count - piece);
	}
	return any;
}

static bool simplify_bytes(struct shrinking *s)
{
	bool any = false;

	for (size_t at = 0; at < s->count; at++) {
		/* The kind stays, the process and every field may become zero. */
		if (at % OPS_RECORD == 0 || s->bytes[at] == 0)
			continue;
		memcpy(s->candidate, s->bytes, s->count);
		s->candidate[at] = 0;
		any |= try_candidate(s, s->count);
	}
	return any;
}

static void cut_and_simplify(struct shrinking *s)
{
	bool again = true;

	while (again && s->runs <= s->most_runs) {
		again = false;
		for (size_t records = s->count / OPS_RECORD / 2 + 1; records; records /= 2)
			again |= cut_pieces(s, records);
		again |= simplify_bytes(s);
	}
}

struct finding shrink(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding finding)
{
	struct shrinking s = { fuzzer, bytes, *count, .finding = finding, .most_runs = RUNS, .patience = 1 };

	fuzzer_run(fuzzer, bytes, *count);
	s.kind = fuzzer->sequence.ops[finding.divergence.op].kind;
	cut_tail(&s);
	cut_and_simplify(&s);
	*count = s.count;
	finding = fuzzer_run(fuzzer, bytes, s.count);
	return alike(&s, &finding) ? finding : s.finding;
}

/* ---- threads --------------------------------------------------------------------------------- */

/* Run until it comes again, at most @runs times. Returns how many it took, 0 if it did not. */
static unsigned come_again(struct shrinking *s, unsigned runs)
{
	for (unsigned i = 1; i <= runs; i++) {
		struct finding finding = fuzzer_run(s->fuzzer, s->bytes, s->count);

		if (!alike(s, &finding))
			continue;
		s->finding = finding;
		return i;
	}
	return 0;
}

/* Only the side that is to show it runs. */
static struct effort effort_for(const struct finding *finding, unsigned runs)
{
	bool host = finding->kind == FINDING_HOST_RACE;

	return (struct effort){ host ? runs : 0, host ? 0 : runs };
}

bool shrink_threads(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding *finding,
		    uint64_t *runs)
{
	struct shrinking s = { fuzzer, bytes, *count, .finding = *finding, .most_runs = MOST_RUNS };
	struct effort usual = fuzzer->effort;
	unsigned took, took_again;

	*runs = FIRST_RUNS;
	fuzzer->effort = effort_for(finding, 1);
	took = come_again(&s, FIRST_RUNS);
	took_again = took ? come_again(&s, FIRST_RUNS) : 0;
	if (took_again) {
		s.patience = (took + took_again) * TIMES_AS_PATIENT / 2;
		if (s.patience < FEWEST_RUNS)
			s.patience = FEWEST_RUNS;
		fuzzer->effort = effort_for(finding, s.patience);
		cut_and_simplify(&s);
		*count = s.count;
		fuzzer->effort = effort_for(finding, 1);
		took_again = come_again(&s, FIRST_RUNS);
	}
	*finding = s.finding;
	fuzzer->effort = usual;
	return took_again;
}
