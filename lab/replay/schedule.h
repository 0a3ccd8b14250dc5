/*
 * schedule.h - hands out the steps of a plan in an order that the recording allows.
 *
 * Of each mm's chain the first undone steps stand in a window of 64; each slot knows as a bit mask which other slots it waits for.
 * A step whose mask is empty, and whose step in another mm is done, is ready; of the ready ones the earliest in the
 * recording is handed out first, so that one CPU always replays in the same order.
 *
 * The schedule has a lock of its own (the callers are threads); nothing is called under it.
 */
#ifndef LAB_REPLAY_SCHEDULE_H
#define LAB_REPLAY_SCHEDULE_H

#include "lab/replay/plan.h"

struct schedule;

/* @loosely: see plan_precedes(). NULL: out of memory. */
struct schedule *schedule_create(const struct plan *plan, unsigned workers, bool loosely);
void schedule_free(struct schedule *schedule);

/*
 * The next step for a worker. PLAN_NONE: nothing is ready, and the worker counts as idle from now on, until
 * schedule_wake() names it.
 */
uint32_t schedule_take(struct schedule *schedule, unsigned worker);

/* Step @number is done. */
void schedule_done(struct schedule *schedule, uint32_t number);

/*
 * An idle worker for whom there is work, now no longer idle; or -1. Called after schedule_create() and after
 * every schedule_done() until it says -1.
 */
int schedule_wake(struct schedule *schedule);

/* Nothing is handed out any more. */
void schedule_stop(struct schedule *schedule);

/* How many steps are done; waits at most @milliseconds for the end (all done, or stopped), which *ended tells. */
uint32_t schedule_wait(struct schedule *schedule, unsigned milliseconds, bool *ended);

#endif
