/*
 * test_model.c - the replay's flat model: what it says memory must contain.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <quire/geometry.h>

#include "lab/replay/model.h"

#define PAGE QUIRE_PAGE_SIZE
#define BASE (0x10000 * PAGE)
#define AT(page) (BASE + (page)*PAGE)

enum { READ_WRITE = MODEL_READ | MODEL_WRITE };

/* A page of zeroes but for @value at @offset; offset PAGE: zeroes only. */
static const void *page_with(size_t offset, uint64_t value)
{
	static uint64_t page[PAGE / 8];

	memset(page, 0, sizeof(page));
	if (offset < PAGE)
		page[offset / 8] = value;
	return page;
}

static const void *content(uint64_t seed, uint64_t index, size_t offset, uint64_t value)
{
	static uint64_t page[PAGE / 8];

	model_content(seed, index, page);
	if (offset < PAGE)
		page[offset / 8] = value;
	return page;
}

static bool holds(struct model_space *space, uint64_t page, const void *contents)
{
	struct model_bad bad;

	return model_check(space, AT(page), contents, &bad);
}

static struct model_space *anonymous(uint64_t pages)
{
	struct model_space *space = model_space_create();

	assert_true(model_map(space, BASE, pages * PAGE, READ_WRITE, 0, NULL, 0));
	return space;
}

static void base_1_stores_are_seen(void **state)
{
	struct model_space *space = anonymous(4);
	struct model_bad bad;

	(void)state;
	assert_true(holds(space, 1, page_with(PAGE, 0)));
	assert_true(model_store(space, AT(1) + 64, 7));
	assert_true(holds(space, 1, page_with(64, 7)));
	assert_true(holds(space, 0, page_with(PAGE, 0)));
	assert_false(model_check(space, AT(1), page_with(64, 8), &bad));
	assert_int_equal(bad.at, AT(1) + 64);
	assert_int_equal(bad.expected, 7);
	assert_int_equal(bad.found, 8);
	assert_true(model_store(space, AT(1) + 64, 9));
	assert_true(holds(space, 1, page_with(64, 9)));
	model_space_destroy(space);
}

/* AAAAAA -> AA..AA, and what was written in the hole is gone. */
static void base_1_unmap_makes_a_hole(void **state)
{
	struct model_space *space = anonymous(6);

	(void)state;
	for (uint64_t i = 0; i < 6; i++)
		assert_true(model_store(space, AT(i), i + 1));
	assert_true(model_unmap(space, AT(2), 2 * PAGE));
	assert_int_equal(model_look(space, AT(1), MODEL_READ).outcome, MODEL_FINE);
	assert_int_equal(model_look(space, AT(2), MODEL_READ).outcome, MODEL_MAPERR);
	assert_int_equal(model_look(space, AT(3) + PAGE - 1, MODEL_READ).outcome, MODEL_MAPERR);
	assert_int_equal(model_look(space, AT(4), MODEL_READ).outcome, MODEL_FINE);
	assert_true(model_map(space, AT(2), 2 * PAGE, READ_WRITE, 0, NULL, 0));
	assert_true(holds(space, 2, page_with(PAGE, 0)));
	assert_true(holds(space, 4, page_with(0, 5)));
	model_space_destroy(space);
}

static void base_1_protection_decides(void **state)
{
	struct model_space *space = anonymous(3);

	(void)state;
	assert_true(model_protect(space, AT(1), PAGE, MODEL_READ));
	assert_int_equal(model_look(space, AT(1), MODEL_READ).outcome, MODEL_FINE);
	assert_int_equal(model_look(space, AT(1), MODEL_WRITE).outcome, MODEL_ACCERR);
	assert_int_equal(model_look(space, AT(2), MODEL_WRITE).outcome, MODEL_FINE);
	assert_true(model_protect(space, AT(1), PAGE, 0));
	assert_int_equal(model_look(space, AT(1), MODEL_READ).outcome, MODEL_ACCERR);
	assert_int_equal(model_look(space, AT(2), MODEL_EXEC).outcome, MODEL_ACCERR);
	model_space_destroy(space);
}

/* A change of protection stops at a hole: AA.A */
static void base_1_protect_stops_at_a_hole(void **state)
{
	struct model_space *space = anonymous(4);

	(void)state;
	assert_true(model_unmap(space, AT(2), PAGE));
	assert_true(model_protect(space, AT(1), 3 * PAGE, MODEL_READ));
	assert_int_equal(model_look(space, AT(1), MODEL_WRITE).outcome, MODEL_ACCERR);
	assert_int_equal(model_look(space, AT(3), MODEL_WRITE).outcome, MODEL_FINE);
	model_space_destroy(space);
}

static void base_1_fork_copies_private_memory(void **state)
{
	struct model_space *parent = anonymous(4);

	(void)state;
	assert_true(model_store(parent, AT(0), 1));
	assert_true(model_store(parent, AT(1), 2));
	assert_true(model_store(parent, AT(2), 3));
	assert_true(model_set_flags(parent, AT(1), PAGE, MODEL_DONTFORK, 0));
	assert_true(model_set_flags(parent, AT(2), PAGE, MODEL_WIPEONFORK, 0));
	struct model_space *child = model_space_fork(parent);
	assert_non_null(child);
	assert_true(model_store(parent, AT(0), 8));
	assert_true(model_store(child, AT(3), 9));
	assert_true(holds(child, 0, page_with(0, 1)));
	assert_int_equal(model_look(child, AT(1), MODEL_READ).outcome, MODEL_MAPERR);
	assert_true(holds(child, 2, page_with(PAGE, 0)));
	assert_true(holds(parent, 0, page_with(0, 8)));
	assert_true(holds(parent, 2, page_with(0, 3)));
	assert_true(holds(parent, 3, page_with(PAGE, 0)));
	model_space_destroy(parent);
	model_space_destroy(child);
}

static void base_1_shared_memory_is_shared(void **state)
{
	struct model_space *parent = model_space_create();
	struct model_object *object = model_object_create(0, 4 * PAGE, true);

	(void)state;
	assert_true(model_map(parent, AT(0), 2 * PAGE, READ_WRITE, MODEL_SHARED, object, 1));
	struct model_space *child = model_space_fork(parent);
	assert_true(model_store(child, AT(1), 5));
	assert_true(model_store(parent, AT(0), 4));
	assert_true(holds(parent, 1, page_with(0, 5)));
	assert_true(holds(child, 0, page_with(0, 4)));
	size_t count;
	uint64_t *pages = model_object_written(object, &count);
	assert_int_equal(count, 2);
	assert_int_equal(pages[0], 1);
	assert_int_equal(pages[1], 2);
	free(pages);
	model_space_destroy(parent);
	model_space_destroy(child);
	model_object_put(object);
}

/* A private page is the file's as it was when it was first written. */
static void base_1_private_copies_of_file_pages(void **state)
{
	struct model_object *object = model_object_create(77, 4 * PAGE, false);
	struct model_space *space = model_space_create();

	(void)state;
	assert_true(model_map(space, AT(0), 2 * PAGE, READ_WRITE, 0, object, 2));
	assert_true(model_map(space, AT(4), 4 * PAGE, READ_WRITE, MODEL_SHARED, object, 0));
	assert_true(holds(space, 0, content(77, 2, PAGE, 0)));
	assert_true(model_store(space, AT(6) + 8, 1)); /* page 2 of the file */
	assert_true(holds(space, 0, content(77, 2, 8, 1)));
	assert_true(model_store(space, AT(0) + 8, 2));
	assert_true(model_store(space, AT(6) + 8, 3));
	assert_true(holds(space, 0, content(77, 2, 8, 2)));
	assert_true(holds(space, 6, content(77, 2, 8, 3)));
	model_discard(space, AT(0), PAGE);
	assert_true(holds(space, 0, content(77, 2, 8, 3)));
	model_space_destroy(space);
	model_object_put(object);
}

static void base_1_moves_carry_contents(void **state)
{
	struct model_space *space = anonymous(4);

	(void)state;
	for (uint64_t i = 0; i < 4; i++)
		assert_true(model_store(space, AT(i), i + 1));
	assert_int_equal(model_move(space, AT(1), 2 * PAGE, AT(100), 3 * PAGE, false), 0);
	assert_int_equal(model_look(space, AT(1), MODEL_READ).outcome, MODEL_MAPERR);
	assert_true(holds(space, 100, page_with(0, 2)));
	assert_true(holds(space, 101, page_with(0, 3)));
	assert_true(holds(space, 102, page_with(PAGE, 0)));
	assert_int_equal(model_look(space, AT(102), MODEL_WRITE).outcome, MODEL_FINE);
	assert_int_equal(model_look(space, AT(103), MODEL_WRITE).outcome, MODEL_MAPERR);

	/* What is left behind is empty. */
	assert_int_equal(model_move(space, AT(3), PAGE, AT(200), PAGE, true), 0);
	assert_true(holds(space, 3, page_with(PAGE, 0)));
	assert_true(holds(space, 200, page_with(0, 4)));

	/* Shrinking and growing in place. */
	assert_int_equal(model_move(space, AT(100), 3 * PAGE, AT(100), PAGE, false), 0);
	assert_int_equal(model_look(space, AT(101), MODEL_READ).outcome, MODEL_MAPERR);
	assert_int_equal(model_move(space, AT(100), PAGE, AT(100), 2 * PAGE, false), 0);
	assert_int_equal(model_move(space, AT(150), PAGE, AT(300), 2 * PAGE, false), -ENOENT);
	assert_int_equal(model_move(space, AT(150), 0, AT(300), 2 * PAGE, false), -ENOENT);
	assert_true(holds(space, 101, page_with(PAGE, 0)));
	model_space_destroy(space);
}

static void base_1_an_old_length_of_zero_maps_twice(void **state)
{
	struct model_object *object = model_object_create(3, 4 * PAGE, false);
	struct model_space *space = model_space_create();

	(void)state;
	assert_true(model_map(space, AT(0), 4 * PAGE, READ_WRITE, MODEL_SHARED, object, 0));
	assert_int_equal(model_move(space, AT(1), 0, AT(10), 2 * PAGE, false), 0);
	assert_true(model_store(space, AT(10), 6));
	assert_true(holds(space, 1, content(3, 1, 0, 6)));
	model_space_destroy(space);
	model_object_put(object);
}

static void base_5_truncation_takes_pages_and_copies(void **state)
{
	struct model_object *object = model_object_create(5, 4 * PAGE, false);
	struct model_space *space = model_space_create();

	(void)state;
	assert_true(model_map(space, AT(0), 4 * PAGE, READ_WRITE, 0, object, 0));
	assert_true(model_map(space, AT(8), 4 * PAGE, READ_WRITE, MODEL_SHARED, object, 0));
	assert_true(model_store(space, AT(3), 1));
	assert_true(model_store(space, AT(8 + 1) + PAGE / 2, 2));
	model_object_resize(object, PAGE + PAGE / 4);
	model_cut(space, object, PAGE + PAGE / 4);
	assert_int_equal(model_look(space, AT(1), MODEL_READ).outcome, MODEL_FINE);
	assert_int_equal(model_look(space, AT(3), MODEL_READ).outcome, MODEL_BUS);
	assert_int_equal(model_look(space, AT(10), MODEL_READ).outcome, MODEL_BUS);
	model_object_resize(object, 4 * PAGE);
	assert_true(holds(space, 3, page_with(PAGE, 0)));
	assert_true(holds(space, 11, page_with(PAGE, 0)));

	static unsigned char page[PAGE];
	memcpy(page, content(5, 1, PAGE, 0), PAGE);
	memset(page + PAGE / 4, 0, PAGE - PAGE / 4);
	assert_true(holds(space, 9, page));
	model_space_destroy(space);
	model_object_put(object);
}

static void base_5_punched_holes_are_zero(void **state)
{
	struct model_object *object = model_object_create(6, 4 * PAGE, false);
	struct model_space *space = model_space_create();
	static unsigned char page[PAGE];

	(void)state;
	assert_true(model_map(space, AT(0), 4 * PAGE, READ_WRITE, MODEL_SHARED, object, 0));
	assert_true(model_store(space, AT(1), 4));
	model_remove(space, AT(1), PAGE);
	assert_true(holds(space, 1, page_with(PAGE, 0)));
	assert_true(holds(space, 0, content(6, 0, PAGE, 0)));
	model_object_punch(object, 2 * PAGE + 12, 100);
	memcpy(page, content(6, 2, PAGE, 0), PAGE);
	memset(page + 12, 0, 100);
	assert_true(holds(space, 2, page));
	model_space_destroy(space);
	model_object_put(object);
}

/* MADV_FREE: the old contents or zeroes, but never less than what was written after. */
static void base_1_freed_pages_may_go_or_stay(void **state)
{
	struct model_space *space = anonymous(2);

	(void)state;
	for (uint64_t i = 0; i < 2; i++)
		assert_true(model_store(space, AT(i), 1));
	model_free(space, AT(0), 2 * PAGE);
	assert_true(holds(space, 0, page_with(0, 1)));
	assert_true(model_store(space, AT(1) + 8, 2));
	assert_true(holds(space, 1, page_with(8, 2)));
	assert_false(holds(space, 1, page_with(PAGE, 0)));
	model_space_destroy(space);
}

static void base_1_stacks_grow_down(void **state)
{
	struct model_space *space = model_space_create();

	(void)state;
	assert_true(model_map(space, AT(8), PAGE, READ_WRITE, MODEL_GROWSDOWN, NULL, 0));
	assert_int_equal(model_look(space, AT(4) + 8, MODEL_WRITE).outcome, MODEL_GROWS);
	assert_true(model_grow(space, AT(4) + 8));
	assert_int_equal(model_look(space, AT(4), MODEL_WRITE).outcome, MODEL_FINE);
	assert_int_equal(model_look(space, AT(3), MODEL_WRITE).outcome, MODEL_GROWS);
	assert_int_equal(model_look(space, AT(9), MODEL_WRITE).outcome, MODEL_MAPERR);
	model_space_destroy(space);
}

/* Against a plain array of words: random stores, unmaps, moves, forks. */
static void base_1_random_sequences_agree_with_an_array(void **state)
{
	enum { PAGES = 64, STEPS = 20000 };
	static uint64_t words[PAGES];
	struct model_space *space = anonymous(PAGES);
	unsigned random = 1;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		random = random * 1664525u + 1013904223u;
		uint64_t page = random >> 16 & (PAGES - 1), count = 1 + (random >> 24 & 7);

		if (page + count > PAGES)
			continue;
		switch (random >> 12 & 7) {
		case 0:
			assert_true(model_map(space, AT(page), count * PAGE, READ_WRITE, 0, NULL, 0));
			memset(&words[page], 0, count * sizeof(words[0]));
			break;
		case 1:
			model_discard(space, AT(page), count * PAGE);
			memset(&words[page], 0, count * sizeof(words[0]));
			break;
		case 2: {
			struct model_space *child = model_space_fork(space);

			model_space_destroy(space);
			space = child;
			break;
		}
		case 3: {
			uint64_t to = (page + 13) % (PAGES - 8);

			if (to + count > page && page + count > to)
				break;
			assert_int_equal(
				model_move(space, AT(page), count * PAGE, AT(to), count * PAGE, true), 0);
			memcpy(&words[to], &words[page], count * sizeof(words[0]));
			memset(&words[page], 0, count * sizeof(words[0]));
			break;
		}
		default:
			words[page] = (uint64_t)step + 1;
			assert_true(model_store(space, AT(page), words[page]));
			break;
		}
		assert_true(holds(space, page, page_with(0, words[page])));
	}
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(holds(space, i, page_with(0, words[i])));
	model_space_destroy(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_stores_are_seen),
		cmocka_unit_test(base_1_unmap_makes_a_hole),
		cmocka_unit_test(base_1_protection_decides),
		cmocka_unit_test(base_1_protect_stops_at_a_hole),
		cmocka_unit_test(base_1_fork_copies_private_memory),
		cmocka_unit_test(base_1_shared_memory_is_shared),
		cmocka_unit_test(base_1_private_copies_of_file_pages),
		cmocka_unit_test(base_1_moves_carry_contents),
		cmocka_unit_test(base_1_an_old_length_of_zero_maps_twice),
		cmocka_unit_test(base_5_truncation_takes_pages_and_copies),
		cmocka_unit_test(base_5_punched_holes_are_zero),
		cmocka_unit_test(base_1_freed_pages_may_go_or_stay),
		cmocka_unit_test(base_1_stacks_grow_down),
		cmocka_unit_test(base_1_random_sequences_agree_with_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
