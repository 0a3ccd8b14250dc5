/*
 * cpu.c - a CPU's thread: serves IPIs, runs jobs, and sleeps when there is neither.
 *
 * The service CPU is a CPU like the others, with one duty more: it runs the RCU callbacks whose grace
 * period has passed.
 *
 * Order:   the job lock is a leaf; jobs run under no lock.
 * Errors:  -QUIRE_ENOMEM at creation.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

int cpu_create(struct hosted *machine, unsigned id, struct hosted_cpu **out)
{
	struct hosted_cpu *cpu = aligned_alloc(64, sizeof(*cpu));

	if (!cpu)
		return -QUIRE_ENOMEM;
	memset(cpu, 0, sizeof(*cpu));
	cpu->machine = machine;
	cpu->id = id;
	cpu->jobs_last = &cpu->jobs_first;
	struct softmmu_config config = {
		.memory = machine->memory,
		.frames = machine->config.quire.frames,
		.tlb_entries = machine->config.tlb_entries,
		.speculation = machine->config.speculation,
		.seed = machine->config.seed * 1000003 + id,
	};
	int err = softmmu_create(&cpu->mmu, &config);
	if (err) {
		free(cpu);
		return err;
	}
	pthread_mutex_init(&cpu->jobs_lock, NULL);
	*out = cpu;
	return 0;
}

void cpu_destroy(struct hosted_cpu *cpu)
{
	pthread_mutex_destroy(&cpu->jobs_lock);
	softmmu_destroy(&cpu->mmu);
	free(cpu);
}

static struct job *take_job(struct hosted_cpu *me)
{
	struct job *job;

	pthread_mutex_lock(&me->jobs_lock);
	job = me->jobs_first;
	if (job) {
		me->jobs_first = job->next;
		if (!job->next)
			me->jobs_last = &me->jobs_first;
	}
	pthread_mutex_unlock(&me->jobs_lock);
	return job;
}

static void run_job(struct hosted_cpu *me, struct job *job)
{
	struct hosted *machine = me->machine;
	struct quire_cpu *cpu = me->cpu;

	job->run(&cpu, job->argument);
	free(job);
	/* Release, to hosted_wait(): what the job did. */
	if (atomic_fetch_sub_explicit(&machine->jobs, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_lock(&machine->lock);
	pthread_cond_broadcast(&machine->changed);
	pthread_mutex_unlock(&machine->lock);
}

static bool is_service(const struct hosted_cpu *me)
{
	return me->id == me->machine->config.cpus;
}

/* One thing there is to do. False when there is none. */
static bool work(struct hosted_cpu *me)
{
	struct job *job = take_job(me);

	if (job) {
		run_job(me, job);
		return true;
	}
	if (is_service(me) && rcu_has_ready(me->machine)) {
		rcu_run_ready(me);
		return true;
	}
	return false;
}

static void *cpu_main(void *argument)
{
	struct hosted_cpu *me = argument;

	hosted_here = me;
	rcu_thread_enter();
	cpu_inside(me);
	for (;;) {
		uint32_t seen = bell_read(me);

		cpu_poll(me);
		if (work(me))
			continue;
		/* Pairs with the release in cpu_stop(). */
		if (atomic_load_explicit(&me->stop, memory_order_acquire))
			break;
		bell_sleep(me, seen, 0);
	}
	cpu_outside(me);
	rcu_thread_leave();
	hosted_here = NULL;
	return NULL;
}

int cpu_start(struct hosted_cpu *cpu)
{
	cpu->started = pthread_create(&cpu->thread, NULL, cpu_main, cpu) == 0;
	return cpu->started ? 0 : -QUIRE_ENOMEM;
}

void cpu_stop(struct hosted_cpu *cpu)
{
	if (!cpu->started)
		return;
	atomic_store_explicit(&cpu->stop, true, memory_order_release);
	bell_ring(cpu);
	pthread_join(cpu->thread, NULL);
	cpu->started = false;
}

void hosted_post(struct hosted *machine, unsigned cpu, hosted_job *run, void *argument)
{
	struct job *job = malloc(sizeof(*job));

	if (cpu >= machine->config.cpus)
		quire_port_panic(__FILE__, __LINE__, "jobs are posted to CPUs that exist");
	if (!job)
		quire_port_panic(__FILE__, __LINE__, "the host is out of memory");
	*job = (struct job){ NULL, run, argument };
	atomic_fetch_add_explicit(&machine->jobs, 1, memory_order_relaxed);
	struct hosted_cpu *target = machine->cpus[cpu];
	pthread_mutex_lock(&target->jobs_lock);
	*target->jobs_last = job;
	target->jobs_last = &job->next;
	pthread_mutex_unlock(&target->jobs_lock);
	bell_ring(target);
}

struct awaited {
	hosted_job *run;
	void *argument;
	bool done; /* the machine's lock */
};

static void run_awaited(struct quire_cpu **cpu, void *argument)
{
	struct hosted *machine = hosted_here->machine;
	struct awaited *awaited = argument;

	awaited->run(cpu, awaited->argument);
	pthread_mutex_lock(&machine->lock);
	awaited->done = true;
	pthread_cond_broadcast(&machine->changed);
	pthread_mutex_unlock(&machine->lock);
}

void hosted_run(struct hosted *machine, unsigned cpu, hosted_job *job, void *argument)
{
	struct awaited awaited = { job, argument, false };

	hosted_post(machine, cpu, run_awaited, &awaited);
	pthread_mutex_lock(&machine->lock);
	while (!awaited.done)
		pthread_cond_wait(&machine->changed, &machine->lock);
	pthread_mutex_unlock(&machine->lock);
}

void hosted_wait(struct hosted *machine)
{
	pthread_mutex_lock(&machine->lock);
	/* Acquire pairs with the release in run_job(). */
	while (atomic_load_explicit(&machine->jobs, memory_order_acquire))
		pthread_cond_wait(&machine->changed, &machine->lock);
	pthread_mutex_unlock(&machine->lock);
}
