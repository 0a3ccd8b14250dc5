/*
 * clock.c - vector clocks, the messages that carry them, and the objects that keep them.
 *
 * Errors:  out of memory ends the process with status 3.
 */
#include "memory_inside.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 14, OBJECTS = SLOTS / 2 }; /* in one execution */

struct object {
	uintptr_t key;
	uint32_t message;
	uint32_t slot;
};

static struct {
	struct clock *message, *pure; /* the same without what interrupts have added */
	uint32_t messages, room, pure_room;
	struct object *object;
	uint32_t objects, object_room;
	uint32_t *slot; /* hash table: numbers of objects, or anything: the object says where it is */
} clocks;

int clock_create(void)
{
	clocks.slot = calloc(SLOTS, sizeof(*clocks.slot));
	return clocks.slot ? 0 : -1;
}

void clock_destroy(void)
{
	free(clocks.message);
	free(clocks.pure);
	free(clocks.object);
	free(clocks.slot);
	memset(&clocks, 0, sizeof(clocks));
}

void clock_image(struct image *image)
{
	/* Messages are never changed. */
	image_add(image, &clocks.messages, sizeof(clocks.messages));
	image_add(image, &clocks.objects, sizeof(clocks.objects));
	image_add_array(image, &clocks.object, &clocks.objects, sizeof(*clocks.object));
}

static uint32_t new_message(const struct clock *clock, const struct clock *pure)
{
	uint32_t message = clocks.messages++;

	clocks.message = memory_grow(clocks.message, &clocks.room, message, sizeof(*clocks.message));
	clocks.message[message] = *clock;
	clocks.pure = memory_grow(clocks.pure, &clocks.pure_room, message, sizeof(*clocks.pure));
	clocks.pure[message] = *pure;
	return message;
}

void clock_begin(void)
{
	static const struct clock empty;

	clocks.messages = clocks.objects = 0;
	new_message(&empty, &empty);
	for (unsigned t = 0; t < memory.threads; t++) {
		struct thread_memory *thread = &memory.thread[t];

		memset(thread, 0, sizeof(*thread));
		thread->now.at[t] = 1;
		thread->fences = NONE;
	}
}

static void join(struct clock *clock, const struct clock *other)
{
	for (unsigned t = 0; t < memory.threads; t++)
		if (other->at[t] > clock->at[t])
			clock->at[t] = other->at[t];
}

static void learn(struct thread_memory *thread, const struct clock *other, const struct clock *pure)
{
	join(&thread->now, other);
	join(&thread->pure, pure);
	thread->fences = NONE;
}

uint32_t clock_publish(void)
{
	struct thread_memory *thread = memory_self();
	unsigned self = engine_self();

	thread->pure.at[self] = thread->now.at[self];
	uint32_t message = new_message(&thread->now, &thread->pure);
	thread->now.at[self]++;
	return message;
}

uint32_t clock_of_store(int order)
{
	return order >= MO_RELEASE ? clock_publish() : memory_self()->released;
}

uint32_t clock_merge(uint32_t a, uint32_t b)
{
	if (!a || a == b)
		return b;
	if (!b)
		return a;
	uint32_t merged = new_message(&clocks.message[a], &clocks.pure[a]);
	join(&clocks.message[merged], &clocks.message[b]);
	join(&clocks.pure[merged], &clocks.pure[b]);
	return merged;
}

uint32_t clock_of_rmw(int order, uint32_t read)
{
	return clock_merge(read, clock_of_store(order));
}

static bool acquires(int order)
{
	return order != MO_RELAXED && order != MO_RELEASE;
}

void clock_take(int order, uint32_t message)
{
	struct thread_memory *thread = memory_self();

	if (!message)
		return;
	if (acquires(order)) {
		learn(thread, &clocks.message[message], &clocks.pure[message]);
		return;
	}
	join(&thread->acquired, &clocks.message[message]);
	join(&thread->pure_acquired, &clocks.pure[message]);
	thread->has_acquired = true;
}

void clock_fence(int order)
{
	struct thread_memory *thread = memory_self();

	if (acquires(order) && thread->has_acquired) {
		learn(thread, &thread->acquired, &thread->pure_acquired);
		thread->has_acquired = false;
	}
	if (order >= MO_RELEASE)
		thread->released = clock_publish();
}

/* ---- interrupts ---------------------------------------------------------------------------------------- */

void clock_interrupt(unsigned main)
{
	struct thread_memory *thread = memory_self(), *other = &memory.thread[main];

	join(&thread->now, &other->now);
	if (other->is_interrupted)
		join(&thread->now, &other->beside);
	thread->fences = NONE;
	other->now.at[main]++;
}

void clock_resume(unsigned main)
{
	struct thread_memory *thread = memory_self(), *other = &memory.thread[main];

	join(&other->beside, &thread->now);
	other->is_interrupted = true;
	other->fences = NONE;
	thread->now.at[engine_self()]++;
}

void clock_view(unsigned of, struct clock *out)
{
	*out = memory.thread[of].now;
	if (memory.thread[of].is_interrupted)
		join(out, &memory.thread[of].beside);
}

bool clock_view_covers(unsigned of, unsigned thread, uint32_t epoch)
{
	const struct thread_memory *at = &memory.thread[of];

	return of == thread || clock_covers(&at->now, thread, epoch) ||
	       (at->is_interrupted && clock_covers(&at->beside, thread, epoch));
}

bool clock_pure_covers(unsigned of, unsigned thread, uint32_t epoch)
{
	return of == thread || clock_covers(&memory.thread[of].pure, thread, epoch);
}

/* ---- objects ------------------------------------------------------------------------------------------- */

static bool is_taken(uint32_t slot)
{
	uint32_t number = clocks.slot[slot];

	return number < clocks.objects && clocks.object[number].slot == slot;
}

/*
 * Where @key is, or is to be. Objects are only added: whatever stands on the way to one was there before it,
 * and when the latest are cut off all ways still lead where they did.
 */
static uint32_t slot_of(uintptr_t key)
{
	uint32_t slot = (uint32_t)(key * 0x9e3779b97f4a7c15ul >> 40) % SLOTS;

	while (is_taken(slot) && clocks.object[clocks.slot[slot]].key != key)
		slot = (slot + 1) % SLOTS;
	return slot;
}

void clock_acquire(uintptr_t object)
{
	uint32_t slot = slot_of(object);

	if (is_taken(slot))
		clock_take(MO_ACQUIRE, clocks.object[clocks.slot[slot]].message);
}

void clock_release(uintptr_t object)
{
	uint32_t slot = slot_of(object);

	if (!is_taken(slot)) {
		if (clocks.objects == OBJECTS)
			engine_violation("more than %d locks, words and agents in one execution", OBJECTS);
		clocks.object = memory_grow(clocks.object, &clocks.object_room, clocks.objects,
					    sizeof(*clocks.object));
		clocks.object[clocks.objects] = (struct object){ .key = object, .slot = slot };
		clocks.slot[slot] = clocks.objects++;
	}
	struct object *at = &clocks.object[clocks.slot[slot]];
	at->message = clock_merge(at->message, clock_publish());
}
