/*
 * gather.c - carries out the flush that an operation owes, and only then lets go of frames and tables.
 *
 *	entry cleared --> range, frame, table into the gather --> ... --> flush --> frames put
 *									     --> grace period --> tables freed
 *
 * Secondary MMUs are told before the first entry changes and after the last flush. The list of notifiers is
 * read-locked from the beginning to the end: one that is registered in the middle of an operation would not
 * have been told of it, and would take a translation that is about to go (BASE-7). So registration waits for
 * the operations that are under way.
 *
 * Others' flushes. Two operations may meet in one range: one clears an entry, the other finds it clear and
 * has nothing to flush, yet must not return before the first one's flush. owing says, for each part of the
 * address space, whether somebody's is outstanding:
 *
 *	first					second
 *	lock the table				lock the table
 *	owing + 1, entry = 0			entry is 0
 *	unlock		(release)		unlock
 *	flush					owing != 0?	(a)
 *	owing - 1	(release)		flush the whole range
 *
 * Who saw the entry clear, under its table's lock, or its table gone, sees the count raised, or lowered after
 * the flush. It flushes itself then, rather than wait: so nobody waits for another operation. A page that
 * writeback finds unmapped, or read-only, is covered by the same: no CPU stores to it any more when it is
 * handed to the store, clean.
 *
 * Order:   gather_begin() and _end() sleep, with no spin lock held. gather_flush() under table locks or none.
 * Rules:   BASE-3, BASE-7.
 */
#include "gather.h"

#include "../base/assert.h"
#include "../base/bits.h"
#include "../base/object.h"
#include "../base/safeguard.h"
#include "notifier.h"
#include "table.h"
#include "tlb.h"

void gather_begin_untold(struct gather *gather, struct quire_as *as, quire_vaddr from, quire_vaddr to)
{
	gather->told = false;
	gather->as = as;
	gather->from = from;
	gather->to = to;
	gather->reach_from = from;
	gather->reach_to = to;
	gather->start = UINT64_MAX;
	gather->end = 0;
	gather->spare = NULL;
	gather->owes = 0;
	gather->owed_from = 0;
	gather->owed_to = 0;
	gather->tables = false;
	gather->frames = gather->few;
	gather->count = 0;
	gather->room = QUIRE_GATHER_FRAMES;
	gather->more = NULL;
	gather->dead = NULL;
}

void gather_begin(struct quire_cpu **cpu, struct gather *gather, struct quire_as *as, quire_vaddr from,
		  quire_vaddr to)
{
	gather_begin_untold(gather, as, from, to);
	gather->told = true;
	notifiers_start(cpu, as, from, to);
}

void gather_begin_alone(struct quire_cpu **cpu, struct gather *gather, struct quire_as *as, quire_vaddr from,
			quire_vaddr to)
{
	if (as_has_notifiers(as))
		gather_begin(cpu, gather, as, from, to);
	else
		gather_begin_untold(gather, as, from, to);
}

/* The parts that leaf tables of [start, end) belong to. */
static uint32_t parts_of(quire_vaddr start, quire_vaddr end)
{
	quire_vaddr first = start >> QUIRE_LEVEL_SHIFT(1), last = (end - 1) >> QUIRE_LEVEL_SHIFT(1);
	uint32_t parts = 1u << first % QUIRE_AS_PARTS;

	if (first == last) /* as most often */
		return parts;
	if (last - first + 1 >= QUIRE_AS_PARTS)
		return (1u << QUIRE_AS_PARTS) - 1;
	while (first++ < last)
		parts |= 1u << first % QUIRE_AS_PARTS;
	return parts;
}

static uint32_t parts_of_table(const struct folio *table, quire_vaddr va)
{
	quire_vaddr span = QUIRE_LEVEL_SIZE(table->table.level + 1), first = align_down(va, span);

	return parts_of(first, first + span);
}

static void owe(struct gather *gather, uint32_t parts)
{
	/* Relaxed: the table's lock, or the entry that led to a table taken out, publishes it. */
	for (uint32_t rest = parts & ~gather->owes; rest; rest &= rest - 1)
		atomic_fetch_add_explicit(&gather->as->part[lowest_bit(rest)].owing, 1,
					  memory_order_relaxed);
	gather->owes |= parts;
}

void gather_settle(struct gather *gather)
{
	if (!gather->owes)
		return;
	/*
	 * Release pairs with the acquire in others_owe(): who sees the count lowered comes after the flush.
	 */
	for (uint32_t rest = gather->owes; rest; rest &= rest - 1)
		atomic_fetch_sub_explicit(&gather->as->part[lowest_bit(rest)].owing, 1,
					  memory_order_release);
	gather->owes = 0;
	gather->owed_from = 0;
	gather->owed_to = 0;
}

/* Out of line: once for each table. */
static __attribute__((noinline, cold)) void owe_range(struct gather *gather, quire_vaddr start,
						      quire_vaddr end)
{
	owe(gather, parts_of(start, end));
	gather->owed_from = align_down(start, QUIRE_LEVEL_SIZE(1));
	gather->owed_to = gather->owed_from + QUIRE_LEVEL_SIZE(1);
}

void gather_range(struct gather *gather, quire_vaddr start, quire_vaddr end)
{
	if (start < gather->owed_from || end > gather->owed_to)
		owe_range(gather, start, end);
	gather->start = min_u64(gather->start, start);
	gather->end = max_u64(gather->end, end);
}

void gather_frame(struct gather *gather, struct folio *folio)
{
	quire_assert(!gather_is_full(gather));
	gather->frames[gather->count++] = folio;
}

/*
 * One page of what the table covered is enough: flushing it forgets the upper-level entries for its address,
 * and the only such entry that leads here is the one that this page's walk goes through. But the flush is
 * owed to whoever finds the table gone, at any address of its.
 */
void gather_table(struct gather *gather, struct folio *table, quire_vaddr va)
{
	quire_vaddr page = align_down(va, QUIRE_PAGE_SIZE);

	table->table.rcu.next = gather->dead ? &gather->dead->table.rcu : NULL;
	gather->dead = table;
	gather->tables = true;
	owe(gather, parts_of_table(table, va));
	gather_range(gather, page, page + QUIRE_PAGE_SIZE);
}

static void free_tables(struct quire_cpu *cpu, struct folio *table)
{
	while (table) {
		struct quire_rcu *next = table->table.rcu.next;
		table_free_later(cpu, table);
		table = next ? container_of(next, struct folio, table.rcu) : NULL;
	}
}

bool gather_grow(struct quire_cpu *cpu, struct gather *gather)
{
	if (gather->more)
		return false;
	gather->more = object_alloc_raw(cpu, sizeof(*gather->more));
	if (!gather->more)
		return false;
	gather->frames = gather->more->frames;
	gather->count = 0;
	gather->room = QUIRE_GATHER_MORE;
	return true;
}

static void put_all(struct quire_cpu *cpu, struct folio **frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		folio_put(cpu, frames[i]);
}

static void put_frames(struct quire_cpu *cpu, struct gather *gather)
{
	put_all(cpu, gather->frames, gather->count);
	gather->count = 0;
	if (!gather->more)
		return;
	put_all(cpu, gather->few, QUIRE_GATHER_FRAMES);
	object_free(cpu, gather->more, sizeof(*gather->more));
	gather->more = NULL;
	gather->frames = gather->few;
	gather->room = QUIRE_GATHER_FRAMES;
}

static void put_tables(struct quire_cpu *cpu, struct gather *gather)
{
	free_tables(cpu, gather->dead);
	gather->dead = NULL;
}

void gather_flush(struct quire_cpu *cpu, struct gather *gather)
{
	if (!QUIRE_SAFEGUARD(free_after_flush))
		put_frames(cpu, gather);
	if (!QUIRE_SAFEGUARD(table_after_flush))
		put_tables(cpu, gather);

	/*
	 * CVE-2025-22045: a flush of leaves alone leaves a lazy CPU where it can walk into a table that went.
	 */
	if (gather->tables && QUIRE_SAFEGUARD(table_flush))
		tlb_flush_tables(cpu, gather->as, gather->start, gather->end);
	else if (gather->start < gather->end)
		tlb_flush(cpu, gather->as, gather->start, gather->end);
	gather->start = UINT64_MAX;
	gather->end = 0;
	gather->tables = false;
	gather_settle(gather);

	put_frames(cpu, gather);
	put_tables(cpu, gather);
}

/* Acquire pairs with the release in gather_settle(). */
static uint32_t owing(struct quire_as *as, unsigned part)
{
	return atomic_load_explicit(&as->part[part].owing, memory_order_acquire);
}

bool gather_owed(struct quire_as *as, const struct folio *table, quire_vaddr va)
{
	uint32_t rest = parts_of_table(table, va);

	for (; rest; rest &= rest - 1)
		if (owing(as, lowest_bit(rest)))
			return true;
	return false;
}

/* (a) */
static bool others_owe(const struct gather *gather)
{
	uint32_t rest = parts_of(gather->from, gather->to);

	for (; rest; rest &= rest - 1) {
		unsigned part = lowest_bit(rest);
		if (owing(gather->as, part) > (gather->owes >> part & 1))
			return true;
	}
	return false;
}

void gather_end(struct quire_cpu **cpu, struct gather *gather)
{
	if (gather->from < gather->to && others_owe(gather) && QUIRE_SAFEGUARD(owed_flush))
		gather_range(gather, gather->from, gather->to);
	gather_flush(*cpu, gather);
	if (gather->told)
		notifiers_end(cpu, gather->as, gather->from, gather->to);
}
