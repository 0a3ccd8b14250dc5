/*
 * explain.c - what addresses in a text are: of code, source lines; of data, the machine's names.
 */
#include "lab/check/worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char __executable_start[], etext[];

static const char *address_name(struct run *run, uintptr_t address)
{
	const void *code = (const void *)address;

	if (address >= (uintptr_t)__executable_start && address < (uintptr_t)etext) {
		source_want(code);
		source_resolve();
		return source_line(code);
	}
	return machine_describe(run->machine, address);
}

char *explain(struct run *run, const char *text)
{
	char *out = NULL;
	size_t bytes;
	FILE *to = open_memstream(&out, &bytes);

	if (!to)
		return strdup(text);
	while (*text) {
		char *end;

		if (strncmp(text, "0x", 2) == 0) {
			fputs(address_name(run, strtoul(text, &end, 16)), to);
			text = end;
		} else {
			fputc(*text++, to);
		}
	}
	fclose(to);
	return out;
}
