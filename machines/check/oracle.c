/*
 * oracle.c - what must hold whenever a translation is used, when a call returns, and at the end.
 *
 * Old translations are legal: between the change of an entry and the flush that follows, a CPU goes on with
 * what it has. They are wrong when
 *
 *	the frame has another owner by now, or none		BASE-3
 *	whoever ended it has put another page there already:
 *	he must have flushed between				BASE-3 (cursor_replace())
 *	the call that changed them has returned			CHK-5
 *
 * (That another thread's fault puts a page where an unmapping is under way, and two CPUs see two pages until
 * that returns, is as on Linux, where the address space is not closed.)
 *
 * What "the call that changed them" is. The thread that wrote the version which ended the translation, if it
 * did so in a call that has returned. And of calls that take something away whatever it was (munmap and so
 * on): also one that found it already gone, by another call that has not finished; it must not return before
 * the flush (gather.c). (mprotect(r) takes the right to write away, mprotect(rw) takes nothing; nor does a
 * call that fails.) For these, what was true when the call began and is no more when it returned may not be
 * used after.
 *
 * Whether a stale use comes before or after a return decides, so the two conflict (PLACE_RETURN, a page
 * each). Uses of what the tables say touch nothing of that: they are right either way.
 *
 * Rules:   BASE-3, VMA-4, CHK-5.
 */
#include "inside.h"

#include "../softmmu/walk.h"

#include <string.h>

/* ---- calls ------------------------------------------------------------------------------------------ */

static uintptr_t return_location(const struct quire_mm *mm, quire_vaddr va)
{
	return place(PLACE_RETURN, mm->as.id << 40 | va >> QUIRE_PAGE_SHIFT);
}

static uintptr_t returns_location(const struct quire_mm *mm)
{
	return place(PLACE_RETURNS, mm->as.id);
}

void machine_call_begin(struct machine *machine, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			const char *what, unsigned takes)
{
	struct thread_state *thread = here();

	if (!engine_now)
		return;
	if (machine->calls == CALLS) {
		violation("more calls than steps: a mistake in the checker");
		return;
	}
	thread->call = (int)machine->calls;
	machine->call[machine->calls++] = (struct call){
		.mm = mm,
		.start = start,
		.end = end,
		.what = what,
		.takes = takes,
		.thread = (uint8_t)self(),
		.begin = ++machine->time,
		.end_at = UINT32_MAX,
	};
}

enum { PAGES_ONE_BY_ONE = 8 };

static void touch_return(const struct call *call)
{
	if (!call->mm)
		return;
	if (call->end - call->start > PAGES_ONE_BY_ONE * QUIRE_PAGE_SIZE) {
		engine_touch(returns_location(call->mm), TOUCH_WRITE);
		return;
	}
	for (quire_vaddr va = call->start & QUIRE_PAGE_MASK; va < call->end; va += QUIRE_PAGE_SIZE)
		engine_touch(return_location(call->mm, va), TOUCH_WRITE);
	engine_touch(returns_location(call->mm), TOUCH_ADD);
}

void machine_call_end(struct machine *machine, bool failed)
{
	struct thread_state *thread = here();

	if (!engine_now || thread->call < 0)
		return;
	struct call *call = &machine->call[thread->call];
	engine_at(__builtin_return_address(0), 0);
	engine_begin(STEP_RETURN, NULL, NULL);
	touch_return(call);
	call->end_at = ++machine->time;
	call->takes = failed ? 0 : call->takes;
	call->step = engine_step_now();
	thread->call = -1;
	note(NOTE_RETURN, (uintptr_t)call->what, call->start, call->end);
}

/* ---- a stale use ------------------------------------------------------------------------------------ */

struct end {	     /* of a translation's truth */
	uint32_t at; /* UINT32_MAX: it holds */
	uint32_t step;
	uint8_t thread;
};

static unsigned rights_of(uint64_t value)
{
	return (value & X86_RW ? SOFTMMU_WRITE : 0) | (value & X86_US ? SOFTMMU_USER : 0) |
	       (value & X86_XD ? 0 : SOFTMMU_EXEC);
}

/* Is the version's word still good for what it was used for? */
static bool still_leads(uint64_t used, uint64_t value, unsigned access)
{
	return (value & X86_P) && !((used ^ value) & X86_FRAME_MASK) &&
	       softmmu_allows(rights_of(value), access);
}

/* The first version after @hop's that no longer leads where it did. */
static struct end end_of(const struct hop *hop, unsigned access)
{
	struct end end = { .at = UINT32_MAX };
	uint64_t used = history_version(hop->version)->value;

	for (uint32_t i = history_index(hop->slot); i != hop->version; i = history_version(i)->before) {
		const struct version *version = history_version(i);

		if (!still_leads(used, version->value, access))
			end = (struct end){ version->from, version->step, version->thread };
		if (!i)
			break;
	}
	return end;
}

/* When a step of the way first ceased to lead here. */
static struct end first_end(const struct outcome *outcome, unsigned access)
{
	struct end first = { .at = UINT32_MAX };

	for (unsigned level = outcome->level; level < QUIRE_LEVELS; level++) {
		struct end end = end_of(&outcome->hop[level],
					level > outcome->level ? QUIRE_ACCESS_READ : access);

		if (end.at < first.at)
			first = end;
	}
	return first;
}

static const char *verb(unsigned access)
{
	return access == QUIRE_ACCESS_WRITE  ? "stores to"
	       : access == QUIRE_ACCESS_EXEC ? "fetches from"
					     : "loads from";
}

static void wrong_owner(unsigned cpu, quire_vaddr va, unsigned access, const struct outcome *outcome,
			const struct end *end)
{
	const struct life *life = life_of(outcome->pfn);
	const char *name = thread_name(cpu), *at = describe_va(va);

	violation("stale frame: %s %s %s -> frame %lu, which %s %s at step %u%s%s%s%s", name, verb(access),
		  at, (unsigned long)outcome->pfn, thread_name(life->thread),
		  life->alive ? "took" : "gave back", life->step,
		  end->at == UINT32_MAX ? "; its entry still leads there" : "; missing: a flush of ",
		  end->at == UINT32_MAX ? "" : at, end->at == UINT32_MAX ? "" : " on ",
		  end->at == UINT32_MAX ? "" : name);
}

static void two_pages(unsigned cpu, quire_vaddr va, unsigned access, const struct outcome *outcome,
		      const struct end *end, quire_pfn truth)
{
	const char *name = thread_name(cpu), *at = describe_va(va);

	violation(
		"two translations: %s %s %s -> frame %lu, while the tables lead to frame %lu; %s changed the entry at "
		"step %u (missing: a flush of %s on %s before the new one)",
		name, verb(access), at, (unsigned long)outcome->pfn, (unsigned long)truth,
		thread_name(end->thread), end->step, at, name);
}

/* Who made the entry that is there now lead where it does? */
static uint8_t maker(struct machine *machine, quire_pfn root, quire_vaddr va)
{
	quire_pfn table = root;
	uintptr_t slot = 0;

	for (unsigned level = QUIRE_LEVELS; level-- > 0;) {
		slot = slot_address(machine, table, va, level);
		uint64_t value = *(const uint64_t *)slot;

		table = (value & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
		if (value & X86_PS)
			break;
	}
	const struct version *version = history_newest(slot);
	while (version->before) {
		const struct version *before = history_version(version->before);

		if (!still_leads(version->value, before->value, QUIRE_ACCESS_READ))
			break;
		version = before;
	}
	return version->thread;
}

static bool covers(const struct call *call, const struct quire_mm *mm, quire_vaddr va)
{
	return call->mm == mm && va >= call->start && va < call->end;
}

static void check_calls(struct machine *machine, unsigned cpu, struct quire_mm *mm, quire_vaddr va,
			unsigned access, const struct outcome *outcome, const struct end *end)
{
	uint32_t written = history_version(outcome->hop[outcome->level].version)->from;

	for (unsigned i = 0; i < machine->calls; i++) {
		const struct call *call = &machine->call[i];
		bool own = call->thread == end->thread && end->at > call->begin;
		bool others = (call->takes >> access & 1) && covers(call, mm, va) && written <= call->begin;

		if (end->at > call->end_at || call->end_at == UINT32_MAX || !(own || others))
			continue;
		violation(
			"stale after return: %s %s %s -> frame %lu, though %s's %s, which returned at step %u, "
			"follows its end at step %u (missing: a flush of %s on %s)",
			thread_name(cpu), verb(access), describe_va(va), (unsigned long)outcome->pfn,
			thread_name(call->thread), call->what, call->step, end->step, describe_va(va),
			thread_name(cpu));
		return;
	}
}

void oracle_use(struct machine *machine, unsigned cpu, struct quire_mm *mm, quire_vaddr va, unsigned access,
		const struct outcome *outcome)
{
	const struct version *used = history_version(outcome->hop[outcome->level].version);
	/* A large leaf's version knows the life of its first frame; they all live together. */
	quire_pfn first = outcome->pfn & ~((QUIRE_LEVEL_SIZE(outcome->level) >> QUIRE_PAGE_SHIFT) - 1);
	const struct life *life = life_of(outcome->level ? first : outcome->pfn);
	quire_pfn truth = 0;
	bool present,
		allowed = walk_truth(machine, mmu_root(&machine->mmu[cpu]), va, access, &truth, &present);
	bool right = allowed && truth == outcome->pfn;

	if (right && life->alive && life->number == used->target)
		return;
	struct end end = first_end(outcome, access);
	engine_touch(return_location(mm, va), TOUCH_READ);
	engine_touch(returns_location(mm), TOUCH_READ);
	memory_hardware_touch((uintptr_t)&folio_at(head_of(outcome->pfn))->refs, sizeof(uint32_t),
			      TOUCH_READ);
	if (!life->alive || life->number != used->target)
		wrong_owner(cpu, va, access, outcome, &end);
	else if (present && truth != outcome->pfn &&
		 maker(machine, mmu_root(&machine->mmu[cpu]), va) == end.thread)
		two_pages(cpu, va, access, outcome, &end, truth);
	else if (engine_now)
		check_calls(machine, cpu, mm, va, access, outcome, &end);
}

/* ---- contents --------------------------------------------------------------------------------------- */

void oracle_loaded(struct machine *machine, quire_vaddr va, quire_pfn pfn, uint64_t word)
{
	(void)machine;
	if (!is_poison(word))
		return;
	violation(
		"data that was never its own: a load from %s finds frame %lu neither filled nor cleared since it "
		"was free (%#lx)",
		describe_va(va), (unsigned long)pfn, (unsigned long)word);
}

/* Since when the entry at @slot has been dirty. */
static uint32_t dirty_since(uintptr_t slot)
{
	const struct version *version = history_newest(slot);
	uint64_t frame = version->value & X86_FRAME_MASK;

	while (version->before) {
		const struct version *before = history_version(version->before);

		if (!(before->value & X86_D) || (before->value & X86_FRAME_MASK) != frame)
			break;
		version = before;
	}
	return version->from;
}

/* A dirty bit is a trace of what was stored after its folio was cleaned, if it was not there before. */
static void find_trace(struct machine *machine, uintptr_t slot, bool *without)
{
	uint64_t entry = *(const uint64_t *)slot;
	quire_pfn pfn = (entry & X86_FRAME_MASK) >> X86_FRAME_SHIFT;

	if (!(entry & X86_D) || pfn >= machine->config.frames)
		return;
	quire_pfn head = head_of(pfn);
	if (!life_of(head)->cleaned || dirty_since(slot) > life_of(head)->cleaned)
		without[head] = false;
}

/*
 * Hardware says in an entry, the core in the folio, that a page was stored to. One of the two must still say
 * so, unless the mark was taken away for writing back, after the store. (A program's stores to pages of
 * files; what anonymous memory holds is looked at by nobody yet.)
 */
bool oracle_traces(struct machine *machine)
{
	static bool without[FRAMES];
	bool any = false;

	for (quire_pfn pfn = 0; pfn < machine->config.frames; pfn++) {
		const struct life *life = life_of(pfn);

		without[pfn] = life->alive && life->stored > life->cleaned && !life->dirty &&
			       folio_at(pfn)->kind == FOLIO_FILE;
		any |= without[pfn];
	}
	for (quire_pfn pfn = 0; any && pfn < machine->config.frames; pfn++)
		for (unsigned i = 0; folio_at(pfn)->kind == FOLIO_TABLE && i < QUIRE_TABLE_ENTRIES; i++)
			find_trace(machine, address_of(machine, pfn) + i * WORD, without);
	for (quire_pfn pfn = 0; any && pfn < machine->config.frames; pfn++) {
		if (!without[pfn])
			continue;
		violation(
			"lost dirty bit: the program stored to frame %lu, of a file, and neither the folio nor an entry "
			"says so (PIN-8)",
			(unsigned long)pfn);
		return false;
	}
	return true;
}
