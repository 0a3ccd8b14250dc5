/*
 * rings.c - the kernel's own account of the program, through perf_event_open().
 *
 * On each CPU one ring buffer, and into it: the records of mappings, forks, execs and exits that the kernel
 * writes by itself; raw_syscalls:sys_enter and sys_exit, filtered to the calls of calls.c; page faults with
 * their access from exceptions:page_fault_user and page_fault_kernel; the moment when a call has the address
 * space for itself, from mmap_lock:mmap_lock_acquire_returned; fatal signals of memory. All events are
 * inherited by what the program creates, and all carry CLOCK_MONOTONIC, so that the records of different CPUs
 * have one order.
 *
 * A thread drains the rings as they fill. The kernel drops records when a ring is full and says how many:
 * those are counted and told, never passed over.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"
#include "capture.h"

enum {
	RING_BYTES_MAX = 16 << 20,
	RING_BYTES_MIN = 64 << 10,
	RECORD_BYTES_MAX = 1 << 16, /* a record's size is 16 bits */
	MAX_EVENTS = 8,		    /* on one CPU */
	DRAIN_MS = 10,
	PAGE_FAULT_PRESENT = 1, /* the error code's bits, as x86 defines them */
	PAGE_FAULT_WRITE = 2,
	PAGE_FAULT_EXEC = 16,
};

static const uint64_t USER_END = UINT64_C(1) << 56;

struct ring {
	int fds[MAX_EVENTS]; /* [0] owns the buffer */
	int nr_fds;
	struct perf_event_mmap_page *page;
	size_t bytes; /* of the data, a power of two */
};

/* Tracepoints by their number, and where their fields lie. */
struct tracepoint {
	int id;
	int fields[4];
};

enum { POINT_ENTER, POINT_LEAVE, POINT_FAULT_USER, POINT_FAULT_KERNEL, POINT_SIGNAL, POINT_LOCKED, POINTS };

static const struct {
	const char *name;
	const char *fields[4];
	unsigned want;
} points[POINTS] = {
	[POINT_ENTER] = { "raw_syscalls/sys_enter", { "id", "args[6]" }, RINGS_CALLS },
	[POINT_LEAVE] = { "raw_syscalls/sys_exit", { "id", "ret" }, RINGS_CALLS },
	[POINT_FAULT_USER] = { "exceptions/page_fault_user", { "address", "error_code" }, RINGS_FAULTS },
	[POINT_FAULT_KERNEL] = { "exceptions/page_fault_kernel", { "address", "error_code" }, RINGS_FAULTS },
	[POINT_SIGNAL] = { "signal/signal_deliver", { "sig", "code" }, RINGS_CALLS },
	[POINT_LOCKED] = { "mmap_lock/mmap_lock_acquire_returned", { "write" }, RINGS_CALLS },
};

struct rings {
	struct capture *capture;
	struct ring *rings;
	int nr_rings;
	unsigned want;
	bool kernel; /* soft faults include the kernel's */
	struct tracepoint points[POINTS];
	pthread_t drain;
	atomic_bool stop;
	uint8_t record[RECORD_BYTES_MAX];
};

/* ---- Tracepoints ---- */

static const char *const tracing_places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

/* Where tracefs is, mounted now if need be. NULL with a reason. */
static const char *find_tracing(struct capture *c)
{
	char path[96];

	for (int attempt = 0; attempt < 2; attempt++) {
		for (size_t i = 0; i < sizeof(tracing_places) / sizeof(tracing_places[0]); i++) {
			snprintf(path, sizeof(path), "%s/events/raw_syscalls", tracing_places[i]);
			if (!access(path, R_OK | X_OK))
				return tracing_places[i];
		}
		if (mount("none", tracing_places[0], "tracefs", 0, NULL))
			break;
	}
	capture_fail(c,
		     "the kernel's tracepoints cannot be read: run as root, mount tracefs on %s "
		     "(mount -t tracefs none %s), or use --method ptrace",
		     tracing_places[0], tracing_places[0]);
	return NULL;
}

/* Read a tracepoint's number and the offsets of its fields. */
static int read_point(struct capture *c, const char *tracing, int number, struct tracepoint *point)
{
	char path[160], line[512];

	snprintf(path, sizeof(path), "%s/events/%s/format", tracing, points[number].name);
	FILE *in = fopen(path, "re");
	if (!in)
		return capture_fail(c, "the kernel's tracepoint %s cannot be read (%s): use --method ptrace",
				    points[number].name, strerror(errno));
	*point = (struct tracepoint){ .fields = { -1, -1, -1, -1 } };
	while (fgets(line, sizeof(line), in)) {
		char *field = strstr(line, "field:"), *offset = strstr(line, "offset:");
		if (!strncmp(line, "ID: ", 4))
			point->id = atoi(line + 4);
		if (!field || !offset)
			continue;
		*strchr(field, ';') = 0;
		char *name = strrchr(field, ' ');
		for (int i = 0; name && i < 4; i++)
			if (points[number].fields[i] && !strcmp(name + 1, points[number].fields[i]))
				point->fields[i] = atoi(offset + 7);
	}
	fclose(in);
	for (int i = 0; i < 4; i++)
		if (points[number].fields[i] && point->fields[i] < 0)
			return capture_fail(c, "the kernel's tracepoint %s has no field %s",
					    points[number].name, points[number].fields[i]);
	return 0;
}

static int read_points(struct rings *rings)
{
	if (!(rings->want & (RINGS_CALLS | RINGS_FAULTS)))
		return 0;
	const char *tracing = find_tracing(rings->capture);
	if (!tracing)
		return -1;
	for (int i = 0; i < POINTS; i++)
		if (rings->want & points[i].want &&
		    read_point(rings->capture, tracing, i, &rings->points[i]) &&
		    i != POINT_LOCKED) /* some kernels have none: calls are ordered less exactly */
			return -1;
	return 0;
}

/* ---- Opening ---- */

static int open_event(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static struct perf_event_attr attributes(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR | PERF_SAMPLE_RAW,
		.inherit = 1,
		.sample_id_all = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	return attr;
}

/* Open one more event on the ring's CPU, feeding the ring. */
static int add_event(struct rings *rings, struct ring *ring, struct perf_event_attr *attr, pid_t pid, int cpu,
		     const char *filter)
{
	int fd = open_event(attr, pid, cpu);
	if (fd < 0)
		return -1;
	ring->fds[ring->nr_fds++] = fd;
	if (filter && ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter))
		return -1;
	(void)rings;
	return ring->nr_fds == 1 ? 0 : ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fds[0]);
}

static int map_ring(struct ring *ring)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (ring->bytes = RING_BYTES_MAX; ring->bytes >= RING_BYTES_MIN; ring->bytes /= 2) {
		void *mapped = mmap(NULL, ring->bytes + page, PROT_READ | PROT_WRITE, MAP_SHARED,
				    ring->fds[0], 0);
		if (mapped != MAP_FAILED) {
			ring->page = mapped;
			return 0;
		}
	}
	return -1;
}

static void calls_filter(char *filter, size_t size)
{
	size_t count, at = 0;
	const int *list = calls_list(&count);

	for (size_t i = 0; i < count; i++)
		at += (size_t)snprintf(filter + at, size - at, "%sid==%d", i ? "||" : "", list[i]);
}

static int open_points(struct rings *rings, struct ring *ring, pid_t pid, int cpu)
{
	char filter[1024];

	calls_filter(filter, sizeof(filter));
	for (int i = 0; i < POINTS; i++) {
		if (!(rings->want & points[i].want) || !rings->points[i].id)
			continue;
		struct perf_event_attr attr = attributes(PERF_TYPE_TRACEPOINT, (uint64_t)rings->points[i].id);
		const char *only = i == POINT_ENTER || i == POINT_LEAVE ? filter : NULL;
		if (i == POINT_SIGNAL)
			only = "sig==11||sig==7";
		else if (i == POINT_LOCKED)
			only = "write==1";
		if (add_event(rings, ring, &attr, pid, cpu, only))
			return capture_fail(rings->capture,
					    "perf_event_open of %s is not allowed (%s): run as root, "
					    "lower kernel.perf_event_paranoid to -1, or use --method ptrace",
					    points[i].name, strerror(errno));
	}
	return 0;
}

static int open_soft_faults(struct rings *rings, struct ring *ring, pid_t pid, int cpu)
{
	struct perf_event_attr attr = attributes(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS);

	if (!(rings->want & RINGS_SOFT_FAULTS))
		return 0;
	attr.exclude_kernel = !rings->kernel;
	if (!add_event(rings, ring, &attr, pid, cpu, NULL))
		return 0;
	if (rings->kernel && (errno == EACCES || errno == EPERM)) {
		rings->kernel = false;
		attr.exclude_kernel = 1;
		if (!add_event(rings, ring, &attr, pid, cpu, NULL))
			return 0;
	}
	return capture_fail(rings->capture,
			    "perf_event_open of page faults is not allowed (%s): run as root, or lower "
			    "kernel.perf_event_paranoid to 2",
			    strerror(errno));
}

static int open_ring(struct rings *rings, struct ring *ring, pid_t pid, int cpu)
{
	struct perf_event_attr attr = attributes(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_DUMMY);

	/* Exec in any case: faults after it, and before ptrace's stop, are the new mm's. */
	attr.comm = attr.comm_exec = 1;
	if (rings->want & RINGS_CALLS)
		attr.mmap = attr.mmap2 = attr.mmap_data = attr.task = 1;
	attr.exclude_kernel = 1;
	if (add_event(rings, ring, &attr, pid, cpu, NULL))
		return capture_fail(rings->capture,
				    "perf_event_open is not allowed (%s): run as root, or lower "
				    "kernel.perf_event_paranoid",
				    strerror(errno));
	if (map_ring(ring))
		return capture_fail(rings->capture,
				    "no room for a ring buffer (%s): raise kernel.perf_event_mlock_kb",
				    strerror(errno));
	if (open_points(rings, ring, pid, cpu))
		return -1;
	return open_soft_faults(rings, ring, pid, cpu);
}

/* ---- Records ---- */

static uint32_t load32(const uint8_t *p)
{
	uint32_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static uint64_t load64(const uint8_t *p)
{
	uint64_t value;
	memcpy(&value, p, sizeof(value));
	return value;
}

static void take_fault(struct raw *raw, const uint8_t *data, const struct tracepoint *point, bool kernel)
{
	uint64_t code = load64(data + point->fields[1]);

	raw->kind = RAW_FAULT;
	raw->fault.address = load64(data + point->fields[0]);
	raw->fault.kernel = kernel;
	raw->fault.present = code & PAGE_FAULT_PRESENT;
	raw->fault.access = code & PAGE_FAULT_WRITE  ? TRACE_ACCESS_WRITE
			    : code & PAGE_FAULT_EXEC ? TRACE_ACCESS_EXEC
						     : TRACE_ACCESS_READ;
}

/* A sample: pid, tid, time, address, then the tracepoint's data with its size before it. */
static bool take_sample(struct rings *rings, struct raw *raw, const uint8_t *body, size_t size)
{
	enum { TIME = 8, ADDRESS = 16, RAW_SIZE = 24, DATA = 28 };
	static const size_t data_min[POINTS] = { 64, 24, 32, 32, 20, 25 };

	if (size < DATA)
		return false;
	uint32_t data_size = load32(body + RAW_SIZE);
	const uint8_t *data = body + DATA;
	int id = data_size >= 2 && size >= DATA + 2 ? data[0] | data[1] << 8 : 0, which = POINTS;
	raw->pid = load32(body);
	raw->tid = load32(body + 4);
	raw->time = load64(body + TIME);
	for (int i = 0; id && i < POINTS; i++)
		if (rings->points[i].id == id)
			which = i;
	if (which < POINTS && (data_size < data_min[which] || size - DATA < data_size))
		return false;
	const struct tracepoint *point = &rings->points[which < POINTS ? which : 0];
	switch (which) {
	case POINT_ENTER:
		raw->kind = RAW_ENTER;
		raw->call.nr = (int32_t)load64(data + point->fields[0]);
		memcpy(raw->call.args, data + point->fields[1], sizeof(raw->call.args));
		return true;
	case POINT_LEAVE:
		raw->kind = RAW_LEAVE;
		raw->leave.nr = (int32_t)load64(data + point->fields[0]);
		raw->leave.result = (int64_t)load64(data + point->fields[1]);
		raw->leave.file = TRACE_NONE;
		return true;
	case POINT_FAULT_USER:
	case POINT_FAULT_KERNEL:
		take_fault(raw, data, point, which == POINT_FAULT_KERNEL);
		return which == POINT_FAULT_USER || raw->fault.address < USER_END;
	case POINT_SIGNAL:
		raw->kind = RAW_SIGNAL;
		raw->signal.signal = load32(data + point->fields[0]);
		raw->signal.code = (int32_t)load32(data + point->fields[1]);
		return true;
	case POINT_LOCKED:
		raw->kind = RAW_LOCKED;
		return true;
	default:
		raw->kind = RAW_FAULT;
		raw->fault.address = load64(body + ADDRESS);
		raw->fault.access = TRACE_ACCESS_UNKNOWN;
		return rings->want & RINGS_SOFT_FAULTS;
	}
}

/* PERF_RECORD_MMAP2: pid, tid, addr, len, pgoff, maj, min, ino, ino_generation, prot, flags, name. */
static bool take_mapping(struct rings *rings, struct raw *raw, const uint8_t *body, size_t size)
{
	enum { ADDRESS = 8, LENGTH = 16, MAJOR = 32, MINOR = 36, INODE = 40, GENERATION = 48, NAME = 64 };
	char look[96];

	if (size <= NAME || !memchr(body + NAME, 0, size - NAME))
		return false;
	struct trace_file file = { .inode = load64(body + INODE), .path = (const char *)body + NAME };
	bool segment = !strncmp(file.path, "/SYSV", 5); /* its inode is its identifier, which may be 0 */
	if (!file.inode && !segment)
		return false;
	file.size = segment ? load64(body + LENGTH) : TRACE_SIZE_UNKNOWN;
	file.device = (uint64_t)load32(body + MAJOR) << 32 | load32(body + MINOR);
	raw->kind = RAW_MAPPED;
	raw->pid = load32(body);
	raw->tid = load32(body + 4);
	raw->mapped.start = load64(body + ADDRESS);
	raw->mapped.end = raw->mapped.start + load64(body + LENGTH);
	snprintf(look, sizeof(look), "/proc/%u/map_files/%llx-%llx", raw->pid,
		 (unsigned long long)raw->mapped.start, (unsigned long long)raw->mapped.end);
	raw->mapped.file = capture_file(rings->capture, &file, load64(body + GENERATION), look, raw);
	return true;
}

static void take_record(struct rings *rings, const struct perf_event_header *header, const uint8_t *body)
{
	size_t size = header->size - sizeof(*header);
	struct raw raw = { 0 };
	bool take = false;

	if (header->type == PERF_RECORD_SAMPLE) {
		if (take_sample(rings, &raw, body, size))
			capture_add(rings->capture, &raw);
		return;
	}
	if (size < 24)
		return;
	/* All others end with pid, tid and time (sample_id_all). */
	raw.time = load64(body + size - 8);
	raw.pid = load32(body + size - 16);
	raw.tid = load32(body + size - 12);
	switch (header->type) {
	case PERF_RECORD_MMAP2:
		take = take_mapping(rings, &raw, body, size - 16);
		break;
	case PERF_RECORD_COMM:
		raw.kind = RAW_EXECED;
		take = header->misc & PERF_RECORD_MISC_COMM_EXEC;
		break;
	case PERF_RECORD_FORK: /* pid, ppid, tid, ptid */
		raw.kind = RAW_FORK;
		raw.fork.pid = load32(body);
		raw.fork.tid = load32(body + 8);
		raw.pid = load32(body + 4);
		raw.tid = load32(body + 12);
		take = rings->want & RINGS_CALLS; /* else ptrace tells, and comm brings these all the same */
		break;
	case PERF_RECORD_EXIT:
		raw.kind = RAW_EXIT;
		raw.pid = load32(body);
		raw.tid = load32(body + 8);
		take = rings->want & RINGS_CALLS;
		break;
	case PERF_RECORD_LOST: /* id, count */
		raw.kind = RAW_LOST;
		raw.lost.count = load64(body + 8);
		take = true;
		break;
	}
	if (take)
		capture_add(rings->capture, &raw);
}

/* ---- Draining ---- */

/* Copy @size bytes at position @at out of the ring, which may wrap there. */
static void copy_out(const struct ring *ring, uint64_t at, void *to, size_t size)
{
	const uint8_t *data = (const uint8_t *)ring->page + ring->page->data_offset;
	size_t from = (size_t)(at & (ring->bytes - 1)), first = ring->bytes - from;

	if (first > size)
		first = size;
	memcpy(to, data + from, first);
	memcpy((uint8_t *)to + first, data, size - first);
}

static void drain_ring(struct rings *rings, struct ring *ring)
{
	/* Acquire: pairs with the kernel's release of data_head after it wrote the records. */
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;

	while (tail < head) {
		struct perf_event_header header;
		copy_out(ring, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail)
			break;
		copy_out(ring, tail + sizeof(header), rings->record, header.size - sizeof(header));
		tail += header.size;
		/* Release: the kernel may write over the record now; pairs with its load of data_tail. */
		__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
		take_record(rings, &header, rings->record);
	}
}

static void *drain(void *argument)
{
	struct rings *rings = argument;
	struct timespec pause = { .tv_nsec = DRAIN_MS * 1000000 };

	while (!atomic_load_explicit(&rings->stop, memory_order_relaxed)) {
		for (int i = 0; i < rings->nr_rings; i++)
			drain_ring(rings, &rings->rings[i]);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void close_all(struct rings *rings)
{
	for (int i = 0; i < rings->nr_rings; i++) {
		struct ring *ring = &rings->rings[i];
		if (ring->page)
			munmap(ring->page, ring->bytes + (size_t)sysconf(_SC_PAGESIZE));
		for (int j = 0; j < ring->nr_fds; j++)
			close(ring->fds[j]);
	}
	free(rings->rings);
	free(rings);
}

struct rings *rings_open(struct capture *c, pid_t pid, unsigned want)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_CONF);
	struct rings *rings = calloc(1, sizeof(*rings));

	if (!rings || !(rings->rings = calloc((size_t)cpus, sizeof(*rings->rings)))) {
		free(rings);
		capture_fail(c, "out of memory");
		return NULL;
	}
	rings->capture = c;
	rings->want = want;
	rings->kernel = true;
	if (read_points(rings))
		goto fail;
	for (int cpu = 0; cpu < cpus; cpu++) {
		struct ring *ring = &rings->rings[rings->nr_rings++];
		if (!open_ring(rings, ring, pid, cpu))
			continue;
		bool offline = errno == ENODEV && !ring->page;
		if (!offline)
			goto fail;
		for (int i = 0; i < ring->nr_fds; i++)
			close(ring->fds[i]);
		*ring = (struct ring){ 0 };
		rings->nr_rings--;
	}
	if (!rings->nr_rings || pthread_create(&rings->drain, NULL, drain, rings)) {
		capture_fail(c, "cannot start a thread");
		goto fail;
	}
	return rings;
fail:
	close_all(rings);
	return NULL;
}

bool rings_see_locks(const struct rings *rings)
{
	return rings->points[POINT_LOCKED].id;
}

bool rings_see_kernel(const struct rings *rings)
{
	return rings->want & RINGS_FAULTS || rings->kernel;
}

void rings_close(struct rings *rings)
{
	atomic_store_explicit(&rings->stop, true, memory_order_relaxed);
	pthread_join(rings->drain, NULL);
	for (int i = 0; i < rings->nr_rings; i++)
		drain_ring(rings, &rings->rings[i]);
	close_all(rings);
}
