/*
 * test_file_mapping.c - programs that load and store through mappings of files with a store behind them.
 */
#include "../support/disk.h"
#include "../support/stage.h"

#define BODY(name) static void name##_body(struct stage *s)
#define TEST(name)                         \
	static void name(void **state)     \
	{                                  \
		(void)state;               \
		stage_run(name##_body, 1); \
	}

#define SHARED QUIRE_MAP_SHARED
#define PRIVATE QUIRE_MAP_PRIVATE

static int sync_at(struct stage *s, int page, int pages)
{
	return quire_msync(s->cpu, s->mm, AT(page), (quire_vaddr)pages * PAGE, QUIRE_MS_SYNC);
}

/* The store is asked at the first store after each sync, not at loads; msync writes what was stored. */
BODY(base_5_first_store_is_noticed)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 4);
	CHECK(file);
	map_file(s, 0, 4, RW, SHARED, file, 0);
	CHECK_EQUAL(load_at(s, 1), 'b');
	CHECK_EQUAL(disk.asks, 0);
	CHECK_EQUAL(store_at(s, 1, 'x'), 0);
	CHECK_EQUAL(store_at(s, 1, 'y'), 0);
	CHECK_EQUAL(disk.asks, 1);
	CHECK_EQUAL(sync_at(s, 0, 4), 0);
	CHECK_EQUAL(disk.writes, 1);
	CHECK_EQUAL(disk.bytes[PAGE], 'y');
	CHECK_EQUAL(load_at(s, 1), 'y');
	CHECK_EQUAL(disk.asks, 1);
	CHECK_EQUAL(store_at(s, 1, 'z'), 0); /* the translation that the CPU had cached is gone */
	CHECK_EQUAL(disk.asks, 2);
	CHECK_EQUAL(unmap_at(s, 0, 4), 0);
	CHECK_EQUAL(disk.writes, 1);
	quire_file_put(s->cpu, file);
	CHECK_EQUAL(disk.writes, 2);
	CHECK_EQUAL(disk.bytes[PAGE], 'z');
}
TEST(base_5_first_store_is_noticed)

/* Two spaces, two mappings each: one sync protects all four. */
BODY(base_4_sync_finds_every_mapping)
{
	static struct disk disk;
	struct quire_mm *child;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, SHARED, file, 0);
	map_file(s, 4, 2, RW, SHARED, file, 0);
	CHECK_EQUAL(store_at(s, 0, '0'), 0);
	CHECK_EQUAL(store_at(s, 4, '1'), 0);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK_EQUAL(store_in(s, child, 0, '2'), 0);
	CHECK_EQUAL(store_in(s, child, 4, '3'), 0);
	CHECK_EQUAL(disk.asks, 1);
	CHECK_EQUAL(quire_file_sync(s->cpu, file, 0, 1), 0);
	CHECK_EQUAL(disk.bytes[0], '3');
	for (int page = 0; page <= 4; page += 4) {
		int asks = disk.asks;
		CHECK_EQUAL(store_at(s, page, '4'), 0);
		CHECK_EQUAL(disk.asks, asks + 1);
		CHECK_EQUAL(quire_file_sync(s->cpu, file, 0, 1), 0);
		CHECK_EQUAL(store_in(s, child, page, '5'), 0);
		CHECK_EQUAL(disk.asks, asks + 2);
		CHECK_EQUAL(quire_file_sync(s->cpu, file, 0, 1), 0);
	}
	quire_mm_put(s->cpu, child);
	quire_file_put(s->cpu, file);
}
TEST(base_4_sync_finds_every_mapping)

/* A store that refuses makes the program's store a SIGBUS; loads go on. */
BODY(base_5_refusal_is_a_bus_error)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, SHARED, file, 0);
	disk.refuse = -QUIRE_ENOSPC;
	CHECK_EQUAL(store_at(s, 0, 'x'), -QUIRE_SIGBUS);
	CHECK_EQUAL(load_at(s, 0), 'a');
	CHECK_EQUAL(store_at(s, 0, 'x'), -QUIRE_SIGBUS);
	disk.refuse = 0;
	CHECK_EQUAL(store_at(s, 0, 'x'), 0);
	quire_file_put(s->cpu, file);
}
TEST(base_5_refusal_is_a_bus_error)

/* A page that cannot be read is a SIGBUS, for as long as it cannot. */
BODY(base_5_read_error_is_a_bus_error)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, PRIVATE, file, 0);
	disk.fail_read = -QUIRE_EIO;
	CHECK_EQUAL(load_at(s, 0), -QUIRE_SIGBUS);
	CHECK_EQUAL(store_at(s, 1, 1), -QUIRE_SIGBUS);
	disk.fail_read = 0;
	CHECK_EQUAL(load_at(s, 0), 'a');
	CHECK_EQUAL(store_at(s, 1, 1), 0);
	CHECK_EQUAL(load_at(s, 1), 1);
	quire_file_put(s->cpu, file);
}
TEST(base_5_read_error_is_a_bus_error)

/* msync reports that writing failed, once; the page is written by the next. */
BODY(base_5_msync_reports_a_write_error)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, SHARED, file, 0);
	CHECK_EQUAL(store_at(s, 1, 'x'), 0);
	disk.fail_write = -QUIRE_EIO;
	CHECK_EQUAL(sync_at(s, 0, 2), -QUIRE_EIO);
	disk.fail_write = 0;
	CHECK_EQUAL(sync_at(s, 0, 2), 0);
	CHECK_EQUAL(disk.bytes[PAGE], 'x');
	CHECK_EQUAL(sync_at(s, 0, 2), 0);
	CHECK_EQUAL(disk.writes, 2);
	quire_file_put(s->cpu, file);
}
TEST(base_5_msync_reports_a_write_error)

/* LUF-3's call: after it returns, loads see what the store has now; private copies stay. */
BODY(base_5_invalidation_is_seen_by_mappings)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 4);
	CHECK(file);
	map_file(s, 0, 4, RW, SHARED, file, 0);
	map_file(s, 8, 4, RW, PRIVATE, file, 0);
	for (int page = 0; page < 4; page++) {
		CHECK_EQUAL(load_at(s, page), 'a' + page);
		CHECK_EQUAL(load_at(s, 8 + page), 'a' + page);
	}
	CHECK_EQUAL(store_at(s, 8, 'p'), 0);
	CHECK_EQUAL(store_at(s, 3, 's'), 0);
	memset(disk.bytes, 'R', sizeof(disk.bytes));
	CHECK_EQUAL(quire_file_invalidate(s->cpu, file, 0, 3), 0);
	CHECK_EQUAL(load_at(s, 0), 'R');
	CHECK_EQUAL(load_at(s, 9), 'R');
	CHECK_EQUAL(load_at(s, 8), 'p');
	CHECK_EQUAL(load_at(s, 3), 's'); /* dirty: written back first */
	CHECK_EQUAL(load_at(s, 11), 's');
	quire_file_put(s->cpu, file);
}
TEST(base_5_invalidation_is_seen_by_mappings)

/* The mapping holds the file; the last of both writes back. */
BODY(base_5_mapping_outlives_the_handle)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, SHARED, file, 0);
	quire_file_put(s->cpu, file);
	CHECK_EQUAL(store_at(s, 0, 'x'), 0);
	CHECK_EQUAL(disk.releases, 0);
	CHECK_EQUAL(unmap_at(s, 0, 2), 0);
	CHECK_EQUAL(disk.releases, 1);
	CHECK_EQUAL(disk.bytes[0], 'x');
}
TEST(base_5_mapping_outlives_the_handle)

/* mprotect to writable does not slip past the store. */
BODY(base_5_mprotect_keeps_the_notice)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 2);
	CHECK(file);
	map_file(s, 0, 2, RO, SHARED, file, 0);
	CHECK_EQUAL(load_at(s, 0), 'a');
	CHECK_EQUAL(protect_at(s, 0, 2, RW), 0);
	CHECK_EQUAL(store_at(s, 0, 'x'), 0);
	CHECK_EQUAL(disk.asks, 1);
	CHECK_EQUAL(protect_at(s, 0, 2, QUIRE_PROT_NONE), 0);
	CHECK_EQUAL(sync_at(s, 0, 2), 0);
	CHECK_EQUAL(disk.bytes[0], 'x');
	CHECK_EQUAL(protect_at(s, 0, 2, RW), 0);
	CHECK_EQUAL(store_at(s, 0, 'y'), 0);
	CHECK_EQUAL(disk.asks, 2);
	quire_file_put(s->cpu, file);
}
TEST(base_5_mprotect_keeps_the_notice)

/* Holes and ends: what is behind a mapping goes, the mapping stays. */
BODY(base_5_punch_and_truncate_under_a_mapping)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 4);
	CHECK(file);
	map_file(s, 0, 4, RW, SHARED, file, 0);
	for (int page = 0; page < 4; page++)
		CHECK_EQUAL(store_at(s, page, (uint8_t)('0' + page)), 0);
	CHECK_EQUAL(quire_file_punch(s->cpu, file, PAGE, PAGE), 0);
	CHECK_EQUAL(load_at(s, 1), 0);
	CHECK_EQUAL(quire_file_truncate(s->cpu, file, 2 * PAGE + 1), 0);
	CHECK_EQUAL(load_at(s, 2), '2');
	CHECK_EQUAL(load_at(s, 3), -QUIRE_SIGBUS);
	CHECK_EQUAL(sync_at(s, 0, 4), 0);
	CHECK(disk.bytes[2 * PAGE] == '2' && disk.bytes[2 * PAGE + 1] == 0 && disk.bytes[3 * PAGE] == 0);
	CHECK_EQUAL(quire_file_truncate(s->cpu, file, 4 * PAGE), 0);
	CHECK_EQUAL(load_at(s, 3), 0);
	quire_file_put(s->cpu, file);
}
TEST(base_5_punch_and_truncate_under_a_mapping)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_5_first_store_is_noticed),
		cmocka_unit_test(base_4_sync_finds_every_mapping),
		cmocka_unit_test(base_5_refusal_is_a_bus_error),
		cmocka_unit_test(base_5_read_error_is_a_bus_error),
		cmocka_unit_test(base_5_msync_reports_a_write_error),
		cmocka_unit_test(base_5_invalidation_is_seen_by_mappings),
		cmocka_unit_test(base_5_mapping_outlives_the_handle),
		cmocka_unit_test(base_5_mprotect_keeps_the_notice),
		cmocka_unit_test(base_5_punch_and_truncate_under_a_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
