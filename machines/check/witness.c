/*
 * witness.c - an execution as something to keep: its schedule in one word, and its steps.
 *
 * A schedule is "v1:" and a word for each run of steps of one thread: its number, the steps when there are
 * more than one, and the choices that were not the first, each with the step of the run that made it:
 *
 *	v1:0*12.1.2*3@1=2,0.0	thread 0 twelve steps, thread 1 one, thread 2 three: the second chose 2,
 *				then 0; thread 0 the next
 */
#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct engine *engine, size_t *used, const char *format, unsigned value)
{
	if (*used + 16 > engine->schedule_room) {
		engine->schedule_room = engine->schedule_room ? engine->schedule_room * 2 : 1024;
		engine->schedule = realloc(engine->schedule, engine->schedule_room);
		if (!engine->schedule)
			exit(3);
	}
	*used += (size_t)sprintf(engine->schedule + *used, format, value);
}

static bool has_choices(struct engine *engine, const struct node *node)
{
	for (uint32_t i = 0; i < node->choice_count; i++)
		if (engine->choice[node->choices + i].value)
			return true;
	return false;
}

const char *engine_schedule(struct engine *engine)
{
	size_t used = 0;

	append(engine, &used, "v%u:", 1);
	for (uint32_t d = 0; d < engine->depth;) {
		uint32_t end = d + 1;

		while (end < engine->depth && engine->node[end].chosen == engine->node[d].chosen)
			end++;
		append(engine, &used, d ? ".%u" : "%u", engine->node[d].chosen);
		if (end - d > 1)
			append(engine, &used, "*%u", end - d);
		for (uint32_t k = d; k < end; k++) {
			const struct node *node = &engine->node[k];

			if (!has_choices(engine, node))
				continue;
			append(engine, &used, "@%u", k - d);
			for (uint32_t i = 0; i < node->choice_count; i++)
				append(engine, &used, i ? ",%u" : "=%u",
				       engine->choice[node->choices + i].value);
		}
		d = end;
	}
	return engine->schedule;
}

static bool read_number(const char **at, unsigned long *out)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*out = strtoul(*at, &end, 10);
	*at = end;
	return true;
}

/*
 * How many choices a step has is known only when it makes them: the recorded ones carry `of` 0, and
 * engine_choose() fills it in.
 */
static bool read_choices(struct engine *engine, const char **at, uint32_t first, unsigned long steps)
{
	while (**at == '@') {
		unsigned long step, value;
		const char *mark = ++*at;

		if (!read_number(&mark, &step) || step >= steps)
			return false;
		struct node *node = &engine->node[first + step];
		node->choices = engine->choice_count;
		node->choice_count = 0;
		do {
			mark++;
			if (!read_number(&mark, &value) || value > UINT16_MAX)
				return false;
			engine->choice = search_grow(engine->choice, &engine->choice_room,
						     engine->choice_count, sizeof(*engine->choice));
			engine->choice[engine->choice_count++] = (struct choice){ (uint16_t)value, 0 };
			node->choice_count++;
		} while (*mark == ',');
		*at = mark;
	}
	return true;
}

static bool read_schedule(struct engine *engine, const char *at)
{
	uint32_t depth = 0;

	if (strncmp(at, "v1:", 3) != 0)
		return false;
	at += 3;
	while (*at) {
		unsigned long thread, steps = 1;

		if (!read_number(&at, &thread) || thread >= engine->program.threads)
			return false;
		if (*at == '*') {
			at++;
			if (!read_number(&at, &steps))
				return false;
		}
		if (!steps || steps > ENGINE_STEPS - depth)
			return false;
		for (unsigned long i = 0; i < steps; i++)
			engine->node[depth + i] = (struct node){ .chosen = (uint8_t)thread,
								 .previous = ENGINE_THREADS };
		if (!read_choices(engine, &at, depth, steps))
			return false;
		depth += (uint32_t)steps;
		if (*at == '.')
			at++;
		else if (*at)
			return false;
	}
	engine->replay = depth;
	return depth > 0;
}

bool engine_replay(struct engine *engine, const char *schedule, struct engine_counts *counts)
{
	engine->config = (struct engine_config){ .search = SEARCH_BRUTE };
	engine->counts = (struct engine_counts){ 0 };
	explore_begin(engine);
	if (!read_schedule(engine, schedule))
		return false;
	engine->replaying = true;
	engine_execute(engine);
	explore_ended(engine);
	*counts = engine->counts;
	return engine->depth >= engine->replay;
}

const struct engine_step *engine_trace(struct engine *engine, size_t *steps)
{
	engine->step = realloc(engine->step, (engine->depth + 1) * sizeof(*engine->step));
	if (!engine->step)
		exit(3);
	for (uint32_t d = 0; d < engine->depth; d++) {
		const struct event *event = &engine->event[d];

		engine->step[d] = (struct engine_step){
			.thread = event->thread,
			.what = event->what,
			.choices = (uint16_t)engine->node[d].choice_count,
			.touches = event->touch_count,
			.location = event->touch_count ? engine->touch[event->touches].location : 0,
			.code = event->code,
			.value = event->value,
		};
	}
	*steps = engine->depth;
	return engine->step;
}

unsigned engine_preemptions(struct engine *engine)
{
	unsigned count = 0;

	for (uint32_t d = 1; d < engine->depth; d++) {
		struct node node = engine->node[d];

		node.previous = engine->event[d - 1].thread; /* a replayed one does not know it */
		unsigned goes_on = search_goes_on(engine, &node);
		count += goes_on < ENGINE_THREADS && node.chosen != goes_on;
	}
	return count;
}

static int most_first(const void *a, const void *b)
{
	const struct engine_hot *x = a, *y = b;

	if (x->races != y->races)
		return x->races < y->races ? 1 : -1;
	return x->location < y->location ? -1 : x->location > y->location;
}

size_t engine_hottest(struct engine *engine, struct engine_hot *out, size_t most)
{
	if (!engine->hots)
		return 0;
	qsort(engine->hot, engine->hots, sizeof(*engine->hot), most_first);
	if (most > engine->hots)
		most = engine->hots;
	memcpy(out, engine->hot, most * sizeof(*out));
	return most;
}
