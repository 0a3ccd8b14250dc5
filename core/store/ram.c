/*
 * ram.c - the store of files that are kept in memory: tmpfs, memfd, shared anonymous memory.
 *
 * The page cache is the only copy. A page that is read in is a hole and reads as zeroes; none is ever
 * written back; a hole is punched by dropping pages. Writes are not tracked: an entry may be writable from
 * its first fault on.
 *
 * Rules:   BASE-5.
 */
#include "file.h"

static int read_hole(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	(void)cpu;
	(void)file;
	(void)data;
	(void)index;
	quire_port_zero(page, QUIRE_PAGE_SIZE);
	return 0;
}

static int punch_hole(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	(void)cpu;
	(void)file;
	(void)data;
	(void)start;
	(void)end;
	return 0;
}

static const struct quire_store ram_store = {
	.read = read_hole,
	.punch = punch_hole,
};

int quire_file_create_ram(struct quire_cpu **cpu, uint64_t bytes, uint64_t id, struct quire_file **out)
{
	return quire_file_create(cpu, &ram_store, NULL, QUIRE_FILE_READ | QUIRE_FILE_WRITE | QUIRE_FILE_RAM,
				 bytes, id, out);
}
