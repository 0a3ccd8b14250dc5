/*
 * test_adversary.c - what walk.c computes at a use, against a TLB that is kept.
 *
 * The machine has no TLB: it computes from the past what one could hold. Here is one that holds, at every
 * moment, whatever could have been cached by then: sets of upper entries and of leaves for one address,
 * filled by every walk that is possible after each event, emptied by flushes and faults. It knows no
 * histories, windows or epochs. Random events, thousands of times; whenever the address is used, the two must
 * allow the same.
 *
 *	root -> one of two tables of level 1 -> one of two leaf tables -> one of two pages; or nothing
 *
 * Rules: CHK-4.
 */
#include "../../../machines/check/inside.h"
#include "../../../machines/softmmu/walk.h"

#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../../core/table/table.h"

enum { SEQUENCES = 4000, EVENTS = 24, TAGS = 2, SET = 64 };

_Static_assert(QUIRE_LEVELS == 3, "the tree is one of three levels");

static struct machine *machine;
static quire_pfn root, middle[2], leaf[2], page[2], empty;

/*
 * ---- what could be cached --------------------------------------------------------------------------------
 */

struct set {
	unsigned count;
	uint64_t value[SET];
};

static struct {
	struct set upper[QUIRE_LEVELS]; /* by level, from 1 on */
	struct set leaf;
} held[TAGS + 1];
static unsigned tag;

static void put(struct set *set, uint64_t value)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->value[i] == value)
			return;
	assert_true(set->count < SET);
	set->value[set->count++] = value;
}

static quire_pfn frame_in(uint64_t entry)
{
	return (entry & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
}

static uint64_t *slot(quire_pfn table, unsigned level)
{
	return (uint64_t *)slot_address(machine, table, X, level);
}

static bool is_cachable(uint64_t entry)
{
	return (entry & (X86_P | X86_A)) == (X86_P | X86_A);
}

/* Every walk that is possible at this moment, of tables that are led to by memory or by what is held. */
static void fill(void)
{
	if (!tag)
		return;
	uint64_t entry = *slot(root, 2);
	if (is_cachable(entry))
		put(&held[tag].upper[2], entry);
	for (unsigned i = 0; i < held[tag].upper[2].count; i++) {
		entry = *slot(frame_in(held[tag].upper[2].value[i]), 1);
		if (is_cachable(entry))
			put(&held[tag].upper[1], entry);
	}
	for (unsigned i = 0; i < held[tag].upper[1].count; i++) {
		entry = *slot(frame_in(held[tag].upper[1].value[i]), 0);
		if (is_cachable(entry))
			put(&held[tag].leaf, entry);
	}
}

/*
 * ---- what an access may do
 * -----------------------------------------------------------------------------------
 */

static bool allows(uint64_t entry, unsigned access)
{
	return access != QUIRE_ACCESS_WRITE || (entry & X86_RW);
}

/* Bit 0 a fault, bit 1 and 2 the pages. */
static unsigned outcome_of(uint64_t entry, unsigned access)
{
	if (!(entry & X86_P) || !allows(entry, access))
		return 1;
	return frame_in(entry) == page[0] ? 2 : 4;
}

/* A walk at this moment: each level's entry from memory, or one that is held. */
static unsigned walks_now(unsigned access)
{
	struct set tables = { 1, { root } };
	unsigned outcomes = 0;

	if (!tag)
		return 1;
	for (unsigned level = 2; level; level--) {
		struct set next = { 0 };

		for (unsigned i = 0; i < tables.count; i++) {
			uint64_t entry = *slot(tables.value[i], level);

			if (entry & X86_P)
				put(&next, frame_in(entry));
			else
				outcomes |= 1;
		}
		for (unsigned i = 0; i < held[tag].upper[level].count; i++)
			put(&next, frame_in(held[tag].upper[level].value[i]));
		tables = next;
	}
	for (unsigned i = 0; i < tables.count; i++)
		outcomes |= outcome_of(*slot(tables.value[i], 0), access);
	return outcomes;
}

static unsigned hits(unsigned access)
{
	unsigned outcomes = 0;

	for (unsigned i = 0; tag && i < held[tag].leaf.count; i++) {
		uint64_t entry = held[tag].leaf.value[i];

		if (access == QUIRE_ACCESS_WRITE && allows(entry, access) && !(entry & X86_D))
			continue; /* walks again */
		outcomes |= outcome_of(entry, access);
	}
	return outcomes;
}

static unsigned outcomes_of(const struct walk_result *result)
{
	unsigned outcomes = 0;

	for (unsigned i = 0; i < result->count; i++)
		outcomes |= result->outcome[i].fault ? 1 : result->outcome[i].pfn == page[0] ? 2 : 4;
	return outcomes;
}

/*
 * ---- events
 * ---------------------------------------------------------------------------------------------------
 */

static uint64_t seed;

static unsigned any(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

static uint64_t some_entry(const quire_pfn *frames, bool is_leaf)
{
	uint64_t bits = X86_P | X86_US | (any(5) ? X86_A : 0);

	if (!any(3))
		return 0;
	bits |= !is_leaf || any(3) ? X86_RW : 0;
	bits |= is_leaf && any(2) ? X86_D : 0;
	return frames[any(2)] << X86_FRAME_SHIFT | bits;
}

static void write_slot(uint64_t *at, uint64_t value)
{
	*at = value;
	history_note((uintptr_t)at, WORD);
}

static void write_something(void)
{
	switch (any(4)) {
	case 0:
		write_slot(slot(root, 2), some_entry(middle, false));
		break;
	case 1:
		write_slot(slot(middle[any(2)], 1), some_entry(leaf, false));
		break;
	default:
		write_slot(slot(leaf[any(2)], 0), some_entry(page, true));
	}
}

static struct quire_cpu *cpu(void)
{
	return machine->cpu[0].cpu;
}

static void forget(unsigned of, unsigned from_level, bool leaves)
{
	for (unsigned level = from_level; level < QUIRE_LEVELS; level++)
		held[of].upper[level].count = 0;
	if (leaves)
		held[of].leaf.count = 0;
}

/* Of this page; of another of its leaf table, of its table of level 1, of none of them; of all. */
static void flush_something(void)
{
	static const quire_vaddr other[] = { X, Y, X + QUIRE_LEVEL_SIZE(1), X + QUIRE_LEVEL_SIZE(2) };
	unsigned which = any(5), of = 1 + any(TAGS);

	if (which == 4) {
		quire_port_tlb_flush_asid(cpu(), of);
		forget(of, 1, true);
		return;
	}
	quire_port_tlb_flush_range(cpu(), of, other[which], other[which] + QUIRE_PAGE_SIZE);
	if (which < 3)
		forget(of, which < 2 ? 1 : 2, which == 0);
}

static void load_root(void)
{
	tag = any(TAGS + 1);
	quire_port_load_root(cpu(), tag ? root : empty, tag);
}

/* Another's translation of the page: the CPU holds one, so no other that it might have held is there now. */
static void keep_only(const struct outcome *used, unsigned access)
{
	struct set before = held[tag].leaf;
	uint64_t now = history_version(used->hop[0].version)->value;

	held[tag].leaf.count = 0;
	put(&held[tag].leaf, now);
	for (unsigned i = 0; i < before.count && !used->set_a && !used->set_d; i++) {
		uint64_t entry = before.value[i];

		if (frame_in(entry) == used->pfn && allows(entry, access) &&
		    (access != QUIRE_ACCESS_WRITE || (entry & X86_D)))
			put(&held[tag].leaf, entry);
	}
}

static void use(void)
{
	unsigned access = any(2) ? QUIRE_ACCESS_READ : QUIRE_ACCESS_WRITE;
	unsigned expected = walks_now(access) | hits(access);
	struct walk_result result;

	walk_all(machine, 0, X, access, &result);
	assert_int_equal(outcomes_of(&result), expected);
	struct outcome *chosen = &result.outcome[any(result.count)];
	if (chosen->fault) {
		mmu_dropped(machine, 0, X);
		if (tag)
			forget(tag, 1, true);
		return;
	}
	for (unsigned level = QUIRE_LEVELS; level-- > 0;) {
		uint64_t bits = chosen->set_a >> level & 1 ? X86_A : 0;

		bits |= !level && chosen->set_d ? X86_D : 0;
		if (!bits)
			continue;
		hardware_set(chosen->hop[level].slot, bits);
		chosen->hop[level].version = history_index(chosen->hop[level].slot);
	}
	mmu_used(machine, 0, X, access, chosen);
	keep_only(chosen, access);
}

static void event(void)
{
	switch (any(8)) {
	case 0:
		flush_something();
		break;
	case 1:
		load_root();
		break;
	case 2:
	case 3:
		use();
		break;
	default:
		write_something();
	}
	fill();
}

/*
 * ---- the tests
 * --------------------------------------------------------------------------------------------------
 */

static quire_pfn table(unsigned level)
{
	struct folio *folio = table_alloc(cpu());

	folio->table.level = (uint8_t)level;
	return folio_pfn(machine->quire, folio);
}

static void create(void)
{
	struct machine_config config = {
		.cpus = 1,
		.frames = 64,
	};

	assert_int_equal(machine_create(&config, &machine), 0);
	empty = mmu_root(&machine->mmu[0]);
	root = table(2);
	for (unsigned i = 0; i < 2; i++) {
		middle[i] = table(1);
		leaf[i] = table(0);
		page[i] = folio_pfn(machine->quire, folio_alloc(cpu(), FOLIO_ANON, 0));
	}
	machine_look(machine);
}

/* CHK-4: at any use exactly what some TLB could do. */
static void chk_4_what_some_tlb_could_do(void **state)
{
	(void)state;
	for (uint64_t sequence = 1; sequence <= SEQUENCES; sequence++) {
		seed = sequence * 0x9e3779b97f4a7c15ul;
		memset(held, 0, sizeof(held));
		tag = 0;
		create();
		for (unsigned i = 0; i < EVENTS; i++)
			event();
		machine_destroy(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_4_what_some_tlb_could_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
