/*
 * program.c - libFuzzer target: any bytes as a random concurrent program (quire fuzz --check). Whatever
 * they are, what comes out is a litmus file without mistakes; the same bytes give the same file; and it
 * expects nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/check/fuzz/program.h"
#include "lab/check/litmus/litmus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_file(const uint8_t *data, size_t size, const char *geometry)
{
	const struct program_header header = { .name = "fuzzed", .geometry = geometry, .bound = -1 };
	struct litmus_mistake mistake;
	char *text = program_text(data, size, &header), *again = program_text(data, size, &header);
	struct litmus *litmus = text ? litmus_parse(text, strlen(text), &mistake) : NULL;

	if (text && !litmus) {
		fprintf(stderr, "%u:%u: %s\n%s", mistake.at.line, mistake.at.column, mistake.text, text);
		abort();
	}
	if (litmus && (litmus->condition || !litmus->column_count || strcmp(text, again) != 0))
		abort();
	if (litmus)
		litmus_free(litmus);
	free(text);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < sizeof(litmus_geometries) / sizeof(litmus_geometries[0]); i++)
		check_file(data, size, litmus_geometries[i].name);
	return 0;
}
