/*
 * move.h - entries that change their address (mremap) or are copied to a child (fork): two tables at once.
 */
#ifndef QUIRE_TABLE_MOVE_H
#define QUIRE_TABLE_MOVE_H

#include "cursor.h"

/*
 * Move the entries of [from, from + bytes) to the same offsets from @to, whose range is empty. The flush of
 * the old range is complete before the lock of any table that received an entry is released (CVE-2018-18281:
 * whoever finds the page at its new address and frees it must not leave a translation at the old one).
 * Page-table pages are made at the destination as needed: -ENOMEM after some were moved, with *moved telling
 * how many bytes are done; what was not moved is untouched. A call that moves them back needs none. @gather
 * covers the old range; when all is moved, a table of it left empty goes into it. Ranges may not overlap.
 * Does not sleep.
 */
int table_move(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr from, quire_vaddr to,
	       quire_vaddr bytes, struct gather *gather, quire_vaddr *moved);

/*
 * Map in @to whatever [start, end) of @from maps; nothing is mapped there yet. @private: what @from may write
 * it may not any more, nor may @to, and an anonymous page is nobody's own. Tables are made as needed. The
 * flush of @from is owed in @gather. 0 or -ENOMEM; what was copied stays copied. Does not sleep in between,
 * but unlocks between tables.
 */
int table_copy(struct quire_cpu *cpu, struct quire_as *from, struct quire_as *to, quire_vaddr start,
	       quire_vaddr end, struct gather *gather, bool private);

#endif
