/*
 * capture.h - what a recording gathers while the program runs, before it is made into a trace.
 *
 * Two threads gather: one drains the kernel's ring buffers (rings.c), one serves the program's stops under
 * ptrace (tracee.c). Both append to one log, unordered. When the program has ended, the log is sorted by time
 * and told as a trace (convert.c).
 */
#ifndef LAB_RECORD_CAPTURE_H
#define LAB_RECORD_CAPTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../trace/trace.h"

/* An array in a file without a name: a long recording does not need memory that cannot be written out. */
struct log {
	char *base; /* elements of `size` bytes */
	size_t size, count, room;
	int fd;
};

int log_open(struct log *log, size_t element_size);
/* A new element, zeroed, valid until the next one; NULL when the disk is full. */
void *log_add(struct log *log);
void *log_at(const struct log *log, size_t index);
/* The elements' indexes in the order of the uint64_t at @key_offset, equal ones as they came; or NULL. */
uint32_t *log_sorted(const struct log *log, size_t key_offset);
void log_close(struct log *log);

enum raw_kind {
	RAW_ENTER,  /* a system call begins: call.nr (the kernel's), call.args */
	RAW_LEAVE,  /* and ends: leave.nr, leave.result, leave.file where ptrace saw it */
	RAW_LOCKED, /* it has an address space for itself: only the time matters */
	RAW_FAULT,  /* fault.* */
	RAW_SIGNAL, /* signal.* */
	RAW_MAPPED, /* the kernel made or changed a mapping of a file: mapped.* */
	RAW_FORK,   /* a thread is there: fork.* */
	RAW_EXECED, /* the old mm was left: only the time matters */
	RAW_LAYOUT, /* a stopped program's new mm: layout.snapshot */
	RAW_CLONED, /* what kind of clone made fork.tid: fork.flags */
	RAW_USAGE,  /* a thread begins to exit: usage.* */
	RAW_EXIT,   /* a thread is gone */
	RAW_GREW,   /* a file has grown: grew.* */
	RAW_LOST,   /* lost.count */
};

struct raw {
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	uint32_t pid, tid;
	enum raw_kind kind;
	union {
		struct {
			int32_t nr;
			uint64_t args[TRACE_ARGS];
		} call;
		struct {
			int32_t nr;
			uint32_t file; /* TRACE_NONE: not known */
			int64_t result;
		} leave;
		struct {
			uint64_t address;
			uint8_t access; /* enum trace_access */
			bool kernel, present;
		} fault;
		struct {
			uint32_t signal;
			int32_t code;
		} signal;
		struct {
			uint64_t start, end;
			uint32_t file;
		} mapped;
		struct {
			uint32_t pid, tid; /* the child's */
			uint64_t flags;
		} fork;
		struct {
			uint32_t snapshot;
			uint32_t former_tid; /* the thread that called exec; its tid is now the process's */
		} layout;
		struct {
			uint64_t minor, major, peak_rss_pages, table_bytes;
		} usage;
		struct {
			uint32_t file;
			uint64_t size;
		} grew;
		struct {
			uint64_t count;
		} lost;
	};
};

struct file_entry {
	struct trace_file file; /* path allocated */
	uint64_t generation;	/* of the inode; GENERATION_UNKNOWN matches any */
	uint64_t last_size;	/* as seen last */
};

#define GENERATION_UNKNOWN UINT64_MAX

/* The mappings of a program stopped after its exec. */
struct snapshot {
	struct trace_event *layouts;
	uint32_t count;
	uint64_t brk;
	uint64_t limits[TRACE_LIMITS];
	uint64_t minor, major; /* faults that the thread had taken before */
};

struct capture {
	pthread_mutex_t lock; /* all of what follows, while the program runs */
	struct log raws;
	struct file_entry *files;
	uint32_t nr_files, room_files;
	struct snapshot *snapshots;
	uint32_t nr_snapshots, room_snapshots;
	uint64_t lost;
	atomic_bool full; /* memory or disk ran out: the recording is not complete; relaxed */

	char error[512];
};

int capture_open(struct capture *c);
void capture_close(struct capture *c);

/* Note that something could not be kept. */
static inline void capture_incomplete(struct capture *c)
{
	atomic_store_explicit(&c->full, true, memory_order_relaxed);
}

/* A copy of *@raw goes in the log. */
void capture_add(struct capture *c, const struct raw *raw);

uint64_t capture_now(void);

/*
 * The number of the file with this identity, looked at now (its given size holds if it cannot be): its size,
 * kind and build-id when it is new; a RAW_GREW when it is larger than it was, unless @at is NULL. @look is a
 * path at which it can be looked at (the path itself, /proc/PID/fd/N, ...), tried before @path. TRACE_NONE
 * when memory runs out.
 */
uint32_t capture_file(struct capture *c, const struct trace_file *identity, uint64_t generation,
		      const char *look, const struct raw *at);

uint32_t capture_snapshot(struct capture *c, struct snapshot *snapshot);

/* Say @format as the reason why something failed; returns -1. */
__attribute__((format(printf, 2, 3))) int capture_fail(struct capture *c, const char *format, ...);

/* ---- rings.c: the kernel's events ---- */

struct rings;

enum rings_want {
	RINGS_CALLS = 1,      /* raw_syscalls:*, and what places them */
	RINGS_FAULTS = 2,     /* exceptions:page_fault_*, with access */
	RINGS_SOFT_FAULTS = 4 /* the page-faults software event, without */
};

/*
 * Gather events of process @pid, and of all that it will create, from now on. NULL with a reason in c->error.
 * May mount tracefs when that is allowed and it is needed.
 */
struct rings *rings_open(struct capture *c, pid_t pid, unsigned want);
bool rings_see_locks(const struct rings *rings);  /* RAW_LOCKED */
bool rings_see_kernel(const struct rings *rings); /* faults in kernel mode as well */
/* Stop gathering, take what is left, free. */
void rings_close(struct rings *rings);

/* ---- tracee.c: the program ---- */

struct tracee {
	pid_t pid;
	int go;		/* written to: the program starts */
	int exec_errno; /* read from: the errno of an exec that failed; closed by one that did not */
	bool calls;	/* stop at every call */
	int status;	/* the program's own, as wait() has it */
};

/* Create the process that will become @argv, stopped before its exec. 0 or -1 with a reason in c->error. */
int tracee_start(struct capture *c, struct tracee *t, char **argv);
/*
 * Let it go, and serve its stops and those of all its descendants until the last has ended. 0, the errno of
 * the exec that failed, or -1 with a reason in c->error.
 */
int tracee_run(struct capture *c, struct tracee *t);
/* End it before it began. */
void tracee_abandon(struct tracee *t);

/* ---- proc.c: what /proc says ---- */

/* The layout of the stopped process @pid. 0 or -1 with a reason in c->error. */
int proc_snapshot(struct capture *c, pid_t pid, struct snapshot *snapshot);
/* The process that thread @tid belongs to. */
pid_t proc_process_of(pid_t tid);
void proc_usage(pid_t pid, pid_t tid, struct raw *raw);
/* The number of the file open as @fd in the stopped process @pid, or TRACE_NONE. */
uint32_t proc_fd_file(struct capture *c, pid_t pid, int fd, const struct raw *at);
/* The number of the file mapped at @address in the stopped process @pid, or TRACE_NONE. */
uint32_t proc_mapped_file(struct capture *c, pid_t pid, uint64_t address, const struct raw *at);
void proc_header(struct trace_header *header, char **argv);

/* ---- convert.c: the trace ---- */

struct convert_counts {
	uint64_t events, calls, faults, threads, mms;
};

/* Write the recording as a trace. 0, or -1 with a reason in c->error. */
int convert(struct capture *c, const char *path, const struct trace_header *header,
	    struct convert_counts *counts);

#endif
