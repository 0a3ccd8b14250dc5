/*
 * change.h - what the changes of cursor.c and split.c share.
 */
#ifndef QUIRE_TABLE_CHANGE_H
#define QUIRE_TABLE_CHANGE_H

#include "../base/safeguard.h"
#include "cursor.h"
#include "table.h"

/* @cursor is in @table, which is locked. */
static inline void change_table(struct cursor *cursor, struct folio *table, unsigned level)
{
	cursor->table = table;
	cursor->level = level;
	cursor->slots = table_slot(cursor->as->quire, table, 0);
}

/* Of the entry that it stands on. */
static inline _Atomic quire_entry *change_slot(const struct cursor *cursor)
{
	return cursor->slots + table_index(cursor->va, cursor->level);
}

/* @entries more entries map @folio. */
static inline void mapping_added(struct folio *folio, unsigned entries)
{
	/*
	 * Acquire pairs with the release below: who maps a page anew sees what the last one to unmap it noted
	 * in its flags.
	 */
	atomic_fetch_add_explicit(&folio->maps, (int32_t)entries, memory_order_acq_rel);
}

/* @old maps its page no more: its dirty bit and its reference go where they belong. */
static inline void mapping_removed(struct quire *quire, quire_entry old, struct gather *gather)
{
	struct folio *folio = entry_folio(quire, old);

	if (!folio)
		return;
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
