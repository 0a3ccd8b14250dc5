/*
 * madvise.c - advice on a range.
 *
 *	flags of the mapping	NORMAL RANDOM SEQUENTIAL DONTFORK DOFORK DONTDUMP DODUMP
 *				WIPEONFORK KEEPONFORK NOHUGEPAGE
 *	pages thrown away	DONTNEED DONTNEED_LOCKED FREE REMOVE
 *	pages brought in	WILLNEED POPULATE_READ POPULATE_WRITE
 *
 * Linux goes on over holes and says ENOMEM at the end; it stops at the first mapping that refuses. COLD,
 * PAGEOUT, HUGEPAGE, COLLAPSE and merging of equal pages answer EINVAL, as a kernel does that was built
 * without them.
 *
 * Rules: BASE-1.
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../store/zap.h"

struct advice {
	int kind;
	struct quire_cpu **cpu;
	struct quire_mm *mm;
};

/* The flags that @kind leaves the mapping with, or an error. */
static int advised_flags(int kind, const struct vma *vma, uint32_t *flags)
{
	*flags = vma->flags;
	switch (kind) {
	case QUIRE_MADV_NORMAL:
		*flags &= ~(VMA_RANDOM | VMA_SEQUENTIAL);
		return 0;
	case QUIRE_MADV_RANDOM:
		*flags = (*flags & ~VMA_SEQUENTIAL) | VMA_RANDOM;
		return 0;
	case QUIRE_MADV_SEQUENTIAL:
		*flags = (*flags & ~VMA_RANDOM) | VMA_SEQUENTIAL;
		return 0;
	case QUIRE_MADV_DONTFORK:
		*flags |= VMA_DONT_FORK;
		return 0;
	case QUIRE_MADV_DOFORK:
		if (vma->flags & VMA_SPECIAL)
			return -QUIRE_EINVAL;
		*flags &= ~VMA_DONT_FORK;
		return 0;
	case QUIRE_MADV_WIPEONFORK:
		if (!vma_is_anonymous(vma) || (vma->flags & VMA_SHARED))
			return -QUIRE_EINVAL;
		*flags |= VMA_WIPE_ON_FORK;
		return 0;
	case QUIRE_MADV_KEEPONFORK:
		*flags &= ~VMA_WIPE_ON_FORK;
		return 0;
	case QUIRE_MADV_DONTDUMP:
		*flags |= VMA_DONT_DUMP;
		return 0;
	case QUIRE_MADV_DODUMP:
		if (vma->flags & VMA_SPECIAL)
			return -QUIRE_EINVAL;
		*flags &= ~VMA_DONT_DUMP;
		return 0;
	default:
		*flags |= VMA_NO_HUGE;
		return 0;
	}
}

static int change_part(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, int kind)
{
	uint32_t flags;
	int err = advised_flags(kind, vma, &flags);
	if (err || flags == vma->flags)
		return err;
	err = door_modify(door, vma, start, end, flags, &vma);
	if (!err)
		door_set_flags(door, vma, flags);
	return err == -QUIRE_ENOMEM ? -QUIRE_EAGAIN : err; /* ENOMEM would say that there is a hole */
}

static int change_flags(const struct advice *advice, quire_vaddr start, quire_vaddr end)
{
	struct door door;
	int err = 0, hole = 0;
	door_close(&door, advice->cpu, advice->mm, start, end);
	while (start < end && !err) {
		struct vma *vma = door_meets(&door, start, end);
		if (!vma || vma->rmap.start > start)
			hole = -QUIRE_ENOMEM;
		if (!vma)
			break;
		quire_vaddr from = max_u64(start, vma->rmap.start), to = min_u64(end, vma->rmap.end);
		err = change_part(&door, vma, from, to, advice->kind);
		start = to;
	}
	door_open(&door);
	return err ? err : hole;
}

/*
 * MADV_FREE: the pages may go while they stay clean; nothing here takes them yet, so only the mark is left.
 */
static void free_lazily(struct quire_cpu *cpu, struct vma *vma, quire_vaddr start, quire_vaddr end,
			struct gather *gather)
{
	struct cursor cursor;
	cursor_begin(&cursor, cpu, &vma->mm->as, start, end, CURSOR_MM, gather);
	while (cursor_next(&cursor)) {
		struct folio *folio = entry_folio(vma->mm->quire, cursor.entry);
		if (folio && folio->kind == FOLIO_ANON && (folio_flags(folio) & FOLIO_EXCLUSIVE)) {
			cursor_protect(&cursor, ENTRY_DIRTY, 0);
			folio_clear(folio, FOLIO_DIRTY);
			folio_set(folio, FOLIO_LAZYFREE);
		}
	}
	cursor_end(&cursor);
}

static int discard_part(const struct advice *advice, struct vma *vma, quire_vaddr start, quire_vaddr end)
{
	uint32_t refuse = VMA_SPECIAL | (advice->kind == QUIRE_MADV_DONTNEED_LOCKED ? 0 : VMA_LOCKED);
	if ((vma->flags & refuse) || (advice->kind == QUIRE_MADV_FREE && !vma_is_anonymous(vma)))
		return -QUIRE_EINVAL;
	struct gather gather;
	gather_begin_alone(advice->cpu, &gather, &advice->mm->as, start, end);
	if (advice->kind == QUIRE_MADV_FREE)
		free_lazily(*advice->cpu, vma, start, end, &gather);
	else
		zap_range(*advice->cpu, &advice->mm->as, start, end, ZAP_ALL, CURSOR_MM, &gather, NULL);
	gather_end(advice->cpu, &gather);
	return 0;
}

/* Entries go, mappings stay: holding the range to look at it is enough. */
static int discard(const struct advice *advice, quire_vaddr start, quire_vaddr end)
{
	int err = 0, hole = 0;
	struct range_hold hold;
	mm_hold(advice->cpu, advice->mm, start, end, &hold);
	while (start < end && !err) {
		struct vma *vma = range_hold_meets(*advice->cpu, &hold, start, end);
		if (!vma || vma->rmap.start > start)
			hole = -QUIRE_ENOMEM;
		if (!vma)
			break;
		quire_vaddr from = max_u64(start, vma->rmap.start), to = min_u64(end, vma->rmap.end);
		err = discard_part(advice, vma, from, to);
		start = to;
	}
	mm_hold_done(*advice->cpu, advice->mm, &hold);
	return err ? err : hole;
}

/* A mapping's part that is worked on with nothing held. */
struct part {
	quire_vaddr start, end;
	uint32_t flags;
	struct quire_file *file; /* referenced, or NULL */
	uint64_t first;		 /* page of the file at start */
};

static bool next_part(const struct advice *advice, quire_vaddr start, quire_vaddr end, struct part *out)
{
	struct range_hold hold;
	struct vma *vma = mm_hold_next(advice->cpu, advice->mm, start, end, &hold);
	if (!vma)
		return false;
	*out = (struct part){ max_u64(start, vma->rmap.start), min_u64(end, vma->rmap.end), vma->flags, NULL,
			      0 };
	out->file = vma->rmap.file ? quire_file_get(vma->rmap.file) : NULL;
	out->first = rmap_index(&vma->rmap, out->start);
	mm_hold_done(*advice->cpu, advice->mm, &hold);
	return true;
}

static int remove_part(const struct advice *advice, const struct part *part)
{
	if ((part->flags & VMA_LOCKED) || !part->file)
		return -QUIRE_EINVAL;
	if ((part->flags & (VMA_SHARED | VMA_MAY_WRITE)) != (VMA_SHARED | VMA_MAY_WRITE))
		return -QUIRE_EACCES;
	return quire_file_punch(advice->cpu, part->file, part->first << QUIRE_PAGE_SHIFT,
				part->end - part->start);
}

static int populate_part(const struct advice *advice, const struct part *part)
{
	bool write = advice->kind == QUIRE_MADV_POPULATE_WRITE;
	if ((part->flags & VMA_SPECIAL) || !(part->flags & (write ? VMA_WRITE : VMA_READ)))
		return -QUIRE_EINVAL;
	struct quire_fault fault;
	int err = access_populate(advice->cpu, advice->mm, part->start, part->end, write ? FAULT_WRITE : 0,
				  &fault);
	return access_was_refused(err, &fault) ? -QUIRE_EAGAIN : err;
}

static int will_need_part(const struct advice *advice, const struct part *part)
{
	if (!part->file || (part->file->flags & QUIRE_FILE_RAM)) /* there is nowhere to read from */
		return 0;
	file_read_ahead(advice->cpu, part->file, part->first,
			part->first + page_of(part->end - part->start) - 1);
	return 0;
}

static int work_on_part(const struct advice *advice, const struct part *part)
{
	switch (advice->kind) {
	case QUIRE_MADV_REMOVE:
		return remove_part(advice, part);
	case QUIRE_MADV_WILLNEED:
		return will_need_part(advice, part);
	default:
		return populate_part(advice, part);
	}
}

/* POPULATE stops at a hole, the others go on. -EAGAIN of a part: look at it again. */
static int work_unlocked(const struct advice *advice, quire_vaddr start, quire_vaddr end)
{
	bool stops = advice->kind == QUIRE_MADV_POPULATE_READ || advice->kind == QUIRE_MADV_POPULATE_WRITE;
	int hole = 0;
	while (start < end) {
		struct part part;
		bool found = next_part(advice, start, end, &part);
		if (!found || part.start > start)
			hole = -QUIRE_ENOMEM;
		int err = !found || (stops && hole) ? hole : work_on_part(advice, &part);
		if (found && part.file)
			quire_file_put(advice->cpu, part.file);
		if (err && err != -QUIRE_EAGAIN)
			return err;
		if (!err)
			start = part.end;
	}
	return hole;
}

static int advise(const struct advice *advice, quire_vaddr start, quire_vaddr end)
{
	switch (advice->kind) {
	case QUIRE_MADV_DONTNEED:
	case QUIRE_MADV_DONTNEED_LOCKED:
	case QUIRE_MADV_FREE:
		return discard(advice, start, end);
	case QUIRE_MADV_REMOVE:
	case QUIRE_MADV_WILLNEED:
	case QUIRE_MADV_POPULATE_READ:
	case QUIRE_MADV_POPULATE_WRITE:
		return work_unlocked(advice, start, end);
	default:
		return change_flags(advice, start, end);
	}
}

static bool is_known(int kind)
{
	switch (kind) {
	case QUIRE_MADV_NORMAL:
	case QUIRE_MADV_RANDOM:
	case QUIRE_MADV_SEQUENTIAL:
	case QUIRE_MADV_WILLNEED:
	case QUIRE_MADV_DONTNEED:
	case QUIRE_MADV_DONTNEED_LOCKED:
	case QUIRE_MADV_FREE:
	case QUIRE_MADV_REMOVE:
	case QUIRE_MADV_DONTFORK:
	case QUIRE_MADV_DOFORK:
	case QUIRE_MADV_NOHUGEPAGE:
	case QUIRE_MADV_DONTDUMP:
	case QUIRE_MADV_DODUMP:
	case QUIRE_MADV_WIPEONFORK:
	case QUIRE_MADV_KEEPONFORK:
	case QUIRE_MADV_POPULATE_READ:
	case QUIRE_MADV_POPULATE_WRITE:
		return true;
	default:
		return false;
	}
}

int quire_madvise(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length, int kind)
{
	if (!is_known(kind) || !is_aligned(addr, QUIRE_PAGE_SIZE))
		return -QUIRE_EINVAL;
	quire_vaddr bytes = align_up(length, QUIRE_PAGE_SIZE);
	if ((length && !bytes) || addr + bytes < addr)
		return -QUIRE_EINVAL;
	struct advice advice = { kind, cpu, mm };
	return bytes ? advise(&advice, addr, addr + bytes) : 0;
}
