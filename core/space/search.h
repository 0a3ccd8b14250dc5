/*
 * search.h - where a new mapping goes when the caller does not say.
 */
#ifndef QUIRE_SPACE_SEARCH_H
#define QUIRE_SPACE_SEARCH_H

#include "mm.h"

enum {
	SEARCH_FIXED = 1u << 0,	   /* there or nowhere; what is there is not looked at */
	SEARCH_LOW = 1u << 1,	   /* below 2 GiB (MAP_32BIT) */
	SEARCH_FILE = 1u << 2,	   /* for a file mapping: no alignment to huge pages */
};

/*
 * An address for @length bytes, page aligned, near @hint if that is free; the highest that fits below mmap_base otherwise. Negative errno:
 * -ENOMEM when there is none, -EINVAL for a fixed one that is not page aligned. mm->lock is held.
 */
int64_t search_unmapped(struct quire_mm *mm, quire_vaddr hint, quire_vaddr length, unsigned how);

#endif
