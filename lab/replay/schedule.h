/*
 * schedule.h - hands out the steps of a plan in an order that the recording allows.
 *
 * Every step counts what it still waits for: edges of the plan, and its mm's gate. The gate knows the
 * earliest end, in the recording, of all undone steps of the mm, and is open for those that began no later.
 * Of the steps that wait for nothing the earliest in the recording is handed out first, so that one CPU
 * always replays in the same order.
 *
 * The schedule has a lock of its own (the callers are threads); nothing is called under it.
 */
#ifndef LAB_REPLAY_SCHEDULE_H
#define LAB_REPLAY_SCHEDULE_H

#include "lab/replay/plan.h"

struct schedule;

/*
 * @loosely: without gates; then only what is of one thread or concerns the same addresses is ordered.
 * Results are the same, and much more happens at once. NULL: out of memory.
 */
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

/*
 * How many steps are done; waits at most @milliseconds for the end (all done, or stopped), which *ended
 * tells.
 */
uint32_t schedule_wait(struct schedule *schedule, unsigned milliseconds, bool *ended);

#endif
