/*
 * wire.h - what the driver and its agents say to each other.
 *
 * A sequence is a list of operations, each with the process that carries it out. The driver writes all of it
 * to the control file, wakes the zygote, and waits. The zygote forks process 0; whoever has carried out an
 * operation appends a record of what it saw to the log file and hands over to the process of the next
 * operation:
 *
 *	driver			zygote		process 0		process 1
 *	operations, start ->	fork ->		op 0, record
 *						op 1: fork ->		born, waits
 *						go[1] = 2 ->		op 2, record
 *						...
 *	compares the logs <----------------------------------------	last op: done
 *
 * Operations of a stretch follow each other in the list: the process carries them out at once, each in the
 * thread that it names, and then appends their records.
 *
 * The same operations run on Quire, which writes the same records (subject.h). Nothing but the control page
 * and the agent's own program is mapped in an agent, so that its address space is nearly empty and the same
 * in every run.
 *
 * The agent includes this file and no library.
 */
#ifndef FUZZ_WIRE_H
#define FUZZ_WIRE_H

#include <stdint.h>

#define WIRE_PAGE 4096ul

/* The agent's own mappings are here (agent.lds has the same numbers); its heap begins where they end. */
#define WIRE_CONTROL 0x0fff0000ul
#define WIRE_AGENT 0x10000000ul
#define WIRE_AGENT_TEXT 0x10100000ul
#define WIRE_AGENT_LIMIT 0x10200000ul

/*
 * Where operations work: 512 pages round a gigabyte boundary, so that tables of every level end in the
 * middle.
 */
#define WIRE_ARENA 0x3fff00000ul
#define WIRE_ARENA_PAGES 512ul

enum {
	WIRE_PROCESSES = 4,
	WIRE_THREADS = 4,	/* of a process, in a stretch */
	WIRE_STRETCH_OPS = 12,	/* in one stretch, at most */
	WIRE_SLOTS = 8,		/* addresses that the kernel chose, kept for later operations */
	WIRE_OPS = 1024,	/* in one sequence, the closing ones included */
	WIRE_VMAS = 192,	/* seen at most in one record */
	WIRE_PAGES = 1536,	/* looked at in one record */
	WIRE_GROUP_PAGES = 512, /* looked at in one run of adjoining mappings */
	WIRE_READ_PAGES = 1536, /* read at a sequence's end */
	WIRE_FILES = 5,
	WIRE_LOG_BYTES = 16 << 20,
};

/* Descriptors in an agent. */
enum {
	WIRE_FD_CONTROL = 3,
	WIRE_FD_LOG = 4,
	WIRE_FD_MAPS = 5,
	WIRE_FD_PAGEMAP = 6,
	WIRE_FD_FILES = 8, /* and the next WIRE_FILES */
};

enum wire_kind {
	WIRE_MMAP,
	WIRE_MUNMAP,
	WIRE_MPROTECT,
	WIRE_MREMAP,
	WIRE_MADVISE,
	WIRE_MLOCK,
	WIRE_MUNLOCK,
	WIRE_MLOCKALL,
	WIRE_MUNLOCKALL,
	WIRE_MSYNC,
	WIRE_MINCORE,
	WIRE_BRK,
	WIRE_FORK,
	WIRE_EXIT,
	WIRE_VM_READ,
	WIRE_VM_WRITE,
	WIRE_LOAD,
	WIRE_STORE,
	WIRE_FILE_READ,
	WIRE_FILE_WRITE,
	WIRE_TRUNCATE,
	WIRE_PUNCH,
	WIRE_LIMIT,
	WIRE_LOOK,     /* nothing, but its record shows what the process sees */
	WIRE_READ_ALL, /* every readable page */
	WIRE_MEM_READ, /* by way of /proc/PID/mem, which goes past the mappings' protection */
	WIRE_MEM_WRITE,
	WIRE_KINDS,
};

/* What an address is relative to. */
enum {
	WIRE_ABSOLUTE,
	WIRE_HEAP,
	WIRE_SLOT0, /* and the next WIRE_SLOTS - 1 */
};

enum {
	WIRE_LEFT_OUT = -4094, /* a result that no call has */
	WIRE_NO_SLOT = 0xff,
	WIRE_NO_FILE = 0xff,
};

struct wire_op {
	uint8_t kind;	     /* enum wire_kind */
	uint8_t process;     /* who */
	uint8_t base, base2; /* of addr and addr2 */
	uint8_t slot;	     /* that keeps the resulting address, or WIRE_NO_SLOT */
	uint8_t peer;	/* a fork's child; vm_read's, vm_write's, mem_read's and mem_write's other side */
	uint8_t file;	/* WIRE_NO_FILE: anonymous */
	uint8_t origin; /* 1: the closing part, not decoded from bytes */
	uint8_t thread; /* 0: nothing runs beside it; 1, 2, ...: of a stretch, up to the next with 0 */
	uint32_t prot, flags; /* flags: MAP_*, MREMAP_*, MADV_*, MS_*, MCL_*, or RLIMIT_* */
	uint64_t addr, length;
	uint64_t addr2, length2; /* the new address, or the file's offset; the new length */
	uint64_t value;		 /* what is stored; a limit */
};

/*
 * One record in the log: this, then vmas VMAs, then pages bytes (WIRE_PRESENT: there is an entry,
 * WIRE_RESIDENT: mincore says so), padded to 8, then reads words.
 */
struct wire_record {
	uint32_t bytes; /* of the whole record, a multiple of 8 */
	uint16_t op;
	uint16_t vmas;
	uint32_t pages;
	uint32_t reads;
	int64_t result; /* of the call: a value or a negative errno */
	uint64_t value; /* what was loaded; a sum of what was read */
	int32_t signal, code;
	uint64_t began, ended; /* by its stretch's clock, which each reading moves; 0: no stretch's */
	uint64_t aliased;      /* Quire's only: vm_read or vm_write copied between two views of one page */
};

/* Of a page. */
enum {
	WIRE_PRESENT = 1,
	WIRE_RESIDENT = 2,
};

enum {
	WIRE_READ = 1,
	WIRE_WRITE = 2,
	WIRE_EXEC = 4,
	WIRE_SHARED = 8,
	WIRE_FILE = 32,
};

struct wire_vma {
	uint64_t start, end;
	uint64_t offset; /* bytes; 0 when there is no file */
	uint64_t file;	 /* inode number; 0 when there is none */
	uint32_t flags;
	uint32_t looked; /* pages of it that the record shows, from its start */
};

/*
 * What every page of a file holds at a sequence's beginning, so that no two pages are alike: @word counts 8
 * bytes.
 */
static inline uint64_t wire_file_word(unsigned file, uint64_t word)
{
	return (0xf11e000000000000ul | (uint64_t)file << 32) + word;
}

/* A sum over a page's words. */
static inline uint64_t wire_sum(uint64_t sum, const void *words, uint64_t count)
{
	const uint64_t *word = words;

	for (uint64_t i = 0; i < count; i++)
		sum = (sum ^ word[i]) * 0x9e3779b97f4a7c15ul + (sum >> 29) + 0x7f4a7c15f39cc060ul;
	return sum;
}

/*
 * Would a call on this range reach the agent's own mappings? Then both sides leave it out and say
 * WIRE_LEFT_OUT. A range that wraps does no harm: it is refused.
 */
static inline int wire_hits_agent(uint64_t heap, uint64_t addr, uint64_t length)
{
	uint64_t end = addr + length;

	return end >= addr && addr < heap && end > WIRE_CONTROL;
}

/* A result that is an address, or no error. */
static inline int wire_gives_address(int64_t result)
{
	return result >= 0 || result < -4095;
}

/* Not an address that a page table could translate: the processor raises another exception for it. */
static inline int wire_is_canonical(uint64_t addr)
{
	return addr < 1ul << 47;
}

/* What file writes write. */
static inline uint8_t wire_pattern(uint64_t value, uint64_t at)
{
	return (uint8_t)(value * 31 + at * 7 + (at >> 8));
}

/* The control file: one page that agents map, then the operations, which they read. */
struct wire_control {
	uint32_t start;			   /* futex: the driver adds one for each sequence */
	uint32_t done;			   /* futex: the last operation's process sets it to start */
	uint32_t count;			   /* operations */
	uint32_t looking;		   /* 0: records show results only */
	uint64_t log_at;		   /* where the next record goes */
	uint32_t go[WIRE_PROCESSES];	   /* futex: the operation at which the process goes on */
	int32_t pid[WIRE_PROCESSES];	   /* 0: not born, or gone as it should */
	uint32_t processors[WIRE_THREADS]; /* where each thread runs; the driver fills it in */
	/* what the zygote found out */
	uint32_t ready; /* futex */
	int32_t error;	/* negative errno: what is missing */
	uint32_t where; /* line of the agent at which it went wrong */
	uint32_t vmas;
	uint32_t forced; /* mem_write may write what is not writable: a kernel can be told that it must not */
	uint32_t patience; /* seconds that an agent waits for its turn; the driver fills it in */
	uint64_t heap, mmap_top, mmap_lowest, task_end;
	uint64_t data_bytes; /* initialised data as exec counts it; the driver fills it in */
	struct wire_vma own[16];
};

#define WIRE_OPS_AT WIRE_PAGE /* offset of the operations in the control file */

#endif
