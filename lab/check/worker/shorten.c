/*
 * shorten.c - a witness made easier to read: the same violation with fewer preemptions and fewer switches.
 *
 * A schedule is a row of stretches, each some steps of one thread. Two things are tried until neither helps:
 *
 *	A1 B1 A2 B2 ...   ->   A1 B1		what follows is left to the usual order
 *	A1 B1 A2 B2 ...   ->   A1 A2 B1 B2	a thread goes on where it stopped (or begins only there)
 *
 * Each attempt is one execution. Most are none of the program's, since what stood between was needed; the
 * rest show a violation or they do not. The number of attempts is limited, and the order fixed, so that the
 * outcome is the same everywhere.
 */
#include "lab/check/worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 2000, STRETCHES = 400, CHOICES = 60 };

struct stretch {
	unsigned thread, steps;
	const char *choices; /* "@1=2,0@4=1", as it stands in the schedule */
	size_t choice_bytes;
};

struct row {
	struct stretch stretch[STRETCHES];
	unsigned count;
};

static unsigned attempts;

/* False: too long to be worked on. */
static bool read_row(const char *schedule, struct row *row)
{
	const char *at = strchr(schedule, ':');

	row->count = 0;
	while (at && *at) {
		struct stretch *s = &row->stretch[row->count];
		char *end;

		if (row->count++ == STRETCHES - 1)
			return false;
		s->thread = (unsigned)strtoul(at + 1, &end, 10);
		s->steps = 1;
		if (*end == '*')
			s->steps = (unsigned)strtoul(end + 1, &end, 10);
		s->choices = end;
		s->choice_bytes = strcspn(end, ".");
		at = end + s->choice_bytes;
	}
	return at != NULL;
}

static size_t put(char *out, size_t used, size_t room, const struct stretch *s)
{
	char word[40];
	int length = snprintf(word, sizeof(word), "%s%u*%u", out[used - 1] == ':' ? "" : ".", s->thread,
			      s->steps);

	if (used + (size_t)length + s->choice_bytes >= room)
		return used;
	memcpy(out + used, word, (size_t)length);
	memcpy(out + used + length, s->choices, s->choice_bytes);
	return used + (size_t)length + s->choice_bytes;
}

/* Runs the stretches in @order. True: that was a better witness, and is kept by now. */
static bool attempt(struct run *run, const struct row *row, const unsigned *order, unsigned count)
{
	static char schedule[STRETCHES * (40 + CHOICES)];
	const char *before = run->witness.schedule;
	struct engine_counts counts;
	size_t used = 3;

	if (attempts++ >= ATTEMPTS)
		return false;
	memcpy(schedule, "v1:", 3);
	for (unsigned i = 0; i < count; i++)
		used = put(schedule, used, sizeof(schedule), &row->stretch[order[i]]);
	schedule[used] = 0;
	engine_replay(run->engine, schedule, &counts);
	return run->witness.schedule != before;
}

static void usual_order(const struct row *row, unsigned *order)
{
	for (unsigned i = 0; i < row->count; i++)
		order[i] = i;
}

/* The shortest beginning that is enough. */
static bool cut(struct run *run, const struct row *row)
{
	unsigned order[STRETCHES];

	usual_order(row, order);
	for (unsigned i = 1; i < row->count; i++)
		if (attempt(run, row, order, i))
			return true;
	return false;
}

static unsigned next_of_thread(const struct row *row, unsigned i)
{
	unsigned j = i + 1;

	while (j < row->count && row->stretch[j].thread != row->stretch[i].thread)
		j++;
	return j;
}

/* Stretch @from goes to where it stands @to-th. */
static void move(const struct row *row, unsigned *order, unsigned from, unsigned to)
{
	usual_order(row, order);
	if (from > to)
		memmove(order + to + 1, order + to, (from - to) * sizeof(*order));
	else
		memmove(order + from, order + from + 1, (to - from) * sizeof(*order));
	order[to] = from;
}

/* Two stretches of one thread become one: the later comes forward, or the earlier waits. */
static bool join(struct run *run, const struct row *row)
{
	unsigned order[STRETCHES];

	for (unsigned i = 0; i < row->count; i++) {
		unsigned j = next_of_thread(row, i);

		if (j == row->count)
			continue;
		move(row, order, j, i + 1);
		if (attempt(run, row, order, row->count))
			return true;
		move(row, order, i, j - 1);
		if (attempt(run, row, order, row->count))
			return true;
	}
	return false;
}

void shorten(struct run *run)
{
	static struct row row;
	static char schedule[sizeof(row)];

	attempts = 0;
	do {
		/* The row points into it, and the witness's own goes when a better one is kept. */
		if (snprintf(schedule, sizeof(schedule), "%s", run->witness.schedule) >=
			    (int)sizeof(schedule) ||
		    !read_row(schedule, &row))
			return;
	} while (attempts < ATTEMPTS && (cut(run, &row) || join(run, &row)));
}
