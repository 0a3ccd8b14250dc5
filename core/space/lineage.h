/*
 * lineage.h - which anon_vma a VMA's new pages belong to.
 */
#ifndef QUIRE_SPACE_LINEAGE_H
#define QUIRE_SPACE_LINEAGE_H

#include "mm.h"

/*
 * Give @vma an anon_vma if it has none: a neighbour's, if that lets the two merge once mprotect has made them
 * equal, or a new one. SLEEPS. 0 or -ENOMEM.
 */
int vma_prepare_anon(struct quire_cpu **cpu, struct vma *vma); /* mm->lock is held, either way */
/* It is not; the VMA is used. -EAGAIN besides: who wants to know must wait for mm->lock. */
int vma_prepare_anon_in_use(struct quire_cpu **cpu, struct vma *vma);

#endif
