/*
 * rangecheck.c - whether a range tree is as it should be: for debugging and tests.
 *
 * Order:   all of the tree is held.
 * Rules:   VMA-1.
 */
#include "rangenode.h"

struct check {
	uint64_t ranges, leaves;
	bool quiet;
	const char *what;
};

static bool fail(struct check *check, const char *what)
{
	check->what = what;
	return false;
}

static bool check_leaf(const struct range_node *node, uint64_t lo, uint64_t hi, bool only,
		       struct check *check)
{
	uint64_t from = lo;
	unsigned live = 0;

	if (node->n > RANGE_FANOUT || !node->n || node->level)
		return fail(check, "a leaf holds too few entries or too many");
	for (unsigned slot = 0; slot < node->n; slot++) {
		if (node->key[slot] >= node->end[slot])
			return fail(check, "a range is empty or backward");
		if (node->key[slot] < from)
			return fail(check, "ranges overlap, are out of order, or begin before their leaf");
		from = node->end[slot];
		live += range_item(node, slot) != NULL;
	}
	if (live != node->live)
		return fail(check, "a leaf's count of ranges is wrong");
	if (!live && !only)
		return fail(check, "a leaf is empty");
	check->ranges += live;
	check->leaves++;
	return from <= hi || fail(check, "a range ends past its leaf");
}

static bool check_node(const struct range_tree *tree, const struct range_node *node, uint64_t lo, uint64_t hi,
		       bool root, struct check *check);

static bool check_child(const struct range_tree *tree, const struct range_node *node, unsigned slot,
			uint64_t lo, uint64_t hi, struct check *check)
{
	const void *child = range_child(node, slot);
	bool only = !lo && hi == RANGE_TREE_END;
	uint64_t gap;

	if (!child)
		return fail(check, "a child is missing");
	if (node->level == 1) {
		const struct range_head *head = child;

		if (head->dead)
			return fail(check, "a leaf is dead");
		if (!check_leaf(range_leaf(head), lo, hi, only, check))
			return false;
		gap = range_leaf_gap(range_leaf(head), range_first_from(tree, hi));
	} else {
		if (!check_node(tree, child, lo, hi, false, check))
			return false;
		gap = range_inner_gap(child);
	}
	return only || !check->quiet || gap <= range_gap(node, slot) ||
	       fail(check, "a gap is wider than is known");
}

static bool check_node(const struct range_tree *tree, const struct range_node *node, uint64_t lo, uint64_t hi,
		       bool root, struct check *check)
{
	unsigned least = !root ? RANGE_FILL_MIN : node->level > 1 ? 2 : 1;

	if (node->n > RANGE_FANOUT || node->n < least)
		return fail(check, "a node holds too few entries or too many");
	if (node->key[0] != lo)
		return fail(check, "an inner node does not begin where its parent says");
	for (unsigned slot = 0; slot < node->n; slot++) {
		uint64_t child_hi = slot + 1 < node->n ? node->key[slot + 1] : hi;

		if (node->key[slot] >= child_hi)
			return fail(check, "an inner node's keys are out of order");
		if (!check_child(tree, node, slot, node->key[slot], child_hi, check))
			return false;
	}
	return true;
}

bool range_tree_check(const struct range_tree *tree, bool quiet, const char **what, uint64_t *ranges)
{
	struct check check = { .quiet = quiet };
	bool good = check_node(tree, range_root(tree), 0, RANGE_TREE_END, true, &check);

	if (good && check.leaves != range_tree_count_max((struct range_tree *)tree) / RANGE_FANOUT)
		good = fail(&check, "the count of leaves is wrong");
	if (!good)
		*what = check.what;
	*ranges = check.ranges;
	return good;
}
