/*
 * settle.c - the last step of a recording: what only the whole of it tells, and then the trace.
 *
 * Order. A call took effect at some moment between its entry and its exit. To place what takes at the entry
 * and what gives at the exit is right for calls that do one of the two. A mremap that moves does both, and
 * neither end is right for it when another thread, meanwhile, maps where it moved from, or unmaps where it
 * moves to:
 *
 *	mremap O -> N      [----------*-----------------------------------]	really happened at *
 *	mmap gives O                        [-----]
 *
 * Such a mremap is placed just before the first mapping made in O, if that is after the last unmapping of N.
 *
 * Where the kernel told when a call had the address space for itself, its place is known, and none of this
 * needed.
 *
 * Threads. Forks stand where they copied the mm, which need not be the order in which the children then came
 * into being: only here do threads have their final numbers.
 *
 * Files. A file's size is that at its first mapping; calls before it are dropped. The recorder looked at the
 * file a little late, so that what calls had made of the size counts as well.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "convert.h"

/* ---- Order ---- */

struct range {
	uint64_t start, end; /* empty: start == end */
};

static const struct range no_range;

static struct range range_of(uint64_t start, uint64_t size)
{
	/* Rounded up to pages: neighbours of the same page collide. */
	return (struct range){ start, start + ((size + 4095) & ~UINT64_C(4095)) };
}

static bool intersect(struct range a, struct range b)
{
	return a.start < b.end && b.start < a.end;
}

static bool succeeded(const struct trace_event *event)
{
	return event->kind == TRACE_CALL && (event->call.result >= 0 || event->call.result <= -4096);
}

static bool moves(const struct trace_event *event)
{
	return succeeded(event) && event->call.nr == TRACE_MREMAP &&
	       (uint64_t)event->call.result != event->call.args[0];
}

/* What a call frees, and what it maps anew. */
static struct range freed(const struct trace_event *event)
{
	bool frees = succeeded(event) && (event->call.nr == TRACE_MUNMAP ||
					  (moves(event) && !(event->call.args[3] & MREMAP_DONTUNMAP)));
	return frees ? range_of(event->call.args[0], event->call.args[1]) : no_range;
}

static struct range mapped(const struct trace_event *event)
{
	if (succeeded(event) && event->call.nr == TRACE_MMAP)
		return range_of((uint64_t)event->call.result, event->call.args[1]);
	return moves(event) ? range_of((uint64_t)event->call.result, event->call.args[2]) : no_range;
}

/* The first place in @order whose event is at @time or later. */
static size_t find_time(const struct conversion *v, const uint32_t *order, uint64_t time)
{
	size_t low = 0, high = v->drafts.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct draft *draft = log_at(&v->drafts, order[middle]);
		if (draft->event.time < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Place a mremap that moves. True when that changed its time. */
static bool place_move(const struct conversion *v, const uint32_t *order, struct draft *move)
{
	struct trace_event *event = &move->event;
	uint64_t after = event->entry, before = UINT64_MAX;

	for (size_t i = find_time(v, order, event->entry); i < v->drafts.count; i++) {
		const struct draft *other = log_at(&v->drafts, order[i]);
		if (other->event.time > event->exit)
			break;
		if (other == move || other->event.kind != TRACE_CALL || other->space != move->space)
			continue;
		if (other->event.time < before && intersect(mapped(&other->event), freed(event)))
			before = other->event.time;
		if (other->event.time > after && intersect(freed(&other->event), mapped(event)))
			after = other->event.time;
	}
	if (before == UINT64_MAX || before - 1 < after || event->time < before)
		return false;
	event->time = before - 1;
	return true;
}

/* The drafts in their final order, or NULL. */
static uint32_t *settle_order(struct conversion *v)
{
	enum { PASSES = 8 }; /* a move that is placed may show where another belongs */
	uint32_t *order = log_sorted(&v->drafts, offsetof(struct draft, event.time));
	bool changed = true;

	for (int pass = 0; order && changed && pass < PASSES; pass++) {
		changed = false;
		for (size_t i = 0; i < v->drafts.count; i++) {
			struct draft *draft = log_at(&v->drafts, i);
			if (moves(&draft->event))
				changed |= place_move(v, order, draft);
		}
		if (!changed)
			break;
		free(order);
		order = log_sorted(&v->drafts, offsetof(struct draft, event.time));
	}
	return order;
}

/* ---- Files ---- */

struct settled {
	uint32_t number;      /* in the trace; TRACE_NONE: not mapped (yet) */
	uint64_t first, size; /* at the first mapping, and now */
	bool mapped;
};

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
	       (succeeded(event) && (event->call.nr == TRACE_MMAP || event->call.nr == TRACE_SHMAT));
}

/* Is the event about nothing but the size of a file? */
static bool sizes_file(const struct trace_event *event)
{
	return event->kind == TRACE_FILE_SIZE ||
	       (event->kind == TRACE_CALL &&
		(event->call.nr == TRACE_FTRUNCATE || event->call.nr == TRACE_FALLOCATE));
}

static uint64_t larger(uint64_t known, uint64_t size)
{
	return known == TRACE_SIZE_UNKNOWN || known < size ? size : known;
}

static void follow_size(const struct trace_event *event, uint64_t *size)
{
	const uint64_t *args = event->call.args;

	if (event->kind == TRACE_FILE_SIZE)
		*size = larger(*size, event->file_size.size);
	else if (!succeeded(event))
		return;
	else if (event->call.nr == TRACE_FTRUNCATE)
		*size = args[1];
	else if (event->call.nr == TRACE_FALLOCATE && !args[1])
		*size = larger(*size, args[2] + args[3]);
}

/* Times relative to the start, and the files that only became known later. */
static void finish(struct conversion *v, struct draft *draft)
{
	struct trace_event *event = &draft->event;

	event->time -= v->base;
	event->entry -= v->base;
	event->exit -= v->base;
	if (draft->binding != TRACE_NONE)
		*file_of(event) = binding_file(v, draft->binding);
}

/*
 * Is the size @seen what recorded calls made of the file soon after the mapping at place @first, @size being
 * its size there? Then the recorder looked after them.
 */
static bool seen_late(const struct conversion *v, const uint32_t *order, size_t first, uint32_t number,
		      uint64_t size, uint64_t seen)
{
	enum { LATE = 200 * 1000 * 1000 }; /* ns: more than a look is ever late */
	uint64_t mapped_at = ((struct draft *)log_at(&v->drafts, order[first]))->event.time;

	for (size_t i = first; i < v->drafts.count; i++) {
		struct draft *draft = log_at(&v->drafts, order[i]);
		if (draft->event.time > mapped_at + LATE)
			break;
		const uint32_t *file = sizes_file(&draft->event) ? file_of(&draft->event) : NULL;
		if (!file || *file != number || draft->looked)
			continue;
		follow_size(&draft->event, &size);
		if (size == seen)
			return true;
	}
	return false;
}

/* The file's size at its first mapping, which stands at place @first. @told is what calls before it told. */
static uint64_t first_size(const struct conversion *v, const uint32_t *order, size_t first, uint32_t number,
			   uint64_t told)
{
	const struct trace_event *event = &((struct draft *)log_at(&v->drafts, order[first]))->event;
	uint64_t seen = v->capture->files[number].file.size, span = 0;

	if (seen == TRACE_SIZE_UNKNOWN || seen == told)
		return told;
	if (event->kind == TRACE_CALL && event->call.nr == TRACE_MMAP)
		span = event->call.args[5] + event->call.args[1];
	if (!seen_late(v, order, first, number, told, seen))
		return told == TRACE_SIZE_UNKNOWN ? seen : larger(told, seen);
	return told == TRACE_SIZE_UNKNOWN ? larger(span, seen) : told;
}

/* Define the files that are mapped, in the order in which they are. */
static void define_files(struct conversion *v, struct trace_writer *writer, const uint32_t *order,
			 struct settled *files)
{
	const struct capture *c = v->capture;

	for (uint32_t i = 0; i < c->nr_files; i++)
		files[i] = (struct settled){ .number = TRACE_NONE, .size = TRACE_SIZE_UNKNOWN };
	for (size_t i = 0; i < v->drafts.count; i++)
		finish(v, log_at(&v->drafts, i));
	for (size_t i = 0; i < v->drafts.count; i++) {
		struct draft *draft = log_at(&v->drafts, order[i]);
		const uint32_t *number = file_of(&draft->event);
		if (!number || *number == TRACE_NONE || files[*number].number != TRACE_NONE)
			continue;
		struct settled *file = &files[*number];
		follow_size(&draft->event, &file->size);
		if (!maps_file(&draft->event))
			continue;
		struct trace_file definition = c->files[*number].file;
		definition.size = file->first = first_size(v, order, i, *number, file->size);
		file->number = trace_writer_add_file(writer, &definition);
	}
}

/* Does the event belong in the trace? Its file has the trace's number then. */
static bool settle_file(struct trace_event *event, struct settled *files)
{
	uint32_t *number = file_of(event);

	if (!number || *number == TRACE_NONE)
		return !sizes_file(event);
	struct settled *file = &files[*number];
	if (maps_file(event) && !file->mapped) {
		file->mapped = true;
		file->size = file->first;
	}
	*number = file->number;
	if (!sizes_file(event))
		return true;
	uint64_t before = file->size;
	follow_size(event, &file->size);
	return file->mapped && (event->kind != TRACE_FILE_SIZE || file->size != before);
}

/* The trace's numbers of threads: in the order of the events that bring them. */
static void settle_threads(struct trace_event *event, uint32_t *numbers, uint32_t *next)
{
	if (event->kind == TRACE_CLONE)
		numbers[event->clone.child] = (*next)++;
	if (event->thread != TRACE_NONE)
		event->thread = numbers[event->thread];
	if (event->kind == TRACE_CALL && event->call.peer != TRACE_NONE)
		event->call.peer = numbers[event->call.peer];
}

static void write_events(struct conversion *v, struct trace_writer *writer, const uint32_t *order,
			 struct settled *files, uint32_t *numbers, struct convert_counts *counts)
{
	uint32_t next = 1; /* thread 0 comes with the first EXEC */

	for (size_t i = 0; i < v->drafts.count; i++) {
		struct draft *draft = log_at(&v->drafts, order[i]);
		struct trace_event *event = &draft->event;
		if (!settle_file(event, files))
			continue;
		settle_threads(event, numbers, &next);
		trace_writer_add(writer, event);
		counts->events++;
		counts->calls += event->kind == TRACE_CALL;
		counts->faults += event->kind == TRACE_FAULT;
	}
	counts->threads = v->nr_threads;
	counts->mms = v->nr_spaces;
}

int settle(struct conversion *v, const char *path, const struct trace_header *header,
	   struct convert_counts *counts)
{
	struct capture *c = v->capture;
	uint32_t *order = settle_order(v);
	struct settled *files = malloc((c->nr_files + 1) * sizeof(*files));
	uint32_t *numbers = calloc(v->nr_threads, sizeof(*numbers));
	int result = -1;

	if (!order || !files || !numbers) {
		capture_fail(c, "out of memory");
		goto out;
	}
	struct trace_writer *writer = trace_writer_open(path, header, c->error, sizeof(c->error));
	if (!writer)
		goto out;
	define_files(v, writer, order, files);
	write_events(v, writer, order, files, numbers, counts);
	result = trace_writer_close(writer, c->error, sizeof(c->error));
out:
	free(order);
	free(files);
	free(numbers);
	return result;
}
