/*
 * copy.c - maps in a child what its parent maps (fork).
 *
 * A private page that the parent may write is write-protected in both, and its exclusive mark goes: from here
 * on neither may write it in place. The child's entry is made while the parent's is locked, so nobody sees
 * the page with one owner too few. A shared page is mapped by both alike; one dirty bit for it is enough.
 *
 * Order:   two table locks of one level, see pair.c.
 * Rules:   BASE-1, BASE-3 (the flush comes before the parent's space is opened), PIN-1.
 */
#include "move.h"

#include "change.h"
#include "pair.h"

struct copy {
	struct quire *quire;
	bool private;
	bool protected;
	quire_vaddr first, last; /* of what was write-protected */
};

/* The parent's right to write goes. Returns the entry as it is then. */
static quire_entry protect(struct copy *copy, _Atomic quire_entry *slot, quire_entry entry, quire_vaddr va)
{
	quire_entry old = entry, new = change_bits(slot, &old, ENTRY_WRITE, 0);

	/* entry_change_needs_flush(), of a right to write that was there and goes */
	if (entry_is_live(old) && QUIRE_SAFEGUARD(protect_flush) && QUIRE_SAFEGUARD(fork_flush)) {
		copy->first = copy->protected ? copy->first : va;
		copy->last = va;
		copy->protected = true;
	}
	return new;
}

static void copy_leaf(struct copy *copy, _Atomic quire_entry *from, _Atomic quire_entry *to,
		      quire_entry entry, quire_vaddr va)
{
	struct folio *folio = entry_folio(copy->quire, entry);

	if (!copy->private)
		entry &= ~ENTRY_DIRTY;
	else if (entry & ENTRY_WRITE)
		entry = protect(copy, from, entry, va);
	if (folio) {
		if (folio->kind == FOLIO_ANON && QUIRE_SAFEGUARD(fork_exclusive))
			folio_clear(folio, FOLIO_EXCLUSIVE);
		folio_get(folio);
		mapping_added(folio, 1);
	}
	quire_assert(atomic_load_explicit(to, memory_order_relaxed) == 0);
	/* Release: as in cursor_set(). */
	atomic_store_explicit(to, entry, memory_order_release);
}

/* All that both tables hold of the range. A huge leaf goes alone: see pair_open(). */
static void copy_leaves(struct copy *copy, struct pair *pair)
{
	_Atomic quire_entry *from = pair->from.slot, *to = pair->to.slot;
	quire_vaddr size = cursor_size(&pair->from);
	unsigned slots = pair->from.level ? 1 : (unsigned)page_of(pair->stop - pair->at);
	struct table_counts counts;
	unsigned copied = 0;

	copy->protected = false;
	if (QUIRE_SAFEGUARD(set_flush))
		change_flush_owed(pair->cpu, pair->to_as, pair->to.table, pair->to.va,
				  pair->to.va + slots * size);
	for (unsigned i = 0; i < slots; i++, pair->at += size) {
		/* Relaxed: but for hardware's bits it changes under the lock only. */
		quire_entry entry = atomic_load_explicit(&from[i], memory_order_relaxed);
		if (!entry)
			continue;
		copy_leaf(copy, &from[i], &to[i], entry, pair->at);
		copied++;
	}
	table_counts_of(copy->quire, pair->from.table, to, slots, copied, &counts);
	table_counts_in(pair->to.table, &counts);
	if (copy->protected)
		gather_range(pair->gather, copy->first, copy->last + size);
}

int table_copy(struct quire_cpu *cpu, struct quire_as *from, struct quire_as *to, quire_vaddr start,
	       quire_vaddr end, struct gather *gather, bool private)
{
	struct pair pair = {
		.cpu = cpu, .from_as = from, .to_as = to, .at = start, .end = end, .gather = gather
	};
	struct copy copy = { .quire = from->quire, .private = private };
	int err;

	while (!(err = pair_open(&pair))) {
		copy_leaves(&copy, &pair);
		pair_close(&pair);
	}
	return err == -QUIRE_ENOENT ? 0 : err;
}
