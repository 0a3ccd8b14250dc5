/*
 * rcu.c - read-copy-update: liburcu's read-side sections and grace periods, and a way back for callbacks.
 *
 * The flavour is memb: read-side sections cost a store and no fence, because the grace period makes every
 * thread of the process execute one (membarrier). Readers are on every fault's path, grace periods are
 * batched in a thread that nobody waits for; where the kernel lacks membarrier, liburcu falls back to
 * fences in the readers by itself.
 *
 *	any CPU: handed_in --> grace thread: synchronize --> ready --> service CPU: done(cpu, head)
 *
 * The grace thread is no CPU: it blocks where it cannot serve IPIs, and a reader that waits for an IPI
 * from a CPU that waits for the reader would be a deadlock. The service CPU runs the callbacks, because
 * they want to know where they run. Both lists are stacks that one side pushes and the other takes whole
 * and reverses, so callbacks run in the order in which they were handed in, and a barrier is a callback
 * that comes last.
 *
 * CPUs that sleep or idle are in no section, so they hold no grace period up.
 *
 * ThreadSanitizer cannot look into liburcu.so. It is told, at this boundary, what liburcu promises: the
 * end of a CPU's section comes before the end of the grace period, and the end of a grace period before
 * the sections that begin later.
 *
 * Order:   sections and rcu_call under any lock. Callbacks run under none.
 * Errors:  none.
 */
#include "machine.h"

#ifndef HOSTED_TSAN
#define URCU_INLINE_SMALL_FUNCTIONS
#endif
#include <urcu/urcu-memb.h>

#ifdef HOSTED_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define tell_acquire(address) __tsan_acquire(address)
#define tell_release(address) __tsan_release(address)
#else
#define tell_acquire(address) ((void)(address))
#define tell_release(address) ((void)(address))
#endif

void rcu_thread_enter(void)
{
	urcu_memb_register_thread();
}

void rcu_thread_leave(void)
{
	urcu_memb_unregister_thread();
}

void quire_port_rcu_lock(struct quire_cpu *cpu)
{
	struct hosted_cpu *me = hosted_cpu_of(cpu);

	urcu_memb_read_lock();
	if (me->rcu_depth++ == 0)
		tell_acquire(&me->machine->rcu);
}

void quire_port_rcu_unlock(struct quire_cpu *cpu)
{
	struct hosted_cpu *me = hosted_cpu_of(cpu);

	if (--me->rcu_depth == 0)
		tell_release(&me->rcu_depth);
	urcu_memb_read_unlock();
}

static void grace_period(struct hosted *machine)
{
	urcu_memb_synchronize_rcu();
	for (unsigned id = 0; id < machine->count; id++)
		tell_acquire(&machine->cpus[id]->rcu_depth);
	tell_release(&machine->rcu);
}

/* Push the list @first to @last, which is newest first too. Returns whether nothing was there. */
static bool push(_Atomic(struct quire_rcu *) *stack, struct quire_rcu *first, struct quire_rcu *last)
{
	struct quire_rcu *top = atomic_load_explicit(stack, memory_order_relaxed);

	/* Release pairs with the acquire in take(). */
	do
		last->next = top;
	while (!atomic_compare_exchange_weak_explicit(stack, &top, first, memory_order_release,
						      memory_order_relaxed));
	return !top;
}

static struct quire_rcu *take(_Atomic(struct quire_rcu *) *stack)
{
	return atomic_exchange_explicit(stack, NULL, memory_order_acquire);
}

void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct rcu_queue *queue = &hosted_cpu_of(cpu)->machine->rcu;

	/* Who found the stack empty rings; nobody has taken it since, or it would be empty again. */
	if (!push(&queue->handed_in, head, head))
		return;
	atomic_fetch_add_explicit(&queue->bell, 1, memory_order_seq_cst);
	futex_wake(&queue->bell, 1);
}

static void *grace_main(void *argument)
{
	struct hosted *machine = argument;
	struct rcu_queue *queue = &machine->rcu;

	rcu_thread_enter();
	for (;;) {
		uint32_t seen = atomic_load_explicit(&queue->bell, memory_order_acquire);
		struct quire_rcu *batch = take(&queue->handed_in);

		if (batch) {
			struct quire_rcu *last = batch;

			while (last->next)
				last = last->next;
			grace_period(machine);
			push(&queue->ready, batch, last);
			bell_ring(machine->cpus[machine->config.cpus]);
			continue;
		}
		/* Pairs with the release in rcu_destroy(). */
		if (atomic_load_explicit(&queue->stop, memory_order_acquire))
			break;
		futex_sleep(&queue->bell, seen, 0);
	}
	rcu_thread_leave();
	return NULL;
}

bool rcu_has_ready(struct hosted *machine)
{
	return atomic_load_explicit(&machine->rcu.ready, memory_order_relaxed) != NULL;
}

void rcu_run_ready(struct hosted_cpu *service)
{
	struct quire_rcu *newest = take(&service->machine->rcu.ready);
	struct quire_rcu *oldest = NULL;

	while (newest) {
		struct quire_rcu *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct quire_rcu *next = oldest->next; /* done() may free it */

		oldest->done(service->cpu, oldest);
		oldest = next;
		cpu_poll(service);
	}
}

struct barrier {
	struct quire_rcu head;
	_Atomic uint32_t passed;
};

static void barrier_done(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct hosted *machine = hosted_cpu_of(cpu)->machine;
	_Atomic uint32_t *passed = &((struct barrier *)(void *)head)->passed;

	/*
	 * Release pairs with the acquire in quire_port_rcu_barrier(). From here on the barrier may be
	 * gone, whose address is only a name, and so may the core's CPUs; the machine is not.
	 */
	atomic_store_explicit(passed, 1, memory_order_release);
	waits_wake(machine, passed, QUIRE_MAX_CPUS);
}

void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	struct barrier barrier = { .head.done = barrier_done };

	quire_port_rcu_call(*cpu, &barrier.head);
	while (!atomic_load_explicit(&barrier.passed, memory_order_acquire))
		quire_port_wait(cpu, &barrier.passed, 0);
}

int rcu_create(struct hosted *machine)
{
	return pthread_create(&machine->rcu.thread, NULL, grace_main, machine) ? -QUIRE_ENOMEM : 0;
}

void rcu_destroy(struct hosted *machine)
{
	atomic_store_explicit(&machine->rcu.stop, true, memory_order_release);
	atomic_fetch_add_explicit(&machine->rcu.bell, 1, memory_order_seq_cst);
	futex_wake(&machine->rcu.bell, 1);
	pthread_join(machine->rcu.thread, NULL);
}
