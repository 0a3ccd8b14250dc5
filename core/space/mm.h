/*
 * mm.h - the address space: its VMAs and its counts.
 *
 * Locks:  H  the part of the tree where it is held (base/rangetree.h), for writing to change, for reading to
 *            look    W  the same, all of the tree to change, any part to look    C  atomic    P  fixed
 *
 * Whoever changes an address range holds the leaves of the tree that are for it and its edges; changes of
 * other ranges go on beside it, and share no line with it (VMA-6). Outside that hold are a file's
 * resize_lock and a folio's lock alone. Faults do without it, but for those that found a VMA closed, or none:
 * a fault that holds its address, for reading, waits for nothing under it but the reverse map's locks; what
 * else it needs it prepares with nothing held, and starts again (fault.c).
 *
 * Counts are kept in parts, by CPU. A limit is judged by their sum; so that two changes at a time cannot pass
 * it together, a space that has one, other than on the number of mappings, is held whole to be changed
 * (is_exact).
 */
#ifndef QUIRE_SPACE_MM_H
#define QUIRE_SPACE_MM_H

#include "../base/bits.h"
#include "../base/rangetree.h"
#include "../store/file.h"
#include "../store/rmap.h"

#include <quire/mm.h>

/* What a VMA is. The bits are our own; which of them keep two VMAs from merging is VMA_MERGE_MASK: all. */
enum {
	VMA_READ = 1u << 0,
	VMA_WRITE = 1u << 1,
	VMA_EXEC = 1u << 2,
	VMA_SHARED = 1u << 3,	/* stores reach the file: a shared mapping of what was opened for writing */
	VMA_MAY_READ = 1u << 4, /* what mprotect may turn on: the bits above, shifted by VMA_MAY_SHIFT */
	VMA_MAY_WRITE = 1u << 5,
	VMA_MAY_EXEC = 1u << 6,
	VMA_MAY_SHARE = 1u << 7, /* MAP_SHARED was said */
	VMA_GROWSDOWN = 1u << 8,
	VMA_LOCKED = 1u << 9,
	VMA_LOCK_ON_FAULT = 1u << 10,
	VMA_ACCOUNT = 1u << 11, /* its pages are committed */
	VMA_NORESERVE = 1u << 12,
	VMA_DONT_FORK = 1u << 13,
	VMA_WIPE_ON_FORK = 1u << 14,
	VMA_NO_HUGE = 1u << 15,
	VMA_RANDOM = 1u << 16,
	VMA_SEQUENTIAL = 1u << 17,
	VMA_DONT_DUMP = 1u << 18,
	VMA_SPECIAL = 1u << 19, /* never merges, never locked: what stands for something that is not ours */
};
#define VMA_MAY_SHIFT 4
#define VMA_ACCESS (VMA_READ | VMA_WRITE | VMA_EXEC)
#define VMA_LOCK_MASK (VMA_LOCKED | VMA_LOCK_ON_FAULT)

/* H here means: held for writing, and the VMA closed (gate.h). To look one of the two, or to use it. */
struct vma {
	struct rmap_node rmap;	 /* bounds, file, anon_vma: see there */
	struct quire_mm *mm;	 /* P */
	uint32_t flags;		 /* H, VMA_* */
	uint32_t access;	 /* P, QUIRE_FILE_*: how the file was opened */
	uint64_t opened;	 /* P: which opening of the file */
	struct vma *next_closed; /* the door's: what it opens at the end */
	uint64_t base;		 /* P once it is linked: the page offset of address 0, modulo 2^64 */
	_Atomic uint64_t gate;	 /* C: gate.h */
	_Atomic quire_vaddr shown_start, shown_end; /* C: bounds, for whoever does not use the VMA */
	bool gone;				    /* the door's: it is out of the tree, and stays closed */
	struct quire_rcu rcu;			    /* searches under RCU may still see it */
};

enum mm_sum { MM_MAPPED, MM_LOCKED, MM_DATA, MM_STACK, MM_EXEC, MM_MAPS, MM_SUMS }; /* pages; mappings */

/* What changes of some CPUs write. */
struct mm_part {
	_Alignas(64) _Atomic uint64_t sum[MM_SUMS]; /* C, modulo 2^64: only all parts' is a number of pages */
	struct table_spare spare;		    /* C: a table that an unmap left empty */
};

struct quire_mm {
	struct quire_as as;
	/* What faults and changes read is not beside what changes write (VMA-6). */
	_Alignas(64) struct quire *quire;		       /* P */
	_Atomic quire_vaddr end, mmap_base, mmap_bottom, heap; /* C: layout's, for whoever holds nothing */
	_Atomic bool is_exact;				       /* C: changes hold all of it */
	uint32_t default_flags;		    /* W: what mlockall(MCL_FUTURE) adds to new mappings */
	struct range_tree vmas;		    /* H: struct vma by address, door.c alone changes it */
	struct quire_limits limits;	    /* W */
	struct quire_layout layout;	    /* W */
	uint64_t lock_debt;		    /* W, pages that count against RLIMIT_MEMLOCK besides: mremap.c */
	_Alignas(64) _Atomic uint64_t refs; /* C */
	struct rwlock lock;		    /* outside all holds, where a single lock is asked for */
	_Atomic uint32_t left;		    /* C: moves when a closed VMA's last user has left it */
	_Atomic quire_vaddr brk;	    /* C; H where the heap begins, to change it */
	struct mm_part part[QUIRE_MM_PARTS];
};

/*
 * The end of addresses, as it is just now: what is refused by it, or let through, may be looked up when it is
 * held.
 */
static inline quire_vaddr mm_end(struct quire_mm *mm)
{
	return atomic_load_explicit(&mm->end, memory_order_relaxed);
}

/* W, or nobody knows the mm yet. */
static inline void mm_lay_out(struct quire_mm *mm, const struct quire_layout *layout)
{
	mm->layout = *layout;
	/* Relaxed: each is a value of its own, and what follows from it is checked again. */
	atomic_store_explicit(&mm->end, layout->end, memory_order_relaxed);
	atomic_store_explicit(&mm->mmap_base, layout->mmap_base, memory_order_relaxed);
	atomic_store_explicit(&mm->mmap_bottom, layout->mmap_bottom, memory_order_relaxed);
	atomic_store_explicit(&mm->heap, layout->brk_start, memory_order_relaxed);
}

static inline quire_vaddr mm_heap(struct quire_mm *mm)
{
	return atomic_load_explicit(&mm->heap, memory_order_relaxed);
}

/* Relaxed: only whoever holds the heap's begin counts on it. */
static inline quire_vaddr mm_brk(const struct quire_mm *mm)
{
	return atomic_load_explicit(&((struct quire_mm *)mm)->brk, memory_order_relaxed);
}

static inline void mm_set_brk(struct quire_mm *mm, quire_vaddr brk)
{
	atomic_store_explicit(&mm->brk, brk, memory_order_relaxed);
}

/*
 * Hold [start, end) to look at it: its VMAs, and whether it has any, stay. SLEEPS. Outermost, and not with
 * another of the same mm. What is there: range_hold_find() and the like.
 */
void mm_hold(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
	     struct range_hold *hold);
void mm_hold_done(struct quire_cpu *cpu, struct quire_mm *mm, struct range_hold *hold);

/*
 * The first VMA that meets [start, end), with it and what is before it held; NULL, with nothing held. SLEEPS.
 */
struct vma *mm_hold_next(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			 struct range_hold *hold);

static inline uint64_t vma_pages(const struct vma *vma)
{
	return page_of(vma->rmap.end - vma->rmap.start);
}

static inline bool vma_is_anonymous(const struct vma *vma)
{
	return vma->rmap.file == NULL;
}

/* May hold copies of its own: stores do not reach the file. */
static inline bool flags_are_private(uint32_t flags)
{
	return (flags & (VMA_SHARED | VMA_MAY_WRITE)) == VMA_MAY_WRITE;
}

static inline bool vma_is_private(const struct vma *vma)
{
	return flags_are_private(vma->flags);
}

/* The page of the file, or of the anonymous numbering, that @va maps. The VMA need not be used. */
static inline uint64_t vma_index(const struct vma *vma, quire_vaddr va)
{
	return vma->base + page_of(va);
}

static inline bool vma_is_accessible(const struct vma *vma)
{
	return (vma->flags & VMA_ACCESS) != 0;
}

static inline struct anon_vma *vma_anon(const struct vma *vma)
{
	/* pairs with anon_prepare() */
	return atomic_load_explicit(&((struct vma *)vma)->rmap.anon, memory_order_acquire);
}

/* Searches; the caller holds all of it, or is under RCU. NULL when there is none. */
struct vma *vma_find(struct quire_mm *mm, quire_vaddr addr); /* that contains @addr */
struct vma *vma_next(struct quire_mm *mm, quire_vaddr addr); /* the first that ends above @addr */

/* The last that starts below @start, and vma_next(@end). */
struct vma_pair {
	struct vma *before, *after;
};
struct vma_pair vma_around(struct quire_mm *mm, quire_vaddr start, quire_vaddr end);

/* The bits of an entry that a VMA's protection asks for; writable only where a private page may be. */
quire_entry vma_entry_bits(uint32_t flags, const struct quire_file *file);

/* Add to a count; @n may be negative. All parts' sum: exact when all is held, or nothing changes. */
void mm_add(struct quire_cpu *cpu, struct quire_mm *mm, enum mm_sum which, int64_t n);
uint64_t mm_total(struct quire_mm *mm, enum mm_sum which);

/* VmSize and its kinds. @pages may be negative. */
void mm_account(struct quire_cpu *cpu, struct quire_mm *mm, uint32_t flags, int64_t pages);

/* The part in which this CPU's changes leave an empty table. */
struct table_spare *mm_spare(struct quire_cpu *cpu, struct quire_mm *mm);

/* How many mappings there are; or more than there are, and surely below the limit. */
uint64_t mm_maps(struct quire_mm *mm);

/* W: whether changes must hold all of it, from now on. */
void mm_judge(struct quire_mm *mm);

/* Limits. What is to be changed is held. */
bool mm_may_expand(struct quire_mm *mm, uint32_t flags, uint64_t pages); /* RLIMIT_AS, RLIMIT_DATA */
/* RLIMIT_MEMLOCK, for more VMA_LOCKED memory */
bool mm_may_lock(struct quire_mm *mm, uint32_t flags, uint64_t bytes);
bool mm_can_lock(struct quire_mm *mm); /* at all */
bool flags_are_data(uint32_t flags);

/* Commit @pages, or -ENOMEM; give them back. */
int commit_charge(struct quire_cpu *cpu, uint64_t pages);
void commit_uncharge(struct quire_cpu *cpu, uint64_t pages);
void commit_restore(struct quire_cpu *cpu, uint64_t pages); /* what was given back too early: cannot fail */

/* Instance set-up. */
int spaces_create(struct quire_cpu *cpu);
void spaces_destroy(struct quire_cpu *cpu);
int spaces_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu);
void spaces_cpu_destroy(struct quire_cpu *boot, struct quire_cpu *cpu);

/*
 * What a CPU counts for itself, relaxed, so that they share no line: faults (see quire_stats), and pages
 * committed, modulo 2^64.
 */
struct fault_counts {
	_Atomic uint64_t faults, anon, zero, file, around, read, cow, reuse, spurious, failed, restarts;
	_Atomic uint64_t rcu, held, locked; /* those that succeeded, by gear */
	_Atomic uint64_t committed;
};
void fault_counts_sum(struct quire *quire, struct quire_stats *out);

static inline void count(_Atomic uint64_t *word)
{
	atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

quire_pfn zero_page(struct quire *quire);

#endif
