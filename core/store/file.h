/*
 * file.h - a file's page cache, as the fault path and the calls see it. The public half is <quire/file.h>.
 *
 * A page is in the cache exactly while folio->owner is the file: both change together, under the folio lock
 * and pages_lock. The cache holds one reference. A page may be mapped only by somebody who holds the folio
 * lock and has found, under it, that the owner is still the file, the page is up to date and its index lies
 * inside the size:
 *
 *	fault						truncate
 *	lock folio					size = new
 *	owner == file, index inside size?		unmap [new, ...) everywhere
 *	set entry					each page past it: lock it; unmap it; out of cache
 *	unlock folio
 *
 * Either the fault sees the new size, or truncate, coming to the folio's lock after it, sees the mapping
 * (maps != 0).
 */
#ifndef QUIRE_STORE_FILE_H
#define QUIRE_STORE_FILE_H

#include "../base/interval.h"
#include "../base/radix.h"
#include "../base/sync.h"
#include "../phys/phys.h"

#include <quire/file.h>

/*
 * Locks:  C atomic   P fixed   L pages_lock (changes; searches under RCU)   M rmap_lock
 */
struct quire_file {
	/* What faults read is not beside what mapping and unmapping write (VMA-6). */
	uint64_t id;			    /* P */
	uint32_t flags;			    /* P, QUIRE_FILE_* */
	bool tracks_writes;		    /* P */
	struct quire *quire;		    /* P */
	const struct quire_store *store;    /* P */
	void *data;			    /* P, the store's */
	_Atomic uint64_t size;		    /* C, bytes; written under resize_lock */
	struct radix pages;		    /* L */
	_Alignas(64) _Atomic uint64_t refs; /* C */
	struct rwlock resize_lock; /* written by what changes the length or the store's contents, read by what
				      reads in or writes back; outside folio locks */
	struct rwlock rmap_lock;   /* inside folio locks, outside table locks */
	struct interval_tree mappings; /* M: rmap_node.in_file */
	struct quire_spin pages_lock;
	_Atomic int32_t error; /* C: the last writeback error not yet reported, 0 or negative */
	struct quire_rcu rcu;  /* faults may still look at it */
};

/* A reference, for a fault that found the file under RCU. False: it is about to go. */
static inline bool file_try_get(struct quire_file *file)
{
	uint64_t refs = atomic_load_explicit(&file->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak_explicit(&file->refs, &refs, refs + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	return false;
}

static inline uint64_t file_pages(struct quire_file *file) /* rounded up */
{
	/* Acquire pairs with the release of whoever sets the size. */
	uint64_t bytes = atomic_load_explicit(&file->size, memory_order_acquire);
	return (bytes + QUIRE_PAGE_SIZE - 1) >> QUIRE_PAGE_SHIFT;
}

/*
 * The page if it is cached, with a reference; NULL otherwise. Maybe not up to date, maybe locked. Takes
 * RCU itself; does not sleep.
 */
struct folio *file_find(struct quire_cpu *cpu, struct quire_file *file, uint64_t index);

/*
 * The page, read in if need be: up to date, with a reference, unlocked. SLEEPS; called with nothing held.
 * -EFAULT past the end, -ENOMEM, or the store's error. *read says whether the store was asked (a major
 * fault).
 */
int file_page(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out,
	      bool *read);

/*
 * Start reading pages [first, last] in (WILLNEED, readahead): as far as memory and the end allow; no
 * error. SLEEPS.
 */
void file_read_ahead(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last);

/* Under the folio lock: may this page be mapped from @file now? (owner, up to date, inside the size) */
bool file_may_map(struct quire_file *file, struct folio *folio);

/*
 * A shared mapping wants to write a clean page: ask the store, then mark the folio dirty. The folio is
 * locked by the caller and stays so; nothing else is held. SLEEPS. 0, or the store's refusal.
 */
int file_make_writable(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio);

/* Must a shared writable mapping of @file begin read-only, so that the first write is noticed? */
static inline bool file_tracks_writes(const struct quire_file *file)
{
	return file->tracks_writes;
}

#endif
