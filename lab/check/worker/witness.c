/*
 * witness.c - the steps of the execution that shows what is wrong, by running it again and looking at each.
 *
 * Which statement a step belongs to is written down while it runs: a statement begins behind the step that
 * its CPU is in.
 */
#include "lab/check/worker/worker.h"

#include "machines/check/memory_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTES = 16 };

/* What the replay leaves behind, besides the engine's own trace. */
struct began {
	unsigned column;
	int64_t behind; /* the step under way when it began; -1: none yet */
	const struct litmus_statement *s;
};

static struct {
	struct run *run;
	struct began *began;
	size_t count, room;
	json_t *pictures; /* one for each step, the state before the first included */
	json_t *places;	  /* what each step touched, as it was called then */
	bool is_first[LITMUS_CPUS];
} trace;

void trace_statement(struct run *run, unsigned column, const struct litmus_statement *s)
{
	if (!run->tracing)
		return;
	if (trace.count == trace.room) {
		trace.room = trace.room ? trace.room * 2 : 64;
		trace.began = realloc(trace.began, trace.room * sizeof(*trace.began));
		if (!trace.began)
			exit(EXIT_BROKEN);
	}
	trace.began[trace.count++] =
		(struct began){ column, trace.is_first[column] ? -1 : (int64_t)engine_step_now(), s };
	trace.is_first[column] = false;
}

static const struct litmus_statement *statement_at(unsigned thread, size_t step)
{
	const struct litmus_statement *s = NULL;

	for (size_t i = 0; i < trace.count; i++)
		if (trace.began[i].column == thread && trace.began[i].behind < (int64_t)step)
			s = trace.began[i].s;
	return s;
}

/* The upper bit is the store buffers' own mark (tso.c): where such a step leads is told when it drains. */
static const char *place_name(struct run *run, const struct engine_step *step)
{
	if (!step->location)
		return "";
	if (run->model == MEMORY_TSO && step->location >> 63)
		return "into the store buffer";
	return machine_describe(run->machine, step->location);
}

static void name_place(struct run *run, const struct engine_step *step)
{
	const char *name = place_name(run, step), *start = strstr(name, " + 0");
	size_t length = start && !start[4] ? (size_t)(start - name) : strlen(name);

	json_array_append_new(trace.places, json_stringn(name, length));
}

/*
 * In place of the memory's own hook, which it calls. Places are named at once: by the end what stands there
 * may have been freed.
 */
static void step_ended(void)
{
	size_t count;
	const struct engine_step *steps = engine_trace(trace.run->engine, &count);

	memory_deliver();
	while (json_array_size(trace.places) < count)
		name_place(trace.run, &steps[json_array_size(trace.places)]);
	if (trace.run->options.tables)
		json_array_append_new(trace.pictures, tables_json(trace.run));
}

/* ---- one step ------------------------------------------------------------------------------------------ */

static const char *step_name(unsigned what)
{
	static const char *const names[] = {
		[MEMORY_STEP_LOAD] = "load",
		[MEMORY_STEP_STORE] = "store",
		[MEMORY_STEP_RMW] = "rmw",
		[MEMORY_STEP_COMPARE_EXCHANGE] = "cas",
		[MEMORY_STEP_FENCE] = "fence",
		[MEMORY_STEP_DRAIN] = "drain",
		[MEMORY_STEP_SETTLE] = "settle",
		/* Otherwise they are called as the core's own are. */
		[STEP_LOAD] = "user load",
		[STEP_STORE] = "user store",
		[STEP_FETCH] = "user fetch",
	};

	if (what < sizeof(names) / sizeof(names[0]) && names[what])
		return names[what];
	return what >= STEP_LOCK && machine_step_name(what) ? machine_step_name(what) : "begin";
}

static json_t *notes_of(struct run *run, size_t step)
{
	const char *notes[NOTES];
	size_t count = machine_notes(run->machine, step, notes, NOTES);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_string(notes[i]));
	return list;
}

/* What a table's entry says: a number would tell nobody. */
static void add_entry(json_t *json, const struct engine_step *step)
{
	char bits[16], text[60];

	if (strncmp(json_string_value(json_object_get(json, "where")), "entry ", 6) != 0)
		return;
	entry_text(step->value, bits);
	snprintf(text, sizeof(text), "frame %llu %s", (unsigned long long)entry_frame_of(step->value), bits);
	json_object_set_new(json, "entry", json_string(step->value ? text : "empty"));
}

static json_t *step_json(struct run *run, const struct engine_step *step, size_t number)
{
	const struct litmus_statement *s = step->thread < run->cpus ? statement_at(step->thread, number)
								    : NULL;
	json_t *json = json_pack("{s:I, s:i, s:s, s:s, s:I, s:i, s:o}", "step", (json_int_t)number, "thread",
				 (int)step->thread, "what", step_name(step->what), "code",
				 step->code ? source_line(step->code) : "", "value", (json_int_t)step->value,
				 "choices", (int)step->choices, "notes", notes_of(run, number));

	json_object_set(json, "where", json_array_get(trace.places, number));
	add_entry(json, step);
	if (s) {
		json_object_set_new(json, "line", json_integer(s->at.line));
		json_object_set_new(json, "statement", json_string(s->text));
	}
	return json;
}

static json_t *steps_json(struct run *run)
{
	size_t count;
	const struct engine_step *steps = engine_trace(run->engine, &count);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		source_want(steps[i].code);
	/* A violation's step does not end. */
	while (json_array_size(trace.places) < count)
		name_place(run, &steps[json_array_size(trace.places)]);
	source_resolve();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, step_json(run, &steps[i], i));
	return list;
}

static json_t *threads_json(struct run *run)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < machine_threads(run->machine); i++)
		json_array_append_new(list, json_string(machine_thread_name(run->machine, i)));
	return list;
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

json_t *witness_json(struct run *run)
{
	struct witness *w = &run->witness;
	struct engine_counts counts;
	json_t *json;

	if (!w->schedule)
		return json_null();
	trace.run = run;
	trace.count = 0;
	trace.pictures = json_array();
	trace.places = json_array();
	for (unsigned i = 0; i < LITMUS_CPUS; i++)
		trace.is_first[i] = true;
	if (run->options.tables) {
		machine_reset(run->machine);
		run->world = run->frozen;
		json_array_append_new(trace.pictures, tables_json(run));
	}
	engine_on_step(step_ended);
	run->tracing = run->minimising = true;
	engine_replay(run->engine, w->schedule, &counts);
	run->tracing = run->minimising = false;
	engine_on_step(memory_deliver);
	json = json_pack("{s:s, s:s, s:s, s:i, s:o, s:o}", "kind",
			 w->kind == WITNESS_VIOLATION	? "violation"
			 : w->kind == WITNESS_CONDITION ? "condition"
							: "execution",
			 "text", w->text, "schedule", w->schedule, "preemptions", (int)w->preemptions,
			 "threads", threads_json(run), "steps", steps_json(run));
	if (run->options.tables)
		json_object_set(json, "pictures", trace.pictures);
	json_decref(trace.pictures);
	json_decref(trace.places);
	return json;
}
