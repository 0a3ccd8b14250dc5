/*
 * report.c - what the kernel told at its end: lines of a word and what belongs to it (docs/metal.md).
 */
#include <string.h>

#include "lab/boot/boot.h"

enum { KNOWN_NUMBERS = 512 }; /* the kernel counts all others in one */

void report_read(const char *path, const struct boot_options *options, struct boot_report *out)
{
	FILE *file = fopen(path, "r");
	char line[256], text[200];
	unsigned long long value, count;

	*out = (struct boot_report){ .status = -1 };
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "exit %d", &out->status) == 1)
			out->ended = true;
		else if (sscanf(line, "frames %ld", &out->frames) == 1 ||
			 sscanf(line, "test %79s", out->test) == 1)
			continue;
		else if (sscanf(line, "stopped %199[^\n]", out->why) == 1)
			out->stopped = true;
		else if (options->stats && sscanf(line, "stat %llu %199[^\n]", &value, text) == 2)
			fprintf(stderr, "  %-36s %12llu\n", text, value);
		else if (sscanf(line, "unknown %llu %llu", &value, &count) == 2)
			fprintf(stderr, "quire boot: unknown system call %llu%s: %llu\n", value,
				value < KNOWN_NUMBERS ? "" : " or above", count);
	}
	if (file)
		fclose(file);
}
