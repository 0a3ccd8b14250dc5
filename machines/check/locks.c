/*
 * locks.c - locks as conditions: a lock's transition can be chosen when the lock is free.
 *
 * Nothing of a lock is in memory; who holds it stands in a table here, by its address. The lock's word, which
 * the core initialises, is never looked at. One step takes a lock:
 *
 *	free?  ----> [ take; ... up to the thread's next transition ]
 *
 * and giving it back is no step of its own but the end of the step before: between that step and the release
 * nobody can do anything that the release would forbid or allow later (whoever wants the lock cannot go on
 * before; whoever does not cannot tell), so that every order of the two is one of these. Two exceptions. A
 * critical section without a transition in it gives back in the step that took, which would then be one step
 * at the lock's location both ways: it gets a step of its own. And where locks are tried, a try can tell: the
 * core tries no spin lock and no rwlock; here a try is a violation of the machine's own limits unless nothing
 * is scheduled.
 *
 * Readers of one lock are not ordered by it: what they release only the next writer acquires. So a race
 * between two of them is seen.
 *
 * Writers that wait (config.writers_wait) hold new readers off from the step in which they say so. That
 * step, not the one that takes the lock, is where a writer and a reader meet: like two who take a lock,
 * each may be first. What lets the writer take it, and is no race, is that the readers before it have gone.
 *
 *	writer		[ waits ] .............. [ takes ] ... gives back
 *	PLACE_WRITERS	ACQUIRE						 RELEASE	a reader: SHARE
 *	PLACE_READERS			 AWAIT					 SIGNAL by readers that go
 *	the lock			 ACQUIRE		 RELEASE	between writers
 *
 * Store buffers (TSO): taking waits until the thread's is empty, as a locked instruction does. So does giving
 * back, which a plain store would not: what a load after an unlock can overtake is explored by the weak model
 * only.
 *
 * Errors:  taking a lock that one holds, giving back what one does not hold, sleeping with a spin lock:
 * violations.
 * Rules:   BASE-8, CHK-5.
 */
#include "inside.h"

#include <string.h>

enum { LOCKS = 1024 };

struct lock {
	uintptr_t at;
	uint32_t slot;
	uint8_t writer;	 /* NOBODY */
	uint8_t waiting; /* writers that have said so */
	uint8_t class;
	bool has_class;
	uint32_t readers; /* a bit a thread */
};

/* Those of this execution; and a hash table of their numbers. A lock says in which place of that it is. */
static struct lock locks[LOCKS];
static uint32_t lock_count;
static uint16_t lock_slots[2 * LOCKS];

void locks_reset(struct machine *machine)
{
	(void)machine;
	lock_count = 0;
}

void locks_image(struct image *image)
{
	image_add(image, &lock_count, sizeof(lock_count));
	image_add_some(image, locks, &lock_count, sizeof(locks[0]));
}

static struct lock *lock_at(uintptr_t at)
{
	uint32_t slot = (uint32_t)(at * 0x9e3779b97f4a7c15ul >> 32) % (2 * LOCKS);

	while (lock_slots[slot] < lock_count && locks[lock_slots[slot]].slot == slot) {
		if (locks[lock_slots[slot]].at == at)
			return &locks[lock_slots[slot]];
		slot = (slot + 1) % (2 * LOCKS);
	}
	if (lock_count == LOCKS) {
		violation("more than %d locks in one execution", LOCKS);
		return &locks[0];
	}
	lock_slots[slot] = (uint16_t)lock_count;
	locks[lock_count] = (struct lock){ .at = at, .slot = slot, .writer = NOBODY };
	return &locks[lock_count++];
}

static bool is_free(struct lock *lock)
{
	return lock->writer == NOBODY && !lock->readers;
}

/* Of locks in objects it does not change; a frame's is what the frame is. */
static unsigned class_at(struct lock *lock, enum held_how how)
{
	if (!lock->has_class || lock->at - (uintptr_t)machine_now->metadata < machine_now->metadata_bytes) {
		lock->class = (uint8_t)class_of(lock->at, how);
		lock->has_class = true;
	}
	return lock->class;
}

/* ---- what a thread holds ---------------------------------------------------------------------------- */

static void hold(uintptr_t at, enum held_how how, unsigned class)
{
	struct thread_state *thread = here();

	if (thread->held_count == HELD) {
		violation("%s holds more than %d locks", thread_name(self()), HELD);
		return;
	}
	machine_now->held++;
	thread->held[thread->held_count++] = (struct held){ at, how, (uint8_t) class,
							    engine_now ? engine_step_now() : UINT32_MAX };
	thread->spins += how == HELD_SPIN;
}

/* Returns the step in which it was taken. */
static uint32_t let_go(uintptr_t at)
{
	struct thread_state *thread = here();

	for (unsigned i = thread->held_count; i-- > 0;) {
		struct held held = thread->held[i];

		if (held.lock != at)
			continue;
		thread->spins -= held.how == HELD_SPIN;
		memmove(&thread->held[i], &thread->held[i + 1],
			(thread->held_count - i - 1) * sizeof(thread->held[0]));
		thread->held_count--;
		machine_now->held--;
		return held.step;
	}
	violation("%s gives back %s, which it does not hold", thread_name(self()),
		  machine_describe(machine_now, at));
	return 0;
}

static bool holds(uintptr_t at)
{
	struct thread_state *thread = here();

	for (unsigned i = 0; i < thread->held_count; i++)
		if (thread->held[i].lock == at)
			return true;
	return false;
}

/* Before a lock is taken, whether or not it has to be waited for. */
static void check_taking(struct lock *lock, enum held_how how)
{
	uintptr_t at = lock->at;
	struct thread_state *thread = here();

	if (is_handler(machine_now, self()))
		violation("an interrupt handler of %s takes %s", thread_name(self()),
			  machine_describe(machine_now, at));
	if (holds(at))
		violation("%s takes %s, which it holds", thread_name(self()),
			  machine_describe(machine_now, at));
	if (thread->held_count)
		order_check(thread->held, thread->held_count, at, class_at(lock, how), how);
}

void must_not_sleep(const char *what)
{
	struct thread_state *thread = here();
	const char *name = thread_name(self());

	if (is_handler(machine_now, self()))
		violation("an interrupt handler of %s sleeps: %s", name, what);
	if (thread->rcu_depth)
		violation("%s sleeps in a read-side section: %s", name, what);
	for (unsigned i = 0; thread->spins && i < thread->held_count; i++) {
		if (thread->held[i].how != HELD_SPIN)
			continue;
		violation("%s sleeps with a spin lock held (%s): %s", name,
			  machine_describe(machine_now, thread->held[i].lock), what);
		return;
	}
}

/* ---- for itself ------------------------------------------------------------------------------------- */

static bool may_write(void *argument)
{
	struct thread_state *thread = argument;

	return is_free(thread->wants) && is_drained(thread);
}

/* Whoever waits for no step cannot wait at all. */
static bool is_stuck(struct lock *lock, bool can_go_on)
{
	if (engine_now || can_go_on)
		return false;
	violation("outside a run %s is not free", machine_describe(machine_now, lock->at));
	return true;
}

static void begin_taking(unsigned what, struct lock *lock, bool (*may)(void *), const void *code)
{
	note_line(lock->at, sizeof(uint32_t), true, code);
	struct thread_state *thread = here();

	thread->wants = lock;
	block_on("", lock->at);
	engine_at(code, lock->at);
	engine_begin(what, may, thread);
	block_on(NULL, 0);
}

/* What the thread had buffered came before. */
static void drained(void)
{
	if (machine_now->config.model == MEMORY_TSO)
		memory_release(place(PLACE_DRAIN, self()));
}

static void taken_exclusive(struct lock *lock)
{
	drained();
	lock->writer = (uint8_t)self();
	memory_acquire(lock->at);
	memory_acquire(place(PLACE_READERS, lock->at));
}

/* Nobody knows it yet: no step, and no order, for nobody could have had to wait. */
void lock_born(uintptr_t at)
{
	struct lock *lock = lock_at(at);

	lock->writer = (uint8_t)self();
	hold(at, HELD_WRITE, class_at(lock, HELD_WRITE));
}

void lock_exclusive_from(unsigned what, uintptr_t at, enum held_how how, const void *code)
{
	struct lock *lock = lock_at(at);
	check_taking(lock, how);
	if (is_stuck(lock, is_free(lock)))
		return;
	if (how == HELD_WRITE && machine_now->config.writers_wait) {
		engine_begin(STEP_WRITER_WAITS, NULL, NULL);
		engine_touch(place(PLACE_WRITERS, at), TOUCH_ACQUIRE);
		lock->waiting++;
	}
	begin_taking(what, lock, may_write, code);
	engine_touch(at, TOUCH_ACQUIRE);
	if (how == HELD_WRITE && machine_now->config.writers_wait) {
		engine_touch(place(PLACE_READERS, at), TOUCH_AWAIT);
		lock->waiting--;
	}
	taken_exclusive(lock);
	hold(at, how, class_at(lock, how));
}

void lock_exclusive(unsigned what, uintptr_t at, enum held_how how)
{
	lock_exclusive_from(what, at, how, __builtin_return_address(0));
}

bool lock_try_exclusive(unsigned what, uintptr_t at, enum held_how how)
{
	struct lock *lock = lock_at(at);

	if (engine_now)
		violation("a lock is tried: giving back must be a step then, see locks.c");
	(void)what;
	if (!is_free(lock))
		return false;
	taken_exclusive(lock);
	hold(at, how, class_at(lock, how));
	return true;
}

void unlock_exclusive(unsigned what, uintptr_t at)
{
	struct lock *lock = lock_at(at);
	memory_drain(__builtin_return_address(0));
	uint32_t taken_at = let_go(at);

	if (lock->writer != self())
		violation("%s gives back %s, which it has not taken", thread_name(self()),
			  machine_describe(machine_now, at));
	if (engine_now && taken_at == engine_step_now()) {
		engine_at(__builtin_return_address(0), at);
		engine_begin(what, NULL, NULL);
	}
	engine_touch(at, TOUCH_RELEASE);
	if (machine_now->config.writers_wait)
		engine_touch(place(PLACE_WRITERS, at), TOUCH_RELEASE);
	memory_release(at);
	lock->writer = NOBODY;
}

bool lock_is_held_exclusive(uintptr_t at)
{
	return lock_at(at)->writer != NOBODY;
}

/* ---- with others ------------------------------------------------------------------------------------ */

static bool may_read(void *argument)
{
	struct thread_state *thread = argument;
	struct lock *lock = thread->wants;

	return lock->writer == NOBODY && !lock->waiting && is_drained(thread);
}

void lock_shared_from(unsigned what, uintptr_t at, const void *code)
{
	struct lock *lock = lock_at(at);
	check_taking(lock, HELD_READ);
	if (is_stuck(lock, lock->writer == NOBODY))
		return;
	begin_taking(what, lock, may_read, code);
	engine_touch(machine_now->config.writers_wait ? place(PLACE_WRITERS, at) : at, TOUCH_SHARE);
	lock->readers |= 1u << self();
	drained();
	memory_acquire(at);
	hold(at, HELD_READ, class_at(lock, HELD_READ));
}

void lock_shared(unsigned what, uintptr_t at)
{
	lock_shared_from(what, at, __builtin_return_address(0));
}

bool lock_try_shared(unsigned what, uintptr_t at)
{
	struct lock *lock = lock_at(at);

	if (engine_now)
		violation("a lock is tried: giving back must be a step then, see locks.c");
	(void)what;
	if (lock->writer != NOBODY)
		return false;
	lock->readers |= 1u << self();
	hold(at, HELD_READ, class_at(lock, HELD_READ));
	return true;
}

void unlock_shared(unsigned what, uintptr_t at)
{
	struct lock *lock = lock_at(at);
	memory_drain(__builtin_return_address(0));
	uint32_t taken_at = let_go(at);

	if (engine_now && taken_at == engine_step_now()) {
		engine_at(__builtin_return_address(0), at);
		engine_begin(what, NULL, NULL);
	}
	if (machine_now->config.writers_wait)
		engine_touch(place(PLACE_READERS, at), TOUCH_SIGNAL);
	else
		engine_touch(at, TOUCH_SHARE_END);
	memory_release(place(PLACE_READERS, at));
	lock->readers &= ~(1u << self());
}

/* ---- the folio lock is a bit of the core's; here it only counts for the order ----------------------- */

void folio_lock_changed(uintptr_t flags, bool locked)
{
	if (!locked) {
		if (holds(flags))
			let_go(flags);
		return;
	}
	hold(flags, HELD_FOLIO, class_of(flags, HELD_FOLIO));
}

uintptr_t lock_held_within(uintptr_t start, size_t bytes)
{
	for (unsigned t = 0; machine_now->held && t <= ENGINE_THREADS; t++) {
		const struct thread_state *thread = &machine_now->thread[t];

		for (unsigned i = 0; i < thread->held_count; i++)
			if (thread->held[i].lock - start < bytes)
				return thread->held[i].lock;
	}
	return 0;
}

bool locks_are_free(const char **which)
{
	for (unsigned t = 0; machine_now->held && t <= ENGINE_THREADS; t++) {
		const struct thread_state *thread = &machine_now->thread[t];

		if (!thread->held_count)
			continue;
		*which = machine_describe(machine_now, thread->held[0].lock);
		return false;
	}
	return true;
}
