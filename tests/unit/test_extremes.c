/*
 * test_extremes.c - every call with every pair of addresses and lengths from the ends of what there is, and
 * of what 64 bits hold.
 *
 * Whatever they answer, no sum may wrap round to where something is mapped, and the space stays consistent;
 * and at the end nothing is left. Rules: BASE-1, BASE-4.
 */
#include "stage.h"

#define FEW (4096 * PAGE)

static const uint64_t values[] = {
	0,
	1,
	PAGE,
	AT(0),
	1ul << 31,
	QUIRE_USER_END - 2 * PAGE,
	QUIRE_USER_END - PAGE,
	QUIRE_USER_END - 1,
	QUIRE_USER_END,
	QUIRE_USER_END + PAGE,
	1ul << 63,
	(1ul << 63) + PAGE,
	-(uint64_t)2 * PAGE,
	-(uint64_t)PAGE,
	-(uint64_t)PAGE + 1,
	UINT64_MAX,
};
#define VALUES (sizeof(values) / sizeof(values[0]))

static void map_with(struct stage *s, quire_vaddr addr, quire_vaddr length, uint32_t flags)
{
	struct quire_mmap map = { .addr = addr, .length = length, .prot = RW, .offset = 0 };
	map.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | flags;
	quire_mmap(s->cpu, s->mm, &map);
	map.flags = QUIRE_MAP_SHARED | QUIRE_MAP_ANONYMOUS | flags;
	map.offset = addr & ~(uint64_t)(PAGE - 1);
	quire_mmap(s->cpu, s->mm, &map);
}

static void change_with(struct stage *s, quire_vaddr addr, quire_vaddr length)
{
	static const int advice[] = { QUIRE_MADV_DONTNEED, QUIRE_MADV_FREE,	     QUIRE_MADV_WILLNEED,
				      QUIRE_MADV_DONTFORK, QUIRE_MADV_POPULATE_READ, QUIRE_MADV_REMOVE };
	for (unsigned i = 0; i < sizeof(advice) / sizeof(advice[0]); i++) {
		/* Whether it touches thousands of pages or millions is no other test, only longer. */
		bool is_long = advice[i] == QUIRE_MADV_POPULATE_READ && length <= QUIRE_USER_END;
		quire_madvise(s->cpu, s->mm, addr, is_long && length > FEW ? FEW : length, advice[i]);
	}
	quire_mprotect(s->cpu, s->mm, addr, length, RO);
	quire_mprotect(s->cpu, s->mm, addr, length, RW | QUIRE_PROT_GROWSDOWN);
	quire_mlock(s->cpu, s->mm, addr, length, QUIRE_MLOCK_ONFAULT);
	quire_munlock(s->cpu, s->mm, addr, length);
	quire_msync(s->cpu, s->mm, addr, length, QUIRE_MS_SYNC);
	quire_brk(s->cpu, s->mm, addr);
	quire_brk(s->cpu, s->mm, length);
}

static void move_with(struct stage *s, quire_vaddr a, quire_vaddr b)
{
	uint32_t fixed = QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED;
	quire_mremap(s->cpu, s->mm, AT(0), PAGE, a, QUIRE_MREMAP_MAYMOVE, b);
	quire_mremap(s->cpu, s->mm, AT(0), a, b, 0, 0);
	quire_mremap(s->cpu, s->mm, a, PAGE, b, fixed, AT(4));
	quire_mremap(s->cpu, s->mm, a, b, PAGE, fixed, AT(4));
	quire_mremap(s->cpu, s->mm, a, b, b, fixed, AT(4));
	quire_mremap(s->cpu, s->mm, AT(0), PAGE, a, fixed, b);
	quire_mremap(s->cpu, s->mm, AT(0), a, a, fixed | QUIRE_MREMAP_DONTUNMAP, b);
}

static void access_with(struct stage *s, quire_vaddr addr, uint64_t length)
{
	struct quire_fault fault;
	struct quire_iovec here = { AT(0), 16 }, there = { addr, length };
	char bytes[32] = { 0 };
	size_t few = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
	hosted_load(s->cpu, s->mm, addr, bytes, few, &fault);
	hosted_store(s->cpu, s->mm, addr, bytes, few, &fault);
	quire_copy_from(s->cpu, s->mm, bytes, addr, few);
	quire_poke(s->cpu, s->mm, addr, bytes, few);
	quire_process_vm(s->cpu, s->mm, &here, 1, s->mm, &there, 1, false);
	quire_process_vm(s->cpu, s->mm, &there, 1, s->mm, &here, 1, true);
}

static void all_with(struct stage *s, uint64_t a, uint64_t b)
{
	const char *what = NULL;
	CHECK(map_at(s, 0, 2, RW, QUIRE_MAP_PRIVATE) == 0);
	map_with(s, a, b, 0);
	map_with(s, a, b, QUIRE_MAP_FIXED);
	map_with(s, a, b, QUIRE_MAP_GROWSDOWN | QUIRE_MAP_NORESERVE);
	map_with(s, a, b, QUIRE_MAP_FIXED_NOREPLACE | QUIRE_MAP_NORESERVE);
	access_with(s, a, b);
	change_with(s, a, b);
	CHECK_EQUAL(quire_mm_check(s->cpu, s->mm, &what), 0);
	move_with(s, a, b);
	access_with(s, a, b);
	CHECK_EQUAL(quire_mm_check(s->cpu, s->mm, &what), 0);
	quire_munmap(s->cpu, s->mm, a, b);
	CHECK_EQUAL(quire_munmap(s->cpu, s->mm, 0, QUIRE_USER_END), 0);
}

static void all_pairs(struct stage *s)
{
	for (unsigned i = 0; i < VALUES && !s->failed[0]; i++) {
		for (unsigned j = 0; j < VALUES && !s->failed[0]; j++)
			all_with(s, values[i], values[j]);
	}
}

static void base_1_extreme_addresses_and_lengths_break_nothing(void **state)
{
	(void)state;
	stage_run(all_pairs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_extreme_addresses_and_lengths_break_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
