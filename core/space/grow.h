/*
 * grow.h - stacks that grow downwards at a fault (MAP_GROWSDOWN).
 */
#ifndef QUIRE_SPACE_GROW_H
#define QUIRE_SPACE_GROW_H

#include "door.h"

/*
 * Make the stack that begins above @va reach down to it. SLEEPS; closes the space. 0, also when somebody else
 * did it; -ENOMEM, -EFAULT or -EPERM when it may not: the guard gap below, a limit, no such stack.
 */
int grow_stack(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va);

#endif
