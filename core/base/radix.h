/*
 * radix.h - a map from a 64-bit index to a pointer: the page cache's index.
 *
 * A radix tree with nodes of 1 << QUIRE_RADIX_SHIFT slots, as high as its greatest index needs. Searched
 * under RCU; changes are serialised by the caller. Nodes that become empty are freed after a grace period.
 */
#ifndef QUIRE_BASE_RADIX_H
#define QUIRE_BASE_RADIX_H

#include "object.h"

struct radix_node;

struct radix {
	struct radix_node *_Atomic root; /* release by changes, acquire by searches */
	uint64_t count;			 /* entries; under the caller's lock */
};

/* Nodes set aside, so that an insertion under a lock cannot fail. */
struct radix_stock {
	struct radix_node *nodes;
	unsigned count;
};

int radix_stock_fill(struct quire_cpu *cpu,
		     struct radix_stock *stock); /* enough for one insertion; -ENOMEM */
void radix_stock_drain(struct quire_cpu *cpu, struct radix_stock *stock);

/* @item is not NULL and nothing is at @index. */
void radix_insert(struct quire_cpu *cpu, struct radix *radix, struct radix_stock *stock, uint64_t index,
		  void *item);
void *radix_remove(struct quire_cpu *cpu, struct radix *radix, uint64_t index); /* what was there, or NULL */

/* Under RCU or the changes' lock. */
void *radix_find(const struct radix *radix, uint64_t index);
void *radix_next(const struct radix *radix,
		 uint64_t *index); /* the first at or after *index, which it updates; or NULL */

#endif
