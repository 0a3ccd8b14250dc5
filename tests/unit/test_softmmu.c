/*
 * test_softmmu.c - the software MMU against tables built by hand: what it translates, remembers, sets and
 * forgets.
 *
 * A scene is a small memory with a root table; map() links what is missing on the way to a leaf. The tests
 * then change entries behind the MMU's back, as an operating system does, and look at what it still
 * believes.
 */
#include "machines/softmmu/softmmu.h"

#include <quire/mm.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES (4ul * QUIRE_TABLE_ENTRIES)
#define LARGE (2ul * QUIRE_TABLE_ENTRIES) /* a frame aligned for a large page */
#define VA (3 * QUIRE_LEVEL_SIZE(QUIRE_LEVELS - 1) / 2 / QUIRE_HUGE_SIZE * QUIRE_HUGE_SIZE)
#define TABLE_BITS (X86_P | X86_RW | X86_US)
#define RW (X86_P | X86_RW | X86_US | X86_XD)

struct scene {
	char *memory;
	quire_pfn next; /* the next unused frame, for tables */
	quire_pfn root;
	struct softmmu mmu;
	struct softmmu_fault fault;
};

static _Atomic quire_entry *entry_at(struct scene *s, quire_pfn table, unsigned index)
{
	return (_Atomic quire_entry *)(void *)(s->memory + (table << QUIRE_PAGE_SHIFT)) + index;
}

static struct scene *scene_with(unsigned tlb_entries, unsigned speculation)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct softmmu_config config = {
		.frames = FRAMES, .tlb_entries = tlb_entries, .speculation = speculation, .seed = 1
	};

	s->memory = aligned_alloc(QUIRE_PAGE_SIZE, FRAMES << QUIRE_PAGE_SHIFT);
	memset(s->memory, 0, FRAMES << QUIRE_PAGE_SHIFT);
	config.memory = s->memory;
	s->root = 1;
	s->next = 2;
	assert_int_equal(softmmu_create(&s->mmu, &config), 0);
	softmmu_load_root(&s->mmu, s->root, 1);
	return s;
}

static struct scene *scene(void)
{
	return scene_with(64, 0);
}

static void scene_end(struct scene *s)
{
	softmmu_destroy(&s->mmu);
	free(s->memory);
	free(s);
}

/* The entry for @va at @level, linking tables above it. */
static _Atomic quire_entry *slot(struct scene *s, quire_pfn root, quire_vaddr va, unsigned level)
{
	quire_pfn table = root;

	for (unsigned at = QUIRE_LEVELS - 1;; at--) {
		_Atomic quire_entry *entry = entry_at(
			s, table, va >> QUIRE_LEVEL_SHIFT(at) & (QUIRE_TABLE_ENTRIES - 1));

		if (at == level)
			return entry;
		if (!atomic_load(entry))
			atomic_store(entry, s->next++ << X86_FRAME_SHIFT | TABLE_BITS);
		table = (atomic_load(entry) & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
	}
}

static _Atomic quire_entry *map(struct scene *s, quire_vaddr va, unsigned level, quire_pfn frame,
				quire_entry bits)
{
	_Atomic quire_entry *entry = slot(s, s->root, va, level);

	atomic_store(entry, frame << X86_FRAME_SHIFT | bits | (level ? X86_PS : 0));
	return entry;
}

/* The frame that an access reaches, or 0 for a fault. */
static quire_pfn reach(struct scene *s, quire_vaddr va, unsigned access)
{
	char *at = softmmu_translate(&s->mmu, va, access, &s->fault);

	if (!at)
		return 0;
	assert_int_equal((uintptr_t)(at - s->memory) % QUIRE_PAGE_SIZE, va % QUIRE_PAGE_SIZE);
	return (quire_pfn)(at - s->memory) >> QUIRE_PAGE_SHIFT;
}

#define read_at(s, va) reach(s, va, QUIRE_ACCESS_READ)
#define write_at(s, va) reach(s, va, QUIRE_ACCESS_WRITE)
#define fetch_at(s, va) reach(s, va, QUIRE_ACCESS_EXEC)

/* ---- walking ------------------------------------------------------------------------------------ */

static void base_2_walk_reaches_small_and_large_leaves(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA, 0, 77, RW);
	map(s, VA + QUIRE_HUGE_SIZE, 1, LARGE, RW);
	assert_int_equal(read_at(s, VA + 5), 77);
	assert_int_equal(read_at(s, VA + QUIRE_HUGE_SIZE + 3 * QUIRE_PAGE_SIZE), LARGE + 3);
	assert_int_equal(read_at(s, VA + QUIRE_PAGE_SIZE), 0);
	assert_int_equal(s->fault.error, X86_PF_US);
	assert_int_equal(s->fault.level, 0);
	assert_int_equal(read_at(s, VA + 2 * QUIRE_HUGE_SIZE), 0);
	assert_int_equal(s->fault.level, 1);
	scene_end(s);
}

static void base_2_accessed_is_set_on_every_level_dirty_only_in_a_written_leaf(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);

	(void)state;
	assert_int_equal(read_at(s, VA), 77);
	assert_true(atomic_load(leaf) & X86_A);
	assert_false(atomic_load(leaf) & X86_D);
	assert_int_equal(write_at(s, VA), 77);
	assert_true(atomic_load(leaf) & X86_D);
	for (unsigned level = 1; level < QUIRE_LEVELS; level++) {
		quire_entry entry = atomic_load(slot(s, s->root, VA, level));

		assert_true(entry & X86_A);
		assert_false(entry & X86_D);
	}
	scene_end(s);
}

static void base_2_refused_access_sets_nothing_in_the_leaf(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, X86_P | X86_US);

	(void)state;
	assert_int_equal(write_at(s, VA), 0);
	assert_int_equal(s->fault.error, X86_PF_P | X86_PF_WR | X86_PF_US);
	assert_false(atomic_load(leaf) & (X86_A | X86_D));
	scene_end(s);
}

static void base_2_permissions_are_those_of_every_level(void **state)
{
	struct scene *s = scene();
	const struct {
		quire_entry clear, set;
		unsigned access;
	} cases[] = {
		{ X86_RW, 0, QUIRE_ACCESS_WRITE },
		{ X86_US, 0, QUIRE_ACCESS_READ },
		{ 0, X86_XD, QUIRE_ACCESS_EXEC },
		{ X86_P, 0, QUIRE_ACCESS_READ },
	};

	(void)state;
	map(s, VA, 0, 77, X86_P | X86_RW | X86_US);
	for (unsigned level = 0; level < QUIRE_LEVELS; level++) {
		for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			_Atomic quire_entry *entry = slot(s, s->root, VA, level);
			quire_entry old = atomic_load(entry);

			softmmu_flush_asid(&s->mmu, 1);
			atomic_store(entry, (old & ~cases[i].clear) | cases[i].set);
			assert_int_equal(reach(s, VA, cases[i].access), 0);
			atomic_store(entry, old);
			assert_int_equal(reach(s, VA, cases[i].access), 77);
		}
	}
	scene_end(s);
}

static void base_2_reserved_bits_and_wild_frames_are_told_apart(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA, 0, FRAMES, RW);
	map(s, VA + QUIRE_HUGE_SIZE, 1, LARGE + 1, RW);
	assert_int_equal(read_at(s, VA), 0);
	assert_true(s->fault.error & X86_PF_RSVD);
	assert_int_equal(read_at(s, VA + QUIRE_HUGE_SIZE), 0);
	assert_true(s->fault.error & X86_PF_RSVD);
	scene_end(s);
}

static void base_2_addresses_past_the_last_level_fault(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, 0, 0, 77, RW);
	assert_int_equal(read_at(s, 0), 77);
	assert_int_equal(read_at(s, QUIRE_LEVEL_SIZE(QUIRE_LEVELS)), 0);
	assert_int_equal(read_at(s, ~0ul), 0);
	scene_end(s);
}

static void base_2_no_root_no_translation(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA, 0, 77, RW);
	softmmu_load_root(&s->mmu, 0, 0);
	assert_int_equal(read_at(s, VA), 0);
	scene_end(s);
}

/* ---- remembering -------------------------------------------------------------------------------- */

static void base_3_cached_leaf_stays_until_flushed(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);

	(void)state;
	assert_int_equal(read_at(s, VA), 77);
	atomic_store(leaf, 0);
	assert_int_equal(read_at(s, VA), 77);
	softmmu_flush_range(&s->mmu, 1, VA + QUIRE_PAGE_SIZE, VA + 2 * QUIRE_PAGE_SIZE);
	assert_int_equal(read_at(s, VA), 77);
	softmmu_flush_range(&s->mmu, 1, VA, VA + QUIRE_PAGE_SIZE);
	assert_int_equal(read_at(s, VA), 0);
	scene_end(s);
}

static void base_3_large_leaf_goes_with_any_page_of_it(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 1, LARGE, RW);

	(void)state;
	assert_int_equal(read_at(s, VA), LARGE);
	atomic_store(leaf, 0);
	assert_int_equal(read_at(s, VA + QUIRE_PAGE_SIZE), LARGE + 1);
	softmmu_flush_range(&s->mmu, 1, VA + 2 * QUIRE_PAGE_SIZE, VA + 3 * QUIRE_PAGE_SIZE);
	assert_int_equal(read_at(s, VA), 0);
	scene_end(s);
}

static void base_3_wide_range_flush_and_flush_to_the_top_of_addresses(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);

	(void)state;
	assert_int_equal(read_at(s, VA), 77);
	atomic_store(leaf, 78 << X86_FRAME_SHIFT | RW);
	softmmu_flush_range(&s->mmu, 1, 0, VA);
	assert_int_equal(read_at(s, VA), 77);
	softmmu_flush_range(&s->mmu, 1, QUIRE_PAGE_SIZE, 0);
	assert_int_equal(read_at(s, VA), 78);
	scene_end(s);
}

static void base_3_write_permission_is_cached_too(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);

	(void)state;
	assert_int_equal(write_at(s, VA), 77);
	atomic_fetch_and(leaf, ~X86_RW);
	assert_int_equal(write_at(s, VA), 77);
	softmmu_flush_range(&s->mmu, 1, VA, VA + QUIRE_PAGE_SIZE);
	assert_int_equal(write_at(s, VA), 0);
	scene_end(s);
}

static void base_3_clean_cached_leaf_looks_again_before_the_first_write(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);

	(void)state;
	assert_int_equal(read_at(s, VA), 77);
	atomic_fetch_and(leaf, ~X86_RW);
	assert_int_equal(write_at(s, VA), 0);
	assert_false(atomic_load(leaf) & X86_D);
	atomic_fetch_or(leaf, X86_RW);
	assert_int_equal(write_at(s, VA), 77);
	assert_true(atomic_load(leaf) & X86_D);
	scene_end(s);
}

static void base_3_fault_forgets_what_was_cached_for_its_address(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, X86_P | X86_US);

	(void)state;
	assert_int_equal(read_at(s, VA), 77);
	atomic_store(leaf, 78 << X86_FRAME_SHIFT | RW);
	assert_int_equal(write_at(s, VA), 0); /* refused by the stale leaf */
	assert_int_equal(write_at(s, VA), 78);
	scene_end(s);
}

static void base_3_absent_is_never_cached(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA + QUIRE_PAGE_SIZE, 0, 76, RW);
	assert_int_equal(read_at(s, VA), 0);
	map(s, VA, 0, 77, RW);
	assert_int_equal(read_at(s, VA), 77);
	scene_end(s);
}

static void base_3_upper_entries_are_cached_and_flushed_with_their_addresses(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *upper;

	(void)state;
	map(s, VA, 0, 77, RW);
	map(s, VA + QUIRE_PAGE_SIZE, 0, 78, RW);
	upper = slot(s, s->root, VA, 1);
	assert_int_equal(read_at(s, VA), 77);
	atomic_store(upper, 0);
	assert_int_equal(read_at(s, VA + QUIRE_PAGE_SIZE),
			 78); /* through the table that is no longer linked */
	softmmu_flush_range(&s->mmu, 1, VA + 5 * QUIRE_PAGE_SIZE, VA + 6 * QUIRE_PAGE_SIZE);
	assert_int_equal(read_at(s, VA + 2 * QUIRE_PAGE_SIZE), 0);
	assert_int_equal(s->fault.level, 1); /* the walk began above it again */
	scene_end(s);
}

static void base_3_cached_upper_entry_keeps_the_rights_above_it(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA, 0, 77, RW);
	atomic_fetch_and(slot(s, s->root, VA, QUIRE_LEVELS - 1), ~X86_RW);
	assert_int_equal(read_at(s, VA), 77);
	softmmu_flush_range(&s->mmu, 2, VA, VA + QUIRE_PAGE_SIZE);
	map(s, VA + QUIRE_PAGE_SIZE, 0, 78, RW);
	assert_int_equal(read_at(s, VA + QUIRE_PAGE_SIZE), 78);
	assert_int_equal(write_at(s, VA + QUIRE_PAGE_SIZE), 0);
	scene_end(s);
}

static void base_3_asids_do_not_see_each_other(void **state)
{
	struct scene *s = scene();
	quire_pfn other = s->next++;

	(void)state;
	map(s, VA, 0, 77, RW);
	atomic_store(slot(s, other, VA, 0), 99ul << X86_FRAME_SHIFT | RW);
	assert_int_equal(read_at(s, VA), 77);
	softmmu_load_root(&s->mmu, other, 2);
	assert_int_equal(read_at(s, VA), 99);
	atomic_store(slot(s, s->root, VA, 0), 0);
	atomic_store(slot(s, other, VA, 0), 0);
	softmmu_flush_asid(&s->mmu, 1);
	assert_int_equal(read_at(s, VA), 99); /* untouched by the other's flush */
	softmmu_load_root(&s->mmu, s->root, 1);
	assert_int_equal(read_at(s, VA), 0);
	softmmu_load_root(&s->mmu, other, 2);
	softmmu_flush_range(&s->mmu, 1, VA, VA + QUIRE_PAGE_SIZE);
	assert_int_equal(read_at(s, VA), 99);
	softmmu_flush_asid(&s->mmu, 2);
	assert_int_equal(read_at(s, VA), 0);
	scene_end(s);
}

static void base_3_full_tlb_evicts_and_still_translates(void **state)
{
	struct scene *s = scene_with(4, 0);

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		map(s, VA + i * QUIRE_PAGE_SIZE, 0, 100 + i, RW);
	for (unsigned turn = 0; turn < 3; turn++)
		for (unsigned i = 0; i < 64; i++)
			assert_int_equal(write_at(s, VA + i * QUIRE_PAGE_SIZE), 100 + i);
	assert_true(s->mmu.counts.evictions >= 64);
	scene_end(s);
}

static void base_3_hits_and_walks_are_counted(void **state)
{
	struct scene *s = scene();

	(void)state;
	map(s, VA, 0, 77, RW);
	read_at(s, VA);
	read_at(s, VA);
	write_at(s, VA);
	write_at(s, VA);
	assert_int_equal(s->mmu.counts.translations, 4);
	assert_int_equal(s->mmu.counts.walks, 2);
	assert_int_equal(s->mmu.counts.hits, 2);
	assert_int_equal(s->mmu.counts.faults, 0);
	scene_end(s);
}

/* ---- of its own accord -------------------------------------------------------------------------- */

static void base_2_speculation_fills_nearby_pages_and_never_dirties(void **state)
{
	struct scene *s = scene_with(64, 1);
	unsigned accessed = 0;

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		map(s, VA + i * QUIRE_PAGE_SIZE, 0, 100 + i, RW);
	assert_int_equal(write_at(s, VA + 8 * QUIRE_PAGE_SIZE), 108);
	for (unsigned i = 0; i < 500; i++)
		softmmu_speculate(&s->mmu);
	for (unsigned i = 0; i < 16; i++) {
		quire_entry entry = atomic_load(slot(s, s->root, VA + i * QUIRE_PAGE_SIZE, 0));

		accessed += (entry & X86_A) != 0;
		assert_true(i == 8 || !(entry & X86_D));
		if (i != 8 && (entry & X86_A)) {
			atomic_store(slot(s, s->root, VA + i * QUIRE_PAGE_SIZE, 0), 0);
			assert_int_equal(read_at(s, VA + i * QUIRE_PAGE_SIZE), 100 + i); /* cached unasked */
		}
	}
	assert_true(accessed > 8);
	assert_true(s->mmu.counts.speculative_fills > 0);
	assert_int_equal(s->mmu.counts.faults, 0);
	scene_end(s);
}

/* ---- against software --------------------------------------------------------------------------- */

#define RACE_ROUNDS 20000

static void *race_hardware(void *argument)
{
	struct scene *s = argument;
	struct softmmu_fault fault;

	for (unsigned i = 0; i < RACE_ROUNDS; i++) {
		softmmu_flush_asid(&s->mmu, 1);
		softmmu_translate(&s->mmu, VA, i & 1 ? QUIRE_ACCESS_WRITE : QUIRE_ACCESS_READ, &fault);
	}
	return NULL;
}

/*
 * PIN-8: software takes an entry out by exchange and puts it back write-protected or writable. Hardware
 * must never set a bit in an entry that is absent, nor the dirty bit in one that is read-only.
 */
static void pin_8_bits_are_set_only_in_what_still_permits_it(void **state)
{
	struct scene *s = scene();
	_Atomic quire_entry *leaf = map(s, VA, 0, 77, RW);
	const quire_entry clean = 77 << X86_FRAME_SHIFT | RW;
	pthread_t hardware;

	(void)state;
	pthread_create(&hardware, NULL, race_hardware, s);
	for (unsigned i = 0; i < RACE_ROUNDS; i++) {
		atomic_exchange(leaf, 0);
		assert_int_equal(atomic_load(leaf), 0);
		atomic_store(leaf, clean & ~X86_RW);
		assert_int_equal(atomic_load(leaf) & ~(X86_A | X86_RW), clean & ~X86_RW);
		assert_int_equal(atomic_exchange(leaf, clean) & X86_D, 0);
	}
	pthread_join(hardware, NULL);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_2_walk_reaches_small_and_large_leaves),
		cmocka_unit_test(base_2_accessed_is_set_on_every_level_dirty_only_in_a_written_leaf),
		cmocka_unit_test(base_2_refused_access_sets_nothing_in_the_leaf),
		cmocka_unit_test(base_2_permissions_are_those_of_every_level),
		cmocka_unit_test(base_2_reserved_bits_and_wild_frames_are_told_apart),
		cmocka_unit_test(base_2_addresses_past_the_last_level_fault),
		cmocka_unit_test(base_2_no_root_no_translation),
		cmocka_unit_test(base_3_cached_leaf_stays_until_flushed),
		cmocka_unit_test(base_3_large_leaf_goes_with_any_page_of_it),
		cmocka_unit_test(base_3_wide_range_flush_and_flush_to_the_top_of_addresses),
		cmocka_unit_test(base_3_write_permission_is_cached_too),
		cmocka_unit_test(base_3_clean_cached_leaf_looks_again_before_the_first_write),
		cmocka_unit_test(base_3_fault_forgets_what_was_cached_for_its_address),
		cmocka_unit_test(base_3_absent_is_never_cached),
		cmocka_unit_test(base_3_upper_entries_are_cached_and_flushed_with_their_addresses),
		cmocka_unit_test(base_3_cached_upper_entry_keeps_the_rights_above_it),
		cmocka_unit_test(base_3_asids_do_not_see_each_other),
		cmocka_unit_test(base_3_full_tlb_evicts_and_still_translates),
		cmocka_unit_test(base_3_hits_and_walks_are_counted),
		cmocka_unit_test(base_2_speculation_fills_nearby_pages_and_never_dirties),
		cmocka_unit_test(pin_8_bits_are_set_only_in_what_still_permits_it),
	};

	return cmocka_run_group_tests_name("softmmu", tests, NULL, NULL);
}
