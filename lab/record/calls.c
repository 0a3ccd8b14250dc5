/*
 * calls.c - the table behind calls.h. One line a call.
 */
#include "calls.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#ifndef __NR_mseal
#define __NR_mseal 462
#endif
#ifndef __NR_process_madvise
#define __NR_process_madvise 440
#endif

static const struct {
	int nr;
	enum trace_call call; /* 0: only gathered */
	int fd;		      /* argument; -1 none */
} table[] = {
	{ __NR_mmap, TRACE_MMAP, 4 },
	{ __NR_munmap, TRACE_MUNMAP, -1 },
	{ __NR_mprotect, TRACE_MPROTECT, -1 },
	{ __NR_mremap, TRACE_MREMAP, -1 },
	{ __NR_madvise, TRACE_MADVISE, -1 },
	{ __NR_brk, TRACE_BRK, -1 },
	{ __NR_mlock, TRACE_MLOCK, -1 },
	{ __NR_mlock2, TRACE_MLOCK2, -1 },
	{ __NR_munlock, TRACE_MUNLOCK, -1 },
	{ __NR_mlockall, TRACE_MLOCKALL, -1 },
	{ __NR_munlockall, TRACE_MUNLOCKALL, -1 },
	{ __NR_msync, TRACE_MSYNC, -1 },
	{ __NR_mincore, TRACE_MINCORE, -1 },
	{ __NR_process_vm_readv, TRACE_PROCESS_VM_READV, -1 },
	{ __NR_process_vm_writev, TRACE_PROCESS_VM_WRITEV, -1 },
	{ __NR_ftruncate, TRACE_FTRUNCATE, 0 },
	{ __NR_fallocate, TRACE_FALLOCATE, 0 },
	{ __NR_pkey_mprotect, TRACE_PKEY_MPROTECT, -1 },
	{ __NR_shmat, TRACE_SHMAT, -1 },
	{ __NR_shmdt, TRACE_SHMDT, -1 },
	{ __NR_remap_file_pages, TRACE_REMAP_FILE_PAGES, -1 },
	{ __NR_mseal, TRACE_MSEAL, -1 },
	{ __NR_process_madvise, TRACE_PROCESS_MADVISE, -1 },
	{ __NR_clone, 0, -1 },
	{ __NR_clone3, 0, -1 },
	{ __NR_fork, 0, -1 },
	{ __NR_vfork, 0, -1 },
	{ __NR_execve, 0, -1 },
	{ __NR_execveat, 0, -1 },
	/* These tell a file's size. */
	{ __NR_pwrite64, 0, 0 },
	{ __NR_pwritev, 0, 0 },
	{ __NR_pwritev2, 0, 0 },
	/* A descriptor means another file from here on. */
	{ __NR_close, 0, -1 },
	{ __NR_dup, 0, -1 },
	{ __NR_dup2, 0, -1 },
	{ __NR_dup3, 0, -1 },
	{ __NR_fcntl, 0, -1 }, /* F_DUPFD */
	{ __NR_close_range, 0, -1 },
};

enum { TABLE_SIZE = sizeof(table) / sizeof(table[0]) };

static int find(int nr)
{
	for (int i = 0; i < TABLE_SIZE; i++)
		if (table[i].nr == nr)
			return i;
	return -1;
}

bool calls_wanted(int nr)
{
	return find(nr) >= 0;
}

const int *calls_list(size_t *count)
{
	static int list[TABLE_SIZE];

	for (int i = 0; i < TABLE_SIZE; i++)
		list[i] = table[i].nr;
	*count = TABLE_SIZE;
	return list;
}

enum trace_call calls_trace(int nr)
{
	int i = find(nr);
	return i < 0 ? (enum trace_call)0 : table[i].call;
}

int calls_fd_argument(int nr, const uint64_t *args)
{
	int i = find(nr);
	if (i < 0 || (nr == __NR_mmap && args[3] & MAP_ANONYMOUS))
		return -1;
	return table[i].fd;
}
