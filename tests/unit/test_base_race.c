/*
 * test_base_race.c - locks, RCU-searched trees and frames, several CPUs against each other.
 *
 * Each test gives every CPU the same job, which does another part by the CPU's number; CPU 0 mostly
 * changes, the others look. What they find wrong is counted, since a job cannot end a test. The sanitizers'
 * builds see the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/radix.h"
#include "../../core/base/rangetree.h"
#include "../../core/base/sync.h"
#include "../../core/phys/phys.h"
#include "../../machines/hosted/hosted.h"

#define CPUS 4
#define ROUNDS 30000 /* of each CPU */
#define PLACES 64
#define SLOTS 32

struct scene {
	struct hosted *machine;
	struct quire *quire;
	_Atomic uint64_t errors;
	_Atomic unsigned started; /* CPUs that begin together */
	struct rwlock lock;
	uint64_t first, second; /* under the lock: always equal */
	struct folio *folio;
	struct range_tree ranges;
	struct radix radix;
	struct folio *_Atomic slots[SLOTS];
};

static uint64_t some(uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 33;
}

static void expect(struct scene *s, bool good)
{
	if (!good)
		atomic_fetch_add_explicit(&s->errors, 1, memory_order_relaxed);
}

/* Wait for the other CPUs, or a fast one is done before they begin. */
static void together(struct quire_cpu *cpu, struct scene *s)
{
	unsigned turn = atomic_fetch_add_explicit(&s->started, 1, memory_order_relaxed) / CPUS;

	while (atomic_load_explicit(&s->started, memory_order_relaxed) < (turn + 1) * CPUS)
		quire_port_relax(cpu);
}

static struct scene *scene(uint64_t frames)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct hosted_config config = { .cpus = CPUS, .memory_bytes = frames << QUIRE_PAGE_SHIFT };

	assert_int_equal(hosted_create(&config, &s->machine), 0);
	s->quire = hosted_quire(s->machine);
	return s;
}

static void all(struct scene *s, hosted_job *job)
{
	for (unsigned id = 0; id < CPUS; id++)
		hosted_post(s->machine, id, job, s);
	hosted_wait(s->machine);
}

static void scene_end(struct scene *s)
{
	assert_int_equal(atomic_load(&s->errors), 0);
	hosted_destroy(s->machine);
	free(s);
}

/* ---- locks --------------------------------------------------------------------------------------------- */

/* Hold the lock for so long, now and then, that the others must sleep. */
static void dawdle(struct quire_cpu *cpu, uint64_t *random)
{
	if (some(random) % 64 == 0) {
		for (unsigned turn = 0; turn < 100; turn++)
			quire_port_relax(cpu);
	}
}

static void lock_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t random = (*cpu)->id;

	together(*cpu, s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (some(&random) % 4 == 0) {
			rwlock_write(cpu, &s->lock);
			s->first++;
			dawdle(*cpu, &random);
			s->second++;
			rwlock_write_done(*cpu, &s->lock);
		} else {
			rwlock_read(cpu, &s->lock);
			dawdle(*cpu, &random);
			expect(s, s->first == s->second);
			rwlock_read_done(*cpu, &s->lock);
		}
	}
}

static void base_8_nobody_sleeps_for_ever_at_an_rwlock(void **state)
{
	struct scene *s = scene(1000);

	(void)state;
	all(s, lock_job);
	assert_int_equal(s->first, s->second);
	assert_int_equal(atomic_load(&s->lock.word), 0);
	scene_end(s);
}

static void folio_lock_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t random = (*cpu)->id;

	together(*cpu, s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		folio_lock(cpu, s->folio);
		s->first++;
		dawdle(*cpu, &random);
		folio_set(s->folio, FOLIO_DIRTY); /* other flags change meanwhile */
		s->second++;
		folio_unlock(*cpu, s->folio);
		folio_clear(s->folio, FOLIO_DIRTY);
	}
}

static void folio_lock_begin(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	s->folio = folio_alloc(*cpu, FOLIO_FILE, 0);
}

static void folio_lock_end(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	folio_put(*cpu, s->folio);
}

static void base_8_nobody_sleeps_for_ever_at_a_folio_lock(void **state)
{
	struct scene *s = scene(1000);

	(void)state;
	hosted_run(s->machine, 0, folio_lock_begin, s);
	all(s, folio_lock_job);
	assert_int_equal(s->first, CPUS * ROUNDS);
	assert_int_equal(s->second, CPUS * ROUNDS);
	hosted_run(s->machine, 0, folio_lock_end, s);
	scene_end(s);
}

/* ---- the range tree: even places are always covered, odd ones come and go ---- */

#define WIDTH 10 /* numbers a place */

static void *item_of(uint64_t place)
{
	return (void *)(place * 2 + 1);
}

/* Make [start, end) hold @with. */
static void change(struct quire_cpu **cpu, struct scene *s, struct range_hold *hold, uint64_t start,
		   uint64_t end, const struct range *with, unsigned n)
{
	expect(s, range_hold_reserve(*cpu, hold) == 0);
	range_tree_replace(*cpu, hold, start, end, with, n);
}

/* One odd place comes or goes: in place, if there is its hole. */
static void change_one_range(struct quire_cpu **cpu, struct scene *s, uint64_t *random)
{
	uint64_t place = some(random) % PLACES | 1, start = place * WIDTH, end = start + WIDTH;
	struct range with = { start, end, item_of(place) };
	struct range_hold hold;

	range_hold_write(cpu, &s->ranges, start, end, 1, 0, &hold);
	change(cpu, s, &hold, start, end, &with, !range_hold_find(*cpu, &hold, start));
	range_hold_done(*cpu, &hold);
}

/* A range from @place to the next, or with a piece of it cut off, and its item named by where it starts. */
static void change_ranges(struct quire_cpu **cpu, struct scene *s, uint64_t *random)
{
	uint64_t place = some(random) % (PLACES - 3) & ~1ul, start = place * WIDTH, end = start + 4 * WIDTH;
	struct range_hold hold;
	struct range with[4];
	unsigned n = 0;

	for (uint64_t at = place; at < place + 4; at++) {
		if (at % 2 == 0 || some(random) % 2)
			with[n++] = (struct range){ at * WIDTH, at * WIDTH + WIDTH, item_of(at) };
	}
	range_hold_write(cpu, &s->ranges, start, end, 4, 0, &hold);
	change(cpu, s, &hold, start, end, with, n);
	range_hold_done(*cpu, &hold);
}

/* Every even place is there, whoever else looks or changes. */
static void look_at_ranges(struct quire_cpu **cpu, struct scene *s, uint64_t *random)
{
	uint64_t place = some(random) % (PLACES - 4) & ~1ul;
	struct range_hold hold;

	range_hold_read(cpu, &s->ranges, place * WIDTH, (place + 4) * WIDTH, &hold);
	for (uint64_t at = place; at < place + 4; at += 2)
		expect(s, range_hold_find(*cpu, &hold, at * WIDTH) == item_of(at));
	range_hold_done(*cpu, &hold);
}

static void check_ranges(struct quire_cpu **cpu, struct scene *s)
{
	struct range_hold all;
	const char *what;
	uint64_t count;

	range_hold_read(cpu, &s->ranges, RANGE_ALL, &all);
	expect(s, range_tree_check(&s->ranges, false, &what, &count));
	range_hold_done(*cpu, &all);
}

static void search_ranges(struct scene *s, uint64_t *random)
{
	uint64_t place = some(random) % PLACES, even = place & ~1ul;
	struct range found;

	expect(s, range_tree_find(&s->ranges, even * WIDTH + 3, &found) && found.start == even * WIDTH);
	if (range_tree_find(&s->ranges, place * WIDTH, &found))
		expect(s, found.item == item_of(place) && found.end == place * WIDTH + WIDTH);
	expect(s, range_tree_prev(&s->ranges, place * WIDTH + 1, &found));
	expect(s, found.start == place * WIDTH || found.start == even * WIDTH);
	if (place < PLACES - 1) {
		expect(s, range_tree_next(&s->ranges, place * WIDTH, &found));
		expect(s, found.start == place * WIDTH || found.start == even * WIDTH + 2 * WIDTH);
	}
	struct range above;
	uint64_t gap = range_tree_gap_down(&s->ranges, 0, PLACES * WIDTH, 1 + some(random) % WIDTH, &above);
	expect(s, gap == UINT64_MAX || gap / WIDTH % 2 == 1);
	gap = range_tree_gap_up(&s->ranges, 0, PLACES * WIDTH, 1 + some(random) % WIDTH);
	expect(s, gap == UINT64_MAX || gap / WIDTH % 2 == 1);
}

static void range_begin(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct range_hold all;

	expect(s, range_tree_init(*cpu, &s->ranges) == 0);
	range_hold_write(cpu, &s->ranges, RANGE_ALL, RANGE_MORE_ANY, 0, &all);
	for (uint64_t place = 0; place < PLACES; place += 2) {
		struct range with = { place * WIDTH, place * WIDTH + WIDTH, item_of(place) };

		change(cpu, s, &all, with.start, with.end, &with, 1);
	}
	range_hold_done(*cpu, &all);
}

static void range_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t random = (*cpu)->id;

	together(*cpu, s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if ((*cpu)->id % 2 == 0) {
			if (round % 4)
				change_one_range(cpu, s, &random);
			else
				change_ranges(cpu, s, &random);
			if (round % 64 == 0)
				check_ranges(cpu, s);
		} else if (round % 8 == 0) {
			look_at_ranges(cpu, s, &random);
		} else {
			quire_port_rcu_lock(*cpu);
			search_ranges(s, &random);
			quire_port_rcu_unlock(*cpu);
		}
		hosted_poll(*cpu);
	}
}

static void range_end(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct range_hold all;
	const char *what;
	uint64_t count;

	range_hold_write(cpu, &s->ranges, RANGE_ALL, RANGE_MORE_ANY, 0, &all);
	expect(s, range_tree_check(&s->ranges, true, &what, &count)); /* gaps too: nobody searches any more */
	range_tree_destroy(*cpu, &all);
}

static void vma_1_a_search_sees_the_tree_before_or_after_a_change(void **state)
{
	struct scene *s = scene(1000);

	(void)state;
	hosted_run(s->machine, 0, range_begin, s);
	all(s, range_job);
	hosted_run(s->machine, 0, range_end, s);
	scene_end(s);
}

/* ---- the radix tree: even indices are always there ----------------------------------------------------- */

static uint64_t index_of(uint64_t place)
{
	return place * place * place * 7;
}

static void change_radix(struct quire_cpu *cpu, struct scene *s, struct radix_stock *stock, uint64_t *random)
{
	uint64_t place = some(random) % PLACES | 1, index = index_of(place);
	void *there = radix_find(&s->radix, index);

	expect(s, !there || there == item_of(place));
	if (there) {
		expect(s, radix_remove(cpu, &s->radix, index) == there);
		return;
	}
	expect(s, radix_stock_fill(cpu, stock) == 0);
	radix_insert(cpu, &s->radix, stock, index, item_of(place));
}

static void search_radix(struct scene *s, uint64_t *random)
{
	uint64_t place = some(random) % PLACES, even = place & ~1ul, at = index_of(place);
	void *found = radix_find(&s->radix, at);

	expect(s, found == item_of(place) || (!found && place != even));
	found = radix_next(&s->radix, &at);
	if (place < PLACES - 1)
		expect(s, found == item_of(place) || found == item_of(even + 2));
	if (found)
		expect(s, at == index_of((uintptr_t)found / 2));
}

static void radix_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t random = (*cpu)->id;
	struct radix_stock stock = { 0 };

	together(*cpu, s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if ((*cpu)->id == 0) {
			change_radix(*cpu, s, &stock, &random);
		} else {
			quire_port_rcu_lock(*cpu);
			search_radix(s, &random);
			quire_port_rcu_unlock(*cpu);
		}
		hosted_poll(*cpu);
	}
	radix_stock_drain(*cpu, &stock);
}

static void radix_begin(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct radix_stock stock = { 0 };

	for (uint64_t place = 0; place < PLACES; place += 2) {
		expect(s, radix_stock_fill(*cpu, &stock) == 0);
		radix_insert(*cpu, &s->radix, &stock, index_of(place), item_of(place));
	}
	radix_stock_drain(*cpu, &stock);
}

static void radix_end(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	for (uint64_t place = 0; place < PLACES; place++)
		radix_remove(*cpu, &s->radix, index_of(place));
	expect(s, s->radix.count == 0);
}

static void base_5_what_stays_in_the_index_is_always_found(void **state)
{
	struct scene *s = scene(1000);

	(void)state;
	hosted_run(s->machine, 0, radix_begin, s);
	all(s, radix_job);
	hosted_run(s->machine, 0, radix_end, s);
	scene_end(s);
}

/* ---- frames: in and out of slots where others find them ------------------------------------------------ */

/* A folio for @slot, or what is there goes. The slot has a reference. */
static void change_slot(struct quire_cpu *cpu, struct scene *s, unsigned slot, unsigned order)
{
	struct folio *folio = folio_alloc(cpu, FOLIO_FILE, order);

	if (folio)
		folio->index = slot;
	/* Release for whoever finds it; acquire for the one that was there. */
	folio = atomic_exchange_explicit(&s->slots[slot], folio, memory_order_acq_rel);
	if (folio) {
		expect(s, folio->index == slot);
		folio_put(cpu, folio);
	}
}

/* What a page-cache lookup does. */
static void find_in_slot(struct quire_cpu *cpu, struct scene *s, unsigned slot)
{
	struct folio *folio;

	quire_port_rcu_lock(cpu);
	folio = atomic_load_explicit(&s->slots[slot], memory_order_acquire);
	bool got = folio && folio_try_get(folio);
	if (got && atomic_load_explicit(&s->slots[slot], memory_order_acquire) == folio)
		expect(s, folio->kind == FOLIO_FILE && folio->index == slot);
	quire_port_rcu_unlock(cpu);
	if (got)
		folio_put(cpu, folio);
}

static void frames_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t random = (*cpu)->id;

	together(*cpu, s);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned slot = (unsigned)(some(&random) % SLOTS);

		if (some(&random) % 2)
			change_slot(*cpu, s, slot, (unsigned)(some(&random) % 8 ? 0 : some(&random) % 6));
		else
			find_in_slot(*cpu, s, slot);
		hosted_poll(*cpu);
	}
}

static void frames_end(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct folio *folio = atomic_exchange_explicit(&s->slots[slot], NULL, memory_order_acquire);

		if (folio)
			folio_put(*cpu, folio);
	}
}

/* So little memory that it runs out all the time, and so much that caches are in use. */
static void base_6_frames_are_never_lost_and_never_had_twice(void **state)
{
	static const uint64_t sizes[] = { 60, 2000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct scene *s = scene(sizes[i]);
		struct phys_counts before, after;
		const char *what = "";

		phys_counts(s->quire, &before);
		all(s, frames_job);
		hosted_run(s->machine, CPUS - 1, frames_end, s);
		phys_counts(s->quire, &after);
		assert_int_equal(after.free, before.free);
		assert_true(after.peak > before.peak && after.peak <= after.total);
		if (!phys_check(s->quire, &what))
			fail_msg("%s", what);
		scene_end(s);
	}
}

static void take_all_job(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct folio *first = NULL, *folio;

	while ((folio = folio_alloc(*cpu, FOLIO_ANON, 0))) {
		/* A chain of all, by index. */
		folio->index = (uint64_t)(uintptr_t)first;
		first = folio;
		s->first++;
	}
	while (first) {
		struct folio *next = (struct folio *)(uintptr_t)first->index;

		folio_put(*cpu, first);
		first = next;
	}
}

/* A CPU that does nothing any more keeps no frame from the others. */
static void base_6_an_idle_cpu_keeps_no_frames(void **state)
{
	struct scene *s = scene(2000);
	struct phys_counts counts;

	(void)state;
	all(s, frames_job);
	hosted_run(s->machine, CPUS - 1, frames_end, s);
	phys_counts(s->quire, &counts);
	for (unsigned id = 0; id < CPUS; id++) {
		s->first = 0;
		hosted_run(s->machine, id, take_all_job, s);
		assert_int_equal(s->first, counts.free);
	}
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_8_nobody_sleeps_for_ever_at_an_rwlock),
		cmocka_unit_test(base_8_nobody_sleeps_for_ever_at_a_folio_lock),
		cmocka_unit_test(vma_1_a_search_sees_the_tree_before_or_after_a_change),
		cmocka_unit_test(base_5_what_stays_in_the_index_is_always_found),
		cmocka_unit_test(base_6_frames_are_never_lost_and_never_had_twice),
		cmocka_unit_test(base_6_an_idle_cpu_keeps_no_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
