/*
 * unmap.h - taking mappings away: for munmap, for what MAP_FIXED replaces, for mremap's source, and all of
 * them for exit.
 */
#ifndef QUIRE_SPACE_UNMAP_H
#define QUIRE_SPACE_UNMAP_H

#include "door.h"

/*
 * Unmap [start, end), page aligned; the door is closed over it. Cuts the VMAs at the ends, clears and
 * flushes, then retires what lies inside, commit and counts with it. -ENOMEM with nothing unmapped (an end
 * may stay cut, as on Linux).
 */
int unmap_range(struct door *door, quire_vaddr start, quire_vaddr end);

/*
 * munmap(): the same for [start, start + length) as a caller names it. -EINVAL for a range that makes no
 * sense.
 */
bool unmap_may_name(struct quire_mm *mm, quire_vaddr start, quire_vaddr length);
int unmap_named(struct door *door, quire_vaddr start, quire_vaddr length);

/*
 * The two halves, for mmap, which may still fail in between: cut at the ends, after which *first is the first
 * mapping of the range, NULL where there is none; then take away, which cannot fail.
 */
int unmap_cut(struct door *door, quire_vaddr start, quire_vaddr end, struct vma **first);
void unmap_cut_out(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end);

/* What the second half will give back, to judge limits before it. */
struct unmap_sums {
	uint64_t pages, accounted;
};
void unmap_sum(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end,
	       struct unmap_sums *out);

/* Everything, for exit and exec: cannot fail. What is left to do is door_end(), or door_empty(). */
void unmap_all(struct door *door);

#endif
