/*
 * anon.c - anonymous lineages: who owns the pages born in a VMA, through splits, merges and forks.
 *
 * A VMA's first anonymous page gives it an anon_vma. A split or a move copies the chains, so that both
 * parts share it. A fork copies the chains and adds an anon_vma below the parent's, for pages that the
 * child makes for itself:
 *
 *	P: [a]  --fork-->  P: [a]        C: [c a]  --fork-->  G: [g c a]
 *	                   a: P C G      c: C G               g: G
 *
 * The counts decide two things that are visible from outside, so they are kept exactly as Linux keeps them.
 * num_active_vmas, nodes that make new pages here, and num_children: when a fork finds an ancestor with no
 * active node and fewer than two children, the child makes its pages there instead of below, or a long line
 * of forks, each parent gone by then, would grow a chain for ever. And a node with a single chain has
 * inherited nothing: only such a one shares its anon_vma with a neighbour, or merges with one that has
 * none.
 *
 * Lifetime. A folio points to its anon_vma without a reference: one a page would cost every fault. What
 * holds instead:
 *
 *	1. A node that maps a folio has a chain to the folio's owner: chains are copied before entries are.
 *	2. A node's entries are cleared before anon_unlink() takes its chains away.
 *	3. An anon_vma without chains is freed after a grace period.
 *
 *	walk					unmap
 *	enter RCU				clear the entry: maps -= 1
 *	owner = folio->owner			anon_unlink(): no chain is left, refs -= 1, hand over to RCU
 *	maps != 0 ?				... grace period ...
 *	raise refs unless it is 0		free
 *	leave RCU
 *
 * Had the grace period ended before the walk entered RCU, the walk would see what came before it: maps is
 * 0, and would stop. If it has not, the memory is still there, and refs tells whether the anon_vma lives.
 * Without the look at maps inside RCU the owner could be memory freed long ago. That maps may be raised by
 * another entry meanwhile does no harm: its node has a chain too, by 1.
 *
 * Order:   the root's lock is inside folio locks and the file's rmap_lock, outside table locks. A chain is
 *          under its node's S too.
 * Errors:  -ENOMEM, before anything was changed.
 * Rules:   BASE-1 (merging), BASE-4.
 */
#include "anon.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

static void free_after_grace(struct quire_cpu *cpu, struct quire_rcu *head)
{
	object_free(cpu, container_of(head, struct anon_vma, rcu), sizeof(struct anon_vma));
}

void anon_put(struct quire_cpu *cpu, struct anon_vma *anon)
{
	/* Acquire and release: the last one sees, and frees after, what all the others did. */
	if (atomic_fetch_sub_explicit(&anon->refs, 1, memory_order_acq_rel) != 1)
		return;

	quire_assert(anon->chain_count == 0 && anon->num_active_vmas == 0 && anon->nodes.root == NULL);
	struct anon_vma *root = anon->root;
	if (QUIRE_SAFEGUARD(anon_grace))
		quire_port_rcu_call(cpu, &anon->rcu);
	else
		free_after_grace(cpu, &anon->rcu);
	if (root != anon)
		anon_put(cpu, root);
}

struct anon_vma *anon_get_of(struct quire_cpu *cpu, struct folio *folio)
{
	struct anon_vma *anon = NULL;

	quire_port_rcu_lock(cpu);
	/* Acquire pairs with the release that set the owner before the folio was first mapped. */
	struct anon_vma *owner = atomic_load_explicit(&folio->owner, memory_order_acquire);
	/* Acquire pairs with the release in the cursor's change of it. See the head of this file. */
	if (owner != NULL && (atomic_load_explicit(&folio->maps, memory_order_acquire) != 0 ||
			      !QUIRE_SAFEGUARD(anon_mapped))) {
		uint32_t refs = atomic_load_explicit(&owner->refs, memory_order_relaxed);
		/* Acquire pairs with the release in anon_put(). */
		while (refs != 0 && anon == NULL) {
			if (atomic_compare_exchange_weak_explicit(&owner->refs, &refs, refs + 1,
								  memory_order_acquire, memory_order_relaxed))
				anon = owner;
		}
	}
	quire_port_rcu_unlock(cpu);
	return anon;
}

/* A new one, with the reference of its chains to come, below @parent or as a root. */
static struct anon_vma *anon_create(struct quire_cpu *cpu, struct anon_vma *parent)
{
	struct anon_vma *anon = object_alloc_raw(cpu, sizeof(*anon)); /* every field is set */
	if (!anon)
		return NULL;

	rwlock_init(&anon->lock);
	atomic_store_explicit(&anon->refs, 1, memory_order_relaxed);
	anon->chain_count = 0;
	anon->num_children = 0;
	anon->num_active_vmas = 0;
	anon->nodes.root = NULL;
	anon->rcu.done = free_after_grace;
	if (parent) {
		anon->root = parent->root;
		anon->parent = parent;
		/* Relaxed: the parent's reference keeps its root. */
		atomic_fetch_add_explicit(&anon->root->refs, 1, memory_order_relaxed);
	} else {
		anon->root = anon;
		anon->parent = anon;
		anon->num_children = 1; /* itself: a root is never taken over by a descendant */
	}
	return anon;
}

/*
 * Chains and trees. All under the root's lock, written.
 */

static void chain_insert(struct anon_chain *chain)
{
	const struct rmap_node *node = chain->node;

	if (chain->in_tree)
		return;
	chain->interval.first = node->pgoff;
	chain->interval.last = rmap_index(node, node->end) - 1;
	interval_insert(&chain->anon->nodes, &chain->interval);
	chain->in_tree = true;
}

static void chain_remove(struct anon_chain *chain)
{
	if (!chain->in_tree)
		return;
	interval_remove(&chain->anon->nodes, &chain->interval);
	chain->in_tree = false;
}

/* Into the tree only: what a walk needs. */
static void chain_open(struct anon_chain *chain, struct rmap_node *node, struct anon_vma *anon)
{
	chain->node = node;
	chain->anon = anon;
	chain->in_tree = false;
	anon->chain_count++;
	chain_insert(chain);
}

/* Onto the node's list, the newest first. */
static void chain_list(struct anon_chain *chain)
{
	struct rmap_node *node = chain->node;

	list_add(&node->chains, &chain->same_node);
	atomic_fetch_add_explicit(&node->chain_count, 1, memory_order_relaxed);
}

static void chain_link(struct anon_chain *chain, struct rmap_node *node, struct anon_vma *anon)
{
	chain_open(chain, node, anon);
	chain_list(chain);
}

static struct anon_chain *chain_of(struct list *at)
{
	return container_of(at, struct anon_chain, same_node);
}

void anon_chains_insert(struct rmap_node *node)
{
	list_for_each(at, &node->chains)
		chain_insert(chain_of(at));
}

void anon_chains_remove(struct rmap_node *node)
{
	list_for_each(at, &node->chains)
		chain_remove(chain_of(at));
}

struct rwlock *anon_lock_of(const struct rmap_node *node)
{
	if (list_empty(&node->chains))
		return NULL;
	return &chain_of(node->chains.next)->anon->root->lock;
}

bool anon_is_single(const struct rmap_node *node)
{
	/* Relaxed: a count that may change under the caller is a hint, and only a hint. */
	return atomic_load_explicit(&node->chain_count, memory_order_relaxed) <= 1;
}

/*
 * A node's own chain is for the first who wants it; of two faults at once the other one allocates.
 */
static struct anon_chain *chain_take(struct quire_cpu *cpu, struct rmap_node *node)
{
	/* Acquire pairs with the release of whoever had it. */
	if (!atomic_load_explicit(&node->own_taken, memory_order_relaxed) &&
	    !atomic_exchange_explicit(&node->own_taken, true, memory_order_acquire))
		return &node->own;
	return object_alloc_raw(cpu, sizeof(struct anon_chain));
}

static void chain_free(struct quire_cpu *cpu, struct anon_chain *chain, struct rmap_node *node)
{
	if (chain == &node->own)
		atomic_store_explicit(&node->own_taken, false, memory_order_release);
	else
		object_free(cpu, chain, sizeof(*chain));
}

/*
 * Chains set aside, so that nothing fails half-way.
 */

static void spare_drain(struct quire_cpu *cpu, struct list *spare)
{
	list_for_each_safe(at, after, spare) {
		list_remove(at);
		object_free(cpu, chain_of(at), sizeof(struct anon_chain));
	}
}

static int spare_fill(struct quire_cpu *cpu, struct list *spare, uint32_t count)
{
	list_init(spare);
	for (uint32_t i = 0; i < count; i++) {
		struct anon_chain *chain = object_alloc_raw(cpu, sizeof(*chain));
		if (!chain) {
			spare_drain(cpu, spare);
			return -QUIRE_ENOMEM;
		}
		list_add(spare, &chain->same_node);
	}
	return 0;
}

static struct anon_chain *spare_take(struct list *spare)
{
	struct list *at = spare->next;

	quire_assert(!list_empty(spare));
	list_remove(at);
	return chain_of(at);
}

/*
 * The node's first anonymous page.
 *
 * Two threads that fault at once may both come here. Each has its own anon_vma in hand, perhaps of
 * different lineages, so no lock of theirs decides between them: the exchange does. The chain is in the
 * tree before it, so that a page of whoever sees the new anon_vma is found; the node's list, which faults
 * do not read, follows.
 */
int anon_prepare(struct quire_cpu **cpu, struct rmap_node *node, struct anon_vma *reuse)
{
	struct anon_vma *none = NULL;

	if (atomic_load_explicit(&node->anon, memory_order_acquire)) /* pairs with the exchange below */
		return 0;

	struct anon_chain *chain = chain_take(*cpu, node);
	if (!chain)
		return -QUIRE_ENOMEM;
	struct anon_vma *anon = reuse ? reuse : anon_create(*cpu, NULL);
	if (!anon) {
		chain_free(*cpu, chain, node);
		return -QUIRE_ENOMEM;
	}

	struct rwlock *lock = &anon->root->lock;
	rwlock_write(cpu, lock);
	chain_open(chain, node, anon);
	bool won = true;
	if (QUIRE_SAFEGUARD(anon_once))
		won = atomic_compare_exchange_strong_explicit(&node->anon, &none, anon, memory_order_release,
							      memory_order_relaxed);
	else
		atomic_store_explicit(&node->anon, anon, memory_order_release);
	if (won) {
		anon->num_active_vmas++;
		chain_list(chain);
	} else {
		chain_remove(chain);
		anon->chain_count--;
	}
	rwlock_write_done(*cpu, lock);

	if (!won) {
		chain_free(*cpu, chain, node);
		if (!reuse)
			anon_put(*cpu, anon);
	}
	return 0;
}

/*
 * Copy @from's chains to @to, oldest first, so that they end up in the same order. Under the lineage's
 * lock, written.
 */
static void chains_copy(struct rmap_node *to, struct rmap_node *from, struct list *spare)
{
	for (struct list *at = from->chains.prev; at != &from->chains; at = at->prev)
		chain_link(spare_take(spare), to, chain_of(at)->anon);
}

int anon_clone(struct quire_cpu **cpu, struct rmap_node *to, struct rmap_node *from)
{
	struct list spare;
	struct rwlock *lock = anon_lock_of(from);

	quire_assert(list_empty(&to->chains));
	if (!lock)
		return 0;
	if (spare_fill(*cpu, &spare, atomic_load_explicit(&from->chain_count, memory_order_relaxed)))
		return -QUIRE_ENOMEM;

	rwlock_write(cpu, lock);
	chains_copy(to, from, &spare);
	struct anon_vma *anon = atomic_load_explicit(&from->anon, memory_order_relaxed); /* S */
	/* Release pairs with the acquire of whoever makes pages. */
	atomic_store_explicit(&to->anon, anon, memory_order_release);
	if (anon)
		anon->num_active_vmas++;
	rwlock_write_done(*cpu, lock);
	return 0;
}

/*
 * The oldest ancestor whose place is free: nobody makes pages there, and at most one line of descendants
 * goes on from it.
 */
static struct anon_vma *free_ancestor(const struct rmap_node *node)
{
	for (struct list *at = node->chains.prev; at != &node->chains; at = at->prev) {
		struct anon_vma *anon = chain_of(at)->anon;
		if (anon->num_children < 2 && anon->num_active_vmas == 0)
			return anon;
	}
	return NULL;
}

int anon_fork(struct quire_cpu **cpu, struct rmap_node *to, struct rmap_node *from)
{
	struct list spare;
	struct anon_vma *parent = atomic_load_explicit(&from->anon, memory_order_relaxed); /* S */

	quire_assert(list_empty(&to->chains));
	if (!parent)
		return 0;
	if (spare_fill(*cpu, &spare, atomic_load_explicit(&from->chain_count, memory_order_relaxed) + 1))
		return -QUIRE_ENOMEM;
	struct anon_vma *fresh = anon_create(*cpu, parent);
	if (!fresh) {
		spare_drain(*cpu, &spare);
		return -QUIRE_ENOMEM;
	}

	struct rwlock *lock = &parent->root->lock;
	rwlock_write(cpu, lock);
	chains_copy(to, from, &spare);
	struct anon_vma *own = free_ancestor(from);
	if (!own) {
		own = fresh;
		fresh = NULL;
		chain_link(spare_take(&spare), to, own);
		parent->num_children++;
	}
	own->num_active_vmas++;
	atomic_store_explicit(&to->anon, own, memory_order_release); /* as in anon_clone() */
	rwlock_write_done(*cpu, lock);

	spare_drain(*cpu, &spare);
	if (fresh)
		anon_put(*cpu, fresh);
	return 0;
}

/*
 * Take all chains of @node from their anon_vmas; the chains of those that nothing leads to any more are
 * left on the list.
 */
static void chains_cut(struct quire_cpu *cpu, struct rmap_node *node)
{
	list_for_each_safe(at, after, &node->chains) {
		struct anon_chain *chain = chain_of(at);
		struct anon_vma *anon = chain->anon;

		chain_remove(chain);
		if (--anon->chain_count == 0) {
			anon->parent->num_children--;
			continue;
		}
		list_remove(at);
		chain_free(cpu, chain, node);
	}
}

void anon_unlink(struct quire_cpu **cpu, struct rmap_node *node)
{
	struct rwlock *lock = anon_lock_of(node);

	if (!lock)
		return;
	rwlock_write(cpu, lock); /* a chain's reference keeps it until here */
	chains_cut(*cpu, node);
	struct anon_vma *anon = atomic_load_explicit(&node->anon, memory_order_relaxed); /* S */
	if (anon)
		anon->num_active_vmas--;
	atomic_store_explicit(&node->anon, NULL, memory_order_relaxed); /* S */
	atomic_store_explicit(&node->chain_count, 0, memory_order_relaxed);
	/*
	 * The lock must outlive its release, which looks at it once more after another may have it; and that
	 * other may be the last of the lineage.
	 */
	quire_port_rcu_lock(*cpu);
	rwlock_write_done(*cpu, lock);
	quire_port_rcu_unlock(*cpu);

	/* Only now: the lock is in an anon_vma that may go. */
	list_for_each_safe(at, after, &node->chains) {
		struct anon_chain *chain = chain_of(at);

		anon_put(*cpu, chain->anon);
		list_remove(at);
		chain_free(*cpu, chain, node);
	}
}
