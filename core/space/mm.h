/*
 * mm.h - the address space: its VMAs, its counts, and the one lock that still serialises its changes.
 *
 * Locks:  W  mm->lock held for writing to change, for reading to look    C  atomic    P  fixed
 *
 * mm->lock is the outermost lock of the core. Faults do without it, but for those that found a VMA closed, or
 * none: a fault that holds it, for reading, waits for nothing under it but the reverse map's locks; whatever
 * else it needs it prepares with nothing held, and starts again (fault.c).
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

/* W here means: mm->lock for writing, and the VMA closed (gate.h). To look one of the two, or to use it. */
struct vma {
	struct rmap_node rmap; /* bounds, file, anon_vma: see there */
	struct quire_mm *mm;   /* P */
	uint32_t flags;	       /* W, VMA_* */
	uint32_t access;       /* P, QUIRE_FILE_*: how the file was opened */
	uint64_t opened;       /* P: which opening of the file */
	uint64_t base;	       /* P once it is linked: the page offset of address 0, modulo 2^64 */
	_Atomic uint64_t gate; /* C: gate.h */
	_Atomic quire_vaddr shown_start, shown_end; /* C: bounds, for whoever does not use the VMA */
	struct vma *next_closed;		    /* the door's: what it opens at the end */
	bool gone;				    /* the door's: it is out of the tree, and stays closed */
	struct quire_rcu rcu;			    /* searches under RCU may still see it */
};

struct quire_mm {
	struct quire_as as;
	/* What faults read is not beside what changes of other ranges write (VMA-6). */
	_Alignas(64) struct quire *quire;   /* P */
	_Atomic quire_vaddr end;	    /* C: layout.end, for whoever has no lock; mm_end() */
	struct range_tree vmas;		    /* W: struct vma by address, door.c alone changes it */
	_Alignas(64) _Atomic uint64_t refs; /* C */
	struct rwlock lock;
	_Atomic uint32_t left;			    /* C: moves when a closed VMA's last user has left it */
	struct range_stock stock;		    /* W: nodes for its next changes */
	struct table_spare spare;		    /* W: a table that an unmap left empty */
	struct quire_limits limits;		    /* W */
	struct quire_layout layout;		    /* W */
	quire_vaddr brk;			    /* W */
	uint32_t default_flags;			    /* W: what mlockall(MCL_FUTURE) adds to new mappings */
	uint64_t mapped, locked, data, stack, exec; /* W, pages */
	uint64_t lock_debt; /* W, pages that count against RLIMIT_MEMLOCK besides: mremap.c */
};

/*
 * The end of addresses, as it is just now: what is refused by it, or let through, may be looked up under the
 * lock.
 */
static inline quire_vaddr mm_end(struct quire_mm *mm)
{
	return atomic_load_explicit(&mm->end, memory_order_relaxed);
}

/* W, or nobody knows the mm yet. */
static inline void mm_lay_out(struct quire_mm *mm, const struct quire_layout *layout)
{
	mm->layout = *layout;
	atomic_store_explicit(&mm->end, layout->end, memory_order_relaxed); /* a value of its own */
}

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

/* Lowest address that belongs to the VMA with the gap below a stack. */
static inline quire_vaddr vma_start_with_gap(const struct vma *vma)
{
	quire_vaddr gap = vma->flags & VMA_GROWSDOWN ? QUIRE_STACK_GAP * QUIRE_PAGE_SIZE : 0;
	return vma->rmap.start > gap ? vma->rmap.start - gap : 0;
}

/* Searches; the caller holds mm->lock either way, or is under RCU. NULL when there is none. */
struct vma *vma_find(struct quire_mm *mm, quire_vaddr addr); /* that contains @addr */
struct vma *vma_next(struct quire_mm *mm, quire_vaddr addr); /* the first that ends above @addr */
struct vma *vma_prev(struct quire_mm *mm, quire_vaddr addr); /* the last that starts below @addr */

/* vma_prev(@start) and vma_next(@end) */
struct vma_pair {
	struct vma *before, *after;
};
struct vma_pair vma_around(struct quire_mm *mm, quire_vaddr start, quire_vaddr end);

/* the first that meets [start, end) */
struct vma *vma_meets(struct quire_mm *mm, quire_vaddr start, quire_vaddr end);

/* The next one after @vma that begins below @end. */
static inline struct vma *vma_after(const struct vma *vma, quire_vaddr end)
{
	return vma->rmap.end < end ? vma_meets(vma->mm, vma->rmap.end, end) : NULL;
}

/* The bits of an entry that a VMA's protection asks for; writable only where a private page may be. */
quire_entry vma_entry_bits(uint32_t flags, const struct quire_file *file);

/* VmSize and its kinds. @pages may be negative. W. */
void mm_account(struct quire_mm *mm, uint32_t flags, int64_t pages);

/* Limits. All W. */
bool mm_may_expand(struct quire_mm *mm, uint32_t flags, uint64_t pages); /* RLIMIT_AS, RLIMIT_DATA */
/* RLIMIT_MEMLOCK, for more VMA_LOCKED memory */
bool mm_may_lock(struct quire_mm *mm, uint32_t flags, uint64_t bytes);
bool mm_can_lock(struct quire_mm *mm); /* at all */
bool flags_are_data(uint32_t flags);

/* Commit @pages, or -ENOMEM; give them back. */
int commit_charge(struct quire *quire, uint64_t pages);
void commit_uncharge(struct quire *quire, uint64_t pages);
void commit_restore(struct quire *quire, uint64_t pages); /* what was given back too early: cannot fail */

/* Instance set-up. */
int spaces_create(struct quire_cpu *cpu);
void spaces_destroy(struct quire_cpu *cpu);
int spaces_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu);
void spaces_cpu_destroy(struct quire_cpu *boot, struct quire_cpu *cpu);

/* Fault statistics, one word each, relaxed: see quire_stats. Per CPU, so that faults share no line. */
struct fault_counts {
	_Atomic uint64_t faults, anon, zero, file, around, read, cow, reuse, spurious, failed, restarts;
	_Atomic uint64_t rcu, held, locked; /* those that succeeded, by gear */
};
void fault_counts_sum(struct quire *quire, struct quire_stats *out);

static inline void count(_Atomic uint64_t *word)
{
	atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

uint64_t commit_now(struct quire *quire);
quire_pfn zero_page(struct quire *quire);

#endif
