/*
 * command.c - `quire commute`: which pairs of operations on disjoint ranges share cache lines.
 */
#include "lab/command.h"
#include "lab/commute/commute.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_ONLY = 0x100, OPTION_HTML, OPTION_LITMUS, OPTION_STRICT, OPTION_LIST, JOBS_MOST = 128 };

struct options {
	struct matrix matrix;
	bool some_operations, some_placements; /* that were named */
	bool pair;			       /* two operations, in full */
	unsigned a, b, arguments;
	bool json, litmus, strict, list;
	const char *html;
	unsigned jobs;
};

static const struct argp_option option_table[] = {
	{ "only", OPTION_ONLY, "OP,OP...", 0, "Only pairs of these operations (may be repeated)", 0 },
	{ "placement", 'p', "P,P...", 0, "Only these placements of the two ranges (may be repeated)", 0 },
	{ "html", OPTION_HTML, "FILE", 0,
	  "Write a heat map to look at, a click on which shows a pair's lines", 0 },
	{ "strict", OPTION_STRICT, NULL, 0, "Exit status 1 if a line is shared for which no reason is known",
	  0 },
	{ "show-litmus", OPTION_LITMUS, NULL, 0, "Run nothing: print the pair's litmus files", 0 },
	{ "jobs", 'j', "N", 0, "Worker processes (default: one a CPU)", 0 },
	{ "json", 'J', NULL, 0, "Print everything as JSON", 0 },
	{ "list", OPTION_LIST, NULL, 0, "List operations and placements", 0 },
	{ 0 },
};

/* Each of a list, separated by commas. */
static void parse_list(const char *text, bool *chosen, int (*find)(const char *name, size_t length),
		       const char *what, struct argp_state *state)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		int number = find(text, length);

		if (number < 0)
			argp_error(state, "no such %s: %.*s (--list)", what, (int)length, text);
		chosen[number] = true;
		if (!text[length])
			return;
		text += length + 1;
	}
}

static unsigned parse_jobs(const char *text, struct argp_state *state)
{
	char *end;
	unsigned long jobs = strtoul(text, &end, 10);

	if (*end || end == text || *text == '-' || jobs < 1 || jobs > JOBS_MOST)
		argp_error(state, "not a number from 1 to %d: %s", JOBS_MOST, text);
	return (unsigned)jobs;
}

static void parse_operation(struct options *o, const char *name, struct argp_state *state)
{
	int number = operation_find(name, strlen(name));

	if (number < 0)
		argp_error(state, "no such operation: %s (--list)", name);
	if (o->arguments == 2)
		argp_error(state, "more than two operations: a matrix of some is --only");
	*(o->arguments++ ? &o->b : &o->a) = (unsigned)number;
}

static void settle(struct options *o, struct argp_state *state)
{
	if (o->arguments == 1)
		argp_error(state, "one operation: a pair has two");
	o->pair = o->arguments == 2;
	if (o->pair && o->some_operations)
		argp_error(state, "--only is of the matrix: not with two operations");
	if (o->litmus && !o->pair)
		argp_error(state, "--show-litmus is of a pair: which two operations?");
	if (o->litmus && (o->json || o->html || o->strict))
		argp_error(state, "--show-litmus runs nothing: not with --json, --html or --strict");
	if (o->pair && o->a > o->b) {
		unsigned a = o->a;

		o->a = o->b;
		o->b = a;
	}
	for (unsigned i = 0; i < OPERATIONS; i++)
		o->matrix.operation[i] |= o->pair ? i == o->a || i == o->b : !o->some_operations;
	for (unsigned i = 0; i < PLACEMENTS; i++)
		o->matrix.placement[i] |= !o->some_placements;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPTION_ONLY:
		parse_list(argument, o->matrix.operation, operation_find, "operation", state);
		o->some_operations = true;
		break;
	case 'p':
		parse_list(argument, o->matrix.placement, placement_find, "placement", state);
		o->some_placements = true;
		break;
	case OPTION_HTML:
		o->html = argument;
		break;
	case OPTION_STRICT:
		o->strict = true;
		break;
	case OPTION_LITMUS:
		o->litmus = true;
		break;
	case OPTION_LIST:
		o->list = true;
		break;
	case 'j':
		o->jobs = parse_jobs(argument, state);
		break;
	case 'J':
		o->json = true;
		break;
	case ARGP_KEY_ARG:
		parse_operation(o, argument, state);
		break;
	case ARGP_KEY_END:
		settle(o, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	option_table,
	parse_option,
	"[OPERATION OPERATION]",
	"Run every pair of operations on disjoint ranges on two CPUs of the check machine, and count the cache lines "
	"that both touch and one writes: a pair that shares none scales. Two operations: their lines, with the "
	"fields' names and where in the source each side touches them.\v"
	"Exit status: 0 it ran, 1 an operation failed, or with --strict a line is shared for which no reason is known, "
	"2 bad options, 3 the worker is missing. What is measured: docs/commute.md.",
	NULL,
	NULL,
	NULL,
};

/* ---- cells --------------------------------------------------------------------------------------------- */

static bool is_asked_for(const struct options *o, unsigned placement, unsigned a, unsigned b)
{
	const struct matrix *m = &o->matrix;

	if (o->pair && (a != o->a || b != o->b))
		return false;
	return m->placement[placement] && m->operation[a] && m->operation[b] && scene_exists(placement, a, b);
}

static void add_cells(struct options *o)
{
	static struct cell cells[PLACEMENTS * OPERATIONS * OPERATIONS];

	o->matrix.cells = cells;
	for (unsigned p = 0; p < PLACEMENTS; p++)
		for (unsigned b = 0; b < OPERATIONS; b++)
			for (unsigned a = 0; a <= b; a++)
				if (is_asked_for(o, p, a, b))
					cells[o->matrix.count++] =
						(struct cell){ .placement = p, .a = a, .b = b };
}

static int show_litmus(const struct matrix *m)
{
	for (size_t i = 0; i < m->count; i++) {
		char *text = scene_text(m->cells[i].placement, m->cells[i].a, m->cells[i].b);

		printf("%s%s", i ? "\n" : "", text);
		free(text);
	}
	return EXIT_HELD;
}

static int list(void)
{
	for (unsigned i = 0; i < OPERATIONS; i++)
		printf("%-14s %s\n", operations[i].name, operations[i].what);
	putchar('\n');
	for (unsigned i = 0; i < PLACEMENTS; i++)
		printf("%-14s %s\n", placements[i].name, placements[i].what);
	return EXIT_HELD;
}

/* Found out before the work, not behind it. */
static bool can_write(const char *path)
{
	FILE *file = path ? fopen(path, "a") : NULL;

	if (file)
		return fclose(file) == 0;
	if (path)
		fprintf(stderr, "quire commute: cannot write %s: %s\n", path, strerror(errno));
	return !path;
}

static bool say_errors(const struct matrix *m)
{
	bool any = false;

	for (size_t i = 0; i < m->count; i++) {
		const struct cell *cell = &m->cells[i];

		if (cell->error)
			fprintf(stderr, "quire commute: %s x %s, %s: %s\n", operations[cell->a].name,
				operations[cell->b].name, placements[cell->placement].name, cell->error);
		any |= cell->error != NULL;
	}
	return any;
}

static int report(const struct options *o)
{
	const struct matrix *m = &o->matrix;
	bool failed = say_errors(m);

	if (o->json) {
		json_t *json = matrix_json(m);

		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
	} else if (o->pair) {
		matrix_print_cells(stdout, m);
	} else {
		matrix_print(stdout, m);
	}
	if (o->html && !matrix_html(o->html, m)) {
		fprintf(stderr, "quire commute: cannot write %s: %s\n", o->html, strerror(errno));
		return EXIT_USAGE;
	}
	return failed || (o->strict && matrix_unexplained(m)) ? EXIT_VIOLATED : EXIT_HELD;
}

int command_commute(int argc, char **argv)
{
	static struct options options; /* one to a process, and for its whole life */
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int status;

	options.jobs = cpus < 1 ? 1 : cpus > JOBS_MOST ? JOBS_MOST : (unsigned)cpus;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &options);
	if (options.list)
		return list();
	add_cells(&options);
	if (!options.matrix.count) {
		fprintf(stderr, "quire commute: no pair of these can be placed so\n");
		return EXIT_USAGE;
	}
	if (options.litmus)
		return show_litmus(&options.matrix);
	if (!can_write(options.html))
		return EXIT_USAGE;
	status = run_cells(options.matrix.cells, options.matrix.count, options.jobs);
	return status ? status : report(&options);
}
