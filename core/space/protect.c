/*
 * protect.c - make the entries of a range say what their VMA says.
 *
 * A private page may be written at once only where it belongs to this mm alone; a shared one only where the
 * store need not hear of it. What is already writable and may stay so is left writable, or every mprotect
 * would cost a fault a page.
 *
 * Order:   the door is closed > table locks.
 * Rules:   BASE-1, BASE-3, PIN-8 (dirty bits survive: the door's business).
 */
#include "protect.h"

/* @bits are those that the VMA gives to all of its entries. */
static quire_entry wanted_bits(const struct vma *vma, const struct cursor *cursor, quire_entry bits)
{
	if (!(vma->flags & VMA_WRITE) || !entry_is_live(bits))
		return bits;
	struct folio *folio = entry_folio(vma->mm->quire, cursor->entry);
	if (!folio)
		return bits;
	if (folio->kind == FOLIO_ANON) {
		if (!(vma->flags & VMA_MAY_SHARE) && (folio_flags(folio) & FOLIO_EXCLUSIVE))
			bits |= ENTRY_WRITE;
	} else if (vma->flags & VMA_SHARED) {
		bits |= cursor->entry & ENTRY_WRITE;
	}
	return bits;
}

void protect_range(struct quire_cpu **cpu, struct vma *vma, quire_vaddr start, quire_vaddr end)
{
	quire_entry vma_bits = vma_entry_bits(vma) & ENTRY_PROT_MASK;
	struct gather gather;
	struct cursor cursor;
	gather_begin(cpu, &gather, &vma->mm->as, start, end);
	cursor_begin(&cursor, *cpu, &vma->mm->as, start, end, CURSOR_MM, &gather);
	while (cursor_next(&cursor)) {
		quire_entry bits = wanted_bits(vma, &cursor, vma_bits);
		if ((cursor.entry & ENTRY_PROT_MASK) != bits)
			cursor_protect(&cursor, ENTRY_PROT_MASK & ~bits, bits);
	}
	cursor_end(&cursor);
	gather_end(cpu, &gather);
}
