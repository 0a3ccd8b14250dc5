/*
 * rangetree.h - disjoint ranges [start, end) of 64-bit numbers, each with an item, searched under RCU.
 *
 * A B+tree with wide nodes. A published node is never changed but for one thing: an inner node's child
 * pointer, or a leaf's item, is replaced by one store (and what stands beside a child, for the gap search).
 * So a change replaces an item; or it copies the nodes from the lowest one that covers all of it downwards,
 * and publishes the copy with a release store. A search sees the tree before or after, never between, and
 * takes no lock and writes nothing (VMA-1). Replaced nodes are freed after a grace period.
 *
 * Changes are serialised by the caller. What they allocate is reserved beforehand, so that a change cannot
 * fail.
 */
#ifndef QUIRE_BASE_RANGETREE_H
#define QUIRE_BASE_RANGETREE_H

#include "object.h"

struct range {
	uint64_t start, end; /* [start, end), end above start */
	void *item;	     /* not NULL */
};

struct range_node;

struct range_tree {
	struct range_node *_Atomic root; /* release by changes, acquire by searches */
	/* Ranges; under the caller's lock. Searches do not share a line with every change. */
	_Alignas(64) uint64_t count;
};

/* Nodes set aside for changes to come. */
struct range_stock {
	struct range_node *nodes;
	unsigned count;
};

void range_tree_init(struct range_tree *tree);

/*
 * Set aside enough for @changes calls of range_tree_replace(), whatever they are. -ENOMEM leaves the stock
 * as it was. That is the worst case, a dozen nodes; a change mostly takes one. So keep the stock, and only
 * top it up each time. The caller has the changes' lock, or else the tree may grow meanwhile and need more.
 */
int range_stock_fill(struct quire_cpu *cpu, struct range_stock *stock, const struct range_tree *tree,
		     unsigned changes);
void range_stock_drain(struct quire_cpu *cpu, struct range_stock *stock);

/*
 * Make the window [start, end) hold exactly the @n ranges @with, ascending, inside it, n from 0 to 4. No
 * range of the tree lies partly in the window: a caller who cuts one makes the window cover it and gives
 * back the pieces. To empty the tree, the window [0, all ones) and nothing in it, takes nothing of the stock.
 */
void range_tree_replace(struct quire_cpu *cpu, struct range_tree *tree, struct range_stock *stock,
			uint64_t start, uint64_t end, const struct range *with, unsigned n);

/*
 * Searches. Under RCU or the changes' lock. Return false when there is none; *out may be NULL.
 */
bool range_tree_find(const struct range_tree *tree, uint64_t at, struct range *out); /* that contains @at */
bool range_tree_next(const struct range_tree *tree, uint64_t at,
		     struct range *out); /* the first with end > at */
bool range_tree_prev(const struct range_tree *tree, uint64_t at,
		     struct range *out); /* the last with start < at */

/*
 * range_tree_prev() of @from and range_tree_next() of @to, which is not below it: their items, or NULL. One
 * search as a rule.
 */
struct range_pair {
	void *prev, *next;
};
struct range_pair range_tree_around(const struct range_tree *tree, uint64_t from, uint64_t to);

/*
 * Gaps between ranges, for @size, inside [low, high): the highest address (down) or lowest (up) where a gap
 * of @size begins; -1 (all ones) when there is none. Only gaps matter that no range of the tree touches.
 * Not linear in the number of ranges where large gaps are rare: inner nodes know the widest gap below each
 * child. Exact under the changes' lock; under RCU alone the answer is a hint. *around: what is on both sides,
 * as range_tree_around() says.
 */
uint64_t range_tree_gap_down(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size,
			     struct range_pair *around);
uint64_t range_tree_gap_up(const struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size);

/* Debug and tests: order, bounds, fill. False and *what on a violation. */
bool range_tree_check(const struct range_tree *tree, const char **what);

#endif
