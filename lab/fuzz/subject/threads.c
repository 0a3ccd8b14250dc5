/*
 * threads.c - a stretch on Quire: each thread a CPU, all at once; or, in a trial, one operation after
 * another.
 *
 * The threads meet, and then each carries out its operations in their order, with a pause of random
 * length before each, as the agents' threads do. Before and after it takes the time from one clock for
 * all: a full fence, and what ended before another began has come before it.
 */
#define _GNU_SOURCE
#include "inside.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t next_random(struct part *part)
{
	part->random ^= part->random << 13;
	part->random ^= part->random >> 7;
	part->random ^= part->random << 17;
	return part->random;
}

/* Mostly short; now and then somebody else runs. */
static void pause_a_while(struct part *part)
{
	uint64_t choice = next_random(part);
	_Atomic uint32_t turns = (choice >> 8 & (choice & 0x20 ? 127 : 7)) + 1;

	if (choice % 16 == 0)
		sched_yield();
	while (atomic_fetch_sub_explicit(&turns, 1, memory_order_seq_cst) != 1)
		;
}

/* ---- being stopped in the middle -------------------------------------------------------------- */

/*
 * On few processors threads seldom meet inside of the core, where a race takes a moment only. So a timer
 * stops each somewhere in its part of a stretch, for longer than others need for theirs: the signal's
 * handler lets them run.
 */
enum { STOP_SIGNAL = SIGURG, LATEST_STOP_NS = 20000, LONGEST_STOP_TURNS = 512 };

static _Atomic uint32_t stops;

static void on_stop(int number)
{
	uint32_t turns = atomic_fetch_add_explicit(&stops, 1, memory_order_relaxed) * 2654435761u >> 16;

	(void)number;
	for (turns %= LONGEST_STOP_TURNS; turns; turns--) {
		if (turns % 64 == 1)
			sched_yield();
		else
			atomic_signal_fence(memory_order_seq_cst);
	}
}

static bool stops_begin(struct part *part)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = STOP_SIGNAL };
	struct sigaction action = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	return !sigaction(STOP_SIGNAL, &action, NULL) && !timer_create(CLOCK_MONOTONIC, &event, &part->timer);
}

static void stop_soon(struct part *part)
{
	struct itimerspec when = { .it_value.tv_nsec = 1 + (long)(next_random(part) % LATEST_STOP_NS) };

	if (!part->has_timer)
		part->has_timer = stops_begin(part);
	if (part->has_timer && next_random(part) % 2)
		timer_settime(part->timer, 0, &when, NULL);
}

static void meet(struct stretch *s, struct quire_cpu *cpu)
{
	/* Acquire and release, so that nobody begins before what others have done until here. */
	atomic_fetch_add_explicit(&s->arrived, 1, memory_order_acq_rel);
	for (unsigned turn = 1; atomic_load_explicit(&s->arrived, memory_order_acquire) < s->threads;
	     turn++) {
		hosted_poll(cpu);
		if (turn % 64 == 0)
			sched_yield();
	}
}

static void take_part(struct part *part, struct quire_cpu **cpu)
{
	struct subject *subject = part->subject;
	struct stretch *s = &subject->stretch;

	switch_to(subject, part->thread, *cpu, s->mm);
	meet(s, *cpu);
	stop_soon(part);
	for (uint32_t at = s->from; at < s->to; at++) {
		const struct wire_op *op = &subject->sequence->ops[at];
		struct wire_record *head = &s->heads[at - s->from];

		if (op->thread != part->thread + 1)
			continue;
		pause_a_while(part);
		head->began = 1 + atomic_fetch_add_explicit(&s->clock, 1, memory_order_seq_cst);
		head->result = carry_out(subject, cpu, s->mm, op, head);
		head->ended = 1 + atomic_fetch_add_explicit(&s->clock, 1, memory_order_seq_cst);
	}
}

/* Afterwards the CPU may stay in the address space, asleep or lazily, for flushes to find. */
static void part_job(struct quire_cpu **cpu, void *argument)
{
	struct part *part = argument;

	take_part(part, cpu);
	switch (next_random(part) % 3) {
	case 0:
		switch_to(part->subject, part->thread, *cpu, NULL);
		break;
	case 1:
		quire_cpu_idle(*cpu);
		part->subject->idle[part->thread] = true;
		break;
	}
	/* Release, to CPU 0: what this thread has done. */
	atomic_fetch_sub_explicit(&part->subject->stretch.working, 1, memory_order_release);
}

static void run_at_once(struct subject *subject, struct quire_cpu **cpu)
{
	struct stretch *s = &subject->stretch;

	atomic_store_explicit(&s->arrived, 0, memory_order_relaxed);
	atomic_store_explicit(&s->clock, 0, memory_order_relaxed);
	atomic_store_explicit(&s->working, s->threads - 1, memory_order_relaxed);
	for (unsigned i = 1; i < s->threads; i++)
		hosted_post(subject->machine, i, part_job, &s->parts[i]);
	take_part(&s->parts[0], cpu);
	while (atomic_load_explicit(&s->working, memory_order_acquire)) {
		hosted_poll(*cpu);
		sched_yield();
	}
}

/* In the trial's order, as long as it goes well. */
static void run_in_order(struct subject *subject, struct quire_cpu **cpu)
{
	const struct trial *trial = subject->trial;
	struct stretch *s = &subject->stretch;

	switch_to(subject, 0, *cpu, s->mm);
	for (; trial->steps[subject->step].op >= s->from && trial->steps[subject->step].op < s->to;
	     subject->step++) {
		struct step step = trial->steps[subject->step];
		const struct wire_op *op = &subject->sequence->ops[step.op];
		struct wire_record *head = &s->heads[step.op - s->from];
		const struct wire_record *expected = trial->expected[step.op];
		struct wire_op placed;

		if (trial->placed && expected) {
			placed = as_placed(subject, op, expected->result);
			op = &placed;
		}
		if (step.fault) {
			fault_in_page(subject, cpu, s->mm, op);
			continue;
		}
		head->result = carry_out(subject, cpu, s->mm, op, head);
		subject->failed = comparison_step(&subject->comparison, step.op, expected, head);
		if (subject->failed)
			return;
	}
}

static void write_records(struct subject *subject)
{
	struct stretch *s = &subject->stretch;

	for (uint32_t at = s->from; at < s->to; at++) {
		const struct wire_op *op = &subject->sequence->ops[at];
		struct wire_record *head = &subject->record.head;

		*head = s->heads[at - s->from];
		head->op = (uint16_t)at;
		if (op->slot != WIRE_NO_SLOT && wire_gives_address(head->result))
			subject->slots[op->process][op->slot] = (uint64_t)head->result;
		record_write(subject);
	}
}

uint32_t run_stretch(struct subject *subject, struct quire_cpu **cpu, uint32_t from)
{
	const struct sequence *sequence = subject->sequence;
	struct stretch *s = &subject->stretch;

	s->mm = subject->mms[sequence->ops[from].process];
	s->from = from;
	s->threads = 1;
	for (s->to = from; s->to < sequence->count && sequence->ops[s->to].thread; s->to++) {
		if (sequence->ops[s->to].thread > s->threads)
			s->threads = sequence->ops[s->to].thread;
	}
	memset(s->heads, 0, sizeof(s->heads));
	if (!subject->trial)
		run_at_once(subject, cpu);
	else
		run_in_order(subject, cpu);
	write_records(subject);
	return s->to;
}
