/*
 * lineage.c - which anon_vma a VMA's new pages belong to.
 *
 * Two VMAs with different anon_vmas never merge. A program that makes parts of a mapping read-only, touches
 * them, and makes them equal again expects one mapping at the end; so a VMA at its first page takes the
 * anon_vma of a neighbour from which only protection tells it apart, if that one never went through a fork.
 *
 * Rules: BASE-1 (merge results are Linux's).
 */
#include "lineage.h"

static bool may_join(const struct vma *a, const struct vma *b)
{
	return a->rmap.end == b->rmap.start && a->rmap.file == b->rmap.file && a->opened == b->opened &&
	       !((a->flags ^ b->flags) & ~VMA_ACCESS) && b->rmap.pgoff == a->rmap.pgoff + vma_pages(a);
}

static struct anon_vma *lendable(const struct vma *vma)
{
	struct anon_vma *anon = vma_anon(vma);
	return anon && anon_is_single(&vma->rmap) ? anon : NULL;
}

int vma_prepare_anon(struct quire_cpu **cpu, struct vma *vma)
{
	if (vma_anon(vma))
		return 0;
	struct anon_vma *reuse = NULL;
	struct vma_pair around = vma_around(vma->mm, vma->rmap.start, vma->rmap.end);
	if (around.after && may_join(vma, around.after))
		reuse = lendable(around.after);
	if (!reuse && around.before && may_join(around.before, vma))
		reuse = lendable(around.before);
	return anon_prepare(cpu, &vma->rmap, reuse);
}
