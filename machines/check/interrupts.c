/*
 * interrupts.c - the place of an interrupt among the steps of its CPU.
 *
 * A handler is a thread whose steps mix with everybody's but those of the thread that it interrupts: its CPU
 * does nothing else meanwhile. The search knows conflicts between steps; this is none, and were it made one,
 * every interrupt would be tried at every place. What follows from it instead:
 *
 * Held back. Step s is to come before step e, and needs what a CPU does after an interrupt that would not be
 * over yet. Then the interrupt is to come later as a whole, and the executions part where it begins:
 *
 *	P0		P1			P1's interrupt	P2's interrupt		P2
 *						b
 *			(held off)		e
 *			m
 *	s, after m
 *
 * The node is b's, not e's, and b's handler is barred from being tried there for this. That node may lie
 * within another interrupt whose rest comes after e, and so on. If m comes after b, there is no such
 * execution.
 *
 * First. An interrupt begins what is to be tried only if nothing of its CPU is to be before any of its steps;
 * and while it is under way nobody knows what all of them are. And a step of its CPU that nobody needs gives
 * way to it.
 *
 * Asleep. An interrupt that was tried first sleeps as a whole while others do what it has nothing to do with:
 * whatever conflicts with any of its steps wakes it. What its steps are the search has seen when it tried it.
 * And so does every step of its own CPU: nothing of the interrupt can come before that any more, and others
 * may bring what was done there between two steps of the interrupt, though itself it conflicts with neither.
 *
 * Places. Clocks, and what a CPU may read, say more of an interrupt's place than conflicts do: what the CPU
 * has done before, the handler knows. Where that hides a race, or an old value, the interrupt is tried
 * earlier, and its place there counts as one that matters.
 *
 * Rules:   CHK-2, CHK-4.
 */
#include "search.h"

#include <string.h>

/* ---- what it does, as a whole ------------------------------------------------------------------------ */

static bool has_touch(const struct interrupt *interrupt, const struct touch *touch)
{
	for (uint32_t i = 0; i < interrupt->touches; i++)
		if (interrupt->touch[i].location == touch->location &&
		    interrupt->touch[i].mode == touch->mode)
			return true;
	return false;
}

void interrupts_learn(struct engine *engine, uint32_t depth)
{
	const struct event *event = &engine->event[depth];
	struct interrupt *interrupt = &engine->interrupt[event->thread];

	for (uint32_t i = 0; event->interrupt != NO_STEP && i < event->touch_count; i++) {
		struct touch touch = engine->touch[event->touches + i];

		if (touch.is_write)
			touch.mode = TOUCH_WRITE;
		if (has_touch(interrupt, &touch))
			continue;
		interrupt->touch = search_grow(interrupt->touch, &interrupt->room, interrupt->touches,
					       sizeof(*interrupt->touch));
		interrupt->touch[interrupt->touches++] = touch;
	}
}

void interrupts_forget(struct engine *engine)
{
	for (unsigned t = 0; t < ENGINE_THREADS; t++)
		engine->interrupt[t].touches = 0;
}

/* @handler is not at work, and sleeps before its first step. */
static bool sleeps_whole(const struct engine *engine, unsigned handler)
{
	return engine->thread[handler].interrupts != ENGINE_THREADS &&
	       engine->thread[handler].block == NO_STEP;
}

bool interrupts_wake(const struct engine *engine, uint32_t depth, unsigned sleeper)
{
	const struct event *event = &engine->event[depth];
	const struct interrupt *interrupt = &engine->interrupt[sleeper];

	if (!sleeps_whole(engine, sleeper))
		return false;
	/* Each part of the search finds out for itself what it touches: above the frontier, none has. */
	return depth < engine->config.frontier || engine->thread[sleeper].interrupts == event->thread ||
	       conflicts_wake(interrupt->touch, interrupt->touches, &engine->touch[event->touches],
			      event->touch_count, false) != ASLEEP;
}

/* ---- held back --------------------------------------------------------------------------------------- */

/* Step @k is to come before step @e, because it is @s or leads there. */
static bool is_wanted(const struct engine *engine, uint32_t e, uint32_t s, uint32_t k)
{
	return k == s || (k > e && k < s && event_before(&engine->event[k], &engine->event[s]) &&
			  !event_before(&engine->event[e], &engine->event[k]));
}

/* Whose step it is: the one's who has begun it. */
static unsigned works_for(const struct engine *engine, uint32_t s)
{
	const struct event *event = &engine->event[s];

	return event->begun == NO_STEP ? event->thread : engine->event[event->begun].thread;
}

/* Then nothing is known of what it still does. */
static bool is_under_way(const struct engine *engine, uint32_t k)
{
	return engine->thread[engine->event[k].thread].block == k;
}

/*
 * Step @i comes after step @e, or may do so: it comes after what an interrupt does that came when @e was over.
 */
static bool may_be_after(const struct engine *engine, uint32_t e, uint32_t i)
{
	if (i == e || event_before(&engine->event[e], &engine->event[i]))
		return true;
	for (uint32_t k = e + 1; k < i; k++)
		if (engine->event[k].interrupt != NO_STEP && engine->event[k].interrupt > e &&
		    engine->thread[engine->event[k].thread].interrupts == works_for(engine, e) &&
		    event_before(&engine->event[k], &engine->event[i]))
			return true;
	return false;
}

/* Of the interrupt that begins with @b, something is not over at @from, and comes after @e or may do so. */
static bool is_cut(const struct engine *engine, uint32_t b, uint32_t from, uint32_t e, uint32_t s)
{
	for (uint32_t i = from > b ? from : b; i < s; i++)
		if (engine->event[i].interrupt == b && may_be_after(engine, e, i))
			return true;
	return b > e && is_under_way(engine, b);
}

enum held { FREE, HELD, NEVER };

/* Does the interrupt that begins with @b, and is cut, hold back what leads to @s? */
static enum held holds_back(const struct engine *engine, uint32_t b, uint32_t e, uint32_t s)
{
	unsigned main = engine->thread[engine->event[b].thread].interrupts;
	enum held result = FREE;

	for (uint32_t k = (b > e ? b : e) + 1; k <= s; k++) {
		if (works_for(engine, k) != main || !is_wanted(engine, e, s, k))
			continue;
		/* Of @s itself that may be because of the very race. */
		if (k < s && event_before(&engine->event[b], &engine->event[k]))
			return NEVER;
		result = HELD;
	}
	return result;
}

uint32_t interrupts_hold(struct engine *engine, uint32_t e, uint32_t s, uint16_t barred[ENGINE_THREADS])
{
	uint32_t from = e;

	for (unsigned t = 0; t < ENGINE_THREADS; t++)
		barred[t] = NO_STEP;
	if (!engine->counts.interrupted)
		return from;
	for (uint32_t b = s; b-- > 0;) {
		const struct event *event = &engine->event[b];

		if (event->interrupt != b || !is_cut(engine, b, from, e, s))
			continue;
		switch (holds_back(engine, b, e, s)) {
		case NEVER:
			return NO_STEP;
		case HELD:
			barred[event->thread] = (uint16_t)b;
			if (b < from) {
				from = b;
				b = s; /* what was over at the node before may not be at this one */
			}
			engine->node[from].seen_place = true;
			break;
		default:
			/* All of it is after @e if something that its CPU does from @e on is before it. */
			if (b > e)
				barred[event->thread] = (uint16_t)b;
		}
	}
	return from;
}

/* ---- which of the two begins ------------------------------------------------------------------------- */

/* Does a step of the interrupt that begins with @k come after @m? */
static bool interrupt_is_after(const struct engine *engine, uint32_t k, uint32_t m)
{
	for (uint32_t i = k; i < engine->depth; i++)
		if (engine->event[i].interrupt == k && event_before(&engine->event[m], &engine->event[i]))
			return true;
	return false;
}

/* Is step @k of a CPU, behind an interrupt that began with @q, to stay there? */
static bool stays_behind(const struct engine *engine, uint32_t q, uint32_t k)
{
	const struct event *interrupt = &engine->event[q], *step = &engine->event[k];
	bool is_stored = false;

	if (footprints_conflict(&engine->touch[interrupt->touches], interrupt->touch_count,
				&engine->touch[step->touches], step->touch_count))
		return true;
	for (uint32_t i = k + 1; i < engine->depth; i++)
		if (engine->event[i].begun == k)
			return event_before(interrupt, &engine->event[i]);
	/* Its store is still in the buffer: nobody knows whom it will meet. */
	for (uint32_t i = 0; i < step->touch_count; i++)
		is_stored |= engine->touch[step->touches + i].mode == TOUCH_STORED;
	return is_stored;
}

bool interrupts_order(const struct engine *engine, uint32_t q, uint32_t k)
{
	const struct event *a = &engine->event[q], *b = &engine->event[k];

	if (!conflicts_one_cpu(engine, a->thread, b->thread))
		return false;
	if (engine->node[q].seen_place || engine->node[k].seen_place ||
	    ((engine->node[q].places | engine->node[k].places) & (ONLY(a->thread) | ONLY(b->thread))))
		return true;
	if (b->interrupt == k)
		return is_under_way(engine, k) || interrupt_is_after(engine, k, q);
	return stays_behind(engine, q, k);
}

bool interrupts_give_way(const struct engine *engine, uint32_t k, uint32_t s)
{
	unsigned main = engine->event[k].thread;

	if (k == s || event_before(&engine->event[k], &engine->event[s]))
		return false;
	for (uint32_t i = k + 1; i <= s; i++)
		if (engine->thread[engine->event[i].thread].interrupts == main &&
		    (i == s || event_before(&engine->event[i], &engine->event[s])))
			return true;
	return false;
}

/* ---- places ------------------------------------------------------------------------------------------ */

/*
 * Step @s meets step @d, which completed what a step before it had begun, and the CPU was interrupted in
 * between. In the other order the interrupt would come before what was begun: it waits for that to be
 * complete.
 */
void interrupts_find(struct engine *engine, uint32_t d, uint32_t s)
{
	uint32_t begun = engine->event[d].begun;

	for (uint32_t k = d + 1; begun != NO_STEP && k < s; k++) {
		const struct event *event = &engine->event[k];

		if (event->interrupt != k ||
		    engine->thread[event->thread].interrupts != engine->event[begun].thread)
			continue;
		if (!event_before(&engine->event[begun], event)) /* else it came because of that */
			explore_reverse(engine, begun, k);
		return;
	}
}

/* What @thread knows of @step, interrupt @k of it knows too. The earlier it comes, the less. */
static void try_interrupt_earlier(struct engine *engine, unsigned thread, uint32_t step, uint32_t k)
{
	uint32_t m = step;

	while (m < k && (engine->event[m].thread != thread || interrupt_is_after(engine, k, m)))
		m++;
	if (m == k)
		return;
	engine->node[m].seen_place = true;
	explore_reverse(engine, m, k);
}

/*
 *	P0				P1				P1's interrupt
 *					m: reads x, unprotected
 *					...
 *	waits for it						k: acknowledges
 *	writes to x
 *
 * In the order k, m there is a race, though the two do not conflict. What P1 knows may also be of somebody
 * else, who reads x and tells P1; and who writes may be the interrupt itself. And what P1 knows from an
 * interrupt it does not if that comes later. Known of step @s, which is over.
 */
static void try_other_places(struct engine *engine, uint32_t step, uint32_t s)
{
	for (uint32_t k = step + 1; k <= s; k++) {
		unsigned main = engine->thread[engine->event[k].thread].interrupts;

		if (engine->event[k].interrupt != k)
			continue;
		try_interrupt_earlier(engine, main, step, k);
		if (main == engine->event[s].thread) {
			engine->node[k].seen_place = true;
			explore_reverse(engine, k, s);
		}
	}
}

void interrupts_note(struct engine *engine, uint32_t step)
{
	/* Of a step that is only gone through once more all is known. */
	if (engine->replaying || engine->depth <= engine->known)
		return;
	for (uint32_t i = 0; i < engine->arounds; i++)
		if (engine->around[i] == step)
			return;
	engine->around = search_grow(engine->around, &engine->around_room, engine->arounds,
				     sizeof(*engine->around));
	engine->around[engine->arounds++] = (uint16_t)step;
}

void interrupts_step_done(struct engine *engine, uint32_t s)
{
	for (uint32_t i = 0; i < engine->arounds; i++)
		try_other_places(engine, engine->around[i], s);
	engine->arounds = 0;
}
