/*
 * schedule.c - counts of what steps wait for, the gates of the mms, and the heap of ready steps.
 *
 * Why it cannot get stuck: the earliest undone step of all waits for nothing undone. Its edges come from
 * earlier steps. Its mm's other undone steps are later, and a later step ends no earlier than it stands in
 * the recording, so no earlier than this one began: the gate is open. If it is a barrier, all before it is
 * done.
 */
#include "lab/replay/schedule.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct gate {				 /* of an mm: parts of schedule->by_begin and by_end */
	uint32_t first_begin, end_begin; /* the closed ones: those that begin later than the earliest end */
	uint32_t first_end, end_end;	 /* the first undone one, and the rest of them */
};

struct schedule {
	pthread_mutex_t lock; /* all below */
	pthread_cond_t ended;
	const struct plan *plan;
	uint32_t *waits;	     /* by step */
	bool *done;		     /* by step */
	uint32_t *by_begin, *by_end; /* steps, sorted by mm and time */
	struct gate *gates;	     /* by mm */
	uint32_t *heap, heap_count;
	uint32_t count;	  /* done */
	uint32_t barrier; /* the next in plan->barriers */
	uint64_t *idle;	  /* workers, a bit each */
	unsigned workers;
	bool stopped;
};

/* ---- the ready ones ---- */

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

/* May the first of the heap run? Nothing passes a barrier, and it runs alone. */
static bool heap_ready(const struct schedule *s)
{
	if (!s->heap_count || s->stopped)
		return false;
	if (s->barrier == s->plan->barrier_count)
		return true;
	uint32_t barrier = s->plan->barriers[s->barrier];

	return s->heap[0] < barrier || (s->heap[0] == barrier && s->count == barrier);
}

static void unblock(struct schedule *s, uint32_t number)
{
	if (--s->waits[number] == 0)
		heap_push(s, number);
}

/* ---- gates ---- */

/* Let through what the earliest end of the mm's undone steps allows. */
static void open_gate(struct schedule *s, struct gate *gate)
{
	const struct step *steps = s->plan->steps;

	while (gate->first_end < gate->end_end && s->done[s->by_end[gate->first_end]])
		gate->first_end++;
	uint64_t end = gate->first_end < gate->end_end ? steps[s->by_end[gate->first_end]].end : UINT64_MAX;

	while (gate->first_begin < gate->end_begin && steps[s->by_begin[gate->first_begin]].begin <= end)
		unblock(s, s->by_begin[gate->first_begin++]);
}

void schedule_done(struct schedule *s, uint32_t number)
{
	const struct step *step = &s->plan->steps[number];

	pthread_mutex_lock(&s->lock);
	s->done[number] = true;
	s->count++;
	if (step->barrier)
		s->barrier++;
	for (uint32_t edge = step->edges; edge != PLAN_NONE; edge = s->plan->edges[edge].next)
		unblock(s, s->plan->edges[edge].to);
	if (s->gates && step->mm != PLAN_NONE)
		open_gate(s, &s->gates[step->mm]);
	if (s->count == s->plan->count)
		pthread_cond_broadcast(&s->ended);
	pthread_mutex_unlock(&s->lock);
}

/* ---- workers ---- */

uint32_t schedule_take(struct schedule *s, unsigned worker)
{
	uint32_t number = PLAN_NONE;

	pthread_mutex_lock(&s->lock);
	if (heap_ready(s))
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
	if (heap_ready(s)) {
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
	until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
	until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
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

/* ---- setting up ---- */

static int compare(const void *left, const void *right, uint64_t left_time, uint64_t right_time,
		   const struct step *steps)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	if (steps[a].mm != steps[b].mm)
		return steps[a].mm < steps[b].mm ? -1 : 1;
	if (left_time != right_time)
		return left_time < right_time ? -1 : 1;
	return a < b ? -1 : a > b;
}

static int compare_begin(const void *left, const void *right, void *argument)
{
	const struct step *steps = argument;

	return compare(left, right, steps[*(const uint32_t *)left].begin,
		       steps[*(const uint32_t *)right].begin, steps);
}

static int compare_end(const void *left, const void *right, void *argument)
{
	const struct step *steps = argument;

	return compare(left, right, steps[*(const uint32_t *)left].end, steps[*(const uint32_t *)right].end,
		       steps);
}

static bool create_gates(struct schedule *s)
{
	const struct plan *plan = s->plan;

	s->by_begin = malloc((plan->count + 1) * sizeof(*s->by_begin));
	s->by_end = malloc((plan->count + 1) * sizeof(*s->by_end));
	s->gates = calloc(plan->mm_count + 1, sizeof(*s->gates));
	if (!s->by_begin || !s->by_end || !s->gates)
		return false;
	for (uint32_t i = 0; i < plan->count; i++) {
		s->by_begin[i] = s->by_end[i] = i;
		if (plan->steps[i].mm != PLAN_NONE)
			s->waits[i]++;
	}
	qsort_r(s->by_begin, plan->count, sizeof(*s->by_begin), compare_begin, plan->steps);
	qsort_r(s->by_end, plan->count, sizeof(*s->by_end), compare_end, plan->steps);
	for (uint32_t i = 0; i < plan->count; i++) {
		uint32_t mm = plan->steps[s->by_begin[i]].mm;

		if (mm == PLAN_NONE)
			break; /* the greatest of all */
		struct gate *gate = &s->gates[mm];

		if (gate->end_end == 0)
			gate->first_begin = gate->first_end = i;
		gate->end_begin = gate->end_end = i + 1;
	}
	return true;
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
	s->waits = calloc(plan->count + 1, sizeof(*s->waits));
	s->done = calloc(plan->count + 1, sizeof(*s->done));
	s->heap = calloc(plan->count + 1, sizeof(*s->heap));
	s->idle = calloc(workers / 64 + 1, sizeof(*s->idle));
	if (!s->waits || !s->done || !s->heap || !s->idle)
		goto fail;
	for (unsigned i = 0; i < workers; i++)
		s->idle[i / 64] |= 1ull << i % 64;
	for (uint32_t i = 0; i < plan->count; i++)
		s->waits[i] = plan->steps[i].waits;
	if (!loosely && !create_gates(s))
		goto fail;
	for (uint32_t i = 0; i < plan->count; i++)
		if (s->waits[i] == 0)
			heap_push(s, i);
	for (uint32_t i = 0; s->gates && i < plan->mm_count; i++)
		open_gate(s, &s->gates[i]);
	return s;
fail:
	schedule_free(s);
	return NULL;
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->ended);
	free(s->waits);
	free(s->done);
	free(s->by_begin);
	free(s->by_end);
	free(s->gates);
	free(s->heap);
	free(s->idle);
	free(s);
}
