/*
 * rangenode.h - the nodes of a range tree, for the files that change, hold and search one.
 *
 *	root (level 2)	[ key | key | ... ]			inner nodes: copied to be changed
 *			  |
 *	level 1		[ key | key | key | ... ]
 *			  |     |
 *	heads		[lock][lock]				one for each leaf, as long as its bounds last
 *			  |     |
 *	leaves		[start end item | start end item | ...]	copied to be changed, under the head's lock
 *
 * Child i is for the numbers [key[i], key[i + 1]), the last one up to the node's own end; an inner node's
 * key[0] is where it begins itself. The root is an inner node always. Beside each child stands what the gap
 * search must know to pass it by.
 */
#ifndef QUIRE_BASE_RANGENODE_H
#define QUIRE_BASE_RANGENODE_H

#include "rangetree.h"

#define RANGE_FANOUT QUIRE_RANGE_FANOUT
#define RANGE_FILL_MIN (RANGE_FANOUT / 3 > 2 ? RANGE_FANOUT / 3 : 2) /* in an inner node but the root */
#define RANGE_LEVELS_MAX 32	  /* more ranges than 2^32 do not fit in memory */
#define RANGE_TREE_END UINT64_MAX /* the end of all numbers */

/*
 * Locks:  L the head's lock, of a leaf        P fixed once the node is published
 *         A stored in a published node too, under L of the leaf, or of all leaves below: child and item with
 *           release, pairs with the acquire of range_child() and range_item()
 *         G atomic, relaxed: rangegap.c
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
			void *_Atomic child[RANGE_FANOUT]; /* A: a node; at level 1, a head */
			_Atomic uint64_t
				gap[RANGE_FANOUT]; /* G, above level 1: behind a range below it, at most */
		};
	};
	union {
		struct quire_rcu rcu;	 /* once taken out */
		struct range_node *next; /* in a stock */
	};
	uint32_t live; /* L: a leaf's ranges that are no holes; 0 only where it is the only leaf */
};

/* A leaf's place: what stays when the leaf is copied. Searches do not read the line that holders write. */
struct range_head {
	struct range_node *_Atomic leaf; /* L to store, with release; pairs with range_leaf() */
	_Atomic uint64_t gap;		 /* G: behind a range of the leaf, at most */
	_Alignas(64) struct rwlock lock;
	_Atomic uint32_t refs;	  /* the tree's, and who waits for the lock */
	bool dead;		  /* L: another one is for these numbers now */
	struct range_node *spare; /* L: for the leaf's next copy; or NULL */
	union {
		struct quire_rcu rcu;	 /* once nobody has a reference */
		struct range_head *next; /* in a stock */
	};
};

static inline struct range_node *range_root(const struct range_tree *tree)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&tree->root, memory_order_acquire);
}

static inline void *range_child(const struct range_node *node, unsigned slot)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&node->child[slot], memory_order_acquire);
}

static inline struct range_node *range_leaf(const struct range_head *head)
{
	/* Acquire pairs with the release in change_leaf(). */
	return atomic_load_explicit(&head->leaf, memory_order_acquire);
}

static inline void *range_item(const struct range_node *leaf, unsigned slot)
{
	/* Acquire pairs with the release in range_tree_replace(). */
	return atomic_load_explicit(&leaf->item[slot], memory_order_acquire);
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

/* The same for an inner node, which has one child where there is but one leaf: then nothing is compared. */
static inline unsigned range_child_slot(const struct range_node *node, uint64_t at)
{
	return node->n == 1 ? 0 : range_slot(node, at);
}

/* As range_slot(), for what is near @slot. */
static inline unsigned range_slot_near(const struct range_node *node, unsigned slot, uint64_t at)
{
	while (slot + 1 < node->n && node->key[slot + 1] <= at)
		slot++;
	while (slot && node->key[slot] > at)
		slot--;
	return slot;
}

/* The leaf that is for @at. */
static inline struct range_node *range_leaf_at(const struct range_tree *tree, uint64_t at)
{
	const struct range_node *node = range_root(tree);

	while (node->level > 1)
		node = range_child(node, range_slot(node, at));
	return range_leaf(range_child(node, range_child_slot(node, at)));
}

/* What range_tree_around() says, as far as it is in the leaf; @slot is @from's. */
struct range_pair range_leaf_around(const struct range_node *leaf, unsigned slot, uint64_t from, uint64_t to);

/* A node and where it stands. */
struct range_place {
	struct range_node *node, *parent; /* no parent: the root */
	struct range_head *head;	  /* of a leaf */
	unsigned slot;			  /* in the parent */
	uint64_t lo, hi;		  /* the numbers that the node is for */
};

/* The node of @level that is for @at. */
static inline struct range_place range_place_of(const struct range_tree *tree, unsigned level, uint64_t at)
{
	struct range_node *node = range_root(tree);
	struct range_place place = { .node = node, .lo = 0, .hi = RANGE_TREE_END };

	while (node->level > level) {
		unsigned slot = range_child_slot(node, at);

		place.parent = node;
		place.slot = slot;
		place.lo = slot ? node->key[slot] : place.lo;
		place.hi = slot + 1 < node->n ? node->key[slot + 1] : place.hi;
		if (node->level == 1) {
			place.head = range_child(node, slot);
			place.node = range_leaf(place.head);
			break;
		}
		place.node = node = range_child(node, slot);
	}
	return place;
}

/* How many entries of @node, holes too, begin before @key. */
static inline unsigned range_entries_before(const struct range_node *node, uint64_t key)
{
	unsigned slot = range_slot(node, key);

	return slot + (node->key[slot] < key);
}

/* Is that leaf, or the child of an only node, all there is? Then nobody asks how wide its gaps are. */
static inline bool range_is_one_leaf(const struct range_node *root)
{
	return root->level == 1 && root->n == 1;
}

/* Searches come by whatever gap is behind the range at @at, and up to which level that is not yet known. */
void range_gap_raise(struct range_tree *tree, unsigned level, uint64_t at, uint64_t gap);
/* Where the first range from @at on begins; no range lies across @at. */
uint64_t range_first_from(const struct range_tree *tree, uint64_t at);

/* The widest gap behind a range of the leaf, the last one's ending at @after. */
uint64_t range_leaf_gap(const struct range_node *leaf, uint64_t after);
uint64_t range_inner_gap(const struct range_node *node);

/* What is known of the gaps below a child. */
static inline _Atomic uint64_t *range_gap_word(const struct range_node *node, unsigned slot)
{
	if (node->level == 1)
		return &((struct range_head *)range_child(node, slot))->gap;
	return &((struct range_node *)node)->gap[slot];
}

static inline uint64_t range_gap(const struct range_node *node, unsigned slot)
{
	return atomic_load_explicit(range_gap_word(node, slot), memory_order_relaxed);
}

/* The tree lets go of a head, which its caller holds for writing: it is dead. */
void range_head_retire(struct quire_cpu *cpu, struct range_head *head);

/* So many nodes and heads at least. -ENOMEM leaves the stock as it was. */
int range_stock_fill(struct quire_cpu *cpu, struct range_stock *stock, unsigned nodes, unsigned heads);
void range_stock_drain(struct quire_cpu *cpu, struct range_stock *stock);

#endif
