/*
 * hostfile.c - files of the host as backing stores.
 *
 * Pages pass through a buffer: programs may be writing to a page through mappings while it is written
 * back, and the host's calls know nothing of that. While a call to the host blocks, the CPU counts as
 * asleep, so that nobody waits for the disk to flush a TLB.
 *
 * Order:   under the page's folio lock, as quire/file.h says; no lock of its own.
 * Errors:  the host's errno, negated; its values are the ones in quire/abi.h.
 * Rules:   BASE-5.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct host_file {
	int fd;
};

static int fd_of(void *data)
{
	return ((struct host_file *)data)->fd;
}

/* Read until @bytes or the end; the number read, or a negative errno. */
static ssize_t read_whole(int fd, char *to, size_t bytes, uint64_t at)
{
	size_t have = 0;

	while (have < bytes) {
		ssize_t got = pread(fd, to + have, bytes - have, (off_t)(at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int write_whole(int fd, const char *from, size_t bytes, uint64_t at)
{
	while (bytes) {
		ssize_t put = pwrite(fd, from, bytes, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put ? -errno : -EIO;
		from += put;
		at += (size_t)put;
		bytes -= (size_t)put;
	}
	return 0;
}

static int host_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	char buffer[QUIRE_PAGE_SIZE];

	(void)file;
	cpu_outside(hosted_cpu_of(*cpu));
	ssize_t got = read_whole(fd_of(data), buffer, sizeof(buffer), index << QUIRE_PAGE_SHIFT);
	cpu_inside(hosted_cpu_of(*cpu));
	if (got < 0)
		return (int)got;
	memset(buffer + got, 0, sizeof(buffer) - (size_t)got);
	quire_port_copy(page, buffer, sizeof(buffer));
	return 0;
}

/* What lies past the file's end stays out of the host's file. */
static int host_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	char buffer[QUIRE_PAGE_SIZE];
	uint64_t at = index << QUIRE_PAGE_SHIFT;
	uint64_t size = quire_file_size(file);

	if (at >= size)
		return 0;
	size_t bytes = size - at < sizeof(buffer) ? size - at : sizeof(buffer);
	quire_port_copy(buffer, page, sizeof(buffer));
	cpu_outside(hosted_cpu_of(*cpu));
	int err = write_whole(fd_of(data), buffer, bytes, at);
	cpu_inside(hosted_cpu_of(*cpu));
	return err;
}

static int host_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	(void)file;
	cpu_outside(hosted_cpu_of(*cpu));
	int err = ftruncate(fd_of(data), (off_t)bytes) ? -errno : 0;
	cpu_inside(hosted_cpu_of(*cpu));
	return err;
}

/* For hosts' file systems that have no holes. */
static int write_zeroes(int fd, uint64_t start, uint64_t end)
{
	static const char zeroes[QUIRE_PAGE_SIZE];
	int err = 0;

	for (; start < end && !err; start += sizeof(zeroes)) {
		size_t bytes = end - start < sizeof(zeroes) ? end - start : sizeof(zeroes);

		err = write_whole(fd, zeroes, bytes, start);
	}
	return err;
}

static int host_punch(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	uint64_t size = quire_file_size(file);
	int err = 0;

	if (end > size)
		end = size;
	if (start >= end)
		return 0;
	cpu_outside(hosted_cpu_of(*cpu));
	if (fallocate(fd_of(data), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
		      (off_t)(end - start)))
		err = errno == EOPNOTSUPP ? write_zeroes(fd_of(data), start, end) : -errno;
	cpu_inside(hosted_cpu_of(*cpu));
	return err;
}

static void host_release(struct quire_cpu **cpu, struct quire_file *file, void *data)
{
	(void)cpu;
	(void)file;
	close(fd_of(data));
	free(data);
}

static const struct quire_store host_store = {
	.read = host_read,
	.write = host_write,
	.resize = host_resize,
	.punch = host_punch,
	.release = host_release,
};

static int open_host(const char *path, bool writable, struct stat *status)
{
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, status)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int hosted_file_open(struct quire_cpu **cpu, const char *path, bool writable, struct quire_file **out)
{
	struct stat status;
	uint32_t flags = QUIRE_FILE_READ | (writable ? QUIRE_FILE_WRITE : 0);
	int fd = open_host(path, writable, &status);

	if (fd < 0)
		return fd;
	struct host_file *host = malloc(sizeof(*host));
	int err = -QUIRE_ENOMEM;
	if (!host)
		goto close;
	host->fd = fd;
	err = quire_file_create(cpu, &host_store, host, flags, (uint64_t)status.st_size,
				(uint64_t)status.st_dev << 40 ^ (uint64_t)status.st_ino, out);
	if (!err)
		return 0;
	free(host);
close:
	close(fd);
	return err;
}
