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

	if (!run->is_heard || time - run->told < 0.5)
		return;
	run->told = time;
	printf("{\"progress\": {\"executions\": %llu, \"seconds\": %.1f}}\n",
	       (unsigned long long)(run->holding + run->failing + run->violations), time - run->began);
	fflush(stdout);
}

/* The same in each process of this program, wherever it is loaded. */
static json_int_t offset(const void *code)
{
	return (json_int_t)((intptr_t)code - (intptr_t)offset);
}

/* All of them: the first ones of each worker are not the first ones of all. */
static json_t *hot_json(struct run *run)
{
	static struct engine_hot hot[ENGINE_HOT];
	size_t count = engine_hottest(run->engine, hot, ENGINE_HOT);
	json_t *list = json_array();

	ends_bring_back();
	for (size_t i = 0; i < count; i++) {
		source_want(hot[i].code[0]);
		source_want(hot[i].code[1]);
	}
	source_resolve();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:[I, I], s:[s, s]}", "where",
						machine_describe(run->machine, hot[i].location), "races",
						(json_int_t)hot[i].races, "offset", offset(hot[i].code[0]),
						offset(hot[i].code[1]), "code", source_line(hot[i].code[0]),
						source_line(hot[i].code[1])));
	return list;
}

static json_t *use_json(struct run *run, const struct touch *touch)
{
	struct field field = field_at(run, touch->address);
	const void *code = touch->writes ? touch->writes : touch->reads;

	return json_pack("{s:i, s:b, s:s, s:s, s:s}", "column", (int)touch->column, "writes",
			 touch->writes != NULL, "field", field.name, "where", field.where, "code",
			 source_line(code));
}

/* Did two columns touch the very same place, and one write to it? If not, they only are on one line. */
static bool meet(struct touch *const *touches, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < i; k++)
			if (touches[i]->address == touches[k]->address &&
			    (touches[i]->writes || touches[k]->writes))
				return true;
	return false;
}

static void want_lines(void)
{
	struct touch *const *line;
	size_t count;

	for (line = lines_next(NULL, &count); line; line = lines_next(line, &count))
		for (size_t i = 0; i < count; i++)
			source_want(line[i]->writes ? line[i]->writes : line[i]->reads);
}

/* {"meet": true, "uses": [{"column": 0, "writes": true, "field": "quire_mm.refs", "where": ...}, ...]} */
static json_t *lines_json(struct run *run)
{
	json_t *list = json_array();
	struct touch *const *line;
	size_t count;

	source_resolve();
	for (line = lines_next(NULL, &count); line; line = lines_next(line, &count)) {
		json_t *uses = json_array();

		for (size_t i = 0; i < count; i++)
			json_array_append_new(uses, use_json(run, line[i]));
		json_array_append_new(list, json_pack("{s:b, s:o}", "meet", meet(line, count), "uses", uses));
	}
	return list;
}

json_t *result_json(struct run *run)
{
	const struct engine_counts *c = &run->counts;
	json_t *json = rest_json(run);

	json_object_set_new(json, "geometry", json_string(QUIRE_GEOMETRY_NAME));
	json_object_set_new(json, "model", json_string(litmus_model_name((enum litmus_model)run->model)));
	json_object_set_new(json, "search", json_string(run->search));
	json_object_set_new(json, "complete", json_boolean(c->complete));
	json_object_set_new(json, "bound", json_integer(run->complete_bound));
	json_object_set_new(json, "frontier", json_integer(run->frontier));
	json_object_set_new(json, "parts", json_integer((json_int_t)c->leaves));
	json_object_set_new(json, "seconds", json_real(now() - run->began));
	json_object_set_new(json, "found_in", json_integer((json_int_t)run->found_in));
	json_object_set_new(json, "stopped", run->stopped ? json_string(run->stopped) : json_null());
	if (run->options.lines)
		want_lines(); /* all questions at once */
	/* Before the replay of the witness, which the engine counts anew. */
	json_object_set_new(json, "hot", hot_json(run));
	if (run->options.lines)
		json_object_set_new(json, "lines", lines_json(run));
	json_object_set_new(json, "witness", witness_json(run));
	return json;
}
