/*
 * access.c - reach a user page of any mm by its address: copies from and to it, and making it present.
 *
 * A copy happens with the leaf table locked, so that the entry keeps meaning the page while its bytes move:
 * no reference, no pin. The page is faulted in with nothing held, and the entry looked at again.
 *
 * Order:   nothing held on entry; a leaf table's lock round each copy.
 * Rules:   BASE-5 (short counts, EFAULT; never a fault under a folio lock). Zoo 6: a forced write reaches
 *          only a page that is exclusive to the mm, whatever the VMA's flags say at that moment.
 */
#include "access.h"

#include "../base/safeguard.h"

/* May the bytes behind this entry be read or written now? */
static bool entry_allows(const struct cursor *cursor, unsigned flags)
{
	quire_entry entry = cursor->entry;
	if (!entry_is_mapped(entry))
		return false;
	if (!(flags & FAULT_FORCE) && !entry_is_live(entry))
		return false;
	if ((flags & FAULT_EXEC) && (entry & ENTRY_NX))
		return false;
	if (!(flags & FAULT_WRITE) || entry_is_writable(entry))
		return true;
	struct folio *folio = entry_folio(cursor->as->quire, entry);
	return (flags & FAULT_FORCE) && folio && folio->kind == FOLIO_ANON &&
	       (folio_flags(folio) & FOLIO_EXCLUSIVE);
}

#define WAS_FAULTED_IN (1u << 31) /* beside FAULT_* */

/* What is asked of the entry, however often the page was faulted in. */
static unsigned still_asked(unsigned flags)
{
	/*
	 * The copy may go again before we come to it; who asks for less now writes to the file
	 * (CVE-2016-5195).
	 */
	return !QUIRE_SAFEGUARD(poke_again) && (flags & WAS_FAULTED_IN) ? flags & ~FAULT_WRITE : flags;
}

/* Copy within one page if its entry allows. */
static bool copy_now(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr addr, void *buffer, size_t bytes,
		     unsigned flags)
{
	struct cursor cursor;
	if (cursor_open(&cursor, cpu, &mm->as, align_down(addr, QUIRE_PAGE_SIZE), CURSOR_READ, NULL, NULL))
		return false;
	bool allowed = entry_allows(&cursor, still_asked(flags));
	if (allowed) {
		char *page = frame_memory(mm->quire, entry_pfn(cursor.entry));
		char *at = page + (addr & (cursor_size(&cursor) - 1));
		if (!QUIRE_SAFEGUARD(copy_locked) && !(flags & FAULT_WRITE))
			cursor_close(&cursor);
		if (flags & FAULT_WRITE) {
			quire_port_copy(at, buffer, bytes);
			cursor_protect(&cursor, 0, ENTRY_DIRTY | ENTRY_ACCESSED);
		} else {
			quire_port_copy(buffer, at, bytes);
		}
	}
	cursor_close(&cursor);
	return allowed;
}

/*
 * The VMA's protection may have been lowered, and the entry not yet, or the reverse: only the fault handler
 * decides who may.
 */
size_t access_copy(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, void *buffer, size_t bytes,
		   unsigned flags)
{
	size_t done = 0;
	quire_vaddr space_end = mm_end(mm);
	if (addr >= space_end || bytes > space_end - addr)
		bytes = addr < space_end ? space_end - addr : 0;
	while (done < bytes) {
		quire_vaddr at = addr + done;
		size_t part = min_u64(bytes - done, QUIRE_PAGE_SIZE - (at & ~QUIRE_PAGE_MASK));
		while (!copy_now(*cpu, mm, at, (char *)buffer + done, part, flags)) {
			struct quire_fault fault;
			if (fault_in(cpu, mm, at, still_asked(flags), &fault))
				return done;
			if (!QUIRE_SAFEGUARD(poke_again))
				flags |= WAS_FAULTED_IN;
		}
		done += part;
	}
	return done;
}

/* The public functions copy between kernel memory and the mm; the core never writes what it calls const. */
size_t quire_copy_from(struct quire_cpu **cpu, struct quire_mm *mm, void *to, quire_vaddr from, size_t bytes)
{
	return access_copy(cpu, mm, from, to, bytes, 0);
}

size_t quire_copy_to(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from,
		     size_t bytes)
{
	return access_copy(cpu, mm, to, (void *)(uintptr_t)from, bytes, FAULT_WRITE);
}

size_t quire_peek(struct quire_cpu **cpu, struct quire_mm *mm, void *to, quire_vaddr from, size_t bytes)
{
	return access_copy(cpu, mm, from, to, bytes, FAULT_FORCE);
}

size_t quire_poke(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from, size_t bytes)
{
	return access_copy(cpu, mm, to, (void *)(uintptr_t)from, bytes, FAULT_WRITE | FAULT_FORCE);
}

/* Is the page there already, as @flags want it? Saves the fault. */
static bool is_present(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr va, unsigned flags)
{
	struct cursor cursor;
	if (cursor_open(&cursor, cpu, &mm->as, va, CURSOR_READ, NULL, NULL))
		return false;
	bool present = entry_allows(&cursor, flags);
	cursor_close(&cursor);
	return present;
}

int access_populate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		    unsigned flags, struct quire_fault *out)
{
	for (quire_vaddr va = start; va < end; va += QUIRE_PAGE_SIZE) {
		if (is_present(*cpu, mm, va, flags))
			continue;
		int err = fault_in(cpu, mm, va, flags, out);
		if (err)
			return err;
	}
	return 0;
}

struct populate_part {
	quire_vaddr start, end;
	uint32_t vma_flags;
};

/* The first mapped part of [start, end). */
static bool next_part(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		      struct populate_part *out)
{
	struct range_hold hold;
	struct vma *vma = mm_hold_next(cpu, mm, start, end, &hold);
	if (!vma)
		return false;
	*out = (struct populate_part){ max_u64(start, vma->rmap.start), min_u64(end, vma->rmap.end),
				       vma->flags };
	mm_hold_done(*cpu, mm, &hold);
	return true;
}

static int populate_part(struct quire_cpu **cpu, struct quire_mm *mm, const struct populate_part *part,
			 struct quire_fault *fault)
{
	unsigned flags = 0;
	if (part->vma_flags & (VMA_LOCK_ON_FAULT | VMA_SPECIAL))
		return 0;
	if ((part->vma_flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE)
		flags |= FAULT_WRITE;
	if (part->vma_flags & VMA_ACCESS)
		flags |= FAULT_FORCE;
	return access_populate(cpu, mm, part->start, part->end, flags, fault);
}

enum { POPULATE_STOP = 1, POPULATE_LOCKED = 2 };

static int populate_parts(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			  unsigned how)
{
	struct populate_part part;
	struct quire_fault fault;
	while (start < end && next_part(cpu, mm, start, end, &part)) {
		int err = 0;
		if (!(how & POPULATE_LOCKED) || (part.vma_flags & VMA_LOCKED))
			err = populate_part(cpu, mm, &part, &fault);
		if (!err || !(how & POPULATE_STOP))
			start = part.end;
		else if (!access_was_refused(err, &fault) || !(part.vma_flags & VMA_ACCESS))
			return err;
	}
	return 0;
}

int populate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end)
{
	return populate_parts(cpu, mm, start, end, POPULATE_STOP);
}

void populate_all(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end)
{
	populate_parts(cpu, mm, start, end, 0);
}

void populate_locked(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end)
{
	populate_parts(cpu, mm, start, end, POPULATE_LOCKED);
}
