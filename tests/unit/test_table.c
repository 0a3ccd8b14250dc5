/*
 * test_table.c - the cursor, tables' coming and going, counts, moves and copies, on one CPU.
 */
#include "land.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define LEAF QUIRE_HUGE_SIZE /* what a leaf table covers */
#define TOP (QUIRE_USER_END - PAGE)

static bool sound(struct quire_cpu *cpu, struct quire_as *as)
{
	const char *what;

	if (as_check(cpu, as, &what))
		return true;
	fprintf(stderr, "%s\n", what);
	return false;
}

/* ---- one entry ----------------------------------------------------------------------------------------- */

static void set_and_clear(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_tables(*cpu, &as), 1);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "rwnz"), 0);
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS);
	CHECK_EQUAL(land_rss(*cpu, &as), 3);
	CHECK(sound(*cpu, &as));
	struct folio *folio = land_folio(*cpu, &as, LEAF);
	CHECK_EQUAL(folio->maps, 1);
	folio_get(folio);
	land_truncate(cpu, &as, LEAF, LEAF + PAGE);
	CHECK_DRAWN(land_picture(*cpu, &as, LEAF, 5), ".wnz.");
	CHECK_EQUAL(land_rss(*cpu, &as), 2);
	CHECK_EQUAL(folio->maps, 0);
	CHECK_EQUAL(folio->refs, 1);
	folio_put(*cpu, folio);
	land_unmap(cpu, &as, LEAF, LEAF + 4 * PAGE);
	CHECK_EQUAL(land_rss(*cpu, &as), 0);
	land_end(cpu, &as);
}

static void base_4_set_and_clear_count(void **state)
{
	(void)state;
	land_run(set_and_clear, 1);
}

static void kinds(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct as_counts counts;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	struct folio *file = folio_alloc_zeroed(*cpu, FOLIO_FILE, 0),
		     *shmem = folio_alloc_zeroed(*cpu, FOLIO_FILE, 0);
	CHECK(file && shmem);
	folio_set(shmem, FOLIO_SHMEM);
	CHECK_EQUAL(land_put_folio(*cpu, &as, 0, LAND_WRITE, file), 0);
	CHECK_EQUAL(land_put_folio(*cpu, &as, PAGE, LAND_READ, shmem), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 2 * PAGE, "wwz"), 0);
	as_counts(*cpu, &as, &counts);
	CHECK_EQUAL(counts.rss[RSS_FILE], 1);
	CHECK_EQUAL(counts.rss[RSS_SHMEM], 1);
	CHECK_EQUAL(counts.rss[RSS_ANON], 2);
	CHECK_EQUAL(counts.entries, 5);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_4_each_kind_is_counted_apart(void **state)
{
	(void)state;
	land_run(kinds, 1);
}

static void dirty_bit(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;
	struct gather gather;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "ww"), 0);
	as_run(*cpu, &as);
	struct folio *first = land_folio(*cpu, &as, 0), *second = land_folio(*cpu, &as, PAGE);
	folio_get(second);

	gather_begin(cpu, &gather, &as, 0, 2 * PAGE);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 0, CURSOR_PAGE, &gather, NULL), 0);
	CHECK(land_store(*cpu, 0, 1)); /* hardware, while the cursor stands there with the entry as it was */
	CHECK_EQUAL(cursor.entry & ENTRY_DIRTY, 0);
	CHECK(cursor_protect(&cursor, ENTRY_WRITE, 0) & ENTRY_DIRTY);
	CHECK(cursor.entry & ENTRY_DIRTY);
	CHECK_EQUAL(folio_flags(first) & FOLIO_DIRTY, 0);
	cursor_protect(&cursor, ENTRY_DIRTY, 0);
	CHECK(folio_flags(first) & FOLIO_DIRTY);
	CHECK(cursor_move(&cursor, PAGE));
	CHECK(land_store(*cpu, PAGE, 1));
	CHECK(cursor_clear(&cursor) & ENTRY_DIRTY);
	CHECK(folio_flags(second) & FOLIO_DIRTY);
	cursor_close(&cursor);
	gather_end(cpu, &gather);
	CHECK(!land_store(*cpu, 0, 1));
	folio_put(*cpu, second);
	land_end(cpu, &as);
}

static void pin_8_hardware_sets_dirty_under_the_cursor(void **state)
{
	(void)state;
	land_run(dirty_bit, 1);
}

static void protect(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;
	struct gather gather;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "w"), 0);
	as_run(*cpu, &as);
	CHECK(land_store(*cpu, 0, 7));
	gather_begin(cpu, &gather, &as, 0, PAGE);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 0, CURSOR_MM, &gather, NULL), 0);
	cursor_protect(&cursor, ENTRY_PROT_MASK, ENTRY_NONE | ENTRY_NX);
	CHECK_EQUAL(gather.end, PAGE);
	CHECK(cursor.entry & ENTRY_DIRTY);
	cursor_close(&cursor);
	gather_end(cpu, &gather);
	CHECK_DRAWN(land_picture(*cpu, &as, 0, 1), "n");
	CHECK_EQUAL(land_load(*cpu, 0), 0);
	CHECK_EQUAL(land_rss(*cpu, &as), 1);
	/* Giving rights back owes nothing: no gather is needed. */
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 0, CURSOR_FILL, NULL, NULL), 0);
	cursor_protect(&cursor, ENTRY_PROT_MASK, ENTRY_PRESENT | ENTRY_WRITE | ENTRY_NX);
	cursor_close(&cursor);
	CHECK_EQUAL(land_load(*cpu, 0), 7);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_1_protect_none_and_back(void **state)
{
	(void)state;
	land_run(protect, 1);
}

/* Put a fresh page in the place of what is at @va. */
static void replace(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr va, struct folio *fresh)
{
	struct cursor cursor;
	struct gather gather;

	gather_begin(cpu, &gather, as, va, va + PAGE);
	if (!cursor_open(&cursor, *cpu, as, va, CURSOR_MM, &gather, NULL)) {
		cursor_replace(&cursor, entry_make(folio_pfn((*cpu)->quire, fresh), LAND_WRITE), fresh);
		cursor_close(&cursor);
	}
	gather_end(cpu, &gather);
}

static void replacing(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, PAGE, "rnz"), 0);
	as_run(*cpu, &as);
	CHECK_EQUAL(land_load(*cpu, PAGE), PAGE);
	for (quire_vaddr va = PAGE; va < 4 * PAGE; va += PAGE) {
		struct folio *fresh = folio_alloc_zeroed(*cpu, FOLIO_ANON, 0);
		CHECK(fresh);
		*(uint64_t *)folio_memory((*cpu)->quire, fresh) = 100 + va;
		replace(cpu, &as, va, fresh);
		CHECK_EQUAL(land_load(*cpu, va), 100 + va);
		CHECK_EQUAL(fresh->maps, 1);
		CHECK_EQUAL(fresh->refs, 1);
	}
	CHECK_DRAWN(land_picture(*cpu, &as, PAGE, 3), "www");
	CHECK_EQUAL(land_rss(*cpu, &as), 3);
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_3_replace_forgets_the_old_page_first(void **state)
{
	(void)state;
	land_run(replacing, 1);
}

/* ---- ranges -------------------------------------------------------------------------------------------- */

/* Pages with holes between them at every level, the first page and the last among them. */
static const quire_vaddr places[] = {
	0,
	2 * PAGE,
	LEAF - PAGE,
	LEAF,
	3 * LEAF + PAGE,
	QUIRE_LEVEL_SIZE(2) - PAGE,
	QUIRE_LEVEL_SIZE(2) + 2 * LEAF,
	3 * QUIRE_LEVEL_SIZE(2) + PAGE,
#if QUIRE_LEVELS > 3
	QUIRE_LEVEL_SIZE(3),
	2 * QUIRE_LEVEL_SIZE(3) + QUIRE_LEVEL_SIZE(2) + LEAF + PAGE,
#endif
	TOP,
};
#define PLACES (sizeof(places) / sizeof(places[0]))

static int settle(struct quire_cpu *cpu, struct quire_as *as)
{
	for (unsigned i = 0; i < PLACES; i++) {
		int err = land_put(cpu, as, places[i], LAND_WRITE);
		if (err)
			return err;
	}
	return 0;
}

/* Does going over [start, end) deliver exactly the places in it, in order? */
static bool delivers(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	struct cursor cursor;
	unsigned at = 0;
	bool right = true;

	cursor_begin(&cursor, cpu, as, start, end, CURSOR_READ, NULL);
	while (cursor_next(&cursor)) {
		while (at < PLACES && places[at] < start)
			at++;
		right = right && at < PLACES && cursor.va == places[at++] && cursor.va < end && cursor.entry;
	}
	cursor_end(&cursor);
	while (at < PLACES && places[at] < start)
		at++;
	return right && (at == PLACES || places[at] >= end);
}

static void holes(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK(delivers(*cpu, &as, 0, 0));
	CHECK_EQUAL(settle(*cpu, &as), 0);
	for (unsigned i = 0; i < PLACES; i++) {
		for (unsigned j = i; j < PLACES; j++) {
			CHECK(delivers(*cpu, &as, places[i], places[j]));
			CHECK(delivers(*cpu, &as, places[i], places[j] + PAGE));
			if (i < j) {
				CHECK(delivers(*cpu, &as, places[i] + PAGE, places[j]));
				CHECK(delivers(*cpu, &as, places[i] + PAGE, places[j] + PAGE));
			}
		}
		CHECK(delivers(*cpu, &as, places[i], QUIRE_USER_END));
	}
	CHECK(delivers(*cpu, &as, 0, QUIRE_USER_END));
	land_end(cpu, &as);
}

static void base_2_holes_at_every_level_are_passed(void **state)
{
	(void)state;
	land_run(holes, 1);
}

static void all_gone(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts before, after;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(settle(*cpu, &as), 0);
	CHECK(sound(*cpu, &as));
	uint64_t tables = land_tables(*cpu, &as);
	tlb_counts((*cpu)->quire, &before);
	land_unmap(cpu, &as, 0, QUIRE_USER_END);
	tlb_counts((*cpu)->quire, &after);
	CHECK_EQUAL(land_tables(*cpu, &as), 1);
	CHECK_EQUAL(after.tables_freed - before.tables_freed, tables - 1);
	land_end(cpu, &as);
}

static void base_4_unmapping_all_frees_every_table_but_the_root(void **state)
{
	(void)state;
	land_run(all_gone, 1);
}

static void which_tables(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct gather gather;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF - 2 * PAGE, "wwww"), 0);
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS + 1);
	land_truncate(cpu, &as, 0, LEAF); /* from the file's side: tables stay */
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS + 1);
	land_unmap(cpu, &as, LEAF - 2 * PAGE, LEAF + 2 * PAGE); /* neither table lies in the range */
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS + 1);
	land_unmap(cpu, &as, 0, LEAF + PAGE);
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF + PAGE, "w"), 0);
	land_unmap(cpu, &as, LEAF, 2 * LEAF); /* the upper tables do not lie in it */
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS - 1);
	/* Nobody else is near: the caller says that empty tables may go as far as that. */
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	gather_begin(cpu, &gather, &as, LEAF, LEAF + PAGE);
	gather.reach_from = 0;
	gather.reach_to = QUIRE_USER_END;
	struct cursor cursor;
	cursor_begin(&cursor, *cpu, &as, LEAF, LEAF + PAGE, CURSOR_MM, &gather);
	CHECK(cursor_next(&cursor));
	cursor_clear(&cursor);
	cursor_end(&cursor); /* early */
	gather_end(cpu, &gather);
	CHECK_EQUAL(land_tables(*cpu, &as), 1);
	land_end(cpu, &as);
}

static void base_3_tables_go_when_empty_and_within_reach(void **state)
{
	(void)state;
	land_run(which_tables, 1);
}

#define GATHER_ALL (QUIRE_GATHER_FRAMES + QUIRE_GATHER_MORE)

static void many(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts before, after;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	for (unsigned i = 0; i < 3 * GATHER_ALL + 1; i++)
		CHECK_EQUAL(land_put(*cpu, &as, LEAF + i * PAGE, LAND_WRITE), 0);
	as_run(*cpu, &as);
	tlb_counts((*cpu)->quire, &before);
	land_truncate(cpu, &as, 0, QUIRE_USER_END);
	tlb_counts((*cpu)->quire, &after);
	/* A flush for each full gather, and one for the rest; only that one is small. */
	CHECK_EQUAL(after.full - before.full, GATHER_ALL > QUIRE_FLUSH_CEILING ? 3 : 0);
	CHECK_EQUAL(after.pages - before.pages,
		    GATHER_ALL > QUIRE_FLUSH_CEILING ? 1 : 3 * GATHER_ALL + 1);
	CHECK_EQUAL(land_rss(*cpu, &as), 0);
	land_end(cpu, &as);
}

static void base_3_a_full_gather_is_flushed_on_the_way(void **state)
{
	(void)state;
	land_run(many, 1);
}

/* ---- memory is out ------------------------------------------------------------------------------------- */

static void no_memory(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;
	struct table_stock stock = { 0 };

	phys_fail_after((*cpu)->quire, 0);
	CHECK_EQUAL(as_create(*cpu, &as), -QUIRE_ENOMEM);
	CHECK_EQUAL(as_create(*cpu, &as), 0);
	for (unsigned succeed = 0; succeed < QUIRE_LEVELS - 1; succeed++) {
		phys_fail_after((*cpu)->quire, succeed);
		CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, TOP, CURSOR_FILL, NULL, NULL), -QUIRE_ENOMEM);
		CHECK(!cursor.table);
		CHECK_EQUAL(land_tables(*cpu, &as), 1 + succeed);
		land_unmap(cpu, &as, 0, QUIRE_USER_END); /* empty ones that a failure left */
		CHECK_EQUAL(land_tables(*cpu, &as), 1);
	}

	phys_fail_after((*cpu)->quire, 1);
	CHECK_EQUAL(table_stock_fill(*cpu, &stock, 3), -QUIRE_ENOMEM);
	CHECK_EQUAL(stock.count, 0);
	CHECK_EQUAL(table_stock_fill(*cpu, &stock, QUIRE_LEVELS), 0);
	phys_fail_after((*cpu)->quire, 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, TOP, CURSOR_FILL, NULL, &stock), 0);
	CHECK_EQUAL(cursor.va, TOP);
	CHECK_EQUAL(cursor.level, 0);
	CHECK_EQUAL(stock.count, 1);
	cursor_close(&cursor);
	phys_fail_after((*cpu)->quire, UINT64_MAX);
	table_stock_drain(*cpu, &stock);
	CHECK_EQUAL(stock.count, 0);
	land_end(cpu, &as);
}

static void base_8_a_path_without_memory_is_left_and_found_again(void **state)
{
	(void)state;
	land_run(no_memory, 1);
}

static void nothing_there(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, LEAF, CURSOR_READ, NULL, NULL), -QUIRE_ENOENT);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, LEAF + PAGE, CURSOR_READ, NULL, NULL), 0);
	CHECK_EQUAL(cursor.entry, 0);
	CHECK(cursor_move(&cursor, LEAF));
	CHECK(cursor.entry);
	CHECK(cursor_move(&cursor, 2 * LEAF - PAGE));
	CHECK(!cursor_move(&cursor, 2 * LEAF));
	CHECK(!cursor_move(&cursor, LEAF - PAGE));
	CHECK_EQUAL(cursor.va, 2 * LEAF - PAGE);
	cursor_close(&cursor);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 2 * LEAF, CURSOR_PAGE, NULL, NULL), -QUIRE_ENOENT);
	land_end(cpu, &as);
}

static void base_2_a_cursor_stays_in_its_table(void **state)
{
	(void)state;
	land_run(nothing_there, 1);
}

/* ---- huge leaves --------------------------------------------------------------------------------------- */

static void huge(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_put_huge(*cpu, &as, LEAF, LAND_WRITE), 0);
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS - 1);
	CHECK_EQUAL(land_rss(*cpu, &as), QUIRE_HUGE_PAGES);
	CHECK(sound(*cpu, &as));
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, LEAF + 3 * PAGE, CURSOR_READ, NULL, NULL), 0);
	CHECK_EQUAL(cursor.level, 1);
	CHECK_EQUAL(cursor.va, LEAF);
	CHECK_EQUAL(cursor_size(&cursor), LEAF);
	cursor_close(&cursor);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, LEAF + 3 * PAGE, CURSOR_FILL, NULL, NULL), 0);
	CHECK_EQUAL(cursor.level, 1);
	cursor_close(&cursor);

	/* Its neighbours are small: delivered in order, and in part. */
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF - PAGE, "w"), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 2 * LEAF, "w"), 0);
	cursor_begin(&cursor, *cpu, &as, LEAF - PAGE, 2 * LEAF + PAGE, CURSOR_READ, NULL);
	CHECK(cursor_next(&cursor) && cursor.va == LEAF - PAGE && cursor.level == 0);
	CHECK(cursor_next(&cursor) && cursor.va == LEAF && cursor.level == 1);
	CHECK(cursor_next(&cursor) && cursor.va == 2 * LEAF && cursor.level == 0);
	CHECK(!cursor_next(&cursor));
	cursor_end(&cursor);
	cursor_begin(&cursor, *cpu, &as, LEAF + PAGE, LEAF + 2 * PAGE, CURSOR_READ, NULL);
	CHECK(cursor_next(&cursor) && cursor.va == LEAF && cursor.level == 1);
	CHECK(!cursor_next(&cursor));
	cursor_end(&cursor);

	as_run(*cpu, &as);
	CHECK_EQUAL(land_load(*cpu, LEAF + 3 * PAGE), LEAF + 3 * PAGE);
	CHECK_EQUAL(cursor_open_huge(&cursor, *cpu, &as, 2 * LEAF, NULL, NULL), 0);
	CHECK(entry_is_table(cursor.entry));
	cursor_close(&cursor);
	land_unmap(cpu, &as, 0, QUIRE_USER_END);
	CHECK_EQUAL(land_load(*cpu, LEAF + 3 * PAGE), 0);
	CHECK_EQUAL(land_tables(*cpu, &as), 1);
	land_end(cpu, &as);
}

static void base_2_huge_leaves_among_small_ones(void **state)
{
	(void)state;
	land_run(huge, 1);
}

static void split(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;
	struct gather gather;
	struct table_stock stock = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_put_huge(*cpu, &as, LEAF, LAND_WRITE), 0);
	as_run(*cpu, &as);
	CHECK(land_store(*cpu, LEAF + PAGE, 77));
	struct folio *folio = land_folio(*cpu, &as, LEAF);
	CHECK_EQUAL(table_stock_fill(*cpu, &stock, 1), 0);

	/* unmap pages 1 and 2 of it */
	gather_begin(cpu, &gather, &as, LEAF + PAGE, LEAF + 3 * PAGE);
	cursor_begin(&cursor, *cpu, &as, LEAF + PAGE, LEAF + 3 * PAGE, CURSOR_MM, &gather);
	CHECK(cursor_next(&cursor));
	CHECK_EQUAL(cursor.level, 1);
	cursor_split(&cursor, &stock, LEAF + PAGE);
	CHECK_EQUAL(cursor.level, 0);
	CHECK_EQUAL(cursor.va, LEAF + PAGE);
	CHECK(cursor.entry & ENTRY_DIRTY);
	CHECK_EQUAL(folio->maps, QUIRE_HUGE_PAGES);
	CHECK_EQUAL(folio->refs, QUIRE_HUGE_PAGES);
	cursor_clear(&cursor);
	CHECK(cursor_next(&cursor));
	CHECK_EQUAL(cursor.va, LEAF + 2 * PAGE);
	cursor_clear(&cursor);
	CHECK(!cursor_next(&cursor));
	cursor_end(&cursor);
	gather_end(cpu, &gather);
	CHECK_EQUAL(stock.count, 0);

	CHECK(sound(*cpu, &as));
	CHECK_EQUAL(land_rss(*cpu, &as), QUIRE_HUGE_PAGES - 2);
	CHECK_EQUAL(folio->maps, QUIRE_HUGE_PAGES - 2);
	CHECK_DRAWN(land_picture(*cpu, &as, LEAF - PAGE, 5), ".w..w");
	CHECK_EQUAL(land_load(*cpu, LEAF), LEAF);
	CHECK_EQUAL(land_load(*cpu, LEAF + PAGE), 0);
	CHECK_EQUAL(land_load(*cpu, 2 * LEAF - PAGE), 2 * LEAF - PAGE);
	CHECK(folio_flags(folio) & FOLIO_DIRTY);
	land_end(cpu, &as);
}

static void upr_1_a_huge_leaf_splits_and_its_folio_stays_whole(void **state)
{
	(void)state;
	land_run(split, 1);
}

/* ---- check --------------------------------------------------------------------------------------------- */

static void finds(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct cursor cursor;
	const char *what = NULL;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "w"), 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 0, CURSOR_READ, NULL, NULL), 0);
	struct folio *table = cursor.table;
	cursor_close(&cursor);
	CHECK(as_check(*cpu, &as, &what));
	CHECK(!what);
	table->table.used++;
	CHECK(!as_check(*cpu, &as, &what));
	CHECK_DRAWN(what, "a table's count of entries is wrong");
	table->table.used--;
	table->table.rss[RSS_FILE]++;
	CHECK(!as_check(*cpu, &as, &what));
	CHECK_DRAWN(what, "a table's RSS is wrong");
	table->table.rss[RSS_FILE]--;
	struct folio *folio = land_folio(*cpu, &as, 0);
	folio->maps = 0;
	CHECK(!as_check(*cpu, &as, &what));
	CHECK_DRAWN(what, "a mapped page counts no mapping");
	folio->maps = 1;
	table->table.level = 1;
	CHECK(!as_check(*cpu, &as, &what));
	CHECK_DRAWN(what, "a table hangs at another level than its own");
	table->table.level = 0;
	land_end(cpu, &as);
}

/* Each a wrong entry in the place of a right one, and what is said of it. */
static void wrong_entries(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	const char *what;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "w"), 0);
	struct cursor cursor;
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, 0, CURSOR_READ, NULL, NULL), 0);
	_Atomic quire_entry *slot = folio_memory((*cpu)->quire, cursor.table);
	_Atomic quire_entry *top = folio_memory((*cpu)->quire, as.root);
	quire_pfn table = folio_pfn((*cpu)->quire, cursor.table);
	quire_entry right = cursor.entry, right_top = *top;
	cursor_close(&cursor);
	const struct {
		_Atomic quire_entry *slot;
		quire_entry wrong;
		const char *what;
	} cases[] = {
		{ slot, entry_make(entry_pfn(right), ENTRY_WRITE), "an entry is neither empty nor mapped" },
		{ slot, right | ENTRY_NONE, "an entry is both present and PROT_NONE" },
		{ slot, right | ENTRY_HUGE, "a leaf's size is not its level's" },
		{ slot, entry_make(table, LAND_READ), "an entry maps a frame that is no page" },
		{ top, entry_table(entry_pfn(right)), "an upper entry leads to a frame that is no table" },
		{ top, entry_table(table), "a table hangs at another level than its own" },
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		*cases[i].slot = cases[i].wrong;
		CHECK(!as_check(*cpu, &as, &what));
		CHECK_DRAWN(what, cases[i].what);
		*slot = right;
		*top = right_top;
	}
	CHECK(sound(*cpu, &as));
	land_end(cpu, &as);
}

static void base_4_check_finds_wrong_entries(void **state)
{
	(void)state;
	land_run(wrong_entries, 1);
}

/* BASE-2: what a machine has in the root beyond the user's half is none of the core's. */
static void the_machines_half(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	unsigned first = (unsigned)((QUIRE_USER_END - 1) >> QUIRE_LEVEL_SHIFT(QUIRE_LEVELS - 1)) + 1;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "w"), 0);
	_Atomic quire_entry *root = folio_memory((*cpu)->quire, as.root);
	uint64_t tables = land_tables(*cpu, &as);
	for (unsigned i = first; i < QUIRE_TABLE_ENTRIES; i++)
		root[i] = entry_table(~0ul >> 24);
	CHECK(sound(*cpu, &as));
	CHECK_EQUAL(land_tables(*cpu, &as), tables);
	for (unsigned i = first; i < QUIRE_TABLE_ENTRIES; i++)
		root[i] = 0;
	land_end(cpu, &as);
}

static void base_2_the_roots_upper_half_is_the_machines(void **state)
{
	(void)state;
	land_run(the_machines_half, 1);
}

/* Tables that nobody took out: pages taken by their file, tables of a path that was not completed. */
static void left_over(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts before, after;
	struct cursor cursor;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(settle(*cpu, &as), 0);
	land_truncate(cpu, &as, 0, QUIRE_USER_END);
	phys_fail_after((*cpu)->quire, QUIRE_LEVELS > 3 ? 1 : 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &as, QUIRE_USER_END / 4 * 3, CURSOR_FILL, NULL, NULL),
		    -QUIRE_ENOMEM);
	uint64_t tables = land_tables(*cpu, &as);
	tlb_counts((*cpu)->quire, &before);
	as_destroy(cpu, &as);
	tlb_counts((*cpu)->quire, &after);
	CHECK_EQUAL(after.tables_freed - before.tables_freed, tables);
}

static void base_4_destroying_frees_what_is_left(void **state)
{
	(void)state;
	land_run(left_over, 1);
}

static void base_4_check_finds_wrong_counts(void **state)
{
	(void)state;
	land_run(finds, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_4_set_and_clear_count),
		cmocka_unit_test(base_4_each_kind_is_counted_apart),
		cmocka_unit_test(pin_8_hardware_sets_dirty_under_the_cursor),
		cmocka_unit_test(base_1_protect_none_and_back),
		cmocka_unit_test(base_3_replace_forgets_the_old_page_first),
		cmocka_unit_test(base_2_holes_at_every_level_are_passed),
		cmocka_unit_test(base_4_unmapping_all_frees_every_table_but_the_root),
		cmocka_unit_test(base_3_tables_go_when_empty_and_within_reach),
		cmocka_unit_test(base_3_a_full_gather_is_flushed_on_the_way),
		cmocka_unit_test(base_8_a_path_without_memory_is_left_and_found_again),
		cmocka_unit_test(base_2_a_cursor_stays_in_its_table),
		cmocka_unit_test(base_2_huge_leaves_among_small_ones),
		cmocka_unit_test(upr_1_a_huge_leaf_splits_and_its_folio_stays_whole),
		cmocka_unit_test(base_4_check_finds_wrong_counts),
		cmocka_unit_test(base_4_check_finds_wrong_entries),
		cmocka_unit_test(base_2_the_roots_upper_half_is_the_machines),
		cmocka_unit_test(base_4_destroying_frees_what_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
