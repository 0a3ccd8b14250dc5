/*
 * pair.h - two cursors at once, one on an entry and one where it shall go: what move.c and copy.c share.
 */
#ifndef QUIRE_TABLE_PAIR_H
#define QUIRE_TABLE_PAIR_H

#include "cursor.h"

struct pair {
	struct quire_cpu *cpu;
	struct quire_as *from_as, *to_as;
	quire_vaddr at, end;   /* what is left to do of the range in @from_as */
	quire_vaddr offset;    /* add it to an address there for that in @to_as; wraps */
	struct gather *gather; /* @from_as's */
	struct cursor from, to;
	quire_vaddr stop; /* while open: of small leaves, both tables reach from @at up to here */
};

/*
 * Stand on the first leaf at @at or above, and at its place in @to_as, both tables locked; @at moves to the
 * leaf. A table missing there is made. A huge leaf that cannot go as one is split first. 0; -ENOENT when
 * nothing is left (at is end); -ENOMEM, with nothing locked.
 */
int pair_open(struct pair *pair);

/*
 * Done with the leaves up to @at, which the caller has moved on: to @stop, or past the one huge leaf.
 */
void pair_close(struct pair *pair);

#endif
