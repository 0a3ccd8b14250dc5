/*
 * rmap.c - reverse mapping: nodes in their trees, and walks from a page to the addresses that map it.
 *
 * A walk reads the tree under its lock and calls the visitor for every node that covers the page, whether
 * the page is mapped there or not: the visitor looks at the entry. A walk goes by rising page offset, and
 * nodes of the same first page come in the order in which they were inserted; so a forked child's node
 * comes after its parent's, and a walk that overtakes the fork finds the entry in one of them. Entries that
 * move otherwise are moved under rmap_node_lock().
 *
 *	walk:   folio lock  ->  rmap_lock or the root's lock, read   ->  table locks
 *	change: S (rmap.h)  ->  rmap_lock, written  ->  the root's lock, written
 *
 * Rules:   BASE-4.
 */
#include "anon.h"
#include "file.h"

#include "../base/assert.h"
#include "../base/bits.h"

void rmap_node_init(struct rmap_node *node, struct quire_as *as)
{
	node->as = as;
	node->attached = false;
	atomic_store_explicit(&node->anon, NULL, memory_order_relaxed); /* not published yet */
	atomic_store_explicit(&node->chain_count, 0, memory_order_relaxed);
	atomic_store_explicit(&node->own_taken, false, memory_order_relaxed);
	list_init(&node->chains);
}

void rmap_node_lock(struct quire_cpu **cpu, struct rmap_node *node)
{
	struct rwlock *lineage = anon_lock_of(node);

	if (node->file)
		rwlock_write(cpu, &node->file->rmap_lock);
	if (lineage)
		rwlock_write(cpu, lineage);
}

void rmap_node_unlock(struct quire_cpu **cpu, struct rmap_node *node)
{
	struct rwlock *lineage = anon_lock_of(node);

	if (lineage)
		rwlock_write_done(*cpu, lineage);
	if (node->file)
		rwlock_write_done(*cpu, &node->file->rmap_lock);
}

static void file_insert(struct rmap_node *node)
{
	if (!node->file || node->attached)
		return;
	node->in_file.first = node->pgoff;
	node->in_file.last = rmap_index(node, node->end) - 1;
	interval_insert(&node->file->mappings, &node->in_file);
	node->attached = true;
}

static void file_remove(struct rmap_node *node)
{
	if (!node->attached)
		return;
	interval_remove(&node->file->mappings, &node->in_file);
	node->attached = false;
}

void rmap_hang(struct quire_cpu **cpu, struct rmap_node *node)
{
	rmap_node_lock(cpu, node);
	file_insert(node);
	anon_chains_insert(node);
	rmap_node_unlock(cpu, node);
}

void rmap_unhang(struct quire_cpu **cpu, struct rmap_node *node)
{
	rmap_node_lock(cpu, node);
	file_remove(node);
	anon_chains_remove(node);
	rmap_node_unlock(cpu, node);
}

void rmap_node_move(struct quire_cpu **cpu, struct rmap_node *node, quire_vaddr start, quire_vaddr end,
		    uint64_t pgoff)
{
	rmap_node_lock(cpu, node);
	bool attached = node->attached;
	file_remove(node);
	anon_chains_remove(node);
	node->start = start;
	node->end = end;
	node->pgoff = pgoff;
	if (attached)
		file_insert(node);
	anon_chains_insert(node);
	rmap_node_unlock(cpu, node);
}

/* The part of @node that meets pages [first, last]. False when the visitor wants no more. */
static bool visit_node(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node,
		       uint64_t first, uint64_t last)
{
	uint64_t from = max_u64(first, node->pgoff);
	uint64_t to = min_u64(last, rmap_index(node, node->end) - 1);

	return visit->node(visit, cpu, node, rmap_address(node, from), to - from + 1);
}

void rmap_walk_file(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last,
		    struct rmap_visit *visit)
{
	rwlock_read(cpu, &file->rmap_lock);
	for (struct interval *at = interval_first(&file->mappings, first, last); at;
	     at = interval_next(at, first, last)) {
		if (!visit_node(visit, cpu, container_of(at, struct rmap_node, in_file), first, last))
			break;
	}
	rwlock_read_done(*cpu, &file->rmap_lock);
}

void rmap_walk_anon(struct quire_cpu **cpu, struct folio *folio, struct rmap_visit *visit)
{
	uint64_t first = folio->index;
	uint64_t last = first + folio_pages(folio) - 1;

	struct anon_vma *anon = anon_get_of(*cpu, folio);
	if (!anon)
		return;
	rwlock_read(cpu, &anon->root->lock);
	for (struct interval *at = interval_first(&anon->nodes, first, last); at;
	     at = interval_next(at, first, last)) {
		struct anon_chain *chain = container_of(at, struct anon_chain, interval);
		if (!visit_node(visit, cpu, chain->node, first, last))
			break;
	}
	rwlock_read_done(*cpu, &anon->root->lock);
	anon_put(*cpu, anon);
}

void rmap_walk_folio(struct quire_cpu **cpu, struct folio *folio, struct rmap_visit *visit)
{
	if (folio->kind == FOLIO_ANON) {
		rmap_walk_anon(cpu, folio, visit);
		return;
	}

	quire_assert(folio->kind == FOLIO_FILE);
	/* Under the folio lock; a folio out of its cache is mapped nowhere. */
	struct quire_file *file = atomic_load_explicit(&folio->owner, memory_order_relaxed);
	if (file)
		rmap_walk_file(cpu, file, folio->index, folio->index + folio_pages(folio) - 1, visit);
}
