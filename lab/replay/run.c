/*
 * run.c - the workers: one per CPU, each a job that takes steps until there is nothing to take.
 *
 * A worker's CPU runs the mm of its latest step, and keeps a reference for that. With nothing to do it goes
 * idle: the CPU keeps its translations, the reference is dropped, and the next job may find the mm still
 * there. Nothing is waited for inside a job, save by what serves IPIs meanwhile.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <quire/port.h>

#include "lab/replay/replay.h"

enum {
	SAMPLE_EVERY = 64,     /* steps between two looks at the counters that have a peak */
	PROGRESS_AFTER = 1000, /* milliseconds */
	PROGRESS_TERMINAL = 250,
	PROGRESS_FILE = 5000,
	MEMORY_LEFT = 64, /* frames: with fewer, memory is out */
};

static void work(struct quire_cpu **cpu, void *argument);

void replay_fail(struct replay *replay, int error)
{
	int none = 0;

	atomic_compare_exchange_strong_explicit(&replay->failed, &none, error, memory_order_relaxed,
						memory_order_relaxed);
	if (replay->schedule)
		schedule_stop(replay->schedule);
}

bool replay_memory_is_out(struct replay *replay)
{
	struct quire_stats stats;

	quire_stats_read(hosted_quire(replay->machine), &stats);
	return stats.frames_free < MEMORY_LEFT * (1 + (uint64_t)replay->options->cpus);
}

/* ---- waiting ---- */

void worker_lock(struct quire_cpu *cpu, _Atomic uint32_t *lock)
{
	/* Acquire pairs with the release in worker_unlock(). */
	while (atomic_exchange_explicit(lock, 1, memory_order_acquire)) {
		hosted_poll(cpu);
		sched_yield();
	}
}

void worker_unlock(_Atomic uint32_t *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

/* ---- which mm a CPU runs ---- */

void worker_enter(struct worker *worker, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct quire_mm *before = worker->current;

	if (before == mm)
		return;
	worker->current = quire_mm_get(mm);
	quire_cpu_run(*cpu, mm);
	if (before)
		quire_mm_put(cpu, before);
}

void worker_leave(struct worker *worker, struct quire_cpu **cpu)
{
	struct quire_mm *before = worker->current;

	worker->current = NULL;
	quire_cpu_leave(*cpu);
	if (before)
		quire_mm_put(cpu, before);
}

static void worker_idle(struct worker *worker, struct quire_cpu **cpu)
{
	struct quire_mm *before = worker->current;

	if (!before)
		return;
	worker->current = NULL;
	quire_cpu_idle(*cpu);
	quire_mm_put(cpu, before);
}

/* ---- a step ---- */

static void check_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step)
{
	struct process *process = &worker->replay->processes[step->mm];
	const char *what;

	check_process(worker, cpu, process, step);
	if (quire_mm_check(cpu, process->mm, &what) != 0)
		report_difference(worker->replay, step, "an invariant of the address space is broken: %s",
				  what);
}

static void do_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step, uint32_t number)
{
	struct replay *replay = worker->replay;
	struct process *process = step->mm == PLAN_NONE ? NULL : &replay->processes[step->mm];

	if (process && step->kind != STEP_EXEC) {
		if (!process->mm)
			return; /* its birth failed, and was reported */
		worker_enter(worker, cpu, process->mm);
	}
	switch (step->kind) {
	case STEP_TOUCH:
		touch_step(worker, cpu, step, number);
		break;
	case STEP_CALL:
		call_step(worker, cpu, step);
		break;
	case STEP_FORK:
		fork_step(worker, cpu, step);
		break;
	case STEP_EXEC:
		exec_step(worker, cpu, step);
		break;
	case STEP_CHECK:
		check_step(worker, cpu, step);
		break;
	case STEP_SIZE:
		size_step(worker, cpu, step);
		break;
	case STEP_EXIT:
		if (step->last)
			process_end(worker, cpu, process);
		break;
	case STEP_LEAVE: /* what is left of a dying mm, exec takes */
		if (step->last) {
			model_space_destroy(process->model);
			process->model = NULL;
		}
		break;
	case STEP_SPAWN:
		break;
	}
}

static void sample(struct replay *replay)
{
	struct quire_stats stats;

	quire_stats_read(hosted_quire(replay->machine), &stats);
	uint64_t peak = atomic_load_explicit(&replay->tally.tables_peak, memory_order_relaxed);
	while (stats.frames_tables > peak &&
	       !atomic_compare_exchange_weak_explicit(&replay->tally.tables_peak, &peak, stats.frames_tables,
						      memory_order_relaxed, memory_order_relaxed))
		;
}

static void wake_others(struct replay *replay)
{
	int worker;

	while ((worker = schedule_wake(replay->schedule)) >= 0)
		hosted_post(replay->machine, (unsigned)worker, work, &replay->workers[worker]);
}

static void work(struct quire_cpu **cpu, void *argument)
{
	struct worker *worker = argument;
	struct replay *replay = worker->replay;
	uint32_t number;

	while ((number = schedule_take(replay->schedule, worker->index)) != PLAN_NONE) {
		const struct step *step = &replay->plan->steps[number];

		wake_others(replay);
		do_step(worker, cpu, step, number);
		if (number % SAMPLE_EVERY == 0 || step->kind == STEP_CHECK)
			sample(replay);
		schedule_done(replay->schedule, number);
		hosted_poll(*cpu);
	}
	worker_idle(worker, cpu);
}

/* ---- the whole of it ---- */

struct job {
	struct replay *replay;
	int error;
};

static void begin(struct quire_cpu **cpu, void *argument)
{
	struct job *job = argument;

	job->error = files_create(job->replay, cpu);
}

static void look_at_files(struct quire_cpu **cpu, void *argument)
{
	struct job *job = argument;

	files_check(job->replay, cpu);
}

/* Programs that the recording did not see exit. */
static void end_processes(struct quire_cpu **cpu, void *argument)
{
	struct job *job = argument;
	struct replay *replay = job->replay;

	for (uint32_t i = 0; i < replay->plan->mm_count; i++) {
		struct process *process = &replay->processes[i];
		struct worker *worker = &replay->workers[0];

		if (process->mm && process->model && !replay->failed) {
			worker_enter(worker, cpu, process->mm);
			check_process(worker, cpu, process, NULL);
		}
		process_end(worker, cpu, process);
	}
}

static void leave(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	quire_cpu_leave(*cpu);
}

static void finish(struct quire_cpu **cpu, void *argument)
{
	struct job *job = argument;

	files_put(job->replay, cpu);
	quire_port_rcu_barrier(cpu);
	quire_stats_read(hosted_quire(job->replay->machine), &job->replay->stats);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void show_progress(const struct replay *replay, uint32_t done, bool terminal)
{
	fprintf(stderr,
		terminal ? "\rquire replay: %s: %u of %u steps, %u%% "
			 : "quire replay: %s: %u of %u steps, %u%%\n",
		replay->path, done, replay->plan->count,
		(unsigned)((uint64_t)done * 100 / replay->plan->count));
}

static void wait_for_end(struct replay *replay)
{
	bool terminal = isatty(STDERR_FILENO), ended = false, shown = false;
	unsigned pause = PROGRESS_AFTER;

	while (!ended) {
		replay->steps_done = schedule_wait(replay->schedule, pause, &ended);
		pause = terminal ? PROGRESS_TERMINAL : PROGRESS_FILE;
		if (ended)
			break;
		show_progress(replay, replay->steps_done, terminal);
		shown = true;
	}
	if (shown && terminal)
		fprintf(stderr, "\r\033[K");
	hosted_wait(replay->machine);
}

static int create_machine(struct replay *replay)
{
	const struct replay_options *options = replay->options;
	uint64_t around = replay->plan->header.fault_around_bytes / QUIRE_PAGE_SIZE;
	struct hosted_config config = {
		.cpus = options->cpus,
		.memory_bytes = options->memory_bytes,
		.speculation = options->without_speculation ? 0 : 64,
		.seed = 1,
		.maps_zero = true, /* root may, and who may not was refused in the recording */
		.quire = {
			.overcommit = QUIRE_OVERCOMMIT_ALWAYS, /* it was measured against other memory */
			.max_map_count = (uint32_t)replay->plan->header.max_map_count,
			.fault_around_pages = options->without_fault_around ? 1 : (uint32_t)around,
			.without_vma_locks = options->without_vma_locks,
		},
	};

	if (around & (around - 1))
		config.quire.fault_around_pages = 0;
	return hosted_create(&config, &replay->machine);
}

static int prepare(struct replay *replay)
{
	struct plan *plan = replay->plan;
	struct job job = { .replay = replay };
	struct quire_stats stats;
	int error = create_machine(replay);

	if (error)
		return error;
	quire_stats_read(hosted_quire(replay->machine), &stats);
	replay->objects_before = stats.objects;
	pthread_mutex_init(&replay->talk, NULL);
	replay->processes = calloc(plan->mm_count + 1, sizeof(*replay->processes));
	replay->workers = calloc(replay->options->cpus, sizeof(*replay->workers));
	replay->schedule = schedule_create(plan, replay->options->cpus, replay->options->without_order);
	if (!replay->processes || !replay->workers || !replay->schedule)
		return -ENOMEM;
	for (unsigned i = 0; i < replay->options->cpus; i++)
		replay->workers[i] = (struct worker){ .replay = replay, .index = i };
	hosted_run(replay->machine, 0, begin, &job);
	return job.error;
}

static void tear_down(struct replay *replay)
{
	struct job job = { .replay = replay };

	if (!replay->machine)
		return;
	if (replay->processes && replay->workers)
		hosted_run(replay->machine, 0, end_processes, &job);
	for (unsigned i = 0; i < replay->options->cpus; i++)
		hosted_run(replay->machine, i, leave, NULL);
	if (replay->files && !replay->failed)
		hosted_run(replay->machine, 0, look_at_files, &job);
	hosted_run(replay->machine, 0, finish, &job);
	hosted_counts(replay->machine, &replay->counts);
	hosted_destroy(replay->machine);
	replay->machine = NULL;
}

int replay_run(struct replay *replay)
{
	int error = prepare(replay);

	if (!error) {
		uint64_t start = now();

		wake_others(replay);
		wait_for_end(replay);
		replay->nanoseconds = now() - start;
	}
	tear_down(replay);
	schedule_free(replay->schedule);
	free(replay->processes);
	free(replay->workers);
	return error ? error : -replay->failed;
}
