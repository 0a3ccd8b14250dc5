/*
 * shrink.c - the smallest program that an oracle still says the same of.
 *
 * First whole columns go, then ever fewer records, then the bytes of each become zero, the simplest choice
 * of each field; again, until nothing changes any more. A candidate counts when its violation is of the
 * same class. What is limited is the number of candidates, not time: the outcome is the same everywhere.
 *
 * A race that was hit by luck must be hit again, so that the plan should have more executions than the
 * program had got.
 */
#include "lab/check/worker/fuzz.h"

#include "lab/check/fuzz/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIALS = 400, PROGRESS_EVERY = 8 };

struct shrinking {
	struct trial_plan plan;
	uint8_t *bytes;
	size_t count;
	struct trial *trial;
	unsigned trials;
	uint8_t candidate[PROGRAM_BYTES];
};

static void tell_shrinking(const struct shrinking *s)
{
	if (s->trials % PROGRESS_EVERY)
		return;
	printf("{\"shrinking\": {\"trials\": %u, \"records\": %zu}}\n", s->trials, s->count / PROGRAM_RECORD);
	fflush(stdout);
}

/* Another string of bytes may be the same program. */
static bool is_same_program(const struct shrinking *s, size_t count)
{
	struct program_header header = { .bound = -1 };
	char *a = program_text(s->bytes, s->count, &header), *b = program_text(s->candidate, count, &header);
	bool same = a && b && strcmp(a, b) == 0;

	free(a);
	free(b);
	return same;
}

static void take(struct shrinking *s, size_t count)
{
	memcpy(s->bytes, s->candidate, count);
	s->count = count;
}

/* Take the candidate if it is violated as before. */
static bool try_candidate(struct shrinking *s, size_t count)
{
	struct trial trial;

	if (is_same_program(s, count)) {
		take(s, count);
		return true;
	}
	if (s->trials >= TRIALS)
		return false;
	s->trials++;
	tell_shrinking(s);
	trial_run(&s->plan, s->candidate, count, &trial);
	if (trial.kind != s->trial->kind || strcmp(trial.class, s->trial->class) != 0)
		return false;
	*s->trial = trial;
	take(s, count);
	return true;
}

static bool is_statement(const uint8_t *b)
{
	return b[0] == RECORD_STATEMENT || b[0] > RECORD_ORDER;
}

/* All that column @column does. */
static bool cut_column(struct shrinking *s, unsigned column)
{
	size_t count = 0;

	for (size_t at = 0; at + PROGRAM_RECORD <= s->count; at += PROGRAM_RECORD) {
		const uint8_t *b = s->bytes + at;

		if ((is_statement(b) || b[0] == RECORD_COLUMN) && b[1] % PROGRAM_COLUMNS == column)
			continue;
		memcpy(s->candidate + count, b, PROGRAM_RECORD);
		count += PROGRAM_RECORD;
	}
	return count < s->count && try_candidate(s, count);
}

/* Remove pieces of @records, from the end on. */
static bool cut_pieces(struct shrinking *s, size_t records)
{
	size_t piece = records * PROGRAM_RECORD;
	bool any = false;

	for (size_t at = s->count; at >= piece;) {
		at -= piece;
		if (at + piece > s->count)
			continue;
		memcpy(s->candidate, s->bytes, at);
		memcpy(s->candidate + at, s->bytes + at + piece, s->count - at - piece);
		any |= try_candidate(s, s->count - piece);
	}
	return any;
}

/* A byte becomes zero; or loses its upper half, its lower half, all but one bit. */
static bool simplify_byte(struct shrinking *s, size_t at)
{
	static const uint8_t masks[] = { 0x00, 0x0f, 0xf0, 0x07, 0x03, 0x01 };

	for (size_t i = 0; i < sizeof(masks); i++) {
		if ((s->bytes[at] & masks[i]) == s->bytes[at])
			continue;
		memcpy(s->candidate, s->bytes, s->count);
		s->candidate[at] &= masks[i];
		if (try_candidate(s, s->count))
			return true;
	}
	return false;
}

/* Kinds of records stay; an operation may become a load, and move to the first column. */
static bool simplify_bytes(struct shrinking *s)
{
	bool any = false;

	for (size_t at = 0; at < s->count; at++)
		if (at % PROGRAM_RECORD && s->bytes[at])
			any |= simplify_byte(s, at);
	return any;
}

unsigned shrink(const struct trial_plan *plan, uint8_t *bytes, size_t *count, struct trial *trial)
{
	struct shrinking s = { .plan = *plan, .bytes = bytes, .count = *count, .trial = trial };

	for (bool again = true; again && s.trials < TRIALS;) {
		again = false;
		for (unsigned column = 0; column < PROGRAM_COLUMNS; column++)
			again |= cut_column(&s, column);
		for (size_t records = s.count / PROGRAM_RECORD / 2; records; records /= 2)
			again |= cut_pieces(&s, records);
		again |= simplify_bytes(&s);
	}
	*count = s.count;
	return s.trials;
}
