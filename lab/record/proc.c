/*
 * proc.c - what /proc and /sys say about the program and the computer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "capture.h"

static const uint64_t USER_END = UINT64_C(1) << 56;

static enum trace_region region_of(const char *name, uint64_t inode)
{
	if (inode || name[0] == '/') /* a System V segment's inode is its identifier, which may be 0 */
		return TRACE_REGION_FILE;
	if (!strcmp(name, "[heap]"))
		return TRACE_REGION_HEAP;
	if (!strcmp(name, "[stack]"))
		return TRACE_REGION_STACK;
	if (!strcmp(name, "[vdso]"))
		return TRACE_REGION_VDSO;
	if (!strncmp(name, "[vvar", 5))
		return TRACE_REGION_VVAR;
	if (name[0] == '[' && strncmp(name, "[anon", 5))
		return TRACE_REGION_SPECIAL;
	return TRACE_REGION_ANON;
}

/* One line of /proc/PID/maps; `name` points into it. */
struct mapping {
	uint64_t start, end, offset, inode;
	unsigned major, minor;
	char prot[5];
	const char *name;
};

static bool parse_mapping(char *line, struct mapping *m)
{
	int name = 0;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &m->start, &m->end,
		   m->prot, &m->offset, &m->major, &m->minor, &m->inode, &name) < 7)
		return false;
	m->name = line + name;
	return true;
}

static uint32_t mapping_file(struct capture *c, const struct mapping *m, const struct raw *at)
{
	struct trace_file file = { .inode = m->inode, .path = m->name };

	file.device = (uint64_t)m->major << 32 | m->minor;
	file.size = strncmp(m->name, "/SYSV", 5) ? TRACE_SIZE_UNKNOWN : m->end - m->start;
	return capture_file(c, &file, GENERATION_UNKNOWN, NULL, at);
}

static struct trace_event layout_of(struct capture *c, pid_t pid, const struct mapping *m)
{
	struct raw at = { .time = capture_now(), .pid = (uint32_t)pid, .tid = (uint32_t)pid };
	struct trace_event event = { .kind = TRACE_LAYOUT };

	event.layout.start = m->start;
	event.layout.end = m->end;
	event.layout.prot = (m->prot[0] == 'r' ? PROT_READ : 0) | (m->prot[1] == 'w' ? PROT_WRITE : 0) |
			    (m->prot[2] == 'x' ? PROT_EXEC : 0);
	event.layout.flags = m->prot[3] == 's' ? MAP_SHARED : MAP_PRIVATE;
	event.layout.region = region_of(m->name, m->inode);
	event.layout.file = TRACE_NONE;
	if (event.layout.region == TRACE_REGION_STACK)
		event.layout.flags |= MAP_GROWSDOWN;
	if (event.layout.region == TRACE_REGION_FILE) {
		event.layout.file = mapping_file(c, m, &at);
		event.layout.offset = m->offset; /* the vdso's and others' mean nothing */
	}
	return event;
}

static FILE *open_maps(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

uint32_t proc_mapped_file(struct capture *c, pid_t pid, uint64_t address, const struct raw *at)
{
	char line[TRACE_STRING_MAX + 256];
	uint32_t number = TRACE_NONE;
	struct mapping m;
	FILE *in = open_maps(pid);

	while (in && number == TRACE_NONE && fgets(line, sizeof(line), in))
		if (parse_mapping(line, &m) && m.start <= address && address < m.end &&
		    region_of(m.name, m.inode) == TRACE_REGION_FILE)
			number = mapping_file(c, &m, at);
	if (in)
		fclose(in);
	return number;
}

/* start_brk: field 47 of /proc/PID/stat. */
static uint64_t read_start_brk(pid_t pid)
{
	char path[64], line[2048];
	uint64_t brk = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *in = fopen(path, "re");
	if (!in)
		return 0;
	char *at = fgets(line, sizeof(line), in) ? strrchr(line, ')') : NULL;
	fclose(in);
	for (int field = 2; at && field < 47; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (at)
		brk = strtoull(at, NULL, 10);
	return brk;
}

/* By /proc/PID/limits, which everybody may read; prlimit() is refused where user or group differ. */
static void read_limits(pid_t pid, uint64_t limits[TRACE_LIMITS])
{
	static const char *const names[TRACE_LIMITS] = {
		[TRACE_LIMIT_AS] = "Max address space",
		[TRACE_LIMIT_DATA] = "Max data size",
		[TRACE_LIMIT_STACK] = "Max stack size",
		[TRACE_LIMIT_MEMLOCK] = "Max locked memory",
	};
	char path[64], line[128];

	for (int i = 0; i < TRACE_LIMITS; i++)
		limits[i] = TRACE_SIZE_UNKNOWN;
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		for (int i = 0; i < TRACE_LIMITS; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				sscanf(line + strlen(names[i]), "%" SCNu64, &limits[i]); /* or "unlimited" */
	if (in)
		fclose(in);
}

int proc_snapshot(struct capture *c, pid_t pid, struct snapshot *snapshot)
{
	char line[TRACE_STRING_MAX + 256];
	uint32_t room = 0;
	struct mapping m;
	struct raw usage = { 0 };
	proc_usage(pid, pid, &usage);
	*snapshot = (struct snapshot){ .brk = read_start_brk(pid) };
	snapshot->minor = usage.usage.minor;
	snapshot->major = usage.usage.major;
	read_limits(pid, snapshot->limits);
	FILE *in = open_maps(pid);
	if (!in)
		return capture_fail(c, "cannot read /proc/%d/maps: %s", (int)pid, strerror(errno));
	while (fgets(line, sizeof(line), in)) {
		if (!parse_mapping(line, &m) || m.end > USER_END) /* the vsyscall page is nobody's */
			continue;
		if (snapshot->count == room) {
			room = room ? room * 2 : 32;
			struct trace_event *grown = realloc(snapshot->layouts, room * sizeof(*grown));
			if (!grown) {
				fclose(in);
				return capture_fail(c, "out of memory");
			}
			snapshot->layouts = grown;
		}
		snapshot->layouts[snapshot->count++] = layout_of(c, pid, &m);
	}
	fclose(in);
	return 0;
}

pid_t proc_process_of(pid_t tid)
{
	char path[64], line[256];
	int pid = tid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	if (in)
		fclose(in);
	return pid;
}

void proc_usage(pid_t pid, pid_t tid, struct raw *raw)
{
	char path[80], line[2048];
	uint64_t kb;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	FILE *in = fopen(path, "re");
	if (in) {
		char *at = fgets(line, sizeof(line), in) ? strrchr(line, ')') : NULL;
		if (at)
			sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %*u %" SCNu64,
			       &raw->usage.minor, &raw->usage.major);
		fclose(in);
	}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "VmHWM: %" SCNu64 " kB", &kb) == 1)
			raw->usage.peak_rss_pages = kb * 1024 / (uint64_t)sysconf(_SC_PAGESIZE);
		else if (sscanf(line, "VmPTE: %" SCNu64 " kB", &kb) == 1)
			raw->usage.table_bytes = kb * 1024;
	}
	if (in)
		fclose(in);
}

uint32_t proc_fd_file(struct capture *c, pid_t pid, int fd, const struct raw *at)
{
	char link[64], path[TRACE_STRING_MAX + 1];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, fd);
	ssize_t size = readlink(link, path, sizeof(path) - 1);
	if (size < 0 || stat(link, &st))
		return TRACE_NONE;
	path[size] = 0;
	struct trace_file file = { .inode = st.st_ino, .size = TRACE_SIZE_UNKNOWN, .path = path };
	file.device = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev);
	return capture_file(c, &file, GENERATION_UNKNOWN, link, at);
}

static uint64_t read_number(const char *path)
{
	uint64_t value = 0;
	FILE *in = fopen(path, "re");
	if (in) {
		if (fscanf(in, "%" SCNu64, &value) != 1)
			value = 0;
		fclose(in);
	}
	return value;
}

static enum trace_thp read_thp(void)
{
	char line[128] = "";
	FILE *in = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	if (!in)
		return TRACE_THP_NEVER; /* the kernel has none */
	if (!fgets(line, sizeof(line), in))
		line[0] = 0;
	fclose(in);
	if (strstr(line, "[never]"))
		return TRACE_THP_NEVER;
	if (strstr(line, "[madvise]"))
		return TRACE_THP_MADVISE;
	return strstr(line, "[always]") ? TRACE_THP_ALWAYS : TRACE_THP_UNKNOWN;
}

void proc_header(struct trace_header *header, char **argv)
{
	struct utsname name;
	size_t at = 0;

	*header = (struct trace_header){ .version = TRACE_VERSION };
	header->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	header->cpus = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	header->thp = read_thp();
	header->overcommit = (uint32_t)read_number("/proc/sys/vm/overcommit_memory");
	header->max_map_count = read_number("/proc/sys/vm/max_map_count");
	header->fault_around_bytes = read_number("/sys/kernel/debug/fault_around_bytes");
	if (!uname(&name)) {
		snprintf(header->kernel, sizeof(header->kernel), "%s", name.release);
		snprintf(header->machine, sizeof(header->machine), "%.31s", name.machine);
	}
	for (; *argv && at < TRACE_STRING_MAX; argv++) {
		int more = snprintf(header->command + at, sizeof(header->command) - at, "%s%s", at ? " " : "",
				    *argv);
		at += more > 0 ? (size_t)more : 0;
	}
}
