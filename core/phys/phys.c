/*
 * phys.c - the frame allocator's beginning and end, and its counts.
 *
 * Everything stands in the metadata that the instance was given: first the allocator, then one folio per
 * frame. Creation writes the former only, whatever the size of memory.
 *
 * Frames in use are counted by the CPU that takes or gives back, each in lines of its own; a sum says how
 * many there are. One CPU's share may be negative: they are numbers modulo 2^64.
 *
 * Order:   creation and destruction of CPUs are serialised by the caller; counting from anywhere, at any
 *          time.
 */
#include "frames.h"

#include "../base/assert.h"
#include "../base/bits.h"
#include "../base/object.h"

#define HEAD_BYTES \
	((sizeof(struct phys) + sizeof(struct folio) - 1) / sizeof(struct folio) * sizeof(struct folio))
#define FRAMES_MAX (UINT64_MAX >> (QUIRE_PAGE_SHIFT > 7 ? QUIRE_PAGE_SHIFT : 7))

size_t quire_metadata_bytes(uint64_t frames)
{
	return HEAD_BYTES + frames * sizeof(struct folio);
}

int phys_create(struct quire *quire)
{
	const struct quire_config *config = &quire->config;
	struct phys *phys = config->metadata;

	if (!config->memory || !is_aligned((uint64_t)(uintptr_t)config->memory, QUIRE_PAGE_SIZE))
		return -QUIRE_EINVAL;
	if (!phys || !is_aligned((uint64_t)(uintptr_t)phys, sizeof(struct folio)))
		return -QUIRE_EINVAL;
	if (config->frames < 2 || config->frames > FRAMES_MAX)
		return -QUIRE_EINVAL;

	phys->folios = (struct folio *)((char *)config->metadata + HEAD_BYTES);
	phys->memory = config->memory;
	phys->frames = config->frames;
	atomic_store_explicit(&phys->fail_after, PHYS_NEVER, memory_order_relaxed);
	atomic_store_explicit(&phys->out, 1, memory_order_relaxed);
	phys->folios[0].kind = FOLIO_RESERVED;
	phys->in_use[FOLIO_RESERVED] = 1;
	buddy_create(phys);
	quire->phys = phys;
	return 0;
}

int phys_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	struct phys *phys = cpu->quire->phys;
	struct cpu_frames *cache = object_alloc(boot, sizeof(*cache));

	if (!cache)
		return -QUIRE_ENOMEM;
	cpu->frames = cache;
	/* Both pair with the acquires in cache.c and below. */
	atomic_store_explicit(&phys->caches[cpu->id], cache, memory_order_release);
	if (cpu->id >= atomic_load_explicit(&phys->cpus, memory_order_relaxed))
		atomic_store_explicit(&phys->cpus, cpu->id + 1, memory_order_release);
	cache_share(phys);
	return 0;
}

void phys_cpu_destroy(struct quire_cpu *cpu)
{
	struct phys *phys = cpu->quire->phys;
	struct cpu_frames *cache = cpu->frames;

	cache_empty(cpu, cache);
	for (unsigned kind = 0; kind < PHYS_KINDS; kind++)
		phys->in_use[kind] += atomic_load_explicit(&cache->in_use[kind], memory_order_relaxed);
	atomic_store_explicit(&phys->caches[cpu->id], NULL, memory_order_relaxed);
	cpu->frames = NULL;
	object_free(cpu, cache, sizeof(*cache));
}

void phys_counts(struct quire *quire, struct phys_counts *out)
{
	struct phys *phys = quire->phys;
	uint32_t cpus = atomic_load_explicit(&phys->cpus, memory_order_acquire);
	uint64_t in_use = 0;

	*out = (struct phys_counts){ .total = phys->frames, .peak = cache_peak(phys) };
	for (unsigned kind = 0; kind < PHYS_KINDS; kind++) {
		out->kind[kind] = phys->in_use[kind];
		for (uint32_t id = 0; id < cpus; id++) {
			struct cpu_frames *cache = atomic_load_explicit(&phys->caches[id],
									memory_order_acquire);

			if (cache)
				out->kind[kind] += atomic_load_explicit(&cache->in_use[kind],
									memory_order_relaxed);
		}
		in_use += out->kind[kind];
	}
	/* While others run, a frame may be counted where it is given back and not yet where it was taken. */
	out->free = phys->frames - min_u64(in_use, phys->frames);
	out->reserved = out->kind[FOLIO_RESERVED];
}

void phys_destroy(struct quire_cpu *cpu)
{
	struct quire *quire = cpu->quire;
	struct phys_counts counts;

	phys_counts(quire, &counts);
	quire_assert(counts.free == counts.total - 1); /* all but frame 0 */
	(void)counts;
	quire->phys = NULL;
}

void phys_fail_after(struct quire *quire, uint64_t succeed)
{
	atomic_store_explicit(&quire->phys->fail_after, succeed, memory_order_relaxed);
}

static uint64_t check_block(struct phys *phys, struct folio *folio, unsigned order, const char **what)
{
	quire_pfn pfn = frame_pfn(phys, folio), buddy = pfn ^ (1ul << order);

	if (!is_aligned(pfn, 1ul << order) || pfn + (1ul << order) > phys->watermark)
		*what = "a free block is out of place";
	else if (folio->block != order + 1)
		*what = "a free block does not know its order";
	else if (order < QUIRE_MAX_ORDER && buddy < phys->watermark &&
		 frame_folio(phys, buddy)->block == order + 1)
		*what = "two free buddies are not joined";
	for (uint64_t i = 0; i < 1ul << order && !*what; i++) {
		if (folio[i].kind != FOLIO_UNUSED ||
		    atomic_load_explicit(&folio[i].refs, memory_order_relaxed))
			*what = "a frame in a free block is in use";
	}
	return 1ul << order;
}

bool phys_check(struct quire *quire, const char **what)
{
	struct phys *phys = quire->phys;
	uint32_t cpus = atomic_load_explicit(&phys->cpus, memory_order_acquire);
	uint64_t listed = phys->depot_frames, cached = 0;
	struct phys_counts counts;

	*what = NULL;
	for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++) {
		list_for_each(at, &phys->free[order])
			listed += check_block(phys, container_of(at, struct folio, free), order, what);
	}
	for (uint32_t id = 0; id < cpus; id++) {
		struct cpu_frames *cache = atomic_load_explicit(&phys->caches[id], memory_order_acquire);

		if (cache)
			cached += atomic_load_explicit(&cache->count, memory_order_relaxed);
	}
	phys_counts(quire, &counts);
	uint64_t never_used = phys->frames - max_u64(phys->watermark, 1); /* frame 0 is never free */
	if (!*what &&
	    phys->frames - listed - never_used != atomic_load_explicit(&phys->out, memory_order_relaxed))
		*what = "the count of frames out is wrong";
	if (!*what && counts.free != listed + never_used + cached)
		*what = "the counts of frames in use do not add up";
	return !*what;
}
