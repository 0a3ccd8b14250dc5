/*
 * rangefind.c - searches of a range tree.
 *
 * A lookup descends once. Where the leaf it ends in has nothing on the wanted side, the answer stands in
 * the neighbouring leaf, below the sibling of the lowest node on the way that has one: no leaf is empty, but
 * an only one. It goes there from the node that it passed, not from the root again, so that it sees each
 * change that takes leaves in or out whole: the node was replaced then, and this search goes on in the old
 * one. What changes inside a leaf while a search without the lock passes by, it does see or not, leaf by
 * leaf; and then it may even find nothing in a leaf that was never without a range.
 *
 * Order:   under RCU, or all that is passed is held; writes nothing.
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
	const struct range_node *leaf = range_leaf_at(tree, at);
	unsigned slot = range_slot(leaf, at);

	return leaf->key[slot] <= at && at < leaf->end[slot] && answer(leaf, slot, out);
}

void *range_tree_at(const struct range_tree *tree, uint64_t at)
{
	const struct range_node *leaf = range_leaf_at(tree, at);
	unsigned slot = range_slot(leaf, at);

	return leaf->key[slot] <= at && at < leaf->end[slot] ? range_item(leaf, slot) : NULL;
}

bool range_tree_next(const struct range_tree *tree, uint64_t at, struct range *out)
{
	const struct range_node *node = range_root(tree), *aside = NULL;
	unsigned slot, aside_slot = 0;

	for (;; node = range_child(node, slot)) {
		slot = range_child_slot(node, at);
		if (slot + 1 < node->n) {
			aside = node;
			aside_slot = slot + 1;
		}
		if (node->level == 1)
			break;
	}
	const struct range_node *leaf = range_leaf(range_child(node, slot));
	slot = range_slot(leaf, at);
	if (first_from(leaf, slot + (leaf->end[slot] <= at), out))
		return true;
	if (!aside)
		return false;
	for (node = aside, slot = aside_slot; node->level > 1; slot = 0)
		node = range_child(node, slot);
	leaf = range_leaf(range_child(node, slot));
	/* It was never empty; but what came while another went, behind our back, we may have missed. */
	return first_from(leaf, 0, out) || range_tree_next(tree, leaf->end[leaf->n - 1], out);
}

bool range_tree_prev(const struct range_tree *tree, uint64_t at, struct range *out)
{
	const struct range_node *node = range_root(tree), *aside = NULL;
	unsigned slot, aside_slot = 0;

	if (!at)
		return false;
	for (;; node = range_child(node, slot)) {
		slot = range_child_slot(node, at - 1);
		if (slot) {
			aside = node;
			aside_slot = slot - 1;
		}
		if (node->level == 1)
			break;
	}
	const struct range_node *leaf = range_leaf(range_child(node, slot));
	slot = range_slot(leaf, at - 1);
	if (last_of(leaf, slot + (leaf->key[slot] < at), out))
		return true;
	if (!aside)
		return false;
	for (node = aside, slot = aside_slot; node->level > 1; slot = node->n - 1)
		node = range_child(node, slot);
	leaf = range_leaf(range_child(node, slot));
	return last_of(leaf, leaf->n, out) || range_tree_prev(tree, leaf->key[0], out); /* as above */
}

struct range_pair range_leaf_around(const struct range_node *leaf, unsigned slot, uint64_t from, uint64_t to)
{
	struct range_pair pair = { NULL, NULL };
	unsigned before = slot + (leaf->key[slot] < from);

	while (slot < leaf->n && leaf->end[slot] <= to)
		slot++;
	while (before && !(pair.prev = range_item(leaf, before - 1)))
		before--;
	while (slot < leaf->n && !(pair.next = range_item(leaf, slot)))
		slot++;
	return pair;
}

/* Most often both are in the leaf where @from would be. */
struct range_pair range_tree_around(const struct range_tree *tree, uint64_t from, uint64_t to)
{
	const struct range_node *leaf = range_leaf_at(tree, from);
	struct range_pair pair = range_leaf_around(leaf, range_slot(leaf, from), from, to);
	struct range range;

	if (!pair.prev && range_tree_prev(tree, from, &range))
		pair.prev = range.item;
	if (!pair.next && range_tree_next(tree, to, &range))
		pair.next = range.item;
	return pair;
}

uint64_t range_first_from(const struct range_tree *tree, uint64_t at)
{
	struct range range;

	return at != RANGE_TREE_END && range_tree_next(tree, at, &range) ? range.start : RANGE_TREE_END;
}

uint64_t range_tree_count_max(struct range_tree *tree)
{
	return (uint64_t)atomic_load_explicit(&tree->leaves, memory_order_relaxed) * RANGE_FANOUT;
}
