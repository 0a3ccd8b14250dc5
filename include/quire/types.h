/*
 * types.h - words that every header uses.
 */
#ifndef QUIRE_TYPES_H
#define QUIRE_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/geometry.h>

typedef uint64_t quire_vaddr; /* a user virtual address, or a length of such */
typedef uint64_t quire_pfn;   /* a frame's number; frame 0 is never handed out, so 0 also says "none" */
typedef uint64_t quire_entry; /* a page-table entry */

struct quire;	   /* an instance: all of Quire's state */
struct quire_cpu;  /* a CPU of an instance */
struct quire_mm;   /* an address space */
struct quire_file; /* something that can be mapped: an inode and its page cache */

#endif
