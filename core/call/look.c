/*
 * look.c - what an address space looks like from outside: its maps, its entries, its counts; and whether they
 * agree.
 *
 * Rules: BASE-4.
 */
#include "../base/bits.h"
#include "../base/memory.h"
#include "../space/mm.h"
#include "../table/cursor.h"

static void describe(const struct quire_mm *mm, const struct vma *vma, struct quire_map_info *out)
{
	*out = (struct quire_map_info){
		.start = vma->rmap.start,
		.end = vma->rmap.end,
		.prot = vma->flags & VMA_ACCESS,
		.shared = (vma->flags & VMA_MAY_SHARE) != 0,
		.growsdown = (vma->flags & VMA_GROWSDOWN) != 0,
		.locked = (vma->flags & VMA_LOCKED) != 0,
		.heap = vma->rmap.start < mm_brk(mm) && vma->rmap.end > mm->layout.brk_start,
		.offset = vma->rmap.file ? vma->rmap.pgoff << QUIRE_PAGE_SHIFT : 0,
		.file = vma->rmap.file,
		.flags = vma->flags,
	};
}

int quire_map_next(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, struct quire_map_info *out)
{
	struct range_hold hold;
	struct vma *vma = mm_hold_next(cpu, mm, addr, UINT64_MAX, &hold);
	if (!vma)
		return -QUIRE_ENOENT;
	describe(mm, vma, out);
	mm_hold_done(*cpu, mm, &hold);
	return 0;
}

int quire_present(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		  uint8_t *vec)
{
	quire_vaddr space_end = mm_end(mm);
	if (!is_aligned(addr, QUIRE_PAGE_SIZE) || addr > space_end || length > space_end - addr)
		return -QUIRE_EINVAL;
	quire_vaddr end = addr + align_up(length, QUIRE_PAGE_SIZE);
	memset(vec, 0, page_of(end - addr));
	struct cursor cursor;
	cursor_begin(&cursor, *cpu, &mm->as, addr, end, CURSOR_READ, NULL);
	while (cursor_next(&cursor)) {
		quire_vaddr to = min_u64(end, cursor.va + cursor_size(&cursor));
		for (quire_vaddr va = max_u64(addr, cursor.va); va < to; va += QUIRE_PAGE_SIZE)
			vec[page_of(va - addr)] = 1;
	}
	cursor_end(&cursor);
	return 0;
}

void quire_mm_stats(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm_stats *out)
{
	struct as_counts counts;
	struct range_hold hold;
	mm_hold(cpu, mm, RANGE_ALL, &hold);
	as_counts(*cpu, &mm->as, &counts);
	*out = (struct quire_mm_stats){
		.rss_anon = counts.rss[RSS_ANON],
		.rss_file = counts.rss[RSS_FILE],
		.rss_shmem = counts.rss[RSS_SHMEM],
		.tables = counts.tables,
		.mapped = mm_total(mm, MM_MAPPED),
		.locked = mm_total(mm, MM_LOCKED),
		.data = mm_total(mm, MM_DATA),
		.stack = mm_total(mm, MM_STACK),
		.exec = mm_total(mm, MM_EXEC),
		.maps = mm_total(mm, MM_MAPS),
	};
	mm_hold_done(*cpu, mm, &hold);
}

/* What one VMA adds to the counts; NULL, or what is wrong with it. */
static const char *check_vma(const struct vma *vma, const struct range *range, struct quire_mm_stats *sums)
{
	if (vma->rmap.start != range->start || vma->rmap.end != range->end)
		return "a VMA's bounds differ from the tree's";
	if (vma->rmap.start >= vma->rmap.end || !is_aligned(vma->rmap.start | vma->rmap.end, QUIRE_PAGE_SIZE))
		return "a VMA's bounds are not a range of pages";
	uint64_t pages = vma_pages(vma);
	sums->mapped += pages;
	sums->maps++;
	if (vma->flags & VMA_LOCKED)
		sums->locked += pages;
	return NULL;
}

/* No entry lies outside every VMA or allows what its VMA does not. */
static const char *check_entries(struct quire_cpu *cpu, struct quire_mm *mm)
{
	const char *wrong = NULL;
	struct cursor cursor;
	cursor_begin(&cursor, cpu, &mm->as, 0, QUIRE_USER_END, CURSOR_READ, NULL);
	while (!wrong && cursor_next(&cursor)) {
		struct vma *vma = vma_find(mm, cursor.va);
		if (!vma)
			wrong = "an entry outside every VMA";
		else if (entry_is_writable(cursor.entry) && !(vma->flags & VMA_WRITE))
			wrong = "a writable entry in a VMA that is not";
		else if (entry_is_live(cursor.entry) && !vma_is_accessible(vma))
			wrong = "a live entry in a VMA without rights";
	}
	cursor_end(&cursor);
	return wrong;
}

static const char *check_space(struct quire_cpu *cpu, struct quire_mm *mm)
{
	struct quire_mm_stats sums = { 0 };
	const char *wrong;
	uint64_t maps;
	if (!range_tree_check(&mm->vmas, false, &wrong, &maps))
		return wrong;
	struct range range = { 0, 0, NULL };
	while (range_tree_next(&mm->vmas, range.end, &range)) {
		wrong = check_vma(range.item, &range, &sums);
		if (wrong)
			return wrong;
	}
	if (sums.mapped != mm_total(mm, MM_MAPPED) || sums.locked != mm_total(mm, MM_LOCKED) ||
	    sums.maps != maps || maps != mm_total(mm, MM_MAPS))
		return "the counts differ from the VMAs' sum";
	wrong = check_entries(cpu, mm);
	if (!wrong && !as_check(cpu, &mm->as, &wrong))
		return wrong;
	return wrong;
}

int quire_mm_check(struct quire_cpu **cpu, struct quire_mm *mm, const char **what)
{
	struct range_hold hold;
	mm_hold(cpu, mm, RANGE_ALL, &hold);
	*what = check_space(*cpu, mm);
	mm_hold_done(*cpu, mm, &hold);
	return *what ? -QUIRE_EIO : 0;
}
