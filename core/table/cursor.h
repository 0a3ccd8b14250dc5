/*
 * cursor.h - the translation door: the only code that changes an entry.
 *
 * A cursor goes over a range of addresses, one table at a time, with that table locked: entries there do not
 * change but for hardware's accessed and dirty bits. Opening, and stepping to the next table, does all the
 * waiting and may fail; a change through an open cursor does neither, with two exceptions, cursor_replace()
 * and cursor_split(); and cursor_set() waits for other CPUs' flush where another's is owed. Every change here
 * keeps, once for everybody:
 *
 *	- accessed and dirty bits that hardware sets meanwhile are not lost (PIN-8): a dirty bit taken away
 *	  with an entry marks the folio dirty;
 *	- the flush that the change needs is in the gather (BASE-3), and so is an unmapped page's reference;
 *	- RSS (table metadata) and the folio's maps count move with the entry (BASE-4);
 *	- a table that is shared is treated as the intent says (SPT-3; nothing is shared yet).
 *
 * Two shapes of use.
 *
 *	Every leaf that is present, in order:			One address, present or not:
 *	cursor_begin(&c, cpu, as, start, end, intent, g);	err = cursor_open(&c, ..., va, FILL, ...);
 *	while (cursor_next(&c))					if (!err && !c.entry) cursor_set(&c, ...);
 *		... c.va, c.entry, cursor_clear(&c) ...		cursor_close(&c);
 *	cursor_end(&c);
 *
 * Order:   table locks are innermost but for the allocator's. An upper table's before a lower one's; of two
 *          tables of one level, the one with the lower frame number first (move.h). Spin locks: no sleeping
 *          with an open cursor.
 */
#ifndef QUIRE_TABLE_CURSOR_H
#define QUIRE_TABLE_CURSOR_H

#include "gather.h"

enum cursor_intent {
	CURSOR_READ, /* look only */
	CURSOR_LOOK, /* the same at what is mapped: where nothing was a moment ago no lock is taken */
	CURSOR_FILL, /* install where nothing is, or raise permissions: the same for every sharer (SPT-3) */
	CURSOR_PAGE, /* page-side work: reverse mapping, truncate; in place, every sharer flushed */
	CURSOR_MM,   /* mm-side work: a shared table is left first */
};

/* Tables set aside for where failure is not allowed: a path to a leaf needs at most one a level. */
struct table_stock {
	struct folio *tables;
	unsigned count;
};

/* -ENOMEM: as before */
int table_stock_fill(struct quire_cpu *cpu, struct table_stock *stock, unsigned count);
void table_stock_drain(struct quire_cpu *cpu, struct table_stock *stock);

struct cursor {
	struct quire_cpu *cpu;
	struct quire_as *as;
	struct gather *gather; /* for intents PAGE and MM; FILL needs one for cursor_replace() only */
	enum cursor_intent intent;
	quire_vaddr end;	    /* of the range, for cursor_next() */
	quire_vaddr stop;	    /* where what is for it in this table ends */
	quire_vaddr run;	    /* where small leaves end that it may go to at once; not above va: none */
	struct folio *table;	    /* locked; NULL: the cursor holds nothing */
	unsigned level;		    /* of the table; above 0 at a huge leaf */
	_Atomic quire_entry *slots; /* its entries */
	/* where it stands: */
	quire_vaddr va;		   /* of the entry's first byte */
	_Atomic quire_entry *slot; /* the entry itself */
	quire_entry entry;	   /* as it was when the cursor came there, or last changed it; 0 empty */
};

/* Bytes that the entry under the cursor maps. */
static inline quire_vaddr cursor_size(const struct cursor *cursor)
{
	return QUIRE_LEVEL_SIZE(cursor->level);
}

/*
 * Iterate over present leaves of [start, end). cursor_next() unlocks and locks tables as it goes, and flushes
 * a full gather, under no lock, between two entries; so a caller keeps no entry's value across it. A huge
 * leaf that the range covers only in part is delivered too: compare va and cursor_size() with the range, and
 * cursor_split() or work on it whole. Returns false at the end, holding nothing. cursor_end() may be called
 * early. Intent MM also takes out the tables that are left empty, as far as the gather says.
 */
void cursor_begin(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start,
		  quire_vaddr end, enum cursor_intent intent, struct gather *gather);
static inline bool cursor_next(struct cursor *cursor);
void cursor_end(struct cursor *cursor);

/*
 * Stand at one address, @va page aligned. FILL makes the tables on the way, from @stock first (NULL: none),
 * then from the allocator; the other intents make nothing. Returns 0 and holds the leaf table, or the table
 * of the huge leaf that covers @va (level above 0; va is then the huge leaf's first byte); -ENOENT (not
 * FILL) when there is no table, or for LOOK no leaf, holding nothing; -ENOMEM, holding nothing. Does not
 * sleep.
 */
int cursor_open(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va,
		enum cursor_intent intent, struct gather *gather, struct table_stock *stock);

/*
 * Like cursor_open() with FILL, for a huge leaf: holds the table of level 1. An entry that leads to a table
 * is delivered as it is (entry_is_table()); the caller then closes and falls back.
 */
int cursor_open_huge(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va,
		     struct gather *gather, struct table_stock *stock);

/* Move to @va within the table that is held; false, staying, when it is outside. */
bool cursor_move(struct cursor *cursor, quire_vaddr va);

void cursor_close(struct cursor *cursor);

/*
 * Changes of the entry under the cursor. Each updates cursor->entry.
 */

/*
 * Install @entry where nothing is, and where no CPU knows any more what was. For a counted page (not SPECIAL)
 * @folio is its head; the caller's reference to it becomes the entry's, and its maps count rises.
 */
void cursor_set(struct cursor *cursor, quire_entry entry, struct folio *folio);

/*
 * Take the entry out: returns what it was, accessed and dirty bits as hardware left them. The dirty bit goes
 * to the folio, maps count and RSS fall, the flush is owed, and the entry's reference goes into the gather
 * (which must not be full).
 */
quire_entry cursor_clear(struct cursor *cursor);

/*
 * Change permission bits: clear @off, then set @on, of ENTRY_PROT_MASK, ACCESSED and DIRTY, keeping what
 * hardware sets meanwhile. Returns the entry before. Owes a flush when something was taken away. DIRTY
 * cleared marks the folio.
 */
quire_entry cursor_protect(struct cursor *cursor, quire_entry off, quire_entry on);

/*
 * Put another page here: clear, flush on every CPU, only then set, so that no two CPUs ever see two pages
 * (copy-on-write). A change that waits: for other CPUs' flush, serving their IPIs, with the table locked.
 * Like cursor_clear() followed by cursor_set(); the old page's reference goes into the gather, already
 * flushed.
 */
void cursor_replace(struct cursor *cursor, quire_entry entry, struct folio *folio);

/*
 * Replace the huge leaf under the cursor by a table of small ones with the same rights and bits, the folio
 * whole; counts go from one mapping to one a page. Uses a table of @stock, which must have one. The cursor
 * stands on the small entry of @va. Waits like cursor_replace(): a CPU must not hold a large and a small
 * translation of one address at a time.
 */
void cursor_split(struct cursor *cursor, struct table_stock *stock, quire_vaddr va);

/* The head of the folio that a counted entry maps; NULL for SPECIAL and empty ones. */
struct folio *entry_folio(struct quire *quire, quire_entry entry);

/* cursor_next()'s way on when the table that is held, if any, has no small leaf to go on to. */
bool cursor_next_table(struct cursor *cursor);

/* Most often the next leaf stands in the same table: what a change of many pages does for each of them. */
static inline bool cursor_next(struct cursor *cursor)
{
	while (cursor->va + QUIRE_PAGE_SIZE < cursor->run) {
		cursor->va += QUIRE_PAGE_SIZE;
		/* Relaxed: but for hardware's bits it changes under the lock only. */
		cursor->entry = atomic_load_explicit(++cursor->slot, memory_order_relaxed);
		if (entry_is_mapped(cursor->entry))
			return true;
	}
	return cursor_next_table(cursor);
}

#endif
