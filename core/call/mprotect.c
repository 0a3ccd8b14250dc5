/*
 * mprotect.c - change what a range allows, mapping by mapping.
 *
 * Linux goes through the range and stops at the first hole or refusal, with what came before already changed.
 * So do we.
 *
 * Rules: BASE-1, BASE-3.
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../space/lineage.h"
#include "../space/protect.h"

#define COPY_RANGES 16

/*
 * A private mapping that becomes writable must be committed for; one that stops being so keeps its commit,
 * since copies may exist, unless it never had any.
 */
static int recommit(struct quire_cpu *cpu, struct quire_mm *mm, const struct vma *vma, uint64_t pages,
		    uint32_t *flags, uint64_t *charged)
{
	uint32_t old = vma->flags;
	*charged = 0;
	if (*flags & VMA_WRITE) {
		if (!mm_may_expand(mm, *flags, pages) && mm_may_expand(mm, old, pages))
			return -QUIRE_ENOMEM;
		if (!(old & (VMA_ACCOUNT | VMA_WRITE | VMA_SHARED | VMA_NORESERVE))) {
			if (commit_charge(cpu, pages))
				return -QUIRE_ENOMEM;
			*charged = pages;
			*flags |= VMA_ACCOUNT;
		}
	} else if ((old & VMA_ACCOUNT) && vma_is_anonymous(vma) && !vma_anon(vma)) {
		*flags &= ~VMA_ACCOUNT;
	}
	return 0;
}

/*
 * What locked private mappings that become writable want copied at once: done after the space is open. A few
 * ranges are kept apart, since what lies between them must stay as it is; past that number they run together.
 */
struct copy_later {
	unsigned count;
	struct {
		quire_vaddr start, end;
	} ranges[COPY_RANGES];
};

/*
 * @vma takes its anon_vma now, as if the copies were made here: whether the next part merges with this one
 * depends on it.
 */
static void note_copies(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end,
			struct copy_later *later)
{
	unsigned last = later->count - 1;
	if (vma->flags & VMA_LOCK_ON_FAULT)
		return;
	/* without memory the copies will fail too, and nobody is told */
	(void)vma_prepare_anon(door->cpu, vma, door_around(door, vma->rmap.start, vma->rmap.end));
	if (later->count && (later->count == COPY_RANGES || later->ranges[last].end == start)) {
		later->ranges[last].end = end;
		return;
	}
	later->ranges[later->count].start = start;
	later->ranges[later->count++].end = end;
}

static int protect_part(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end,
			uint32_t flags, struct copy_later *later)
{
	struct quire_mm *mm = door->mm;
	uint32_t old = vma->flags;
	uint64_t pages = page_of(end - start), charged;
	if (flags == old)
		return 0;
	door_shut(door, vma);
	int err = recommit(*door->cpu, mm, vma, pages, &flags, &charged);
	if (err)
		return err;
	err = door_modify(door, vma, start, end, flags, &vma);
	if (err) {
		commit_uncharge(*door->cpu, charged);
		return err;
	}
	door_set_flags(door, vma, flags);
	protect_range(door->cpu, vma, start, end);
	if ((old & VMA_ACCOUNT) && !(flags & VMA_ACCOUNT))
		commit_uncharge(*door->cpu, pages);
	if ((old & (VMA_WRITE | VMA_SHARED | VMA_LOCKED)) == VMA_LOCKED && (flags & VMA_WRITE))
		note_copies(door, vma, start, end, later);
	mm_account(*door->cpu, mm, old, -(int64_t)pages);
	mm_account(*door->cpu, mm, flags, (int64_t)pages);
	return 0;
}

static int protect_parts(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end,
			 uint32_t prot, struct copy_later *later)
{
	quire_vaddr at = start;
	while (at < end) {
		if (!vma || vma->rmap.start > at)
			return -QUIRE_ENOMEM;
		uint32_t flags = (vma->flags & ~VMA_ACCESS) | prot;
		if (flags & ~(flags >> VMA_MAY_SHIFT) & VMA_ACCESS)
			return -QUIRE_EACCES;
		quire_vaddr part_end = min_u64(end, vma->rmap.end);
		int err = protect_part(door, vma, at, part_end, flags, later);
		if (err)
			return err;
		at = part_end;
		vma = at < end ? door_find(door, at) : NULL;
	}
	return 0;
}

static int protect_locked(struct door *door, quire_vaddr start, quire_vaddr end, uint32_t prot,
			  uint32_t grows, struct copy_later *later)
{
	struct vma *vma = door_meets(door, start, end);
	if (!vma)
		return -QUIRE_ENOMEM;
	if (grows & QUIRE_PROT_GROWSDOWN) {
		start = vma->rmap.start;
		if (!(vma->flags & VMA_GROWSDOWN))
			return -QUIRE_EINVAL;
	} else if (vma->rmap.start > start) {
		return -QUIRE_ENOMEM;
	} else if (grows & QUIRE_PROT_GROWSUP) {
		return -QUIRE_EINVAL; /* nothing grows up here */
	}
	return protect_parts(door, vma, start, end, prot, later);
}

int quire_mprotect(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		   uint32_t prot)
{
	uint32_t grows = prot & (QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP);
	prot &= ~(uint32_t)(QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP);
	if (grows == (QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP) || !is_aligned(addr, QUIRE_PAGE_SIZE))
		return -QUIRE_EINVAL;
	if (!length)
		return 0;
	quire_vaddr end = addr + align_up(length, QUIRE_PAGE_SIZE);
	if (end <= addr)
		return -QUIRE_ENOMEM;
	if (prot & ~(uint32_t)(VMA_ACCESS | QUIRE_PROT_SEM))
		return -QUIRE_EINVAL;
	struct copy_later later = { 0 };
	struct door door;
	if (grows) /* down to where the mapping begins */
		door_close_whole(&door, cpu, mm);
	else
		door_close(&door, cpu, mm, addr, end);
	int err = protect_locked(&door, addr, end, prot & VMA_ACCESS, grows, &later);
	door_open(&door);
	for (unsigned i = 0; i < later.count; i++)
		populate_locked(cpu, mm, later.ranges[i].start, later.ranges[i].end);
	return err;
}
