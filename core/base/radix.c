/*
 * radix.c - a map from a 64-bit index to a pointer, searched under RCU.
 *
 * Each node looks at one group of the index's bits, QUIRE_RADIX_SHIFT of them at `shift`. Levels at which
 * only one way leads on have no node: a node says which indices it is for by its prefix, and a search
 * compares. So every node but a leaf (shift 0) has two children at least, a tree of n entries has fewer
 * than 2n nodes however far its indices lie apart, and an insertion needs two new nodes at most: a leaf,
 * and one where its way parts from another's.
 *
 *	{ 3: a, 300003: b }, 6 bits a level:	      node, shift 18
 *						     /0		    \1
 *					leaf 0..63: a		  leaf 299968..300031: b
 *
 * Prefix and shift are fixed once a node is reachable; slots change by single release stores. A node that
 * was taken out keeps its slots until its grace period has passed, so a search inside it goes on as if it
 * had come earlier.
 *
 * Order:   changes under the caller's lock, searches under RCU or that lock.
 * Errors:  -ENOMEM from radix_stock_fill() alone.
 */
#include "radix.h"

#include "assert.h"
#include "bits.h"
#include "list.h"
#include "../base/safeguard.h"

#define SLOTS (1u << QUIRE_RADIX_SHIFT)
#define INSERT_NODES 2 /* a leaf, and a node where two ways part */

struct radix_node {
	uint64_t prefix; /* the lowest index it is for; fixed */
	uint32_t shift;	 /* fixed */
	uint32_t used;	 /* slots that are not NULL; under the changes' lock */
	union {
		struct quire_rcu rcu;
		struct radix_node *next; /* in a stock */
	};
	void *_Atomic slots[SLOTS]; /* release by changes, acquire by searches: items in a leaf, else nodes */
};

int radix_stock_fill(struct quire_cpu *cpu, struct radix_stock *stock)
{
	while (stock->count < INSERT_NODES) {
		struct radix_node *node = object_alloc(cpu, sizeof(*node));

		if (!node)
			return -QUIRE_ENOMEM;
		node->next = stock->nodes;
		stock->nodes = node;
		stock->count++;
	}
	return 0;
}

void radix_stock_drain(struct quire_cpu *cpu, struct radix_stock *stock)
{
	while (stock->nodes) {
		struct radix_node *node = stock->nodes;

		stock->nodes = node->next;
		object_free(cpu, node, sizeof(*node));
	}
	stock->count = 0;
}

static void node_free(struct quire_cpu *cpu, struct quire_rcu *head)
{
	object_free(cpu, container_of(head, struct radix_node, rcu), sizeof(struct radix_node));
}

static void retire(struct quire_cpu *cpu, struct radix_node *node)
{
	node->rcu.done = node_free;
	if (QUIRE_SAFEGUARD(index_grace))
		quire_port_rcu_call(cpu, &node->rcu);
	else
		node_free(cpu, &node->rcu);
}

static struct radix_node *root_of(const struct radix *radix)
{
	return atomic_load_explicit(&radix->root,
				    memory_order_acquire); /* pairs with the release in link_to() */
}

static void *slot_of(const struct radix_node *node, unsigned slot)
{
	return atomic_load_explicit(&node->slots[slot],
				    memory_order_acquire); /* pairs with set_slot()'s release */
}

static void set_slot(struct radix_node *node, unsigned slot, void *to)
{
	atomic_store_explicit(&node->slots[slot], to, memory_order_release);
}

static unsigned digit(uint64_t index, unsigned shift)
{
	return (unsigned)(index >> shift) & (SLOTS - 1);
}

/* The last index that @node is for. The topmost node's shift may leave fewer bits than a digit has. */
static uint64_t last_index(const struct radix_node *node)
{
	unsigned bits = node->shift + QUIRE_RADIX_SHIFT;

	return bits >= 64 ? UINT64_MAX : node->prefix | ((1ul << bits) - 1);
}

static bool is_for(const struct radix_node *node, uint64_t index)
{
	return index >= node->prefix && index <= last_index(node);
}

/* Where a pointer to a node stands: in a slot of @parent, or in the root when that is NULL. */
struct link {
	struct radix_node *parent;
	unsigned slot;
};

static void link_to(struct radix *radix, struct link link, struct radix_node *node)
{
	if (link.parent)
		set_slot(link.parent, link.slot, node);
	else
		atomic_store_explicit(&radix->root, node, memory_order_release);
}

static struct radix_node *stock_take(struct radix_stock *stock, uint64_t index, unsigned shift)
{
	struct radix_node *node = stock->nodes;
	unsigned bits = shift + QUIRE_RADIX_SHIFT;

	quire_assert(node);
	stock->nodes = node->next;
	stock->count--;
	node->next = NULL;
	node->prefix = bits >= 64 ? 0 : align_down(index, 1ul << bits);
	node->shift = shift;
	return node;
}

/* A node over @below, whose way parts from @index's there; it is not reachable yet. */
static struct radix_node *part(struct radix_stock *stock, struct radix_node *below, uint64_t index)
{
	unsigned shift = log2_u64(index ^ below->prefix) / QUIRE_RADIX_SHIFT * QUIRE_RADIX_SHIFT;
	struct radix_node *node = stock_take(stock, index, shift);

	set_slot(node, digit(below->prefix, shift), below);
	node->used = 1;
	return node;
}

void radix_insert(struct quire_cpu *cpu, struct radix *radix, struct radix_stock *stock, uint64_t index,
		  void *item)
{
	struct radix_node *node = root_of(radix);
	struct link link = { 0 };

	(void)cpu;
	while (node && is_for(node, index) && node->shift) {
		link = (struct link){ node, digit(index, node->shift) };
		node = slot_of(node, link.slot);
	}
	radix->count++;
	if (node && is_for(node, index)) {
		quire_assert(!slot_of(node, digit(index, 0)));
		node->used++;
		set_slot(node, digit(index, 0), item);
		return;
	}

	struct radix_node *leaf = stock_take(stock, index, 0), *top = leaf;
	set_slot(leaf, digit(index, 0), item);
	leaf->used = 1;
	if (node) {
		top = part(stock, node, index);
		set_slot(top, digit(index, top->shift), leaf);
		top->used++;
	} else if (link.parent) {
		link.parent->used++;
	}
	link_to(radix, link, top);
}

static struct radix_node *only_child(const struct radix_node *node)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct radix_node *child = slot_of(node, slot);

		if (child)
			return child;
	}
	return NULL;
}

/* @leaf, at @link, is empty: take it out, and its parent at @above too where that has one way left. */
static void take_out(struct quire_cpu *cpu, struct radix *radix, struct radix_node *leaf, struct link link,
		     struct link above)
{
	link_to(radix, link, NULL);
	retire(cpu, leaf);
	if (link.parent && --link.parent->used == 1) {
		link_to(radix, above, only_child(link.parent));
		retire(cpu, link.parent);
	}
}

void *radix_remove(struct quire_cpu *cpu, struct radix *radix, uint64_t index)
{
	struct radix_node *node = root_of(radix);
	struct link link = { 0 }, above = { 0 };

	while (node && is_for(node, index) && node->shift) {
		above = link;
		link = (struct link){ node, digit(index, node->shift) };
		node = slot_of(node, link.slot);
	}
	if (!node || !is_for(node, index))
		return NULL;

	void *item = slot_of(node, digit(index, 0));
	if (!item)
		return NULL;
	radix->count--;
	set_slot(node, digit(index, 0), NULL);
	if (--node->used == 0)
		take_out(cpu, radix, node, link, above);
	return item;
}

void *radix_find(const struct radix *radix, uint64_t index)
{
	const struct radix_node *node = root_of(radix);

	while (node && is_for(node, index)) {
		void *in = slot_of(node, digit(index, node->shift));

		if (!node->shift)
			return in;
		node = in;
	}
	return NULL;
}

/*
 * The first item at or after @*index in @node's part, which @*index then names. As deep as the tree is
 * high.
 */
static void *next_below(const struct radix_node *node, uint64_t *index)
{
	uint64_t at = max_u64(*index, node->prefix);
	unsigned from = digit(at, node->shift);

	if (at > last_index(node))
		return NULL;
	for (unsigned slot = from; slot < SLOTS; slot++) {
		void *in = slot_of(node, slot);

		if (!in)
			continue;
		if (slot != from)
			at = node->prefix + ((uint64_t)slot << node->shift);
		if (node->shift)
			in = next_below(in, &at);
		if (in) {
			*index = at;
			return in;
		}
	}
	return NULL;
}

void *radix_next(const struct radix *radix, uint64_t *index)
{
	const struct radix_node *root = root_of(radix);

	return root ? next_below(root, index) : NULL;
}
