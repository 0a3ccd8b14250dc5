/*
 * begin.c - what a worker is told, and what it then has before it: the file, and the machine as the file has
 * it.
 */
#include "lab/check/worker/worker.h"

#include "machines/safeguards/safeguards.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTION_MODEL = 0x100,
	OPTION_WITHOUT,
	OPTION_BOUND,
	OPTION_PCT,
	OPTION_POS,
	OPTION_SEED,
	OPTION_SECONDS,
	OPTION_EXECUTIONS,
	OPTION_SHARD,
	OPTION_SHARDS,
	OPTION_AT_MOST,
	OPTION_REPLAY,
	OPTION_ORDER,
	OPTION_TABLES,
	OPTION_AGAIN,
	OPTION_CLAIMS,
	OPTION_FRONTIER,
	OPTION_WITNESS,
	OPTION_OPTIMAL,
	OPTION_QUICK,
	OPTION_LINES,
	OPTION_SAFEGUARDS,
};

static const struct argp_option option_table[] = {
	{ "model", OPTION_MODEL, "MODEL", 0, "sc, tso or weak", 0 },
	{ "without", OPTION_WITHOUT, "SAFEGUARD", 0, "Switch it off", 0 },
	{ "bound", OPTION_BOUND, "K", 0, "Preemptions; for --pct: changes of priority", 0 },
	{ "pct", OPTION_PCT, "N", 0, "Sample N executions", 0 },
	{ "pos", OPTION_POS, "N", 0, "Sample N executions", 0 },
	{ "seed", OPTION_SEED, "S", 0, "Of samples", 0 },
	{ "seconds", OPTION_SECONDS, "S", 0, "Stop after so long", 0 },
	{ "executions", OPTION_EXECUTIONS, "N", 0, "Stop after so many", 0 },
	{ "shard", OPTION_SHARD, "I", 0, "Which share of the search", 0 },
	{ "shards", OPTION_SHARDS, "N", 0, "Of how many", 0 },
	{ "at-most", OPTION_AT_MOST, "N", 0, "Stop after so many, for shards to take over", 0 },
	{ "replay", OPTION_REPLAY, "SCHEDULE", 0, "One execution", 0 },
	{ "claims", OPTION_CLAIMS, "FD", 0, "Shared memory: parts are taken, and told of, one at a time", 0 },
	{ "frontier", OPTION_FRONTIER, "D", 0, "Depth at which parts begin (default: sensible)", 0 },
	{ "witness", OPTION_WITNESS, "SCHEDULE", 0, "With --claims: found before", 0 },
	{ "order", OPTION_ORDER, "HELD,TAKEN,HOW", 0, "With --replay: up to where locks are taken so", 0 },
	{ "tables", OPTION_TABLES, NULL, 0, "Page tables at each step of the witness", 0 },
	{ "again", OPTION_AGAIN, NULL, 0,
	  "Run what executions have in common again: to test what brings it back", 0 },
	{ "optimal", OPTION_OPTIMAL, NULL, 0, "Wakeup trees instead of sleep sets alone", 0 },
	{ "quick", OPTION_QUICK, NULL, 0, "Look for no shorter witness", 0 },
	{ "lines", OPTION_LINES, NULL, 0, "Also say which cache lines the columns share", 0 },
	{ "list-safeguards", OPTION_SAFEGUARDS, NULL, 0, "What --without takes, as JSON", 0 },
	{ 0 },
};

static uint64_t number(const char *text, struct argp_state *state)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (*end || end == text || *text == '-')
		argp_error(state, "not a number: %s", text);
	return value;
}

static void sample(struct worker_options *o, enum search_kind kind, const char *argument,
		   struct argp_state *state)
{
	o->kind = kind;
	o->samples = number(argument, state);
}

static void set_model(struct worker_options *o, const char *argument, struct argp_state *state)
{
	if (!litmus_model_by_name(argument, &o->model))
		argp_error(state, "no such model: %s", argument);
	o->has_model = true;
}

static void set_order(struct worker_order *order, const char *argument, struct argp_state *state)
{
	order->is_given = sscanf(argument, "%u,%u,%u", &order->held, &order->taken, &order->how) == 3;
	if (!order->is_given)
		argp_error(state, "no order: %s", argument);
}

static _Noreturn void list_safeguards(void)
{
	json_dumpf(safeguards_json(), stdout, JSON_COMPACT);
	putchar('\n');
	exit(0);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct worker_options *o = state->input;

	switch (key) {
	case OPTION_MODEL:
		set_model(o, argument, state);
		break;
	case OPTION_WITHOUT:
		if (!safeguard_off(argument))
			argp_error(state, "no such safeguard: %s", argument);
		if (o->without_count < sizeof(o->without) / sizeof(o->without[0]))
			o->without[o->without_count++] = argument;
		break;
	case OPTION_BOUND:
		o->bound = (int)number(argument, state);
		break;
	case OPTION_PCT:
		sample(o, SEARCH_BY_PCT, argument, state);
		break;
	case OPTION_POS:
		sample(o, SEARCH_BY_POS, argument, state);
		break;
	case OPTION_SEED:
		o->seed = number(argument, state);
		break;
	case OPTION_SECONDS:
		o->seconds = strtod(argument, NULL);
		break;
	case OPTION_EXECUTIONS:
		o->executions = number(argument, state);
		break;
	case OPTION_SHARD:
		o->shard = (unsigned)number(argument, state);
		break;
	case OPTION_SHARDS:
		o->shards = (unsigned)number(argument, state);
		break;
	case OPTION_AT_MOST:
		o->at_most = number(argument, state);
		break;
	case OPTION_REPLAY:
		o->replay = argument;
		break;
	case OPTION_ORDER:
		set_order(&o->order, argument, state);
		break;
	case OPTION_TABLES:
		o->tables = true;
		break;
	case OPTION_CLAIMS:
		o->claims = (int)number(argument, state);
		break;
	case OPTION_FRONTIER:
		o->frontier = (unsigned)number(argument, state);
		break;
	case OPTION_WITNESS:
		o->witness = argument;
		break;
	case OPTION_AGAIN:
		o->again = true;
		break;
	case OPTION_OPTIMAL:
		o->optimal = true;
		break;
	case OPTION_QUICK:
		o->quick = true;
		break;
	case OPTION_LINES:
		o->lines = true;
		break;
	case OPTION_SAFEGUARDS:
		list_safeguards();
	case ARGP_KEY_ARG:
		if (o->path)
			argp_error(state, "one file only");
		o->path = argument;
		break;
	case ARGP_KEY_END:
		if (!o->path)
			argp_error(state, "no file");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	option_table, parse_option, "FILE", "A part of `quire check`, which calls it.", NULL, NULL, NULL,
};

/* A safeguard that the core does not have would never be seen to be needed. */
static void check_safeguards(const struct run *run)
{
	const struct litmus_header *h = &run->litmus->header;

	for (unsigned i = 0; i < h->safeguard_count; i++)
		if (!safeguard_exists(h->safeguards[i]))
			mistake(run, (struct litmus_place){ 1, 1 }, "the core has no safeguard '%s'",
				h->safeguards[i]);
}

void worker_options(struct run *run, int argc, char **argv)
{
	run->options = (struct worker_options){ .bound = -1, .seed = 1 };
	argp_err_exit_status = EXIT_BAD_FILE;
	argp_parse(&parser, argc, argv, 0, NULL, &run->options);
}

void worker_begin(struct run *run)
{
	struct litmus_mistake wrong;

	run->began = run->told = now();
	run->litmus = litmus_read(run->options.path, &wrong);
	if (!run->litmus)
		mistake(run, wrong.at, "%s", wrong.text);
	if (strcmp(run->litmus->header.geometry->name, QUIRE_GEOMETRY_NAME) != 0)
		mistake(run, (struct litmus_place){ 1, 1 },
			"geometry is %s, this worker's " QUIRE_GEOMETRY_NAME,
			run->litmus->header.geometry->name);
	check_safeguards(run);
	run->cpus = run->litmus->column_count;
	run->model = (enum memory_model)(run->options.has_model ? run->options.model
								: run->litmus->header.model);
	world_create(run);
	tables_prepare(run);
	if (run->options.lines)
		lines_begin(run->cpus);
}
