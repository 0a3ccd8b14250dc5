/*
 * object.c - small objects from the port, counted.
 *
 * Everything in the core that is not a frame comes from here, so that after the last exit one number says
 * whether anything was lost (BASE-4). Each CPU counts its own, modulo 2^64, so that they share no line; only
 * the sum is a number of objects.
 *
 * Order:   callable under any lock; takes none. object_free() also in RCU callbacks.
 * Errors:  object_alloc() returns NULL, with nothing counted.
 */
#include "object.h"

#include "memory.h"

void *object_alloc_raw(struct quire_cpu *cpu, size_t bytes)
{
	void *object = quire_port_alloc(cpu, bytes);

	if (object)
		atomic_fetch_add_explicit(&cpu->objects, 1, memory_order_relaxed);
	return object;
}

void *object_alloc(struct quire_cpu *cpu, size_t bytes)
{
	void *object = object_alloc_raw(cpu, bytes);

	return object ? memset(object, 0, bytes) : NULL;
}

void object_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	atomic_fetch_sub_explicit(&cpu->objects, 1, memory_order_relaxed);
	quire_port_free(cpu, object, bytes);
}

uint64_t object_count(struct quire *quire)
{
	uint64_t count = 0;

	for (unsigned id = 0; id < QUIRE_MAX_CPUS; id++) {
		/* Acquire pairs with the release with which the CPU was published. */
		struct quire_cpu *cpu = atomic_load_explicit(&quire->cpus[id], memory_order_acquire);

		if (cpu)
			count += atomic_load_explicit(&cpu->objects, memory_order_relaxed);
	}
	return count;
}
