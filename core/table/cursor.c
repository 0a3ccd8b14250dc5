/*
 * cursor.c - the translation door: stands on entries, steps over ranges, changes what it stands on.
 *
 * A cursor holds the lock of the one table that it stands in, the leaf table as a rule, that of level 1 at a
 * huge leaf. What is under the lock changes by software only through it; hardware goes on setting accessed
 * and dirty bits, so every change here is one atomic read-modify-write, and what it returns is what hardware
 * left (PIN-8):
 *
 *	software		a CPU's walker		entry
 *	read entry: clean				P W -
 *				store: set dirty	P W D
 *	write 0						0	the page is dropped as clean, its store lost
 *	exchange 0 -> P W D				0	the folio becomes dirty
 *
 * Whose flush. An entry that hardware cannot use now may have been one that it could a moment ago, and the
 * flush for that may still be owed, by somebody else:
 *
 *	mprotect(NONE)			truncate			a CPU that runs
 *	entry: not for hardware
 *	unlock; flush later		clear the entry			translation in its TLB
 *					nothing to flush? free the page
 *									stores to the free page
 *	flush
 *
 * So whoever lets go of a page, or of its dirty bit, flushes for any entry that mapped it, whatever hardware
 * might have done with it. Only a change that keeps page and dirty bit looks at the entry
 * (entry_change_needs_flush()): such changes that could meet are kept apart by who may make them.
 *
 * Order:   one table lock, see walk.c. A flush inside it in cursor_replace() and, where one is
 *          owed, in cursor_set().
 * Rules:   BASE-2, BASE-3, BASE-4, PIN-8.
 */
#include "cursor.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "change.h"
#include "tlb.h"
#include "walk.h"

static quire_entry entry_now(const struct cursor *cursor, quire_vaddr va)
{
	/* Relaxed: but for hardware's bits it changes under the lock only. */
	return atomic_load_explicit(cursor->slots + table_index(va, cursor->level), memory_order_relaxed);
}

/* With no table. What says where it stands is set when it has one. */
static void begin(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as,
		  enum cursor_intent intent, struct gather *gather)
{
	cursor->cpu = cpu;
	cursor->as = as;
	cursor->gather = gather;
	cursor->intent = intent;
	cursor->table = NULL;
	cursor->level = 0;
	cursor->stop = 0;
	cursor->run = 0;
	cursor->entry = 0;
}

static void stand_on(struct cursor *cursor, quire_vaddr va, quire_entry entry)
{
	cursor->va = align_down(va, cursor_size(cursor));
	cursor->slot = cursor->slots + table_index(va, cursor->level);
	cursor->entry = entry;
}

/* ---- one address --------------------------------------------------------------------------------------- */

static int open_level(struct cursor *cursor, quire_vaddr va, unsigned level, struct table_stock *stock)
{
	struct walk walk;
	int err;

	quire_assert(va < QUIRE_LEVEL_SIZE(QUIRE_LEVELS));
	if (cursor->intent == CURSOR_FILL)
		err = walk_make(cursor->cpu, cursor->as, va, level, stock, &walk);
	else
		err = walk_lock(cursor->cpu, cursor->as, va, level, cursor->intent == CURSOR_LOOK, &walk);
	if (err)
		return err;
	change_table(cursor, &walk);
	stand_on(cursor, va, walk.entry);
	return 0;
}

int cursor_open(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va,
		enum cursor_intent intent, struct gather *gather, struct table_stock *stock)
{
	begin(cursor, cpu, as, intent, gather);
	return open_level(cursor, va, 0, stock);
}

int cursor_open_huge(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va,
		     struct gather *gather, struct table_stock *stock)
{
	begin(cursor, cpu, as, CURSOR_FILL, gather);
	return open_level(cursor, va, 1, stock);
}

bool cursor_move(struct cursor *cursor, quire_vaddr va)
{
	quire_vaddr span = table_span(cursor->level);

	if (align_down(va, span) != align_down(cursor->va, span))
		return false;
	stand_on(cursor, va, entry_now(cursor, va));
	return true;
}

void cursor_close(struct cursor *cursor)
{
	if (cursor->table)
		quire_spin_unlock(cursor->cpu, &cursor->table->table.lock);
	cursor->table = NULL;
}

/* ---- a range ------------------------------------------------------------------------------------------- */

void cursor_begin(struct cursor *cursor, struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start,
		  quire_vaddr end, enum cursor_intent intent, struct gather *gather)
{
	quire_assert(gather || intent == CURSOR_READ || intent == CURSOR_FILL);
	begin(cursor, cpu, as, intent, gather);
	cursor->end = end;
	/*
	 * Nothing lies between the end of user addresses and that of the last table: a range up to the one
	 * covers the other.
	 */
	if (end >= QUIRE_USER_END)
		cursor->end = align_up(end, QUIRE_LEVEL_SIZE(QUIRE_LEVELS - 1));
	cursor->va = start;
}

/* Unlock the table, and if the operation left it empty, take it out. */
static void step_out(struct cursor *cursor)
{
	bool empty = cursor->intent == CURSOR_MM && cursor->table->table.used == 0;

	cursor_close(cursor);
	if (empty)
		walk_prune(cursor->cpu, cursor->as, cursor->va, cursor->level, cursor->gather);
}

/*
 * Upper tables that were passed without a leaf found in them: a descent that made them and then had no memory
 * for the next left them so.
 */
struct passed_by {
	struct walk_passed passed;
	struct cursor *cursor;
};

static void passed_table(struct walk_passed *passed, quire_vaddr va, unsigned level)
{
	struct cursor *cursor = container_of(passed, struct passed_by, passed)->cursor;

	walk_prune(cursor->cpu, cursor->as, va, level, cursor->gather);
}

/* Lock the next table with leaves at *at or above. False when there is none. */
static bool step_in(struct cursor *cursor, quire_vaddr *at)
{
	struct passed_by by = { .passed.table = passed_table, .cursor = cursor };
	struct walk walk;

	if (walk_next(cursor->cpu, cursor->as, at, cursor->end, &walk,
		      cursor->intent == CURSOR_MM ? &by.passed : NULL))
		return false;
	change_table(cursor, &walk);
	cursor->va = align_down(*at, cursor_size(cursor));
	change_stop(cursor, *at);
	return true;
}

/*
 * Go on in the locked table from *at: true and standing on a leaf; or false, *at being where to look for the
 * next table.
 */
static bool scan(struct cursor *cursor, quire_vaddr *at)
{
	quire_vaddr size = cursor_size(cursor);

	if (!cursor->table->table.used) /* what it held has moved */
		*at = cursor->stop;
	for (; *at < cursor->stop; *at = align_down(*at, size) + size) {
		quire_entry entry = entry_now(cursor, *at);
		if (cursor->level > 0 && entry_is_table(entry))
			return false;
		if (!entry_is_mapped(entry))
			continue;
		stand_on(cursor, *at, entry);
		return true;
	}
	return false;
}

bool cursor_next_table(struct cursor *cursor)
{
	quire_vaddr at = cursor->table ? cursor->va + cursor_size(cursor) : cursor->va;
	if (cursor->table && cursor->gather && gather_is_full(cursor->gather)) {
		step_out(cursor);
		gather_flush(cursor->cpu, cursor->gather);
	}
	while (cursor->table || (at < cursor->end && step_in(cursor, &at))) {
		if (scan(cursor, &at))
			return true;
		step_out(cursor);
	}
	cursor->va = cursor->end;
	cursor->entry = 0;
	return false;
}

void cursor_end(struct cursor *cursor)
{
	if (cursor->table)
		step_out(cursor);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static void owe_flush(struct cursor *cursor)
{
	quire_assert(cursor->gather);
	gather_range(cursor->gather, cursor->va, cursor->va + cursor_size(cursor));
}

/*
 * VMA-4, VMA-7: what was here before may have been cleared by an operation that has not flushed yet.
 *
 *	madvise			a fault				a third CPU
 *	entry = 0; unlock
 *				set the new page; store to it
 *								loads from the old one, through its TLB
 *	flush
 *
 * Once the new page can be seen the old one must not be: so whoever sets an entry flushes for it first. The
 * table says whether anything was cleared in it, or in one that stood here before, since nobody owed a flush.
 */
void change_flush_owed(struct quire_cpu *cpu, struct quire_as *as, struct folio *table, quire_vaddr va,
		       quire_vaddr end)
{
	if (!table->table.owed)
		return;
	if (gather_owed(as, table, va))
		tlb_flush(cpu, as, va, end);
	else
		table->table.owed = false;
}

void cursor_set(struct cursor *cursor, quire_entry entry, struct folio *folio)
{
	quire_assert(entry_is_mapped(entry) && entry_now(cursor, cursor->va) == 0);
	quire_assert(folio == entry_folio(cursor->as->quire, entry));
	quire_assert(!(entry & ENTRY_HUGE) == (cursor->level == 0) && cursor->level <= 1);
	if (QUIRE_SAFEGUARD(set_flush))
		change_flush_owed(cursor->cpu, cursor->as, cursor->table, cursor->va,
				  cursor->va + cursor_size(cursor));
	if (folio)
		mapping_added(folio, 1);
	table_count_in(cursor->table, folio);
	/* Release: whoever reads the entry, a CPU's walker first of all, finds the page filled. */
	atomic_store_explicit(cursor->slot, entry, memory_order_release);
	cursor->entry = entry;
}

/* Its page's reference is the gather's now. When that stays full, cursor_next() flushes before it goes on. */
static inline void let_go(struct cursor *cursor, struct folio *folio, quire_entry old)
{
	if (!folio)
		return;
	mapping_removed(folio, old, cursor->gather);
	if (gather_is_full(cursor->gather) && !gather_grow(cursor->cpu, cursor->gather))
		cursor->run = 0;
}

/* Empty the slot and say what was there, in one step: what hardware sets in between would be lost (PIN-8). */
static quire_entry take_entry(_Atomic quire_entry *slot)
{
	/*
	 * Acquire and release: the page's contents, before, were ours to look at; its next use comes after.
	 */
	if (QUIRE_SAFEGUARD(clear_exchange))
		return atomic_exchange_explicit(slot, 0, memory_order_acq_rel);
	quire_entry old = atomic_load_explicit(slot, memory_order_acquire);
	atomic_store_explicit(slot, 0, memory_order_release);
	return old;
}

quire_entry cursor_clear(struct cursor *cursor)
{
	quire_entry old = take_entry(cursor->slot);

	quire_assert(entry_is_mapped(old) && !(cursor->level && entry_is_table(old)));
	struct folio *folio = entry_folio(cursor->as->quire, old);
	table_count_out(cursor->table, folio);
	let_go(cursor, folio, old);
	cursor->table->table.owed = true;
	if (QUIRE_SAFEGUARD(munmap_flush))
		owe_flush(cursor);
	cursor->entry = 0;
	return old;
}

quire_entry cursor_protect(struct cursor *cursor, quire_entry off, quire_entry on)
{
	quire_entry old = cursor->entry;

	quire_assert(!((off | on) & ~(ENTRY_PROT_MASK | ENTRY_ACCESSED | ENTRY_DIRTY)));
	quire_entry new = change_bits(cursor->slot, &old, off, on);

	/*
	 * A dirty bit taken away needs the flush too: a CPU that has the bit cached stores without setting it
	 * again. An accessed bit does not: at worst a use goes unnoticed.
	 */
	bool cleaned = (old & ~new &ENTRY_DIRTY) != 0;
	struct folio *folio = cleaned ? entry_folio(cursor->as->quire, old) : NULL;
	if (folio)
		folio_set(folio, FOLIO_DIRTY);
	if ((entry_change_needs_flush(old, new) && QUIRE_SAFEGUARD(protect_flush)) || cleaned)
		owe_flush(cursor);
	cursor->entry = new;
	return old;
}

/*
 * While the flush is under way the entry says: mapped, but not for hardware. Empty it must not be: a search
 * that goes over upper tables without their locks would pass a huge leaf by.
 */
quire_entry change_hide(struct cursor *cursor)
{
	_Atomic quire_entry *slot = cursor->slot;
	quire_entry old = atomic_load_explicit(slot, memory_order_relaxed);

	quire_assert(entry_is_mapped(old));
	/*
	 * One operation turns the one bit off and the other on, and returns hardware's bits, which are final
	 * now.
	 */
	if (entry_is_live(old) && QUIRE_SAFEGUARD(cow_hide))
		old = atomic_fetch_xor_explicit(slot, ENTRY_PRESENT | ENTRY_NONE, memory_order_acq_rel);
	if (QUIRE_SAFEGUARD(cow_flush) && QUIRE_SAFEGUARD(cow_flush_first))
		tlb_flush(cursor->cpu, cursor->as, cursor->va, cursor->va + cursor_size(cursor));
	return old;
}

void cursor_replace(struct cursor *cursor, quire_entry entry, struct folio *folio)
{
	quire_entry old = change_hide(cursor);

	quire_assert(entry_is_mapped(old) && entry_is_mapped(entry));
	quire_assert(folio == entry_folio(cursor->as->quire, entry));
	if (folio)
		mapping_added(folio, 1);
	struct folio *before = entry_folio(cursor->as->quire, old);
	table_count_out(cursor->table, before);
	table_count_in(cursor->table, folio);
	/* Release as in cursor_set(). */
	atomic_store_explicit(cursor->slot, entry, memory_order_release);
	let_go(cursor, before, old);
	if (!QUIRE_SAFEGUARD(cow_flush_first))
		owe_flush(cursor); /* when others have long written to the new page */
	cursor->entry = entry;
}
