/*
 * mm.h - address spaces: the memory system calls, faults, and access from outside.
 *
 * Every function here may sleep and takes `struct quire_cpu **` (port.h), unless its comment says otherwise.
 * The caller holds a reference on the mm and no lock of Quire's. Results are 0, a value, or a negative errno,
 * and they are Linux's (docs/linux-compatibility.md lists the differences).
 */
#ifndef QUIRE_MM_H
#define QUIRE_MM_H

#include <quire/abi.h>
#include <quire/file.h>
#include <quire/types.h>

#define QUIRE_UNLIMITED (~0ul)

struct quire_limits { /* bytes; RLIMIT_* */
	uint64_t address_space, data, stack, memlock;
	bool may_lock_any;  /* CAP_IPC_LOCK: memlock does not apply */
	uint64_t data_hard; /* judges mappings where data, the soft limit, is 0; brk not */
};

/* Where things go in an address space. */
struct quire_layout {
	quire_vaddr mmap_base;	 /* top of the area searched downwards for mmap */
	quire_vaddr mmap_bottom; /* lowest address of a bottom-up search, the fallback */
	quire_vaddr brk_start;
	quire_vaddr data_start, data_end; /* the program's data, which RLIMIT_DATA counts with the heap */
	quire_vaddr end;		  /* addresses from here on do not exist; 0: QUIRE_USER_END */
};

/* ---- life ---------------------------------------------------------------------------------------------- */

int quire_mm_create(struct quire_cpu **cpu, struct quire_mm **out);
struct quire_mm *quire_mm_get(struct quire_mm *mm);

/*
 * Drops a reference; the last one unmaps everything (exit). No CPU runs the mm then; idle ones are evicted.
 */
void quire_mm_put(struct quire_cpu **cpu, struct quire_mm *mm);

/* fork(): a copy of @mm, copy-on-write. -ENOMEM leaves @mm as it was. */
int quire_fork(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm **out);

/* exec(): unmap everything and lay out anew. Nobody else uses the mm. -ENOMEM leaves it as it was. */
int quire_exec(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout);

/* Setting the layout sets the break to its start, too. */
void quire_mm_set_layout(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout);
void quire_mm_get_layout(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_layout *layout);
void quire_mm_set_limits(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_limits *limits);
void quire_mm_get_limits(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_limits *limits);

/* ---- the calls ----------------------------------------------------------------------------------------- */

struct quire_mmap {
	quire_vaddr addr, length;
	uint32_t prot, flags;	 /* QUIRE_PROT_*, QUIRE_MAP_* */
	struct quire_file *file; /* ignored with MAP_ANONYMOUS */
	uint32_t access;	 /* QUIRE_FILE_*: how it was opened */
	uint64_t opened;	 /* which opening of it: mappings of one opening merge */
	uint64_t offset;	 /* bytes */
};

int64_t quire_mmap(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_mmap *map); /* address */
int quire_munmap(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length);
int quire_mprotect(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		   uint32_t prot);
int64_t quire_mremap(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr old_length,
		     quire_vaddr new_length, uint32_t flags, quire_vaddr new_addr); /* address */
int quire_madvise(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		  int advice);
int quire_mlock(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		uint32_t flags);
int quire_munlock(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length);
int quire_mlockall(struct quire_cpu **cpu, struct quire_mm *mm, uint32_t flags);
int quire_munlockall(struct quire_cpu **cpu, struct quire_mm *mm);
int quire_msync(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		uint32_t flags);

/* @vec, in kernel memory, gets a byte a page: 1 when resident. */
int quire_mincore(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		  uint8_t *vec);
/* the break, moved or not */
quire_vaddr quire_brk(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr brk);

struct quire_iovec {
	quire_vaddr base;
	uint64_t length;
};

/*
 * process_vm_readv/writev: copy between @mm, the caller's, and @other. Bytes moved, short when something was
 * not mapped, -EFAULT when nothing was moved.
 */
int64_t quire_process_vm(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_iovec *local,
			 unsigned locals, struct quire_mm *other, const struct quire_iovec *remote,
			 unsigned remotes, bool write);

/* ---- faults and access --------------------------------------------------------------------------------- */

enum {
	QUIRE_ACCESS_READ = 0,
	QUIRE_ACCESS_WRITE = 1,
	QUIRE_ACCESS_EXEC = 2,
	QUIRE_ACCESS_ABSENT = 4, /* besides, for quire_fault(): the CPU found nothing there at all */
};

struct quire_fault {
	int signal; /* 0: handled, run the instruction again; QUIRE_SIGSEGV, QUIRE_SIGBUS */
	int code;   /* si_code */
};

/*
 * A CPU that runs @mm met no translation, or not one that allows @access (QUIRE_ACCESS_*). That there was
 * none at all need not be said, nor be so any more: it saves a look. Returns 0 when the instruction is to be
 * run again, -EFAULT with *out filled for a signal, -ENOMEM when memory is out.
 */
int quire_fault(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, unsigned access,
		struct quire_fault *out);

/*
 * Copy from and to user addresses of any mm, as the kernel does for its callers: faults pages in, never under
 * a folio lock. Return the bytes copied, short at the first that cannot be reached (0: EFAULT at once).
 */
size_t quire_copy_from(struct quire_cpu **cpu, struct quire_mm *mm, void *to, quire_vaddr from, size_t bytes);
size_t quire_copy_to(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from,
		     size_t bytes);

/* ptrace-like access: reads what is mapped unreadable, writes private copies of what is mapped read-only. */
size_t quire_peek(struct quire_cpu **cpu, struct quire_mm *mm, void *to, quire_vaddr from, size_t bytes);
size_t quire_poke(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from,
		  size_t bytes);

/*
 * ---- looking ---------------------------------------------------------------------------------------------
 */

struct quire_map_info { /* a line of /proc/PID/maps */
	quire_vaddr start, end;
	uint32_t prot; /* QUIRE_PROT_* */
	bool shared, growsdown, locked;
	bool heap;		 /* overlaps the brk area */
	uint64_t offset;	 /* bytes, 0 when anonymous */
	struct quire_file *file; /* not referenced: valid while nothing is unmapped */
	uint32_t flags;		 /* VMA_* as the core has them, for debugging */
};

/* The first mapping that ends above @addr. -ENOENT when there is none. */
int quire_map_next(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, struct quire_map_info *out);

/*
 * pagemap: for each page of [addr, addr + length) a byte, 1 when an entry is present (also under PROT_NONE).
 */
int quire_present(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length,
		  uint8_t *vec);

struct quire_mm_stats { /* pages */
	uint64_t rss_anon, rss_file, rss_shmem;
	uint64_t tables;			    /* page-table pages, the root too */
	uint64_t mapped, locked, data, stack, exec; /* VmSize, VmLck, ... */
	uint64_t maps;				    /* VMAs */
};

void quire_mm_stats(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm_stats *out);

/*
 * Check the invariants of @mm: tree, entries, counts. Faults, madvise and what others do to its files may go
 * on meanwhile. SLEEPS. 0, or -EIO and *what says which.
 */
int quire_mm_check(struct quire_cpu **cpu, struct quire_mm *mm, const char **what);

#endif
