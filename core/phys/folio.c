/*
 * folio.c - how a folio begins and ends, its references, and its lock.
 *
 * A folio's life is its count: 0 is free. It leaves 0 by one release store, when everything else in the
 * struct is set, and folio_try_get() never lifts it from 0. So who comes with a pointer of doubtful age (a
 * page-cache slot read under RCU, an entry that may change) gets a reference on whatever the frame is now,
 * or none:
 *
 *	folio_try_get()			free, and allocated again
 *	count 1 -> 2			...
 *	  or 0: not here		count 1 -> 0, frame free
 *	  or a new life's count		everything set anew; count = 1, release
 *	look again where the pointer
 *	was found: still there?		(whoever takes it from there does so before it puts its reference)
 *
 * The second look decides whether it is the folio that was meant; if not, the reference goes back, and if
 * the other owner let go meanwhile, that put frees the folio, whatever its kind.
 *
 * Order:   folio_alloc() and folio_put() under any lock: they take the allocator's two only. folio_lock()
 *          sleeps.
 * Rules:   BASE-3 (who may put a frame that was mapped), BASE-6, BASE-8.
 */
#include "frames.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

/* ---- counts, by the CPU that does it ----------------------------------------------------------------- */

static void count_kind(struct quire_cpu *cpu, unsigned kind, uint64_t frames)
{
	_Atomic uint64_t *in_use = &cpu->frames->in_use[kind];

	/* Only this CPU stores here: no read-modify-write is needed. */
	atomic_store_explicit(in_use, atomic_load_explicit(in_use, memory_order_relaxed) + frames,
			      memory_order_relaxed);
}

/* ---- poison: debug builds tell whether anybody wrote to a frame that was free -------------------------- */

#ifdef QUIRE_DEBUG
static const uint32_t poison[8] = {
	0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee, 0xdeadf4ee,
};

static void poison_frame(struct quire *quire, struct folio *frame)
{
	quire_port_copy(folio_memory(quire, frame), poison, sizeof(poison));
	atomic_store_explicit(&frame->flags, FRAME_POISONED, memory_order_relaxed);
}

static void check_poison(struct quire *quire, struct folio *frame)
{
	uint32_t found[8];

	if (atomic_load_explicit(&frame->flags, memory_order_relaxed) != FRAME_POISONED)
		return;
	quire_port_copy(found, folio_memory(quire, frame), sizeof(found));
	for (unsigned i = 0; i < 8; i++)
		quire_assert(found[i] == poison[i]);
}
#else
static void poison_frame(struct quire *quire, struct folio *frame)
{
	(void)quire;
	(void)frame;
}

static void check_poison(struct quire *quire, struct folio *frame)
{
	(void)quire;
	(void)frame;
}
#endif

/* ---- beginning and end ------------------------------------------------------------------------------- */

/* What phys_fail_after() asked for: true once. */
static bool must_fail(struct phys *phys)
{
	uint64_t left = atomic_load_explicit(&phys->fail_after, memory_order_relaxed);

	while (left != PHYS_NEVER) {
		uint64_t then = left ? left - 1 : PHYS_NEVER;

		if (atomic_compare_exchange_weak_explicit(&phys->fail_after, &left, then,
							  memory_order_relaxed, memory_order_relaxed))
			return left == 0;
	}
	return false;
}

/* Nobody else can see the frames: their counts are 0. */
static void begin(struct quire *quire, struct folio *folio, enum folio_kind kind, unsigned order)
{
	for (uint64_t i = 0; i < 1ul << order; i++) {
		struct folio *frame = folio + i;

		quire_assert(atomic_load_explicit(&frame->refs, memory_order_relaxed) == 0);
		quire_assert(frame->kind == FOLIO_UNUSED && !frame->block);
		check_poison(quire, frame);
		atomic_store_explicit(&frame->flags, 0, memory_order_relaxed);
		if (i) {
			frame->kind = FOLIO_TAIL;
			frame->head = folio;
		}
	}
	/* For who is in a page cache or anonymous; a table sets its own. No owner: nobody looks at it yet. */
	folio->head = NULL;
	folio->index = 0;
	folio->lru = (struct list){ 0 };
	folio->spare = 0;
	folio->kind = (uint8_t)kind;
	folio->order = (uint8_t)order;
	/* Pairs with the acquire in folio_try_get(). */
	atomic_store_explicit(&folio->refs, 1, memory_order_release);
}

struct folio *folio_alloc(struct quire_cpu *cpu, enum folio_kind kind, unsigned order)
{
	quire_assert(kind != FOLIO_UNUSED && kind != FOLIO_TAIL && kind <= FOLIO_RESERVED);
	if (order > QUIRE_MAX_ORDER || must_fail(cpu->quire->phys))
		return NULL;

	struct folio *folio = cache_take(cpu, order);
	if (!folio)
		return NULL;
	begin(cpu->quire, folio, kind, order);
	count_kind(cpu, kind, 1ul << order);
	return folio;
}

struct folio *folio_alloc_zeroed(struct quire_cpu *cpu, enum folio_kind kind, unsigned order)
{
	struct folio *folio = folio_alloc(cpu, kind, order);

	if (folio)
		quire_port_zero(folio_memory(cpu->quire, folio), QUIRE_PAGE_SIZE << order);
	return folio;
}

static void end(struct quire_cpu *cpu, struct folio *folio)
{
	unsigned order = folio->order;

	quire_assert(atomic_load_explicit(&folio->maps, memory_order_relaxed) == 0);
	quire_assert(
		!(atomic_load_explicit(&folio->flags, memory_order_relaxed) & (FOLIO_LOCKED | FOLIO_WAITED)));
	count_kind(cpu, folio->kind, -(1ul << order));
	for (uint64_t i = 0; i < 1ul << order; i++) {
		folio[i].kind = FOLIO_UNUSED;
		atomic_store_explicit(&folio[i].flags, 0, memory_order_relaxed);
		poison_frame(cpu->quire, &folio[i]);
	}
	folio->order = 0;
	cache_give(cpu, folio, order);
}

/* ---- references -------------------------------------------------------------------------------------- */

void folio_get(struct folio *folio)
{
	uint32_t before = atomic_fetch_add_explicit(&folio->refs, 1, memory_order_relaxed);

	quire_assert(before != 0 && before < UINT32_MAX);
	(void)before;
}

bool folio_try_get(struct folio *folio)
{
	/*
	 * Acquire, also when it fails, pairs with the release in folio_put(): who finds none left finds done
	 * what was done before the last one was dropped, and does not look at the same place for ever.
	 */
	uint32_t refs = atomic_load_explicit(&folio->refs, memory_order_acquire);

	while (refs || !QUIRE_SAFEGUARD(get_not_free)) {
		/*
		 * Acquire pairs with the release in begin(), or with whatever gave the others theirs after
		 * it.
		 */
		if (atomic_compare_exchange_weak_explicit(&folio->refs, &refs, refs + 1, memory_order_acquire,
							  memory_order_acquire))
			return true;
	}
	return false;
}

void folio_put(struct quire_cpu *cpu, struct folio *folio)
{
	/*
	 * Release: what we did with the folio comes before its end. Acquire, for the last: so does what
	 * others did.
	 */
	uint32_t before = atomic_fetch_sub_explicit(&folio->refs, 1, memory_order_acq_rel);

	quire_assert(before != 0);
	if (before == 1)
		end(cpu, folio);
}

/* ---- the folio lock ---------------------------------------------------------------------------------- */

static bool set_locked(struct folio *folio)
{
	/* Acquire pairs with the release in folio_unlock(). */
	return !(atomic_fetch_or_explicit(&folio->flags, FOLIO_LOCKED, memory_order_acquire) & FOLIO_LOCKED);
}

bool folio_trylock(struct folio *folio)
{
	bool locked = set_locked(folio);

	if (locked)
		quire_lock_note(&folio->flags, QUIRE_LOCK_TRIED);
	return locked;
}

/*
 * Wait until the lock may be free. WAITED is set on a locked folio only, in one step with seeing that it is
 * locked; unlocking clears both bits in one step and wakes whoever set WAITED. So either the sleeper's word
 * is out of date when it goes to sleep, and it does not, or the one who holds the lock then wakes it. Other
 * flags that change wake nobody and do no harm.
 */
static void wait_for_unlock(struct quire_cpu **cpu, struct folio *folio)
{
	uint32_t flags = atomic_load_explicit(&folio->flags, memory_order_relaxed);

	while (flags & FOLIO_LOCKED) {
		uint32_t waited = QUIRE_SAFEGUARD(folio_waited) ? flags | FOLIO_WAITED : flags;

		if (flags == waited ||
		    atomic_compare_exchange_weak_explicit(&folio->flags, &flags, waited, memory_order_relaxed,
							  memory_order_relaxed)) {
			quire_port_wait(cpu, &folio->flags, waited);
			return;
		}
	}
}

void folio_lock(struct quire_cpu **cpu, struct folio *folio)
{
	while (!set_locked(folio))
		wait_for_unlock(cpu, folio);
	quire_lock_note(&folio->flags, QUIRE_LOCK_TAKEN);
}

void folio_unlock(struct quire_cpu *cpu, struct folio *folio)
{
	quire_lock_note(&folio->flags, QUIRE_LOCK_GIVEN);
	uint32_t before = atomic_fetch_and_explicit(&folio->flags, ~(uint32_t)(FOLIO_LOCKED | FOLIO_WAITED),
						    memory_order_release);

	quire_assert(before & FOLIO_LOCKED);
	if (before & FOLIO_WAITED)
		quire_port_wake_all(cpu, &folio->flags);
}
