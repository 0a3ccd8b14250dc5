/*
 * sleep.c - how CPU threads sleep and are woken: each on its own bell, and no other.
 *
 *	sleeper					ringer
 *	seen = bell				make it happen
 *	has it happened? no			bell++
 *	state = ASLEEP				state not AWAKE? futex wake
 *	futex wait while bell == seen
 *	state = AWAKE
 *
 * The store to state and the kernel's look at bell, against the increment of bell and the look at state,
 * is store buffering: all four are sequentially consistent, so either the kernel sees the new bell or the
 * ringer sees the sleeper.
 *
 * Order:   under any lock; takes none.
 * Errors:  none. Sleeps may end for no reason.
 */
#include "machine.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct hosted_cpu *hosted_here;

void futex_sleep(_Atomic uint32_t *word, uint32_t seen, long timeout_ns)
{
	struct timespec timeout = { timeout_ns / 1000000000, timeout_ns % 1000000000 };

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, timeout_ns ? &timeout : NULL, NULL, 0);
}

void futex_wake(_Atomic uint32_t *word, int threads)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, threads, NULL, NULL, 0);
}

uint32_t bell_read(struct hosted_cpu *me)
{
	/* Pairs with the increment in bell_ring(): what the ringer did before is seen. */
	return atomic_load_explicit(&me->bell, memory_order_acquire);
}

static void fall_asleep(struct hosted_cpu *me)
{
	/* Release, to the borrower: what this CPU did to its MMU. */
	atomic_store_explicit(&me->state, CPU_ASLEEP, memory_order_seq_cst);
}

static void wake_up(struct hosted_cpu *me)
{
	uint32_t state = CPU_ASLEEP;

	/* Acquire pairs with the borrower's release of the state: what the handler did. */
	while (!atomic_compare_exchange_weak_explicit(&me->state, &state, CPU_AWAKE, memory_order_seq_cst,
						      memory_order_relaxed)) {
		if (state == CPU_BORROWED)
			sched_yield();
		state = CPU_ASLEEP;
	}
}

void bell_sleep(struct hosted_cpu *me, uint32_t seen, long timeout_ns)
{
	fall_asleep(me);
	futex_sleep(&me->bell, seen, timeout_ns);
	wake_up(me);
}

void bell_ring(struct hosted_cpu *target)
{
	atomic_fetch_add_explicit(&target->bell, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&target->state, memory_order_seq_cst) != CPU_AWAKE)
		futex_wake(&target->bell, 1);
}

void cpu_outside(struct hosted_cpu *me)
{
	fall_asleep(me);
}

void cpu_inside(struct hosted_cpu *me)
{
	wake_up(me);
}
