/*
 * brk.c - move the end of the heap.
 *
 * Rules: BASE-1 (RLIMIT_DATA; the answer is the break, moved or not).
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../space/search.h"
#include "../space/unmap.h"

static bool within_data_limit(const struct quire_mm *mm, quire_vaddr brk)
{
	const struct quire_layout *layout = &mm->layout;
	return mm->limits.data == QUIRE_UNLIMITED ||
	       brk - layout->brk_start + (layout->data_end - layout->data_start) <= mm->limits.data;
}

static bool shrink(struct door *door, quire_vaddr to, quire_vaddr from)
{
	struct vma *vma = door_meets(door, to, from);
	return vma && !unmap_range(door, to, from);
}

/* A page more is kept free, and what a stack needs. That stack need not be held. */
static bool room_above(struct door *door, quire_vaddr from, quire_vaddr to)
{
	struct quire_mm *mm = door->mm;
	if (to > mm->layout.end || door_meets(door, from, to))
		return false;
	quire_port_rcu_lock(*door->cpu);
	struct range above;
	bool room = !range_tree_next(&mm->vmas, from, &above) || to + QUIRE_PAGE_SIZE <= space_below(&above);
	quire_port_rcu_unlock(*door->cpu);
	return room;
}

static bool grow(struct door *door, quire_vaddr from, quire_vaddr to)
{
	struct quire_mm *mm = door->mm;
	uint32_t flags = VMA_READ | VMA_WRITE | VMA_MAY_READ | VMA_MAY_WRITE | VMA_MAY_EXEC | VMA_ACCOUNT |
			 mm->default_flags;
	uint64_t pages = page_of(to - from);
	struct vma_new fresh = { .start = from, .end = to, .pgoff = page_of(from), .flags = flags };
	if (!mm_may_lock(mm, mm->default_flags, to - from) || !room_above(door, from, to) ||
	    !mm_may_expand(mm, flags, pages) || mm_maps(mm) > mm->quire->config.max_map_count ||
	    commit_charge(*door->cpu, pages))
		return false;
	if (!door_extend(door, &fresh)) {
		struct vma *vma = vma_create(*door->cpu, mm, from, to, flags, fresh.pgoff, NULL);
		if (!vma || door_link(door, vma, NULL)) {
			if (vma)
				list_add(&door->retired, &vma->rmap.chains);
			commit_uncharge(*door->cpu, pages);
			return false;
		}
	}
	mm_add(*door->cpu, mm, MM_MAPPED, (int64_t)pages);
	mm_add(*door->cpu, mm, MM_DATA, (int64_t)pages);
	if (flags & VMA_LOCKED)
		mm_add(*door->cpu, mm, MM_LOCKED, (int64_t)pages);
	return true;
}

/* True when the break may be set to @brk. */
static bool move_break(struct door *door, quire_vaddr brk)
{
	struct quire_mm *mm = door->mm;
	if (brk < mm->layout.brk_start || !within_data_limit(mm, brk))
		return false;
	quire_vaddr from = align_up(mm_brk(mm), QUIRE_PAGE_SIZE), to = align_up(brk, QUIRE_PAGE_SIZE);
	if (to == from)
		return true;
	if (brk <= mm_brk(mm))
		return shrink(door, to, from);
	return to > from && grow(door, from, to);
}

/*
 * Hold the heap, from its first page to past its end, as it is and as it is to be: so two calls at a time are
 * one after the other. Returns where it ends. The layout may be another one when it is held: then again.
 */
static quire_vaddr close_heap(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr brk)
{
	for (;;) {
		quire_vaddr heap = mm_heap(mm), now = mm_brk(mm);
		quire_vaddr begin = min_u64(heap, QUIRE_USER_END - QUIRE_PAGE_SIZE);
		quire_vaddr end = align_up(max_u64(now, brk), QUIRE_PAGE_SIZE);
		door_close(door, cpu, mm, begin, min_u64(max_u64(end, begin + 1), QUIRE_USER_END));
		if (mm_heap(mm) == heap && mm_brk(mm) == now)
			return now;
		door_open(door);
	}
}

quire_vaddr quire_brk(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr brk)
{
	struct door door;
	quire_vaddr populate_from = 0;
	quire_vaddr before = close_heap(&door, cpu, mm, brk);
	if (move_break(&door, brk)) {
		mm_set_brk(mm, brk);
		if (brk > before && (mm->default_flags & VMA_LOCKED))
			populate_from = align_up(before, QUIRE_PAGE_SIZE);
	}
	quire_vaddr result = mm_brk(mm);
	door_open(&door);
	if (populate_from)
		populate_all(cpu, mm, populate_from, align_up(brk, QUIRE_PAGE_SIZE));
	return result;
}
