/*
 * bounded.c - every execution with at most so many preemptions.
 *
 * A preemption takes the CPU from a thread that could have gone on. Most bugs need one or two, and the
 * number of executions with k of them grows only as the k-th power of their length. Pruning DPOR's tree by
 * such a bound would be wrong (the representative of a trace may have more preemptions than its
 * neighbours), so this search does without its order between steps: it tries every place for a preemption,
 * but for those where it cannot matter.
 *
 * A preemption just before a step that touches only what no other thread ever touches in a conflicting way
 * is the same as one just after it. So it is tried only where the step that it puts off is *hot*. Which
 * locations are hot is learnt on the way; when an execution finds new ones, the whole search is begun again.
 * And where a thread's plain accesses are in order with others' only because it was interrupted when it was,
 * all of its steps are (interrupts.c).
 */
#include "search.h"

/* Do two threads meet in conflict at a location of this execution? Marks it. */
static void learn(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->touches; i++) {
		struct touch *touch = &engine->touch[i];
		struct location *location = conflicts_location(engine, touch);
		unsigned thread = engine->event[touch->event].thread;

		if (location->hot)
			continue;
		if (!location->modes) {
			location->modes = 1u << touch->mode;
			location->first = (uint8_t)thread;
			location->several = false;
			continue;
		}
		location->several |= location->first != thread;
		location->modes |= 1u << touch->mode;
		if (!location->several)
			continue;
		for (unsigned mode = 0; mode <= TOUCH_SWAP && !location->hot; mode++)
			location->hot = (location->modes & 1u << mode) && modes_conflict(mode, touch->mode);
		engine->found_hot |= location->hot;
	}
}

static bool is_hot(struct engine *engine, const struct node *node)
{
	if (engine->entangled & ONLY(node->chosen))
		return true;
	for (uint32_t i = 0; i < node->seen.count; i++) {
		struct touch touch = engine->pool[node->seen.first + i];

		if (conflicts_location(engine, &touch)->hot)
			return true;
	}
	return false;
}

static unsigned preemptions_before(struct engine *engine, uint32_t depth)
{
	unsigned count = 0;

	for (uint32_t d = 1; d < depth; d++) {
		const struct node *node = &engine->node[d];
		unsigned goes_on = search_goes_on(engine, node);

		count += goes_on < ENGINE_THREADS && node->chosen != goes_on;
	}
	return count;
}

/* All choices of the first thread tried here are done: who else is to be tried? */
static void widen(struct engine *engine, uint32_t depth)
{
	struct node *node = &engine->node[depth];
	bool could_go_on = search_goes_on(engine, node) < ENGINE_THREADS;

	if (!could_go_on ||
	    (is_hot(engine, node) && preemptions_before(engine, depth) < engine->config.bound))
		node->todo = node->enabled;
}

bool bounded_next(struct engine *engine)
{
	learn(engine);
	for (uint32_t depth = engine->depth; depth-- > 0;) {
		struct node *node = &engine->node[depth];

		explore_note_footprint(engine, depth);
		if (explore_next_choice(engine, depth)) {
			explore_branch(engine, depth);
			return true;
		}
		if (!node->done)
			widen(engine, depth);
		explore_tried(engine, depth);
		thread_set left = node->todo & ~node->done;
		if (left) {
			node->chosen = (uint8_t)__builtin_ctz(left);
			explore_branch(engine, depth);
			return true;
		}
		conflicts_truncate(engine, depth);
		engine->pool_count = node->pool;
	}
	if (!engine->found_hot)
		return false;
	engine->found_hot = false;
	engine->known = engine->replay = 0;
	return true;
}
