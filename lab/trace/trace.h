/*
 * trace.h - the recorded memory life of a program: what is in a trace, how to read one, how to write one.
 *
 * A trace is a stream of events in one clock order, preceded by a header and interleaved with definitions
 * (files) that the reader keeps in tables. docs/trace-format.md describes the bytes.
 *
 *   header | EXEC LAYOUT LAYOUT ... CALL FAULT CALL CLONE FAULT ... EXIT | end
 *
 * Threads, address spaces and files have dense numbers, given in the order of their first appearance:
 *   thread   introduced by the first EXEC (thread 0) or by CLONE (child); gone after its EXIT
 *   mm       introduced by EXEC (a new one, always) or by CLONE without CLONE_VM (a copy); it dies with
 *            its last thread: `last` in the EXIT or EXEC that leaves it says so
 *   file     an identity (device, inode), known to the reader before the first event that names it
 *
 * Order.   `time` never decreases. With TRACE_HAS_LOCKS, a call that changes the mm stands where it had the
 *          mm for itself, and a fork where it copied the mm. Otherwise `time` is the entry of calls that take
 *          something away (munmap, the shrinking brk, ...) and the exit of those that give (mmap, the growing
 *          brk, ...), because that is the end at which another thread may know of it; a mremap that moves
 *          does both, and stands between the two where other threads' calls show that it must have happened.
 *          `entry` and `exit` are both there for whoever wants to order otherwise. Two events of different
 *          threads whose [entry, exit] overlap ran concurrently.
 *
 * Errors.  A reader never crashes and never returns an event that is malformed: every number that indexes is
 *          in range, threads named are alive, lengths are bounded, layouts are page aligned, ascending and
 *          disjoint. Arguments of calls are whatever the program passed. What is wrong is one line.
 */
#ifndef LAB_TRACE_TRACE_H
#define LAB_TRACE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	TRACE_VERSION = 1,
	TRACE_STRING_MAX = 4096, /* bytes of a path or of a command line, without the NUL */
	TRACE_BUILD_ID_MAX = 20,
	TRACE_ARGS = 6,
};

#define TRACE_NONE UINT32_MAX /* no file, no mm, no thread */
#define TRACE_SIZE_UNKNOWN \
	UINT64_MAX /* a file's size that could not be seen; a limit that is not set (infinity) */

/* How it was recorded; the header's `features`. */
enum trace_feature {
	TRACE_HAS_ACCESS = 1 << 0,     /* faults say read, write or execute */
	TRACE_HAS_FAULTS = 1 << 1,     /* there are faults at all */
	TRACE_HAS_KERNEL = 1 << 2,     /* faults taken in kernel mode (copies from and to user) too */
	TRACE_HAS_SIGNALS = 1 << 3,    /* SIGSEGV and SIGBUS are recorded */
	TRACE_HAS_USAGE = 1 << 4,      /* EXIT carries what the kernel counted */
	TRACE_BY_TRACEPOINTS = 1 << 5, /* calls come from the kernel's tracepoints */
	TRACE_BY_PTRACE = 1 << 6,      /* calls come from stopping the program at each */
	TRACE_HAS_LOCKS = 1 << 7,      /* calls stand where they had the mm's lock */
	TRACE_FEATURES = (1 << 8) - 1, /* all known ones */
};

enum trace_thp { TRACE_THP_UNKNOWN, TRACE_THP_NEVER, TRACE_THP_MADVISE, TRACE_THP_ALWAYS };

struct trace_header {
	uint32_t version;
	uint32_t features;	     /* enum trace_feature */
	uint32_t page_size;	     /* bytes */
	uint32_t cpus;		     /* online when it was recorded */
	uint32_t thp;		     /* enum trace_thp: /sys/kernel/mm/transparent_hugepage/enabled */
	uint32_t overcommit;	     /* /proc/sys/vm/overcommit_memory */
	uint64_t fault_around_bytes; /* 0: not known */
	uint64_t max_map_count;	     /* 0: not known */
	uint64_t lost;		     /* events that the kernel dropped: 0 in a complete recording */
	char kernel[128];	     /* `uname -r` */
	char machine[32];	     /* `uname -m` */
	char command[TRACE_STRING_MAX + 1];
};

enum trace_file_kind {
	TRACE_FILE_REGULAR,
	TRACE_FILE_MEMFD,   /* memfd_create, and shared anonymous memory passed as a file */
	TRACE_FILE_SYSV,    /* shmget */
	TRACE_FILE_DEVICE,  /* a device node: mapping it may mean anything */
	TRACE_FILE_HUGETLB, /* hugetlbfs */
	TRACE_FILE_OTHER,   /* anonymous inodes and the like */
	TRACE_FILE_KINDS,
};

struct trace_file {
	uint64_t device; /* major << 32 | minor */
	uint64_t inode;
	uint64_t size; /* bytes at its first mapping, or TRACE_SIZE_UNKNOWN */
	enum trace_file_kind kind;
	uint8_t build_id[TRACE_BUILD_ID_MAX];
	uint8_t build_id_size; /* 0: not an ELF file with one */
	const char *path;      /* as the kernel named it; owned by the reader */
};

enum trace_kind {
	TRACE_EXEC = 1,	  /* a new mm; its mappings are the LAYOUT events that follow at once */
	TRACE_LAYOUT = 2, /* one mapping that the kernel made at exec */
	TRACE_CLONE = 3,  /* fork, vfork, clone, clone3 that succeeded */
	TRACE_EXIT = 4,	  /* one thread is gone */
	TRACE_CALL = 5,	  /* a system call, finished (also with an error) */
	TRACE_FAULT = 6,  /* a page fault at a user address, good or bad */
	TRACE_SIGNAL = 7, /* SIGSEGV or SIGBUS delivered to the thread: its last fault before this was bad */
	TRACE_FILE_SIZE = 8, /* the file was seen to have a new size, other than by a recorded call */
	TRACE_LOST = 9,	     /* events are missing here */
	TRACE_KIND_END,
};

/* Numbers are part of the format. The arguments are those of the system call, in its order. */
enum trace_call {
	TRACE_MMAP = 1,
	TRACE_MUNMAP = 2,
	TRACE_MPROTECT = 3,
	TRACE_MREMAP = 4,
	TRACE_MADVISE = 5,
	TRACE_BRK = 6, /* result: the new break, as the system call gives it */
	TRACE_MLOCK = 7,
	TRACE_MLOCK2 = 8,
	TRACE_MUNLOCK = 9,
	TRACE_MLOCKALL = 10,
	TRACE_MUNLOCKALL = 11,
	TRACE_MSYNC = 12,
	TRACE_MINCORE = 13,
	TRACE_PROCESS_VM_READV = 14,  /* `peer`: the thread it names */
	TRACE_PROCESS_VM_WRITEV = 15, /* likewise */
	TRACE_FTRUNCATE = 16,	      /* `file`; only from the first mapping of the file on */
	TRACE_FALLOCATE = 17,	      /* likewise */
	TRACE_PKEY_MPROTECT = 18,
	TRACE_SHMAT = 19, /* `file` is the segment; result: the address */
	TRACE_SHMDT = 20,
	TRACE_REMAP_FILE_PAGES = 21,
	TRACE_MSEAL = 22,
	TRACE_PROCESS_MADVISE = 23,
	TRACE_CALL_END,
};

/* What a mapping made at exec is. */
enum trace_region {
	TRACE_REGION_FILE,    /* a segment of the program or its interpreter; what is zero-filled is ANON */
	TRACE_REGION_ANON,    /* anonymous, nothing special */
	TRACE_REGION_HEAP,    /* anonymous, and the kernel calls it [heap] */
	TRACE_REGION_STACK,   /* grows down */
	TRACE_REGION_VDSO,    /* special mapping with pages of the kernel: vdso */
	TRACE_REGION_VVAR,    /* likewise: vvar, vvar_vclock, timens */
	TRACE_REGION_SPECIAL, /* likewise: any other, vsyscall excepted, which is never listed */
	TRACE_REGIONS,
};

enum trace_access {
	TRACE_ACCESS_UNKNOWN,
	TRACE_ACCESS_READ,
	TRACE_ACCESS_WRITE,
	TRACE_ACCESS_EXEC,
	TRACE_ACCESSES,
};

enum trace_limit { TRACE_LIMIT_AS, TRACE_LIMIT_DATA, TRACE_LIMIT_STACK, TRACE_LIMIT_MEMLOCK, TRACE_LIMITS };

struct trace_event {
	enum trace_kind kind;
	uint32_t thread; /* TRACE_NONE for FILE_SIZE and LOST */
	uint32_t mm; /* the thread's as the event begins; the new one for EXEC and LAYOUT; else TRACE_NONE */
	uint64_t time;	      /* nanoseconds since the recording began; never decreases */
	uint64_t entry, exit; /* of CALL and CLONE; both equal `time` elsewhere */
	uint64_t index;	      /* 0, 1, 2, ... of all events: for messages */
	union {
		struct {
			uint32_t old_mm;	       /* TRACE_NONE for the first EXEC */
			bool last;		       /* the old mm dies here */
			uint32_t mappings;	       /* LAYOUT events that follow */
			uint64_t brk;		       /* where the heap starts (start_brk), not aligned */
			uint64_t limits[TRACE_LIMITS]; /* soft limits in bytes, TRACE_SIZE_UNKNOWN for none */
			uint32_t pid;		       /* as it was in the recording: for messages */
		} exec;
		struct {
			uint64_t start, end;
			uint64_t offset; /* bytes, of files */
			uint32_t prot;	 /* PROT_READ | PROT_WRITE | PROT_EXEC */
			uint32_t flags;	 /* MAP_SHARED or MAP_PRIVATE, MAP_GROWSDOWN */
			uint32_t file;	 /* TRACE_NONE for other than REGION_FILE */
			enum trace_region region;
		} layout;
		struct {
			uint32_t child;	   /* thread */
			uint32_t child_mm; /* the same as `mm` with CLONE_VM, new without */
			uint64_t flags;	   /* CLONE_*: CLONE_VM, CLONE_VFORK, CLONE_THREAD are what matters */
			uint32_t tid;	   /* of the child, as it was in the recording */
		} clone;
		struct {
			bool last; /* no thread uses the mm any more: it dies here */
			/*
			 * What the recording kernel counted, 0 where it could not be read (TRACE_HAS_USAGE),
			 * as the thread began to exit. minor and major are the thread's own.
			 */
			uint64_t minor, major;	 /* page faults */
			uint64_t peak_rss_pages; /* VmHWM of the mm */
			uint64_t table_bytes;	 /* VmPTE of the mm */
		} exited;
		struct {
			enum trace_call nr;
			uint64_t args[TRACE_ARGS];
			int64_t result; /* an address, a number, or a negative errno */
			uint32_t file; /* of mmap of a file, ftruncate, ...; TRACE_NONE: none, or not known */
			uint32_t peer; /* a thread, or TRACE_NONE */
		} call;
		struct {
			uint64_t address;
			enum trace_access access;
			bool kernel;  /* taken in kernel mode: the kernel touched user memory */
			bool present; /* a protection fault: an entry was there. False if not known */
		} fault;
		struct {
			uint32_t signal; /* SIGSEGV 11, SIGBUS 7 */
			int32_t code;	 /* si_code */
		} signal;
		struct {
			uint32_t file;
			uint64_t size;
		} file_size;
		struct {
			uint64_t count;
		} lost;
	};
};

/* ---- Reading ---- */

struct trace_reader;

enum trace_status {
	TRACE_EVENT = 1,  /* *event is filled in */
	TRACE_DONE = 0,	  /* the end, and everything was there */
	TRACE_ERROR = -1, /* trace_reader_error() says what */
};

/*
 * Open @path and read its header. NULL on failure, with one line (no newline, the path in it) in @error,
 * which has room for @error_size bytes.
 */
struct trace_reader *trace_reader_open(const char *path, char *error, size_t error_size);

/* The same from a stream, which stays the caller's; @name stands for the path in messages. */
struct trace_reader *trace_reader_open_stream(FILE *stream, const char *name, char *error, size_t error_size);

const struct trace_header *trace_reader_header(const struct trace_reader *r);

/* The next event. After TRACE_DONE or TRACE_ERROR every further call returns the same. */
enum trace_status trace_reader_next(struct trace_reader *r, struct trace_event *event);

const char *trace_reader_error(const struct trace_reader *r);

/* Files defined so far. A file's pointer holds until the next event is read. */
size_t trace_reader_files(const struct trace_reader *r);
const struct trace_file *trace_reader_file(const struct trace_reader *r, uint32_t file);

void trace_reader_close(struct trace_reader *r);

/* ---- Writing ---- */

struct trace_writer;

/* NULL on failure, with one line in @error. The header's version is filled in. */
struct trace_writer *trace_writer_open(const char *path, const struct trace_header *header, char *error,
				       size_t error_size);
struct trace_writer *trace_writer_open_stream(FILE *stream, const char *name,
					      const struct trace_header *header, char *error,
					      size_t error_size);

/* A file's number. Its path is copied. Every file must be added before the first event that names it. */
uint32_t trace_writer_add_file(struct trace_writer *w, const struct trace_file *file);

/* Append. `index`, and `mm` of CALL, CLONE, FAULT, SIGNAL, EXIT, are not stored but derived. */
void trace_writer_add(struct trace_writer *w, const struct trace_event *event);

uint64_t trace_writer_bytes(const struct trace_writer *w);

/* Finish and free. 0, or -1 with one line in @error: the first failure since the open. */
int trace_writer_close(struct trace_writer *w, char *error, size_t error_size);

/* ---- Names, for people ---- */

const char *trace_call_name(enum trace_call nr);
const char *trace_region_name(enum trace_region region);
const char *trace_access_name(enum trace_access access);

/* Does this finished call take away, so that it is ordered at its entry? (Linux's numbering of flags.) */
bool trace_call_takes(const struct trace_event *event);

/* One event as one line of text, no newline. */
void trace_event_print(const struct trace_reader *r, const struct trace_event *event, FILE *out);

#endif
