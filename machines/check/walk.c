/*
 * walk.c - what a CPU may have cached for an address: every translation that a legal walk since the last
 * flush could have found.
 *
 * A walk reads one entry a level, each at a moment of its own. An entry that was read is kept, at any level,
 * until a flush (or fault) for an address below it; the next level is read any time while it is kept, out of
 * the table that it leads to, even when that has left the tree:
 *
 *	time:		  window opens ........ u: flush ................ now
 *	upper entry	  v1 v1 v1 v2 v2 v2 v2 | v2 v2 0 0 0 0 0 0 0 0 0
 *						 ^read: kept from here on
 *	leaf, in v2's table				a a a 0 0 0 0 0
 *						 ^.....^ read: a may be cached now
 *
 * So a walk is a way down versions (history.c), each with the interval of moments at which it can have been
 * read: in a window of the tag, after the last flush that covers it, not before the entry above it, and not
 * after that was flushed. What an access may do is the set of ends of such ways:
 *
 *	walked now	with what memory says at this moment, through upper entries that may be old
 *	cached		from an earlier moment. Only what was present and accessed is cached; what forbids the
 *			access, or is not dirty and is written through, makes the CPU walk again
 *	a fault		of either
 *
 * What has the same effect is one outcome. The order is newest first: number 0 is the walk that finds all as
 * it is.
 *
 * A walk that would read a table after that was given back is a violation by itself, used or not: hardware
 * walks whenever it likes, and sets accessed bits as it goes (BASE-3).
 *
 * Not explored: fills that themselves set an accessed bit at some moment when nothing uses them. For these
 * there are walkers, if the file asks for them.
 *
 * Rules:   BASE-2, BASE-3, CHK-4.
 */
#include "inside.h"

#include "../softmmu/walk.h"

struct search {
	struct machine *machine;
	const struct mmu *mmu;
	unsigned cpu, asid, access;
	quire_vaddr va;
	uint32_t now;
	struct hop hop[QUIRE_LEVELS];
	uint8_t set_a;
	struct walk_result *out;
};

static quire_pfn entry_frame(uint64_t value)
{
	return (value & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
}

static unsigned rights_of(uint64_t value)
{
	return (value & X86_RW ? SOFTMMU_WRITE : 0) | (value & X86_US ? SOFTMMU_USER : 0) |
	       (value & X86_XD ? 0 : SOFTMMU_EXEC);
}

static quire_vaddr span_start(quire_vaddr va, unsigned level)
{
	return va & ~(QUIRE_LEVEL_SIZE(level) - 1);
}

/* ---- outcomes --------------------------------------------------------------------------------------- */

static void add_fault(struct search *search)
{
	struct walk_result *out = search->out;

	for (unsigned i = 0; i < out->count; i++)
		if (out->outcome[i].fault)
			return;
	if (out->count < OUTCOMES)
		out->outcome[out->count++] = (struct outcome){ .fault = true };
}

static bool has_same_effect(const struct outcome *a, const struct outcome *b)
{
	if (a->fault || a->pfn != b->pfn || a->set_a != b->set_a || a->set_d != b->set_d)
		return false;
	for (unsigned level = 0; level < QUIRE_LEVELS; level++)
		if ((a->set_a >> level & 1) && a->hop[level].slot != b->hop[level].slot)
			return false;
	return !a->set_d || a->hop[a->level].slot == b->hop[b->level].slot;
}

static void add(struct search *search, const struct outcome *new)
{
	struct walk_result *out = search->out;

	for (unsigned i = 0; i < out->count; i++) {
		struct outcome *old = &out->outcome[i];

		if (!old->fault && old->level != new->level)
			violation("%s may hold a large and a small translation of %s at a time",
				  thread_name(search->cpu), describe_va(search->va));
		if (!has_same_effect(old, new))
			continue;
		if (old->same_count < sizeof(old->same) / sizeof(old->same[0]))
			old->same[old->same_count++] = new->hop[new->level].version;
		return;
	}
	if (out->count == OUTCOMES)
		violation("more than %d translations of %s are possible", OUTCOMES, describe_va(search->va));
	else
		out->outcome[out->count++] = *new;
}

static void leaf(struct search *search, unsigned level, const struct version *version, unsigned rights)
{
	uint64_t size = QUIRE_LEVEL_SIZE(level);
	quire_vaddr start = span_start(search->va, level);
	const struct hop *hop = &search->hop[level];
	bool now = hop->read_at == search->now, writes = search->access == QUIRE_ACCESS_WRITE;

	if (mmu_flush_before(search->mmu, search->asid, start, start + size, search->now) > hop->read_at)
		return;
	if (!now && !mmu_may_use(search->cpu, search->asid, search->va, level, search->access, hop->version,
				 hop->read_at))
		return;
	if (!softmmu_allows(rights, search->access)) {
		add_fault(search);
		return;
	}
	if (!now && writes && !(version->value & X86_D))
		return;
	struct outcome outcome = {
		.now = now,
		.level = level,
		.pfn = entry_frame(version->value) + ((search->va - start) >> QUIRE_PAGE_SHIFT),
		.set_a = search->set_a,
		.set_d = writes && !(version->value & X86_D),
		.rights = rights,
	};
	for (unsigned i = level; i < QUIRE_LEVELS; i++)
		outcome.hop[i] = search->hop[i];
	add(search, &outcome);
}

/* ---- the way down ----------------------------------------------------------------------------------- */

static void read_table(struct search *search, unsigned level, quire_pfn table, uint32_t life, unsigned rights,
		       uint32_t from, uint32_t to);

/* The entry was read in [from, to]: below it, the table is read while it is kept. Newest first. */
static void descend(struct search *search, unsigned level, const struct version *version, unsigned rights,
		    uint32_t from, uint32_t to)
{
	quire_vaddr start = span_start(search->va, level), end = start + QUIRE_LEVEL_SIZE(level);
	uint32_t kept = mmu_flush_after(search->mmu, search->asid, start, end, to) - 1;

	if (kept > search->now)
		kept = search->now;
	for (;;) {
		uint32_t flush = mmu_flush_before(search->mmu, search->asid, start, end, to);

		read_table(search, level - 1, entry_frame(version->value), version->target, rights,
			   flush > from ? flush : from, kept);
		if (flush <= from)
			return;
		to = kept = flush - 1;
	}
}

static bool is_sound(const struct search *search, unsigned level, uint64_t value)
{
	uint64_t pages = (value & X86_PS) ? QUIRE_LEVEL_SIZE(level) >> QUIRE_PAGE_SHIFT : 1;
	quire_pfn frame = entry_frame(value), frames = search->machine->config.frames;

	return !((value & X86_PS) && level != 1) && frame && frame < frames && frames - frame >= pages &&
	       !(frame & (pages - 1));
}

/* The version @index of the word at @slot, read at some moments in [from, to]. */
static void read_version(struct search *search, unsigned level, uintptr_t slot, uint32_t index,
			 unsigned rights, uint32_t from, uint32_t to)
{
	struct version version = *history_version(index);
	uint64_t value = version.value;
	bool now = to == search->now;

	if (!(value & X86_P)) {
		if (now)
			add_fault(search);
		return;
	}
	if (!is_sound(search, level, value)) {
		if (now)
			violation("page tables lead %s from %s out of memory: an entry of level %u is %#lx",
				  thread_name(search->cpu), describe_va(search->va), level,
				  (unsigned long)value);
		return;
	}
	uint8_t set_a = search->set_a;
	if (!(value & X86_A)) {
		if (!now)
			return;
		from = to;
		search->set_a |= (uint8_t)(1u << level);
	}
	search->hop[level] = (struct hop){ slot, index, to };
	rights &= rights_of(value);
	if (level == 0 || (value & X86_PS))
		leaf(search, level, &version, rights);
	else
		descend(search, level, &version, rights, from, to);
	search->set_a = set_a;
}

static void freed_table(const struct search *search, unsigned level, quire_pfn table)
{
	const struct life *life = life_of(table);
	const char *va = describe_va(search->va), *cpu = thread_name(search->cpu);
	bool gone = !life->alive || !search->machine->probe_hit;

	violation(
		"walk of a table that is given back: %s may still have the entry for %s cached that led to frame "
		"%lu, a table of level %u, which %s gives back at step %u (missing: a flush of %s on %s before)",
		cpu, va, (unsigned long)table, level, thread_name(gone ? life->thread : actor()),
		gone ? life->step : engine_step_now(), va, cpu);
}

/*
 * Every version of the word that can have been read in [from, to], in the windows of the tag. Newest first.
 */
static void read_table(struct search *search, unsigned level, quire_pfn table, uint32_t life, unsigned rights,
		       uint32_t from, uint32_t to)
{
	const struct mmu *mmu = search->mmu;
	uintptr_t slot = slot_address(search->machine, table, search->va, level);
	uint32_t next = UINT32_MAX;

	memory_hardware_touch(slot, WORD, TOUCH_READ);
	for (uint32_t index = history_index(slot);; index = history_version(index)->before) {
		struct version version = *history_version(index);
		uint32_t first = version.from > from ? version.from : from,
			 last = next - 1 < to ? next - 1 : to;

		for (uint32_t i = mmu->windows; i-- > 0 && first <= last;) {
			const struct window *window = &mmu->window[i];
			uint32_t a = window->from > first ? window->from : first;
			uint32_t b = window->to - 1 < last ? window->to - 1 : last;

			if (window->asid != search->asid || a > b)
				continue;
			if (version.life != life) {
				if (engine_now)
					freed_table(search, level, table);
				return;
			}
			if (table == search->machine->probed && b == search->now)
				search->machine->probe_hit = true;
			read_version(search, level, slot, index, rights, a, b);
		}
		next = version.from;
		if (version.from <= from || !index)
			return;
	}
}

void walk_all(struct machine *machine, unsigned cpu, quire_vaddr va, unsigned access, struct walk_result *out)
{
	const struct mmu *mmu = &machine->mmu[cpu];
	struct search search = {
		.machine = machine,
		.mmu = mmu,
		.cpu = cpu,
		.asid = mmu_asid(mmu),
		.access = access,
		.va = va,
		.now = ++machine->time,
		.out = out,
	};
	quire_vaddr page = va & QUIRE_PAGE_MASK;
	uint32_t flushed = mmu_flush_before(mmu, search.asid, page, page + QUIRE_PAGE_SIZE, search.now);

	out->count = 0;
	engine_touch(place(PLACE_TLB, cpu), TOUCH_READ);
	/* Under tag 0 nothing is mapped, ever. */
	for (uint32_t i = search.asid ? mmu->windows : 0; i-- > 0;) {
		const struct window *window = &mmu->window[i];
		uint32_t from = window->from > flushed ? window->from : flushed;
		uint32_t to = window->to - 1 < search.now ? window->to - 1 : search.now;

		if (window->asid == search.asid && from <= to)
			read_table(&search, QUIRE_LEVELS - 1, window->root, window->life, SOFTMMU_ALL, from,
				   to);
	}
	if (!out->count)
		add_fault(&search);
}

/* ---- the tables as they are ------------------------------------------------------------------------- */

bool walk_truth(struct machine *machine, quire_pfn root, quire_vaddr va, unsigned access, quire_pfn *pfn,
		bool *present)
{
	unsigned rights = SOFTMMU_ALL;
	quire_pfn table = root;

	*present = false;
	for (unsigned level = QUIRE_LEVELS; level-- > 0;) {
		uint64_t value = *(const uint64_t *)slot_address(machine, table, va, level);

		if (!(value & X86_P) || entry_frame(value) >= machine->config.frames)
			return false;
		rights &= rights_of(value);
		table = entry_frame(value);
		if (level && !(value & X86_PS))
			continue;
		*present = true;
		*pfn = table + ((va - span_start(va, level)) >> QUIRE_PAGE_SHIFT);
		return softmmu_allows(rights, access);
	}
	return false;
}

void walk_touch(struct machine *machine, quire_pfn root, quire_vaddr va)
{
	quire_pfn table = root;

	for (unsigned level = QUIRE_LEVELS; level-- > 0;) {
		uintptr_t slot = slot_address(machine, table, va, level);
		uint64_t value = *(const uint64_t *)slot;

		memory_hardware_touch(slot, WORD, TOUCH_READ);
		if (!(value & X86_P) || (value & X86_PS) || entry_frame(value) >= machine->config.frames)
			return;
		table = entry_frame(value);
	}
}

/* ---- a table goes ----------------------------------------------------------------------------------- */

/*
 * An address below @table, and the root of its tree, by the entries that led to it. False when it is in none.
 */
static bool address_below(quire_pfn table, quire_vaddr *va, unsigned *level, quire_pfn *root)
{
	unsigned index[QUIRE_LEVELS], depth = 0;

	for (*root = table; life_of(*root)->parent; *root = frame_of(machine_now, life_of(*root)->parent)) {
		if (depth == QUIRE_LEVELS - 1)
			return false;
		index[depth++] = (unsigned)(life_of(*root)->parent % QUIRE_PAGE_SIZE / WORD);
	}
	if (!depth)
		return false;
	*level = QUIRE_LEVELS - 1 - depth;
	*va = 0;
	for (unsigned i = 0; i < depth; i++)
		*va |= (quire_vaddr)index[i] << QUIRE_LEVEL_SHIFT(*level + 1 + i);
	return true;
}

/*
 * CPUs that have another root loaded cannot walk into it now. If they come back to this one without a flush,
 * the next walk that looks finds it out.
 */
void mmu_check_table(struct machine *machine, quire_pfn table)
{
	struct walk_result result;
	quire_pfn root;
	quire_vaddr va;
	unsigned level;

	if (!address_below(table, &va, &level, &root))
		return;
	engine_touch(place(PLACE_ORDER, life_of(table)->parent), TOUCH_ADD);
	engine_touch(place(PLACE_ORDERS, 0), TOUCH_ADD);
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++) {
		if (mmu_root(&machine->mmu[cpu]) != root)
			continue;
		machine->probed = table;
		machine->probe_hit = false;
		walk_all(machine, cpu, va, QUIRE_ACCESS_READ, &result);
		machine->probed = 0;
		if (machine->probe_hit)
			freed_table(&(struct search){ .machine = machine, .cpu = cpu, .va = va }, level,
				    table);
	}
}
