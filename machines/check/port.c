/*
 * port.c - the rest of port.h: objects, spin locks, fences, failure. The parts that make a file of their own
 * are listed in inside.h.
 */
#include "inside.h"

#include <stdlib.h>

/*
 * Who calls, by frame pointers, which the core is compiled with. Who calls the core may have none: what
 * stands there instead is followed only if it leads a little way up the same stack.
 */
static void find_sites(struct heap_sites *sites, const uintptr_t *frame)
{
	enum { FRAME_WORDS = 512, SITES = sizeof(sites->code) / sizeof(sites->code[0]) };
	const uintptr_t *above = frame;

	do {
		frame = above;
		sites->code[sites->count++] = (const void *)frame[1];
		above = (const uintptr_t *)frame[0];
	} while (sites->count < SITES && above > frame && above - frame < FRAME_WORDS &&
		 ((uintptr_t)above & (WORD - 1)) == 0);
}

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	struct heap_sites sites = { .count = 0 };

	(void)cpu;
	find_sites(&sites, __builtin_frame_address(0));
	return heap_alloc(bytes, &sites);
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	(void)cpu;
	if (object)
		heap_free(object, bytes);
}

void quire_port_fence(void)
{
	memory_fence(MO_SEQ_CST, __builtin_return_address(0));
}

void quire_spin_lock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	lock_exclusive(STEP_LOCK, (uintptr_t)&lock->word, HELD_SPIN);
}

bool quire_spin_trylock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	return lock_try_exclusive(STEP_TRYLOCK, (uintptr_t)&lock->word, HELD_SPIN);
}

void quire_spin_unlock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	unlock_exclusive(STEP_UNLOCK, (uintptr_t)&lock->word);
}

/* A violation ends the execution; after it, outside a run, there is nothing to go on with. */
_Noreturn void quire_port_panic(const char *file, int line, const char *condition)
{
	violation("%s:%d: does not hold: %s", file, line, condition);
	machine_escape();
	abort();
}

/* locks.c sees them all itself. */
void quire_port_lock_note(const void *lock, enum quire_lock_note note)
{
	(void)lock;
	(void)note;
}

bool quire_port_is_here(struct quire_cpu *cpu)
{
	return !engine_now || cpu_of(cpu)->id == cpu_of_thread(machine_now, self());
}
