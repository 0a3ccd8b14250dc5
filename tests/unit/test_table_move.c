/*
 * test_table_move.c - entries that change their address, and entries copied to a child.
 */
#include "land.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define LEAF QUIRE_HUGE_SIZE

static bool sound(struct quire_cpu *cpu, struct quire_as *as)
{
	const char *what;

	if (as_check(cpu, as, &what))
		return true;
	fprintf(stderr, "%s\n", what);
	return false;
}

static int move(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr from, quire_vaddr to,
		quire_vaddr bytes, quire_vaddr *moved)
{
	struct gather gather;

	gather_begin(cpu, &gather, as, from, from + bytes);
	int err = table_move(*cpu, as, from, to, bytes, &gather, moved);
	gather_end(cpu, &gather);
	return err;
}

/* A page is where it should be when hardware finds it there, and not where it was. */
static bool went(struct quire_cpu *cpu, quire_vaddr from, quire_vaddr to)
{
	return land_load(cpu, from) == 0 && land_load(cpu, to) == from;
}

/* One row, from one place to another, and what must be left. */
static void move_row(struct scene *s, struct quire_cpu **cpu, quire_vaddr from, quire_vaddr to,
		     const char *row)
{
	struct quire_as as;
	quire_vaddr moved, bytes = strlen(row) * PAGE;
	char empty[LAND_PICTURE];

	snprintf(empty, sizeof(empty), "%.*s", (int)strlen(row), "................................");
	CHECK_EQUAL(as_create(*cpu, &as), 0);
	as_run(*cpu, &as);
	CHECK_EQUAL(land_draw(*cpu, &as, from, row), 0);
	uint64_t rss = land_rss(*cpu, &as);
	for (unsigned i = 0; row[i]; i++)
		land_load(*cpu, from + i * PAGE); /* into the TLB */
	CHECK_EQUAL(move(cpu, &as, from, to, bytes, &moved), 0);
	CHECK_EQUAL(moved, bytes);
	CHECK_DRAWN(land_picture(*cpu, &as, to, (unsigned)strlen(row)), row);
	CHECK_DRAWN(land_picture(*cpu, &as, from, (unsigned)strlen(row)), empty);
	for (unsigned i = 0; row[i]; i++) {
		if (row[i] == 'w' || row[i] == 'r')
			CHECK(went(*cpu, from + i * PAGE, to + i * PAGE));
	}
	CHECK_EQUAL(land_rss(*cpu, &as), rss);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void rows(struct scene *s, struct quire_cpu **cpu)
{
	move_row(s, cpu, 0, 2 * PAGE, "w."); /* in one table */
	move_row(s, cpu, 2 * PAGE, 0, "rw");
	move_row(s, cpu, LEAF, 5 * LEAF, "wrn.zw"); /* up, and down */
	move_row(s, cpu, 5 * LEAF, LEAF, "wrn.zw");
	move_row(s, cpu, LEAF - 2 * PAGE, 3 * LEAF - 2 * PAGE,
		 "wwrr");					    /* both cross a boundary at one time */
	move_row(s, cpu, LEAF - 2 * PAGE, 3 * LEAF - PAGE, "wwrr"); /* at different times */
	move_row(s, cpu, 3 * LEAF - PAGE, LEAF - 2 * PAGE, "w.rr");
	move_row(s, cpu, QUIRE_LEVEL_SIZE(2) - PAGE, 2 * QUIRE_LEVEL_SIZE(2) - 2 * PAGE, "www");
	move_row(s, cpu, QUIRE_USER_END - 4 * PAGE, 0, "ww.w");
	move_row(s, cpu, 0, QUIRE_USER_END - 4 * PAGE, "ww.w");
	move_row(s, cpu, LEAF, 2 * LEAF, "....");
}

static void base_1_move_across_tables_both_ways(void **state)
{
	(void)state;
	land_run(rows, 1);
}

/* Tables left behind empty go, if they lie in the old range. */
static void tables_left(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	quire_vaddr moved;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 2 * LEAF - PAGE, "ww"), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 4 * LEAF - PAGE, "ww"), 0); /* the second stays */
	uint64_t before = land_tables(*cpu, &as);
	CHECK_EQUAL(move(cpu, &as, LEAF, 5 * LEAF, 3 * LEAF, &moved), 0);
	CHECK_EQUAL(moved, 3 * LEAF);
	CHECK_EQUAL(land_tables(*cpu, &as), before);
	CHECK_EQUAL(land_rss(*cpu, &as), 4);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_4_moved_from_tables_are_freed(void **state)
{
	(void)state;
	land_run(tables_left, 1);
}

/* The destination needs a table for each page, and memory is out at the second. */
static void no_memory(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	quire_vaddr moved, from = 4 * LEAF, to = 9 * LEAF;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(land_draw(*cpu, &as, from + i * LEAF + PAGE, "w"), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 8 * LEAF, "w"), 0);
	phys_fail_after((*cpu)->quire, 1);
	CHECK_EQUAL(move(cpu, &as, from, to, 4 * LEAF, &moved), -QUIRE_ENOMEM);
	phys_fail_after((*cpu)->quire, UINT64_MAX);
	/* What is done is said exactly enough: below it is moved, from it on untouched. */
	CHECK(moved > PAGE && moved <= LEAF + PAGE);
	CHECK_DRAWN(land_picture(*cpu, &as, from, 3), "...");
	CHECK_DRAWN(land_picture(*cpu, &as, to, 3), ".w.");
	for (unsigned i = 1; i < 4; i++)
		CHECK_DRAWN(land_picture(*cpu, &as, from + i * LEAF, 3), ".w.");
	CHECK(sound(*cpu, &as));

	/* And back, which needs a table again, or does not: either way all is where it was. */
	quire_vaddr back;
	CHECK_EQUAL(move(cpu, &as, to, from, moved, &back), 0);
	CHECK_EQUAL(back, moved);
	CHECK_DRAWN(land_picture(*cpu, &as, from, 3), ".w.");
	CHECK_EQUAL(land_rss(*cpu, &as), 5);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_1_move_without_memory_says_how_far_it_came(void **state)
{
	(void)state;
	land_run(no_memory, 1);
}

static void huge(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	quire_vaddr moved;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	as_run(*cpu, &as);
	CHECK_EQUAL(land_put_huge(*cpu, &as, LEAF, LAND_WRITE), 0);
	CHECK_EQUAL(land_load(*cpu, LEAF + PAGE), LEAF + PAGE);
	uint64_t before = land_tables(*cpu, &as);
	CHECK_EQUAL(move(cpu, &as, LEAF, 3 * LEAF, LEAF, &moved), 0); /* whole: no table is needed */
	CHECK_EQUAL(moved, LEAF);
	CHECK_EQUAL(land_tables(*cpu, &as), before);
	CHECK_EQUAL(land_load(*cpu, LEAF + PAGE), 0);
	CHECK_EQUAL(land_load(*cpu, 3 * LEAF + PAGE), LEAF + PAGE);
	CHECK(sound(*cpu, &as));

	/* One page further, it must be split. */
	CHECK_EQUAL(move(cpu, &as, 3 * LEAF, 6 * LEAF + PAGE, LEAF, &moved), 0);
	CHECK_EQUAL(moved, LEAF);
	CHECK_EQUAL(land_load(*cpu, 3 * LEAF), 0);
	CHECK_EQUAL(land_load(*cpu, 6 * LEAF + PAGE), LEAF);
	CHECK_EQUAL(land_load(*cpu, 7 * LEAF), 2 * LEAF - PAGE);
	CHECK_EQUAL(land_rss(*cpu, &as), QUIRE_HUGE_PAGES);
	CHECK(sound(*cpu, &as));

	/* A part of one. */
	CHECK_EQUAL(land_put_huge(*cpu, &as, 10 * LEAF, LAND_READ), 0);
	CHECK_EQUAL(move(cpu, &as, 10 * LEAF + PAGE, 12 * LEAF + PAGE, 2 * PAGE, &moved), 0);
	CHECK_DRAWN(land_picture(*cpu, &as, 10 * LEAF, 4), "r..r");
	CHECK_DRAWN(land_picture(*cpu, &as, 12 * LEAF, 4), ".rr.");

	/* No memory for the split: nothing is changed. */
	CHECK_EQUAL(land_put_huge(*cpu, &as, 14 * LEAF, LAND_READ), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 16 * LEAF, "w"), 0);
	phys_fail_after((*cpu)->quire, 0);
	CHECK_EQUAL(move(cpu, &as, 14 * LEAF, 16 * LEAF + PAGE, 2 * PAGE, &moved), -QUIRE_ENOMEM);
	CHECK_EQUAL(moved, 0);
	phys_fail_after((*cpu)->quire, UINT64_MAX);
	CHECK_DRAWN(land_picture(*cpu, &as, 14 * LEAF, 4), "rrrr");
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void upr_1_huge_leaves_move_whole_or_split(void **state)
{
	(void)state;
	land_run(huge, 1);
}

/* Where a huge leaf should go, an empty table stands: it moves page by page. */
static void table_in_the_way(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	quire_vaddr moved;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_put_huge(*cpu, &as, LEAF, LAND_WRITE), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 4 * LEAF, "w"), 0);
	land_truncate(cpu, &as, 4 * LEAF, 4 * LEAF + PAGE);
	CHECK_EQUAL(move(cpu, &as, LEAF, 4 * LEAF, LEAF, &moved), 0);
	CHECK_EQUAL(moved, LEAF);
	CHECK_EQUAL(land_rss(*cpu, &as), QUIRE_HUGE_PAGES);
	CHECK_DRAWN(land_picture(*cpu, &as, 5 * LEAF - 2 * PAGE, 3), "ww.");
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void upr_1_a_table_in_the_way_of_a_huge_leaf(void **state)
{
	(void)state;
	land_run(table_in_the_way, 1);
}

/* ---- copies -------------------------------------------------------------------------------------------- */

static int copy(struct quire_cpu **cpu, struct quire_as *from, struct quire_as *to, quire_vaddr start,
		quire_vaddr end, bool private)
{
	struct gather gather;

	gather_begin(cpu, &gather, from, start, end);
	int err = table_copy(*cpu, from, to, start, end, &gather, private);
	gather_end(cpu, &gather);
	return err;
}

static void copying(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as parent, child;

	CHECK_EQUAL(as_create(*cpu, &parent), 0);
	CHECK_EQUAL(as_create(*cpu, &child), 0);
	CHECK_EQUAL(land_draw(*cpu, &parent, LEAF - 3 * PAGE, "w.rnzw"), 0);
	CHECK_EQUAL(land_draw(*cpu, &parent, QUIRE_USER_END - 2 * PAGE, "rw"), 0);
	CHECK_EQUAL(land_put_huge(*cpu, &parent, 4 * LEAF, LAND_WRITE), 0);
	as_run(*cpu, &parent);
	CHECK(land_store(*cpu, LEAF - 3 * PAGE, 5));
	CHECK_EQUAL(copy(cpu, &parent, &child, 0, QUIRE_USER_END, true), 0);
	CHECK_DRAWN(land_picture(*cpu, &parent, LEAF - 3 * PAGE, 6), "r.rnzr");
	CHECK_DRAWN(land_picture(*cpu, &child, LEAF - 3 * PAGE, 6), "r.rnzr");
	CHECK_DRAWN(land_picture(*cpu, &child, QUIRE_USER_END - 2 * PAGE, 2), "rr");
	CHECK_EQUAL(land_rss(*cpu, &child), land_rss(*cpu, &parent));
	CHECK_EQUAL(land_tables(*cpu, &child), land_tables(*cpu, &parent));
	CHECK(!land_store(*cpu, LEAF - 3 * PAGE, 6));
	CHECK_EQUAL(land_folio(*cpu, &parent, 4 * LEAF)->maps, 2);
	CHECK(sound(*cpu, &parent));
	CHECK(sound(*cpu, &child));
	land_end(cpu, &child);
	land_end(cpu, &parent);
}

static void base_1_copy_goes_over_every_leaf(void **state)
{
	(void)state;
	land_run(copying, 1);
}

static bool is_dirty(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va)
{
	struct cursor cursor;

	if (cursor_open(&cursor, cpu, as, va, CURSOR_READ, NULL, NULL))
		return false;
	bool dirty = cursor.entry & ENTRY_DIRTY;
	cursor_close(&cursor);
	return dirty;
}

static void copying_shared(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as parent, child;

	CHECK_EQUAL(as_create(*cpu, &parent), 0);
	CHECK_EQUAL(as_create(*cpu, &child), 0);
	CHECK_EQUAL(land_draw(*cpu, &parent, LEAF - 2 * PAGE, "w.r"), 0);
	as_run(*cpu, &parent);
	CHECK(land_store(*cpu, LEAF - 2 * PAGE, 5));
	CHECK_EQUAL(copy(cpu, &parent, &child, 0, QUIRE_USER_END, false), 0);
	CHECK_DRAWN(land_picture(*cpu, &parent, LEAF - 2 * PAGE, 3), "w.r");
	CHECK_DRAWN(land_picture(*cpu, &child, LEAF - 2 * PAGE, 3), "w.r");
	CHECK(is_dirty(*cpu, &parent, LEAF - 2 * PAGE));
	CHECK(!is_dirty(*cpu, &child, LEAF - 2 * PAGE));
	CHECK(land_store(*cpu, LEAF - 2 * PAGE, 6));
	CHECK(sound(*cpu, &child));
	land_end(cpu, &child);
	land_end(cpu, &parent);
}

static void base_1_a_shared_copy_takes_no_right(void **state)
{
	(void)state;
	land_run(copying_shared, 1);
}

static void copy_fails(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as parent, child;

	CHECK_EQUAL(as_create(*cpu, &parent), 0);
	CHECK_EQUAL(as_create(*cpu, &child), 0);
	CHECK_EQUAL(land_draw(*cpu, &parent, LEAF - 2 * PAGE, "wwww"), 0);
	for (unsigned succeed = 0; succeed < QUIRE_LEVELS; succeed++) {
		phys_fail_after((*cpu)->quire, succeed);
		CHECK_EQUAL(copy(cpu, &parent, &child, 0, QUIRE_USER_END, true), -QUIRE_ENOMEM);
		CHECK_EQUAL(land_rss(*cpu, &child), succeed == QUIRE_LEVELS - 1 ? 2 : 0);
		CHECK(sound(*cpu, &child));
		land_unmap(cpu, &child, 0, QUIRE_USER_END);
		CHECK_EQUAL(land_tables(*cpu, &child), 1);
	}
	CHECK_EQUAL(land_rss(*cpu, &parent), 4);
	CHECK(sound(*cpu, &parent));
	land_end(cpu, &child);
	land_end(cpu, &parent);
}

static void base_1_a_copy_that_fails_leaves_what_it_did(void **state)
{
	(void)state;
	land_run(copy_fails, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_1_move_across_tables_both_ways),
		cmocka_unit_test(base_4_moved_from_tables_are_freed),
		cmocka_unit_test(base_1_move_without_memory_says_how_far_it_came),
		cmocka_unit_test(upr_1_huge_leaves_move_whole_or_split),
		cmocka_unit_test(upr_1_a_table_in_the_way_of_a_huge_leaf),
		cmocka_unit_test(base_1_copy_goes_over_every_leaf),
		cmocka_unit_test(base_1_a_shared_copy_takes_no_right),
		cmocka_unit_test(base_1_a_copy_that_fails_leaves_what_it_did),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
