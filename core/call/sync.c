/*
 * sync.c - msync and mincore: what is in memory, and what has reached the store.
 *
 * Rules: BASE-1, BASE-5 (a write error is reported once, to whoever asks).
 */
#include "../base/bits.h"
#include "../space/mm.h"
#include "../table/cursor.h"

/* A part of the range to write back, found while it is held and done when it is not. */
struct sync_part {
	quire_vaddr end;
	struct quire_file *file; /* referenced; NULL: nothing to write */
	uint64_t first, last;
	bool hole, busy;
};

static bool next_part(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		      uint32_t flags, struct sync_part *out)
{
	struct range_hold hold;
	struct vma *vma = mm_hold_next(cpu, mm, start, end, &hold);
	if (!vma)
		return false;
	*out = (struct sync_part){ .end = min_u64(end, vma->rmap.end), .hole = vma->rmap.start > start };
	out->busy = (flags & QUIRE_MS_INVALIDATE) && (vma->flags & VMA_LOCKED);
	if ((flags & QUIRE_MS_SYNC) && vma->rmap.file && (vma->flags & VMA_SHARED)) {
		out->file = quire_file_get(vma->rmap.file);
		out->first = rmap_index(&vma->rmap, max_u64(start, vma->rmap.start));
		out->last = rmap_index(&vma->rmap, out->end) - 1;
	}
	mm_hold_done(*cpu, mm, &hold);
	return true;
}

int quire_msync(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		uint32_t flags)
{
	uint32_t known = QUIRE_MS_ASYNC | QUIRE_MS_INVALIDATE | QUIRE_MS_SYNC;
	if ((flags & ~known) || !is_aligned(addr, QUIRE_PAGE_SIZE) ||
	    ((flags & QUIRE_MS_ASYNC) && (flags & QUIRE_MS_SYNC)))
		return -QUIRE_EINVAL;
	quire_vaddr end = addr + align_up(length, QUIRE_PAGE_SIZE);
	if (end < addr)
		return -QUIRE_ENOMEM;
	int hole = 0;
	while (addr < end) {
		struct sync_part part;
		if (!next_part(cpu, mm, addr, end, flags, &part))
			return -QUIRE_ENOMEM;
		if (part.hole)
			hole = -QUIRE_ENOMEM;
		int err = part.busy ? -QUIRE_EBUSY : 0;
		if (part.file) {
			if (!err)
				err = quire_file_sync(cpu, part.file, part.first, part.last);
			quire_file_put(cpu, part.file);
		}
		if (err)
			return err;
		addr = part.end;
	}
	return hole;
}

/* Resident: mapped here, or in the file's cache. */
static uint8_t is_resident(struct quire_cpu *cpu, struct vma *vma, quire_vaddr va)
{
	struct cursor cursor;
	bool mapped = false;
	if (!cursor_open(&cursor, cpu, &vma->mm->as, va, CURSOR_READ, NULL, NULL)) {
		mapped = entry_is_mapped(cursor.entry);
		cursor_close(&cursor);
	}
	return mapped ||
	       (vma->rmap.file && quire_file_cached(cpu, vma->rmap.file, rmap_index(&vma->rmap, va)));
}

/*
 * As on Linux a caller learns nothing of a cache that it could not write to: then everything is said to be
 * there.
 */
static bool may_ask(const struct vma *vma)
{
	return vma_is_anonymous(vma) || (vma->access & QUIRE_FILE_WRITE) ||
	       (vma->rmap.file->flags & QUIRE_FILE_WRITE);
}

int quire_mincore(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		  uint8_t *vec)
{
	if (!is_aligned(addr, QUIRE_PAGE_SIZE))
		return -QUIRE_EINVAL;
	quire_vaddr bytes = align_up(length, QUIRE_PAGE_SIZE);
	quire_vaddr space_end = mm_end(mm);
	if (addr > space_end || length > space_end - addr)
		return -QUIRE_ENOMEM;
	int err = 0;
	struct range_hold hold;
	mm_hold(cpu, mm, addr, addr + max_u64(bytes, 1), &hold);
	for (quire_vaddr va = addr; va < addr + bytes && !err; va += QUIRE_PAGE_SIZE) {
		struct vma *vma = range_hold_find(*cpu, &hold, va);
		if (!vma)
			err = -QUIRE_ENOMEM;
		else
			*vec++ = may_ask(vma) ? is_resident(*cpu, vma, va) : 1;
	}
	mm_hold_done(*cpu, mm, &hold);
	return err;
}
