/*
 * brk.c - move the end of the heap.
 *
 * Rules: BASE-1 (RLIMIT_DATA; the answer is the break, moved or not).
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../space/unmap.h"

static bool within_data_limit(const struct quire_mm *mm, quire_vaddr brk)
{
	const struct quire_layout *layout = &mm->layout;
	return mm->limits.data == QUIRE_UNLIMITED ||
	       brk - layout->brk_start + (layout->data_end - layout->data_start) <= mm->limits.data;
}

static bool shrink(struct door *door, quire_vaddr to, quire_vaddr from)
{
	struct vma *vma = vma_meets(door->mm, to, from);
	return vma && !unmap_range(door, to, from);
}

static bool room_above(struct quire_mm *mm, quire_vaddr from, quire_vaddr to)
{
	if (to > mm->layout.end)
		return false;
	struct vma *above = vma_next(mm, from);
	return !above || to + QUIRE_PAGE_SIZE <= vma_start_with_gap(above);
}

static bool grow(struct door *door, quire_vaddr from, quire_vaddr to)
{
	struct quire_mm *mm = door->mm;
	uint32_t flags = VMA_READ | VMA_WRITE | VMA_MAY_READ | VMA_MAY_WRITE | VMA_MAY_EXEC | VMA_ACCOUNT |
			 mm->default_flags;
	uint64_t pages = page_of(to - from);
	struct vma_new fresh = { .start = from, .end = to, .pgoff = page_of(from), .flags = flags };
	if (!mm_may_lock(mm, mm->default_flags, to - from) || !room_above(mm, from, to) ||
	    !mm_may_expand(mm, flags, pages) || mm->vmas.count > mm->quire->config.max_map_count ||
	    commit_charge(mm->quire, pages))
		return false;
	if (!door_extend(door, &fresh)) {
		struct vma *vma = vma_create(*door->cpu, mm, from, to, flags, fresh.pgoff, NULL);
		if (!vma || door_link(door, vma, NULL)) {
			if (vma)
				list_add(&door->retired, &vma->rmap.chains);
			commit_uncharge(mm->quire, pages);
			return false;
		}
	}
	mm->mapped += pages;
	mm->data += pages;
	if (flags & VMA_LOCKED)
		mm->locked += pages;
	return true;
}

/* True when the break may be set to @brk. */
static bool move_break(struct door *door, quire_vaddr brk)
{
	struct quire_mm *mm = door->mm;
	if (brk < mm->layout.brk_start || !within_data_limit(mm, brk))
		return false;
	quire_vaddr from = align_up(mm->brk, QUIRE_PAGE_SIZE), to = align_up(brk, QUIRE_PAGE_SIZE);
	if (to == from)
		return true;
	if (brk <= mm->brk)
		return shrink(door, to, from);
	return to > from && grow(door, from, to);
}

quire_vaddr quire_brk(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr brk)
{
	struct door door;
	quire_vaddr populate_from = 0;
	door_close(&door, cpu, mm);
	quire_vaddr before = mm->brk;
	if (move_break(&door, brk)) {
		mm->brk = brk;
		if (brk > before && (mm->default_flags & VMA_LOCKED))
			populate_from = align_up(before, QUIRE_PAGE_SIZE);
	}
	quire_vaddr result = mm->brk;
	door_open(&door);
	if (populate_from)
		populate_all(cpu, mm, populate_from, align_up(brk, QUIRE_PAGE_SIZE));
	return result;
}
