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

#include "gate.h"

#define NOWHERE UINT64_MAX
#define LOW_START 0x40000000ul /* where Linux puts MAP_32BIT */
#define LOW_END 0x80000000ul

static quire_vaddr load(_Atomic quire_vaddr *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static quire_vaddr with_gap(quire_vaddr start, uint32_t flags)
{
	quire_vaddr gap = flags & VMA_GROWSDOWN ? QUIRE_STACK_GAP * QUIRE_PAGE_SIZE : 0;
	return start > gap ? start - gap : 0;
}

quire_vaddr space_below(const struct range *range)
{
	struct vma_view view;
	vma_look(range->item, &view);
	return with_gap(range->start, view.flags);
}

/* Does nothing of @above, with the gap below a stack, come down to @end? */
static bool is_above(const struct range *above, quire_vaddr end)
{
	return !above->item || space_below(above) >= end;
}

/* Is [at, at + length) free, with that gap? *above is what is above it. */
static bool is_clear(struct quire_mm *mm, quire_vaddr at, quire_vaddr length, struct range *above)
{
	if (!range_tree_next(&mm->vmas, at, above))
		above->item = NULL;
	return is_above(above, at + length);
}

/* The highest address of a gap of @length in [low, high) that keeps clear of stacks. */
static quire_vaddr highest(struct quire_mm *mm, quire_vaddr low, quire_vaddr high, quire_vaddr length)
{
	low = max_u64(low, mm->quire->config.mmap_min_addr);
	while (low < high && high - low >= length) {
		struct range above;
		quire_vaddr at = range_tree_gap_down(&mm->vmas, low, high, length, &above);
		if (at == NOWHERE || is_above(&above, at + length))
			return at;
		high = min_u64(high - 1, space_below(&above));
	}
	return NOWHERE;
}

static quire_vaddr lowest(struct quire_mm *mm, quire_vaddr low, quire_vaddr high, quire_vaddr length)
{
	low = max_u64(low, mm->quire->config.mmap_min_addr);
	while (low < high && high - low >= length) {
		struct range above;
		quire_vaddr at = range_tree_gap_up(&mm->vmas, low, high, length);
		if (at == NOWHERE || is_clear(mm, at, length, &above))
			return at;
		low = above.end;
	}
	return NOWHERE;
}

/* Is [addr, addr + length) free, and below @end? */
static bool is_free(struct quire_mm *mm, quire_vaddr addr, quire_vaddr length, quire_vaddr end)
{
	struct range above;
	if (length > end || addr > end - length || addr < mm->quire->config.mmap_min_addr)
		return false;
	return is_clear(mm, addr, length, &above);
}

static quire_vaddr search(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, unsigned how)
{
	quire_vaddr end = mm_end(mm), low_end = min_u64(LOW_END, end);
	if (hint && is_free(mm, hint, length, how & SEARCH_LOW ? low_end : end))
		return hint;
	if (how & SEARCH_LOW)
		return lowest(mm, LOW_START, low_end, length);
	quire_vaddr at = highest(mm, QUIRE_PAGE_SIZE, load(&mm->mmap_base), length);
	return at != NOWHERE ? at : lowest(mm, load(&mm->mmap_bottom), end, length);
}

/* Look for more than is needed and take the part that is aligned as the offset is, at its end. */
static quire_vaddr search_huge(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, uint64_t offset,
			       unsigned how)
{
	quire_vaddr padded = length + QUIRE_HUGE_SIZE;
	uint64_t first = align_up(offset, QUIRE_HUGE_SIZE); /* the first huge page of the file that fits */
	if (offset + length <= first || offset + length - first < QUIRE_HUGE_SIZE || padded < length ||
	    offset + padded < offset)
		return NOWHERE;
	quire_vaddr at = search(mm, hint, padded, how);
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

static int64_t check_fixed(struct quire_mm *mm, quire_vaddr at, quire_vaddr length)
{
	/* Linux takes such an address for an error's number, and returns it. */
	if (at >= -(uint64_t)QUIRE_ERRNO_MAX)
		return (int64_t)at;
	if (at > mm_end(mm) - length)
		return -QUIRE_ENOMEM;
	return is_aligned(at, QUIRE_PAGE_SIZE) ? (int64_t)at : -QUIRE_EINVAL;
}

int64_t search_unmapped(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr hint, quire_vaddr length,
			uint64_t offset, unsigned how)
{
	if (length > mm_end(mm))
		return -QUIRE_ENOMEM;
	if (how & SEARCH_FIXED)
		return check_fixed(mm, hint, length);
	quire_vaddr at = NOWHERE;
	hint = align_down(hint, QUIRE_PAGE_SIZE);
	quire_port_rcu_lock(cpu);
	if (wants_huge(hint, length, how))
		at = search_huge(mm, hint, length, offset, how);
	if (at == NOWHERE)
		at = search(mm, hint, length, how);
	quire_port_rcu_unlock(cpu);
	return at == NOWHERE ? -QUIRE_ENOMEM : (int64_t)at;
}

bool search_is_clear(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr at, quire_vaddr length,
		     const struct vma *after)
{
	struct range above;
	if (after)
		return with_gap(after->rmap.start, after->flags) >= at + length;
	quire_port_rcu_lock(cpu);
	bool clear = is_clear(mm, at, length, &above);
	quire_port_rcu_unlock(cpu);
	return clear;
}
