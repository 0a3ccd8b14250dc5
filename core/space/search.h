/*
 * search.h - where a new mapping goes when the caller does not say.
 */
#ifndef QUIRE_SPACE_SEARCH_H
#define QUIRE_SPACE_SEARCH_H

#include "mm.h"

enum {
	SEARCH_FIXED = 1u << 0,	 /* there or nowhere; what is there is not looked at */
	SEARCH_LOW = 1u << 1,	 /* below 2 GiB (MAP_32BIT) */
	SEARCH_MEMORY = 1u << 2, /* for a file in memory, or shared memory: no alignment to huge pages */
	SEARCH_STORE = 1u << 3,	 /* for a file with a store: aligned as @offset is, if it is long enough */
};

/*
 * An address for @length bytes from @offset of a file on (0 when there is none), page aligned, at @hint if
 * that is free; the highest that fits below mmap_base otherwise. Negative errno: -ENOMEM when there is none,
 * -EINVAL for a fixed one that is not page aligned. Nothing need be held, and what was found may be taken
 * when it is: look again.
 */
int64_t search_unmapped(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr hint, quire_vaddr length,
			uint64_t offset, unsigned how);

/* Under RCU: the lowest address that belongs to the mapping found, with the gap below a stack. */
quire_vaddr space_below(const struct range *vma);

/* How to search for a mapping of @file, or of none. */
static inline unsigned search_kind(const struct quire_file *file)
{
	if (!file)
		return 0;
	return file->flags & QUIRE_FILE_RAM ? SEARCH_MEMORY : SEARCH_STORE;
}

/*
 * What is around [at, at + length) is held, and @after is the next mapping there, NULL if what is held has
 * none: is the range free still, and clear of stacks?
 */
bool search_is_clear(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr at, quire_vaddr length,
		     const struct vma *after);

#endif
