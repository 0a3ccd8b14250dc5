/*
 * optimal.c - wakeup trees: the search that never begins an execution in vain.
 *
 * A source set says with which thread the reversal of a race begins, and leaves it to luck what follows: it
 * may run into a thread that sleeps, and be given up. A wakeup tree keeps the whole sequence that reverses
 * the race. Each node has one, an ordered tree of what is still to be tried from there; the search goes
 * down its first branch and hands the branch's children to the node below (Abdulla and others, POPL'14,
 * algorithm 2).
 *
 *	race j, s of the execution E:   v = the steps of E after j that do not come after j, then s
 *	somebody asleep at j begins v (weakly)?		all of v was seen elsewhere
 *	a branch of j's tree begins v (weakly)?		go down there with the rest; a leaf covers v
 *	neither						v becomes the last branch
 *
 * p begins v weakly when its first step in v comes after nothing else in v, or when it is not in v and its
 * next step conflicts with nothing in v.
 *
 * The sequences assume that steps make the same choices (engine_choose()) when they are run again. Where
 * they do not, a sequence may not be possible; it is then given up at that point, and the search goes on as
 * source-DPOR would: programs with choices are for SEARCH_SOURCE. So are those with interrupts: their places
 * are no conflict that begins_weakly() sees.
 */
#include "search.h"

#include <stdlib.h>
#include <string.h>

struct wakeup {
	uint8_t thread;
	uint32_t touches;
	struct wakeup *child, *next;
	struct touch touch[];
};

/* v: steps by number, in order. */
struct sequence {
	uint32_t count;
	uint16_t step[ENGINE_STEPS];
};

static void free_tree(struct wakeup *tree)
{
	while (tree) {
		struct wakeup *next = tree->next;

		free_tree(tree->child);
		free(tree);
		tree = next;
	}
}

static struct wakeup *make(struct engine *engine, uint16_t step)
{
	const struct event *event = &engine->event[step];
	size_t bytes = event->touch_count * sizeof(struct touch);
	struct wakeup *wakeup = malloc(sizeof(*wakeup) + bytes);

	if (!wakeup)
		exit(3);
	*wakeup = (struct wakeup){ .thread = event->thread, .touches = event->touch_count };
	memcpy(wakeup->touch, &engine->touch[event->touches], bytes);
	return wakeup;
}

/* Where in v @thread's first step is; v->count: nowhere. */
static uint32_t first_of(struct engine *engine, const struct sequence *v, unsigned thread)
{
	uint32_t i = 0;

	while (i < v->count && engine->event[v->step[i]].thread != thread)
		i++;
	return i;
}

static bool begins_weakly(struct engine *engine, const struct sequence *v, unsigned thread,
			  const struct touch *touch, uint32_t touches)
{
	uint32_t at = first_of(engine, v, thread);

	if (at < v->count) {
		for (uint32_t i = 0; i < at; i++)
			if (event_before(&engine->event[v->step[i]], &engine->event[v->step[at]]))
				return false;
		return true;
	}
	for (uint32_t i = 0; i < v->count; i++) {
		const struct event *event = &engine->event[v->step[i]];

		if (footprints_conflict(touch, touches, &engine->touch[event->touches], event->touch_count))
			return false;
	}
	return true;
}

static bool sleeper_begins(struct engine *engine, const struct node *node, const struct sequence *v)
{
	for (thread_set rest = node->sleep | node->done; rest; rest &= rest - 1) {
		unsigned t = (unsigned)__builtin_ctz(rest);
		struct footprint footprint = node->asleep[t];

		if (begins_weakly(engine, v, t, &engine->pool[footprint.first], footprint.count))
			return true;
	}
	return false;
}

static void insert(struct engine *engine, struct wakeup **list, struct sequence *v)
{
	while (v->count) {
		struct wakeup **link = list;

		while (*link && !begins_weakly(engine, v, (*link)->thread, (*link)->touch, (*link)->touches))
			link = &(*link)->next;
		if (!*link) {
			for (uint32_t i = 0; i < v->count; i++) {
				*link = make(engine, v->step[i]);
				link = &(*link)->child;
			}
			return;
		}
		uint32_t at = first_of(engine, v, (*link)->thread);
		if (at < v->count) {
			memmove(&v->step[at], &v->step[at + 1], (v->count - at - 1) * sizeof(v->step[0]));
			v->count--;
		}
		if (!(*link)->child)
			return;
		list = &(*link)->child;
	}
}

static void reverse(struct engine *engine, uint32_t j, uint32_t s)
{
	static struct sequence v; /* large */
	struct node *node = &engine->node[j];

	v.count = 0;
	for (uint32_t k = j + 1; k < engine->depth; k++)
		if (!event_before(&engine->event[j], &engine->event[k]))
			v.step[v.count++] = (uint16_t)k;
	v.step[v.count++] = (uint16_t)s;
	if (!sleeper_begins(engine, node, &v))
		insert(engine, &node->wakeup, &v);
}

/* Go down the first branch that can be gone; ENGINE_THREADS: there is none. */
static unsigned take(struct node *node)
{
	while (node->wakeup) {
		struct wakeup *first = node->wakeup;
		unsigned thread = first->thread;
		bool possible = node->enabled & ~node->sleep & ~node->done & ONLY(thread);

		node->wakeup = first->next;
		if (possible)
			node->taken = first->child;
		else
			free_tree(first->child);
		free(first);
		if (possible)
			return thread;
	}
	return ENGINE_THREADS;
}

unsigned optimal_pick(struct engine *engine, uint32_t depth, unsigned otherwise)
{
	struct node *node = &engine->node[depth];

	if (depth) {
		node->wakeup = engine->node[depth - 1].taken;
		engine->node[depth - 1].taken = NULL;
	}
	unsigned thread = take(node);
	return thread < ENGINE_THREADS ? thread : otherwise;
}

static void forget(struct node *node)
{
	free_tree(node->wakeup);
	free_tree(node->taken);
	node->wakeup = node->taken = NULL;
}

bool optimal_next(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->races; i++)
		reverse(engine, engine->race[i][0], engine->race[i][1]);
	for (uint32_t depth = engine->depth; depth-- > 0;) {
		struct node *node = &engine->node[depth];

		explore_note_footprint(engine, depth);
		free_tree(node->taken);
		node->taken = NULL;
		if (explore_next_choice(engine, depth)) {
			explore_branch(engine, depth);
			return true;
		}
		explore_tried(engine, depth);
		unsigned thread = take(node);
		if (thread < ENGINE_THREADS) {
			node->chosen = (uint8_t)thread;
			explore_branch(engine, depth);
			return true;
		}
		conflicts_truncate(engine, depth);
		engine->pool_count = node->pool;
	}
	return false;
}

void optimal_destroy(struct engine *engine)
{
	for (uint32_t depth = 0; engine->node && depth <= ENGINE_STEPS; depth++)
		forget(&engine->node[depth]);
}
