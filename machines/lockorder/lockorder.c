/*
 * lockorder.c - classes of locks; edges, and the search for a way back.
 *
 * A lock does not say what it is. But the port hands out the objects that locks are in, and their size
 * together with the lock's place in it tells (no two of these pairs are alike).
 */
#include "lockorder.h"

#include "../../core/base/rangenode.h"
#include "../../core/phys/frames.h"
#include "../../core/space/mm.h"
#include "../../core/store/anon.h"

static const char *const names[LOCKORDER_CLASSES] = {
	[CLASS_OTHER] = "an unknown lock",
	[CLASS_RESIZE] = "a file's resize_lock",
	[CLASS_FOLIO] = "a folio lock",
	[CLASS_MM] = "a range of an mm",
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

const char *lockorder_name(unsigned class)
{
	if (class >= CLASS_EVENT)
		class = class <= CLASS_EVENT_LAST ? CLASS_EVENT : CLASS_OTHER;
	return names[class];
}

unsigned lockorder_class(size_t bytes, size_t offset)
{
	static const struct {
		size_t bytes, offset;
		enum lock_class class;
	} known[] = {
		{ sizeof(struct range_head), offsetof(struct range_head, lock), CLASS_MM },
		{ sizeof(struct quire_mm), offsetof(struct quire_mm, lock), CLASS_MM },
		{ sizeof(struct quire_mm), offsetof(struct quire_mm, as.notifiers_lock), CLASS_NOTIFIERS },
		{ sizeof(struct quire_file), offsetof(struct quire_file, resize_lock), CLASS_RESIZE },
		{ sizeof(struct quire_file), offsetof(struct quire_file, rmap_lock), CLASS_FILE_RMAP },
		{ sizeof(struct quire_file), offsetof(struct quire_file, pages_lock), CLASS_PAGES },
		{ sizeof(struct anon_vma), offsetof(struct anon_vma, lock), CLASS_ANON },
		{ sizeof(struct cpu_frames), offsetof(struct cpu_frames, lock), CLASS_CACHE },
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].bytes == bytes && known[i].offset == offset)
			return known[i].class;
	return CLASS_OTHER;
}

static unsigned way(bool shares_a, bool shares_b)
{
	return 1u << (2 * shares_a + shares_b);
}

/*
 * A way from @at, which was reached as the lock taken (shared or not), to @goal. @kept: @goal is held
 * shared where the circle began. At each class on the way the one who holds must keep out the one who takes.
 */
static bool reaches(const struct lockorder *graph, unsigned at, bool shared, unsigned goal, bool kept,
		    uint32_t seen, unsigned *via)
{
	for (unsigned next = 0; next < LOCKORDER_CLASSES; next++) {
		for (unsigned how = 0; how < 4; how++) {
			bool holds_shared = how >> 1, takes_shared = how & 1;

			if (!(graph->edge[at][next] >> how & 1) || (shared && holds_shared))
				continue;
			if (next == goal && !(takes_shared && kept)) {
				*via = at;
				return true;
			}
			if (next != goal && !(seen >> next & 1) &&
			    reaches(graph, next, takes_shared, goal, kept, seen | 1u << next, via))
				return true;
		}
	}
	return false;
}

bool lockorder_knows(const struct lockorder *graph, unsigned held, bool held_shared, unsigned class,
		     bool shared)
{
	return held == class || (graph->edge[held][class] & way(held_shared, shared));
}

bool lockorder_add(struct lockorder *graph, unsigned held, bool held_shared, unsigned class, bool shared,
		   unsigned *via)
{
	if (lockorder_knows(graph, held, held_shared, class, shared))
		return true;
	graph->edge[held][class] |= (uint8_t)way(held_shared, shared);
	return !reaches(graph, class, shared, held, held_shared, 1u << class, via);
}
