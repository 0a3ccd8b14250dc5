/*
 * spin.c - spin locks: the kernel's own, and the core's, whose waiters halt when the wait is not short.
 *
 * Where CPUs are threads of a busy host, whoever has a lock may not be running, and those who spin for it
 * keep it from that; the more so as the core waits for other CPUs' flush with a table locked. So a CPU that
 * has spun in vain for a while halts, with interrupts on, and the lock's release interrupts it.
 *
 *	word: 0 free, 1 held, 2 held and perhaps somebody halts
 *
 *	a waiter				the release
 *	word = 2 (was it 0? then it is ours)	word = 0; it was 2?
 *	halts_for = lock			look for CPUs whose halts_for it is, interrupt them
 *	FULL FENCE
 *	word still 2? halt
 *
 * Either the waiter sees that the lock was released, or the release sees the waiter. Who had to wait takes
 * the lock with 2, as it cannot know whether others do; at worst a release looks for them in vain.
 *
 * Interrupts take the kernel's own locks. So only the core's are waited for with interrupts on, and nobody
 * has one of the kernel's own then.
 *
 * Order:   quire_spin_lock() under the core's locks only; spin_lock() under any.
 * Errors:  none.
 */
#include "metal.h"
#include "x86.h"

#define SPINS 200

/* Waits are out of line, so that a lock that is free costs no more than the look and the exchange. */
void spin_wait(struct quire_spin *lock)
{
	do
		quire_port_relax(NULL);
	while (!spin_trylock(lock));
}

/* ---- the core's --------------------------------------------------------------------------------------- */

static void note(struct quire_spin *lock, enum quire_lock_note what)
{
#ifdef QUIRE_DEBUG
	quire_port_lock_note(lock, what);
#else
	(void)lock, (void)what;
#endif
}

/* True: it is ours, taken with 2. */
static bool enter_or_halt(struct metal_cpu *me, struct quire_spin *lock)
{
	if (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) == 0)
		return true;
	atomic_store_explicit(&me->halts_for, lock, memory_order_seq_cst);
	quire_port_fence();
	ipi_serve(me);
	if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 2)
		wait_for_interrupt();
	atomic_store_explicit(&me->halts_for, NULL, memory_order_relaxed);
	return false;
}

static __attribute__((noinline)) void wait_for(struct quire_cpu *cpu, struct quire_spin *lock)
{
	unsigned turn = 0;

	do {
		quire_port_relax(cpu);
		if (turn >= SPINS && enter_or_halt(cpu->machine, lock))
			break;
	} while (!spin_enter(lock, ++turn < SPINS ? 1 : 2));
}

void quire_spin_lock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	if (!spin_enter(lock, 1))
		wait_for(cpu, lock);
	note(lock, QUIRE_LOCK_TAKEN);
}

bool quire_spin_trylock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	if (!spin_enter(lock, 1))
		return false;
	note(lock, QUIRE_LOCK_TRIED);
	return true;
}

static __attribute__((noinline)) void wake_those(const struct metal_cpu *me, const struct quire_spin *lock)
{
	for (unsigned id = 0; id < metal_cpu_count; id++)
		if (id != me->id &&
		    atomic_load_explicit(&metal_cpus[id]->halts_for, memory_order_seq_cst) == lock)
			apic_send(metal_cpus[id], VECTOR_WAKE);
}

void quire_spin_unlock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	note(lock, QUIRE_LOCK_GIVEN);
	/* A full fence: the look at halts_for comes after it. The lock itself may be gone by then. */
	if (atomic_exchange_explicit(&lock->word, 0, memory_order_seq_cst) == 2)
		wake_those(cpu->machine, lock);
}
