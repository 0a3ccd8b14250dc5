/*
 * rangegap.c - the search for a gap between ranges.
 *
 * A gap belongs to the range that it is behind. Beside each child of an inner node stands how wide a gap
 * behind one of its ranges is at most, so that the search passes by where it is too narrow. That number is
 * too high at times: a range that comes into a gap does not lower it, or all changes below a node would write
 * to one line. Who searches below such a child in vain lowers it.
 *
 * (Of a leaf it stands in the head, so that a change of the leaf finds there that it need tell nobody. Who
 * raises it begins at the root: it is never higher there for long than above.)
 *
 * It must never stay too low, and nobody holds a lock for it:
 *
 *	takes a range out			searches in vain
 *	take it out				gap = 0
 *	FULL FENCE (a)				FULL FENCE (b)
 *	raise gap to what is behind		raise gap to what is below
 *
 * If the first looks at the number before it is 0, it is the other one who sees the range gone; if later, it
 * raises it. The same holds against a change that copies the node with the number in it: it looks again at
 * the old one, when the new one is there to be raised (replaced() in rangetree.c), and who raises goes down
 * from the root again until nothing is left to raise.
 *
 * In between the number may be too low, so a search that finds nothing goes through all leaves before it says
 * so.
 *
 * Order:   under RCU.
 * Rules:   VMA-6.
 */
#include "rangenode.h"

#include "assert.h"
#include "bits.h"

uint64_t range_inner_gap(const struct range_node *node)
{
	uint64_t gap = 0;

	for (unsigned slot = 0; slot < node->n; slot++)
		gap = max_u64(gap, range_gap(node, slot));
	return gap;
}

uint64_t range_leaf_gap(const struct range_node *leaf, uint64_t after)
{
	uint64_t gap = 0;

	for (unsigned slot = leaf->n; slot-- > 0;) {
		if (!range_item(leaf, slot))
			continue;
		gap = max_u64(gap, after - leaf->end[slot]);
		after = leaf->key[slot];
	}
	return gap;
}

/* True: it was lower. */
static bool raise_one(struct range_node *node, unsigned slot, uint64_t gap)
{
	uint64_t known = range_gap(node, slot);
	bool lower = known < gap;

	while (known < gap &&
	       !atomic_compare_exchange_weak_explicit(range_gap_word(node, slot), &known, gap,
						      memory_order_relaxed, memory_order_relaxed))
		;
	return lower;
}

void range_gap_raise(struct range_tree *tree, unsigned level, uint64_t at, uint64_t gap)
{
	bool raised;

	do {
		struct range_node *node = range_root(tree);

		for (raised = false; node->level > level; node = range_child(node, range_slot(node, at))) {
			raised |= raise_one(node, range_slot(node, at), gap);
			if (node->level == 1)
				break;
		}
		if (raised)
			quire_port_fence();
	} while (raised);
}

static void lower(struct range_tree *tree, struct range_node *node, unsigned slot)
{
	uint64_t gap, at = node->key[slot];

	atomic_store_explicit(range_gap_word(node, slot), 0, memory_order_relaxed);
	quire_port_fence(); /* (b) */
	if (node->level > 1) {
		gap = range_inner_gap(range_child(node, slot));
	} else {
		struct range_place place = range_place_of(tree, 0, at);

		gap = range_leaf_gap(place.node, range_first_from(tree, place.hi));
	}
	range_gap_raise(tree, node->level - 1, at, gap);
}

/* ---- the search -------------------------------------------------------------------------------------- */

/* The way from the root to a leaf: where it stands in each node. */
struct path {
	struct range_node *node[RANGE_LEVELS_MAX];
	unsigned slot[RANGE_LEVELS_MAX];
	unsigned level; /* of the lowest node */
	bool down;	/* the search goes that way */
};

static void path_begin(struct path *path, const struct range_tree *tree, uint64_t at, bool down)
{
	struct range_node *node = range_root(tree);

	path->down = down;
	path->level = node->level;
	path->node[node->level] = node;
	path->slot[node->level] = range_slot(node, at);
}

static bool path_step(struct path *path)
{
	unsigned *slot = &path->slot[path->level];

	if (path->down ? *slot == 0 : *slot + 1 == path->node[path->level]->n)
		return false;
	*slot += path->down ? -1u : 1u;
	return true;
}

static void path_enter(struct path *path, uint64_t at)
{
	struct range_node *node = range_child(path->node[path->level], path->slot[path->level]);

	path->level--;
	path->node[path->level] = node;
	path->slot[path->level] = range_slot(node, at);
}

struct hunt {
	struct range_tree *tree;
	uint64_t low, high, size;
	uint64_t least; /* what is known of a child that is looked into */
	uint64_t found;
	struct range above; /* downwards: where it ends */
};

static bool fits(uint64_t from, uint64_t to, uint64_t size)
{
	return to > from && to - from >= size;
}

static void set_above(struct hunt *hunt, const struct range_node *leaf, unsigned slot)
{
	if (slot < leaf->n)
		hunt->above = (struct range){ leaf->key[slot], leaf->end[slot], range_item(leaf, slot) };
}

/* False: nothing is left to look at, or it is found. */
static bool hunt_leaf_down(struct hunt *hunt, const struct range_node *leaf, uint64_t hi)
{
	uint64_t edge = hunt->high;
	unsigned last = leaf->n;

	hunt->above.item = NULL;
	if (hi != RANGE_TREE_END && range_tree_next(hunt->tree, hi, &hunt->above))
		edge = min_u64(hunt->above.start, hunt->high);
	for (unsigned slot = leaf->n; slot-- > 0;) {
		if (!range_item(leaf, slot))
			continue;
		if (leaf->key[slot] < hunt->high) {
			if (fits(max_u64(leaf->end[slot], hunt->low), edge, hunt->size)) {
				hunt->found = edge - hunt->size;
				set_above(hunt, leaf, last);
				return false;
			}
			edge = leaf->key[slot];
			if (edge <= hunt->low)
				return false;
		}
		last = slot;
	}
	set_above(hunt, leaf, last);
	return true;
}

static bool hunt_leaf_up(struct hunt *hunt, const struct range_node *leaf, uint64_t hi)
{
	for (unsigned slot = 0; slot < leaf->n; slot++) {
		uint64_t to = hi, end = leaf->end[slot];
		unsigned next = slot + 1;

		if (!range_item(leaf, slot) || end <= hunt->low)
			continue;
		while (next < leaf->n && !range_item(leaf, next))
			next++;
		to = next < leaf->n ? leaf->key[next] : range_first_from(hunt->tree, hi);
		if (end >= hunt->high)
			return false;
		if (fits(end, min_u64(to, hunt->high), hunt->size)) {
			hunt->found = end;
			return false;
		}
	}
	return true;
}

/* Where what the path leads to ends. */
static uint64_t path_hi(const struct path *path, unsigned top)
{
	for (unsigned level = path->level; level <= top; level++)
		if (path->slot[level] + 1 < path->node[level]->n)
			return path->node[level]->key[path->slot[level] + 1];
	return RANGE_TREE_END;
}

/* Does the leaf, or the node, lie between the bounds, so that it was searched whole? */
static bool is_whole(const struct hunt *hunt, const struct path *path, unsigned top)
{
	return path->node[path->level]->key[path->slot[path->level]] > hunt->low &&
	       path_hi(path, top) < hunt->high;
}

/*
 * Through the leaves, from @at on, that may have what is looked for. A node that was left with nothing found
 * in it is told so, if it had promised it.
 */
static void hunt_leaves(struct hunt *hunt, uint64_t at, bool down)
{
	struct path path;
	bool more = true;

	path_begin(&path, hunt->tree, at, down);
	unsigned top = path.level;
	while (more) {
		struct range_node *node = path.node[path.level];
		unsigned slot = path.slot[path.level];
		bool look = range_gap(node, slot) >= hunt->least;

		if (look && path.level > 1) {
			path_enter(&path, at);
			continue;
		}
		if (look) {
			more = down ? hunt_leaf_down(hunt, range_leaf(range_child(node, slot)),
						     path_hi(&path, top))
				    : hunt_leaf_up(hunt, range_leaf(range_child(node, slot)),
						   path_hi(&path, top));
			if (more && hunt->least && is_whole(hunt, &path, top))
				lower(hunt->tree, node, slot);
		}
		while (more && !path_step(&path)) {
			if (path.level == top)
				return;
			path.level++;
			if (hunt->least && is_whole(hunt, &path, top))
				lower(hunt->tree, path.node[path.level], path.slot[path.level]);
		}
		at = down ? RANGE_TREE_END : 0; /* other nodes are entered at their end */
	}
}

/* First where something is known to be; then everywhere, as what is known may be too little just now. */
static bool hunt_all(struct hunt *hunt, uint64_t at, bool down)
{
	const struct range_node *root = range_root(hunt->tree);

	hunt->found = UINT64_MAX;
	if (range_is_one_leaf(root) && down) {
		hunt_leaf_down(hunt, range_leaf(range_child(root, 0)), RANGE_TREE_END);
		return hunt->found != UINT64_MAX;
	}
	hunt->least = range_is_one_leaf(root) ? 0 : hunt->size;
	hunt_leaves(hunt, at, down);
	if (hunt->found == UINT64_MAX && hunt->least) {
		hunt->least = 0;
		hunt_leaves(hunt, at, down);
	}
	return hunt->found != UINT64_MAX;
}

/* What is before all ranges is behind none. */
uint64_t range_tree_gap_down(struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size,
			     struct range *above)
{
	struct hunt hunt = { .tree = tree, .low = low, .high = high, .size = size };

	quire_assert(size);
	if (!fits(low, high, size))
		return UINT64_MAX;
	bool found = hunt_all(&hunt, high - 1, true);
	*above = hunt.above;
	if (found)
		return hunt.found;
	if (!range_tree_next(tree, 0, above))
		above->item = NULL;
	uint64_t first = above->item ? min_u64(above->start, high) : high;
	return fits(low, first, size) ? first - size : UINT64_MAX;
}

/* What is behind a range that ends below @low begins at it. */
uint64_t range_tree_gap_up(struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size)
{
	struct hunt hunt = { .tree = tree, .low = low, .high = high, .size = size };
	struct range next;
	bool found = range_tree_next(tree, low, &next);

	quire_assert(size);
	if (fits(low, found ? min_u64(next.start, high) : high, size))
		return low;
	return found && hunt_all(&hunt, low, false) ? hunt.found : UINT64_MAX;
}
