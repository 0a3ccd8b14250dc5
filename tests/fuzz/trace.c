/*
 * trace.c - libFuzzer target: any bytes read as a trace. Nothing may crash, and an error is one line.
 *
 * Checksums keep a fuzzer out, so that the input is read twice: as it is, and with a correct checksum put in
 * every block that it seems to hold, so that the decoder and the checks of meaning are reached.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/trace/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(uint8_t *bytes, size_t size, FILE *sink)
{
	struct trace_event event;
	char error[512];
	FILE *in = fmemopen(bytes, size, "rb");
	if (!in)
		return;
	struct trace_reader *r = trace_reader_open_stream(in, "input", error, sizeof(error));
	if (r) {
		while (trace_reader_next(r, &event) == TRACE_EVENT)
			trace_event_print(r, &event, sink);
		snprintf(error, sizeof(error), "%s", trace_reader_error(r));
		trace_reader_close(r);
	}
	if (strchr(error, '\n'))
		abort();
	fclose(in);
}

static void mend_checksums(uint8_t *bytes, size_t size)
{
	for (size_t block = TRACE_MAGIC_SIZE + 4; block + TRACE_BLOCK_HEAD <= size;) {
		uint8_t *head = bytes + block, *payload = head + TRACE_BLOCK_HEAD;
		size_t length = load_le32(head + 1), left = size - block - TRACE_BLOCK_HEAD;
		if (length > left)
			length = left;
		store_le32(head + 1, (uint32_t)length);
		store_le32(head + 5, trace_checksum(trace_checksum(0, head, 5), payload, length));
		block += TRACE_BLOCK_HEAD + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *sink;
	if (!sink)
		sink = fopen("/dev/null", "w");
	uint8_t *bytes = malloc(size + 1);
	if (!bytes || !sink || !size) {
		free(bytes);
		return 0;
	}
	memcpy(bytes, data, size);
	read_all(bytes, size, sink);
	mend_checksums(bytes, size);
	read_all(bytes, size, sink);
	free(bytes);
	return 0;
}
