/*
 * copy.c - fork's copy of one mapping's pages.
 *
 * A private page that the parent may write is write-protected in both, and its exclusive mark goes: from here
 * on neither may write it in place. The child's entry is made while the parent's is locked, so nobody sees
 * the page with one owner too few.
 *
 * Order:   both spaces closed > the parent's leaf table > the child's.
 * Rules:   BASE-1, BASE-3 (the parent's flush comes before its space is opened), PIN-1.
 */
#include "copy.h"

#include "../base/safeguard.h"
#include "../table/move.h"

struct page_copy {
	struct table_copy copy;
	bool private;
};

static int copy_entry(struct table_copy *copy, struct cursor *from, struct cursor *to)
{
	bool private = container_of(copy, struct page_copy, copy)->private;
	struct folio *folio = entry_folio(from->as->quire, from->entry);
	if (private && (from->entry & ENTRY_WRITE))
		cursor_protect(from, ENTRY_WRITE, 0);
	/* one dirty bit for a shared page is enough */
	quire_entry entry = private ? from->entry : from->entry & ~ENTRY_DIRTY;
	if (folio) {
		if (folio->kind == FOLIO_ANON && QUIRE_SAFEGUARD(fork_exclusive))
			folio_clear(folio, FOLIO_EXCLUSIVE);
		folio_get(folio);
	}
	cursor_set(to, entry, folio);
	return 0;
}

int copy_pages(struct quire_cpu *cpu, struct vma *vma, struct vma *child, struct gather *gather)
{
	struct page_copy copy = { { copy_entry }, vma_is_private(vma) };
	return table_copy(cpu, &vma->mm->as, &child->mm->as, vma->rmap.start, vma->rmap.end, gather,
			  &copy.copy);
}
