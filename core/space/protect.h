/*
 * protect.h - make the entries of a range say what their VMA says.
 */
#ifndef QUIRE_SPACE_PROTECT_H
#define QUIRE_SPACE_PROTECT_H

#include "mm.h"

/*
 * The VMA's flags are set; its entries in [start, end) are rewritten and flushed. SLEEPS (notifiers); the
 * door is closed.
 */
void protect_range(struct quire_cpu **cpu, struct vma *vma, quire_vaddr start, quire_vaddr end);

#endif
