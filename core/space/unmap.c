/*
 * unmap.c - taking mappings away.
 *
 *	cut at the ends		may fail
 *	reserve tree nodes	may fail; few, however many mappings go
 *	tell secondary MMUs, clear entries, flush, free the frames
 *	retire the VMAs		their reverse-map nodes stay until the entries are gone, so that truncate
 *				finds what is mapped
 *
 * Order:   the door is closed over the range.
 * Rules:   BASE-1, BASE-3, BASE-4, BASE-7.
 */
#include "unmap.h"

#include "../store/zap.h"

void unmap_sum(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end,
	       struct unmap_sums *out)
{
	*out = (struct unmap_sums){ 0 };
	for (struct vma *vma = first; vma; vma = door_after(door, vma, end)) {
		uint64_t pages = page_of(min_u64(end, vma->rmap.end) - max_u64(start, vma->rmap.start));
		out->pages += pages;
		if (vma->flags & VMA_ACCOUNT)
			out->accounted += pages;
	}
}

/*
 * Linux lets the count of maps pass its limit by one for a moment when an unmap cuts a hole, not when it
 * would stay past it.
 */
int unmap_cut(struct door *door, quire_vaddr start, quire_vaddr end, struct vma **out)
{
	struct quire_mm *mm = door->mm;
	struct vma *first = door_meets(door, start, end);
	*out = first;
	if (!first)
		return 0;
	if (first->rmap.start < start) {
		if (first->rmap.end > end && mm_maps(mm) >= mm->quire->config.max_map_count)
			return -QUIRE_ENOMEM;
		int err = door_split_below(door, first, start);
		if (err)
			return err;
	}
	struct vma *last = first->rmap.end < end ? door_find(door, end - 1) : first;
	if (last && last->rmap.end > end) {
		int err = door_split(door, last, end);
		if (err)
			return err;
	}
	return door_reserve(door, start);
}

/* The counts that go with a mapping. */
static void discount(struct quire_cpu *cpu, struct quire_mm *mm, const struct vma *vma)
{
	int64_t pages = (int64_t)vma_pages(vma);
	mm_account(cpu, mm, vma->flags, -pages);
	if (vma->flags & VMA_LOCKED)
		mm_add(cpu, mm, MM_LOCKED, -pages);
	if (vma->flags & VMA_ACCOUNT)
		commit_uncharge(cpu, (uint64_t)pages);
}

/* A table that is left empty goes, also where it covers other addresses on both sides; but one, to @spare. */
static void clear_range(struct door *door, quire_vaddr start, quire_vaddr end, struct table_spare *spare)
{
	struct gather gather;
	gather_begin_alone(door->cpu, &gather, &door->mm->as, start, end);
	gather.reach_from = 0;
	gather.reach_to = QUIRE_USER_END;
	gather.spare = spare;
	zap_range(*door->cpu, &door->mm->as, start, end, ZAP_ALL, CURSOR_MM, &gather, NULL);
	gather_end(door->cpu, &gather);
}

void unmap_cut_out(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end)
{
	if (!first)
		return;
	for (struct vma *vma = first; vma; vma = door_after(door, vma, end))
		door_shut(door, vma);
	clear_range(door, start, end, mm_spare(*door->cpu, door->mm));
	for (struct vma *vma = first; vma; vma = door_after(door, vma, end))
		discount(*door->cpu, door->mm, vma);
	door_unlink_range(door, first, start, end);
}

void unmap_all(struct door *door)
{
	for (struct vma *vma = vma_next(door->mm, 0); vma; vma = vma_next(door->mm, vma->rmap.end))
		door_shut(door, vma);
	clear_range(door, 0, QUIRE_USER_END, NULL);
	for (struct vma *vma = vma_next(door->mm, 0); vma; vma = vma_next(door->mm, vma->rmap.end))
		discount(*door->cpu, door->mm, vma);
	door_retire_all(door);
}

int unmap_range(struct door *door, quire_vaddr start, quire_vaddr end)
{
	struct vma *first;
	int err = unmap_cut(door, start, end, &first);
	if (err)
		return err;
	unmap_cut_out(door, first, start, end);
	return 0;
}

bool unmap_may_name(struct quire_mm *mm, quire_vaddr start, quire_vaddr length)
{
	quire_vaddr space_end = mm_end(mm);
	return is_aligned(start, QUIRE_PAGE_SIZE) && start <= space_end && length <= space_end - start &&
	       length;
}

int unmap_named(struct door *door, quire_vaddr start, quire_vaddr length)
{
	if (!unmap_may_name(door->mm, start, length))
		return -QUIRE_EINVAL;
	return unmap_range(door, start, start + align_up(length, QUIRE_PAGE_SIZE));
}
