/*
 * writer.c - writes a trace: events into blocks, each with its checksum. The bytes are described in
 * docs/trace-format.md.
 *
 * Errors are remembered, not returned from each call: the first one is what trace_writer_close() says. After
 * it nothing is written any more.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

struct trace_writer {
	FILE *out;
	bool owns; /* close `out` */
	char *name;
	struct trace_state state;
	uint64_t bytes;
	char error[256];
	size_t used;
	uint8_t block[TRACE_BLOCK_MAX];
};

__attribute__((format(printf, 2, 3))) static void fail(struct trace_writer *w, const char *format, ...)
{
	if (w->error[0])
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(w->error, sizeof(w->error), format, args);
	va_end(args);
}

static void put_bytes(struct trace_writer *w, const void *bytes, size_t size)
{
	memcpy(w->block + w->used, bytes, size);
	w->used += size;
}

static void put_byte(struct trace_writer *w, uint8_t byte)
{
	w->block[w->used++] = byte;
}

static void put(struct trace_writer *w, uint64_t value)
{
	while (value >= 0x80) {
		put_byte(w, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	put_byte(w, (uint8_t)value);
}

static void put_string(struct trace_writer *w, const char *string)
{
	size_t size = strlen(string);
	put(w, size);
	put_bytes(w, string, size);
}

/* An address as its distance from the thread's last one. */
static void put_address(struct trace_writer *w, struct state_thread *thread, uint64_t address)
{
	put(w, zigzag(address - thread->address));
	thread->address = address;
}

static void write_out(struct trace_writer *w, const void *bytes, size_t size)
{
	if (w->error[0])
		return;
	if (fwrite(bytes, 1, size, w->out) != size)
		fail(w, "%s: cannot write: %s", w->name, strerror(errno));
	w->bytes += size;
}

static void finish_block(struct trace_writer *w, uint8_t type)
{
	uint8_t head[TRACE_BLOCK_HEAD];
	head[0] = type;
	store_le32(head + 1, (uint32_t)w->used);
	store_le32(head + 5, trace_checksum(trace_checksum(0, head, 5), w->block, w->used));
	write_out(w, head, sizeof(head));
	write_out(w, w->block, w->used);
	w->used = 0;
}

/* Room for one more record in the block of events. */
static void make_room(struct trace_writer *w)
{
	if (w->used + TRACE_RECORD_MAX > TRACE_BLOCK_MAX)
		finish_block(w, TRACE_BLOCK_EVENTS);
}

static void put_header(struct trace_writer *w, const struct trace_header *header)
{
	uint8_t version[4];
	store_le32(version, TRACE_VERSION);
	write_out(w, TRACE_MAGIC, TRACE_MAGIC_SIZE);
	write_out(w, version, sizeof(version));
	put(w, header->features);
	put(w, header->page_size);
	put(w, header->cpus);
	put(w, header->thp);
	put(w, header->overcommit);
	put(w, header->fault_around_bytes);
	put(w, header->max_map_count);
	put(w, header->lost);
	put_string(w, header->kernel);
	put_string(w, header->machine);
	put_string(w, header->command);
	finish_block(w, TRACE_BLOCK_HEADER);
}

struct trace_writer *trace_writer_open_stream(FILE *stream, const char *name,
					      const struct trace_header *header, char *error,
					      size_t error_size)
{
	const char *wrong = trace_header_check(header);
	if (wrong) {
		snprintf(error, error_size, "%s: %s", name, wrong);
		return NULL;
	}
	struct trace_writer *w = calloc(1, sizeof(*w));
	if (!w || !(w->name = strdup(name))) {
		free(w);
		snprintf(error, error_size, "%s: out of memory", name);
		return NULL;
	}
	w->out = stream;
	w->state.page_size = header->page_size;
	put_header(w, header);
	return w;
}

struct trace_writer *trace_writer_open(const char *path, const struct trace_header *header, char *error,
				       size_t error_size)
{
	FILE *out = fopen(path, "wb");
	if (!out) {
		snprintf(error, error_size, "%s: cannot write: %s", path, strerror(errno));
		return NULL;
	}
	struct trace_writer *w = trace_writer_open_stream(out, path, header, error, error_size);
	if (w)
		w->owns = true;
	else
		fclose(out);
	return w;
}

uint32_t trace_writer_add_file(struct trace_writer *w, const struct trace_file *file)
{
	const char *wrong = trace_file_check(file);
	if (wrong) {
		fail(w, "%s: %s", w->name, wrong);
		return TRACE_NONE;
	}
	make_room(w);
	put_byte(w, RECORD_FILE);
	put(w, file->device);
	put(w, file->inode);
	put(w, file->size + 1); /* 0: not known */
	put(w, file->kind);
	put(w, file->build_id_size);
	put_bytes(w, file->build_id, file->build_id_size);
	put_string(w, file->path);
	return w->state.nr_files++;
}

static void put_exec(struct trace_writer *w, const struct trace_event *event)
{
	put(w, event->exec.mappings);
	put(w, event->exec.brk);
	for (int i = 0; i < TRACE_LIMITS; i++)
		put(w, event->exec.limits[i] + 1); /* 0: none */
	put(w, event->exec.pid);
}

static void put_layout(struct trace_writer *w, const struct trace_event *event, uint64_t previous_end)
{
	uint64_t page = w->state.page_size;
	put(w, (event->layout.start - previous_end) / page);
	put(w, (event->layout.end - event->layout.start) / page);
	put(w, event->layout.prot);
	put(w, event->layout.flags);
	put(w, event->layout.region);
	if (event->layout.region == TRACE_REGION_FILE) {
		put(w, event->layout.file);
		put(w, event->layout.offset / page);
	}
}

static bool result_is_address(const struct trace_event *event)
{
	enum trace_call nr = event->call.nr;
	return event->call.result >= 0 &&
	       (nr == TRACE_MMAP || nr == TRACE_MREMAP || nr == TRACE_BRK || nr == TRACE_SHMAT);
}

static void put_call(struct trace_writer *w, const struct trace_event *event, struct state_thread *thread)
{
	const char *signature = trace_call_signature(event->call.nr);

	put(w, event->call.nr);
	put(w, event->time - event->entry);
	put(w, event->exit - event->time);
	for (int i = 0; signature[i]; i++) {
		if (signature[i] == 'a')
			put_address(w, thread, event->call.args[i]);
		else if (signature[i] == 's')
			put(w, zigzag(event->call.args[i]));
		else
			put(w, event->call.args[i]);
	}
	if (result_is_address(event))
		put_address(w, thread, (uint64_t)event->call.result);
	else
		put(w, zigzag((uint64_t)event->call.result));
	if (event->call.file != TRACE_NONE)
		put(w, event->call.file);
	if (trace_call_has_peer(event->call.nr))
		put(w, (uint64_t)(uint32_t)(event->call.peer + 1)); /* 0: not known */
}

/* The first byte. */
static uint8_t record_head(const struct trace_event *event, bool same_thread)
{
	unsigned head = event->kind;
	if (same_thread)
		head |= RECORD_SAME_THREAD;
	if (event->kind == TRACE_CALL) {
		if (result_is_address(event))
			head |= RECORD_CALL_ADDRESS;
		if (event->call.file != TRACE_NONE)
			head |= RECORD_CALL_FILE;
	} else if (event->kind == TRACE_FAULT) {
		if (event->fault.present)
			head = (head & ~(unsigned)RECORD_KIND) | RECORD_FAULT_PRESENT;
		if (event->fault.kernel)
			head |= RECORD_FAULT_KERNEL;
		head |= (unsigned)event->fault.access << RECORD_FAULT_ACCESS;
	}
	return (uint8_t)head;
}

static void put_body(struct trace_writer *w, const struct trace_event *event, struct state_thread *thread,
		     uint64_t layout_end)
{
	switch (event->kind) {
	case TRACE_EXEC:
		put_exec(w, event);
		break;
	case TRACE_LAYOUT:
		put_layout(w, event, layout_end);
		break;
	case TRACE_CLONE:
		put(w, event->time - event->entry);
		put(w, event->exit - event->time);
		put(w, event->clone.flags);
		put(w, event->clone.tid);
		break;
	case TRACE_EXIT:
		put(w, event->exited.minor);
		put(w, event->exited.major);
		put(w, event->exited.peak_rss_pages);
		put(w, event->exited.table_bytes);
		break;
	case TRACE_CALL:
		put_call(w, event, thread);
		break;
	case TRACE_FAULT:
		put_address(w, thread, event->fault.address);
		break;
	case TRACE_SIGNAL:
		put(w, event->signal.signal);
		put(w, zigzag((uint64_t)(int64_t)event->signal.code));
		break;
	case TRACE_FILE_SIZE:
		put(w, event->file_size.file);
		put(w, event->file_size.size);
		break;
	default:
		put(w, event->lost.count);
		break;
	}
}

void trace_writer_add(struct trace_writer *w, const struct trace_event *given)
{
	if (w->error[0])
		return;
	struct trace_event event = *given;
	uint64_t before = w->state.time, layout_end = w->state.layout_end;
	const char *wrong = trace_state_apply(&w->state, &event);
	if (wrong) {
		fail(w, "%s: event %llu: %s", w->name, (unsigned long long)w->state.index, wrong);
		return;
	}
	make_room(w);
	bool has_thread = event.thread != TRACE_NONE;
	bool same = has_thread && event.thread == w->state.last_thread;
	struct state_thread *thread = has_thread ? &w->state.threads[event.thread] : NULL;
	put_byte(w, record_head(&event, same));
	put(w, event.time - before);
	if (has_thread && !same)
		put(w, event.thread);
	put_body(w, &event, thread, layout_end);
	if (has_thread)
		w->state.last_thread = event.thread;
}

uint64_t trace_writer_bytes(const struct trace_writer *w)
{
	return w->bytes + w->used;
}

int trace_writer_close(struct trace_writer *w, char *error, size_t error_size)
{
	if (!w->error[0] && w->state.layouts_due)
		fail(w, "%s: an initial layout is not complete", w->name);
	if (w->used)
		finish_block(w, TRACE_BLOCK_EVENTS);
	put(w, w->state.index);
	finish_block(w, TRACE_BLOCK_END);
	if (fflush(w->out) && !w->error[0])
		fail(w, "%s: cannot write: %s", w->name, strerror(errno));
	if (w->owns && fclose(w->out) && !w->error[0])
		fail(w, "%s: cannot write: %s", w->name, strerror(errno));
	bool failed = w->error[0];
	if (failed)
		snprintf(error, error_size, "%s", w->error);
	trace_state_free(&w->state);
	free(w->name);
	free(w);
	return failed ? -1 : 0;
}
