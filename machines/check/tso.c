/*
 * tso.c - x86's store buffers.
 *
 * A store of thread n goes into n's buffer. That is nothing that others could notice, and no transition of
 * its own: it is part of the step that it is in. Thread first_buffer + n, the buffer's agent, takes the
 * oldest store out and writes it to memory: that is the transition. Loads look for the youngest store of
 * their own buffer first. What waits for the buffer to be empty is a transition of its own, enabled when it
 * is.
 *
 * What conflicts. Entry k of a buffer has two locations of its own: put in (SIGNAL) makes taking it out
 * (AWAIT) possible, and taken out (SIGNAL) makes waiting for it (AWAIT) possible; these are orders, not
 * races. For the memory location x itself, a thread's own stores and loads need no order beside the
 * program's: whether its load finds the store in the buffer or, if nobody else has stored since, in memory,
 * it reads the same. So x is a location for each thread that has a buffer, and one for everybody else:
 *
 *	load of x by t			READ x.t
 *	store of t reaches x		WRITE x, and x.u for every u but t
 *	everybody else, hardware	as if t were a thread without buffer: READ x; WRITE x and all x.u
 *
 * Two stores meet at x. Entries of another size that overlap a load are waited for, as on the hardware.
 *
 * Interrupts. A handler begins when the buffer of the thread that it interrupts is empty: what that has
 * stored has come before. The interrupt could also have come before the store was put in: where interrupts
 * come, each store is a step of its own.
 */
#include "memory_inside.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 64 };

struct entry {
	uintptr_t address;
	uint64_t value;
	uint32_t message;
	uint8_t bytes;
	const void *code;
};

struct buffer {
	uint64_t oldest, next; /* entries' numbers */
	uint64_t taken;	       /* by the agent: those before this */
	uint64_t waited;       /* for those before this, already */
};

static struct buffer buffers[ENGINE_THREADS];

/* All of this execution's: none is overwritten. */
static struct {
	struct entry *entry;
	uint32_t room;
} entries[ENGINE_THREADS];

/* Locations beside addresses, for entry @number of @thread's buffer. */
static uintptr_t location_of(unsigned what, unsigned thread, uint64_t number)
{
	return 1ul << 63 | (uintptr_t)what << 62 | (uintptr_t)thread << 48 | number;
}

enum { PUT_IN, TAKEN_OUT };

void tso_begin(void)
{
	unsigned count = memory.config.model == MEMORY_TSO ? memory.config.buffers : 0;

	for (unsigned t = 0; t < count; t++)
		buffers[t].oldest = buffers[t].next = buffers[t].taken = buffers[t].waited = 0;
}

void tso_destroy(void)
{
	for (unsigned t = 0; t < ENGINE_THREADS; t++) {
		free(entries[t].entry);
		entries[t].entry = NULL;
		entries[t].room = 0;
	}
}

void tso_image(struct image *image)
{
	image_add(image, buffers, memory.config.buffers * sizeof(buffers[0]));
}

static struct buffer *buffer_of(unsigned thread)
{
	return thread < memory.config.buffers ? &buffers[thread] : NULL;
}

static struct entry *entry_at(const struct buffer *buffer, uint64_t number)
{
	return &entries[buffer - buffers].entry[number];
}

static void put_in(struct buffer *buffer, const struct entry *entry)
{
	unsigned thread = (unsigned)(buffer - buffers);
	uint32_t number = (uint32_t)buffer->next++;

	entries[thread].entry = memory_grow(entries[thread].entry, &entries[thread].room, number,
					    sizeof(*entry));
	entries[thread].entry[number] = *entry;
	memory.thread[thread].buffered++;
}

static bool overlaps(const struct entry *entry, uintptr_t address, size_t bytes)
{
	return entry->address < address + bytes && address < entry->address + entry->bytes;
}

/* The youngest entry that overlaps, or NULL. */
static struct entry *youngest(unsigned thread, uintptr_t address, size_t bytes)
{
	struct buffer *buffer = buffer_of(thread);

	if (!buffer || buffer->oldest == buffer->next)
		return NULL;
	for (uint64_t i = buffer->next; i-- > buffer->oldest;)
		if (overlaps(entry_at(buffer, i), address, bytes))
			return entry_at(buffer, i);
	return NULL;
}

bool tso_has_buffer(void)
{
	return engine_self() < memory.config.buffers;
}

bool tso_holds(unsigned thread, uintptr_t address, size_t bytes)
{
	return youngest(thread, address, bytes) != NULL;
}

void tso_touch(uintptr_t address, unsigned bytes, enum touch_mode mode, unsigned by)
{
	if (mode == TOUCH_READ) {
		memory_touch_marked(address, bytes, mode, by < memory.config.buffers ? by + 1 : 0);
		return;
	}
	memory_touch_marked(address, bytes, mode, 0);
	for (unsigned t = 0; t < memory.config.buffers; t++)
		if (t != by)
			memory_touch_marked(address, bytes, mode, t + 1);
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

bool tso_is_drained(void *thread)
{
	struct buffer *buffer = buffer_of((unsigned)((struct thread_memory *)thread - memory.thread));

	return !buffer || buffer->oldest == buffer->next;
}

void tso_touch_drained(unsigned thread)
{
	struct buffer *buffer = buffer_of(thread);

	if (!buffer)
		return;
	if (buffer->taken > buffer->waited)
		engine_touch(location_of(TAKEN_OUT, thread, buffer->taken - 1), TOUCH_AWAIT);
	if (thread == engine_self())
		buffer->waited = buffer->taken;
}

struct range {
	unsigned thread;
	uintptr_t address;
	size_t bytes;
};

static bool is_out(void *argument)
{
	struct range *range = argument;

	return !tso_holds(range->thread, range->address, range->bytes);
}

void tso_settle(uintptr_t address, size_t bytes, const void *code)
{
	struct range range = { engine_self(), address, bytes };

	memory_begin_step(MEMORY_STEP_SETTLE, address, code, is_out, &range);
	tso_touch_drained(range.thread);
}

/*
 * The fence is a step of its own even when the buffer is empty by now: that it came after the agent's last
 * step is true of the fence, and not of what its thread did just before.
 */
void tso_fence(const void *code)
{
	struct buffer *buffer = buffer_of(engine_self());

	if (!buffer || buffer->waited == buffer->next)
		return;
	memory_begin_step(MEMORY_STEP_FENCE, 0, code, tso_is_drained, memory_self());
	tso_touch_drained(engine_self());
}

/* ---- loads, stores, and how stores reach memory -------------------------------------------------------- */

uint64_t tso_load(uintptr_t address, unsigned bytes, int order, const void *code)
{
	unsigned self = engine_self();
	const struct entry *entry = youngest(self, address, bytes);
	uint64_t value;

	if (entry && (entry->address != address || entry->bytes != bytes))
		tso_settle(address, bytes, code);
	memory_begin_step(MEMORY_STEP_LOAD, address, code, NULL, NULL);
	tso_touch(address, bytes, TOUCH_READ, self);
	race_check(address, bytes, RACE_ATOMIC_READ, code);
	entry = youngest(self, address, bytes);
	if (entry) {
		value = entry->value;
	} else {
		clock_take(order, memory_place(address, bytes)->message);
		value = memory_native_load(address, bytes);
	}
	engine_note(value);
	return value;
}

static bool has_room(void *argument)
{
	struct buffer *buffer = argument;

	return buffer->next - buffer->oldest < ENTRIES;
}

void tso_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code)
{
	unsigned self = engine_self();
	struct buffer *buffer = &buffers[self];

	memory_deliver();
	/* An interrupt may also come between the step before and the store. */
	if (memory.config.interrupts || !memory_self()->begun || !has_room(buffer)) {
		memory_begin_step(MEMORY_STEP_STORE, address, code, has_room, buffer);
		engine_note(value);
		if (buffer->next >= ENTRIES)
			engine_touch(location_of(TAKEN_OUT, self, buffer->next - ENTRIES), TOUCH_AWAIT);
	}
	race_check(address, bytes, RACE_ATOMIC_WRITE, code);
	engine_touch(location_of(PUT_IN, self, buffer->next), TOUCH_SIGNAL);
	put_in(buffer, &(struct entry){
			       .address = address,
			       .value = value,
			       .message = clock_of_store(order),
			       .bytes = (uint8_t)bytes,
			       .code = code,
		       });
}

/* The oldest entry reaches memory. */
static void take_out(unsigned thread)
{
	struct buffer *buffer = &buffers[thread];
	struct entry entry = *entry_at(buffer, buffer->oldest);

	tso_touch(entry.address, entry.bytes, TOUCH_WRITE, thread);
	buffer->oldest++;
	memory.thread[thread].buffered--;
	memory_place(entry.address, entry.bytes)->message = entry.message;
	memory_native_store(entry.address, entry.bytes, entry.value);
	engine_note(entry.value);
}

void tso_drain(unsigned thread)
{
	struct buffer *buffer = buffer_of(thread);

	while (buffer && buffer->oldest < buffer->next)
		take_out(thread);
}

static bool holds_something(void *argument)
{
	struct buffer *buffer = argument;

	return buffer->oldest < buffer->next;
}

void tso_agent(unsigned thread)
{
	struct buffer *buffer = buffer_of(thread);

	while (buffer) {
		memory_begin_step(MEMORY_STEP_DRAIN, 0, NULL, holds_something, buffer);
		uint64_t number = buffer->oldest;
		engine_note_code(entry_at(buffer, number)->code);
		/* First: witnesses name a step by what it touches first. */
		take_out(thread);
		engine_touch(location_of(PUT_IN, thread, number), TOUCH_AWAIT);
		engine_touch(location_of(TAKEN_OUT, thread, number), TOUCH_SIGNAL);
		buffer->taken = number + 1;
	}
}
