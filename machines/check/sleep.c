/*
 * sleep.c - waiting for a word to change, and being woken.
 *
 *	wait: [ read the word: as seen?  then stand in its queue ] ...... [ woken: go on ]
 *	wake: [ change of the word ] ... [ whoever stands in the queue is woken ]
 *
 * Reading and standing in the queue are one step, as they are one under a futex's bucket lock (which the weak
 * model has as a lock: whose wake has come before must be seen to have changed the word); between a change
 * and its wake anything may come. Nobody is woken without a wake, so that one that is lost is a deadlock. Who
 * is woken of several, where only one is, is a choice.
 *
 * The short wait (quire_port_relax()) is a wait for a change of something that the thread has looked at since
 * its last turn: the same look again would only be the same turn again. Which locations that were, the trace
 * says.
 *
 * Errors:  sleeping where that is forbidden: violations. A short wait with too many turns ends the execution,
 *          which then counts as none.
 * Rules:   BASE-8, CHK-5.
 */
#include "inside.h"

enum { TURNS = 12 }; /* of short waits, by one thread in one execution */

/* ---- a word's waiters ------------------------------------------------------------------------------- */

static bool is_woken(void *argument)
{
	const struct thread_state *thread = argument;

	return thread->woken;
}

static bool has_bucket_lock(void)
{
	return engine_now && machine_now->config.model == MEMORY_WEAK;
}

/* Read the word, and stand in its queue if it is as seen. */
static bool stand_in_queue(_Atomic uint32_t *word, uint32_t seen, const void *code)
{
	struct thread_state *thread = here();
	uintptr_t queue = place(PLACE_QUEUE, (uintptr_t)word);

	if (has_bucket_lock())
		lock_exclusive(STEP_LOCK, queue, HELD_SPIN);
	else
		memory_fence(MO_SEQ_CST, code);
	bool waits = (uint32_t)memory_load((uintptr_t)word, sizeof(*word), MO_SEQ_CST, code) == seen;
	if (waits && engine_now) {
		engine_touch(place(PLACE_WAITERS, (uintptr_t)word), TOUCH_ADD);
		thread->waits_for = (uintptr_t)word;
		thread->woken = false;
	}
	if (has_bucket_lock())
		unlock_exclusive(STEP_UNLOCK, queue);
	return waits;
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	struct thread_state *thread = here();
	uintptr_t queue = place(PLACE_QUEUE, (uintptr_t)word);
	const void *code = __builtin_return_address(0);

	(void)cpu;
	must_not_sleep("a wait");
	order_sleep(thread->held, thread->held_count, (uintptr_t)word);
	if (!stand_in_queue(word, seen, code))
		return;
	if (!engine_now) {
		violation("outside a run nobody changes %s", machine_describe(machine_now, (uintptr_t)word));
		return;
	}
	block_on("", (uintptr_t)word);
	engine_at(code, queue);
	engine_begin(STEP_SLEEP, is_woken, thread);
	block_on(NULL, 0);
	engine_touch(place(PLACE_WOKEN, self()), TOUCH_AWAIT);
	memory_acquire(queue);
}

static void wake_thread(struct thread_state *thread)
{
	thread->waits_for = 0;
	thread->woken = true;
	engine_touch(place(PLACE_WOKEN, (uintptr_t)(thread - machine_now->thread)), TOUCH_SIGNAL);
}

/* Of those who wait for it, one or all. */
static void wake_waiters(uintptr_t word, bool all)
{
	struct machine *machine = machine_now;
	unsigned waiting[ENGINE_THREADS], count = 0;

	for (unsigned t = 0; t < machine->threads; t++)
		if (machine->thread[t].waits_for == word)
			waiting[count++] = t;
	engine_touch(place(PLACE_WAITERS, word), count ? TOUCH_WRITE : TOUCH_READ);
	engine_note(count);
	if (!count)
		return;
	if (!all) {
		wake_thread(&machine->thread[waiting[engine_choose(count)]]);
		return;
	}
	for (unsigned i = 0; i < count; i++)
		wake_thread(&machine->thread[waiting[i]]);
}

static void wake(_Atomic uint32_t *word, bool all, const void *code)
{
	uintptr_t queue = place(PLACE_QUEUE, (uintptr_t)word);

	if (!engine_now)
		return;
	if (is_handler(machine_now, self()))
		violation("an interrupt handler of %s wakes somebody", thread_name(self()));
	if (has_bucket_lock()) {
		lock_exclusive(STEP_WAKE, queue, HELD_SPIN);
		memory_release(queue); /* who is woken need not wait for the unlock */
		wake_waiters((uintptr_t)word, all);
		unlock_exclusive(STEP_UNLOCK, queue);
		return;
	}
	engine_at(code, queue);
	engine_begin(STEP_WAKE, is_drained, here());
	memory_release(queue);
	wake_waiters((uintptr_t)word, all);
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	wake(word, false, __builtin_return_address(0));
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	wake(word, true, __builtin_return_address(0));
}

/* ---- the short wait --------------------------------------------------------------------------------- */

static bool is_look(const struct engine_step *step)
{
	return step->what == MEMORY_STEP_LOAD || step->what == MEMORY_STEP_RMW ||
	       step->what == MEMORY_STEP_COMPARE_EXCHANGE;
}

static bool is_change(const struct engine_step *step)
{
	return step->what == MEMORY_STEP_STORE || step->what == MEMORY_STEP_RMW ||
	       step->what == MEMORY_STEP_COMPARE_EXCHANGE || step->what == MEMORY_STEP_DRAIN;
}

static unsigned find(const struct thread_state *thread, uintptr_t address)
{
	unsigned i = 0;

	while (i < thread->looks && thread->look[i] != address)
		i++;
	return i;
}

static uint64_t looked[ENGINE_THREADS][LOOKS]; /* what thread t saw at look[i] */

/* Before its first turn a thread has looked at all sorts of things: those of the loop are the last. */
static size_t last_looks(const struct engine_step *trace, size_t from, size_t steps, unsigned self)
{
	unsigned count = 0;

	while (steps > from && count < LOOKS) {
		steps--;
		count += trace[steps].thread == self && is_look(&trace[steps]);
	}
	return steps;
}

/*
 * What the thread has looked at since its last turn; and whether some of it has changed after that: by
 * others, by itself, or so that it has seen both. Then there is nothing to wait for.
 */
static void find_looks(struct thread_state *thread, unsigned self)
{
	size_t steps;
	const struct engine_step *trace = engine_trace(engine_now, &steps);

	thread->looks = thread->changed = 0;
	for (size_t i = last_looks(trace, thread->relaxed_at, steps, self); i < steps; i++) {
		uintptr_t address = memory_address(trace[i].location);
		unsigned at = find(thread, address);
		bool known = at < thread->looks, own = trace[i].thread == self;

		if (known && is_change(&trace[i]) && !(own && trace[i].what == MEMORY_STEP_COMPARE_EXCHANGE))
			thread->changed |= 1u << at;
		else if (known && own && is_look(&trace[i]) && trace[i].value != looked[self][at])
			thread->changed |= 1u << at;
		else if (own && is_look(&trace[i]) && !known && at < LOOKS) {
			looked[self][thread->looks] = trace[i].value;
			thread->look[thread->looks++] = address;
		}
	}
}

/* Something reached memory while threads wait so. */
void relax_changed(uintptr_t address)
{
	struct machine *machine = machine_now;

	for (unsigned t = 0; machine->relaxing && t < machine->threads; t++) {
		struct thread_state *thread = &machine->thread[t];

		unsigned at = find(thread, address);
		if (t != self() && at < thread->looks)
			thread->changed |= 1u << at;
	}
}

/* Under the weak model it may also be that the change has happened, and was not seen. */
static bool has_changed(void *argument)
{
	const struct thread_state *thread = argument;

	for (unsigned i = 0; i < thread->looks; i++)
		if (memory_is_behind((unsigned)(thread - machine_now->thread), thread->look[i]))
			return true;
	return thread->changed != 0;
}

/* It goes on because of one of the changes; the others it may see or not. */
static void catch_up(const struct thread_state *thread)
{
	uintptr_t behind[LOOKS];
	unsigned count = 0;
	bool knows = false; /* a change: there is nothing to catch up with */

	for (unsigned i = 0; i < thread->looks; i++) {
		if (memory_is_behind(self(), thread->look[i]))
			behind[count++] = thread->look[i];
		else
			knows |= thread->changed >> i & 1;
	}
	unsigned reason = engine_choose(count + knows);
	if (reason < count)
		memory_catch_up(behind[reason]);
}

void quire_port_relax(struct quire_cpu *cpu)
{
	struct thread_state *thread = here();

	(void)cpu;
	if (!engine_now)
		return;
	if (++thread->relaxes > TURNS)
		engine_abandon();
	find_looks(thread, self());
	machine_now->relaxing++;
	block_on("a change of what it looks at", 0);
	engine_at(__builtin_return_address(0), 0);
	engine_begin(STEP_RELAX, has_changed, thread);
	block_on(NULL, 0);
	machine_now->relaxing--;
	if (thread->changed)
		engine_touch(thread->look[__builtin_ctz(thread->changed)], TOUCH_AWAIT);
	catch_up(thread);
	thread->looks = 0;
	thread->relaxed_at = engine_step_now();
}

/* ---- the caller's events ---------------------------------------------------------------------------- */

static bool is_posted(void *argument)
{
	const struct thread_state *thread = argument;

	return *(const uint32_t *)thread->wants != 0;
}

void machine_post(struct machine *machine, void *event)
{
	uintptr_t at = place(PLACE_EVENT, (uintptr_t)event);

	(void)machine;
	engine_at(__builtin_return_address(0), at);
	engine_begin(STEP_POST, is_drained, here());
	engine_touch(at, TOUCH_SIGNAL);
	memory_release(at);
	*(uint32_t *)event = 1;
}

void machine_wait(struct machine *machine, void *event)
{
	struct thread_state *thread = here();
	uintptr_t at = place(PLACE_EVENT, (uintptr_t)event);

	(void)machine;
	thread->wants = event;
	block_on("", at);
	engine_at(__builtin_return_address(0), at);
	engine_begin(STEP_EVENT_WAIT, is_posted, thread);
	block_on(NULL, 0);
	engine_touch(at, TOUCH_AWAIT);
	memory_acquire(at);
}

void machine_lock(struct machine *machine, void *event)
{
	(void)machine;
	lock_exclusive(STEP_LOCK, place(PLACE_EVENT, (uintptr_t)event), HELD_WRITE);
}

void machine_unlock(struct machine *machine, void *event)
{
	(void)machine;
	unlock_exclusive(STEP_UNLOCK, place(PLACE_EVENT, (uintptr_t)event));
}
