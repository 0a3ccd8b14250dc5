/*
 * protect.c - make the entries of a range say what their VMA says.
 *
 * A private page may be written at once only where it belongs to this mm alone; a shared one only where the
 * store need not hear of it. What is already writable and may stay so is left writable, or every mprotect
 * would cost a fault a page.
 *
 * Order:   the range is held > table locks.
 * Rules:   BASE-1, BASE-3, PIN-8 (dirty bits survive: the door's business).
 */
#include "protect.h"

/* ENTRY_WRITE where the page that @entry maps may be written at once, by a VMA that allows it; or 0. */
static quire_entry write_bit(const struct vma *vma, struct quire *quire, quire_entry entry)
{
	struct folio *folio = entry_folio(quire, entry);
	if (!folio)
		return 0;
	if (folio->kind == FOLIO_ANON) {
		bool own = !(vma->flags & VMA_MAY_SHARE) && (folio_flags(folio) & FOLIO_EXCLUSIVE);
		return own ? ENTRY_WRITE : 0;
	}
	return vma->flags & VMA_SHARED ? entry & ENTRY_WRITE : 0;
}

void protect_range(struct quire_cpu **cpu, struct vma *vma, quire_vaddr start, quire_vaddr end)
{
	struct quire *quire = vma->mm->quire;
	quire_entry vma_bits = vma_entry_bits(vma->flags, vma->rmap.file) & ENTRY_PROT_MASK;
	bool writable = (vma->flags & VMA_WRITE) && entry_is_live(vma_bits);
	struct gather gather;
	struct cursor cursor;
	gather_begin_alone(cpu, &gather, &vma->mm->as, start, end);
	cursor_begin(&cursor, *cpu, &vma->mm->as, start, end, CURSOR_MM, &gather);
	while (cursor_next(&cursor)) {
		quire_entry bits = vma_bits;
		if (writable)
			bits |= write_bit(vma, quire, cursor.entry);
		if ((cursor.entry & ENTRY_PROT_MASK) != bits)
			cursor_protect(&cursor, ENTRY_PROT_MASK & ~bits, bits);
	}
	cursor_end(&cursor);
	gather_end(cpu, &gather);
}
