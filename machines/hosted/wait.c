/*
 * wait.c - sleeping until a word changes: a table of waiters, hashed by the word's address.
 *
 * A futex on the word itself would put the CPU to sleep where IPIs cannot wake it. So every CPU sleeps on
 * its own bell, and the table says whose bell to ring when a word is woken.
 *
 *	waiter					waker
 *	lock bucket				change *word
 *	waiters++				full fence (a read-modify-write of waiters)
 *	*word == seen ? enqueue			waiters == 0 ? nobody to wake
 *	unlock					lock bucket, take out, mark, ring, unlock
 *	until marked: serve, sleep
 *
 * waiters++ and the look at *word, against the change of *word and the look at waiters, is store
 * buffering: the waiter's are sequentially consistent and the waker's read is a read-modify-write, a full
 * fence on the hosts that this machine runs on.
 *
 * Only a waker takes a waiter out, so a wake of one is never lost on somebody who was leaving anyway.
 *
 * Order:   waking: under any of the core's locks. Waiting: under none.
 * Errors:  none.
 * Rules:   BASE-8.
 */
#include "machine.h"

#include <sched.h>

#define SPINS 32 /* looks at the word before the CPU enters the table */
#define YIELDS 2

struct waiter {
	struct waiter *next;	/* the bucket's lock */
	_Atomic uint32_t *word; /* fixed */
	struct hosted_cpu *cpu; /* fixed */
	_Atomic bool woken;
};

void waits_create(struct hosted *machine)
{
	for (unsigned i = 0; i < WAIT_BUCKETS; i++) {
		pthread_mutex_init(&machine->wait[i].lock, NULL);
		machine->wait[i].last = &machine->wait[i].first;
	}
}

void waits_destroy(struct hosted *machine)
{
	for (unsigned i = 0; i < WAIT_BUCKETS; i++)
		pthread_mutex_destroy(&machine->wait[i].lock);
}

static struct wait_bucket *bucket_of(struct hosted *machine, _Atomic uint32_t *word)
{
	return &machine->wait[((uintptr_t)word >> 2) * 0x9e3779b97f4a7c15ull >> 58 & (WAIT_BUCKETS - 1)];
}

/* False if the word has changed meanwhile. */
static bool enqueue(struct wait_bucket *bucket, struct waiter *waiter, uint32_t seen)
{
	bool waits;

	pthread_mutex_lock(&bucket->lock);
	atomic_fetch_add_explicit(&bucket->waiters, 1, memory_order_seq_cst);
	waits = atomic_load_explicit(waiter->word, memory_order_seq_cst) == seen;
	if (waits) {
		*bucket->last = waiter;
		bucket->last = &waiter->next;
	} else {
		atomic_fetch_sub_explicit(&bucket->waiters, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&bucket->lock);
	return waits;
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	struct hosted_cpu *me = hosted_cpu_of(*cpu);
	struct wait_bucket *bucket = bucket_of(me->machine, word);
	struct waiter waiter = { .word = word, .cpu = me };

	if (me->rcu_depth || me->in_handler)
		quire_port_panic(__FILE__, __LINE__, "a CPU sleeps in an RCU section or an IPI handler");
	for (unsigned turn = 0; turn < SPINS + YIELDS; turn++) {
		/* Acquire pairs with the release by which the word was changed. */
		if (atomic_load_explicit(word, memory_order_acquire) != seen)
			return;
		cpu_poll(me);
		if (turn >= SPINS)
			sched_yield();
	}
	if (!enqueue(bucket, &waiter, seen))
		return;
	for (;;) {
		uint32_t rung = bell_read(me);

		/* Pairs with the release in waits_wake(). */
		if (atomic_load_explicit(&waiter.woken, memory_order_acquire))
			return;
		cpu_poll(me);
		bell_sleep(me, rung, 0);
	}
}

void waits_wake(struct hosted *machine, _Atomic uint32_t *word, unsigned most)
{
	struct wait_bucket *bucket = bucket_of(machine, word);

	if (!atomic_fetch_add_explicit(&bucket->waiters, 0, memory_order_seq_cst))
		return;
	pthread_mutex_lock(&bucket->lock);
	for (struct waiter **link = &bucket->first; *link && most;) {
		struct waiter *waiter = *link;
		struct hosted_cpu *sleeper = waiter->cpu;

		if (waiter->word != word) {
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		if (!*link)
			bucket->last = link;
		atomic_fetch_sub_explicit(&bucket->waiters, 1, memory_order_relaxed);
		most--;
		/* From here on the waiter may return, and its memory be gone. */
		atomic_store_explicit(&waiter->woken, true, memory_order_release);
		bell_ring(sleeper);
	}
	pthread_mutex_unlock(&bucket->lock);
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	waits_wake(hosted_cpu_of(cpu)->machine, word, 1);
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	waits_wake(hosted_cpu_of(cpu)->machine, word, QUIRE_MAX_CPUS);
}
