/*
 * softmmu.c - translates: TLB first, then a walk that starts as near to the leaf as the cached upper
 * entries allow.
 *
 *	leaf cached, access allowed      --> done; but a first write walks, to set the dirty bit in memory
 *	leaf cached, access not allowed  --> fault, even if the tables now say otherwise
 *	not cached                       --> walk; entries are remembered once their accessed bit is set
 *
 * The cached upper entries carry the rights of all levels above them, so permissions are those of every
 * level AND-ed. A fault forgets what was cached for its address: x86 promises that, and without it a stale
 * refusal would repeat for ever.
 *
 * Order:   used by the CPU it belongs to alone. Entries are atomics shared with everybody.
 * Errors:  -QUIRE_ENOMEM at creation.
 * Rules:   BASE-2, BASE-3, PIN-8.
 */
#include "softmmu.h"

#include <quire/mm.h>

#include <stdlib.h>

#define TLB_DEFAULT 1024u
#define TLB_LARGEST (1u << 20)

static void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

int softmmu_create(struct softmmu *mmu, const struct softmmu_config *config)
{
	unsigned wanted = config->tlb_entries ? config->tlb_entries : TLB_DEFAULT;
	unsigned entries = TLB_WAYS;

	while (entries < wanted && entries < TLB_LARGEST)
		entries *= 2;
	struct tlb_leaf *leaves = malloc(entries * sizeof(*leaves));
	if (!leaves)
		return -QUIRE_ENOMEM;
	*mmu = (struct softmmu){ .config = *config };
	tlb_init(&mmu->tlb, leaves, entries, config->seed);
	return 0;
}

void softmmu_destroy(struct softmmu *mmu)
{
	free(mmu->tlb.leaves);
	mmu->tlb.leaves = NULL;
}

void softmmu_load_root(struct softmmu *mmu, quire_pfn root, unsigned asid)
{
	mmu->root = root;
	mmu->asid = asid;
}

void softmmu_flush_range(struct softmmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	tlb_flush_range(&mmu->tlb, asid, start, end);
}

void softmmu_flush_asid(struct softmmu *mmu, unsigned asid)
{
	tlb_flush_asid(&mmu->tlb, asid);
}

static char *frame_address(const struct softmmu *mmu, quire_pfn frame)
{
	return (char *)mmu->config.memory + (frame << QUIRE_PAGE_SHIFT);
}

/*
 * One entry: judge it, set what must be set, judge again what is there then. The exchange is a locked
 * operation, as in hardware. Acquire pairs with the release that published the entry: what it points to is
 * seen as it was then.
 */
static enum softmmu_step walk_entry(struct softmmu *mmu, struct softmmu_walk *walk)
{
	_Atomic quire_entry *slot = (_Atomic quire_entry *)(void *)frame_address(mmu, walk->table);
	quire_entry entry, bits;
	enum softmmu_step step;

	slot += softmmu_walk_index(walk);
	entry = atomic_load_explicit(slot, memory_order_acquire);
	while ((step = softmmu_walk_step(walk, entry, &bits)) == SOFTMMU_SET)
		if (atomic_compare_exchange_strong_explicit(slot, &entry, entry | bits, memory_order_acq_rel,
							    memory_order_acquire))
			entry |= bits;
	return step;
}

static bool walk_tables(struct softmmu *mmu, struct softmmu_walk *walk, quire_vaddr va, unsigned access)
{
	unsigned level = QUIRE_LEVELS;
	const struct tlb_upper *upper = tlb_find_upper(&mmu->tlb, mmu->asid, va, &level);

	count(&mmu->counts.walks);
	softmmu_walk_begin(walk, va, access, mmu->config.frames, upper ? upper->table : mmu->root, level - 1,
			   upper ? upper->rights : SOFTMMU_ALL);
	for (;;) {
		enum softmmu_step step = walk_entry(mmu, walk);

		if (step != SOFTMMU_DOWN)
			return step == SOFTMMU_DONE;
		tlb_insert_upper(&mmu->tlb, mmu->asid, va, walk->level + 1, walk->table, walk->rights);
	}
}

static void fill(struct softmmu *mmu, const struct softmmu_walk *walk)
{
	if (tlb_insert(&mmu->tlb, mmu->asid, walk->va, walk->level, walk->frame, walk->rights, walk->dirty))
		count(&mmu->counts.evictions);
}

/* The byte at @va, within the leaf of @level that begins at @frame. */
static void *leaf_address(const struct softmmu *mmu, quire_vaddr va, unsigned level, quire_pfn frame)
{
	return frame_address(mmu, frame) + (va & (QUIRE_LEVEL_SIZE(level) - 1));
}

static void *raise_fault(struct softmmu *mmu, quire_vaddr va, struct softmmu_fault *fault,
			 struct softmmu_fault what)
{
	quire_vaddr page = va & QUIRE_PAGE_MASK;

	count(&mmu->counts.faults);
	tlb_flush_range(&mmu->tlb, mmu->asid, page, page + QUIRE_PAGE_SIZE);
	*fault = what;
	return NULL;
}

static bool is_canonical(quire_vaddr va)
{
	return va >> QUIRE_LEVEL_SHIFT(QUIRE_LEVELS) == 0;
}

void *softmmu_translate(struct softmmu *mmu, quire_vaddr va, unsigned access, struct softmmu_fault *fault)
{
	struct softmmu_walk walk;

	count(&mmu->counts.translations);
	mmu->last = va;
	if (!mmu->root || !is_canonical(va))
		return raise_fault(mmu, va, fault,
				   (struct softmmu_fault){ .error = softmmu_error(access, false) });

	const struct tlb_leaf *leaf = tlb_find(&mmu->tlb, mmu->asid, va);
	if (leaf && !softmmu_allows(leaf->rights, access))
		return raise_fault(mmu, va, fault,
				   (struct softmmu_fault){ .error = softmmu_error(access, true) });
	if (leaf && (leaf->dirty || access != QUIRE_ACCESS_WRITE)) {
		count(&mmu->counts.hits);
		return leaf_address(mmu, va, leaf->level, leaf->frame);
	}

	if (!walk_tables(mmu, &walk, va, access))
		return raise_fault(mmu, va, fault,
				   (struct softmmu_fault){ walk.error, walk.level, walk.entry });
	fill(mmu, &walk);
	return leaf_address(mmu, va, walk.level, walk.frame);
}

/* Mostly a few pages away, now and then in a neighbouring table. */
static quire_vaddr nearby(struct softmmu *mmu)
{
	uint64_t random = tlb_random(&mmu->tlb);
	quire_vaddr step = random % 8 ? QUIRE_PAGE_SIZE : QUIRE_HUGE_SIZE;
	quire_vaddr distance = step * (1 + (random >> 8) % 8);

	return random & 1 << 16 ? mmu->last + distance : mmu->last - distance;
}

void softmmu_speculate(struct softmmu *mmu)
{
	struct softmmu_walk walk;

	if (!mmu->config.speculation || !mmu->root || tlb_random(&mmu->tlb) % mmu->config.speculation)
		return;
	quire_vaddr va = nearby(mmu);
	if (!is_canonical(va) || !walk_tables(mmu, &walk, va, QUIRE_ACCESS_READ))
		return;
	fill(mmu, &walk);
	count(&mmu->counts.speculative_fills);
}
