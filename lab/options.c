/*
 * options.c - what several subcommands read from their options.
 */
#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t command_size(const char *text)
{
	char *end;

	errno = 0;
	unsigned long long number = strtoull(text, &end, 0);
	if (errno || end == text || *text == '-')
		return 0;
	const char *unit = *end ? strchr("KMGT", *end & ~0x20) : NULL;
	if (*end && (!unit || (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0)))
		return 0;
	unsigned shift = unit ? 10 * (unsigned)(unit - "KMGT" + 1) : 0;
	return number > UINT64_MAX >> shift ? 0 : number << shift;
}
