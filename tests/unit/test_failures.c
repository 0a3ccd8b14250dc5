/*
 * test_failures.c - every allocation fails once: a script that uses every call runs again and again, and each
 * time the next allocation of a frame, or of a small object, is refused. Calls may then say ENOMEM, or do
 * without; but nothing may leak, no count may be off, and no data may be lost: a page that was written reads
 * back as it was written, or its mapping is gone.
 *
 * Rules: BASE-4, BASE-6 (out of memory is an error code). See "Habits" in docs/design.md.
 */
#include "../../core/phys/phys.h"
#include "stage.h"

#define PRIVATE QUIRE_MAP_PRIVATE
#define SHARED QUIRE_MAP_SHARED

/* Runs of the script without any failure noticed, after which no allocation is left to refuse. */
#define QUIET_RUNS 100

static bool noticed; /* in this run a call said ENOMEM */

static int64_t note(int64_t result)
{
	if (result == -QUIRE_ENOMEM || result == -QUIRE_EAGAIN || result == -QUIRE_EFAULT)
		noticed = true;
	return result;
}

static void wrong(struct stage *s, int page, int found, int expected)
{
	if (!s->failed[0])
		snprintf(s->failed, sizeof(s->failed), "page %d reads %d, expected %d", page, found,
			 expected);
}

/* A page that could be written keeps what was written, whatever fails around it. */
static void keeps(struct stage *s, struct quire_mm *mm, int page, int expected)
{
	int found = load_in(s, mm, page);
	note(found);
	if (found >= 0 && found != expected)
		wrong(s, page, found, expected);
}

static void script_files(struct stage *s)
{
	struct quire_file *file;
	char data[2 * PAGE];
	memset(data, 42, sizeof(data));
	if (note(quire_file_create_ram(s->cpu, 4 * PAGE, 1, &file)))
		return;
	int64_t wrote = note(quire_file_write(s->cpu, file, PAGE, data, sizeof(data)));
	if (note(map_file(s, 8, 4, RW, SHARED, file, 0)) == 8) {
		note(load_at(s, 8));
		if (wrote == (int64_t)sizeof(data))
			keeps(s, s->mm, 9, 42);
		note(store_at(s, 10, 43));
		note(advise_at(s, 8, 1, QUIRE_MADV_REMOVE));
		note(advise_at(s, 8, 4, QUIRE_MADV_WILLNEED));
		note(quire_msync(s->cpu, s->mm, AT(8), 4 * PAGE, QUIRE_MS_SYNC));
	}
	if (note(map_file(s, 12, 4, RW, PRIVATE, file, 0)) == 12) {
		note(store_at(s, 13, 44));
		note(quire_file_truncate(s->cpu, file, 2 * PAGE));
		note(quire_file_punch(s->cpu, file, 0, PAGE));
		note(quire_file_invalidate(s->cpu, file, 0, 1));
		note(load_at(s, 13));
	}
	quire_file_put(s->cpu, file);
}

static void script_fork(struct stage *s, bool written)
{
	struct quire_mm *child;
	if (note(quire_fork(s->cpu, s->mm, &child)))
		return;
	if (written) {
		bool changed = !note(store_in(s, child, 0, 2));
		keeps(s, s->mm, 0, 1);
		keeps(s, child, 0, changed ? 2 : 1);
	}
	struct quire_mm *grandchild;
	if (!note(quire_fork(s->cpu, child, &grandchild))) {
		struct quire_layout layout = { .mmap_base = AT(64), .brk_start = AT(32) };
		note(store_in(s, grandchild, 1, 3));
		note(quire_exec(s->cpu, grandchild, &layout));
		quire_mm_put(s->cpu, grandchild);
	}
	struct quire_iovec local = { AT(0), 64 }, remote = { AT(1), 64 };
	note(quire_process_vm(s->cpu, s->mm, &local, 1, child, &remote, 1, true));
	quire_mm_put(s->cpu, child);
}

static void script_space(struct stage *s)
{
	uint32_t move = QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED;
	uint8_t vec[8];
	char byte = 9;
	note(quire_mlock(s->cpu, s->mm, AT(1), 2 * PAGE, 0));
	note(quire_munlock(s->cpu, s->mm, AT(1), 2 * PAGE));
	note(protect_at(s, 2, 2, RO));
	note(protect_at(s, 2, 1, RW));
	note(advise_at(s, 1, 1, QUIRE_MADV_DONTFORK));
	note(advise_at(s, 4, 1, QUIRE_MADV_FREE));
	note(advise_at(s, 5, 1, QUIRE_MADV_POPULATE_WRITE));
	note(quire_mremap(s->cpu, s->mm, AT(4), 2 * PAGE, 2 * PAGE, move, AT(6)));
	note(quire_mremap(s->cpu, s->mm, AT(6), 2 * PAGE, 2 * PAGE, move | QUIRE_MREMAP_DONTUNMAP, AT(40)));
	note(quire_mremap(s->cpu, s->mm, AT(40), 2 * PAGE, 3 * PAGE, QUIRE_MREMAP_MAYMOVE, 0));
	note(quire_mincore(s->cpu, s->mm, AT(0), 4 * PAGE, vec));
	note(quire_poke(s->cpu, s->mm, AT(3), &byte, 1));
	note(quire_brk(s->cpu, s->mm, AT(70)) == AT(70) ? 0 : -QUIRE_ENOMEM);
	note(quire_brk(s->cpu, s->mm, AT(66)) == AT(66) ? 0 : -QUIRE_ENOMEM);
	note(map_at(s, 3, 2, RX, SHARED));
	note(unmap_at(s, 2, 2));
	note(quire_mlockall(s->cpu, s->mm, QUIRE_MCL_CURRENT));
	note(quire_munlockall(s->cpu, s->mm));
}

/* More than a gather has room for without memory: refused more, it flushes. */
static void script_many(struct stage *s)
{
	int pages = QUIRE_GATHER_FRAMES + 2;
	if (note(map_at(s, 8, pages, RW, PRIVATE)) == 8) {
		note(advise_at(s, 8, pages, QUIRE_MADV_POPULATE_WRITE));
		note(unmap_at(s, 8, pages));
	}
}

static void script_stack(struct stage *s)
{
	quire_vaddr top = AT(4 * QUIRE_STACK_GAP);
	struct quire_mmap map = { top,	PAGE,
				  RW,	PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_GROWSDOWN | QUIRE_MAP_FIXED,
				  NULL, 0,
				  0,	0 };
	struct quire_fault fault;
	uint8_t byte = 1;
	if (note(quire_mmap(s->cpu, s->mm, &map)) == (int64_t)top)
		note(hosted_store(s->cpu, s->mm, top - 3 * PAGE, &byte, 1, &fault));
}

static void script(struct stage *s)
{
	struct quire_layout layout = { .mmap_base = AT(64), .mmap_bottom = AT(128), .brk_start = AT(64) };
	struct quire_mm *main_mm = s->mm;
	if (note(quire_mm_create(s->cpu, &s->mm))) {
		s->mm = main_mm;
		return;
	}
	quire_mm_set_layout(s->cpu, s->mm, &layout);
	quire_cpu_run(*s->cpu, s->mm);
	script_many(s);
	if (note(map_at(s, 0, 6, RW, PRIVATE)) == 0) {
		bool written = !note(store_at(s, 0, 1));
		note(store_at(s, 4, 4));
		note(load_at(s, 5));
		script_fork(s, written);
		script_space(s);
		if (written)
			keeps(s, s->mm, 0, 1);
	}
	script_files(s);
	script_stack(s);
	const char *what;
	if (quire_mm_check(s->cpu, s->mm, &what))
		snprintf(s->failed, sizeof(s->failed), "%s", what);
	struct quire_mm *done = s->mm;
	s->mm = main_mm;
	quire_cpu_run(*s->cpu, main_mm);
	quire_mm_put(s->cpu, done);
}

static struct quire_stats settled(struct stage *s)
{
	struct quire_stats stats;
	quire_port_rcu_barrier(s->cpu);
	quire_stats_read((*s->cpu)->quire, &stats);
	return stats;
}

/* Refuse the allocation after @n; is everything back afterwards? */
static void one_run(struct stage *s, uint64_t n, bool frames)
{
	struct quire_stats before = settled(s);
	noticed = false;
	if (frames)
		phys_fail_after((*s->cpu)->quire, n);
	else
		hosted_fail_objects_after(s->machine, n);
	script(s);
	phys_fail_after((*s->cpu)->quire, UINT64_MAX);
	hosted_fail_objects_after(s->machine, UINT64_MAX);
	struct quire_stats after = settled(s);
	if (after.frames_free != before.frames_free || after.objects != before.objects ||
	    after.committed_pages != before.committed_pages)
		snprintf(s->failed, sizeof(s->failed),
			 "leaked %lld frames, %lld objects, %lld committed pages",
			 (long long)(before.frames_free - after.frames_free),
			 (long long)(after.objects - before.objects),
			 (long long)(after.committed_pages - before.committed_pages));
	if (s->failed[0]) {
		char why[sizeof(s->failed)];
		memcpy(why, s->failed, sizeof(why));
		snprintf(s->failed, sizeof(s->failed), "when allocation %llu of %s was refused: %.300s",
			 (unsigned long long)n, frames ? "frames" : "objects", why);
	}
}

static void run_all(struct stage *s, bool frames)
{
	uint64_t n = 0;
	for (int quiet = 0; quiet < QUIET_RUNS && !s->failed[0]; n++) {
		one_run(s, n, frames);
		quiet = noticed ? 0 : quiet + 1;
	}
	/* the script allocates more often than that, and every refusal was survived */
	CHECK(n > QUIET_RUNS + 20);
}

static void refuse_frames(struct stage *s)
{
	run_all(s, true);
}

static void refuse_objects(struct stage *s)
{
	run_all(s, false);
}

static void base_6_every_frame_refused_in_turn(void **state)
{
	(void)state;
	stage_run(refuse_frames, 1);
}

static void base_6_every_object_refused_in_turn(void **state)
{
	(void)state;
	stage_run(refuse_objects, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_6_every_frame_refused_in_turn),
		cmocka_unit_test(base_6_every_object_refused_in_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
