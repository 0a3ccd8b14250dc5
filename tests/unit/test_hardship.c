/*
 * test_hardship.c - what must succeed, or must leave everything as it was, when not one frame is left; what
 * devices may rely on; and what a caller may say.
 *
 * Rules: BASE-1, BASE-5, BASE-6 (out of memory is an error code, never a lost page), BASE-7.
 */
#include "../../core/space/mm.h"
#include "../../core/table/cursor.h"
#include "../support/disk.h"
#include "stage.h"

#include <quire/notifier.h>

#define PRIVATE QUIRE_MAP_PRIVATE

/* Every frame but @left is taken; the caller gives them back. */
struct hoard {
	struct folio *taken[4096];
	unsigned count;
};

static void give_back(struct stage *s, struct hoard *hoard, unsigned left)
{
	while (hoard->count > left)
		folio_put(*s->cpu, hoard->taken[--hoard->count]);
}

static void take_all_but(struct stage *s, struct hoard *hoard, unsigned left)
{
	struct folio *folio;
	quire_port_rcu_barrier(s->cpu);
	hoard->count = 0;
	while ((folio = folio_alloc(*s->cpu, FOLIO_RESERVED, 0)))
		hoard->taken[hoard->count++] = folio;
	give_back(s, hoard, hoard->count - left);
}

/*
 * Two pages on each side of a border between tables go to such a border elsewhere. There is a frame for the
 * first table there, and none for the second: what was moved already goes back, and needs no memory for it.
 */
static void a_move_goes_back(struct stage *s)
{
	static struct hoard hoard;
	quire_vaddr from = AT(-2), to = AT(-2) + 8 * QUIRE_HUGE_SIZE;
	CHECK(map_at(s, -2, 4, RW, PRIVATE) > 0);
	for (int page = -2; page < 2; page++)
		CHECK_EQUAL(store_at(s, page, (uint8_t)(10 + page)), 0);
	take_all_but(s, &hoard, 1);
	/* No frame of a table that is taken out comes free meanwhile. */
	quire_port_rcu_lock(*s->cpu);
	int64_t result = quire_mremap(s->cpu, s->mm, from, 4 * PAGE, 4 * PAGE,
				      QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED, to);
	quire_port_rcu_unlock(*s->cpu);
	give_back(s, &hoard, 0);
	CHECK_EQUAL(result, -QUIRE_ENOMEM);
	for (int page = -2; page < 2; page++)
		CHECK_EQUAL(load_at(s, page), 10 + page);
}

static void base_6_a_move_that_runs_out_of_memory_loses_no_page(void **state)
{
	(void)state;
	stage_run(a_move_goes_back, 1);
}

/* The child that shared the page is gone; nothing has to be copied. */
static void a_sole_owner_writes(struct stage *s)
{
	static struct hoard hoard;
	struct quire_mm *child;
	CHECK_EQUAL(map_at(s, 0, 1, RW, PRIVATE), 0);
	CHECK_EQUAL(store_at(s, 0, 5), 0);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	quire_mm_put(s->cpu, child);
	take_all_but(s, &hoard, 0);
	int result = store_at(s, 0, 6);
	give_back(s, &hoard, 0);
	CHECK_EQUAL(result, 0);
	CHECK_EQUAL(load_at(s, 0), 6);
}

static void base_6_a_write_that_copies_nothing_needs_no_memory(void **state)
{
	(void)state;
	stage_run(a_sole_owner_writes, 1);
}

/* ---- secondary MMUs ---------------------------------------------------------------------------------- */

static void count_release(struct quire_notifier *notifier, struct quire_cpu **cpu)
{
	(void)cpu;
	++*(int *)notifier->data;
}

static const struct quire_notifier_ops counting_ops = { .release = count_release };

static void an_mm_with_a_notifier_goes(struct stage *s)
{
	int released = 0;
	struct quire_mm *mm;
	struct quire_notifier notifier = { .ops = &counting_ops, .data = &released };
	CHECK_EQUAL(quire_mm_create(s->cpu, &mm), 0);
	CHECK_EQUAL(quire_notifier_register(s->cpu, mm, &notifier), 0);
	quire_mm_put(s->cpu, mm);
	CHECK_EQUAL(released, 1);
}

static void base_7_a_notifier_is_released_when_its_mm_goes(void **state)
{
	(void)state;
	stage_run(an_mm_with_a_notifier_goes, 1);
}

static void a_page_of_data(struct stage *s)
{
	quire_pfn pfn;
	bool writable;
	CHECK_EQUAL(map_at(s, 0, 1, RW, PRIVATE), 0);
	CHECK_EQUAL(store_at(s, 0, 5), 0);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_WRITE, &pfn, &writable), 0);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_EXEC, &pfn, &writable), -QUIRE_EFAULT);
}

static void base_7_data_is_not_translated_for_execution(void **state)
{
	(void)state;
	stage_run(a_page_of_data, 1);
}

/* MADV_FREE leaves the page writable, and clean: it may go as long as nobody has written to it. */
static void a_device_writes(struct stage *s)
{
	quire_pfn pfn;
	bool writable;
	struct cursor cursor;
	CHECK_EQUAL(map_at(s, 0, 1, RW, PRIVATE), 0);
	CHECK_EQUAL(store_at(s, 0, 5), 0);
	CHECK_EQUAL(advise_at(s, 0, 1, QUIRE_MADV_FREE), 0);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_WRITE, &pfn, &writable), 0);
	CHECK(writable);
	CHECK_EQUAL(cursor_open(&cursor, *s->cpu, &s->mm->as, AT(0), CURSOR_READ, NULL, NULL), 0);
	bool dirty = cursor.entry & ENTRY_DIRTY;
	cursor_close(&cursor);
	CHECK(dirty);
}

static void base_7_a_page_translated_for_writing_is_dirty(void **state)
{
	(void)state;
	stage_run(a_device_writes, 1);
}

/* ---- files ------------------------------------------------------------------------------------------- */

/* Which opening of a file it was is the caller's to say, 0 as well as any. */
static void opening_0_is_mapped(struct stage *s)
{
	static struct disk disk;
	struct quire_file *file = disk_file(s->cpu, &disk, 1);
	struct quire_mmap map = { .addr = AT(0), .length = PAGE, .prot = RW, .file = file, .opened = 0 };
	map.flags = QUIRE_MAP_SHARED | QUIRE_MAP_FIXED;
	map.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE;
	CHECK(file != NULL);
	CHECK_EQUAL(quire_mmap(s->cpu, s->mm, &map), AT(0));
	CHECK(quire_file_data(file) == &disk);
	CHECK_EQUAL(load_at(s, 0), 'a');
	quire_file_put(s->cpu, file);
}

static void base_5_a_file_of_any_opening_keeps_its_store(void **state)
{
	(void)state;
	stage_run(opening_0_is_mapped, 1);
}

/* What the address would be with the bits cut off that tables do not look at is mapped. */
static void an_address_of_no_space(struct stage *s)
{
	static const quire_vaddr nowhere[] = { UINT64_MAX, QUIRE_USER_END, QUIRE_USER_END + PAGE,
					       AT(0) + QUIRE_LEVEL_SIZE(QUIRE_LEVELS) };
	quire_pfn pfn;
	bool writable;
	CHECK_EQUAL(map_at(s, 0, 1, RW, PRIVATE), 0);
	CHECK_EQUAL(store_at(s, 0, 5), 0);
	for (unsigned i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
		CHECK_EQUAL(quire_translate(s->cpu, s->mm, nowhere[i], QUIRE_ACCESS_READ, &pfn, &writable),
			    -QUIRE_EFAULT);
}

static void base_7_what_lies_outside_the_space_is_not_translated(void **state)
{
	(void)state;
	stage_run(an_address_of_no_space, 1);
}

/* A page of memory is mapped writable by a load, and stays clean: dropped as such it would be lost. */
static void a_device_reads(struct stage *s)
{
	quire_pfn pfn;
	bool writable;
	struct quire_file *file;
	CHECK_EQUAL(quire_file_create_ram(s->cpu, PAGE, 1, &file), 0);
	CHECK_EQUAL(map_file(s, 0, 1, RW, QUIRE_MAP_SHARED, file, 0), 0);
	CHECK_EQUAL(load_at(s, 0), 0);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_READ, &pfn, &writable), 0);
	if (writable)
		*(char *)frame_memory((*s->cpu)->quire, pfn) = 7;
	CHECK_EQUAL(quire_file_invalidate(s->cpu, file, 0, 0), 0);
	CHECK_EQUAL(load_at(s, 0), writable ? 7 : 0);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_WRITE, &pfn, &writable), 0);
	CHECK(writable);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_READ, &pfn, &writable), 0);
	CHECK(writable);
	quire_file_put(s->cpu, file);
}

static void base_7_a_clean_page_translated_for_reading_is_not_writable(void **state)
{
	(void)state;
	stage_run(a_device_reads, 1);
}

/* mmap() takes any file descriptor with MAP_ANONYMOUS, and does not look at it. */
static void a_file_is_named_for_nothing(struct stage *s)
{
	static struct disk disk;
	static const uint32_t kinds[] = { PRIVATE, QUIRE_MAP_SHARED };
	struct quire_file *file = disk_file(s->cpu, &disk, 1);
	CHECK(file != NULL);
	for (int i = 0; i < 2; i++) {
		struct quire_map_info info;
		CHECK_EQUAL(map_file(s, i, 1, RW, kinds[i] | QUIRE_MAP_ANONYMOUS, file, 0), i);
		CHECK_EQUAL(quire_map_next(s->cpu, s->mm, AT(i), &info), 0);
		CHECK(info.file != file);
		CHECK(quire_file_data(file) == &disk);
		CHECK_EQUAL(store_at(s, i, 5), 0);
	}
	CHECK_EQUAL(disk.reads, 0);
	quire_file_put(s->cpu, file);
}

static void base_1_an_anonymous_mapping_has_no_file(void **state)
{
	(void)state;
	stage_run(a_file_is_named_for_nothing, 1);
}

/* A layout is a wish: mappings are of whole pages, and inside the space. */
static void a_layout_of_odd_numbers(struct stage *s)
{
	static const quire_vaddr bases[] = { AT(8) + 123, QUIRE_USER_END + 1, UINT64_MAX };
	struct quire_mmap map = { .length = PAGE, .prot = RW, .flags = PRIVATE | QUIRE_MAP_ANONYMOUS };
	const char *what;
	for (unsigned i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		struct quire_layout layout = { .mmap_base = bases[i],
					       .mmap_bottom = AT(0) + 1,
					       .end = AT(9) + 5 };
		quire_mm_set_layout(s->cpu, s->mm, &layout);
		for (int maps = 0; maps < 3; maps++) {
			int64_t at = quire_mmap(s->cpu, s->mm, &map);
			CHECK(at > 0 && at % (int64_t)PAGE == 0 && at < (int64_t)AT(9));
			CHECK_EQUAL(quire_copy_to(s->cpu, s->mm, (quire_vaddr)at, "x", 1), 1);
		}
		CHECK_EQUAL(quire_mm_check(s->cpu, s->mm, &what), 0);
	}
}

static void base_1_a_layout_of_odd_numbers_gives_whole_pages(void **state)
{
	(void)state;
	stage_run(a_layout_of_odd_numbers, 1);
}

/* Any error of a store is the caller's, this one too: it is not taken for a change of the cache. */
static void a_store_is_busy(struct stage *s)
{
	static struct disk disk;
	char byte;
	struct quire_file *file = disk_file(s->cpu, &disk, 1);
	CHECK(file != NULL);
	disk.fail_read = -QUIRE_EAGAIN;
	CHECK_EQUAL(quire_file_read(s->cpu, file, 0, &byte, 1), -QUIRE_EAGAIN);
	CHECK_EQUAL(quire_file_write(s->cpu, file, 0, &byte, 1), -QUIRE_EAGAIN);
	CHECK_EQUAL(disk.reads, 2);
	quire_file_put(s->cpu, file);
}

static void base_5_a_stores_eagain_is_its_callers(void **state)
{
	(void)state;
	stage_run(a_store_is_busy, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_6_a_move_that_runs_out_of_memory_loses_no_page),
		cmocka_unit_test(base_6_a_write_that_copies_nothing_needs_no_memory),
		cmocka_unit_test(base_7_a_notifier_is_released_when_its_mm_goes),
		cmocka_unit_test(base_7_data_is_not_translated_for_execution),
		cmocka_unit_test(base_7_a_page_translated_for_writing_is_dirty),
		cmocka_unit_test(base_7_what_lies_outside_the_space_is_not_translated),
		cmocka_unit_test(base_7_a_clean_page_translated_for_reading_is_not_writable),
		cmocka_unit_test(base_1_an_anonymous_mapping_has_no_file),
		cmocka_unit_test(base_1_a_layout_of_odd_numbers_gives_whole_pages),
		cmocka_unit_test(base_5_a_file_of_any_opening_keeps_its_store),
		cmocka_unit_test(base_5_a_stores_eagain_is_its_callers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
