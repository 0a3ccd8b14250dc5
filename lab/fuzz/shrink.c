/*
 * shrink.c - the shortest sequence that still shows a divergence.
 *
 * First what comes after the divergence goes, then ever smaller pieces, then single bytes become zero, the
 * simplest choice of each field. A candidate counts when it fails in the same way: the same sort of finding,
 * at the same kind of operation, in the same respect.
 */
#include "fuzzer.h"

#include <string.h>

enum { RUNS = 1500 };

struct shrinking {
	struct fuzzer *fuzzer;
	uint8_t *bytes;
	size_t count;
	struct finding finding;
	uint8_t kind; /* of the diverging operation */
	unsigned runs;
	uint8_t candidate[OPS_MAX * OPS_RECORD];
};

static bool alike(const struct shrinking *s, const struct finding *finding)
{
	size_t respect = strcspn(s->finding.divergence.what, " :");

	if (finding->kind != s->finding.kind)
		return false;
	if (finding->kind != FINDING_DIVERGENCE)
		return true;
	return s->fuzzer->sequence.ops[finding->divergence.op].kind == s->kind &&
	       strncmp(finding->divergence.what, s->finding.divergence.what, respect) == 0;
}

/* Take the candidate if it fails as before. */
static bool try_candidate(struct shrinking *s, size_t count)
{
	struct finding finding;

	if (s->runs++ > RUNS)
		return false;
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

	for (size_t at = s->count; at >= piece && s->runs <= RUNS;) {
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

struct finding shrink(struct fuzzer *fuzzer, uint8_t *bytes, size_t *count, struct finding finding)
{
	struct shrinking s = { .fuzzer = fuzzer, .bytes = bytes, .count = *count, .finding = finding };
	bool again = true;

	fuzzer_run(fuzzer, bytes, *count);
	s.kind = fuzzer->sequence.ops[finding.divergence.op].kind;
	cut_tail(&s);
	while (again && s.runs <= RUNS) {
		again = false;
		for (size_t records = s.count / OPS_RECORD / 2 + 1; records; records /= 2)
			again |= cut_pieces(&s, records);
		again |= simplify_bytes(&s);
	}
	*count = s.count;
	finding = fuzzer_run(fuzzer, bytes, s.count);
	return alike(&s, &finding) ? finding : s.finding;
}
