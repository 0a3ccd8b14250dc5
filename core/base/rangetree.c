/*
 * rangetree.c - changes of a range tree: copies of nodes, published by one store.
 *
 * Most changes stay inside one leaf: then a copy of that leaf is made around the new ranges and stored in its
 * head (change_leaf()). And many take out one range, or put one where such a one was: then one store of its
 * item is the change, and nothing is copied (change_slot()). What was taken out leaves a hole, until the leaf
 * is copied the next time. A leaf may become nearly empty so, but not empty, unless it is the only one.
 *
 * Other changes take leaves in or out. They work upwards from the leaves, one level at a time. At each level
 * there is a span: the numbers whose nodes, at this level, go away. It begins with the window and widens at
 * each level to whole nodes:
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
 *   - one node was made for one node, above the leaves: it is stored in the parent's child pointer, and that
 *     is the change;
 *   - the span is everything: what was made becomes the root, under a new node if it is several;
 *   - otherwise the level above is next.
 *
 * Only after that store the old nodes are handed to RCU: those that lie in their level's span. What lies
 * outside it was taken over and lives on. A new leaf has a new head, held from birth by whoever makes it: a
 * search that still comes through an old node finds the old leaves, as they were.
 *
 * How many nodes can a change need? Let F be the fanout, at least 4, and h the height, leaves included.
 *
 *   - At the bottom, the window lies in one leaf: at most F + 4 ranges are left, two nodes. Or it begins in
 *     one leaf and ends in another: at most F + 4 + F, three nodes.
 *   - Above, with three made below: the first and the last child of the span went away, so at most
 *     F - 1 + 3 + F - 1 entries are left where these are in two nodes: three nodes again. In one node
 *     F - 2 + 3: two nodes. With two made below in place of one: F - 1 + 2, two nodes.
 *   - With a neighbour: fewer than the minimum, and F: two nodes.
 *   - The root level is a single node, so it becomes two at most, with a new root: three.
 *
 * So 3 for each level, and 3 heads. What a change holds is chosen so that no node outside is copied
 * (rangehold.c).
 *
 * Order:   the window's leaves are held for writing. The stock is filled before; a change neither fails nor
 *          sleeps.
 * Rules:   VMA-1, VMA-6.
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
	uint64_t end; /* of a range */
	uint64_t gap; /* of a child: as range_node.gap */
	void *what;   /* a range's item, or a child */
};

struct span {
	uint64_t lo, hi; /* [lo, hi) */
};

struct change {
	struct quire_cpu *cpu;
	struct range_tree *tree;
	struct range_hold *hold;
	struct span span[RANGE_LEVELS_MAX]; /* per level: whose nodes go away */
	struct piece made[MADE_MAX];	    /* by the level below */
	unsigned made_n;
	struct piece pieces[PIECES_MAX]; /* for this level's new nodes */
	unsigned pieces_n;
	uint32_t leaves; /* made, less those that went away */
};

/* ---- new nodes ---------------------------------------------------------------------------------------- */

static struct range_node *node_begin(struct range_node *node, unsigned level, unsigned n)
{
	node->next = NULL;
	node->level = level;
	node->n = n;
	node->live = n;
	return node;
}

static struct range_node *stock_take(struct range_stock *stock, unsigned level, unsigned n)
{
	struct range_node *node = stock->nodes;

	quire_assert(node);
	stock->nodes = node->next;
	stock->node_count--;
	return node_begin(node, level, n);
}

/* For @leaf; held for writing, so that nobody changes the leaf before its maker has done. */
static struct range_head *stock_take_head(struct range_stock *stock, struct range_node *leaf, uint64_t gap)
{
	struct range_head *head = stock->heads;

	quire_assert(head);
	stock->heads = head->next;
	stock->head_count--;
	head->next = NULL;
	head->dead = false;
	head->spare = NULL;
	rwlock_init_write(&head->lock);
	/* Nobody reaches it before it is published. */
	atomic_store_explicit(&head->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&head->leaf, leaf, memory_order_relaxed);
	atomic_store_explicit(&head->gap, gap, memory_order_relaxed);
	return head;
}

static void assert_held(const struct range_hold *hold, const struct span *span)
{
	quire_assert(hold->write && span->lo >= hold->lo && span->hi <= hold->hi);
	(void)hold, (void)span;
}

/* ---- a level of a change ----------------------------------------------------------------------------- */

/* Entries [from, to) of @node that are no holes. */
static unsigned entries_in(const struct range_node *node, unsigned from, unsigned to)
{
	unsigned n = to - from;

	for (; !node->level && from < to; from++)
		n -= !range_item(node, from);
	return n;
}

/* Entries [from, to) of the node at @place live on in a new node. */
static void take_over(struct change *c, const struct range_place *place, unsigned from, unsigned to)
{
	const struct range_node *node = place->node;

	for (unsigned slot = from; slot < to; slot++) {
		struct piece *piece = &c->pieces[c->pieces_n];

		piece->what = node->level ? range_child(node, slot) : range_item(node, slot);
		if (!piece->what)
			continue;
		piece->key = node->key[slot];
		if (node->level)
			piece->gap = range_gap(node, slot);
		else
			piece->end = node->end[slot];
		c->pieces_n++;
	}
}

/* The window cuts no range: not that before slot @at, which begins below @edge. */
static void assert_uncut(const struct range_node *leaf, unsigned at, uint64_t edge)
{
	quire_assert(!at || !range_item(leaf, at - 1) || leaf->end[at - 1] <= edge);
	(void)leaf, (void)at, (void)edge;
}

/*
 * Too few entries for a node: a neighbour joins the span, one of the same parent rather than one of another,
 * and none that is not held.
 */
static void widen(struct change *c, unsigned level, const struct range_place *left,
		  const struct range_place *right, struct range_place *before, struct range_place *after)
{
	struct span *span = &c->span[level];
	bool same_parent = right->parent && right->slot + 1 < right->parent->n;

	if ((left->parent && left->slot) || (span->lo > c->hold->lo && !same_parent)) {
		*before = range_place_of(c->tree, level, span->lo - 1);
		span->lo = before->lo;
	} else {
		*after = range_place_of(c->tree, level, span->hi);
		span->hi = after->hi;
	}
}

/*
 * Gather this level's pieces. @below is what the level below replaced; the span becomes that of this level.
 * Returns whether it is a single node, whose place is then in @single.
 *
 * A leaf with a single range is good enough: were it joined for having few, the next change in the same hold
 * could find too few there again, and of several such changes each would take in one more neighbour.
 */
static bool gather(struct change *c, unsigned level, struct span below, struct range_place *single)
{
	struct range_place left = range_place_of(c->tree, level, below.lo),
			   right = range_place_of(c->tree, level, below.hi - 1);
	unsigned kept_left = range_entries_before(left.node, below.lo),
		 lost = range_entries_before(right.node, below.hi);
	unsigned total = entries_in(left.node, 0, kept_left) + c->made_n +
			 entries_in(right.node, lost, right.node->n);
	struct range_place before = { 0 }, after = { 0 };
	struct span *span = &c->span[level];
	unsigned least = level ? RANGE_FILL_MIN : 1;

	if (!level) {
		assert_uncut(left.node, kept_left, below.lo);
		assert_uncut(right.node, lost, below.hi);
	}
	*span = (struct span){ left.lo, right.hi };
	if (total < least && (span->lo || span->hi != RANGE_TREE_END))
		widen(c, level, &left, &right, &before, &after);
	assert_held(c->hold, span);

	c->pieces_n = 0;
	if (before.node)
		take_over(c, &before, 0, before.node->n);
	take_over(c, &left, 0, kept_left);
	for (unsigned i = 0; i < c->made_n; i++)
		c->pieces[c->pieces_n++] = c->made[i];
	take_over(c, &right, lost, right.node->n);
	if (after.node)
		take_over(c, &after, 0, after.node->n);
	*single = left;
	return left.node == right.node && !before.node && !after.node;
}

static struct range_node *build_inner(struct change *c, unsigned level, const struct piece *from, unsigned n)
{
	struct range_node *node = stock_take(&c->hold->stock, level, n);

	for (unsigned slot = 0; slot < n; slot++) {
		node->key[slot] = from[slot].key;
		/* Nobody reaches the node before it is published. */
		atomic_store_explicit(&node->child[slot], from[slot].what, memory_order_relaxed);
		if (level > 1)
			atomic_store_explicit(&node->gap[slot], from[slot].gap, memory_order_relaxed);
	}
	return node;
}

static void set_range(struct range_node *leaf, unsigned at, uint64_t start, uint64_t end, void *item)
{
	leaf->key[at] = start;
	leaf->end[at] = end;
	/* Nobody reaches the leaf before it is published. */
	atomic_store_explicit(&leaf->item[at], item, memory_order_relaxed);
}

/* No leaf is without an entry: searches would have to ask. */
static struct range_node *be_empty(struct range_node *leaf)
{
	set_range(leaf, 0, 0, 1, NULL);
	leaf->live = 0;
	return leaf;
}

static struct range_node *build_leaf(struct change *c, const struct piece *from, unsigned n)
{
	if (!n)
		return be_empty(stock_take(&c->hold->stock, 0, 1));
	struct range_node *leaf = stock_take(&c->hold->stock, 0, n);

	for (unsigned slot = 0; slot < n; slot++)
		set_range(leaf, slot, from[slot].key, from[slot].end, from[slot].what);
	return leaf;
}

/* A leaf begins in the middle of the gap before its first range: so both sides of it are in the leaf. */
static uint64_t leaf_begin(const struct piece *first)
{
	uint64_t before = first[-1].end;

	return before + (first->key - before + 1) / 2;
}

/* Make the node of pieces [at, at + n); @after is where the first range behind them begins. */
static struct piece build_node(struct change *c, unsigned level, unsigned at, unsigned n, uint64_t after)
{
	const struct piece *from = &c->pieces[at];
	struct piece made = { .key = at ? from->key : c->span[level].lo };

	if (level) {
		struct range_node *node = build_inner(c, level, from, n);

		made.what = node;
		made.gap = range_inner_gap(node);
	} else {
		struct range_node *leaf = build_leaf(c, from, n);

		made.gap = range_leaf_gap(leaf, after);
		made.what = stock_take_head(&c->hold->stock, leaf, made.gap);
		if (at)
			made.key = leaf_begin(from);
		c->leaves++;
	}
	return made;
}

/* Make nodes of all pieces, as even as can be; the first one begins where the span does. */
static void build(struct change *c, unsigned level)
{
	unsigned n = c->pieces_n, nodes = n ? (n + RANGE_FANOUT - 1) / RANGE_FANOUT : 1, from = 0;
	uint64_t behind = level ? 0 : range_first_from(c->tree, c->span[0].hi);

	quire_assert(nodes < MADE_MAX);
	c->made_n = nodes;
	for (unsigned i = 0; i < nodes; i++) {
		unsigned share = n / nodes + (i < n % nodes);

		c->made[i] = build_node(c, level, from, share,
					i + 1 < nodes ? c->pieces[from + share].key : behind);
		from += share;
	}
}

/* ---- taking the old away ----------------------------------------------------------------------------- */

static void node_free(struct quire_cpu *cpu, struct quire_rcu *rcu)
{
	object_free(cpu, container_of(rcu, struct range_node, rcu), sizeof(struct range_node));
}

static void node_retire(struct quire_cpu *cpu, struct range_node *node)
{
	node->rcu.done = node_free;
	quire_port_rcu_call(cpu, &node->rcu);
}

static void leaf_retire(struct change *c, struct range_head *head)
{
	c->leaves--;
	node_retire(c->cpu, range_leaf(head));
	range_head_retire(c->cpu, head);
}

/*
 * @node lies in its level's span: it goes, and of what is below it, all that lies in that level's span. What
 * does not was taken over; somebody may have raised its gap in the old node since.
 */
static void retire(struct change *c, struct range_node *node, uint64_t lo, uint64_t hi)
{
	const struct span *span = &c->span[node->level - 1];

	for (unsigned slot = 0; slot < node->n; slot++) {
		uint64_t child_lo = slot ? node->key[slot] : lo;
		uint64_t child_hi = slot + 1 < node->n ? node->key[slot + 1] : hi;

		if (child_lo >= span->hi || child_hi <= span->lo)
			range_gap_raise(c->tree, node->level - 1, child_lo, range_gap(node, slot));
		else if (node->level == 1)
			leaf_retire(c, range_child(node, slot));
		else
			retire(c, range_child(node, slot), child_lo, child_hi);
	}
	node_retire(c->cpu, node);
}

/*
 * The new nodes are there: the old ones go. A gap behind the last new leaf may have grown while it was made.
 * The fence: rangegap.c, (a).
 */
static void replaced(struct change *c, struct range_node *old, uint64_t lo, uint64_t hi)
{
	struct range range;

	quire_port_fence();
	retire(c, old, lo, hi);
	if (c->span[0].hi != RANGE_TREE_END && range_tree_prev(c->tree, c->span[0].hi, &range))
		range_gap_raise(c->tree, 0, range.start, range_first_from(c->tree, range.end) - range.end);
	/* Relaxed: a number to compare with a limit. */
	atomic_fetch_add_explicit(&c->tree->leaves, c->leaves, memory_order_relaxed);
}

/* The span is everything: what was made at @level becomes the tree, and all that was at and above it goes. */
static void publish_root(struct change *c, unsigned level)
{
	struct range_node *old = range_root(c->tree);

	build(c, level);
	struct range_node *root = level && c->made_n == 1 ? c->made[0].what
							  : build_inner(c, level + 1, c->made, c->made_n);
	atomic_store_explicit(&c->tree->root, root, memory_order_release);
	for (unsigned above = level + 1; above <= old->level; above++)
		c->span[above] = c->span[level];
	replaced(c, old, 0, RANGE_TREE_END);
}

static void publish_child(struct change *c, const struct range_place *place)
{
	atomic_store_explicit(&place->parent->child[place->slot], c->made[0].what, memory_order_release);
	range_gap_raise(c->tree, place->node->level, place->lo, c->made[0].gap);
	replaced(c, place->node, place->lo, place->hi);
}

/* Any change, level by level. */
static __attribute__((noinline)) void change_levels(struct quire_cpu *cpu, struct range_hold *hold,
						    struct span window, const struct range *with, unsigned n)
{
	struct change c; /* its arrays are large, and hold only what is counted: not to be zeroed */
	struct range_place place = { 0 };

	quire_assert(!hold->one);
	c.cpu = cpu;
	c.tree = hold->tree;
	c.hold = hold;
	c.made_n = n;
	c.pieces_n = 0;
	c.leaves = 0;
	for (unsigned i = 0; i < n; i++)
		c.made[i] = (struct piece){ .key = with[i].start, .end = with[i].end, .what = with[i].item };
	for (unsigned level = 0;; level++) {
		struct span *span = &c.span[level];

		quire_assert(level < RANGE_LEVELS_MAX);
		bool single = gather(&c, level, window, &place);
		if (!span->lo && span->hi == RANGE_TREE_END) {
			publish_root(&c, level);
			return;
		}
		build(&c, level);
		if (level && single && c.made_n == 1) {
			publish_child(&c, &place);
			return;
		}
		window = *span;
	}
}

/* ---- a change of one leaf ---------------------------------------------------------------------------- */

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

/* A leaf, where in it, and whether it may be left empty: it is the only one then. */
struct target {
	struct range_head *head;
	uint64_t hi;
	unsigned near;
	bool only;
};

/*
 * The window holds one range, or the hole of one, that goes or comes. False, with nothing done, when it is
 * not so, or none would be left.
 */
static inline bool change_slot(const struct target *target, struct span window, const struct range *with,
			       unsigned n)
{
	struct range_node *leaf = range_leaf(target->head);
	unsigned slot = range_slot_near(leaf, target->near, window.lo);
	slot += leaf->key[slot] < window.lo;
	unsigned next = slot + 1;

	if (n > 1 || slot == leaf->n || leaf->end[slot] > window.hi || window.hi > target->hi ||
	    (next < leaf->n && leaf->key[next] < window.hi))
		return false;
	if (n && (leaf->key[slot] != with->start || leaf->end[slot] != with->end))
		return false;
	unsigned before = range_item(leaf, slot) ? 1 : 0, live = leaf->live + n - before;
	if (!live && !target->only)
		return false;

	assert_uncut(leaf, slot, window.lo);
	leaf->live = live;
	atomic_store_explicit(&leaf->item[slot], n ? with->item : NULL, memory_order_release);
	return true;
}

/* A node for the leaf's copy, set aside by range_hold_reserve(). */
static struct range_node *spare_take(struct range_hold *hold)
{
	if (!hold->one)
		return stock_take(&hold->stock, 0, 0);
	struct range_node *node = hold->one->spare;

	quire_assert(node);
	hold->one->spare = NULL;
	return node_begin(node, 0, 0);
}

/* False, with nothing done, when the change is none of one leaf. Out of line: most need it not. */
static __attribute__((noinline)) bool change_leaf(struct quire_cpu *cpu, struct range_hold *hold,
						  const struct target *target, struct span window,
						  const struct range *with, unsigned n)
{
	struct range_node *old = range_leaf(target->head);
	unsigned before = range_entries_before(old, window.lo), lost = before;

	while (lost < old->n && old->key[lost] < window.hi)
		lost++;
	unsigned count = entries_in(old, 0, before) + n + entries_in(old, lost, old->n);

	if (window.hi > target->hi || count > RANGE_FANOUT || (!count && !target->only))
		return false;
	assert_uncut(old, before, window.lo);
	assert_uncut(old, lost, window.hi);

	struct range_node *leaf = spare_take(hold);
	unsigned at = copy_ranges(leaf, 0, old, 0, before);
	at = put_ranges(leaf, at, with, n);
	copy_ranges(leaf, at, old, lost, old->n);
	leaf->n = leaf->live = count;
	if (!count) {
		leaf->n = 1;
		be_empty(leaf);
	}
	atomic_store_explicit(&target->head->leaf, leaf, memory_order_release);
	hold->near = min_u64(before, leaf->n - 1);
	node_retire(cpu, old);
	return true;
}

/* ---- entry points ------------------------------------------------------------------------------------ */

int range_tree_init(struct quire_cpu *cpu, struct range_tree *tree)
{
	struct range_stock stock = { 0 };

	if (range_stock_fill(cpu, &stock, 2, 1))
		return -QUIRE_ENOMEM;
	struct range_node *root = stock_take(&stock, 1, 1);
	struct range_head *head = stock_take_head(&stock, be_empty(stock_take(&stock, 0, 1)), UINT64_MAX);

	rwlock_write_done(cpu, &head->lock);
	root->key[0] = 0;
	atomic_store_explicit(&root->child[0], head, memory_order_relaxed);
	atomic_store_explicit(&tree->root, root, memory_order_release);
	atomic_store_explicit(&tree->leaves, 1, memory_order_relaxed);
	return 0;
}

static void destroy(struct quire_cpu *cpu, struct range_node *node)
{
	for (unsigned slot = 0; slot < node->n; slot++) {
		if (node->level > 1) {
			destroy(cpu, range_child(node, slot));
			continue;
		}
		struct range_head *head = range_child(node, slot);

		node_retire(cpu, range_leaf(head));
		range_head_retire(cpu, head);
	}
	node_retire(cpu, node);
}

void range_tree_destroy(struct quire_cpu *cpu, struct range_hold *hold)
{
	range_stock_drain(cpu, &hold->stock);
	destroy(cpu, range_root(hold->tree));
}

/* What the searches for gaps must hear of: what is behind each range that has a new neighbour. */
static void mend_gaps(struct range_tree *tree, struct span window)
{
	struct range range;

	quire_port_fence(); /* rangegap.c, (a) */
	for (uint64_t at = window.hi; range_tree_prev(tree, at, &range); at = range.start) {
		uint64_t gap = range_first_from(tree, range.end) - range.end;

		if (gap)
			range_gap_raise(tree, 0, range.start, gap);
		if (range.start < window.lo)
			break;
	}
}

/* As a rule all that has a new neighbour is in one leaf, and what its head says is enough. */
static bool is_gap_known(const struct range_head *head, struct span window)
{
	const struct range_node *leaf = range_leaf(head);
	unsigned from = range_entries_before(leaf, window.lo), to = from;

	while (from && !range_item(leaf, from - 1))
		from--;
	while (to < leaf->n && (leaf->key[to] < window.hi || !range_item(leaf, to)))
		to++;
	if (!from || to == leaf->n)
		return false;
	/* No gap between them is wider than all of it. */
	return leaf->key[to] - leaf->end[from - 1] <= atomic_load_explicit(&head->gap, memory_order_relaxed);
}

/* The hold is of one leaf, which stays. */
static void replace_in_one(struct quire_cpu *cpu, struct range_hold *hold, struct span window,
			   const struct range *with, unsigned n)
{
	const struct target target = { hold->one, hold->hi, hold->near,
				       !hold->lo && hold->hi == RANGE_TREE_END };

	if (!change_slot(&target, window, with, n) && !change_leaf(cpu, hold, &target, window, with, n))
		quire_assert(false);
	if (target.only) /* nobody asks how wide its gaps are */
		return;
	quire_port_fence(); /* rangegap.c, (a) */
	if (is_gap_known(target.head, window))
		return;
	quire_port_rcu_lock(cpu);
	mend_gaps(hold->tree, window);
	quire_port_rcu_unlock(cpu);
}

void range_tree_replace(struct quire_cpu *cpu, struct range_hold *hold, uint64_t start, uint64_t end,
			const struct range *with, unsigned n)
{
	struct span window = { start, end };

	quire_assert(start < end && n <= WITH_MAX);
	assert_held(hold, &window);
	for (unsigned i = 0; i < n; i++) {
		quire_assert(with[i].start < with[i].end && with[i].end <= end && with[i].item);
		quire_assert(with[i].start >= (i ? with[i - 1].end : start));
	}
	if (hold->one) {
		replace_in_one(cpu, hold, window, with, n);
		return;
	}
	quire_port_rcu_lock(cpu); /* nodes above what is held may go */
	struct range_place place = range_place_of(hold->tree, 0, start);
	const struct target target = { place.head, place.hi, 0, !place.lo && place.hi == RANGE_TREE_END };
	if (!change_slot(&target, window, with, n) && !change_leaf(cpu, hold, &target, window, with, n))
		change_levels(cpu, hold, window, with, n);
	if (!range_is_one_leaf(range_root(hold->tree)))
		mend_gaps(hold->tree, window);
	quire_port_rcu_unlock(cpu);
}
