/*
 * memory.c - small objects, copies that tolerate races, the arena, and the ways of failing.
 *
 * Order:   no locks; any context.
 * Errors:  allocation returns NULL; hosted_fail_objects_after() makes it do so on purpose.
 */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- small objects ------------------------------------------------------------------------------ */

/* Before the first CPU exists, the core has none to name; the thread knows its machine. */
static struct hosted *machine_of(const struct quire_cpu *cpu)
{
	if (hosted_here)
		return hosted_here->machine;
	return hosted_cpu_of(cpu)->machine;
}

/* Counts down to the failure; the one that finds 0 fails, and turns it off. */
static bool must_fail(struct hosted *machine)
{
	uint64_t left = atomic_load_explicit(&machine->fail_after, memory_order_relaxed);

	while (left != UINT64_MAX) {
		uint64_t next = left ? left - 1 : UINT64_MAX;

		if (atomic_compare_exchange_weak_explicit(&machine->fail_after, &left, next,
							  memory_order_relaxed, memory_order_relaxed))
			return left == 0;
	}
	return false;
}

void hosted_fail_objects_after(struct hosted *machine, uint64_t succeed)
{
	atomic_store_explicit(&machine->fail_after, succeed, memory_order_relaxed);
}

static size_t object_size(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	struct hosted *machine = machine_of(cpu);

	if (must_fail(machine))
		return NULL;
	void *object = aligned_alloc(64, object_size(bytes));
	if (!object)
		return NULL;
#ifdef QUIRE_DEBUG
	memset(object, 0xa5, object_size(bytes)); /* so that who takes it for zeroes notices */
#endif
	watch_object(machine->watch, object, bytes);
	atomic_fetch_add_explicit(&machine->objects, 1, memory_order_relaxed);
	return object;
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	if (!object)
		return;
	atomic_fetch_sub_explicit(&machine_of(cpu)->objects, 1, memory_order_relaxed);
	watch_forget(machine_of(cpu)->watch, object);
#ifdef QUIRE_DEBUG
	memset(object, 0xdb, bytes); /* so that who still reads it notices */
#else
	(void)bytes;
#endif
	free(object);
}

/* ---- frames' contents --------------------------------------------------------------------------- */

#ifdef HOSTED_TSAN

/*
 * What other CPUs may be writing is touched by relaxed atomics, so that ThreadSanitizer knows that the
 * race is meant. The pieces are as large as the alignment of both sides allows.
 */
void quire_port_copy(void *to, const void *from, size_t bytes)
{
	_Atomic unsigned char *t = to;
	const _Atomic unsigned char *f = from;

	while (bytes) {
		size_t piece = 1;

		if ((((uintptr_t)t | (uintptr_t)f) & 7) == 0 && bytes >= 8) {
			piece = 8;
			atomic_store_explicit((_Atomic uint64_t *)(void *)t,
					      atomic_load_explicit((const _Atomic uint64_t *)(const void *)f,
								   memory_order_relaxed),
					      memory_order_relaxed);
		} else {
			atomic_store_explicit(t, atomic_load_explicit(f, memory_order_relaxed),
					      memory_order_relaxed);
		}
		t += piece;
		f += piece;
		bytes -= piece;
	}
}

void quire_port_zero(void *to, size_t bytes)
{
	_Atomic unsigned char *t = to;

	for (; bytes && (bytes < 8 || ((uintptr_t)t & 7)); t++, bytes--)
		atomic_store_explicit(t, 0, memory_order_relaxed);
	for (; bytes >= 8; t += 8, bytes -= 8)
		atomic_store_explicit((_Atomic uint64_t *)(void *)t, 0, memory_order_relaxed);
	for (; bytes; t++, bytes--)
		atomic_store_explicit(t, 0, memory_order_relaxed);
}

#else

void quire_port_copy(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

void quire_port_zero(void *to, size_t bytes)
{
	memset(to, 0, bytes);
}

#endif

/* ---- fences and failure ------------------------------------------------------------------------- */

#ifdef QUIRE_PORT_OWN_FENCE
void quire_port_fence(void)
{
	static _Atomic uint32_t word;

	atomic_fetch_add_explicit(&word, 1, memory_order_seq_cst);
}
#endif

_Noreturn void quire_port_panic(const char *file, int line, const char *condition)
{
	fprintf(stderr, "quire: %s:%d: does not hold on CPU %d: %s\n", file, line,
		hosted_here ? (int)hosted_here->id : -1, condition);
	abort();
}

bool quire_port_is_here(struct quire_cpu *cpu)
{
	return hosted_here && cpu->machine == hosted_here;
}

/* ---- the arena ---------------------------------------------------------------------------------- */

/* Memory that costs the host nothing until it is touched. */
static void *reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int memory_create(struct hosted *machine)
{
	struct quire_config *config = &machine->config.quire;

	config->frames = machine->config.memory_bytes >> QUIRE_PAGE_SHIFT;
	machine->memory_bytes = config->frames << QUIRE_PAGE_SHIFT;
	machine->metadata_bytes = quire_metadata_bytes(config->frames);
	machine->memory = reserve(machine->memory_bytes);
	machine->metadata = reserve(machine->metadata_bytes);
	config->memory = machine->memory;
	config->metadata = machine->metadata;
	return machine->memory && machine->metadata ? 0 : -QUIRE_ENOMEM;
}

void memory_destroy(struct hosted *machine)
{
	if (machine->memory)
		munmap(machine->memory, machine->memory_bytes);
	if (machine->metadata)
		munmap(machine->metadata, machine->metadata_bytes);
}
