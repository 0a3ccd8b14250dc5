/*
 * plan.c - reads a trace into steps and finds what must come before what.
 *
 * One pass. Threads and mms are numbered densely by the reader, so that what is known of each stands in
 * arrays that grow.
 */
#include "lab/replay/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <quire/abi.h>
#include <quire/geometry.h>

#include "lab/replay/claims.h"

enum { CHECK_EVERY = 8192 }; /* steps of an mm between two looks at all of it */

struct thread {
	uint32_t last;	/* its latest step, or the one that made it */
	uint32_t fault; /* its latest touch */
};

struct space { /* an mm */
	struct claims claims;
	uint32_t steps;
};

struct build {
	struct plan *plan;
	struct thread *threads;
	struct space *spaces;
	uint32_t thread_room, space_room, file_room, barrier_room;
	bool failed; /* out of memory */
};

static const struct span everything = { 0, UINT64_MAX };

/* Make room for element @index of an array; false when memory is out. New elements are zero. */
static bool reserve(void **array, uint32_t *room, uint32_t index, size_t bytes)
{
	if (index < *room)
		return true;
	uint64_t more = index < 32 ? 64 : (uint64_t)index * 2;
	void *grown = more < UINT32_MAX ? realloc(*array, more * bytes) : NULL;

	if (!grown)
		return false;
	memset((char *)grown + *room * bytes, 0, (more - *room) * bytes);
	*array = grown;
	*room = (uint32_t)more;
	return true;
}

static struct thread *thread_of(struct build *b, uint32_t number)
{
	struct plan *plan = b->plan;

	if (!reserve((void **)&b->threads, &b->thread_room, number, sizeof(*b->threads)))
		return NULL;
	for (; plan->threads <= number; plan->threads++)
		b->threads[plan->threads] = (struct thread){ PLAN_NONE, PLAN_NONE };
	return &b->threads[number];
}

static struct space *space_of(struct build *b, uint32_t number)
{
	struct plan *plan = b->plan;

	if (!reserve((void **)&b->spaces, &b->space_room, number, sizeof(*b->spaces)))
		return NULL;
	if (plan->mm_count <= number)
		plan->mm_count = number + 1;
	return &b->spaces[number];
}

static struct plan_file *file_of(struct build *b, uint32_t number)
{
	struct plan *plan = b->plan;

	if (number == TRACE_NONE)
		return NULL;
	if (!reserve((void **)&plan->files, &b->file_room, number, sizeof(*plan->files))) {
		b->failed = true;
		return NULL;
	}
	if (plan->file_count <= number)
		plan->file_count = number + 1;
	return &plan->files[number];
}

static bool add_edge(struct build *b, uint32_t from, uint32_t to)
{
	struct plan *plan = b->plan;

	if (!reserve((void **)&plan->edges, &plan->edge_room, plan->edge_count, sizeof(*plan->edges))) {
		b->failed = true;
		return false;
	}
	plan->edges[plan->edge_count] = (struct edge){ to, plan->steps[from].edges };
	plan->steps[from].edges = plan->edge_count++;
	plan->steps[to].waits++;
	return true;
}

/* Put step @number behind what its thread did last. */
static bool follow_thread(struct build *b, uint32_t number)
{
	struct step *step = &b->plan->steps[number];
	struct thread *thread = thread_of(b, step->thread);

	if (!thread)
		return false;
	if (thread->last != PLAN_NONE) {
		struct step *before = &b->plan->steps[thread->last];

		if (before->kind == STEP_TOUCH && step->begin > before->end)
			before->end = step->begin;
		if (!add_edge(b, thread->last, number))
			return false;
	}
	thread->last = number;
	if (step->kind == STEP_TOUCH)
		thread->fault = number;
	return true;
}

struct claiming {
	struct build *b;
	uint32_t step;
};

static bool wait_for_owner(void *argument, uint32_t owner)
{
	struct claiming *claiming = argument;

	return owner == claiming->step || add_edge(claiming->b, owner, claiming->step);
}

/* @step concerns [start, end) of its mm: whoever did before comes first. */
static void claim(struct build *b, struct step *step, struct span span)
{
	struct claiming claiming = { b, (uint32_t)(step - b->plan->steps) };
	struct space *space = space_of(b, step->mm);

	step->spans[step->spans[0].end ? 1 : 0] = span;
	if (span.start < span.end && (!space || !claims_add(&space->claims, span.start, span.end,
							    claiming.step, wait_for_owner, &claiming)))
		b->failed = true;
}

static struct step *add_step(struct build *b, enum step_kind kind, const struct trace_event *event,
			     uint32_t mm, uint32_t thread)
{
	struct plan *plan = b->plan;

	if (!reserve((void **)&plan->steps, &plan->room, plan->count, sizeof(*plan->steps))) {
		b->failed = true;
		return NULL;
	}
	struct step *step = &plan->steps[plan->count];

	*step = (struct step){ .event = event, .kind = kind, .mm = mm, .thread = thread, .edges = PLAN_NONE };
	step->begin = event->entry < event->time ? event->entry : event->time;
	step->end = event->exit > event->time ? event->exit : event->time;
	plan->count++;

	struct space *space = mm == PLAN_NONE ? NULL : space_of(b, mm);
	if ((mm != PLAN_NONE && !space) || (thread != TRACE_NONE && !follow_thread(b, plan->count - 1))) {
		b->failed = true;
		return NULL;
	}
	if (space)
		space->steps++;
	return step;
}

static void add_check(struct build *b, const struct trace_event *event, uint32_t mm)
{
	struct step *step = add_step(b, STEP_CHECK, event, mm, TRACE_NONE);

	if (!step)
		return;
	step->begin = step->end = event->time;
	claim(b, step, everything);
}

static void make_barrier(struct build *b, struct step *step)
{
	struct plan *plan = b->plan;

	step->barrier = true;
	if (!reserve((void **)&plan->barriers, &b->barrier_room, plan->barrier_count,
		     sizeof(*plan->barriers))) {
		b->failed = true;
		return;
	}
	plan->barriers[plan->barrier_count++] = (uint32_t)(step - plan->steps);
}

/* ---- calls ---- */

static struct span span_of(uint64_t start, uint64_t length)
{
	uint64_t first = start & QUIRE_PAGE_MASK;
	uint64_t end = start + length;

	if (end < start || end + QUIRE_PAGE_SIZE < end)
		return (struct span){ first, UINT64_MAX };
	return (struct span){ first, (end + QUIRE_PAGE_SIZE - 1) & QUIRE_PAGE_MASK };
}

static void concern(struct build *b, struct step *step)
{
	const uint64_t *args = step->event->call.args;
	int64_t result = step->event->call.result;

	switch (step->event->call.nr) {
	case TRACE_MMAP:
		claim(b, step, span_of(result < 0 ? args[0] : (uint64_t)result, args[1]));
		return;
	case TRACE_MREMAP:
		claim(b, step, span_of(args[0], args[1] > args[2] ? args[1] : args[2]));
		if (result >= 0)
			claim(b, step, span_of((uint64_t)result, args[2]));
		return;
	case TRACE_MPROTECT:
	case TRACE_PKEY_MPROTECT:
		if (args[2] & (QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP))
			break;
		/* fall through */
	case TRACE_MUNMAP:
	case TRACE_MADVISE:
	case TRACE_MLOCK:
	case TRACE_MLOCK2:
	case TRACE_MUNLOCK:
	case TRACE_MSYNC:
	case TRACE_MINCORE:
		claim(b, step, span_of(args[0], args[1]));
		return;
	default:
		break;
	}
	claim(b, step, everything);
}

static void note_file(struct build *b, const struct trace_event *event)
{
	struct plan_file *file = file_of(b, event->call.file);

	if (!file || event->call.nr != TRACE_MMAP || event->call.result < 0)
		return;
	uint64_t end = event->call.args[5] + event->call.args[1];

	if (end > file->extent && end > event->call.args[5])
		file->extent = end;
}

static void add_call(struct build *b, const struct trace_event *event)
{
	struct step *step = add_step(b, STEP_CALL, event, event->mm, event->thread);

	if (!step)
		return;
	b->plan->calls++;
	concern(b, step);
	note_file(b, event);

	enum trace_call nr = event->call.nr;
	int64_t result = event->call.result;
	bool removes = nr == TRACE_MADVISE && event->call.args[2] == QUIRE_MADV_REMOVE;
	if (nr == TRACE_FTRUNCATE || nr == TRACE_FALLOCATE || removes)
		make_barrier(b, step);
	bool locks = nr == TRACE_MLOCK || nr == TRACE_MLOCK2 || nr == TRACE_MLOCKALL ||
		     (nr == TRACE_MMAP && (event->call.args[3] & QUIRE_MAP_LOCKED));
	if (locks && (result == -EPERM || result == -EAGAIN || result == -ENOMEM))
		b->plan->may_lock_any = false;
}

/* ---- the other events ---- */

static void add_exec(struct build *b, const struct trace_event *event)
{
	if (event->exec.old_mm != TRACE_NONE) {
		if (event->exec.last)
			add_check(b, event, event->exec.old_mm);
		struct step *leave = add_step(b, STEP_LEAVE, event, event->exec.old_mm, event->thread);

		if (leave) {
			leave->last = event->exec.last;
			if (leave->last)
				claim(b, leave, everything);
		}
	}
	struct step *step = add_step(b, STEP_EXEC, event, event->mm, event->thread);

	if (!step)
		return;
	claim(b, step, everything);
}

static void add_layout(struct build *b, const struct trace_event *event)
{
	struct plan_file *file = file_of(b, event->layout.file);
	uint64_t end = event->layout.offset + (event->layout.end - event->layout.start);

	if (file && end > file->extent)
		file->extent = end;
}

static void add_clone(struct build *b, const struct trace_event *event)
{
	bool fork = event->clone.child_mm != event->mm;
	struct step *step = add_step(b, fork ? STEP_FORK : STEP_SPAWN, event, event->mm, event->thread);
	struct thread *child = thread_of(b, event->clone.child);

	if (!step || !child || !space_of(b, event->clone.child_mm)) {
		b->failed = true;
		return;
	}
	*child = (struct thread){ (uint32_t)(step - b->plan->steps), PLAN_NONE };
	if (fork)
		claim(b, step, everything);
}

static void add_exit(struct build *b, const struct trace_event *event)
{
	struct plan *plan = b->plan;

	plan->minor += event->exited.minor;
	plan->major += event->exited.major;
	if (event->exited.last) {
		plan->table_bytes += event->exited.table_bytes;
		plan->peak_rss_pages += event->exited.peak_rss_pages;
		add_check(b, event, event->mm);
	}
	struct step *step = add_step(b, STEP_EXIT, event, event->mm, event->thread);
	if (!step)
		return;
	step->last = event->exited.last;
	if (step->last)
		claim(b, step, everything);
}

static void add_fault(struct build *b, const struct trace_event *event)
{
	struct plan *plan = b->plan;
	struct step *step = add_step(b, STEP_TOUCH, event, event->mm, event->thread);

	plan->faults++;
	plan->faults_kernel += event->fault.kernel;
	plan->faults_present += event->fault.present;
	plan->faults_by_access[event->fault.access]++;
	if (step)
		claim(b, step, span_of(event->fault.address, 1));
}

static void add_signal(struct build *b, const struct trace_event *event)
{
	struct thread *thread = thread_of(b, event->thread);

	if (!thread) {
		b->failed = true;
		return;
	}
	/* Codes up to 0 say that a process sent it. */
	if (event->signal.code <= 0 || thread->fault == PLAN_NONE)
		return;
	b->plan->signals++;
	b->plan->steps[thread->fault].signal = event->signal.signal;
	b->plan->steps[thread->fault].code = event->signal.code;
	b->plan->steps[thread->fault].decided = event->time;
}

static void add_event(struct build *b, const struct trace_event *event)
{
	struct plan *plan = b->plan;

	plan->duration = event->time;
	switch (event->kind) {
	case TRACE_EXEC:
		add_exec(b, event);
		break;
	case TRACE_LAYOUT:
		add_layout(b, event);
		return;
	case TRACE_CLONE:
		add_clone(b, event);
		break;
	case TRACE_EXIT:
		add_exit(b, event);
		return;
	case TRACE_CALL:
		add_call(b, event);
		break;
	case TRACE_FAULT:
		add_fault(b, event);
		break;
	case TRACE_SIGNAL:
		add_signal(b, event);
		break;
	case TRACE_FILE_SIZE: {
		struct step *step = add_step(b, STEP_SIZE, event, PLAN_NONE, TRACE_NONE);

		file_of(b, event->file_size.file);
		if (step)
			make_barrier(b, step);
		return;
	}
	case TRACE_LOST:
		plan->lost += event->lost.count;
		return;
	case TRACE_KIND_END:
		return;
	}
	if (!b->failed && event->mm != TRACE_NONE && event->mm < plan->mm_count &&
	    b->spaces[event->mm].steps % CHECK_EVERY == CHECK_EVERY - 1)
		add_check(b, event, event->mm);
}

/* ---- reading ---- */

static bool copy_files(struct build *b)
{
	struct plan *plan = b->plan;

	for (uint32_t i = 0; i < plan->file_count; i++) {
		const struct trace_file *file = trace_reader_file(plan->reader, i);

		plan->files[i].file = *file;
		plan->files[i].file.path = strdup(file->path ? file->path : "");
		if (!plan->files[i].file.path)
			return false;
	}
	return true;
}

static enum trace_status read_events(struct build *b)
{
	struct plan *plan = b->plan;
	enum trace_status status;

	do {
		if (!reserve((void **)&plan->events, &plan->event_room, plan->event_count,
			     sizeof(*plan->events))) {
			b->failed = true;
			return TRACE_ERROR;
		}
		status = trace_reader_next(plan->reader, &plan->events[plan->event_count]);
		plan->event_count += status == TRACE_EVENT;
	} while (status == TRACE_EVENT);
	return status;
}

static bool make_plan(struct build *b, char *error, size_t error_size)
{
	struct plan *plan = b->plan;

	if (read_events(b) == TRACE_ERROR && !b->failed) {
		snprintf(error, error_size, "%s", trace_reader_error(plan->reader));
		return false;
	}
	for (uint32_t i = 0; i < plan->event_count && !b->failed; i++)
		add_event(b, &plan->events[i]);
	if (b->failed || !copy_files(b)) {
		snprintf(error, error_size, "not enough memory on this computer for a trace of this length");
		return false;
	}
	if (plan->count == 0) {
		snprintf(error, error_size, "no events in it");
		return false;
	}
	return true;
}

struct plan *plan_read(struct trace_reader *reader, char *error, size_t error_size)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	struct build b = { .plan = plan };

	if (!plan) {
		snprintf(error, error_size, "not enough memory on this computer");
		trace_reader_close(reader);
		return NULL;
	}
	plan->may_lock_any = true;
	plan->reader = reader;
	plan->header = *trace_reader_header(reader);
	bool done = make_plan(&b, error, error_size);
	for (uint32_t i = 0; i < b.space_room; i++)
		claims_clear(&b.spaces[i].claims);
	free(b.spaces);
	free(b.threads);
	if (done) {
		plan->lost += plan->header.lost;
		return plan;
	}
	plan_free(plan);
	return NULL;
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	for (uint32_t i = 0; i < plan->file_count; i++)
		free((char *)plan->files[i].file.path);
	trace_reader_close(plan->reader);
	free(plan->steps);
	free(plan->events);
	free(plan->edges);
	free(plan->files);
	free(plan->barriers);
	free(plan);
}
