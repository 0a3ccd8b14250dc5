/*
 * random.c - sampling where the space is too large: PCT and POS.
 *
 * PCT (Burckhardt and others, ASPLOS'10): every thread has a random priority, the highest one that can
 * runs; at `bound` random steps the one that runs gets a priority below all others. A bug that needs d
 * ordering constraints is met with probability at least 1 / (n * k^(d-1)) in one execution of n threads and
 * k steps, for bound = d - 1.
 *
 * POS (Yuan, Yang, Gu, CAV'18): every pending step has a random priority of its own; when one is taken, those
 * that would touch the same location draw again. Executions are then spread over orders of conflicting steps
 * rather than over schedules.
 *
 * Choices within a step are drawn evenly.
 */
#include "search.h"

#include <stdlib.h>

enum { MOST_CHANGES = 64, LOWEST = 1 << 20 };

void random_begin(struct engine *engine)
{
	const struct engine_config *config = &engine->config;

	if (config->search != SEARCH_PCT && config->search != SEARCH_POS)
		return;
	engine->known = engine->replay = 0;
	engine->touches = engine->choice_count = engine->pool_count = 0;
	for (unsigned t = 0; t < engine->program.threads; t++)
		engine->priority[t] = LOWEST + (engine_random(engine) >> 1) % (UINT64_MAX / 2 - LOWEST);
	engine->changes = config->bound < MOST_CHANGES ? config->bound : MOST_CHANGES;
	uint64_t length = engine->counts.longest ? engine->counts.longest : 100;
	for (unsigned i = 0; i < engine->changes; i++)
		engine->change[i] = (uint32_t)(engine_random(engine) % length);
}

static unsigned highest(struct engine *engine, thread_set among)
{
	unsigned best = ENGINE_THREADS;

	for (; among; among &= among - 1) {
		unsigned t = (unsigned)__builtin_ctz(among);

		if (best == ENGINE_THREADS || engine->priority[t] > engine->priority[best])
			best = t;
	}
	return best;
}

static void draw(struct engine *engine, unsigned thread)
{
	engine->priority[thread] = engine_random(engine);
}

static unsigned pick_pos(struct engine *engine, const struct node *node)
{
	unsigned best = highest(engine, node->enabled);
	uintptr_t location = engine->thread[best].expects;

	for (unsigned t = 0; location && t < engine->program.threads; t++)
		if (t != best && engine->thread[t].expects == location)
			draw(engine, t);
	draw(engine, best); /* for its next step */
	return best;
}

unsigned random_pick(struct engine *engine, struct node *node)
{
	if (engine->config.search == SEARCH_POS)
		return pick_pos(engine, node);
	unsigned best = highest(engine, node->enabled);
	for (unsigned i = 0; i < engine->changes; i++) {
		if (engine->change[i] != engine->depth)
			continue;
		engine->priority[best] = LOWEST - 1 - i;
		best = highest(engine, node->enabled);
	}
	return best;
}
