/*
 * solo_phys.c - the frame allocator, folios' lives and locks, with as many CPUs as a test wants taking turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/phys/frames.h"
#include "../support/solo.h"

#define CPUS 3
#define MOST 600 /* folios that a test holds */

struct scene {
	struct quire quire;
	struct quire_cpu cpu[CPUS];
	struct folio *held[MOST];
	uint64_t in_use, peak, seed;
};

static struct scene *scene(uint64_t frames, uint64_t seed)
{
	struct scene *s = calloc(1, sizeof(*s));
	size_t bytes = quire_metadata_bytes(frames);

	solo_reset();
	s->seed = seed;
	s->in_use = 1;
	s->quire.config.frames = frames;
	s->quire.config.memory = aligned_alloc(QUIRE_PAGE_SIZE, frames << QUIRE_PAGE_SHIFT);
	s->quire.config.metadata = aligned_alloc(64, (bytes + 63) / 64 * 64);
	memset(s->quire.config.metadata, 0, bytes);
	assert_int_equal(phys_create(&s->quire), 0);
	for (unsigned id = 0; id < CPUS; id++) {
		s->cpu[id].quire = &s->quire;
		s->cpu[id].id = id;
		assert_int_equal(phys_cpu_create(&s->cpu[0], &s->cpu[id]), 0);
	}
	return s;
}

static void expect_sound(struct scene *s)
{
	struct phys_counts counts;
	const char *what;

	if (!phys_check(&s->quire, &what))
		fail_msg("seed %lu: %s", (unsigned long)s->seed, what);
	phys_counts(&s->quire, &counts);
	assert_int_equal(counts.free, counts.total - s->in_use);
}

static void scene_end(struct scene *s)
{
	for (unsigned i = 0; i < MOST; i++) {
		if (s->held[i])
			folio_put(&s->cpu[0], s->held[i]);
	}
	s->in_use = 1;
	expect_sound(s);
	for (unsigned id = CPUS; id-- > 0;)
		phys_cpu_destroy(&s->cpu[id]);
	expect_sound(s);
	phys_destroy(&s->cpu[0]);
	assert_int_equal(solo.objects, 0);
	free(s->quire.config.memory);
	free(s->quire.config.metadata);
	free(s);
}

static struct quire_cpu *some_cpu(struct scene *s)
{
	return &s->cpu[solo_random(&s->seed) % CPUS];
}

/* Each frame of @folio bears its number, so that nobody else's folio can have it without our seeing. */
static void mark(struct scene *s, struct folio *folio)
{
	char *memory = folio_memory(&s->quire, folio);

	for (uint64_t i = 0; i < folio_pages(folio); i++)
		memcpy(memory + (i << QUIRE_PAGE_SHIFT), &folio, sizeof(folio));
}

static void expect_marked(struct scene *s, struct folio *folio)
{
	char *memory = folio_memory(&s->quire, folio);

	for (uint64_t i = 0; i < folio_pages(folio); i++) {
		assert_memory_equal(memory + (i << QUIRE_PAGE_SHIFT), &folio, sizeof(folio));
		assert_ptr_equal(folio_head(folio_of(&s->quire, folio_pfn(&s->quire, folio) + i)), folio);
	}
}

static void take(struct scene *s, unsigned place, unsigned order)
{
	struct folio *folio = folio_alloc(some_cpu(s), FOLIO_ANON, order);

	s->held[place] = folio;
	if (!folio)
		return;
	assert_int_equal(folio->order, order);
	assert_int_equal(folio->kind, FOLIO_ANON);
	assert_int_equal(folio_flags(folio), 0);
	assert_int_equal(atomic_load(&folio->refs), 1);
	assert_int_equal(folio_pfn(&s->quire, folio) % (1ul << order), 0);
	assert_int_not_equal(folio_pfn(&s->quire, folio), 0);
	mark(s, folio);
	s->in_use += 1ul << order;
	s->peak = s->in_use > s->peak ? s->in_use : s->peak;
}

static void give(struct scene *s, unsigned place)
{
	struct folio *folio = s->held[place];

	expect_marked(s, folio);
	s->in_use -= folio_pages(folio);
	s->held[place] = NULL;
	folio_put(some_cpu(s), folio);
}

static void base_6_random_orders_and_cpus(void **state)
{
	static const uint64_t sizes[] = { 2, 3, 40, 1000, 5000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct scene *s = scene(sizes[i], i);

		for (unsigned step = 0; step < 4000; step++) {
			unsigned place = (unsigned)(solo_random(&s->seed) % MOST);
			unsigned largest = solo_random(&s->seed) % 8 ? 1 : QUIRE_MAX_ORDER + 2;

			if (s->held[place])
				give(s, place);
			else
				take(s, place, (unsigned)(solo_random(&s->seed) % largest));
			if (step % 16 == 0)
				expect_sound(s);
		}
		scene_end(s);
	}
}

/* Whatever CPU's cache free frames lie in, all of them can be had, again and again; then not one more. */
static void base_6_memory_is_out_only_when_nothing_is_free(void **state)
{
	struct scene *s = scene(MOST, 5);

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned place = 0; place < MOST - 1; place++) {
			take(s, place, 0);
			assert_non_null(s->held[place]);
		}
		for (unsigned id = 0; id < CPUS; id++)
			assert_null(folio_alloc(&s->cpu[id], FOLIO_ANON, 0));
		expect_sound(s);
		for (unsigned place = 0; place < MOST - 1; place++)
			give(s, place);
		expect_sound(s);
	}
	scene_end(s);
}

/* What lies in caches joins again when a large block is wanted. */
static void base_6_a_large_block_is_found_in_pieces(void **state)
{
	struct scene *s = scene(1ul << QUIRE_MAX_ORDER << 1, 6);

	(void)state;
	for (unsigned place = 0; place < MOST / 2; place++)
		take(s, place, 0);
	for (unsigned place = 0; place < MOST / 2; place++) {
		if (s->held[place])
			give(s, place);
	}
	/* The upper half is whole; the lower one lacks frame 0. */
	take(s, 0, QUIRE_MAX_ORDER);
	assert_non_null(s->held[0]);
	take(s, 1, QUIRE_MAX_ORDER);
	assert_null(s->held[1]);
	take(s, 1, QUIRE_MAX_ORDER - 1);
	assert_non_null(s->held[1]);
	expect_sound(s);
	scene_end(s);
}

static void base_6_metadata_of_unused_memory_stays_untouched(void **state)
{
	uint64_t frames = 64ul << QUIRE_MAX_ORDER;
	struct scene *s = scene(frames, 7);
	const char *metadata = s->quire.config.metadata;
	size_t bytes = quire_metadata_bytes(frames);

	(void)state;
	for (unsigned place = 0; place < 5; place++)
		take(s, place, 0);
	/* The first block of the largest order is in use; what comes after it is as it was given to us. */
	size_t from = bytes - ((frames - (1ul << QUIRE_MAX_ORDER)) * sizeof(struct folio));
	for (size_t i = from; i < bytes; i++)
		assert_int_equal(metadata[i], 0);
	scene_end(s);
}

static void base_4_peak_and_kinds_are_exact(void **state)
{
	struct scene *s = scene(4000, 8);
	struct phys_counts counts;
	struct quire_cpu *cpu = &s->cpu[0];

	(void)state;
	for (unsigned place = 0; place < 100; place++)
		s->held[place] = folio_alloc(cpu, FOLIO_TABLE, 0);
	s->held[100] = folio_alloc(cpu, FOLIO_FILE, QUIRE_HUGE_ORDER);
	phys_counts(&s->quire, &counts);
	assert_int_equal(counts.kind[FOLIO_TABLE], 100);
	assert_int_equal(counts.kind[FOLIO_FILE], QUIRE_HUGE_PAGES);
	assert_int_equal(counts.reserved, 1);
	assert_int_equal(counts.peak, 101 + QUIRE_HUGE_PAGES);
	for (unsigned place = 0; place < 101; place++) {
		folio_put(cpu, s->held[place]);
		s->held[place] = NULL;
	}
	for (unsigned place = 0; place < 50; place++)
		s->held[place] = folio_alloc(cpu, FOLIO_ANON, 0);
	phys_counts(&s->quire, &counts);
	assert_int_equal(counts.kind[FOLIO_TABLE] + counts.kind[FOLIO_FILE], 0);
	assert_int_equal(counts.kind[FOLIO_ANON], 50);
	assert_int_equal(counts.peak, 101 + QUIRE_HUGE_PAGES);
	scene_end(s);
}

/* Who gives back keeps its share, the depot a further part, the lists the rest: it is there for all. */
static void base_6_what_is_given_back_is_found_wherever_it_went(void **state)
{
	enum { MANY = 8 * QUIRE_CPU_FRAMES, FRAMES = 24 * QUIRE_CPU_FRAMES, BATCH = QUIRE_CPU_FRAMES / 2 };
	struct scene *s = scene(FRAMES, 12);
	struct folio *folio[FRAMES];
	uint64_t depot, count = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		folio[i] = folio_alloc(&s->cpu[0], FOLIO_ANON, 0);
	for (unsigned i = 0; i < MANY; i++)
		folio_put(&s->cpu[0], folio[i]);
	expect_sound(s);
	depot = s->quire.phys->depot_frames;
	assert_int_equal(s->cpu[0].frames->count, QUIRE_CPU_FRAMES); /* more than an eighth, by three */
	assert_int_equal(depot, FRAMES / 8 / BATCH * BATCH);

	/* One frame more than the other CPU has: a whole batch comes. */
	folio[count++] = folio_alloc(&s->cpu[1], FOLIO_ANON, 0);
	assert_int_equal(s->quire.phys->depot_frames, depot - BATCH);
	assert_int_equal(s->cpu[1].frames->count, BATCH - 1);
	s->in_use = 1 + count;
	expect_sound(s);

	while ((folio[count] = folio_alloc(&s->cpu[2], FOLIO_ANON, 0)))
		count++;
	assert_int_equal(count, FRAMES - 1);
	assert_int_equal(s->quire.phys->depot_frames, 0);
	while (count--)
		folio_put(&s->cpu[2], folio[count]);
	scene_end(s);
}

static void base_6_the_allocation_asked_for_fails_once(void **state)
{
	struct scene *s = scene(1000, 9);

	(void)state;
	for (unsigned succeed = 0; succeed < 3 * QUIRE_CPU_FRAMES; succeed++) {
		phys_fail_after(&s->quire, succeed);
		for (unsigned place = 0; place < succeed; place++) {
			take(s, place, 0);
			assert_non_null(s->held[place]);
		}
		assert_null(folio_alloc(some_cpu(s), FOLIO_ANON, 0));
		take(s, succeed, 0);
		assert_non_null(s->held[succeed]);
		for (unsigned place = 0; place <= succeed; place++)
			give(s, place);
	}
	phys_fail_after(&s->quire, 0);
	phys_fail_after(&s->quire, UINT64_MAX);
	take(s, 0, 0);
	assert_non_null(s->held[0]);
	expect_sound(s);
	scene_end(s);
}

static void base_4_a_folio_lives_until_its_last_reference(void **state)
{
	struct scene *s = scene(100, 10);
	struct quire_cpu *cpu = &s->cpu[0];
	struct folio *folio = folio_alloc_zeroed(cpu, FOLIO_FILE, 1);

	(void)state;
	for (unsigned i = 0; i < QUIRE_PAGE_SIZE << 1; i++)
		assert_int_equal(((char *)folio_memory(&s->quire, folio))[i], 0);
	assert_null(atomic_load(&folio->owner));
	assert_int_equal(folio->index, 0);
	assert_false(folio_try_get(folio + 1)); /* a tail counts nothing */
	folio_get(folio);
	assert_true(folio_try_get(folio));
	folio_put(cpu, folio);
	folio_put(cpu, folio);
	assert_int_equal(folio->kind, FOLIO_FILE);
	folio_put(cpu, folio);
	assert_false(folio_try_get(folio));
	assert_int_equal(folio->kind, FOLIO_UNUSED);
	scene_end(s);
}

static void base_4_copies_are_whole(void **state)
{
	struct scene *s = scene(100, 11);
	struct folio *from = folio_alloc(&s->cpu[0], FOLIO_ANON, 2),
		     *to = folio_alloc(&s->cpu[0], FOLIO_ANON, 2);

	(void)state;
	memset(folio_memory(&s->quire, from), 0x77, QUIRE_PAGE_SIZE << 2);
	memset(folio_memory(&s->quire, to), 0, QUIRE_PAGE_SIZE << 2);
	folio_copy(&s->quire, to, from);
	assert_memory_equal(folio_memory(&s->quire, to), folio_memory(&s->quire, from), QUIRE_PAGE_SIZE << 2);
	folio_put(&s->cpu[0], from);
	folio_put(&s->cpu[1], to);
	scene_end(s);
}

static void unlock_it(void *argument)
{
	struct folio *folio = argument;

	if (folio_flags(folio) & FOLIO_LOCKED) {
		folio_set(folio, FOLIO_DIRTY);
		folio_unlock(NULL, folio);
	}
}

static void base_8_the_folio_lock_wakes_who_sleeps(void **state)
{
	struct scene *s = scene(100, 12);
	struct quire_cpu *cpu = &s->cpu[0];
	struct folio *folio = folio_alloc(cpu, FOLIO_FILE, 0);

	(void)state;
	folio_lock(&cpu, folio);
	assert_false(folio_trylock(folio));
	folio_unlock(cpu, folio);
	assert_int_equal(solo.wakes, 0);

	assert_true(folio_trylock(folio));
	solo.on_wait = unlock_it;
	solo.argument = folio;
	folio_lock(&cpu, folio);
	assert_int_equal(solo.waits, 1);
	assert_int_equal(solo.wakes, 1);
	folio_unlock(cpu, folio);
	assert_int_equal(solo.wakes, 1); /* nobody slept for this one */
	assert_int_equal(folio_flags(folio), FOLIO_DIRTY);
	folio_put(cpu, folio);
	scene_end(s);
}

static void base_1_senseless_configurations_are_refused(void **state)
{
	static char memory[2 * QUIRE_PAGE_SIZE] __attribute__((aligned(QUIRE_PAGE_SIZE)));
	static char metadata[64] __attribute__((aligned(64)));
	const struct quire_config wrong[] = {
		{ .memory = NULL, .frames = 2, .metadata = metadata },
		{ .memory = memory + 1, .frames = 2, .metadata = metadata },
		{ .memory = memory, .frames = 2, .metadata = NULL },
		{ .memory = memory, .frames = 2, .metadata = metadata + 8 },
		{ .memory = memory, .frames = 1, .metadata = metadata },
		{ .memory = memory, .frames = UINT64_MAX / 4, .metadata = metadata },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct quire quire = { .config = wrong[i] };

		assert_int_equal(phys_create(&quire), -QUIRE_EINVAL);
	}
}

static void base_6_a_cpu_that_cannot_be_made_leaves_nothing(void **state)
{
	struct scene *s = scene(100, 13);
	struct quire_cpu more = { .quire = &s->quire, .id = CPUS };
	uint64_t objects = solo.objects;

	(void)state;
	solo.fail_after = 0;
	assert_int_equal(phys_cpu_create(&s->cpu[0], &more), -QUIRE_ENOMEM);
	assert_int_equal(solo.objects, objects);
	expect_sound(s);
	scene_end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_6_random_orders_and_cpus),
		cmocka_unit_test(base_6_memory_is_out_only_when_nothing_is_free),
		cmocka_unit_test(base_6_a_large_block_is_found_in_pieces),
		cmocka_unit_test(base_6_metadata_of_unused_memory_stays_untouched),
		cmocka_unit_test(base_4_peak_and_kinds_are_exact),
		cmocka_unit_test(base_6_what_is_given_back_is_found_wherever_it_went),
		cmocka_unit_test(base_6_the_allocation_asked_for_fails_once),
		cmocka_unit_test(base_4_a_folio_lives_until_its_last_reference),
		cmocka_unit_test(base_4_copies_are_whole),
		cmocka_unit_test(base_8_the_folio_lock_wakes_who_sleeps),
		cmocka_unit_test(base_1_senseless_configurations_are_refused),
		cmocka_unit_test(base_6_a_cpu_that_cannot_be_made_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
