/*
 * turns.c - whose turn it is: the CPU whose clock is furthest behind; of equal ones, that with the lower
 * number.
 *
 *	runs (model_now.self) <-> can go on (queue) <-> sleeps: for a word, a lock, its IPI's end, a job
 *
 * The queue is a heap. Its head's clock is the horizon, up to which the CPU that runs need not ask. A
 * sleeper has no clock that counts: who wakes it, or interrupts it, sets the clock on.
 */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

static struct model_cpu *queue[QUIRE_MAX_CPUS];
static unsigned queued;

static bool is_before(const struct model_cpu *a, const struct model_cpu *b)
{
	return a->clock < b->clock || (a->clock == b->clock && a->id < b->id);
}

static void set_horizon(void)
{
	model_now.horizon = queued ? queue[0]->clock : UINT64_MAX;
}

static void put(struct model_cpu *cpu)
{
	unsigned at = queued++;

	for (; at && is_before(cpu, queue[(at - 1) / 2]); at = (at - 1) / 2)
		queue[at] = queue[(at - 1) / 2];
	queue[at] = cpu;
	cpu->queued = true;
	set_horizon();
}

/* Out of the head; the others move up. */
static struct model_cpu *take(void)
{
	struct model_cpu *first = queue[0], *last = queue[--queued];
	unsigned at = 0, child;

	for (; (child = 2 * at + 1) < queued; at = child) {
		if (child + 1 < queued && is_before(queue[child + 1], queue[child]))
			child++;
		if (!is_before(queue[child], last))
			break;
		queue[at] = queue[child];
	}
	queue[at] = last;
	first->queued = false;
	set_horizon();
	return first;
}

static void go_on(struct model_cpu *cpu, uint64_t at)
{
	if (cpu->queued || cpu == model_now.self)
		return;
	if (cpu->clock < at)
		cpu->clock = at;
	put(cpu);
}

void turn_wake(struct model_cpu *cpu, uint64_t at)
{
	cpu->go = true;
	cpu->go_at = at;
	go_on(cpu, at);
}

void turn_mail(struct model_cpu *cpu, uint64_t at)
{
	go_on(cpu, at);
}

void turn_take(struct model_cpu *me)
{
	while (me->clock > model_now.horizon || has_mail(me)) {
		if (me->clock <= model_now.horizon) {
			serve(me);
			continue;
		}
		put(me);
		struct model_cpu *next = take();
		model_now.self = next;
		if (next != me)
			coroutine_switch(&me->coroutine, &next->coroutine);
	}
}

static _Noreturn void stuck(void)
{
	fprintf(stderr, "quire-model: all CPUs wait\n");
	abort();
}

/* Somebody else's turn; back when somebody has put us into the queue. */
static void leave(struct model_cpu *me)
{
	if (queued) {
		struct model_cpu *next = take();

		model_now.self = next;
		coroutine_switch(&me->coroutine, &next->coroutine);
		return;
	}
	for (unsigned id = 0; id < model_now.config.cpus; id++)
		if (!model_now.cpu[id]->idle)
			stuck();
	model_now.self = NULL;
	coroutine_switch(&me->coroutine, &model_now.main);
}

void turn_sleep(struct model_cpu *me)
{
	while (!me->go) {
		/* It may have come for an earlier reason, before its mail has. */
		if (me->mail_count && !me->in_handler) {
			if (me->clock < me->mail[me->mail_first].at)
				me->clock = me->mail[me->mail_first].at;
			turn_take(me);
		} else {
			leave(me);
		}
	}
	me->go = false;
	if (me->clock < me->go_at)
		me->clock = me->go_at;
	take_turn(me);
}

void turn_begin(uint64_t at)
{
	for (unsigned id = 0; id < model_now.config.cpus; id++)
		turn_wake(model_now.cpu[id], at);
	struct model_cpu *first = take();
	model_now.self = first;
	coroutine_switch(&model_now.main, &first->coroutine);
}
