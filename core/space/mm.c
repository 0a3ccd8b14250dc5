/*
 * mm.c - searches, accounting and limits of an address space.
 *
 * Order:   a hold is outside all locks but a file's resize_lock and a folio's; searches are under RCU.
 * Rules:   BASE-1 (limits and overcommit policy are Linux's), BASE-4 (accounting is exact).
 */
#include "mm.h"

#include "../base/assert.h"

/*
 * Where the sum of what is committed decides, it is one word for the instance; else each CPU counts its own.
 */
struct spaces {
	_Alignas(64) _Atomic uint64_t committed; /* pages: QUIRE_OVERCOMMIT_NEVER */
	/* the page that reads of untouched anonymous memory find; never written, and read by their faults */
	_Alignas(64) struct folio *zero;
};

struct vma *vma_find(struct quire_mm *mm, quire_vaddr addr)
{
	return range_tree_at(&mm->vmas, addr);
}

struct vma *vma_next(struct quire_mm *mm, quire_vaddr addr)
{
	struct range range;
	return range_tree_next(&mm->vmas, addr, &range) ? range.item : NULL;
}

struct vma_pair vma_around(struct quire_mm *mm, quire_vaddr start, quire_vaddr end)
{
	struct range_pair pair = range_tree_around(&mm->vmas, start, end);
	return (struct vma_pair){ pair.prev, pair.next };
}

void mm_hold(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
	     struct range_hold *hold)
{
	if (!mm->quire->config.without_vma_locks) {
		range_hold_read(cpu, &mm->vmas, start, end, hold);
		return;
	}
	/* Whoever changes anything has the single lock for writing. */
	rwlock_read(cpu, &mm->lock);
	*hold = (struct range_hold){ .tree = &mm->vmas, .hi = UINT64_MAX };
}

void mm_hold_done(struct quire_cpu *cpu, struct quire_mm *mm, struct range_hold *hold)
{
	if (mm->quire->config.without_vma_locks)
		rwlock_read_done(cpu, &mm->lock);
	else
		range_hold_done(cpu, hold);
}

/* To be sure that there is none all of the range is held; where there is one, it is held as far as that. */
struct vma *mm_hold_next(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			 struct range_hold *hold)
{
	for (bool last = false; !last && start < end;) {
		struct range range;
		quire_port_rcu_lock(*cpu);
		last = !range_tree_next(&mm->vmas, start, &range) || range.start >= end;
		quire_port_rcu_unlock(*cpu);
		quire_vaddr to = last ? end : max_u64(range.start, start) + 1;
		mm_hold(cpu, mm, start, to, hold);
		struct vma *vma = range_hold_meets(*cpu, hold, start, to);
		if (vma)
			return vma;
		mm_hold_done(*cpu, mm, hold);
	}
	return NULL;
}

/*
 * As on x86-64: what may be written or executed may be read; without any right the page stays mapped for
 * software alone. A private mapping's entries begin read-only, because a store must be noticed to copy; so do
 * a shared one's where the store must hear of the first write.
 */
quire_entry vma_entry_bits(uint32_t flags, const struct quire_file *file)
{
	if (!(flags & VMA_ACCESS))
		return ENTRY_NONE | ENTRY_USER | ENTRY_NX;
	quire_entry bits = ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED;
	if (!(flags & VMA_EXEC))
		bits |= ENTRY_NX;
	if ((flags & (VMA_SHARED | VMA_WRITE)) == (VMA_SHARED | VMA_WRITE) && file &&
	    !file_tracks_writes(file))
		bits |= ENTRY_WRITE;
	return bits;
}

bool flags_are_data(uint32_t flags)
{
	return (flags & (VMA_WRITE | VMA_SHARED | VMA_GROWSDOWN)) == VMA_WRITE;
}

static struct mm_part *part_of(struct quire_cpu *cpu, struct quire_mm *mm)
{
	return &mm->part[cpu->id % QUIRE_MM_PARTS];
}

void mm_add(struct quire_cpu *cpu, struct quire_mm *mm, enum mm_sum which, int64_t n)
{
	atomic_fetch_add_explicit(&part_of(cpu, mm)->sum[which], (uint64_t)n, memory_order_relaxed);
}

uint64_t mm_total(struct quire_mm *mm, enum mm_sum which)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < QUIRE_MM_PARTS; i++)
		total += atomic_load_explicit(&mm->part[i].sum[which], memory_order_relaxed);
	return total;
}

void mm_account(struct quire_cpu *cpu, struct quire_mm *mm, uint32_t flags, int64_t pages)
{
	mm_add(cpu, mm, MM_MAPPED, pages);
	if ((flags & (VMA_EXEC | VMA_WRITE | VMA_GROWSDOWN)) == VMA_EXEC)
		mm_add(cpu, mm, MM_EXEC, pages);
	else if (flags & VMA_GROWSDOWN)
		mm_add(cpu, mm, MM_STACK, pages);
	else if (flags_are_data(flags))
		mm_add(cpu, mm, MM_DATA, pages);
}

struct table_spare *mm_spare(struct quire_cpu *cpu, struct quire_mm *mm)
{
	return &part_of(cpu, mm)->spare;
}

/* The exact number is a line for each part, which others write. */
uint64_t mm_maps(struct quire_mm *mm)
{
	uint64_t most = range_tree_count_max(&mm->vmas);
	return most + 8 < mm->quire->config.max_map_count ? most : mm_total(mm, MM_MAPS);
}

void mm_judge(struct quire_mm *mm)
{
	const struct quire_limits *limits = &mm->limits;
	bool locks = (mm->default_flags & VMA_LOCKED) || mm_total(mm, MM_LOCKED) || mm->lock_debt;
	bool exact = limits->address_space != QUIRE_UNLIMITED || limits->data != QUIRE_UNLIMITED || locks;
	/* Relaxed: looked at again by whoever holds a part. */
	atomic_store_explicit(&mm->is_exact, exact, memory_order_relaxed);
}

/* For the sake of old programs a soft limit of 0 leaves it to the hard one. */
static uint64_t data_limit(const struct quire_mm *mm)
{
	return mm->limits.data ? mm->limits.data : mm->limits.data_hard;
}

bool mm_may_expand(struct quire_mm *mm, uint32_t flags, uint64_t pages)
{
	if (mm->limits.address_space != QUIRE_UNLIMITED &&
	    mm_total(mm, MM_MAPPED) + pages > page_of(mm->limits.address_space))
		return false;
	return mm->limits.data == QUIRE_UNLIMITED || !flags_are_data(flags) ||
	       mm_total(mm, MM_DATA) + pages <= page_of(data_limit(mm));
}

bool mm_may_lock(struct quire_mm *mm, uint32_t flags, uint64_t bytes)
{
	if (!(flags & VMA_LOCKED) || mm->limits.may_lock_any)
		return true;
	return page_of(bytes) + mm_total(mm, MM_LOCKED) + mm->lock_debt <= page_of(mm->limits.memlock);
}

bool mm_can_lock(struct quire_mm *mm)
{
	return mm->limits.may_lock_any || mm->limits.memlock != 0;
}

static uint64_t commit_limit(struct quire *quire)
{
	const struct quire_config *config = &quire->config;
	switch (config->overcommit) {
	case QUIRE_OVERCOMMIT_ALWAYS:
		return UINT64_MAX;
	case QUIRE_OVERCOMMIT_NEVER:
		return config->frames * config->overcommit_ratio / 100;
	default:
		return config->frames;
	}
}

/* Its own, unless the sum decides. */
static _Atomic uint64_t *commit_word(struct quire_cpu *cpu)
{
	bool strict = cpu->quire->config.overcommit == QUIRE_OVERCOMMIT_NEVER;
	return strict ? &cpu->quire->spaces->committed : &cpu->faults->committed;
}

/* GUESS refuses one request that could never be met, NEVER a sum that cannot be. */
int commit_charge(struct quire_cpu *cpu, uint64_t pages)
{
	uint64_t before = atomic_fetch_add_explicit(commit_word(cpu), pages, memory_order_relaxed);
	uint64_t asked = cpu->quire->config.overcommit == QUIRE_OVERCOMMIT_NEVER ? before + pages : pages;
	if (asked <= commit_limit(cpu->quire))
		return 0;
	commit_uncharge(cpu, pages);
	return -QUIRE_ENOMEM;
}

void commit_uncharge(struct quire_cpu *cpu, uint64_t pages)
{
	atomic_fetch_sub_explicit(commit_word(cpu), pages, memory_order_relaxed);
}

void commit_restore(struct quire_cpu *cpu, uint64_t pages)
{
	atomic_fetch_add_explicit(commit_word(cpu), pages, memory_order_relaxed);
}

int spaces_create(struct quire_cpu *cpu)
{
	struct spaces *spaces = object_alloc(cpu, sizeof(*spaces));
	if (!spaces)
		return -QUIRE_ENOMEM;
	spaces->zero = folio_alloc_zeroed(cpu, FOLIO_RESERVED, 0);
	if (!spaces->zero) {
		object_free(cpu, spaces, sizeof(*spaces));
		return -QUIRE_ENOMEM;
	}
	cpu->quire->spaces = spaces;
	return 0;
}

quire_pfn zero_page(struct quire *quire)
{
	return folio_pfn(quire, quire->spaces->zero);
}

void spaces_destroy(struct quire_cpu *cpu)
{
	folio_put(cpu, cpu->quire->spaces->zero);
	object_free(cpu, cpu->quire->spaces, sizeof(struct spaces));
	cpu->quire->spaces = NULL;
}

int spaces_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	cpu->faults = object_alloc(boot, sizeof(*cpu->faults));
	return cpu->faults ? 0 : -QUIRE_ENOMEM;
}

void spaces_cpu_destroy(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	object_free(boot, cpu->faults, sizeof(*cpu->faults));
	cpu->faults = NULL;
}

static uint64_t read_count(_Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

void fault_counts_sum(struct quire *quire, struct quire_stats *out)
{
	out->committed_pages = read_count(&quire->spaces->committed);
	for (unsigned id = 0; id < QUIRE_MAX_CPUS; id++) {
		/* Acquire pairs with the release with which the CPU was published. */
		struct quire_cpu *cpu = atomic_load_explicit(&quire->cpus[id], memory_order_acquire);
		if (!cpu || !cpu->faults)
			continue;
		struct fault_counts *counts = cpu->faults;
		out->faults += read_count(&counts->faults);
		out->faults_anon += read_count(&counts->anon);
		out->faults_zero += read_count(&counts->zero);
		out->faults_file += read_count(&counts->file);
		out->faults_around += read_count(&counts->around);
		out->faults_read += read_count(&counts->read);
		out->faults_cow += read_count(&counts->cow);
		out->faults_reuse += read_count(&counts->reuse);
		out->faults_spurious += read_count(&counts->spurious);
		out->faults_failed += read_count(&counts->failed);
		out->faults_restarts += read_count(&counts->restarts);
		out->faults_rcu += read_count(&counts->rcu);
		out->faults_held += read_count(&counts->held);
		out->faults_locked += read_count(&counts->locked);
		out->committed_pages += read_count(&counts->committed);
	}
}
