/*
 * conflicts.c - which touches of a location commute, and who touched it before.
 *
 * Rules:   CHK-2.
 */
#include "search.h"

#include <stdlib.h>

/* ---- conflicts -------------------------------------------------------------------------------------- */

/*
 * One of them of a location that keeps its stores. Others take part in it as READ and WRITE, in both orders.
 */
static enum relation history_relation(unsigned earlier, unsigned later)
{
	bool is_old = earlier >= TOUCH_LOOK && later >= TOUCH_LOOK;

	if (earlier == TOUCH_SIGNAL || earlier == TOUCH_AWAIT || later == TOUCH_SIGNAL ||
	    later == TOUCH_AWAIT)
		return INDEPENDENT;
	if (!is_old)
		return earlier != TOUCH_READ && earlier != TOUCH_LOOK ? RACE
		       : later != TOUCH_READ && later != TOUCH_LOOK   ? RACE
								      : INDEPENDENT;
	if (later == TOUCH_LOOK || earlier == TOUCH_PUT)
		return INDEPENDENT;
	return OVERTAKEN; /* LOOK or SWAP, then PUT or SWAP */
}

/* What @earlier is to @later, of two threads. */
static enum relation relation(unsigned earlier, unsigned later)
{
	if (earlier >= TOUCH_LOOK || later >= TOUCH_LOOK)
		return history_relation(earlier, later);
	switch (later) {
	case TOUCH_READ:
		return earlier == TOUCH_READ || earlier >= TOUCH_SIGNAL ? INDEPENDENT : RACE;
	case TOUCH_ADD:
		return earlier == TOUCH_ADD || earlier >= TOUCH_SIGNAL ? INDEPENDENT : RACE;
	case TOUCH_WRITE:
		return earlier >= TOUCH_SIGNAL ? INDEPENDENT : RACE;
	case TOUCH_ACQUIRE:
		return earlier == TOUCH_RELEASE || earlier == TOUCH_SHARE_END ? ORDER : RACE;
	case TOUCH_SHARE:
		if (earlier == TOUCH_SHARE || earlier == TOUCH_SHARE_END)
			return INDEPENDENT;
		return earlier == TOUCH_RELEASE ? ORDER : RACE;
	case TOUCH_SHARE_END:
		return earlier <= TOUCH_WRITE ? RACE : INDEPENDENT;
	case TOUCH_RELEASE:
		if (earlier == TOUCH_ACQUIRE)
			return ORDER; /* taken by one, given back by another */
		return earlier <= TOUCH_WRITE ? RACE : INDEPENDENT;
	case TOUCH_AWAIT:
		return earlier == TOUCH_SIGNAL ? ORDER : INDEPENDENT;
	default:
		return INDEPENDENT;
	}
}

bool modes_conflict(unsigned a, unsigned b)
{
	return relation(a, b) != INDEPENDENT || relation(b, a) != INDEPENDENT;
}

bool footprints_conflict(const struct touch *a, uint32_t a_count, const struct touch *b, uint32_t b_count)
{
	for (uint32_t i = 0; i < a_count; i++)
		for (uint32_t k = 0; k < b_count; k++)
			if (a[i].location == b[k].location && modes_conflict(a[i].mode, b[k].mode))
				return true;
	return false;
}

enum relation conflicts_relation(const struct engine *engine, const struct touch *earlier,
				 const struct touch *later)
{
	unsigned a = engine->event[earlier->event].thread, b = engine->event[later->event].thread;

	return a == b ? INDEPENDENT : relation(earlier->mode, later->mode);
}

/*
 * Does a step wake who is asleep? Whatever the sleeper does after it must have been seen when it went
 * first. Where stores are kept this goes one way: what a store finds behind a load it also finds before it.
 * And a load that is woken by stores behind it has something new to do only if it reads one of these: it is
 * drowsy.
 */
enum waking conflicts_wake(const struct touch *asleep, uint32_t count, const struct touch *taken,
			   uint32_t taken_count)
{
	enum waking result = ASLEEP;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t k = 0; k < taken_count; k++) {
			unsigned a = asleep[i].mode, b = taken[k].mode;
			bool kept = a >= TOUCH_LOOK && b >= TOUCH_LOOK;

			if (asleep[i].location != taken[k].location)
				continue;
			if (kept && relation(a, b) != INDEPENDENT)
				result = DROWSY;
			if (!kept && modes_conflict(a, b))
				return AWAKE;
		}
	}
	return result;
}

bool event_before(const struct event *earlier, const struct event *later)
{
	return later->clock[earlier->thread] > earlier->local;
}

bool conflicts_is_store(uintptr_t location)
{
	return location >> 63;
}

/* ---- the location table: who touched what last ------------------------------------------------------ */

static uint32_t hash(uintptr_t location)
{
	return (uint32_t)(location * 0x9e3779b97f4a7c15ul >> 32);
}

static uint32_t slot_of(struct engine *engine, uintptr_t location)
{
	uint32_t slot = hash(location) & engine->location_mask;

	while (engine->location[slot].location && engine->location[slot].location != location)
		slot = (slot + 1) & engine->location_mask;
	return slot;
}

static void grow_table(struct engine *engine)
{
	struct location *old = engine->location;
	uint32_t old_size = old ? engine->location_mask + 1 : 0, size = old_size ? old_size * 2 : 4096;

	engine->location = calloc(size, sizeof(*engine->location));
	if (!engine->location)
		exit(3);
	engine->location_mask = size - 1;
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i].location)
			engine->location[slot_of(engine, old[i].location)] = old[i];
	for (uint32_t i = 0; i < engine->touches; i++)
		engine->touch[i].slot = slot_of(engine, engine->touch[i].location);
	free(old);
}

struct location *conflicts_location(struct engine *engine, struct touch *touch)
{
	if (!engine->location || engine->locations * 2 > engine->location_mask)
		grow_table(engine);
	touch->slot = slot_of(engine, touch->location);
	struct location *location = &engine->location[touch->slot];
	if (!location->location) {
		location->location = touch->location;
		location->last = NO_TOUCH;
		engine->locations++;
	}
	return location;
}

void conflicts_truncate(struct engine *engine, uint32_t depth)
{
	uint32_t keep = engine->event[depth].touches;

	for (uint32_t i = engine->touches; i-- > keep;) {
		struct touch *touch = &engine->touch[i];

		if (touch->linked)
			engine->location[touch->slot].last = touch->before;
	}
	engine->touches = keep;
}
