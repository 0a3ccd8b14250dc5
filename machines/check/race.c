/*
 * race.c - two accesses to one byte, one of them a write, one of them plain, that nothing orders.
 *
 * As FastTrack does (Flanagan and Freund, PLDI'09): an access is an epoch of a thread; an earlier one is
 * ordered before a later one exactly if the later one's thread has seen that epoch. For each word of the
 * arena there is a short list of the accesses that a later one might race with: bytes, kind, thread, epoch,
 * code. A new access is compared with all of them, and takes the place of those that it makes redundant: what
 * it comes after, and whose races would all be races of its own too. Unlike a shadow of fixed size, nothing
 * is ever forgotten that could still race: every execution that has a race reports one.
 *
 *	atomic with atomic is no race; plain reads are none; everything else is, if unordered
 *
 * Where two are ordered, but only because an interrupt came when it did (its handler sees what its CPU has
 * seen, and tells others), the search is told to have it come elsewhere.
 *
 * The common case, the same thread once more in the same epoch, is two comparisons.
 *
 * Rules:   CHK-5.
 */
#include "memory_inside.h"

#include <stdlib.h>

static struct {
	struct record *record;
	uint32_t records, room;
} races;

int race_create(void)
{
	races.records = races.room = 0;
	races.record = NULL;
	return 0;
}

void race_destroy(void)
{
	free(races.record);
	races.record = NULL;
}

void race_begin(void)
{
	races.records = 0;
}

void race_image(struct image *image)
{
	image_add(image, &races.records, sizeof(races.records));
	image_add_array(image, &races.record, &races.records, sizeof(*races.record));
}

static bool conflict(unsigned a, unsigned b)
{
	static const bool table[4][4] = {
		[RACE_READ] = { [RACE_WRITE] = true, [RACE_ATOMIC_WRITE] = true },
		[RACE_WRITE] = { true, true, true, true },
		[RACE_ATOMIC_READ] = { [RACE_WRITE] = true },
		[RACE_ATOMIC_WRITE] = { [RACE_READ] = true, [RACE_WRITE] = true },
	};
	return table[a][b];
}

/* Whatever could race with @old races with @new as well, if old comes before new. */
static bool replaces(unsigned new, unsigned old)
{
	return new == RACE_WRITE || new == old || old == RACE_ATOMIC_READ;
}

static const char *kind_name(unsigned kind)
{
	static const char *const name[] = { "read", "write", "atomic read", "atomic write" };

	return name[kind];
}

static const char *thread_name(unsigned thread)
{
	return memory.config.name ? memory.config.name(memory.config.data, thread) : "a thread";
}

static void report(uintptr_t address, const struct record *old, const struct record *new)
{
	if (memory.config.is_exempt && memory.config.is_exempt(memory.config.data, address))
		return;
	engine_violation("data race at %#lx: %s by %s (thread %u) at %#lx, %s by %s (thread %u) at %#lx",
			 (unsigned long)address, kind_name(old->kind), thread_name(old->thread), old->thread,
			 (unsigned long)old->code, kind_name(new->kind), thread_name(new->thread),
			 new->thread, (unsigned long)new->code);
}

static uintptr_t first_common(uintptr_t word, unsigned a, unsigned b)
{
	return word + (unsigned)__builtin_ctz(a & b);
}

/* Compare with one record; returns which of its bytes are still to be remembered. */
static uint8_t meet(uintptr_t word, const struct record *old, const struct record *new)
{
	unsigned common = old->mask & new->mask;

	if (!common)
		return old->mask;
	if (clock_pure_covers(new->thread, old->thread, old->epoch))
		return replaces(new->kind, old->kind) ? old->mask & ~common : old->mask;
	if (!conflict(old->kind, new->kind))
		return old->mask;
	if (clock_covers(&memory.thread[new->thread].now, old->thread, old->epoch))
		engine_ordered_by_interrupt(old->step);
	else
		report(first_common(word, old->mask, new->mask), old, new);
	return old->mask;
}

/* The same thread, in the same epoch: nothing can have changed. */
static bool is_known(const struct record *old, const struct record *new)
{
	return old->epoch == new->epoch && old->thread == new->thread && !(new->mask & ~old->mask) &&
	       (old->kind == new->kind || (old->kind == RACE_WRITE && new->kind == RACE_READ));
}

/* Before what is known of the word. */
static void remember(struct cell *cell, const struct record *new)
{
	uint32_t more = cell->first.more;

	if (cell->first.mask) {
		races.record = memory_grow(races.record, &races.room, races.records, sizeof(*races.record));
		races.record[races.records] = cell->first;
		more = races.records++;
	}
	cell->first = *new;
	cell->first.more = more;
}

static void check_word(uintptr_t word, const struct record *new)
{
	struct cell *cell = memory_cell(word);

	if (!cell)
		cell = memory_new_cell(word);
	else if (is_known(&cell->first, new))
		return;
	for (uint32_t *link = &cell->first.more; *link != NONE;) {
		struct record *old = &races.record[*link];

		old->mask = meet(word, old, new);
		if (old->mask)
			link = &old->more;
		else
			*link = old->more;
	}
	if (cell->first.mask)
		cell->first.mask = meet(word, &cell->first, new);
	remember(cell, new);
}

void race_check(uintptr_t address, size_t bytes, enum race_kind kind, const void *code)
{
	unsigned self = engine_self();
	struct record new = { .more = NONE,
			      .epoch = memory.thread[self].now.at[self],
			      .kind = (uint8_t)kind,
			      .thread = (uint8_t)self,
			      .step = (uint16_t)engine_step_now(),
			      .code = code };
	uintptr_t end = address + bytes;

	for (uintptr_t word = address & ~(uintptr_t)(WORD - 1); word < end; word += WORD) {
		unsigned from = address > word ? (unsigned)(address - word) : 0;
		unsigned to = end - word < WORD ? (unsigned)(end - word) : WORD;

		new.mask = (uint8_t)((0xffu >> (WORD - to)) & (0xffu << from));
		check_word(word, &new);
	}
}
