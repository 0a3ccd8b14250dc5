/*
 * solo_rangetree.c - the range tree against a flat model: an array with one item per number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/rangetree.h"
#include "../support/solo.h"

#define WORLD 512 /* numbers; the model holds an item, or 0, for each, and where ranges begin */
#define SCALE 3	  /* tree numbers to a model's: so that none is an index by luck */

struct scene {
	struct quire quire;
	struct quire_cpu cpu;
	struct range_tree tree;
	struct range_stock stock;
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
	range_tree_init(&s->tree);
	return s;
}

static void scene_end(struct scene *s)
{
	range_stock_drain(&s->cpu, &s->stock);
	range_tree_replace(&s->cpu, &s->tree, &s->stock, 0, UINT64_MAX, NULL, 0);
	solo_run_rcu(&s->cpu);
	assert_int_equal(solo.objects, 0);
	assert_int_equal(atomic_load(&s->quire.objects), 0);
	free(s);
}

static void fill_stock(struct scene *s, unsigned changes)
{
	assert_int_equal(range_stock_fill(&s->cpu, &s->stock, &s->tree, changes), 0);
}

static void expect_sound(struct scene *s)
{
	const char *what = NULL;

	if (!range_tree_check(&s->tree, &what))
		fail_msg("seed %lu: %s", (unsigned long)s->seed, what);
	assert_int_equal(s->tree.count, s->count);
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

	for (unsigned i = 0; i < n; i++)
		scaled[i] = (struct range){ with[i].start * SCALE, with[i].end * SCALE, with[i].item };
	range_tree_replace(&s->cpu, &s->tree, &s->stock, start * SCALE, end * SCALE, scaled, n);
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
	fill_stock(s, 1);
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
}

static void expect_gaps(struct scene *s)
{
	unsigned low = (unsigned)(solo_random(&s->seed) % WORLD),
		 size = 1 + (unsigned)(solo_random(&s->seed) % 9);
	unsigned high = low + (unsigned)(solo_random(&s->seed) % (WORLD - low + 1));
	uint64_t down = UINT64_MAX, up = UINT64_MAX;

	for (unsigned at = low, run = 0; at < high; at++) {
		run = s->item[at] ? 0 : run + 1;
		if (run < size)
			continue;
		down = (at + 1 - size) * SCALE;
		if (up == UINT64_MAX)
			up = down;
	}
	struct range_pair pair;
	assert_int_equal(range_tree_gap_down(&s->tree, low * SCALE, high * SCALE, size * SCALE, &pair), down);
	if (down != UINT64_MAX) {
		struct range_pair is = range_tree_around(&s->tree, down, down);

		assert_ptr_equal(pair.prev, is.prev);
		assert_ptr_equal(pair.next, is.next);
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

			fill_stock(s, 1);
			replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
			expect_sound(s);
		}
		for (unsigned i = 0; i < WORLD; i++) {
			fill_stock(s, 1);
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
		fill_stock(s, 1);
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	fill_stock(s, 1);
	replace(s, 1, WORLD - 1, NULL, 0);
	expect_sound(s);
	assert_int_equal(s->tree.count, 1);
	fill_stock(s, 1);
	replace(s, 0, WORLD, NULL, 0);
	expect_sound(s);
	assert_false(range_tree_next(&s->tree, 0, NULL));
	scene_end(s);
}

/* Of the stock nothing is taken, and a leaf that has too few left is made anew with its neighbour. */
static void vma_1_a_range_goes_and_comes_in_place(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 4) {
		fill_stock(s, 1);
		replace(s, at, at + 2, &(struct range){ at, at + 2, s }, 1);
	}
	for (unsigned at = 0, count; at < WORLD; at += 4) {
		fill_stock(s, 1);
		count = s->stock.count;
		replace(s, at, at + 4, NULL, 0);
		expect_sound(s);
		expect_searches(s, at);
		replace(s, at, at + 2, &(struct range){ at, at + 2, &s->seed }, 1);
		expect_sound(s);
		expect_searches(s, at);
		assert_int_equal(s->stock.count, count);
		replace(s, at, at + 2, &(struct range){ at, at + 2, s }, 1);
		expect_searches(s, at);
		assert_int_equal(s->stock.count, count);
		replace(s, at, at + 2, NULL, 0);
		/* the hole is none where another range lies across it */
		replace(s, at + 1, at + 3, &(struct range){ at + 1, at + 3, s }, 1);
		expect_sound(s);
		expect_searches(s, at);
		expect_searches(s, at + 2);
	}
	solo_run_rcu(&s->cpu);
	for (unsigned at = 0; at < WORLD; at += 4) {
		fill_stock(s, 1);
		replace(s, at, at + 4, NULL, 0);
		expect_sound(s);
		expect_around(s);
		expect_gaps(s);
	}
	scene_end(s);
}

/* What was set aside for several changes is enough for them, whatever they are. */
static void base_6_a_change_needs_no_more_than_was_set_aside(void **state)
{
	struct scene *s = scene(77);

	(void)state;
	for (unsigned i = 0; i < steps(4000); i++) {
		unsigned changes = 1 + (unsigned)(solo_random(&s->seed) % 6);

		range_stock_drain(&s->cpu, &s->stock);
		fill_stock(s, changes);
		solo.fail_after = 0; /* nothing more to be had */
		for (unsigned change = 0; change < changes; change++) {
			struct range_stock all = s->stock;
			unsigned at = (unsigned)(solo_random(&s->seed) % (WORLD - 8));

			s->stock = all;
			if (!s->item[at] && !s->item[at + 1] && !s->item[at + 2] && !s->item[at + 3]) {
				struct range with[4];

				for (unsigned j = 0; j < 4; j++)
					with[j] = (struct range){ at + j, at + j + 1, s };
				replace(s, at, at + 4, with, 4);
			} else {
				unsigned from = s->item[at] ? begin_of(s, at) : at;
				unsigned to = s->item[at + 7] ? end_of(s, at + 7) : at + 8;

				replace(s, from, to, NULL, 0);
			}
			expect_sound(s);
		}
		solo.fail_after = UINT64_MAX;
		solo_run_rcu(&s->cpu);
	}
	scene_end(s);
}

static void base_6_a_stock_that_cannot_be_filled_stays_as_it_was(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < WORLD; at += 2) {
		fill_stock(s, 1);
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	solo_run_rcu(&s->cpu);

	uint64_t objects = solo.objects;
	unsigned count = s->stock.count;
	for (unsigned i = 0; i < 3; i++) {
		solo.fail_after = i;
		assert_int_equal(range_stock_fill(&s->cpu, &s->stock, &s->tree, 3), -QUIRE_ENOMEM);
		assert_int_equal(s->stock.count, count);
		assert_int_equal(solo.objects, objects);
	}
	scene_end(s);
}

/* A search that began before a change goes on in the nodes it has, until the grace period ends. */
static void vma_1_old_nodes_live_for_a_grace_period(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned at = 0; at < 100; at++) {
		fill_stock(s, 1);
		replace(s, at, at + 1, &(struct range){ at, at + 1, s }, 1);
	}
	solo_run_rcu(&s->cpu);

	struct range_tree before = s->tree;
	struct range found;
	fill_stock(s, 1);
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
	struct range found, low = { 0, 1, s }, top = { UINT64_MAX - 1, UINT64_MAX, s };
	struct range_pair pair;

	(void)state;
	fill_stock(s, 1);
	range_tree_replace(&s->cpu, &s->tree, &s->stock, low.start, low.end, &low, 1);
	fill_stock(s, 1);
	range_tree_replace(&s->cpu, &s->tree, &s->stock, top.start, top.end, &top, 1);
	s->count = 2;
	expect_sound(s);
	assert_true(range_tree_find(&s->tree, 0, &found));
	assert_true(range_tree_find(&s->tree, UINT64_MAX - 1, &found));
	assert_false(range_tree_find(&s->tree, UINT64_MAX, &found));
	assert_false(range_tree_prev(&s->tree, 0, &found));
	assert_true(range_tree_prev(&s->tree, UINT64_MAX, &found));
	assert_int_equal(found.start, UINT64_MAX - 1);
	assert_int_equal(range_tree_gap_up(&s->tree, 0, UINT64_MAX, 1), 1);
	assert_int_equal(range_tree_gap_down(&s->tree, 0, UINT64_MAX, 1, &pair), UINT64_MAX - 2);
	assert_int_equal(range_tree_gap_down(&s->tree, 0, UINT64_MAX, UINT64_MAX, &pair), UINT64_MAX);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vma_1_random_changes_match_the_model),
		cmocka_unit_test(vma_1_growing_upwards_and_downwards),
		cmocka_unit_test(vma_1_one_window_takes_all),
		cmocka_unit_test(vma_1_a_range_goes_and_comes_in_place),
		cmocka_unit_test(base_6_a_change_needs_no_more_than_was_set_aside),
		cmocka_unit_test(base_6_a_stock_that_cannot_be_filled_stays_as_it_was),
		cmocka_unit_test(vma_1_old_nodes_live_for_a_grace_period),
		cmocka_unit_test(vma_1_the_ends_of_all_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
