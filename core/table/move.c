/*
 * move.c - entries change their address (mremap).
 *
 * The page moves, and nothing is counted anew but where the tables count; its old address must be forgotten
 * before the new one can be taken apart:
 *
 *	move (this CPU)			truncate (another)			a third
 *	entry: old place -> new place
 *	...				clear the new place, flush it,		stores through the old place
 *					free the page				to the free page
 *	flush the old place: too late
 *
 * So the flush comes before the lock of the table that received the entry is released (CVE-2018-18281).
 *
 * Order:   two table locks of one level, see pair.c; the flush inside them, which waits for other CPUs but
 *          takes no lock.
 * Rules:   BASE-3, BASE-4, PIN-8.
 */
#include "move.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "change.h"
#include "pair.h"
#include "table.h"
#include "tlb.h"

/* All that both tables hold of the range, locked throughout. A huge leaf goes alone: see pair_open(). */
static void move_leaves(struct pair *pair)
{
	_Atomic quire_entry *from = pair->from.slot, *to = pair->to.slot;
	quire_vaddr size = cursor_size(&pair->from);
	unsigned slots = pair->from.level ? 1 : (unsigned)page_of(pair->stop - pair->at);
	unsigned moved = 0, last = 0;
	struct table_counts counts;

	for (unsigned i = 0; i < slots; i++) {
		/* Relaxed: but for hardware's bits it changes under the lock only. */
		if (!atomic_load_explicit(&from[i], memory_order_relaxed))
			continue;
		quire_assert(atomic_load_explicit(&to[i], memory_order_relaxed) == 0);
		/* Hardware's bits are final with the exchange: a later walker has none to set. */
		quire_entry entry = atomic_exchange_explicit(&from[i], 0, memory_order_acq_rel);
		/* Release: as in cursor_set(). */
		atomic_store_explicit(&to[i], entry, memory_order_release);
		moved++;
		last = i;
	}
	table_counts_of(pair->from_as->quire, pair->from.table, to, slots, moved, &counts);
	table_counts_out(pair->from.table, &counts);
	table_counts_in(pair->to.table, &counts);
	/* Also when hardware cannot use it now: see the head of cursor.c. */
	gather_range(pair->gather, pair->at, pair->at + (last + 1) * size);
	pair->at += slots * size;
}

/* What the gather owed before stays owed; what was moved since is flushed now. */
static void flush_moved(struct pair *pair, quire_vaddr start, quire_vaddr end)
{
	quire_vaddr moved_start = pair->gather->start, moved_end = pair->gather->end;

	if (!QUIRE_SAFEGUARD(mremap_flush)) {
		/* Later, by the gather's end, and without the others' knowing. */
		gather_settle(pair->gather);
		return;
	}
	if (moved_start < moved_end)
		tlb_flush(pair->cpu, pair->from_as, moved_start, moved_end);
	pair->gather->start = start;
	pair->gather->end = end;
}

/* One pair of tables: everything that both hold. */
static void move_tables(struct pair *pair)
{
	struct gather *gather = pair->gather;
	quire_vaddr owed_start = gather->start, owed_end = gather->end;

	gather->start = UINT64_MAX;
	gather->end = 0;
	move_leaves(pair);
	flush_moved(pair, owed_start, owed_end);
	pair_close(pair);
}

/* Only when all has moved: whoever has to move back finds every table that he needs. */
static void prune_source(struct pair *pair, quire_vaddr start)
{
	struct cursor cursor;

	cursor_begin(&cursor, pair->cpu, pair->from_as, start, pair->end, CURSOR_MM, pair->gather);
	while (cursor_next(&cursor))
		continue; /* nothing is left there */
	cursor_end(&cursor);
}

int table_move(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr from, quire_vaddr to,
	       quire_vaddr bytes, struct gather *gather, quire_vaddr *moved)
{
	struct pair pair = { .cpu = cpu, .from_as = as, .to_as = as, .gather = gather };
	int err;

	quire_assert(is_aligned(from | to | bytes, QUIRE_PAGE_SIZE));
	quire_assert(from + bytes <= to || to + bytes <= from);
	pair.at = from;
	pair.end = from + bytes;
	pair.offset = to - from;
	while (!(err = pair_open(&pair)))
		move_tables(&pair);
	*moved = pair.at - from;
	if (err != -QUIRE_ENOENT)
		return err;
	prune_source(&pair, from);
	return 0;
}
