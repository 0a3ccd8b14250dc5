/*
 * folio.h - what Quire knows of a frame, and who may touch what.
 *
 * There is one struct folio per frame; a block of 2^order frames is described by the first one, its head,
 * and its other frames' point back. What the frame is used for decides which part of the union counts. All
 * zeroes is a frame that was never used: metadata of untouched memory is never initialised.
 *
 * Rules: BASE-4, PIN-1 (the exclusive mark). Layout: one cache line; the words that a fault writes stand
 *        first.
 */
#ifndef QUIRE_PHYS_FOLIO_H
#define QUIRE_PHYS_FOLIO_H

#include "../base/instance.h"
#include "../base/list.h"

#include <quire/port.h>

enum folio_kind {
	FOLIO_UNUSED = 0, /* with the allocator */
	FOLIO_ANON,	  /* an anonymous page */
	FOLIO_FILE,	  /* in, or on its way in or out of, a page cache */
	FOLIO_TABLE,	  /* a page table */
	FOLIO_TAIL,	  /* not the first frame of its folio */
	FOLIO_RESERVED,	  /* never handed out */
};

/* Flags: bits of folio->flags, changed by atomic operations only. */
enum {
	FOLIO_LOCKED = 1u << 0,	   /* the folio lock; waiters sleep on the flags word */
	FOLIO_WAITED = 1u << 1,	   /* somebody sleeps for it */
	FOLIO_UPTODATE = 1u << 2,  /* FILE: the contents are the store's, or newer */
	FOLIO_DIRTY = 1u << 3,	   /* FILE: newer than the store; ANON: newer than swap */
	FOLIO_EXCLUSIVE = 1u << 4, /* ANON: of one mm alone (PIN-1); changed under the leaf table's lock */
	FOLIO_SHMEM = 1u << 5,	   /* FILE: of a RAM store, for RSS kinds */
	FOLIO_LAZYFREE = 1u << 6,  /* ANON: MADV_FREE, droppable while clean */
	FOLIO_WRITEBACK = 1u << 7, /* FILE: being written to the store; changed under the folio lock */
};

/*
 * Locks:  C atomic    F the folio lock    B the allocator's lock    T the table's own lock
 *         P fixed while the folio is in use (set before it is published)
 */
struct folio {
	_Atomic uint32_t refs;	/* C: one for a mapping entry, the page cache, a gather, a caller; 0: free */
	_Atomic int32_t maps;	/* C: entries that map any part of it */
	_Atomic uint32_t flags; /* C */
	uint8_t kind;		/* P: enum folio_kind */
	uint8_t order;		/* P */
	uint16_t block;		/* B: order + 1 while it heads a block in the allocator's lists, else 0 */
	union {
		struct { /* ANON, FILE */
			/* ANON: its struct anon_vma. FILE: its quire_file, NULL once out of the cache (F) */
			void *_Atomic owner;
			uint64_t index;	 /* P: page offset in the owner */
			struct list lru; /* for reclaim's lists */
			uint64_t spare;
		};
		struct {			/* TABLE */
			struct quire_spin lock; /* for every entry's software side and the fields below */
			uint8_t level;		/* P: 0 is a leaf table */
			bool dead : 1;		/* T: taken out of the tree; nothing is set in it any more */
			bool owed : 1;		/* T: the flush of what was cleared here may be owed */
			uint16_t used;		/* T: entries that are not empty */
			uint16_t rss[3];	/* T: leaf entries by RSS kind, in entries (table/entry.h) */
			uint16_t shared;	/* T: further address spaces that use it; 0 today (SPT-1) */
			uint64_t pending;	/* T: what a deferred flush waits for, 0: nothing (LUF-1) */
			struct quire_rcu rcu;	/* freed after a grace period */
			struct quire *quire;	/* P */
		} table;
		struct { /* UNUSED: in the allocator's lists */
			struct list free;
		};
		struct {		      /* UNUSED: in a CPU's cache, or the depot */
			struct folio *behind; /* of the same batch */
			struct folio *batch;  /* the first of the next one */
		};
		struct folio *head; /* TAIL */
	};
};

_Static_assert(sizeof(struct folio) == 64, "a folio is one cache line");

/*
 * Frame number and contents. @folio is a head, except for folio_of() itself, which finds any frame's own
 * struct.
 */
struct folio *folio_of(struct quire *quire, quire_pfn pfn);
struct folio *folio_head(struct folio *folio); /* what it is in stays in use meanwhile */
quire_pfn folio_pfn(struct quire *quire, const struct folio *folio);
void *frame_memory(struct quire *quire, quire_pfn pfn);
void *folio_memory(struct quire *quire, const struct folio *folio);

static inline uint64_t folio_pages(const struct folio *folio)
{
	return 1ul << folio->order;
}

static inline uint32_t folio_flags(const struct folio *folio)
{
	return atomic_load_explicit(&folio->flags,
				    memory_order_acquire); /* pairs with folio_set()'s release */
}

static inline void folio_set(struct folio *folio, uint32_t flags)
{
	atomic_fetch_or_explicit(&folio->flags, flags, memory_order_release);
}

static inline uint32_t folio_clear(struct folio *folio, uint32_t flags) /* returns the flags before */
{
	return atomic_fetch_and_explicit(&folio->flags, ~flags, memory_order_acq_rel);
}

/*
 * References. folio_get() needs one to begin with; folio_try_get() needs RCU or a lock that keeps the
 * struct's meaning.
 */
void folio_get(struct folio *folio);
bool folio_try_get(struct folio *folio);		    /* false when the count is 0 */
void folio_put(struct quire_cpu *cpu, struct folio *folio); /* the last one frees it; does not sleep */

/* The folio lock. Sleeps; the caller holds a reference and no lock of a lower rank (docs/locking.md). */
void folio_lock(struct quire_cpu **cpu, struct folio *folio);
bool folio_trylock(struct folio *folio);
void folio_unlock(struct quire_cpu *cpu, struct folio *folio);

#endif
