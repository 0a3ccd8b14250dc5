/*
 * cow.c - anonymous pages: the first touch, and the write that must copy or may reuse.
 *
 * Whether a page may be written in place rests on its exclusive mark alone, which says that no other mm's
 * entry leads to it (PIN-1). The mark is set when a page is born and cleared, under the leaf table's lock,
 * when fork shares it. Counts decide only one thing: a page without the mark whose one mapping and one
 * reference are the entry in our hands has no other owner left, and gets it back. That is sound because every
 * way to a further reference leads through an entry's table lock, and the only entry is ours; a reference
 * that somebody holds already, to read what was once shared, makes the count greater and so makes us copy
 * (CVE-2020-29374).
 *
 * Order:   what the gear holds > reverse-map locks (anon_prepare) > a leaf table's lock.
 * Rules:   BASE-1, BASE-3 (no two CPUs see two pages: cursor_replace), PIN-1.
 */
#include "fault.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

bool fault_get_fresh(struct fault *fault)
{
	if (!fault->fresh)
		fault->fresh = folio_alloc(*fault->cpu, FOLIO_ANON, 0);
	return fault->fresh != NULL;
}

struct folio *fault_take_fresh(struct fault *fault)
{
	struct folio *folio = fault->fresh;
	fault->fresh = NULL;
	folio->index = vma_index(fault->vma, fault->va);
	/* Found before the last look at the gate: see fault_prepare_anon(). */
	struct anon_vma *anon = QUIRE_SAFEGUARD(owner_early) ? fault->anon : vma_anon(fault->vma);
	atomic_store_explicit(&folio->owner, anon, memory_order_relaxed);
	folio_set(folio, FOLIO_EXCLUSIVE);
	return folio;
}

quire_entry fault_anon_bits(const struct fault *fault)
{
	quire_entry bits = vma_entry_bits(fault->is.flags, fault->vma->rmap.file);
	if ((fault->is.flags & VMA_WRITE) && (fault->flags & FAULT_WRITE))
		bits |= ENTRY_WRITE | ENTRY_DIRTY;
	return bits;
}

static quire_entry folio_entry(struct fault *fault, struct folio *folio, quire_entry bits)
{
	return entry_make(folio_pfn(fault->mm->quire, folio), bits);
}

/* Nothing is mapped at va in an anonymous mapping. */
static enum fault_step first_touch(struct fault *fault, struct cursor *cursor)
{
	struct fault_counts *counts = (*fault->cpu)->faults;
	if (fault->flags & FAULT_WRITE) {
		quire_entry bits = fault_anon_bits(fault);
		struct folio *folio = fault_take_fresh(fault);
		cursor_set(cursor, folio_entry(fault, folio, bits), folio);
		count(&counts->anon);
	} else {
		quire_entry bits = vma_entry_bits(fault->is.flags, NULL) | ENTRY_SPECIAL;
		cursor_set(cursor, entry_make(zero_page(fault->mm->quire), bits), NULL);
		count(&counts->zero);
	}
	cursor_close(cursor);
	return STEP_DONE;
}

/* What is mapped already may need no memory: look before any is taken. */
enum fault_step fault_anonymous(struct fault *fault)
{
	struct cursor cursor;
	if (!(fault->flags & FAULT_ABSENT)) {
		int err = fault_open(fault, &cursor, CURSOR_LOOK, NULL);
		if (err == -QUIRE_EAGAIN)
			return STEP_AGAIN;
		if (!err && cursor.entry)
			return fault_break_cow(fault, &cursor);
		if (!err)
			cursor_close(&cursor);
	}
	if (fault->flags & FAULT_WRITE) {
		enum fault_step step = fault_prepare_anon(fault);
		if (step != STEP_DONE)
			return step;
		if (!fault_get_fresh(fault))
			return STEP_NO_MEMORY;
		quire_port_zero(folio_memory(fault->mm->quire, fault->fresh), QUIRE_PAGE_SIZE);
	}
	int err = fault_open(fault, &cursor, CURSOR_FILL, NULL);
	if (err)
		return fault_open_failed(err);
	if (!cursor.entry || !QUIRE_SAFEGUARD(fill_recheck))
		return first_touch(fault, &cursor);
	return fault_break_cow(fault, &cursor);
}

/* Is this entry the page's only owner? Under the table lock, see the head comment. */
static bool is_sole_owner(const struct folio *folio)
{
	/* Acquire pairs with the release in folio_put(). */
	return (atomic_load_explicit(&folio->refs, memory_order_acquire) == 1 ||
		!QUIRE_SAFEGUARD(cow_refs)) &&
	       atomic_load_explicit(&folio->maps, memory_order_relaxed) == 1;
}

static enum fault_step reuse(struct fault *fault, struct cursor *cursor)
{
	if (fault->is.flags & VMA_WRITE)
		cursor_protect(cursor, 0, ENTRY_WRITE | ENTRY_DIRTY | ENTRY_ACCESSED);
	cursor_close(cursor);
	count(&(*fault->cpu)->faults->reuse);
	return STEP_DONE;
}

/*
 * Copy @old, which the entry @seen maps, with no table locked; then see whether the entry is still the same.
 * @old is referenced, or NULL for the zero page.
 */
static enum fault_step copy_and_replace(struct fault *fault, struct folio *old, quire_entry seen)
{
	struct quire *quire = fault->mm->quire;
	void *to = folio_memory(quire, fault->fresh);
	if (old)
		quire_port_copy(to, frame_memory(quire, entry_pfn(seen)), QUIRE_PAGE_SIZE);
	else
		quire_port_zero(to, QUIRE_PAGE_SIZE);

	enum fault_step step = STEP_AGAIN;
	struct gather gather;
	struct cursor cursor;
	if (fault->gear == GEAR_RCU)
		gather_begin_untold(&gather, &fault->mm->as, fault->va, fault->va + QUIRE_PAGE_SIZE);
	else
		gather_begin(fault->cpu, &gather, &fault->mm->as, fault->va, fault->va + QUIRE_PAGE_SIZE);
	if (!fault_open(fault, &cursor, CURSOR_MM, &gather)) {
		if ((entry_pfn(cursor.entry) == entry_pfn(seen) && entry_is_mapped(cursor.entry) &&
		     !entry_is_writable(cursor.entry)) ||
		    !QUIRE_SAFEGUARD(cow_recheck)) {
			quire_entry bits = fault_anon_bits(fault);
			struct folio *folio = fault_take_fresh(fault);
			cursor_replace(&cursor, folio_entry(fault, folio, bits), folio);
			count(&(*fault->cpu)->faults->cow);
			step = STEP_DONE;
		}
		cursor_close(&cursor);
	}
	gather_end(fault->cpu, &gather);
	if (old)
		folio_put(*fault->cpu, old);
	return step;
}

enum fault_step fault_break_cow(struct fault *fault, struct cursor *cursor)
{
	quire_entry seen = cursor->entry;
	quire_assert(cursor->level == 0);
	bool satisfied = !(fault->flags & FAULT_WRITE) || entry_is_writable(seen);
	if (satisfied) {
		cursor_protect(cursor, 0, ENTRY_ACCESSED);
		cursor_close(cursor);
		count(&(*fault->cpu)->faults->spurious);
		return STEP_DONE;
	}

	struct folio *old = entry_folio(fault->mm->quire, seen);
	if (old && old->kind == FOLIO_ANON) {
		if (folio_flags(old) & FOLIO_EXCLUSIVE)
			return reuse(fault, cursor);
		if (is_sole_owner(old)) {
			folio_set(old, FOLIO_EXCLUSIVE);
			return reuse(fault, cursor);
		}
	}
	if (old)
		folio_get(old);
	cursor_close(cursor);
	enum fault_step step = fault_prepare_anon(fault);
	if (step == STEP_DONE && !fault_get_fresh(fault))
		step = STEP_NO_MEMORY;
	if (step == STEP_DONE && as_has_notifiers(&fault->mm->as) && !fault_hold(fault)) /* they may sleep */
		step = STEP_AGAIN;
	if (step != STEP_DONE) {
		if (old)
			folio_put(*fault->cpu, old);
		return step;
	}
	return copy_and_replace(fault, old, seen);
}
