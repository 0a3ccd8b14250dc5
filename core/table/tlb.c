/*
 * tlb.c - which CPU may still know a translation, and how it is made to forget.
 *
 * An address space has a generation, which moves at every flush; or several, each for some of its leaf
 * tables, so that flushes of different ranges do not write to one line (VMA-6). A CPU remembers, for each of
 * its QUIRE_ASIDS tags, whose translations the tag holds and up to which generations they are flushed. So a
 * flush need not reach a CPU that does not use the address space now: the CPU finds itself behind when it
 * comes back, and flushes then, all at once.
 *
 *	flush				tells	a CPU that runs the address space
 *						a lazy one, if tables were taken out: it loads the empty root
 *					not	a lazy one, if only leaves changed
 *						one that has left: its bit in as->cpus is off
 *
 * Who is told but has caught up already (generation not below the flush's) does nothing. One exactly one
 * behind flushes the range; one that is further behind does not know what it has missed, and flushes
 * everything. It says so of the flush's own generation alone, though others are covered: to look at them is
 * to ask for a line of every part, of which somebody else has just written one.
 *
 * Interrupts. The IPI handler may run between any two instructions of the functions that it meets here on the
 * same CPU. What they share is atomic, and each is so ordered that the handler finds it either as before or
 * as after. It finds what to flush by the tags, not by the root that is loaded: so there is no moment, in a
 * switch from one root to another, in which a flush for either is taken for none of this CPU's business.
 *
 * Order:   takes no lock. A flush waits for other CPUs, whose every wait serves IPIs.
 * Rules:   BASE-3.
 */
#include "tlb.h"

#include "../base/assert.h"
#include "../base/bits.h"
#include "../base/object.h"
#include "../base/safeguard.h"

_Static_assert(QUIRE_ASIDS >= 2, "a tag can be taken only from an address space that is not loaded");

#define MASK_WORD_BITS 64
#define MASK_WORDS (sizeof(struct quire_cpu_mask) / sizeof(uint64_t))

/* One flush, as its handlers see it. On the initiator's stack. */
struct flush {
	struct quire_as *as;
	quire_vaddr start, end;
	unsigned part;	     /* of the address space, whose generation moves */
	uint64_t generation; /* the one that this flush makes */
	bool whole;	     /* too much for one by one */
	bool tables;	     /* tables were taken out */
};

static void tally(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t mask_bit(const struct quire_cpu *cpu)
{
	return 1ul << (cpu->id % MASK_WORD_BITS);
}

static _Atomic uint64_t *mask_word(struct quire_as *as, const struct quire_cpu *cpu)
{
	return &as->cpus.bits[cpu->id / MASK_WORD_BITS];
}

/* ---- a CPU's tags -------------------------------------------------------------------------------------- */

static struct asid_slot *slot_find(struct cpu_tlb *tlb, const struct quire_as *as)
{
	for (unsigned i = 0; i < QUIRE_ASIDS; i++) {
		if (atomic_load_explicit(&tlb->slots[i].as_id, memory_order_relaxed) == as->id)
			return &tlb->slots[i];
	}
	return NULL;
}

static unsigned slot_asid(const struct cpu_tlb *tlb, const struct asid_slot *slot)
{
	return (unsigned)(slot - tlb->slots) + 1;
}

/*
 * Take a tag for @as, not the one in use. The handler may look between the lines: it must not find the new
 * owner with the old owner's generation, which might happen to be the one that it wants. So the tag is
 * nobody's while its generation goes to 0, behind every flush there can be.
 */
static struct asid_slot *slot_take(struct cpu_tlb *tlb, const struct quire_as *as,
				   const struct quire_as *loaded)
{
	struct asid_slot *slot;
	uint32_t victim = atomic_load_explicit(&tlb->victim, memory_order_relaxed);

	do {
		slot = &tlb->slots[victim];
		victim = (victim + 1) % QUIRE_ASIDS;
	} while (loaded && atomic_load_explicit(&slot->as_id, memory_order_relaxed) == loaded->id);
	atomic_store_explicit(&tlb->victim, victim, memory_order_relaxed);

	if (QUIRE_SAFEGUARD(tag_nobodys))
		atomic_store_explicit(&slot->as_id, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	for (unsigned part = 0; part < QUIRE_AS_PARTS; part++)
		atomic_store_explicit(&slot->generation[part], 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&slot->as_id, as->id, memory_order_relaxed);
	return slot;
}

/* Acquire pairs with the release in flush_everywhere(): the entries cleared before it are seen cleared. */
static void read_generations(struct quire_as *as, uint64_t *generation)
{
	for (unsigned part = 0; part < QUIRE_AS_PARTS; part++)
		generation[part] = atomic_load_explicit(&as->part[part].generation, memory_order_acquire);
}

/* Relaxed: only compared; slot_flush_whole() reads them again. */
static bool is_behind(struct quire_as *as, struct asid_slot *slot)
{
	for (unsigned part = 0; part < QUIRE_AS_PARTS; part++)
		if (atomic_load_explicit(&slot->generation[part], memory_order_relaxed) <
		    atomic_load_explicit(&as->part[part].generation, memory_order_relaxed))
			return true;
	return false;
}

/*
 * Forget everything under the tag. The generations are read before: what moves one afterwards is not covered,
 * and whoever moves it sees our bit and interrupts us, or we have not set it yet and read again. A handler
 * that comes between the flush and the store is set back by the store, to a generation that is flushed all
 * the same.
 */
static void slot_flush_whole(struct quire_cpu *cpu, struct quire_as *as, struct asid_slot *slot)
{
	uint64_t generation[QUIRE_AS_PARTS];

	read_generations(as, generation);
	quire_port_tlb_flush_asid(cpu, slot_asid(cpu->tlb, slot));
	atomic_signal_fence(memory_order_seq_cst);
	if (!QUIRE_SAFEGUARD(generation_first))
		read_generations(as, generation);
	for (unsigned part = 0; part < QUIRE_AS_PARTS; part++)
		atomic_store_explicit(&slot->generation[part], generation[part], memory_order_relaxed);
}

/* ---- which root is loaded ------------------------------------------------------------------------------ */

static void load_empty(struct quire_cpu *cpu, struct quire_as *as)
{
	quire_port_load_root(cpu, folio_pfn(cpu->quire, cpu->quire->tables->empty), 0);
	atomic_store_explicit(&cpu->tlb->as, NULL, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	/*
	 * Release pairs with the acquires in flush_targets() and tlb_evict(): we are out of the root. Last:
	 * @as may go.
	 */
	atomic_fetch_and_explicit(mask_word(as, cpu), ~mask_bit(cpu), memory_order_release);
}

/*
 * BASE-3: a CPU that comes back against a flush that leaves it out. Either the flush sees the CPU, or the CPU
 * the flush.
 *
 *	as_run()					a flush
 *	lazy = false; or set the bit in as->cpus	clear the entry
 *	FULL FENCE (a)					generation + 1
 *	read generation					FULL FENCE (b)
 *	behind? flush all				read as->cpus; read lazy of those in it
 *	load root, run					interrupt them; free the frame
 *
 * Without (a), the read of the generation may pass the store: the CPU takes itself for flushed while the
 * flush still sees it lazy, or absent, and its stale translation reaches a frame that is another's by now.
 * Without (b) the same from the other side.
 *
 * The flush comes before the root is loaded, not after: a tag that was left alone while tables were freed may
 * still have upper-level entries that lead into them, and a CPU may walk of its own accord as soon as the
 * root and its tag are loaded.
 *
 * lazy goes off before anything else is looked at: from then on the handler does not take the root away from
 * under us.
 */
void as_run(struct quire_cpu *cpu, struct quire_as *as)
{
	struct cpu_tlb *tlb = cpu->tlb;
	bool lazy = atomic_load_explicit(&tlb->lazy, memory_order_relaxed);

	if (!lazy && atomic_load_explicit(&tlb->as, memory_order_relaxed) == as)
		return;
	atomic_store_explicit(&tlb->lazy, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);

	struct quire_as *old = atomic_load_explicit(&tlb->as, memory_order_relaxed);
	struct asid_slot *slot = slot_find(tlb, as);
	if (!slot)
		slot = slot_take(tlb, as, old);
	if (old != as && QUIRE_SAFEGUARD(run_announce))
		atomic_fetch_or_explicit(mask_word(as, cpu), mask_bit(cpu), memory_order_relaxed);

	if (QUIRE_SAFEGUARD(wake_fence))
		quire_port_fence(); /* (a) */

	bool behind = is_behind(as, slot);
	if (behind && QUIRE_SAFEGUARD(wake_recheck) && (old == as || QUIRE_SAFEGUARD(wake_flush_first))) {
		slot_flush_whole(cpu, as, slot);
		tally(&tlb->tally.full, 1);
	}
	if (old == as)
		return;
	quire_port_load_root(cpu, folio_pfn(cpu->quire, as->root), slot_asid(tlb, slot));
	if (!QUIRE_SAFEGUARD(run_announce)) /* a flush may have come and gone */
		atomic_fetch_or_explicit(mask_word(as, cpu), mask_bit(cpu), memory_order_relaxed);
	if (behind && !QUIRE_SAFEGUARD(wake_flush_first))
		slot_flush_whole(cpu, as, slot);
	atomic_store_explicit(&tlb->as, as, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	/*
	 * Release as in load_empty(). Last: nobody may hold @old for us, and as_destroy() waits for this bit.
	 */
	if (old)
		atomic_fetch_and_explicit(mask_word(old, cpu), ~mask_bit(cpu), memory_order_release);
}

void as_idle(struct quire_cpu *cpu)
{
	/* Release pairs with the acquire in flush_targets(): what the program stored, it stored before. */
	atomic_store_explicit(&cpu->tlb->lazy, true, memory_order_release);
}

void as_leave(struct quire_cpu *cpu)
{
	struct cpu_tlb *tlb = cpu->tlb;

	/* As in as_run(): no handler takes the root away between here and the end. */
	atomic_store_explicit(&tlb->lazy, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	struct quire_as *as = atomic_load_explicit(&tlb->as, memory_order_relaxed);
	if (as)
		load_empty(cpu, as);
}

/* ---- the flush ----------------------------------------------------------------------------------------- */

enum flushed { FLUSHED_NOTHING, FLUSHED_RANGE, FLUSHED_WHOLE };

/* A CPU's part. In the IPI handler: no locks, no waits. */
static enum flushed flush_here(struct quire_cpu *cpu, const struct flush *flush)
{
	struct cpu_tlb *tlb = cpu->tlb;

	if (atomic_load_explicit(&tlb->lazy, memory_order_relaxed)) {
		/* Behind, and left so: as_run() looks. But tables that go must not be under the root. */
		if (flush->tables && atomic_load_explicit(&tlb->as, memory_order_relaxed) == flush->as &&
		    QUIRE_SAFEGUARD(lazy_leave))
			load_empty(cpu, flush->as);
		return FLUSHED_NOTHING;
	}
	/*
	 * To go by the root said to be loaded is to miss a flush in the midst of a switch (CVE-2025-37964).
	 */
	if (!QUIRE_SAFEGUARD(flush_by_tag) &&
	    atomic_load_explicit(&tlb->as, memory_order_relaxed) != flush->as)
		return FLUSHED_NOTHING;
	struct asid_slot *slot = slot_find(tlb, flush->as);
	if (!slot)
		return FLUSHED_NOTHING;
	_Atomic uint64_t *flushed = &slot->generation[flush->part];
	uint64_t have = atomic_load_explicit(flushed, memory_order_relaxed);
	if (have >= flush->generation)
		return FLUSHED_NOTHING;
	bool whole = flush->whole || (have + 1 != flush->generation && QUIRE_SAFEGUARD(missed_flush));
	if (whole)
		quire_port_tlb_flush_asid(cpu, slot_asid(tlb, slot));
	else
		quire_port_tlb_flush_range(cpu, slot_asid(tlb, slot), flush->start, flush->end);
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(flushed, flush->generation, memory_order_relaxed);
	return whole ? FLUSHED_WHOLE : FLUSHED_RANGE;
}

static void flush_handler(struct quire_cpu *cpu, void *argument)
{
	flush_here(cpu, argument);
}

static bool cpu_is_lazy(struct quire *quire, unsigned id)
{
	/* Acquire pairs with the release with which the CPU was published. */
	struct quire_cpu *cpu = atomic_load_explicit(&quire->cpus[id], memory_order_acquire);

	/* Acquire pairs with the release in as_idle(). */
	return cpu && atomic_load_explicit(&cpu->tlb->lazy, memory_order_acquire);
}

/*
 * Most instances have few CPUs, and masks many words. Relaxed: a CPU's word is there before its bit, and not
 * to see the one is not to see the other (as_run() draws what follows from that).
 */
static inline bool is_word_used(struct quire *quire, unsigned word)
{
	return MASK_WORDS == 1 ? word == 0
			       : atomic_load_explicit(&quire->mask_words, memory_order_relaxed) >> word & 1;
}

/* The CPUs, but for @self, that have the root loaded. False: none has, as is most often so. */
static inline bool find_others(const struct quire_cpu *self, struct quire_as *as,
			       struct quire_cpu_mask *others)
{
	const _Atomic uint64_t *own = mask_word(as, self);
	uint64_t any = 0;
	unsigned word;

	for (word = 0; is_word_used(self->quire, word); word++) {
		/* Acquire pairs with the releases with which CPUs leave the root. */
		uint64_t bits = atomic_load_explicit(&as->cpus.bits[word], memory_order_acquire);
		if (&as->cpus.bits[word] == own)
			bits &= ~mask_bit(self);
		atomic_store_explicit(&others->bits[word], bits, memory_order_relaxed);
		any |= bits;
	}
	for (; any && word < MASK_WORDS; word++)
		atomic_store_explicit(&others->bits[word], 0, memory_order_relaxed);
	return any != 0;
}

/* The CPUs, but for @self, that must be told. Returns how many. */
static unsigned flush_targets(struct quire_cpu *self, const struct flush *flush,
			      struct quire_cpu_mask *targets)
{
	unsigned count = 0;

	if (!find_others(self, flush->as, targets))
		return 0;
	for (unsigned word = 0; word < MASK_WORDS; word++) {
		uint64_t bits = atomic_load_explicit(&targets->bits[word], memory_order_relaxed);
		for (uint64_t rest = bits; rest; rest &= rest - 1) {
			unsigned bit = lowest_bit(rest);
			if (!flush->tables && cpu_is_lazy(self->quire, word * MASK_WORD_BITS + bit))
				bits &= ~(1ul << bit);
			else
				count++;
		}
		atomic_store_explicit(&targets->bits[word], bits, memory_order_relaxed);
	}
	return count;
}

static void flush_own(struct quire_cpu *cpu, const struct flush *flush)
{
	struct tlb_tally *counts = &cpu->tlb->tally;

	if (!(atomic_load_explicit(mask_word(flush->as, cpu), memory_order_relaxed) & mask_bit(cpu)))
		return;
	enum flushed flushed = flush_here(cpu, flush);
	if (flushed == FLUSHED_WHOLE)
		tally(&counts->full, 1);
	else if (flushed == FLUSHED_RANGE)
		tally(&counts->pages, (flush->end - flush->start) >> QUIRE_PAGE_SHIFT);
}

static void flush_everywhere(struct quire_cpu *cpu, struct flush *flush)
{
	struct quire_cpu_mask targets;

	flush->whole = (flush->end - flush->start) >> QUIRE_PAGE_SHIFT > QUIRE_FLUSH_CEILING;
	/*
	 * Release pairs with the acquire in slot_flush_whole(): whoever sees the generation sees the entries
	 * cleared.
	 */
	flush->part = as_part_of(flush->start);
	flush->generation = atomic_fetch_add_explicit(&flush->as->part[flush->part].generation, 1,
						      memory_order_release) +
			    1;

	if (QUIRE_SAFEGUARD(flush_fence))
		quire_port_fence(); /* (b), see as_run() */

	unsigned count = flush_targets(cpu, flush, &targets);
	flush_own(cpu, flush);
	if (!count)
		return;
	quire_port_ipi(cpu, &targets, flush_handler, flush);
	tally(&cpu->tlb->tally.shootdowns, 1);
	tally(&cpu->tlb->tally.ipis, count);
}

void tlb_flush(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	struct flush flush = { .as = as, .start = start, .end = end };

	quire_assert(start < end);
	flush_everywhere(cpu, &flush);
}

void tlb_flush_tables(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	struct flush flush = { .as = as, .start = start, .end = end, .tables = true };

	quire_assert(start < end);
	flush_everywhere(cpu, &flush);
}

/*
 * CPUs that were lazy leave when they are told. One that is just now on its way to another address space is
 * not lazy any more, and has its bit still set: it clears it within a few instructions, and is waited for,
 * because @as is freed next.
 */
void tlb_evict(struct quire_cpu **cpu, struct quire_as *as)
{
	if (atomic_load_explicit(&(*cpu)->tlb->as, memory_order_relaxed) == as)
		as_leave(*cpu);
	struct flush flush = { .as = as, .tables = true };
	struct quire_cpu_mask targets;
	while (flush_targets(*cpu, &flush, &targets)) {
		quire_port_ipi(*cpu, &targets, flush_handler, &flush);
		quire_port_relax(*cpu);
	}
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

int tables_create(struct quire_cpu *cpu)
{
	struct tables *tables = object_alloc(cpu, sizeof(*tables));
	if (!tables)
		return -QUIRE_ENOMEM;
	tables->empty = folio_alloc_zeroed(cpu, FOLIO_RESERVED, 0);
	if (!tables->empty) {
		object_free(cpu, tables, sizeof(*tables));
		return -QUIRE_ENOMEM;
	}
	atomic_store_explicit(&tables->next_id, 1, memory_order_relaxed);
	cpu->quire->tables = tables;
	return 0;
}

void tables_destroy(struct quire_cpu *cpu)
{
	struct tables *tables = cpu->quire->tables;

	folio_put(cpu, tables->empty);
	object_free(cpu, tables, sizeof(*tables));
	cpu->quire->tables = NULL;
}

int tables_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	cpu->tlb = object_alloc(boot, sizeof(*cpu->tlb));
	if (!cpu->tlb)
		return -QUIRE_ENOMEM;
	/* Another CPU's MMU is not ours to load; a machine starts it with nothing mapped. */
	if (boot == cpu)
		quire_port_load_root(cpu, folio_pfn(cpu->quire, cpu->quire->tables->empty), 0);
	return 0;
}

void tables_cpu_destroy(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	quire_assert(!atomic_load_explicit(&cpu->tlb->as, memory_order_relaxed));
	object_free(boot, cpu->tlb, sizeof(*cpu->tlb));
	cpu->tlb = NULL;
}

void tlb_counts(struct quire *quire, struct tlb_counts *out)
{
	*out = (struct tlb_counts){ 0 };
	for (unsigned id = 0; id < QUIRE_MAX_CPUS; id++) {
		/* Acquire pairs with the release with which the CPU was published. */
		struct quire_cpu *cpu = atomic_load_explicit(&quire->cpus[id], memory_order_acquire);
		if (!cpu || !cpu->tlb)
			continue;
		const struct tlb_tally *counts = &cpu->tlb->tally;
		out->pages += atomic_load_explicit(&counts->pages, memory_order_relaxed);
		out->full += atomic_load_explicit(&counts->full, memory_order_relaxed);
		out->shootdowns += atomic_load_explicit(&counts->shootdowns, memory_order_relaxed);
		out->ipis += atomic_load_explicit(&counts->ipis, memory_order_relaxed);
		out->tables_freed += atomic_load_explicit(&counts->tables_freed, memory_order_relaxed);
	}
}
