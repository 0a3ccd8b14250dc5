/*
 * replay.h - one replay: a plan, a machine, the processes on it, the model beside it, and what came of it.
 *
 *	command.c   options, the traces one after the other, exit status
 *	plan.c	    the trace as steps with their order		schedule.c  which step next
 *	run.c	    workers: takes a step, does it, says so	calls.c	    system calls
 *	life.c	    exec, fork, exit				refusals.c  calls that are not made
 *	touch.c	    loads, stores, fetches, looking at pages	files.c	    what is mapped
 *	report.c    the table and the JSON			model.c	    what memory must contain
 *	race.c	    what the recording leaves open
 */
#ifndef LAB_REPLAY_REPLAY_H
#define LAB_REPLAY_REPLAY_H

#include <pthread.h>
#include <stdatomic.h>

#include "lab/replay/model.h"
#include "lab/replay/plan.h"
#include "lab/replay/schedule.h"
#include "machines/hosted/hosted.h"

struct replay_options {
	unsigned cpus;
	uint64_t memory_bytes;
	bool json;
	bool quiet; /* differences are counted, not printed */
	bool without_fault_around, without_vma_locks, without_speculation, without_order;
};

struct file {			  /* of the trace */
	struct quire_file *quire; /* NULL once it is put */
	struct model_object *object;
};

struct process {	     /* an mm of the trace */
	struct quire_mm *mm; /* referenced; NULL before its birth and after its death */
	struct model_space *model;
	uint64_t brk; /* the model's */
};

enum { STRIPES = 1024 };

struct tally { /* what the replay counts; atomic, relaxed: only sums matter */
	_Atomic uint64_t touches, touches_by[4]; /* by QUIRE_ACCESS_* */
	_Atomic uint64_t touches_kernel, touches_bad;
	_Atomic uint64_t races; /* steps that came out otherwise than recorded, as they may */
	_Atomic uint64_t calls, calls_unsupported, calls_left_out, calls_adapted;
	_Atomic uint64_t pages_checked, files_grown;
	_Atomic uint64_t differences;
	_Atomic uint64_t tables_peak;
};

struct replay;

struct worker {
	struct replay *replay;
	unsigned index;
	struct quire_mm *current; /* the mm that its CPU runs; referenced */
};

struct replay {
	const char *path;
	const struct replay_options *options;
	struct plan *plan;
	struct hosted *machine;
	struct schedule *schedule;
	struct worker *workers;
	struct file *files;		   /* by file of the trace */
	struct process *processes;	   /* by mm of the trace */
	_Atomic uint32_t stripes[STRIPES]; /* who compares a shared page keeps others from it */
	_Atomic uint32_t growing;	   /* one file at a time */
	pthread_mutex_t talk;		   /* one message at a time */
	struct tally tally;
	uint32_t steps_done;
	_Atomic int failed;	 /* 0, or the errno that ended it early: nothing can be concluded */
	uint64_t objects_before; /* small objects of the machine itself */
	uint64_t nanoseconds;
	struct quire_stats stats; /* at the end */
	struct hosted_counts counts;
};

static inline uint64_t page_up(uint64_t bytes)
{
	return (bytes + QUIRE_PAGE_SIZE - 1) & QUIRE_PAGE_MASK;
}

/* ---- run.c ---- */

/* Replay replay->plan. 0; or a negative errno, when nothing can be concluded. */
int replay_run(struct replay *replay);

/* This worker's CPU runs @mm from now on. */
void worker_enter(struct worker *worker, struct quire_cpu **cpu, struct quire_mm *mm);
void worker_leave(struct worker *worker, struct quire_cpu **cpu);

/* A lock for steps. Whoever waits for it serves IPIs meanwhile: its holder may be flushing this CPU. */
void worker_lock(struct quire_cpu *cpu, _Atomic uint32_t *lock);
void worker_unlock(_Atomic uint32_t *lock);

/* Nothing can be concluded: out of memory, mostly. */
void replay_fail(struct replay *replay, int error);

/* Is there next to none of Quire's memory left, so that an ENOMEM is no difference but our own want? */
bool replay_memory_is_out(struct replay *replay);

/* ---- life.c ---- */

void fork_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step);
void exec_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step);

/* The last thread is gone: so is the memory. */
void process_end(struct worker *worker, struct quire_cpu **cpu, struct process *process);

/* ---- calls.c ---- */

void call_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step);
void size_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step);

/* ---- refusals.c ---- */

/* Did the recording refuse this call for a reason that the replay does not have? */
bool refused_elsewhere(const struct process *process, const struct trace_event *event);

/* ---- race.c ---- */

/*
 * May a call of another thread that changes the same mappings have come before @step as well as after it?
 */
bool step_races(const struct plan *plan, const struct step *step);

/* ---- touch.c ---- */

void touch_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step, uint32_t number);

/*
 * Compare all private pages of @process that were written, and the shared ones that nobody else can look
 * at.
 */
void check_process(struct worker *worker, struct quire_cpu **cpu, struct process *process,
		   const struct step *step);

/* ---- files.c ---- */

int files_create(struct replay *replay, struct quire_cpu **cpu);
void files_check(struct replay *replay, struct quire_cpu **cpu); /* against the model, at the end */

/*
 * Set the size of a file of the trace, for Quire and the model; a shorter one at a barrier only. 0 or a
 * negative errno.
 */
int file_set_size(struct replay *replay, struct quire_cpu **cpu, uint32_t number, uint64_t bytes);

/* The file behind @object turned out to have at least @bytes. 0 or a negative errno. */
int file_grown(struct replay *replay, struct quire_cpu **cpu, const struct model_object *object,
	       uint64_t bytes);

void files_put(struct replay *replay, struct quire_cpu **cpu);

/* ---- report.c ---- */

/*
 * A difference between Quire and the recording or the model, about @step (or NULL). The first few are
 * printed.
 */
void report_difference(struct replay *replay, const struct step *step, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void report_table(const struct replay *replay);
struct json_t;
struct json_t *report_json(const struct replay *replay);

/* What is not zero at the end, for the report: NULL if all is. */
const char *report_leftover(const struct replay *replay);

#endif
