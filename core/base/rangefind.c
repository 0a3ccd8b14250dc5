/*
 * rangefind.c - searches of a range tree.
 *
 * A lookup descends once. Where the leaf it ends in has nothing on the wanted side, the answer stands in
 * the neighbouring leaf, below the sibling of the lowest node on the way that has one: no leaf is empty. It
 * goes there from the node that it passed, not from the root again, so that it sees each change whole: one
 * that replaced several children of that node replaced the node, and this search goes on in the old one.
 *
 * A gap search goes through the ranges from one side, and passes a child by where its widest gap is too
 * narrow. It looks at a gap between two children from above, by where the one ends and the other begins.
 *
 * Order:   under RCU or the changes' lock; writes nothing. Recursion is as deep as the tree is high.
 * Rules:   VMA-1.
 */
#include "rangenode.h"

#include "assert.h"
#include "bits.h"

static bool answer(const struct range_node *leaf, unsigned slot, struct range *out)
{
	if (out)
		*out = (struct range){ leaf->key[slot], leaf->end[slot], leaf->item[slot] };
	return true;
}

bool range_tree_find(const struct range_tree *tree, uint64_t at, struct range *out)
{
	const struct range_node *node = range_root(tree);

	if (!node)
		return false;
	while (node->level)
		node = range_child(node, range_slot(node, at));

	unsigned slot = range_slot(node, at);
	return node->key[slot] <= at && at < node->end[slot] && answer(node, slot, out);
}

bool range_tree_next(const struct range_tree *tree, uint64_t at, struct range *out)
{
	const struct range_node *node = range_root(tree), *aside = NULL;
	unsigned slot, aside_slot = 0;

	if (!node)
		return false;
	while (node->level) {
		slot = range_slot(node, at);
		if (slot + 1 < node->n) {
			aside = node;
			aside_slot = slot + 1;
		}
		node = range_child(node, slot);
	}
	for (slot = range_slot(node, at); slot < node->n; slot++) {
		if (node->end[slot] > at)
			return answer(node, slot, out);
	}
	if (!aside)
		return false;
	node = range_child(aside, aside_slot);
	while (node->level)
		node = range_child(node, 0);
	return answer(node, 0, out);
}

bool range_tree_prev(const struct range_tree *tree, uint64_t at, struct range *out)
{
	const struct range_node *node = range_root(tree), *aside = NULL;
	unsigned slot, aside_slot = 0;

	if (!node || !at)
		return false;
	while (node->level) {
		slot = range_slot(node, at - 1);
		if (slot) {
			aside = node;
			aside_slot = slot - 1;
		}
		node = range_child(node, slot);
	}
	slot = range_slot(node, at - 1);
	if (node->key[slot] < at)
		return answer(node, slot, out);
	if (!aside)
		return false;
	node = range_child(aside, aside_slot);
	while (node->level)
		node = range_child(node, node->n - 1);
	return answer(node, node->n - 1, out);
}

/* Most often both are in the leaf where @from would be; surely where that is all there is. */
struct range_pair range_tree_around(const struct range_tree *tree, uint64_t from, uint64_t to)
{
	const struct range_node *root = range_root(tree), *node = root;
	struct range_pair pair = { NULL, NULL };
	struct range range;

	if (!root)
		return pair;
	while (node->level)
		node = range_child(node, range_slot(node, from));

	unsigned slot = range_slot(node, from), before = slot + (node->key[slot] < from);
	while (slot < node->n && node->end[slot] <= to)
		slot++;
	if (before)
		pair.prev = node->item[before - 1];
	else if (root->level && range_tree_prev(tree, from, &range))
		pair.prev = range.item;
	if (slot < node->n)
		pair.next = node->item[slot];
	else if (root->level && range_tree_next(tree, to, &range))
		pair.next = range.item;
	return pair;
}

/* ---- gaps -------------------------------------------------------------------------------------------- */

struct hunt {
	uint64_t low, high, size;
	uint64_t edge; /* what lies between here and where the search began has been looked at */
	uint64_t found;
};

static bool fits(uint64_t from, uint64_t to, uint64_t size)
{
	return to > from && to - from >= size;
}

static bool hunt_down(const struct range_node *node, struct hunt *hunt)
{
	for (unsigned slot = node->n; slot-- > 0;) {
		struct range_summary sum = range_summary_of(node, slot);

		if (sum.first >= hunt->edge)
			continue;
		if (fits(max_u64(sum.last, hunt->low), hunt->edge, hunt->size)) {
			hunt->found = hunt->edge - hunt->size;
			return true;
		}
		if (node->level && sum.gap >= hunt->size && hunt_down(range_child(node, slot), hunt))
			return true;
		hunt->edge = min_u64(hunt->edge, sum.first);
		if (!fits(hunt->low, hunt->edge, hunt->size))
			return false;
	}
	return false;
}

static bool hunt_up(const struct range_node *node, struct hunt *hunt)
{
	for (unsigned slot = 0; slot < node->n; slot++) {
		struct range_summary sum = range_summary_of(node, slot);

		if (sum.last <= hunt->edge)
			continue;
		if (fits(hunt->edge, min_u64(sum.first, hunt->high), hunt->size)) {
			hunt->found = hunt->edge;
			return true;
		}
		if (node->level && sum.gap >= hunt->size && hunt_up(range_child(node, slot), hunt))
			return true;
		hunt->edge = max_u64(hunt->edge, sum.last);
		if (!fits(hunt->edge, hunt->high, hunt->size))
			return false;
	}
	return false;
}

uint64_t range_tree_gap_down(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size)
{
	const struct range_node *root = range_root(tree);
	struct hunt hunt = { .low = low, .high = high, .size = size, .edge = high };

	quire_assert(size);
	if (root && hunt_down(root, &hunt))
		return hunt.found;
	return fits(low, hunt.edge, size) ? hunt.edge - size : UINT64_MAX;
}

uint64_t range_tree_gap_up(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size)
{
	const struct range_node *root = range_root(tree);
	struct hunt hunt = { .low = low, .high = high, .size = size, .edge = low };

	quire_assert(size);
	if (root && hunt_up(root, &hunt))
		return hunt.found;
	return fits(hunt.edge, high, size) ? hunt.edge : UINT64_MAX;
}

/* ---- checking ---------------------------------------------------------------------------------------- */

struct check {
	uint64_t ranges;
	const char *what;
};

static bool fail(struct check *check, const char *what)
{
	check->what = what;
	return false;
}

static bool check_leaf(const struct range_node *node, uint64_t lo, uint64_t hi, struct check *check)
{
	uint64_t from = lo;

	for (unsigned slot = 0; slot < node->n; slot++) {
		if (node->key[slot] >= node->end[slot])
			return fail(check, "a range is empty or backward");
		if (node->key[slot] < from)
			return fail(check, "ranges overlap, are out of order, or begin before their leaf");
		from = node->end[slot];
	}
	check->ranges += node->n;
	return from <= hi || fail(check, "a range ends past its leaf");
}

static bool check_node(const struct range_node *node, uint64_t lo, uint64_t hi, bool root,
		       struct check *check);

static bool check_child(const struct range_node *node, unsigned slot, uint64_t lo, uint64_t hi,
			struct check *check)
{
	const struct range_node *child = range_child(node, slot);
	struct range_summary said = range_summary_of(node, slot);

	if (!child || child->level + 1 != node->level)
		return fail(check, "a child is missing or of the wrong level");
	if (!check_node(child, lo, hi, false, check))
		return false;

	struct range_summary is = range_summarise(child);
	if (said.first != is.first || said.last != is.last || said.gap != is.gap)
		return fail(check, "a child's summary is wrong");
	return true;
}

static bool check_node(const struct range_node *node, uint64_t lo, uint64_t hi, bool root,
		       struct check *check)
{
	if (node->n > RANGE_FANOUT || node->n < (root ? 1 + (node->level > 0) : RANGE_FILL_MIN))
		return fail(check, "a node holds too few entries or too many");
	if (!node->level)
		return check_leaf(node, lo, hi, check);
	if (node->key[0] != lo)
		return fail(check, "an inner node does not begin where its parent says");
	for (unsigned slot = 0; slot < node->n; slot++) {
		uint64_t child_hi = slot + 1 < node->n ? node->key[slot + 1] : hi;

		if (node->key[slot] >= child_hi)
			return fail(check, "an inner node's keys are out of order");
		if (!check_child(node, slot, node->key[slot], child_hi, check))
			return false;
	}
	return true;
}

bool range_tree_check(const struct range_tree *tree, const char **what)
{
	const struct range_node *root = range_root(tree);
	struct check check = { 0 };
	bool good = !root || check_node(root, 0, RANGE_TREE_END, true, &check);

	if (good && check.ranges != tree->count)
		good = fail(&check, "the count of ranges is wrong");
	if (!good)
		*what = check.what;
	return good;
}
