/*
 * race_control.c - does ThreadSanitizer still see? A clean run of the other tests says something only if a
 * real race is reported, and if the fence and the grace periods of the hosted machine are neither taken for
 * races nor hide any.
 *
 * Each scene runs on two CPUs of a hosted machine and accesses plain memory:
 *
 *	race		both write, nothing orders them				to be reported
 *	fence		written, full fence, flag | flag, full fence, read	to be silent
 *	fence-race	as above, but written once more after the flag		to be reported
 *	rcu		read under RCU; written in a callback after a grace period	to be silent
 *	rcu-race	the same, written without waiting for it		to be reported
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/port.h>

#include <hosted.h>

enum { ROUNDS = 50 };

struct object {
	struct quire_rcu rcu;
	uint64_t word;
};

static struct scene {
	bool broken;
	uint64_t plain;
	_Atomic uint32_t flag;
	struct object *_Atomic object;
	_Atomic uint64_t sum, seen;
} scene;

static void write_race(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < ROUNDS; i++) {
		scene.plain++;
		hosted_poll(*cpu);
	}
}

/* The flag is relaxed: only the fences order what is plain. */
static void fence_writer(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		scene.plain = i;
		quire_port_fence();
		atomic_store_explicit(&scene.flag, 2 * i - 1, memory_order_relaxed);
		if (scene.broken)
			scene.plain = i + 1;
		while (atomic_load_explicit(&scene.flag, memory_order_relaxed) != 2 * i)
			quire_port_relax(*cpu);
		quire_port_fence();
	}
}

static void fence_reader(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (atomic_load_explicit(&scene.flag, memory_order_relaxed) != 2 * i - 1)
			quire_port_relax(*cpu);
		quire_port_fence();
		atomic_fetch_add_explicit(&scene.sum, scene.plain, memory_order_relaxed);
		quire_port_fence();
		atomic_store_explicit(&scene.flag, 2 * i, memory_order_relaxed);
	}
}

static void object_done(struct quire_cpu *cpu, struct quire_rcu *head)
{
	(void)cpu;
	struct object *object = (struct object *)head;
	object->word = 0;
	free(object);
}

static void rcu_writer(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (unsigned i = 1; i <= ROUNDS; i++) {
		struct object *fresh = calloc(1, sizeof(*fresh));
		if (!fresh)
			abort();
		fresh->word = i;
		fresh->rcu.done = object_done;
		/* Release pairs with the acquire in rcu_reader(). */
		struct object *old = atomic_exchange_explicit(&scene.object, fresh, memory_order_acq_rel);
		uint64_t seen = atomic_load_explicit(&scene.seen, memory_order_relaxed);
		if (old && scene.broken)
			old->word = 0;
		if (old)
			quire_port_rcu_call(*cpu, &old->rcu);
		/* The next round takes away what the other CPU has read; relaxed, this orders nothing. */
		while (atomic_load_explicit(&scene.seen, memory_order_relaxed) < seen + 2)
			quire_port_relax(*cpu);
	}
	atomic_store_explicit(&scene.flag, 1, memory_order_relaxed);
}

static void rcu_reader(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	while (!atomic_load_explicit(&scene.flag, memory_order_relaxed)) {
		quire_port_rcu_lock(*cpu);
		/* rcu_writer() */
		struct object *object = atomic_load_explicit(&scene.object, memory_order_acquire);
		if (object) {
			atomic_fetch_add_explicit(&scene.sum, object->word, memory_order_relaxed);
			atomic_fetch_add_explicit(&scene.seen, 1, memory_order_relaxed);
		}
		quire_port_rcu_unlock(*cpu);
		hosted_poll(*cpu);
	}
}

static void rcu_finish(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	struct object *last = atomic_exchange_explicit(&scene.object, NULL, memory_order_acquire);
	if (last)
		quire_port_rcu_call(*cpu, &last->rcu);
	quire_port_rcu_barrier(cpu);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool broken;
		hosted_job *first, *second, *after;
	} scenes[] = {
		{ "race", true, write_race, write_race, NULL },
		{ "fence", false, fence_writer, fence_reader, NULL },
		{ "fence-race", true, fence_writer, fence_reader, NULL },
		{ "rcu", false, rcu_writer, rcu_reader, rcu_finish },
		{ "rcu-race", true, rcu_writer, rcu_reader, rcu_finish },
	};
	for (size_t i = 0; argc == 2 && i < sizeof(scenes) / sizeof(*scenes); i++) {
		if (strcmp(argv[1], scenes[i].name))
			continue;
		scene.broken = scenes[i].broken;
		struct hosted *machine;
		if (hosted_create(&(struct hosted_config){ .cpus = 2, .memory_bytes = 1 << 22 }, &machine))
			return 3;
		hosted_post(machine, 0, scenes[i].first, NULL);
		hosted_post(machine, 1, scenes[i].second, NULL);
		hosted_wait(machine);
		if (scenes[i].after)
			hosted_run(machine, 0, scenes[i].after, NULL);
		hosted_destroy(machine);
		return 0;
	}
	fprintf(stderr, "usage: race_control race|fence|fence-race|rcu|rcu-race\n");
	return 2;
}
