/*
 * mmu.c - what a CPU's MMU is told: roots and flushes; and what it did: translations used, faults.
 *
 * There is no TLB here. What a CPU may have cached is computed at each use (walk.c), from the history of the
 * tables' words and from three lists that are kept here for each CPU:
 *
 *	windows		when which root was loaded, under which tag
 *	flushes		when what was dropped: by the core's flushes, and by page faults, which drop what is
 *			cached for their address at every level
 *	uses		of each page, size and side: when it was last used, and which versions of the leaf
 *			that can have been
 *
 * A use ends choice: a CPU that used one translation at some moment had it cached then, and no other for that
 * page; an older one does not come back. (config.several_tlbs: it may.) Upper-level entries are not held to
 * that.
 *
 * The order of a flush and the end of an entry decides what may still be cached, although neither reads what
 * the other writes: so they touch a common location, one for each word on the way to a page, or one for all.
 *
 * Rules:   BASE-2, BASE-3, CHK-4.
 */
#include "inside.h"

#include "../softmmu/x86.h"

#include <stdlib.h>
#include <string.h>

enum {
	USES = 512,
	SAME = 8,
	PAGES_ONE_BY_ONE = 6, /* a longer flush conflicts with every end of an entry */
};

struct use {
	uint64_t key;
	uint32_t slot;
	uint32_t at;
	uint32_t version[SAME];
	uint32_t count;
};

/*
 * Of set-up, then of this execution; and a hash table of their numbers. A use says in which place of that it
 * is.
 */
static struct use uses[USES];
static uint32_t use_count, frozen_use_count;
static struct use frozen_uses[USES];
static uint16_t use_slots[2 * USES];

static void *grow(void *array, uint32_t *room, uint32_t count, size_t each)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 64;
	array = realloc(array, *room * each);
	if (!array)
		abort();
	return array;
}

/* ---- freezing --------------------------------------------------------------------------------------- */

void mmu_freeze(struct machine *machine)
{
	for (unsigned i = 0; i <= machine->cpus; i++) {
		/* The first root was loaded before lives were counted. */
		for (uint32_t w = 0; w < machine->mmu[i].windows; w++)
			if (!machine->mmu[i].window[w].life)
				machine->mmu[i].window[w].life =
					life_of(machine->mmu[i].window[w].root)->number;
		machine->mmu[i].frozen_windows = machine->mmu[i].windows;
		machine->mmu[i].frozen_flushes = machine->mmu[i].flushes;
	}
	frozen_use_count = use_count;
	memcpy(frozen_uses, uses, use_count * sizeof(uses[0]));
}

void mmu_reset(struct machine *machine)
{
	for (unsigned i = 0; i <= machine->cpus; i++) {
		struct mmu *mmu = &machine->mmu[i];

		mmu->windows = mmu->frozen_windows;
		mmu->flushes = mmu->frozen_flushes;
		if (mmu->windows)
			mmu->window[mmu->windows - 1].to = UINT32_MAX;
	}
	use_count = frozen_use_count;
	memcpy(uses, frozen_uses, use_count * sizeof(uses[0]));
}

void mmu_image(struct machine *machine, struct image *image)
{
	for (unsigned i = 0; i <= machine->cpus; i++) {
		struct mmu *mmu = &machine->mmu[i];

		image_add(image, &mmu->windows, sizeof(mmu->windows));
		image_add(image, &mmu->flushes, sizeof(mmu->flushes));
		image_add_array(image, &mmu->window, &mmu->windows, sizeof(*mmu->window));
		/* Flushes are never changed. */
	}
	image_add(image, &use_count, sizeof(use_count));
	image_add_some(image, uses, &use_count, sizeof(uses[0]));
}

void mmu_destroy(struct machine *machine)
{
	for (unsigned i = 0; i < CPUS; i++) {
		free(machine->mmu[i].window);
		free(machine->mmu[i].flush);
	}
	use_count = 0;
}

/* ---- roots ------------------------------------------------------------------------------------------ */

static const struct window *current(const struct mmu *mmu)
{
	return mmu->windows ? &mmu->window[mmu->windows - 1] : NULL;
}

unsigned mmu_asid(const struct mmu *mmu)
{
	return current(mmu) ? current(mmu)->asid : 0;
}

quire_pfn mmu_root(const struct mmu *mmu)
{
	return current(mmu) ? current(mmu)->root : 0;
}

/* Nothing of the end's accounts is of interest here. */
static bool is_recorded(const struct machine *machine)
{
	if (!engine_now && !machine->frozen)
		machine_look(machine_now);
	return engine_now || !machine->frozen;
}

void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	struct machine *machine = machine_now;
	unsigned id = cpu_of(cpu)->id;
	struct mmu *mmu = &machine->mmu[id];

	if (!is_recorded(machine))
		return;
	engine_at(__builtin_return_address(0), place(PLACE_TLB, id));
	engine_begin(STEP_ROOT, NULL, NULL);
	engine_touch(place(PLACE_TLB, id), TOUCH_WRITE);
	engine_touch(place(PLACE_ORDERS, 0), TOUCH_READ);
	engine_note(root);
	mmu->window = grow(mmu->window, &mmu->window_room, mmu->windows, sizeof(*mmu->window));
	uint32_t now = ++machine->time;
	if (mmu->windows)
		mmu->window[mmu->windows - 1].to = now;
	mmu->window[mmu->windows++] = (struct window){
		.from = now, .to = UINT32_MAX, .root = root, .life = life_of(root)->number, .asid = asid
	};
	note(NOTE_ROOT, id, root, asid);
}

/* ---- flushes ---------------------------------------------------------------------------------------- */

static void record(struct machine *machine, struct mmu *mmu, unsigned asid, quire_vaddr start,
		   quire_vaddr end, bool fault)
{
	mmu->flush = grow(mmu->flush, &mmu->flush_room, mmu->flushes, sizeof(*mmu->flush));
	mmu->flush[mmu->flushes++] = (struct flush_record){
		.at = ++machine->time,
		.step = engine_step_now(),
		.asid = asid,
		.fault = fault,
		.start = start,
		.end = end,
	};
}

static bool meets(const struct flush_record *flush, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	return flush->asid == asid && flush->start < end && start < flush->end;
}

uint32_t mmu_flush_before(const struct mmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end,
			  uint32_t time)
{
	for (uint32_t i = mmu->flushes; i-- > 0;)
		if (mmu->flush[i].at <= time && meets(&mmu->flush[i], asid, start, end))
			return mmu->flush[i].at;
	return 0;
}

uint32_t mmu_flush_after(const struct mmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end,
			 uint32_t time)
{
	uint32_t first = UINT32_MAX;

	for (uint32_t i = mmu->flushes; i-- > 0 && mmu->flush[i].at > time;)
		if (meets(&mmu->flush[i], asid, start, end))
			first = mmu->flush[i].at;
	return first;
}

/* The root that the tag was last loaded with. */
static quire_pfn root_of(const struct mmu *mmu, unsigned asid)
{
	for (uint32_t i = mmu->windows; i-- > 0;)
		if (mmu->window[i].asid == asid)
			return mmu->window[i].root;
	return 0;
}

/* Every word on the way to @va, also where the way has just been cut. */
static void touch_way(struct machine *machine, quire_pfn table, quire_vaddr va)
{
	for (unsigned level = QUIRE_LEVELS; level-- > 0;) {
		uintptr_t slot = slot_address(machine, table, va, level);
		const struct version *version = history_newest(slot);

		engine_touch(place(PLACE_ORDER, slot), TOUCH_READ);
		if (!(version->value & X86_P) && version->before)
			version = history_version(version->before);
		if (!(version->value & X86_P) || (version->value & X86_PS))
			return;
		table = (version->value & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
		if (table >= machine->config.frames)
			return;
	}
}

static void touch_flushed(struct machine *machine, unsigned cpu, unsigned asid, quire_vaddr start,
			  quire_vaddr end)
{
	quire_pfn root = root_of(&machine->mmu[cpu], asid);

	engine_touch(place(PLACE_TLB, cpu), TOUCH_WRITE);
	if (!root)
		return;
	if ((end - start) >> QUIRE_PAGE_SHIFT > PAGES_ONE_BY_ONE) {
		engine_touch(place(PLACE_ORDERS, 0), TOUCH_READ);
		return;
	}
	for (quire_vaddr va = start; va < end; va += QUIRE_PAGE_SIZE)
		touch_way(machine, root, va);
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	struct machine *machine = machine_now;
	unsigned id = cpu_of(cpu)->id;

	if (!is_recorded(machine))
		return;
	engine_at(__builtin_return_address(0), place(PLACE_TLB, id));
	engine_begin(STEP_FLUSH, NULL, NULL);
	touch_flushed(machine, id, asid, start, end);
	engine_note(start);
	record(machine, &machine->mmu[id], asid, start, end, false);
	note(NOTE_FLUSH, id, start, end);
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	struct machine *machine = machine_now;
	unsigned id = cpu_of(cpu)->id;

	if (!is_recorded(machine))
		return;
	engine_at(__builtin_return_address(0), place(PLACE_TLB, id));
	engine_begin(STEP_FLUSH_ALL, NULL, NULL);
	touch_flushed(machine, id, asid, 0, UINT64_MAX);
	record(machine, &machine->mmu[id], asid, 0, UINT64_MAX, false);
	note(NOTE_FLUSH_ALL, id, asid, 0);
}

void mmu_dropped(struct machine *machine, unsigned cpu, quire_vaddr va)
{
	quire_vaddr page = va & QUIRE_PAGE_MASK;

	record(machine, &machine->mmu[cpu], mmu_asid(&machine->mmu[cpu]), page, page + QUIRE_PAGE_SIZE, true);
}

/*
 * ---- uses -------------------------------------------------------------------------------------------------
 * -----------
 */

static struct use *use_at(unsigned cpu, unsigned asid, quire_vaddr va, unsigned level, bool fetch, bool make)
{
	uint64_t key = (va >> QUIRE_LEVEL_SHIFT(level)) << 16 | cpu << 8 | asid << 4 | level << 2 |
		       fetch << 1 | 1;
	uint32_t slot = (uint32_t)(key * 0x9e3779b97f4a7c15ul >> 40) % (2 * USES);

	while (use_slots[slot] < use_count && uses[use_slots[slot]].slot == slot) {
		if (uses[use_slots[slot]].key == key)
			return &uses[use_slots[slot]];
		slot = (slot + 1) % (2 * USES);
	}
	if (!make)
		return NULL;
	if (use_count == USES) {
		violation("more than %d pages are used", USES);
		return NULL;
	}
	use_slots[slot] = (uint16_t)use_count;
	uses[use_count] = (struct use){ .key = key, .slot = slot };
	return &uses[use_count++];
}

/* May the leaf version @index, read last at @read_at, still be what the CPU uses? */
bool mmu_may_use(unsigned cpu, unsigned asid, quire_vaddr va, unsigned level, unsigned access, uint32_t index,
		 uint32_t read_at)
{
	const struct use *use = use_at(cpu, asid, va, level, access == QUIRE_ACCESS_EXEC, false);

	if (!use || read_at >= use->at || machine_now->config.several_tlbs)
		return true;
	for (unsigned i = 0; i < use->count; i++)
		if (use->version[i] == index)
			return true;
	return false;
}

void mmu_used(struct machine *machine, unsigned cpu, quire_vaddr va, unsigned access,
	      const struct outcome *outcome)
{
	unsigned asid = mmu_asid(&machine->mmu[cpu]);
	struct use *use = use_at(cpu, asid, va, outcome->level, access == QUIRE_ACCESS_EXEC, true);

	if (!use)
		return;
	use->at = machine->time;
	use->count = 0;
	use->version[use->count++] = outcome->hop[outcome->level].version;
	for (unsigned i = 0; i < outcome->same_count && use->count < SAME; i++)
		use->version[use->count++] = outcome->same[i];
}
