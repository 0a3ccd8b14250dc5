/*
 * shared.c - memory behind shared anonymous mappings: a file in memory, with no name.
 *
 * It is committed for once, whole, when the mapping is made (unless with MAP_NORESERVE), whoever else comes
 * to map it by fork; what was committed is given back when the last mapping is gone. The file's data word
 * says whether there was anything.
 *
 * Rules:   BASE-1 (overcommit), BASE-4.
 */
#include "shared.h"

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

static void give_back(struct quire_cpu **cpu, struct quire_file *file, void *data)
{
	if (data)
		commit_uncharge(*cpu, page_of(quire_file_size(file)));
}

static const struct quire_store shared_store = {
	.read = read_hole,
	.punch = punch_hole,
	.release = give_back,
};

int shared_memory_create(struct quire_cpu **cpu, uint64_t bytes, struct quire_file **out)
{
	return quire_file_create(cpu, &shared_store, NULL,
				 QUIRE_FILE_READ | QUIRE_FILE_WRITE | QUIRE_FILE_RAM, bytes, 0, out);
}

int shared_memory_commit(struct quire_cpu *cpu, struct quire_file *file)
{
	int err = commit_charge(cpu, page_of(quire_file_size(file)));
	if (!err)
		file->data = file;
	return err;
}
