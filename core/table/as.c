/*
 * as.c - an address space's beginning and end.
 *
 * Order:   as_destroy() sleeps; nobody else knows the address space any more, but for CPUs that still have
 *          its root loaded.
 * Rules:   BASE-3, BASE-4.
 */
#include "as.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "table.h"
#include "tlb.h"

int as_create(struct quire_cpu *cpu, struct quire_as *as)
{
	*as = (struct quire_as){ .quire = cpu->quire, .root = table_alloc(cpu) };
	if (!as->root)
		return -QUIRE_ENOMEM;
	as->root->table.level = QUIRE_LEVELS - 1;
	as->top = folio_memory(cpu->quire, as->root);
	/* From 1: a tag at generation 0 is behind every address space. */
	for (unsigned part = 0; part < QUIRE_AS_PARTS; part++)
		atomic_store_explicit(&as->part[part].generation, 1, memory_order_relaxed);
	as->id = atomic_fetch_add_explicit(&cpu->quire->tables->next_id, 1, memory_order_relaxed);
	return 0;
}

/* No CPU walks here any more and no descent comes by: tables go at once, lowest first. */
static void free_tree(struct quire_cpu *cpu, struct folio *table)
{
	for (unsigned i = 0; table->table.level > 0 && table->table.used && i < QUIRE_TABLE_ENTRIES; i++) {
		_Atomic quire_entry *slot = table_slot(cpu->quire, table, i);
		quire_entry entry = atomic_load_explicit(slot, memory_order_relaxed);
		if (!entry)
			continue;
		quire_assert(entry_is_table(entry));
		free_tree(cpu, folio_of(cpu->quire, entry_pfn(entry)));
		table->table.used--;
	}
	atomic_fetch_add_explicit(&cpu->tlb->tally.tables_freed, 1, memory_order_relaxed);
	table_free(cpu, table);
}

void as_destroy(struct quire_cpu **cpu, struct quire_as *as)
{
	quire_assert(!atomic_load_explicit(&as->notifiers, memory_order_relaxed));
	if (QUIRE_SAFEGUARD(exit_evict))
		tlb_evict(cpu, as);
	free_tree(*cpu, as->root);
	as->root = NULL;
}
