/*
 * buddy.c - free memory in blocks of 2^order frames.
 *
 * A block of order n begins at a multiple of 2^n; halved, it makes two buddies whose numbers differ in bit
 * n - 1 alone. Taking halves a larger block as often as needed; giving back joins a block with its buddy as
 * long as that is free and whole. Whether it is, only the buddy's own struct tells: `block`, which is
 * written under the allocator's lock alone, so that it can be read there whatever the buddy's owner does to
 * the rest of the struct.
 *
 * Memory past the watermark was never used and its metadata never written: all zeroes, which no list holds.
 * The watermark moves by one block of the largest order at a time, and only when the lists have nothing
 * large enough. So creation costs nothing per frame, and no block has a buddy past the watermark: below the
 * largest order both came in together.
 *
 * Order:   phys->lock held. Takes nothing further.
 */
#include "frames.h"

#include "../base/assert.h"
#include "../base/bits.h"

static void list_block(struct phys *phys, struct folio *folio, unsigned order)
{
	folio->block = (uint16_t)(order + 1);
	list_add(&phys->free[order], &folio->free);
}

static void unlist_block(struct folio *folio)
{
	folio->block = 0;
	list_remove(&folio->free);
}

void buddy_create(struct phys *phys)
{
	for (unsigned order = 0; order <= QUIRE_MAX_ORDER; order++)
		list_init(&phys->free[order]);
}

/*
 * Bring in memory never used yet: a block of the largest order, or at the two ends what there is of it in
 * smaller ones.
 */
static bool raise_watermark(struct phys *phys)
{
	uint64_t from = phys->watermark ? phys->watermark : 1; /* frame 0 is never handed out */
	uint64_t to = min_u64(phys->frames, phys->watermark + (1ul << QUIRE_MAX_ORDER));

	if (from >= to)
		return false;
	phys->watermark = to;
	while (from < to) {
		unsigned order = (unsigned)min_u64((uint64_t)__builtin_ctzll(from), log2_u64(to - from));

		order = (unsigned)min_u64(order, QUIRE_MAX_ORDER);
		list_block(phys, frame_folio(phys, from), order);
		from += 1ul << order;
	}
	return true;
}

/* The smallest block of @order or above; brings in more memory where there is none. NULL: memory is out. */
static struct folio *smallest_block(struct phys *phys, unsigned order, unsigned *found)
{
	do {
		for (unsigned has = order; has <= QUIRE_MAX_ORDER; has++) {
			if (list_empty(&phys->free[has]))
				continue;
			*found = has;
			return container_of(phys->free[has].next, struct folio, free);
		}
	} while (raise_watermark(phys));
	return NULL;
}

/* Take the first 2^order frames of a block of 2^has; the others stay. */
static void take_first(struct phys *phys, struct folio *folio, unsigned has, unsigned order)
{
	unlist_block(folio);
	while (has > order) {
		has--;
		list_block(phys, folio + (1ul << has), has);
	}
	count_out(phys, 1ul << order);
}

struct folio *buddy_take(struct phys *phys, unsigned order)
{
	unsigned has;
	struct folio *folio = smallest_block(phys, order, &has);

	if (folio)
		take_first(phys, folio, has, order);
	return folio;
}

struct folio *buddy_take_run(struct phys *phys, uint32_t most, uint32_t *got)
{
	unsigned has;
	struct folio *folio = smallest_block(phys, 0, &has);

	if (!folio)
		return NULL;
	unsigned order = (unsigned)min_u64(has, log2_u64(most));
	take_first(phys, folio, has, order);
	*got = 1u << order;
	return folio;
}

void buddy_give(struct phys *phys, struct folio *folio, unsigned order)
{
	quire_pfn pfn = frame_pfn(phys, folio);

	quire_assert(is_aligned(pfn, 1ul << order) && !folio->block);
	count_out(phys, -(1ul << order));
	for (; order < QUIRE_MAX_ORDER; order++) {
		quire_pfn buddy = pfn ^ (1ul << order);

		if (buddy >= phys->watermark || frame_folio(phys, buddy)->block != order + 1)
			break;
		unlist_block(frame_folio(phys, buddy));
		pfn &= ~(1ul << order);
	}
	list_block(phys, frame_folio(phys, pfn), order);
}
