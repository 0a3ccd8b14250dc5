/*
 * gather.h - the flush that an operation owes, and the frames that wait for it.
 *
 *	gather_begin	tells secondary MMUs to let go of the range		(sleeps)
 *	cursor ops	clear entries: range, frames and tables go into the gather
 *	gather_flush	every CPU that may cache them has flushed; frames are put	(waits for CPUs)
 *	gather_end	gather_flush, then secondary MMUs may come back		(sleeps)
 *			and what others changed in the range is flushed too
 *
 * Between the clear and the flush a CPU may still reach the frame through its TLB, so the frame cannot be
 * free yet. A gather lives on its operation's stack.
 */
#ifndef QUIRE_TABLE_GATHER_H
#define QUIRE_TABLE_GATHER_H

#include "as.h"

/* The leaf table that was left empty last, and in place: an address in it, odd; or 0. See walk_prune(). */
struct table_spare {
	_Atomic quire_vaddr va;
};

/* Room for more frames, while there is memory for it: one flush costs what many frames do. */
struct gather_more {
	struct folio *frames[QUIRE_GATHER_MORE];
};

struct gather {
	struct quire_as *as;
	quire_vaddr from, to;		  /* what secondary MMUs were told */
	quire_vaddr start, end;		  /* to flush; start >= end: nothing */
	quire_vaddr reach_from, reach_to; /* tables left empty that lie wholly in here are taken out */
	struct table_spare *spare;	  /* of leaf tables left empty one may stay; NULL: none may */
	bool told;			  /* secondary MMUs */
	uint32_t owes;			  /* parts of the address space in whose owing it is counted: bits */
	quire_vaddr owed_from, owed_to;	  /* a leaf table's range, of such a part: most ranges lie in it */
	bool tables;			  /* tables were taken out: lazy CPUs leave, upper-level caches go */
	struct folio **frames;		  /* a reference each: in @few, and then, if it is there, in @more */
	unsigned count, room;		  /* of @frames */
	struct gather_more *more;	  /* or NULL */
	struct folio *dead;		  /* tables taken out, linked by table.rcu.next */
	struct folio *few[QUIRE_GATHER_FRAMES];
};

/*
 * SLEEPS. [from, to) is all that will change; the reach for empty tables is the same, until the caller widens
 * it.
 */
void gather_begin(struct quire_cpu **cpu, struct gather *gather, struct quire_as *as, quire_vaddr from,
		  quire_vaddr to);

/*
 * The same, for what cannot sleep: in a read-side section that lasts until gather_end(), in which
 * as_has_notifiers() has said no.
 */
void gather_begin_untold(struct gather *gather, struct quire_as *as, quire_vaddr from, quire_vaddr to);

/*
 * The same, SLEEPS, for whoever keeps secondary MMUs from coming and going until gather_end(): the callers of
 * as_notifier_add() and _remove() wait for him. Where there is none it writes nothing that others do.
 */
void gather_begin_alone(struct quire_cpu **cpu, struct gather *gather, struct quire_as *as, quire_vaddr from,
			quire_vaddr to);

/* May be called under table locks (it waits for other CPUs' flush, which takes none), or none. */
void gather_flush(struct quire_cpu *cpu, struct gather *gather);

/*
 * What the cursor owes: the flush of a range, a frame's reference (the gather is not full), a table taken out
 * that @va went through.
 */
void gather_range(struct gather *gather, quire_vaddr start, quire_vaddr end);
void gather_frame(struct gather *gather, struct folio *folio);
void gather_table(struct gather *gather, struct folio *table, quire_vaddr va);

/* SLEEPS. */
void gather_end(struct quire_cpu **cpu, struct gather *gather);

/*
 * Under the lock of the table, of @va, in which something was cleared: is a flush outstanding, of whomever?
 */
bool gather_owed(struct quire_as *as, const struct folio *table, quire_vaddr va);

/* It owes nothing any more, flushed or not. */
void gather_settle(struct gather *gather);

static inline bool gather_is_full(const struct gather *gather)
{
	return gather->count == gather->room;
}

/* Make room in a full one, if it may have more and there is memory. May be called under table locks. */
bool gather_grow(struct quire_cpu *cpu, struct gather *gather);

#endif
