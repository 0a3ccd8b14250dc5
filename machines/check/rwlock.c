/*
 * rwlock.c - takes the place of core/base/sync.c: the sleeping reader/writer lock as conditions (locks.c).
 *
 * What core/base/sync.c makes of two words and the port's waits is checked by a test of its own
 * (tests/check/test_sync.c); everywhere else a lock is one transition.
 *
 * Writers go first there: one that waits holds new readers off. Here that is explored only if asked for
 * (config.writers_wait), because all it does is take orders away; it matters where a reader waits for a
 * reader that waits for a writer.
 *
 * Rules:   BASE-8.
 */
#include "inside.h"

#include "../../core/base/sync.h"

static uintptr_t at(struct rwlock *lock)
{
	return (uintptr_t)&lock->word;
}

void rwlock_init_write(struct rwlock *lock)
{
	lock_born(at(lock));
}

void rwlock_read(struct quire_cpu **cpu, struct rwlock *lock)
{
	(void)cpu;
	must_not_sleep("a reader's lock");
	lock_shared(STEP_READ_LOCK, at(lock));
}

bool rwlock_try_read(struct rwlock *lock)
{
	return lock_try_shared(STEP_READ_LOCK, at(lock));
}

void rwlock_read_done(struct quire_cpu *cpu, struct rwlock *lock)
{
	(void)cpu;
	unlock_shared(STEP_READ_UNLOCK, at(lock));
}

void rwlock_write(struct quire_cpu **cpu, struct rwlock *lock)
{
	(void)cpu;
	must_not_sleep("a writer's lock");
	lock_exclusive(STEP_WRITE_LOCK, at(lock), HELD_WRITE);
}

bool rwlock_try_write(struct rwlock *lock)
{
	return lock_try_exclusive(STEP_WRITE_LOCK, at(lock), HELD_WRITE);
}

void rwlock_write_done(struct quire_cpu *cpu, struct rwlock *lock)
{
	(void)cpu;
	unlock_exclusive(STEP_WRITE_UNLOCK, at(lock));
}

bool rwlock_is_write_held(struct rwlock *lock)
{
	return lock_is_held_exclusive(at(lock));
}

/*
 * A try would have to be a step, and every giving back one. Who waits stays in the read-side section here, as
 * if that could last: it keeps the memory as a reference would. So nobody may wait for a grace period with
 * such a lock held.
 */
enum rwlock_found rwlock_found(struct quire_cpu **cpu, struct rwlock *lock, bool write,
			       _Atomic uint32_t *refs)
{
	const void *code = __builtin_return_address(0);

	(void)cpu, (void)refs;
	if (write)
		lock_exclusive_from(STEP_WRITE_LOCK, at(lock), HELD_WRITE, code);
	else
		lock_shared_from(STEP_READ_LOCK, at(lock), code);
	return RWLOCK_TAKEN;
}
