/*
 * scale_host.c - the workload on the hosted machine: a thread a CPU, real caches, real contention.
 *
 * A machine for each number of threads and each kind of locks stands ready from the first measurement to the
 * last, so that they can be measured by turns. Time includes the emulated MMU, for both alike.
 */
#include "lab/bench/scale.h"

#include "hosted.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 64 };

struct stand {
	struct hosted *machine;
	struct quire_mm *mm;
	const struct scale_options *options;
	unsigned threads;
	hosted_job *timed;
	_Atomic unsigned here;	      /* threads that are ready */
	_Atomic uint64_t nanoseconds; /* spent in what is timed, by all threads */
	_Atomic bool failed;
};

/* ---- jobs ---------------------------------------------------------------------------------------------- */

static void map(struct quire_cpu **cpu, struct stand *stand, unsigned id)
{
	struct quire_mmap map = workload_map(id, stand->options->pages);

	if (quire_mmap(cpu, stand->mm, &map) < 0)
		atomic_store_explicit(&stand->failed, true, memory_order_relaxed);
}

static void set_scene(struct quire_cpu **cpu, void *argument)
{
	struct stand *stand = argument;

	if (quire_mm_create(cpu, &stand->mm)) {
		atomic_store_explicit(&stand->failed, true, memory_order_relaxed);
		return;
	}
	for (unsigned id = 0; id < stand->threads; id++)
		map(cpu, stand, id);
}

static void clear_scene(struct quire_cpu **cpu, void *argument)
{
	struct stand *stand = argument;

	if (stand->mm)
		quire_mm_put(cpu, stand->mm);
}

static void enter(struct quire_cpu **cpu, void *argument)
{
	quire_cpu_run(*cpu, ((struct stand *)argument)->mm);
}

static void leave(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	quire_cpu_leave(*cpu);
}

static void touch(struct quire_cpu **cpu, void *argument)
{
	struct stand *stand = argument;
	quire_vaddr at = workload_place((*cpu)->id, stand->options->pages);

	for (unsigned page = 0; page < stand->options->pages; page++, at += QUIRE_PAGE_SIZE) {
		struct quire_fault fault;

		if (hosted_store(cpu, stand->mm, at, "", 1, &fault))
			atomic_store_explicit(&stand->failed, true, memory_order_relaxed);
	}
}

static void drop(struct quire_cpu **cpu, void *argument)
{
	struct stand *stand = argument;
	unsigned id = (*cpu)->id;
	quire_vaddr at = workload_place(id, stand->options->pages);
	quire_vaddr length = stand->options->pages * QUIRE_PAGE_SIZE;

	if (stand->options->load->unmaps) {
		quire_munmap(cpu, stand->mm, at, length);
		map(cpu, stand, id);
	} else {
		quire_madvise(cpu, stand->mm, at, length, QUIRE_MADV_DONTNEED);
	}
}

static void loop(struct quire_cpu **cpu, void *argument)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		touch(cpu, argument);
		drop(cpu, argument);
	}
}

/* ---- one measurement ----------------------------------------------------------------------------------- */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Each thread takes its own time, once all are awake: how soon the host wakes them is not the question. */
static void take_time(struct quire_cpu **cpu, void *argument)
{
	struct stand *stand = argument;

	atomic_fetch_add_explicit(&stand->here, 1, memory_order_relaxed);
	while (atomic_load_explicit(&stand->here, memory_order_relaxed) < stand->threads)
		hosted_poll(*cpu);
	uint64_t began = now();
	stand->timed(cpu, argument);
	atomic_fetch_add_explicit(&stand->nanoseconds, now() - began, memory_order_relaxed);
}

static void all_do(struct stand *stand, hosted_job *job)
{
	for (unsigned id = 0; id < stand->threads; id++)
		hosted_post(stand->machine, id, job, stand);
	hosted_wait(stand->machine);
}

static void time_all(struct stand *stand, hosted_job *job)
{
	stand->timed = job;
	atomic_store_explicit(&stand->here, 0, memory_order_relaxed);
	all_do(stand, take_time);
}

static double measure(void *argument, unsigned variant)
{
	struct stand *stand = (struct stand *)argument + variant;

	atomic_store_explicit(&stand->nanoseconds, 0, memory_order_relaxed);
	if (stand->options->load->together)
		time_all(stand, loop);
	for (unsigned round = 0; round < ROUNDS && !stand->options->load->together; round++) {
		time_all(stand, touch);
		all_do(stand, drop);
	}
	double faults = (double)stand->options->pages * stand->threads * ROUNDS;
	double seconds = (double)atomic_load_explicit(&stand->nanoseconds, memory_order_relaxed) * 1e-9;
	return faults / (seconds / stand->threads);
}

/* ---- all of them --------------------------------------------------------------------------------------- */

static bool stand_create(struct stand *stand, const struct scale_options *options, unsigned threads,
			 enum scale_locks locks)
{
	struct hosted_config config = {
		.cpus = threads,
		.memory_bytes = workload_frames(threads, options->pages) << QUIRE_PAGE_SHIFT,
		.quire.without_vma_locks = locks == SCALE_SINGLE,
	};

	*stand = (struct stand){ .options = options, .threads = threads };
	if (hosted_create(&config, &stand->machine))
		return false;
	hosted_run(stand->machine, 0, set_scene, stand);
	if (atomic_load_explicit(&stand->failed, memory_order_relaxed))
		return false;
	all_do(stand, enter);
	return true;
}

static void stand_destroy(struct stand *stand)
{
	if (!stand->machine)
		return;
	all_do(stand, leave);
	hosted_run(stand->machine, 0, clear_scene, stand);
	hosted_destroy(stand->machine);
}

static unsigned processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
}

/* 1, 2, 4 ... and all that there are. */
static void choose_threads(struct scale_host *host)
{
	unsigned all = processors();

	if (all > QUIRE_MAX_CPUS - 1)
		all = QUIRE_MAX_CPUS - 1;
	for (unsigned threads = 1; threads < all; threads *= 2)
		host->row[host->count++].threads = threads;
	host->row[host->count++].threads = all;
}

bool scale_run_host(const struct scale_options *options, struct scale_host *host)
{
	struct stand stands[SCALE_THREADS * SCALE_LOCKS] = { 0 };
	struct bench_figure figures[SCALE_THREADS * SCALE_LOCKS];
	bool held = true;

	choose_threads(host);
	unsigned count = host->count * SCALE_LOCKS;
	for (unsigned i = 0; i < count && held; i++)
		held = stand_create(&stands[i], options, host->row[i / SCALE_LOCKS].threads, i % SCALE_LOCKS);
	if (held)
		bench_by_turns(measure, stands, count, options->repetitions, figures);
	for (unsigned i = 0; i < count; i++) {
		host->row[i / SCALE_LOCKS].figure[i % SCALE_LOCKS] = figures[i];
		held = held && !atomic_load_explicit(&stands[i].failed, memory_order_relaxed);
		stand_destroy(&stands[i]);
	}
	if (!held)
		fprintf(stderr, "quire bench scale: out of memory\n");
	return held;
}
