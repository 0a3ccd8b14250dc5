/*
 * bits.h - arithmetic on pages and powers of two.
 */
#ifndef QUIRE_BASE_BITS_H
#define QUIRE_BASE_BITS_H

#include <quire/types.h>

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t align_down(uint64_t value, uint64_t size)
{
	return value & ~(size - 1);
}

/* Wraps to 0 when the result does not fit. */
static inline uint64_t align_up(uint64_t value, uint64_t size)
{
	return (value + size - 1) & ~(size - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t size)
{
	return (value & (size - 1)) == 0;
}

static inline uint64_t page_of(uint64_t addr)
{
	return addr >> QUIRE_PAGE_SHIFT;
}

/* log2, rounded down; @value is not 0. */
static inline unsigned log2_u64(uint64_t value)
{
	return 63 - (unsigned)__builtin_clzll(value);
}

/* Which bit is the lowest that is set; @value is not 0. */
static inline unsigned lowest_bit(uint64_t value)
{
	return (unsigned)__builtin_ctzll(value);
}

#endif
