/*
 * test_tlb.c - who is told of a flush, who is not, and what it costs; notifiers.
 *
 * Flushes are counted exactly: a test says which CPUs run what, makes one change, and compares the counters.
 */
#include "land.h"

#include "../../machines/hosted/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define LEAF QUIRE_HUGE_SIZE

static struct tlb_counts since(struct quire *quire, struct tlb_counts *before)
{
	struct tlb_counts now, then = *before;

	tlb_counts(quire, &now);
	*before = now;
	return (struct tlb_counts){ now.pages - then.pages, now.full - then.full,
				    now.shootdowns - then.shootdowns, now.ipis - then.ipis,
				    now.tables_freed - then.tables_freed };
}

#define CHECK_COUNTS(before, pages_, full_, shootdowns_, ipis_)              \
	do {                                                                 \
		struct tlb_counts counted = since((*cpu)->quire, &(before)); \
		CHECK_EQUAL(counted.pages, pages_);                          \
		CHECK_EQUAL(counted.full, full_);                            \
		CHECK_EQUAL(counted.shootdowns, shootdowns_);                \
		CHECK_EQUAL(counted.ipis, ipis_);                            \
	} while (0)

static void job_run(struct quire_cpu **cpu, void *as)
{
	as_run(*cpu, as);
}

static void job_idle(struct quire_cpu **cpu, void *unused)
{
	(void)unused;
	as_idle(*cpu);
}

static void job_leave(struct quire_cpu **cpu, void *unused)
{
	(void)unused;
	as_leave(*cpu);
}

struct look {
	quire_vaddr va;
	uint64_t found;
};

static void job_look(struct quire_cpu **cpu, void *argument)
{
	struct look *look = argument;

	look->found = land_load(*cpu, look->va);
}

static uint64_t look_from(struct scene *s, struct quire_cpu *cpu, unsigned id, quire_vaddr va)
{
	struct look look = { .va = va };

	land_elsewhere(s, cpu, id, job_look, &look);
	return look.found;
}

/* Clear one page without touching tables, and flush. */
static void clear_page(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr va)
{
	land_truncate(cpu, as, va, va + PAGE);
}

/* ---- who is told --------------------------------------------------------------------------------------- */

static void only_those_that_run(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as, other;
	struct tlb_counts counts = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(as_create(*cpu, &other), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "wwwwwwww"), 0);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, 0); /* nobody runs it */
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	as_run(*cpu, &as); /* a tag that is new to it is flushed */
	CHECK_COUNTS(counts, 0, 1, 0, 0);
	as_run(*cpu, &as);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	land_elsewhere(s, *cpu, 1, job_run, &other);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, PAGE); /* we alone run it */
	CHECK_COUNTS(counts, 1, 0, 0, 0);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	land_elsewhere(s, *cpu, 2, job_run, &as);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, 2 * PAGE);
	CHECK_COUNTS(counts, 1, 0, 1, 2);
	land_elsewhere(s, *cpu, 2, job_leave, NULL);
	clear_page(cpu, &as, 3 * PAGE);
	CHECK_COUNTS(counts, 1, 0, 1, 1);
	land_elsewhere(s, *cpu, 1, job_run, &other);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, 4 * PAGE);
	CHECK_COUNTS(counts, 1, 0, 0, 0);
	clear_page(cpu, &as, 4 * PAGE); /* nothing is there */
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	as_leave(*cpu);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, 5 * PAGE); /* somebody else's: one interrupt, nothing here */
	CHECK_COUNTS(counts, 0, 0, 1, 1);
	land_elsewhere(s, *cpu, 1, job_leave, NULL);
	land_end(cpu, &as);
	land_end(cpu, &other);
}

static void base_3_only_cpus_that_run_it_are_interrupted(void **state)
{
	(void)state;
	land_run(only_those_that_run, 3);
}

static void lazy(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts counts = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "wwww"), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	CHECK_EQUAL(look_from(s, *cpu, 1, PAGE), PAGE);
	CHECK_EQUAL(look_from(s, *cpu, 1, 3 * PAGE), 3 * PAGE);
	land_elsewhere(s, *cpu, 1, job_idle, NULL);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, PAGE);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	/* Back to work: behind by one, but it was not told which page. */
	land_elsewhere(s, *cpu, 1, job_run, &as);
	CHECK_COUNTS(counts, 0, 1, 0, 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, PAGE), 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, 3 * PAGE), 3 * PAGE);
	/* Lazy and nothing happened: nothing is lost. */
	land_elsewhere(s, *cpu, 1, job_idle, NULL);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	land_elsewhere(s, *cpu, 1, job_idle, NULL);
	land_end(cpu, &as);
}

static void job_run_and_leave(struct quire_cpu **cpu, void *as)
{
	as_run(*cpu, as);
	as_leave(*cpu);
}

static void lazy_tables(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts counts = { 0 };
	struct hosted_cpu *second = s->machine->cpus[1];

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "w"), 0);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF), LEAF);
	land_elsewhere(s, *cpu, 1, job_idle, NULL);
	CHECK_EQUAL(second->mmu.root, folio_pfn((*cpu)->quire, as.root));
	since((*cpu)->quire, &counts);
	land_unmap(cpu, &as, LEAF, 2 * LEAF); /* its table goes */
	CHECK_COUNTS(counts, 0, 0, 1, 1);
	CHECK(second->mmu.root != folio_pfn((*cpu)->quire, as.root));
	CHECK_EQUAL(second->mmu.asid, 0);
	/* It is out: no one asks it again. */
	clear_page(cpu, &as, 0);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, 0), 0);
	land_elsewhere(s, *cpu, 1, job_run_and_leave, &as);
	land_end(cpu, &as);
}

static void base_3_lazy_cpu_is_not_interrupted(void **state)
{
	(void)state;
	land_run(lazy, 2);
}

static void base_3_lazy_cpu_leaves_before_tables_go(void **state)
{
	(void)state;
	land_run(lazy_tables, 2);
}

/* We ourselves may be lazy in what we take apart: exit of another thread's last mm, seen from an idle CPU. */
static void lazy_self(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct hosted_cpu *me = hosted_cpu_of(*cpu);

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "ww"), 0);
	as_run(*cpu, &as);
	as_idle(*cpu);
	clear_page(cpu, &as, LEAF);
	CHECK_EQUAL(me->mmu.root, folio_pfn((*cpu)->quire, as.root));
	land_unmap(cpu, &as, 0, QUIRE_USER_END);
	CHECK_EQUAL(me->mmu.asid, 0);
	as_run(*cpu, &as);
	as_idle(*cpu);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	land_elsewhere(s, *cpu, 1, job_idle, NULL);
	as_destroy(cpu, &as); /* evicts both */
	CHECK_EQUAL(me->mmu.asid, 0);
	CHECK_EQUAL(s->machine->cpus[1]->mmu.asid, 0);
}

static void base_3_destroying_evicts_lazy_cpus(void **state)
{
	(void)state;
	land_run(lazy_self, 2);
}

/* ---- how much ------------------------------------------------------------------------------------------ */

static void ceiling(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts counts = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	for (unsigned i = 0; i < 3 * QUIRE_FLUSH_CEILING; i++)
		CHECK_EQUAL(land_put(*cpu, &as, i * PAGE, LAND_WRITE), 0);
	as_run(*cpu, &as);
	since((*cpu)->quire, &counts);
	land_truncate(cpu, &as, 0, QUIRE_FLUSH_CEILING * PAGE);
	CHECK_COUNTS(counts, QUIRE_FLUSH_CEILING, 0, 0, 0);
	land_truncate(cpu, &as, 0, (2 * QUIRE_FLUSH_CEILING + 1) * PAGE);
	CHECK_COUNTS(counts, 0, 1, 0, 0);
	/* Only what was there counts, not what was asked for. */
	land_truncate(cpu, &as, 0, QUIRE_USER_END);
	CHECK_COUNTS(counts, QUIRE_FLUSH_CEILING - 1, 0, 0, 0);
	land_end(cpu, &as);
}

static void base_3_large_ranges_are_flushed_whole(void **state)
{
	(void)state;
	land_run(ceiling, 1);
}

static void missed(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct tlb_counts counts = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, 0, "wwww"), 0);
	as_run(*cpu, &as);
	CHECK_EQUAL(land_load(*cpu, PAGE), PAGE);
	CHECK_EQUAL(land_load(*cpu, 2 * PAGE), 2 * PAGE);
	as_leave(*cpu);
	since((*cpu)->quire, &counts);
	clear_page(cpu, &as, PAGE);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	as_run(*cpu, &as);
	CHECK_COUNTS(counts, 0, 1, 0, 0);
	CHECK_EQUAL(land_load(*cpu, PAGE), 0);
	as_leave(*cpu);
	as_run(*cpu, &as);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	CHECK_EQUAL(land_load(*cpu, 2 * PAGE), 2 * PAGE);
	land_end(cpu, &as);
}

static void base_3_who_was_away_flushes_on_return(void **state)
{
	(void)state;
	land_run(missed, 1);
}

/* ---- tags ---------------------------------------------------------------------------------------------- */

#define SPACES (QUIRE_ASIDS + 2)

static void tags(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as[SPACES];
	struct softmmu *mmu = &hosted_cpu_of(*cpu)->mmu;
	struct tlb_counts counts = { 0 };

	for (unsigned i = 0; i < SPACES; i++) {
		CHECK_EQUAL(as_create(*cpu, &as[i]), 0);
		CHECK_EQUAL(land_draw(*cpu, &as[i], PAGE, "w"), 0);
		as_run(*cpu, &as[i]);
		CHECK(land_store(*cpu, PAGE, 1000 + i));
	}
	/* Round and round: nobody sees another's page. */
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SPACES; i++) {
			as_run(*cpu, &as[i]);
			CHECK_EQUAL(land_load(*cpu, PAGE), 1000 + i);
		}
	}
	/* Two take turns: both keep their translations. */
	as_run(*cpu, &as[0]);
	land_load(*cpu, PAGE);
	as_run(*cpu, &as[1]);
	land_load(*cpu, PAGE);
	since((*cpu)->quire, &counts);
	uint64_t walks = atomic_load_explicit(&mmu->counts.walks, memory_order_relaxed);
	for (unsigned i = 0; i < 10; i++) {
		as_run(*cpu, &as[i % 2]);
		CHECK_EQUAL(land_load(*cpu, PAGE), 1000 + i % 2);
	}
	CHECK_EQUAL(atomic_load_explicit(&mmu->counts.walks, memory_order_relaxed), walks);
	CHECK_COUNTS(counts, 0, 0, 0, 0);
	as_leave(*cpu);
	CHECK_EQUAL(land_load(*cpu, PAGE), 0);
	for (unsigned i = 0; i < SPACES; i++)
		land_end(cpu, &as[i]);
}

static void base_2_tags_keep_address_spaces_apart(void **state)
{
	(void)state;
	land_run(tags, 1);
}

/* ---- other CPUs see changes at once -------------------------------------------------------------------- */

static void seen_elsewhere(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	quire_vaddr moved;
	struct gather gather;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "www"), 0);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQUAL(look_from(s, *cpu, 1, LEAF + i * PAGE), LEAF + i * PAGE);
	clear_page(cpu, &as, LEAF);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF), 0);
	gather_begin(cpu, &gather, &as, LEAF, 2 * LEAF);
	CHECK_EQUAL(table_move(*cpu, &as, LEAF + PAGE, 3 * LEAF, PAGE, &gather, &moved), 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF + PAGE), 0); /* before the gather's own flush */
	gather_end(cpu, &gather);
	CHECK_EQUAL(look_from(s, *cpu, 1, 3 * LEAF), LEAF + PAGE);
	land_unmap(cpu, &as, 0, QUIRE_USER_END);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF + 2 * PAGE), 0);
	/* A new page, through new tables, in the place of the old ones. */
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF), LEAF);
	land_elsewhere(s, *cpu, 1, job_leave, NULL);
	land_end(cpu, &as);
}

static void base_3_changes_are_seen_on_every_cpu(void **state)
{
	(void)state;
	land_run(seen_elsewhere, 2);
}

/* Clear what is in [LEAF, @end), and let the table go; the flush is still owed. */
static void clear_and_owe(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr end,
			  enum cursor_intent intent, struct gather *gather)
{
	struct cursor cursor;

	cursor_begin(&cursor, cpu, as, LEAF, end, intent, gather);
	while (cursor_next(&cursor))
		cursor_clear(&cursor);
	cursor_end(&cursor);
}

/* Another CPU still has the old page at LEAF. We put a new one there, and store to it. */
static void check_new_page(struct scene *s, struct quire_cpu *cpu, struct quire_as *as)
{
	CHECK_EQUAL(look_from(s, cpu, 1, LEAF), LEAF);
	CHECK_EQUAL(land_draw(cpu, as, LEAF, "w"), 0);
	CHECK_EQUAL(land_store(cpu, LEAF, 99), true);
	CHECK_EQUAL(look_from(s, cpu, 1, LEAF), 99);
}

static void set_while_owed(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct gather gather;
	struct tlb_counts counts = { 0 };

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w..w"), 0);
	as_run(*cpu, &as);
	land_elsewhere(s, *cpu, 1, job_run, &as);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF), LEAF);
	gather_begin(cpu, &gather, &as, LEAF, LEAF + PAGE);
	clear_and_owe(*cpu, &as, LEAF + PAGE, CURSOR_PAGE, &gather);
	check_new_page(s, *cpu, &as);
	gather_end(cpu, &gather);
	/* Nobody owes anything now: nothing is flushed for a new entry. */
	since((*cpu)->quire, &counts);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF + PAGE, "ww"), 0);
	CHECK_COUNTS(counts, 0, 0, 0, 0);

	/* The same when the table has gone, and another stands in its place. */
	clear_page(cpu, &as, LEAF);
	CHECK_EQUAL(land_draw(*cpu, &as, LEAF, "w"), 0);
	CHECK_EQUAL(look_from(s, *cpu, 1, LEAF), LEAF);
	gather_begin(cpu, &gather, &as, LEAF, 2 * LEAF);
	clear_and_owe(*cpu, &as, 2 * LEAF, CURSOR_MM, &gather);
	CHECK_EQUAL(land_tables(*cpu, &as), QUIRE_LEVELS - 1);
	check_new_page(s, *cpu, &as);
	gather_end(cpu, &gather);
	as_leave(*cpu);
	land_elsewhere(s, *cpu, 1, job_leave, NULL);
	land_end(cpu, &as);
}

static void vma_4_new_entry_where_a_flush_is_owed(void **state)
{
	(void)state;
	land_run(set_while_owed, 2);
}

/* ---- notifiers ----------------------------------------------------------------------------------------- */

struct device {
	struct quire_notifier notifier;
	unsigned starts, ends, releases;
	quire_vaddr start, end;
};

static void on_start(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr start,
		     quire_vaddr end)
{
	struct device *device = notifier->data;

	(void)cpu;
	device->starts++;
	device->start = start;
	device->end = end;
}

static void on_end(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr start,
		   quire_vaddr end)
{
	struct device *device = notifier->data;

	(void)cpu;
	device->ends += start == device->start && end == device->end;
}

static void on_release(struct quire_notifier *notifier, struct quire_cpu **cpu)
{
	(void)cpu;
	((struct device *)notifier->data)->releases++;
}

static const struct quire_notifier_ops device_ops = { on_start, on_end, on_release };

static void devices(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_as as;
	struct device a = { 0 }, b = { 0 };
	struct gather gather;

	a.notifier = (struct quire_notifier){ .ops = &device_ops, .data = &a };
	b.notifier = (struct quire_notifier){ .ops = &device_ops, .data = &b };
	CHECK_EQUAL(as_create(*cpu, &as), 0);
	as_notifier_add(cpu, &as, &a.notifier);
	as_notifier_add(cpu, &as, &b.notifier);
	uint64_t seq = quire_notifier_seq(&a.notifier);
	CHECK(!quire_notifier_retry(&a.notifier, seq));
	gather_begin(cpu, &gather, &as, PAGE, 3 * PAGE);
	CHECK_EQUAL(a.starts, 1);
	CHECK_EQUAL(b.starts, 1);
	CHECK_EQUAL(a.start, PAGE);
	CHECK_EQUAL(a.end, 3 * PAGE);
	CHECK(quire_notifier_retry(&a.notifier, seq));
	uint64_t between = quire_notifier_seq(&a.notifier); /* while it is under way */
	CHECK(quire_notifier_retry(&a.notifier, between));
	gather_flush(*cpu, &gather);
	CHECK_EQUAL(a.ends, 0);
	gather_end(cpu, &gather);
	CHECK_EQUAL(a.ends, 1);
	CHECK_EQUAL(b.ends, 1);
	CHECK(quire_notifier_retry(&a.notifier, seq));
	CHECK(quire_notifier_retry(&a.notifier,
				   between)); /* what was translated meanwhile may be the old page */
	CHECK(!quire_notifier_retry(&a.notifier, quire_notifier_seq(&a.notifier)));

	as_notifier_remove(cpu, &as, &a.notifier); /* the second in the list */
	gather_begin(cpu, &gather, &as, 0, PAGE);
	gather_end(cpu, &gather);
	CHECK_EQUAL(a.starts, 1);
	CHECK_EQUAL(b.starts, 2);
	as_notifier_add(cpu, &as, &a.notifier);
	as_notifiers_release(cpu, &as);
	CHECK_EQUAL(a.releases, 1);
	CHECK_EQUAL(b.releases, 1);
	land_end(cpu, &as);
	CHECK_EQUAL(b.starts, 2);
}

static void base_7_notifiers_hear_both_ends(void **state)
{
	(void)state;
	land_run(devices, 1);
}

/* From the front, the middle and the end of the list. */
static void coming_and_going(struct scene *s, struct quire_cpu **cpu)
{
	static const unsigned orders[][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 2, 1, 0 }, { 1, 2, 0 } };
	struct quire_as as;
	struct device devices[3];
	struct gather gather;

	CHECK_EQUAL(as_create(*cpu, &as), 0);
	for (unsigned order = 0; order < 4; order++) {
		for (unsigned i = 0; i < 3; i++) {
			devices[i] = (struct device){ .starts = 0 };
			devices[i].notifier = (struct quire_notifier){ .ops = &device_ops,
								       .data = &devices[i] };
			as_notifier_add(cpu, &as, &devices[i].notifier);
		}
		for (unsigned gone = 0; gone <= 3; gone++) {
			gather_begin(cpu, &gather, &as, 0, PAGE);
			gather_end(cpu, &gather);
			for (unsigned i = 0; i < 3; i++)
				CHECK_EQUAL(devices[orders[order][i]].starts, i < gone ? i + 1 : gone + 1);
			if (gone < 3)
				as_notifier_remove(cpu, &as, &devices[orders[order][gone]].notifier);
		}
	}
	land_end(cpu, &as);
}

static void base_7_notifiers_come_and_go(void **state)
{
	(void)state;
	land_run(coming_and_going, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_3_only_cpus_that_run_it_are_interrupted),
		cmocka_unit_test(base_3_lazy_cpu_is_not_interrupted),
		cmocka_unit_test(base_3_lazy_cpu_leaves_before_tables_go),
		cmocka_unit_test(base_3_destroying_evicts_lazy_cpus),
		cmocka_unit_test(base_3_large_ranges_are_flushed_whole),
		cmocka_unit_test(base_3_who_was_away_flushes_on_return),
		cmocka_unit_test(base_2_tags_keep_address_spaces_apart),
		cmocka_unit_test(base_3_changes_are_seen_on_every_cpu),
		cmocka_unit_test(vma_4_new_entry_where_a_flush_is_owed),
		cmocka_unit_test(base_7_notifiers_hear_both_ends),
		cmocka_unit_test(base_7_notifiers_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
