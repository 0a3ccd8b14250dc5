/*
 * sync.h - what is built on the port's waits: a sleeping reader/writer lock, a fence, a full fence.
 *
 * Rules: BASE-8. Place in the lock order: docs/locking.md.
 */
#ifndef QUIRE_BASE_SYNC_H
#define QUIRE_BASE_SYNC_H

#include <quire/port.h>

/*
 * A reader/writer lock whose waiters sleep. Writers are not starved: a waiting writer holds new readers
 * off. word: bit 31 a writer holds it, bit 30 a writer waits, bits 0..29 readers. A mutex is one never
 * read-locked.
 */
struct rwlock {
	_Atomic uint32_t word;
	_Atomic uint32_t turn; /* moves at every release that may let somebody in; what waiters wait on */
};

/* Memory of zeroes is one that is free, too. */
static inline void rwlock_init(struct rwlock *lock)
{
	atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
	atomic_store_explicit(&lock->turn, 0, memory_order_relaxed);
}

/* Nobody knows it yet, and its maker holds it for writing. */
void rwlock_init_write(struct rwlock *lock);

void rwlock_read(struct quire_cpu **cpu, struct rwlock *lock);
bool rwlock_try_read(struct rwlock *lock);
void rwlock_read_done(struct quire_cpu *cpu, struct rwlock *lock);
void rwlock_write(struct quire_cpu **cpu, struct rwlock *lock);
bool rwlock_try_write(struct rwlock *lock);
void rwlock_write_done(struct quire_cpu *cpu, struct rwlock *lock);

/*
 * A lock in memory that a read-side section keeps, found in one. TAKEN: it was free, and the section goes on.
 * WAITED: it was not; the section has ended, and the caller has the reference on the lock's memory, one more
 * in *refs, with which he waited. GONE: *refs was 0, so nobody may wait for it. SLEEPS.
 */
enum rwlock_found { RWLOCK_TAKEN, RWLOCK_WAITED, RWLOCK_GONE };
enum rwlock_found rwlock_found(struct quire_cpu **cpu, struct rwlock *lock, bool write,
			       _Atomic uint32_t *refs);

bool rwlock_is_write_held(struct rwlock *lock); /* by anybody: for assertions */

#endif
