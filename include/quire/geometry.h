/*
 * geometry.h - the sizes that everything else is computed from.
 *
 * No other file knows how large a page is, how many entries a table has, or how many levels there are.
 * QUIRE_GEOMETRY chooses: FULL is x86-64's, MINI and FOUR are for a checker, whose state must be small
 * enough to be reset many thousand times a second. An entry holds a frame number, not an address, so
 * its layout is the same in all of them. Every threshold that decides between two code paths stands here
 * too, so that a small geometry reaches both.
 */
#ifndef QUIRE_GEOMETRY_H
#define QUIRE_GEOMETRY_H

#define QUIRE_GEOMETRY_FULL 0
#define QUIRE_GEOMETRY_MINI 1
#define QUIRE_GEOMETRY_FOUR 2

#ifndef QUIRE_GEOMETRY
#define QUIRE_GEOMETRY QUIRE_GEOMETRY_FULL
#endif

#if QUIRE_GEOMETRY == QUIRE_GEOMETRY_FULL
#define QUIRE_PAGE_SHIFT 12 /* log2 of a page's bytes */
#define QUIRE_TABLE_SHIFT 9 /* log2 of a table's entries */
#ifndef QUIRE_LEVELS
#define QUIRE_LEVELS 4 /* 4, or 5 for LA57 */
#endif
#define QUIRE_MAX_ORDER 10 /* largest block of the buddy allocator */
#define QUIRE_MAX_CPUS 256
#define QUIRE_ASIDS 6		/* address spaces whose translations one CPU keeps */
#define QUIRE_FLUSH_CEILING 33	/* pages; a larger range is flushed whole */
#define QUIRE_GATHER_FRAMES 62	/* frames that one gather holds of its own */
#define QUIRE_GATHER_MORE 512	/* and so many more, with memory for them, before it must flush */
#define QUIRE_CPU_FRAMES 64	/* frames a CPU keeps for itself, per order kept */
#define QUIRE_FAULT_AROUND 16	/* pages mapped round a read fault on a cached file page */
#define QUIRE_STACK_GAP 256	/* pages kept free below a growing stack */
#define QUIRE_FAULT_RESTARTS 16 /* after so many a fault keeps the whole address space to itself */
#define QUIRE_RADIX_SHIFT 6	/* log2 of a page-cache node's slots */
#define QUIRE_RANGE_FANOUT 15	/* ranges in one node of the VMA tree */
#define QUIRE_MM_PARTS 16	/* lines over which CPUs spread an address space's counts */
#define QUIRE_AS_PARTS 8	/* lines over which leaf tables spread the account of its flushes */
#elif QUIRE_GEOMETRY == QUIRE_GEOMETRY_MINI
#define QUIRE_PAGE_SHIFT 6
#define QUIRE_TABLE_SHIFT 3
#define QUIRE_LEVELS 3
#define QUIRE_MAX_ORDER 5
#define QUIRE_MAX_CPUS 4
#define QUIRE_ASIDS 2
#define QUIRE_FLUSH_CEILING 3
#define QUIRE_GATHER_FRAMES 2
#define QUIRE_GATHER_MORE 2
#define QUIRE_CPU_FRAMES 4
#define QUIRE_FAULT_AROUND 2
#define QUIRE_STACK_GAP 1
#define QUIRE_FAULT_RESTARTS 2
#define QUIRE_RADIX_SHIFT 2
#define QUIRE_RANGE_FANOUT 4
#define QUIRE_MM_PARTS 4
#define QUIRE_AS_PARTS 2
#else
#define QUIRE_PAGE_SHIFT 5
#define QUIRE_TABLE_SHIFT 2
#define QUIRE_LEVELS 4
#define QUIRE_MAX_ORDER 4
#define QUIRE_MAX_CPUS 4
#define QUIRE_ASIDS 2
#define QUIRE_FLUSH_CEILING 3
#define QUIRE_GATHER_FRAMES 2
#define QUIRE_GATHER_MORE 2
#define QUIRE_CPU_FRAMES 4
#define QUIRE_FAULT_AROUND 2
#define QUIRE_STACK_GAP 1
#define QUIRE_FAULT_RESTARTS 2
#define QUIRE_RADIX_SHIFT 2
#define QUIRE_RANGE_FANOUT 4
#define QUIRE_MM_PARTS 4
#define QUIRE_AS_PARTS 1
#endif

#define QUIRE_PAGE_SIZE (1ul << QUIRE_PAGE_SHIFT)
#define QUIRE_PAGE_MASK (~(QUIRE_PAGE_SIZE - 1))
#define QUIRE_TABLE_ENTRIES (1u << QUIRE_TABLE_SHIFT)

/* Address bits below an entry of @level; level 0 is the leaf table, whose entries map one page each. */
#define QUIRE_LEVEL_SHIFT(level) (QUIRE_PAGE_SHIFT + (level)*QUIRE_TABLE_SHIFT)
#define QUIRE_LEVEL_SIZE(level) (1ul << QUIRE_LEVEL_SHIFT(level))

#define QUIRE_HUGE_ORDER QUIRE_TABLE_SHIFT
#define QUIRE_HUGE_SIZE QUIRE_LEVEL_SIZE(1)
#define QUIRE_HUGE_PAGES (1u << QUIRE_HUGE_ORDER)

/*
 * The user half of the address space ends here. In the full geometries the top page stays unused, as on
 * Linux (a SYSCALL instruction at the very end would return to a non-canonical address).
 */
#if QUIRE_GEOMETRY == QUIRE_GEOMETRY_FULL
#define QUIRE_USER_END ((1ul << (QUIRE_LEVEL_SHIFT(QUIRE_LEVELS) - 1)) - QUIRE_PAGE_SIZE)
#else
#define QUIRE_USER_END (1ul << QUIRE_LEVEL_SHIFT(QUIRE_LEVELS))
#endif

#endif
