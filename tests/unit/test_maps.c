/*
 * test_maps.c - the shapes that calls leave an address space in: what splits, what merges, what goes where.
 */
#include "stage.h"

#define PRIVATE QUIRE_MAP_PRIVATE
#define SHARED QUIRE_MAP_SHARED
#define BODY(name) static void name##_body(struct stage *s)
#define TEST(name)                         \
	static void name(void **state)     \
	{                                  \
		(void)state;               \
		stage_run(name##_body, 1); \
	}

/* AAAAAA -> AA..BB */
BODY(base_1_munmap_middle_splits)
{
	CHECK_EQUAL(map_at(s, 0, 6, RW, PRIVATE), 0);
	CHECK_EQUAL(store_at(s, 1, 11), 0);
	CHECK_EQUAL(store_at(s, 2, 12), 0);
	CHECK_EQUAL(unmap_at(s, 2, 2), 0);
	CHECK_PICTURE(maps(s, s->mm), "AA..BB");
	CHECK_PICTURE(present(s, s->mm), ".#....");
	CHECK_EQUAL(load_at(s, 1), 11);
	CHECK_EQUAL(load_at(s, 2), -QUIRE_SIGSEGV);
}
TEST(base_1_munmap_middle_splits)

/* AA.BB: the hole filled with the same joins all three. */
BODY(base_1_mmap_between_equals_joins_both)
{
	map_at(s, 0, 2, RW, PRIVATE);
	map_at(s, 3, 2, RW, PRIVATE);
	CHECK_PICTURE(maps(s, s->mm), "AA.BB");
	CHECK_EQUAL(map_at(s, 2, 1, RW, PRIVATE), 2);
	CHECK_PICTURE(maps(s, s->mm), "AAAAA");
}
TEST(base_1_mmap_between_equals_joins_both)

/* What tells mappings apart keeps them apart. */
BODY(base_1_different_mappings_stay_apart)
{
	map_at(s, 0, 1, RW, PRIVATE);
	map_at(s, 1, 1, RO, PRIVATE);
	map_at(s, 2, 1, RO, PRIVATE | QUIRE_MAP_NORESERVE);
	map_at(s, 3, 1, RO, SHARED);
	map_at(s, 4, 1, RO, SHARED);
	map_at(s, 5, 1, RW, PRIVATE | QUIRE_MAP_STACK);
	CHECK_PICTURE(maps(s, s->mm), "ABCDEF");
}
TEST(base_1_different_mappings_stay_apart)

/* Protection back to what it was joins the parts again. */
BODY(base_1_mprotect_splits_and_joins)
{
	map_at(s, 0, 6, RW, PRIVATE);
	CHECK_EQUAL(protect_at(s, 2, 2, RO), 0);
	CHECK_PICTURE(maps(s, s->mm), "AABBCC");
	CHECK_EQUAL(protect_at(s, 2, 1, RW), 0);
	CHECK_PICTURE(maps(s, s->mm), "AAABCC");
	CHECK_EQUAL(protect_at(s, 3, 1, RW), 0);
	CHECK_PICTURE(maps(s, s->mm), "AAAAAA");
}
TEST(base_1_mprotect_splits_and_joins)

/* Pages born under one anon_vma each keep two mappings apart for good; a borrowed one lets them join. */
BODY(base_1_lineage_decides_merging)
{
	map_at(s, 0, 1, RW, PRIVATE);
	map_at(s, 2, 1, RW, PRIVATE);
	store_at(s, 0, 1);
	store_at(s, 2, 1);
	map_at(s, 1, 1, RW, PRIVATE);
	CHECK_PICTURE(maps(s, s->mm), "AAB");

	map_at(s, 8, 4, RW, PRIVATE);
	protect_at(s, 10, 2, RO);
	store_at(s, 8, 1);
	protect_at(s, 10, 2, QUIRE_PROT_NONE);
	protect_at(s, 10, 2, RW);
	CHECK_PICTURE(maps(s, s->mm), "AAB.....CCCC");
}
TEST(base_1_lineage_decides_merging)

BODY(base_1_fixed_replaces)
{
	map_at(s, 0, 6, RW, PRIVATE);
	store_at(s, 3, 77);
	CHECK_EQUAL(map_at(s, 2, 3, RO, SHARED), 2);
	CHECK_PICTURE(maps(s, s->mm), "AABBBC");
	CHECK_EQUAL(load_at(s, 3), 0);
	struct quire_mmap map = { AT(4), PAGE, RW, PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED_NOREPLACE,
				  NULL,	 0,    0,  0 };
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EEXIST);
	map.flags |= QUIRE_MAP_FIXED; /* does not make it replace anything */
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EEXIST);
	CHECK_PICTURE(maps(s, s->mm), "AABBBC");
	map.addr = AT(6);
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(6));
}
TEST(base_1_fixed_replaces)

static int64_t remap(struct stage *s, int page, int pages, int to_pages, uint32_t flags, int to)
{
	int64_t addr = quire_mremap(s->cpu, s->mm, AT(page), (quire_vaddr)pages * PAGE,
				    (quire_vaddr)to_pages * PAGE, flags, AT(to));
	return addr < 0 ? addr : (int64_t)(((uint64_t)addr - STAGE_BASE) / PAGE);
}

BODY(base_1_mremap_grows_and_shrinks_in_place)
{
	map_at(s, 0, 2, RW, PRIVATE);
	map_at(s, 6, 1, RO, PRIVATE);
	store_at(s, 1, 5);
	CHECK_EQUAL(remap(s, 0, 2, 4, 0, 0), 0);
	CHECK_PICTURE(maps(s, s->mm), "AAAA..B");
	CHECK_EQUAL(remap(s, 0, 4, 7, 0, 0), -QUIRE_ENOMEM);
	CHECK_EQUAL(remap(s, 0, 4, 1, 0, 0), 0);
	CHECK_PICTURE(maps(s, s->mm), "A.....B");
	CHECK_EQUAL(load_at(s, 1), -QUIRE_SIGSEGV);
}
TEST(base_1_mremap_grows_and_shrinks_in_place)

BODY(base_1_mremap_moves_pages)
{
	uint32_t flags = QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED;
	map_at(s, 0, 4, RW, PRIVATE);
	for (int page = 0; page < 4; page++)
		store_at(s, page, 10 + page);
	CHECK_EQUAL(remap(s, 1, 2, 2, flags, 8), 8);
	CHECK_PICTURE(maps(s, s->mm), "A..B....CC");
	CHECK_PICTURE(present(s, s->mm), "#..#....##");
	CHECK_EQUAL(load_at(s, 8), 11);
	CHECK_EQUAL(load_at(s, 9), 12);
	CHECK_EQUAL(load_at(s, 3), 13);
	CHECK_EQUAL(load_at(s, 1), -QUIRE_SIGSEGV);
	/* Back where they came from, they are one mapping again. */
	CHECK_EQUAL(remap(s, 8, 2, 2, flags, 1), 1);
	CHECK_PICTURE(maps(s, s->mm), "AAAA");
	CHECK_EQUAL(load_at(s, 2), 12);
}
TEST(base_1_mremap_moves_pages)

BODY(base_1_mremap_moves_several_with_their_gaps)
{
	map_at(s, 0, 1, RW, PRIVATE);
	map_at(s, 2, 1, RO, PRIVATE);
	store_at(s, 0, 9);
	CHECK_EQUAL(remap(s, 0, 3, 3, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED, 8), 8);
	CHECK_PICTURE(maps(s, s->mm), "........A.B");
	CHECK_EQUAL(load_at(s, 8), 9);
}
TEST(base_1_mremap_moves_several_with_their_gaps)

BODY(base_1_mremap_dontunmap_leaves_an_empty_mapping)
{
	map_at(s, 0, 2, RW, PRIVATE);
	store_at(s, 0, 9);
	CHECK_EQUAL(remap(s, 0, 2, 2, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_DONTUNMAP | QUIRE_MREMAP_FIXED, 4),
		    4);
	CHECK_PICTURE(maps(s, s->mm), "AA..BB");
	CHECK_PICTURE(present(s, s->mm), "....#.");
	CHECK_EQUAL(load_at(s, 4), 9);
	CHECK_EQUAL(load_at(s, 0), 0);
}
TEST(base_1_mremap_dontunmap_leaves_an_empty_mapping)

BODY(base_1_mremap_refuses)
{
	map_at(s, 0, 2, RW, PRIVATE);
	CHECK_EQUAL(remap(s, 0, 0, 2, QUIRE_MREMAP_MAYMOVE, 0), -QUIRE_EINVAL);
	CHECK_EQUAL(remap(s, 0, 2, 0, 0, 0), -QUIRE_EINVAL);
	CHECK_EQUAL(remap(s, 0, 3, 4, QUIRE_MREMAP_MAYMOVE, 0), -QUIRE_EFAULT);
	CHECK_EQUAL(remap(s, 5, 1, 2, QUIRE_MREMAP_MAYMOVE, 0), -QUIRE_EFAULT);
	CHECK_EQUAL(remap(s, 0, 2, 2, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED, 1), -QUIRE_EINVAL);
	CHECK_EQUAL(remap(s, 0, 2, 2, QUIRE_MREMAP_FIXED, 8), -QUIRE_EINVAL);
	CHECK_EQUAL(remap(s, 0, 1, 1, 64, 8), -QUIRE_EINVAL);
}
TEST(base_1_mremap_refuses)

/* A zero old size makes a second view of a shared mapping. */
BODY(base_1_mremap_doubles_a_shared_mapping)
{
	map_at(s, 0, 2, RW, SHARED);
	store_at(s, 1, 33);
	CHECK_EQUAL(remap(s, 0, 0, 2, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED, 4), 4);
	CHECK_PICTURE(maps(s, s->mm), "AA..BB");
	CHECK_EQUAL(load_at(s, 5), 33);
	store_at(s, 5, 34);
	CHECK_EQUAL(load_at(s, 1), 34);
}
TEST(base_1_mremap_doubles_a_shared_mapping)

BODY(base_1_search_goes_down_from_the_base)
{
	struct quire_layout layout = { .mmap_base = AT(16), .mmap_bottom = AT(64), .brk_start = AT(1000) };
	quire_mm_set_layout(s->cpu, s->mm, &layout);
	struct quire_mmap map = { 0, 2 * PAGE, RW, PRIVATE | QUIRE_MAP_ANONYMOUS, NULL, 0, 0, 0 };
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(14));
	map.prot = RO;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(12));
	unmap_at(s, 14, 2);
	map.length = 3 * PAGE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(9));
	map.length = PAGE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(15));
	/* A hint is taken where it is free, and rounded down; elsewhere it is forgotten. */
	map.addr = AT(3) + 5;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(3));
	map.addr = AT(9);
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)AT(14));
}
TEST(base_1_search_goes_down_from_the_base)

#define GIB (1ul << 30)

/* MAP_32BIT: upwards from 1 GiB; a hint counts when the mapping would end below 2 GiB. */
BODY(base_1_map_32bit_ends_below_two_gib)
{
	struct quire_mmap map = { 0,	2 * PAGE, RW, PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_32BIT,
				  NULL, 0,	  0,  0 };
	if (QUIRE_USER_END < 2 * GIB) { /* a small geometry's space ends below that */
		CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_ENOMEM);
		return;
	}
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)GIB);
	map.prot = RO;
	map.addr = 2 * GIB;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB + 2 * PAGE));
	map.addr = 16 * GIB;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB + 4 * PAGE));
	map.addr = 2 * GIB - PAGE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB + 6 * PAGE));
	map.addr = 2 * GIB - 2 * PAGE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(2 * GIB - 2 * PAGE));
	map.addr = GIB / 2;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB / 2));
	map.addr = 0;
	map.length = GIB;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_ENOMEM);
}
TEST(base_1_map_32bit_ends_below_two_gib)

/* Whole huge pages of memory are aligned there too; Linux leaves one free below where none was needed. */
BODY(base_1_map_32bit_aligns_huge_pages)
{
	struct quire_mmap map = {
		0, QUIRE_HUGE_SIZE, RW, PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_32BIT, NULL, 0, 0, 0
	};
	if (QUIRE_USER_END < 2 * GIB)
		return;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB + QUIRE_HUGE_SIZE));
	map.length = PAGE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)GIB);
	map.length = QUIRE_HUGE_SIZE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)(GIB + 3 * QUIRE_HUGE_SIZE));
}
TEST(base_1_map_32bit_aligns_huge_pages)

BODY(base_1_brk_moves_the_heap)
{
	struct quire_layout layout = { .mmap_base = AT(4096), .mmap_bottom = AT(64), .brk_start = AT(0) };
	quire_mm_set_layout(s->cpu, s->mm, &layout);
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, 0), AT(0));
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, AT(3) + 1), AT(3) + 1);
	CHECK_PICTURE(maps(s, s->mm), "AAAA");
	CHECK_EQUAL(store_at(s, 3, 4), 0);
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, AT(2)), AT(2));
	CHECK_PICTURE(maps(s, s->mm), "AA");
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, AT(0) - 1), AT(2));
	map_at(s, 4, 1, RW, PRIVATE);
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, AT(4)), AT(2)); /* a page stays free between them */
	CHECK_EQUAL(quire_brk(s->cpu, s->mm, AT(3)), AT(3));
	struct quire_map_info info;
	CHECK_EQUAL(quire_map_next(s->cpu, s->mm, AT(0), &info), 0);
	CHECK(info.heap);
}
TEST(base_1_brk_moves_the_heap)

BODY(base_1_stack_grows_to_its_gap)
{
	/* Far above, so that the gap fits below. */
	quire_vaddr top = STAGE_BASE + 4 * QUIRE_STACK_GAP * PAGE;
	struct quire_mmap map = { top,	2 * PAGE,
				  RW,	PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_GROWSDOWN | QUIRE_MAP_FIXED,
				  NULL, 0,
				  0,	0 };
	struct quire_fault fault;
	uint8_t byte = 1;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)top);
	CHECK_EQUAL(hosted_store(s->cpu, s->mm, top - 5 * PAGE, &byte, 1, &fault), 0);
	struct quire_map_info info;
	CHECK_EQUAL(quire_map_next(s->cpu, s->mm, top - 5 * PAGE, &info), 0);
	CHECK_EQUAL(info.start, top - 5 * PAGE);
	/* Something below: it may come as near as the gap. */
	quire_vaddr below = top - 5 * PAGE - (QUIRE_STACK_GAP + 3) * PAGE;
	map.addr = below;
	map.length = PAGE;
	map.flags &= ~(uint32_t)QUIRE_MAP_GROWSDOWN;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), (int64_t)below);
	CHECK_EQUAL(hosted_store(s->cpu, s->mm, top - 7 * PAGE, &byte, 1, &fault), 0);
	CHECK_EQUAL(hosted_store(s->cpu, s->mm, top - 8 * PAGE, &byte, 1, &fault), -QUIRE_EFAULT);
	CHECK_EQUAL(fault.signal, QUIRE_SIGSEGV);
}
TEST(base_1_stack_grows_to_its_gap)

BODY(base_1_advice_splits_and_joins)
{
	map_at(s, 0, 4, RW, PRIVATE);
	CHECK_EQUAL(advise_at(s, 1, 2, QUIRE_MADV_DONTFORK), 0);
	CHECK_PICTURE(maps(s, s->mm), "ABBC");
	CHECK_EQUAL(advise_at(s, 1, 2, QUIRE_MADV_DOFORK), 0);
	CHECK_PICTURE(maps(s, s->mm), "AAAA");
	CHECK_EQUAL(advise_at(s, 0, 6, QUIRE_MADV_SEQUENTIAL), -QUIRE_ENOMEM);
	CHECK_EQUAL(advise_at(s, 0, 1, QUIRE_MADV_RANDOM), 0);
	CHECK_PICTURE(maps(s, s->mm), "ABBB");
	CHECK_EQUAL(advise_at(s, 0, 1, 12345), -QUIRE_EINVAL);
	CHECK_EQUAL(advise_at(s, 0, 1, QUIRE_MADV_PAGEOUT), -QUIRE_EINVAL);
}
TEST(base_1_advice_splits_and_joins)

BODY(base_1_mlock_splits_populates_and_counts)
{
	struct quire_mm_stats stats;
	map_at(s, 0, 4, RW, PRIVATE);
	CHECK_EQUAL(quire_mlock(s->cpu, s->mm, AT(1) + 7, PAGE, 0), 0);
	CHECK_PICTURE(maps(s, s->mm), "ABBC");
	CHECK_PICTURE(present(s, s->mm), ".##.");
	quire_mm_stats(s->cpu, s->mm, &stats);
	CHECK_EQUAL(stats.locked, 2);
	CHECK_EQUAL(advise_at(s, 1, 1, QUIRE_MADV_DONTNEED), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_munlock(s->cpu, s->mm, AT(0), 4 * PAGE), 0);
	CHECK_PICTURE(maps(s, s->mm), "AAAA");
	CHECK_EQUAL(quire_mlock(s->cpu, s->mm, AT(3), 2 * PAGE, 0), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mlock(s->cpu, s->mm, AT(0), PAGE, 4), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_mlockall(s->cpu, s->mm, QUIRE_MCL_FUTURE), 0);
	CHECK_EQUAL(map_at(s, 8, 1, RW, PRIVATE), 8);
	CHECK_PICTURE(present(s, s->mm), ".##.....#");
	CHECK_EQUAL(quire_munlockall(s->cpu, s->mm), 0);
	quire_mm_stats(s->cpu, s->mm, &stats);
	CHECK_EQUAL(stats.locked, 0);
}
TEST(base_1_mlock_splits_populates_and_counts)

BODY(base_1_limits_are_kept)
{
	struct quire_limits limits = { 8 * PAGE, QUIRE_UNLIMITED, QUIRE_UNLIMITED, 2 * PAGE, false, 0 };
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(map_at(s, 0, 6, RW, PRIVATE), 0);
	CHECK_EQUAL(map_at(s, 8, 3, RW, PRIVATE), -QUIRE_ENOMEM);
	CHECK_EQUAL(map_at(s, 4, 4, RW, PRIVATE), 4); /* replaces two of them */
	CHECK_EQUAL(quire_mlock(s->cpu, s->mm, AT(0), 3 * PAGE, 0), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mlock(s->cpu, s->mm, AT(0), 2 * PAGE, 0), 0);
	CHECK_EQUAL(map_at(s, 8, 1, RW, PRIVATE | QUIRE_MAP_LOCKED), -QUIRE_EAGAIN);
	limits.memlock = 0;
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(quire_mlockall(s->cpu, s->mm, QUIRE_MCL_CURRENT), -QUIRE_EPERM);
	limits = (struct quire_limits){ QUIRE_UNLIMITED, 10 * PAGE, QUIRE_UNLIMITED, 0, true, 0 };
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(map_at(s, 8, 3, RW, PRIVATE), -QUIRE_ENOMEM);
	CHECK_EQUAL(map_at(s, 8, 3, RO, PRIVATE), 8);
	CHECK_EQUAL(protect_at(s, 8, 3, RW), -QUIRE_ENOMEM);
	CHECK_EQUAL(protect_at(s, 8, 2, RW), 0);
	limits.data = 0;
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(map_at(s, 16, 1, RW, PRIVATE), -QUIRE_ENOMEM);
	limits.data_hard = 11 * PAGE;
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(map_at(s, 16, 2, RW, PRIVATE), -QUIRE_ENOMEM);
	CHECK_EQUAL(map_at(s, 16, 1, RW, PRIVATE), 16);
	limits.data = PAGE - 1; /* no limit of 0, though of no page */
	quire_mm_set_limits(s->cpu, s->mm, &limits);
	CHECK_EQUAL(map_at(s, 16, 1, RW, PRIVATE), -QUIRE_ENOMEM);
}
TEST(base_1_limits_are_kept)

BODY(base_1_bad_arguments)
{
	struct quire_mmap map = { 0, 0, RW, PRIVATE | QUIRE_MAP_ANONYMOUS, NULL, 0, 0, 0 };
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EINVAL);
	map.length = UINT64_MAX;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_ENOMEM);
	map.length = PAGE;
	map.flags = QUIRE_MAP_ANONYMOUS;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EINVAL);
	map.flags = PRIVATE;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EINVAL);
	map.flags = PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED;
	map.addr = AT(0) + 1;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_EINVAL);
	map.addr = 1ul << 63;
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_munmap(s->cpu, s->mm, AT(0), 0), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_munmap(s->cpu, s->mm, AT(0) + 1, PAGE), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_munmap(s->cpu, s->mm, AT(0), UINT64_MAX), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(0), 0, RW), 0);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(0), PAGE, RW), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(0), PAGE, 0x40), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(0), PAGE, QUIRE_PROT_GROWSUP), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(0), PAGE, QUIRE_PROT_GROWSUP | 0x40), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_msync(s->cpu, s->mm, AT(0), PAGE, QUIRE_MS_SYNC), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_msync(s->cpu, s->mm, AT(0), PAGE, QUIRE_MS_SYNC | QUIRE_MS_ASYNC), -QUIRE_EINVAL);
	uint8_t vec[1];
	CHECK_EQUAL(quire_mincore(s->cpu, s->mm, AT(0), PAGE, vec), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mincore(s->cpu, s->mm, AT(0) + 1, PAGE, vec), -QUIRE_EINVAL);
}
TEST(base_1_bad_arguments)

static void base_1_map_count_is_limited_body(struct stage *s)
{
	for (int page = 0; page < 4; page++)
		CHECK_EQUAL(map_at(s, 2 * page, 1, page % 2 ? RW : RO, PRIVATE), 2 * page);
	CHECK_EQUAL(map_at(s, 8, 2, RX, PRIVATE), 8); /* the fifth: Linux lets one pass */
	CHECK_EQUAL(map_at(s, 12, 1, RO, PRIVATE), -QUIRE_ENOMEM);
	CHECK_EQUAL(protect_at(s, 9, 1, RO), -QUIRE_ENOMEM);
	CHECK_EQUAL(quire_mprotect(s->cpu, s->mm, AT(9), PAGE, QUIRE_PROT_GROWSUP), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_madvise(s->cpu, s->mm, AT(9), PAGE, QUIRE_MADV_DONTFORK), -QUIRE_EAGAIN);
	CHECK_EQUAL(quire_madvise(s->cpu, s->mm, AT(9), PAGE, QUIRE_MADV_NOHUGEPAGE), -QUIRE_EAGAIN);
	CHECK_EQUAL(quire_madvise(s->cpu, s->mm, AT(9), PAGE, QUIRE_MADV_NORMAL), 0);
	CHECK_EQUAL(unmap_at(s, 0, 1), 0);
	CHECK_EQUAL(protect_at(s, 9, 1, RO), -QUIRE_ENOMEM);
	CHECK_EQUAL(unmap_at(s, 2, 1), 0);
	CHECK_EQUAL(protect_at(s, 9, 1, RO), 0);
}

static void base_1_map_count_is_limited(void **state)
{
	(void)state;
	struct hosted_config config = { .cpus = 1,
					.memory_bytes = 1024 * PAGE,
					.quire = { .max_map_count = 4 } };
	stage_run_with(base_1_map_count_is_limited_body, &config);
}

static void base_1_strict_overcommit_body(struct stage *s)
{
	/* Half of 256 frames may be promised. */
	CHECK_EQUAL(map_at(s, 0, 100, RW, PRIVATE), 0);
	CHECK_EQUAL(map_at(s, 110, 40, RW, PRIVATE), -QUIRE_ENOMEM);
	CHECK_EQUAL(map_at(s, 110, 40, RO, PRIVATE), 110);
	CHECK_EQUAL(protect_at(s, 110, 40, RW), -QUIRE_ENOMEM);
	CHECK_EQUAL(map_at(s, 0, 100, RW, PRIVATE), 0);
	struct quire_mm *child;
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), -QUIRE_ENOMEM);
	CHECK_EQUAL(unmap_at(s, 0, 75), 0);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	quire_mm_put(s->cpu, child);
}

static void base_1_strict_overcommit(void **state)
{
	(void)state;
	struct hosted_config config = { .cpus = 1,
					.memory_bytes = 256 * PAGE,
					.quire = { .overcommit = QUIRE_OVERCOMMIT_NEVER } };
	stage_run_with(base_1_strict_overcommit_body, &config);
}

/* What an unmapping sets aside for the tree does not grow with what it unmaps. */
static void many_are_unmapped(struct stage *s)
{
	for (int page = 0; page < 120; page++)
		CHECK_EQUAL(map_at(s, page, 1, page % 2 ? RO : RW, PRIVATE), page);
	hosted_fail_objects_after(s->machine, 100);
	int err = quire_munmap(s->cpu, s->mm, AT(1), 118 * PAGE);
	hosted_fail_objects_after(s->machine, UINT64_MAX);
	CHECK_EQUAL(err, 0);
	CHECK_PICTURE(maps(s, s->mm), "A");
	CHECK_EQUAL(quire_munmap(s->cpu, s->mm, AT(0), 120 * PAGE), 0);
}

static void base_6_unmapping_many_needs_memory_for_few(void **state)
{
	(void)state;
	stage_run(many_are_unmapped, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_munmap_middle_splits),
		cmocka_unit_test(base_1_mmap_between_equals_joins_both),
		cmocka_unit_test(base_1_different_mappings_stay_apart),
		cmocka_unit_test(base_1_mprotect_splits_and_joins),
		cmocka_unit_test(base_1_lineage_decides_merging),
		cmocka_unit_test(base_1_fixed_replaces),
		cmocka_unit_test(base_1_mremap_grows_and_shrinks_in_place),
		cmocka_unit_test(base_1_mremap_moves_pages),
		cmocka_unit_test(base_1_mremap_moves_several_with_their_gaps),
		cmocka_unit_test(base_1_mremap_dontunmap_leaves_an_empty_mapping),
		cmocka_unit_test(base_1_mremap_refuses),
		cmocka_unit_test(base_1_mremap_doubles_a_shared_mapping),
		cmocka_unit_test(base_1_search_goes_down_from_the_base),
		cmocka_unit_test(base_1_map_32bit_ends_below_two_gib),
		cmocka_unit_test(base_1_map_32bit_aligns_huge_pages),
		cmocka_unit_test(base_1_brk_moves_the_heap),
		cmocka_unit_test(base_1_stack_grows_to_its_gap),
		cmocka_unit_test(base_1_advice_splits_and_joins),
		cmocka_unit_test(base_1_mlock_splits_populates_and_counts),
		cmocka_unit_test(base_1_limits_are_kept),
		cmocka_unit_test(base_1_bad_arguments),
		cmocka_unit_test(base_1_map_count_is_limited),
		cmocka_unit_test(base_1_strict_overcommit),
		cmocka_unit_test(base_6_unmapping_many_needs_memory_for_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
