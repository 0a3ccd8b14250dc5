/*
 * cache.c - each CPU keeps single frames, so that most faults take no lock and no line that others want.
 *
 * What a CPU keeps are batches, chains of free frames: the loaded one, from which it takes and to which it
 * gives, and full ones. It may keep its share of an eighth of memory, so that what a program touches, drops
 * and touches again stays where its lines are. Only what is more than that, or missing, is the allocator's
 * affair, a batch at a time. Full batches lie in the depot, chained by their first frames: handing one over
 * is a matter of two lines, not of each of its frames. The buddy lists are asked when the depot has none,
 * and get what is too much for it.
 *
 *	loaded <--> full ones <--- a batch at a time ---> depot, if that is not full <---> buddy lists
 *	   \-------- scarce? then single frames, and straight to and from the lists --------/
 *
 * A cache has a lock of its own. That one nobody contends for: its line belongs to the CPU, and others come
 * only when memory is out.
 *
 * They must come then, or an idle CPU's cache could keep the last free frames for ever, and an allocation
 * could fail with memory free, on one run and not on the next. So an allocation that finds nothing empties
 * all caches and the depot into the buddy lists, where what belongs together joins, and looks there again.
 * Whatever was free when it began is then either found or was taken by somebody else meanwhile: a frame
 * moves between cache and lists under both locks, so the last look sees it even if another CPU emptied the
 * cache.
 *
 * With fewer than QUIRE_CPU_FRAMES per CPU in lists and depot memory is scarce: caches are bypassed, so that
 * they do not fill again while somebody looks for the last frames, and the depot is emptied. The mark goes
 * when twice that is there.
 *
 * The peak. Frames in use are those out of lists and depot less those in caches. Keeping the maximum of that
 * exactly would cost a shared line per allocation. Instead each cache remembers its lowest count since it
 * last gave frames back; frames out, less all the lowest counts, bounds the use since then from above, and
 * is noted before it falls. Looking at many CPUs' counts would take long, under the lock: only the first
 * PEAK_CPUS are looked at, others count as empty. With one CPU the bound is exact.
 *
 * Order:   a cache's lock, then phys->lock; never two caches' at once. Does not sleep.
 * Rules:   BASE-6, VMA-6.
 */
#include "frames.h"

#include "../base/assert.h"
#include "../base/bits.h"

#define BATCH (QUIRE_CPU_FRAMES / 2)
#define PEAK_CPUS 8u
#define SHARE 8 /* of all frames, one in so many may be in the depot, and as many in caches */

enum where { TO_DEPOT, TO_LISTS };

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
	if (cache->loaded_count == BATCH) {
		cache->loaded->batch = cache->full;
		cache->full = cache->loaded;
		cache->loaded = NULL;
		cache->loaded_count = 0;
	}
	folio->behind = cache->loaded;
	cache->loaded = folio;
	cache->loaded_count++;
	set_count(cache, count_of(cache) + 1);
}

/* Out of the chain of full ones; NULL: there is none. */
static struct folio *take_full(struct cpu_frames *cache)
{
	struct folio *batch = cache->full;

	if (batch)
		cache->full = batch->batch;
	return batch;
}

static struct folio *pop(struct cpu_frames *cache)
{
	struct folio *folio;

	if (!count_of(cache))
		return NULL;
	if (!cache->loaded_count) {
		cache->loaded = take_full(cache);
		cache->loaded_count = BATCH;
	}
	folio = cache->loaded;
	cache->loaded = folio->behind;
	cache->loaded_count--;
	set_count(cache, count_of(cache) - 1);
	return folio;
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
	uint64_t cpus = out > peak ? min_u64(cpus_of(phys), PEAK_CPUS) : 0;

	for (uint32_t id = 0; id < cpus && out > peak + cached; id++) {
		struct cpu_frames *cache = cache_of(phys, id);

		if (cache)
			cached += atomic_load_explicit(&cache->lowest, memory_order_relaxed);
	}
	return out > peak + cached ? out - cached : peak;
}

/* Both locks held: before frames out become fewer. */
static void note_peak(struct phys *phys, struct cpu_frames *cache)
{
	atomic_store_explicit(&phys->peak, cache_peak(phys), memory_order_relaxed);
	atomic_store_explicit(&cache->lowest, count_of(cache), memory_order_relaxed);
}

void cache_share(struct phys *phys)
{
	uint64_t share = max_u64(phys->frames / SHARE / cpus_of(phys), QUIRE_CPU_FRAMES);

	atomic_store_explicit(&phys->share, (uint32_t)min_u64(share, UINT32_MAX), memory_order_relaxed);
}

static bool is_full(struct phys *phys, const struct cpu_frames *cache)
{
	return count_of(cache) >= atomic_load_explicit(&phys->share, memory_order_relaxed);
}

static bool is_scarce(struct phys *phys)
{
	return atomic_load_explicit(&phys->scarce, memory_order_relaxed);
}

/* ---- the depot, under phys->lock ---------------------------------------------------------------------- */

static bool depot_has_room(const struct phys *phys)
{
	return phys->depot_frames + BATCH <= phys->frames / SHARE;
}

static void depot_put(struct phys *phys, struct folio *batch)
{
	batch->batch = phys->depot;
	phys->depot = batch;
	phys->depot_frames += BATCH;
	count_out(phys, -(uint64_t)BATCH);
}

static struct folio *depot_take(struct phys *phys)
{
	struct folio *batch = phys->depot;

	if (!batch)
		return NULL;
	phys->depot = batch->batch;
	phys->depot_frames -= BATCH;
	count_out(phys, BATCH);
	return batch;
}

static void give_chain(struct phys *phys, struct folio *first)
{
	while (first) {
		struct folio *behind = first->behind;

		buddy_give(phys, first, 0);
		first = behind;
	}
}

/* One batch goes to the lists. False: there is none. */
static bool depot_shrink(struct phys *phys)
{
	struct folio *batch = depot_take(phys);

	give_chain(phys, batch);
	return batch != NULL;
}

/* After every change of what is out. */
static void note_scarcity(struct phys *phys)
{
	uint64_t left = phys->frames - atomic_load_explicit(&phys->out, memory_order_relaxed);
	uint64_t full = (uint64_t)QUIRE_CPU_FRAMES * cpus_of(phys);
	bool scarce = left < full || (is_scarce(phys) && left < 2 * full);

	if (scarce == is_scarce(phys))
		return;
	atomic_store_explicit(&phys->scarce, scarce, memory_order_relaxed);
	while (scarce && depot_shrink(phys))
		;
}

/* ---- between a cache, whose lock is held, and the allocator -------------------------------------------- */

static struct folio *take_block(struct quire_cpu *cpu, unsigned order)
{
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &phys->lock);
	struct folio *folio = buddy_take(phys, order);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
	return folio;
}

/* Load @most frames from the buddy lists, or what there is. */
static void load_runs(struct phys *phys, struct cpu_frames *cache, uint32_t most)
{
	uint32_t count = 0, run;
	struct folio *first;

	while (count < most && (first = buddy_take_run(phys, most - count, &run))) {
		for (uint32_t i = run; i-- > 0;) {
			first[i].behind = cache->loaded;
			cache->loaded = &first[i];
		}
		count += run;
	}
	cache->loaded_count = count;
}

/* It is empty: load a batch. What is out rises as what is cached does, so the peak need not be noted. */
static void refill(struct quire_cpu *cpu, struct cpu_frames *cache)
{
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &phys->lock);
	if ((cache->loaded = depot_take(phys)))
		cache->loaded_count = BATCH;
	else
		load_runs(phys, cache, is_scarce(phys) ? 1 : BATCH);
	atomic_store_explicit(&cache->count, cache->loaded_count, memory_order_relaxed);
	atomic_store_explicit(&cache->lowest, cache->loaded_count, memory_order_relaxed);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
}

/* Give back @chain, which is no longer in @cache, but is still counted: @count frames. */
static void give_back(struct quire_cpu *cpu, struct cpu_frames *cache, struct folio *chain, uint32_t count,
		      enum where where)
{
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &phys->lock);
	note_peak(phys, cache);
	if (where == TO_DEPOT && depot_has_room(phys))
		depot_put(phys, chain);
	else
		give_chain(phys, chain);
	set_count(cache, count_of(cache) - count);
	note_scarcity(phys);
	quire_spin_unlock(cpu, &phys->lock);
}

void cache_empty(struct quire_cpu *cpu, struct cpu_frames *cache)
{
	struct folio *batch;

	quire_spin_lock(cpu, &cache->lock);
	batch = cache->loaded;
	if (batch) {
		cache->loaded = NULL;
		give_back(cpu, cache, batch, cache->loaded_count, TO_LISTS);
		cache->loaded_count = 0;
	}
	while ((batch = take_full(cache)))
		give_back(cpu, cache, batch, BATCH, TO_LISTS);
	quire_spin_unlock(cpu, &cache->lock);
}

/* A batch at a time: others need not wait for all of it. */
static void empty_depot(struct quire_cpu *cpu)
{
	struct phys *phys = cpu->quire->phys;
	bool more;

	do {
		quire_spin_lock(cpu, &phys->lock);
		more = depot_shrink(phys);
		quire_spin_unlock(cpu, &phys->lock);
	} while (more);
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
	empty_depot(cpu);
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
		folio = take_block(cpu, order);
	}
	quire_spin_unlock(cpu, &cache->lock);
	if (folio)
		return folio;

	empty_all(cpu);
	quire_spin_lock(cpu, &cache->lock);
	folio = take_block(cpu, order);
	quire_spin_unlock(cpu, &cache->lock);
	return folio;
}

void cache_give(struct quire_cpu *cpu, struct folio *folio, unsigned order)
{
	struct cpu_frames *cache = cpu->frames;
	struct phys *phys = cpu->quire->phys;

	quire_spin_lock(cpu, &cache->lock);
	if (order == 0 && !is_scarce(phys)) {
		if (is_full(phys, cache))
			give_back(cpu, cache, take_full(cache), BATCH, TO_DEPOT);
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
