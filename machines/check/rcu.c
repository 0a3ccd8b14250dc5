/*
 * rcu.c - grace periods, as an agent that begins and ends them when it likes.
 *
 *	a reader			the agent
 *	[ section begins ]		[ takes what was handed in; notes who is in a section ]	full fence
 *	  ...				...
 *	section ends (in its last step)	[ those have all left: the grace period is over ]	full fence
 *					runs the callbacks, on the service CPU
 *
 * A section that begins after the grace period has, sees all that came before; the end sees all that older
 * sections did, and nothing of younger ones: what is read outside of any section, or in a younger one, is not
 * in order with what the callbacks free. The end of a section is the end of its last step, as that of a lock
 * is (locks.c): the agent can only go on earlier by it. Its beginning is a step: the agent may come between
 * it and what is read first.
 *
 * Without the agent (config.rcu_agent) no grace period ends before the execution does; callbacks then run
 * unscheduled, and sections are no steps. What needs memory to be freed while others run must ask for the
 * agent.
 *
 * Callbacks wait in queues of the threads that handed them in, and run by thread, so that their order does
 * not depend on how threads that do not meet are interleaved.
 *
 * Rules:   CHK-4. Errors: an unbalanced section, or one in a handler that sleeps: violations.
 */
#include "inside.h"

void quire_port_rcu_lock(struct quire_cpu *cpu)
{
	struct thread_state *thread = here();

	(void)cpu;
	if (thread->rcu_depth++ || !engine_now || !machine_now->config.rcu_agent)
		return;
	thread->rcu_depth = 0; /* not in it before the step is chosen */
	engine_at(__builtin_return_address(0), place(PLACE_READER, self()));
	engine_begin(STEP_RCU_LOCK, NULL, NULL);
	thread->rcu_depth = 1;
	engine_touch(place(PLACE_READER, self()), TOUCH_WRITE);
	memory_acquire(place(PLACE_GRACE, 0));
}

void quire_port_rcu_unlock(struct quire_cpu *cpu)
{
	struct machine *machine = machine_now;
	struct thread_state *thread = here();

	(void)cpu;
	if (!thread->rcu_depth) {
		violation("%s ends a read-side section that it is not in", thread_name(self()));
		return;
	}
	bool ends = thread->rcu_depth == 1 && engine_now && machine->config.rcu_agent;

	if (ends)
		memory_drain(__builtin_return_address(0)); /* perhaps a step: still inside */
	thread->rcu_depth--;
	if (!ends)
		return;
	/* A grace period that began in this very step or later does not wait for us. */
	engine_touch(place(PLACE_READER, self() + ENGINE_THREADS), TOUCH_SIGNAL);
	memory_release(place(PLACE_READER, self()));
	if (machine->grace_waits >> self() & 1)
		memory_release(place(PLACE_READER, self() + ENGINE_THREADS));
	machine->grace_waits &= ~(1u << self());
}

void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct thread_state *thread = here();

	(void)cpu;
	if (engine_now && machine_now->config.rcu_agent) {
		engine_at(__builtin_return_address(0), place(PLACE_CALLBACKS, 0));
		engine_begin(STEP_RCU_CALL, is_drained, thread);
		engine_touch(place(PLACE_CALLBACKS, 0), TOUCH_ADD);
		memory_release(place(PLACE_CALLBACKS, 0));
	}
	head->next = NULL;
	if (!thread->callbacks)
		thread->callbacks_last = &thread->callbacks;
	*thread->callbacks_last = head;
	thread->callbacks_last = &head->next;
}

/* All that threads have handed in, by thread. */
static struct quire_rcu *take_all(struct machine *machine)
{
	struct quire_rcu *first = NULL, **last = &first;

	for (unsigned t = 0; t <= ENGINE_THREADS; t++) {
		struct thread_state *thread = &machine->thread[t];

		if (!thread->callbacks)
			continue;
		*last = thread->callbacks;
		last = thread->callbacks_last;
		thread->callbacks = NULL;
	}
	return first;
}

static void run(struct quire_cpu *cpu, struct quire_rcu *batch)
{
	while (batch) {
		struct quire_rcu *next = batch->next; /* done() may free it */

		batch->done(cpu, batch);
		batch = next;
	}
}

bool rcu_is_idle(const struct machine *machine)
{
	for (unsigned t = 0; t <= ENGINE_THREADS; t++)
		if (machine->thread[t].callbacks)
			return false;
	return !machine->grace && !machine->grace_batch;
}

/* Unscheduled: nobody is in a section. */
void rcu_run_all(struct machine *machine)
{
	run(machine->cpu[machine->cpus].cpu, machine->grace_batch);
	machine->grace_batch = NULL;
	machine->grace = false;
	for (struct quire_rcu *batch; (batch = take_all(machine));)
		run(machine->cpu[machine->cpus].cpu, batch);
}

/* ---- the agent -------------------------------------------------------------------------------------- */

static bool has_callbacks(void *argument)
{
	const struct machine *machine = argument;

	for (unsigned t = 0; t < machine->threads; t++)
		if (machine->thread[t].callbacks)
			return true;
	return machine->thread[OUTSIDE].callbacks != NULL;
}

static bool readers_have_left(void *argument)
{
	const struct machine *machine = argument;

	return !machine->grace_waits;
}

static void grace_period(struct machine *machine)
{
	engine_at(NULL, place(PLACE_GRACE, 0));
	engine_begin(STEP_GRACE_BEGIN, has_callbacks, machine);
	engine_touch(place(PLACE_CALLBACKS, 0), TOUCH_WRITE);
	memory_acquire(place(PLACE_CALLBACKS, 0));
	machine->grace = true;
	machine->grace_batch = take_all(machine);
	for (unsigned t = 0; t < machine->threads; t++) {
		if (t == machine->grace_agent)
			continue;
		engine_touch(place(PLACE_READER, t), TOUCH_READ);
		memory_acquire(place(PLACE_READER, t));
		if (machine->thread[t].rcu_depth)
			machine->grace_waits |= 1u << t;
	}
	memory_full();
	memory_release(place(PLACE_GRACE, 0));

	uint32_t waits = machine->grace_waits;
	engine_at(NULL, place(PLACE_GRACE, 0));
	engine_begin(STEP_GRACE_END, readers_have_left, machine);
	for (unsigned t = 0; t < machine->threads; t++) {
		if (!(waits >> t & 1))
			continue;
		engine_touch(place(PLACE_READER, t + ENGINE_THREADS), TOUCH_AWAIT);
		memory_acquire(place(PLACE_READER, t + ENGINE_THREADS));
	}
	memory_full();
}

void grace_agent(struct machine *machine)
{
	for (;;) {
		grace_period(machine);
		run(machine->cpu[machine->cpus].cpu, machine->grace_batch);
		machine->grace_batch = NULL;
		machine->grace = false;
		engine_touch(place(PLACE_GRACE, 1), TOUCH_SIGNAL);
		memory_release(place(PLACE_GRACE, 1));
	}
}

static bool is_idle(void *argument)
{
	return rcu_is_idle(argument);
}

void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	struct machine *machine = machine_now;

	(void)cpu;
	must_not_sleep("a wait for callbacks");
	if (!engine_now) {
		rcu_run_all(machine);
		return;
	}
	block_on("RCU callbacks", 0);
	engine_at(__builtin_return_address(0), place(PLACE_CALLBACKS, 0));
	engine_begin(STEP_SLEEP, is_idle, machine);
	block_on(NULL, 0);
	engine_touch(place(PLACE_CALLBACKS, 0), TOUCH_READ);
	engine_touch(place(PLACE_GRACE, 1), TOUCH_AWAIT);
	memory_acquire(place(PLACE_GRACE, 1));
	memory_full();
}
