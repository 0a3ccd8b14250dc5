/*
 * rangetree.h - disjoint ranges [start, end) of 64-bit numbers, each with an item, searched under RCU, and
 * changed in several places at once.
 *
 * A B+tree with wide nodes. Searches take no lock and write nothing (VMA-1). A change first holds the leaves
 * whose ranges it may change; changes that hold different leaves share no line, as a rule not even one that
 * either reads (VMA-6). rangehold.c says how, rangetree.c how nodes are replaced.
 */
#ifndef QUIRE_BASE_RANGETREE_H
#define QUIRE_BASE_RANGETREE_H

#include "object.h"
#include "sync.h"

struct range {
	uint64_t start, end; /* [start, end), end above start */
	void *item;	     /* not NULL */
};

struct range_node;
struct range_head;

struct range_tree {
	struct range_node *_Atomic root; /* release by changes, acquire by searches */
	_Atomic uint32_t leaves;	 /* relaxed; with RANGE_FANOUT_MAX ranges each at most */
};

/* Nodes and heads set aside for a change to come. */
struct range_stock {
	struct range_node *nodes;
	struct range_head *heads;
	unsigned node_count, head_count;
};

int range_tree_init(struct quire_cpu *cpu, struct range_tree *tree); /* -ENOMEM */

/* No more ranges than that are there: exact is only range_tree_check(). */
uint64_t range_tree_count_max(struct range_tree *tree);

/*
 * Holding: the leaves that are for [start, end), to change their ranges, or to look at them and keep them as
 * they are. Meanwhile nobody else changes what lies in them, gaps included.
 */
struct range_hold {
	struct range_tree *tree;
	uint64_t lo, hi;	/* whole leaves */
	struct range_head *one; /* the only one, when none may come or go; or NULL */
	unsigned near;		/* of that one, an entry where what follows will look */
	bool write;
	struct range_stock stock; /* where @one is NULL */
};

/* Every number there is. */
#define RANGE_ALL 0, UINT64_MAX

#define RANGE_MORE_MAX 4
#define RANGE_MORE_ANY 1000u /* for a hold of everything */

/*
 * SLEEP, with no spin lock held; of several holds at a time the one that begins lower comes first. To change:
 * ranges that meet [start, end) may go or change, and @more come, up to RANGE_MORE_MAX; more than one leaf is
 * held where that could take leaves in or out. False, with nothing held: it would hold what is below @floor,
 * 0 being below nothing.
 */
bool range_hold_write(struct quire_cpu **cpu, struct range_tree *tree, uint64_t start, uint64_t end,
		      unsigned more, uint64_t floor, struct range_hold *hold);
void range_hold_read(struct quire_cpu **cpu, struct range_tree *tree, uint64_t start, uint64_t end,
		     struct range_hold *hold);
void range_hold_done(struct quire_cpu *cpu, struct range_hold *hold);

/* Memory for the next range_tree_replace() in this hold, whatever it is. -ENOMEM: nothing happened. */
int range_hold_reserve(struct quire_cpu *cpu, struct range_hold *hold);

/*
 * Make the window [start, end), which is held, contain exactly the @n ranges @with, ascending, inside it, n
 * from 0 to 4. No range of the tree lies partly in the window: a caller who cuts one makes the window cover
 * it and gives back the pieces. Memory for it was reserved, so it cannot fail.
 */
void range_tree_replace(struct quire_cpu *cpu, struct range_hold *hold, uint64_t start, uint64_t end,
			const struct range *with, unsigned n);

/*
 * The tree goes, whatever is in it, and the hold, which is of all of it. Nobody begins to search it any more.
 */
void range_tree_destroy(struct quire_cpu *cpu, struct range_hold *hold);

/*
 * What is in held leaves, exactly. The item, or NULL where there is none. Around: the last before @from and
 * the first that ends after @to, as far as they are held.
 */
void *range_hold_find(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t at); /* contains @at */
void *range_hold_meets(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t start, uint64_t end);
struct range_pair {
	void *prev, *next;
};
struct range_pair range_hold_around(struct quire_cpu *cpu, const struct range_hold *hold, uint64_t from,
				    uint64_t to);

/*
 * Searches, under RCU: what they find was there at some moment since the section began. Return false when
 * there is none; *out may be NULL.
 */
bool range_tree_find(const struct range_tree *tree, uint64_t at, struct range *out); /* that contains @at */
void *range_tree_at(const struct range_tree *tree, uint64_t at);		     /* its item, or NULL */
bool range_tree_next(const struct range_tree *tree, uint64_t at,
		     struct range *out); /* the first with end > at */
bool range_tree_prev(const struct range_tree *tree, uint64_t at,
		     struct range *out); /* the last with start < at */

/*
 * range_tree_prev() of @from and range_tree_next() of @to, which is not below it: their items, or NULL. One
 * search as a rule.
 */
struct range_pair range_tree_around(const struct range_tree *tree, uint64_t from, uint64_t to);

/*
 * Gaps between ranges, for @size, inside [low, high): the highest address (down) or lowest (up) where a gap
 * of @size begins; -1 (all ones) when there is none. Only gaps matter that no range of the tree touches.
 * Under RCU. Exact when nobody changes the tree, else a proposal. Not linear in the number of ranges where
 * large gaps are rare (rangegap.c).
 */
uint64_t range_tree_gap_down(struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size,
			     struct range *above); /* the range above it, be that above @high; item or NULL */
uint64_t range_tree_gap_up(struct range_tree *tree, uint64_t low, uint64_t high, uint64_t size);

/*
 * Debug and tests, all of it held: order, bounds, fill; and where nobody searches for a gap, what is known of
 * those. False and *what on a violation; or how many ranges.
 */
bool range_tree_check(const struct range_tree *tree, bool quiet, const char **what, uint64_t *ranges);

#endif
