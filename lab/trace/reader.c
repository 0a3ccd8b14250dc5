/*
 * reader.c - reads a trace, believing nothing. The bytes are described in docs/trace-format.md.
 *
 * One block at a time is in memory, its checksum verified before a byte of it is decoded. A checksum keeps
 * out accidents, not malice, so every number is bounded as well: by the decoder here, by the meaning in
 * state.c. Memory grows only with what the file really holds.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"

struct trace_reader {
	FILE *in;
	bool owns; /* close `in` */
	char *name;
	struct trace_header header;
	struct trace_state state;
	struct trace_file *files;
	uint32_t room_files;
	enum trace_status status; /* TRACE_EVENT while there may be more */
	const uint8_t *at, *end;  /* what is left of the block */
	bool bad;		  /* a number was malformed or ran over the block's end */
	char error[512];
	uint8_t block[TRACE_BLOCK_MAX];
};

__attribute__((format(printf, 2, 3))) static bool fail(struct trace_reader *r, const char *format, ...)
{
	int at = snprintf(r->error, sizeof(r->error), "%.300s: ", r->name);
	va_list args;
	va_start(args, format);
	vsnprintf(r->error + at, sizeof(r->error) - (size_t)at, format, args);
	va_end(args);
	r->status = TRACE_ERROR;
	return false;
}

static bool fail_at_event(struct trace_reader *r, const char *wrong)
{
	return fail(r, "corrupt trace: event %llu: %s", (unsigned long long)r->state.index, wrong);
}

static uint8_t get_byte(struct trace_reader *r)
{
	if (r->at < r->end)
		return *r->at++;
	r->bad = true;
	return 0;
}

static uint64_t get(struct trace_reader *r)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = get_byte(r);
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	r->bad = true;
	return 0;
}

static uint32_t get32(struct trace_reader *r)
{
	uint64_t value = get(r);
	if (value > UINT32_MAX)
		r->bad = true;
	return (uint32_t)value;
}

static void get_bytes(struct trace_reader *r, void *bytes, size_t size)
{
	if (size > (size_t)(r->end - r->at)) {
		r->bad = true;
		memset(bytes, 0, size);
		return;
	}
	memcpy(bytes, r->at, size);
	r->at += size;
}

/* A string into @string of @room bytes, its NUL included. One that holds a NUL of its own is malformed. */
static void get_string(struct trace_reader *r, char *string, size_t room)
{
	uint64_t size = get(r);
	if (size >= room) {
		r->bad = true;
		size = 0;
	}
	get_bytes(r, string, size);
	string[size] = 0;
	if (strlen(string) != size)
		r->bad = true;
}

static uint64_t get_address(struct trace_reader *r, struct state_thread *thread)
{
	return thread->address += unzigzag(get(r));
}

/* ---- Blocks ---- */

static bool read_bytes(struct trace_reader *r, void *bytes, size_t size)
{
	size_t got = fread(bytes, 1, size, r->in);
	if (got == size)
		return true;
	if (ferror(r->in))
		return fail(r, "cannot read: %s", strerror(errno));
	return fail(r, "the trace is truncated");
}

/* Read and verify the next block. Its type, or 0 on an error. */
static int read_block(struct trace_reader *r)
{
	uint8_t head[TRACE_BLOCK_HEAD];
	if (!read_bytes(r, head, sizeof(head)))
		return 0;
	uint32_t size = load_le32(head + 1);
	if (size > TRACE_BLOCK_MAX ||
	    (head[0] != TRACE_BLOCK_HEADER && head[0] != TRACE_BLOCK_EVENTS && head[0] != TRACE_BLOCK_END)) {
		fail(r, "corrupt trace: no block where one should begin");
		return 0;
	}
	if (!read_bytes(r, r->block, size))
		return 0;
	if (load_le32(head + 5) != trace_checksum(trace_checksum(0, head, 5), r->block, size)) {
		fail(r, "corrupt trace: a block's checksum is wrong");
		return 0;
	}
	r->at = r->block;
	r->end = r->block + size;
	r->bad = false;
	return head[0];
}

static bool read_header(struct trace_reader *r)
{
	uint8_t start[TRACE_MAGIC_SIZE + 4];
	size_t got = fread(start, 1, sizeof(start), r->in);
	if (ferror(r->in))
		return fail(r, "cannot read: %s", strerror(errno));
	if (!got)
		return fail(r, "not a trace: the file is empty");
	if (memcmp(start, TRACE_MAGIC, got < TRACE_MAGIC_SIZE ? got : TRACE_MAGIC_SIZE))
		return fail(r, "not a trace");
	if (got < sizeof(start))
		return fail(r, "the trace is truncated");
	struct trace_header *header = &r->header;
	header->version = load_le32(start + TRACE_MAGIC_SIZE);
	if (header->version > TRACE_VERSION)
		return fail(r, "the trace has version %u, this program knows versions up to %d",
			    header->version, TRACE_VERSION);
	if (!header->version)
		return fail(r, "corrupt trace: version 0");
	int type = read_block(r);
	if (!type)
		return false;
	if (type != TRACE_BLOCK_HEADER)
		return fail(r, "corrupt trace: it does not begin with a header");
	header->features = get32(r);
	header->page_size = get32(r);
	header->cpus = get32(r);
	header->thp = get32(r);
	header->overcommit = get32(r);
	header->fault_around_bytes = get(r);
	header->max_map_count = get(r);
	header->lost = get(r);
	get_string(r, header->kernel, sizeof(header->kernel));
	get_string(r, header->machine, sizeof(header->machine));
	get_string(r, header->command, sizeof(header->command));
	if (r->bad || r->at != r->end)
		return fail(r, "corrupt trace: the header is malformed");
	const char *wrong = trace_header_check(header);
	if (wrong)
		return fail(r, "corrupt trace: %s", wrong);
	r->state.page_size = header->page_size;
	return true;
}

/* The last block: how many events there were, and nothing after it. */
static bool read_end(struct trace_reader *r)
{
	uint64_t events = get(r);
	if (r->bad || r->at != r->end || events != r->state.index)
		return fail(r, "corrupt trace: it ends after %llu events, and says %llu",
			    (unsigned long long)r->state.index, (unsigned long long)events);
	if (r->state.layouts_due)
		return fail_at_event(r, "an initial layout is not complete");
	if (fgetc(r->in) != EOF)
		return fail(r, "corrupt trace: there are bytes after its end");
	r->status = TRACE_DONE;
	return true;
}

/* ---- Records ---- */

static bool read_file(struct trace_reader *r)
{
	char path[TRACE_STRING_MAX + 1];
	struct trace_file file = { 0 };

	file.device = get(r);
	file.inode = get(r);
	file.size = get(r) - 1;
	file.kind = get32(r);
	file.build_id_size = get_byte(r);
	if (file.build_id_size > TRACE_BUILD_ID_MAX)
		return fail_at_event(r, "a file's build-id is too long");
	get_bytes(r, file.build_id, file.build_id_size);
	get_string(r, path, sizeof(path));
	if (r->bad)
		return fail_at_event(r, "a file's definition is malformed");
	file.path = path;
	const char *wrong = trace_file_check(&file);
	if (wrong)
		return fail_at_event(r, wrong);
	if (r->state.nr_files == r->room_files) {
		uint32_t room = r->room_files ? r->room_files * 2 : 32;
		struct trace_file *grown = realloc(r->files, room * sizeof(*grown));
		if (!grown)
			return fail(r, "out of memory");
		r->files = grown;
		r->room_files = room;
	}
	file.path = strdup(path);
	if (!file.path)
		return fail(r, "out of memory");
	r->files[r->state.nr_files++] = file;
	return true;
}

static void get_layout(struct trace_reader *r, struct trace_event *event)
{
	uint64_t page = r->header.page_size, limit = (UINT64_C(1) << TRACE_ADDRESS_BITS) / page;
	uint64_t gap = get(r), pages = get(r);

	if (gap > limit || pages > limit)
		r->bad = true;
	event->layout.start = r->state.layout_end + gap * page;
	event->layout.end = event->layout.start + pages * page;
	event->layout.prot = get32(r);
	event->layout.flags = get32(r);
	event->layout.region = get32(r);
	event->layout.file = TRACE_NONE;
	event->layout.offset = 0;
	if (event->layout.region == TRACE_REGION_FILE) {
		event->layout.file = get32(r);
		event->layout.offset = get(r) * page;
	}
}

static void get_call(struct trace_reader *r, struct trace_event *event, struct state_thread *thread,
		     uint8_t head)
{
	uint32_t nr = get32(r);
	const char *signature = trace_call_signature(nr);
	if (!signature) {
		r->bad = true;
		return;
	}
	event->call.nr = nr;
	event->entry = event->time - get(r);
	event->exit = event->time + get(r);
	for (int i = 0; signature[i]; i++) {
		if (signature[i] == 'a')
			event->call.args[i] = get_address(r, thread);
		else
			event->call.args[i] = signature[i] == 's' ? unzigzag(get(r)) : get(r);
	}
	event->call.result = (int64_t)(head & RECORD_CALL_ADDRESS ? get_address(r, thread)
								  : unzigzag(get(r)));
	event->call.file = head & RECORD_CALL_FILE ? get32(r) : TRACE_NONE;
	event->call.peer = trace_call_has_peer(nr) ? get32(r) - 1 : TRACE_NONE;
}

static void get_body(struct trace_reader *r, struct trace_event *event, struct state_thread *thread,
		     uint8_t head)
{
	switch (event->kind) {
	case TRACE_EXEC:
		event->exec.mappings = get32(r);
		event->exec.brk = get(r);
		for (int i = 0; i < TRACE_LIMITS; i++)
			event->exec.limits[i] = get(r) - 1;
		event->exec.pid = get32(r);
		break;
	case TRACE_LAYOUT:
		get_layout(r, event);
		break;
	case TRACE_CLONE:
		event->entry = event->time - get(r);
		event->exit = event->time + get(r);
		event->clone.flags = get(r);
		event->clone.tid = get32(r);
		break;
	case TRACE_EXIT:
		event->exited.minor = get(r);
		event->exited.major = get(r);
		event->exited.peak_rss_pages = get(r);
		event->exited.table_bytes = get(r);
		break;
	case TRACE_CALL:
		get_call(r, event, thread, head);
		break;
	case TRACE_FAULT:
		event->fault.address = get_address(r, thread);
		event->fault.access = (enum trace_access)(head >> RECORD_FAULT_ACCESS);
		event->fault.kernel = head & RECORD_FAULT_KERNEL;
		break;
	case TRACE_SIGNAL:
		event->signal.signal = get32(r);
		event->signal.code = (int32_t)unzigzag(get(r));
		break;
	case TRACE_FILE_SIZE:
		event->file_size.file = get32(r);
		event->file_size.size = get(r);
		break;
	case TRACE_LOST:
		event->lost.count = get(r);
		break;
	default:
		r->bad = true;
	}
}

/* The thread that a record is about. It must exist here already: it holds the base of differences. */
static struct state_thread *get_thread(struct trace_reader *r, struct trace_event *event, uint8_t head)
{
	static struct state_thread nobody;

	if (event->kind == TRACE_FILE_SIZE || event->kind == TRACE_LOST) {
		event->thread = TRACE_NONE;
		return &nobody;
	}
	event->thread = head & RECORD_SAME_THREAD ? r->state.last_thread : get32(r);
	r->state.last_thread = event->thread;
	if (event->thread < r->state.nr_threads)
		return &r->state.threads[event->thread];
	if (event->kind != TRACE_EXEC)
		r->bad = true;
	return &nobody;
}

static bool read_event(struct trace_reader *r, struct trace_event *event, uint8_t head)
{
	*event = (struct trace_event){ .kind = head & RECORD_KIND };
	if ((head & RECORD_KIND) == RECORD_FAULT_PRESENT) {
		event->kind = TRACE_FAULT;
		event->fault.present = true;
	}
	uint64_t delta = get(r);
	if (delta > UINT64_MAX / 4 - r->state.time)
		r->bad = true;
	event->time = event->entry = event->exit = r->state.time + delta;
	struct state_thread *thread = get_thread(r, event, head);
	if (!r->bad)
		get_body(r, event, thread, head);
	if (r->bad)
		return fail_at_event(r, "its record is malformed");
	const char *wrong = trace_state_apply(&r->state, event);
	return wrong ? fail_at_event(r, wrong) : true;
}

enum trace_status trace_reader_next(struct trace_reader *r, struct trace_event *event)
{
	while (r->status == TRACE_EVENT) {
		if (r->at == r->end) {
			int type = read_block(r);
			if (type == TRACE_BLOCK_END)
				read_end(r);
			else if (type == TRACE_BLOCK_HEADER)
				fail(r, "corrupt trace: a second header");
			continue;
		}
		uint8_t head = get_byte(r);
		if ((head & RECORD_KIND) == RECORD_FILE) {
			read_file(r);
			continue;
		}
		read_event(r, event, head);
		break;
	}
	return r->status;
}

/* ---- Opening and closing ---- */

struct trace_reader *trace_reader_open_stream(FILE *stream, const char *name, char *error, size_t error_size)
{
	struct trace_reader *r = calloc(1, sizeof(*r));
	if (!r || !(r->name = strdup(name))) {
		free(r);
		snprintf(error, error_size, "%s: out of memory", name);
		return NULL;
	}
	r->in = stream;
	r->status = TRACE_EVENT;
	if (!read_header(r)) {
		snprintf(error, error_size, "%s", r->error);
		trace_reader_close(r);
		return NULL;
	}
	r->at = r->end;
	return r;
}

struct trace_reader *trace_reader_open(const char *path, char *error, size_t error_size)
{
	FILE *in = fopen(path, "rb");
	if (!in) {
		snprintf(error, error_size, "%s: cannot open: %s", path, strerror(errno));
		return NULL;
	}
	struct trace_reader *r = trace_reader_open_stream(in, path, error, error_size);
	if (r)
		r->owns = true;
	else
		fclose(in);
	return r;
}

const struct trace_header *trace_reader_header(const struct trace_reader *r)
{
	return &r->header;
}

const char *trace_reader_error(const struct trace_reader *r)
{
	return r->error;
}

size_t trace_reader_files(const struct trace_reader *r)
{
	return r->state.nr_files;
}

const struct trace_file *trace_reader_file(const struct trace_reader *r, uint32_t file)
{
	return file < r->state.nr_files ? &r->files[file] : NULL;
}

void trace_reader_close(struct trace_reader *r)
{
	for (uint32_t i = 0; i < r->state.nr_files; i++)
		free((void *)r->files[i].path);
	free(r->files);
	trace_state_free(&r->state);
	if (r->owns)
		fclose(r->in);
	free(r->name);
	free(r);
}
