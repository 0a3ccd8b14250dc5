/*
 * rangetree.c - changes of a range tree: copies of nodes, published by one store.
 *
 * A change works upwards from the leaves, one level at a time. At each level it has a span: the numbers
 * whose nodes, at this level, go away. The span begins with the window and widens at each level to whole
 * nodes:
 *
 *	level 2   [                             node                              ]
 *	level 1   [      node      ][======================span===================]
 *	level 0   [ leaf ][ leaf   ][ leaf ][=======span========][ leaf  ][ leaf  ]
 *	                                         ^^^window^^^
 *
 * The nodes in the span are replaced by new ones that hold the entries left of what the level below
 * replaced, the new entries that the level below made (at the bottom: the ranges given), and the entries to
 * the right. Were that too few for a node, one neighbour joins the span. Then one of these is the case:
 *
 *   - one node was made for one node: it is stored in the parent's child pointer, and that is the change;
 *   - the span is everything: what was made becomes the root, under a new node if it is several;
 *   - otherwise the level above is next.
 *
 * Only after that store the old nodes are handed to RCU: those that lie in their level's span. What lies
 * outside it was taken over and lives on. Last, the summaries above the change are mended, in place.
 *
 * Most changes stay inside one leaf and leave it neither too full nor too empty: then a copy of that leaf is
 * made around the new ranges, without all this (change_leaf()). And many take out one range, or put one where
 * such a one was: then one store of its item is the change, and nothing is copied (change_slot()). What was
 * taken out leaves a hole, until the leaf is copied the next time.
 *
 * How many nodes can a change need? Let F be the fanout, at least 4, and h the height.
 *
 *   - At the bottom, the window lies in one leaf: at most F + 4 ranges are left, two nodes. Or it begins in
 *     one leaf and ends in another: at most F + 4 + F, three nodes.
 *   - Above, with three made below: the first and the last child of the span went away, so at most
 *     F - 1 + 3 + F - 1 entries are left where these are in two nodes: three nodes again. In one node
 *     F - 2 + 3: two nodes. With two made below in place of one: F - 1 + 2, two nodes.
 *   - With a neighbour: fewer than the minimum, and F: two nodes.
 *   - The root level is a single node, so it becomes two at most, with a new root: three.
 *
 * So 3 for each level, and 1 for an empty tree; and the height grows by one at most with each change.
 *
 * Order:   changes under the caller's lock. The stock is filled before; a change neither fails nor sleeps.
 * Rules:   VMA-1.
 */
#include "rangenode.h"

#include "assert.h"
#include "bits.h"
#include "list.h"

#define WITH_MAX 4
#define MADE_MAX 4 /* three nodes, or the ranges given */
#define PIECES_MAX (2 * RANGE_FANOUT + WITH_MAX)

_Static_assert(RANGE_FANOUT >= 4, "a node's entries and four ranges fit in two nodes");

/* An entry on its way into a new node. */
struct piece {
	uint64_t key;
	struct range_summary sum; /* of a range: start, end, 0 */
	void *what;		  /* a range's item, or a child */
};

struct span {
	uint64_t lo, hi; /* [lo, hi) */
};

/* A node and where it stands. */
struct place {
	struct range_node *node, *parent; /* no parent: the root */
	unsigned slot;			  /* in the parent */
	uint64_t lo, hi;		  /* the numbers that the node is for */
};

struct change {
	struct quire_cpu *cpu;
	struct range_tree *tree;
	struct range_stock *stock;
	struct span span[RANGE_LEVELS_MAX]; /* per level: whose nodes go away */
	struct piece made[MADE_MAX];	    /* by the level below */
	unsigned made_n;
	struct piece pieces[PIECES_MAX]; /* for this level's new nodes */
	unsigned pieces_n;
	uint64_t added, removed; /* ranges in leaves that were made, and that went away */
};

/* ---- the stock --------------------------------------------------------------------------------------- */

static void stock_shrink(struct quire_cpu *cpu, struct range_stock *stock, unsigned count)
{
	while (stock->count > count) {
		struct range_node *node = stock->nodes;

		stock->nodes = node->next;
		stock->count--;
		object_free(cpu, node, sizeof(*node));
	}
}

void range_stock_drain(struct quire_cpu *cpu, struct range_stock *stock)
{
	stock_shrink(cpu, stock, 0);
}

static unsigned nodes_needed(const struct range_tree *tree, unsigned changes)
{
	const struct range_node *root = range_root(tree);
	unsigned height = root ? root->level + 1 : 0;

	return 3 * (changes * height + changes * (changes - 1) / 2) + (height ? 0 : 1);
}

static __attribute__((noinline)) int fill(struct quire_cpu *cpu, struct range_stock *stock, unsigned need)
{
	unsigned before = stock->count;

	while (stock->count < need) {
		struct range_node *node = object_alloc_raw(cpu, sizeof(*node)); /* large, and never full */

		if (!node) {
			stock_shrink(cpu, stock, before);
			return -QUIRE_ENOMEM;
		}
		node->next = stock->nodes;
		stock->nodes = node;
		stock->count++;
	}
	return 0;
}

/* A stock that is full, as it mostly is, costs the look. */
int range_stock_fill(struct quire_cpu *cpu, struct range_stock *stock, const struct range_tree *tree,
		     unsigned changes)
{
	unsigned need = nodes_needed(tree, changes);

	return stock->count >= need ? 0 : fill(cpu, stock, need);
}

static struct range_node *stock_take(struct range_stock *stock, unsigned level, unsigned n)
{
	struct range_node *node = stock->nodes;

	quire_assert(node);
	stock->nodes = node->next;
	stock->count--;
	node->next = NULL;
	node->level = level;
	node->n = n;
	node->live = n;
	return node;
}

/* ---- summaries --------------------------------------------------------------------------------------- */

struct range_summary range_summarise(const struct range_node *node)
{
	struct range_summary all, one;
	unsigned slot = 0;

	while (!range_summary_of(node, slot, &all))
		slot++;
	while (++slot < node->n) {
		if (!range_summary_of(node, slot, &one))
			continue;
		all.gap = max_u64(all.gap, max_u64(one.gap, one.first - all.last));
		all.last = one.last;
	}
	return all;
}

static void set_summary(struct range_node *node, unsigned slot, struct range_summary sum)
{
	atomic_store_explicit(&node->first[slot], sum.first, memory_order_relaxed);
	atomic_store_explicit(&node->last[slot], sum.last, memory_order_relaxed);
	atomic_store_explicit(&node->gap[slot], sum.gap, memory_order_relaxed);
}

/* The node of @level that is for @at. */
static struct place place_of(const struct range_tree *tree, unsigned level, uint64_t at)
{
	struct place place = { .node = range_root(tree), .lo = 0, .hi = RANGE_TREE_END };

	while (place.node->level > level) {
		struct range_node *node = place.node;
		unsigned slot = range_slot(node, at);

		place.parent = node;
		place.slot = slot;
		place.lo = slot ? node->key[slot] : place.lo;
		place.hi = slot + 1 < node->n ? node->key[slot + 1] : place.hi;
		place.node = range_child(node, slot);
	}
	return place;
}

/*
 * The child of @level that is for @at was replaced: mend what is said of it above, as far up as that
 * changes.
 */
static void mend_summaries(struct range_tree *tree, unsigned level, uint64_t at)
{
	for (unsigned above = level + 1; above <= range_root(tree)->level; above++) {
		struct range_node *node = place_of(tree, above, at).node;
		unsigned slot = range_slot(node, at);
		struct range_summary was;
		struct range_summary now = range_summarise(range_child(node, slot));

		range_summary_of(node, slot, &was);
		if (was.first == now.first && was.last == now.last && was.gap == now.gap)
			return;
		set_summary(node, slot, now);
	}
}

/* ---- a level of a change ----------------------------------------------------------------------------- */

/* How many entries of @node, holes too, begin before @key. */
static unsigned entries_before(const struct range_node *node, uint64_t key)
{
	unsigned slot = range_slot(node, key);

	return slot + (node->key[slot] < key);
}

/* Entries [from, to) of @node that are no holes. */
static unsigned entries_in(const struct range_node *node, unsigned from, unsigned to)
{
	unsigned n = to - from;

	for (; !node->level && from < to; from++)
		n -= range_is_hole(node, from);
	return n;
}

/* Entries [from, to) of the node at @place live on in a new node. */
static void take_over(struct change *c, const struct place *place, unsigned from, unsigned to)
{
	const struct range_node *node = place->node;

	for (unsigned slot = from; slot < to; slot++) {
		struct piece *piece = &c->pieces[c->pieces_n];

		if (!range_summary_of(node, slot, &piece->sum))
			continue;
		piece->key = node->key[slot];
		piece->what = node->level ? (void *)range_child(node, slot) : range_item(node, slot);
		c->pieces_n++;
	}
}

/* The window cuts no range: not that before slot @at, which begins below @edge. */
static void assert_uncut(const struct range_node *leaf, unsigned at, uint64_t edge)
{
	quire_assert(!at || range_is_hole(leaf, at - 1) || leaf->end[at - 1] <= edge);
	(void)leaf, (void)at, (void)edge;
}

/*
 * Gather this level's pieces. @below is what the level below replaced; the span becomes that of this level.
 * Returns whether it is a single node, whose place is then in @single.
 */
static bool gather(struct change *c, unsigned level, struct span below, struct place *single)
{
	struct place left = place_of(c->tree, level, below.lo),
		     right = place_of(c->tree, level, below.hi - 1);
	unsigned kept_left = entries_before(left.node, below.lo), lost = entries_before(right.node, below.hi);
	unsigned total = entries_in(left.node, 0, kept_left) + c->made_n +
			 entries_in(right.node, lost, right.node->n);
	struct place before = { 0 }, after = { 0 };
	struct span *span = &c->span[level];

	if (!level) {
		assert_uncut(left.node, kept_left, below.lo);
		assert_uncut(right.node, lost, below.hi);
	}
	*span = (struct span){ left.lo, right.hi };
	if (total < RANGE_FILL_MIN && (span->lo || span->hi != RANGE_TREE_END)) {
		bool same_parent = right.parent && right.slot + 1 < right.parent->n;

		if ((left.parent && left.slot) || (span->lo && !same_parent)) {
			before = place_of(c->tree, level, span->lo - 1);
			span->lo = before.lo;
		} else {
			after = place_of(c->tree, level, span->hi);
			span->hi = after.hi;
		}
	}

	c->pieces_n = 0;
	if (before.node)
		take_over(c, &before, 0, before.node->n);
	take_over(c, &left, 0, kept_left);
	for (unsigned i = 0; i < c->made_n; i++)
		c->pieces[c->pieces_n++] = c->made[i];
	take_over(c, &right, lost, right.node->n);
	if (after.node)
		take_over(c, &after, 0, after.node->n);
	if (!level)
		c->added = c->pieces_n;
	*single = left;
	return left.node == right.node && !before.node && !after.node;
}

/* A node of pieces [from, from + n). */
static struct range_node *build_node(struct change *c, unsigned level, const struct piece *from, unsigned n)
{
	struct range_node *node = stock_take(c->stock, level, n);

	for (unsigned slot = 0; slot < n; slot++) {
		node->key[slot] = from[slot].key;
		if (level) {
			/* Nobody reaches the node before it is published. */
			atomic_store_explicit(&node->child[slot], from[slot].what, memory_order_relaxed);
			set_summary(node, slot, from[slot].sum);
		} else {
			node->end[slot] = from[slot].sum.last;
			atomic_store_explicit(&node->item[slot], from[slot].what, memory_order_relaxed);
		}
	}
	return node;
}

/* Make nodes of all pieces, as even as can be; the first one begins where the span does. */
static void build(struct change *c, unsigned level)
{
	unsigned n = c->pieces_n, nodes = (n + RANGE_FANOUT - 1) / RANGE_FANOUT, from = 0;

	quire_assert(nodes < MADE_MAX);
	c->made_n = nodes;
	for (unsigned i = 0; i < nodes; i++) {
		unsigned share = n / nodes + (i < n % nodes);
		struct range_node *node = build_node(c, level, &c->pieces[from], share);

		c->made[i] = (struct piece){
			.key = i ? c->pieces[from].key : c->span[level].lo,
			.sum = range_summarise(node),
			.what = node,
		};
		from += share;
	}
}

/* ---- taking the old away ----------------------------------------------------------------------------- */

static void node_free(struct quire_cpu *cpu, struct quire_rcu *head)
{
	object_free(cpu, container_of(head, struct range_node, rcu), sizeof(struct range_node));
}

static void node_retire(struct quire_cpu *cpu, struct range_node *node)
{
	node->rcu.done = node_free;
	quire_port_rcu_call(cpu, &node->rcu);
}

/* @node lies in its level's span: it goes, and of what is below it, all that lies in that level's span. */
static void retire(struct change *c, struct range_node *node, uint64_t lo, uint64_t hi)
{
	for (unsigned slot = 0; node->level && slot < node->n; slot++) {
		uint64_t child_lo = slot ? node->key[slot] : lo;
		uint64_t child_hi = slot + 1 < node->n ? node->key[slot + 1] : hi;
		const struct span *span = &c->span[node->level - 1];

		if (child_lo < span->hi && child_hi > span->lo)
			retire(c, range_child(node, slot), child_lo, child_hi);
	}
	if (!node->level)
		c->removed += node->live;
	node_retire(c->cpu, node);
}

/* The span is everything: what was made at @level becomes the tree, and all that was at and above it goes. */
static void publish_root(struct change *c, unsigned level, struct range_node *root)
{
	struct range_node *old = range_root(c->tree);

	atomic_store_explicit(&c->tree->root, root, memory_order_release);
	if (!old)
		return;
	for (unsigned above = level + 1; above <= old->level; above++)
		c->span[above] = c->span[level];
	retire(c, old, 0, RANGE_TREE_END);
}

static void publish_child(struct change *c, unsigned level, const struct place *place)
{
	atomic_store_explicit(&place->parent->child[place->slot], c->made[0].what, memory_order_release);
	retire(c, place->node, place->lo, place->hi);
	mend_summaries(c->tree, level, place->lo);
}

/* The span of @level is everything: the root that takes it all. */
static struct range_node *new_root(struct change *c, unsigned level)
{
	build(c, level);
	if (c->made_n > 1)
		return build_node(c, level + 1, c->made, c->made_n);
	return c->made_n ? c->made[0].what : NULL;
}

static void change_tree(struct change *c, struct span window)
{
	struct place place = { 0 };

	for (unsigned level = 0;; level++) {
		struct span *span = &c->span[level];

		quire_assert(level < RANGE_LEVELS_MAX);
		bool single = gather(c, level, window, &place);
		if (!span->lo && span->hi == RANGE_TREE_END) {
			publish_root(c, level, new_root(c, level));
			return;
		}
		build(c, level);
		if (single && c->made_n == 1) {
			publish_child(c, level, &place);
			return;
		}
		window = *span;
	}
}

/* ---- a change of one leaf ---------------------------------------------------------------------------- */

static void set_range(struct range_node *leaf, unsigned at, uint64_t start, uint64_t end, void *item)
{
	leaf->key[at] = start;
	leaf->end[at] = end;
	/* Nobody reaches the leaf before it is published. */
	atomic_store_explicit(&leaf->item[at], item, memory_order_relaxed);
}

/* Ranges [from, to) of @old from slot @at on, without holes. Returns the slot after them. */
static unsigned copy_ranges(struct range_node *leaf, unsigned at, const struct range_node *old, unsigned from,
			    unsigned to)
{
	for (; from < to; from++) {
		void *item = range_item(old, from);

		if (item)
			set_range(leaf, at++, old->key[from], old->end[from], item);
	}
	return at;
}

static unsigned put_ranges(struct range_node *leaf, unsigned at, const struct range *with, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		set_range(leaf, at++, with[i].start, with[i].end, with[i].item);
	return at;
}

static unsigned fewest(const struct place *place)
{
	return place->parent ? RANGE_FILL_MIN : 1;
}

/*
 * The window holds one range, or the hole of one, that goes or comes. False, with nothing done, when it is
 * not so, or too few ranges would be left.
 */
static bool change_slot(struct range_tree *tree, const struct place *place, struct span window,
			const struct range *with, unsigned n)
{
	struct range_node *leaf = place->node;
	unsigned slot = entries_before(leaf, window.lo), next = slot + 1;

	if (n > 1 || slot == leaf->n || leaf->end[slot] > window.hi || window.hi > place->hi ||
	    (next < leaf->n && leaf->key[next] < window.hi))
		return false;
	if (n && (leaf->key[slot] != with->start || leaf->end[slot] != with->end))
		return false;
	unsigned before = range_item(leaf, slot) ? 1 : 0, live = leaf->live + n - before;
	if (live < fewest(place))
		return false;

	assert_uncut(leaf, slot, window.lo);
	leaf->live = live;
	tree->count = tree->count + n - before;
	atomic_store_explicit(&leaf->item[slot], n ? with->item : NULL, memory_order_release);
	if (place->parent)
		mend_summaries(tree, 0, place->lo);
	return true;
}

/* False, with nothing done, when the change is none of one leaf. Out of line: most need it not. */
static __attribute__((noinline)) bool change_leaf(struct quire_cpu *cpu, struct range_tree *tree,
						  struct range_stock *stock, const struct place *place,
						  struct span window, const struct range *with, unsigned n)
{
	struct range_node *old = place->node;
	unsigned before = entries_before(old, window.lo), lost = before;

	while (lost < old->n && old->key[lost] < window.hi)
		lost++;
	unsigned count = entries_in(old, 0, before) + n + entries_in(old, lost, old->n);

	if (window.hi > place->hi || count > RANGE_FANOUT || count < fewest(place))
		return false;
	assert_uncut(old, before, window.lo);
	assert_uncut(old, lost, window.hi);

	struct range_node *leaf = stock_take(stock, 0, count);
	unsigned at = copy_ranges(leaf, 0, old, 0, before);
	at = put_ranges(leaf, at, with, n);
	copy_ranges(leaf, at, old, lost, old->n);
	tree->count = tree->count + count - old->live;
	atomic_store_explicit(place->parent ? &place->parent->child[place->slot] : &tree->root, leaf,
			      memory_order_release);
	if (place->parent)
		mend_summaries(tree, 0, place->lo);
	node_retire(cpu, old);
	return true;
}

/* ---- entry points ------------------------------------------------------------------------------------ */

void range_tree_init(struct range_tree *tree)
{
	atomic_store_explicit(&tree->root, NULL, memory_order_relaxed);
	tree->count = 0;
}

/* Any change of a tree that is not empty, level by level. */
static __attribute__((noinline)) void change_levels(struct quire_cpu *cpu, struct range_tree *tree,
						    struct range_stock *stock, struct span window,
						    const struct range *with, unsigned n)
{
	struct change c; /* its arrays are large, and hold only what is counted: not to be zeroed */

	c.cpu = cpu;
	c.tree = tree;
	c.stock = stock;
	c.made_n = n;
	c.pieces_n = 0;
	c.added = c.removed = 0;
	for (unsigned i = 0; i < n; i++) {
		c.made[i] = (struct piece){
			.key = with[i].start,
			.sum = { with[i].start, with[i].end, 0 },
			.what = with[i].item,
		};
	}
	change_tree(&c, window);
	tree->count += c.added - c.removed;
}

static void first_leaf(struct range_tree *tree, struct range_stock *stock, const struct range *with,
		       unsigned n)
{
	struct range_node *leaf = stock_take(stock, 0, n);

	put_ranges(leaf, 0, with, n);
	tree->count = n;
	atomic_store_explicit(&tree->root, leaf, memory_order_release);
}

void range_tree_replace(struct quire_cpu *cpu, struct range_tree *tree, struct range_stock *stock,
			uint64_t start, uint64_t end, const struct range *with, unsigned n)
{
	struct span window = { start, end };

	quire_assert(start < end && n <= WITH_MAX);
	for (unsigned i = 0; i < n; i++) {
		quire_assert(with[i].start < with[i].end && with[i].end <= end && with[i].item);
		quire_assert(with[i].start >= (i ? with[i - 1].end : start));
	}
	if (!range_root(tree)) {
		if (n)
			first_leaf(tree, stock, with, n);
		return;
	}
	struct place place = place_of(tree, 0, start);
	if (!change_slot(tree, &place, window, with, n) &&
	    !change_leaf(cpu, tree, stock, &place, window, with, n))
		change_levels(cpu, tree, stock, window, with, n);
}
