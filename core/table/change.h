/*
 * change.h - what the changes of cursor.c and split.c share.
 */
#ifndef QUIRE_TABLE_CHANGE_H
#define QUIRE_TABLE_CHANGE_H

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "cursor.h"
#include "table.h"
#include "walk.h"

/* @cursor is in the table that @walk came to, which is locked. */
static inline void change_table(struct cursor *cursor, const struct walk *walk)
{
	cursor->table = walk->table;
	cursor->level = walk->level;
	cursor->slots = walk->slots;
}

/* For cursor_next(): @va is in the table. */
static inline void change_stop(struct cursor *cursor, quire_vaddr va)
{
	quire_vaddr span = table_span(cursor->level);

	cursor->stop = min_u64(cursor->end, align_down(va, span) + span);
	cursor->run = cursor->level ? 0 : cursor->stop;
}

/*
 * Turn bits of *old, which is what @slot holds but for what hardware sets meanwhile, @off and @on. Returns
 * the entry as it is then, and in *old as it was just before.
 */
static inline quire_entry change_bits(_Atomic quire_entry *slot, quire_entry *old, quire_entry off,
				      quire_entry on)
{
	quire_entry new;

	/* Fails when hardware set a bit in between: then once more, with the bit. */
	do {
		new = (*old & ~off) | on;
		quire_assert(entry_is_mapped(*old) && entry_is_mapped(new));
	} while (!atomic_compare_exchange_weak_explicit(slot, old, new, memory_order_acq_rel,
							memory_order_relaxed));
	return new;
}

/* Before something is set in [va, end) of @table, whose lock the caller has: see cursor.c. */
void change_flush_owed(struct quire_cpu *cpu, struct quire_as *as, struct folio *table, quire_vaddr va,
		       quire_vaddr end);

/* @entries more entries map @folio. */
static inline void mapping_added(struct folio *folio, unsigned entries)
{
	/*
	 * Acquire pairs with the release below: who maps a page anew sees what the last one to unmap it noted
	 * in its flags.
	 */
	atomic_fetch_add_explicit(&folio->maps, (int32_t)entries, memory_order_acq_rel);
}

/* @old maps @folio no more: its dirty bit and its reference go where they belong. */
static inline void mapping_removed(struct folio *folio, quire_entry old, struct gather *gather)
{
	if ((old & ENTRY_DIRTY) && QUIRE_SAFEGUARD(dirty_mark))
		folio_set(folio, FOLIO_DIRTY);
	/* Release: whoever finds the page unmapped (acquire) finds the dirty mark. */
	atomic_fetch_sub_explicit(&folio->maps, 1, memory_order_acq_rel);
	gather_frame(gather, folio);
}

/*
 * Hide the entry under the cursor from hardware and flush it everywhere: what hardware set in it is final.
 * Returns it as it was. The table stays locked throughout.
 */
quire_entry change_hide(struct cursor *cursor);

#endif
