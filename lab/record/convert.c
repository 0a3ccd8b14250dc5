/*
 * convert.c - makes the log of a recording into a trace.
 *
 * The log is walked in the order of time. What comes in two halves is put together: a call from its entry and
 * its exit, an mmap with the file that the kernel says it mapped, a clone with the flags that its stop
 * showed, an exec with the layout read after it. The events that result are sorted once more, because what
 * takes away is ordered at its entry, and an exec at the moment when the old mm was left; then they are
 * written.
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "calls.h"
#include "convert.h"

static struct trace_event *add_draft(struct conversion *v, enum trace_kind kind, uint32_t thread,
				     uint64_t time)
{
	static struct draft nowhere;
	struct draft *draft = log_add(&v->drafts);
	if (!draft) {
		v->failed = true;
		draft = &nowhere;
	}
	*draft = (struct draft){ .binding = TRACE_NONE };
	draft->event.kind = kind;
	draft->event.thread = thread;
	draft->event.time = draft->event.entry = draft->event.exit = time;
	return &draft->event;
}

static struct thread *find_thread(struct conversion *v, uint32_t tid)
{
	for (uint32_t i = v->nr_threads; i-- > 0;)
		if (v->threads[i].tid == tid && v->threads[i].alive)
			return &v->threads[i];
	return NULL;
}

static uint32_t number_of(const struct conversion *v, const struct thread *thread)
{
	return (uint32_t)(thread - v->threads);
}

static struct thread *add_thread(struct conversion *v, uint32_t pid, uint32_t tid)
{
	if (v->nr_threads == v->room_threads) {
		uint32_t room = v->room_threads ? v->room_threads * 2 : 64;
		struct thread *grown = realloc(v->threads, room * sizeof(*grown));
		if (!grown) {
			v->failed = true;
			return NULL;
		}
		v->threads = grown;
		v->room_threads = room;
	}
	struct thread *thread = &v->threads[v->nr_threads++];
	*thread = (struct thread){
		.tid = tid, .pid = pid, .alive = true, .mapped = TRACE_NONE, .clone = NO_EVENT
	};
	return thread;
}

/* ---- Calls ---- */

/* The file of the call that @thread ends, in the event or as a binding to be looked up at the end. */
static void place_file(struct conversion *v, const struct thread *thread, const struct raw *leave,
		       struct draft *draft)
{
	struct trace_event *event = &draft->event;
	int argument = calls_fd_argument(leave->leave.nr, event->call.args);
	bool failed = event->call.result < 0 && event->call.result > -4096;
	uint64_t result = (uint64_t)event->call.result;

	event->call.file = leave->leave.file;
	if (failed)
		return;
	bool maps = event->call.nr == TRACE_SHMAT || (event->call.nr == TRACE_MMAP && argument >= 0);
	if (maps && event->call.file == TRACE_NONE && thread->mapped_start <= result &&
	    result < thread->mapped_end)
		event->call.file = thread->mapped;
	if (argument < 0)
		return;
	uint32_t binding = binding_find(v, thread->pid, (int)event->call.args[argument]);
	if (binding != TRACE_NONE && event->call.file != TRACE_NONE)
		binding_is(v, binding, event->call.file);
	else if (event->call.nr != TRACE_MMAP)
		draft->binding = binding;
}

static bool takes_away(struct thread *thread, const struct trace_event *event)
{
	if (event->call.nr != TRACE_BRK)
		return trace_call_takes(event);
	uint64_t before = thread->brk;
	thread->brk = (uint64_t)event->call.result;
	return thread->brk < before;
}

/* A write at a place that its arguments name (pwrite, pwritev) may have made its file larger. */
static void add_write(struct conversion *v, const struct thread *thread, const struct raw *leave)
{
	const uint64_t *args = thread->enter.call.args;

	if (leave->leave.result <= 0 || args[3] > INT64_MAX) /* -1: pwritev2 at the file's position */
		return;
	struct trace_event *event = add_draft(v, TRACE_FILE_SIZE, TRACE_NONE, leave->time);
	event->file_size.file = TRACE_NONE;
	event->file_size.size = args[3] + (uint64_t)leave->leave.result;
	((struct draft *)event)->binding = binding_find(v, thread->pid, (int)args[0]);
}

static void add_call(struct conversion *v, struct thread *thread, const struct raw *leave)
{
	enum trace_call nr = calls_trace(leave->leave.nr);
	const struct raw *enter = &thread->enter;

	bindings_follow(v, thread->pid, enter, leave->leave.result);
	if (leave->leave.nr == __NR_pwrite64 || leave->leave.nr == __NR_pwritev ||
	    leave->leave.nr == __NR_pwritev2)
		add_write(v, thread, leave);
	if (!nr || enter->time < v->base)
		return;
	struct trace_event *event = add_draft(v, TRACE_CALL, number_of(v, thread), leave->time);
	event->entry = enter->time;
	event->call.nr = nr;
	event->call.result = leave->leave.result;
	event->call.peer = TRACE_NONE;
	memcpy(event->call.args, enter->call.args, sizeof(event->call.args));
	if (nr == TRACE_PROCESS_VM_READV || nr == TRACE_PROCESS_VM_WRITEV) {
		const struct thread *peer = find_thread(v, (uint32_t)enter->call.args[0]);
		if (peer)
			event->call.peer = number_of(v, peer);
	}
	((struct draft *)event)->space = thread->space;
	place_file(v, thread, leave, (struct draft *)event);
	if (takes_away(thread, event))
		event->time = event->entry;
	if (thread->locked_at)
		event->time = thread->locked_at;
}

static void take_leave(struct conversion *v, struct thread *thread, const struct raw *raw)
{
	if (thread->clone != NO_EVENT) {
		struct draft *draft = log_at(&v->drafts, thread->clone);
		draft->event.exit = raw->time;
		thread->clone = NO_EVENT;
	} else if (thread->in_call && thread->enter.call.nr == raw->leave.nr) {
		add_call(v, thread, raw);
	}
	thread->in_call = false;
	thread->mapped = TRACE_NONE;
	thread->mapped_end = 0;
}

/* ---- Threads ---- */

/* The flags of the clone told by @raw: from its stop, else guessed from the call that its parent is in. */
static uint64_t find_flags(struct conversion *v, const struct thread *parent, const struct raw *raw)
{
	for (uint32_t i = 0; i < v->nr_clones; i++) {
		const struct raw *cloned = log_at(&v->capture->raws, v->clone_raws[i]);
		if (cloned->fork.tid != raw->fork.tid)
			continue;
		uint64_t flags = cloned->fork.flags;
		memmove(&v->clone_raws[i], &v->clone_raws[i + 1],
			(--v->nr_clones - i) * sizeof(*v->clone_raws));
		return flags;
	}
	if (raw->fork.pid == raw->pid)
		return CLONE_VM | CLONE_THREAD;
	if (parent->in_call && parent->enter.call.nr == __NR_vfork)
		return CLONE_VM | CLONE_VFORK;
	return parent->in_call && parent->enter.call.nr == __NR_clone ? parent->enter.call.args[0] : 0;
}

static void take_fork(struct conversion *v, struct thread *parent, const struct raw *raw)
{
	struct trace_event *event = add_draft(v, TRACE_CLONE, number_of(v, parent), raw->time);
	event->clone.flags = find_flags(v, parent, raw);
	event->clone.tid = raw->fork.tid;
	event->clone.child = v->nr_threads;
	if (parent->in_call && parent->enter.time >= v->base) {
		event->entry = parent->enter.time;
		/* Where a fork copied the mm: the child does not have what others mapped later. */
		if (parent->locked_at && !(event->clone.flags & CLONE_VM))
			event->time = parent->locked_at;
	}
	parent->clone = v->drafts.count - 1;

	uint64_t flags = event->clone.flags, brk = parent->brk;
	uint32_t parent_pid = parent->pid, space = flags & CLONE_VM ? parent->space : v->nr_spaces++;
	struct thread *child = add_thread(v, raw->fork.pid, raw->fork.tid);
	if (!child)
		return;
	child->brk = brk;
	child->space = space;
	if (!(flags & CLONE_THREAD))
		bindings_copy(v, parent_pid, raw->fork.pid);
}

static void take_exit(struct conversion *v, struct thread *thread, uint64_t time)
{
	struct trace_event *event = add_draft(v, TRACE_EXIT, number_of(v, thread), time);
	event->exited.minor = thread->usage.usage.minor - thread->minor_before;
	event->exited.major = thread->usage.usage.major - thread->major_before;
	event->exited.peak_rss_pages = thread->usage.usage.peak_rss_pages;
	event->exited.table_bytes = thread->usage.usage.table_bytes;
	thread->alive = false;
}

/* The thread that called exec, which now has its process's tid; the process's other threads are dead. */
static struct thread *survivor(struct conversion *v, const struct raw *raw, uint64_t time)
{
	struct thread *caller = find_thread(v, raw->layout.former_tid);

	if (!v->begun)
		caller = add_thread(v, raw->pid, raw->tid);
	if (!caller)
		return NULL;
	for (uint32_t i = 0; i < v->nr_threads; i++)
		if (v->threads[i].pid == caller->pid && v->threads[i].alive && &v->threads[i] != caller)
			take_exit(v, &v->threads[i], time);
	caller->tid = raw->tid;
	return caller;
}

static void take_layout(struct conversion *v, const struct raw *raw)
{
	const struct snapshot *snapshot = &v->capture->snapshots[raw->layout.snapshot];
	struct thread *former = v->begun ? find_thread(v, raw->layout.former_tid) : NULL;
	uint64_t time = former && former->exec_at ? former->exec_at : raw->time;
	if (!v->begun)
		v->base = time;
	struct thread *thread = survivor(v, raw, time);
	if (!thread)
		return;
	if (!v->begun) {
		thread->minor_before = snapshot->minor;
		thread->major_before = snapshot->major;
	}
	v->begun = true;
	thread->exec_at = 0;
	thread->brk = snapshot->brk;
	thread->space = v->nr_spaces++;
	thread->in_call = false;
	thread->clone = NO_EVENT;
	binding_close(v, thread->pid, 0, INT32_MAX);

	struct trace_event *event = add_draft(v, TRACE_EXEC, number_of(v, thread), time);
	event->exec.brk = snapshot->brk;
	event->exec.mappings = snapshot->count;
	event->exec.pid = raw->pid;
	memcpy(event->exec.limits, snapshot->limits, sizeof(event->exec.limits));
	for (uint32_t i = 0; i < snapshot->count; i++) {
		event = add_draft(v, TRACE_LAYOUT, number_of(v, thread), time);
		event->layout = snapshot->layouts[i].layout;
	}
}

/* ---- The walk ---- */

static void take_of_thread(struct conversion *v, struct thread *thread, const struct raw *raw)
{
	struct trace_event *event;

	switch (raw->kind) {
	case RAW_ENTER:
		thread->in_call = true;
		thread->enter = *raw;
		thread->locked_at = 0;
		break;
	case RAW_LOCKED:
		if (thread->in_call && !thread->locked_at)
			thread->locked_at = raw->time;
		break;
	case RAW_LEAVE:
		take_leave(v, thread, raw);
		break;
	case RAW_FAULT:
		event = add_draft(v, TRACE_FAULT, number_of(v, thread), raw->time);
		event->fault.address = raw->fault.address;
		event->fault.access = raw->fault.access;
		event->fault.kernel = raw->fault.kernel;
		event->fault.present = raw->fault.present;
		break;
	case RAW_SIGNAL:
		event = add_draft(v, TRACE_SIGNAL, number_of(v, thread), raw->time);
		event->signal.signal = raw->signal.signal;
		event->signal.code = raw->signal.code;
		break;
	case RAW_MAPPED:
		thread->mapped = raw->mapped.file;
		thread->mapped_start = raw->mapped.start;
		thread->mapped_end = raw->mapped.end;
		break;
	case RAW_FORK:
		take_fork(v, thread, raw);
		break;
	case RAW_EXECED:
		thread->exec_at = raw->time;
		break;
	case RAW_USAGE:
		thread->usage = *raw;
		break;
	case RAW_EXIT:
		take_exit(v, thread, raw->time);
		break;
	default:
		break;
	}
}

static void take(struct conversion *v, const struct raw *raw)
{
	struct trace_event *event;

	if (raw->kind == RAW_LAYOUT) {
		take_layout(v, raw);
	} else if (!v->begun) {
		return; /* what the recorder's own child did before it became the program */
	} else if (raw->kind == RAW_GREW) {
		event = add_draft(v, TRACE_FILE_SIZE, TRACE_NONE, raw->time);
		event->file_size.file = raw->grew.file;
		event->file_size.size = raw->grew.size;
		((struct draft *)event)->looked = true;
	} else if (raw->kind == RAW_LOST) {
		add_draft(v, TRACE_LOST, TRACE_NONE, raw->time)->lost.count = raw->lost.count;
	} else {
		struct thread *thread = find_thread(v, raw->tid);
		if (thread)
			take_of_thread(v, thread, raw);
	}
}

static void walk(struct conversion *v, const uint32_t *order)
{
	const struct log *raws = &v->capture->raws;
	uint64_t last = 0;

	for (size_t i = 0; i < raws->count; i++) {
		const struct raw *raw = log_at(raws, order[i]);
		if (raw->kind == RAW_CLONED)
			v->clone_raws[v->nr_clones++] = order[i];
	}
	for (size_t i = 0; i < raws->count; i++) {
		const struct raw *raw = log_at(raws, order[i]);
		last = raw->time;
		take(v, raw);
	}
	/* What still lived when the recording was ended from outside. */
	for (uint32_t i = 0; i < v->nr_threads; i++)
		if (v->threads[i].alive)
			take_exit(v, &v->threads[i], last);
}

int convert(struct capture *c, const char *path, const struct trace_header *header,
	    struct convert_counts *counts)
{
	struct conversion v = { .capture = c };
	int result = -1;

	*counts = (struct convert_counts){ 0 };
	uint32_t *order = log_sorted(&c->raws, offsetof(struct raw, time));
	v.clone_raws = malloc((c->raws.count + 1) * sizeof(*v.clone_raws));
	if (!order || !v.clone_raws || log_open(&v.drafts, sizeof(struct draft))) {
		capture_fail(c, "out of memory");
		goto out;
	}
	walk(&v, order);
	if (v.failed)
		capture_fail(c, "out of memory or of room for temporary data");
	else if (!v.begun)
		capture_fail(c, "the program was not seen to start");
	else
		result = settle(&v, path, header, counts);
	log_close(&v.drafts);
out:
	free(order);
	free(v.clone_raws);
	free(v.threads);
	free(v.bindings);
	return result;
}
