/*
 * grow.c - stacks that grow downwards.
 *
 * Rules: BASE-1 (MAP_GROWSDOWN with its guard gap; RLIMIT_STACK).
 */
#include "grow.h"

#include "lineage.h"

/* Not closer than the gap to a mapping below that could be hit by running over. */
static bool keeps_gap(struct quire_mm *mm, const struct vma *vma, quire_vaddr va)
{
	struct vma *below = vma_prev(mm, vma->rmap.start);
	if (!below || (below->flags & VMA_GROWSDOWN) || !vma_is_accessible(below))
		return true;
	return va >= below->rmap.end && va - below->rmap.end >= QUIRE_STACK_GAP * QUIRE_PAGE_SIZE;
}

static int grow(struct door *door, struct vma *vma, quire_vaddr va)
{
	struct quire_mm *mm = door->mm;
	uint64_t pages = page_of(vma->rmap.start - va);
	uint64_t charge = vma->flags & VMA_ACCOUNT ? pages : 0;
	if (va < mm->quire->config.mmap_min_addr)
		return -QUIRE_EPERM;
	if (!keeps_gap(mm, vma, va))
		return -QUIRE_ENOMEM;
	door_shut(door, vma);
	/* Linux gives a growing stack its anon_vma at this point, which later merges depend on. */
	int err = vma_prepare_anon(door->cpu, vma);
	if (err)
		return err;
	if (pages > vma->rmap.pgoff || !mm_may_expand(mm, vma->flags, pages) ||
	    vma->rmap.end - va > mm->limits.stack || !mm_may_lock(mm, vma->flags, pages * QUIRE_PAGE_SIZE) ||
	    commit_charge(mm->quire, charge))
		return -QUIRE_ENOMEM;
	err = door_resize(door, vma, va, vma->rmap.end, vma->rmap.pgoff - pages);
	if (err) {
		commit_uncharge(mm->quire, charge);
		return err;
	}
	mm_account(mm, vma->flags, (int64_t)pages);
	if (vma->flags & VMA_LOCKED)
		mm->locked += pages;
	return 0;
}

int grow_stack(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va)
{
	struct door door;
	door_close(&door, cpu, mm);
	int err = -QUIRE_EFAULT;
	struct vma *vma = vma_next(mm, va);
	if (vma && vma->rmap.start <= va)
		err = 0;
	else if (vma && (vma->flags & VMA_GROWSDOWN))
		err = grow(&door, vma, va);
	door_open(&door);
	return err;
}
