/*
 * fuzz.c - quire-check-GEOMETRY --fuzz: random programs one after the other; or one, made as small as it
 * gets.
 *
 * Numbers FIRST, FIRST + STEP, ... of a seed: each process of `quire fuzz --check` has its share. It goes
 * on after a finding; whoever reads decides when it is enough.
 */
#include "lab/check/worker/fuzz.h"

#include "machines/safeguards/safeguards.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MORE_EXECUTIONS = 10 }; /* while it is made small */

enum {
	OPTION_FUZZ = 0x100,
	OPTION_SEED,
	OPTION_FIRST,
	OPTION_STEP,
	OPTION_PROGRAMS,
	OPTION_SECONDS,
	OPTION_EXECUTIONS,
	OPTION_MODEL,
	OPTION_WITHOUT,
	OPTION_SHRINK,
	OPTION_NUMBER,
	OPTION_NO_SHRINK,
};

static const struct argp_option option_table[] = {
	{ "fuzz", OPTION_FUZZ, NULL, 0, "Random programs", 0 },
	{ "seed", OPTION_SEED, "S", 0, "Of the programs", 0 },
	{ "first", OPTION_FIRST, "N", 0, "Number of the first one", 0 },
	{ "step", OPTION_STEP, "N", 0, "From one number to the next", 0 },
	{ "programs", OPTION_PROGRAMS, "N", 0, "Numbers below N only; 0: no end", 0 },
	{ "seconds", OPTION_SECONDS, "S", 0, "Stop after so long", 0 },
	{ "executions", OPTION_EXECUTIONS, "N", 0, "Of each random search", 0 },
	{ "model", OPTION_MODEL, "MODEL", 0, "sc, tso or weak", 0 },
	{ "without", OPTION_WITHOUT, "SAFEGUARD", 0, "Switch it off", 0 },
	{ "shrink", OPTION_SHRINK, "BYTES", 0, "Only this program; make it small", 0 },
	{ "number", OPTION_NUMBER, "N", 0, "Number of that program", 0 },
	{ "no-shrink", OPTION_NO_SHRINK, NULL, 0, "Leave it as it is", 0 },
	{ 0 },
};

struct fuzz {
	struct trial_plan plan;
	uint64_t seed, first, step, programs, number;
	double seconds;
	bool keep;	     /* as large as it is */
	const char *shrinks; /* bytes */
	/* so far */
	uint64_t tried, unusable, executions, transitions;
	double began;
};

static uint64_t number_of(const char *text, struct argp_state *state)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (*end || end == text || *text == '-')
		argp_error(state, "not a number: %s", text);
	return value;
}

static void set_without(struct fuzz *f, const char *name, struct argp_state *state)
{
	if (!safeguard_off(name))
		argp_error(state, "no such safeguard: %s", name);
	if (f->plan.without_count == sizeof(f->plan.without) / sizeof(f->plan.without[0]))
		argp_error(state, "too many safeguards off");
	f->plan.without[f->plan.without_count++] = name;
}

static error_t parse_rest(int key, char *argument, struct argp_state *state)
{
	struct fuzz *f = state->input;

	switch (key) {
	case OPTION_SECONDS:
		f->seconds = strtod(argument, NULL);
		break;
	case OPTION_MODEL:
		if (!litmus_model_by_name(argument, &f->plan.model))
			argp_error(state, "no such model: %s", argument);
		break;
	case OPTION_WITHOUT:
		set_without(f, argument, state);
		break;
	case OPTION_SHRINK:
		f->shrinks = argument;
		break;
	case OPTION_NO_SHRINK:
		f->keep = true;
		break;
	case OPTION_FUZZ:
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct fuzz *f = state->input;

	switch (key) {
	case OPTION_SEED:
		f->seed = number_of(argument, state);
		break;
	case OPTION_FIRST:
		f->first = number_of(argument, state);
		break;
	case OPTION_STEP:
		f->step = number_of(argument, state);
		break;
	case OPTION_PROGRAMS:
		f->programs = number_of(argument, state);
		break;
	case OPTION_EXECUTIONS:
		f->plan.executions = number_of(argument, state);
		break;
	case OPTION_NUMBER:
		f->number = number_of(argument, state);
		break;
	default:
		return parse_rest(key, argument, state);
	}
	return 0;
}

static const struct argp parser = {
	option_table, parse_option, NULL, "A part of `quire fuzz --check`, which calls it.", NULL, NULL, NULL,
};

/* ---- lines ------------------------------------------------------------------------------------------ */

static void tell(const char *key, json_t *value)
{
	json_t *line = json_pack("{s:o}", key, value);

	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

static json_t *counts_json(const struct fuzz *f)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "programs", (json_int_t)f->tried, "unusable",
			 (json_int_t)f->unusable, "executions", (json_int_t)f->executions, "transitions",
			 (json_int_t)f->transitions);
}

static const char *kind_name(enum trial_kind kind)
{
	return kind == TRIAL_SETUP ? "set-up" : kind == TRIAL_CRASH ? "crash" : "violation";
}

static json_t *finding_json(const uint8_t *bytes, size_t count, uint64_t number, const struct trial *trial)
{
	char hex[2 * PROGRAM_BYTES + 1];

	program_to_hex(bytes, count, hex);
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "number", (json_int_t)number, "kind",
			 kind_name(trial->kind), "class", trial->class, "text", trial->text, "bytes", hex,
			 "search", trial->search, "executions", (json_int_t)trial->executions);
}

/* ---- one after the other ---------------------------------------------------------------------------- */

static void fuzz_one(struct fuzz *f, uint64_t number)
{
	uint8_t bytes[PROGRAM_BYTES];
	size_t count = program_generate(f->seed, number, bytes);
	json_t *at = counts_json(f);
	struct trial trial;

	json_object_set_new(at, "number", json_integer((json_int_t)number));
	tell("at", at);
	f->plan.seed = f->seed + number;
	trial_run(&f->plan, bytes, count, &trial);
	f->tried++;
	f->unusable += trial.kind == TRIAL_UNUSABLE;
	f->executions += trial.executions;
	f->transitions += trial.transitions;
	if (trial.kind != TRIAL_CLEAN && trial.kind != TRIAL_UNUSABLE)
		tell("finding", finding_json(bytes, count, number, &trial));
}

static void fuzz_all(struct fuzz *f)
{
	for (uint64_t i = f->first; !f->programs || i < f->programs; i += f->step) {
		if (f->seconds > 0 && now() - f->began >= f->seconds)
			break;
		fuzz_one(f, i);
	}
	tell("ended", counts_json(f));
}

/* ---- one, as small as it gets ----------------------------------------------------------------------- */

static void tell_file(const struct fuzz *f, const uint8_t *bytes, size_t count, const struct trial *trial,
		      unsigned trials)
{
	struct trial_file file = { .search = TRIAL_SAMPLED };
	json_t *json = finding_json(bytes, count, f->number, trial);
	char *text;

	snprintf(file.name, sizeof(file.name), "fuzz-%llu-%llu", (unsigned long long)f->seed,
		 (unsigned long long)f->number);
	snprintf(file.note, sizeof(file.note),
		 "Found by quire fuzz --check --seed %llu, in program %llu: %s.", (unsigned long long)f->seed,
		 (unsigned long long)f->number, trial->class);
	if (trial->kind == TRIAL_VIOLATION)
		trial_settle(&f->plan, bytes, count, &file);
	else
		file.search = TRIAL_COMPLETE;
	text = trial_text(&f->plan, bytes, count, &file);
	json_object_set_new(json, "name", json_string(file.name));
	json_object_set_new(json, "file", json_string(text));
	json_object_set_new(json, "trials", json_integer(trials));
	json_object_set_new(json, "sampled", json_boolean(file.search == TRIAL_SAMPLED));
	tell("shrunk", json);
	if (trial->kind == TRIAL_VIOLATION)
		trial_tell_result(&f->plan, bytes, count, &file);
	free(text);
}

static int fuzz_shrink(struct fuzz *f)
{
	uint8_t bytes[PROGRAM_BYTES];
	struct trial trial;
	unsigned trials = 0;
	size_t count;

	if (!program_from_hex(f->shrinks, bytes, &count)) {
		fputs("quire check: not a program's bytes\n", stderr);
		return EXIT_BAD_FILE;
	}
	f->plan.seed = f->seed + f->number;
	f->plan.executions *= MORE_EXECUTIONS;
	trial_run(&f->plan, bytes, count, &trial);
	if (trial.kind == TRIAL_CLEAN || trial.kind == TRIAL_UNUSABLE) {
		tell("ended", counts_json(f));
		return 0;
	}
	if (!f->keep)
		trials = shrink(&f->plan, bytes, &count, &trial);
	tell_file(f, bytes, count, &trial, trials);
	return 0;
}

int fuzz_main(int argc, char **argv)
{
	struct fuzz f = { .plan = { .model = LITMUS_TSO, .executions = 60 }, .seed = 1, .step = 1 };

	argp_err_exit_status = EXIT_BAD_FILE;
	argp_parse(&parser, argc, argv, 0, NULL, &f);
	f.began = now();
	if (f.shrinks)
		return fuzz_shrink(&f);
	fuzz_all(&f);
	return 0;
}
