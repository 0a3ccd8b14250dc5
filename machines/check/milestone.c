/*
 * milestone.c - states on the way to the execution under way, so that the next one need not begin at the
 * beginning.
 *
 * The next execution has most of its steps in common with the last: all before the depth at which it branches
 * off. That they are run again is all that a stateless search needs; but they are most of its work. So every
 * few steps the state is kept: the program's (image.h), and of each thread what is on its stack. The next
 * execution goes on from the last milestone before it branches off, and runs again only what lies between.
 *
 *	0 ....... 16 ....... 32 ....... 48 ....... 64 ....	milestones of the last execution
 *	|<--------- brought back -------->| run again |x new	the next one, which branches off at x
 *
 * Stacks are brought back to where they were, so that pointers into them hold. What is kept is a stack
 * itself: those behind the branch are of no use any more.
 *
 * A milestone is set while no thread runs: the one that is to decide who goes on switches to the main stack,
 * which sets it and decides in its place.
 */
#include "search.h"

#include <stdlib.h>
#include <string.h>

enum {
	SPACING = 24,	     /* steps between two, at least */
	BYTES_A_STEP = 8192, /* keeping so many takes as long as running a step */
};

struct milestone {
	uint32_t depth;
	thread_set alive, waiting, held;
	uint64_t accesses;
	struct thread thread[ENGINE_THREADS];
	char *stacks; /* what is in use of each, one behind the other */
	size_t room;
	size_t bytes[ENGINE_THREADS];
};

static bool is_possible(const struct engine *engine)
{
	return engine->program.image && !engine->replaying;
}

static char *top_of(const struct thread *thread)
{
	return thread->stack + ENGINE_STACK_BYTES;
}

static void keep_stacks(struct engine *engine, struct milestone *milestone)
{
	size_t used = 0;

	for (unsigned t = 0; t < engine->program.threads; t++) {
		struct thread *thread = &engine->thread[t];
		char *from = thread->coroutine.stack_pointer;
		size_t bytes = engine->alive & ONLY(t) ? (size_t)(top_of(thread) - from) : 0;

		milestone->bytes[t] = bytes;
		if (used + bytes > milestone->room) {
			milestone->room = (used + bytes) * 2;
			milestone->stacks = realloc(milestone->stacks, milestone->room);
			if (!milestone->stacks)
				exit(3);
		}
		if (bytes)
			memcpy(milestone->stacks + used, from, bytes);
		used += bytes;
	}
}

static void bring_back_stacks(struct engine *engine, const struct milestone *milestone)
{
	const char *from = milestone->stacks;

	for (unsigned t = 0; t < engine->program.threads; t++) {
		size_t bytes = milestone->bytes[t];

		if (bytes)
			memcpy(top_of(&engine->thread[t]) - bytes, from, bytes);
		from += bytes;
	}
}

/* Large states are kept less often. */
static uint32_t spacing(const struct engine *engine)
{
	if (engine->config.spacing)
		return engine->config.spacing;
	size_t bytes = engine->milestones ? image_bytes(engine->program.image, engine->milestones - 1) : 0;

	return SPACING + (uint32_t)(bytes / BYTES_A_STEP);
}

static struct milestone *milestone_at(struct engine *engine, unsigned number)
{
	if (number >= engine->milestone_room) {
		engine->milestone = realloc(engine->milestone, (number + 1ul) * sizeof(*engine->milestone));
		if (!engine->milestone)
			exit(3);
		engine->milestone[number] = calloc(1, sizeof(struct milestone));
		if (!engine->milestone[number])
			exit(3);
		engine->milestone_room = number + 1;
	}
	return engine->milestone[number];
}

/* Here, before the next step. */
void milestone_set(struct engine *engine)
{
	if (is_possible(engine)) {
		struct milestone *milestone = milestone_at(engine, engine->milestones);

		milestone->depth = engine->depth;
		milestone->alive = engine->alive;
		milestone->waiting = engine->waiting;
		milestone->held = engine->held;
		milestone->accesses = engine_accesses;
		memcpy(milestone->thread, engine->thread,
		       engine->program.threads * sizeof(engine->thread[0]));
		keep_stacks(engine, milestone);
		image_keep(engine->program.image, engine->milestones++);
	}
	milestone_ahead(engine);
}

/* Where the next one is to be set: engine->pause_at. */
void milestone_ahead(struct engine *engine)
{
	engine->pause_at = is_possible(engine) ? engine->depth + spacing(engine) : UINT32_MAX;
}

/* To the last one that the execution to come passes. False: there is none. */
bool milestone_return(struct engine *engine)
{
	while (engine->milestones && engine->milestone[engine->milestones - 1]->depth > engine->known)
		engine->milestones--;
	if (!engine->milestones || !is_possible(engine))
		return false;
	const struct milestone *milestone = engine->milestone[engine->milestones - 1];
	engine->depth = milestone->depth;
	engine->alive = milestone->alive;
	engine->waiting = milestone->waiting;
	engine->held = milestone->held;
	engine_accesses = milestone->accesses;
	memcpy(engine->thread, milestone->thread, engine->program.threads * sizeof(engine->thread[0]));
	bring_back_stacks(engine, milestone);
	image_bring_back(engine->program.image, engine->milestones - 1);
	milestone_ahead(engine);
	return true;
}

void milestone_destroy(struct engine *engine)
{
	for (unsigned i = 0; i < engine->milestone_room; i++) {
		free(engine->milestone[i]->stacks);
		free(engine->milestone[i]);
	}
	free(engine->milestone);
}
