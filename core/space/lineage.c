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

/* A VMA and what is known of it: plain where mm->lock is held, by a look where it is not. */
struct known {
	struct vma *vma;
	struct vma_view is;
};

static struct known known_plainly(struct vma *vma)
{
	struct known known = { .vma = vma };
	if (vma)
		known.is = (struct vma_view){ 0, vma->rmap.start, vma->rmap.end, vma->flags };
	return known;
}

/* The base being the same, the pages of the one go on where those of the other end. */
static bool may_join(const struct known *a, const struct known *b)
{
	return a->vma && b->vma && a->is.end == b->is.start && a->vma->rmap.file == b->vma->rmap.file &&
	       a->vma->opened == b->vma->opened && a->vma->base == b->vma->base &&
	       !((a->is.flags ^ b->is.flags) & ~VMA_ACCESS);
}

static struct anon_vma *lendable(const struct known *known)
{
	struct anon_vma *anon = vma_anon(known->vma);
	return anon && anon_is_single(&known->vma->rmap) ? anon : NULL;
}

int vma_prepare_anon(struct quire_cpu **cpu, struct vma *vma)
{
	struct anon_vma *reuse = NULL;
	if (vma_anon(vma))
		return 0;
	struct vma_pair around = vma_around(vma->mm, vma->rmap.start, vma->rmap.end);
	struct known own = known_plainly(vma), before = known_plainly(around.before),
		     after = known_plainly(around.after);
	if (may_join(&own, &after))
		reuse = lendable(&after);
	if (!reuse && may_join(&before, &own))
		reuse = lendable(&before);
	return anon_prepare(cpu, &vma->rmap, reuse);
}

/* Of a neighbour that may lend its anon_vma: used, so that it keeps it. Its anon_vma, or NULL: not used. */
static struct anon_vma *borrow(const struct known *lender)
{
	if (!lendable(lender) || !vma_enter(lender->vma, &lender->is))
		return NULL;
	return vma_anon(lender->vma);
}

/* A neighbour that somebody changes just now lends nothing: that change may as well have come first. */
static struct known known_by_look(struct vma *vma)
{
	struct known known = { .vma = vma };
	if (vma && !vma_look(vma, &known.is))
		known.vma = NULL;
	return known;
}

int vma_prepare_anon_in_use(struct quire_cpu **cpu, struct vma *vma)
{
	struct vma *lender = NULL;
	struct anon_vma *reuse = NULL;
	if (vma_anon(vma))
		return 0;
	quire_port_rcu_lock(*cpu);
	struct vma_pair around = vma_around(vma->mm, vma->rmap.start, vma->rmap.end);
	struct known own = known_plainly(vma), before = known_by_look(around.before),
		     after = known_by_look(around.after);
	if (may_join(&own, &after) && (reuse = borrow(&after)))
		lender = after.vma;
	if (!reuse && may_join(&before, &own) && (reuse = borrow(&before)))
		lender = before.vma;
	quire_port_rcu_unlock(*cpu);
	int err = anon_prepare(cpu, &vma->rmap, reuse);
	if (lender)
		vma_leave(*cpu, lender);
	return err;
}
