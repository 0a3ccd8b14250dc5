/*
 * anon.h - an anonymous lineage's inside, for rmap.c and anon.c only.
 */
#ifndef QUIRE_STORE_ANON_H
#define QUIRE_STORE_ANON_H

#include "../base/object.h"
#include "rmap.h"

/*
 * What owns the anonymous pages born in a VMA, and finds the VMAs that may map them.
 *
 * Locks:  P fixed    C atomic    L the root's lock, written to change, read to walk
 */
struct anon_vma {
	struct anon_vma *root; /* P: of the lineage; itself for the first. Referenced when another */
	/* P: itself for the root. Lives as long as chains lead here: their nodes have chains to it too. */
	struct anon_vma *parent;
	struct rwlock lock;	  /* the root's serves the whole lineage */
	_Atomic uint32_t refs;	  /* C: one for all chains together, one a walk; on a root one a descendant */
	uint64_t chain_count;	  /* L: chains that lead here */
	uint64_t num_children;	  /* L: anon_vmas with this parent that have chains; a root counts itself */
	uint64_t num_active_vmas; /* L: nodes whose ->anon this is */
	struct interval_tree nodes; /* L: of struct anon_chain */
	struct quire_rcu rcu;
};

/* The lock of the lineage that the node hangs in; NULL when it hangs in none. S. */
struct rwlock *anon_lock_of(const struct rmap_node *node);

/*
 * Under that lock, written: put the node's chains into their trees by its present bounds, or take them
 * out.
 */
void anon_chains_insert(struct rmap_node *node);
void anon_chains_remove(struct rmap_node *node);

/* The owner of an anonymous folio, with a reference; NULL when the folio is mapped nowhere. */
struct anon_vma *anon_get_of(struct quire_cpu *cpu, struct folio *folio);
void anon_put(struct quire_cpu *cpu, struct anon_vma *anon);

#endif
