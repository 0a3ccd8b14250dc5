/*
 * heap.c - small objects, at addresses that do not depend on the interleaving.
 *
 * Every thread takes from a heap of its own, upwards, and nothing is taken twice: what a thread allocates has
 * the same addresses whatever the others do, so that two executions of one trace agree on every location, and
 * whoever still reads a freed object reads poison until the execution ends.
 *
 *	heap of thread t:  [object][object][freed: poison ...][object] ----> free
 *	                   |__ kept by the freeze __|__ of this execution __|
 *
 * Beside the bytes stands a record of each object: its size, who allocated it (places in the core, which are
 * as good as a type), whether it was freed. Objects have at least a line each.
 *
 * Order:   any context; not a transition.
 * Errors:  NULL when a heap is full. A second free, one of something else, one with a lock held inside:
 * violations.
 * Rules:   CHK-5.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEAP_BYTES = 1 << 20,
	LINE = 64,
	LINES = HEAP_BYTES / LINE,
	HEAPS = ENGINE_THREADS + 1,
	FREED = 0xdb, /* as a pointer it is none */
};

struct object {
	uint32_t bytes; /* 0: not the first line of one */
	bool freed;
	bool frozen_freed;
};

struct heap {
	char *base;
	uint32_t used, frozen; /* lines */
	bool touched;	       /* a frozen object was freed in this execution */
	struct object object[LINES];
	struct heap_sites sites[LINES]; /* for reports on what stands there: in no image */
};

static struct heap *heaps;
static char *frozen_bytes;
static size_t frozen_room;

size_t heap_bytes(void)
{
	return (size_t)HEAP_BYTES * HEAPS;
}

void heap_create(struct machine *machine, char *base)
{
	(void)machine;
	heaps = calloc(HEAPS, sizeof(*heaps));
	if (!heaps)
		abort();
	for (unsigned i = 0; i < HEAPS; i++)
		heaps[i].base = base + (size_t)i * HEAP_BYTES;
}

void heap_destroy(struct machine *machine)
{
	(void)machine;
	free(heaps);
	free(frozen_bytes);
	heaps = NULL;
	frozen_bytes = NULL;
	frozen_room = 0;
}

/* Threads have allocated nothing yet: all there is comes from outside. */
void heap_freeze(struct machine *machine)
{
	struct heap *heap = &heaps[OUTSIDE];

	(void)machine;
	heap->frozen = heap->used;
	frozen_room = (size_t)heap->used * LINE;
	free(frozen_bytes);
	frozen_bytes = malloc(frozen_room + 1);
	if (!frozen_bytes)
		abort();
	memcpy(frozen_bytes, heap->base, frozen_room);
	for (uint32_t i = 0; i < heap->used; i++)
		heap->object[i].frozen_freed = heap->object[i].freed;
}

void heap_reset(struct machine *machine)
{
	(void)machine;
	for (unsigned t = 0; t < HEAPS; t++) {
		struct heap *heap = &heaps[t];

		heap->used = heap->frozen;
		for (uint32_t i = 0; heap->touched && i < heap->frozen; i++)
			heap->object[i].freed = heap->object[i].frozen_freed;
		heap->touched = false;
	}
	memcpy(heaps[OUTSIDE].base, frozen_bytes, frozen_room);
}

/* Of threads, and of what is outside of them. */
void heap_image(struct machine *machine, struct image *image)
{
	for (unsigned t = 0; t < HEAPS; t++) {
		struct heap *heap = &heaps[t];

		if (t >= machine->threads && t != OUTSIDE)
			continue;
		image_add(image, &heap->used, sizeof(heap->used));
		image_add(image, &heap->touched, sizeof(heap->touched));
		image_add_some(image, heap->object, &heap->used, sizeof(heap->object[0]));
		image_add_some(image, heap->base, &heap->used, LINE);
	}
}

void *heap_alloc(size_t bytes, const struct heap_sites *sites)
{
	struct heap *heap = &heaps[self()];
	uint32_t lines = (uint32_t)((bytes + LINE - 1) / LINE);

	if (!bytes || lines > LINES - heap->used)
		return NULL;
	char *object = heap->base + (size_t)heap->used * LINE;
	memset(&heap->object[heap->used], 0, lines * sizeof(heap->object[0]));
	heap->object[heap->used].bytes = (uint32_t)bytes;
	heap->sites[heap->used] = sites ? *sites : (struct heap_sites){ .count = 0 };
	heap->used += lines;
	memset(object, 0, (size_t)lines * LINE);
	memory_forget((uintptr_t)object, (size_t)lines * LINE);
	return object;
}

static struct heap *heap_at(uintptr_t address, uint32_t *line)
{
	uintptr_t offset = address - (uintptr_t)heaps[0].base;

	if (offset >= heap_bytes())
		return NULL;
	struct heap *heap = &heaps[offset / HEAP_BYTES];
	*line = (uint32_t)(offset % HEAP_BYTES / LINE);
	return heap;
}

bool heap_find(uintptr_t address, uintptr_t *start, size_t *bytes, bool *freed)
{
	uint32_t line;
	struct heap *heap = heaps ? heap_at(address, &line) : NULL;

	if (!heap || line >= heap->used)
		return false;
	while (line && !heap->object[line].bytes)
		line--;
	*start = (uintptr_t)heap->base + (uintptr_t)line * LINE;
	*bytes = heap->object[line].bytes;
	*freed = heap->object[line].freed;
	return address - *start < *bytes;
}

const struct heap_sites *heap_sites(uintptr_t start)
{
	uint32_t line = 0;
	struct heap *heap = heap_at(start, &line);

	return &heap->sites[line];
}

void heap_free(void *object, size_t bytes)
{
	uint32_t line = 0;
	struct heap *heap = heap_at((uintptr_t)object, &line);

	if (!heap || ((uintptr_t)object & (LINE - 1)) || line >= heap->used || !heap->object[line].bytes) {
		violation("%s is freed, which is no object",
			  machine_describe(machine_now, (uintptr_t)object));
		return;
	}
	if (heap->object[line].freed) {
		violation("%s is freed twice", machine_describe(machine_now, (uintptr_t)object));
		return;
	}
	if (heap->object[line].bytes != bytes)
		violation("%s has %u bytes and is freed as %zu",
			  machine_describe(machine_now, (uintptr_t)object), heap->object[line].bytes, bytes);
	uintptr_t lock = lock_held_within((uintptr_t)object, bytes);
	if (lock)
		violation("%s is freed with a lock in it that is held",
			  machine_describe(machine_now, (uintptr_t)object));
	/* A race of the free with whoever still uses it is one of a store to all of it. */
	memory_write((uintptr_t)object, bytes, __builtin_return_address(0));
	heap->object[line].freed = true;
	heap->touched = heap->touched || line < heap->frozen;
	memset(object, FREED, bytes);
}

/* A store. What is loaded from a freed object is poison. */
void heap_changed(uintptr_t address)
{
	uintptr_t start;
	size_t bytes;
	bool freed;

	if (heap_find(address, &start, &bytes, &freed) && freed && *(const unsigned char *)address != FREED)
		violation("%s stores to %s", thread_name(self()), machine_describe(machine_now, address));
}
