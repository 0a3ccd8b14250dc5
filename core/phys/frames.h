/*
 * frames.h - the allocator's insides, for the files of phys/ alone.
 *
 *	folio.c    references, the folio lock, how a folio begins and ends
 *	cache.c    per-CPU caches of single frames, and what happens when memory is scarce
 *	buddy.c    blocks of 2^order frames, under the allocator's lock
 *	frame.c    from numbers to structs and memory
 *
 * each knowing those below it only, and phys.c setting up and counting all.
 */
#ifndef QUIRE_PHYS_FRAMES_H
#define QUIRE_PHYS_FRAMES_H

#include "phys.h"

#define PHYS_NEVER UINT64_MAX /* no failure is asked for */
#define PHYS_KINDS (FOLIO_RESERVED + 1)

/* In folio->flags of a free frame, debug builds: its first bytes are poisoned. */
#define FRAME_POISONED (1u << 31)

/*
 * A CPU's cache of single frames, and its share of the counts. One line that only its CPU writes, but for
 * others that empty the cache when memory is out.
 *
 * Locks:  L its own lock        O stored by its own CPU alone, read by anybody
 */
struct cpu_frames {
	_Alignas(64) struct quire_spin lock; /* order: outside phys->lock */
	_Atomic uint32_t count;		     /* L; read without */
	_Atomic uint32_t lowest; /* L; read without: the least count since phys->peak was last looked at */
	uint32_t loaded_count;	 /* L */
	struct folio *loaded, *full; /* L: a batch, and a chain of full ones */
	_Alignas(64) _Atomic uint64_t
		in_use[PHYS_KINDS]; /* O: frames taken here less frames given back here, by kind */
};

/*
 * The allocator. It stands at the beginning of the instance's metadata, before the folios.
 *
 * Locks:  B the lock below        R the lock, read without it
 *         P fixed after creation  I changed while CPUs come and go only
 */
struct phys {
	struct folio *folios;	     /* P: one per frame */
	char *memory;		     /* P: frame 0 */
	uint64_t frames;	     /* P */
	_Atomic uint64_t fail_after; /* see phys_fail_after(); PHYS_NEVER except in tests */
	_Atomic uint32_t scarce;     /* R: caches are bypassed */
	_Atomic uint32_t cpus;	     /* I: one more than the greatest id */
	_Atomic uint32_t share;	     /* I: frames that one cache may hold */
	_Alignas(64) struct quire_spin lock;
	_Atomic uint64_t out;  /* R: frames not in lists or depot, and not past the watermark */
	_Atomic uint64_t peak; /* R */
	struct folio *depot;   /* B: batches of free frames */
	uint64_t depot_frames; /* B */
	uint64_t watermark;    /* B: frames from here on were never used, nor was their metadata */
	struct list free[QUIRE_MAX_ORDER + 1];	  /* B: blocks by order */
	_Alignas(64) uint64_t in_use[PHYS_KINDS]; /* I: what CPUs that are gone have taken less given back */
	struct cpu_frames *_Atomic caches[QUIRE_MAX_CPUS]; /* I: by id */
};

/* Under phys->lock: so many more are out; modulo 2^64. */
static inline void count_out(struct phys *phys, uint64_t frames)
{
	uint64_t out = atomic_load_explicit(&phys->out, memory_order_relaxed);

	atomic_store_explicit(&phys->out, out + frames, memory_order_relaxed);
}

/* frame.c */
struct folio *frame_folio(struct phys *phys, quire_pfn pfn);
quire_pfn frame_pfn(struct phys *phys, const struct folio *folio);

/* buddy.c: all under phys->lock */
void buddy_create(struct phys *phys);
struct folio *buddy_take(struct phys *phys, unsigned order); /* NULL when no block is large enough */
/* Single frames, side by side: *got of them, 1 to @most, from the smallest block that there is. NULL: none */
struct folio *buddy_take_run(struct phys *phys, uint32_t most, uint32_t *got);
void buddy_give(struct phys *phys, struct folio *folio, unsigned order);

/* cache.c */
struct folio *cache_take(struct quire_cpu *cpu, unsigned order); /* 2^order frames, or NULL */
void cache_give(struct quire_cpu *cpu, struct folio *folio, unsigned order);
void cache_empty(struct quire_cpu *cpu, struct cpu_frames *cache);
uint64_t cache_peak(struct phys *phys);
void cache_share(struct phys *phys); /* there are more CPUs: each may keep less */

#endif
