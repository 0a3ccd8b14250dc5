/*
 * sync.c - a reader/writer lock whose waiters sleep.
 *
 * Who may enter is decided by one word; who sleeps, sleeps on another, `turn`, because the word changes
 * with every reader while a sleeper wants to hear only of the changes that may let it in. Bit 0 of turn
 * says that somebody sleeps, the rest counts releases. A release that nobody waits for therefore costs one
 * look at turn, no call.
 *
 * Either the sleeper sees the release, or the release sees the sleeper:
 *
 *	a waiter				a release
 *	turn |= SLEEPER     (a)			word loses the holder  (c)
 *	read word: held?    (b)			read turn: SLEEPER?    (d)
 *	sleep while turn is as in (a)		turn += 1, wake all
 *
 * (a) to (d) are sequentially consistent. Were (b) to pass (a), or (d) to pass (c), each could see the
 * state before the other began: the lock is free, the waiter sleeps, and nobody will wake it. A waiter that
 * announced itself after (d) read turn announced itself after (c), so it finds the word free at (b), or
 * held by somebody whose own release comes later. A release that loses the race to move turn has nothing to
 * do: the one that won wakes the same sleepers, and those of the next round came after (c).
 *
 * Writers go first: one that waits sets WAITING, which holds new readers off until a writer has entered.
 * That bit decides nothing about waking, so a writer that clears it on entering while another still waits
 * does no harm: the other sets it again when it wakes and finds the lock held.
 *
 * Order:   sleeps, so no spin lock may be held. The caller keeps the lock's memory alive over the release
 *          as well, which looks at turn after somebody else may have entered.
 * Rules:   BASE-8.
 */
#include "sync.h"

#include "assert.h"

#define WRITER (1u << 31)
#define WAITING (1u << 30)
#define READERS (WAITING - 1)

#define SLEEPER 1u

static bool enter_read(struct rwlock *lock)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	while (!(word & (WRITER | WAITING))) {
		/* Acquire pairs with the release in rwlock_write_done(). */
		if (atomic_compare_exchange_weak_explicit(&lock->word, &word, word + 1, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

static bool enter_write(struct rwlock *lock)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);

	while (!(word & ~WAITING)) {
		/* Acquire pairs with the releases in rwlock_write_done() and rwlock_read_done(). */
		if (atomic_compare_exchange_weak_explicit(&lock->word, &word, WRITER, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

void rwlock_init_write(struct rwlock *lock)
{
	rwlock_init(lock);
	rwlock_try_write(lock);
}

bool rwlock_try_read(struct rwlock *lock)
{
	bool entered = enter_read(lock);

	if (entered)
		quire_lock_note(lock, QUIRE_LOCK_TRIED);
	return entered;
}

bool rwlock_try_write(struct rwlock *lock)
{
	bool entered = enter_write(lock);

	if (entered)
		quire_lock_note(lock, QUIRE_LOCK_TRIED);
	return entered;
}

/* Hold new readers off. False when the lock came free meanwhile, so that there is nothing to wait for. */
static bool ask_for_write(struct rwlock *lock)
{
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_seq_cst); /* (b) */

	while (word & ~WAITING) {
		if (word & WAITING)
			return true;
		if (atomic_compare_exchange_weak_explicit(&lock->word, &word, word | WAITING,
							  memory_order_seq_cst, memory_order_seq_cst))
			return true;
	}
	return false;
}

static bool is_closed_to_readers(struct rwlock *lock)
{
	return atomic_load_explicit(&lock->word, memory_order_seq_cst) & (WRITER | WAITING); /* (b) */
}

/* (a): from now on every release moves turn and wakes. Returns the value to sleep on. */
static uint32_t announce(struct rwlock *lock)
{
	return atomic_fetch_or_explicit(&lock->turn, SLEEPER, memory_order_seq_cst) | SLEEPER;
}

/* Out of line, as most often there is nothing to wait for. */
static __attribute__((noinline)) void wait_to_read(struct quire_cpu **cpu, struct rwlock *lock)
{
	do {
		uint32_t turn = announce(lock);

		if (is_closed_to_readers(lock))
			quire_port_wait(cpu, &lock->turn, turn);
	} while (!enter_read(lock));
}

void rwlock_read(struct quire_cpu **cpu, struct rwlock *lock)
{
	if (!enter_read(lock))
		wait_to_read(cpu, lock);
	quire_lock_note(lock, QUIRE_LOCK_SHARED);
}

static __attribute__((noinline)) void wait_to_write(struct quire_cpu **cpu, struct rwlock *lock)
{
	do {
		uint32_t turn = announce(lock);

		if (ask_for_write(lock))
			quire_port_wait(cpu, &lock->turn, turn);
	} while (!enter_write(lock));
}

void rwlock_write(struct quire_cpu **cpu, struct rwlock *lock)
{
	if (!enter_write(lock))
		wait_to_write(cpu, lock);
	quire_lock_note(lock, QUIRE_LOCK_TAKEN);
}

/* After (c): let those in who sleep. */
static void wake_sleepers(struct quire_cpu *cpu, struct rwlock *lock)
{
	uint32_t turn = atomic_load_explicit(&lock->turn, memory_order_seq_cst); /* (d) */

	if (!(turn & SLEEPER))
		return;
	if (atomic_compare_exchange_strong_explicit(&lock->turn, &turn, turn + 1, memory_order_seq_cst,
						    memory_order_relaxed))
		quire_port_wake_all(cpu, &lock->turn);
}

void rwlock_read_done(struct quire_cpu *cpu, struct rwlock *lock)
{
	quire_lock_note(lock, QUIRE_LOCK_GIVEN);
	uint32_t before = atomic_fetch_sub_explicit(&lock->word, 1, memory_order_seq_cst); /* (c) */

	quire_assert(before & READERS);
	if ((before & READERS) == 1)
		wake_sleepers(cpu, lock);
}

void rwlock_write_done(struct quire_cpu *cpu, struct rwlock *lock)
{
	quire_lock_note(lock, QUIRE_LOCK_GIVEN);
	uint32_t before = atomic_fetch_and_explicit(&lock->word, ~WRITER, memory_order_seq_cst); /* (c) */

	quire_assert(before & WRITER);
	(void)before;
	wake_sleepers(cpu, lock);
}

bool rwlock_is_write_held(struct rwlock *lock)
{
	return atomic_load_explicit(&lock->word, memory_order_relaxed) & WRITER;
}

static bool try_reference(_Atomic uint32_t *refs)
{
	uint32_t count = atomic_load_explicit(refs, memory_order_relaxed);

	while (count) {
		if (atomic_compare_exchange_weak_explicit(refs, &count, count + 1, memory_order_relaxed,
							  memory_order_relaxed))
			return true;
	}
	return false;
}

enum rwlock_found rwlock_found(struct quire_cpu **cpu, struct rwlock *lock, bool write,
			       _Atomic uint32_t *refs)
{
	if (write ? enter_write(lock) : enter_read(lock)) {
		/* Not "tried": it would have waited. */
		quire_lock_note(lock, write ? QUIRE_LOCK_TAKEN : QUIRE_LOCK_SHARED);
		return RWLOCK_TAKEN;
	}
	if (!try_reference(refs))
		return RWLOCK_GONE;
	quire_port_rcu_unlock(*cpu);
	if (write)
		rwlock_write(cpu, lock);
	else
		rwlock_read(cpu, lock);
	return RWLOCK_WAITED;
}
