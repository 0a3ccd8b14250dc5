/*
 * rangefind.c - searches of a range tree.
 *
 * A lookup descends once. Where the leaf it ends in has nothing on the wanted side, the answer stands in
 * the neighbouring leaf, below the sibling of the lowest node on the way that has one: no leaf is empty. It
 * goes there from the node that it passed, not from the root again, so that it sees each change whole: one
 * that replaced several children of that node replaced the node, and this search goes on in the old one. Only
 * ranges that come or go in place, while a search without the lock passes by, does it see or not, each by
 * itself; and then it may even find nothing in a leaf that was never without a range.
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

/* False: a hole. */
static inline bool answer(const struct range_node *leaf, unsigned slot, struct range *out)
{
	void *item = range_item(leaf, slot);

	if (out)
		*out = (struct range){ leaf->key[slot], leaf->end[slot], item };
	return item != NULL;
}

/* The first range from @slot on; the last one before @slots. */
static bool first_from(const struct range_node *leaf, unsigned slot, struct range *out)
{
	while (slot < leaf->n && !answer(leaf, slot, out))
		slot++;
	return slot < leaf->n;
}

static bool last_of(const struct range_node *leaf, unsigned slots, struct range *out)
{
	while (slots && !answer(leaf, slots - 1, out))
		slots--;
	return slots != 0;
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
	slot = range_slot(node, at);
	if (first_from(node, slot + (node->end[slot] <= at), out))
		return true;
	if (!aside)
		return false;
	node = range_child(aside, aside_slot);
	while (node->level)
		node = range_child(node, 0);
	return first_from(node, 0, out);
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
	if (last_of(node, slot + (node->key[slot] < at), out))
		return true;
	if (!aside)
		return false;
	node = range_child(aside, aside_slot);
	while (node->level)
		node = range_child(node, node->n - 1);
	return last_of(node, node->n, out);
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
	while (before && !(pair.prev = range_item(node, before - 1)))
		before--;
	while (slot < node->n && !(pair.next = range_item(node, slot)))
		slot++;
	if (!pair.prev && root->level && range_tree_prev(tree, from, &range))
		pair.prev = range.item;
	if (!pair.next && root->level && range_tree_next(tree, to, &range))
		pair.next = range.item;
	return pair;
}

/* ---- gaps -------------------------------------------------------------------------------------------- */

struct hunt {
	uint64_t low, high, size;
	uint64_t edge;		  /* what lies between here and where the search began has been looked at */
	struct range_pair around; /* downwards: as far as known */
};

static bool fits(uint64_t from, uint64_t to, uint64_t size)
{
	return to > from && to - from >= size;
}

static bool hunt_leaf_down(const struct range_node *leaf, struct hunt *hunt)
{
	hunt->around.next = NULL;
	for (unsigned slot = leaf->n; slot-- > 0;) {
		void *item = range_item(leaf, slot);

		if (!item)
			continue;
		if (leaf->key[slot] < hunt->edge) {
			if (fits(max_u64(leaf->end[slot], hunt->low), hunt->edge, hunt->size)) {
				hunt->around.prev = item;
				return true;
			}
			hunt->edge = leaf->key[slot];
			if (!fits(hunt->low, hunt->edge, hunt->size))
				return false;
		}
		hunt->around.next = item;
	}
	return false;
}

static bool hunt_down(const struct range_node *node, struct hunt *hunt)
{
	if (!node->level)
		return hunt_leaf_down(node, hunt);
	for (unsigned slot = node->n; slot-- > 0;) {
		struct range_summary sum;

		range_summary_of(node, slot, &sum);
		if (sum.first >= hunt->edge)
			continue;
		if (fits(max_u64(sum.last, hunt->low), hunt->edge, hunt->size)) {
			hunt->around = (struct range_pair){ NULL, NULL };
			return true;
		}
		if (sum.gap >= hunt->size && hunt_down(range_child(node, slot), hunt))
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
		struct range_summary sum;

		if (!range_summary_of(node, slot, &sum) || sum.last <= hunt->edge)
			continue;
		if (fits(hunt->edge, min_u64(sum.first, hunt->high), hunt->size))
			return true;
		if (sum.gap >= hunt->size && hunt_up(range_child(node, slot), hunt))
			return true;
		hunt->edge = max_u64(hunt->edge, sum.last);
		if (!fits(hunt->edge, hunt->high, hunt->size))
			return false;
	}
	return false;
}

uint64_t range_tree_gap_down(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size,
			     struct range_pair *around)
{
	const struct range_node *root = range_root(tree);
	struct hunt hunt = { .low = low, .high = high, .size = size, .edge = high };

	quire_assert(size);
	bool found = root && hunt_down(root, &hunt);
	if (!found && !fits(low, hunt.edge, size))
		return UINT64_MAX;
	*around = hunt.around;
	if (!found || !around->prev || !around->next) /* on a side it may be another leaf's */
		*around = range_tree_around(tree, hunt.edge - size, hunt.edge - size);
	return hunt.edge - size;
}

uint64_t range_tree_gap_up(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size)
{
	const struct range_node *root = range_root(tree);
	struct hunt hunt = { .low = low, .high = high, .size = size, .edge = low };

	quire_assert(size); /* so that no range of a leaf has a gap as wide */
	return (root && hunt_up(root, &hunt)) || fits(hunt.edge, high, size) ? hunt.edge : UINT64_MAX;
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
	unsigned live = 0;

	for (unsigned slot = 0; slot < node->n; slot++) {
		if (node->key[slot] >= node->end[slot])
			return fail(check, "a range is empty or backward");
		if (node->key[slot] < from)
			return fail(check, "ranges overlap, are out of order, or begin before their leaf");
		from = node->end[slot];
		live += !range_is_hole(node, slot);
	}
	if (live != node->live)
		return fail(check, "a leaf's count of ranges is wrong");
	check->ranges += live;
	return from <= hi || fail(check, "a range ends past its leaf");
}

static bool check_node(const struct range_node *node, uint64_t lo, uint64_t hi, bool root,
		       struct check *check);

static bool check_child(const struct range_node *node, unsigned slot, uint64_t lo, uint64_t hi,
			struct check *check)
{
	const struct range_node *child = range_child(node, slot);
	struct range_summary said;

	range_summary_of(node, slot, &said);
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
	unsigned n = node->level ? node->n : node->live;

	if (node->n > RANGE_FANOUT || n > node->n || n < (root ? 1 + (node->level > 0) : RANGE_FILL_MIN))
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
