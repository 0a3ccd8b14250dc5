/*
 * frames.c - lives of frames.
 *
 * A frame lives from the store that takes its count of references from zero to the one that takes it back.
 * Lives have numbers. Whoever reaches a frame by what was true in an earlier life reaches a stranger's: so
 * the versions of history.c carry the life that they lead to, and the oracle compares.
 *
 * A frame that dies is filled with poison that names it and its life, and so is memory that was never used: a
 * program that reads it sees data that was never its own. (The core's debug builds write poison of their own
 * over the first bytes, with the same upper half, and look for it later.)
 *
 * Nothing may lead to a frame that dies: no entry of a table, no root that a CPU has loaded, and of tables
 * none that a CPU may have cached.
 *
 * Seen here is what reaches memory (memory.h's changed); the core is not asked.
 *
 * A large folio's frames live with its head: its order is set before its count leaves zero, and still is when
 * it comes back.
 *
 * Rules:   BASE-3, BASE-4, CHK-5.
 */
#include "inside.h"

#include "../../core/phys/frames.h"

#include "../softmmu/x86.h"

enum { CORE_POISON_BYTES = 32 }; /* core/phys/folio.c */

struct folio *folio_at(quire_pfn pfn)
{
	return &machine_now->folios[pfn];
}

quire_pfn head_of(quire_pfn pfn)
{
	const struct folio *folio = folio_at(pfn);

	if (folio->kind != FOLIO_TAIL || !folio->head)
		return pfn;
	return (quire_pfn)(folio->head - machine_now->folios);
}

struct life *life_of(quire_pfn pfn)
{
	return &machine_now->life[pfn];
}

static void fill_with_poison(quire_pfn pfn, uint32_t life)
{
	uint64_t *word = (void *)address_of(machine_now, pfn);
	uint64_t poison = (uint64_t)POISON << 32 | (pfn & 0xffff) << 16 | (life << 1 & 0xfffe);
	/* Set-up: seen only after the core has put its own there, and looks for it again. */
	size_t first = folio_at(pfn)->flags & FRAME_POISONED ? CORE_POISON_BYTES / WORD : 0;

	for (size_t i = first; i < QUIRE_PAGE_SIZE / WORD; i++)
		word[i] = poison;
	history_note((uintptr_t)word, QUIRE_PAGE_SIZE);
}

static void born(quire_pfn head, unsigned order)
{
	for (quire_pfn pfn = head; pfn < head + (1ul << order); pfn++) {
		struct life *life = life_of(pfn);

		*life = (struct life){ .number = life->number + 1,
				       .alive = true,
				       .thread = (uint8_t)actor(),
				       .step = engine_step_now(),
				       .since = ++machine_now->time };
		/* What is in it may have been put there before the count left its CPU's store buffer. */
		history_note(address_of(machine_now, pfn), QUIRE_PAGE_SIZE);
	}
	note(NOTE_TAKEN, head, order, 0);
}

/* A CPU walks whatever root it has loaded. */
static void check_root(unsigned cpu, quire_pfn table)
{
	engine_touch(place(PLACE_TLB, cpu), TOUCH_READ);
	if (mmu_root(&machine_now->mmu[cpu]) == table)
		violation(
			"walk of a table that is given back: %s has the root in frame %lu loaded, which %s gives back "
			"at step %u",
			thread_name(cpu), (unsigned long)table, thread_name(actor()), engine_step_now());
}

/* Whatever leads to the frames must have gone before. */
static void check_unmapped(quire_pfn head, unsigned order)
{
	const struct machine *machine = machine_now;

	for (quire_pfn table = 1; table < machine->config.frames; table++) {
		const uint64_t *entry = (const void *)address_of(machine, table);

		if (folio_at(table)->kind != FOLIO_TABLE || !life_of(table)->alive)
			continue;
		for (unsigned i = 0; i < QUIRE_TABLE_ENTRIES; i++) {
			quire_pfn pfn = (entry[i] & X86_FRAME_MASK) >> X86_FRAME_SHIFT;

			if ((entry[i] & X86_P) && pfn >= head && pfn < head + (1ul << order))
				violation("frame %lu is given back by %s while %s leads there",
					  (unsigned long)pfn, thread_name(actor()),
					  machine_describe(machine_now, (uintptr_t)&entry[i]));
		}
	}
}

static void died(quire_pfn head, unsigned order)
{
	const struct folio *folio = folio_at(head);
	uintptr_t lock = (uintptr_t)&folio->table.lock.word;

	if (folio->kind == FOLIO_TABLE) {
		if (lock_held_within(lock, sizeof(folio->table.lock)))
			violation("table frame %lu is given back with its lock held", (unsigned long)head);
		if (engine_now) /* set-up is looked at too seldom for that */
			mmu_check_table(machine_now, head);
		for (unsigned cpu = 0; engine_now && !life_of(head)->parent && cpu < machine_now->cpus; cpu++)
			check_root(cpu, head);
	}
	if (engine_now)
		check_unmapped(head, order);
	note(NOTE_GIVEN_BACK, head, order, 0);
	for (quire_pfn pfn = head; pfn < head + (1ul << order); pfn++) {
		struct life *life = life_of(pfn);

		life->alive = false;
		life->thread = (uint8_t)actor();
		life->step = engine_step_now();
		life->since = ++machine_now->time;
		fill_with_poison(pfn, life->number);
	}
}

static void refs_changed(quire_pfn pfn)
{
	const struct folio *folio = folio_at(pfn);
	uint32_t refs = *(const uint32_t *)(const void *)&folio->refs;
	struct life *life = life_of(pfn);

	if (folio->kind == FOLIO_TAIL || (refs != 0) == life->alive)
		return;
	if (refs)
		born(pfn, folio->order);
	else
		died(pfn, folio->order);
}

/* The folio lock, and the mark that something was stored. */
static void flags_changed(quire_pfn pfn)
{
	uint32_t flags = *(const uint32_t *)(const void *)&folio_at(pfn)->flags;
	struct life *life = life_of(pfn);
	bool locked = flags & FOLIO_LOCKED, dirty = flags & FOLIO_DIRTY;

	if (life->dirty && !dirty)
		life->cleaned = ++machine_now->time;
	life->dirty = dirty;
	if (locked == life->locked)
		return;
	life->locked = locked;
	folio_lock_changed((uintptr_t)&folio_at(pfn)->flags, locked);
}

void frames_changed(uintptr_t address)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = address - (uintptr_t)machine->folios;

	if (!machine->folios || offset >= machine->config.frames * sizeof(struct folio))
		return;
	switch (offset % sizeof(struct folio)) {
	case offsetof(struct folio, refs):
		refs_changed(offset / sizeof(struct folio));
		break;
	case offsetof(struct folio, flags):
		flags_changed(offset / sizeof(struct folio));
		break;
	default:
		break;
	}
}

/* Set-up: whatever of it has changed; locks come and go unseen. */
void frames_looked_at(quire_pfn pfn)
{
	uint32_t flags = *(const uint32_t *)(const void *)&folio_at(pfn)->flags;

	refs_changed(pfn);
	life_of(pfn)->dirty = flags & FOLIO_DIRTY;
}
