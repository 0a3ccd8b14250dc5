/*
 * access.c - what the user's program on a CPU does: loads, stores, fetches.
 *
 * One try is one step: the translation that is used, accessed and dirty bits set, the page fault taken, the
 * data moved. Which of the translations that the CPU may have (walk.c) is a choice of the search. After a
 * fault the core's handler runs, and the access is tried again.
 *
 *	[ choose: cached old entry | walk: set A, D | fault ] --> data moved
 *	                                                 \--> quire_fault() ... [ again ]
 *
 * The step touches the CPU's TLB, every word of a table that was looked at, the data, and, where the
 * translation used is not what the tables say, the frame's count and whatever a returning call is ordered by
 * (oracle.c).
 *
 * The program's own data is moved at once, in the order of the steps: a CPU's store buffer is empty when it
 * stores.
 *
 * Rules:   BASE-2, CHK-4.
 */
#include "inside.h"

#include "../softmmu/x86.h"

#include <string.h>

enum { TRIES = 24 };

void hardware_set(uintptr_t slot, uint64_t bits)
{
	uint64_t value = *(const uint64_t *)slot | bits;

	if (engine_now) {
		memory_hardware_store(slot, WORD, value);
		return;
	}
	*(uint64_t *)slot = value;
	history_note(slot, WORD);
}

/* The outcome's versions become those with the bits set. */
static void set_bits(struct outcome *outcome, quire_vaddr va)
{
	for (unsigned level = QUIRE_LEVELS; level-- > outcome->level;) {
		bool leaf = level == outcome->level;
		uint64_t bits = outcome->set_a >> level & 1 ? X86_A : 0;

		if (leaf && outcome->set_d)
			bits |= X86_D;
		if (!bits)
			continue;
		hardware_set(outcome->hop[level].slot, bits);
		outcome->hop[level].version = history_index(outcome->hop[level].slot);
		note(bits & X86_D ? NOTE_DIRTY : NOTE_ACCESSED, va, level, 0);
	}
}

static uint64_t load_data(struct machine *machine, quire_vaddr va, quire_pfn pfn, uintptr_t at,
			  unsigned bytes)
{
	uint64_t value = 0;

	for (uintptr_t word = at & ~(uintptr_t)(WORD - 1); word < at + bytes; word += WORD) {
		engine_touch(data_location(word), TOUCH_READ);
		memory_hardware_touch(word, WORD, TOUCH_READ);
		oracle_loaded(machine, va, pfn, *(const uint64_t *)word);
	}
	memcpy(&value, (const void *)at, bytes);
	return value;
}

static void store_data(uintptr_t at, unsigned bytes, uint64_t value)
{
	for (uintptr_t word = at & ~(uintptr_t)(WORD - 1); word < at + bytes; word += WORD) {
		uintptr_t from = at > word ? at : word,
			  to = at + bytes < word + WORD ? at + bytes : word + WORD;
		uint64_t whole = *(const uint64_t *)word;

		memcpy((char *)&whole + (from - word), (const char *)&value + (from - at), to - from);
		engine_touch(data_location(word), TOUCH_WRITE);
		if (engine_now) {
			memory_hardware_store(word, WORD, whole);
			continue;
		}
		*(uint64_t *)word = whole;
		history_note(word, WORD);
	}
}

uint64_t move_data(struct machine *machine, quire_vaddr va, quire_pfn pfn, unsigned bytes, uint64_t value,
		   unsigned access)
{
	uintptr_t at = address_of(machine, pfn) + (va & (QUIRE_PAGE_SIZE - 1));

	if (access != QUIRE_ACCESS_WRITE)
		value = load_data(machine, va, pfn, at, bytes);
	else
		store_data(at, bytes, value);
	if (access == QUIRE_ACCESS_WRITE)
		life_of(head_of(pfn))->stored = ++machine->time;
	engine_note(value);
	return value;
}

struct attempt {
	struct machine *machine;
	struct quire_cpu **cpu;
	struct quire_mm *mm;
	quire_vaddr va;
	unsigned bytes, access;
	uint64_t value;
	const void *code;
};

static void begin_attempt(const struct attempt *attempt, unsigned cpu)
{
	static const unsigned what[] = { STEP_LOAD, STEP_STORE, STEP_FETCH };

	engine_at(attempt->code, place(PLACE_TLB, cpu));
	engine_begin(what[attempt->access], attempt->access == QUIRE_ACCESS_WRITE ? is_drained : NULL,
		     here());
	if (!engine_now)
		machine_look(attempt->machine);
}

/* One try. False: a page fault. */
static bool try_access(struct attempt *attempt)
{
	struct machine *machine = attempt->machine;
	unsigned cpu = cpu_of(*attempt->cpu)->id;
	struct walk_result result;

	begin_attempt(attempt, cpu);
	walk_all(machine, cpu, attempt->va, attempt->access, &result);
	struct outcome *outcome = &result.outcome[engine_choose(result.count)];
	if (outcome->fault) {
		engine_touch(place(PLACE_TLB, cpu), TOUCH_WRITE);
		mmu_dropped(machine, cpu, attempt->va);
		note(NOTE_FAULT, attempt->va, cpu, 0);
		return false;
	}
	note(outcome->now ? NOTE_WALK : NOTE_CACHED, attempt->va, outcome->pfn,
	     history_version(outcome->hop[outcome->level].version)->step);
	set_bits(outcome, attempt->va);
	oracle_use(machine, cpu, attempt->mm, attempt->va, attempt->access, outcome);
	attempt->value = move_data(machine, attempt->va, outcome->pfn, attempt->bytes, attempt->value,
				   attempt->access);
	mmu_used(machine, cpu, attempt->va, attempt->access, outcome);
	return true;
}

static struct machine_result attempt_access(struct attempt *attempt)
{
	struct machine_result result = { 0 };

	for (unsigned tries = 0; !try_access(attempt); tries++) {
		struct quire_fault fault;

		if (tries == TRIES)
			violation("%s faults for ever at %s: the handler says that all is well",
				  thread_name(self()), describe_va(attempt->va));
		result.error = quire_fault(attempt->cpu, attempt->mm, attempt->va, attempt->access, &fault);
		if (result.error) {
			result.signal = result.error == -QUIRE_EFAULT ? fault.signal : 0;
			return result;
		}
		if (tries == TRIES) /* outside a run violation() may come back */
			return result;
	}
	result.value = attempt->value;
	return result;
}

struct machine_result machine_load(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				   quire_vaddr va, unsigned bytes)
{
	return attempt_access(&(struct attempt){ machine, cpu, mm, va, bytes, QUIRE_ACCESS_READ, 0,
						 __builtin_return_address(0) });
}

struct machine_result machine_store(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				    quire_vaddr va, unsigned bytes, uint64_t value)
{
	return attempt_access(&(struct attempt){ machine, cpu, mm, va, bytes, QUIRE_ACCESS_WRITE, value,
						 __builtin_return_address(0) });
}

struct machine_result machine_fetch(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				    quire_vaddr va, unsigned bytes)
{
	return attempt_access(&(struct attempt){ machine, cpu, mm, va, bytes, QUIRE_ACCESS_EXEC, 0,
						 __builtin_return_address(0) });
}

bool machine_try_load(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va,
		      uint64_t *value)
{
	struct attempt attempt = {
		machine, cpu, mm, va, WORD, QUIRE_ACCESS_READ, 0, __builtin_return_address(0)
	};
	bool done = try_access(&attempt);

	*value = attempt.value;
	return done;
}

/* ---- speculation ------------------------------------------------------------------------------------ */

/*
 * A walker does what a CPU may do unasked: walk, and set accessed bits as it goes, which makes entries
 * cachable that nothing has used. One page of those with names a step.
 */
void walker_agent(struct machine *machine, unsigned thread)
{
	unsigned cpu = (thread - machine->first_walker) % machine->cpus;
	quire_vaddr page[16];
	unsigned pages = described_pages(page, sizeof(page) / sizeof(page[0]));

	for (unsigned round = 0; pages && round < 2; round++) {
		struct walk_result result;

		engine_at(NULL, place(PLACE_TLB, cpu));
		engine_begin(STEP_SPECULATE, NULL, NULL);
		quire_vaddr va = page[engine_choose(pages)];
		walk_all(machine, cpu, va, QUIRE_ACCESS_READ, &result);
		for (unsigned i = 0; i < result.count; i++) {
			if (result.outcome[i].fault || !result.outcome[i].now)
				continue;
			set_bits(&result.outcome[i], va);
			break;
		}
	}
}
