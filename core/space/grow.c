/*
 * grow.c - stacks that grow downwards.
 *
 * Rules: BASE-1 (MAP_GROWSDOWN with its guard gap; RLIMIT_STACK).
 */
#include "grow.h"

#include "gate.h"
#include "lineage.h"

#define GAP (QUIRE_STACK_GAP * QUIRE_PAGE_SIZE)

/* Not closer than the gap to a mapping below that could be hit by running over. What is that near is held. */
static bool keeps_gap(struct door *door, const struct vma *vma, quire_vaddr va)
{
	struct vma *below = door_around(door, vma->rmap.start, vma->rmap.start).before;
	if (!below || (below->flags & VMA_GROWSDOWN) || !vma_is_accessible(below))
		return true;
	return va >= below->rmap.end && va - below->rmap.end >= GAP;
}

static int grow(struct door *door, struct vma *vma, quire_vaddr va)
{
	struct quire_mm *mm = door->mm;
	uint64_t pages = page_of(vma->rmap.start - va);
	uint64_t charge = vma->flags & VMA_ACCOUNT ? pages : 0;
	if (va < mm->quire->config.mmap_min_addr)
		return -QUIRE_EPERM;
	if (!keeps_gap(door, vma, va))
		return -QUIRE_ENOMEM;
	door_shut(door, vma);
	/* Linux gives a growing stack its anon_vma at this point, which later merges depend on. */
	int err = vma_prepare_anon(door->cpu, vma, door_around(door, vma->rmap.start, vma->rmap.end));
	if (err)
		return err;
	if (pages > vma->rmap.pgoff || !mm_may_expand(mm, vma->flags, pages) ||
	    vma->rmap.end - va > mm->limits.stack || !mm_may_lock(mm, vma->flags, pages * QUIRE_PAGE_SIZE) ||
	    commit_charge(*door->cpu, charge))
		return -QUIRE_ENOMEM;
	err = door_resize(door, vma, va, vma->rmap.end, vma->rmap.pgoff - pages);
	if (err) {
		commit_uncharge(*door->cpu, charge);
		return err;
	}
	mm_account(*door->cpu, mm, vma->flags, (int64_t)pages);
	if (vma->flags & VMA_LOCKED)
		mm_add(*door->cpu, mm, MM_LOCKED, (int64_t)pages);
	return 0;
}

/* -EAGAIN: what was above went before it was held. */
static int grow_next(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va)
{
	struct door door;
	struct range above;
	quire_port_rcu_lock(*cpu);
	bool found = range_tree_next(&mm->vmas, va, &above);
	quire_port_rcu_unlock(*cpu);
	if (!found)
		return -QUIRE_EFAULT;
	int err = -QUIRE_EFAULT;
	door_close(&door, cpu, mm, va > GAP ? va - GAP : 0, above.end);
	struct vma *vma = door_meets(&door, va, above.end);
	if (!vma)
		err = -QUIRE_EAGAIN;
	else if (vma->rmap.start <= va)
		err = 0;
	else if (vma->flags & VMA_GROWSDOWN)
		err = grow(&door, vma, va);
	door_open(&door);
	return err;
}

int grow_stack(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va)
{
	int err;
	do {
		err = grow_next(cpu, mm, va);
	} while (err == -QUIRE_EAGAIN);
	return err;
}
