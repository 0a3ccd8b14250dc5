/*
 * search.c - where a new mapping goes when the caller does not say: Linux's top-down search.
 *
 * A gap must keep its distance from a stack above it that may grow (QUIRE_STACK_GAP). Anonymous mappings that
 * are a multiple of a huge page long go to a multiple of one, if there is room, so that huge pages fit;
 * mappings of files with a store go where huge pages of the file would.
 *
 * MAP_32BIT looks upwards from 1 GiB. It takes a hint below that, but none that would end above 2 GiB.
 *
 * Rules:   BASE-1 (addresses are those that Linux chooses).
 */
#include "search.h"

#define NOWHERE UINT64_MAX
#define LOW_START 0x40000000ul /* where Linux puts MAP_32BIT */
#define LOW_END 0x80000000ul

static quire_vaddr space_end(const struct quire_mm *mm)
{
	return mm->layout.end;
}

/* Is [at, at + length) free, with the gap below a stack? @around is what is on both sides of @at. */
static bool is_clear(quire_vaddr at, quire_vaddr length, const struct vma_pair *around)
{
	return !around->after || vma_start_with_gap(around->after) >= at + length;
}

/* The highest address of a gap of @length in [low, high) that keeps clear of stacks. */
static quire_vaddr highest(struct quire_mm *mm, quire_vaddr low, quire_vaddr high, quire_vaddr length,
			   struct vma_pair *around)
{
	low = max_u64(low, mm->quire->config.mmap_min_addr);
	while (low < high && high - low >= length) {
		struct range_pair pair;
		quire_vaddr at = range_tree_gap_down(&mm->vmas, low, high, length, &pair);
		if (at == NOWHERE)
			return NOWHERE;
		*around = (struct vma_pair){ pair.prev, pair.next };
		if (is_clear(at, length, around))
			return at;
		high = vma_start_with_gap(around->after);
	}
	return NOWHERE;
}

static quire_vaddr lowest(struct quire_mm *mm, quire_vaddr low, quire_vaddr high, quire_vaddr length,
			  struct vma_pair *around)
{
	low = max_u64(low, mm->quire->config.mmap_min_addr);
	while (low < high && high - low >= length) {
		quire_vaddr at = range_tree_gap_up(&mm->vmas, low, high, length);
		if (at == NOWHERE)
			return NOWHERE;
		*around = vma_around(mm, at, at);
		if (is_clear(at, length, around))
			return at;
		low = around->after->rmap.end;
	}
	return NOWHERE;
}

/* Is [addr, addr + length) free, and below @end? */
static bool is_free(struct quire_mm *mm, quire_vaddr addr, quire_vaddr length, quire_vaddr end,
		    struct vma_pair *around)
{
	if (length > end || addr > end - length || addr < mm->quire->config.mmap_min_addr)
		return false;
	*around = vma_around(mm, addr, addr);
	return is_clear(addr, length, around);
}

static quire_vaddr search(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, unsigned how,
			  struct vma_pair *around)
{
	if (hint && is_free(mm, hint, length, how & SEARCH_LOW ? LOW_END : space_end(mm), around))
		return hint;
	if (how & SEARCH_LOW)
		return lowest(mm, LOW_START, LOW_END, length, around);
	quire_vaddr at = highest(mm, QUIRE_PAGE_SIZE, mm->layout.mmap_base, length, around);
	return at != NOWHERE ? at : lowest(mm, mm->layout.mmap_bottom, space_end(mm), length, around);
}

/* Look for more than is needed and take the part that is aligned as the offset is, at its end. */
static quire_vaddr search_huge(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, uint64_t offset,
			       unsigned how, struct vma_pair *around)
{
	quire_vaddr padded = length + QUIRE_HUGE_SIZE;
	uint64_t first = align_up(offset, QUIRE_HUGE_SIZE); /* the first huge page of the file that fits */
	if (offset + length <= first || offset + length - first < QUIRE_HUGE_SIZE || padded < length ||
	    offset + padded < offset)
		return NOWHERE;
	quire_vaddr at = search(mm, hint, padded, how, around);
	if (at == NOWHERE || (hint && at == hint))
		return at;
	quire_vaddr more = (offset - at) & (QUIRE_HUGE_SIZE - 1);
	return at + (more ? more : QUIRE_HUGE_SIZE);
}

static bool wants_huge(quire_vaddr hint, quire_vaddr length, unsigned how)
{
	if (how & SEARCH_STORE)
		return true;
	return !(how & SEARCH_MEMORY) && !hint && is_aligned(length, QUIRE_HUGE_SIZE);
}

int64_t search_unmapped(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, uint64_t offset,
			unsigned how, struct vma_pair *around)
{
	if (length > space_end(mm))
		return -QUIRE_ENOMEM;
	if (how & SEARCH_FIXED) {
		/* Linux takes such an address for an error's number, and returns it. */
		if (hint >= -(uint64_t)QUIRE_ERRNO_MAX)
			return (int64_t)hint;
		if (hint > space_end(mm) - length)
			return -QUIRE_ENOMEM;
		return is_aligned(hint, QUIRE_PAGE_SIZE) ? (int64_t)hint : -QUIRE_EINVAL;
	}
	quire_vaddr at = NOWHERE;
	hint = align_down(hint, QUIRE_PAGE_SIZE);
	if (wants_huge(hint, length, how))
		at = search_huge(mm, hint, length, offset, how, around);
	if (at == NOWHERE)
		at = search(mm, hint, length, how, around);
	return at == NOWHERE ? -QUIRE_ENOMEM : (int64_t)at;
}
