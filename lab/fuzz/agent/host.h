/*
 * host.h - the host kernel's calls, for a program without a library.
 */
#ifndef AGENT_HOST_H
#define AGENT_HOST_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t word;

enum {
	SYS_mmap = 9,
	SYS_mprotect = 10,
	SYS_munmap = 11,
	SYS_brk = 12,
	SYS_rt_sigaction = 13,
	SYS_ioctl = 16,
	SYS_pread = 17,
	SYS_pwrite = 18,
	SYS_mremap = 25,
	SYS_msync = 26,
	SYS_mincore = 27,
	SYS_madvise = 28,
	SYS_getpid = 39,
	SYS_sched_yield = 24,
	SYS_fork = 57,
	SYS_ftruncate = 77,
	SYS_open = 2,
	SYS_close = 3,
	SYS_dup2 = 33,
	SYS_capset = 126,
	SYS_sigaltstack = 131,
	SYS_mlock = 149,
	SYS_munlock = 150,
	SYS_mlockall = 151,
	SYS_munlockall = 152,
	SYS_prctl = 157,
	SYS_setrlimit = 160,
	SYS_futex = 202,
	SYS_sched_setaffinity = 203,
	SYS_exit_group = 231,
	SYS_fallocate = 285,
	SYS_prlimit = 302,
	SYS_process_vm_readv = 310,
	SYS_process_vm_writev = 311,
	SYS_mlock2 = 325,
};

enum {
	HOST_EINTR = 4,
	HOST_ETIMEDOUT = 110,
	HOST_ENOMEM = 12,
	HOST_ENOENT = 2,
	HOST_PR_SET_PDEATHSIG = 1,
	HOST_PR_SET_PTRACER = 0x59616d61,
	HOST_PR_SET_CHILD_SUBREAPER = 36,
	HOST_FUTEX_WAIT = 0,
	HOST_FUTEX_WAKE = 1,
	HOST_SIGKILL = 9,
	HOST_SIGBUS = 7,
	HOST_SIGSEGV = 11,
	HOST_SIGCHLD = 17,
	HOST_SA_SIGINFO = 4,
	HOST_SA_RESTORER = 0x04000000,
	HOST_SA_ONSTACK = 0x08000000,
	HOST_SA_NODEFER = 0x40000000,
	HOST_CLONE_THREAD = 0x50f00, /* VM, FS, FILES, SIGHAND, THREAD, SYSVSEM */
};

static inline word call6(word number, word a, word b, word c, word d, word e, word f)
{
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	word result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define CALL(number, ...) CALL_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...) \
	call6(number, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))

#endif
