/*
 * test_trace.c - recorded traces: what is written is read back, and what is damaged is refused in one clear
 * line.
 *
 * A trace that uses every kind of event is written to memory once; the tests then read it whole, cut at every
 * length, with every byte changed, and with its blocks rewritten so that the checksums hold and only the
 * meaning is wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <linux/sched.h>

#include "lab/trace/format.h"

enum { EVENTS_MAX = 64 };

struct image {
	char *bytes;
	size_t size;
};

static const struct trace_header sample_header = {
	.features = TRACE_HAS_ACCESS | TRACE_HAS_FAULTS,
	.page_size = 4096,
	.cpus = 2,
	.thp = TRACE_THP_MADVISE,
	.fault_around_bytes = 65536,
	.max_map_count = 65530,
	.kernel = "6.18.0",
	.machine = "x86_64",
	.command = "program --with arguments",
};

static const struct trace_file sample_file = {
	.device = UINT64_C(8) << 32 | 1,
	.inode = 4711,
	.size = 20000,
	.kind = TRACE_FILE_REGULAR,
	.build_id = { 1, 2, 3, 4 },
	.build_id_size = 4,
	.path = "/usr/bin/program",
};

static struct trace_event event_at(enum trace_kind kind, uint32_t thread, uint64_t time)
{
	return (struct trace_event){
		.kind = kind, .thread = thread, .time = time, .entry = time, .exit = time
	};
}

static struct trace_event call_at(uint32_t thread, enum trace_call nr, uint64_t entry, uint64_t exit)
{
	struct trace_event event = event_at(TRACE_CALL, thread, exit);
	event.entry = entry;
	event.call.nr = nr;
	event.call.file = event.call.peer = TRACE_NONE;
	return event;
}

static struct trace_event layout_at(uint64_t start, uint64_t end, enum trace_region region)
{
	struct trace_event event = event_at(TRACE_LAYOUT, 0, 0);
	event.layout.start = start;
	event.layout.end = end;
	event.layout.prot = PROT_READ | PROT_WRITE;
	event.layout.flags = MAP_PRIVATE | (region == TRACE_REGION_STACK ? MAP_GROWSDOWN : 0);
	event.layout.file = region == TRACE_REGION_FILE ? 0 : TRACE_NONE;
	event.layout.offset = region == TRACE_REGION_FILE ? 0x2000 : 0;
	event.layout.region = region;
	return event;
}

/* Every kind of event; thread 1 is a thread, thread 2 a forked process that executes another program. */
static size_t sample_events(struct trace_event *e)
{
	size_t n = 0;

	e[n] = event_at(TRACE_EXEC, 0, 0);
	e[n].exec.mappings = 3;
	e[n].exec.brk = 0x555555560123;
	e[n].exec.pid = 1234;
	for (int i = 0; i < TRACE_LIMITS; i++)
		e[n].exec.limits[i] = i ? 8u << 20 : TRACE_SIZE_UNKNOWN;
	n++;
	e[n++] = layout_at(0x555555554000, 0x555555556000, TRACE_REGION_FILE);
	e[n++] = layout_at(0x555555556000, 0x555555557000, TRACE_REGION_ANON);
	e[n++] = layout_at(0x7ffffffde000, 0x7ffffffff000, TRACE_REGION_STACK);
	e[n] = call_at(0, TRACE_MMAP, 10, 50);
	memcpy(e[n].call.args, (uint64_t[]){ 0, 0x5000, 3, MAP_PRIVATE, 3, 0x1000 }, sizeof(e[n].call.args));
	e[n].call.result = 0x7ffff7d00000;
	e[n++].call.file = 0;
	e[n] = event_at(TRACE_FAULT, 0, 60);
	e[n].fault.address = 0x7ffff7d01234;
	e[n].fault.access = TRACE_ACCESS_WRITE;
	e[n++].fault.present = true;
	e[n] = event_at(TRACE_CLONE, 0, 75);
	e[n].entry = 70;
	e[n].exit = 90;
	e[n].clone.flags = CLONE_VM | CLONE_THREAD;
	e[n++].clone.tid = 1235;
	e[n] = event_at(TRACE_FAULT, 1, 80);
	e[n].fault.address = UINT64_MAX;
	e[n].fault.access = TRACE_ACCESS_EXEC;
	e[n++].fault.kernel = true;
	e[n] = call_at(1, TRACE_MUNMAP, 100, 130);
	e[n].time = e[n].entry;
	e[n].call.args[0] = 0x7ffff7d00000;
	e[n++].call.args[1] = 0x5000;
	e[n] = event_at(TRACE_SIGNAL, 1, 110);
	e[n].signal.signal = 11;
	e[n++].signal.code = -6;
	e[n] = event_at(TRACE_CLONE, 0, 140);
	e[n++].clone.flags = 17;
	e[n] = event_at(TRACE_FILE_SIZE, TRACE_NONE, 141);
	e[n++].file_size.size = 40000;
	e[n] = call_at(2, TRACE_BRK, 150, 160);
	e[n++].call.result = -12;
	e[n] = call_at(2, TRACE_PROCESS_VM_READV, 165, 166);
	e[n].call.args[0] = (uint64_t)-1;
	e[n++].call.peer = 1;
	e[n] = event_at(TRACE_EXEC, 2, 170);
	e[n].exec.brk = 0x555555560000;
	e[n++].exec.mappings = 0;
	e[n] = event_at(TRACE_LOST, TRACE_NONE, 171);
	e[n++].lost.count = 7;
	e[n] = event_at(TRACE_EXIT, 1, 180);
	e[n++].exited.minor = 33;
	e[n++] = event_at(TRACE_EXIT, 2, 190);
	e[n] = event_at(TRACE_EXIT, 0, UINT64_C(1) << 60);
	e[n++].exited.table_bytes = 65536;
	return n;
}

static struct trace_writer *begin(struct image *image, FILE **out)
{
	char error[256];
	*out = open_memstream(&image->bytes, &image->size);
	assert_non_null(*out);
	struct trace_writer *w = trace_writer_open_stream(*out, "sample", &sample_header, error,
							  sizeof(error));
	assert_non_null(w);
	assert_int_equal(trace_writer_add_file(w, &sample_file), 0);
	return w;
}

/* Finish; what the writer said, empty when it was content. */
static const char *finish(struct trace_writer *w, FILE *out)
{
	static char error[256];
	error[0] = 0;
	int closed = trace_writer_close(w, error, sizeof(error));
	assert_int_equal(closed, error[0] ? -1 : 0);
	fclose(out);
	return error;
}

static struct image sample(void)
{
	struct trace_event events[EVENTS_MAX];
	size_t count = sample_events(events);
	struct image image;
	FILE *out;
	struct trace_writer *w = begin(&image, &out);
	for (size_t i = 0; i < count; i++)
		trace_writer_add(w, &events[i]);
	assert_string_equal(finish(w, out), "");
	return image;
}

/* Read all of @bytes; the error, empty when there was none. */
static const char *read_all(const char *bytes, size_t size, size_t *count)
{
	static char error[512];
	struct trace_event event;
	enum trace_status status;
	FILE *in = fmemopen((void *)(size ? bytes : ""), size ? size : 1, "rb");

	if (!size)
		fgetc(in);
	error[0] = 0;
	*count = 0;
	struct trace_reader *r = trace_reader_open_stream(in, "sample", error, sizeof(error));
	if (r) {
		while ((status = trace_reader_next(r, &event)) == TRACE_EVENT)
			++*count;
		if (status == TRACE_ERROR)
			snprintf(error, sizeof(error), "%s", trace_reader_error(r));
		assert_int_equal(trace_reader_next(r, &event), status);
		trace_reader_close(r);
	}
	fclose(in);
	return error;
}

static void assert_one_line(const char *error)
{
	assert_true(error[0]);
	assert_null(strchr(error, '\n'));
	assert_memory_equal(error, "sample: ", 8);
}

static void trace_round_trip(void **state)
{
	(void)state;
	struct trace_event events[EVENTS_MAX], event;
	size_t count = sample_events(events);
	struct image image = sample();
	char error[256];
	FILE *in = fmemopen(image.bytes, image.size, "rb");
	struct trace_reader *r = trace_reader_open_stream(in, "sample", error, sizeof(error));
	assert_non_null(r);

	const struct trace_header *header = trace_reader_header(r);
	assert_int_equal(header->version, TRACE_VERSION);
	assert_int_equal(header->features, sample_header.features);
	assert_int_equal(header->fault_around_bytes, 65536);
	assert_string_equal(header->command, sample_header.command);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(trace_reader_next(r, &event), TRACE_EVENT);
		assert_int_equal(event.index, i);
		assert_int_equal(event.kind, events[i].kind);
		assert_int_equal(event.thread, events[i].thread);
		assert_int_equal(event.time, events[i].time);
		assert_int_equal(event.entry, events[i].entry);
		assert_int_equal(event.exit, events[i].exit);
		switch (event.kind) {
		case TRACE_LAYOUT:
			assert_memory_equal(&event.layout, &events[i].layout, sizeof(event.layout));
			break;
		case TRACE_CALL:
			assert_memory_equal(&event.call, &events[i].call, sizeof(event.call));
			break;
		case TRACE_FAULT:
			assert_int_equal(event.fault.address, events[i].fault.address);
			assert_int_equal(event.fault.access, events[i].fault.access);
			assert_int_equal(event.fault.kernel, events[i].fault.kernel);
			assert_int_equal(event.fault.present, events[i].fault.present);
			break;
		case TRACE_SIGNAL:
			assert_int_equal(event.signal.code, events[i].signal.code);
			break;
		case TRACE_EXEC:
			assert_int_equal(event.exec.brk, events[i].exec.brk);
			assert_memory_equal(event.exec.limits, events[i].exec.limits,
					    sizeof(event.exec.limits));
			break;
		case TRACE_LOST:
			assert_int_equal(event.lost.count, 7);
			break;
		default:
			break;
		}
	}
	assert_int_equal(trace_reader_next(r, &event), TRACE_DONE);
	assert_int_equal(trace_reader_files(r), 1);
	const struct trace_file *file = trace_reader_file(r, 0);
	assert_string_equal(file->path, sample_file.path);
	assert_int_equal(file->inode, 4711);
	assert_int_equal(file->build_id_size, 4);
	assert_null(trace_reader_file(r, 1));
	trace_reader_close(r);
	fclose(in);
	free(image.bytes);
}

/* Threads share their mm or have a copy, and the last to leave an mm ends it. */
static void trace_derives_address_spaces(void **state)
{
	(void)state;
	struct trace_event event;
	struct image image = sample();
	char error[256];
	FILE *in = fmemopen(image.bytes, image.size, "rb");
	struct trace_reader *r = trace_reader_open_stream(in, "sample", error, sizeof(error));
	unsigned clones = 0, exits = 0;

	while (trace_reader_next(r, &event) == TRACE_EVENT) {
		if (event.kind == TRACE_EXEC && event.thread == 0) {
			assert_int_equal(event.mm, 0);
			assert_int_equal(event.exec.old_mm, TRACE_NONE);
		} else if (event.kind == TRACE_EXEC) {
			assert_int_equal(event.mm, 2);
			assert_int_equal(event.exec.old_mm, 1);
			assert_true(event.exec.last);
		} else if (event.kind == TRACE_CLONE) {
			assert_int_equal(event.clone.child, clones + 1);
			assert_int_equal(event.clone.child_mm, clones++);
		} else if (event.kind == TRACE_EXIT) {
			assert_int_equal(event.exited.last, exits++ > 0);
		} else if (event.kind == TRACE_FAULT) {
			assert_int_equal(event.mm, 0);
		}
	}
	assert_int_equal(clones, 2);
	assert_int_equal(exits, 3);
	trace_reader_close(r);
	fclose(in);
	free(image.bytes);
}

static void trace_truncated_anywhere_is_refused(void **state)
{
	(void)state;
	struct image image = sample();
	size_t count;

	for (size_t size = 0; size < image.size; size++) {
		const char *error = read_all(image.bytes, size, &count);
		assert_one_line(error);
		assert_non_null(strstr(error, size ? "truncated" : "empty"));
	}
	assert_string_equal(read_all(image.bytes, image.size, &count), "");
	free(image.bytes);
}

static void trace_any_changed_byte_is_refused(void **state)
{
	(void)state;
	struct image image = sample();
	size_t count;

	for (size_t at = 0; at < image.size; at++) {
		for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
			image.bytes[at] ^= (char)flip;
			assert_one_line(read_all(image.bytes, image.size, &count));
			image.bytes[at] ^= (char)flip;
		}
	}
	free(image.bytes);
}

static void trace_bytes_after_the_end_are_refused(void **state)
{
	(void)state;
	struct image image = sample();
	size_t count;
	char *longer = calloc(1, image.size + 1);

	memcpy(longer, image.bytes, image.size);
	const char *error = read_all(longer, image.size + 1, &count);
	assert_one_line(error);
	assert_non_null(strstr(error, "after its end"));
	free(longer);
	free(image.bytes);
}

static void trace_future_version_is_named(void **state)
{
	(void)state;
	struct image image = sample();
	size_t count;

	store_le32((uint8_t *)image.bytes + TRACE_MAGIC_SIZE, 77);
	const char *error = read_all(image.bytes, image.size, &count);
	assert_one_line(error);
	assert_non_null(strstr(error, "version 77"));
	free(image.bytes);
}

static void trace_other_files_are_not_traces(void **state)
{
	(void)state;
	size_t count;
	assert_string_equal(read_all("\177ELF and more of it", 19, &count), "sample: not a trace");
	assert_string_equal(read_all("Q", 1, &count), "sample: the trace is truncated");
}

/* Damage that the checksum does not see: every byte of every block changed, and the checksum made to fit. */
static void trace_wrong_meaning_never_crashes(void **state)
{
	(void)state;
	struct image image = sample();
	uint8_t *bytes = (uint8_t *)image.bytes;
	size_t count, refused = 0;

	for (size_t block = TRACE_MAGIC_SIZE + 4; block < image.size;) {
		uint32_t size = load_le32(bytes + block + 1), sum = load_le32(bytes + block + 5);
		for (size_t at = block + TRACE_BLOCK_HEAD; at < block + TRACE_BLOCK_HEAD + size; at++) {
			uint8_t good = bytes[at];
			for (unsigned value = 0; value < 256; value++) {
				bytes[at] = (uint8_t)value;
				uint32_t fit = trace_checksum(0, bytes + block, 5);
				store_le32(bytes + block + 5,
					   trace_checksum(fit, bytes + block + TRACE_BLOCK_HEAD, size));
				const char *error = read_all(image.bytes, image.size, &count);
				if (error[0]) {
					assert_one_line(error);
					refused++;
				}
			}
			bytes[at] = good;
		}
		store_le32(bytes + block + 5, sum);
		block += TRACE_BLOCK_HEAD + size;
	}
	assert_true(refused > 1000);
	assert_string_equal(read_all(image.bytes, image.size, &count), "");
	free(image.bytes);
}

/* What the writer says to sample events with number @at changed to @event. */
static const char *write_changed(size_t at, const struct trace_event *event)
{
	struct trace_event events[EVENTS_MAX];
	size_t count = sample_events(events);
	struct image image;
	FILE *out;
	struct trace_writer *w = begin(&image, &out);

	for (size_t i = 0; i < count; i++)
		trace_writer_add(w, i == at ? event : &events[i]);
	const char *error = finish(w, out);
	free(image.bytes);
	return error;
}

static void trace_writer_refuses_what_a_reader_would(void **state)
{
	(void)state;
	struct trace_event events[EVENTS_MAX], bad;
	sample_events(events);

	bad = events[5];
	bad.time = bad.entry = bad.exit = 1;
	assert_non_null(strstr(write_changed(5, &bad), "time runs backwards"));
	bad = events[5];
	bad.thread = 1;
	assert_non_null(strstr(write_changed(5, &bad), "thread that does not exist"));
	bad = events[4];
	bad.call.file = 1;
	assert_non_null(strstr(write_changed(4, &bad), "no known file"));
	bad = events[4];
	bad.call.nr = TRACE_CALL_END;
	assert_non_null(strstr(write_changed(4, &bad), "no known number"));
	bad = events[4];
	bad.time = bad.exit + 1;
	assert_non_null(strstr(write_changed(4, &bad), "ends before it begins"));
	bad = events[2];
	bad.layout.start -= 4096;
	assert_non_null(strstr(write_changed(2, &bad), "ascending"));
	bad = events[2];
	bad.layout.end++;
	assert_non_null(strstr(write_changed(2, &bad), "aligned"));
	bad = events[5];
	assert_non_null(strstr(write_changed(3, &bad), "layout is not complete"));
	bad = events[3];
	bad.time = bad.entry = bad.exit = 60;
	assert_non_null(strstr(write_changed(5, &bad), "outside"));
}

/* More than one block; differences go on across them. */
static void trace_many_blocks(void **state)
{
	(void)state;
	enum { FAULTS = 40000 };
	struct trace_event event = event_at(TRACE_EXEC, 0, 0);
	struct image image;
	size_t count;
	FILE *out;
	struct trace_writer *w = begin(&image, &out);

	trace_writer_add(w, &event);
	for (uint64_t i = 0; i < FAULTS; i++) {
		event = event_at(TRACE_FAULT, 0, i * 1000);
		event.fault.address = i * 0x9e3779b97f4a7c15u >> 17;
		event.fault.access = TRACE_ACCESS_READ;
		trace_writer_add(w, &event);
	}
	assert_true(trace_writer_bytes(w) > 2 * TRACE_BLOCK_MAX);
	assert_string_equal(finish(w, out), "");
	assert_string_equal(read_all(image.bytes, image.size, &count), "");
	assert_int_equal(count, FAULTS + 1);
	free(image.bytes);
}

static void trace_missing_file_is_one_line(void **state)
{
	(void)state;
	char error[256];
	assert_null(trace_reader_open("/nonexistent/trace", error, sizeof(error)));
	assert_string_equal(error, "/nonexistent/trace: cannot open: No such file or directory");
	assert_null(trace_writer_open("/nonexistent/trace", &sample_header, error, sizeof(error)));
	assert_string_equal(error, "/nonexistent/trace: cannot write: No such file or directory");
}

static void trace_every_event_prints(void **state)
{
	(void)state;
	struct image image = sample();
	struct trace_event event;
	char error[256], *text;
	size_t size;
	FILE *in = fmemopen(image.bytes, image.size, "rb"), *out = open_memstream(&text, &size);
	struct trace_reader *r = trace_reader_open_stream(in, "sample", error, sizeof(error));

	while (trace_reader_next(r, &event) == TRACE_EVENT)
		trace_event_print(r, &event, out);
	fclose(out);
	assert_non_null(strstr(text, "file 0 /usr/bin/program"));
	assert_non_null(strstr(text, "fault 0x7ffff7d01234 write (present)"));
	assert_non_null(strstr(text, "munmap(0x7ffff7d00000, 0x5000) = 0 <30 ns>"));
	assert_null(strchr(text, '?'));
	free(text);
	trace_reader_close(r);
	fclose(in);
	free(image.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trace_round_trip),
		cmocka_unit_test(trace_derives_address_spaces),
		cmocka_unit_test(trace_truncated_anywhere_is_refused),
		cmocka_unit_test(trace_any_changed_byte_is_refused),
		cmocka_unit_test(trace_bytes_after_the_end_are_refused),
		cmocka_unit_test(trace_future_version_is_named),
		cmocka_unit_test(trace_other_files_are_not_traces),
		cmocka_unit_test(trace_wrong_meaning_never_crashes),
		cmocka_unit_test(trace_writer_refuses_what_a_reader_would),
		cmocka_unit_test(trace_many_blocks),
		cmocka_unit_test(trace_missing_file_is_one_line),
		cmocka_unit_test(trace_every_event_prints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
