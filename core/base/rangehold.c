/*
 * rangehold.c - holding leaves of a range tree: to change their ranges, or to keep them as they are.
 *
 * Who wants to change ranges takes the locks of the leaves that are for them, in ascending order. Mostly that
 * is one leaf, which has room for what comes and keeps something when ranges go. Where it might overflow or
 * run empty, leaves come and go, and nodes above are copied; of such a node all leaves below are held, so
 * that nobody else stores anything in it or copies it. How far up that may reach is known beforehand: a node
 * with room for as many more children as ranges come, and more than enough of them, is not split or joined by
 * one operation. So what is held is always all that is below one node, and in the end the whole tree.
 *
 *	an operation		another			a third, that splits leaf 2
 *	lock leaf 1		lock leaf 3		lock leaves 1, 2, 3, as the node above is copied
 *
 * A leaf's lock stands in its head, which stays when the leaf is copied. It goes when the leaf's bounds
 * change; whoever waited for it then finds it dead, and looks for the one that is there now:
 *
 *	waits for the lock			splits the leaf
 *	find the head under RCU			(holds the lock)
 *	free? take it: dead? find again		publish new heads
 *	reference it, leave RCU			dead = true, unlock, drop the tree's reference
 *	lock: dead? unlock, drop, find again
 *
 * The new heads are born locked by who makes them, so nobody comes to their ranges before he has done.
 *
 * Order:   docs/locking.md has a leaf's lock, row 3; of several the lower one first.
 * Rules:   VMA-1, VMA-6.
 */
#include "rangenode.h"

#include "assert.h"
#include "bits.h"
#include "list.h"
#include "safeguard.h"

/* ---- heads ------------------------------------------------------------------------------------------- */

static void head_free(struct quire_cpu *cpu, struct quire_rcu *rcu)
{
	struct range_head *head = container_of(rcu, struct range_head, rcu);

	object_free(cpu, head, sizeof(*head));
}

static void head_put(struct quire_cpu *cpu, struct range_head *head)
{
	/* Release: what this holder did; acquire, by the last one: what all others did. */
	if (atomic_fetch_sub_explicit(&head->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (head->spare)
		object_free(cpu, head->spare, sizeof(*head->spare));
	head->rcu.done = head_free;
	quire_port_rcu_call(cpu, &head->rcu);
}

void range_head_retire(struct quire_cpu *cpu, struct range_head *head)
{
	head->dead = true;
	rwlock_write_done(cpu, &head->lock);
	head_put(cpu, head);
}

static void unlock(struct quire_cpu *cpu, struct range_head *head, bool write)
{
	if (write)
		rwlock_write_done(cpu, &head->lock);
	else
		rwlock_read_done(cpu, &head->lock);
}

static bool is_dead(const struct range_head *head)
{
	return head->dead && QUIRE_SAFEGUARD(dead_recheck);
}

/* Hold the leaf that is for @at. */
static inline struct range_place lock_leaf(struct quire_cpu **cpu, struct range_tree *tree, uint64_t at,
					   bool write)
{
	for (;;) {
		quire_port_rcu_lock(*cpu);
		struct range_place place = range_place_of(tree, 0, at);
		struct range_head *head = place.head;
		enum rwlock_found how = rwlock_found(cpu, &head->lock, write, &head->refs);
		bool good = how != RWLOCK_GONE && !is_dead(head);

		if (how != RWLOCK_GONE && !good)
			unlock(*cpu, head, write);
		if (how == RWLOCK_WAITED)
			head_put(*cpu, head); /* alive and locked, it has the tree's reference */
		else
			quire_port_rcu_unlock(*cpu);
		if (good)
			return place;
	}
}

/* ---- what to hold ------------------------------------------------------------------------------------ */

/* A change of ranges in [start, end) leaves the leaf's bounds alone: it has room, and does not run empty. */
static bool leaf_suffices(const struct range_place *place, unsigned slot, uint64_t start, uint64_t end,
			  unsigned more)
{
	const struct range_node *leaf = place->node;
	unsigned meets = 0;

	if (leaf->live + more > RANGE_FANOUT)
		return false;
	if (!place->lo && place->hi == RANGE_TREE_END)
		return true;
	for (slot += leaf->end[slot] <= start; slot < leaf->n && leaf->key[slot] < end; slot++)
		meets += range_item(leaf, slot) != NULL;
	return leaf->live > meets;
}

/* Changes of ranges in [start, end) below @node neither split it nor join it with another. */
static bool inner_suffices(const struct range_node *node, uint64_t start, uint64_t end, unsigned more)
{
	unsigned meets = range_slot(node, end - 1) - range_slot(node, start);

	return node->n + more <= RANGE_FANOUT && node->n >= RANGE_FILL_MIN + meets + 2;
}

struct cover {
	uint64_t lo, hi;
};

/* Under RCU: the numbers below the lowest inner node that no change of [start, end) takes out. */
static struct cover cover_of(const struct range_tree *tree, uint64_t start, uint64_t end, unsigned more)
{
	const struct range_node *node = range_root(tree);
	struct cover cover = { 0, RANGE_TREE_END }, at = cover;

	while (node->level > 1) {
		unsigned slot = range_slot(node, start);

		at.lo = slot ? node->key[slot] : at.lo;
		at.hi = slot + 1 < node->n ? node->key[slot + 1] : at.hi;
		if (end > at.hi)
			break;
		node = range_child(node, slot);
		if (inner_suffices(node, start, end, more))
			cover = at;
	}
	return cover;
}

/* ---- holding ----------------------------------------------------------------------------------------- */

static void unlock_leaves(struct quire_cpu *cpu, const struct range_hold *hold)
{
	struct range_place place;

	quire_port_rcu_lock(cpu);
	for (uint64_t at = hold->lo; at < hold->hi; at = place.hi) {
		place = range_place_of(hold->tree, 0, at);
		unlock(cpu, place.head, hold->write);
	}
	quire_port_rcu_unlock(cpu);
}

void range_hold_done(struct quire_cpu *cpu, struct range_hold *hold)
{
	if (!hold->one) {
		range_stock_drain(cpu, &hold->stock);
		unlock_leaves(cpu, hold);
		return;
	}
	/* Once unlocked, it may be another's to take out. */
	quire_port_rcu_lock(cpu);
	unlock(cpu, hold->one, hold->write);
	quire_port_rcu_unlock(cpu);
}

/* All leaves of [hold->lo, at least @end); hold->hi is then where the last one ends. */
static void lock_leaves(struct quire_cpu **cpu, struct range_hold *hold, uint64_t end)
{
	struct range_place place;

	for (uint64_t at = hold->lo; at < end; at = place.hi) {
		place = lock_leaf(cpu, hold->tree, at, hold->write);
		if (at == hold->lo)
			hold->lo = place.lo;
		hold->hi = place.hi;
	}
}

void range_hold_read(struct quire_cpu **cpu, struct range_tree *tree, uint64_t start, uint64_t end,
		     struct range_hold *hold)
{
	*hold = (struct range_hold){ .tree = tree, .lo = start };
	lock_leaves(cpu, hold, end);
}

/* One leaf, if that suffices. False: nothing is held. */
static bool hold_one(struct quire_cpu **cpu, uint64_t start, uint64_t end, unsigned more,
		     struct range_hold *hold)
{
	struct range_place place = lock_leaf(cpu, hold->tree, start, true);

	place.node = range_leaf(place.head);
	hold->near = range_slot(place.node, start);
	if (end <= place.hi && leaf_suffices(&place, hold->near, start, end, more)) {
		hold->lo = place.lo;
		hold->hi = place.hi;
		hold->one = place.head;
		return true;
	}
	quire_port_rcu_lock(*cpu);
	unlock(*cpu, place.head, true);
	quire_port_rcu_unlock(*cpu);
	return false;
}

static struct cover look_for_cover(struct quire_cpu *cpu, const struct range_tree *tree, uint64_t start,
				   uint64_t end, unsigned more)
{
	quire_port_rcu_lock(cpu);
	struct cover cover = cover_of(tree, start, end, more);
	quire_port_rcu_unlock(cpu);
	return cover;
}

/*
 * All that is below a node which a change of [start, end) does not take out. False: that is not above @floor.
 */
static bool hold_several(struct quire_cpu **cpu, uint64_t start, uint64_t end, unsigned more, uint64_t floor,
			 struct range_hold *hold)
{
	for (;;) {
		struct cover cover = look_for_cover(*cpu, hold->tree, start, end, more);

		if (cover.lo < floor)
			return false;
		hold->lo = cover.lo;
		lock_leaves(cpu, hold, cover.hi);
		/* It may have changed before the last leaf was locked. Not from now on. */
		cover = look_for_cover(*cpu, hold->tree, start, end, more);
		if (cover.lo >= hold->lo && cover.hi <= hold->hi)
			return true;
		unlock_leaves(*cpu, hold);
	}
}

/* The leaf that @start is in; to wait for one that is held below @floor would be to wait for oneself. */
static bool is_above(struct quire_cpu *cpu, const struct range_tree *tree, uint64_t start, uint64_t floor)
{
	quire_port_rcu_lock(cpu);
	bool above = range_place_of(tree, 0, start).lo >= floor;
	quire_port_rcu_unlock(cpu);
	return above;
}

bool range_hold_write(struct quire_cpu **cpu, struct range_tree *tree, uint64_t start, uint64_t end,
		      unsigned more, uint64_t floor, struct range_hold *hold)
{
	quire_assert(start < end);
	quire_assert(more <= RANGE_MORE_MAX || (more == RANGE_MORE_ANY && !start && end == RANGE_TREE_END));
	hold->tree = tree;
	hold->write = true;
	hold->one = NULL;
	if (floor && !is_above(*cpu, tree, start, floor))
		return false;
	if (more != RANGE_MORE_ANY && hold_one(cpu, start, end, more, hold))
		return true;
	hold->stock = (struct range_stock){ 0 };
	return hold_several(cpu, start, end, more, floor, hold);
}

/* ---- the stock --------------------------------------------------------------------------------------- */

static void stock_shrink(struct quire_cpu *cpu, struct range_stock *stock, unsigned nodes, unsigned heads)
{
	while (stock->node_count > nodes) {
		struct range_node *node = stock->nodes;

		stock->nodes = node->next;
		stock->node_count--;
		object_free(cpu, node, sizeof(*node));
	}
	while (stock->head_count > heads) {
		struct range_head *head = stock->heads;

		stock->heads = head->next;
		stock->head_count--;
		object_free(cpu, head, sizeof(*head));
	}
}

void range_stock_drain(struct quire_cpu *cpu, struct range_stock *stock)
{
	stock_shrink(cpu, stock, 0, 0);
}

static bool stock_grow(struct quire_cpu *cpu, struct range_stock *stock, unsigned nodes, unsigned heads)
{
	while (stock->node_count < nodes) {
		struct range_node *node = object_alloc_raw(cpu, sizeof(*node)); /* large, and never full */

		if (!node)
			return false;
		node->next = stock->nodes;
		stock->nodes = node;
		stock->node_count++;
	}
	while (stock->head_count < heads) {
		struct range_head *head = object_alloc(cpu, sizeof(*head));

		if (!head)
			return false;
		head->next = stock->heads;
		stock->heads = head;
		stock->head_count++;
	}
	return true;
}

int range_stock_fill(struct quire_cpu *cpu, struct range_stock *stock, unsigned nodes, unsigned heads)
{
	unsigned had_nodes = stock->node_count, had_heads = stock->head_count;

	if (stock_grow(cpu, stock, nodes, heads))
		return 0;
	stock_shrink(cpu, stock, had_nodes, had_heads);
	return -QUIRE_ENOMEM;
}

/* Mostly it is there, and costs the look. */
int range_hold_reserve(struct quire_cpu *cpu, struct range_hold *hold)
{
	if (!hold->one)
		return range_stock_fill(cpu, &hold->stock, 3 * (range_root(hold->tree)->level + 1), 3);
	if (!hold->one->spare)
		hold->one->spare = object_alloc_raw(cpu, sizeof(*hold->one->spare));
	return hold->one->spare ? 0 : -QUIRE_ENOMEM;
}

/* ---- looking at what is held ------------------------------------------------------------------------- */

void *range_hold_find(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t at)
{
	struct range range = { 0, 0, NULL };

	quire_assert(at >= hold->lo && at < hold->hi);
	if (hold->one) {
		const struct range_node *leaf = range_leaf(hold->one);
		unsigned slot = range_slot_near(leaf, hold->near, at);

		return leaf->key[slot] <= at && at < leaf->end[slot] ? range_item(leaf, slot) : NULL;
	}
	quire_port_rcu_lock(cpu); /* nodes above what is held may go */
	range_tree_find(hold->tree, at, &range);
	quire_port_rcu_unlock(cpu);
	return range.item;
}

void *range_hold_meets(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t start, uint64_t end)
{
	struct range range = { 0, 0, NULL };
	void *item = NULL;

	quire_assert(start >= hold->lo && end <= hold->hi);
	if (hold->one) {
		const struct range_node *leaf = range_leaf(hold->one);
		unsigned slot = range_slot_near(leaf, hold->near, start);

		for (slot += leaf->end[slot] <= start; slot < leaf->n && leaf->key[slot] < end && !item;
		     slot++)
			item = range_item(leaf, slot);
		return item;
	}
	quire_port_rcu_lock(cpu);
	if (range_tree_next(hold->tree, start, &range) && range.start < end)
		item = range.item;
	quire_port_rcu_unlock(cpu);
	return item;
}

struct range_pair range_hold_around(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t from,
				    uint64_t to)
{
	struct range_pair pair = { NULL, NULL };
	struct range range;

	if (hold->one) {
		const struct range_node *leaf = range_leaf(hold->one);

		return range_leaf_around(leaf, range_slot_near(leaf, hold->near, from), from, to);
	}
	quire_port_rcu_lock(cpu);
	if (range_tree_prev(hold->tree, from, &range) && range.start >= hold->lo)
		pair.prev = range.item;
	if (range_tree_next(hold->tree, to, &range) && range.end <= hold->hi)
		pair.next = range.item;
	quire_port_rcu_unlock(cpu);
	return pair;
}
