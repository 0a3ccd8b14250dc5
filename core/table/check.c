/*
 * check.c - adds up the tables' counts, and holds them against the entries.
 *
 * Order:   one table's lock at a time, inside one RCU section, which keeps a table's frame a table while it
 *          is looked at.
 * Rules:   BASE-4.
 */
#include "as.h"

#include "table.h"

static quire_entry read_entry(struct quire *quire, struct folio *table, unsigned index)
{
	/* Acquire pairs with the release in table_replace(). */
	return atomic_load_explicit(table_slot(quire, table, index), memory_order_acquire);
}

/* The root's upper half is the machine's, which may keep its own entries there (quire_port_load_root()). */
static unsigned entries_of(const struct folio *table)
{
	bool root = table->table.level == QUIRE_LEVELS - 1;

	return root ? table_index(QUIRE_USER_END - 1, QUIRE_LEVELS - 1) + 1 : QUIRE_TABLE_ENTRIES;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

/* Under the table's lock. */
static void add_table(struct quire *quire, struct folio *table, struct as_counts *out)
{
	/* A huge leaf, in a table of level 1, is so many pages. */
	uint64_t pages = table->table.level ? QUIRE_HUGE_PAGES : 1;

	out->tables++;
	for (unsigned kind = 0; kind < RSS_KINDS; kind++)
		out->rss[kind] += table->table.rss[kind] * pages;
	unsigned left = table->table.used;
	for (unsigned i = 0; left && i < entries_of(table); i++) {
		quire_entry entry = read_entry(quire, table, i);
		if (!entry)
			continue;
		left--;
		if (table->table.level == 0 || !entry_is_table(entry))
			out->entries++;
	}
}

static void count_tree(struct quire_cpu *cpu, struct folio *table, struct as_counts *out)
{
	quire_spin_lock(cpu, &table->table.lock);
	bool dead = table->table.dead;
	if (!dead)
		add_table(cpu->quire, table, out);
	quire_spin_unlock(cpu, &table->table.lock);
	for (unsigned i = 0; !dead && table->table.level && i < entries_of(table); i++) {
		quire_entry entry = read_entry(cpu->quire, table, i);
		if (entry_is_table(entry))
			count_tree(cpu, folio_of(cpu->quire, entry_pfn(entry)), out);
	}
}

void as_counts(struct quire_cpu *cpu, struct quire_as *as, struct as_counts *out)
{
	*out = (struct as_counts){ 0 };
	quire_port_rcu_lock(cpu);
	count_tree(cpu, as->root, out);
	quire_port_rcu_unlock(cpu);
}

/* ---- checks -------------------------------------------------------------------------------------------- */

static const char *check_leaf(struct quire *quire, const struct folio *table, quire_entry entry,
			      unsigned rss[RSS_KINDS])
{
	if (!entry_is_mapped(entry))
		return "an entry is neither empty nor mapped";
	if ((entry & (ENTRY_PRESENT | ENTRY_NONE)) == (ENTRY_PRESENT | ENTRY_NONE))
		return "an entry is both present and PROT_NONE";
	if (!(entry & ENTRY_HUGE) != (table->table.level == 0))
		return "a leaf's size is not its level's";
	struct folio *folio = entry_folio(quire, entry);
	if (!folio)
		return NULL;
	if (folio->kind != FOLIO_ANON && folio->kind != FOLIO_FILE)
		return "an entry maps a frame that is no page";
	if (!atomic_load_explicit(&folio->refs, memory_order_relaxed))
		return "an entry maps a free page";
	if (atomic_load_explicit(&folio->maps, memory_order_relaxed) <= 0)
		return "a mapped page counts no mapping";
	rss[folio_rss_kind(folio)]++;
	return NULL;
}

static const char *check_child(const struct folio *table, const struct folio *child)
{
	if (child->kind != FOLIO_TABLE)
		return "an upper entry leads to a frame that is no table";
	if (child->table.level + 1 != table->table.level)
		return "a table hangs at another level than its own";
	return NULL;
}

static const char DEAD[] = "a dead table is in the tree";

/* Under the table's lock. */
static const char *check_table(struct quire *quire, struct folio *table)
{
	unsigned used = 0, rss[RSS_KINDS] = { 0 };
	const char *what = NULL;

	for (unsigned i = 0; !what && i < entries_of(table); i++) {
		quire_entry entry = read_entry(quire, table, i);
		if (!entry)
			continue;
		used++;
		if (table->table.level && entry_is_table(entry))
			what = check_child(table, folio_of(quire, entry_pfn(entry)));
		else
			what = check_leaf(quire, table, entry, rss);
	}
	if (what)
		return what;
	if (used != table->table.used)
		return "a table's count of entries is wrong";
	for (unsigned kind = 0; kind < RSS_KINDS; kind++) {
		if (rss[kind] != table->table.rss[kind])
			return "a table's RSS is wrong";
	}
	return NULL;
}

static const char *check_tree(struct quire_cpu *cpu, struct folio *table);

/* A table dies under its parent's lock, which also takes it out: who has that lock sees both or neither. */
static bool leads_to(struct quire_cpu *cpu, struct folio *parent, unsigned index, quire_entry entry)
{
	quire_spin_lock(cpu, &parent->table.lock);
	quire_entry now = read_entry(cpu->quire, parent, index);
	quire_spin_unlock(cpu, &parent->table.lock);
	return entry_is_table(now) && entry_pfn(now) == entry_pfn(entry);
}

static const char *check_below(struct quire_cpu *cpu, struct folio *table)
{
	const char *what = NULL;

	for (unsigned i = 0; !what && table->table.level && i < entries_of(table); i++) {
		quire_entry entry = read_entry(cpu->quire, table, i);
		if (!entry_is_table(entry))
			continue;
		what = check_tree(cpu, folio_of(cpu->quire, entry_pfn(entry)));
		if (what == DEAD && !leads_to(cpu, table, i, entry))
			what = NULL; /* it went meanwhile */
	}
	return what;
}

static const char *check_tree(struct quire_cpu *cpu, struct folio *table)
{
	quire_spin_lock(cpu, &table->table.lock);
	const char *what = table->table.dead ? DEAD : check_table(cpu->quire, table);
	quire_spin_unlock(cpu, &table->table.lock);
	return what ? what : check_below(cpu, table);
}

bool as_check(struct quire_cpu *cpu, struct quire_as *as, const char **what)
{
	quire_port_rcu_lock(cpu);
	*what = check_tree(cpu, as->root);
	quire_port_rcu_unlock(cpu);
	return !*what;
}
