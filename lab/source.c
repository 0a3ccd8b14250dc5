/*
 * source.c - return addresses as source lines: addr2line is asked once, for all of them.
 *
 * It belongs to the toolchain that built the program, a worker. Where it is missing, addresses stay numbers.
 */
#include "lab/source.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
	const void *code;
	char text[160];
};

static struct place *places;
static size_t count, room, resolved;

static struct place *find(const void *code)
{
	for (size_t i = 0; i < count; i++)
		if (places[i].code == code)
			return &places[i];
	return NULL;
}

void source_want(const void *code)
{
	if (!code || find(code))
		return;
	if (count == room) {
		room = room ? room * 2 : 64;
		places = realloc(places, room * sizeof(*places));
		if (!places)
			abort();
	}
	places[count].code = code;
	snprintf(places[count].text, sizeof(places[count].text), "%#lx", (unsigned long)code);
	count++;
}

/* From the project's top directory on. NULL: not ours. */
static const char *inside_project(const char *path)
{
	static const char *const tops[] = { "/core/", "/machines/", "/lab/", "/include/" };

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		const char *found = strstr(path, tops[i]);

		if (found)
			return found + 1;
	}
	return NULL;
}

/*
 * Of the frames that inlining left at one address, innermost first: the first that is in a .c file of ours,
 * since an inline of a header says little.
 */
static void take_frame(struct place *place, char *function, char *line, bool *settled)
{
	const char *path = inside_project(line);
	char *end = strstr(line, " (discriminator");

	if (end)
		*end = 0;
	if (!path || *settled)
		return;
	*settled = strstr(path, ".c:") != NULL;
	snprintf(place->text, sizeof(place->text), "%s %s", path, function);
}

/* addr2line -a -f -i: an address, then a function and a line for each frame. */
static void read_answers(FILE *from)
{
	char line[PATH_MAX + 100], function[200] = "";
	struct place *place = NULL;
	bool settled = false, is_function = true;
	size_t next = resolved;

	while (fgets(line, sizeof(line), from)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0x", 2) == 0) {
			place = next < count ? &places[next++] : NULL;
			settled = false;
			is_function = true;
		} else if (is_function) {
			snprintf(function, sizeof(function), "%.199s", line);
			is_function = false;
		} else {
			if (place)
				take_frame(place, function, line, &settled);
			is_function = true;
		}
	}
}

static void ask(const char *program, int to)
{
	char **arguments = calloc(count - resolved + 6, sizeof(*arguments));
	char *words = malloc((count - resolved) * 24);
	size_t n = 0;

	if (!arguments || !words)
		_exit(1);
	arguments[n++] = (char *)"addr2line";
	arguments[n++] = (char *)"-afi";
	arguments[n++] = (char *)"-e";
	arguments[n++] = (char *)program;
	for (size_t i = resolved; i < count; i++) {
		char *word = words + (i - resolved) * 24;

		/* The call, not what it returns to. */
		snprintf(word, 24, "%#lx", (unsigned long)places[i].code - 1);
		arguments[n++] = word;
	}
	dup2(to, STDOUT_FILENO);
	execvp("addr2line", arguments);
	_exit(127);
}

void source_resolve(void)
{
	char program[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int pipes[2];
	pid_t child;

	if (length <= 0 || resolved == count || pipe(pipes))
		return;
	program[length] = 0;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		close(pipes[0]);
		ask(program, pipes[1]);
	}
	close(pipes[1]);

	FILE *from = fdopen(pipes[0], "r");

	if (from) {
		read_answers(from);
		fclose(from);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	resolved = count;
}

const char *source_line(const void *code)
{
	struct place *place = find(code);

	return place ? place->text : "?";
}
