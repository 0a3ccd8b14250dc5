/*
 * interval.h - intervals [first, last] that may overlap, the links inside the listed: which ones meet a
 * given interval?
 *
 * An augmented balanced tree (each subtree knows its greatest last), for reverse mapping: file ranges and
 * anonymous lineages. O(log n) to change, O(log n + hits) to search. The caller locks.
 */
#ifndef QUIRE_BASE_INTERVAL_H
#define QUIRE_BASE_INTERVAL_H

#include <quire/types.h>

struct interval {
	uint64_t first, last; /* inclusive; fixed while in a tree */
	uint64_t greatest;    /* last, over this subtree */
	struct interval *left, *right, *parent;
	uint32_t rank;
};

struct interval_tree {
	struct interval *root;
};

void interval_insert(struct interval_tree *tree, struct interval *node);
void interval_remove(struct interval_tree *tree, struct interval *node);

/*
 * The first interval, by its start, that meets [first, last]; then the next after @node that does. NULL at
 * the end.
 */
struct interval *interval_first(const struct interval_tree *tree, uint64_t first, uint64_t last);
struct interval *interval_next(const struct interval *node, uint64_t first, uint64_t last);

#endif
