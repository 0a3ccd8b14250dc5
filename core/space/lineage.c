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

#include "gate.h"

/* What does not change. The base being the same, the pages of the one go on where those of the other end. */
static bool is_alike(const struct vma *a, const struct vma *b)
{
	return a->base == b->base && a->rmap.file == b->rmap.file && a->opened == b->opened;
}

static bool may_join(const struct vma *a, const struct vma *b)
{
	return a->rmap.end == b->rmap.start && is_alike(a, b) && !((a->flags ^ b->flags) & ~VMA_ACCESS);
}

static struct anon_vma *lendable(const struct vma *vma)
{
	struct anon_vma *anon = vma_anon(vma);
	return anon && anon_is_single(&vma->rmap) ? anon : NULL;
}

int vma_prepare_anon(struct quire_cpu **cpu, struct vma *vma, struct vma_pair around)
{
	struct anon_vma *reuse = NULL;
	if (vma_anon(vma))
		return 0;
	if (around.after && may_join(vma, around.after))
		reuse = lendable(around.after);
	if (!reuse && around.before && may_join(around.before, vma))
		reuse = lendable(around.before);
	return anon_prepare(cpu, &vma->rmap, reuse);
}

/*
 * Under RCU: the anon_vma of a neighbour that could join @vma, and that is used from then on, so that it
 * keeps it; or NULL. *unclear: somebody changes the neighbour just now, and what it may lend shows when he
 * has done.
 */
static struct anon_vma *borrow(struct vma *lender, const struct vma *vma, bool *unclear)
{
	struct vma_view is;
	if (!lender || !is_alike(lender, vma))
		return NULL;
	if (!vma_look(lender, &is)) {
		*unclear = true;
		return NULL;
	}
	if ((is.start != vma->rmap.end && is.end != vma->rmap.start) ||
	    ((is.flags ^ vma->flags) & ~VMA_ACCESS) || !lendable(lender))
		return NULL;
	if (!vma_enter(lender, &is)) {
		*unclear = true;
		return NULL;
	}
	return vma_anon(lender);
}

int vma_prepare_anon_in_use(struct quire_cpu **cpu, struct vma *vma)
{
	if (vma_anon(vma))
		return 0;
	quire_port_rcu_lock(*cpu);
	struct vma_pair around = vma_around(vma->mm, vma->rmap.start, vma->rmap.end);
	struct vma *lender = around.after;
	bool unclear = false;
	struct anon_vma *reuse = borrow(lender, vma, &unclear);
	if (!reuse) {
		lender = around.before;
		reuse = borrow(lender, vma, &unclear);
	}
	quire_port_rcu_unlock(*cpu);
	if (unclear) {
		if (reuse)
			vma_leave(*cpu, lender);
		return -QUIRE_EAGAIN;
	}
	int err = anon_prepare(cpu, &vma->rmap, reuse);
	if (reuse)
		vma_leave(*cpu, lender);
	return err;
}
