/*
 * scale.c - `quire bench scale`: options, both parts, and what becomes of them.
 */
#include "lab/bench/scale.h"
#include "lab/command.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_CPUS = 256, KEY_PAGES, KEY_WORKLOAD, KEY_PLOT, KEY_NO_HOST, KEY_NO_MODEL };

enum { PAGES_MOST = 8192 };

struct arguments {
	struct scale_options options;
	bool told; /* what is wrong was printed */
	bool help;
};

/* One line; for parse() to return. */
__attribute__((format(printf, 2, 3))) static error_t wrong(struct arguments *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "quire bench scale: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	a->told = true;
	return EINVAL;
}

static error_t set_number(struct arguments *a, const char *option, const char *text, unsigned least,
			  unsigned most, unsigned *out)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < least || number > most)
		return wrong(a, "--%s %s: must be %u to %u", option, text, least, most);
	*out = (unsigned)number;
	return 0;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct scale_options *options = &a->options;

	switch (key) {
	case 'j':
		options->json = true;
		return 0;
	case 'h':
		a->help = true;
		return 0;
	case 'r':
		return set_number(a, "repeat", text, BENCH_LEAST, BENCH_MOST, &options->repetitions);
	case KEY_CPUS:
		return set_number(a, "cpus", text, 2, QUIRE_MAX_CPUS, &options->cpus);
	case KEY_PAGES:
		return set_number(a, "pages", text, 1, PAGES_MOST, &options->pages);
	case KEY_WORKLOAD:
		options->load = workload_find(text);
		return options->load ? 0
				     : wrong(a, "--workload %s: there is faults, dontneed and remap", text);
	case KEY_PLOT:
		options->plot = text;
		return 0;
	case KEY_NO_HOST:
		options->no_host = true;
		return 0;
	case KEY_NO_MODEL:
		options->no_model = true;
		return 0;
	case ARGP_KEY_ARG:
		return wrong(a, "what is %s?", text);
	case ARGP_KEY_END:
		if (options->no_host && options->no_model)
			return wrong(a, "--no-host and --no-model leave nothing to do");
		return options->plot && options->no_model ? wrong(a, "--plot draws the model's curves") : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void tell(const struct scale_options *options, const struct scale_host *host,
		 const struct scale_model *model)
{
	if (!options->json) {
		scale_print(options, host, model);
		return;
	}
	json_t *all = scale_json(options, host, model);

	json_dumpf(all, stdout, JSON_INDENT(2));
	printf("\n");
	json_decref(all);
}

static bool run(const struct scale_options *options, FILE *plot)
{
	struct scale_host host = { 0 };
	struct scale_model model = { 0 };

	if (!options->no_host && !scale_run_host(options, &host))
		return false;
	if (!options->no_model && !scale_run_model(options, &model))
		return false;
	tell(options, &host, &model);
	if (plot)
		scale_draw(plot, &model);
	for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
		json_decref(model.lines[locks]);
	return true;
}

/* The picture's file is opened first: minutes later would be too late to say that it cannot be. */
static int run_and_draw(const struct scale_options *options)
{
	FILE *plot = options->plot ? fopen(options->plot, "w") : NULL;
	bool lost = options->plot && !plot;
	int status = EXIT_HELD;

	if (!lost && !run(options, plot))
		status = EXIT_MISSING;
	if (plot) {
		lost = ferror(plot);
		lost = fclose(plot) || lost;
	}
	if (!lost)
		return status;
	fprintf(stderr, "quire bench scale: %s: %s\n", options->plot, strerror(errno));
	return EXIT_USAGE;
}

int bench_scale(int argc, char **argv)
{
	static const struct argp_option table[] = {
		{ "json", 'j', NULL, 0, "Print JSON instead of tables", 0 },
		{ "plot", KEY_PLOT, "FILE", 0, "Draw the model's curves into FILE, as SVG", 0 },
		{ "workload", KEY_WORKLOAD, "W", 0,
		  "faults (default): only faults are timed; dontneed: and the MADV_DONTNEED between; remap: and "
		  "munmap and mmap",
		  0 },
		{ "cpus", KEY_CPUS, "N", 0, "Model up to N CPUs, 2 to 256 (default: 256)", 0 },
		{ "pages", KEY_PAGES, "N", 0, "Pages of each CPU (default: 512)", 0 },
		{ "repeat", 'r', "N", 0, "Measure N times on this computer (default: 21)", 0 },
		{ "no-host", KEY_NO_HOST, NULL, 0, "Do not measure on this computer", 0 },
		{ "no-model", KEY_NO_MODEL, NULL, 0, "Do without the model", 0 },
		{ "help", 'h', NULL, 0, "Print this", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		table,
		parse,
		NULL,
		"Faults a second by the number of CPUs, all in one address space, each in a mapping of its own: with "
		"per-VMA locks, and with the address space's alone. On this computer's CPUs, and on modelled ones "
		"whose cache lines cost what docs/benchmarks.md says.\v"
		"Exit status: 0 it was measured, 2 bad options, 3 something is missing.",
		NULL,
		NULL,
		NULL
	};
	struct arguments a = {
		.options = { .load = &workloads[0], .cpus = QUIRE_MAX_CPUS, .pages = 512, .repetitions = 21 }
	};
	char name[] = "quire bench scale";

	argv[0] = name;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT, NULL, &a) != 0) {
		if (!a.told)
			wrong(&a, "an unknown option, or one without its value (quire bench scale --help)");
		return EXIT_USAGE;
	}
	if (a.help) {
		argp_help(&argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, name);
		return EXIT_HELD;
	}
	return run_and_draw(&a.options);
}
