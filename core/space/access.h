/*
 * access.h - reach a user page of any mm by its address.
 */
#ifndef QUIRE_SPACE_ACCESS_H
#define QUIRE_SPACE_ACCESS_H

#include "fault.h"

/*
 * Copy up to @bytes between @buffer and @addr of @mm, faulting in what is missing; FAULT_WRITE in @flags
 * copies to the mm. Returns what was copied; short at the first page that cannot be reached. SLEEPS; nothing
 * held.
 */
size_t access_copy(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, void *buffer, size_t bytes,
		   unsigned flags);

/*
 * Make [start, end) present, for writing where @flags has FAULT_WRITE. 0; -EFAULT at the first page that
 * raises a signal (*signal which), -ENOMEM.
 */
int access_populate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		    unsigned flags, struct quire_fault *out);

/* It was @err because no mapping allows it. Who had seen one that does looks again: it has changed. */
static inline bool access_was_refused(int err, const struct quire_fault *fault)
{
	return err == -QUIRE_EFAULT && fault->signal == QUIRE_SIGSEGV;
}

/*
 * What mlock and MAP_POPULATE do for [start, end): every mapping's pages, written to where that copies
 * anyway. Stops at the first error, unless told to go on (_all). Passes holes. SLEEPS; nothing held.
 */
int populate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end);
void populate_all(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end);
/* what is locked of it */
void populate_locked(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end);

#endif
