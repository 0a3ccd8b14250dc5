/*
 * programs.c - `quire fuzz --check`: random concurrent programs on the check machine, with all oracles on.
 *
 * A program is a function of the seed and its number, and how it is searched too. One that an oracle speaks
 * of is made as small as it gets, and printed as a litmus file with the interleaving that shows it.
 */
#include "programs.h"

#include "lab/check/zoo.h"
#include "lab/command.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	OPTION_CHECK = 0x100,
	OPTION_FIRST,
	OPTION_GEOMETRY,
	OPTION_MODEL,
	OPTION_WITHOUT,
	OPTION_EXECUTIONS,
	OPTION_FINDINGS,
	OPTION_NO_SHRINK,
	OPTION_LIST,
};

enum { USUAL_PROGRAMS = 1000, USUAL_EXECUTIONS = 60 };

static const struct argp_option option_table[] = {
	{ "check", OPTION_CHECK, NULL, 0, "Concurrent programs, on the check machine", 0 },
	{ "programs", 'n', "N", 0, "Stop after N programs (default 1000)", 0 },
	{ "seconds", 't', "S", 0, "Stop after S seconds", 0 },
	{ "seed", 's', "S", 0, "Of programs and searches (default 1)", 0 },
	{ "first", OPTION_FIRST, "N", 0, "Begin with program N (default 0)", 0 },
	{ "geometry", OPTION_GEOMETRY, "NAME", 0, "mini (default), four or full", 0 },
	{ "model", OPTION_MODEL, "MODEL", 0, "Memory model sc, tso (default) or weak", 0 },
	{ "without", OPTION_WITHOUT, "SAFEGUARD", 0, "Switch a safeguard of the core off (may be repeated)",
	  0 },
	{ "executions", OPTION_EXECUTIONS, "N", 0, "Of each program by each random search (default 60)", 0 },
	{ "jobs", 'j', "N", 0, "Worker processes (default: one a CPU)", 0 },
	{ "findings", OPTION_FINDINGS, "N", 0, "Go on until N programs are found (default 1)", 0 },
	{ "no-shrink", OPTION_NO_SHRINK, NULL, 0, "Report programs as they are found", 0 },
	{ "out", 'o', "DIRECTORY", 0, "Write each as a litmus file there", 0 },
	{ "list", OPTION_LIST, NULL, 0, "Print the programs, run none", 0 },
	{ "json", 'J', NULL, 0, "Print the summary as JSON", 0 },
	{ 0 },
};

static uint64_t parse_number(const char *text, struct argp_state *state)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-')
		argp_error(state, "not a number: %s", text);
	return value;
}

static uint64_t parse_up_to(const char *text, uint64_t most, struct argp_state *state)
{
	uint64_t value = parse_number(text, state);

	if (value < 1 || value > most)
		argp_error(state, "not a number from 1 to %llu: %s", (unsigned long long)most, text);
	return value;
}

static void parse_seconds(struct programs_options *o, const char *text, struct argp_state *state)
{
	char *end;

	o->seconds = strtod(text, &end);
	if (*end || end == text || !(o->seconds > 0 && o->seconds < 1e9))
		argp_error(state, "not a number of seconds: %s", text);
}

static void parse_geometry(struct programs_options *o, const char *text, struct argp_state *state)
{
	for (size_t i = 0; i < sizeof(litmus_geometries) / sizeof(litmus_geometries[0]); i++) {
		if (strcmp(text, litmus_geometries[i].name) == 0) {
			o->geometry = litmus_geometries[i].name;
			return;
		}
	}
	argp_error(state, "no such geometry: %s (mini, four, full)", text);
}

static void parse_model(struct programs_options *o, const char *text, struct argp_state *state)
{
	enum litmus_model model;

	if (!litmus_model_by_name(text, &model))
		argp_error(state, "no such memory model: %s (sc, tso, weak)", text);
	o->model = litmus_model_name(model);
}

static void parse_without(struct programs_options *o, const char *text, struct argp_state *state)
{
	if (!zoo_find(text))
		argp_error(state, "no such safeguard: %s (quire check --list-safeguards)", text);
	if (o->without_count == CHECK_WITHOUT)
		argp_error(state, "--without more than %d times", CHECK_WITHOUT);
	o->without[o->without_count++] = text;
}

static void parse_out(struct programs_options *o, const char *text, struct argp_state *state)
{
	struct stat st;

	o->out = text;
	if (stat(text, &st) || !S_ISDIR(st.st_mode))
		argp_error(state, "no such directory: %s", text);
}

static error_t parse_rest(int key, char *argument, struct argp_state *state)
{
	struct programs_options *o = state->input;

	switch (key) {
	case 'j':
		o->jobs = (unsigned)parse_up_to(argument, HERD_WORKERS, state);
		break;
	case OPTION_FINDINGS:
		o->findings = parse_up_to(argument, HERD_FINDINGS - 1, state);
		break;
	case OPTION_NO_SHRINK:
		o->no_shrink = true;
		break;
	case 'o':
		parse_out(o, argument, state);
		break;
	case OPTION_LIST:
		o->list = true;
		break;
	case 'J':
		o->json = true;
		break;
	case OPTION_CHECK:
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is %s?", argument);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct programs_options *o = state->input;

	switch (key) {
	case 'n':
		o->programs = parse_up_to(argument, UINT32_MAX, state);
		break;
	case 't':
		parse_seconds(o, argument, state);
		break;
	case 's':
		o->seed = parse_number(argument, state);
		break;
	case OPTION_FIRST:
		o->first = parse_number(argument, state);
		break;
	case OPTION_GEOMETRY:
		parse_geometry(o, argument, state);
		break;
	case OPTION_MODEL:
		parse_model(o, argument, state);
		break;
	case OPTION_WITHOUT:
		parse_without(o, argument, state);
		break;
	case OPTION_EXECUTIONS:
		o->executions = parse_up_to(argument, UINT32_MAX, state);
		break;
	default:
		return parse_rest(key, argument, state);
	}
	return 0;
}

static const struct argp parser = {
	option_table,
	parse_option,
	NULL,
	"Random programs for two or three CPUs on the check machine: each under some hundred random "
	"interleavings, with the hardware as an adversary and all oracles on. What an oracle speaks of is made as "
	"small as it gets and printed as a litmus file, with the interleaving that shows it.\v"
	"Exit status: 0 nothing was found, 1 something was, 2 usage, 3 the worker for the geometry is "
	"missing.",
	NULL,
	NULL,
	NULL,
};

/* ---- a finding -------------------------------------------------------------------------------------- */

static void print_file_frame(FILE *to, const char *path, const char *text)
{
	fprintf(to, "---- %s\n%s----\n", path, text);
}

/* Where the file is, or would be. To be freed. */
static char *path_of(const struct programs_options *o, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s.litmus", o->out ? o->out : "", o->out ? "/" : "", name) < 0)
		abort();
	return path;
}

static bool write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	bool lost = !file || fputs(text, file) < 0;

	if (file && fclose(file))
		lost = true;
	if (lost)
		fprintf(stderr, "quire fuzz: cannot write %s: %s\n", path, strerror(errno));
	return !lost;
}

/* As `quire check FILE --without ...` would print it. */
static void print_result(FILE *to, const struct programs_options *o, const struct programs_finding *finding,
			 const char *path, const char *text)
{
	struct check_options options = { .bound = -1, .without_count = o->without_count };
	struct litmus_mistake mistake;
	struct check check = { .options = &options, .path = path, .result = finding->result };

	memcpy(options.without, o->without, sizeof(options.without));
	check.litmus = litmus_parse(text, strlen(text), &mistake);
	check.ended = json_real_value(json_object_get(finding->result, "seconds"));
	if (check.litmus) {
		steps_prepare(json_object_get(check.result, "witness"));
		report_full(to, &check);
	}
	litmus_free((struct litmus *)check.litmus);
}

/* Of a program that was not made small: crashed workers, and what did not come again. */
static char *text_of(const struct programs_options *o, const struct programs_finding *finding)
{
	uint8_t bytes[PROGRAM_BYTES];
	size_t count = program_generate(o->seed, finding->number, bytes);
	char name[60];
	struct program_header header = { .name = name,
					 .note = json_text(finding->found, "text"),
					 .model = o->model,
					 .geometry = o->geometry,
					 .without = o->without,
					 .without_count = o->without_count,
					 .bound = -1 };

	snprintf(name, sizeof(name), "fuzz-%llu-%llu", (unsigned long long)o->seed,
		 (unsigned long long)finding->number);
	return program_text(bytes, count, &header);
}

static bool report_finding(FILE *to, const struct programs_options *o, const struct programs_finding *finding)
{
	const json_t *told = finding->shrunk ? finding->shrunk : finding->found;
	char name[60], *path, *text;
	bool written;

	snprintf(name, sizeof(name), "fuzz-%llu-%llu", (unsigned long long)o->seed,
		 (unsigned long long)finding->number);
	path = path_of(o, name);
	text = finding->shrunk ? strdup(json_text(finding->shrunk, "file")) : text_of(o, finding);
	if (!text)
		abort();
	fprintf(to, "Program %llu: %s\n", (unsigned long long)finding->number, json_text(told, "text"));
	if (!finding->shrunk && strcmp(json_text(told, "kind"), "worker") != 0)
		fprintf(to, "It did not come again when repeated.\n");
	print_file_frame(to, path, text);
	if (finding->result)
		print_result(to, o, finding, path, text);
	fprintf(to,
		"Repeat with: quire fuzz --check --seed %llu --first %llu --programs 1 --geometry %s "
		"--model %s",
		(unsigned long long)o->seed, (unsigned long long)finding->number, o->geometry, o->model);
	for (unsigned i = 0; i < o->without_count; i++)
		fprintf(to, " --without %s", o->without[i]);
	fputs("\n\n", to);
	fflush(to);
	written = !o->out || write_file(path, text);
	free(path);
	free(text);
	return written;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* How many programs were run until enough were found depends on the machine: that stands in the line Time. */
static void print_summary(const struct herd *herd, double seconds)
{
	const struct programs_options *o = herd->options;
	const struct programs_counts *c = &herd->counts;

	printf("Seed %llu, model %s, geometry %s: %u found\n", (unsigned long long)o->seed, o->model,
	       o->geometry, herd->findings);
	printf("Time %.1f s, %llu programs", seconds, (unsigned long long)c->programs);
	if (c->unusable)
		printf(" (%llu of them with too little memory)", (unsigned long long)c->unusable);
	printf(", %llu executions, %llu steps; %.0f programs/s, %.0f executions/s\n",
	       (unsigned long long)c->executions, (unsigned long long)c->transitions,
	       seconds > 0 ? (double)c->programs / seconds : 0,
	       seconds > 0 ? (double)c->executions / seconds : 0);
}

static json_t *finding_json(const struct programs_finding *finding)
{
	json_t *json = json_deep_copy(finding->shrunk ? finding->shrunk : finding->found);

	json_object_set_new(json, "shrunk", json_boolean(finding->shrunk));
	if (finding->result)
		json_object_set(json, "result", finding->result);
	return json;
}

static void print_json(const struct herd *herd, double seconds)
{
	const struct programs_counts *c = &herd->counts;
	const struct programs_options *o = herd->options;
	json_t *findings = json_array(), *without = json_array(), *all;

	for (unsigned i = 0; i < herd->findings; i++)
		json_array_append_new(findings, finding_json(&herd->finding[i]));
	for (unsigned i = 0; i < o->without_count; i++)
		json_array_append_new(without, json_string(o->without[i]));
	all = json_pack("{s:I, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:o}", "seed", (json_int_t)o->seed,
			"geometry", o->geometry, "model", o->model, "without", without, "programs",
			(json_int_t)c->programs, "unusable", (json_int_t)c->unusable, "executions",
			(json_int_t)c->executions, "transitions", (json_int_t)c->transitions, "seconds",
			seconds, "findings", findings);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static int list_programs(const struct programs_options *o)
{
	for (uint64_t i = o->first; i < o->first + o->programs; i++) {
		struct programs_finding one = { .number = i, .found = NULL };
		char *text = text_of(o, &one);

		if (!text)
			abort();
		fputs(text, stdout);
		fputs(i + 1 < o->first + o->programs ? "\n" : "", stdout);
		free(text);
	}
	return EXIT_HELD;
}

static int fail(int error)
{
	fprintf(stderr, "quire fuzz: no worker can be started: %s\n", strerror(error));
	return EXIT_MISSING;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int run_programs(struct herd *herd)
{
	const struct programs_options *o = herd->options;
	bool written = true;
	double seconds;
	int error;

	if (!herd_find(herd)) {
		fprintf(stderr, "quire fuzz: no worker for geometry %s: %s\n", o->geometry, herd->worker);
		return EXIT_MISSING;
	}
	error = herd_run(herd);
	if (error)
		return fail(error);
	seconds = now() - herd->began;
	for (unsigned i = 0; i < herd->findings; i++) {
		struct programs_finding *finding = &herd->finding[i];

		if (strcmp(json_text(finding->found, "kind"), "worker") != 0 &&
		    (error = herd_shrink(herd, finding)))
			return fail(error);
		written &= report_finding(o->json ? stderr : stdout, o, finding);
	}
	if (o->json)
		print_json(herd, seconds);
	else
		print_summary(herd, seconds);
	return !written ? EXIT_MISSING : herd->findings ? EXIT_VIOLATED : EXIT_HELD;
}

int command_fuzz_check(int argc, char **argv)
{
	static struct herd herd;
	struct programs_options options = {
		.seed = 1,
		.executions = USUAL_EXECUTIONS,
		.findings = 1,
		.geometry = "mini",
		.model = "tso",
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	options.jobs = cpus < 1 ? 1 : cpus > HERD_WORKERS ? HERD_WORKERS : (unsigned)cpus;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &options);
	if (!options.programs && (options.list || options.seconds <= 0))
		options.programs = USUAL_PROGRAMS;
	if (options.list)
		return list_programs(&options);
	herd.options = &options;
	return run_programs(&herd);
}
