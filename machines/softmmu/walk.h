/*
 * walk.h - the rules by which hardware reads page tables, one entry at a time.
 *
 * The rules are a machine of small steps that itself touches no memory: the owner reads an entry, hands it
 * to softmmu_walk_step(), and does what it says. One owner loops (softmmu.c); another may do anything at
 * all between two steps, as real hardware does.
 *
 *	begin --> read entry --> step --+--> SET    compare-and-exchange the bits in, then step again
 *	              ^                 +--> DOWN   the next level's table is walk->table
 *	              |                 +--> DONE   walk->frame, rights, dirty and level describe the leaf
 *	              +-------DOWN------+--> FAULT  walk->error says why
 *
 * SET never stands alone: the bits go in only by a compare-and-exchange against the very value that was
 * judged, so present and write permission are checked again whenever the entry changed meanwhile. An entry
 * whose accessed bit is clear is therefore never used, and never cached.
 *
 * Rules: BASE-2, PIN-8.
 */
#ifndef SOFTMMU_WALK_H
#define SOFTMMU_WALK_H

#include "x86.h"

#include <quire/types.h>

/* What all levels together allow. */
enum {
	SOFTMMU_WRITE = 0x1,
	SOFTMMU_USER = 0x2,
	SOFTMMU_EXEC = 0x4,
	SOFTMMU_ALL = 0x7,
};

enum softmmu_step { SOFTMMU_SET, SOFTMMU_DOWN, SOFTMMU_DONE, SOFTMMU_FAULT };

struct softmmu_walk {
	quire_vaddr va;
	unsigned access;   /* QUIRE_ACCESS_* */
	uint64_t frames;   /* memory ends here */
	unsigned level;	   /* of the table to be read; after DONE, of the leaf */
	quire_pfn table;   /* to be read */
	unsigned rights;   /* SOFTMMU_*, all levels so far */
	quire_entry entry; /* the last one judged */
	quire_pfn frame;   /* DONE: the first frame of the leaf, large or not */
	bool dirty;	   /* DONE: its dirty bit is set */
	uint32_t error;	   /* FAULT: X86_PF_* */
};

/* Begin at @table of @level, reached with @rights: the root, or what a paging-structure cache remembered. */
void softmmu_walk_begin(struct softmmu_walk *walk, quire_vaddr va, unsigned access, uint64_t frames,
			quire_pfn table, unsigned level, unsigned rights);

/* Which entry of walk->table is to be read. */
static inline unsigned softmmu_walk_index(const struct softmmu_walk *walk)
{
	return (unsigned)(walk->va >> QUIRE_LEVEL_SHIFT(walk->level)) & (QUIRE_TABLE_ENTRIES - 1);
}

/* Judge @entry. For SET, *bits are to be set in it, and nothing else has happened. */
enum softmmu_step softmmu_walk_step(struct softmmu_walk *walk, quire_entry entry, quire_entry *bits);

/* May a user access of kind @access be made with @rights? */
bool softmmu_allows(unsigned rights, unsigned access);

/* The error code of a refused access; @present: there was a translation. */
uint32_t softmmu_error(unsigned access, bool present);

#endif
