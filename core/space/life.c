/*
 * life.c - address spaces come and go: creation, fork, the last reference.
 *
 * fork closes what it copies for the whole copy, so no fault changes a page that has been looked at, and
 * flushes before it opens it again: no CPU writes through an old translation to a page that the child now
 * shares.
 *
 * Order:   the parent's hold > the child's. The child is not known to anybody yet.
 * Rules:   BASE-1, BASE-4.
 */
#include "life.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "../table/move.h"
#include "unmap.h"

static void lay_out_whole(struct quire_mm *mm)
{
	struct quire_layout layout = {
		.mmap_base = QUIRE_USER_END,
		.mmap_bottom = align_down(QUIRE_USER_END / 3, QUIRE_PAGE_SIZE),
		.end = QUIRE_USER_END,
	};
	mm_lay_out(mm, &layout);
	mm->limits = (struct quire_limits){
		QUIRE_UNLIMITED, QUIRE_UNLIMITED, QUIRE_UNLIMITED, QUIRE_UNLIMITED, true, QUIRE_UNLIMITED
	};
}

int mm_create(struct quire_cpu **cpu, struct quire *quire, struct quire_mm **out)
{
	struct quire_mm *mm = object_alloc(*cpu, sizeof(*mm));
	if (!mm)
		return -QUIRE_ENOMEM;
	mm->quire = quire;
	atomic_store_explicit(&mm->refs, 1, memory_order_relaxed);
	lay_out_whole(mm);
	int err = as_create(*cpu, &mm->as);
	if (!err) {
		err = range_tree_init(*cpu, &mm->vmas);
		if (!err) {
			*out = mm;
			return 0;
		}
		as_destroy(cpu, &mm->as);
	}
	object_free(*cpu, mm, sizeof(*mm));
	return err;
}

int quire_mm_create(struct quire_cpu **cpu, struct quire_mm **out)
{
	return mm_create(cpu, (*cpu)->quire, out);
}

struct quire_mm *quire_mm_get(struct quire_mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
	return mm;
}

void quire_mm_put(struct quire_cpu **cpu, struct quire_mm *mm)
{
	/* Release: what this user did; acquire, by the last one: what all others did. */
	if (atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) != 1)
		return;
	struct door door;
	door_close_whole(&door, cpu, mm);
	as_notifiers_release(cpu, &mm->as);
	unmap_all(&door);
	door_end(&door);
	for (unsigned which = 0; which < MM_SUMS; which++)
		quire_assert(mm_total(mm, which) == 0);
	as_destroy(cpu, &mm->as);
	object_free(*cpu, mm, sizeof(*mm));
}

/* The child's copy of one VMA: linked, its pages not yet there. It counts for nothing before it is linked. */
static int copy_vma(struct door *child, struct vma *vma, struct vma **out)
{
	uint32_t flags = vma->flags & ~VMA_LOCK_MASK;
	uint64_t charge = flags & VMA_ACCOUNT ? vma_pages(vma) : 0;
	if (commit_charge(*child->cpu, charge))
		return -QUIRE_ENOMEM;
	struct vma *copy = vma_create(*child->cpu, child->mm, vma->rmap.start, vma->rmap.end, flags,
				      vma->rmap.pgoff, vma->rmap.file);
	if (!copy) {
		commit_uncharge(*child->cpu, charge);
		return -QUIRE_ENOMEM;
	}
	copy->access = vma->access;
	copy->opened = vma->opened;
	int err = door_link(child, copy, NULL);
	if (err) {
		list_add(&child->retired, &copy->rmap.chains);
		commit_uncharge(*child->cpu, charge);
		return err;
	}
	mm_account(*child->cpu, child->mm, flags, (int64_t)vma_pages(copy));
	*out = copy;
	return 0;
}

static int fork_vma(struct door *child, struct vma *vma, struct gather *gather)
{
	struct vma *copy;
	if (vma->flags & VMA_DONT_FORK)
		return 0;
	int err = copy_vma(child, vma, &copy);
	if (err || (vma->flags & VMA_WIPE_ON_FORK) || !vma_anon(vma))
		return err;
	err = anon_fork(child->cpu, &copy->rmap, &vma->rmap);
	if (err)
		return err;
	return table_copy(*child->cpu, &vma->mm->as, &copy->mm->as, vma->rmap.start, vma->rmap.end, gather,
			  vma_is_private(vma));
}

static int fork_vmas(struct door *parent, struct door *child)
{
	int err = 0;
	struct quire_mm *mm = parent->mm;
	struct gather gather;
	for (struct vma *vma = vma_next(mm, 0); vma; vma = vma_next(mm, vma->rmap.end)) {
		if (!(vma->flags & VMA_DONT_FORK) && QUIRE_SAFEGUARD(fork_close))
			door_shut(parent, vma);
	}
	gather_begin_alone(child->cpu, &gather, &mm->as, 0, QUIRE_USER_END);
	for (struct vma *vma = vma_next(mm, 0); vma && !err; vma = vma_next(mm, vma->rmap.end))
		err = fork_vma(child, vma, &gather);
	gather_end(child->cpu, &gather);
	return err;
}

int mm_fork(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm **out)
{
	struct quire_mm *copy;
	int err = mm_create(cpu, mm->quire, &copy);
	if (err)
		return err;
	struct door parent, child;
	door_close_whole(&parent, cpu, mm);
	door_close_whole(&child, cpu, copy);
	mm_lay_out(copy, &mm->layout);
	copy->limits = mm->limits;
	mm_set_brk(copy, mm_brk(mm));
	mm_judge(copy);
	err = fork_vmas(&parent, &child);
	door_open(&child);
	door_open(&parent);
	if (err)
		quire_mm_put(cpu, copy);
	else
		*out = copy;
	return err;
}
