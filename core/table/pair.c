/*
 * pair.c - opens two cursors together without a deadlock.
 *
 * Memory for the tables on the way comes first, with nothing locked. Then both paths are gone down again, and
 * the two tables at their ends locked in the order of their frame numbers: two such operations that meet, one
 * going each way, want them in one order. Both tables are of one level. If the shape has changed in between,
 * everything is let go and looked at anew.
 *
 * Order:   two table locks of one level, lower frame number first.
 */
#include "pair.h"

#include "../base/assert.h"
#include "change.h"
#include "walk.h"

static void unlock(struct quire_cpu *cpu, struct folio *table)
{
	quire_spin_unlock(cpu, &table->table.lock);
}

/* In order, each once. */
static void lock_two(struct pair *pair, struct folio *a, struct folio *b)
{
	struct quire *quire = pair->from_as->quire;
	struct folio *low = folio_pfn(quire, a) < folio_pfn(quire, b) ? a : b;
	struct folio *high = low == a ? b : a;

	quire_spin_lock(pair->cpu, &low->table.lock);
	if (high != low)
		quire_spin_lock(pair->cpu, &high->table.lock);
}

static void unlock_two(struct pair *pair, struct folio *a, struct folio *b)
{
	unlock(pair->cpu, a);
	if (b != a)
		unlock(pair->cpu, b);
}

static void stand(struct pair *pair, struct cursor *cursor, struct quire_as *as, const struct walk *walk,
		  quire_vaddr va)
{
	*cursor = (struct cursor){ .cpu = pair->cpu, .as = as };
	change_table(cursor, walk);
	cursor->intent = CURSOR_MM;
	cursor->gather = pair->gather;
	cursor->va = va;
	bool inside = cursor_move(cursor, va);
	quire_assert(inside);
	(void)inside;
}

/*
 * Lock both tables of @level; false, with nothing locked, when one is not there any more. Not before it is
 * let go does the read-side section end: a dead table is ours for no longer than that (see walk.c).
 */
static bool try_both(struct pair *pair, unsigned level)
{
	quire_vaddr from = pair->at, to = pair->at + pair->offset;
	struct walk a, b;

	quire_port_rcu_lock(pair->cpu);
	walk_down(pair->from_as, from, level, &a);
	walk_down(pair->to_as, to, level, &b);
	bool both = a.level == level && b.level == level;
	if (both) {
		lock_two(pair, a.table, b.table);
		both = !a.table->table.dead && !b.table->table.dead;
		if (!both)
			unlock_two(pair, a.table, b.table);
	}
	quire_port_rcu_unlock(pair->cpu);
	if (!both)
		return false;
	stand(pair, &pair->from, pair->from_as, &a, from);
	stand(pair, &pair->to, pair->to_as, &b, to);
	if (pair->to_as != pair->from_as)
		pair->to.gather = NULL;
	return true;
}

static quire_vaddr table_end(quire_vaddr va, unsigned level)
{
	return align_down(va, table_span(level)) + table_span(level);
}

/* Can the huge leaf at @at go as one? Not when a table is in its way. */
static bool fits_whole(const struct pair *pair, const struct walk *to)
{
	return is_aligned(pair->at | pair->offset, QUIRE_HUGE_SIZE) &&
	       pair->end - pair->at >= QUIRE_HUGE_SIZE && !entry_is_table(to->entry);
}

static int split_source(struct pair *pair)
{
	struct table_stock stock = { 0 };
	struct cursor cursor;

	int err = table_stock_fill(pair->cpu, &stock, 1);
	if (err)
		return err;
	if (!cursor_open(&cursor, pair->cpu, pair->from_as, pair->at, CURSOR_MM, pair->gather, NULL)) {
		if (cursor.level == 1)
			cursor_split(&cursor, &stock, pair->at);
		cursor_close(&cursor);
	}
	table_stock_drain(pair->cpu, &stock);
	return 0;
}

/* The next leaf's level, *at moved to where it, or its table, begins to matter. Nothing stays locked. */
static int find_source(struct pair *pair, unsigned *level)
{
	struct walk walk;

	for (;;) {
		int err = walk_next(pair->cpu, pair->from_as, &pair->at, pair->end, &walk, NULL);
		if (err)
			return err;
		*level = walk.level;
		bool empty = walk.table->table.used == 0;
		unlock(pair->cpu, walk.table);
		if (!empty)
			return 0;
		pair->at = min_u64(pair->end, table_end(pair->at, walk.level));
	}
}

/* The table at the other end. A source that is huge goes on to be split when its place cannot take it. */
static int make_destination(struct pair *pair, unsigned level, bool *whole)
{
	struct walk to;

	int err = walk_make(pair->cpu, pair->to_as, pair->at + pair->offset, level, NULL, &to);
	if (err)
		return err;
	*whole = level == 0 || fits_whole(pair, &to);
	quire_assert(level > 0 || to.level == 0);
	unlock(pair->cpu, to.table);
	return 0;
}

/* Go to the next leaf within the tables that are locked; false, @at past them, when there is none. */
static bool find_next(struct pair *pair)
{
	quire_assert(pair->from.level == 0);
	for (pair->at += QUIRE_PAGE_SIZE; pair->at < pair->stop; pair->at += QUIRE_PAGE_SIZE) {
		cursor_move(&pair->from, pair->at);
		if (entry_is_mapped(pair->from.entry)) {
			cursor_move(&pair->to, pair->at + pair->offset);
			return true;
		}
	}
	return false;
}

int pair_open(struct pair *pair)
{
	for (;;) {
		unsigned level;
		bool whole;
		int err = find_source(pair, &level);
		if (!err)
			err = make_destination(pair, level, &whole);
		if (!err && !whole)
			err = split_source(pair);
		if (err)
			return err;
		if (!whole || !try_both(pair, level))
			continue;

		quire_vaddr to_left = table_end(pair->to.va, level) - pair->to.va;
		pair->stop = min_u64(min_u64(pair->end, table_end(pair->at, level)), pair->at + to_left);
		if (level > 0 && (!entry_is_mapped(pair->from.entry) || entry_is_table(pair->from.entry) ||
				  entry_is_table(pair->to.entry))) {
			pair_close(pair);
			continue; /* it was split, or went, or a table came in its way */
		}
		if (entry_is_mapped(pair->from.entry) || find_next(pair))
			return 0;
		pair_close(pair);
	}
}

void pair_close(struct pair *pair)
{
	struct folio *from = pair->from.table, *to = pair->to.table;

	pair->from.table = pair->to.table = NULL;
	unlock_two(pair, from, to);
}
