/*
 * page.c - pages that stand for themselves: data goes where the page's script has its mark.
 */
#include "lab/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "/*DATA*/null";

/* Nothing in it may end the script that it stands in. */
static void write_data(FILE *to, const json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT);

	for (const char *c = text; c && *c; c++) {
		if (*c == '<')
			fputs("\\u003c", to);
		else
			fputc(*c, to);
	}
	free(text);
}

bool page_write(const char *path, const char *start, const char *end, const json_t *data, const char *name)
{
	const char *at = memmem(start, (size_t)(end - start), mark, sizeof(mark) - 1);
	FILE *to = fopen(path, "w");
	bool wrong;

	if (!to)
		return false;
	if (!at || !data) {
		fprintf(to, "<!DOCTYPE html><title>%s</title><p>There is no execution to show.\n", name);
	} else {
		fwrite(start, 1, (size_t)(at - start), to);
		write_data(to, data);
		at += sizeof(mark) - 1;
		fwrite(at, 1, (size_t)(end - at), to);
	}
	wrong = ferror(to) != 0;
	return fclose(to) == 0 && !wrong;
}
