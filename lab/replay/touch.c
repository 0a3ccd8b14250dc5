/*
 * touch.c - what programs do with their memory: a recorded fault as a load, a store or a fetch, and looking
 * at pages.
 *
 * A store leaves a number there that occurs nowhere else. After every touch the whole page is loaded and
 * compared with the model. That is sound with many CPUs: two steps of one mm that concern one page never
 * run at the same time (schedule.c), and a page that other mms may reach is kept by a stripe while it is
 * touched and compared.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/replay.h"

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t stamp(uint32_t number)
{
	/* One to one, and never 0. */
	return (number + 1) * 0x9e3779b97f4a7c15u;
}

/* ---- stripes ---- */

static _Atomic uint32_t *stripe_of(struct replay *replay, const struct model_view *view)
{
	uint64_t hash = ((uintptr_t)view->object / 64 + view->page) * 0x9e3779b97f4a7c15u;

	return &replay->stripes[hash >> 54];
}

/* ---- touches ---- */

struct touch {
	struct worker *worker;
	struct quire_cpu **cpu;
	const struct step *step;
	struct process *process;
	uint64_t address; /* a multiple of 8 */
	uint64_t value;
	unsigned access; /* QUIRE_ACCESS_* */
	struct model_view view;
	struct quire_fault fault; /* what came of it */
};

static const unsigned model_access[] = {
	[QUIRE_ACCESS_READ] = MODEL_READ,
	[QUIRE_ACCESS_WRITE] = MODEL_WRITE,
	[QUIRE_ACCESS_EXEC] = MODEL_EXEC,
};

/* The kind of access; where the recording does not know, a store if that is allowed or if it ended badly. */
static unsigned access_of(struct touch *t)
{
	switch (t->step->event->fault.access) {
	case TRACE_ACCESS_READ:
		return QUIRE_ACCESS_READ;
	case TRACE_ACCESS_WRITE:
		return QUIRE_ACCESS_WRITE;
	case TRACE_ACCESS_EXEC: /* the kernel runs no user code */
		return t->step->event->fault.kernel ? QUIRE_ACCESS_READ : QUIRE_ACCESS_EXEC;
	default:
		break;
	}
	struct model_view view = model_look(t->process->model, t->address, MODEL_READ);

	return t->step->signal || (view.prot & MODEL_WRITE) ? QUIRE_ACCESS_WRITE : QUIRE_ACCESS_READ;
}

static int access_once(struct touch *t, void *word)
{
	struct quire_mm *mm = t->process->mm;

	if (t->step->event->fault.kernel) {
		size_t done = t->access == QUIRE_ACCESS_WRITE
				      ? quire_copy_to(t->cpu, mm, t->address, word, 8)
				      : quire_copy_from(t->cpu, mm, word, t->address, 8);
		if (done == 8)
			return 0;
		t->fault.signal = -1; /* EFAULT: which signal it would have been is not known */
		return -EFAULT;
	}
	switch (t->access) {
	case QUIRE_ACCESS_WRITE:
		return hosted_store(t->cpu, mm, t->address, word, 8, &t->fault);
	case QUIRE_ACCESS_EXEC:
		return hosted_fetch(t->cpu, mm, t->address, word, 8, &t->fault);
	default:
		return hosted_load(t->cpu, mm, t->address, word, 8, &t->fault);
	}
}

/* Compare the page. False when the recording ends here. */
static void compare(struct touch *t)
{
	struct replay *replay = t->worker->replay;
	uint64_t start = t->address & QUIRE_PAGE_MASK;
	unsigned char page[QUIRE_PAGE_SIZE];
	struct quire_fault fault = { 0 };
	struct model_bad bad;
	int error = t->access == QUIRE_ACCESS_EXEC
			    ? hosted_fetch(t->cpu, t->process->mm, start, page, sizeof(page), &fault)
			    : hosted_load(t->cpu, t->process->mm, start, page, sizeof(page), &fault);

	if (error == -ENOMEM)
		replay_fail(replay, ENOMEM);
	else if (error)
		report_difference(replay, t->step, "the page cannot be read back: signal %d", fault.signal);
	else if (!model_check(t->process->model, start, page, &bad))
		report_difference(replay, t->step, "%#llx holds %#llx, must hold %#llx",
				  (unsigned long long)bad.at, (unsigned long long)bad.found,
				  (unsigned long long)bad.expected);
}

static bool as_expected(struct touch *t, int error)
{
	int signal = error ? t->fault.signal : 0;

	switch (t->view.outcome) {
	case MODEL_FINE:
		return signal == 0;
	case MODEL_GROWS:
		return signal != QUIRE_SIGBUS;
	case MODEL_MAPERR:
		return signal == -1 || (signal == QUIRE_SIGSEGV && t->fault.code == QUIRE_SEGV_MAPERR);
	case MODEL_ACCERR:
		return signal == -1 || (signal == QUIRE_SIGSEGV && t->fault.code == QUIRE_SEGV_ACCERR);
	case MODEL_BUS:
		return signal == -1 || (signal == QUIRE_SIGBUS && t->fault.code == QUIRE_BUS_ADRERR);
	}
	return false;
}

/* Does it agree with what the recording kernel did? Only where the recording can tell. */
static bool as_recorded(struct touch *t, int error)
{
	if (t->step->event->fault.kernel || !(t->worker->replay->plan->header.features & TRACE_HAS_SIGNALS))
		return true;
	return (error ? t->fault.signal : 0) == (int)t->step->signal;
}

static void judge(struct touch *t, int error)
{
	struct replay *replay = t->worker->replay;
	static const char *const must[] = { "none", "none or SIGSEGV", "SIGSEGV (nothing mapped)",
					    "SIGSEGV (not allowed)", "SIGBUS" };

	if (error == -ENOMEM) {
		replay_fail(replay, ENOMEM);
		return;
	}
	if (!as_expected(t, error))
		report_difference(replay, t->step, "signal %d code %d, must be: %s",
				  error ? t->fault.signal : 0, error ? t->fault.code : 0,
				  must[t->view.outcome]);
	else if (!as_recorded(t, error) && step_races(replay->plan, t->step))
		count(&replay->tally.races);
	else if (!as_recorded(t, error))
		report_difference(replay, t->step, "signal %d, recorded signal %u",
				  error ? t->fault.signal : 0, t->step->signal);
	if (error)
		count(&replay->tally.touches_bad);
}

/*
 * The recording had no signal past the end of a file: then the file had grown, by a write that was not
 * recorded.
 */
static bool must_have_grown(const struct touch *t)
{
	return t->view.outcome == MODEL_BUS && !t->step->event->fault.kernel && !t->step->signal &&
	       (t->worker->replay->plan->header.features & TRACE_HAS_SIGNALS);
}

/* A range that grew to where it may not be accessed has grown all the same. */
static bool has_grown(struct touch *t)
{
	struct quire_map_info map;

	return quire_map_next(t->cpu, t->process->mm, t->address, &map) == 0 && map.start <= t->address;
}

static void touch(struct touch *t)
{
	struct process *process = t->process;

	t->view = model_look(process->model, t->address, model_access[t->access]);
	if (must_have_grown(t)) {
		if (file_grown(t->worker->replay, t->cpu, t->view.object,
			       (t->view.page + 1) * QUIRE_PAGE_SIZE))
			replay_fail(t->worker->replay, ENOMEM);
		t->view = model_look(process->model, t->address, model_access[t->access]);
	}
	_Atomic uint32_t *stripe = t->view.object ? stripe_of(t->worker->replay, &t->view) : NULL;
	if (stripe)
		worker_lock(*t->cpu, stripe);

	uint64_t word = t->value;
	int error = access_once(t, &word);

	judge(t, error);
	if (t->view.outcome == MODEL_GROWS && (!error || has_grown(t)))
		model_grow(process->model, t->address);
	if (!error && t->access == QUIRE_ACCESS_WRITE && !model_store(process->model, t->address, word))
		replay_fail(t->worker->replay, ENOMEM);
	if (!error)
		compare(t);
	if (stripe)
		worker_unlock(stripe);
}

void touch_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step, uint32_t number)
{
	struct replay *replay = worker->replay;
	struct touch t = {
		.worker = worker,
		.cpu = cpu,
		.step = step,
		.process = &replay->processes[step->mm],
		.address = step->event->fault.address & ~(uint64_t)7,
		.value = stamp(number),
	};

	t.access = access_of(&t);
	count(&replay->tally.touches);
	count(&replay->tally.touches_by[t.access]);
	if (step->event->fault.kernel)
		count(&replay->tally.touches_kernel);
	touch(&t);
}

/* ---- looking at all of it ---- */

static void check_page(struct worker *worker, struct quire_cpu **cpu, struct process *process,
		       const struct step *step, uint64_t address)
{
	struct replay *replay = worker->replay;
	struct model_view view = model_look(process->model, address, MODEL_READ);
	unsigned char page[QUIRE_PAGE_SIZE];
	struct quire_fault fault = { 0 };
	struct model_bad bad;
	int error = 0;

	/* What may not be read is looked at from outside, as a debugger would. */
	if (view.outcome == MODEL_ACCERR)
		error = quire_peek(cpu, process->mm, page, address, sizeof(page)) == sizeof(page) ? 0
												  : -EFAULT;
	else if (view.outcome == MODEL_FINE)
		error = hosted_load(cpu, process->mm, address, page, sizeof(page), &fault);
	else
		return;
	count(&replay->tally.pages_checked);
	if (error == -ENOMEM)
		replay_fail(replay, ENOMEM);
	else if (error)
		report_difference(replay, step,
				  "the page at %#llx, written before, cannot be read: signal %d",
				  (unsigned long long)address, fault.signal);
	else if (!model_check(process->model, address, page, &bad))
		report_difference(replay, step, "%#llx holds %#llx, must hold %#llx",
				  (unsigned long long)bad.at, (unsigned long long)bad.found,
				  (unsigned long long)bad.expected);
}

static bool of_the_trace(const struct replay *replay, const struct model_object *object)
{
	for (uint32_t i = 0; i < replay->plan->file_count; i++)
		if (replay->files[i].object == object)
			return true;
	return false;
}

/* Shared anonymous memory is reached through a mapping only; files are read at the end. */
static void check_shared(struct worker *worker, struct quire_cpu **cpu, struct process *process,
			 const struct step *step, struct model_view *range)
{
	size_t pages;
	uint64_t *list = model_object_written(range->object, &pages);

	for (size_t i = 0; i < pages; i++) {
		uint64_t address = range->start + (list[i] - range->page) * QUIRE_PAGE_SIZE;
		struct model_view view = { .object = range->object, .page = list[i] };

		if (list[i] < range->page || address >= range->end)
			continue;
		_Atomic uint32_t *stripe = stripe_of(worker->replay, &view);
		worker_lock(*cpu, stripe);
		check_page(worker, cpu, process, step, address);
		worker_unlock(stripe);
	}
	free(list);
}

void check_process(struct worker *worker, struct quire_cpu **cpu, struct process *process,
		   const struct step *step)
{
	struct model_view range;
	size_t pages;
	uint64_t *list = model_written(process->model, &pages);

	for (size_t i = 0; i < pages; i++)
		check_page(worker, cpu, process, step, list[i]);
	free(list);
	for (uint64_t at = 0; model_next(process->model, at, &range); at = range.end)
		if (range.object && (range.flags & MODEL_SHARED) &&
		    !of_the_trace(worker->replay, range.object))
			check_shared(worker, cpu, process, step, &range);
}
