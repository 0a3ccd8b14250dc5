/*
 * table.c - table pages: allocation, links, counts; stocks of them.
 *
 * A table is one frame of kind TABLE. Its lock and its counts are in the frame's metadata; the frame holds
 * nothing but entries, since hardware reads it. Its life:
 *
 *	table_alloc --> table_link --> ... --> table_unlink --> flush --> grace period --> table_free
 *	 private	reachable		dead	  no walker	no descent
 *
 * Two kinds of visitor go down without a lock, and each needs its own farewell: CPUs' walkers, which may also
 * have cached the entry that leads here, are sent away by the flush (gather.c); descents of the core, which
 * are RCU readers, by the grace period. A descent that locks a table which died under its hands finds the
 * dead mark, and starts over.
 *
 * Order:   no locks taken here. An upper table's lock is outside a lower one's.
 * Rules:   BASE-2, BASE-3, BASE-4.
 */
#include "table.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "tlb.h"

struct folio *table_alloc(struct quire_cpu *cpu)
{
	struct folio *table = folio_alloc_zeroed(cpu, FOLIO_TABLE, 0);
	if (!table)
		return NULL;
	atomic_store_explicit(&table->table.lock.word, 0, memory_order_relaxed);
	table->table.level = 0;
	table->table.dead = false;
	table->table.owed = false;
	table->table.used = 0;
	for (unsigned kind = 0; kind < RSS_KINDS; kind++)
		table->table.rss[kind] = 0;
	table->table.shared = 0;
	table->table.pending = 0;
	table->table.quire = cpu->quire;
	table->table.rcu = (struct quire_rcu){ 0 };
	return table;
}

void table_free(struct quire_cpu *cpu, struct folio *table)
{
	quire_assert(table->table.used == 0);
	folio_put(cpu, table);
}

static void grace_period_over(struct quire_cpu *cpu, struct quire_rcu *head)
{
	table_free(cpu, container_of(head, struct folio, table.rcu));
}

void table_free_later(struct quire_cpu *cpu, struct folio *table)
{
	quire_assert(table->table.dead);
	atomic_fetch_add_explicit(&cpu->tlb->tally.tables_freed, 1, memory_order_relaxed);
	table->table.rcu.done = grace_period_over;
	if (QUIRE_SAFEGUARD(table_grace))
		quire_port_rcu_call(cpu, &table->table.rcu);
	else
		table_free(cpu, table);
}

void table_replace(struct quire *quire, struct folio *parent, unsigned index, struct folio *child)
{
	quire_assert(!parent->table.dead);
	child->table.level = (uint8_t)(parent->table.level - 1);
	/* There may have been a table here before, of whose pages a flush is owed. */
	child->table.owed = parent->table.owed;
	parent->table.used++;
	/*
	 * Release: the table is empty, or filled by a split, before anybody can walk into it. Pairs with the
	 * acquire in walk_down(), and with the order in which a CPU's walker reads an entry and then what it
	 * leads to.
	 */
	atomic_store_explicit(table_slot(quire, parent, index), entry_table(folio_pfn(quire, child)),
			      memory_order_release);
}

void table_link(struct quire *quire, struct folio *parent, unsigned index, struct folio *child)
{
	quire_assert(atomic_load_explicit(table_slot(quire, parent, index), memory_order_relaxed) == 0);
	table_replace(quire, parent, index, child);
}

void table_unlink(struct quire *quire, struct folio *parent, unsigned index, struct folio *child)
{
	quire_assert(child->table.used == 0 && !child->table.dead);
	child->table.dead = true;
	parent->table.owed = true;
	parent->table.used--;
	/*
	 * An exchange, because a walker may be setting the accessed bit. Release: who finds no table here,
	 * without a lock, finds the flush counted that its entries are owed (gather.c).
	 */
	atomic_exchange_explicit(table_slot(quire, parent, index), 0, memory_order_release);
}

/* ---- counts -------------------------------------------------------------------------------------------- */

struct folio *entry_folio(struct quire *quire, quire_entry entry)
{
	if (!entry_is_mapped(entry) || (entry & ENTRY_SPECIAL))
		return NULL;
	return folio_head(folio_of(quire, entry_pfn(entry)));
}

void table_counts_of(struct quire *quire, const struct folio *table, const _Atomic quire_entry *slots,
		     unsigned count, unsigned used, struct table_counts *counts)
{
	*counts = (struct table_counts){ .used = (uint16_t)used };
	for (unsigned kind = 0; used == table->table.used && kind < RSS_KINDS; kind++)
		counts->rss[kind] = table->table.rss[kind];
	for (unsigned i = 0; used != table->table.used && i < count; i++) {
		/* Relaxed: under the table's lock. */
		struct folio *folio = entry_folio(quire,
						  atomic_load_explicit(&slots[i], memory_order_relaxed));
		if (folio)
			counts->rss[folio_rss_kind(folio)]++;
	}
}

void table_counts_in(struct folio *table, const struct table_counts *counts)
{
	quire_assert(table->table.used + counts->used <= QUIRE_TABLE_ENTRIES);
	table->table.used += counts->used;
	for (unsigned kind = 0; kind < RSS_KINDS; kind++)
		table->table.rss[kind] += counts->rss[kind];
}

void table_counts_out(struct folio *table, const struct table_counts *counts)
{
	quire_assert(table->table.used >= counts->used);
	table->table.used -= counts->used;
	for (unsigned kind = 0; kind < RSS_KINDS; kind++) {
		quire_assert(table->table.rss[kind] >= counts->rss[kind]);
		table->table.rss[kind] -= counts->rss[kind];
	}
}

/* ---- stocks -------------------------------------------------------------------------------------------- */

static struct folio *stock_pop(struct table_stock *stock)
{
	struct folio *table = stock->tables;
	struct quire_rcu *next = table->table.rcu.next;

	stock->tables = next ? container_of(next, struct folio, table.rcu) : NULL;
	stock->count--;
	return table;
}

static void stock_push(struct table_stock *stock, struct folio *table)
{
	table->table.rcu.next = stock->tables ? &stock->tables->table.rcu : NULL;
	stock->tables = table;
	stock->count++;
}

int table_stock_fill(struct quire_cpu *cpu, struct table_stock *stock, unsigned count)
{
	unsigned before = stock->count;

	while (stock->count < count) {
		struct folio *table = table_alloc(cpu);
		if (!table) {
			while (stock->count > before)
				table_free(cpu, stock_pop(stock));
			return -QUIRE_ENOMEM;
		}
		stock_push(stock, table);
	}
	return 0;
}

void table_stock_drain(struct quire_cpu *cpu, struct table_stock *stock)
{
	while (stock->count)
		table_free(cpu, stock_pop(stock));
}

struct folio *table_take(struct quire_cpu *cpu, struct table_stock *stock)
{
	return stock && stock->count ? stock_pop(stock) : table_alloc(cpu);
}

void table_give_back(struct quire_cpu *cpu, struct table_stock *stock, struct folio *table)
{
	if (stock)
		stock_push(stock, table);
	else
		table_free(cpu, table);
}
