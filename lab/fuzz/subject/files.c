/*
 * files.c - the files of a sequence, as they are at its beginning, and the disk behind one.
 */
#include "inside.h"

#include <string.h>

static int disk_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	memset(page, 0, WIRE_PAGE);
	if (index < STORE_PAGES)
		memcpy(page, disk->bytes + index * WIRE_PAGE, WIRE_PAGE);
	return 0;
}

static int disk_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (index >= STORE_PAGES)
		return -QUIRE_ENOSPC;
	memcpy(disk->bytes + index * WIRE_PAGE, page, WIRE_PAGE);
	return 0;
}

static int disk_make_writable(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index)
{
	(void)cpu;
	(void)file;
	(void)data;
	return index < STORE_PAGES ? 0 : -QUIRE_ENOSPC;
}

static int disk_clear(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (end > sizeof(disk->bytes))
		end = sizeof(disk->bytes);
	if (start < end)
		memset(disk->bytes + start, 0, end - start);
	return 0;
}

static int disk_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	return disk_clear(cpu, file, data, bytes, UINT64_MAX);
}

static const struct quire_store disk_store = {
	.read = disk_read,
	.write = disk_write,
	.make_writable = disk_make_writable,
	.resize = disk_resize,
	.punch = disk_clear,
};

static int make_file(struct subject *subject, struct quire_cpu **cpu, const struct wire_file *file)
{
	uint64_t *words = (uint64_t *)subject->buffer;
	struct quire_file **out = &subject->files[file->file];
	int error;

	if (file->regular)
		error = quire_file_create(cpu, &disk_store, &subject->disk,
					  QUIRE_FILE_READ | QUIRE_FILE_WRITE, 0, file->file + 1u, out);
	else
		error = quire_file_create_ram(cpu, 0, file->file + 1u, out);
	if (error)
		return error;
	for (uint64_t at = 0; at < file->bytes; at += WIRE_PAGE) {
		uint64_t bytes = file->bytes - at < WIRE_PAGE ? file->bytes - at : WIRE_PAGE;

		for (uint64_t w = 0; w < WIRE_PAGE / 8; w++)
			words[w] = wire_file_word(file->file, at / 8 + w);
		if (quire_file_write(cpu, *out, at, words, bytes) != (int64_t)bytes)
			return -QUIRE_ENOMEM;
	}
	subject->names.file[file->file] = (uint64_t)(uintptr_t)*out;
	return 0;
}

int make_files(struct subject *subject, struct quire_cpu **cpu)
{
	memset(&subject->disk, 0, sizeof(subject->disk));
	for (unsigned i = 0; i < WIRE_FILES; i++) {
		int error = wire_files[i].writable ? make_file(subject, cpu, &wire_files[i]) : 0;

		if (error)
			return error;
	}
	return 0;
}

struct quire_file *file_of(struct subject *subject, unsigned descriptor)
{
	return subject->files[wire_files[descriptor].file];
}
