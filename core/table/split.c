/*
 * split.c - one huge leaf becomes a table of small ones; the folio stays whole.
 *
 *	hide the leaf, flush it everywhere		no CPU has the large translation
 *	fill a table with small leaves, in private	same rights and bits
 *	put the table in the leaf's place		CPUs cache small translations
 *
 * The order is hardware's demand: a CPU that holds a large and a small translation of one address may stop,
 * or use either. It also makes the leaf's dirty bit final before it is copied.
 *
 * Order:   level 1's lock is held; the new table's inside it, which nobody else can want yet. Waits for other
 *          CPUs' flush.
 * Rules:   BASE-2, BASE-3, BASE-4.
 */
#include "cursor.h"

#include "../base/assert.h"
#include "change.h"
#include "table.h"

static void fill(struct quire *quire, struct folio *table, quire_entry old)
{
	quire_entry bits = old & ~(ENTRY_PFN_MASK | ENTRY_HUGE);
	struct folio *folio = entry_folio(quire, old);

	for (unsigned i = 0; i < QUIRE_TABLE_ENTRIES; i++) {
		/* Relaxed: private until the table is put in its place. */
		atomic_store_explicit(table_slot(quire, table, i), entry_make(entry_pfn(old) + i, bits),
				      memory_order_relaxed);
	}
	table->table.used = QUIRE_TABLE_ENTRIES;
	if (folio)
		table->table.rss[folio_rss_kind(folio)] = QUIRE_TABLE_ENTRIES;
}

void cursor_split(struct cursor *cursor, struct table_stock *stock, quire_vaddr va)
{
	struct quire *quire = cursor->as->quire;
	struct folio *upper = cursor->table;

	quire_assert(cursor->level == 1 && (cursor->entry & ENTRY_HUGE));
	quire_assert(align_down(va, QUIRE_HUGE_SIZE) == cursor->va);
	quire_assert(stock && stock->count);
	quire_entry old = change_hide(cursor);
	struct folio *table = table_take(cursor->cpu, stock);
	fill(quire, table, old);

	struct folio *folio = entry_folio(quire, old);
	if (folio) {
		/*
		 * One reference and one mapping are there already. Relaxed: the entry's reference keeps the
		 * folio.
		 */
		atomic_fetch_add_explicit(&folio->refs, QUIRE_HUGE_PAGES - 1, memory_order_relaxed);
		mapping_added(folio, QUIRE_HUGE_PAGES - 1);
	}

	table_count_out(upper, entry_folio(quire, old));
	unsigned index = table_index(cursor->va, 1);
	/*
	 * The lock word of the new table is taken before it can be found, and the cursor walks away with it.
	 */
	quire_spin_lock(cursor->cpu, &table->table.lock);
	table_replace(quire, upper, index, table);
	quire_spin_unlock(cursor->cpu, &upper->table.lock);
	change_table(cursor, &(struct walk){ .table = table, .slots = table_slot(quire, table, 0) });
	change_stop(cursor, va);
	cursor_move(cursor, va);
}
