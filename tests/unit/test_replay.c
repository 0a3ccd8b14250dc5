/*
 * test_replay.c - small invented traces, replayed: every kind of event, and differences that must be found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <quire/abi.h>

#include "lab/command.h"
#include "lab/trace/trace.h"

#define PAGE 0x1000ull
#define TEXT 0x400000ull
#define DATA 0x401000ull
#define HEAP 0x800000ull
#define STACK 0x7ffff0000000ull
#define AREA 0x7f0000000000ull

enum { CLONE_VM_ = 0x100, CLONE_VFORK_ = 0x4000, CLONE_THREAD_ = 0x10000 };
enum { RW = QUIRE_PROT_READ | QUIRE_PROT_WRITE, ANON = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS };

/* ---- writing ---- */

static struct trace_writer *writer;
static char path[64];
static uint64_t clock_now;
static uint32_t program, memfd;

static struct trace_event event_of(enum trace_kind kind, uint32_t thread)
{
	struct trace_event event = { .kind = kind, .thread = thread, .mm = TRACE_NONE };

	clock_now += 10;
	event.time = event.entry = event.exit = clock_now;
	return event;
}

static void layout(uint32_t thread, uint32_t mm, uint64_t start, uint64_t pages, unsigned prot,
		   unsigned flags, uint32_t file, enum trace_region region)
{
	struct trace_event event = event_of(TRACE_LAYOUT, thread);

	event.time = event.entry = event.exit = clock_now -= 10;
	event.mm = mm;
	event.layout.start = start;
	event.layout.end = start + pages * PAGE;
	event.layout.prot = prot;
	event.layout.flags = flags;
	event.layout.file = file;
	event.layout.region = region;
	trace_writer_add(writer, &event);
}

static void exec(uint32_t thread, uint32_t mm, uint32_t old_mm, bool last)
{
	struct trace_event event = event_of(TRACE_EXEC, thread);

	event.mm = mm;
	event.exec.old_mm = old_mm;
	event.exec.last = last;
	event.exec.mappings = 3;
	event.exec.brk = HEAP;
	for (int i = 0; i < TRACE_LIMITS; i++)
		event.exec.limits[i] = i == TRACE_LIMIT_STACK ? 8 << 20 : TRACE_SIZE_UNKNOWN;
	trace_writer_add(writer, &event);
	layout(thread, mm, TEXT, 1, QUIRE_PROT_READ | QUIRE_PROT_EXEC, QUIRE_MAP_PRIVATE, program,
	       TRACE_REGION_FILE);
	layout(thread, mm, DATA, 4, RW, QUIRE_MAP_PRIVATE, program, TRACE_REGION_FILE);
	layout(thread, mm, STACK, 33, RW, QUIRE_MAP_PRIVATE | QUIRE_MAP_GROWSDOWN, TRACE_NONE,
	       TRACE_REGION_STACK);
}

static void begin(void)
{
	struct trace_header header = {
		.features = TRACE_HAS_ACCESS | TRACE_HAS_FAULTS | TRACE_HAS_KERNEL | TRACE_HAS_SIGNALS,
		.page_size = PAGE,
		.cpus = 2,
		.overcommit = 0,
		.fault_around_bytes = 16 * PAGE,
		.max_map_count = 65530,
		.kernel = "6.18",
		.machine = "x86_64",
		.command = "invented",
	};
	struct trace_file program_file = {
		.device = 8, .inode = 1, .size = 5 * PAGE - 100, .path = "/bin/invented"
	};
	struct trace_file memfd_file = {
		.inode = 2, .size = 8 * PAGE, .kind = TRACE_FILE_MEMFD, .path = "/memfd:m"
	};
	char error[256];

	strcpy(path, "/tmp/quire-test-replay-XXXXXX");
	int descriptor = mkstemp(path);
	assert_true(descriptor >= 0);
	close(descriptor);
	clock_now = 0;
	writer = trace_writer_open(path, &header, error, sizeof(error));
	assert_non_null(writer);
	program = trace_writer_add_file(writer, &program_file);
	memfd = trace_writer_add_file(writer, &memfd_file);
	exec(0, 0, TRACE_NONE, false);
}

static void touch(uint32_t thread, uint64_t address, enum trace_access access)
{
	struct trace_event event = event_of(TRACE_FAULT, thread);

	event.fault.address = address;
	event.fault.access = access;
	trace_writer_add(writer, &event);
}

static void touch_by_kernel(uint32_t thread, uint64_t address, enum trace_access access)
{
	struct trace_event event = event_of(TRACE_FAULT, thread);

	event.fault.address = address;
	event.fault.access = access;
	event.fault.kernel = true;
	trace_writer_add(writer, &event);
}

static void signal_of(uint32_t thread, uint32_t number, int32_t code)
{
	struct trace_event event = event_of(TRACE_SIGNAL, thread);

	event.signal.signal = number;
	event.signal.code = code;
	trace_writer_add(writer, &event);
}

static void call_on(uint32_t file, uint32_t thread, enum trace_call nr, int64_t result, uint64_t a,
		    uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	struct trace_event event = event_of(TRACE_CALL, thread);

	event.entry = clock_now - 4;
	event.call.nr = nr;
	event.call.result = result;
	event.call.file = file;
	event.call.peer = TRACE_NONE;
	event.call.args[0] = a;
	event.call.args[1] = b;
	event.call.args[2] = c;
	event.call.args[3] = d;
	event.call.args[4] = e;
	event.call.args[5] = f;
	if (trace_call_takes(&event)) {
		event.entry = event.time;
		event.exit = event.time + 4;
	}
	trace_writer_add(writer, &event);
}

#define CALL(...) call_on(TRACE_NONE, __VA_ARGS__)

static void clone_of(uint32_t thread, uint32_t child, uint32_t child_mm, uint64_t flags)
{
	struct trace_event event = event_of(TRACE_CLONE, thread);

	event.clone.child = child;
	event.clone.child_mm = child_mm;
	event.clone.flags = flags;
	event.clone.tid = 100 + child;
	trace_writer_add(writer, &event);
}

static void leave(uint32_t thread, bool last)
{
	struct trace_event event = event_of(TRACE_EXIT, thread);

	event.exited.last = last;
	trace_writer_add(writer, &event);
}

/* Finish the trace and replay it. */
static int replay_on(const char *cpus)
{
	char *argv[] = { (char[]){ "replay" },
			 (char[]){ "--cpus" },
			 (char *)cpus,
			 (char[]){ "--memory" },
			 (char[]){ "64M" },
			 path,
			 NULL };

	return command_replay(6, argv);
}

static void finish(void)
{
	char error[256];

	assert_int_equal(trace_writer_close(writer, error, sizeof(error)), 0);
}

static void holds(void)
{
	finish();
	assert_int_equal(replay_on("1"), EXIT_HELD);
	assert_int_equal(replay_on("2"), EXIT_HELD);
	assert_int_equal(replay_on("7"), EXIT_HELD);
	unlink(path);
}

static void differs(void)
{
	finish();
	assert_int_equal(replay_on("1"), EXIT_VIOLATED);
	assert_int_equal(replay_on("3"), EXIT_VIOLATED);
	unlink(path);
}

/* ---- what holds ---- */

static void base_1_one_thread_every_call(void **state)
{
	(void)state;
	begin();
	touch(0, TEXT + 0x100, TRACE_ACCESS_EXEC);
	touch(0, DATA + 0x10, TRACE_ACCESS_WRITE);
	touch(0, STACK + 32 * PAGE, TRACE_ACCESS_WRITE);
	touch(0, STACK - 3 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_BRK, HEAP, 0, 0, 0, 0, 0, 0);
	CALL(0, TRACE_BRK, HEAP + 5 * PAGE, HEAP + 5 * PAGE, 0, 0, 0, 0, 0);
	touch(0, HEAP + PAGE, TRACE_ACCESS_WRITE);
	touch(0, HEAP + 4 * PAGE, TRACE_ACCESS_READ);
	CALL(0, TRACE_BRK, HEAP + 2 * PAGE, HEAP + 2 * PAGE, 0, 0, 0, 0, 0);
	CALL(0, TRACE_MMAP, AREA, 0, 16 * PAGE, RW, ANON, -1ull, 0);
	for (uint64_t i = 0; i < 16; i++)
		touch(0, AREA + i * PAGE + 8 * i, i & 1 ? TRACE_ACCESS_WRITE : TRACE_ACCESS_UNKNOWN);
	CALL(0, TRACE_MPROTECT, 0, AREA + 2 * PAGE, 2 * PAGE, QUIRE_PROT_READ, 0, 0, 0);
	touch(0, AREA + 2 * PAGE, TRACE_ACCESS_READ);
	CALL(0, TRACE_MUNMAP, 0, AREA + 5 * PAGE, PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MADVISE, 0, AREA + 6 * PAGE, PAGE, QUIRE_MADV_DONTNEED, 0, 0, 0);
	touch(0, AREA + 6 * PAGE + 48, TRACE_ACCESS_READ);
	CALL(0, TRACE_MADVISE, 0, AREA + 7 * PAGE, PAGE, QUIRE_MADV_FREE, 0, 0, 0);
	touch(0, AREA + 7 * PAGE + 16, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MREMAP, AREA + 64 * PAGE, AREA + 8 * PAGE, 4 * PAGE, 6 * PAGE, QUIRE_MREMAP_MAYMOVE, 0,
	     0);
	touch(0, AREA + 65 * PAGE, TRACE_ACCESS_READ);
	touch(0, AREA + 69 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MREMAP, AREA + 64 * PAGE, AREA + 64 * PAGE, 6 * PAGE, 3 * PAGE, 0, 0, 0);
	CALL(0, TRACE_MLOCK, 0, AREA + 64 * PAGE, PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MUNLOCK, 0, AREA + 64 * PAGE, PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MINCORE, 0, AREA, PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MSYNC, 0, DATA, PAGE, QUIRE_MS_SYNC, 0, 0, 0);
	CALL(0, TRACE_MUNMAP, -QUIRE_EINVAL, AREA + 1, PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MPROTECT, -QUIRE_ENOMEM, AREA + 4 * PAGE, 2 * PAGE, RW, 0, 0, 0);
	touch_by_kernel(0, AREA + 9 * PAGE, TRACE_ACCESS_WRITE);
	touch_by_kernel(0, AREA + PAGE, TRACE_ACCESS_WRITE);
	leave(0, true);
	holds();
}

static void base_5_files_shared_and_cut(void **state)
{
	(void)state;
	begin();
	call_on(memfd, 0, TRACE_MMAP, AREA, 0, 8 * PAGE, RW, QUIRE_MAP_SHARED, 3, 0);
	call_on(memfd, 0, TRACE_MMAP, AREA + 16 * PAGE, 0, 8 * PAGE, RW, QUIRE_MAP_PRIVATE, 3, 0);
	CALL(0, TRACE_MMAP, AREA + 32 * PAGE, 0, 4 * PAGE, RW, QUIRE_MAP_SHARED | QUIRE_MAP_ANONYMOUS, -1ull,
	     0);
	clone_of(0, 1, 1, 0);
	for (uint64_t i = 0; i < 8; i++) {
		touch(0, AREA + i * PAGE + 8 * i, TRACE_ACCESS_WRITE);
		touch(1, AREA + i * PAGE + 64 + 8 * i, TRACE_ACCESS_WRITE);
		touch(1, AREA + (16 + i) * PAGE + 256, i & 1 ? TRACE_ACCESS_WRITE : TRACE_ACCESS_READ);
		touch(0, AREA + (32 + i / 2) * PAGE + 16 * i, TRACE_ACCESS_WRITE);
		touch(1, AREA + (32 + i / 2) * PAGE + 16 * i + 8, TRACE_ACCESS_WRITE);
	}
	call_on(memfd, 0, TRACE_FTRUNCATE, 0, 3, 5 * PAGE + 100, 0, 0, 0, 0);
	touch(1, AREA + 6 * PAGE, TRACE_ACCESS_READ);
	signal_of(1, QUIRE_SIGBUS, QUIRE_BUS_ADRERR);
	touch(0, AREA + (16 + 7) * PAGE, TRACE_ACCESS_READ);
	signal_of(0, QUIRE_SIGBUS, QUIRE_BUS_ADRERR);
	touch(0, AREA + 5 * PAGE, TRACE_ACCESS_READ);
	call_on(memfd, 1, TRACE_FTRUNCATE, 0, 3, 8 * PAGE, 0, 0, 0, 0);
	touch(0, AREA + 6 * PAGE, TRACE_ACCESS_READ);
	touch(1, AREA + (16 + 7) * PAGE, TRACE_ACCESS_READ);
	call_on(memfd, 0, TRACE_FALLOCATE, 0, 3, 3, PAGE, 2 * PAGE, 0, 0);
	touch(0, AREA + PAGE, TRACE_ACCESS_READ);
	touch(1, AREA + 2 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MADVISE, 0, AREA + 3 * PAGE, PAGE, QUIRE_MADV_REMOVE, 0, 0, 0);
	touch(1, AREA + 3 * PAGE, TRACE_ACCESS_READ);
	leave(1, true);
	leave(0, true);
	holds();
}

static void base_1_forks_and_execs(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, AREA, 0, 64 * PAGE, RW, ANON, -1ull, 0);
	for (uint64_t i = 0; i < 64; i++)
		touch(0, AREA + i * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MADVISE, 0, AREA, PAGE, QUIRE_MADV_DONTFORK, 0, 0, 0);
	CALL(0, TRACE_MADVISE, 0, AREA + PAGE, PAGE, QUIRE_MADV_WIPEONFORK, 0, 0, 0);
	clone_of(0, 1, 1, 0);
	clone_of(1, 2, 2, 0);
	for (uint64_t i = 2; i < 64; i++) {
		touch(i % 3, AREA + i * PAGE + 8, TRACE_ACCESS_WRITE);
		touch((i + 1) % 3, AREA + i * PAGE + 16, TRACE_ACCESS_READ);
	}
	touch(1, AREA + PAGE, TRACE_ACCESS_READ);
	touch(2, AREA + PAGE, TRACE_ACCESS_WRITE);
	touch(1, AREA, TRACE_ACCESS_READ);
	signal_of(1, QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR);
	clone_of(0, 3, 0, CLONE_VM_ | CLONE_VFORK_);
	exec(3, 3, 0, false);
	touch(3, DATA, TRACE_ACCESS_WRITE);
	exec(2, 4, 2, true);
	touch(2, TEXT, TRACE_ACCESS_EXEC);
	CALL(2, TRACE_BRK, HEAP, 0, 0, 0, 0, 0, 0);
	leave(3, true);
	leave(1, true);
	leave(0, true);
	leave(2, true);
	holds();
}

/* Many threads in one mm: each maps, touches and unmaps its own part, and protects a page of a common one. */
static void vma_7_threads_of_one_mm(void **state)
{
	enum { THREADS = 8, ROUNDS = 40 };

	(void)state;
	begin();
	CALL(0, TRACE_MMAP, AREA, 0, THREADS * PAGE, RW, ANON, -1ull, 0);
	for (uint32_t i = 1; i < THREADS; i++)
		clone_of(0, i, 0, CLONE_VM_ | CLONE_THREAD_);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < THREADS; i++)
			CALL(i, TRACE_MMAP, (int64_t)(AREA + (16 * i + 32) * PAGE), 0, 8 * PAGE, RW, ANON,
			     -1ull, 0);
		for (uint64_t page = 0; page < 8; page++)
			for (uint32_t i = 0; i < THREADS; i++)
				touch(i, AREA + (16 * i + 32 + page) * PAGE + 8 * round, TRACE_ACCESS_WRITE);
		for (uint32_t i = 0; i < THREADS; i++) {
			touch(i, AREA + i * PAGE, TRACE_ACCESS_WRITE);
			CALL(i, TRACE_MPROTECT, 0, AREA + i * PAGE, PAGE, round & 1 ? RW : QUIRE_PROT_READ, 0,
			     0, 0);
			touch(i, AREA + i * PAGE, round & 1 ? TRACE_ACCESS_WRITE : TRACE_ACCESS_READ);
			CALL(i, TRACE_MPROTECT, 0, AREA + i * PAGE, PAGE, RW, 0, 0, 0);
			CALL(i, TRACE_MUNMAP, 0, AREA + (16 * i + 32) * PAGE, 8 * PAGE, 0, 0, 0, 0);
		}
	}
	for (uint32_t i = 1; i < THREADS; i++)
		leave(i, false);
	leave(0, true);
	holds();
}

/* A file that a write() made longer, of which the recording knows nothing but that nothing was wrong. */
static void base_5_a_file_that_must_have_grown(void **state)
{
	(void)state;
	begin();
	call_on(memfd, 0, TRACE_MMAP, AREA, 0, 64 * PAGE, RW, QUIRE_MAP_SHARED, 3, 0);
	clone_of(0, 1, 0, CLONE_VM_ | CLONE_THREAD_);
	for (uint64_t i = 0; i < 32; i++)
		touch(i & 1, AREA + (i ^ 5) * PAGE, TRACE_ACCESS_WRITE);
	touch(0, AREA + 40 * PAGE, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGBUS, QUIRE_BUS_ADRERR);
	leave(1, false);
	leave(0, true);
	holds();
}

/* A recording that ends before its program does. */
static void base_4_what_is_left_is_put_away(void **state)
{
	(void)state;
	begin();
	touch(0, DATA, TRACE_ACCESS_WRITE);
	clone_of(0, 1, 1, 0);
	touch(1, STACK, TRACE_ACCESS_WRITE);
	holds();
}

/* A type that refuses flags it does not know, at an address that the kernel chose. */
static void base_1_a_validated_mapping_is_imposed(void **state)
{
	(void)state;
	begin();
	call_on(memfd, 0, TRACE_MMAP, AREA, 0, 8 * PAGE, RW, QUIRE_MAP_SHARED_VALIDATE, 3, 0);
	touch(0, AREA + PAGE, TRACE_ACCESS_WRITE);
	call_on(memfd, 0, TRACE_MMAP, AREA + 32 * PAGE, AREA + 32 * PAGE, 8 * PAGE, RW,
		QUIRE_MAP_SHARED_VALIDATE | QUIRE_MAP_FIXED, 3, 0);
	touch(0, AREA + 33 * PAGE, TRACE_ACCESS_READ);
	CALL(0, TRACE_MMAP, AREA + 64 * PAGE, 0, PAGE, RW, QUIRE_MAP_SHARED_VALIDATE, 3,
	     0); /* of no known file */
	touch(0, AREA + 64 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MMAP, -QUIRE_EINVAL, 0, PAGE, RW, QUIRE_MAP_SHARED_VALIDATE | QUIRE_MAP_ANONYMOUS,
	     -1ull, 0);
	leave(0, true);
	holds();
}

/* Holes in a file on disk, whole pages and parts, seen before and not, by fallocate and through a mapping. */
static void base_5_holes_in_a_file_on_disk(void **state)
{
	(void)state;
	begin();
	call_on(program, 0, TRACE_MMAP, AREA, 0, 4 * PAGE, RW, QUIRE_MAP_SHARED, 3, 0);
	touch(0, AREA + PAGE, TRACE_ACCESS_WRITE);
	call_on(program, 0, TRACE_FALLOCATE, 0, 3, 3, 2 * PAGE + 100, 200, 0, 0);
	call_on(program, 0, TRACE_FALLOCATE, 0, 3, 3, 2 * PAGE + 1000, PAGE, 0, 0);
	call_on(program, 0, TRACE_FALLOCATE, 0, 3, 3, 2 * PAGE + 300, 700, 0, 0);
	call_on(program, 0, TRACE_FALLOCATE, 0, 3, 3, PAGE, PAGE, 0, 0);
	for (uint64_t i = 0; i < 4; i++)
		touch(0, AREA + i * PAGE, TRACE_ACCESS_READ);
	touch(0, AREA + PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MADVISE, 0, AREA + PAGE, 2 * PAGE, QUIRE_MADV_REMOVE, 0, 0, 0);
	touch(0, AREA + PAGE, TRACE_ACCESS_READ);
	touch(0, AREA + 2 * PAGE, TRACE_ACCESS_WRITE);
	leave(0, true);
	holds();
}

/* The recording computer had not the memory: nothing happened there, and nothing is asked here. */
static void base_1_refusals_for_want_of_memory(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_BRK, HEAP, 0, 0, 0, 0, 0, 0);
	CALL(0, TRACE_BRK, HEAP, HEAP + (1 << 30), 0, 0, 0, 0, 0);
	CALL(0, TRACE_BRK, HEAP + PAGE, HEAP + PAGE, 0, 0, 0, 0, 0);
	touch(0, HEAP, TRACE_ACCESS_WRITE);
	touch(0, HEAP + PAGE, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR);
	CALL(0, TRACE_MMAP, AREA, 0, 8 * PAGE, QUIRE_PROT_READ, ANON, -1ull, 0);
	CALL(0, TRACE_MPROTECT, -QUIRE_ENOMEM, AREA, 8 * PAGE, RW, 0, 0, 0);
	touch(0, AREA, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR);
	CALL(0, TRACE_MREMAP, -QUIRE_ENOMEM, AREA, 8 * PAGE, 1 << 30, QUIRE_MREMAP_MAYMOVE, 0, 0);
	CALL(0, TRACE_MREMAP, -QUIRE_ENOMEM, AREA, 8 * PAGE, 16 * PAGE, 0, 0, 0);
	touch(0, AREA + 8 * PAGE, TRACE_ACCESS_READ);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR);
	/* and what refuses for what is mapped is asked all the same */
	CALL(0, TRACE_MMAP, AREA + 9 * PAGE, AREA + 9 * PAGE, PAGE, RW, ANON | QUIRE_MAP_FIXED, -1ull, 0);
	CALL(0, TRACE_MREMAP, -QUIRE_ENOMEM, AREA, 8 * PAGE, 16 * PAGE, 0, 0, 0);
	CALL(0, TRACE_MPROTECT, -QUIRE_ENOMEM, AREA, 9 * PAGE, RW, 0, 0, 0);
	touch(0, AREA, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MMAP, HEAP + 64 * PAGE, HEAP + 64 * PAGE, PAGE, RW, ANON | QUIRE_MAP_FIXED, -1ull, 0);
	CALL(0, TRACE_BRK, HEAP + PAGE, HEAP + 64 * PAGE, 0, 0, 0, 0, 0);
	leave(0, true);
	holds();
}

/* A descriptor's mode, a protection key, SHM_REMAP: not in the trace, or taken for another call. */
static void base_1_refusals_that_are_no_matter_of_memory(void **state)
{
	(void)state;
	begin();
	call_on(memfd, 0, TRACE_MMAP, AREA, 0, 8 * PAGE, QUIRE_PROT_READ, QUIRE_MAP_SHARED, 3, 0);
	CALL(0, TRACE_MPROTECT, -QUIRE_EACCES, AREA, PAGE, RW, 0, 0, 0);
	CALL(0, TRACE_MADVISE, -QUIRE_EACCES, AREA, PAGE, QUIRE_MADV_REMOVE, 0, 0, 0);
	touch(0, AREA, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR);
	CALL(0, TRACE_MMAP, AREA + 32 * PAGE, 0, 8 * PAGE, RW, ANON, -1ull, 0);
	CALL(0, TRACE_PKEY_MPROTECT, -QUIRE_EINVAL, AREA + 32 * PAGE, PAGE, QUIRE_PROT_READ, 7, 0, 0);
	touch(0, AREA + 32 * PAGE, TRACE_ACCESS_WRITE);
	call_on(memfd, 0, TRACE_SHMAT, AREA + 32 * PAGE, 1, AREA + 32 * PAGE, 040000, 0, 0, 0);
	touch(0, AREA + 32 * PAGE, TRACE_ACCESS_READ);
	leave(0, true);
	holds();
}

/* Advice that a mapping in the middle refuses: the mappings before it were advised. */
static void base_1_advice_up_to_the_first_refusal(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, AREA, 0, 8 * PAGE, RW, ANON, -1ull, 0);
	for (uint64_t i = 0; i < 8; i++)
		touch(0, AREA + i * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MLOCK, 0, AREA + 2 * PAGE, 2 * PAGE, 0, 0, 0, 0);
	CALL(0, TRACE_MADVISE, -QUIRE_EINVAL, AREA, 6 * PAGE, QUIRE_MADV_DONTNEED, 0, 0, 0);
	CALL(0, TRACE_MADVISE, -QUIRE_EINVAL, AREA + 4 * PAGE + 1, PAGE, QUIRE_MADV_DONTNEED, 0, 0, 0);
	for (uint64_t i = 0; i < 8; i++)
		touch(0, AREA + i * PAGE, TRACE_ACCESS_READ);
	touch(0, AREA, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MMAP, AREA + 64 * PAGE, 0, 4 * PAGE, RW, ANON, -1ull, 0);
	touch(0, AREA + 64 * PAGE, TRACE_ACCESS_WRITE);
	call_on(memfd, 0, TRACE_MMAP, AREA + 66 * PAGE, AREA + 66 * PAGE, 2 * PAGE, RW,
		QUIRE_MAP_SHARED | QUIRE_MAP_FIXED, 3, 0);
	touch(0, AREA + 66 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MADVISE, -QUIRE_EINVAL, AREA + 64 * PAGE, 4 * PAGE, QUIRE_MADV_WIPEONFORK, 0, 0, 0);
	call_on(memfd, 0, TRACE_MMAP, AREA + 68 * PAGE, AREA + 68 * PAGE, 2 * PAGE, RW,
		QUIRE_MAP_PRIVATE | QUIRE_MAP_FIXED, 3, 2 * PAGE);
	touch(0, AREA + 68 * PAGE, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MADVISE, -QUIRE_EACCES, AREA + 66 * PAGE, 4 * PAGE, QUIRE_MADV_REMOVE, 0, 0, 0);
	touch(0, AREA + 66 * PAGE, TRACE_ACCESS_READ);
	touch(0, AREA + 68 * PAGE, TRACE_ACCESS_READ);
	clone_of(0, 1, 1, 0);
	touch(1, AREA + 64 * PAGE, TRACE_ACCESS_READ);
	leave(1, true);
	leave(0, true);
	holds();
}

/* A mapping grows down to a store that it then forbids, and is there afterwards. */
static void base_1_what_may_not_be_accessed_grows(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, AREA, 0, PAGE, 0, ANON | QUIRE_MAP_GROWSDOWN, -1ull, 0);
	touch(0, AREA - 8 * PAGE, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR);
	CALL(0, TRACE_MREMAP, AREA + 64 * PAGE, AREA - 8 * PAGE, PAGE, 2 * PAGE, QUIRE_MREMAP_MAYMOVE, 0, 0);
	CALL(0, TRACE_MPROTECT, 0, AREA + 64 * PAGE, 2 * PAGE, RW, 0, 0, 0);
	touch(0, AREA + 65 * PAGE, TRACE_ACCESS_WRITE);
	leave(0, true);
	holds();
}

/* As root may. */
static void base_1_the_lowest_addresses(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, 0, 0, 4 * PAGE, RW, ANON | QUIRE_MAP_FIXED, -1ull, 0);
	touch(0, 0, TRACE_ACCESS_WRITE);
	touch(0, PAGE, TRACE_ACCESS_READ);
	CALL(0, TRACE_MMAP, -QUIRE_EPERM, 6 * PAGE, PAGE, RW, ANON | QUIRE_MAP_FIXED, -1ull, 0);
	touch(0, 6 * PAGE, TRACE_ACCESS_READ);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR);
	leave(0, true);
	holds();
}

/* A page that one thread opens and closes while another looks: the recording cannot say who came first. */
static void vma_7_touches_that_race_with_protection(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, AREA, 0, 4 * PAGE, RW, ANON, -1ull, 0);
	clone_of(0, 1, 0, CLONE_VM_ | CLONE_THREAD_);
	CALL(0, TRACE_MPROTECT, 0, AREA, PAGE, 0, 0, 0, 0);
	touch(1, AREA, TRACE_ACCESS_READ);
	CALL(0, TRACE_MPROTECT, 0, AREA, PAGE, RW, 0, 0, 0);
	touch(1, AREA, TRACE_ACCESS_WRITE);
	CALL(0, TRACE_MPROTECT, 0, AREA, PAGE, 0, 0, 0, 0);
	signal_of(1, QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR);
	CALL(0, TRACE_MPROTECT, 0, AREA, PAGE, RW, 0, 0, 0);
	touch(1, AREA, TRACE_ACCESS_READ);
	leave(1, false);
	leave(0, true);
	holds();
}

/* ---- what does not ---- */

/* No other thread was at it between the fault and its signal; or elsewhere. */
static void vma_7_what_cannot_have_raced_is_found(void **state)
{
	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		begin();
		CALL(0, TRACE_MMAP, AREA, 0, 4 * PAGE, RW, ANON, -1ull, 0);
		clone_of(0, 1, 0, CLONE_VM_ | CLONE_THREAD_);
		touch(1, AREA, TRACE_ACCESS_WRITE);
		if (elsewhere)
			CALL(0, TRACE_MPROTECT, 0, AREA + PAGE, PAGE, 0, 0, 0, 0);
		signal_of(1, QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR);
		if (!elsewhere)
			CALL(0, TRACE_MPROTECT, 0, AREA, PAGE, 0, 0, 0, 0);
		leave(1, false);
		leave(0, true);
		differs();
	}
}

static void base_1_a_wrong_result_is_found(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MUNMAP, -QUIRE_EINVAL, AREA, PAGE, 0, 0, 0, 0);
	leave(0, true);
	differs();
}

static void base_1_a_wrong_address_is_found(void **state)
{
	(void)state;
	begin();
	CALL(0, TRACE_MMAP, DATA, 0, PAGE, RW, ANON, -1ull, 0); /* where something is mapped */
	leave(0, true);
	differs();
}

static void base_1_a_missing_signal_is_found(void **state)
{
	(void)state;
	begin();
	touch(0, DATA, TRACE_ACCESS_WRITE);
	signal_of(0, QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR);
	leave(0, true);
	differs();
}

static void base_1_an_unexpected_signal_is_found(void **state)
{
	(void)state;
	begin();
	touch(0, AREA, TRACE_ACCESS_READ);
	leave(0, true);
	differs();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_one_thread_every_call),
		cmocka_unit_test(base_5_files_shared_and_cut),
		cmocka_unit_test(base_1_forks_and_execs),
		cmocka_unit_test(vma_7_threads_of_one_mm),
		cmocka_unit_test(base_5_a_file_that_must_have_grown),
		cmocka_unit_test(base_4_what_is_left_is_put_away),
		cmocka_unit_test(base_1_a_validated_mapping_is_imposed),
		cmocka_unit_test(base_5_holes_in_a_file_on_disk),
		cmocka_unit_test(base_1_refusals_for_want_of_memory),
		cmocka_unit_test(base_1_refusals_that_are_no_matter_of_memory),
		cmocka_unit_test(base_1_advice_up_to_the_first_refusal),
		cmocka_unit_test(base_1_what_may_not_be_accessed_grows),
		cmocka_unit_test(base_1_the_lowest_addresses),
		cmocka_unit_test(vma_7_touches_that_race_with_protection),
		cmocka_unit_test(vma_7_what_cannot_have_raced_is_found),
		cmocka_unit_test(base_1_a_wrong_result_is_found),
		cmocka_unit_test(base_1_a_wrong_address_is_found),
		cmocka_unit_test(base_1_a_missing_signal_is_found),
		cmocka_unit_test(base_1_an_unexpected_signal_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
