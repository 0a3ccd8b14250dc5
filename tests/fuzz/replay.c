/*
 * replay.c - libFuzzer target: any bytes, read as a trace and replayed on two CPUs with little memory.
 * Nothing may crash or hang, and whatever the trace asks for, every count is zero at the end.
 *
 * Whether results agree says nothing here: what a mutated trace has recorded never happened.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/replay.h"
#include "lab/trace/format.h"

enum { MOST_STEPS = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checksums keep a fuzzer out. */
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

static void replay_plan(struct plan *plan)
{
	const struct replay_options options = { .cpus = 2, .memory_bytes = 16 << 20, .quiet = true };
	struct replay replay = { .path = "input", .options = &options, .plan = plan };

	replay_run(&replay);
	const char *left = replay.stats.frames_total ? report_leftover(&replay) : NULL;
	if (!left)
		return;
	fprintf(stderr, "left over at the end: %s\n", left);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	char error[512];

	if (!bytes || !size) {
		free(bytes);
		return 0;
	}
	memcpy(bytes, data, size);
	mend_checksums(bytes, size);
	FILE *in = fmemopen(bytes, size, "rb");
	struct trace_reader *reader = in ? trace_reader_open_stream(in, "input", error, sizeof(error)) : NULL;
	struct plan *plan = reader ? plan_read(reader, error, sizeof(error)) : NULL;

	if (plan && plan->count <= MOST_STEPS)
		replay_plan(plan);
	plan_free(plan);
	if (in)
		fclose(in);
	free(bytes);
	return 0;
}
