/*
 * ops.c - what operations on memory cost, in instructions: one static program for any kernel with Linux's
 * calls on x86-64, run in QEMU by bench/metal/run.
 *
 * QEMU with -icount counts instructions and makes its clock of them, so RDTSC is a count of instructions, in
 * the kernel and here alike: with shift=2 an instruction is 4 ns, and the TSC goes at 1 GHz. We do not trust
 * that: a loop of a known number of instructions comes first, and all that follows is in units of its
 * instructions. A string instruction counts once for each of its repetitions.
 *
 * An operation is done ROUNDS times, on a new mapping each time, and the median is printed: a round into
 * which the timer's interrupt fell costs a little more. For ranges the figure is per page, of 1 MiB and of
 * 64 MiB: the first is what programs ask for and fits kernels' caches of free pages, in the other what a call
 * costs of itself vanishes. Huge pages are off: all is about pages of 4 KiB.
 *
 *	figure NAME TENTHS-OF-AN-INSTRUCTION
 *
 * With names of groups as arguments only those are measured, which is for profiles. The calls are made with
 * no library between, so that both kernels are asked exactly the same.
 */
#define _GNU_SOURCE
#include <linux/mman.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define SMALL (256 * PAGE)
#define LARGE (16384 * PAGE)
#define ROUNDS 9
#define TIMES 1000ul /* a round of what is about one page */
#define RW (PROT_READ | PROT_WRITE)

/* Neither place is a multiple of 2 MiB, nor are they equally far from one: entries move, not tables. */
#define PLACE 0x200000040000ul
#define OTHER_PLACE 0x210000010000ul

static uint64_t ticks_of_1024; /* instructions */

/* ---- the machine ----------------------------------------------------------------------------------- */

static inline uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline long call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
			unsigned long e)
{
	register unsigned long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static void fail(const char *what, long result)
{
	printf("failed %s: %ld\n", what, result);
	fflush(stdout);
	call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, 0, 0);
	_exit(1);
}

static long must(const char *what, long result)
{
	if (result < 0 && result > -4096)
		fail(what, result);
	return result;
}

/* ---- figures --------------------------------------------------------------------------------------- */

struct samples {
	uint64_t ticks[ROUNDS];
	unsigned count;
};

static void add(struct samples *samples, uint64_t ticks)
{
	samples->ticks[samples->count++] = ticks;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, struct samples *samples, uint64_t each)
{
	qsort(samples->ticks, samples->count, sizeof(samples->ticks[0]), by_size);
	uint64_t ticks = samples->ticks[samples->count / 2];

	printf("figure %s %lu\n", name, (ticks * 10240 + each * ticks_of_1024 / 2) / (each * ticks_of_1024));
}

/* ---- one page's worth in user mode ------------------------------------------------------------------ */

/* Two instructions a turn; the least of many, for an interrupt can only add. */
static void calibrate(void)
{
	uint64_t least = ~0ull;

	for (unsigned i = 0; i < 20; i++) {
		uint64_t turns = 51200, start = now();

		__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
		uint64_t ticks = now() - start;
		if (ticks < least)
			least = ticks;
	}
	ticks_of_1024 = (least + 50) / 100;
	printf("figure ticks_per_instruction %lu\n", (ticks_of_1024 * 10 + 512) / 1024);
}

static char pages[2][PAGE] __attribute__((aligned(4096)));

static void measure_strings(void)
{
	struct samples clear = { .count = 0 }, copy = { .count = 0 };

	memset(pages, 1, sizeof(pages));
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t start = now();
		for (unsigned i = 0; i < TIMES; i++) {
			void *to = pages[0];
			uint64_t words = PAGE / 8;
			__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0) : "memory");
		}
		add(&clear, now() - start);
		start = now();
		for (unsigned i = 0; i < TIMES; i++) {
			void *to = pages[0], *from = pages[1];
			uint64_t words = PAGE / 8;
			__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
		}
		add(&copy, now() - start);
	}
	print("clear", &clear, TIMES);
	print("copy", &copy, TIMES);
}

static void measure_call(void)
{
	struct samples null = { .count = 0 }, none = { .count = 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t start = now();
		for (unsigned i = 0; i < TIMES; i++)
			call(SYS_getppid, 0, 0, 0, 0, 0);
		add(&null, now() - start);
		start = now();
		for (unsigned i = 0; i < TIMES; i++)
			call(500, 0, 0, 0, 0, 0);
		add(&none, now() - start);
	}
	print("call", &null, TIMES);
	print("no_such_call", &none, TIMES);
}

/* ---- ranges ---------------------------------------------------------------------------------------- */

static char *map(unsigned long at, unsigned long bytes, int prot)
{
	return (char *)must("mmap", call(SYS_mmap, at, bytes, (unsigned long)prot,
					 MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), ~0ul));
}

static void unmap(char *at, unsigned long bytes)
{
	must("munmap", call(SYS_munmap, (unsigned long)at, bytes, 0, 0, 0));
}

static void protect(char *at, unsigned long bytes, int prot)
{
	must("mprotect", call(SYS_mprotect, (unsigned long)at, bytes, (unsigned long)prot, 0, 0));
}

/* A store to each page: four instructions. */
static void touch(char *at, unsigned long bytes)
{
	char *end = at + bytes;

	__asm__ volatile("1: movb $1, (%0); add %2, %0; cmp %1, %0; jne 1b"
			 : "+r"(at)
			 : "r"(end), "r"(PAGE)
			 : "memory");
}

static void print_range(const char *name, unsigned long bytes, struct samples *samples)
{
	char with_size[64];

	snprintf(with_size, sizeof(with_size), "%s_%lu", name, bytes / PAGE);
	print(with_size, samples, bytes / PAGE);
}

static void measure_range(unsigned long bytes)
{
	struct samples faults = { .count = 0 }, protects = { .count = 0 }, moves = { .count = 0 };
	struct samples unmaps = { .count = 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		char *at = map(PLACE, bytes, RW);

		uint64_t start = now();
		touch(at, bytes);
		add(&faults, now() - start);
		start = now();
		protect(at, bytes, PROT_READ);
		protect(at, bytes, RW);
		add(&protects, now() - start);
		touch(at, bytes);
		start = now();
		must("mremap", call(SYS_mremap, (unsigned long)at, bytes, bytes,
				    MREMAP_MAYMOVE | MREMAP_FIXED, OTHER_PLACE));
		add(&moves, now() - start);
		start = now();
		unmap((char *)OTHER_PLACE, bytes);
		add(&unmaps, now() - start);
	}
	print_range("fault", bytes, &faults);
	print_range("protect", bytes, &protects);
	print_range("move", bytes, &moves);
	print_range("unmap", bytes, &unmaps);
}

static void measure_ranges(void)
{
	measure_range(SMALL);
	measure_range(LARGE);
}

/* ---- two processes --------------------------------------------------------------------------------- */

static int up[2], down[2];

/* The child sleeps until it is told to end, so that whoever runs first after fork() makes no difference. */
static long fork_child(void)
{
	char byte = 0;
	long child = must("fork", call(SYS_fork, 0, 0, 0, 0, 0));

	if (!child) {
		call(SYS_write, (unsigned long)up[1], (unsigned long)&byte, 1, 0, 0);
		call(SYS_read, (unsigned long)down[0], (unsigned long)&byte, 1, 0, 0);
		for (;;)
			call(SYS_exit_group, 0, 0, 0, 0, 0);
	}
	return child;
}

static void see_child_sleep(void)
{
	char byte;

	must("read", call(SYS_read, (unsigned long)up[0], (unsigned long)&byte, 1, 0, 0));
}

static void end_child(long child)
{
	char byte = 0;

	must("write", call(SYS_write, (unsigned long)down[1], (unsigned long)&byte, 1, 0, 0));
	must("wait", call(SYS_wait4, (unsigned long)child, 0, 0, 0, 0));
}

static void make_pipes(void)
{
	if (!up[1] && (pipe(up) < 0 || pipe(down) < 0))
		fail("pipe", 0);
}

/* Fork, exit and wait, and stores when the child is gone. */
static void measure_fork(void)
{
	struct samples forks = { .count = 0 }, exits = { .count = 0 }, reuses = { .count = 0 };

	make_pipes();
	for (unsigned round = 0; round < ROUNDS; round++) {
		char *at = map(PLACE, LARGE, RW);

		touch(at, LARGE);
		uint64_t start = now();
		long child = fork_child();
		add(&forks, now() - start);
		see_child_sleep();
		start = now();
		end_child(child);
		add(&exits, now() - start);
		start = now();
		touch(at, LARGE);
		add(&reuses, now() - start);
		unmap(at, LARGE);
	}
	print_range("fork", LARGE, &forks);
	print_range("exit", LARGE, &exits);
	print_range("reuse", LARGE, &reuses);
}

/* Stores while a child has the pages too. */
static void measure_copy(void)
{
	struct samples copies = { .count = 0 };

	make_pipes();
	for (unsigned round = 0; round < ROUNDS; round++) {
		char *at = map(PLACE, LARGE, RW);

		touch(at, LARGE);
		long child = fork_child();
		see_child_sleep();
		uint64_t start = now();
		touch(at, LARGE);
		add(&copies, now() - start);
		end_child(child);
		unmap(at, LARGE);
	}
	print_range("cow", LARGE, &copies);
}

/* ---- one page -------------------------------------------------------------------------------------- */

static void measure_one(const char *name, unsigned touches)
{
	struct samples samples = { .count = 0 };

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t start = now();
		for (unsigned i = 0; i < TIMES; i++) {
			char *at = map(0, PAGE, RW);

			for (unsigned t = 0; t < touches; t++)
				*(volatile char *)at = 1;
			unmap(at, PAGE);
		}
		add(&samples, now() - start);
	}
	print(name, &samples, TIMES);
}

static void measure_map_touch_unmap(void)
{
	measure_one("map_touch_unmap", 1);
}

static void measure_map_unmap(void)
{
	measure_one("map_unmap", 0);
}

static const struct {
	const char *name;
	void (*measure)(void);
} groups[] = {
	{ "strings", measure_strings },	    { "call", measure_call },
	{ "range", measure_ranges },	    { "fork", measure_fork },
	{ "copy", measure_copy },	    { "map_touch_unmap", measure_map_touch_unmap },
	{ "map_unmap", measure_map_unmap },
};

static int is_wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc < 2;
}

/* A kernel that is told to restart ends QEMU; on Quire's the program's end does. */
int main(int argc, char **argv)
{
	call(SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0);
	calibrate();
	for (unsigned i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (is_wanted(groups[i].name, argc, argv))
			groups[i].measure();
	printf("done\n");
	fflush(stdout);
	if (getpid() == 1)
		call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, 0, 0);
	return 0;
}
