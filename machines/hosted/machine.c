/*
 * machine.c - putting a hosted machine together and taking it apart.
 *
 * Everything that the core does happens on some CPU's thread, its creation and destruction too: they are
 * the first and the last job of CPU 0. The others' threads start after it and end before it; until then,
 * and from then on, they are CPUs asleep.
 *
 *	grace thread, CPU 0 start --> job: quire_create, quire_cpu_create... --> other CPUs start
 *	other CPUs end --> job: quire_destroy --> CPU 0, service CPU, grace thread end
 *
 * Order:   called from any thread that is no CPU.
 * Errors:  -QUIRE_ENOMEM, -QUIRE_EINVAL; whatever was made is taken down again.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAPS 65530u
#define DEFAULT_COMMIT_PERCENT 50u
#define DEFAULT_MIN_ADDRESS (16 * QUIRE_PAGE_SIZE)

static struct hosted_cpu *service_of(struct hosted *machine)
{
	return machine->cpus[machine->config.cpus];
}

static int check_config(const struct hosted_config *config)
{
	if (config->cpus < 1 || config->cpus > QUIRE_MAX_CPUS - 1)
		return -QUIRE_EINVAL;
	return config->memory_bytes >> QUIRE_PAGE_SHIFT ? 0 : -QUIRE_EINVAL;
}

static void fill_defaults(struct quire_config *config, bool maps_zero)
{
	if (!config->max_map_count)
		config->max_map_count = DEFAULT_MAPS;
	if (!config->overcommit_ratio)
		config->overcommit_ratio = DEFAULT_COMMIT_PERCENT;
	if (!config->mmap_min_addr && !maps_zero)
		config->mmap_min_addr = DEFAULT_MIN_ADDRESS;
}

/* ---- the core's side, on CPU 0 ------------------------------------------------------------------ */

struct build {
	struct hosted *machine;
	int err;
};

static void build_quire(struct quire_cpu **unused, void *argument)
{
	struct build *build = argument;
	struct hosted *machine = build->machine;
	struct hosted_cpu *boot = machine->cpus[0];

	(void)unused;
	build->err = quire_create(&machine->config.quire, boot, &machine->quire, &boot->cpu);
	for (unsigned id = 1; id < machine->count && !build->err; id++)
		build->err = quire_cpu_create(boot->cpu, machine->quire, id, machine->cpus[id],
					      &machine->cpus[id]->cpu);
}

static void unbuild_quire(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	quire_destroy(cpu);
}

/* ---- parts -------------------------------------------------------------------------------------- */

static int create_cpus(struct hosted *machine)
{
	machine->cpus = calloc(machine->config.cpus + 1, sizeof(*machine->cpus));
	if (!machine->cpus)
		return -QUIRE_ENOMEM;
	for (; machine->count < machine->config.cpus + 1; machine->count++) {
		int err = cpu_create(machine, machine->count, &machine->cpus[machine->count]);

		if (err)
			return err;
	}
	return 0;
}

static int start_core(struct hosted *machine)
{
	struct build build = { .machine = machine };
	int err = cpu_start(machine->cpus[0]);

	if (!err)
		err = cpu_start(service_of(machine));
	if (err)
		return err;
	hosted_run(machine, 0, build_quire, &build);
	return build.err;
}

static int start_cpus(struct hosted *machine)
{
	int err = 0;

	for (unsigned id = 1; id < machine->config.cpus && !err; id++)
		err = cpu_start(machine->cpus[id]);
	return err;
}

static void stop_core(struct hosted *machine)
{
	for (unsigned id = 1; id < machine->config.cpus; id++)
		cpu_stop(machine->cpus[id]);
	if (machine->cpus[0]->cpu)
		hosted_run(machine, 0, unbuild_quire, NULL);
	cpu_stop(machine->cpus[0]);
	cpu_stop(service_of(machine));
}

static void free_machine(struct hosted *machine)
{
	for (unsigned id = 0; id < machine->count; id++)
		cpu_destroy(machine->cpus[id]);
	free(machine->cpus);
	memory_destroy(machine);
	waits_destroy(machine);
	watch_destroy(machine->watch);
	pthread_cond_destroy(&machine->changed);
	pthread_mutex_destroy(&machine->lock);
	free(machine);
}

/* ---- whole -------------------------------------------------------------------------------------- */

static struct hosted *allocate(const struct hosted_config *config)
{
	struct hosted *machine = aligned_alloc(64, sizeof(*machine));

	if (!machine)
		return NULL;
	memset(machine, 0, sizeof(*machine));
	machine->config = *config;
	fill_defaults(&machine->config.quire, config->maps_zero);
	atomic_init(&machine->fail_after, UINT64_MAX);
	pthread_mutex_init(&machine->lock, NULL);
	pthread_cond_init(&machine->changed, NULL);
	waits_create(machine);
	machine->watch = watch_create();
	return machine;
}

int hosted_create(const struct hosted_config *config, struct hosted **out)
{
	int err = check_config(config);

	if (err)
		return err;
	struct hosted *machine = allocate(config);
	if (!machine)
		return -QUIRE_ENOMEM;
	err = memory_create(machine);
	if (!err)
		err = create_cpus(machine);
	if (!err)
		err = rcu_create(machine);
	if (err)
		goto free_parts;
	err = start_core(machine);
	if (!err)
		err = start_cpus(machine);
	if (err)
		goto stop;
	*out = machine;
	return 0;
stop:
	stop_core(machine);
	rcu_destroy(machine);
free_parts:
	free_machine(machine);
	return err;
}

void hosted_destroy(struct hosted *machine)
{
	hosted_wait(machine);
	stop_core(machine);
	rcu_destroy(machine);
#ifdef QUIRE_DEBUG
	uint64_t objects = atomic_load_explicit(&machine->objects, memory_order_relaxed);

	if (objects) {
		fprintf(stderr, "quire: %llu objects were never freed\n", (unsigned long long)objects);
		quire_port_panic(__FILE__, __LINE__, "every small object is back");
	}
#endif
	free_machine(machine);
}

struct quire *hosted_quire(struct hosted *machine)
{
	return machine->quire;
}

unsigned hosted_cpus(struct hosted *machine)
{
	return machine->config.cpus;
}

void hosted_counts(struct hosted *machine, struct hosted_counts *out)
{
	*out = (struct hosted_counts){ 0 };
	for (unsigned id = 0; id < machine->count; id++) {
		struct softmmu_counts *counts = &machine->cpus[id]->mmu.counts;

		out->accesses += atomic_load_explicit(&counts->translations, memory_order_relaxed);
		out->tlb_hits += atomic_load_explicit(&counts->hits, memory_order_relaxed);
		out->walks += atomic_load_explicit(&counts->walks, memory_order_relaxed);
		out->faults += atomic_load_explicit(&counts->faults, memory_order_relaxed);
		out->speculative_fills += atomic_load_explicit(&counts->speculative_fills,
							       memory_order_relaxed);
		out->evictions += atomic_load_explicit(&counts->evictions, memory_order_relaxed);
	}
}
