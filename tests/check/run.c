/*
 * run.c - the engine and the memory models put together for a test.
 */
#include "run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct run_line run_arena[RUN_LINES];

static const struct run *running;
static struct run_result *result;

static const char *name(void *data, unsigned thread)
{
	static const char *const names[] = { "P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9" };

	(void)data;
	return thread >= running->threads ? "a buffer" : thread < 10 ? names[thread] : "P";
}

static bool is_agent(void *data, unsigned thread)
{
	(void)data;
	return thread >= running->threads;
}

static void reset(void *data)
{
	(void)data;
	memset(run_arena, 0, sizeof(run_arena));
	memory_begin();
	if (running->prepare)
		running->prepare();
}

static void body(void *data, unsigned thread)
{
	(void)data;
	if (thread >= running->threads)
		memory_buffer_agent(thread - running->threads);
	else
		running->thread(thread);
}

static void finish(void *data)
{
	(void)data;
	memory_settle();
	if (running->finish)
		running->finish();
}

static void ended(void *data, const char *violation)
{
	(void)data;
	if (violation && !*result->violation)
		snprintf(result->violation, sizeof(result->violation), "%s", violation);
	if (running->ended)
		running->ended(violation);
}

static bool claim(void *data, uint64_t part, uint64_t path)
{
	(void)data;
	(void)path;
	return part % running->workers == running->worker;
}

static uint64_t parts_abandoned;

static void finished(void *data, uint64_t part)
{
	(void)part;
	parts_abandoned += engine_part_was_abandoned(*(struct engine **)data);
}

static struct image *image_of(const struct run *run)
{
	struct image *image = image_create();

	assert_non_null(image);
	image_add(image, run_arena, sizeof(run_arena));
	image_add(image, run->state, run->state_bytes);
	memory_image(image);
	return image;
}

struct run_result run(const struct run *run)
{
	struct run_result out = { 0 };
	unsigned buffers = run->model == MEMORY_TSO ? run->threads - run->handlers : 0;
	struct memory_config memory = {
		.model = run->model,
		.base = run_arena,
		.bytes = sizeof(run_arena),
		.threads = run->threads + buffers,
		.first_buffer = run->threads,
		.buffers = buffers,
		.changed = run->changed,
		.is_exempt = run->is_exempt,
		.interrupts = run->handlers,
		.name = name,
		.patience = run->patience,
		.walked = run_arena,
		.walked_bytes = run->is_walked ? sizeof(run_arena) : 0,
	};
	struct engine_program program = {
		.threads = memory.threads,
		.name = name,
		.reset = reset,
		.thread = body,
		.finish = finish,
		.is_agent = is_agent,
	};
	struct engine_config config = {
		.executions = run->most,
		.spacing = 1,
		.search = run->search,
		.bound = run->bound,
		.stop_at_violation = run->may_stop,
		.frontier = run->frontier,
		.claim = run->frontier ? claim : NULL,
		.finished = finished,
	};

	running = run;
	result = &out;
	assert_int_equal(memory_create(&memory), 0);
	if (run->is_kept)
		program.image = image_of(run);
	struct engine *engine = engine_create(&program);
	assert_non_null(engine);
	config.claim_data = &engine;
	parts_abandoned = 0;
	engine_on_execution(engine, ended, NULL);
	engine_run(engine, &config, &out.counts);
	out.counts.abandoned += parts_abandoned;
	engine_destroy(engine);
	memory_destroy();
	image_destroy(program.image);
	assert_true(run->may_stop || run->most || out.counts.complete);
	return out;
}
