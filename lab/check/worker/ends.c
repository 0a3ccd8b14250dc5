/*
 * ends.c - how executions end, once for each state that they end in.
 *
 * Most interleavings differ on the way and not in where they lead: thousands of executions have a handful of
 * ends. What comes then - the condition, the checks of every structure, tearing all down, the accounts -
 * depends on that state alone, and is more work than the steps in which two executions differ. So an end that
 * is the same to the byte as one that was gone through, and found in order, is not gone through again.
 *
 * One that was not in order is not remembered: its violation is told each time. And each search goes through
 * all of its ends once, for what is watched over the whole of it: the orders of locks.
 */
#include "lab/check/worker/worker.h"

#include <stdlib.h>
#include <string.h>

enum {
	ENDS = 256,
	PATIENCE = 64, /* ends looked up; if not every tenth was found, they are too different */
};

static struct end {
	bool is_known;
	uint64_t hash;
	char *text;
	bool holds;
} ends[ENDS];

static struct image *image;
static unsigned current = ENDS; /* which is being gone through */
static unsigned last = ENDS;	/* which was kept last */
static uint64_t looked, found;

static void create(struct run *run)
{
	image = image_create();
	if (!image)
		exit(EXIT_BROKEN);
	machine_end_image(run->machine, image);
	image_add(image, &run->world, sizeof(run->world));
}

bool ends_find(struct run *run, const char **text, bool *holds)
{
	if (!image)
		create(run);
	current = ENDS;
	if (looked > PATIENCE && found * 10 < looked)
		return false;
	uint64_t hash = image_hash(image);
	struct end *end = &ends[hash % ENDS];
	looked++;
	if (end->is_known && end->hash == hash && image_is(image, (unsigned)(end - ends))) {
		found++;
		*text = end->text;
		*holds = end->holds;
		return true;
	}
	current = (unsigned)(end - ends);
	end->is_known = false;
	end->hash = hash;
	image_keep(image, current);
	last = current;
	return false;
}

void ends_forget(void)
{
	for (unsigned i = 0; i < ENDS; i++)
		ends[i].is_known = false;
}

void ends_bring_back(void)
{
	if (last < ENDS)
		image_bring_back(image, last);
}

void ends_remember(const char *text, bool holds)
{
	if (current == ENDS)
		return;
	struct end *end = &ends[current];
	free(end->text);
	end->text = strdup(text);
	end->holds = holds;
	end->is_known = end->text != NULL;
	current = ENDS;
}
