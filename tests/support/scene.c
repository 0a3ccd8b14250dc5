/*
 * scene.c - see scene.h.
 */
#include "scene.h"

#include "../../core/base/object.h"
#include "../../core/phys/phys.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void read_counts(struct quire_cpu **cpu, uint64_t *frames, uint64_t *objects)
{
	struct phys_counts counts;

	quire_port_rcu_barrier(cpu);
	phys_counts((*cpu)->quire, &counts);
	*frames = counts.free;
	*objects = object_count((*cpu)->quire);
}

void scene_check_counts(struct scene *s, struct quire_cpu **cpu)
{
	uint64_t frames, objects;

	read_counts(cpu, &frames, &objects);
	CHECK_EQUAL(frames, s->frames);
	CHECK_EQUAL(objects, s->objects);
}

static void run_body(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;

	read_counts(cpu, &s->frames, &s->objects);
	s->body(s, cpu);
	if (!s->failed[0])
		scene_check_counts(s, cpu);
}

void scene_run(void (*body)(struct scene *s, struct quire_cpu **cpu), void *argument, unsigned cpus)
{
	struct scene s = { .body = body, .argument = argument };
	struct hosted_config config = { .cpus = cpus, .memory_bytes = 1024 * QUIRE_PAGE_SIZE, .seed = 1 };

	assert_int_equal(hosted_create(&config, &s.machine), 0);
	hosted_run(s.machine, 0, run_body, &s);
	if (s.failed[0])
		fail_msg("%s", s.failed); /* the machine is left as it is */
	hosted_destroy(s.machine);
}
