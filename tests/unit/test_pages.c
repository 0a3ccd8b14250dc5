/*
 * test_pages.c - what loads and stores see: first touches, copies, forks, files, and accesses from outside.
 */
#include "stage.h"

#include <quire/notifier.h>

#define PRIVATE QUIRE_MAP_PRIVATE
#define SHARED QUIRE_MAP_SHARED
#define BODY(name) static void name##_body(struct stage *s)
#define TEST(name)                         \
	static void name(void **state)     \
	{                                  \
		(void)state;               \
		stage_run(name##_body, 1); \
	}

static struct quire_stats stats_of(struct stage *s)
{
	struct quire_stats stats;
	quire_stats_read((*s->cpu)->quire, &stats);
	return stats;
}

static struct quire_mm_stats mm_stats(struct stage *s, struct quire_mm *mm)
{
	struct quire_mm_stats stats;
	quire_mm_stats(s->cpu, mm, &stats);
	return stats;
}

/* A RAM file of @pages pages, each filled with its number plus 100. */
static struct quire_file *numbered(struct stage *s, int pages)
{
	struct quire_file *file;
	if (quire_file_create_ram(s->cpu, (uint64_t)pages * PAGE, 1, &file))
		return NULL;
	for (int page = 0; page < pages; page++) {
		char data[PAGE];
		memset(data, 100 + page, sizeof(data));
		if (quire_file_write(s->cpu, file, (uint64_t)page * PAGE, data, PAGE) != (int64_t)PAGE)
			return NULL;
	}
	return file;
}

BODY(base_1_anonymous_reads_zero_then_what_was_written)
{
	map_at(s, 0, 2, RW, PRIVATE);
	CHECK_EQUAL(load_at(s, 0), 0);
	CHECK_EQUAL(mm_stats(s, s->mm).rss_anon, 0); /* the zero page is nobody's */
	CHECK_EQUAL(store_at(s, 0, 5), 0);
	CHECK_EQUAL(load_at(s, 0), 5);
	CHECK_EQUAL(mm_stats(s, s->mm).rss_anon, 1);
	CHECK_EQUAL(stats_of(s).faults_zero, 1);
	CHECK_EQUAL(stats_of(s).faults_cow, 1);
}
TEST(base_1_anonymous_reads_zero_then_what_was_written)

BODY(base_1_rights_are_enforced)
{
	map_at(s, 0, 1, RO, PRIVATE);
	map_at(s, 1, 1, QUIRE_PROT_NONE, PRIVATE);
	CHECK_EQUAL(store_at(s, 0, 1), -QUIRE_SIGSEGV);
	CHECK_EQUAL(load_at(s, 1), -QUIRE_SIGSEGV);
	CHECK_EQUAL(protect_at(s, 0, 2, RW), 0);
	CHECK_EQUAL(store_at(s, 0, 7), 0);
	CHECK_EQUAL(protect_at(s, 0, 1, QUIRE_PROT_NONE), 0);
	CHECK_PICTURE(present(s, s->mm), "#");
	CHECK_EQUAL(load_at(s, 0), -QUIRE_SIGSEGV);
	CHECK_EQUAL(protect_at(s, 0, 1, RO), 0);
	CHECK_EQUAL(load_at(s, 0), 7);
	CHECK_EQUAL(store_at(s, 0, 8), -QUIRE_SIGSEGV);
	uint8_t byte;
	struct quire_fault fault;
	CHECK_EQUAL(hosted_fetch(s->cpu, s->mm, AT(0), &byte, 1, &fault), -QUIRE_EFAULT);
	CHECK_EQUAL(fault.code, QUIRE_SEGV_ACCERR);
	CHECK_EQUAL(protect_at(s, 0, 1, RX), 0);
	CHECK_EQUAL(hosted_fetch(s->cpu, s->mm, AT(0), &byte, 1, &fault), 0);
	CHECK_EQUAL(byte, 7);
}
TEST(base_1_rights_are_enforced)

/* PIN-1: the mark decides: a page shared by fork is copied by the first writer and reused by the last. */
BODY(pin_1_fork_copies_once_and_reuses_last)
{
	struct quire_mm *child;
	map_at(s, 0, 1, RW, PRIVATE);
	store_at(s, 0, 1);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK_EQUAL(store_in(s, child, 0, 2), 0);
	CHECK_EQUAL(load_at(s, 0), 1);
	CHECK_EQUAL(stats_of(s).faults_cow, 1);
	CHECK_EQUAL(store_at(s, 0, 3), 0);
	CHECK_EQUAL(stats_of(s).faults_cow, 1);
	CHECK_EQUAL(stats_of(s).faults_reuse, 1);
	CHECK_EQUAL(load_in(s, child, 0), 2);
	CHECK_EQUAL(load_at(s, 0), 3);
	quire_mm_put(s->cpu, child);
}
TEST(pin_1_fork_copies_once_and_reuses_last)

/* Three generations, each writes; nobody sees another's. */
BODY(base_1_fork_of_fork_isolates)
{
	struct quire_mm *child, *grandchild;
	map_at(s, 0, 2, RW, PRIVATE);
	store_at(s, 0, 1);
	store_at(s, 1, 1);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK_EQUAL(store_in(s, child, 0, 2), 0);
	CHECK_EQUAL(quire_fork(s->cpu, child, &grandchild), 0);
	CHECK_EQUAL(store_in(s, grandchild, 0, 3), 0);
	CHECK_EQUAL(load_in(s, grandchild, 1), 1);
	CHECK_EQUAL(load_in(s, child, 0), 2);
	CHECK_EQUAL(load_at(s, 0), 1);
	quire_mm_put(s->cpu, child);
	CHECK_EQUAL(store_in(s, grandchild, 1, 4), 0);
	CHECK_EQUAL(load_at(s, 1), 1);
	quire_mm_put(s->cpu, grandchild);
}
TEST(base_1_fork_of_fork_isolates)

BODY(base_1_shared_memory_stays_shared_over_fork)
{
	struct quire_mm *child;
	map_at(s, 0, 2, RW, SHARED);
	store_at(s, 0, 1);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK_EQUAL(store_in(s, child, 0, 9), 0);
	CHECK_EQUAL(store_in(s, child, 1, 8), 0);
	CHECK_EQUAL(load_at(s, 0), 9);
	CHECK_EQUAL(load_at(s, 1), 8);
	CHECK_EQUAL(mm_stats(s, s->mm).rss_shmem, 2);
	quire_mm_put(s->cpu, child);
}
TEST(base_1_shared_memory_stays_shared_over_fork)

BODY(base_1_fork_leaves_out_and_wipes)
{
	struct quire_mm *child;
	map_at(s, 0, 3, RW, PRIVATE);
	for (int page = 0; page < 3; page++)
		store_at(s, page, 5);
	CHECK_EQUAL(advise_at(s, 0, 1, QUIRE_MADV_DONTFORK), 0);
	CHECK_EQUAL(advise_at(s, 1, 1, QUIRE_MADV_WIPEONFORK), 0);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK_EQUAL(load_in(s, child, 0), -QUIRE_SIGSEGV);
	CHECK_EQUAL(load_in(s, child, 1), 0);
	CHECK_EQUAL(load_in(s, child, 2), 5);
	CHECK_EQUAL(load_at(s, 1), 5);
	quire_mm_put(s->cpu, child);
}
TEST(base_1_fork_leaves_out_and_wipes)

BODY(base_5_private_file_copies_on_write)
{
	struct quire_file *file = numbered(s, 4);
	CHECK(file);
	map_file(s, 0, 4, RW, PRIVATE, file, 0);
	map_file(s, 8, 4, RW, SHARED, file, 0);
	CHECK_EQUAL(load_at(s, 0), 100);
	CHECK_EQUAL(store_at(s, 0, 1), 0); /* after a read */
	CHECK_EQUAL(store_at(s, 3, 2), 0); /* at once */
	CHECK_EQUAL(load_at(s, 8), 100);
	CHECK_EQUAL(load_at(s, 11), 103);
	CHECK_EQUAL(store_at(s, 9, 55), 0);
	CHECK_EQUAL(load_at(s, 1), 55); /* not yet copied */
	CHECK_EQUAL(load_at(s, 0), 1);
	CHECK_EQUAL(advise_at(s, 0, 4, QUIRE_MADV_DONTNEED), 0);
	CHECK_EQUAL(load_at(s, 0), 100);
	quire_file_put(s->cpu, file);
}
TEST(base_5_private_file_copies_on_write)

BODY(base_5_write_is_seen_by_mappings)
{
	struct quire_file *file = numbered(s, 2);
	CHECK(file);
	map_file(s, 0, 2, RW, SHARED, file, 0);
	CHECK_EQUAL(load_at(s, 1), 101);
	char byte = 7;
	CHECK_EQUAL(quire_file_write(s->cpu, file, PAGE, &byte, 1), 1);
	CHECK_EQUAL(load_at(s, 1), 7);
	CHECK_EQUAL(store_at(s, 1, 8), 0);
	CHECK_EQUAL(quire_file_read(s->cpu, file, PAGE, &byte, 1), 1);
	CHECK_EQUAL(byte, 8);
	quire_file_put(s->cpu, file);
}
TEST(base_5_write_is_seen_by_mappings)

BODY(base_1_bus_error_past_the_end)
{
	struct quire_file *file = numbered(s, 2);
	CHECK(file);
	map_file(s, 0, 4, RW, SHARED, file, 0);
	map_file(s, 8, 4, RW, PRIVATE, file, 0);
	CHECK_EQUAL(load_at(s, 1), 101);
	CHECK_EQUAL(store_at(s, 9, 1), 0);
	CHECK_EQUAL(load_at(s, 2), -QUIRE_SIGBUS);
	CHECK_EQUAL(store_at(s, 10, 1), -QUIRE_SIGBUS);
	CHECK_EQUAL(quire_file_truncate(s->cpu, file, PAGE), 0);
	CHECK_EQUAL(load_at(s, 1), -QUIRE_SIGBUS);
	CHECK_EQUAL(load_at(s, 9), -QUIRE_SIGBUS); /* private copies go too */
	CHECK_EQUAL(load_at(s, 0), 100);
	CHECK_EQUAL(quire_file_truncate(s->cpu, file, 4 * PAGE), 0);
	CHECK_EQUAL(load_at(s, 1), 0);
	CHECK_EQUAL(store_at(s, 3, 4), 0);
	quire_file_put(s->cpu, file);
}
TEST(base_1_bus_error_past_the_end)

BODY(base_1_remove_punches)
{
	map_at(s, 0, 4, RW, SHARED);
	for (int page = 0; page < 4; page++)
		store_at(s, page, 1 + page);
	CHECK_EQUAL(advise_at(s, 1, 2, QUIRE_MADV_REMOVE), 0);
	CHECK_EQUAL(load_at(s, 0), 1);
	CHECK_EQUAL(load_at(s, 1), 0);
	CHECK_EQUAL(load_at(s, 3), 4);
	map_at(s, 8, 1, RW, PRIVATE);
	CHECK_EQUAL(advise_at(s, 8, 1, QUIRE_MADV_REMOVE), -QUIRE_EINVAL);
}
TEST(base_1_remove_punches)

/* Cached neighbours of a page read are mapped with it; a page written is mapped alone. */
BODY(base_1_fault_around)
{
	struct quire_file *file = numbered(s, 8);
	CHECK(file);
	map_file(s, 0, 8, RW, SHARED, file, 0);
	CHECK_EQUAL(store_at(s, 3, 1), 0);
	CHECK_PICTURE(present(s, s->mm), "...#....");
	CHECK_EQUAL(load_at(s, 5), 105);
	char expected[] = "...#....";
	int first = 5 - 5 % QUIRE_FAULT_AROUND, around = 0;
	for (int page = first; page < first + QUIRE_FAULT_AROUND && page < 8; page++) {
		around += page != 5 && page != 3;
		expected[page] = '#';
	}
	CHECK_PICTURE(present(s, s->mm), expected);
	CHECK_EQUAL(stats_of(s).faults_around, around);
	quire_file_put(s->cpu, file);
}
TEST(base_1_fault_around)

BODY(base_1_populate)
{
	CHECK_EQUAL(map_at(s, 0, 3, RW, PRIVATE | QUIRE_MAP_POPULATE), 0);
	CHECK_PICTURE(present(s, s->mm), "###");
	CHECK_EQUAL(mm_stats(s, s->mm).rss_anon, 3);
	map_at(s, 4, 2, RO, PRIVATE);
	CHECK_EQUAL(advise_at(s, 4, 2, QUIRE_MADV_POPULATE_WRITE), -QUIRE_EINVAL);
	CHECK_EQUAL(advise_at(s, 4, 3, QUIRE_MADV_POPULATE_READ), -QUIRE_ENOMEM);
	CHECK_PICTURE(present(s, s->mm), "###.##");
	CHECK_EQUAL(mm_stats(s, s->mm).rss_anon, 3);
}
TEST(base_1_populate)

BODY(base_1_mincore_tells_what_is_there)
{
	struct quire_file *file = numbered(s, 2);
	uint8_t vec[8];
	CHECK(file);
	map_file(s, 0, 3, RW, SHARED, file, 0);
	map_at(s, 3, 2, RW, PRIVATE);
	store_at(s, 4, 1);
	CHECK_EQUAL(quire_mincore(s->cpu, s->mm, AT(0), 5 * PAGE, vec), 0);
	CHECK(vec[0] == 1 && vec[1] == 1 && vec[2] == 0 && vec[3] == 0 && vec[4] == 1);
	quire_file_put(s->cpu, file);
}
TEST(base_1_mincore_tells_what_is_there)

BODY(base_5_copies_are_short_at_what_is_missing)
{
	char buffer[4 * PAGE];
	map_at(s, 0, 2, RW, PRIVATE);
	map_at(s, 2, 1, RO, PRIVATE);
	memset(buffer, 'x', sizeof(buffer));
	CHECK_EQUAL(quire_copy_to(s->cpu, s->mm, AT(1) + 10, buffer, 2 * PAGE), PAGE - 10);
	CHECK_EQUAL(quire_copy_from(s->cpu, s->mm, buffer, AT(2), 2 * PAGE), PAGE);
	CHECK_EQUAL(quire_copy_from(s->cpu, s->mm, buffer, AT(3), 1), 0);
	CHECK_EQUAL(load_at(s, 1), 0);
	CHECK_EQUAL(quire_copy_from(s->cpu, s->mm, buffer, UINT64_MAX - 5, 100), 0);
}
TEST(base_5_copies_are_short_at_what_is_missing)

/* Zoo 6: a forced write to a read-only private mapping reaches a copy, never the file. */
BODY(base_5_poke_breaks_copy_on_write)
{
	struct quire_file *file = numbered(s, 1);
	char byte = 9;
	CHECK(file);
	map_file(s, 0, 1, RO, PRIVATE, file, 0);
	CHECK_EQUAL(load_at(s, 0), 100);
	CHECK_EQUAL(quire_copy_to(s->cpu, s->mm, AT(0), &byte, 1), 0);
	CHECK_EQUAL(quire_poke(s->cpu, s->mm, AT(0), &byte, 1), 1);
	CHECK_EQUAL(load_at(s, 0), 9);
	CHECK_EQUAL(store_at(s, 0, 1), -QUIRE_SIGSEGV);
	CHECK_EQUAL(quire_file_read(s->cpu, file, 0, &byte, 1), 1);
	CHECK_EQUAL(byte, 100);
	map_at(s, 2, 1, QUIRE_PROT_NONE, PRIVATE);
	CHECK_EQUAL(quire_peek(s->cpu, s->mm, &byte, AT(2), 1), 1);
	quire_file_put(s->cpu, file);
}
TEST(base_5_poke_breaks_copy_on_write)

BODY(base_1_process_vm_copies_between)
{
	struct quire_mm *child;
	char text[3] = "abc";
	map_at(s, 0, 2, RW, PRIVATE);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	quire_copy_to(s->cpu, child, AT(1) - 1, text, 3);
	struct quire_iovec local[2] = { { AT(0), 1 }, { AT(0) + 5, 8 } }, remote = { AT(1) - 1, 3 };
	CHECK_EQUAL(quire_process_vm(s->cpu, s->mm, local, 2, child, &remote, 1, false), 3);
	CHECK_EQUAL(load_at(s, 0), 'a');
	remote.base = AT(2) - 2;
	remote.length = 5;
	CHECK_EQUAL(quire_process_vm(s->cpu, s->mm, local, 2, child, &remote, 1, true), 2);
	remote.base = AT(5);
	CHECK_EQUAL(quire_process_vm(s->cpu, s->mm, local, 2, child, &remote, 1, true), -QUIRE_EFAULT);
	quire_mm_put(s->cpu, child);
}
TEST(base_1_process_vm_copies_between)

/* Lengths are signed; of one local range only what one call can copy is asked about. */
BODY(base_1_process_vm_judges_lengths)
{
	struct quire_mm *mm = s->mm;
	struct quire_iovec local[2] = { { AT(0), PAGE }, { AT(0), 1ull << 63 } }, remote[2];
	remote[0] = (struct quire_iovec){ AT(4), PAGE };
	remote[1] = (struct quire_iovec){ AT(4), 1ull << 63 };
	map_at(s, 0, 1, RW, PRIVATE);
	map_at(s, 4, 1, RW, PRIVATE);
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 2, mm, remote, 1, false), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 1, mm, remote, 2, false), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 0, mm, remote, 2, false), 0);
	local[0].length = 0;
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 1, mm, remote, 2, false), 0);
	/* a small geometry's space is shorter than what one call copies */
	int64_t got = QUIRE_USER_END > UINT32_MAX ? (int64_t)PAGE : -QUIRE_EFAULT;
	local[0].length = INT64_MAX;
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 1, mm, remote, 1, false), got);
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 1, mm, remote, 1, true), got);
	local[1].length = 8;
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 2, mm, remote, 1, false), -QUIRE_EFAULT);
	remote[0].length = INT64_MAX;
	local[0].length = 2 * PAGE;
	CHECK_EQUAL(quire_process_vm(s->cpu, mm, local, 1, mm, remote, 1, true), (int64_t)PAGE);
}
TEST(base_1_process_vm_judges_lengths)

BODY(base_1_exec_starts_anew)
{
	struct quire_layout layout = { .mmap_base = AT(64), .brk_start = AT(0) };
	map_at(s, 0, 2, RW, PRIVATE);
	store_at(s, 0, 1);
	quire_cpu_leave(*s->cpu);
	CHECK_EQUAL(quire_exec(s->cpu, s->mm, &layout), 0);
	quire_cpu_run(*s->cpu, s->mm);
	CHECK_PICTURE(maps(s, s->mm), "");
	CHECK_EQUAL(load_at(s, 0), -QUIRE_SIGSEGV);
	CHECK_EQUAL(mm_stats(s, s->mm).mapped, 0);
	CHECK_EQUAL(mm_stats(s, s->mm).tables, 1);
}
TEST(base_1_exec_starts_anew)

/* But of leaf tables that unmaps leave empty the last one stays, until it is another's turn. */
BODY(base_4_tables_go_with_their_last_entry)
{
	map_at(s, 0, 4, RW, PRIVATE);
	store_at(s, 0, 1);
	store_at(s, 3, 1);
	CHECK_EQUAL(mm_stats(s, s->mm).tables, QUIRE_LEVELS);
	unmap_at(s, 0, 4);
	CHECK_EQUAL(mm_stats(s, s->mm).tables, QUIRE_LEVELS);

	map_at(s, 2 * QUIRE_TABLE_ENTRIES, 1, RW, PRIVATE);
	store_at(s, 2 * QUIRE_TABLE_ENTRIES, 1);
	unmap_at(s, 2 * QUIRE_TABLE_ENTRIES, 1);
	CHECK_EQUAL(mm_stats(s, s->mm).tables, QUIRE_LEVELS);
}
TEST(base_4_tables_go_with_their_last_entry)

/* BASE-7: a notifier hears of a change before it and after it. */
struct listener {
	struct quire_notifier notifier;
	int starts, ends, releases;
	quire_vaddr from, to;
};

static void hear_start(struct quire_notifier *n, struct quire_cpu **cpu, quire_vaddr start, quire_vaddr end)
{
	struct listener *l = n->data;
	(void)cpu;
	l->starts++;
	l->from = start;
	l->to = end;
}

static void hear_end(struct quire_notifier *n, struct quire_cpu **cpu, quire_vaddr start, quire_vaddr end)
{
	(void)cpu, (void)start, (void)end;
	((struct listener *)n->data)->ends++;
}

static void hear_release(struct quire_notifier *n, struct quire_cpu **cpu)
{
	(void)cpu;
	((struct listener *)n->data)->releases++;
}

static const struct quire_notifier_ops hearing = { hear_start, hear_end, hear_release };

BODY(base_7_notifiers_hear_of_every_change)
{
	struct listener l = { .notifier = { .ops = &hearing, .data = &l } };
	quire_pfn before, after;
	bool writable;
	map_at(s, 0, 2, RW, PRIVATE);
	store_at(s, 0, 1);
	CHECK_EQUAL(quire_notifier_register(s->cpu, s->mm, &l.notifier), 0);
	uint64_t seq = quire_notifier_seq(&l.notifier);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0) + 3, QUIRE_ACCESS_WRITE, &before, &writable), 0);
	CHECK(writable);
	CHECK(!quire_notifier_retry(&l.notifier, seq));
	struct quire_mm *child;
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	CHECK(quire_notifier_retry(&l.notifier, seq));
	CHECK_EQUAL(l.starts, l.ends);
	int forked = l.starts;
	CHECK(forked >= 1);
	CHECK_EQUAL(store_at(s, 0, 2), 0); /* copies: the translation changes */
	CHECK(l.starts > forked);
	CHECK_EQUAL(quire_translate(s->cpu, s->mm, AT(0), QUIRE_ACCESS_READ, &after, &writable), 0);
	CHECK(before != after);
	quire_mm_put(s->cpu, child);
	int others = l.starts;
	CHECK_EQUAL(protect_at(s, 0, 1, RO), 0);
	CHECK_EQUAL(unmap_at(s, 0, 1), 0);
	CHECK_EQUAL(l.starts, others + 2);
	CHECK_EQUAL(l.from, AT(0));
	CHECK_EQUAL(l.to, AT(1));
	CHECK_EQUAL(l.starts, l.ends);
	quire_notifier_remove(s->cpu, s->mm, &l.notifier);
	unmap_at(s, 1, 1);
	CHECK_EQUAL(l.starts, others + 2);
}
TEST(base_7_notifiers_hear_of_every_change)

/* exec: what a device knew of the old program is no business of the new one. */
BODY(base_7_exec_releases_notifiers)
{
	struct listener l = { .notifier = { .ops = &hearing, .data = &l } };
	struct quire_layout layout = { .mmap_base = AT(64), .brk_start = AT(0) };
	CHECK_EQUAL(quire_notifier_register(s->cpu, s->mm, &l.notifier), 0);
	map_at(s, 0, 1, RW, PRIVATE);
	store_at(s, 0, 1);
	uint64_t seq = quire_notifier_seq(&l.notifier);
	CHECK_EQUAL(quire_notifier_retry(&l.notifier, seq), false);
	quire_cpu_leave(*s->cpu);
	CHECK_EQUAL(quire_exec(s->cpu, s->mm, &layout), 0);
	quire_cpu_run(*s->cpu, s->mm);
	CHECK_EQUAL(l.starts, 1);
	CHECK_EQUAL(l.ends, 1);
	CHECK_EQUAL(l.releases, 1);
	/* A translation of the new program, made by a fault that began in the old one, is not installed. */
	CHECK_EQUAL(quire_notifier_retry(&l.notifier, quire_notifier_seq(&l.notifier)), true);
	map_at(s, 0, 1, RW, PRIVATE);
	unmap_at(s, 0, 1);
	CHECK_EQUAL(l.starts, 1);
	quire_notifier_remove(s->cpu, s->mm, &l.notifier); /* nothing to do any more */
}
TEST(base_7_exec_releases_notifiers)

/* VMA-2, VMA-5: only what must sleep uses its mapping, and only what finds none holds its address. */
BODY(vma_5_faults_shift_up_only_when_they_must)
{
	struct listener l = { .notifier = { .ops = &hearing, .data = &l } };
	struct quire_mm *child;
	map_at(s, 0, 4, RW, PRIVATE);
	load_at(s, 0);
	CHECK_EQUAL(stats_of(s).faults_rcu, 1); /* the zero page */
	store_at(s, 1, 1);
	CHECK_EQUAL(stats_of(s).faults_held, 1); /* the first page of its own: a lineage */
	store_at(s, 2, 1);
	CHECK_EQUAL(stats_of(s).faults_rcu, 2);
	CHECK_EQUAL(quire_fork(s->cpu, s->mm, &child), 0);
	store_at(s, 1, 2); /* copies */
	CHECK_EQUAL(stats_of(s).faults_rcu, 3);
	CHECK_EQUAL(quire_notifier_register(s->cpu, s->mm, &l.notifier), 0);
	store_at(s, 2, 2); /* copies, and has to tell of it */
	CHECK_EQUAL(stats_of(s).faults_held, 2);
	CHECK(l.starts > 0);
	quire_notifier_remove(s->cpu, s->mm, &l.notifier);
	CHECK_EQUAL(stats_of(s).faults_locked, 0);
	CHECK_EQUAL(load_at(s, 9), -QUIRE_SIGSEGV);
	CHECK_EQUAL(stats_of(s).faults_locked, 0); /* those that fail count for none */
	CHECK_EQUAL(stats_of(s).faults_restarts, 1);
	quire_mm_put(s->cpu, child);
}
TEST(vma_5_faults_shift_up_only_when_they_must)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_anonymous_reads_zero_then_what_was_written),
		cmocka_unit_test(base_1_rights_are_enforced),
		cmocka_unit_test(pin_1_fork_copies_once_and_reuses_last),
		cmocka_unit_test(base_1_fork_of_fork_isolates),
		cmocka_unit_test(base_1_shared_memory_stays_shared_over_fork),
		cmocka_unit_test(base_1_fork_leaves_out_and_wipes),
		cmocka_unit_test(base_5_private_file_copies_on_write),
		cmocka_unit_test(base_5_write_is_seen_by_mappings),
		cmocka_unit_test(base_1_bus_error_past_the_end),
		cmocka_unit_test(base_1_remove_punches),
		cmocka_unit_test(base_1_fault_around),
		cmocka_unit_test(base_1_populate),
		cmocka_unit_test(base_1_mincore_tells_what_is_there),
		cmocka_unit_test(base_5_copies_are_short_at_what_is_missing),
		cmocka_unit_test(base_5_poke_breaks_copy_on_write),
		cmocka_unit_test(base_1_process_vm_copies_between),
		cmocka_unit_test(base_1_process_vm_judges_lengths),
		cmocka_unit_test(base_1_exec_starts_anew),
		cmocka_unit_test(base_4_tables_go_with_their_last_entry),
		cmocka_unit_test(base_7_notifiers_hear_of_every_change),
		cmocka_unit_test(base_7_exec_releases_notifiers),
		cmocka_unit_test(vma_5_faults_shift_up_only_when_they_must),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
