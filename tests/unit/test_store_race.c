/*
 * test_store_race.c - file calls of several CPUs against each other.
 *
 *	CPU 0	writes growing numbers over pages 0 to 3, one write() a page
 *	CPU 1	reads them: no number may ever go back
 *	CPU 2	syncs and invalidates: pages leave the cache and come back from the store
 *	CPU 3	cuts the file below page 6 and lets it grow again, punches page 5, and finds zeroes there
 *
 * A write that is lost, a page that comes back older than it left, or a page read in while the store
 * changes shows as a number that goes back, or as bytes where zeroes must be.
 */
#include "../../core/base/object.h"
#include "../../core/store/cache.h"
#include "../../machines/hosted/hosted.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define PAGES 8
#define NUMBERED 4 /* pages that CPU 0 writes */
#define CUT 5	   /* the first of those that come and go */
#define WORDS (PAGE / sizeof(uint64_t))
#define ROUNDS 300 /* that each CPU makes at least */

struct scene {
	struct hosted *machine;
	struct quire_file *file;
	char disk[PAGES * PAGE];
	_Atomic bool over;
	_Atomic uint64_t rounds[4]; /* each CPU's */
	_Atomic int errors;
	uint64_t frames, objects;
};

/*
 * A number stands in both halves of its word. A copy of a page that is being written may be torn at any byte
 * (quire_port_copy(); `rep movsb`, interrupted, does it), and what stands before the tear is older, or newer,
 * than what stands after it: a word whose halves are equal is one number, and was written as it is.
 */
static uint64_t word_of(uint64_t number)
{
	return number << 32 | number;
}

static bool is_torn(uint64_t word)
{
	return word >> 32 != (uint32_t)word;
}

/* A page's transfer takes its time, so that others come in between. */
static void slow_copy(struct quire_cpu **cpu, char *to, const char *from)
{
	sched_yield();
	memcpy(to, from, PAGE / 2);
	hosted_poll(*cpu);
	sched_yield();
	memcpy(to + PAGE / 2, from + PAGE / 2, PAGE / 2);
}

static int disk_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct scene *s = data;

	(void)file;
	slow_copy(cpu, page, s->disk + index * PAGE);
	return 0;
}

static int disk_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	struct scene *s = data;

	(void)file;
	slow_copy(cpu, s->disk + index * PAGE, page);
	return 0;
}

static int disk_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	struct scene *s = data;

	(void)cpu;
	(void)file;
	memset(s->disk + bytes, 0, sizeof(s->disk) - bytes);
	return 0;
}

static int disk_punch(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	struct scene *s = data;

	(void)cpu;
	(void)file;
	memset(s->disk + start, 0, end - start);
	return 0;
}

static const struct quire_store disk_store = {
	.read = disk_read,
	.write = disk_write,
	.resize = disk_resize,
	.punch = disk_punch,
};

static void expect(struct scene *s, bool held)
{
	if (!held)
		atomic_fetch_add(&s->errors, 1);
}

static bool enough(struct scene *s)
{
	for (unsigned i = 0; i < 4; i++) {
		if (atomic_load(&s->rounds[i]) < ROUNDS)
			return false;
	}
	return true;
}

static void write_numbers(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t words[WORDS];

	for (uint64_t round = 1; !enough(s); round++) {
		hosted_poll(*cpu);
		for (unsigned i = 0; i < WORDS; i++)
			words[i] = word_of(round);
		for (unsigned page = 0; page < NUMBERED; page++)
			expect(s, quire_file_write(cpu, s->file, page * PAGE, words, PAGE) == (int64_t)PAGE);
		atomic_store(&s->rounds[0], round);
	}
	atomic_store(&s->over, true);
}

static void read_numbers(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	static uint64_t seen[NUMBERED][WORDS], words[WORDS];

	memset(seen, 0, sizeof(seen));
	while (!atomic_load(&s->over)) {
		for (unsigned page = 0; page < NUMBERED; page++) {
			expect(s, quire_file_read(cpu, s->file, page * PAGE, words, PAGE) == (int64_t)PAGE);
			unsigned torn = 0;
			for (unsigned i = 0; i < WORDS; i++) {
				if (is_torn(words[i])) {
					torn++;
					continue;
				}
				expect(s, words[i] >= seen[page][i]);
				seen[page][i] = words[i];
			}
			expect(s, torn < 8); /* one for each time that the copy was interrupted */
		}
		atomic_fetch_add(&s->rounds[1], 1);
	}
}

static void sync_and_drop(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	for (unsigned round = 0; !atomic_load(&s->over); round++) {
		if (round % 3)
			expect(s, quire_file_sync(cpu, s->file, 0, UINT64_MAX) == 0);
		else
			expect(s, quire_file_invalidate(cpu, s->file, round % NUMBERED, UINT64_MAX) == 0);
		atomic_fetch_add(&s->rounds[2], 1);
	}
}

static bool is_zero(struct quire_cpu **cpu, struct scene *s, uint64_t from, uint64_t bytes)
{
	char buffer[2 * PAGE];

	if (quire_file_read(cpu, s->file, from, buffer, bytes) != (int64_t)bytes)
		return false;
	for (uint64_t i = 0; i < bytes; i++) {
		if (buffer[i])
			return false;
	}
	return true;
}

static void cut_and_grow(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	char letters[3 * PAGE];

	memset(letters, 'x', sizeof(letters));
	while (!atomic_load(&s->over)) {
		expect(s, quire_file_write(cpu, s->file, CUT * PAGE, letters, 3 * PAGE) == 3 * (int64_t)PAGE);
		expect(s, quire_file_truncate(cpu, s->file, (CUT + 1) * PAGE + 10) == 0);
		expect(s, quire_file_truncate(cpu, s->file, PAGES * PAGE) == 0);
		expect(s, is_zero(cpu, s, (CUT + 1) * PAGE + 10, 2 * PAGE - 10));
		expect(s, quire_file_punch(cpu, s->file, CUT * PAGE, PAGE + 5) == 0);
		expect(s, is_zero(cpu, s, CUT * PAGE, PAGE + 5));
		atomic_fetch_add(&s->rounds[3], 1);
	}
}

static void read_counts(struct quire_cpu **cpu, uint64_t *frames, uint64_t *objects)
{
	struct phys_counts counts;

	quire_port_rcu_barrier(cpu);
	phys_counts((*cpu)->quire, &counts);
	*frames = counts.free;
	*objects = object_count((*cpu)->quire);
}

static void begin(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	read_counts(cpu, &s->frames, &s->objects);
	expect(s, quire_file_create(cpu, &disk_store, s, QUIRE_FILE_READ | QUIRE_FILE_WRITE, PAGES * PAGE, 0,
				    &s->file) == 0);
}

static void end(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	uint64_t frames, objects;

	quire_file_put(cpu, s->file);
	read_counts(cpu, &frames, &objects);
	expect(s, frames == s->frames && objects == s->objects);
	for (unsigned page = 0; page < NUMBERED; page++) { /* the last put wrote everything back */
		uint64_t number;
		memcpy(&number, s->disk + page * PAGE, sizeof(number));
		expect(s, (uint32_t)number == atomic_load(&s->rounds[0]));
	}
}

static void race(hosted_job *first, hosted_job *second, hosted_job *third, hosted_job *fourth)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct hosted_config config = { .cpus = 4, .memory_bytes = 256 * PAGE, .speculation = 5, .seed = 1 };

	assert_int_equal(hosted_create(&config, &s->machine), 0);
	hosted_run(s->machine, 0, begin, s);
	assert_int_equal(atomic_load(&s->errors), 0);
	hosted_post(s->machine, 0, first, s);
	hosted_post(s->machine, 1, second, s);
	hosted_post(s->machine, 2, third, s);
	hosted_post(s->machine, 3, fourth, s);
	hosted_wait(s->machine);
	hosted_run(s->machine, 0, end, s);
	assert_int_equal(atomic_load(&s->errors), 0);
	hosted_destroy(s->machine);
	free(s);
}

/* BASE-5: no order of file calls loses a write, shows an old page, or brings back what was cut off. */
static void base_5_racing_calls_keep_contents(void **state)
{
	(void)state;
	race(write_numbers, read_numbers, sync_and_drop, cut_and_grow);
}

/*
 * The same through mappings.
 *
 *	CPU 0	stores growing numbers in pages 0 to 3 of its space, and loads from the pages that come and go
 *	CPU 1	loads the numbers in another space: none may go back
 *	CPU 2	syncs and invalidates
 *	CPU 3	cuts the file, lets it grow, punches: what was cut off is zero, or a SIGBUS, never what it was
 */

#define SPACE_BASE (64 * QUIRE_HUGE_SIZE)

static struct quire_mm *enter(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_mm *mm;
	struct quire_mmap map = {
		.addr = SPACE_BASE,
		.length = PAGES * PAGE,
		.prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
		.flags = QUIRE_MAP_SHARED | QUIRE_MAP_FIXED,
		.file = s->file,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = 1,
	};

	expect(s, quire_mm_create(cpu, &mm) == 0);
	expect(s, quire_mmap(cpu, mm, &map) == (int64_t)SPACE_BASE);
	quire_cpu_run(*cpu, mm);
	return mm;
}

static void leave(struct quire_cpu **cpu, struct quire_mm *mm)
{
	quire_cpu_leave(*cpu);
	quire_mm_put(cpu, mm);
}

/* A number as good as random, the same ones in each run. */
static unsigned scatter(uint64_t round, unsigned below)
{
	return (unsigned)((round * 0x9e3779b97f4a7c15ul >> 40) % below);
}

static void store_numbers(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct quire_mm *mm = enter(s, cpu);
	struct quire_fault fault;
	unsigned char byte;

	for (uint64_t round = 1; !enough(s); round++) {
		for (unsigned page = 0; page < NUMBERED; page++) {
			quire_vaddr at = SPACE_BASE + page * PAGE;
			expect(s, hosted_store(cpu, mm, at, &round, sizeof(round), &fault) == 0);
		}
		quire_vaddr at = SPACE_BASE + CUT * PAGE + scatter(round, (PAGES - CUT) * PAGE);
		int err = hosted_load(cpu, mm, at, &byte, 1, &fault);
		expect(s,
		       err ? err == -QUIRE_EFAULT && fault.signal == QUIRE_SIGBUS : byte == 0 || byte == 'x');
		atomic_store(&s->rounds[0], round);
	}
	atomic_store(&s->over, true);
	leave(cpu, mm);
}

static void load_numbers(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct quire_mm *mm = enter(s, cpu);
	struct quire_fault fault;
	uint64_t seen[NUMBERED] = { 0 }, number = 0;

	while (!atomic_load(&s->over)) {
		for (unsigned page = 0; page < NUMBERED; page++) {
			quire_vaddr at = SPACE_BASE + page * PAGE;
			expect(s, hosted_load(cpu, mm, at, &number, sizeof(number), &fault) == 0);
			expect(s, number >= seen[page]);
			seen[page] = number;
		}
		atomic_fetch_add(&s->rounds[1], 1);
	}
	leave(cpu, mm);
}

/* What is mapped here shows at once what the calls of this very CPU do. */
static bool shows_zeroes(struct quire_cpu **cpu, struct quire_mm *mm, uint64_t from, uint64_t bytes)
{
	struct quire_fault fault;
	char buffer[2 * PAGE];

	if (hosted_load(cpu, mm, SPACE_BASE + from, buffer, bytes, &fault))
		return false;
	for (uint64_t i = 0; i < bytes; i++) {
		if (buffer[i])
			return false;
	}
	return true;
}

static void cut_and_look(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct quire_mm *mm = enter(s, cpu);
	struct quire_fault fault;
	char letters[3 * PAGE];

	memset(letters, 'x', sizeof(letters));
	while (!atomic_load(&s->over)) {
		expect(s,
		       hosted_store(cpu, mm, SPACE_BASE + CUT * PAGE, letters, sizeof(letters), &fault) == 0);
		expect(s, quire_file_truncate(cpu, s->file, (CUT + 1) * PAGE) == 0);
		expect(s, hosted_load(cpu, mm, SPACE_BASE + (CUT + 1) * PAGE, letters, 1, &fault) ==
				  -QUIRE_EFAULT);
		expect(s, quire_file_truncate(cpu, s->file, PAGES * PAGE) == 0);
		expect(s, shows_zeroes(cpu, mm, (CUT + 1) * PAGE, 2 * PAGE));
		expect(s, quire_file_punch(cpu, s->file, CUT * PAGE, PAGE) == 0);
		expect(s, shows_zeroes(cpu, mm, CUT * PAGE, PAGE));
		atomic_fetch_add(&s->rounds[3], 1);
	}
	leave(cpu, mm);
}

/* BASE-4, BASE-5: nor does any order of loads, stores and file calls. */
static void base_5_racing_mappings_keep_contents(void **state)
{
	(void)state;
	race(store_numbers, load_numbers, sync_and_drop, cut_and_look);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_5_racing_calls_keep_contents),
		cmocka_unit_test(base_5_racing_mappings_keep_contents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
