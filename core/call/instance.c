/*
 * instance.c - instances and CPUs: put the layers together, take them apart, and read what they count.
 */
#include "../base/assert.h"
#include "../base/bits.h"
#include "../base/memory.h"
#include "../base/object.h"
#include "../space/mm.h"
#include "../table/as.h"

static int check_config(const struct quire_config *config)
{
	bool bad = !config->memory || !config->metadata || config->frames < 8 ||
		   !is_aligned((uintptr_t)config->memory, QUIRE_PAGE_SIZE) ||
		   !is_aligned((uintptr_t)config->metadata, 64) ||
		   config->overcommit > QUIRE_OVERCOMMIT_NEVER ||
		   (config->fault_around_pages & (config->fault_around_pages - 1)) ||
		   config->fault_around_pages > QUIRE_TABLE_ENTRIES ||
		   !is_aligned(config->mmap_min_addr, QUIRE_PAGE_SIZE);
	return bad ? -QUIRE_EINVAL : 0;
}

static void set_defaults(struct quire_config *config)
{
	if (!config->max_map_count)
		config->max_map_count = 65530;
	if (!config->fault_around_pages)
		config->fault_around_pages = QUIRE_FAULT_AROUND;
	if (!config->overcommit_ratio)
		config->overcommit_ratio = 50;
}

/* Each layer's part of a CPU, and back. @boot is a CPU that can allocate. */
static int cpu_create_parts(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	int err = phys_cpu_create(boot, cpu);
	if (err)
		return err;
	err = tables_cpu_create(boot, cpu);
	if (err) {
		phys_cpu_destroy(cpu);
		return err;
	}
	err = spaces_cpu_create(boot, cpu);
	if (err) {
		tables_cpu_destroy(boot, cpu);
		phys_cpu_destroy(cpu);
	}
	return err;
}

static void cpu_destroy_parts(struct quire_cpu *boot, struct quire_cpu *cpu)
{
	spaces_cpu_destroy(boot, cpu);
	tables_cpu_destroy(boot, cpu);
	phys_cpu_destroy(cpu);
}

int quire_cpu_create(struct quire_cpu *boot, struct quire *quire, uint32_t id, void *machine,
		     struct quire_cpu **out)
{
	if (id >= QUIRE_MAX_CPUS || atomic_load_explicit(&quire->cpus[id], memory_order_relaxed))
		return -QUIRE_EINVAL;
	struct quire_cpu *cpu = object_alloc(boot, sizeof(*cpu));
	if (!cpu)
		return -QUIRE_ENOMEM;
	*cpu = (struct quire_cpu){ .quire = quire, .machine = machine, .id = id };
	int err = cpu_create_parts(boot, cpu);
	if (err) {
		object_free(boot, cpu, sizeof(*cpu));
		return err;
	}
	/* Before the CPU can set its bit in any mask: tlb.c. */
	atomic_fetch_or_explicit(&quire->mask_words, (2u << id / 64) - 1, memory_order_relaxed);
	/* Release pairs with the acquire of whoever looks a CPU up. */
	atomic_store_explicit(&quire->cpus[id], cpu, memory_order_release);
	*out = cpu;
	return 0;
}

/*
 * What every CPU rests on, in the order of the layers; undone in reverse by the caller's quire_destroy() or
 * here.
 */
static int create_layers(struct quire_cpu *cpu)
{
	int err = phys_create(cpu->quire);
	if (err)
		return err;
	err = phys_cpu_create(cpu, cpu);
	if (err)
		goto phys;
	err = tables_create(cpu);
	if (err)
		goto phys_cpu;
	err = tables_cpu_create(cpu, cpu);
	if (err)
		goto tables;
	err = spaces_create(cpu);
	if (err)
		goto tables_cpu;
	err = spaces_cpu_create(cpu, cpu);
	if (!err)
		return 0;
	spaces_destroy(cpu);
tables_cpu:
	tables_cpu_destroy(cpu, cpu);
tables:
	tables_destroy(cpu);
phys_cpu:
	phys_cpu_destroy(cpu);
phys:
	phys_destroy(cpu);
	return err;
}

int quire_create(const struct quire_config *config, void *machine, struct quire **out,
		 struct quire_cpu **boot)
{
	int err = check_config(config);
	if (err)
		return err;
	struct quire_cpu first = { .machine = machine };
	struct quire *quire = quire_port_alloc(&first, sizeof(*quire));
	struct quire_cpu *cpu = quire_port_alloc(&first, sizeof(*cpu));
	err = -QUIRE_ENOMEM;
	if (!quire || !cpu)
		goto free;
	memset(quire, 0, sizeof(*quire));
	quire->config = *config;
	set_defaults(&quire->config);
	*cpu = (struct quire_cpu){ .quire = quire, .machine = machine };
	err = create_layers(cpu);
	if (err)
		goto free;
	atomic_store_explicit(&quire->mask_words, 1, memory_order_relaxed);
	atomic_store_explicit(&quire->cpus[0], cpu, memory_order_release); /* as in quire_cpu_create() */
	*out = quire;
	*boot = cpu;
	return 0;
free:
	if (cpu)
		quire_port_free(&first, cpu, sizeof(*cpu));
	if (quire)
		quire_port_free(&first, quire, sizeof(*quire));
	return err;
}

/* @cpu must be the first CPU: the others go before it. */
void quire_destroy(struct quire_cpu **here)
{
	quire_port_rcu_barrier(here);
	struct quire_cpu *cpu = *here;
	struct quire *quire = cpu->quire;
	quire_assert(cpu->id == 0);
	for (unsigned id = 1; id < QUIRE_MAX_CPUS; id++) {
		struct quire_cpu *other = atomic_load_explicit(&quire->cpus[id], memory_order_acquire);
		if (!other)
			continue;
		cpu_destroy_parts(cpu, other);
		uint64_t objects = atomic_load_explicit(&other->objects, memory_order_relaxed);
		atomic_fetch_add_explicit(&cpu->objects, objects, memory_order_relaxed);
		object_free(cpu, other, sizeof(*other));
	}
	spaces_cpu_destroy(cpu, cpu);
	spaces_destroy(cpu);
	tables_cpu_destroy(cpu, cpu);
	tables_destroy(cpu);
	phys_cpu_destroy(cpu);
	phys_destroy(cpu);
	quire_assert(atomic_load_explicit(&cpu->objects, memory_order_relaxed) == 0);
	struct quire_cpu last = { .machine = cpu->machine };
	quire_port_free(&last, cpu, sizeof(*cpu));
	quire_port_free(&last, quire, sizeof(*quire));
	*here = NULL;
}

void quire_cpu_run(struct quire_cpu *cpu, struct quire_mm *mm)
{
	as_run(cpu, &mm->as);
}

void quire_cpu_idle(struct quire_cpu *cpu)
{
	as_idle(cpu);
}

void quire_cpu_leave(struct quire_cpu *cpu)
{
	as_leave(cpu);
}

void quire_stats_read(struct quire *quire, struct quire_stats *out)
{
	*out = (struct quire_stats){ 0 };
	struct phys_counts frames;
	phys_counts(quire, &frames);
	out->frames_total = frames.total;
	out->frames_free = frames.free;
	out->frames_reserved = frames.reserved;
	out->frames_peak = frames.peak;
	out->frames_tables = frames.kind[FOLIO_TABLE];
	out->frames_cached = frames.kind[FOLIO_FILE];
	out->objects = object_count(quire);
	fault_counts_sum(quire, out);
	struct tlb_counts tlb;
	tlb_counts(quire, &tlb);
	out->flushes_page = tlb.pages;
	out->flushes_full = tlb.full;
	out->shootdowns = tlb.shootdowns;
	out->ipis = tlb.ipis;
	out->tables_freed = tlb.tables_freed;
}
