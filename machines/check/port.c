/*
 * port.c - the rest of port.h: objects, spin locks, fences, failure. The parts that make a file of their own
 * are listed in inside.h.
 */
#include "inside.h"

#include <stdlib.h>

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	(void)cpu;
	return heap_alloc(bytes, __builtin_return_address(0));
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
