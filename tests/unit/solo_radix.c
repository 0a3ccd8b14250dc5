/*
 * solo_radix.c - the radix tree against a table of (index, item).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/radix.h"
#include "../support/solo.h"

#define MOST 300

struct scene {
	struct quire quire;
	struct quire_cpu cpu;
	struct radix radix;
	struct radix_stock stock;
	struct {
		uint64_t index;
		void *item; /* NULL: the place is empty */
	} model[MOST];
	uint64_t count, seed;
};

static struct scene *scene(uint64_t seed)
{
	struct scene *s = calloc(1, sizeof(*s));

	solo_reset();
	s->cpu.quire = &s->quire;
	s->seed = seed;
	return s;
}

static void scene_end(struct scene *s)
{
	for (unsigned i = 0; i < MOST; i++) {
		if (s->model[i].item)
			assert_ptr_equal(radix_remove(&s->cpu, &s->radix, s->model[i].index),
					 s->model[i].item);
	}
	assert_null(atomic_load(&s->radix.root));
	assert_int_equal(s->radix.count, 0);
	radix_stock_drain(&s->cpu, &s->stock);
	solo_run_rcu(&s->cpu);
	assert_int_equal(solo.objects, 0);
	free(s);
}

static int place_of(struct scene *s, uint64_t index)
{
	for (int i = 0; i < MOST; i++) {
		if (s->model[i].item && s->model[i].index == index)
			return i;
	}
	return -1;
}

static void insert(struct scene *s, unsigned place, uint64_t index)
{
	void *item = (void *)(uintptr_t)(solo_random(&s->seed) | 1);

	assert_int_equal(radix_stock_fill(&s->cpu, &s->stock), 0);
	radix_insert(&s->cpu, &s->radix, &s->stock, index, item);
	s->model[place].index = index;
	s->model[place].item = item;
	s->count++;
}

static void expect_next(struct scene *s, uint64_t from)
{
	uint64_t index = from, best = UINT64_MAX;
	int place = -1;

	for (int i = 0; i < MOST; i++) {
		if (s->model[i].item && s->model[i].index >= from && s->model[i].index <= best) {
			best = s->model[i].index;
			place = i;
		}
	}

	void *item = radix_next(&s->radix, &index);
	assert_ptr_equal(item, place < 0 ? NULL : s->model[place].item);
	assert_int_equal(index, place < 0 ? from : best);
}

/* An index among few, many, close together or as far as can be, by how @narrow it is. */
static uint64_t some_index(struct scene *s, unsigned narrow)
{
	uint64_t index = solo_random(&s->seed) >> narrow;

	return solo_random(&s->seed) % 4 ? index : index << (solo_random(&s->seed) % (narrow + 1));
}

static void base_5_random_indices_match_a_table(void **state)
{
	static const unsigned narrow[] = { 0, 20, 44, 54, 58, 60 };

	(void)state;
	for (unsigned i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
		struct scene *s = scene(i);

		for (unsigned step = 0; step < 6000; step++) {
			unsigned place = (unsigned)(solo_random(&s->seed) % MOST);
			uint64_t index = some_index(s, narrow[i]);

			if (s->model[place].item) {
				assert_ptr_equal(radix_remove(&s->cpu, &s->radix, s->model[place].index),
						 s->model[place].item);
				assert_null(radix_remove(&s->cpu, &s->radix, s->model[place].index));
				s->model[place].item = NULL;
				s->count--;
			} else if (place_of(s, index) < 0) {
				insert(s, place, index);
			}
			assert_int_equal(s->radix.count, s->count);

			int at = place_of(s, index);
			assert_ptr_equal(radix_find(&s->radix, index), at < 0 ? NULL : s->model[at].item);
			expect_next(s, some_index(s, narrow[i]));
			if (solo_random(&s->seed) % 64 == 0)
				solo_run_rcu(&s->cpu);
		}
		scene_end(s);
	}
}

/*
 * However far apart the indices, what an empty stock was filled with is enough; and fewer than 2n nodes
 * hold n.
 */
static void base_6_an_insertion_needs_no_more_than_was_set_aside(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		radix_stock_drain(&s->cpu, &s->stock);
		assert_int_equal(radix_stock_fill(&s->cpu, &s->stock), 0);
		solo.fail_after = 0;
		radix_insert(&s->cpu, &s->radix, &s->stock, 1ul << i, s);
		solo.fail_after = UINT64_MAX;
		s->model[i].index = 1ul << i;
		s->model[i].item = s;
	}
	radix_stock_drain(&s->cpu, &s->stock);
	assert_true(solo.objects < 2 * 64);
	scene_end(s);
}

static void base_6_a_stock_that_cannot_be_filled_loses_nothing(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	solo.fail_after = 0;
	assert_int_equal(radix_stock_fill(&s->cpu, &s->stock), -QUIRE_ENOMEM);
	solo.fail_after = 1;
	assert_int_equal(radix_stock_fill(&s->cpu, &s->stock), -QUIRE_ENOMEM);
	insert(s, 0, UINT64_MAX);
	insert(s, 1, 0);
	expect_next(s, 1);
	expect_next(s, UINT64_MAX);
	scene_end(s);
}

/* Nodes that were taken out still answer those who came before. */
static void base_5_old_nodes_live_for_a_grace_period(void **state)
{
	struct scene *s = scene(1);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		insert(s, i, i * 1000);

	struct radix before = s->radix;
	for (unsigned i = 1; i < 100; i++) {
		radix_remove(&s->cpu, &s->radix, i * 1000);
		s->model[i].item = NULL;
	}
	assert_ptr_equal(radix_find(&before, 0), s->model[0].item);
	assert_null(radix_find(&before, 1000));
	assert_true(solo_run_rcu(&s->cpu) > 0);
	assert_ptr_equal(radix_find(&s->radix, 0), s->model[0].item);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_5_random_indices_match_a_table),
		cmocka_unit_test(base_6_an_insertion_needs_no_more_than_was_set_aside),
		cmocka_unit_test(base_6_a_stock_that_cannot_be_filled_loses_nothing),
		cmocka_unit_test(base_5_old_nodes_live_for_a_grace_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
