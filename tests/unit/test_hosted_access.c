/*
 * test_hosted_access.c - programs on the hosted machine: loads, stores, fetches and signals through the
 * whole of Quire, and files of the host as stores.
 */
#include "machines/hosted/hosted.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BASE 0x10000000ul
#define PAGE QUIRE_PAGE_SIZE
#define RW (QUIRE_PROT_READ | QUIRE_PROT_WRITE)
#define CPUS 4

/* A failed assertion inside a job would unwind the wrong thread's stack: jobs note what they find instead. */
static unsigned wrong;
#define expect(condition) (wrong += !(condition))

static struct hosted *machine_with(unsigned cpus)
{
	struct hosted_config config = {
		.cpus = cpus, .memory_bytes = 64ul << 20, .speculation = 8, .seed = 3
	};
	struct hosted *machine;

	assert_int_equal(hosted_create(&config, &machine), 0);
	return machine;
}

static int64_t map_at(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr at, quire_vaddr bytes,
		      uint32_t prot, struct quire_file *file)
{
	struct quire_mmap map = {
		.addr = at,
		.length = bytes,
		.prot = prot,
		.flags = QUIRE_MAP_FIXED |
			 (file ? QUIRE_MAP_SHARED : QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS),
		.file = file,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
	};

	return quire_mmap(cpu, mm, &map);
}

/* A test's body as the only job of a machine with one CPU, in an mm that it runs. */
struct scene {
	struct quire_cpu **cpu;
	struct quire_mm *mm;
	struct quire_fault fault;
};

typedef void scene_body(struct scene *scene);

static void job_scene(struct quire_cpu **cpu, void *argument)
{
	struct scene scene = { .cpu = cpu };

	if (quire_mm_create(cpu, &scene.mm)) {
		wrong++;
		return;
	}
	quire_cpu_run(*cpu, scene.mm);
	(*(scene_body **)argument)(&scene);
	quire_cpu_leave(*cpu);
	quire_mm_put(cpu, scene.mm);
}

static void run_scene(scene_body *body)
{
	struct hosted *machine = machine_with(1);

	hosted_run(machine, 0, job_scene, &body);
	hosted_destroy(machine);
}

static int load(struct scene *s, quire_vaddr from, void *to, size_t bytes)
{
	return hosted_load(s->cpu, s->mm, from, to, bytes, &s->fault);
}

static int store(struct scene *s, quire_vaddr to, const void *from, size_t bytes)
{
	return hosted_store(s->cpu, s->mm, to, from, bytes, &s->fault);
}

/* ---- accesses ----------------------------------------------------------------------------------- */

static void scene_unaligned(struct scene *s)
{
	unsigned char out[3 * PAGE], in[3 * PAGE];

	expect(map_at(s->cpu, s->mm, BASE, 4 * PAGE, RW, NULL) == (int64_t)BASE);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 7 + i / 256);
	for (unsigned at = 1; at < 20; at++)
		for (size_t bytes = 1; bytes < sizeof(out); bytes = bytes * 2 + 1) {
			memset(in, 0, sizeof(in));
			expect(store(s, BASE + PAGE - at, out, bytes) == 0);
			expect(load(s, BASE + PAGE - at, in, bytes) == 0);
			expect(memcmp(in, out, bytes) == 0);
		}
}

static void base_1_accesses_of_any_size_and_alignment(void **state)
{
	(void)state;
	wrong = 0;
	run_scene(scene_unaligned);
	assert_int_equal(wrong, 0);
}

static void scene_signals(struct scene *s)
{
	uint64_t value = 5;

	expect(load(s, BASE, &value, 8) == -QUIRE_EFAULT);
	expect(s->fault.signal == QUIRE_SIGSEGV && s->fault.code == QUIRE_SEGV_MAPERR);
	expect(map_at(s->cpu, s->mm, BASE, PAGE, QUIRE_PROT_READ, NULL) == (int64_t)BASE);
	expect(load(s, BASE, &value, 8) == 0 && value == 0);
	expect(store(s, BASE, &value, 8) == -QUIRE_EFAULT);
	expect(s->fault.signal == QUIRE_SIGSEGV && s->fault.code == QUIRE_SEGV_ACCERR);
	expect(hosted_fetch(s->cpu, s->mm, BASE, &value, 8, &s->fault) == -QUIRE_EFAULT);
	expect(s->fault.signal == QUIRE_SIGSEGV && s->fault.code == QUIRE_SEGV_ACCERR);
	expect(quire_mprotect(s->cpu, s->mm, BASE, PAGE, QUIRE_PROT_READ | QUIRE_PROT_EXEC) == 0);
	expect(hosted_fetch(s->cpu, s->mm, BASE, &value, 8, &s->fault) == 0);
	expect(quire_munmap(s->cpu, s->mm, BASE, PAGE) == 0);
	expect(load(s, BASE, &value, 8) == -QUIRE_EFAULT);
	expect(load(s, ~0ul - 7, &value, 8) == -QUIRE_EFAULT);
}

static void base_1_signals_say_why(void **state)
{
	(void)state;
	wrong = 0;
	run_scene(scene_signals);
	assert_int_equal(wrong, 0);
}

static void scene_partial(struct scene *s)
{
	uint64_t value = 0x1122334455667788, seen = 0;

	expect(map_at(s->cpu, s->mm, BASE, PAGE, RW, NULL) == (int64_t)BASE);
	expect(store(s, BASE + PAGE - 4, &value, 8) == -QUIRE_EFAULT);
	expect(load(s, BASE + PAGE - 4, &seen, 4) == 0 && seen == 0x55667788);
}

static void base_1_bytes_before_the_fault_are_done(void **state)
{
	(void)state;
	wrong = 0;
	run_scene(scene_partial);
	assert_int_equal(wrong, 0);
}

/* ---- many CPUs in one address space ------------------------------------------------------------- */

struct crowd {
	struct quire_mm *mm;
	_Atomic uint32_t done, wrong;
};

#define CROWD_PAGES 64 /* more than are flushed one by one */
#define CROWD_ROUNDS 4000

static void job_crowd_create(struct quire_cpu **cpu, void *argument)
{
	struct crowd *crowd = argument;

	if (quire_mm_create(cpu, &crowd->mm) ||
	    map_at(cpu, crowd->mm, BASE, CROWD_PAGES * PAGE, RW, NULL) < 0)
		atomic_fetch_add(&crowd->wrong, 1);
}

static void job_crowd_end(struct quire_cpu **cpu, void *argument)
{
	struct crowd *crowd = argument;

	quire_mm_put(cpu, crowd->mm);
}

/*
 * Each page is only ever given its own number: whoever sees another has reached another page's frame,
 * through a translation that ought to be gone.
 */
static void job_crowd_touch(struct quire_cpu **cpu, void *argument)
{
	struct crowd *crowd = argument;
	struct quire_fault fault;
	uint64_t place = (*cpu)->id * 64, random = (*cpu)->id + 1;

	quire_cpu_run(*cpu, crowd->mm);
	for (unsigned i = 0; i < CROWD_ROUNDS; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		uint64_t page = random >> 40 & (CROWD_PAGES - 1), number = page + 1, seen = number;
		quire_vaddr at = BASE + page * PAGE + place;
		int err = random >> 60 & 1 ? hosted_store(cpu, crowd->mm, at, &number, 8, &fault)
					   : hosted_load(cpu, crowd->mm, at, &seen, 8, &fault);

		if ((err && err != -QUIRE_EFAULT) || (seen != 0 && seen != number))
			atomic_fetch_add(&crowd->wrong, 1);
		if (i % 64 == 0)
			quire_cpu_idle(*cpu), quire_cpu_run(*cpu, crowd->mm);
	}
	quire_cpu_leave(*cpu);
	atomic_fetch_add(&crowd->done, 1);
}

/* Write @page's number wherever any CPU looks, most likely into the frame that was freed last. */
static void fill_page(struct quire_cpu **cpu, struct crowd *crowd, uint64_t page)
{
	uint64_t number = page + 1;
	struct quire_fault fault;

	for (unsigned place = 0; place < CPUS; place++)
		if (hosted_store(cpu, crowd->mm, BASE + page * PAGE + place * 64, &number, 8, &fault))
			atomic_fetch_add(&crowd->wrong, 1);
}

static void job_crowd_change(struct quire_cpu **cpu, void *argument)
{
	struct crowd *crowd = argument;
	const quire_vaddr whole = CROWD_PAGES * PAGE;

	quire_cpu_run(*cpu, crowd->mm);
	for (unsigned i = 0; atomic_load(&crowd->done) < CPUS - 1; i++) {
		uint64_t page = i * 5 % CROWD_PAGES, other = (page + 1 + i % 7) % CROWD_PAGES;
		quire_vaddr at = BASE + page * PAGE;
		int err = quire_madvise(cpu, crowd->mm, BASE + other * PAGE, PAGE, QUIRE_MADV_DONTNEED);

		if (i % 4 == 0)
			err |= quire_madvise(cpu, crowd->mm, at, PAGE, QUIRE_MADV_DONTNEED);
		else if (i % 4 == 1)
			err |= quire_munmap(cpu, crowd->mm, at, PAGE) ||
			       map_at(cpu, crowd->mm, at, PAGE, RW, NULL) < 0;
		else if (i % 4 == 2)
			err |= quire_mprotect(cpu, crowd->mm, at, PAGE, QUIRE_PROT_READ) |
			       quire_mprotect(cpu, crowd->mm, at, PAGE, RW);
		else
			err |= quire_madvise(cpu, crowd->mm, BASE, whole, QUIRE_MADV_DONTNEED);
		if (err)
			atomic_fetch_add(&crowd->wrong, 1);
		fill_page(cpu, crowd, other);
	}
	quire_cpu_leave(*cpu);
}

/* BASE-3: after a change has returned, and the frame has a new life elsewhere, no CPU still reaches it. */
static void base_3_nobody_reaches_anothers_frame(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct crowd crowd = { .mm = NULL };

	(void)state;
	hosted_run(machine, 0, job_crowd_create, &crowd);
	hosted_post(machine, 0, job_crowd_change, &crowd);
	for (unsigned cpu = 1; cpu < CPUS; cpu++)
		hosted_post(machine, cpu, job_crowd_touch, &crowd);
	hosted_wait(machine);
	hosted_run(machine, 0, job_crowd_end, &crowd);
	assert_int_equal(crowd.wrong, 0);

	struct hosted_counts counts;
	hosted_counts(machine, &counts);
	assert_true(counts.accesses >= (CPUS - 1) * CROWD_ROUNDS);
	assert_true(counts.faults > 0 && counts.walks > 0 && counts.tlb_hits > 0);
	hosted_destroy(machine);
}

/* ---- files of the host -------------------------------------------------------------------------- */

static char path[64];

static void make_file(size_t bytes)
{
	snprintf(path, sizeof(path), "/tmp/quire-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	for (size_t i = 0; i < bytes; i++) {
		unsigned char byte = (unsigned char)(i / 16);

		assert_int_equal(write(fd, &byte, 1), 1);
	}
	close(fd);
}

static void read_file(unsigned char *to, size_t bytes, size_t *size)
{
	int fd = open(path, O_RDONLY);
	struct stat status;

	memset(to, 0xcc, bytes);
	assert_int_equal(fstat(fd, &status), 0);
	*size = (size_t)status.st_size;
	assert_true(read(fd, to, bytes) >= 0);
	close(fd);
}

static void scene_file(struct scene *s)
{
	struct quire_file *file;
	unsigned char bytes[32];

	expect(hosted_file_open(s->cpu, "/nonexistent/quire", false, &file) == -QUIRE_ENOENT);
	if (hosted_file_open(s->cpu, path, true, &file)) {
		wrong++;
		return;
	}
	expect(quire_file_size(file) == PAGE + 100);
	expect(map_at(s->cpu, s->mm, BASE, 2 * PAGE, RW, file) == (int64_t)BASE);
	expect(load(s, BASE + 160, bytes, 1) == 0 && bytes[0] == 10);
	expect(load(s, BASE + PAGE + 99, bytes, 2) == 0 && bytes[0] == (PAGE + 99) / 16 % 256 &&
	       bytes[1] == 0);
	expect(store(s, BASE + PAGE, "mapped", 6) == 0);
	expect(store(s, BASE + PAGE + 200, "past the end", 12) == 0);
	expect(quire_file_write(s->cpu, file, 10, "written", 7) == 7);
	expect(load(s, BASE + 10, bytes, 7) == 0 && memcmp(bytes, "written", 7) == 0);
	expect(quire_msync(s->cpu, s->mm, BASE, 2 * PAGE, QUIRE_MS_SYNC) == 0);
	expect(quire_munmap(s->cpu, s->mm, BASE, 2 * PAGE) == 0);
	quire_file_put(s->cpu, file);
}

static void base_5_host_file_is_read_mapped_and_written_back(void **state)
{
	unsigned char found[2 * PAGE];
	size_t size;

	(void)state;
	wrong = 0;
	make_file(PAGE + 100);
	run_scene(scene_file);
	read_file(found, sizeof(found), &size);
	unlink(path);
	assert_int_equal(wrong, 0);
	assert_int_equal(size, PAGE + 100);
	assert_memory_equal(found + 10, "written", 7);
	assert_memory_equal(found + PAGE, "mapped", 6);
	assert_int_equal(found[160], 10);
}

static void scene_resize(struct scene *s)
{
	struct quire_file *file;
	unsigned char byte = 1;

	if (hosted_file_open(s->cpu, path, true, &file)) {
		wrong++;
		return;
	}
	expect(quire_file_truncate(s->cpu, file, 3 * PAGE) == 0);
	expect(quire_file_write(s->cpu, file, 2 * PAGE, "tail", 4) == 4);
	expect(quire_file_punch(s->cpu, file, 0, PAGE) == 0);
	expect(quire_file_read(s->cpu, file, 500, &byte, 1) == 1 && byte == 0);
	expect(quire_file_sync(s->cpu, file, 0, 2) == 0);
	expect(quire_file_truncate(s->cpu, file, 2 * PAGE + 2) == 0);
	quire_file_put(s->cpu, file);
}

static void base_5_host_file_is_resized_and_punched(void **state)
{
	unsigned char found[3 * PAGE];
	size_t size;

	(void)state;
	wrong = 0;
	make_file(2 * PAGE);
	run_scene(scene_resize);
	read_file(found, sizeof(found), &size);
	unlink(path);
	assert_int_equal(wrong, 0);
	assert_int_equal(size, 2 * PAGE + 2);
	assert_int_equal(found[0] | found[PAGE - 1], 0);
	assert_int_equal(found[PAGE + 16], (PAGE + 16) / 16 % 256);
	assert_memory_equal(found + 2 * PAGE, "ta", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_accesses_of_any_size_and_alignment),
		cmocka_unit_test(base_1_signals_say_why),
		cmocka_unit_test(base_1_bytes_before_the_fault_are_done),
		cmocka_unit_test(base_3_nobody_reaches_anothers_frame),
		cmocka_unit_test(base_5_host_file_is_read_mapped_and_written_back),
		cmocka_unit_test(base_5_host_file_is_resized_and_punched),
	};

	return cmocka_run_group_tests_name("programs on the hosted machine", tests, NULL, NULL);
}
