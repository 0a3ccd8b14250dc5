/*
 * mlock.c - keep pages in memory: mlock, mlock2, munlock, mlockall, munlockall.
 *
 * Rules: BASE-1 (RLIMIT_MEMLOCK, errno).
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"

static int lock_part(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, uint32_t flags)
{
	uint32_t old = vma->flags;
	int64_t pages = (int64_t)page_of(end - start);
	if (flags == old || (old & VMA_SPECIAL))
		return 0;
	int err = door_modify(door, vma, start, end, flags, &vma);
	if (err)
		return err;
	if (!(flags & VMA_LOCKED))
		pages = -pages;
	else if (old & VMA_LOCKED)
		pages = 0;
	mm_add(*door->cpu, door->mm, MM_LOCKED, pages);
	door_set_flags(door, vma, flags);
	return 0;
}

/* Give [start, end) the lock bits @bits, up to the first hole. */
static int lock_range(struct door *door, quire_vaddr start, quire_vaddr end, uint32_t bits)
{
	while (start < end) {
		struct vma *vma = door_find(door, start);
		if (!vma)
			return -QUIRE_ENOMEM;
		quire_vaddr part_end = min_u64(end, vma->rmap.end);
		int err = lock_part(door, vma, start, part_end, (vma->flags & ~VMA_LOCK_MASK) | bits);
		if (err)
			return err;
		start = part_end;
	}
	return 0;
}

static uint64_t locked_in(struct door *door, quire_vaddr start, quire_vaddr end)
{
	uint64_t pages = 0;
	for (struct vma *vma = door_meets(door, start, end); vma; vma = door_after(door, vma, end)) {
		if (vma->flags & VMA_LOCKED)
			pages += page_of(min_u64(end, vma->rmap.end) - max_u64(start, vma->rmap.start));
	}
	return pages;
}

/* To lock memory the space is held whole, and from then on always (mm.h). */

static int change_locks(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			uint32_t bits)
{
	struct door door;
	int err;
	door_close_whole(&door, cpu, mm);
	uint64_t locked = mm_total(mm, MM_LOCKED) + mm->lock_debt + page_of(end - start);
	bool lock = bits & VMA_LOCKED;
	if (lock && !mm_can_lock(mm))
		err = -QUIRE_EPERM;
	else if (lock && !mm->limits.may_lock_any && locked > page_of(mm->limits.memlock) &&
		 locked - locked_in(&door, start, end < start ? UINT64_MAX : end) >
			 page_of(mm->limits.memlock))
		err = -QUIRE_ENOMEM;
	else
		err = end < start ? -QUIRE_EINVAL : lock_range(&door, start, end, bits);
	mm_judge(mm);
	door_open(&door);
	return err;
}

/* mlock() says by other errors than a fault does why pages could not be brought in. */
static int populate_error(int err)
{
	if (err == -QUIRE_EFAULT)
		return -QUIRE_ENOMEM;
	return err == -QUIRE_ENOMEM ? -QUIRE_EAGAIN : err;
}

int quire_mlock(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		uint32_t flags)
{
	if (flags & ~(uint32_t)QUIRE_MLOCK_ONFAULT)
		return -QUIRE_EINVAL;
	quire_vaddr start = align_down(addr, QUIRE_PAGE_SIZE);
	quire_vaddr end = start + align_up(length + (addr - start), QUIRE_PAGE_SIZE);
	int err = change_locks(cpu, mm, start, end,
			       flags & QUIRE_MLOCK_ONFAULT ? VMA_LOCKED | VMA_LOCK_ON_FAULT : VMA_LOCKED);
	return err ? err : populate_error(populate(cpu, mm, start, end));
}

int quire_munlock(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length)
{
	quire_vaddr start = align_down(addr, QUIRE_PAGE_SIZE);
	return change_locks(cpu, mm, start, start + align_up(length + (addr - start), QUIRE_PAGE_SIZE), 0);
}

/* Every mapping there is; one that cannot be cut or merged for want of memory keeps what it had. */
static void lock_everything(struct door *door, uint32_t bits)
{
	struct vma *vma = vma_next(door->mm, 0);
	while (vma) {
		quire_vaddr end = vma->rmap.end;
		(void)lock_part(door, vma, vma->rmap.start, end, (vma->flags & ~VMA_LOCK_MASK) | bits);
		vma = vma_next(door->mm, end);
	}
}

static int lock_all(struct door *door, uint32_t flags)
{
	struct quire_mm *mm = door->mm;
	uint32_t bits = VMA_LOCKED | (flags & QUIRE_MCL_ONFAULT ? VMA_LOCK_ON_FAULT : 0);
	if (!mm_can_lock(mm))
		return -QUIRE_EPERM;
	if ((flags & QUIRE_MCL_CURRENT) && !mm->limits.may_lock_any &&
	    mm_total(mm, MM_MAPPED) > page_of(mm->limits.memlock))
		return -QUIRE_ENOMEM;
	mm->default_flags = (mm->default_flags & ~VMA_LOCK_MASK) | (flags & QUIRE_MCL_FUTURE ? bits : 0);
	if (flags & QUIRE_MCL_CURRENT)
		lock_everything(door, bits);
	return 0;
}

int quire_mlockall(struct quire_cpu **cpu, struct quire_mm *mm, uint32_t flags)
{
	if (!flags || (flags & ~(uint32_t)(QUIRE_MCL_CURRENT | QUIRE_MCL_FUTURE | QUIRE_MCL_ONFAULT)) ||
	    flags == QUIRE_MCL_ONFAULT)
		return -QUIRE_EINVAL;
	struct door door;
	door_close_whole(&door, cpu, mm);
	int err = lock_all(&door, flags);
	mm_judge(mm);
	door_open(&door);
	if (!err && (flags & QUIRE_MCL_CURRENT))
		populate_all(cpu, mm, 0, mm_end(mm));
	return err;
}

int quire_munlockall(struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	mm->default_flags &= ~VMA_LOCK_MASK;
	lock_everything(&door, 0);
	mm_judge(mm);
	door_open(&door);
	return 0;
}
