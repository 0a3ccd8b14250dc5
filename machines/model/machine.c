/*
 * machine.c - putting the model together, and giving its CPUs jobs.
 *
 *	region:	frames | metadata | small objects | stacks
 *
 * A CPU's coroutine lives from the first job to the end of the process: it sleeps until there is a job, does
 * it, and sleeps again, serving IPIs all the while. What the process has made goes with it.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct model model_now;

/* Of a job's end: the last one's is the job's. */
static uint64_t ended;

static void cpu_main(void *argument)
{
	struct model_cpu *me = argument;

	for (;;) {
		turn_sleep(me);
		me->idle = false;
		struct quire_cpu *cpu = me->cpu;
		model_now.job(&cpu, model_now.argument);
		if (ended < me->clock)
			ended = me->clock;
		me->idle = true;
	}
}

static size_t round_up(size_t bytes)
{
	return (bytes + QUIRE_PAGE_SIZE - 1) & QUIRE_PAGE_MASK;
}

static int create_region(struct model *model)
{
	size_t metadata = round_up(quire_metadata_bytes(model->config.frames));
	size_t stacks = (size_t)MODEL_STACK * model->config.cpus;

	model->memory_bytes = model->config.frames << QUIRE_PAGE_SHIFT;
	model->region_bytes = model->memory_bytes + metadata + MODEL_HEAP + stacks;
	void *region = mmap(NULL, model->region_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (region == MAP_FAILED)
		return -QUIRE_ENOMEM;
	model->region = model->memory = region;
	model->metadata = model->memory + model->memory_bytes;
	model->heap = model->metadata + metadata;
	model->heap_end = model->stacks = model->heap + MODEL_HEAP;
	return lines_create(model);
}

static int create_cpus(struct model *model)
{
	for (unsigned id = 0; id < model->config.cpus; id++) {
		struct model_cpu *cpu = calloc(1, sizeof(*cpu));

		if (!cpu)
			return -QUIRE_ENOMEM;
		model->cpu[id] = cpu;
		cpu->id = id;
		cpu->idle = true;
	}
	return 0;
}

static int create_core(struct model *model)
{
	struct quire_config config = {
		.memory = model->memory,
		.frames = model->config.frames,
		.metadata = model->metadata,
		.overcommit = QUIRE_OVERCOMMIT_ALWAYS,
		.without_vma_locks = model->config.without_vma_locks,
		.mmap_min_addr = QUIRE_PAGE_SIZE,
	};
	/* The first CPU's objects are allocated before it is known by its handle. */
	int err = quire_create(&config, model->cpu[0], &model->quire, &model->cpu[0]->cpu);

	for (unsigned id = 1; id < model->config.cpus && !err; id++)
		err = quire_cpu_create(model->cpu[0]->cpu, model->quire, id, model->cpu[id],
				       &model->cpu[id]->cpu);
	return err;
}

int model_create(const struct model_config *config)
{
	struct model *model = &model_now;

	model->config = *config;
	model->access_cost = config->costs.instruction * MODEL_FAULT_INSTRUCTIONS / MODEL_FAULT_ACCESSES;
	int err = create_region(model);
	if (!err)
		err = create_cpus(model);
	if (!err)
		err = create_core(model);
	if (err)
		return err;
	for (unsigned id = 0; id < config->cpus; id++)
		coroutine_prepare(&model->cpu[id]->coroutine, model->stacks + (size_t)id * MODEL_STACK,
				  MODEL_STACK, cpu_main, model->cpu[id]);
	return 0;
}

void model_set_up(model_job *job, void *argument)
{
	struct quire_cpu *cpu = model_now.cpu[0]->cpu;

	job(&cpu, argument);
}

uint64_t model_run(model_job *job, void *argument)
{
	uint64_t began = ended;

	for (unsigned id = 0; id < model_now.config.cpus; id++)
		if (began < model_now.cpu[id]->clock)
			began = model_now.cpu[id]->clock; /* handlers may have run after its job */
	model_now.job = job;
	model_now.argument = argument;
	ended = began;
	turn_begin(began);
	return ended - began;
}

void model_counting(bool on)
{
	model_now.counting = on;
}

struct model_counts model_count(void)
{
	struct model_counts sum = { 0 };

	for (unsigned id = 0; id < model_now.config.cpus; id++) {
		struct model_counts *counts = &model_now.cpu[id]->counts;

		sum.accesses += counts->accesses;
		sum.transfers += counts->transfers;
		sum.ipis += counts->ipis;
		sum.sleeps += counts->sleeps;
		sum.waited += counts->waited;
	}
	return sum;
}
