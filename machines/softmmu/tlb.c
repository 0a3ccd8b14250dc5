/*
 * tlb.c - finding, replacing and forgetting cached translations.
 *
 * Order:   touched by the CPU it belongs to alone.
 * Errors:  none.
 * Rules:   BASE-2, BASE-3.
 */
#include "tlb.h"

#include <string.h>

/* Large leaves exist at level 1 only. */
#define LEAF_LEVELS 2

void tlb_init(struct tlb *tlb, struct tlb_leaf *leaves, unsigned count, uint64_t seed)
{
	memset(tlb, 0, sizeof(*tlb));
	memset(leaves, 0, count * sizeof(*leaves));
	tlb->leaves = leaves;
	tlb->set_mask = count / TLB_WAYS - 1;
	tlb->random = seed * 0x9e3779b97f4a7c15ull | 1;
	for (unsigned asid = 0; asid <= QUIRE_ASIDS; asid++)
		tlb->tags[asid] = ++tlb->next_tag;
}

/* xorshift64* */
uint64_t tlb_random(struct tlb *tlb)
{
	uint64_t x = tlb->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	tlb->random = x;
	return x * 0x2545f4914f6cdd1dull >> 16;
}

static struct tlb_leaf *set_of(struct tlb *tlb, uint64_t tag, uint64_t number, unsigned level)
{
	uint64_t hash = (number ^ tag << 7 ^ (uint64_t)level << 5) * 0x9e3779b97f4a7c15ull >> 40;

	return &tlb->leaves[(hash & tlb->set_mask) * TLB_WAYS];
}

static struct tlb_leaf *find_at(struct tlb *tlb, uint64_t tag, quire_vaddr va, unsigned level)
{
	uint64_t number = va >> QUIRE_LEVEL_SHIFT(level);
	struct tlb_leaf *set = set_of(tlb, tag, number, level);

	for (unsigned way = 0; way < TLB_WAYS; way++)
		if (set[way].tag == tag && set[way].number == number && set[way].level == level)
			return &set[way];
	return NULL;
}

struct tlb_leaf *tlb_find(struct tlb *tlb, unsigned asid, quire_vaddr va)
{
	for (unsigned level = 0; level < LEAF_LEVELS; level++) {
		struct tlb_leaf *leaf = find_at(tlb, tlb->tags[asid], va, level);

		if (leaf)
			return leaf;
	}
	return NULL;
}

static bool is_live(const struct tlb *tlb, const struct tlb_leaf *leaf)
{
	for (unsigned asid = 0; asid <= QUIRE_ASIDS; asid++)
		if (leaf->tag == tlb->tags[asid])
			return true;
	return false;
}

bool tlb_insert(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned level, quire_pfn frame,
		unsigned rights, bool dirty)
{
	uint64_t tag = tlb->tags[asid];
	uint64_t number = va >> QUIRE_LEVEL_SHIFT(level);
	struct tlb_leaf *leaf = find_at(tlb, tag, va, level);
	bool evicted = false;

	if (!leaf) {
		struct tlb_leaf *set = set_of(tlb, tag, number, level);

		for (unsigned way = 0; way < TLB_WAYS && !leaf; way++)
			if (!is_live(tlb, &set[way]))
				leaf = &set[way];
		if (!leaf) {
			leaf = &set[tlb_random(tlb) % TLB_WAYS];
			evicted = true;
		}
	}
	*leaf = (struct tlb_leaf){ tag, number, frame, (uint8_t)level, (uint8_t)rights, dirty };
	return evicted;
}

static struct tlb_upper *upper_slot(struct tlb *tlb, uint64_t tag, uint64_t number, unsigned level)
{
	return &tlb->upper[level][(number ^ number >> 5 ^ tag * 11) % TLB_UPPER];
}

const struct tlb_upper *tlb_find_upper(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned *level)
{
	uint64_t tag = tlb->tags[asid];

	for (unsigned at = 1; at < QUIRE_LEVELS; at++) {
		uint64_t number = va >> QUIRE_LEVEL_SHIFT(at);
		struct tlb_upper *upper = upper_slot(tlb, tag, number, at);

		if (upper->tag == tag && upper->number == number) {
			*level = at;
			return upper;
		}
	}
	return NULL;
}

void tlb_insert_upper(struct tlb *tlb, unsigned asid, quire_vaddr va, unsigned level, quire_pfn table,
		      unsigned rights)
{
	uint64_t tag = tlb->tags[asid];
	uint64_t number = va >> QUIRE_LEVEL_SHIFT(level);

	*upper_slot(tlb, tag, number, level) = (struct tlb_upper){ tag, number, table, rights };
}

/* Does the unit @number of @level touch [start, last]? */
static bool touches(uint64_t number, unsigned level, quire_vaddr start, quire_vaddr last)
{
	return number >= start >> QUIRE_LEVEL_SHIFT(level) && number <= last >> QUIRE_LEVEL_SHIFT(level);
}

static void flush_upper(struct tlb *tlb, uint64_t tag, quire_vaddr start, quire_vaddr last)
{
	for (unsigned level = 1; level < QUIRE_LEVELS; level++)
		for (unsigned i = 0; i < TLB_UPPER; i++) {
			struct tlb_upper *upper = &tlb->upper[level][i];

			if (upper->tag == tag && touches(upper->number, level, start, last))
				upper->tag = 0;
		}
}

/* A range of many pages: look at every leaf there is. */
static void flush_leaves_all(struct tlb *tlb, uint64_t tag, quire_vaddr start, quire_vaddr last)
{
	for (uint64_t i = 0; i < (tlb->set_mask + 1) * TLB_WAYS; i++) {
		struct tlb_leaf *leaf = &tlb->leaves[i];

		if (leaf->tag == tag && touches(leaf->number, leaf->level, start, last))
			leaf->tag = 0;
	}
}

/* A range of few pages: look where their leaves would stand. */
static void flush_leaves_each(struct tlb *tlb, uint64_t tag, quire_vaddr start, quire_vaddr last)
{
	for (unsigned level = 0; level < LEAF_LEVELS; level++) {
		uint64_t number = start >> QUIRE_LEVEL_SHIFT(level);

		for (; number <= last >> QUIRE_LEVEL_SHIFT(level); number++) {
			struct tlb_leaf *leaf = find_at(tlb, tag, number << QUIRE_LEVEL_SHIFT(level), level);

			if (leaf)
				leaf->tag = 0;
		}
	}
}

void tlb_flush_range(struct tlb *tlb, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	uint64_t tag = tlb->tags[asid];
	quire_vaddr last = end - 1; /* so that an end of 0, the top of all addresses, needs no care */

	if (start == end)
		return;
	flush_upper(tlb, tag, start, last);
	if ((last - start) >> QUIRE_PAGE_SHIFT > tlb->set_mask)
		flush_leaves_all(tlb, tag, start, last);
	else
		flush_leaves_each(tlb, tag, start, last);
}

void tlb_flush_asid(struct tlb *tlb, unsigned asid)
{
	tlb->tags[asid] = ++tlb->next_tag;
}
