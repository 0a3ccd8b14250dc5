/*
 * walk.h - finding and locking the table that an address goes through; making it, taking it out.
 */
#ifndef QUIRE_TABLE_WALK_H
#define QUIRE_TABLE_WALK_H

#include "table.h"

struct walk {
	struct folio *table;
	_Atomic quire_entry *slots; /* its entries */
	unsigned level;		    /* of the table */
	quire_entry entry;	    /* what stands there for the address */
};

/*
 * Without a lock, under RCU: down to the table of @level on @va's path, or to the last one before it, where
 * there is nothing or a huge leaf. All of it may be out of date at once.
 */
void walk_down(struct quire_as *as, quire_vaddr va, unsigned level, struct walk *walk);

/*
 * The same, and the table locked: what it says is so. Returns 0, with the table of @level, or that of a huge
 * leaf above it; or -ENOENT, when there is neither, with nothing locked. @mapped: an empty entry is not worth
 * a lock, -ENOENT too; it may be out of date.
 */
int walk_lock(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level, bool mapped,
	      struct walk *walk);

/* The same, but what is missing is made, from @stock first. 0; -ENOMEM, with nothing locked. */
int walk_make(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level,
	      struct table_stock *stock, struct walk *walk);

/*
 * Where the next table with leaves is, at *va or above, below @end: 0 and the walk down to there, which ends
 * in a leaf table or at a huge leaf, *va being moved over what is empty; -ENOENT when there is none, *va then
 * being @end. Upper tables whose end is passed are handed to @passed (NULL: none wanted), which is called
 * without RCU. Locks the table found.
 */
struct walk_passed {
	void (*table)(struct walk_passed *passed, quire_vaddr va, unsigned level);
};
int walk_next(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr *va, quire_vaddr end, struct walk *walk,
	      struct walk_passed *passed);

/*
 * The table of @level that @va goes through was seen empty, and is no longer locked: if it lies wholly in the
 * gather's reach and is still empty, take it out, into the gather, and then its parent if that became empty,
 * and so on, but never the root.
 *
 * Of leaf tables, where the gather allows it, the last one stays, and the one that stayed until then goes if
 * it is empty still: who maps and unmaps again and again does so at one place, and would make, clear, flush
 * and free the tables of that place each time.
 */
void walk_prune(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level,
		struct gather *gather);

#endif
