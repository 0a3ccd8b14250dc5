/*
 * disk.c - see disk.h.
 */
#include "disk.h"

#include <stdlib.h>
#include <string.h>

static int disk_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	disk->reads++;
	if (disk->fail_read && (disk->fail_page < 0 || disk->fail_page == (int)index))
		return disk->fail_read;
	memcpy(page, disk->bytes + index * QUIRE_PAGE_SIZE, QUIRE_PAGE_SIZE);
	return 0;
}

static int disk_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	disk->writes++;
	if (disk->fail_write && (disk->fail_page < 0 || disk->fail_page == (int)index))
		return disk->fail_write;
	memcpy(disk->bytes + index * QUIRE_PAGE_SIZE, page, QUIRE_PAGE_SIZE);
	return 0;
}

static int disk_ask(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	(void)index;
	disk->asks++;
	return disk->refuse;
}

static int disk_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (disk->fail_resize)
		return disk->fail_resize;
	if (bytes > sizeof(disk->bytes))
		return -QUIRE_ENOSPC;
	if (bytes < disk->size)
		memset(disk->bytes + bytes, 0, sizeof(disk->bytes) - bytes);
	disk->size = bytes;
	return 0;
}

static int disk_punch(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (start < sizeof(disk->bytes))
		memset(disk->bytes + start, 0,
		       (end < sizeof(disk->bytes) ? end : sizeof(disk->bytes)) - start);
	return 0;
}

static void disk_release(struct quire_cpu **cpu, struct quire_file *file, void *data)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	disk->releases++;
}

static const struct quire_store disk_store = {
	.read = disk_read,
	.write = disk_write,
	.make_writable = disk_ask,
	.resize = disk_resize,
	.punch = disk_punch,
	.release = disk_release,
};

struct quire_file *disk_file(struct quire_cpu **cpu, struct disk *disk, unsigned pages)
{
	struct quire_file *file = NULL;

	memset(disk, 0, sizeof(*disk));
	disk->fail_page = -1;
	disk->size = pages * QUIRE_PAGE_SIZE;
	for (unsigned i = 0; i < pages; i++)
		memset(disk->bytes + i * QUIRE_PAGE_SIZE, 'a' + (int)i, QUIRE_PAGE_SIZE);
	if (quire_file_create(cpu, &disk_store, disk, QUIRE_FILE_READ | QUIRE_FILE_WRITE, disk->size, 7,
			      &file))
		return NULL;
	return file;
}

const char *draw_file(struct quire_cpu **cpu, struct quire_file *file)
{
	static char picture[64];
	static char page[QUIRE_PAGE_SIZE];
	unsigned at = 0;

	for (uint64_t pos = 0; pos < quire_file_size(file) && at < sizeof(picture) - 1;
	     pos += QUIRE_PAGE_SIZE) {
		int64_t got = quire_file_read(cpu, file, pos, page, QUIRE_PAGE_SIZE);
		char shown = got <= 0 ? '!' : page[0] ? page[0] : '.';
		for (int64_t i = 1; i < got; i++) {
			if (page[i] != page[0])
				shown = '?';
		}
		picture[at++] = shown;
	}
	picture[at] = 0;
	return picture;
}

const char *draw_cache(struct quire_cpu **cpu, struct quire_file *file)
{
	static char picture[64];
	unsigned at = 0;

	for (;
	     at < (quire_file_size(file) + QUIRE_PAGE_SIZE - 1) / QUIRE_PAGE_SIZE && at < sizeof(picture) - 1;
	     at++)
		picture[at] = quire_file_cached(*cpu, file, at) ? 'x' : '-';
	picture[at] = 0;
	return picture;
}

int64_t fill_file(struct quire_cpu **cpu, struct quire_file *file, unsigned first, unsigned pages,
		  char letter)
{
	char *buffer = malloc(pages * QUIRE_PAGE_SIZE);

	memset(buffer, letter, pages * QUIRE_PAGE_SIZE);
	int64_t done = quire_file_write(cpu, file, first * QUIRE_PAGE_SIZE, buffer, pages * QUIRE_PAGE_SIZE);
	free(buffer);
	return done;
}
