/*
 * pointers.c - a program for the metal machine: hands every call that there is bad addresses, for each of its
 * arguments that is one, then random arguments.
 *
 * The first must be refused with EFAULT (or at least an error), the second may do what they like to this
 * process: what counts is that the machine goes on. Exits with 0 when nothing was let through.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed;

/* Stand for addresses that are good: a path, and memory of zeroes. */
#define PATH (-1000001L)
#define MEMORY (-1000002L)

/*
 * Which argument is the address that the call reads from or writes to; the others are good. RANGE: an address
 * that is only looked up; so it may be one of the program's own, with nothing there.
 */
enum kind { POINTER, RANGE };

static const struct {
	const char *name;
	long number;
	int address;
	long arguments[6];
	enum kind kind;
} calls[] = {
#define TRY(name, address, ...)                                      \
	{                                                            \
#name, SYS_##name, address, { __VA_ARGS__ }, POINTER \
	}
#define TRY_RANGE(name, address, ...)                              \
	{                                                          \
#name, SYS_##name, address, { __VA_ARGS__ }, RANGE \
	}
	TRY(read, 1, 3, 0, 64),
	TRY(write, 1, 3, 0, 64),
	TRY(open, 0, 0, O_RDONLY),
	TRY(stat, 0, 0, MEMORY),
	TRY(stat, 1, PATH, 0),
	TRY(fstat, 1, 3, 0),
	TRY(lstat, 0, 0, MEMORY),
	TRY(lstat, 1, PATH, 0),
	TRY(poll, 0, 0, 1, 0),
	TRY_RANGE(mmap, 0, 0, 4096, 3, 0x32, -1, 0),
	TRY_RANGE(mprotect, 0, 0, 4096, 1),
	TRY_RANGE(munmap, 0, 0, 4096),
	TRY(rt_sigaction, 1, 10, 0, 0, 8),
	TRY(rt_sigaction, 2, 10, 0, 0, 8),
	TRY(rt_sigprocmask, 1, 0, 0, 0, 8),
	TRY(rt_sigprocmask, 2, 0, 0, 0, 8),
	TRY(ioctl, 2, 1, 0x5401, 0),
	TRY(pread64, 1, 3, 0, 64, 0),
	TRY(pwrite64, 1, 3, 0, 64, 0),
	TRY(readv, 1, 3, 0, 1),
	TRY(writev, 1, 3, 0, 1),
	TRY(access, 0, 0, 0),
	TRY(pipe, 0, 0),
	TRY_RANGE(mremap, 0, 0, 4096, 4096, 0),
	TRY_RANGE(mremap, 4, MEMORY, 4096, 4096, 3, 0),
	TRY_RANGE(msync, 0, 0, 4096, 4),
	TRY(mincore, 2, 0x10000, 4096, 0),
	TRY_RANGE(mincore, 0, 0, 4096, MEMORY),
	TRY_RANGE(madvise, 0, 0, 4096, 4),
	TRY(nanosleep, 0, 0, 0),
	TRY(execve, 0, 0, 0, 0),
	TRY(execve, 1, PATH, 0, 0),
	TRY(execve, 2, PATH, 0, 0),
	TRY(uname, 0, 0),
	TRY(fcntl, 2, 3, 5, 0),
	TRY(truncate, 0, 0, 0),
	TRY(getcwd, 0, 0, 100),
	TRY(chdir, 0, 0),
	TRY(rename, 0, 0, PATH),
	TRY(rename, 1, PATH, 0),
	TRY(mkdir, 0, 0, 0755),
	TRY(rmdir, 0, 0),
	TRY(unlink, 0, 0),
	TRY(symlink, 0, 0, MEMORY),
	TRY(symlink, 1, PATH, 0),
	TRY(readlink, 0, 0, MEMORY, 10),
	TRY(readlink, 1, PATH, 0, 10),
	TRY(chmod, 0, 0, 0),
	TRY(gettimeofday, 0, 0, 0),
	TRY(getrlimit, 1, 7, 0),
	TRY(sysinfo, 0, 0),
	TRY(rt_sigsuspend, 0, 0, 8),
	TRY(sigaltstack, 0, 0, 0),
	TRY(sigaltstack, 1, 0, 0),
	TRY_RANGE(mlock, 0, 0, 4096),
	TRY_RANGE(munlock, 0, 0, 4096),
	TRY(arch_prctl, 1, 0x1003, 0),
	TRY(time, 0, 0),
	TRY(futex, 0, 0, 0, 0, 0, 0, 0),
	TRY(futex, 3, MEMORY, 0, 0, 0, 0, 0),
	TRY(sched_getaffinity, 2, 0, 8, 0),
	TRY(getdents64, 1, 4, 0, 1000),
	TRY(clock_gettime, 1, 0, 0),
	TRY(clock_getres, 1, 0, 0),
	TRY(clock_nanosleep, 2, 0, 0, 0, 0),
	TRY(openat, 1, AT_FDCWD, 0, 0),
	TRY(mkdirat, 1, AT_FDCWD, 0, 0755),
	TRY(newfstatat, 1, AT_FDCWD, 0, MEMORY, 0),
	TRY(newfstatat, 2, AT_FDCWD, PATH, 0, 0),
	TRY(unlinkat, 1, AT_FDCWD, 0, 0),
	TRY(renameat, 1, AT_FDCWD, 0, AT_FDCWD, PATH),
	TRY(renameat, 3, AT_FDCWD, PATH, AT_FDCWD, 0),
	TRY(readlinkat, 1, AT_FDCWD, 0, MEMORY, 10),
	TRY(readlinkat, 2, AT_FDCWD, PATH, 0, 10),
	TRY(faccessat, 1, AT_FDCWD, 0, 0),
	TRY(pipe2, 0, 0, 0),
	TRY(prlimit64, 2, 0, 7, 0, 0),
	TRY(prlimit64, 3, 0, 7, 0, 0),
	TRY(renameat2, 1, AT_FDCWD, 0, AT_FDCWD, PATH, 0),
	TRY(renameat2, 3, AT_FDCWD, PATH, AT_FDCWD, 0, 0),
	TRY(getrandom, 0, 0, 10, 0),
	TRY_RANGE(mlock2, 0, 0, 4096, 1),
	TRY(faccessat2, 1, AT_FDCWD, 0, 0, 0),
};

/*
 * Those that take no address, or, as in Linux, do not look at it during the call (brk, set_tid_address,
 * set_robust_list); and those that are tried apart.
 */
static const long others[] = {
	SYS_close,
	SYS_lseek,
	SYS_brk,
	SYS_sched_yield,
	SYS_dup,
	SYS_dup2,
	SYS_dup3,
	SYS_pause,
	SYS_getpid,
	SYS_fork,
	SYS_vfork,
	SYS_exit,
	SYS_kill,
	SYS_ftruncate,
	SYS_umask,
	SYS_getuid,
	SYS_getgid,
	SYS_geteuid,
	SYS_getegid,
	SYS_setpgid,
	SYS_getppid,
	SYS_getpgrp,
	SYS_setsid,
	SYS_getpgid,
	SYS_mlockall,
	SYS_munlockall,
	SYS_gettid,
	SYS_tkill,
	SYS_set_tid_address,
	SYS_exit_group,
	SYS_tgkill,
	SYS_set_robust_list,
	SYS_wait4,
	SYS_clone,
	SYS_rt_sigreturn,
};

static int is_tried(long number)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].number == number)
			return 1;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i] == number)
			return 1;
	return 0;
}

/* Every call that there is. */
static void try_all(void)
{
#define CALL(number, name)                               \
	if (!is_tried(number)) {                         \
		printf("%s is not tried here\n", #name); \
		failed = 1;                              \
	}
#include "../../machines/metal/calls.def"
#undef CALL
}

static long call(long number, const long *a)
{
	return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static char *memory; /* of zeroes; after its end there is nothing */

#define ADDRESSES 8
static unsigned long addresses[ADDRESSES] = {
	0x1000,
	0, /* the edge of what is mapped */
	0x7ffffffff000,
	0x800000000000,
	0xffff7fffffffffff,
	0xffff800000100000,
	0xffffffff80100000,
	0xfffffffffffffff8,
};
#define FIRST_NOT_OURS 2

static void try_one(size_t i, unsigned long address)
{
	long a[6];

	for (int k = 0; k < 6; k++)
		a[k] = calls[i].arguments[k] == PATH	 ? (long)"/dev/zero"
		       : calls[i].arguments[k] == MEMORY ? (long)memory
							 : calls[i].arguments[k];
	a[calls[i].address] = (long)address;
	if (call(calls[i].number, a) >= 0) {
		printf("%s took the address %lx as argument %d\n", calls[i].name, address, calls[i].address);
		failed = 1;
	}
}

static void try_addresses(void)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		for (size_t j = calls[i].kind == RANGE ? FIRST_NOT_OURS : 0; j < ADDRESSES; j++)
			try_one(i, addresses[j]);
}

/* In a list, the address in it. */
static void try_lists(unsigned long address)
{
	struct iovec list = { (void *)address, 64 };
	char *strings[] = { (char *)address, NULL }, *nothing = NULL;

	if (readv(3, &list, 1) >= 0 || writev(3, &list, 1) >= 0 || execve("/dev/zero", strings, NULL) >= 0 ||
	    execve("/dev/zero", &nothing, strings) >= 0) {
		printf("a list with the address %lx was taken\n", address);
		failed = 1;
	}
}

/* A thread's ids go nowhere; as in Linux, it is born all the same. And its status is not told. */
static void try_life(unsigned long address)
{
	enum {
		FLAGS = 0x100000 | 0x200000 | 0x1000000 | SIGCHLD
	}; /* parent's and child's tid, and clear it */
	long child = syscall(SYS_clone, FLAGS, 0, address, address, 0);

	if (child == 0)
		syscall(SYS_exit, 0);
	if (child < 0 || syscall(SYS_wait4, child, address, 0, 0) >= 0 || errno != EFAULT) {
		printf("clone() or wait4() with the address %lx\n", address);
		failed = 1;
	}
}

/* A stack that is none, when a signal's frame is looked for there: the end of that process. */
static void try_frames(unsigned long address)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" : : "r"(address) : "memory");
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGSEGV) {
		printf("rt_sigreturn() from the address %lx\n", address);
		failed = 1;
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

	if (open("/dev/zero", O_RDWR) != 3 || open("/", O_RDONLY) != 4 || munmap(edge + 4096, 4096))
		return 2;
	memory = edge;
	addresses[1] = (unsigned long)edge + 4096;
	try_all();
	try_addresses();
	try_bases();
	for (size_t i = 0; i < ADDRESSES; i++) {
		try_lists(addresses[i]);
		try_life(addresses[i]);
		try_frames(addresses[i]);
	}
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
