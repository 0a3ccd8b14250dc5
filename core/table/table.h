/*
 * table.h - table pages themselves: where an entry is, what a table counts, how one comes and goes.
 */
#ifndef QUIRE_TABLE_TABLE_H
#define QUIRE_TABLE_TABLE_H

#include "../base/assert.h"
#include "../base/bits.h"
#include "cursor.h"

static inline unsigned table_index(quire_vaddr va, unsigned level)
{
	return (unsigned)(va >> QUIRE_LEVEL_SHIFT(level)) & (QUIRE_TABLE_ENTRIES - 1);
}

/* Bytes that a table of @level covers. */
static inline quire_vaddr table_span(unsigned level)
{
	return QUIRE_LEVEL_SIZE(level + 1);
}

/*
 * Entries are atomic: hardware reads them and sets bits in them at any time, and software goes down through
 * them without a lock.
 */
static inline _Atomic quire_entry *table_slot(struct quire *quire, const struct folio *table, unsigned index)
{
	return (_Atomic quire_entry *)folio_memory(quire, table) + index;
}

/* A table with nothing in it, in no tree. NULL when memory is out. */
struct folio *table_alloc(struct quire_cpu *cpu);

/* A table that nobody else can reach any more, neither a CPU's walker nor a descent under RCU. */
void table_free(struct quire_cpu *cpu, struct folio *table);

/*
 * A table that no CPU's walker can reach any more: freed after a grace period, for descents that have seen
 * it.
 */
void table_free_later(struct quire_cpu *cpu, struct folio *table);

/* From @stock (NULL: none), else from the allocator; and an unused one back. */
struct folio *table_take(struct quire_cpu *cpu, struct table_stock *stock);
void table_give_back(struct quire_cpu *cpu, struct table_stock *stock, struct folio *table);

/*
 * Hang @child into slot @index of @parent, whose lock the caller has: the slot is empty, or (_replace) hidden
 * from hardware.
 */
void table_replace(struct quire *quire, struct folio *parent, unsigned index, struct folio *child);
void table_link(struct quire *quire, struct folio *parent, unsigned index, struct folio *child);

/* Both locks held: @child is empty and comes out of slot @index of @parent. */
void table_unlink(struct quire *quire, struct folio *parent, unsigned index, struct folio *child);

static inline enum rss_kind folio_rss_kind(const struct folio *folio)
{
	if (folio->kind == FOLIO_ANON)
		return RSS_ANON;
	return folio_flags(folio) & FOLIO_SHMEM ? RSS_SHMEM : RSS_FILE;
}

/* Its counts when an entry that maps @folio (NULL: SPECIAL) comes to it or leaves it. Under its lock. */
static inline void table_count_in(struct folio *table, const struct folio *folio)
{
	quire_assert(table->table.used < QUIRE_TABLE_ENTRIES);
	table->table.used++;
	if (folio)
		table->table.rss[folio_rss_kind(folio)]++;
}

static inline void table_count_out(struct folio *table, const struct folio *folio)
{
	quire_assert(table->table.used > 0);
	table->table.used--;
	if (!folio)
		return;
	quire_assert(table->table.rss[folio_rss_kind(folio)] > 0);
	table->table.rss[folio_rss_kind(folio)]--;
}

/* The same for many at a time. */
struct table_counts {
	uint16_t used, rss[RSS_KINDS];
};

/*
 * Of those @used entries among @slots that @table has, or had until now. Most often these are all of its
 * entries: then what they map is not looked at.
 */
void table_counts_of(struct quire *quire, const struct folio *table, const _Atomic quire_entry *slots,
		     unsigned count, unsigned used, struct table_counts *counts);
void table_counts_in(struct folio *table, const struct table_counts *counts);
void table_counts_out(struct folio *table, const struct table_counts *counts);

#endif
