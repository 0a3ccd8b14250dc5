/*
 * test_interleave.c - what one operation has begun and another must not take for finished.
 *
 * An operation changes an entry and flushes afterwards. In between the old translation is still good on CPUs
 * that have not been told, and another operation, which finds the entry changed already, has nothing to
 * change itself. It must not return all the same before the CPUs have forgotten, or its caller relies on what
 * is not yet so.
 *
 *	CPU 1			CPU 0				CPU 2
 *	store to the page
 *	hear nothing ...	first: change the entry
 *				flush: wait for CPU 1		wait for the change
 *								second: ...
 *	still deaf		... still			... must not have returned
 *	listen			return				return
 *
 * Further: a second sync, while the first has handed the page to the store and the store has not got it yet.
 *
 * Rules: BASE-3, BASE-5, BASE-7.
 */
#include "../../core/space/mm.h"
#include "../../core/table/cursor.h"
#include "../support/disk.h"
#include "stage.h"

#include <time.h>

#define DEAF_MS 150
#define SHARED QUIRE_MAP_SHARED
#define PRIVATE QUIRE_MAP_PRIVATE

struct play {
	struct hosted *machine;
	struct quire_mm *mm;
	struct quire_file *file; /* mapped, shared; NULL: anonymous memory */
	struct disk disk;
	int (*first)(struct quire_cpu **cpu, struct play *p);
	int (*second)(struct quire_cpu **cpu, struct play *p);
	_Atomic bool deaf, writing, go, returned;
	bool too_early;
	char failed[200];
};

static void pause_ms(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void note(struct play *p, int line, const char *what)
{
	if (!p->failed[0])
		snprintf(p->failed, sizeof(p->failed), "%s:%d: %s", __FILE__, line, what);
}

#define EXPECT(condition)                              \
	do {                                           \
		if (!(condition))                      \
			note(p, __LINE__, #condition); \
	} while (0)

/* ---- the three CPUs ---------------------------------------------------------------------------------- */

static void set_the_stage(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_mmap map = { .addr = AT(0), .length = PAGE, .prot = RW, .flags = QUIRE_MAP_FIXED };
	if (p->file)
		p->file = disk_file(cpu, &p->disk, 1);
	map.flags |= p->file ? SHARED : PRIVATE | QUIRE_MAP_ANONYMOUS;
	map.file = p->file;
	map.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE;
	map.opened = 1;
	EXPECT(quire_mm_create(cpu, &p->mm) == 0);
	EXPECT(quire_mmap(cpu, p->mm, &map) == (int64_t)AT(0));
}

static void clear_the_stage(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_stats stats;
	const char *what;
	EXPECT(quire_mm_check(cpu, p->mm, &what) == 0);
	quire_mm_put(cpu, p->mm);
	if (p->file)
		quire_file_put(cpu, p->file);
	quire_port_rcu_barrier(cpu);
	quire_stats_read((*cpu)->quire, &stats);
	EXPECT(stats.frames_free + stats.frames_reserved == stats.frames_total);
}

static void be_deaf(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_fault fault;
	uint8_t byte = 7;
	quire_cpu_run(*cpu, p->mm);
	EXPECT(hosted_store(cpu, p->mm, AT(0), &byte, 1, &fault) == 0);
	atomic_store(&p->deaf, true);
	for (int ms = 0; ms < DEAF_MS && !atomic_load(&p->returned); ms++)
		pause_ms();
	p->too_early = atomic_load(&p->returned);
	hosted_poll(*cpu);
	quire_cpu_leave(*cpu);
}

static void do_first(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	while (!atomic_load(&p->deaf))
		hosted_poll(*cpu);
	EXPECT(p->first(cpu, p) == 0);
}

static bool is_writable(struct quire_cpu **cpu, struct play *p)
{
	struct cursor cursor;
	if (cursor_open(&cursor, *cpu, &p->mm->as, AT(0), CURSOR_READ, NULL, NULL))
		return false;
	bool writable = entry_is_writable(cursor.entry);
	cursor_close(&cursor);
	return writable;
}

static void do_second(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	while (!atomic_load(&p->deaf))
		hosted_poll(*cpu);
	while (is_writable(cpu, p))
		hosted_poll(*cpu);
	EXPECT(p->second(cpu, p) == 0);
	atomic_store(&p->returned, true);
}

typedef int operation(struct quire_cpu **cpu, struct play *p);

static void begin(struct play *p)
{
	struct hosted_config config = { .cpus = 3, .memory_bytes = 512 * PAGE, .seed = 1 };
	assert_int_equal(hosted_create(&config, &p->machine), 0);
	hosted_run(p->machine, 0, set_the_stage, p);
}

static void end(struct play *p)
{
	hosted_run(p->machine, 0, clear_the_stage, p);
	if (p->failed[0])
		fail_msg("%s", p->failed);
	hosted_destroy(p->machine);
}

/* @file: not what it points to, but whether there is one. */
static void play(operation *first, operation *second, bool file)
{
	struct play p = { .first = first, .second = second };
	p.file = file ? (struct quire_file *)&p : NULL;
	begin(&p);
	hosted_post(p.machine, 1, be_deaf, &p);
	hosted_post(p.machine, 0, do_first, &p);
	hosted_post(p.machine, 2, do_second, &p);
	hosted_wait(p.machine);
	if (p.too_early)
		note(&p, __LINE__,
		     "the second call returned while a CPU could still use the old translation");
	end(&p);
}

/* ---- what they do ------------------------------------------------------------------------------------ */

static int discard(struct quire_cpu **cpu, struct play *p)
{
	return quire_madvise(cpu, p->mm, AT(0), PAGE, QUIRE_MADV_DONTNEED);
}

static int unmap(struct quire_cpu **cpu, struct play *p)
{
	return quire_munmap(cpu, p->mm, AT(0), PAGE);
}

static int take_write_away(struct quire_cpu **cpu, struct play *p)
{
	return quire_mprotect(cpu, p->mm, AT(0), PAGE, RO);
}

static int take_all_away(struct quire_cpu **cpu, struct play *p)
{
	return quire_mprotect(cpu, p->mm, AT(0), PAGE, QUIRE_PROT_NONE);
}

static int sync_file(struct quire_cpu **cpu, struct play *p)
{
	return quire_file_sync(cpu, p->file, 0, 0);
}

static int punch(struct quire_cpu **cpu, struct play *p)
{
	return quire_file_punch(cpu, p->file, 0, PAGE);
}

static int invalidate(struct quire_cpu **cpu, struct play *p)
{
	return quire_file_invalidate(cpu, p->file, 0, 0);
}

static void base_3_what_another_discards_is_flushed_when_one_returns(void **state)
{
	(void)state;
	play(discard, discard, false);
}

/* The store that CPU 1 still makes would be in a page that is clean. */
static void base_5_sync_waits_for_the_flush_of_an_unmapping(void **state)
{
	(void)state;
	play(unmap, sync_file, true);
}

static void base_5_sync_waits_for_the_flush_of_a_protection(void **state)
{
	(void)state;
	play(take_all_away, sync_file, true);
}

static void base_3_mprotect_waits_for_the_flush_of_a_sync(void **state)
{
	(void)state;
	play(sync_file, take_write_away, true);
}

static void base_5_punch_waits_for_the_flush_of_a_discard(void **state)
{
	(void)state;
	play(discard, punch, true);
}

static void base_5_invalidate_waits_for_the_flush_of_an_unmapping(void **state)
{
	(void)state;
	play(unmap, invalidate, true);
}

/* ---- a slow store ------------------------------------------------------------------------------------ */

static int slow_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	(void)cpu;
	(void)file;
	(void)data;
	(void)index;
	memset(page, 0, PAGE);
	return 0;
}

static int slow_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	struct play *p = data;
	(void)file;
	(void)index;
	(void)page;
	atomic_store(&p->writing, true);
	while (!atomic_load(&p->go))
		hosted_poll(*cpu);
	return 0;
}

static const struct quire_store slow_store = { .read = slow_read, .write = slow_write };

static void make_dirty(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	EXPECT(quire_file_create(cpu, &slow_store, p, QUIRE_FILE_READ | QUIRE_FILE_WRITE, PAGE, 1,
				 &p->file) == 0);
	EXPECT(quire_file_write(cpu, p->file, 0, "x", 1) == 1);
}

static void sync_first(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	EXPECT(quire_file_sync(cpu, p->file, 0, 0) == 0);
}

static void sync_second(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	while (!atomic_load(&p->writing))
		hosted_poll(*cpu);
	EXPECT(quire_file_sync(cpu, p->file, 0, 0) == 0);
	atomic_store(&p->returned, true);
}

static void let_it_write(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	(void)cpu;
	for (int ms = 0; ms < DEAF_MS && !atomic_load(&p->returned); ms++)
		pause_ms();
	EXPECT(!atomic_load(&p->returned));
	atomic_store(&p->go, true);
}

static void base_5_sync_waits_for_what_another_sync_is_writing(void **state)
{
	struct play p = { .file = NULL };
	(void)state;
	begin(&p);
	hosted_run(p.machine, 0, make_dirty, &p);
	hosted_post(p.machine, 0, sync_first, &p);
	hosted_post(p.machine, 2, sync_second, &p);
	hosted_post(p.machine, 1, let_it_write, &p);
	hosted_wait(p.machine);
	end(&p);
}

/* ---- mapped, and taken away, while another page of the range is dealt with ---------------------------- */

static bool is_mapped(struct quire_cpu *cpu, struct play *p, quire_vaddr va)
{
	struct cursor cursor;
	if (cursor_open(&cursor, cpu, &p->mm->as, va, CURSOR_READ, NULL, NULL))
		return false;
	bool mapped = entry_is_mapped(cursor.entry);
	cursor_close(&cursor);
	return mapped;
}

/*
 * Page 0 is written back for as long as page 1 takes to come, and to be let go by a call that has not
 * flushed.
 */
static int write_meanwhile(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
			   const void *page)
{
	struct play *p = data;
	(void)file;
	(void)index;
	(void)page;
	atomic_store(&p->writing, true);
	while (!atomic_load(&p->deaf) || is_mapped(*cpu, p, AT(1)))
		hosted_poll(*cpu);
	return 0;
}

static const struct quire_store meanwhile_store = { .read = slow_read, .write = write_meanwhile };

static void map_two_pages(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_mmap map = { .addr = AT(0), .length = 2 * PAGE, .prot = RW };
	char byte;
	EXPECT(quire_file_create(cpu, &meanwhile_store, p, QUIRE_FILE_READ | QUIRE_FILE_WRITE, 2 * PAGE, 1,
				 &p->file) == 0);
	map.flags = SHARED | QUIRE_MAP_FIXED;
	map.file = p->file;
	map.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE;
	EXPECT(quire_mmap(cpu, p->mm, &map) == (int64_t)AT(0));
	EXPECT(quire_file_write(cpu, p->file, 0, "x", 1) == 1);
	EXPECT(quire_file_read(cpu, p->file, PAGE, &byte, 1) == 1);
}

static void invalidate_two(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	EXPECT(quire_file_invalidate(cpu, p->file, 0, 1) == 0);
	atomic_store(&p->returned, true);
}

static void be_deaf_with_page_1(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_fault fault;
	uint8_t byte;
	while (!atomic_load(&p->writing))
		hosted_poll(*cpu);
	quire_cpu_run(*cpu, p->mm);
	EXPECT(hosted_load(cpu, p->mm, AT(1), &byte, 1, &fault) == 0);
	atomic_store(&p->deaf, true);
	for (int ms = 0; ms < DEAF_MS && !atomic_load(&p->returned); ms++)
		pause_ms();
	EXPECT(!atomic_load(&p->returned));
	hosted_poll(*cpu);
	quire_cpu_leave(*cpu);
}

static void discard_page_1(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	while (!atomic_load(&p->deaf))
		hosted_poll(*cpu);
	EXPECT(quire_madvise(cpu, p->mm, AT(1), PAGE, QUIRE_MADV_DONTNEED) == 0);
}

static void base_5_invalidate_waits_for_a_page_that_came_and_went_meanwhile(void **state)
{
	struct play p = { .file = NULL };
	(void)state;
	begin(&p);
	hosted_run(p.machine, 0, map_two_pages, &p);
	hosted_post(p.machine, 1, be_deaf_with_page_1, &p);
	hosted_post(p.machine, 0, discard_page_1, &p);
	hosted_post(p.machine, 2, invalidate_two, &p);
	hosted_wait(p.machine);
	end(&p);
}

/* ---- a check, while tables come and go ------------------------------------------------------------- */

#define TABLE_ROUNDS 20000
#define TABLE_AT (64 * QUIRE_HUGE_SIZE) /* where a table begins */

/* The mapping stays, but its only page goes, and the table with it. */
static void touch_and_discard(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	struct quire_mmap map = { .addr = TABLE_AT, .length = QUIRE_HUGE_SIZE, .prot = RW };
	struct quire_fault fault;
	uint8_t byte = 1;
	map.flags = PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED;
	EXPECT(quire_mmap(cpu, p->mm, &map) == (int64_t)TABLE_AT);
	quire_cpu_run(*cpu, p->mm);
	for (int round = 0; round < TABLE_ROUNDS; round++) {
		EXPECT(hosted_store(cpu, p->mm, TABLE_AT, &byte, 1, &fault) == 0);
		EXPECT(quire_madvise(cpu, p->mm, TABLE_AT, QUIRE_HUGE_SIZE, QUIRE_MADV_DONTNEED) == 0);
		if (round % 32 == 0) /* the tables' frames come back */
			quire_port_rcu_barrier(cpu);
	}
	quire_cpu_leave(*cpu);
	atomic_store(&p->returned, true);
}

static void check_meanwhile(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	const char *what = "";
	while (!atomic_load(&p->returned)) {
		if (quire_mm_check(cpu, p->mm, &what))
			note(p, __LINE__, what);
		hosted_poll(*cpu);
	}
}

static void base_4_check_bears_tables_that_go_meanwhile(void **state)
{
	struct play p = { .file = NULL };
	(void)state;
	begin(&p);
	hosted_post(p.machine, 0, check_meanwhile, &p);
	hosted_post(p.machine, 1, touch_and_discard, &p);
	hosted_wait(p.machine);
	end(&p);
}

/* ---- whose error it is ------------------------------------------------------------------------------- */

static int failing_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
			 const void *page)
{
	if (index == 0)
		return -QUIRE_EIO;
	return slow_write(cpu, file, data, index, page);
}

static const struct quire_store failing_store = { .read = slow_read, .write = failing_write };

static void make_both_dirty(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	EXPECT(quire_file_create(cpu, &failing_store, p, QUIRE_FILE_READ | QUIRE_FILE_WRITE, 2 * PAGE, 1,
				 &p->file) == 0);
	EXPECT(quire_file_write(cpu, p->file, 0, "x", 1) == 1);
	EXPECT(quire_file_write(cpu, p->file, PAGE, "x", 1) == 1);
}

static void sync_both(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	EXPECT(quire_file_sync(cpu, p->file, 0, 1) == -QUIRE_EIO);
}

/* Comes when page 0 has failed and page 1 is being written; its own range has nothing to write. */
static void ask_for_the_error(struct quire_cpu **cpu, void *argument)
{
	struct play *p = argument;
	while (!atomic_load(&p->writing))
		hosted_poll(*cpu);
	EXPECT(quire_file_sync(cpu, p->file, 5, 5) == -QUIRE_EIO);
	atomic_store(&p->go, true);
}

static void base_5_a_sync_reports_its_own_error_even_if_another_has_heard(void **state)
{
	struct play p = { .file = NULL };
	(void)state;
	begin(&p);
	hosted_run(p.machine, 0, make_both_dirty, &p);
	hosted_post(p.machine, 0, sync_both, &p);
	hosted_post(p.machine, 1, ask_for_the_error, &p);
	hosted_wait(p.machine);
	end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_3_what_another_discards_is_flushed_when_one_returns),
		cmocka_unit_test(base_5_sync_waits_for_the_flush_of_an_unmapping),
		cmocka_unit_test(base_5_sync_waits_for_the_flush_of_a_protection),
		cmocka_unit_test(base_3_mprotect_waits_for_the_flush_of_a_sync),
		cmocka_unit_test(base_5_punch_waits_for_the_flush_of_a_discard),
		cmocka_unit_test(base_5_invalidate_waits_for_the_flush_of_an_unmapping),
		cmocka_unit_test(base_5_invalidate_waits_for_a_page_that_came_and_went_meanwhile),
		cmocka_unit_test(base_5_sync_waits_for_what_another_sync_is_writing),
		cmocka_unit_test(base_4_check_bears_tables_that_go_meanwhile),
		cmocka_unit_test(base_5_a_sync_reports_its_own_error_even_if_another_has_heard),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
