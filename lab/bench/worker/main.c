/*
 * main.c - quire-model: one workload on one number of modelled CPUs, one line of JSON. `quire bench` calls
 * it.
 *
 *	quire-model WORKLOAD LOCKS CPUS PAGES ROUNDS INSTRUCTION TRANSFER IPI LINES
 *
 * LOCKS is vma or single; costs are in picoseconds; LINES says how many of the dearest cache lines are
 * wanted.
 *
 * All CPUs run one address space, in which each has a mapping of PAGES pages to itself, with tables to
 * itself. The first round, in which tables come and caches fill, is not counted.
 */
#include "lab/bench/workload.h"
#include "lab/source.h"
#include "machines/model/model.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS = 9, DEAREST = 32 };

struct work {
	struct quire_mm *mm;
	const struct workload *load;
	uint64_t pages, rounds;
	unsigned cpus;
};

static void fail(const char *what, int64_t err)
{
	fprintf(stderr, "quire-model: %s: error %lld\n", what, (long long)-err);
	exit(1);
}

static void map(struct quire_cpu **cpu, const struct work *work, unsigned id)
{
	struct quire_mmap map = workload_map(id, work->pages);
	int64_t got = quire_mmap(cpu, work->mm, &map);

	if (got < 0)
		fail("mmap", got);
}

static void set_scene(struct quire_cpu **cpu, void *argument)
{
	struct work *work = argument;
	int err = quire_mm_create(cpu, &work->mm);

	if (err)
		fail("an address space", err);
	for (unsigned id = 0; id < work->cpus; id++)
		map(cpu, work, id);
}

static void enter(struct quire_cpu **cpu, void *argument)
{
	struct work *work = argument;

	quire_cpu_run(*cpu, work->mm);
}

static void touch(struct quire_cpu **cpu, void *argument)
{
	const struct work *work = argument;
	quire_vaddr at = workload_place((*cpu)->id, work->pages);

	for (uint64_t page = 0; page < work->pages; page++, at += QUIRE_PAGE_SIZE) {
		struct quire_fault fault;
		int err = quire_fault(cpu, work->mm, at, QUIRE_ACCESS_WRITE | QUIRE_ACCESS_ABSENT, &fault);

		if (err)
			fail("fault", err);
		model_quiescent(*cpu);
	}
}

static void drop(struct quire_cpu **cpu, void *argument)
{
	const struct work *work = argument;
	unsigned id = (*cpu)->id;
	quire_vaddr at = workload_place(id, work->pages), length = work->pages * QUIRE_PAGE_SIZE;
	int err = work->load->unmaps ? quire_munmap(cpu, work->mm, at, length)
				     : quire_madvise(cpu, work->mm, at, length, QUIRE_MADV_DONTNEED);

	if (err)
		fail("dropping the pages", err);
	if (work->load->unmaps)
		map(cpu, work, id);
	model_quiescent(*cpu);
}

static void loop(struct quire_cpu **cpu, void *argument)
{
	const struct work *work = argument;

	for (uint64_t round = 0; round < work->rounds; round++) {
		touch(cpu, argument);
		drop(cpu, argument);
	}
}

static uint64_t together(struct work *work)
{
	model_counting(true);
	return model_run(loop, work);
}

/* Nothing is dropped while others fault: faults alone. */
static uint64_t in_turns(struct work *work)
{
	uint64_t spent = 0;

	for (uint64_t round = 0; round < work->rounds; round++) {
		model_counting(true);
		spent += model_run(touch, work);
		model_counting(false);
		model_run(drop, work);
	}
	return spent;
}

static json_t *line_json(const struct model_line *line)
{
	json_t *uses = json_array();

	for (unsigned i = 0; i < MODEL_USES && line->use[i].code; i++)
		json_array_append_new(uses, json_pack("{s:s,s:I,s:I}", "code", source_line(line->use[i].code),
						      "transfers", (json_int_t)line->use[i].transfers, "ps",
						      (json_int_t)line->use[i].waited));
	return json_pack("{s:I,s:I,s:o}", "transfers", (json_int_t)line->transfers, "ps",
			 (json_int_t)line->waited, "uses", uses);
}

static json_t *dearest(unsigned most)
{
	struct model_line lines[DEAREST];
	unsigned count = most ? model_dearest(lines, most < DEAREST ? most : DEAREST) : 0;
	json_t *all = json_array();

	for (unsigned i = 0; i < count; i++)
		for (unsigned use = 0; use < MODEL_USES; use++)
			source_want(lines[i].use[use].code);
	source_resolve();
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(all, line_json(&lines[i]));
	return all;
}

static void report(const struct work *work, uint64_t spent, unsigned most)
{
	struct model_counts counts = model_count();
	json_t *all = json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "accesses_meant",
				MODEL_FAULT_ACCESSES, "faults",
				(json_int_t)(work->cpus * work->pages * work->rounds), "ps",
				(json_int_t)spent, "accesses", (json_int_t)counts.accesses, "transfers",
				(json_int_t)counts.transfers, "waited_ps", (json_int_t)counts.waited, "ipis",
				(json_int_t)counts.ipis, "sleeps", (json_int_t)counts.sleeps, "lines",
				dearest(most));

	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

int main(int argc, char **argv)
{
	uint64_t number[ARGUMENTS] = { 0 };

	if (argc != ARGUMENTS + 1) {
		fprintf(stderr, "quire-model: `quire bench` runs this\n");
		return 2;
	}
	for (int i = 2; i < ARGUMENTS; i++)
		number[i] = strtoull(argv[i + 1], NULL, 10);

	struct work work = { .load = workload_find(argv[1]),
			     .cpus = (unsigned)number[2],
			     .pages = number[3],
			     .rounds = number[4] };
	struct model_config config = {
		.cpus = work.cpus,
		.frames = workload_frames(work.cpus, work.pages),
		.without_vma_locks = strcmp(argv[2], "single") == 0,
		.costs = { number[5], number[6], number[7] },
	};
	int err = model_create(&config);

	if (err)
		fail("the model", err);
	model_set_up(set_scene, &work);
	model_run(enter, &work);
	model_run(touch, &work);
	model_run(drop, &work);
	uint64_t spent = work.load->together ? together(&work) : in_turns(&work);
	report(&work, spent, (unsigned)number[8]);
	return 0;
}
