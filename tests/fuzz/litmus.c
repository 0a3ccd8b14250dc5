/*
 * litmus.c - libFuzzer target: any bytes read as a litmus file. Nothing may crash or leak; a mistake is one
 * line, with a place in the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lab/check/litmus/litmus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many lines the input has: no mistake stands behind them. */
static uint32_t lines_of(const uint8_t *data, size_t size)
{
	uint32_t lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	return lines;
}

static void check_statements(const struct litmus *litmus, const struct litmus_statement *s)
{
	for (; s; s = s->next) {
		if (s->op >= OPS || s->name >= (int)litmus->name_count || s->mm >= (int)litmus->name_count ||
		    s->result >= LITMUS_REGISTERS || !s->text || strchr(s->text, '\n'))
			abort();
		check_statements(litmus, s->body);
		check_statements(litmus, s->otherwise);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct litmus_mistake mistake;
	char *text = malloc(size ? size : 1);

	if (!text)
		return 0;
	memcpy(text, data, size);

	struct litmus *litmus = litmus_parse(text, size, &mistake);

	/* What was read keeps nothing of the input. */
	free(text);
	if (litmus) {
		for (unsigned i = 0; i < litmus->column_count; i++)
			check_statements(litmus, litmus->columns[i].body);
	} else if (strchr(mistake.text, '\n') || !*mistake.text || mistake.at.line < 1 ||
		   mistake.at.line > lines_of(data, size) || mistake.at.column < 1) {
		abort();
	}
	litmus_free(litmus);
	return 0;
}
