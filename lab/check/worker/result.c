/*
 * result.c - what a worker tells the command: lines of JSON on standard output.
 *
 *	{"progress": {"executions": 12000, "seconds": 1.2}}	now and then
 *	{"mistake": {"line": 3, "column": 7, "text": "..."}}	the file is wrong, or
 *	{"result": {...}}					how the search ended
 */
#include "lab/check/worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HOT_PLACES = 10 };

static double read_clock(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double cpu_time(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void tell_progress(struct run *run)
{
	double time = now();

	if (time - run->told < 0.5)
		return;
	run->told = time;
	printf("{\"progress\": {\"executions\": %llu, \"seconds\": %.1f}}\n",
	       (unsigned long long)(run->holding + run->failing + run->violations), time - run->began);
	fflush(stdout);
}

static int by_text(const void *a, const void *b)
{
	const struct state *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : (int)x->holds - (int)y->holds;
}

static json_t *states_json(struct run *run)
{
	json_t *list = json_array();

	qsort(run->states, run->state_count, sizeof(*run->states), by_text);
	for (size_t i = 0; i < run->state_count; i++)
		json_array_append_new(list, json_pack("{s:s, s:I, s:b}", "state", run->states[i].text,
						      "count", (json_int_t)run->states[i].count, "holds",
						      (int)run->states[i].holds));
	return list;
}

static json_t *hot_json(struct run *run)
{
	struct engine_hot hot[HOT_PLACES];
	size_t count = engine_hottest(run->engine, hot, HOT_PLACES);
	json_t *list = json_array();

	ends_bring_back();
	for (size_t i = 0; i < count; i++) {
		source_want(hot[i].code[0]);
		source_want(hot[i].code[1]);
	}
	source_resolve();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:[s, s]}", "where",
						machine_describe(run->machine, hot[i].location), "races",
						(json_int_t)hot[i].races, "code", source_line(hot[i].code[0]),
						source_line(hot[i].code[1])));
	return list;
}

json_t *result_json(struct run *run)
{
	const struct engine_counts *c = &run->counts;
	/* Before the replay of the witness, which the engine counts anew. */
	json_t *hot = hot_json(run);
	json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:I}",
				 "geometry", QUIRE_GEOMETRY_NAME, "model",
				 litmus_model_name((enum litmus_model)run->model), "search", run->search,
				 "complete", (int)c->complete, "bound", run->complete_bound, "executions",
				 (json_int_t)c->executions, "blocked", (json_int_t)c->blocked, "transitions",
				 (json_int_t)c->transitions, "instrumented", (json_int_t)c->instrumented,
				 "longest", (json_int_t)c->longest, "seconds", now() - run->began, "holding",
				 (json_int_t)run->holding, "failing", (json_int_t)run->failing, "violations",
				 (json_int_t)run->violations);

	json_object_set_new(json, "run", json_integer((json_int_t)c->run));
	json_object_set_new(json, "cpu", json_real(run->cpu));
	json_object_set_new(json, "stopped", run->stopped ? json_string(run->stopped) : json_null());
	json_object_set_new(json, "states", states_json(run));
	json_object_set_new(json, "hot", hot);
	json_object_set_new(json, "witness", witness_json(run));
	return json;
}
