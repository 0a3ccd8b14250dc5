/*
 * land.c - see land.h.
 */
#include "land.h"

#include "../../core/base/object.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void run_body(struct quire_cpu **cpu, void *argument)
{
	struct scene *s = argument;
	struct phys_counts counts;

	quire_port_rcu_barrier(cpu);
	phys_counts((*cpu)->quire, &counts);
	s->frames = counts.free;
	s->objects = object_count((*cpu)->quire);
	s->body(s, cpu);
	if (!s->failed[0])
		scene_check_counts(s, cpu);
}

void land_run(void (*body)(struct scene *s, struct quire_cpu **cpu), unsigned cpus)
{
	struct scene s = { .body = body };
	struct hosted_config config = { .cpus = cpus,
					.memory_bytes = 8 * QUIRE_HUGE_PAGES * QUIRE_PAGE_SIZE +
							1024 * QUIRE_PAGE_SIZE,
					.seed = 1 };

	assert_int_equal(hosted_create(&config, &s.machine), 0);
	hosted_run(s.machine, 0, run_body, &s);
	if (s.failed[0])
		fail_msg("%s", s.failed); /* the machine is left as it is */
	hosted_destroy(s.machine);
}

struct errand {
	hosted_job *job;
	void *argument;
	_Atomic bool done;
};

static void run_errand(struct quire_cpu **cpu, void *argument)
{
	struct errand *errand = argument;

	errand->job(cpu, errand->argument);
	/* Release pairs with the acquire in land_elsewhere(). */
	atomic_store_explicit(&errand->done, true, memory_order_release);
}

void land_elsewhere(struct scene *s, struct quire_cpu *cpu, unsigned id, hosted_job *job, void *argument)
{
	struct errand errand = { .job = job, .argument = argument };

	hosted_post(s->machine, id, run_errand, &errand);
	while (!atomic_load_explicit(&errand.done, memory_order_acquire))
		quire_port_relax(cpu);
}

/* ---- pages --------------------------------------------------------------------------------------------- */

static void write_word(struct quire *quire, quire_pfn pfn, uint64_t word)
{
	atomic_store_explicit((_Atomic uint64_t *)frame_memory(quire, pfn), word, memory_order_relaxed);
}

int land_put_folio(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits,
		   struct folio *folio)
{
	struct cursor cursor;
	quire_entry entry = entry_make(folio_pfn(cpu->quire, folio), bits);

	int err = cursor_open(&cursor, cpu, as, va, CURSOR_FILL, NULL, NULL);
	if (err) {
		folio_put(cpu, folio);
		return err;
	}
	write_word(cpu->quire, folio_pfn(cpu->quire, folio), va);
	cursor_set(&cursor, entry, bits & ENTRY_SPECIAL ? NULL : folio);
	cursor_close(&cursor);
	if (bits & ENTRY_SPECIAL)
		folio_put(cpu, folio); /* nobody asks for what is in it */
	return 0;
}

int land_put(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits)
{
	struct folio *folio = folio_alloc_zeroed(cpu, FOLIO_ANON, 0);

	return folio ? land_put_folio(cpu, as, va, bits, folio) : -QUIRE_ENOMEM;
}

int land_put_huge(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits)
{
	struct folio *folio = folio_alloc_zeroed(cpu, FOLIO_ANON, QUIRE_HUGE_ORDER);
	struct cursor cursor;

	if (!folio)
		return -QUIRE_ENOMEM;
	int err = cursor_open_huge(&cursor, cpu, as, va, NULL, NULL);
	if (!err && cursor.entry) {
		cursor_close(&cursor);
		err = -QUIRE_EEXIST;
	}
	if (err) {
		folio_put(cpu, folio);
		return err;
	}
	for (quire_vaddr i = 0; i < QUIRE_HUGE_PAGES; i++)
		write_word(cpu->quire, folio_pfn(cpu->quire, folio) + i, va + i * QUIRE_PAGE_SIZE);
	cursor_set(&cursor, entry_make(folio_pfn(cpu->quire, folio), bits | ENTRY_HUGE), folio);
	cursor_close(&cursor);
	return 0;
}

static quire_entry bits_of(char c)
{
	switch (c) {
	case 'r':
		return LAND_READ;
	case 'w':
		return LAND_WRITE;
	case 'n':
		return LAND_NONE;
	case 'z':
		return LAND_READ | ENTRY_SPECIAL;
	default:
		return 0;
	}
}

int land_draw(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, const char *picture)
{
	for (; *picture; picture++, va += QUIRE_PAGE_SIZE) {
		int err = bits_of(*picture) ? land_put(cpu, as, va, bits_of(*picture)) : 0;
		if (err)
			return err;
	}
	return 0;
}

static char draw(quire_entry entry)
{
	if (!entry)
		return '.';
	if (entry & ENTRY_SPECIAL)
		return 'z';
	if (!entry_is_live(entry))
		return 'n';
	return entry_is_writable(entry) ? 'w' : 'r';
}

const char *land_picture(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned pages)
{
	static char pictures[4][LAND_PICTURE + 1];
	static unsigned turn;
	char *picture = pictures[turn++ % 4];

	for (unsigned i = 0; i < pages && i < LAND_PICTURE; i++) {
		struct cursor cursor;
		picture[i] = '.';
		picture[i + 1] = 0;
		if (cursor_open(&cursor, cpu, as, va + i * QUIRE_PAGE_SIZE, CURSOR_READ, NULL, NULL))
			continue;
		picture[i] = draw(cursor.entry);
		cursor_close(&cursor);
	}
	return picture;
}

static void clear(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end,
		  enum cursor_intent intent)
{
	struct gather gather;
	struct cursor cursor;

	gather_begin(cpu, &gather, as, start, end);
	cursor_begin(&cursor, *cpu, as, start, end, intent, &gather);
	while (cursor_next(&cursor))
		cursor_clear(&cursor);
	cursor_end(&cursor);
	gather_end(cpu, &gather);
}

void land_unmap(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	clear(cpu, as, start, end, CURSOR_MM);
}

void land_truncate(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end)
{
	clear(cpu, as, start, end, CURSOR_PAGE);
}

struct folio *land_folio(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va)
{
	struct cursor cursor;

	if (cursor_open(&cursor, cpu, as, va, CURSOR_READ, NULL, NULL))
		return NULL;
	struct folio *folio = entry_folio(cpu->quire, cursor.entry);
	cursor_close(&cursor);
	return folio;
}

/* ---- counts -------------------------------------------------------------------------------------------- */

uint64_t land_tables(struct quire_cpu *cpu, struct quire_as *as)
{
	struct as_counts counts;

	as_counts(cpu, as, &counts);
	return counts.tables;
}

uint64_t land_rss(struct quire_cpu *cpu, struct quire_as *as)
{
	struct as_counts counts;

	as_counts(cpu, as, &counts);
	return counts.rss[RSS_ANON] + counts.rss[RSS_FILE] + counts.rss[RSS_SHMEM];
}

void land_end(struct quire_cpu **cpu, struct quire_as *as)
{
	as_leave(*cpu);
	land_unmap(cpu, as, 0, QUIRE_USER_END);
	as_destroy(cpu, as);
}
