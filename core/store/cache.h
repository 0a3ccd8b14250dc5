/*
 * cache.h - the page cache's inside, for the files of store/ that read, write and cut it. What others see
 * is file.h.
 *
 * A page enters the cache only under resize_lock, read or written; truncation, punching and invalidation
 * hold it written, so that no page is read in while what it is read from changes.
 */
#ifndef QUIRE_STORE_CACHE_H
#define QUIRE_STORE_CACHE_H

#include "file.h"

static inline uint64_t file_bytes(struct quire_file *file)
{
	return atomic_load_explicit(&file->size, memory_order_acquire); /* as in file_pages() */
}

/* Not an error, and not one that a store may give: the cache changed meanwhile, look again. */
#define CACHE_CHANGED 1

/*
 * A new page at @index, in the cache, locked, not up to date, with a reference for the caller besides the
 * cache's. Under resize_lock. -EEXIST: somebody was faster. -ENOMEM. Does not sleep.
 */
int cache_add(struct quire_cpu *cpu, struct quire_file *file, uint64_t index, struct folio **out);

/*
 * Out of the cache, whose reference is dropped. The caller has the folio lock and a reference, and
 * nothing maps the page.
 */
void cache_remove(struct quire_cpu *cpu, struct quire_file *file, struct folio *folio);

/*
 * Lock a folio that was found in @file's cache. False, and not locked, when it has left it meanwhile.
 * SLEEPS.
 */
bool cache_lock(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio);

/*
 * The first cached page at or after *index, but not past @last, with a reference; *index becomes its.
 * NULL: none.
 */
struct folio *cache_next(struct quire_cpu *cpu, struct quire_file *file, uint64_t *index, uint64_t last);

/* file_page() for a caller that holds resize_lock, either way. SLEEPS. */
int cache_read(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out,
	       bool *read);

/*
 * Zero bytes [from, to) of the file, all in one page, if that page is cached. Under resize_lock,
 * written. SLEEPS.
 */
void cache_zero(struct quire_cpu **cpu, struct quire_file *file, uint64_t from, uint64_t to);

/* If the file ends in this page: zero the rest of it. The folio is locked; under resize_lock. */
void cache_zero_past_end(struct quire_file *file, struct folio *folio);

/*
 * Write a locked page back if it is dirty. An error is the result, goes to file->error, and leaves the
 * page dirty. SLEEPS.
 */
int cache_write_back(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio);

#endif
