/*
 * calls_threads.c - a call of the core's against a store.
 */
#include "calls_threads.h"

static struct quire_mm **child;

void col_munmap(struct quire_cpu **cpu)
{
	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "munmap", 7);
	int err = quire_munmap(cpu, scene_mm, X, QUIRE_PAGE_SIZE);
	machine_call_end(scene_machine, err != 0);
}

/* 1: both before the unmapping; 2: the load faults; 3: both fault; 0: what cannot be. */
void col_store_and_load(struct quire_cpu **cpu)
{
	struct machine_result stored = machine_store(scene_machine, cpu, scene_mm, X, 8, 9);
	struct machine_result loaded = machine_load(scene_machine, cpu, scene_mm, X, 8);

	if (!stored.signal && !loaded.signal && loaded.value == 9)
		scene_find(1);
	else if (loaded.signal)
		scene_find(stored.signal ? 3 : 2);
}

void setup_fork(void)
{
	child = machine_memory(scene_machine, sizeof(*child));
}

/* The child sees the store, or does not; and it is gone when the column ends. */
void col_fork(struct quire_cpu **cpu)
{
	uint64_t seen = 0;

	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "fork", 0);
	int err = quire_fork(cpu, scene_mm, child);
	machine_call_end(scene_machine, err != 0);
	if (err)
		return;
	quire_copy_from(cpu, *child, &seen, X, 8);
	scene_find(seen == 7 ? 1 : seen == 9 ? 2 : 0);
	quire_mm_put(cpu, *child);
}

void col_store(struct quire_cpu **cpu)
{
	machine_store(scene_machine, cpu, scene_mm, X, 8, 9);
}
