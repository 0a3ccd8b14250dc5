/*
 * pointers.c - a program for the metal machine: hands the kernel bad addresses, then random arguments.
 *
 * The first must be refused with EFAULT (or at least an error), the second may do what they like to this
 * process: what counts is that the machine goes on. Exits with 0 when nothing was let through.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed;

/* Which argument is the address, for calls that write to it or read from it; the others are small. */
static const struct {
	const char *name;
	long number;
	int address;
	long arguments[6];
} calls[] = {
	{ "read", SYS_read, 1, { 3, 0, 64 } },
	{ "write", SYS_write, 1, { 3, 0, 64 } },
	{ "open", SYS_open, 0, { 0, O_RDONLY } },
	{ "stat", SYS_stat, 0, { 0, 0 } },
	{ "fstat", SYS_fstat, 1, { 3, 0 } },
	{ "poll", SYS_poll, 0, { 0, 1, 0 } },
	{ "rt_sigaction", SYS_rt_sigaction, 1, { 10, 0, 0, 8 } },
	{ "rt_sigprocmask", SYS_rt_sigprocmask, 1, { 0, 0, 0, 8 } },
	{ "readv", SYS_readv, 1, { 3, 0, 1 } },
	{ "writev", SYS_writev, 1, { 3, 0, 1 } },
	{ "pipe", SYS_pipe, 0, { 0 } },
	{ "nanosleep", SYS_nanosleep, 0, { 0, 0 } },
	{ "execve", SYS_execve, 0, { 0, 0, 0 } },
	{ "uname", SYS_uname, 0, { 0 } },
	{ "getcwd", SYS_getcwd, 0, { 0, 100 } },
	{ "gettimeofday", SYS_gettimeofday, 0, { 0, 0 } },
	{ "sysinfo", SYS_sysinfo, 0, { 0 } },
	{ "arch_prctl GET_FS", SYS_arch_prctl, 1, { 0x1003, 0 } },
	{ "futex", SYS_futex, 0, { 0, 0, 0, 0, 0, 0 } },
	{ "sched_getaffinity", SYS_sched_getaffinity, 2, { 0, 8, 0 } },
	{ "clock_gettime", SYS_clock_gettime, 1, { 0, 0 } },
	{ "newfstatat", SYS_newfstatat, 1, { AT_FDCWD, 0, 0, 0 } },
	{ "readlink", SYS_readlink, 0, { 0, 0, 10 } },
	{ "getrandom", SYS_getrandom, 0, { 0, 10, 0 } },
	{ "prlimit64", SYS_prlimit64, 3, { 0, 7, 0, 0 } },
	{ "mincore", SYS_mincore, 2, { 0x10000, 4096, 0 } },
};

static long call(long number, const long *a)
{
	return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void try_addresses(char *edge)
{
	unsigned long addresses[] = {
		0x1000,
		(unsigned long)edge,
		0x7ffffffff000,
		0x800000000000,
		0xffff7fffffffffff,
		0xffff800000100000,
		0xffffffff80100000,
		0xfffffffffffffff8,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (size_t j = 0; j < sizeof(addresses) / sizeof(addresses[0]); j++) {
			long a[6];

			for (int k = 0; k < 6; k++)
				a[k] = calls[i].arguments[k];
			a[calls[i].address] = (long)addresses[j];
			long result = call(calls[i].number, a);
			if (result >= 0) {
				printf("%s took the address %lx\n", calls[i].name, addresses[j]);
				failed = 1;
			}
		}
	}
}

/* The base of the thread's own memory must not be one that the CPU refuses. */
static void try_bases(void)
{
	if (syscall(SYS_arch_prctl, 0x1002, 0x800000000000) == 0 ||
	    syscall(SYS_arch_prctl, 0x1002, ~0ul << 46) == 0) {
		printf("arch_prctl took a base that is none\n");
		failed = 1;
	}
}

static uint64_t next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static long random_argument(uint64_t *state, char *memory)
{
	uint64_t x = next(state);

	switch (x % 8) {
	case 0:
		return (long)(memory + (x >> 8) % 65536);
	case 1:
		return (long)((x >> 8) % 16);
	case 2:
		return (long)(x >> 8 & 0xfff000);
	case 3:
		return -(long)((x >> 8) % 300);
	case 4:
		return (long)(0xffff800000000000 + (x >> 8 & 0xffffff));
	case 5:
		return (long)(1ul << (x >> 8) % 64);
	case 6:
		return (long)(memory + ((x >> 8) % 16) * 4096);
	default:
		return (long)next(state);
	}
}

/* Not those that only end it, or wait for ever. */
static int is_left_out(long number)
{
	return number == SYS_exit || number == SYS_exit_group || number == SYS_pause ||
	       number == SYS_rt_sigsuspend || number == SYS_kill || number == SYS_tkill ||
	       number == SYS_tgkill || number == SYS_fork || number == SYS_vfork || number == SYS_clone ||
	       number == SYS_poll || number == SYS_nanosleep || number == SYS_clock_nanosleep ||
	       number == SYS_futex || number == SYS_wait4 || number == SYS_read || number == SYS_readv ||
	       number == SYS_rt_sigreturn || number == SYS_close;
}

static void call_at_random(uint64_t seed)
{
	char *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* What it says is of no interest; and it must not fill all memory. */
	for (int fd = 0; fd < 3; fd++)
		dup2(3, fd);
	for (int i = 0; i < 3000; i++) {
		long a[6], number = (long)(next(&seed) % 450);

		for (int k = 0; k < 6; k++)
			a[k] = random_argument(&seed, memory);
		if (!is_left_out(number))
			call(number, a);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int seeds = argc > 1 ? atoi(argv[1]) : 20;
	char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (open("/dev/zero", O_RDWR) != 3 || munmap(edge + 4096, 4096))
		return 2;
	try_addresses(edge + 4096);
	try_bases();
	for (int seed = 1; seed <= seeds; seed++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			call_at_random((uint64_t)seed);
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 2;
	}
	printf("%s\n", failed ? "something was let through" : "nothing was let through");
	return failed;
}
