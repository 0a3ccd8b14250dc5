/*
 * solo_rangetree.c - the range tree against a flat model: an array with one item per number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/rangenode.h"
#include "../support/solo.h"

#define WORLD 512 /* numbers; the model holds an item, or 0, for each, and where ranges begin */
#define SCALE 3	  /* tree numbers to a model's: so that none is an index by luck */

struct scene {
	struct quire quire;
	struct quire_cpu cpu;
	struct range_tree tree;
	uintptr_t item[WORLD];
	bool begins[WORLD];
	unsigned count;
	uint64_t seed;
};

static struct scene *scene(uint64_t seed)
{
	struct scene *s = calloc(1, sizeof(*s));

	solo_reset();
	s->cpu.quire = &s->quire;
	s->seed = seed;
	assert_int_equal(range_tree_init(&s->cpu, &s->tree), 0);
	return s;
}

static struct range_hold hold(struct scene *s, uint64_t start, uint64_t end)
{
	struct quire_cpu *cpu = &s->cpu;
	struct range_hold held;

	unsigned more = !start && end == UINT64_MAX ? RANGE_MORE_ANY : RANGE_MORE_MAX;
	assert_true(range_hold_write(&cpu, &s->tree, start, end, more, 0, &held));
	return held;
}

static void scene_end(struct scene *s)
{
	struct range_hold all = hold(s, RANGE_ALL);

	range_tree_destroy(&s->cpu, &all);
	solo_run_rcu(&s->cpu);
	assert_int_equal(solo.objects, 0);
	assert_int_equal(atomic_load(&s->cpu.objects), 0);
	free(s);
}

static void expect_sound(struct scene *s)
{
	const char *what = NULL;
	uint64_t count;

	if (!range_tree_check(&s->tree, true, &what, &count))
		fail_msg("seed %lu: %s", (unsigned long)s->seed, what);
	assert_int_equal(count, s->count);
	assert_true(range_tree_count_max(&s->tree) >= count);
}

/* Where the range that covers model number @at begins and ends. */
static unsigned begin_of(struct scene *s, unsigned at)
{
	while (!s->begins[at])
		at--;
	return at;
}

static unsigned end_of(struct scene *s, unsigned at)
{
	for (at++; at < WORLD && s->item[at] && !s->begins[at]; at++)
		;
	return at;
}

static void model_put(struct scene *s, unsigned start, unsigned end, uintptr_t item)
{
	for (unsigned i = start; i < end; i++)
		s->item[i] = item;
	s->begins[start] = true;
	s->count++;
}

static void model_clear(struct scene *s, unsigned start, unsigned end)
{
	for (unsigned i = start; i < end; i++) {
		s->count -= s->begins[i];
		s->item[i] = 0;
		s->begins[i] = false;
	}
}

static void replace(struct scene *s, unsigned start, unsigned end, const struct range *with, unsigned n)
{
	struct range scaled[4] = { 0 };
	struct range_hold held = hold(s, start * SCALE, end * SCALE);

	for (unsigned i = 0; i < n; i++)
		scaled[i] = (struct range){ with[i].start * SCALE, with[i].end * SCALE, with[i].item };
	assert_int_equal(range_hold_reserve(&s->cpu, &held), 0);
	solo.fail_after = 0; /* nothing more to be had */
	range_tree_replace(&s->cpu, &held, start * SCALE, end * SCALE, scaled, n);
	solo.fail_after = UINT64_MAX;
	range_hold_done(&s->cpu, &held);
	model_clear(s, start, end);
	for (unsigned i = 0; i < n; i++)
		model_put(s, (unsigned)with[i].start, (unsigned)with[i].end, (uintptr_t)with[i].item);
}

/* A window that cuts no range, filled with up to four new ones. */
static void random_change(struct scene *s, unsigned widest)
{
	unsigned start = (unsigned)(solo_random(&s->seed) % WORLD);
	unsigned end = start + 1 + (unsigned)(solo_random(&s->seed) % widest), n = 0;
	struct range with[4];

	end = end > WORLD ? WORLD : end;
	if (s->item[start])
		start = begin_of(s, start);
	if (s->item[end - 1])
		end = end_of(s, end - 1);
	for (unsigned at = start, want = (unsigned)(solo_random(&s->seed) % 5); n < want && at < end; n++) {
		unsigned from = at + (unsigned)(solo_random(&s->seed) % 3), most = end - from;

		if (from >= end)
			break;
		at = from + 1 + (unsigned)(solo_random(&s->seed) % (most > 3 ? 3 : most));
		with[n] = (struct range){ from, at, (void *)(uintptr_t)(solo_random(&s->seed) | 1) };
	}
	replace(s, start, end, with, n);
}

static void expect_range(struct scene *s, unsigned at, const struct range *found)
{
	assert_int_equal(found->start, begin_of(s, at) * SCALE);
	assert_int_equal(found->end, end_of(s, at) * SCALE);
	assert_int_equal((uintptr_t)found->item, s->item[at]);
}

static void expect_searches(struct scene *s, unsigned at)
{
	uint64_t where = at * SCALE + solo_random(&s->seed) % SCALE;
	struct range found;
	unsigned other;

	assert_int_equal(range_tree_find(&s->tree, where, &found), s->item[at] != 0);
	if (s->item[at])
		expect_range(s, at, &found);

	for (other = at; other < WORLD && !s->item[other]; other++)
		;
	assert_int_equal(range_tree_next(&s->tree, where, &found), other < WORLD);
	if (other < WORLD)
		expect_range(s, other, &found);

	/*
	 * The last that starts before @where: one that starts at model number @at counts when @where is
	 * past it.
	 */
	unsigned before = at + (where > at * SCALE);
	while (before > 0 && !s->begins[before - 1])
		before--;
	assert_int_equal(range_tree_prev(&s->tree, where, &found), before > 0);
	if (before)
		expect_range(s, before - 1, &found);
}

/* The one search for both sides finds what the two find. */
static void expect_around(struct scene *s)
{
	uint64_t from = solo_random(&s->seed) % (WORLD * SCALE),
		 most = s->seed % 4 ? 9 * SCALE : WORLD * SCALE;
	uint64_t to = from + solo_random(&s->seed) % most;
	struct range before = { 0 }, after = { 0 };

	range_tree_prev(&s->tree, from, &before);
	range_tree_next(&s->tree, to, &after);
	struct range_pair pair = range_tree_around(&s->tree, from, to);
	assert_ptr_equal(pair.prev, before.item);
	assert_ptr_equal(pair.next, after.item);
	struct range_hold held = hold(s, from, to + 1);
	pair = range_hold_around(&s->cpu, &held, from, to);
	assert_ptr_equal(pair.prev, before.item && before.start >= held.lo ? before.item : NULL);
	assert_ptr_equal(pair.next, after.item && after.end <= held.hi ? after.item : NULL);
	bool meets = range_tree_next(&s->tree, from, &after) && after.start < to + 1;
	assert_ptr_equal(range_hold_meets(&s->cpu, &held, from, to + 1), meets ? after.item : NULL);
	bool there = range_tree_find(&s->tree, from, &after);
	assert_ptr_equal(range_hold_find(&s->cpu, &held, from), there ? after.item : NULL);
	range_hold_done(&s->cpu, &held);
}

static void expect_gaps(struct scene *s)
{
	unsigned low = (unsigned)(solo_random(&s->seed) % WORLD),
		 size = 1 + (unsigned)(solo_random(&s->seed) % 9);
	unsigned high = low + (unsigned)(solo_random(&s->seed) % (WORLD - low + 1));
	uint64_t down = UINT64_MAX, up = UINT64_MAX;
	struct range above, is;

	for (unsigned at = low, run = 0; at < high; at++) {
		run = s->item[at] ? 0 : run + 1;
		if (run < size)
			continue;
		down = (at + 1 - size) * SCALE;
		if (up == UINT64_MAX)
			up = down;
	}
	assert_int_equal(range_tree_gap_down(&s->tree, low * SCALE, high * SCALE, size * SCALE, &above),
			 down);
	if (down != UINT64_MAX) {
		assert_int_equal(range_tree_next(&s->tree, down, &is), above.item != NULL);
		if (above.item)
			assert_int_equal(above.start, is.start);
	}
	assert_int_equal(range_tree_gap_up(&s->tree, low * SCALE, high * SCALE, size * SCALE), up);
}

/* Change, check all, search a few; now and then let the grace period end. */
static void run(struct scene *s, unsigned steps, unsigned widest)
{
	for (unsigned i = 0; i < steps; i++) {
		random_change(s, widest);
		expect_sound(s);
		expect_searches(s, (unsigned)(solo_random(&s->seed) % WORLD));
		expect_around(s);
		expect_gaps(s);
		if (solo_random(&s->seed) % 16 == 0)
			solo_run_rcu(&s->cpu);
	}
}

static unsigned steps(unsigned usual)
{
	const char *times = getenv("QUIRE_TEST_TIMES");

	return times ? usual * (unsigned)atoi(times) : usual;
}

static void vma_1_random_changes_match_the_model(void **state)
{
	static const unsigned widest[] = { 2, 6, 30, WORLD };

	(void)state;
	for (unsigned i = 0; i < sizeof(widest) / sizeof(widest[0]); i++) {
		struct scene *s = scene(1000 + i);

		for (unsigned phase = 0; phase < 8; phase++) {
			run(s, steps(900), widest[i]);
			run(s, steps(100), 2); /* and dense again */
		}
		scene_end(s);
	}
}

static void vma_1_growing_upwards_and_downwards(void **state)
{
	(void)state;
	for (unsigned down = 0; down < 2; down++) {
		struct scene *s = scene(1);

		for (unsigned i = 0; i < WORLD; i++) {
			unsigned at = down ? WORLD - 1 - i : i;

			replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
			expect_sound(s);
		}
		for (unsigned i = 0; i < WORLD; i++) {
			replace(s, i, i + 1, NULL, 0);
			expect_sound(s);
		}
		scene_end(s);
	}
}

static void vma_1_one_window_takes_all(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 2) {
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	replace(s, 1, WORLD - 1, NULL, 0);
	expect_sound(s);
	assert_int_equal(s->count, 1);
	replace(s, 0, WORLD, NULL, 0);
	expect_sound(s);
	assert_false(range_tree_next(&s->tree, 0, NULL));
	scene_end(s);
}

/* No node is replaced for it; and a leaf that would be left empty goes. */
static void vma_1_a_range_goes_and_comes_in_place(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 4)
		replace(s, at, at + 2, &(struct range){ at, at + 2, s }, 1);
	for (unsigned at = 0; at < WORLD; at += 4) {
		replace(s, at, at + 4, NULL, 0);
		expect_sound(s);
		expect_searches(s, at);
		replace(s, at, at + 2, &(struct range){ at, at + 2, &s->seed }, 1);
		expect_sound(s);
		expect_searches(s, at);
		solo_run_rcu(&s->cpu);
		replace(s, at, at + 2, &(struct range){ at, at + 2, s }, 1);
		expect_searches(s, at);
		assert_int_equal(solo_run_rcu(&s->cpu), 0);
		replace(s, at, at + 2, NULL, 0);
		/* the hole is none where another range lies across it */
		replace(s, at + 1, at + 3, &(struct range){ at + 1, at + 3, s }, 1);
		expect_sound(s);
		expect_searches(s, at);
		expect_searches(s, at + 2);
	}
	solo_run_rcu(&s->cpu);
	for (unsigned at = 0; at < WORLD; at += 4) {
		replace(s, at, at + 4, NULL, 0);
		expect_sound(s);
		expect_around(s);
		expect_gaps(s);
	}
	scene_end(s);
}

/* One hold after the other is of one leaf, mostly, and holds of ranges far from each other at a time. */
static void vma_6_changes_far_apart_are_held_apart(void **state)
{
	struct scene *s = scene(1);
	struct quire_cpu *cpu = &s->cpu;
	unsigned alone = 0, apart = 0;

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 4)
		replace(s, at, at + 2, &(struct range){ at, at + 2, s }, 1);
	for (unsigned at = 0; at < WORLD / 2; at++) {
		struct range_hold low = hold(s, at * SCALE, (at + 1) * SCALE), high;

		alone += low.one != NULL;
		if (range_hold_write(&cpu, &s->tree, (at + WORLD / 2) * SCALE, (at + WORLD / 2 + 1) * SCALE,
				     2, low.hi, &high)) {
			assert_true(high.lo >= low.hi);
			apart++;
			range_hold_done(&s->cpu, &high);
		}
		range_hold_done(&s->cpu, &low);
	}
	assert_true(alone > WORLD / 8);
	assert_true(apart > WORLD / 8);
	scene_end(s);
}

/* Inner nodes above the leaves, from the left: those that lie outside [lo, hi). */
static unsigned nodes_outside(struct scene *s, uint64_t lo, uint64_t hi, struct range_node **out)
{
	unsigned n = 0;

	for (uint64_t at = 0; at < WORLD * SCALE;) {
		struct range_place place = range_place_of(&s->tree, 1, at);

		if (place.hi <= lo || place.lo >= hi)
			out[n++] = place.node;
		at = place.hi;
	}
	return n;
}

static const struct range_node *leaf_of(struct range_node *node, unsigned slot)
{
	return range_leaf(range_child(node, slot));
}

/* A leaf keeps its first range alone. */
static void thin_out(struct scene *s)
{
	for (unsigned at = 0; at < WORLD; at++) {
		uint64_t first = range_place_of(&s->tree, 0, at * SCALE).node->key[0];

		if (s->item[at] && first != at * SCALE)
			replace(s, at, at + 1, NULL, 0);
	}
}

/*
 * Ranges are joined one after the other, as mprotect does, in leaves that hold one each: of the nodes above
 * none goes that was not held.
 */
static void vma_6_changes_stay_in_what_is_held(void **state)
{
	struct scene *s = scene(1);
	struct range_node *before[WORLD], *after[WORLD], *node;
	unsigned at = WORLD / 2;

	(void)state;
	for (unsigned i = 0; i < WORLD; i += 2)
		replace(s, i, i + 1, &(struct range){ i, i + 1, s }, 1);
	while ((node = range_place_of(&s->tree, 1, WORLD / 2 * SCALE).node)->n < 12) {
		at++;
		if (!s->item[at])
			replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	thin_out(s);
	unsigned start = (unsigned)leaf_of(node, 4)->key[0] / SCALE, end[5];
	for (unsigned i = 0; i < 5; i++)
		end[i] = (unsigned)leaf_of(node, 4 + i)->end[0] / SCALE;

	struct quire_cpu *cpu = &s->cpu;
	struct range_hold held;
	assert_true(range_hold_write(&cpu, &s->tree, start * SCALE, end[4] * SCALE, 2, 0, &held));
	unsigned n = nodes_outside(s, held.lo, held.hi, before);
	assert_true(n > 1);
	for (unsigned i = 1; i < 5; i++) {
		struct range with = { start * SCALE, end[i] * SCALE, s };

		assert_int_equal(range_hold_reserve(&s->cpu, &held), 0);
		range_tree_replace(&s->cpu, &held, with.start, with.end, &with, 1);
		model_clear(s, start, end[i]);
		model_put(s, start, end[i], (uintptr_t)s);
	}
	assert_int_equal(nodes_outside(s, held.lo, held.hi, after), n);
	assert_memory_equal(before, after, n * sizeof(before[0]));
	range_hold_done(&s->cpu, &held);
	expect_sound(s);
	scene_end(s);
}

static void base_6_what_cannot_be_reserved_changes_nothing(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 2)
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	solo_run_rcu(&s->cpu);

	uint64_t objects = solo.objects;
	struct range_hold held = hold(s, RANGE_ALL);
	for (unsigned i = 0; i < 8; i++) {
		solo.fail_after = i;
		assert_int_equal(range_hold_reserve(&s->cpu, &held), -QUIRE_ENOMEM);
		assert_int_equal(solo.objects, objects);
	}
	solo.fail_after = UINT64_MAX;
	range_hold_done(&s->cpu, &held);
	scene_end(s);
	for (unsigned i = 0; i < 3; i++) {
		struct range_tree none;

		s = scene(1);
		objects = solo.objects;
		solo.fail_after = i;
		assert_int_equal(range_tree_init(&s->cpu, &none), -QUIRE_ENOMEM);
		solo.fail_after = UINT64_MAX;
		assert_int_equal(solo.objects, objects);
		scene_end(s);
	}
}

/* A search that began before a change goes on in the nodes it has, until the grace period ends. */
static void vma_1_old_nodes_live_for_a_grace_period(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < 100; at++) {
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	solo_run_rcu(&s->cpu);

	struct range_tree before = s->tree;
	struct range found;
	replace(s, 0, WORLD, NULL, 0);
	assert_false(range_tree_find(&s->tree, 50 * SCALE, &found));
	for (unsigned at = 0; at < 100; at++)
		assert_true(range_tree_find(&before, at * SCALE, &found));
	assert_true(solo_run_rcu(&s->cpu) > 0);
	scene_end(s);
}

static void vma_1_the_ends_of_all_numbers(void **state)
{
	struct scene *s = scene(1);
	struct range found, above, low = { 0, 1, s }, top = { UINT64_MAX - 1, UINT64_MAX, s };

	(void)state;
	struct range_hold held = hold(s, RANGE_ALL);
	assert_int_equal(range_hold_reserve(&s->cpu, &held), 0);
	range_tree_replace(&s->cpu, &held, low.start, low.end, &low, 1);
	assert_int_equal(range_hold_reserve(&s->cpu, &held), 0);
	range_tree_replace(&s->cpu, &held, top.start, top.end, &top, 1);
	range_hold_done(&s->cpu, &held);
	s->count = 2;
	expect_sound(s);
	assert_true(range_tree_find(&s->tree, 0, &found));
	assert_true(range_tree_find(&s->tree, UINT64_MAX - 1, &found));
	assert_false(range_tree_find(&s->tree, UINT64_MAX, &found));
	assert_false(range_tree_prev(&s->tree, 0, &found));
	assert_true(range_tree_prev(&s->tree, UINT64_MAX, &found));
	assert_int_equal(found.start, UINT64_MAX - 1);
	assert_int_equal(range_tree_gap_up(&s->tree, 0, UINT64_MAX, 1), 1);
	assert_int_equal(range_tree_gap_down(&s->tree, 0, UINT64_MAX, 1, &above), UINT64_MAX - 2);
	assert_int_equal(range_tree_gap_down(&s->tree, 0, UINT64_MAX, UINT64_MAX, &above), UINT64_MAX);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vma_1_random_changes_match_the_model),
		cmocka_unit_test(vma_1_growing_upwards_and_downwards),
		cmocka_unit_test(vma_1_one_window_takes_all),
		cmocka_unit_test(vma_1_a_range_goes_and_comes_in_place),
		cmocka_unit_test(vma_6_changes_far_apart_are_held_apart),
		cmocka_unit_test(vma_6_changes_stay_in_what_is_held),
		cmocka_unit_test(base_6_what_cannot_be_reserved_changes_nothing),
		cmocka_unit_test(vma_1_old_nodes_live_for_a_grace_period),
		cmocka_unit_test(vma_1_the_ends_of_all_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
