/*
 * schedule.c - windows over the chains of a plan, and the heap of ready steps.
 *
 * Why it cannot get stuck: the earliest undone step of all waits for nothing undone, since everything that it could wait for
 * is earlier; it is in its window, since a window holds the earliest of its chain; and if it lies at a barrier, it is it.
 */
#include "lab/replay/schedule.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 64 };

enum state { STATE_WAITING, STATE_READY, STATE_DONE };

struct window {
	uint64_t used;		  /* slots that hold a step */
	uint64_t waits[WINDOW];	  /* the slots that each waits for */
	uint32_t steps[WINDOW];
	uint32_t next; /* in the chain: the first that is not in yet */
};

struct schedule {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t ended;
	const struct plan *plan;
	struct window *windows; /* by mm */
	uint8_t *slots;		/* by step: its slot */
	uint8_t *states;	/* by step: enum state */
	uint32_t *heap, heap_count;
	uint32_t count;	  /* done */
	uint32_t barrier; /* the next in plan->barriers */
	uint64_t *idle;	  /* workers, a bit each */
	unsigned workers;
	bool loosely, stopped;
};

/* ---- the ready ones ------------------------------------------------------------------------------------- */

static void heap_push(struct schedule *s, uint32_t step)
{
	uint32_t at = s->heap_count++;

	for (; at > 0 && s->heap[(at - 1) / 2] > step; at = (at - 1) / 2)
		s->heap[at] = s->heap[(at - 1) / 2];
	s->heap[at] = step;
}

static uint32_t heap_pop(struct schedule *s)
{
	uint32_t top = s->heap[0], last = s->heap[--s->heap_count], at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= s->heap_count)
			break;
		if (child + 1 < s->heap_count && s->heap[child + 1] < s->heap[child])
			child++;
		if (s->heap[child] >= last)
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = last;
	return top;
}

static void consider(struct schedule *s, uint32_t number)
{
	const struct step *step = &s->plan->steps[number];

	if (s->states[number] != STATE_WAITING || s->windows[step->mm].waits[s->slots[number]])
		return;
	if (step->after != PLAN_NONE && s->states[step->after] != STATE_DONE)
		return;
	s->states[number] = STATE_READY;
	heap_push(s, number);
}

/* ---- windows -------------------------------------------------------------------------------------------- */

/* The next barrier, or the end of the plan: nothing later may start. */
static uint32_t limit(const struct schedule *s)
{
	return s->barrier < s->plan->barrier_count ? s->plan->barriers[s->barrier] : s->plan->count;
}

static void admit(struct schedule *s, struct window *w, uint32_t number)
{
	unsigned slot = (unsigned)__builtin_ctzll(~w->used);
	uint64_t waits = 0;

	for (uint64_t rest = w->used; rest; rest &= rest - 1) {
		unsigned other = (unsigned)__builtin_ctzll(rest);

		if (plan_precedes(&s->plan->steps[w->steps[other]], &s->plan->steps[number], s->loosely))
			waits |= 1ull << other;
	}
	w->steps[slot] = number;
	w->waits[slot] = waits;
	w->used |= 1ull << slot;
	s->slots[number] = (uint8_t)slot;
	consider(s, number);
}

static void fill(struct schedule *s, struct window *w)
{
	while (~w->used && w->next < limit(s)) { /* PLAN_NONE is the greatest */
		uint32_t number = w->next;

		w->next = s->plan->steps[number].next;
		admit(s, w, number);
	}
}

/* All that comes before the barrier is done: it is the only one to run now. */
static void reach_barrier(struct schedule *s)
{
	uint32_t number = limit(s);
	const struct step *step = &s->plan->steps[number];

	if (s->barrier == s->plan->barrier_count || s->count != number)
		return;
	if (step->mm != PLAN_NONE) {
		struct window *w = &s->windows[step->mm];

		w->next = step->next;
		admit(s, w, number);
	} else {
		heap_push(s, number);
	}
}

static void pass_barrier(struct schedule *s)
{
	s->barrier++;
	for (uint32_t i = 0; i < s->plan->mm_count; i++)
		fill(s, &s->windows[i]);
}

static void leave_window(struct schedule *s, uint32_t number)
{
	struct window *w = &s->windows[s->plan->steps[number].mm];
	uint64_t bit = 1ull << s->slots[number];

	w->used &= ~bit;
	for (uint64_t rest = w->used; rest; rest &= rest - 1) {
		unsigned slot = (unsigned)__builtin_ctzll(rest);

		if (!(w->waits[slot] & bit))
			continue;
		w->waits[slot] &= ~bit;
		if (w->waits[slot] == 0)
			consider(s, w->steps[slot]);
	}
	fill(s, w);
}

/* Is @number in its window? Then it has a slot. */
static bool admitted(const struct schedule *s, uint32_t number)
{
	const struct window *w = &s->windows[s->plan->steps[number].mm];

	return (w->used >> s->slots[number] & 1) && w->steps[s->slots[number]] == number;
}

void schedule_done(struct schedule *s, uint32_t number)
{
	const struct step *step = &s->plan->steps[number];

	pthread_mutex_lock(&s->lock);
	s->states[number] = STATE_DONE;
	s->count++;
	if (step->mm != PLAN_NONE)
		leave_window(s, number);
	if (step->then != PLAN_NONE && admitted(s, step->then))
		consider(s, step->then);
	if (step->barrier)
		pass_barrier(s);
	reach_barrier(s);
	if (s->count == s->plan->count)
		pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
}

/* ---- workers -------------------------------------------------------------------------------------------- */

uint32_t schedule_take(struct schedule *s, unsigned worker)
{
	uint32_t number = PLAN_NONE;

	pthread_mutex_lock(&s->lock);
	if (s->heap_count && !s->stopped)
		number = heap_pop(s);
	else
		s->idle[worker / 64] |= 1ull << worker % 64;
	pthread_mutex_unlock(&s->lock);
	return number;
}

int schedule_wake(struct schedule *s)
{
	int worker = -1;

	pthread_mutex_lock(&s->lock);
	if (s->heap_count && !s->stopped) {
		for (unsigned i = 0; i <= (s->workers - 1) / 64 && worker < 0; i++) {
			if (!s->idle[i])
				continue;
			worker = (int)(64 * i) + __builtin_ctzll(s->idle[i]);
			s->idle[i] &= s->idle[i] - 1;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return worker;
}

void schedule_stop(struct schedule *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopped = true;
	pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
}

uint32_t schedule_wait(struct schedule *s, unsigned milliseconds, bool *ended)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)milliseconds * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;

	pthread_mutex_lock(&s->lock);
	int late = 0;
	while (!late && !s->stopped && s->count < s->plan->count)
		late = pthread_cond_timedwait(&s->ended, &s->lock, &until);
	*ended = s->stopped || s->count == s->plan->count;
	uint32_t count = s->count;
	pthread_mutex_unlock(&s->lock);
	return count;
}

struct schedule *schedule_create(const struct plan *plan, unsigned workers, bool loosely)
{
	struct schedule *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ended, NULL);
	s->plan = plan;
	s->workers = workers;
	s->loosely = loosely;
	s->windows = calloc(plan->mm_count + 1, sizeof(*s->windows));
	s->slots = calloc(plan->count + 1, sizeof(*s->slots));
	s->states = calloc(plan->count + 1, sizeof(*s->states));
	s->heap = calloc(plan->count + 1, sizeof(*s->heap));
	s->idle = calloc(workers / 64 + 1, sizeof(*s->idle));
	if (!s->windows || !s->slots || !s->states || !s->heap || !s->idle) {
		schedule_free(s);
		return NULL;
	}
	for (unsigned i = 0; i < workers; i++)
		s->idle[i / 64] |= 1ull << i % 64;
	for (uint32_t i = 0; i < plan->mm_count; i++) {
		s->windows[i].next = plan->mms[i].first;
		fill(s, &s->windows[i]);
	}
	reach_barrier(s);
	return s;
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	free(s->windows);
	free(s->slots);
	free(s->states);
	free(s->heap);
	free(s->idle);
	free(s);
}
