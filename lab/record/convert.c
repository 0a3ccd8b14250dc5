/*
 * convert.c - makes the log of a recording into a trace.
 *
 * The log is walked in the order of time. What comes in two halves is put together: a call from its entry and
 * its exit, an mmap with the file that the kernel says it mapped, a clone with the flags that its stop
 * showed, an exec with the layout read after it. The events that result are sorted once more, because what
 * takes away is ordered at its entry, and an exec at the moment when the old mm was left; then they are
 * written.
 *
 * A descriptor is followed from the call that names it (ftruncate, fallocate) to the mmap that says which
 * file it is, before or after, as long as nothing closes it between: a "binding" is one such stretch. A
 * duplicate's binding points to the one that it was made from.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "calls.h"
#include "capture.h"

struct binding {
	uint32_t pid;
	int fd;
	bool closed;
	uint32_t same; /* the binding that knows the file: itself, or what it is a duplicate of */
	uint32_t file; /* TRACE_NONE: not known (yet) */
};

struct thread {
	uint32_t tid, pid;
	bool alive;
	bool in_call;
	struct raw enter; /* the call that it is in */
	uint32_t mapped;  /* the file that the kernel mapped in it */
	uint64_t mapped_start, mapped_end;
	size_t clone;	  /* the event of the clone that it is in, or NO_EVENT */
	uint64_t exec_at; /* when it left its old mm, 0 */
	struct raw usage;
	uint64_t minor_before, major_before; /* faults before the first exec: the recorder's own child's */
	uint64_t brk;			     /* of its mm, as this thread saw it last */
};

#define NO_EVENT SIZE_MAX

/* An event that is finished but for what another one will tell. */
struct draft {
	struct trace_event event; /* must be first: its `time` is the key */
	uint32_t binding;	  /* whose file the call is about; TRACE_NONE */
};

struct conversion {
	struct capture *capture;
	struct log drafts;
	struct thread *threads;
	uint32_t nr_threads, room_threads;
	struct binding *bindings;
	uint32_t nr_bindings, room_bindings;
	uint32_t *clone_raws; /* RAW_CLONED entries not yet used, by log index */
	uint32_t nr_clones;
	uint64_t base; /* the first exec */
	bool begun, failed;
};

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

/* ---- Descriptors ---- */

/* The open binding of @fd in process @pid; made if there is none. TRACE_NONE when memory runs out. */
static uint32_t bind(struct conversion *v, uint32_t pid, int fd)
{
	for (uint32_t i = v->nr_bindings; i-- > 0;)
		if (v->bindings[i].pid == pid && v->bindings[i].fd == fd && !v->bindings[i].closed)
			return i;
	if (v->nr_bindings == v->room_bindings) {
		uint32_t room = v->room_bindings ? v->room_bindings * 2 : 64;
		struct binding *grown = realloc(v->bindings, room * sizeof(*grown));
		if (!grown) {
			v->failed = true;
			return TRACE_NONE;
		}
		v->bindings = grown;
		v->room_bindings = room;
	}
	struct binding *binding = &v->bindings[v->nr_bindings];
	*binding = (struct binding){ .pid = pid, .fd = fd, .same = v->nr_bindings, .file = TRACE_NONE };
	return v->nr_bindings++;
}

static void unbind(struct conversion *v, uint32_t pid, int first, int last)
{
	for (uint32_t i = v->nr_bindings; i-- > 0;) {
		struct binding *binding = &v->bindings[i];
		if (binding->pid == pid && binding->fd >= first && binding->fd <= last)
			binding->closed = true;
	}
}

/* Descriptor @copy of process @to is now what @fd of process @from is. */
static void duplicate(struct conversion *v, uint32_t from, int fd, uint32_t to, int copy)
{
	unbind(v, to, copy, copy);
	uint32_t original = bind(v, from, fd), duplicate = bind(v, to, copy);
	if (original != TRACE_NONE && duplicate != TRACE_NONE)
		v->bindings[duplicate].same = v->bindings[original].same;
}

/* A fork's child has its parent's descriptors. */
static void copy_bindings(struct conversion *v, uint32_t parent, uint32_t child)
{
	for (uint32_t i = 0, count = v->nr_bindings; i < count; i++)
		if (v->bindings[i].pid == parent && !v->bindings[i].closed)
			duplicate(v, parent, v->bindings[i].fd, child, v->bindings[i].fd);
}

static void follow_descriptor(struct conversion *v, const struct thread *thread, const struct raw *enter,
			      int64_t result)
{
	const uint64_t *args = enter->call.args;
	uint32_t pid = thread->pid;

	switch (enter->call.nr) {
	case __NR_close:
		unbind(v, pid, (int)args[0], (int)args[0]);
		break;
	case __NR_fcntl:
		if (args[1] != F_DUPFD && args[1] != F_DUPFD_CLOEXEC)
			break;
		/* fall through */
	case __NR_dup:
	case __NR_dup2:
	case __NR_dup3:
		if (result >= 0 && result != (int64_t)args[0])
			duplicate(v, pid, (int)args[0], pid, (int)result);
		break;
	case __NR_close_range:
		unbind(v, pid, (int)args[0], args[1] > INT32_MAX ? INT32_MAX : (int)args[1]);
		break;
	}
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
	if (failed || event->call.file != TRACE_NONE)
		return;
	bool maps = event->call.nr == TRACE_SHMAT || (event->call.nr == TRACE_MMAP && argument >= 0);
	if (maps && thread->mapped_start <= result && result < thread->mapped_end)
		event->call.file = thread->mapped;
	if (argument < 0)
		return;
	uint32_t binding = bind(v, thread->pid, (int)event->call.args[argument]);
	if (binding != TRACE_NONE && event->call.file != TRACE_NONE)
		v->bindings[v->bindings[binding].same].file = event->call.file;
	if (event->call.nr != TRACE_MMAP)
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

static void add_call(struct conversion *v, struct thread *thread, const struct raw *leave)
{
	enum trace_call nr = calls_trace(leave->leave.nr);
	const struct raw *enter = &thread->enter;

	follow_descriptor(v, thread, enter, leave->leave.result);
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
	place_file(v, thread, leave, (struct draft *)event);
	if (takes_away(thread, event))
		event->time = event->entry;
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
	if (parent->in_call && parent->enter.time >= v->base)
		event->entry = parent->enter.time;
	parent->clone = v->drafts.count - 1;

	uint64_t flags = event->clone.flags, brk = parent->brk;
	uint32_t parent_pid = parent->pid;
	struct thread *child = add_thread(v, raw->fork.pid, raw->fork.tid);
	if (!child)
		return;
	child->brk = brk;
	if (!(flags & CLONE_THREAD))
		copy_bindings(v, parent_pid, raw->fork.pid);
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
	thread->in_call = false;
	thread->clone = NO_EVENT;
	unbind(v, thread->pid, 0, INT32_MAX);

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

/* ---- Writing ---- */

static void finish(struct conversion *v, struct draft *draft)
{
	struct trace_event *event = &draft->event;

	event->time -= v->base;
	event->entry -= v->base;
	event->exit -= v->base;
	if (event->kind == TRACE_CALL && draft->binding != TRACE_NONE)
		event->call.file = v->bindings[v->bindings[draft->binding].same].file;
}

/* Where the event keeps a file, or NULL. */
static uint32_t *file_of(struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_LAYOUT:
		return &event->layout.file;
	case TRACE_CALL:
		return &event->call.file;
	case TRACE_FILE_SIZE:
		return &event->file_size.file;
	default:
		return NULL;
	}
}

static bool maps_file(const struct trace_event *event)
{
	return event->kind == TRACE_LAYOUT ||
	       (event->kind == TRACE_CALL && (event->call.nr == TRACE_MMAP || event->call.nr == TRACE_SHMAT));
}

/* Does the event say nothing when its file is not one of the trace? */
static bool needs_file(const struct trace_event *event)
{
	return event->kind == TRACE_FILE_SIZE ||
	       (event->kind == TRACE_CALL &&
		(event->call.nr == TRACE_FTRUNCATE || event->call.nr == TRACE_FALLOCATE));
}

/* What a call made of its file's size, for files that were gone before anybody could look. */
static void follow_size(const struct trace_event *event, uint64_t *size)
{
	const uint64_t *args = event->call.args;

	if (event->kind != TRACE_CALL || event->call.result)
		return;
	if (event->call.nr == TRACE_FTRUNCATE)
		*size = args[1];
	else if (event->call.nr == TRACE_FALLOCATE && !args[1] &&
		 (*size == TRACE_SIZE_UNKNOWN || *size < args[2] + args[3]))
		*size = args[2] + args[3];
}

/* Which files the trace maps: they are written, with numbers of their own. @sizes has room for all files. */
static void number_files(struct conversion *v, struct trace_writer *writer, const uint32_t *order,
			 uint32_t *numbers, uint64_t *sizes)
{
	const struct capture *c = v->capture;

	for (uint32_t i = 0; i < c->nr_files; i++) {
		numbers[i] = TRACE_NONE;
		sizes[i] = TRACE_SIZE_UNKNOWN;
	}
	for (size_t i = 0; i < v->drafts.count; i++) {
		struct draft *draft = log_at(&v->drafts, order[i]);
		finish(v, draft);
		const uint32_t *file = file_of(&draft->event);
		if (!file || *file == TRACE_NONE)
			continue;
		follow_size(&draft->event, &sizes[*file]);
		if (!maps_file(&draft->event) || numbers[*file] != TRACE_NONE)
			continue;
		struct trace_file definition = c->files[*file].file;
		if (definition.size == TRACE_SIZE_UNKNOWN)
			definition.size = sizes[*file];
		numbers[*file] = trace_writer_add_file(writer, &definition);
	}
}

static void write_events(struct conversion *v, struct trace_writer *writer, const uint32_t *order,
			 const uint32_t *numbers, struct convert_counts *counts)
{
	for (size_t i = 0; i < v->drafts.count; i++) {
		struct draft *draft = log_at(&v->drafts, order[i]);
		struct trace_event *event = &draft->event;
		uint32_t *file = file_of(event);
		if (file && *file != TRACE_NONE)
			*file = numbers[*file];
		if (file && *file == TRACE_NONE && needs_file(event))
			continue;
		trace_writer_add(writer, event);
		counts->events++;
		counts->calls += event->kind == TRACE_CALL;
		counts->faults += event->kind == TRACE_FAULT;
		counts->mms += event->kind == TRACE_EXEC ||
			       (event->kind == TRACE_CLONE && !(event->clone.flags & CLONE_VM));
	}
	counts->threads = v->nr_threads;
}

static int write_trace(struct conversion *v, const char *path, const struct trace_header *header,
		       struct convert_counts *counts)
{
	struct capture *c = v->capture;
	uint32_t *order = log_sorted(&v->drafts, offsetof(struct draft, event.time));
	if (!order)
		return capture_fail(c, "out of memory");
	struct trace_writer *writer = trace_writer_open(path, header, c->error, sizeof(c->error));
	if (!writer) {
		free(order);
		return -1;
	}
	uint32_t *numbers = malloc((c->nr_files + 1) * sizeof(*numbers));
	uint64_t *sizes = malloc((c->nr_files + 1) * sizeof(*sizes));
	bool room = numbers && sizes;
	if (room) {
		number_files(v, writer, order, numbers, sizes);
		write_events(v, writer, order, numbers, counts);
	}
	free(order);
	free(numbers);
	free(sizes);
	int result = trace_writer_close(writer, c->error, sizeof(c->error));
	return room ? result : capture_fail(c, "out of memory");
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
		result = write_trace(&v, path, header, counts);
	log_close(&v.drafts);
out:
	free(order);
	free(v.clone_raws);
	free(v.threads);
	free(v.bindings);
	return result;
}
