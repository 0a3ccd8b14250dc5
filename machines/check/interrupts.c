/*
 * interrupts.c - where an interrupt comes among the steps of its CPU.
 *
 * A handler is a thread, but its steps do not mix with those of the thread that it interrupts: the CPU does
 * nothing else meanwhile. So the two are one process. Its steps are in the order in which they were taken,
 * and an interrupt's place among them is a race like one for a lock: between its first step and the step of
 * the CPU before it, and the step behind it and the first one again.
 *
 *	CPU:	m1  [ i1  i2 ]  m2		i1 and m1 race, m2 and i1 race
 *
 * Not only a conflict of m1 with i1 or i2 makes the two orders differ. Others may learn from i2 that m1 is
 * over, or m1 may lead to what somebody else does between i1 and i2: then m1 was first.
 *
 * One kind of step may be left out. A step that touches nothing that any other thread touches in a
 * conflicting way, whatever the order, can be moved past everything, the whole of an interrupt included: it
 * has no *place*. Which locations are touched so is learnt on the way; when new ones are found behind an
 * interrupt, the search is begun again with what is known by then. There is one thing that such a step can
 * still tell: vector clocks say that what it did before the interrupt comes before what others do who have
 * heard of that. Where only this keeps two plain accesses from being a race, all steps of the CPU have
 * places from then on; under the weak model, where old values depend on clocks, they have from the
 * beginning.
 *
 * Above the frontier all have: those who explore other parts must meet the same tree.
 *
 * Rules:   CHK-2, CHK-4.
 */
#include "search.h"

/* ---- what is learnt --------------------------------------------------------------------------------- */

static void found_something(struct engine *engine)
{
	engine->found_hot = true;
	engine->begin_again |= engine->was_interrupted && engine->depth > engine->config.frontier &&
			       engine->config.search == SEARCH_SOURCE;
}

void interrupts_learn(struct engine *engine, struct location *location)
{
	if (location->hot)
		return;
	location->hot = true;
	found_something(engine);
}

static void entangle(struct engine *engine, unsigned main)
{
	if (engine->entangled & ONLY(main))
		return;
	engine->entangled |= ONLY(main);
	found_something(engine);
}

void interrupts_matter(struct engine *engine, uint32_t step)
{
	if (engine->replaying || engine->depth <= engine->known)
		return;
	for (uint32_t k = step + 1; k < engine->depth; k++)
		if (engine->event[k].interrupt == k)
			entangle(engine, engine->thread[engine->event[k].thread].interrupts);
}

void interrupts_begin(struct engine *engine, unsigned main)
{
	engine->was_interrupted = true;
	if (engine->thread[main].is_always_placed)
		entangle(engine, main);
}

void interrupts_forget(struct engine *engine)
{
	for (uint32_t i = 0; engine->location && i <= engine->location_mask; i++)
		engine->location[i].hot = false;
	engine->entangled = 0;
	engine->was_interrupted = false;
	for (uint32_t d = 0; d < engine->depth && d < engine->config.frontier; d++)
		engine->was_interrupted |= engine->event[d].interrupt != NO_STEP;
}

/* ---- places ----------------------------------------------------------------------------------------- */

static bool is_hot(struct engine *engine, struct touch touch)
{
	/* Where a store that waits in a buffer will be felt is not known yet. */
	return conflicts_is_store(touch.location) ? touch.mode == TOUCH_SIGNAL
						  : conflicts_location(engine, &touch)->hot;
}

/* Of a thread that is interrupted: does its step at @depth, which touches these, have a place? */
static bool has_place(struct engine *engine, unsigned thread, uint32_t depth, const struct touch *touch,
		      uint32_t count)
{
	bool hot = engine->config.search != SEARCH_SOURCE || depth < engine->config.frontier ||
		   engine->thread[thread].is_always_placed || (engine->entangled & ONLY(thread));

	for (uint32_t i = 0; i < count && !hot; i++)
		hot = is_hot(engine, touch[i]);
	return hot;
}

/* The last step of the CPU that has a place, before @s. */
uint32_t interrupts_before(struct engine *engine, uint32_t s)
{
	struct event *event = &engine->event[s];
	const struct thread *thread = &engine->thread[event->thread];
	bool is_main = thread->interrupts == ENGINE_THREADS;

	if (thread->other_half == ENGINE_THREADS)
		return NO_STEP;
	event->has_place = !is_main || has_place(engine, event->thread, s, &engine->touch[event->touches],
						 event->touch_count);
	if (!event->has_place || (!is_main && event->interrupt != s))
		return NO_STEP;
	uint16_t last = engine->thread[thread->other_half].placed;
	return last == NO_STEP || (thread->placed != NO_STEP && thread->placed > last) ? NO_STEP : last;
}

bool interrupts_wake(struct engine *engine, uint32_t depth, unsigned sleeper)
{
	const struct event *event = &engine->event[depth];
	const struct footprint *footprint = &engine->node[depth].asleep[sleeper];

	if (engine->thread[event->thread].other_half != sleeper)
		return false;
	if (engine->thread[event->thread].interrupts == ENGINE_THREADS)
		return event->has_place;
	return has_place(engine, sleeper, depth, &engine->pool[footprint->first], footprint->count);
}
