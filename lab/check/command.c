/*
 * command.c - `quire check`: litmus files under every interleaving.
 *
 * The search itself is done by worker processes, one executable for each geometry (build/quire-check-mini,
 * ...), since sizes are compile-time constants of the core.
 */
#include "lab/check/check.h"
#include "lab/check/zoo.h"
#include "lab/command.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	OPTION_MODEL = 0x100,
	OPTION_WITHOUT,
	OPTION_BOUND,
	OPTION_RANDOM,
	OPTION_PCT,
	OPTION_POS,
	OPTION_SEED,
	OPTION_EXECUTIONS,
	OPTION_SHARD,
	OPTION_REPLAY,
	OPTION_HTML,
	OPTION_DOT,
	OPTION_LIST,
	OPTION_ZOO,
	OPTION_STRICT,
	OPTION_LINES,
	OPTION_OPTIMAL,
	OPTION_CHECKPOINT,
	OPTION_RESUME,
};

static const struct argp_option option_table[] = {
	{ "model", OPTION_MODEL, "MODEL", 0, "Memory model sc, tso or weak (default: the file's, or tso)",
	  0 },
	{ "without", OPTION_WITHOUT, "SAFEGUARD", 0, "Switch a safeguard of the core off (may be repeated)",
	  0 },
	{ "zoo", OPTION_ZOO, NULL, 0,
	  "Then also without each safeguard that the file names: it must be violated each time", 0 },
	{ "bound", OPTION_BOUND, "K", 0, "Only schedules with at most K preemptions (default: the file's)",
	  0 },
	{ "random", OPTION_RANDOM, "N", 0, "Sample N executions instead of searching all", 0 },
	{ "pct", OPTION_PCT, NULL, 0, "With --random: by priorities (the default)", 0 },
	{ "pos", OPTION_POS, NULL, 0, "With --random: by partial order sampling", 0 },
	{ "seed", OPTION_SEED, "S", 0, "With --random: begin with seed S (default 1)", 0 },
	{ "optimal", OPTION_OPTIMAL, NULL, 0, "Search with wakeup trees, in one process", 0 },
	{ "seconds", 't', "S", 0, "Stop a search after S seconds (default: the file's, or 60)", 0 },
	{ "executions", OPTION_EXECUTIONS, "N", 0, "Stop a search after N executions", 0 },
	{ "jobs", 'j', "N", 0, "Worker processes (default: one a CPU)", 0 },
	{ "shard", OPTION_SHARD, "I/N", 0, "Only share I of N, for searches on many machines", 0 },
	{ "checkpoint", OPTION_CHECKPOINT, "FILE", 0,
	  "Keep in FILE, every few seconds, what was searched, so that --resume can go on from there", 0 },
	{ "resume", OPTION_RESUME, "FILE", 0, "Go on with the search that FILE has, and keep it there", 0 },
	{ "replay", OPTION_REPLAY, "ID", 0, "Run the one execution that a report names", 0 },
	{ "html", OPTION_HTML, "FILE", 0, "Write a page that steps through the witness", 0 },
	{ "dot", OPTION_DOT, "FILE", 0, "Write the tables at the witness's end as a graph", 0 },
	{ "strict", OPTION_STRICT, NULL, 0, "A search that is not complete shows nothing", 0 },
	{ "lines", OPTION_LINES, NULL, 0,
	  "Run one execution, and say which cache lines the columns share and write to", 0 },
	{ "verbose", 'v', NULL, 0, "Full reports, and where the space comes from", 0 },
	{ "json", 'J', NULL, 0, "Print results as JSON", 0 },
	{ "list-safeguards", OPTION_LIST, NULL, 0, "List the safeguards and what goes wrong without them",
	  0 },
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

static unsigned parse_up_to(const char *text, unsigned least, unsigned most, struct argp_state *state)
{
	uint64_t value = parse_number(text, state);

	if (value < least || value > most)
		argp_error(state, "not a number from %u to %u: %s", least, most, text);
	return (unsigned)value;
}

static void parse_seconds(struct check_options *o, const char *text, struct argp_state *state)
{
	char *end;

	o->seconds = strtod(text, &end);
	if (*end || end == text || !(o->seconds > 0 && o->seconds < 1e9))
		argp_error(state, "not a number of seconds: %s", text);
}

static void parse_shard(struct check_options *o, const char *text, struct argp_state *state)
{
	char *slash = strchr(text, '/');
	char *end;

	errno = 0;
	o->shards = slash ? (unsigned)strtoul(slash + 1, &end, 10) : 0;
	if (!slash || *end || end == slash + 1 || o->shards < 1 || o->shards > 65536)
		argp_error(state, "--shard is I/N, N up to 65536: %s", text);
	o->shard = (unsigned)strtoul(text, &end, 10);
	if (end != slash || end == text || *text == '-' || o->shard >= o->shards)
		argp_error(state, "--shard is I/N, from 0/N to N-1/N: %s", text);
}

static void parse_model(struct check_options *o, const char *text, struct argp_state *state)
{
	enum litmus_model model;

	if (!litmus_model_by_name(text, &model))
		argp_error(state, "no such memory model: %s (sc, tso, weak)", text);
	o->model = litmus_model_name(model);
}

static void parse_without(struct check_options *o, const char *text, struct argp_state *state)
{
	if (!zoo_find(text))
		argp_error(state, "no such safeguard: %s (--list-safeguards)", text);
	if (o->without_count == CHECK_WITHOUT)
		argp_error(state, "--without more than %d times", CHECK_WITHOUT);
	o->without[o->without_count++] = text;
}

/* What would be ignored, or mean something else than it seems to. */
static void refuse_together(const struct check_options *o, struct argp_state *state)
{
	if (o->shards && (o->random || o->bound >= 0 || o->optimal))
		argp_error(state, "--shard is of complete searches: not with --random, --bound or --optimal");
	if (o->optimal && (o->random || o->bound >= 0))
		argp_error(state, "--optimal is a complete search: not with --random or --bound");
	if (o->samples && !o->random)
		argp_error(state, "--pct, --pos and --seed say how to sample: --random says how often");
	if (o->replay && (o->random || o->bound >= 0 || o->optimal || o->shards))
		argp_error(state,
			   "--replay is one execution: not with --random, --bound, --optimal or --shard");
	if (o->lines &&
	    (o->random || o->bound >= 0 || o->optimal || o->shards || o->zoo || o->checkpoint || o->resume))
		argp_error(state,
			   "--lines is of one execution: not with --random, --bound, --optimal, --shard, "
			   "--zoo, --checkpoint or --resume");
}

static error_t parse_rest(int key, char *argument, struct argp_state *state)
{
	struct check_options *o = state->input;

	switch (key) {
	case OPTION_HTML:
		o->html = argument;
		break;
	case OPTION_DOT:
		o->dot = argument;
		break;
	case OPTION_LIST:
		o->list = true;
		break;
	case OPTION_ZOO:
		o->zoo = true;
		break;
	case OPTION_STRICT:
		o->strict = true;
		break;
	case OPTION_LINES:
		o->lines = true;
		break;
	case OPTION_CHECKPOINT:
		o->checkpoint = argument;
		break;
	case OPTION_RESUME:
		o->resume = argument;
		break;
	case OPTION_OPTIMAL:
		o->optimal = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	case 'J':
		o->json = true;
		break;
	case ARGP_KEY_ARGS:
		o->paths = (const char **)state->argv + state->next;
		o->path_count = (unsigned)(state->argc - state->next);
		break;
	case ARGP_KEY_END:
		if (!o->list && !o->path_count && !o->resume)
			argp_error(state, "no file given");
		refuse_together(o, state);
		if (o->lines && !o->replay)
			o->executions = 1;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct check_options *o = state->input;

	switch (key) {
	case OPTION_MODEL:
		parse_model(o, argument, state);
		break;
	case OPTION_WITHOUT:
		parse_without(o, argument, state);
		break;
	case OPTION_BOUND:
		o->bound = (int)parse_up_to(argument, 0, 64, state);
		break;
	case OPTION_RANDOM:
		o->random = parse_number(argument, state);
		if (!o->random)
			argp_error(state, "--random of no executions");
		break;
	case OPTION_PCT:
		o->pos = false;
		o->samples = true;
		break;
	case OPTION_POS:
		o->pos = true;
		o->samples = true;
		break;
	case OPTION_SEED:
		o->seed = parse_number(argument, state);
		o->samples = true;
		break;
	case OPTION_EXECUTIONS:
		o->executions = parse_number(argument, state);
		if (!o->executions)
			argp_error(state, "--executions of none");
		break;
	case 't':
		parse_seconds(o, argument, state);
		break;
	case 'j':
		o->jobs = parse_up_to(argument, 1, CHECK_WORKERS / 2, state);
		break;
	case OPTION_SHARD:
		parse_shard(o, argument, state);
		break;
	case OPTION_REPLAY:
		o->replay = argument;
		break;
	default:
		return parse_rest(key, argument, state);
	}
	return 0;
}

static const struct argp parser = {
	option_table,
	parse_option,
	"FILE|DIRECTORY...",
	"Run litmus files on the check machine: every interleaving of the core's code, with the hardware as an "
	"adversary and all oracles on. A violation is printed as the shortest interleaving found.\v"
	"Exit status: 0 every file's result is the expected one, 1 one is not, 2 usage or a mistake in a file, 3 a "
	"worker is missing. The language of the files: docs/litmus-format.md.",
	NULL,
	NULL,
	NULL,
};

/* ---- files --------------------------------------------------------------------------------------------- */

struct checks {
	struct check *list;
	unsigned count, room;
	struct check_options *options;
	bool wrong; /* a mistake in a file, or one that is not there */
	bool failed, missing, first;
	unsigned held, unsure;
	json_t *json;
};

static void add_check(struct checks *checks, const char *path, const struct litmus *litmus, const char *zoo)
{
	if (checks->count == checks->room) {
		checks->room = checks->room ? checks->room * 2 : 64;
		checks->list = realloc(checks->list, checks->room * sizeof(*checks->list));
		if (!checks->list)
			abort();
	}
	checks->list[checks->count++] =
		(struct check){ .options = checks->options, .path = path, .litmus = litmus, .zoo = zoo };
}

static void complain(struct checks *checks, const char *path, const char *text)
{
	fprintf(stderr, "%s:%s\n", path, text);
	checks->wrong = true;
}

static void add_file(struct checks *checks, const char *path)
{
	struct litmus_mistake mistake;
	struct litmus *litmus = litmus_read(path, &mistake);

	if (!litmus && mistake.at.line) {
		char text[300];

		snprintf(text, sizeof(text), "%u:%u: %s", mistake.at.line, mistake.at.column, mistake.text);
		complain(checks, path, text);
		return;
	}
	if (!litmus) {
		fprintf(stderr, "quire check: %s: %s\n", path, mistake.text);
		checks->wrong = true;
		return;
	}
	add_check(checks, path, litmus, NULL);
	for (unsigned i = 0; checks->options->zoo && i < litmus->header.safeguard_count; i++)
		add_check(checks, path, litmus, litmus->header.safeguards[i]);
}

static int is_litmus(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".litmus") == 0;
}

static void add_directory(struct checks *checks, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_litmus, alphasort);

	if (count <= 0) {
		fprintf(stderr, "quire check: %s: %s\n", path,
			count ? strerror(errno) : "no litmus file in it");
		checks->wrong = true;
		return;
	}
	for (int i = 0; i < count; i++) {
		char *file;

		if (asprintf(&file, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/",
			     entries[i]->d_name) < 0)
			abort();
		add_file(checks, file);
		free(entries[i]);
	}
	free(entries);
}

static void add_path(struct checks *checks, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		add_directory(checks, path);
	else
		add_file(checks, path);
}

/* ---- results ------------------------------------------------------------------------------------------- */

static bool is_as_expected(struct checks *checks, const struct check *check)
{
	struct finding f = verdict_of(check);

	if (check->zoo)
		return f.verdict == VERDICT_FAILS;
	checks->unsure += f.verdict == VERDICT_UNSURE;
	return f.verdict == VERDICT_HOLDS || (f.verdict == VERDICT_UNSURE && !checks->options->strict);
}

static void add_json(struct checks *checks, const struct check *check)
{
	struct finding f = verdict_of(check);
	json_t *json = json_deep_copy(check->result);

	json_object_set_new(json, "file", json_string(check->path));
	json_object_set_new(json, "name", json_string(check->litmus->name));
	json_object_set_new(json, "expected", json_string(litmus_result_name(check->litmus->header.result)));
	json_object_set_new(json, "observed", json_string(litmus_result_name(f.observed)));
	json_object_set_new(json, "verdict",
			    json_string(f.verdict == VERDICT_HOLDS    ? "holds"
					: f.verdict == VERDICT_UNSURE ? "not contradicted"
								      : "fails"));
	json_object_set_new(json, "how", json_string(f.search));
	if (check->zoo)
		json_object_set_new(json, "without", json_string(check->zoo));
	json_array_append_new(checks->json, json);
}

static void write_pictures(struct checks *checks, const struct check *check)
{
	const struct check_options *o = check->options;

	if (o->html && !html_write(o->html, check)) {
		fprintf(stderr, "quire check: cannot write %s: %s\n", o->html, strerror(errno));
		checks->wrong = true;
	}
	if (o->dot && !dot_write(o->dot, check)) {
		fprintf(stderr, "quire check: cannot write %s: %s\n", o->dot, strerror(errno));
		checks->wrong = true;
	}
}

static void check_done(struct check *check, void *data)
{
	struct checks *checks = data;
	bool expected;

	if (check->missing) {
		/* Said once. */
		if (!checks->missing)
			fprintf(stderr, "quire check: no worker for geometry %s: %s\n",
				check->litmus->header.geometry->name, check->mistake);
		checks->missing = true;
		return;
	}
	if (check->mistake) {
		complain(checks, check->path, check->mistake);
		return;
	}
	expected = is_as_expected(checks, check);
	checks->held += expected;
	checks->failed |= !expected;
	steps_prepare(json_object_get(check->result, "witness"));
	merge_hottest(check->result);
	write_pictures(checks, check);
	if (checks->options->json) {
		add_json(checks, check);
	} else if (checks->options->verbose || checks->count == 1 || !expected) {
		if (checks->first)
			putchar('\n');
		report_full(stdout, check);
		checks->first = true;
	} else {
		report_line(stdout, check);
	}
	fflush(stdout);
	json_decref(check->result);
	check->result = NULL;
}

static int list_safeguards(const struct check_options *o)
{
	json_t *list = json_array();

	for (size_t i = 0; i < zoo_count; i++) {
		const struct zoo_safeguard *z = &zoo[i];

		if (o->json)
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s?, s:i}", "name",
							      z->name, "rule", z->rule, "file", z->file,
							      "without", z->without, "known_as", z->known_as,
							      "agents", (int)z->agents));
		else
			printf("%-20s %-8s %-24s %s%s%s\n", z->name, z->rule, z->file,
			       z->known_as ? z->known_as : "", z->known_as ? ": " : "", z->without);
	}
	if (o->json) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
	return EXIT_HELD;
}

static void print_summary(const struct checks *checks)
{
	if (checks->options->json) {
		json_dumpf(checks->json, stdout, JSON_INDENT(2));
		putchar('\n');
		return;
	}
	if (checks->count < 2)
		return;
	printf("%u checks: %u as expected", checks->count, checks->held);
	if (checks->unsure)
		printf(" (%u of them not searched to the end)", checks->unsure);
	if (checks->held < checks->count)
		printf(", %u not", checks->count - checks->held);
	putchar('\n');
}

/* Found out before hours of search, not behind them. */
static bool can_write(const char *path)
{
	FILE *file = path ? fopen(path, "a") : NULL;

	if (file)
		return fclose(file) == 0;
	if (path)
		fprintf(stderr, "quire check: cannot write %s: %s\n", path, strerror(errno));
	return !path;
}

static int run_checks(struct checks *checks)
{
	if (checks->options->resume && !checkpoint_read(checks->options))
		return EXIT_USAGE;
	for (unsigned i = 0; i < checks->options->path_count; i++)
		add_path(checks, checks->options->paths[i]);
	if (checks->wrong)
		return EXIT_USAGE;
	if (checks->count != 1 &&
	    (checks->options->replay || checks->options->html || checks->options->dot)) {
		fprintf(stderr, "quire check: --replay, --html and --dot are about one file\n");
		return EXIT_USAGE;
	}
	if (!can_write(checks->options->html) || !can_write(checks->options->dot))
		return EXIT_USAGE;
	if (checks->options->checkpoint && checks->count != 1) {
		fprintf(stderr, "quire check: --checkpoint and --resume are about one file\n");
		return EXIT_USAGE;
	}
	if (checks->options->checkpoint && !checkpoint_begin(&checks->list[0]))
		return EXIT_USAGE;
	pool_run(checks->list, checks->count, check_done, checks);
	if (!checks->missing)
		print_summary(checks);
	return checks->missing	? EXIT_MISSING
	       : checks->wrong	? EXIT_USAGE
	       : checks->failed ? EXIT_VIOLATED
				: EXIT_HELD;
}

int command_check(int argc, char **argv)
{
	static struct check_options options = { .bound = -1, .seed = 1 };
	static struct checks checks = { .options = &options }; /* one to a process, and for its whole life */
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	options.jobs = cpus < 1 ? 1 : cpus > CHECK_WORKERS / 2 ? CHECK_WORKERS / 2 : (unsigned)cpus;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &options);
	checks.json = json_array();
	return options.list ? list_safeguards(&options) : run_checks(&checks);
}
