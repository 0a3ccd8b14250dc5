/*
 * rcu.c - grace periods by quiescent states.
 *
 * A reader does not sleep, and the kernel is not preempted: so a CPU that switches tasks, takes a tick in
 * user mode, or is idle is in no read-side section, and whoever began one there has ended it. Each CPU
 * notes, at such moments, the number of the newest grace period asked for. One that all have seen, but for
 * the idle ones, is over.
 *
 *	fresh --(nothing waits: ask for a grace period, n)--> waiting --(all have seen n)--> done(cpu, head)
 *
 * An idle CPU notes nothing, and is not waited for. The look at it, and its own way out of being idle, are
 * store buffering:
 *
 *	who waits for a grace period		a CPU that was idle
 *	what is to go is unlinked		idle = false
 *	FULL FENCE (asking)			FULL FENCE
 *	idle? then it is not waited for		a section: finds what is linked
 *
 * Either we see it not idle, or it sees our unlinking.
 *
 * Order:   sections and rcu_call under any lock. Callbacks run under none: from the scheduler's idle loop,
 *          and on the way back to user mode after a tick.
 * Errors:  none.
 */
#include "task.h"
#include "x86.h"

static _Atomic uint64_t newest = 1;	 /* the last grace period asked for */
static _Atomic uint64_t handed_in, done; /* callbacks */
static _Atomic uint32_t done_event;

void quire_port_rcu_lock(struct quire_cpu *cpu)
{
	struct metal_cpu *me = cpu->machine;

	me->rcu.depth++;
	atomic_signal_fence(memory_order_seq_cst);
}

void quire_port_rcu_unlock(struct quire_cpu *cpu)
{
	struct metal_cpu *me = cpu->machine;

	atomic_signal_fence(memory_order_seq_cst);
	me->rcu.depth--;
}

static void list_clear(struct rcu_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

void rcu_start(struct metal_cpu *me)
{
	list_clear(&me->rcu.fresh);
	list_clear(&me->rcu.waiting);
	atomic_store_explicit(&me->rcu.seen, atomic_load_explicit(&newest, memory_order_seq_cst),
			      memory_order_release);
}

void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct metal_cpu *me = cpu->machine;

	atomic_fetch_add_explicit(&handed_in, 1, memory_order_relaxed);
	head->next = NULL;
	*me->rcu.fresh.last = head;
	me->rcu.fresh.last = &head->next;
}

void rcu_quiescent(struct metal_cpu *me)
{
	/*
	 * Release pairs with the acquire in is_over(): sections that ended here end before what follows
	 * there. Acquire pairs with the asking: sections that begin later see what was unlinked before it.
	 */
	uint64_t now = atomic_load_explicit(&newest, memory_order_acquire);

	if (atomic_load_explicit(&me->rcu.seen, memory_order_relaxed) != now)
		atomic_store_explicit(&me->rcu.seen, now, memory_order_release);
}

void rcu_idle_begin(struct metal_cpu *me)
{
	rcu_quiescent(me);
	/* Release pairs with the acquire in is_over(), as above. */
	atomic_store_explicit(&me->rcu.idle, true, memory_order_release);
}

void rcu_idle_end(struct metal_cpu *me)
{
	atomic_store_explicit(&me->rcu.idle, false, memory_order_relaxed);
	quire_port_fence();
}

static bool is_over(uint64_t target)
{
	for (unsigned id = 0; id < metal_cpu_count; id++) {
		struct rcu_cpu *rcu = &metal_cpus[id]->rcu;

		if (!atomic_load_explicit(&metal_cpus[id]->online, memory_order_acquire))
			continue;
		if (!atomic_load_explicit(&rcu->idle, memory_order_acquire) &&
		    atomic_load_explicit(&rcu->seen, memory_order_acquire) < target)
			return false;
	}
	return true;
}

/* The caller is at a quiescent state itself, and holds nothing. */
bool rcu_work(struct metal_cpu *me)
{
	struct rcu_cpu *rcu = &me->rcu;
	uint64_t ran = 0;

	rcu_quiescent(me);
	if (rcu->waiting.first && is_over(rcu->target)) {
		struct quire_rcu *head = rcu->waiting.first;

		list_clear(&rcu->waiting);
		while (head) {
			struct quire_rcu *next = head->next; /* done() may free it */

			head->done(me->cpu, head);
			head = next;
			ran++;
			ipi_serve(me);
		}
		atomic_fetch_add_explicit(&done, ran, memory_order_release);
		atomic_fetch_add_explicit(&done_event, 1, memory_order_release);
		waits_wake(&done_event, ~0u);
	}
	if (!rcu->waiting.first && rcu->fresh.first) {
		rcu->waiting = rcu->fresh;
		list_clear(&rcu->fresh);
		/* A full fence: what the callbacks free was unlinked before. */
		rcu->target = atomic_fetch_add_explicit(&newest, 1, memory_order_seq_cst) + 1;
		quire_port_fence();
		rcu_quiescent(me);
	}
	return ran != 0;
}

/* Callbacks of different CPUs run in any order: as many have run as there were, perhaps others. */
void rcu_wait(void)
{
	uint64_t target = atomic_load_explicit(&handed_in, memory_order_acquire);

	for (;;) {
		uint32_t seen = atomic_load_explicit(&done_event, memory_order_acquire);

		if (atomic_load_explicit(&done, memory_order_acquire) >= target)
			return;
		task_wait_patiently(&done_event, seen, time_monotonic() + 1000000000ull / TICKS_PER_SECOND);
	}
}

/* Until there is none any more, so also none of those before. */
void rcu_wait_all(void)
{
	while (atomic_load_explicit(&done, memory_order_acquire) !=
	       atomic_load_explicit(&handed_in, memory_order_acquire))
		rcu_wait();
}

void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	rcu_wait_all();
	*cpu = here();
}
