/*
 * copy.c - goes over what a parent has mapped, and its place in a child, both locked (fork).
 *
 * What is done with an entry is the caller's: it knows which pages are shared and which copied.
 *
 * Order:   two table locks of one level, see pair.c; the callback runs inside them.
 */
#include "move.h"

#include "pair.h"

int table_copy(struct quire_cpu *cpu, struct quire_as *from, struct quire_as *to, quire_vaddr start,
	       quire_vaddr end, struct gather *gather, struct table_copy *copy)
{
	struct pair pair = {
		.cpu = cpu, .from_as = from, .to_as = to, .at = start, .end = end, .gather = gather
	};
	int err;

	while (!(err = pair_open(&pair))) {
		do {
			err = copy->entry(copy, &pair.from, &pair.to);
		} while (!err && pair_next(&pair));
		pair_close(&pair);
		if (err)
			return err;
	}
	return err == -QUIRE_ENOENT ? 0 : err;
}
