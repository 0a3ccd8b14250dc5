/*
 * solo_interval.c - the interval tree against an array of intervals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/interval.h"
#include "../support/solo.h"

#define MOST 200

struct scene {
	struct interval_tree tree;
	struct interval node[MOST];
	bool in[MOST];
	uint64_t seed;
};

/* Height, greatest and order of @node's subtree; returns how many it holds. */
static unsigned expect_subtree(const struct interval *node, const struct interval *parent)
{
	if (!node)
		return 0;
	assert_ptr_equal(node->parent, parent);

	unsigned n = 1 + expect_subtree(node->left, node) + expect_subtree(node->right, node);
	uint32_t left = node->left ? node->left->rank : 0, right = node->right ? node->right->rank : 0;
	uint64_t greatest = node->last;
	if (node->left) {
		assert_true(node->left->first <= node->first);
		greatest = node->left->greatest > greatest ? node->left->greatest : greatest;
	}
	if (node->right) {
		assert_true(node->right->first >= node->first);
		greatest = node->right->greatest > greatest ? node->right->greatest : greatest;
	}
	assert_int_equal(node->greatest, greatest);
	assert_int_equal(node->rank, 1 + (left > right ? left : right));
	assert_true(left <= right + 1 && right <= left + 1);
	return n;
}

static void expect_tree(struct scene *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MOST; i++)
		n += s->in[i];
	assert_int_equal(expect_subtree(s->tree.root, NULL), n);
}

/* Every interval that meets the query comes once, by ascending starts. */
static void expect_hits(struct scene *s, uint64_t first, uint64_t last)
{
	unsigned want = 0, found = 0;
	uint64_t from = 0;

	for (unsigned i = 0; i < MOST; i++)
		want += s->in[i] && s->node[i].first <= last && s->node[i].last >= first;
	for (struct interval *at = interval_first(&s->tree, first, last); at;
	     at = interval_next(at, first, last)) {
		assert_true(s->in[at - s->node]);
		assert_true(at->first <= last && at->last >= first && at->first >= from);
		from = at->first;
		found++;
		assert_true(found <= want);
	}
	assert_int_equal(found, want);
}

static void run(struct scene *s, unsigned steps, uint64_t world, uint64_t longest)
{
	for (unsigned step = 0; step < steps; step++) {
		unsigned i = (unsigned)(solo_random(&s->seed) % MOST);

		if (s->in[i]) {
			interval_remove(&s->tree, &s->node[i]);
		} else {
			s->node[i].first = solo_random(&s->seed) % world;
			s->node[i].last = s->node[i].first + solo_random(&s->seed) % longest;
			interval_insert(&s->tree, &s->node[i]);
		}
		s->in[i] = !s->in[i];
		expect_tree(s);

		uint64_t first = solo_random(&s->seed) % world;
		expect_hits(s, first, first + solo_random(&s->seed) % longest);
	}
}

static void base_4_random_intervals_match_an_array(void **state)
{
	static const struct {
		uint64_t world, longest;
	} shape[] = { { 1000, 1 }, { 1000, 30 }, { 50, 50 }, { 4, 2 }, { UINT64_MAX / 2, UINT64_MAX / 8 } };

	(void)state;
	for (unsigned i = 0; i < sizeof(shape) / sizeof(shape[0]); i++) {
		struct scene *s = calloc(1, sizeof(*s));

		s->seed = i;
		run(s, 4000, shape[i].world, shape[i].longest);
		free(s);
	}
}

static void base_4_equal_intervals_keep_their_order(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	unsigned i = 0;

	(void)state;
	for (; i < MOST; i++) {
		s->node[i].first = 5;
		s->node[i].last = 9;
		s->in[i] = true;
		interval_insert(&s->tree, &s->node[i]);
		expect_tree(s);
	}
	i = 0;
	for (struct interval *at = interval_first(&s->tree, 9, 9); at; at = interval_next(at, 9, 9))
		assert_ptr_equal(at, &s->node[i++]);
	assert_int_equal(i, MOST);
	assert_null(interval_first(&s->tree, 10, UINT64_MAX));
	assert_null(interval_first(&s->tree, 0, 4));
	for (i = 0; i < MOST; i++) {
		interval_remove(&s->tree, &s->node[i]);
		s->in[i] = false;
		expect_tree(s);
	}
	assert_null(s->tree.root);
	free(s);
}

static void base_4_the_whole_of_all_numbers(void **state)
{
	struct interval_tree tree = { 0 };
	struct interval all = { .first = 0, .last = UINT64_MAX },
			top = { .first = UINT64_MAX, .last = UINT64_MAX };

	(void)state;
	interval_insert(&tree, &all);
	interval_insert(&tree, &top);
	assert_ptr_equal(interval_first(&tree, UINT64_MAX, UINT64_MAX), &all);
	assert_ptr_equal(interval_next(&all, UINT64_MAX, UINT64_MAX), &top);
	assert_null(interval_next(&all, 0, 7));
	assert_null(interval_next(&top, 0, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_4_random_intervals_match_an_array),
		cmocka_unit_test(base_4_equal_intervals_keep_their_order),
		cmocka_unit_test(base_4_the_whole_of_all_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
