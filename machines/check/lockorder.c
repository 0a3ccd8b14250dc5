/*
 * lockorder.c - in which order locks are taken, over all executions of the process.
 *
 * Locks are of classes (docs/locking.md): what they are in, and which field of it. Whoever takes a lock of class B
 * holding one of class A adds the edge A -> B to a graph that no reset clears. An edge that closes a circle is a
 * deadlock that some other schedule, perhaps of another file, could reach: a violation, whether or not it happens
 * here.
 *
 * Edges say how: a circle is one only if at each of its locks somebody is kept out by somebody: not where both
 * share it as readers. (That a waiting writer keeps readers out is left to config.writers_wait, which finds the
 * deadlock itself.) The folio lock, a bit that the core sets, counts like the others: it is the last edge that
 * decides, who waits for it with what held.
 *
 * Within a class: tables of one level by ascending frame; others must not nest, but for address spaces and their
 * lineages, where fork holds the parent's and works on a child that nobody else has seen.
 *
 * Rules:   BASE-8, CHK-5. The order is docs/locking.md's.
 */
#include "inside.h"

#include "../../core/phys/frames.h"
#include "../../core/store/anon.h"

#include <stdio.h>
#include <string.h>

enum class {
	CLASS_OTHER,
	CLASS_RESIZE,
	CLASS_FOLIO,
	CLASS_MM,
	CLASS_FILE_RMAP,
	CLASS_ANON,
	CLASS_NOTIFIERS,
	CLASS_TABLE, /* of the leaf level; one more for each level up */
	CLASS_TABLE_LAST = CLASS_TABLE + 4,
	CLASS_PAGES,
	CLASS_CACHE,
	CLASS_BUDDY,
	CLASS_DEVICE,
	CLASS_EVENT,
	CLASSES
};

static const char *const names[CLASSES] = {
	[CLASS_OTHER] = "an unknown lock",
	[CLASS_RESIZE] = "a file's resize_lock",
	[CLASS_FOLIO] = "a folio lock",
	[CLASS_MM] = "mm.lock",
	[CLASS_FILE_RMAP] = "a file's rmap_lock",
	[CLASS_ANON] = "an anon_vma lock",
	[CLASS_NOTIFIERS] = "notifiers_lock",
	[CLASS_TABLE] = "a lock of a leaf table",
	[CLASS_TABLE + 1] = "a lock of a table of level 1",
	[CLASS_TABLE + 2] = "a lock of a table of level 2",
	[CLASS_TABLE + 3] = "a lock of a table of level 3",
	[CLASS_TABLE + 4] = "a lock of a table of level 4",
	[CLASS_PAGES] = "a file's pages_lock",
	[CLASS_CACHE] = "a CPU's frame cache",
	[CLASS_BUDDY] = "the allocator's lock",
	[CLASS_DEVICE] = "a device's lock",
	[CLASS_EVENT] = "an event",
};

/* edge[a][b]: b was taken with a held; a bit for each of four ways, a shared or not, b shared or not. */
static uint8_t edge[CLASSES][CLASSES];

static unsigned way(bool shares_a, bool shares_b)
{
	return 1u << (2 * shares_a + shares_b);
}

const char *class_name(unsigned class)
{
	return class < CLASSES ? names[class] : names[0];
}

static unsigned class_in_object(uintptr_t lock)
{
	static const struct {
		size_t bytes, offset;
		enum class class;
	} known[] = {
		{ sizeof(struct quire_mm), offsetof(struct quire_mm, lock), CLASS_MM },
		{ sizeof(struct quire_mm), offsetof(struct quire_mm, as.notifiers_lock), CLASS_NOTIFIERS },
		{ sizeof(struct quire_file), offsetof(struct quire_file, resize_lock), CLASS_RESIZE },
		{ sizeof(struct quire_file), offsetof(struct quire_file, rmap_lock), CLASS_FILE_RMAP },
		{ sizeof(struct quire_file), offsetof(struct quire_file, pages_lock), CLASS_PAGES },
		{ sizeof(struct anon_vma), offsetof(struct anon_vma, lock), CLASS_ANON },
		{ sizeof(struct cpu_frames), offsetof(struct cpu_frames, lock), CLASS_CACHE },
	};
	uintptr_t start;
	size_t bytes;
	bool freed;

	if (!heap_find(lock, &start, &bytes, &freed))
		return CLASS_OTHER;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].bytes == bytes && known[i].offset == lock - start)
			return known[i].class;
	return CLASS_OTHER;
}

unsigned class_of(uintptr_t lock, enum held_how how)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = lock - (uintptr_t)machine->folios;

	if (how == HELD_FOLIO)
		return CLASS_FOLIO;
	if (place_kind(lock) == PLACE_DEVICE)
		return CLASS_DEVICE;
	if (place_kind(lock) == PLACE_EVENT)
		return CLASS_EVENT;
	if (machine->folios && offset < machine->config.frames * sizeof(struct folio))
		return CLASS_TABLE + machine->folios[offset / sizeof(struct folio)].table.level;
	if (lock - (uintptr_t)machine->metadata < machine->metadata_bytes)
		return CLASS_BUDDY;
	return class_in_object(lock);
}

/* ---- circles ------------------------------------------------------------------------------------------------ */

/*
 * A way from @at, which was reached as the lock taken (shared or not), to @goal. @kept: how @goal is held there where
 * the circle began. At each class on the way the one who holds must keep out the one who takes.
 */
static bool reaches(unsigned at, bool shared, unsigned goal, bool kept, uint32_t seen, unsigned *via)
{
	for (unsigned next = 0; next < CLASSES; next++) {
		for (unsigned how = 0; how < 4; how++) {
			bool holds_shared = how >> 1, takes_shared = how & 1;

			if (!(edge[at][next] >> how & 1) || (shared && holds_shared))
				continue;
			if (next == goal && !(takes_shared && kept)) {
				*via = at;
				return true;
			}
			if (next != goal && !(seen >> next & 1) &&
			    reaches(next, takes_shared, goal, kept, seen | 1u << next, via))
				return true;
		}
	}
	return false;
}

static void add_edge(const struct held *held, unsigned class, bool shared)
{
	bool held_shared = held->how == HELD_READ;
	unsigned bit = way(held_shared, shared), via;

	if (edge[held->class][class] & bit)
		return;
	edge[held->class][class] |= (uint8_t)bit;
	if (reaches(class, shared, held->class, held_shared, 1u << class, &via))
		violation("order of locks: %s takes %s with %s held; elsewhere %s was taken with %s held%s",
			  thread_name(self()), class_name(class), class_name(held->class),
			  class_name(held->class), class_name(via), via == class ? "" : ", in a circle");
}

static bool may_nest(const struct held *held, uintptr_t lock, unsigned class)
{
	if (class >= CLASS_TABLE && class <= CLASS_TABLE_LAST)
		return lock > held->lock; /* ascending frames */
	return class == CLASS_MM || class == CLASS_ANON || class == CLASS_NOTIFIERS || class == CLASS_OTHER ||
	       class == CLASS_DEVICE || class == CLASS_EVENT;
}

void order_check(const struct held *held, unsigned count, uintptr_t lock, unsigned class, enum held_how how)
{
	for (unsigned i = 0; i < count; i++) {
		if (held[i].class == CLASS_OTHER || class == CLASS_OTHER)
			continue;
		if (held[i].class != class) {
			add_edge(&held[i], class, how == HELD_READ);
			continue;
		}
		if (may_nest(&held[i], lock, class) || (how == HELD_READ && held[i].how == HELD_READ))
			continue;
		violation("order of locks: %s takes %s with another held, %s", thread_name(self()),
			  machine_describe(machine_now, lock), class_name(class));
	}
}

/*
 * A wait on a word of a folio is one for its lock (BASE-8): whoever has it may need the address space, or what is
 * inside it, to let it go.
 */
void order_sleep(const struct held *held, unsigned count, uintptr_t word)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = word - (uintptr_t)machine->folios;

	if (!machine->folios || offset >= machine->config.frames * sizeof(struct folio))
		return;
	for (unsigned i = 0; i < count; i++) {
		if (held[i].class > CLASS_FOLIO && held[i].class < CLASS_DEVICE)
			violation("%s waits for a folio lock with %s held (BASE-8)", thread_name(self()),
				  class_name(held[i].class));
		else if (held[i].class == CLASS_FOLIO && held[i].lock != word)
			violation("%s waits for a folio lock with another folio locked", thread_name(self()));
		else if (held[i].class == CLASS_RESIZE)
			add_edge(&held[i], CLASS_FOLIO, false);
	}
}

void machine_forget_orders(void)
{
	memset(edge, 0, sizeof(edge));
}
