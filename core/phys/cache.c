/*
 * cache.c - each CPU keeps a few single frames, so that most faults take no lock that others want.
 *
 * A cache is filled and emptied by half of its size at a time, and only then is the allocator's lock taken.
 * It has a lock of its own. That one nobody contends for: its line belongs to the CPU, and others come only
 * when memory is out.
 *
 * They must come then, or an idle CPU's cache could keep the last free frames for ever, and an allocation
 * could fail with memory free, on one run and not on the next. So an allocation that finds nothing empties
 * all caches into the buddy lists, where what belongs together joins, and looks there again. Whatever was
 * free when it began is then either found or was taken by somebody else meanwhile: a frame moves between
 * cache and lists under both locks, so the last look sees it even if another CPU emptied the cache.
 *
 *	cache ----- refill, half a cache -----> scarce? then single frames, and straight back to the lists
 *
 * Below a cache full per CPU memory is scarce: caches are bypassed, so that they do not fill again while
 * somebody looks for the last frames. The mark goes when twice that is free.
 *
 * The peak. Frames in use are those out of the buddy lists less those in caches. Keeping the maximum of
 * that exactly would cost a shared line per allocation. Instead each cache remembers its lowest count since
 * it last met the lists; frames out, less all the lowest counts, bounds the use since then from above. With
 * one CPU the bound is exact.
 *
 * Order:   a cache's lock, then phys->lock; never two caches' at once. Does not sleep.
 * Rules:   BASE-6, VMA-6.
 */
#include "frames.h"

#include "../base/assert.h"

#define BATCH ((QUIRE_CPU_FRAMES + 1) / 2)

static uint32_t count_of(const struct cpu_frames *cache)
{
	return atomic_load_explicit(&cache->count, memory_order_relaxed);
}

static void set_count(struct cpu_frames *cache, uint32_t count)
{
	atomic_store_explicit(&cache->count, count, memory_order_relaxed);
	if (count < atomic_load_explicit(&cache->lowest, memory_order_relaxed))
		atomic_store_explicit(&cache->lowest, count, memory_order_relaxed);
}

static void push(struct cpu_frames *cache, struct folio *folio)
{
	uint32_t count = count_of(cache);

	cache->frame[count] = folio;
	set_count(cache, count + 1);
}

static struct folio *pop(struct cpu_frames *cache)
{
	uint32_t count = count_of(cache);

	if (!count)
		return NULL;
	set_count(cache, count - 1);
	return cache->frame[count - 1];
}

static struct cpu_frames *cache_of(struct phys *phys, uint32_t id)
{
	/* Acquire pairs with the release in phys_cpu_create(). */
	return atomic_load_explicit(&phys->caches[id], memory_order_acquire);
}

static uint32_t cpus_of(struct phys *phys)
{
	return atomic_load_explicit(&phys->cpus,
				    memory_order_acquire); /* pairs with phys_cpu_create()'s release */
}

/* The greatest use that there can have been up to now. */
uint64_t cache_peak(struct phys *phys)
{
	uint64_t peak = atomic_load_explicit(&phys->peak, memory_order_relaxed);
	uint64_t out = atomic_load_explicit(&phys->out, memory_order_relaxed), cached = 0;
	uint32_t cpus = out > peak ? cpus_of(phys) : 0;

	for (uint32_t id = 0; id < cpus && out > peak + cached; id++) {
		struct cpu_frames *cache = cache_of(phys, id);

		if (cache)
			cached += atomic_load_explicit(&cache->lowest, memory_order_relaxed);
	}
	return out > peak + cached ? out - cached : peak;
}

/* Both locks held: before the number of frames out, or in @cache, changes other than by pop() and push(). */
static void note_peak(struct phys *phys, struct cpu_frames *cache)
{
	atomic_store_explicit(&phys->peak, cache_peak(phys), memory_order_relaxed);
	atomic_store_explicit(&cache->lowest, count_of(cache), memory_order_relaxed);
}

static bool is_scarce(struct phys *phys)
{
	return atomic_load_explicit(&phys->scarce, memory_order_relaxed);
}

/* Under phys->lock, after every change of what is out. */
static void note_scarcity(struct phys *phys)
{
	uint64_t left = phys->frames - atomic_load_explicit(&phys->out, memory_order_relaxed);
	uint64_t full = (uint64_t)QUIRE_CPU_FRAMES * cpus_of(phys);
	bool scarce = left < full || (is_scarce(phys) && left < 2 * full);

	if (scarce != is_scarce(phys))
		atomic_store_explicit(&phys->scarce, scarce, memory_order_relaxed);
}

/* With @cache's lock held: take a block from the lists. */
static struct folio *take_block(struct quire_cpu *cpu, struct cpu_frames *cache, unsigned order)
{
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &phys->lock);
	note_peak(phys, cache);
	struct folio *folio = buddy_take(phys, order);
	note_peak(phys, cache);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
	return folio;
}

/* With @cache's lock held: fill it, up to half. */
static void refill(struct quire_cpu *cpu, struct cpu_frames *cache)
{
	struct phys *phys = cpu->quire->phys;
	uint32_t want = is_scarce(phys) ? 1 : BATCH, count = count_of(cache), run;
	struct folio *first;

	quire_spin_lock(cpu, &phys->lock);
	note_peak(phys, cache);
	while (count < want && (first = buddy_take_run(phys, want - count, &run))) {
		for (uint32_t i = 0; i < run; i++)
			cache->frame[count++] = first + i;
	}
	set_count(cache, count);
	atomic_store_explicit(&cache->lowest, count_of(cache), memory_order_relaxed);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
}

/* With @cache's lock held: give back the @n frames that lie in it longest. */
static void spill(struct quire_cpu *cpu, struct cpu_frames *cache, uint32_t n)
{
	struct phys *phys = cpu->quire->phys;
	uint32_t keep = count_of(cache) - n;

	quire_spin_lock(cpu, &phys->lock);
	note_peak(phys, cache);
	for (uint32_t i = 0; i < n; i++)
		buddy_give(phys, cache->frame[i], 0);
	for (uint32_t i = 0; i < keep; i++)
		cache->frame[i] = cache->frame[i + n];
	set_count(cache, keep);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
}

void cache_empty(struct quire_cpu *cpu, struct cpu_frames *cache)
{
	quire_spin_lock(cpu, &cache->lock);
	if (count_of(cache))
		spill(cpu, cache, count_of(cache));
	quire_spin_unlock(cpu, &cache->lock);
}

static void empty_all(struct quire_cpu *cpu)
{
	struct phys *phys = cpu->quire->phys;
	uint32_t cpus = cpus_of(phys);

	for (uint32_t id = 0; id < cpus; id++) {
		struct cpu_frames *cache = cache_of(phys, id);

		if (cache && count_of(cache))
			cache_empty(cpu, cache);
	}
}

struct folio *cache_take(struct quire_cpu *cpu, unsigned order)
{
	struct cpu_frames *cache = cpu->frames;
	struct folio *folio;

	quire_spin_lock(cpu, &cache->lock);
	if (order == 0) {
		if (!count_of(cache))
			refill(cpu, cache);
		folio = pop(cache);
	} else {
		folio = take_block(cpu, cache, order);
	}
	quire_spin_unlock(cpu, &cache->lock);
	if (folio)
		return folio;

	empty_all(cpu);
	quire_spin_lock(cpu, &cache->lock);
	folio = take_block(cpu, cache, order);
	quire_spin_unlock(cpu, &cache->lock);
	return folio;
}

void cache_give(struct quire_cpu *cpu, struct folio *folio, unsigned order)
{
	struct cpu_frames *cache = cpu->frames;
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &cache->lock);
	if (order == 0 && !is_scarce(phys)) {
		if (count_of(cache) == QUIRE_CPU_FRAMES)
			spill(cpu, cache, BATCH);
		push(cache, folio);
	} else {
		quire_spin_lock(cpu, &phys->lock);
		note_peak(phys, cache);
		buddy_give(phys, folio, order);
		note_scarcity(phys);
		quire_spin_unlock(cpu, &phys->lock);
	}
	quire_spin_unlock(cpu, &cache->lock);
}
