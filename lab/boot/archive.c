/*
 * archive.c - packs files for the kernel: a cpio archive of the "newc" kind, as initial RAM file systems are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/boot/boot.h"

static void complain(struct archive *archive, const char *path)
{
	fprintf(stderr, "quire boot: %s: %s\n", path, strerror(errno));
	archive->failed = true;
}

static void pad(struct archive *archive, size_t bytes)
{
	for (; bytes % 4; bytes++)
		fputc(0, archive->file);
}

void archive_add(struct archive *archive, const char *name, uint32_t mode, const void *data, size_t bytes)
{
	size_t name_bytes = strlen(name) + 1;

	if (bytes > UINT32_MAX || (uint64_t)ftello(archive->file) + bytes > archive->most) {
		if (!archive->failed)
			fprintf(stderr, "quire boot: %s: too large for the machine's memory (--memory)\n",
				name);
		archive->failed = true;
		return;
	}
	fprintf(archive->file, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		archive->number++, mode, 0, 0, 1, 0, (unsigned)bytes, 0, 0, 0, 0, (unsigned)name_bytes, 0);
	fwrite(name, name_bytes, 1, archive->file);
	pad(archive, 110 + name_bytes);
	if (bytes)
		fwrite(data, bytes, 1, archive->file);
	pad(archive, bytes);
}

void archive_add_file(struct archive *archive, const char *path, const char *name)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;

	if (fd < 0 || fstat(fd, &stat) < 0) {
		complain(archive, path);
		if (fd >= 0)
			close(fd);
		return;
	}
	void *data = stat.st_size ? mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	if (data == MAP_FAILED) {
		complain(archive, path);
	} else {
		archive_add(archive, name, stat.st_mode, data, (size_t)stat.st_size);
		if (data)
			munmap(data, (size_t)stat.st_size);
	}
	close(fd);
}

static void add_link(struct archive *archive, const char *path, const char *name)
{
	char to[PATH_MAX];
	ssize_t length = readlink(path, to, sizeof(to));

	if (length < 0)
		complain(archive, path);
	else
		archive_add(archive, name, S_IFLNK | 0777, to, (size_t)length);
}

/* @name is the directory's in the archive, "" for the root. */
static void add_directory(struct archive *archive, const char *path, const char *name)
{
	DIR *directory = opendir(path);

	if (!directory) {
		complain(archive, path);
		return;
	}
	for (struct dirent *entry; !archive->failed && (entry = readdir(directory)) != NULL;) {
		char *member, *within;
		struct stat stat;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (asprintf(&member, "%s/%s", path, entry->d_name) < 0 ||
		    asprintf(&within, "%s%s%s", name, *name ? "/" : "", entry->d_name) < 0)
			abort();
		if (lstat(member, &stat) < 0) {
			complain(archive, member);
		} else if (S_ISDIR(stat.st_mode)) {
			archive_add(archive, within, stat.st_mode, NULL, 0);
			add_directory(archive, member, within);
		} else if (S_ISREG(stat.st_mode)) {
			archive_add_file(archive, member, within);
		} else if (S_ISLNK(stat.st_mode)) {
			add_link(archive, member, within);
		}
		free(member);
		free(within);
	}
	closedir(directory);
}

void archive_add_tree(struct archive *archive, const char *root)
{
	add_directory(archive, root, "");
}

void archive_end(struct archive *archive)
{
	archive_add(archive, "TRAILER!!!", 0, NULL, 0);
	if (fflush(archive->file) || ferror(archive->file)) {
		fprintf(stderr, "quire boot: cannot write the archive of files: %s\n", strerror(errno));
		archive->failed = true;
	}
}
