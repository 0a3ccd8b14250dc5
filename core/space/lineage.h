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
int vma_prepare_anon(struct quire_cpu **cpu, struct vma *vma,
		     struct vma_pair around); /* what is on both sides, and held, as @vma is */
/* The VMA is used, or held to look at. -EAGAIN besides: somebody changes a neighbour just now. */
int vma_prepare_anon_in_use(struct quire_cpu **cpu, struct vma *vma);

#endif
