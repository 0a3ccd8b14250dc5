/*
 * rangenode.h - the nodes of a range tree, for the files that change, search and check one.
 *
 * A leaf holds ranges, an inner node children. Child i is for the numbers [key[i], key[i + 1]), the last
 * one up to the node's own end; an inner node's key[0] is where it begins itself. Beside each child stands
 * what the gap search must know to pass it by.
 */
#ifndef QUIRE_BASE_RANGENODE_H
#define QUIRE_BASE_RANGENODE_H

#include "rangetree.h"

#define RANGE_FANOUT QUIRE_RANGE_FANOUT
#define RANGE_FILL_MIN (RANGE_FANOUT / 3 > 2 ? RANGE_FANOUT / 3 : 2) /* in any node but the root */
#define RANGE_LEVELS_MAX 32	  /* more ranges than 2^32 do not fit in memory */
#define RANGE_TREE_END UINT64_MAX /* the end of all numbers */

/* A subtree's first start, last end, and its widest gap between two ranges. Of one range: start, end, 0. */
struct range_summary {
	uint64_t first, last, gap;
};

/*
 * Locks:  L the changes' lock        P fixed once the node is published
 *         A stored by changes, also in a published node: child and item with release, pairs with the acquire
 *           of range_child() and range_item(); the summaries relaxed, exact under L and a hint without it
 *
 * A range of a leaf that has no item is a hole: it was taken out, or is not there yet. Nothing else may lie
 * across it, until the leaf is copied and the hole left out.
 */
struct range_node {
	uint32_t level;		    /* P: 0 is a leaf */
	uint32_t n;		    /* P: entries, holes too */
	uint64_t key[RANGE_FANOUT]; /* P: a range's start; the lowest number that a child is for */
	union {
		struct {				  /* a leaf */
			uint64_t end[RANGE_FANOUT];	  /* P */
			void *_Atomic item[RANGE_FANOUT]; /* A, NULL: a hole */
		};
		struct {
			struct range_node *_Atomic child[RANGE_FANOUT]; /* A */
			_Atomic uint64_t first[RANGE_FANOUT];		/* A */
			_Atomic uint64_t last[RANGE_FANOUT];		/* A */
			_Atomic uint64_t gap[RANGE_FANOUT];		/* A */
		};
	};
	union {
		struct quire_rcu rcu;	 /* L: once taken out */
		struct range_node *next; /* L: in a stock */
	};
	uint32_t live; /* L: a leaf's ranges that are no holes; never fewer than a node must hold */
};

static inline struct range_node *range_root(const struct range_tree *tree)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

static inline struct range_node *range_child(const struct range_node *node, unsigned slot)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&node->child[slot], memory_order_acquire);
}

static inline void *range_item(const struct range_node *leaf, unsigned slot)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&leaf->item[slot], memory_order_acquire);
}

/* Nothing, where something of a leaf's might be. */
static inline bool range_is_hole(const struct range_node *node, unsigned slot)
{
	return !node->level && !range_item(node, slot);
}

/*
 * The last entry that begins at or before @at; the first, where none does. In which half it is, and then all
 * keys there, without a branch that depends on them: those of random addresses are mispredicted.
 */
static inline unsigned range_slot(const struct range_node *node, uint64_t at)
{
	unsigned half = node->n / 2, slot = half & -(unsigned)(node->key[half] <= at);
	const uint64_t *key = &node->key[slot], *last = key + (node->n - 1) / 2;

	while (key != last)
		slot += *++key <= at;
	return slot;
}

/* What is said of an entry; false: it is a hole. */
static inline bool range_summary_of(const struct range_node *node, unsigned slot, struct range_summary *out)
{
	if (!node->level) {
		*out = (struct range_summary){ node->key[slot], node->end[slot], 0 };
		return range_item(node, slot) != NULL;
	}
	out->first = atomic_load_explicit(&node->first[slot], memory_order_relaxed);
	out->last = atomic_load_explicit(&node->last[slot], memory_order_relaxed);
	out->gap = atomic_load_explicit(&node->gap[slot], memory_order_relaxed);
	return true;
}

/* What @node's parent says of it. */
struct range_summary range_summarise(const struct range_node *node);

#endif
