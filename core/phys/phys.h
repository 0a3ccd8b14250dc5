/*
 * phys.h - the frame allocator, and the frame door: how frames come and go.
 *
 * A buddy allocator with a small cache of single frames per CPU. An allocation fails only when no free
 * block is large enough, wherever the free frames are: what lies in the caches of other CPUs counts
 * (cache.c). It never sleeps and never reclaims: it says that memory is out, and the operation, its locks
 * dropped, decides. A frame comes in with folio_alloc() and goes out with the last folio_put(). Whoever
 * unmaps a frame puts its reference not here but into a gather (table/gather.h), which puts it after the
 * flush that makes the frame unreachable; tables wait for a grace period too (BASE-3).
 */
#ifndef QUIRE_PHYS_PHYS_H
#define QUIRE_PHYS_PHYS_H

#include "folio.h"

int phys_create(struct quire *quire);
void phys_destroy(struct quire_cpu *cpu); /* every frame is free; asserted in debug builds */
int phys_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu); /* @boot may be @cpu: the first */
void phys_cpu_destroy(struct quire_cpu *cpu);			    /* gives its cache back */

/*
 * A folio of 2^order frames with one reference, not locked, no flags, contents arbitrary (_zeroed: zeroes).
 * @kind is not TAIL or UNUSED. NULL when memory is out. Does not sleep; under any lock.
 */
struct folio *folio_alloc(struct quire_cpu *cpu, enum folio_kind kind, unsigned order);
struct folio *folio_alloc_zeroed(struct quire_cpu *cpu, enum folio_kind kind, unsigned order);

void folio_copy(struct quire *quire, struct folio *to, struct folio *from); /* whole contents, same order */

struct phys_counts {
	uint64_t total, free, reserved;
	uint64_t peak; /* most in use at one time; with several CPUs, too high by what caches hold, at most */
	uint64_t kind[FOLIO_RESERVED + 1]; /* frames in use, by kind; TAIL and UNUSED are 0 */
};
void phys_counts(struct quire *quire, struct phys_counts *out);

/* Debug and tests: the allocator's lists against its counts. Nothing runs. False and *what on a violation. */
bool phys_check(struct quire *quire, const char **what);

/*
 * Test aid: from now on let @succeed more allocations of frames succeed, then fail one, then succeed for
 * ever. UINT64_MAX turns it off. Objects have the port's own.
 */
void phys_fail_after(struct quire *quire, uint64_t succeed);

#endif
