/*
 * command.c - `quire replay`: options, then one trace after the other.
 *
 * argp parses but does not complain: what is wrong is one line, and argp's own messages are two.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/command.h"
#include "lab/replay/replay.h"

enum { KEY_WITHOUT = 256 };

static const uint64_t memory_least = 1ull << 20, memory_most = 1ull << 44;

struct arguments {
	struct replay_options options;
	char **traces;
	int trace_count;
	bool told; /* what is wrong was printed */
	bool help;
};

/* One line; for parse() to return. */
__attribute__((format(printf, 2, 3))) static error_t wrong(struct arguments *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "quire replay: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	a->told = true;
	return EINVAL;
}

static error_t set_without(struct arguments *a, const char *what)
{
	struct replay_options *options = &a->options;

	if (strcmp(what, "fault-around") == 0)
		options->without_fault_around = true;
	else if (strcmp(what, "vma-locks") == 0)
		options->without_vma_locks = true;
	else if (strcmp(what, "speculation") == 0)
		options->without_speculation = true;
	else if (strcmp(what, "order") == 0)
		options->without_order = true;
	else
		return wrong(a, "--without %s: there is fault-around, vma-locks, speculation and order",
			     what);
	return 0;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;

	switch (key) {
	case 'c':
		a->options.cpus = (unsigned)strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || a->options.cpus < 1 ||
		    a->options.cpus >= QUIRE_MAX_CPUS)
			return wrong(a, "--cpus %s: must be 1 to %u", text, QUIRE_MAX_CPUS - 1);
		return 0;
	case 'm':
		a->options.memory_bytes = command_size(text);
		if (a->options.memory_bytes < memory_least || a->options.memory_bytes > memory_most)
			return wrong(a, "--memory %s: must be a size from 1M to 16T", text);
		return 0;
	case 'j':
		a->options.json = true;
		return 0;
	case KEY_WITHOUT:
		return set_without(a, text);
	case 'h':
		a->help = true;
		return 0;
	case ARGP_KEY_ARGS:
		a->traces = state->argv + state->next;
		a->trace_count = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return a->help ? 0 : wrong(a, "no trace is given (quire replay --help)");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Is @text an option that @options has, or none at all? */
static bool known(const struct argp_option *options, const char *text)
{
	if (text[0] != '-' || text[1] == '\0')
		return true;
	for (; options->name; options++) {
		size_t length = strcspn(text, "=");

		if (text[1] == '-' ? length > 2 && strncmp(text + 2, options->name, length - 2) == 0
				   : text[1] == options->key)
			return true;
	}
	return false;
}

/* argp refused, and parse() had nothing to say: an unknown option, or one without its value. */
static void complain(struct arguments *a, const struct argp_option *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!known(options, argv[i])) {
			wrong(a, "unknown option %s (quire replay --help)", argv[i]);
			return;
		}
	wrong(a, "an option lacks its value, or has one too many (quire replay --help)");
}

static int conclude(struct replay *replay, int error)
{
	uint64_t differences = atomic_load_explicit(&replay->tally.differences, memory_order_relaxed);

	if (error == -ENOMEM) {
		fprintf(stderr, "quire replay: %s: out of memory: %llu MiB are not enough (--memory)\n",
			replay->path, (unsigned long long)replay->options->memory_bytes >> 20);
		return EXIT_USAGE;
	}
	if (error) {
		fprintf(stderr, "quire replay: %s: %s\n", replay->path, strerror(-error));
		return EXIT_USAGE;
	}
	return differences || report_leftover(replay) ? EXIT_VIOLATED : EXIT_HELD;
}

static int replay_trace(const char *path, const struct replay_options *options, json_t *array)
{
	char error[512];
	struct trace_reader *reader = trace_reader_open(path, error, sizeof(error));
	struct replay replay = { .path = path, .options = options };

	if (reader)
		replay.plan = plan_read(reader, error, sizeof(error));
	if (!replay.plan) {
		fprintf(stderr, "quire replay: %s\n", error);
		return EXIT_USAGE;
	}
	int failed = replay_run(&replay);
	if (!failed && options->json)
		json_array_append_new(array, report_json(&replay));
	else if (!failed)
		report_table(&replay);
	fflush(stdout);
	int status = conclude(&replay, failed);
	plan_free(replay.plan);
	return status;
}

int command_replay(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "cpus", 'c', "N", 0, "Replay on N emulated CPUs (default: 1)", 0 },
		{ "memory", 'm', "SIZE", 0, "Physical memory, like 512M or 4G (default: 4G)", 0 },
		{ "json", 'j', NULL, 0, "Print JSON instead of tables", 0 },
		{ "without", KEY_WITHOUT, "M", 0,
		  "Do without M: fault-around; vma-locks (faults and calls take one lock of the address space); "
		  "speculation of the emulated CPUs; or the recorded order of what concerns different addresses",
		  0 },
		{ "help", 'h', NULL, 0, "Print this", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse,
		"TRACE...",
		"Replay recorded programs on Quire: their calls must give the recorded results, and their memory "
		"must hold what a flat model of it holds.\v"
		"Exit status: 0 no difference, 1 differences, 2 bad options or input.",
		NULL,
		NULL,
		NULL
	};
	struct arguments a = { .options = { .cpus = 1, .memory_bytes = 4ull << 30 } };
	char name[] = "quire replay";
	int worst = EXIT_HELD;

	argv[0] = name;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT, NULL, &a) != 0) {
		if (!a.told)
			complain(&a, options, argc, argv);
		return EXIT_USAGE;
	}
	if (a.help) {
		argp_help(&argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, name);
		return EXIT_HELD;
	}

	json_t *array = json_array();
	for (int i = 0; i < a.trace_count; i++) {
		int status = replay_trace(a.traces[i], &a.options, array);

		if (status > worst)
			worst = status;
	}
	if (a.options.json) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		printf("\n");
	}
	json_decref(array);
	return worst;
}
