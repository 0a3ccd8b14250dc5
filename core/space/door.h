/*
 * door.h - the VMA door: the only code that links a VMA into the tree, takes one out, or changes one.
 *
 * An operation goes through the door in one shape:
 *
 *	door_close	nobody else changes this part of the space				(sleeps)
 *	door_shut	no fault uses this VMA, nor will one before door_open()			(sleeps)
 *	...		split, link, resize, set flags, unlink: each may fail before it has changed anything
 *	door_open	faults go on
 *
 * What is changed here is shut here, if it was not yet; what is linked is closed from birth, so that no fault
 * sees it before what it replaces is gone and flushed (VMA-4); and a VMA taken out stays closed, and is freed
 * after a grace period (VMA-3). Changes of different ranges of one space go on side by side, merges and
 * splits included: each holds the leaves of the tree that are for its range and the page on both sides, where
 * the neighbours are that could merge with it. Of what is not held it knows nothing.
 *
 * Whoever walks the reverse map must not miss a page while bounds change, so a VMA that grows over another's
 * range grows first, and the other shrinks or goes after it; in between both cover it, which harms nobody.
 */
#ifndef QUIRE_SPACE_DOOR_H
#define QUIRE_SPACE_DOOR_H

#include "mm.h"

struct door {
	struct quire_cpu **cpu;
	struct quire_mm *mm;
	struct range_hold hold, other; /* other: mremap's second range, or nothing; it is the higher one */
	struct vma *closed;  /* by next_closed: VMAs closed here, or made here; those that are gone too */
	struct list retired; /* VMAs taken out, by rmap.chains: their files are put when nothing is held */
};

/*
 * SLEEP, with nothing held. To change what meets [start, end), with two mappings more at a time at most; two
 * such ranges, with four more; or everything, which is also what becomes of the others in a space whose
 * limits must be judged exactly (mm.h).
 */
void door_close(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start,
		quire_vaddr end);
void door_close_both(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start,
		     quire_vaddr end, quire_vaddr other_start, quire_vaddr other_end);
void door_close_whole(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm);
void door_open(struct door *door);

/*
 * The VMAs of what is held. NULL when there is none: that contains @addr; the first that meets [start, end);
 * the next one after @vma that begins below @end. Around: the nearest on both sides, if they are held, as
 * those are that touch the range.
 */
struct vma *door_find(struct door *door, quire_vaddr addr);
struct vma *door_meets(struct door *door, quire_vaddr start, quire_vaddr end);
struct vma *door_after(struct door *door, const struct vma *vma, quire_vaddr end);
struct vma_pair door_around(struct door *door, quire_vaddr start, quire_vaddr end);

/*
 * Close @vma until door_open(): on return no fault uses it, and whatever was installed before is found. To be
 * done before its entries are taken away, and before anything rests on what faults may change of it (its
 * anon_vma). SLEEPS, with nothing locked but what is held. What is linked here is closed already; twice is
 * once.
 */
void door_shut(struct door *door, struct vma *vma);

/*
 * A VMA that is in no tree yet, everything zero but what is given; the file, if any, gains a reference. NULL:
 * no memory.
 */
struct vma *vma_create(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		       uint32_t flags, uint64_t pgoff, struct quire_file *file);
struct vma *vma_duplicate(struct quire_cpu *cpu, const struct vma *vma); /* without chains */
/* never linked, or unlinked: after a grace period */
void vma_destroy(struct quire_cpu **cpu, struct vma *vma);

/*
 * Link a new VMA; with @from, one that takes over or shares its anonymous pages (mremap). -ENOMEM: nothing
 * happened, it is still the caller's.
 */
int door_link(struct door *door, struct vma *vma, struct vma *from);

/*
 * Cut @vma at @addr: the new half is linked. _below: the new VMA is the lower half. -ENOMEM: nothing
 * happened.
 */
int door_split(struct door *door, struct vma *vma, quire_vaddr addr);
int door_split_below(struct door *door, struct vma *vma, quire_vaddr addr);

/*
 * Take the VMAs of [start, end), which cuts none, from @first on, out of the tree and of the reverse map;
 * their entries are clear. Cannot fail when a change was reserved for it, where it begins. They are freed
 * after a grace period.
 */
int door_reserve(struct door *door, quire_vaddr start);
void door_unlink_range(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end);

/*
 * Every VMA at once, for exit and exec. The tree goes on showing them: exec empties it, exit has done with
 * it.
 */
void door_retire_all(struct door *door);
void door_empty(struct door *door); /* a change was reserved for it */
void door_end(struct door *door);   /* instead of door_open() */

/* Same range, other flags. */
void door_set_flags(struct door *door, struct vma *vma, uint32_t flags);

/* Lower or raise bounds into free space (stack growth, expansion). -ENOMEM: nothing happened. */
int door_resize(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, uint64_t pgoff);

/*
 * Merging (BASE-1: exactly when Linux merges).
 */
struct vma_new { /* a mapping that is about to be made */
	quire_vaddr start, end;
	uint64_t pgoff;
	uint32_t flags;
	struct quire_file *file;
	uint64_t opened;
	struct vma *copied_from; /* mremap, moving: the source; NULL */
	struct vma *extends;	 /* mremap, growing in place: the mapping that grows; NULL */
};

/*
 * Grow a neighbour, or join both, to take @fresh in; @around are the VMAs on both sides of it. NULL when
 * neither fits, or memory is out: make a VMA then.
 */
struct vma *door_merge_new(struct door *door, const struct vma_new *fresh, struct vma_pair around);

/* The same, but only the VMA before it may grow, and the one after stays (brk). */
struct vma *door_extend(struct door *door, const struct vma_new *fresh);

/*
 * [start, end) of @vma is to have @flags: merge it with neighbours that have them, or split it off. *out is
 * the VMA that covers the range then, whose flags the caller sets with door_set_flags() when it has done what
 * else is due. -ENOMEM.
 */
int door_modify(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, uint32_t flags,
		struct vma **out);

#endif
