/*
 * capture.c - the log of a recording, and the identities of the files that appear in it.
 */
#define _GNU_SOURCE
#include "capture.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* ---- The log ---- */

static int log_resize(struct log *log, size_t room)
{
	if (ftruncate(log->fd, (off_t)(room * log->size)))
		return -1;
	char *base = log->base ? mremap(log->base, log->room * log->size, room * log->size, MREMAP_MAYMOVE)
			       : mmap(NULL, room * log->size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (base == MAP_FAILED)
		return -1;
	log->base = base;
	log->room = room;
	return 0;
}

int log_open(struct log *log, size_t element_size)
{
	const char *directory = getenv("TMPDIR");

	*log = (struct log){ .size = element_size };
	log->fd = open(directory && *directory ? directory : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (log->fd < 0)
		log->fd = memfd_create("quire-record", MFD_CLOEXEC);
	if (log->fd < 0)
		return -1;
	if (!log_resize(log, 4096))
		return 0;
	log_close(log);
	return -1;
}

void *log_add(struct log *log)
{
	if (log->count == UINT32_MAX || (log->count == log->room && log_resize(log, log->room * 2)))
		return NULL;
	return log->base + log->count++ * log->size;
}

void *log_at(const struct log *log, size_t index)
{
	return log->base + index * log->size;
}

struct key {
	uint64_t key;
	uint32_t index;
};

static int key_compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

uint32_t *log_sorted(const struct log *log, size_t key_offset)
{
	struct key *keys = malloc((log->count + 1) * sizeof(*keys));
	uint32_t *order = malloc((log->count + 1) * sizeof(*order));
	if (!keys || !order) {
		free(keys);
		free(order);
		return NULL;
	}
	for (size_t i = 0; i < log->count; i++) {
		memcpy(&keys[i].key, (char *)log_at(log, i) + key_offset, sizeof(keys[i].key));
		keys[i].index = (uint32_t)i;
	}
	qsort(keys, log->count, sizeof(*keys), key_compare);
	for (size_t i = 0; i < log->count; i++)
		order[i] = keys[i].index;
	free(keys);
	return order;
}

void log_close(struct log *log)
{
	if (log->base)
		munmap(log->base, log->room * log->size);
	if (log->fd >= 0)
		close(log->fd);
	*log = (struct log){ .fd = -1 };
}

/* ---- The capture ---- */

int capture_fail(struct capture *c, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(c->error, sizeof(c->error), format, args);
	va_end(args);
	return -1;
}

int capture_open(struct capture *c)
{
	*c = (struct capture){ 0 };
	pthread_mutex_init(&c->lock, NULL);
	if (log_open(&c->raws, sizeof(struct raw)))
		return capture_fail(c, "no room for temporary data: %s", strerror(errno));
	return 0;
}

void capture_close(struct capture *c)
{
	for (uint32_t i = 0; i < c->nr_files; i++)
		free((void *)c->files[i].file.path);
	for (uint32_t i = 0; i < c->nr_snapshots; i++)
		free(c->snapshots[i].layouts);
	free(c->files);
	free(c->snapshots);
	log_close(&c->raws);
	pthread_mutex_destroy(&c->lock);
}

/* With the lock held. */
static void add_locked(struct capture *c, const struct raw *raw)
{
	struct raw *slot = log_add(&c->raws);
	if (slot)
		*slot = *raw;
	else
		capture_incomplete(c);
}

void capture_add(struct capture *c, const struct raw *raw)
{
	pthread_mutex_lock(&c->lock);
	add_locked(c, raw);
	if (raw->kind == RAW_LOST)
		c->lost += raw->lost.count;
	pthread_mutex_unlock(&c->lock);
}

uint64_t capture_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t capture_snapshot(struct capture *c, struct snapshot *snapshot)
{
	uint32_t number = TRACE_NONE;

	pthread_mutex_lock(&c->lock);
	if (c->nr_snapshots == c->room_snapshots) {
		uint32_t room = c->room_snapshots ? c->room_snapshots * 2 : 16;
		struct snapshot *grown = realloc(c->snapshots, room * sizeof(*grown));
		if (!grown)
			goto out;
		c->snapshots = grown;
		c->room_snapshots = room;
	}
	number = c->nr_snapshots++;
	c->snapshots[number] = *snapshot;
out:
	if (number == TRACE_NONE)
		capture_incomplete(c);
	pthread_mutex_unlock(&c->lock);
	return number;
}

/* ---- Files ---- */

/* The GNU build-id among the notes in [@offset, @offset + @size) of an open ELF file. */
static bool find_build_id(int fd, uint64_t offset, uint64_t size, struct trace_file *file)
{
	uint8_t notes[4096];
	ssize_t got = pread(fd, notes, size < sizeof(notes) ? size : sizeof(notes), (off_t)offset);

	for (size_t at = 0; got > 0 && at + sizeof(Elf64_Nhdr) + 4 <= (size_t)got;) {
		Elf64_Nhdr note;
		memcpy(&note, notes + at, sizeof(note));
		size_t name = at + sizeof(note), data = name + ((note.n_namesz + 3ul) & ~3ul);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && !memcmp(notes + name, "GNU", 4) &&
		    note.n_descsz <= TRACE_BUILD_ID_MAX && data + note.n_descsz <= (size_t)got) {
			memcpy(file->build_id, notes + data, note.n_descsz);
			file->build_id_size = (uint8_t)note.n_descsz;
			return true;
		}
		at = data + ((note.n_descsz + 3ul) & ~3ul);
	}
	return false;
}

static void read_build_id(const char *path, struct trace_file *file)
{
	Elf64_Ehdr head;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return;
	if (pread(fd, &head, sizeof(head), 0) == sizeof(head) && !memcmp(head.e_ident, ELFMAG, SELFMAG) &&
	    head.e_ident[EI_CLASS] == ELFCLASS64) {
		for (unsigned i = 0; i < head.e_phnum; i++) {
			Elf64_Phdr segment;
			uint64_t at = head.e_phoff + i * (uint64_t)head.e_phentsize;
			if (pread(fd, &segment, sizeof(segment), (off_t)at) != sizeof(segment))
				break;
			if (segment.p_type == PT_NOTE &&
			    find_build_id(fd, segment.p_offset, segment.p_filesz, file))
				break;
		}
	}
	close(fd);
}

static bool begins(const char *string, const char *prefix)
{
	return !strncmp(string, prefix, strlen(prefix));
}

static enum trace_file_kind kind_by_path(const char *path)
{
	if (begins(path, "/memfd:") || begins(path, "/dev/zero (deleted)"))
		return TRACE_FILE_MEMFD;
	if (begins(path, "/SYSV"))
		return TRACE_FILE_SYSV;
	if (begins(path, "/anon_hugepage"))
		return TRACE_FILE_HUGETLB;
	return path[0] == '/' ? TRACE_FILE_REGULAR : TRACE_FILE_OTHER;
}

/* Look at the file at @path, if that is still the file meant (same inode). True if it was. */
static bool look_at(const char *path, struct trace_file *file)
{
	struct stat st;
	struct statfs fs;

	if (stat(path, &st) || st.st_ino != file->inode)
		return false;
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		file->kind = TRACE_FILE_DEVICE;
		return true;
	}
	if (!S_ISREG(st.st_mode))
		return false;
	file->size = (uint64_t)st.st_size;
	if (!statfs(path, &fs) && fs.f_type == HUGETLBFS_MAGIC)
		file->kind = TRACE_FILE_HUGETLB;
	return true;
}

static struct file_entry *find_file(struct capture *c, const struct trace_file *identity, uint64_t generation)
{
	for (uint32_t i = c->nr_files; i-- > 0;) {
		struct file_entry *entry = &c->files[i];
		if (entry->file.inode != identity->inode || entry->file.device != identity->device)
			continue;
		if (generation == GENERATION_UNKNOWN || entry->generation == GENERATION_UNKNOWN)
			return entry;
		if (entry->generation == generation)
			return entry;
	}
	return NULL;
}

static struct file_entry *add_file(struct capture *c, const struct trace_file *seen, uint64_t generation)
{
	if (c->nr_files == c->room_files) {
		uint32_t room = c->room_files ? c->room_files * 2 : 64;
		struct file_entry *grown = realloc(c->files, room * sizeof(*grown));
		if (!grown)
			return NULL;
		c->files = grown;
		c->room_files = room;
	}
	struct file_entry *entry = &c->files[c->nr_files];
	entry->file = *seen;
	entry->file.path = strndup(seen->path, TRACE_STRING_MAX);
	entry->generation = generation;
	entry->last_size = seen->size;
	if (!entry->file.path)
		return NULL;
	c->nr_files++;
	return entry;
}

uint32_t capture_file(struct capture *c, const struct trace_file *identity, uint64_t generation,
		      const char *look, const struct raw *at)
{
	struct trace_file seen = *identity;
	uint32_t number = TRACE_NONE;

	seen.kind = kind_by_path(seen.path);
	if (!look || !look_at(look, &seen)) {
		look = seen.path;
		if (look[0] != '/' || !look_at(look, &seen))
			look = NULL;
	}
	pthread_mutex_lock(&c->lock);
	struct file_entry *entry = find_file(c, &seen, generation);
	if (!entry) {
		if (look && seen.kind == TRACE_FILE_REGULAR)
			read_build_id(look, &seen);
		entry = add_file(c, &seen, generation);
	} else if (seen.size != TRACE_SIZE_UNKNOWN) {
		/*
		 * Only growth is told: we look a moment after the mapping was made, and a size too large does
		 * no harm where a size too small would turn good accesses into bad ones.
		 */
		if (at && entry->last_size != TRACE_SIZE_UNKNOWN && seen.size > entry->last_size) {
			struct raw grew = {
				.time = at->time, .pid = at->pid, .tid = at->tid, .kind = RAW_GREW
			};
			grew.grew.file = (uint32_t)(entry - c->files);
			grew.grew.size = seen.size;
			add_locked(c, &grew);
		}
		if (entry->last_size == TRACE_SIZE_UNKNOWN)
			entry->file.size = seen.size;
		entry->last_size = seen.size;
	}
	if (entry) {
		if (entry->generation == GENERATION_UNKNOWN)
			entry->generation = generation;
		number = (uint32_t)(entry - c->files);
	} else {
		capture_incomplete(c);
	}
	pthread_mutex_unlock(&c->lock);
	return number;
}
