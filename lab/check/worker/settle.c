/*
 * settle.c - what a search has counted, and of it what came of parts that are finished (share.c).
 *
 *	counted ....... all executions, of the part that is under way too
 *	settled ....... when a part was last finished
 *	told .......... what others know of it
 *
 * A line that tells has the difference of the last two; the end has what is left: of all that was counted,
 * what was not told. Where nothing is shared nothing is told before, and that is all.
 */
#include "lab/check/worker/worker.h"

#include <stdlib.h>
#include <string.h>

static struct tally count(const struct run *run, const struct engine_counts *c)
{
	return (struct tally){
		.executions = c->executions,
		.blocked = c->blocked,
		.given_up = c->abandoned + run->parts_given_up,
		.transitions = c->transitions,
		.instrumented = c->instrumented,
		.run = c->run,
		.holding = run->holding,
		.failing = run->failing,
		.violations = run->violations,
	};
}

void settle(struct run *run)
{
	run->settled = count(run, engine_so_far(run->engine));
	for (size_t i = 0; i < run->state_count; i++)
		run->states[i].settled = run->states[i].count;
}

static int by_text(const void *a, const void *b)
{
	const struct state *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : (int)x->holds - (int)y->holds;
}

/* The states that were met since they were told, up to what is settled. */
static json_t *states_json(struct run *run)
{
	json_t *list = json_array();

	qsort(run->states, run->state_count, sizeof(*run->states), by_text);
	for (size_t i = 0; i < run->state_count; i++) {
		struct state *state = &run->states[i];

		if (state->settled == state->told)
			continue;
		json_array_append_new(list, json_pack("{s:s, s:I, s:b}", "state", state->text, "count",
						      (json_int_t)(state->settled - state->told), "holds",
						      (int)state->holds));
		state->told = state->settled;
	}
	return list;
}

/* A witness as it was found: not yet made short. */
static json_t *found_json(const struct run *run)
{
	const struct witness *w = &run->witness;

	if (w->kind != WITNESS_CONDITION)
		return json_null();
	return json_pack("{s:s, s:i, s:i, s:I}", "schedule", w->schedule, "preemptions", (int)w->preemptions,
			 "switches", (int)w->switches, "steps", (json_int_t)w->steps);
}

/* By the search: not by what comes after it. */
static double cpu_used(const struct run *run)
{
	return run->cpu > 0 ? run->cpu : cpu_time() - run->cpu_from;
}

json_t *settled_json(struct run *run)
{
	const struct tally *s = &run->settled, *t = &run->told_of;
	json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "executions",
				 (json_int_t)(s->executions - t->executions), "blocked",
				 (json_int_t)(s->blocked - t->blocked), "given_up",
				 (json_int_t)(s->given_up - t->given_up), "transitions",
				 (json_int_t)(s->transitions - t->transitions), "instrumented",
				 (json_int_t)(s->instrumented - t->instrumented), "run",
				 (json_int_t)(s->run - t->run), "holding",
				 (json_int_t)(s->holding - t->holding), "failing",
				 (json_int_t)(s->failing - t->failing), "violations",
				 (json_int_t)(s->violations - t->violations), "longest",
				 (json_int_t)engine_so_far(run->engine)->longest);

	json_object_set_new(json, "cpu", json_real(cpu_used(run) - run->cpu_told));
	run->cpu_told = cpu_used(run);
	json_object_set_new(json, "states", states_json(run));
	json_object_set_new(json, "found", found_json(run));
	json_object_set_new(json, "orders", run->orders ? run->orders : json_array());
	run->orders = json_array();
	run->told_of = run->settled;
	return json;
}

json_t *rest_json(struct run *run)
{
	json_t *json;

	run->settled = count(run, &run->counts);
	for (size_t i = 0; i < run->state_count; i++)
		run->states[i].settled = run->states[i].count;
	json = settled_json(run);
	json_object_set_new(json, "longest", json_integer((json_int_t)run->counts.longest));
	return json;
}
