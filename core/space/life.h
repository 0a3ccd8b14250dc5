/*
 * life.h - address spaces come and go.
 */
#ifndef QUIRE_SPACE_LIFE_H
#define QUIRE_SPACE_LIFE_H

#include "door.h"

/* An empty space with one reference, no limits, and the whole user range to lay out. -ENOMEM. */
int mm_create(struct quire_cpu **cpu, struct quire *quire, struct quire_mm **out);

/*
 * A copy of @mm, copy-on-write; both are closed meanwhile. -ENOMEM: @mm is as it was, but for write
 * protection that a fault undoes.
 */
int mm_fork(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm **out);

#endif
