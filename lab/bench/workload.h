/*
 * workload.h - what `quire bench scale` lets CPUs do, on the host's threads and on modelled CPUs alike.
 *
 * Every CPU has a mapping of its own in the one address space: it touches all pages, drops them, and begins
 * again. Between two mappings there is a gap, so that they do not merge, and no two share a table.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <quire/mm.h>

#include <string.h>

struct workload {
	const char *name, *what;
	bool together; /* dropping counts too, and others fault meanwhile */
	bool unmaps;   /* munmap() and mmap(), not madvise(MADV_DONTNEED) */
};

static const struct workload workloads[] = {
	{ "faults", "all CPUs touch their pages; then, not counted, all drop them", false, false },
	{ "dontneed", "each CPU touches its pages, drops them by MADV_DONTNEED, and so on", true, false },
	{ "remap", "each CPU touches its pages, unmaps them, maps anew, and so on", true, true },
};

enum { WORKLOADS = sizeof(workloads) / sizeof(workloads[0]) };

/* NULL: there is none of that name. */
static inline const struct workload *workload_find(const char *name)
{
	for (unsigned i = 0; i < WORKLOADS; i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}

static inline quire_vaddr workload_place(unsigned id, uint64_t pages)
{
	uint64_t tables = (pages + QUIRE_TABLE_ENTRIES - 1) / QUIRE_TABLE_ENTRIES;

	return QUIRE_LEVEL_SIZE(2) + id * (tables + 1) * QUIRE_LEVEL_SIZE(1);
}

static inline struct quire_mmap workload_map(unsigned id, uint64_t pages)
{
	return (struct quire_mmap){
		.addr = workload_place(id, pages),
		.length = pages * QUIRE_PAGE_SIZE,
		.prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
		.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED,
	};
}

/* With tables, and so much more that memory is not scarce. */
static inline uint64_t workload_frames(unsigned cpus, uint64_t pages)
{
	return 10 * cpus * pages + 1024ul * cpus + 4096;
}

#endif
