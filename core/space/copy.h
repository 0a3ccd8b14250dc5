/*
 * copy.h - fork's copy of one mapping's pages.
 */
#ifndef QUIRE_SPACE_COPY_H
#define QUIRE_SPACE_COPY_H

#include "mm.h"

/*
 * Give @child, a copy of @vma in another mm, the pages of @vma: private ones copy-on-write, shared ones as
 * they are. Both spaces are closed. The parent's entries are write-protected; their flush is owed in @gather,
 * which the caller has begun for the parent. -ENOMEM leaves what was copied for the caller to unmap.
 */
int copy_pages(struct quire_cpu *cpu, struct vma *vma, struct vma *child, struct gather *gather);

#endif
