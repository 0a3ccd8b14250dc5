/*
 * scene.c - sets a scene, searches it, and says what came of it.
 */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct machine *scene_machine;
struct quire_mm *scene_mm;

static const struct scene *current;
static struct scene_result result;
static unsigned finding;

void scene_find(unsigned what)
{
	finding = what;
}

static unsigned columns_of(const struct scene *scene)
{
	unsigned count = 0;

	while (count < SCENE_COLUMNS && scene->column[count])
		count++;
	return count;
}

static void usual_setup(unsigned cpus)
{
	struct quire_cpu **cpu = machine_cpu(scene_machine, 0);
	struct quire_mmap map = { .addr = X,
				  .length = QUIRE_PAGE_SIZE,
				  .prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
				  .flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED };

	assert_int_equal(quire_mm_create(cpu, &scene_mm), 0);
	machine_name(scene_machine, scene_mm, "A");
	machine_name_range(scene_machine, X, QUIRE_PAGE_SIZE, "x");
	machine_name_range(scene_machine, Y, QUIRE_PAGE_SIZE, "y");
	assert_int_equal(quire_mmap(cpu, scene_mm, &map), X);
	for (unsigned i = 0; i < cpus; i++)
		quire_cpu_run(*machine_cpu(scene_machine, i), scene_mm);
	assert_int_equal(machine_store(scene_machine, cpu, scene_mm, X, 8, 7).signal, 0);
}

static const char *name(void *data, unsigned thread)
{
	return machine_thread_name(data, thread);
}

static void reset(void *data)
{
	finding = 0;
	machine_reset(data);
}

static void thread(void *data, unsigned number)
{
	if (number < columns_of(current))
		current->column[number](machine_cpu(data, number));
	else
		machine_agent(data, number);
}

static void finish(void *data)
{
	struct quire_file *file = current->file ? current->file() : NULL;

	if (!current->without_accounts && !current->is_bare)
		machine_finish(data, current->pair ? current->pair() : &scene_mm, current->pair ? 2 : 1,
			       &file, 1);
}

static bool is_agent(void *data, unsigned number)
{
	return machine_is_agent(data, number);
}

static void describe_wait(void *data, unsigned number, char *out, size_t room)
{
	machine_describe_wait(data, number, out, room);
}

static void ended(void *data, const char *violation)
{
	if (current->ended)
		current->ended(data, violation);
	result.outcomes |= 1ul << (violation ? SCENE_FINDINGS : finding % SCENE_FINDINGS);
	if (!violation)
		result.found[finding % SCENE_FINDINGS]++;
	else if (!result.violation[0])
		snprintf(result.violation, sizeof(result.violation), "%s", violation);
}

struct scene_result scene_run(const struct scene *scene, enum engine_search how)
{
	struct machine_config config = scene->config;
	struct engine_config search = scene->limits;

	search.search = how;
	search.seconds = 300;
	search.stop_at_violation = scene->may_stop;
	current = scene;
	memset(&result, 0, sizeof(result));
	config.cpus = columns_of(scene);
	config.frames = config.frames ? config.frames : 64;
	machine_forget_orders();
	assert_int_equal(machine_create(&config, &scene_machine), 0);
	if (!scene->is_bare)
		usual_setup(config.cpus);
	if (scene->setup)
		scene->setup();
	machine_freeze(scene_machine);
	struct engine_program program = { .data = scene_machine,
					  .threads = machine_threads(scene_machine),
					  .name = name,
					  .reset = reset,
					  .thread = thread,
					  .finish = finish,
					  .is_agent = is_agent,
					  .describe_wait = describe_wait };
	struct engine *engine = engine_create(&program);
	assert_non_null(engine);
	engine_on_execution(engine, ended, engine);
	engine_run(engine, &search, &result.counts);
	if (getenv("SCENE_VERBOSE")) {
		struct engine_hot hot[8];
		size_t hots = engine_hottest(engine, hot, 8);

		print_message("%lu executions, %lu in vain, %lu transitions, %.2f s, %s\n",
			      (unsigned long)result.counts.executions, (unsigned long)result.counts.blocked,
			      (unsigned long)result.counts.transitions, result.counts.seconds,
			      result.violation[0] ? result.violation : "no violation");
		for (size_t i = 0; i < hots; i++)
			print_message("%8lu races at %s\n", (unsigned long)hot[i].races,
				      machine_describe(scene_machine, hot[i].location));
	}
	engine_destroy(engine);
	machine_destroy(scene_machine);
	return result;
}

void scene_must_violate(const struct scene *scene, const char *words)
{
	struct scene_result got = scene_run(scene, SEARCH_SOURCE);
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", words);
	if (!got.violation[0])
		fail_msg("no violation in %lu executions; expected: %s", (unsigned long)got.counts.executions,
			 words);
	for (char *word = strtok(copy, "|"); word; word = strtok(NULL, "|"))
		if (!strstr(got.violation, word))
			fail_msg("violation: %s\nexpected in it: %s", got.violation, word);
}

void scene_must_hold(const struct scene *scene)
{
	struct scene_result got = scene_run(scene, SEARCH_SOURCE);

	if (got.violation[0])
		fail_msg("violation: %s", got.violation);
	if (!got.counts.complete)
		fail_msg("not complete after %lu executions", (unsigned long)got.counts.executions);
	assert_true(got.counts.executions > 0);
}

uint64_t scene_must_agree(const struct scene *scene)
{
	struct scene_result all = scene_run(scene, SEARCH_BRUTE);
	struct scene_result some = scene_run(scene, SEARCH_SOURCE);
	struct scene_result once = scene_run(scene, SEARCH_OPTIMAL);

	assert_true(all.counts.complete && some.counts.complete && once.counts.complete);
	if (all.outcomes != some.outcomes || all.outcomes != once.outcomes)
		fail_msg("outcomes of all schedules %#lx, of source sets %#lx, of wakeup trees %#lx",
			 (unsigned long)all.outcomes, (unsigned long)some.outcomes,
			 (unsigned long)once.outcomes);
	assert_true(some.counts.executions <= all.counts.executions);
	return all.outcomes;
}
