/*
 * test_hosted.c - the hosted machine's promises to the core (quire/port.h): jobs, IPIs, waits, RCU, small
 * objects.
 *
 * The tests use the port as the core does, from jobs on the machine's CPUs, with the core there only to
 * make the CPUs.
 */
#include "machines/hosted/hosted.h"

#include <quire/port.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CPUS 8
#define SERVICE CPUS /* the CPU that runs RCU callbacks */

static struct hosted *machine_with(unsigned cpus)
{
	struct hosted_config config = {
		.cpus = cpus, .memory_bytes = 64ul << 20, .speculation = 4, .seed = 7
	};
	struct hosted *machine;

	assert_int_equal(hosted_create(&config, &machine), 0);
	return machine;
}

static void post_all(struct hosted *machine, hosted_job *job, void *argument)
{
	for (unsigned cpu = 0; cpu < hosted_cpus(machine); cpu++)
		hosted_post(machine, cpu, job, argument);
	hosted_wait(machine);
}

static void add(_Atomic uint32_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- life and jobs ------------------------------------------------------------------------------ */

static void machine_starts_and_ends(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= 16; cpus *= 4)
		hosted_destroy(machine_with(cpus));
}

static void machine_refuses_what_makes_no_sense(void **state)
{
	struct hosted_config config = { .cpus = 0, .memory_bytes = 1ul << 20 };
	struct hosted *machine;

	(void)state;
	assert_int_equal(hosted_create(&config, &machine), -QUIRE_EINVAL);
	config.cpus = QUIRE_MAX_CPUS;
	assert_int_equal(hosted_create(&config, &machine), -QUIRE_EINVAL);
	config.cpus = 1;
	config.memory_bytes = QUIRE_PAGE_SIZE;
	assert_int_equal(hosted_create(&config, &machine), -QUIRE_EINVAL);
}

struct order {
	unsigned next;
	bool wrong;
};

static struct order order;

static void job_in_order(struct quire_cpu **cpu, void *argument)
{
	order.wrong |= order.next++ != (uintptr_t)argument || (*cpu)->id != 1 || !quire_port_is_here(*cpu);
}

static void jobs_of_one_cpu_run_in_order(void **state)
{
	struct hosted *machine = machine_with(2);

	(void)state;
	order = (struct order){ 0, false };
	for (uintptr_t i = 0; i < 1000; i++)
		hosted_post(machine, 1, job_in_order, (void *)i);
	hosted_run(machine, 1, job_in_order, (void *)1000);
	assert_int_equal(order.next, 1001);
	assert_false(order.wrong);
	hosted_destroy(machine);
}

struct chain {
	struct hosted *machine;
	_Atomic uint32_t ran;
};

static void job_posts_the_next(struct quire_cpu **cpu, void *argument)
{
	struct chain *chain = argument;

	if (atomic_fetch_add_explicit(&chain->ran, 1, memory_order_relaxed) < 200)
		hosted_post(chain->machine, ((*cpu)->id + 1) % CPUS, job_posts_the_next, chain);
}

static void wait_covers_jobs_that_jobs_posted(void **state)
{
	struct chain chain = { .machine = machine_with(CPUS) };

	(void)state;
	hosted_post(chain.machine, 0, job_posts_the_next, &chain);
	hosted_wait(chain.machine);
	assert_int_equal(chain.ran, 201);
	hosted_destroy(chain.machine);
}

/* ---- IPIs --------------------------------------------------------------------------------------- */

struct storm {
	struct quire_cpu_mask targets;
	unsigned rounds;
	_Atomic uint32_t started;
	unsigned hits[CPUS + 1]
		     [CPUS]; /* [target][sender]: plain, because a CPU is interrupted by one at a time */
	bool wrong[CPUS + 1];
};

struct shot {
	struct storm *storm;
	unsigned sender;
	uint64_t sent, answered[CPUS + 1];
};

static void storm_handler(struct quire_cpu *cpu, void *argument)
{
	struct shot *shot = argument;

	shot->storm->wrong[cpu->id] |= !quire_port_is_here(cpu);
	shot->storm->hits[cpu->id][shot->sender]++;
	shot->answered[cpu->id] = shot->sent;
}

static void job_storm(struct quire_cpu **cpu, void *argument)
{
	struct storm *storm = argument;
	struct shot shot = { .storm = storm, .sender = (*cpu)->id };

	for (unsigned i = 1; i <= storm->rounds; i++) {
		shot.sent = i;
		quire_port_ipi(*cpu, &storm->targets, storm_handler, &shot);
		for (unsigned id = 0; id <= CPUS; id++)
			if (id != shot.sender && shot.answered[id] != i)
				storm->wrong[shot.sender] = true;
		if (i % 16 == 0)
			quire_port_relax(*cpu);
	}
}

/*
 * BASE-3: everybody interrupts everybody, the service CPU too, and each call returns when all have
 * answered.
 */
static void base_3_ipis_from_all_to_all(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct storm *storm = calloc(1, sizeof(*storm));

	(void)state;
	storm->rounds = 300;
	for (unsigned id = 0; id <= CPUS; id++)
		storm->targets.bits[id / 64] |= 1ull << id % 64;
	post_all(machine, job_storm, storm);
	for (unsigned target = 0; target <= CPUS; target++) {
		assert_false(storm->wrong[target]);
		for (unsigned sender = 0; sender < CPUS; sender++)
			assert_int_equal(storm->hits[target][sender], sender == target ? 0 : storm->rounds);
	}
	free(storm);
	hosted_destroy(machine);
}

struct sleeper {
	struct quire_cpu_mask targets;
	_Atomic uint32_t word, interrupted, asleep;
};

static void sleeper_handler(struct quire_cpu *cpu, void *argument)
{
	struct sleeper *sleeper = argument;

	(void)cpu;
	add(&sleeper->interrupted);
}

static void job_sleep(struct quire_cpu **cpu, void *argument)
{
	struct sleeper *sleeper = argument;

	add(&sleeper->asleep);
	while (!atomic_load_explicit(&sleeper->word, memory_order_acquire))
		quire_port_wait(cpu, &sleeper->word, 0);
}

static void job_interrupt_sleepers(struct quire_cpu **cpu, void *argument)
{
	struct sleeper *sleeper = argument;

	while (atomic_load_explicit(&sleeper->asleep, memory_order_relaxed) < CPUS - 1)
		quire_port_relax(*cpu);
	for (unsigned i = 0; i < 500; i++)
		quire_port_ipi(*cpu, &sleeper->targets, sleeper_handler, sleeper);
	atomic_store_explicit(&sleeper->word, 1, memory_order_release);
	quire_port_wake_all(*cpu, &sleeper->word);
}

/* BASE-3: CPUs that sleep in a wait are interrupted as any other; nobody wakes them for it. */
static void base_3_sleeping_cpus_answer(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct sleeper sleeper = { .word = 0 };

	(void)state;
	sleeper.targets.bits[0] = ((1ull << CPUS) - 1) & ~1ull;
	for (unsigned id = 1; id < CPUS; id++)
		hosted_post(machine, id, job_sleep, &sleeper);
	hosted_run(machine, 0, job_interrupt_sleepers, &sleeper);
	hosted_wait(machine);
	assert_int_equal(sleeper.interrupted, 500 * (CPUS - 1));
	hosted_destroy(machine);
}

static void job_interrupt_idle(struct quire_cpu **cpu, void *argument)
{
	struct sleeper *sleeper = argument;

	for (unsigned i = 0; i < 500; i++)
		quire_port_ipi(*cpu, &sleeper->targets, sleeper_handler, sleeper);
}

static void base_3_idle_cpus_answer(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct sleeper sleeper = { .word = 0 };

	(void)state;
	sleeper.targets.bits[0] = ((1ull << CPUS) - 1) & ~1ull;
	hosted_run(machine, 0, job_interrupt_idle, &sleeper);
	assert_int_equal(sleeper.interrupted, 500 * (CPUS - 1));
	hosted_destroy(machine);
}

/* ---- waits -------------------------------------------------------------------------------------- */

#define TOKENS 2000

struct relay {
	_Atomic uint32_t turn, stuck;
};

static void job_relay(struct quire_cpu **cpu, void *argument)
{
	struct relay *relay = argument;

	for (;;) {
		uint32_t turn = atomic_load_explicit(&relay->turn, memory_order_acquire);

		if (turn >= TOKENS)
			return;
		if (turn % CPUS != (*cpu)->id) {
			quire_port_wait(cpu, &relay->turn, turn);
			continue;
		}
		atomic_store_explicit(&relay->turn, turn + 1, memory_order_release);
		quire_port_wake_all(*cpu, &relay->turn);
	}
}

static void base_8_relay_round_all_cpus_loses_no_wake(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct relay relay = { .turn = 0 };

	(void)state;
	post_all(machine, job_relay, &relay);
	assert_int_equal(relay.turn, TOKENS);
	hosted_destroy(machine);
}

struct mutex_scene {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and waited for */
	unsigned inside;       /* protected by it */
	bool wrong;
};

static void scene_lock(struct quire_cpu **cpu, struct mutex_scene *scene)
{
	uint32_t word = 0;

	if (atomic_compare_exchange_strong_explicit(&scene->word, &word, 1, memory_order_acquire,
						    memory_order_relaxed))
		return;
	while (atomic_exchange_explicit(&scene->word, 2, memory_order_acquire))
		quire_port_wait(cpu, &scene->word, 2);
}

static void job_mutex(struct quire_cpu **cpu, void *argument)
{
	struct mutex_scene *scene = argument;

	for (unsigned i = 0; i < 500; i++) {
		scene_lock(cpu, scene);
		scene->wrong |= scene->inside++ != 0;
		hosted_poll(*cpu);
		scene->wrong |= --scene->inside != 0;
		if (atomic_exchange_explicit(&scene->word, 0, memory_order_release) == 2)
			quire_port_wake_one(*cpu, &scene->word);
	}
}

static void base_8_wake_one_is_enough_for_a_mutex(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct mutex_scene scene = { .word = 0 };

	(void)state;
	post_all(machine, job_mutex, &scene);
	assert_false(scene.wrong);
	assert_int_equal(scene.word, 0);
	hosted_destroy(machine);
}

struct spin_scene {
	struct quire_spin lock;
	struct quire_cpu_mask targets;
	unsigned count; /* protected by it */
	_Atomic uint32_t interrupted;
};

static void spin_handler(struct quire_cpu *cpu, void *argument)
{
	struct spin_scene *scene = argument;

	(void)cpu;
	add(&scene->interrupted);
}

/* The holder of the lock interrupts those who wait for it. */
static void job_spin(struct quire_cpu **cpu, void *argument)
{
	struct spin_scene *scene = argument;

	for (unsigned i = 0; i < 50; i++) {
		quire_spin_lock(*cpu, &scene->lock);
		scene->count++;
		quire_port_ipi(*cpu, &scene->targets, spin_handler, scene);
		quire_spin_unlock(*cpu, &scene->lock);
	}
}

static void base_3_waiting_for_a_spin_lock_serves_ipis(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct spin_scene scene = { .count = 0 };

	(void)state;
	scene.targets.bits[0] = (1ull << CPUS) - 1;
	post_all(machine, job_spin, &scene);
	assert_int_equal(scene.count, 50 * CPUS);
	assert_int_equal(scene.interrupted, 50 * CPUS * (CPUS - 1));
	hosted_destroy(machine);
}

/* ---- RCU ---------------------------------------------------------------------------------------- */

struct node {
	struct quire_rcu rcu; /* first */
	uint64_t a, b;	      /* always the same, until it is freed */
};

struct rcu_scene {
	struct node *_Atomic node;
	_Atomic uint32_t freed, wrong;
	struct quire_cpu_mask targets;
};

static struct rcu_scene *rcu_scene;

static void node_done(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct node *node = (struct node *)(void *)head;

	if (!quire_port_is_here(cpu) || cpu->id != SERVICE)
		add(&rcu_scene->wrong);
	node->a = 1;
	node->b = 2;
	quire_port_free(cpu, node, sizeof(*node));
	add(&rcu_scene->freed);
}

static void rcu_replace(struct quire_cpu *cpu, uint64_t value)
{
	struct node *node = quire_port_alloc(cpu, sizeof(*node));

	node->rcu.done = node_done;
	node->a = node->b = value;
	/* Release pairs with the readers' acquire. */
	struct node *old = atomic_exchange_explicit(&rcu_scene->node, node, memory_order_acq_rel);
	if (old)
		quire_port_rcu_call(cpu, &old->rcu);
}

static void rcu_look(struct quire_cpu *cpu)
{
	quire_port_rcu_lock(cpu);
	quire_port_rcu_lock(cpu);
	struct node *node = atomic_load_explicit(&rcu_scene->node, memory_order_acquire);
	quire_port_rcu_unlock(cpu);
	for (unsigned i = 0; node && i < 20; i++) {
		if (node->a != node->b)
			add(&rcu_scene->wrong);
		quire_port_relax(cpu);
	}
	quire_port_rcu_unlock(cpu);
}

static void job_rcu(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 300; i++) {
		if ((*cpu)->id % 4 == 0)
			rcu_replace(*cpu, i);
		rcu_look(*cpu);
	}
}

static void job_rcu_end(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	struct node *old = atomic_exchange_explicit(&rcu_scene->node, NULL, memory_order_acq_rel);
	quire_port_rcu_call(*cpu, &old->rcu);
	quire_port_rcu_barrier(cpu);
}

static void vma_1_readers_never_see_a_freed_object(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct rcu_scene scene = { .node = NULL };

	(void)state;
	rcu_scene = &scene;
	post_all(machine, job_rcu, NULL);
	hosted_run(machine, 0, job_rcu_end, NULL);
	assert_int_equal(scene.wrong, 0);
	assert_int_equal(scene.freed, 300 * (CPUS / 4));
	hosted_destroy(machine);
}

static void rcu_scene_handler(struct quire_cpu *cpu, void *argument)
{
	(void)cpu;
	(void)argument;
}

/* Some wait for grace periods, others send IPIs to them from inside a section: nobody waits for ever. */
static void job_barriers_and_ipis(struct quire_cpu **cpu, void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 40; i++) {
		if ((*cpu)->id % 2) {
			rcu_replace(*cpu, i);
			quire_port_rcu_barrier(cpu);
			continue;
		}
		quire_port_rcu_lock(*cpu);
		quire_port_ipi(*cpu, &rcu_scene->targets, rcu_scene_handler, NULL);
		quire_port_rcu_unlock(*cpu);
	}
}

static void base_8_barriers_and_ipis_in_sections_do_not_deadlock(void **state)
{
	struct hosted *machine = machine_with(CPUS);
	struct rcu_scene scene = { .node = NULL };

	(void)state;
	rcu_scene = &scene;
	scene.targets.bits[0] = (1ull << (CPUS + 1)) - 1;
	post_all(machine, job_barriers_and_ipis, NULL);
	hosted_run(machine, 0, job_rcu_end, NULL);
	assert_int_equal(scene.freed, 40 * (CPUS / 2));
	hosted_destroy(machine);
}

/* ---- objects and frames' contents --------------------------------------------------------------- */

static void job_objects(struct quire_cpu **cpu, void *argument)
{
	unsigned *bad = argument;

	for (size_t bytes = 1; bytes < 5000; bytes = bytes * 3 + 1) {
		unsigned char *object = quire_port_alloc(*cpu, bytes);

		*bad += (uintptr_t)object % 64 != 0;
		memset(object, 0xff, bytes);
		quire_port_free(*cpu, object, bytes);
	}
}

static void objects_are_aligned(void **state)
{
	struct hosted *machine = machine_with(1);
	unsigned bad = 0;

	(void)state;
	hosted_run(machine, 0, job_objects, &bad);
	hosted_run(machine, 0, job_objects, &bad);
	assert_int_equal(bad, 0);
	hosted_destroy(machine);
}

static void job_failing_objects(struct quire_cpu **cpu, void *argument)
{
	unsigned *failed_at = argument;

	for (unsigned i = 0; i < 10; i++) {
		void *object = quire_port_alloc(*cpu, 100);

		if (!object)
			*failed_at = *failed_at * 100 + i;
		quire_port_free(*cpu, object, 100);
	}
}

static void exactly_the_chosen_allocation_fails(void **state)
{
	struct hosted *machine = machine_with(1);
	unsigned failed_at = 0;

	(void)state;
	hosted_fail_objects_after(machine, 7);
	hosted_run(machine, 0, job_failing_objects, &failed_at);
	assert_int_equal(failed_at, 7);
	hosted_fail_objects_after(machine, 3);
	hosted_fail_objects_after(machine, UINT64_MAX);
	hosted_run(machine, 0, job_failing_objects, &failed_at);
	assert_int_equal(failed_at, 7);
	hosted_destroy(machine);
}

static void contents_are_copied_whatever_the_alignment(void **state)
{
	_Alignas(8) unsigned char from[64], to[64], expected[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(from); i++)
		from[i] = (unsigned char)(i + 1);
	for (unsigned start = 0; start < 9; start++)
		for (unsigned at = 0; at < 9; at++)
			for (unsigned bytes = 0; bytes < 40; bytes++) {
				memset(to, 0xee, sizeof(to));
				memset(expected, 0xee, sizeof(expected));
				memcpy(expected + at, from + start, bytes);
				quire_port_copy(to + at, from + start, bytes);
				assert_memory_equal(to, expected, sizeof(to));
				memset(expected + start, 0, bytes);
				quire_port_zero(to + start, bytes);
				assert_memory_equal(to, expected, sizeof(to));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machine_starts_and_ends),
		cmocka_unit_test(machine_refuses_what_makes_no_sense),
		cmocka_unit_test(jobs_of_one_cpu_run_in_order),
		cmocka_unit_test(wait_covers_jobs_that_jobs_posted),
		cmocka_unit_test(base_3_ipis_from_all_to_all),
		cmocka_unit_test(base_3_sleeping_cpus_answer),
		cmocka_unit_test(base_3_idle_cpus_answer),
		cmocka_unit_test(base_8_relay_round_all_cpus_loses_no_wake),
		cmocka_unit_test(base_8_wake_one_is_enough_for_a_mutex),
		cmocka_unit_test(base_3_waiting_for_a_spin_lock_serves_ipis),
		cmocka_unit_test(vma_1_readers_never_see_a_freed_object),
		cmocka_unit_test(base_8_barriers_and_ipis_in_sections_do_not_deadlock),
		cmocka_unit_test(objects_are_aligned),
		cmocka_unit_test(exactly_the_chosen_allocation_fails),
		cmocka_unit_test(contents_are_copied_whatever_the_alignment),
	};

	return cmocka_run_group_tests_name("hosted", tests, NULL, NULL);
}
