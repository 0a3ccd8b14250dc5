/*
 * ipi.c - inter-processor interrupts: run a handler on other CPUs, and wait until all have.
 *
 * A sender has one request at a time, in its own struct; the target has a bit per sender. So nothing is
 * allocated and nothing can overflow. Sleeping targets are borrowed (machine.h). The others run the
 * handler at their next poll point; the sender meanwhile serves its own, spins a little, lets other
 * threads run, and then sleeps until the last target rings.
 *
 *	sender					target
 *	handler, argument, pending = n
 *	from |= me		(release) -->	from taken (acquire)
 *	attention = 1, ring			handler(target, argument)
 *	pending == 0 ?		(acquire) <--	pending-- (release); the last one rings the sender
 *
 * Order:   called under the core's spin locks and in RCU sections; takes no lock.
 * Errors:  none.
 * Rules:   BASE-3.
 */
#include "machine.h"

#include <sched.h>

#define SPINS 64  /* looks before the sender lets other threads run */
#define YIELDS 16 /* ...before it sleeps */

static inline void pause_cpu(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static void run_handler(struct hosted_cpu *target, struct hosted_cpu *sender)
{
	target->in_handler = true;
	sender->ipi.handler(target->cpu, sender->ipi.argument);
	target->in_handler = false;
	softmmu_speculate(&target->mmu);
}

void cpu_serve(struct hosted_cpu *me)
{
	/*
	 * Acquire pairs with the sender's release; a bit set too late for this look comes with another
	 * attention.
	 */
	if (!atomic_exchange_explicit(&me->attention, 0, memory_order_acquire))
		return;
	for (unsigned word = 0; word < HOSTED_MASK_WORDS; word++) {
		uint64_t senders = atomic_exchange_explicit(&me->from[word], 0, memory_order_acquire);

		for (; senders; senders &= senders - 1) {
			struct hosted_cpu *sender = me->machine->cpus[word * 64 + __builtin_ctzll(senders)];

			run_handler(me, sender);
			/* Release pairs with the sender's acquire in ipi_wait(). */
			if (atomic_fetch_sub_explicit(&sender->ipi.pending, 1, memory_order_acq_rel) == 1)
				bell_ring(sender);
		}
	}
}

void cpu_give_way(struct hosted_cpu *me)
{
	if (atomic_load_explicit(&me->machine->hurry, memory_order_relaxed))
		sched_yield();
}

/* Run the handler for a CPU that sleeps. False if it does not. */
static bool borrow(struct hosted_cpu *me, struct hosted_cpu *target)
{
	uint32_t state = CPU_ASLEEP;

	/* Acquire pairs with the release of the state by the sleeper or by the borrower before. */
	if (!atomic_compare_exchange_strong_explicit(&target->state, &state, CPU_BORROWED,
						     memory_order_seq_cst, memory_order_relaxed))
		return false;
	hosted_here = target;
	run_handler(target, me);
	hosted_here = me;
	atomic_store_explicit(&target->state, CPU_ASLEEP, memory_order_seq_cst);
	return true;
}

static void post(struct hosted_cpu *me, struct hosted_cpu *target)
{
	atomic_fetch_or_explicit(&target->from[me->id / 64], 1ull << me->id % 64, memory_order_release);
	atomic_store_explicit(&target->attention, 1, memory_order_release);
	bell_ring(target);
}

static void ipi_wait(struct hosted_cpu *me)
{
	for (unsigned turn = 0;; turn++) {
		uint32_t seen = bell_read(me);

		/* Pairs with the release in cpu_serve(). */
		if (!atomic_load_explicit(&me->ipi.pending, memory_order_acquire))
			return;
		cpu_poll(me);
		if (turn < SPINS)
			pause_cpu();
		else if (turn < SPINS + YIELDS)
			sched_yield();
		else
			bell_sleep(me, seen, 0);
	}
}

void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	struct hosted_cpu *me = hosted_cpu_of(cpu);
	struct hosted *machine = me->machine;
	uint32_t posted = 0;

	if (me->in_handler)
		quire_port_panic(__FILE__, __LINE__, "an IPI handler sends an IPI");
	me->ipi.handler = handler;
	me->ipi.argument = argument;
	/* One more than there are, so that it reaches 0 only when this CPU has posted to all. */
	atomic_store_explicit(&me->ipi.pending, machine->count + 1, memory_order_relaxed);
	for (unsigned id = 0; id < machine->count; id++) {
		uint64_t word = atomic_load_explicit(&targets->bits[id / 64], memory_order_relaxed);

		if (!(word >> id % 64 & 1) || id == me->id || borrow(me, machine->cpus[id]))
			continue;
		post(me, machine->cpus[id]);
		posted++;
	}
	if (atomic_fetch_sub_explicit(&me->ipi.pending, machine->count + 1 - posted, memory_order_acq_rel) ==
	    machine->count + 1 - posted)
		return;
	atomic_fetch_add_explicit(&machine->hurry, 1, memory_order_relaxed);
	ipi_wait(me);
	atomic_fetch_sub_explicit(&machine->hurry, 1, memory_order_relaxed);
}

/* A turn of a short wait. The lock's holder may be a thread that the host does not run just now. */
void quire_port_relax(struct quire_cpu *cpu)
{
	struct hosted_cpu *me = hosted_cpu_of(cpu);
	unsigned turn = ++me->relaxes;

	cpu_poll(me);
	if (turn % 2048 == 0)
		bell_sleep(me, bell_read(me), 50000);
	else if (turn % 32 == 0)
		sched_yield();
	else
		pause_cpu();
}

void hosted_poll(struct quire_cpu *cpu)
{
	struct hosted_cpu *me = hosted_cpu_of(cpu);

	cpu_poll(me);
	cpu_give_way(me);
}
