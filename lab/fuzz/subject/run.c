/*
 * run.c - sequences on Quire.
 *
 * The hosted machine with one CPU, or one for each thread of a stretch; each process of a sequence is an
 * mm that CPU 0 runs in turn. The first process is given the layout of the host's agents, and opaque
 * mappings where theirs lie, so that both have the same gaps, and the same totals against their limits.
 * Instance and machine live for all sequences; files are made for each.
 */
#include "inside.h"

#include <quire/port.h>

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

/* Quire's own idea of whether @mm is in order; a complaint is a finding like a leak. */
static void check(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm, unsigned process)
{
	const char *what;

	if (quire_mm_check(cpu, mm, &what) == 0 || subject->leak)
		return;
	snprintf(subject->leak_room, sizeof(subject->leak_room), "process %u: %s", process, what);
	subject->leak = subject->leak_room;
}

/* In a trial: is the record of operation @at, just written, what it is to be? */
static void compare_last(struct subject *subject, uint32_t at)
{
	const void *last = subject->log + subject->log_bytes - subject->record.head.bytes;

	subject->failed = comparison_step(&subject->comparison, at, subject->trial->expected[at], last);
	subject->step += !subject->failed;
}

static void run_one(struct subject *subject, struct quire_cpu **cpu, uint32_t at)
{
	const struct wire_op *op = &subject->sequence->ops[at];
	struct quire_mm *mm = subject->mms[op->process];
	struct wire_record *head = &subject->record.head;

	memset(head, 0, sizeof(*head));
	head->op = (uint16_t)at;
	switch_to(subject, 0, *cpu, mm);
	head->result = carry_out(subject, cpu, mm, op, head);
	if (op->slot != WIRE_NO_SLOT && wire_gives_address(head->result))
		subject->slots[op->process][op->slot] = (uint64_t)head->result;
	if ((subject->looking || op->kind == WIRE_READ_ALL) && op->kind != WIRE_EXIT)
		record_look(subject, cpu, mm);
	if (op->kind == WIRE_READ_ALL) {
		record_contents(subject, cpu, mm);
		check(subject, cpu, mm, op->process);
	}
	record_write(subject);
	if (subject->trial)
		compare_last(subject, at);
	if (op->kind == WIRE_EXIT)
		end_process(subject, cpu, op->process);
}

/*
 * Everybody has gone: what is left? RCU callbacks may still hold some, so wait for them before complaining.
 */
static void look_for_leaks(struct subject *subject, struct quire_cpu **cpu)
{
	struct quire *quire = hosted_quire(subject->machine);
	struct quire_stats stats;

	if (subject->leak)
		return;
	quire_stats_read(quire, &stats);
	if (stats.frames_free + stats.frames_reserved == stats.frames_total && !stats.committed_pages)
		return;
	quire_port_rcu_barrier(cpu);
	quire_stats_read(quire, &stats);
	if (stats.frames_free + stats.frames_reserved == stats.frames_total && !stats.committed_pages)
		return;
	snprintf(
		subject->leak_room, sizeof(subject->leak_room),
		"%lu frames, %lu of them tables and %lu in the page cache, %ld committed pages are left when everybody has gone",
		stats.frames_total - stats.frames_reserved - stats.frames_free, stats.frames_tables,
		stats.frames_cached, (long)stats.committed_pages);
	subject->leak = subject->leak_room;
}

static void run_sequence(struct subject *subject, struct quire_cpu **cpu)
{
	const struct sequence *sequence = subject->sequence;

	subject->trial_names = subject->names;
	subject->trial_names.who = "in that order";
	for (uint32_t at = 0; at < sequence->count && !subject->failed;) {
		if (!subject->mms[sequence->ops[at].process])
			break;
		if (sequence->ops[at].thread)
			at = run_stretch(subject, cpu, at);
		else
			run_one(subject, cpu, at++);
	}
}

static void run_job(struct quire_cpu **cpu, void *argument)
{
	struct subject *subject = argument;

	subject->log_bytes = 0;
	subject->leak = NULL;
	memset(subject->files, 0, sizeof(subject->files));
	if (make_files(subject, cpu) == 0 && make_first_process(subject, cpu) == 0)
		run_sequence(subject, cpu);
	for (unsigned p = 0; p < WIRE_PROCESSES; p++)
		end_process(subject, cpu, p);
	for (unsigned f = 0; f < WIRE_DISTINCT_FILES; f++) {
		if (subject->files[f])
			quire_file_put(cpu, subject->files[f]);
	}
	look_for_leaks(subject, cpu);
}

static struct log run(struct subject *subject, const struct sequence *sequence, bool looking)
{
	subject->sequence = sequence;
	subject->looking = looking;
	subject->step = 0;
	subject->failed = false;
	hosted_run(subject->machine, 0, run_job, subject);
	return (struct log){ subject->log, subject->log_bytes };
}

struct log subject_run(struct subject *subject, const struct sequence *sequence, bool looking,
		       const char **leak)
{
	struct log log;

	subject->trial = NULL;
	log = run(subject, sequence, looking);
	*leak = subject->leak;
	return log;
}

bool subject_try(struct subject *subject, const struct sequence *sequence, bool looking,
		 const struct trial *trial, struct log *log, uint32_t *failed_at, struct divergence *out)
{
	subject->trial = trial;
	comparison_begin(&subject->comparison, sequence, trial->names, &subject->trial_names, out);
	subject->comparison.loose = trial->loose;
	*log = run(subject, sequence, looking);
	*failed_at = subject->step;
	return !subject->failed;
}

/*
 * As much memory as the host has, swap included, for that is what Linux compares a single request with. Only
 * what is touched costs anything.
 */
static uint64_t host_memory(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return 1ul << 30;
	return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit & ~(WIRE_PAGE - 1);
}

struct subject *subject_create(const struct wire_control *layout, unsigned threads, const char **why)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct hosted_config config = {
		.cpus = threads ? threads : 1,
		.speculation = threads ? 4 : 0,
		.seed = 1,
		.memory_bytes = host_memory(),
		.quire = { .overcommit = QUIRE_OVERCOMMIT_GUESS, .mmap_min_addr = layout->mmap_lowest },
	};

	*why = "no memory";
	if (!subject)
		return NULL;
	subject->layout = layout;
	subject->names.who = "Quire";
	subject->threads = config.cpus;
	for (unsigned i = 0; i < WIRE_THREADS; i++)
		subject->stretch.parts[i] = (struct part){ .subject = subject, .thread = i, .random = i + 1 };
	subject->log = malloc(WIRE_LOG_BYTES);
	if (!subject->log || hosted_create(&config, &subject->machine)) {
		free(subject->log);
		free(subject);
		return NULL;
	}
	return subject;
}

void subject_place(struct subject *subject, const struct wire_control *layout)
{
	subject->layout = layout;
}

void subject_destroy(struct subject *subject)
{
	for (unsigned i = 0; i < WIRE_THREADS; i++) {
		if (subject->stretch.parts[i].has_timer)
			timer_delete(subject->stretch.parts[i].timer);
	}
	hosted_destroy(subject->machine);
	free(subject->log);
	free(subject);
}

const struct names *subject_names(const struct subject *subject)
{
	return &subject->names;
}
