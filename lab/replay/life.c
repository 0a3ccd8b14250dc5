/*
 * life.c - processes: what exec lays out, what fork copies, what exit leaves.
 *
 * An exec whose old mm dies with it reuses that mm by quire_exec(); any other makes a new one.
 */
#include <errno.h>

#include "lab/replay/replay.h"

enum { MMAP_GAP = 128 << 20 }; /* below the end of user addresses; what is not imposed goes below it */

static void fail_or_report(struct replay *replay, const struct step *step, const char *what, int error)
{
	if (error == -QUIRE_ENOMEM)
		replay_fail(replay, ENOMEM);
	else
		report_difference(replay, step, "%s: error %d", what, -error);
}

static void set_up(struct replay *replay, struct quire_cpu **cpu, const struct step *step,
		   struct quire_layout *layout)
{
	const uint64_t *recorded = step->event->exec.limits;
	struct quire_limits limits = {
		.address_space = recorded[TRACE_LIMIT_AS],
		.data = recorded[TRACE_LIMIT_DATA],
		.stack = recorded[TRACE_LIMIT_STACK],
		.memlock = recorded[TRACE_LIMIT_MEMLOCK],
		.may_lock_any = replay->plan->may_lock_any,
		.data_hard = QUIRE_UNLIMITED, /* not in the trace; a soft limit of 0 is made with no other */
	};
	struct process *process = &replay->processes[step->mm];

	*layout = (struct quire_layout){
		.mmap_base = (QUIRE_USER_END - MMAP_GAP) & QUIRE_PAGE_MASK,
		.mmap_bottom = QUIRE_USER_END / 3 & QUIRE_PAGE_MASK,
		.brk_start = step->event->exec.brk,
	};
	for (uint32_t i = 0; i < step->event->exec.mappings; i++) {
		const struct trace_event *event = &step->event[1 + i];

		if (event->layout.region != TRACE_REGION_FILE || !(event->layout.prot & QUIRE_PROT_WRITE) ||
		    layout->data_start)
			continue;
		layout->data_start = event->layout.start;
		layout->data_end = event->layout.end;
	}
	if (process->mm) {
		quire_mm_set_layout(cpu, process->mm, layout);
		quire_mm_set_limits(cpu, process->mm, &limits);
	}
	process->brk = step->event->exec.brk;
}

/* One mapping that the kernel makes at exec. Its own pages (vdso) are anonymous memory here. */
static void lay_out(struct replay *replay, struct quire_cpu **cpu, const struct step *step,
		    const struct trace_event *event)
{
	struct process *process = &replay->processes[step->mm];
	struct file *file = event->layout.file == TRACE_NONE ? NULL : &replay->files[event->layout.file];
	uint64_t length = event->layout.end - event->layout.start;
	bool stack = event->layout.region == TRACE_REGION_STACK;
	bool shared = file && (event->layout.flags & QUIRE_MAP_SHARED);
	struct quire_mmap map = {
		.addr = event->layout.start,
		.length = length,
		.prot = event->layout.prot,
		.flags = QUIRE_MAP_FIXED_NOREPLACE | (shared ? QUIRE_MAP_SHARED : QUIRE_MAP_PRIVATE) |
			 (file ? 0 : QUIRE_MAP_ANONYMOUS) | (stack ? QUIRE_MAP_GROWSDOWN : 0),
		.file = file ? file->quire : NULL,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = file ? event->layout.file + 1 : 0,
		.offset = event->layout.offset,
	};
	int64_t got = quire_mmap(cpu, process->mm, &map);

	if (got < 0 || (uint64_t)got != map.addr) {
		fail_or_report(replay, step, "a mapping of exec's cannot be made", (int)got);
		return;
	}
	if (!model_map(process->model, map.addr, length, map.prot,
		       (shared ? MODEL_SHARED : 0) | (stack ? MODEL_GROWSDOWN : 0),
		       file ? file->object : NULL, map.offset / QUIRE_PAGE_SIZE))
		replay_fail(replay, ENOMEM);
}

void exec_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step)
{
	struct replay *replay = worker->replay;
	struct process *process = &replay->processes[step->mm];
	uint32_t old = step->event->exec.old_mm;
	struct quire_layout layout;
	int error;

	process->model = model_space_create();
	if (!process->model) {
		replay_fail(replay, ENOMEM);
		return;
	}
	set_up(replay, cpu, step, &layout);
	if (old != TRACE_NONE && step->event->exec.last) {
		process->mm = replay->processes[old].mm;
		replay->processes[old].mm = NULL;
		error = quire_exec(cpu, process->mm, &layout);
	} else {
		error = quire_mm_create(cpu, &process->mm);
	}
	if (error) {
		fail_or_report(replay, step, "exec", error);
		return;
	}
	set_up(replay, cpu, step, &layout);
	worker_enter(worker, cpu, process->mm);
	for (uint32_t i = 0; i < step->event->exec.mappings; i++)
		lay_out(replay, cpu, step, &step->event[1 + i]);
}

void fork_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step)
{
	struct replay *replay = worker->replay;
	struct process *parent = &replay->processes[step->mm];
	struct process *child = &replay->processes[step->event->clone.child_mm];
	int error = quire_fork(cpu, parent->mm, &child->mm);

	if (error) {
		fail_or_report(replay, step, "fork", error);
		replay_fail(replay, -error);
		return;
	}
	child->brk = parent->brk;
	child->model = model_space_fork(parent->model);
	if (!child->model)
		replay_fail(replay, ENOMEM);
}

void process_end(struct worker *worker, struct quire_cpu **cpu, struct process *process)
{
	worker_leave(worker, cpu);
	if (process->mm)
		quire_mm_put(cpu, process->mm);
	process->mm = NULL;
	model_space_destroy(process->model);
	process->model = NULL;
}
