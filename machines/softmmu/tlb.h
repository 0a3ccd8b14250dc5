/*
 * tlb.h - what one CPU remembers of the page tables: leaves, and the upper entries on the way to them.
 *
 * Everything is tagged. An address-space identifier (ASID) owns the current tag of its slot; flushing it
 * whole hands it a new tag, and what carries the old one is dead. Tags are never used twice.
 *
 * Leaves stand in sets of a few ways, found by page number, level and tag; a full set loses a random one.
 * Small and large leaves for one address may stand side by side after the tables changed, as in hardware:
 * only a flush removes the old one. Upper entries are kept per level: the address bits that select the
 * table, and the table.
 */
#ifndef SOFTMMU_TLB_H
#define SOFTMMU_TLB_H

#include <quire/types.h>

#define TLB_WAYS 4
#define TLB_UPPER 32 /* per level */

struct tlb_leaf {
	uint64_t tag;	 /* 0: empty */
	uint64_t number; /* the address in units of the leaf's size */
	quire_pfn frame; /* the first */
	uint8_t level;	 /* 0 or 1 */
	uint8_t rights;	 /* SOFTMMU_* */
	bool dirty;	 /* writes need not set the dirty bit any more */
};

struct tlb_upper {
	uint64_t tag;	 /* 0: empty */
	uint64_t number; /* the address in units of what the entry spans */
	quire_pfn table; /* that the entry points to */
	unsigned rights; /* of this entry and all above it */
};

struct tlb {
	struct tlb_leaf *leaves; /* sets of TLB_WAYS */
	uint64_t set_mask;
	uint64_t next_tag;
	uint64_t tags[QUIRE_ASIDS + 1];
	uint64_t random;
	struct tlb_upper upper[QUIRE_LEVELS][TLB_UPPER]; /* [level of the entry]; [0] stays empty */
};

/* @leaves: room for @count of them, a power of two of at least TLB_WAYS. */
void tlb_init(struct tlb *tlb, struct tlb_leaf *leaves, unsigned count, uint64_t seed);

/* The leaf that translates @va, or NULL. Small ones first. Valid until the next change. */
struct tlb_leaf *tlb_find(struct tlb *tlb, unsigned asid, quire_vaddr va);

/*
 * Remember a leaf, instead of what stood for the same page at the same level. Returns whether another was
 * thrown out for it.
 */
bool tlb_insert(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned level, quire_pfn frame,
		unsigned rights, bool dirty);

/*
 * The upper entry nearest to the leaf that is remembered on the way to @va, and its level; NULL when there
 * is none.
 */
const struct tlb_upper *tlb_find_upper(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned *level);
void tlb_insert_upper(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned level, quire_pfn table,
		      unsigned rights);

/* Forget leaves that touch [start, end), and upper entries on the way to them. */
void tlb_flush_range(struct tlb *tlb, unsigned asid, quire_vaddr start, quire_vaddr end);
void tlb_flush_asid(struct tlb *tlb, unsigned asid);

/* A pseudo-random number. */
uint64_t tlb_random(struct tlb *tlb);

#endif
