/*
 * rmap.h - reverse mapping: from a page to every address that maps it (BASE-4).
 *
 * A VMA embeds one struct rmap_node. A file VMA hangs in its file's interval tree by it. A VMA that has, or
 * had, anonymous pages has an anon_vma, and hangs by chains in the interval trees of it and of the
 * anon_vmas that it descends from:
 *
 *	parent's VMA --chain--> anon_vma P <--chain-- child's VMA --chain--> anon_vma C
 *	  pages from before the fork: owner P, in both	pages the child made after it: owner C, in it alone
 *
 * So a search for a child's own page never visits its siblings: the cost does not grow with unrelated
 * processes. The shapes are Linux's exactly, reuse of an anon_vma by a grandchild included, because whether
 * two VMAs may merge depends on them and the result is visible in /proc/PID/maps.
 *
 * Locks: R  file side: file->rmap_lock, written to change, read to walk; anon side: the root anon_vma's lock
 *        S  the VMA's own serialisation (its door, or its range held): who may change the node at all
 *        To change start, end or pgoff both S and every R that the node hangs in are needed:
 *        rmap_node_move().
 */
#ifndef QUIRE_STORE_RMAP_H
#define QUIRE_STORE_RMAP_H

#include "../base/interval.h"
#include "../table/cursor.h"

struct anon_vma;

/* One node on one anon_vma. */
struct anon_chain {
	struct rmap_node *node;	  /* P */
	struct anon_vma *anon;	  /* P */
	struct list same_node;	  /* S of the node */
	struct interval interval; /* R: by page offset */
	bool in_tree;		  /* R */
};

/* The neighbours in the file's tree write to in_file: what faults read is not beside its links (VMA-6). */
struct rmap_node {
	struct quire_as *as;	 /* fixed */
	quire_vaddr start, end;	 /* R and S; page aligned */
	uint64_t pgoff;		 /* R and S; page offset of start, in the file or the anonymous numbering */
	struct quire_file *file; /* fixed; NULL when anonymous. The reference is the VMA's, not the node's */
	struct anon_vma *_Atomic anon; /* S; set once, by anon_prepare(), release: where new pages belong */
	bool shared;		       /* fixed; a private file node can have both sides */
	bool attached;		       /* S: its file's tree has it */
	_Atomic bool own_taken;	       /* by anon_prepare(): the last field */
	_Atomic uint32_t chain_count;  /* S; read without it by anon_is_single() */
	struct interval in_file;       /* R */
	struct list chains;	       /* S: struct anon_chain, oldest ancestor last */
	struct anon_chain own;	       /* the chain to an anon_vma of the node's own; most have no other */
};

static inline uint64_t rmap_index(const struct rmap_node *node, quire_vaddr va)
{
	return node->pgoff + ((va - node->start) >> QUIRE_PAGE_SHIFT);
}

static inline quire_vaddr rmap_address(const struct rmap_node *node, uint64_t index)
{
	return node->start + ((index - node->pgoff) << QUIRE_PAGE_SHIFT);
}

/* It hangs nowhere; bounds, file and shared are the caller's to set. */
void rmap_node_init(struct rmap_node *node, struct quire_as *as);

/* Neither a file nor a lineage: no page leads to it. Most mappings are made so. */
static inline bool rmap_is_bare(const struct rmap_node *node)
{
	return !node->file && list_empty(&node->chains);
}

/* Of one that is not bare. */
void rmap_hang(struct quire_cpu **cpu, struct rmap_node *node);
void rmap_unhang(struct quire_cpu **cpu, struct rmap_node *node);

/*
 * Hang the node in its file's tree and its chains' trees by its present bounds, or take it out of them.
 * SLEEP. What is done already is not done again; a bare node may be attached and detached too: nothing
 * happens.
 */
static inline void rmap_node_attach(struct quire_cpu **cpu, struct rmap_node *node)
{
	if (!rmap_is_bare(node))
		rmap_hang(cpu, node);
}

static inline void rmap_node_detach(struct quire_cpu **cpu, struct rmap_node *node)
{
	if (!rmap_is_bare(node))
		rmap_unhang(cpu, node);
}

/*
 * Give the node other bounds. SLEEPS. In one step for every walk: a truncation that comes meanwhile meets
 * the node with its old bounds or its new ones, never without any. A node that is not attached stays so.
 */
void rmap_node_move(struct quire_cpu **cpu, struct rmap_node *node, quire_vaddr start, quire_vaddr end,
		    uint64_t pgoff);

/*
 * Hold all walks off the node's file and lineage while entries move (mremap): a walk that has passed the
 * place where they are now, and comes too late to where they were, would miss them. SLEEP; no node of that
 * file or lineage is changed meanwhile.
 */
void rmap_node_lock(struct quire_cpu **cpu, struct rmap_node *node);
void rmap_node_unlock(struct quire_cpu **cpu, struct rmap_node *node);

/*
 * The anonymous side. All SLEEP (the root's lock is an rwlock). -ENOMEM changes nothing.
 */

/*
 * Give the node an anon_vma to own new pages: @reuse, a neighbour's that it may share, or a new one.
 * Serialised against itself (two faulting threads); a second call returns 0 at once.
 */
int anon_prepare(struct quire_cpu **cpu, struct rmap_node *node, struct anon_vma *reuse);

/*
 * @to, with no chains, gets all of @from's chains and its anon_vma: the other half of a split, a moved
 * copy, a merge. @to's bounds are set; its chains are in the trees afterwards.
 */
int anon_clone(struct quire_cpu **cpu, struct rmap_node *to, struct rmap_node *from);

/*
 * fork: like a clone, then an anon_vma of the child's own (or a reused childless one, as Linux does: an
 * ancestor with fewer than two children and no VMA of its own). @from without anon_vma: nothing to do.
 */
int anon_fork(struct quire_cpu **cpu, struct rmap_node *to, struct rmap_node *from);

/*
 * Take the node out of all chains; anon_vmas that nobody needs any more go (zoo 18: not while a page can
 * lead to them).
 */
void anon_unlink(struct quire_cpu **cpu, struct rmap_node *node);

/*
 * Has it no more than one chain? What Linux's merge rule asks ("not cloned from a parent"). None it has while
 * anon_prepare() is about to give it its one, whose anon_vma may already be seen.
 */
bool anon_is_single(const struct rmap_node *node);

/*
 * Walks. @visit is called for every node that may map the pages, under the lock that keeps it there
 * (rmap_lock or the root's, read); it may sleep, may open cursors, must not attach or detach. It returns
 * false to end the walk.
 */
struct rmap_visit {
	bool (*node)(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node, quire_vaddr va,
		     uint64_t pages); /* [va, va + pages) of the node meets the range asked for */
};

void rmap_walk_file(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last,
		    struct rmap_visit *visit);
/* @folio is ANON, referenced, locked (so that its owner cannot go), and mapped or once mapped. */
void rmap_walk_anon(struct quire_cpu **cpu, struct folio *folio, struct rmap_visit *visit);

/* Either, by the folio's kind. A FILE folio is locked. */
void rmap_walk_folio(struct quire_cpu **cpu, struct folio *folio, struct rmap_visit *visit);

#endif
