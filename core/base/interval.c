/*
 * interval.c - which of many overlapping intervals meet a given one?
 *
 * An AVL tree ordered by the intervals' first numbers; rank is a subtree's height. Each node also knows the
 * greatest last number below it, and that is what prunes the search: a subtree whose greatest last is
 * before the query holds nothing, and once a start is past the query so are all to its right.
 *
 * A change walks back up to the root and mends height and greatest at each node, rotating where the two
 * sides' heights differ by two. Equal starts keep the order in which they came.
 *
 * Order:   the caller locks: a change wants it exclusive, a search at least shared.
 * Errors:  none; no memory is needed.
 */
#include "interval.h"

#include "assert.h"
#include "bits.h"

static uint32_t height_of(const struct interval *node)
{
	return node ? node->rank : 0;
}

static void mend(struct interval *node)
{
	uint32_t left = height_of(node->left), right = height_of(node->right);

	node->rank = 1 + (left > right ? left : right);
	node->greatest = node->last;
	if (node->left)
		node->greatest = max_u64(node->greatest, node->left->greatest);
	if (node->right)
		node->greatest = max_u64(node->greatest, node->right->greatest);
}

/* @with, which may be NULL, takes the place of @node under @parent. */
static void replace_child(struct interval_tree *tree, struct interval *parent, struct interval *node,
			  struct interval *with)
{
	if (!parent)
		tree->root = with;
	else if (parent->left == node)
		parent->left = with;
	else
		parent->right = with;
	if (with)
		with->parent = parent;
}

/*
 *	    node			     up
 *	   /    \			   /    \
 *	  a      up	rotate_left	 node    c
 *		/  \	----------->	 /  \
 *	       b    c			a    b
 */
static struct interval *rotate_left(struct interval_tree *tree, struct interval *node)
{
	struct interval *up = node->right;

	replace_child(tree, node->parent, node, up);
	node->right = up->left;
	if (node->right)
		node->right->parent = node;
	up->left = node;
	node->parent = up;
	mend(node);
	mend(up);
	return up;
}

static struct interval *rotate_right(struct interval_tree *tree, struct interval *node)
{
	struct interval *up = node->left;

	replace_child(tree, node->parent, node, up);
	node->left = up->right;
	if (node->left)
		node->left->parent = node;
	up->right = node;
	node->parent = up;
	mend(node);
	mend(up);
	return up;
}

/* From @node, where something changed below, up to the root. */
static void rebalance(struct interval_tree *tree, struct interval *node)
{
	while (node) {
		uint32_t left = height_of(node->left), right = height_of(node->right);

		if (left > right + 1) {
			if (height_of(node->left->left) < height_of(node->left->right))
				rotate_left(tree, node->left);
			node = rotate_right(tree, node);
		} else if (right > left + 1) {
			if (height_of(node->right->right) < height_of(node->right->left))
				rotate_right(tree, node->right);
			node = rotate_left(tree, node);
		} else {
			mend(node);
		}
		node = node->parent;
	}
}

void interval_insert(struct interval_tree *tree, struct interval *node)
{
	struct interval *parent = NULL, *at = tree->root;

	quire_assert(node->first <= node->last);
	while (at) {
		parent = at;
		at = node->first < at->first ? at->left : at->right;
	}
	node->left = node->right = NULL;
	node->parent = parent;
	if (!parent)
		tree->root = node;
	else if (node->first < parent->first)
		parent->left = node;
	else
		parent->right = node;
	rebalance(tree, node);
}

/* @node has both children: its successor takes its place. Returns the lowest node whose subtree changed. */
static struct interval *replace_by_successor(struct interval_tree *tree, struct interval *node)
{
	struct interval *next = node->right, *changed;

	while (next->left)
		next = next->left;
	if (next == node->right) {
		changed = next;
	} else {
		changed = next->parent;
		replace_child(tree, changed, next, next->right);
		next->right = node->right;
		next->right->parent = next;
	}
	next->left = node->left;
	next->left->parent = next;
	replace_child(tree, node->parent, node, next);
	return changed;
}

void interval_remove(struct interval_tree *tree, struct interval *node)
{
	struct interval *changed = node->parent;

	if (!node->left)
		replace_child(tree, node->parent, node, node->right);
	else if (!node->right)
		replace_child(tree, node->parent, node, node->left);
	else
		changed = replace_by_successor(tree, node);
	node->left = node->right = node->parent = NULL;
	rebalance(tree, changed);
}

static bool may_hold(const struct interval *node, uint64_t first)
{
	return node && node->greatest >= first;
}

/*
 * The first hit in @node's subtree. Something on the left ends late enough: then either that subtree has a
 * hit, or what ends late enough there starts past @last, and so does everything to its right.
 */
static struct interval *first_below(struct interval *node, uint64_t first, uint64_t last)
{
	while (may_hold(node, first)) {
		if (may_hold(node->left, first)) {
			node = node->left;
			continue;
		}
		if (node->first > last)
			return NULL;
		if (node->last >= first)
			return node;
		node = node->right;
	}
	return NULL;
}

struct interval *interval_first(const struct interval_tree *tree, uint64_t first, uint64_t last)
{
	return first_below(tree->root, first, last);
}

struct interval *interval_next(const struct interval *node, uint64_t first, uint64_t last)
{
	for (;;) {
		if (may_hold(node->right, first))
			return first_below(node->right, first, last);

		struct interval *up = node->parent;
		while (up && up->right == node) {
			node = up;
			up = up->parent;
		}
		if (!up || up->first > last)
			return NULL;
		if (up->last >= first)
			return up;
		node = up;
	}
}
