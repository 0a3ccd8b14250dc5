/*
 * ops.c - operations on memory by one CPU of the hosted machine: bench/hosted/run counts their instructions.
 *
 *	ops OPERATION PAGES
 *
 * Only what measured() does counts. Its own instructions, and those of calls on a whole range, are the same
 * for any number of pages: the difference of two runs, divided by that of their pages, is what a page costs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted.h"

#define RW (QUIRE_PROT_READ | QUIRE_PROT_WRITE)
#define PLACE ((QUIRE_USER_END / 4) & ~(QUIRE_HUGE_SIZE - 1))

struct scene {
	const struct operation *operation;
	quire_vaddr bytes;
	struct quire_mm *mm, *child;
};

struct operation {
	const char *name;
	void (*before)(struct quire_cpu **cpu, struct scene *s),
		(*run)(struct quire_cpu **cpu, struct scene *s);
};

static void must(const char *what, int64_t result)
{
	if (result >= 0)
		return;
	fprintf(stderr, "%s: %lld\n", what, (long long)result);
	exit(1);
}

static void map(struct quire_cpu **cpu, struct scene *s, quire_vaddr bytes)
{
	struct quire_mmap map = { .addr = PLACE,
				  .length = bytes,
				  .prot = RW,
				  .flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED };

	must("mmap", quire_mmap(cpu, s->mm, &map));
}

static void map_all(struct quire_cpu **cpu, struct scene *s)
{
	map(cpu, s, s->bytes);
}

static void load_all(struct quire_cpu **cpu, struct scene *s)
{
	struct quire_fault fault;
	char byte;

	for (quire_vaddr at = 0; at < s->bytes; at += QUIRE_PAGE_SIZE)
		must("load", hosted_load(cpu, s->mm, PLACE + at, &byte, 1, &fault));
}

static void store_all(struct quire_cpu **cpu, struct scene *s)
{
	struct quire_fault fault;
	char byte = 1;

	for (quire_vaddr at = 0; at < s->bytes; at += QUIRE_PAGE_SIZE)
		must("store", hosted_store(cpu, s->mm, PLACE + at, &byte, 1, &fault));
}

static void map_and_load(struct quire_cpu **cpu, struct scene *s)
{
	map_all(cpu, s);
	load_all(cpu, s);
}

static void map_and_store(struct quire_cpu **cpu, struct scene *s)
{
	map_all(cpu, s);
	store_all(cpu, s);
}

static void fork_it(struct quire_cpu **cpu, struct scene *s)
{
	must("fork", quire_fork(cpu, s->mm, &s->child));
}

static void map_store_and_fork(struct quire_cpu **cpu, struct scene *s)
{
	map_and_store(cpu, s);
	fork_it(cpu, s);
}

static void end_child(struct quire_cpu **cpu, struct scene *s)
{
	quire_mm_put(cpu, s->child);
	s->child = NULL;
}

static void protect_all(struct quire_cpu **cpu, struct scene *s)
{
	must("mprotect", quire_mprotect(cpu, s->mm, PLACE, s->bytes, QUIRE_PROT_READ));
	must("mprotect", quire_mprotect(cpu, s->mm, PLACE, s->bytes, RW));
}

static void unmap_all(struct quire_cpu **cpu, struct scene *s)
{
	must("munmap", quire_munmap(cpu, s->mm, PLACE, s->bytes));
}

static void nothing(struct quire_cpu **cpu, struct scene *s)
{
	(void)cpu, (void)s;
}

static void map_unmap(struct quire_cpu **cpu, struct scene *s)
{
	for (quire_vaddr done = 0; done < s->bytes; done += QUIRE_PAGE_SIZE) {
		map(cpu, s, QUIRE_PAGE_SIZE);
		must("munmap", quire_munmap(cpu, s->mm, PLACE, QUIRE_PAGE_SIZE));
	}
}

static void map_touch_unmap(struct quire_cpu **cpu, struct scene *s)
{
	struct quire_fault fault;
	char byte = 1;

	for (quire_vaddr done = 0; done < s->bytes; done += QUIRE_PAGE_SIZE) {
		map(cpu, s, QUIRE_PAGE_SIZE);
		must("store", hosted_store(cpu, s->mm, PLACE, &byte, 1, &fault));
		must("munmap", quire_munmap(cpu, s->mm, PLACE, QUIRE_PAGE_SIZE));
	}
}

static const struct operation operations[] = {
	{ "read", map_all, load_all },
	{ "write", map_all, store_all },
	{ "write_after_read", map_and_load, store_all },
	{ "fork", map_and_store, fork_it },
	{ "exit", map_store_and_fork, end_child },
	{ "cow", map_store_and_fork, store_all },
	{ "protect", map_and_store, protect_all },
	{ "unmap", map_and_store, unmap_all },
	{ "map_unmap", nothing, map_unmap },
	{ "map_touch_unmap", nothing, map_touch_unmap },
};

/* Callgrind finds it by its name. */
void measured(struct quire_cpu **cpu, struct scene *s);
__attribute__((noinline)) void measured(struct quire_cpu **cpu, struct scene *s)
{
	s->operation->run(cpu, s);
	__asm__ volatile("" : : : "memory"); /* or it were a jump */
}

static void perform(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	must("mm_create", quire_mm_create(cpu, &s->mm));
	quire_cpu_run(*cpu, s->mm);
	s->operation->before(cpu, s);
	measured(cpu, s);
	quire_cpu_leave(*cpu);
	if (s->child)
		quire_mm_put(cpu, s->child);
	quire_mm_put(cpu, s->mm);
}

int main(int argc, char **argv)
{
	struct hosted_config config = { .cpus = 1, .memory_bytes = 64ull << 20 };
	struct scene scene = { .bytes = argc == 3 ? strtoul(argv[2], NULL, 10) * QUIRE_PAGE_SIZE : 0 };
	struct hosted *machine;

	for (size_t i = 0; scene.bytes && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcmp(argv[1], operations[i].name) == 0)
			scene.operation = &operations[i];
	if (!scene.operation) {
		fprintf(stderr, "usage: ops OPERATION PAGES\n");
		return 2;
	}
	must("hosted_create", hosted_create(&config, &machine));
	hosted_run(machine, 0, perform, &scene);
	hosted_destroy(machine);
	return 0;
}
