/*
 * test_table_race.c - several CPUs change the same few tables at random, while their hardware walks them.
 *
 * Every page carries a stamp: its address space, and the group of addresses at which it may ever be. An entry
 * may be set, cleared, replaced, protected and moved within its group at any time; whoever reaches a page
 * through its MMU must find the stamp of the place. A translation that outlives its flush finds, sooner or
 * later, what somebody else made of the frame.
 */
#include "land.h"

#include "../../core/base/bits.h"
#include "../../core/base/sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define LEAF QUIRE_HUGE_SIZE
#define SPACES (QUIRE_ASIDS + 1)
#define SLOTS 16 /* places in each space */
#define GROUPS 8
#define CPUS (QUIRE_MAX_CPUS > 4 ? 4 : 3)

#ifdef QUIRE_TEST_ROUNDS /* where it runs says how many there is time for */
#define ROUNDS QUIRE_TEST_ROUNDS
#elif defined(__SANITIZE_THREAD__)
#define ROUNDS 5000
#else
#define ROUNDS 60000
#endif

struct world {
	struct scene *scene;
	struct quire_as spaces[SPACES];
	struct rwlock
		shape[SPACES]; /* written to move entries, read to put new ones: a destination stays empty */
	_Atomic uint64_t wrong, loads, found;
};

struct worker {
	struct world *world;
	uint64_t random;
	unsigned space; /* that this CPU runs */
	bool away;	/* it runs none now */
};

static unsigned pick(struct worker *worker, unsigned below)
{
	worker->random = worker->random * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(worker->random >> 33) % below;
}

/* Slots of one group lie in different tables; neighbours in one table. */
static quire_vaddr place(unsigned slot)
{
	if (slot < GROUPS)
		return LEAF - GROUPS / 2 * PAGE + slot * PAGE;
	return 4 * LEAF - GROUPS / 3 * PAGE + (slot - GROUPS) * PAGE;
}

static uint64_t stamp(unsigned space, unsigned slot)
{
	return 1000 * (space + 1) + slot % GROUPS;
}

static struct folio *stamped(struct quire_cpu *cpu, unsigned space, unsigned slot)
{
	struct folio *folio = folio_alloc(cpu, FOLIO_ANON, 0);

	if (folio)
		atomic_store_explicit((_Atomic uint64_t *)folio_memory(cpu->quire, folio), stamp(space, slot),
				      memory_order_relaxed);
	return folio;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Leave others time between a change and its flush. */
static void linger(struct worker *worker, struct quire_cpu *cpu)
{
	if (pick(worker, 4))
		return;
	for (unsigned turns = pick(worker, 16); turns; turns--)
		quire_port_relax(cpu);
}

static void act_load(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	struct world *world = worker->world;

	(void)space;
	if (worker->away)
		return;
	hosted_poll(*cpu);
	uint64_t found = land_load(*cpu, place(slot));
	count(&world->loads);
	if (found)
		count(&world->found);
	if (found && found != stamp(worker->space, slot))
		count(&world->wrong);
}

static void act_store(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	(void)space;
	if (worker->away)
		return;
	hosted_poll(*cpu);
	land_store(*cpu, place(slot), stamp(worker->space, slot));
}

static void act_put(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	struct world *world = worker->world;
	struct cursor cursor;
	struct folio *folio = stamped(*cpu, space, slot);

	if (!folio)
		return;
	rwlock_read(cpu, &world->shape[space]);
	int err = cursor_open(&cursor, *cpu, &world->spaces[space], place(slot), CURSOR_FILL, NULL, NULL);
	if (!err && !cursor.entry) {
		cursor_set(&cursor, entry_make(folio_pfn((*cpu)->quire, folio), LAND_WRITE), folio);
		folio = NULL;
	}
	if (!err)
		cursor_close(&cursor);
	rwlock_read_done(*cpu, &world->shape[space]);
	if (folio)
		folio_put(*cpu, folio);
}

static void clear(struct worker *worker, struct quire_cpu **cpu, unsigned space, quire_vaddr start,
		  quire_vaddr end, enum cursor_intent intent)
{
	struct gather gather;
	struct cursor cursor;

	gather_begin(cpu, &gather, &worker->world->spaces[space], start, end);
	cursor_begin(&cursor, *cpu, &worker->world->spaces[space], start, end, intent, &gather);
	while (cursor_next(&cursor))
		cursor_clear(&cursor);
	cursor_end(&cursor);
	linger(worker, *cpu);
	gather_end(cpu, &gather);
}

static void act_clear(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	quire_vaddr va = place(slot), leaf = align_down(va, LEAF);

	switch (pick(worker, 4)) {
	case 0:
		clear(worker, cpu, space, va, va + PAGE, CURSOR_MM);
		break;
	case 1:
		clear(worker, cpu, space, va, va + 3 * PAGE, CURSOR_PAGE);
		break;
	case 2:
		clear(worker, cpu, space, leaf, leaf + LEAF, CURSOR_MM);
		break;
	default:
		if (pick(worker, 4) == 0)
			clear(worker, cpu, space, 0, QUIRE_USER_END, CURSOR_MM);
		break;
	}
}

static void act_replace(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	struct quire_as *as = &worker->world->spaces[space];
	struct folio *folio = stamped(*cpu, space, slot);
	struct cursor cursor;
	struct gather gather;

	if (!folio)
		return;
	gather_begin(cpu, &gather, as, place(slot), place(slot) + PAGE);
	if (!cursor_open(&cursor, *cpu, as, place(slot), CURSOR_MM, &gather, NULL)) {
		if (cursor.entry) {
			cursor_replace(&cursor, entry_make(folio_pfn((*cpu)->quire, folio), LAND_WRITE),
				       folio);
			folio = NULL;
		}
		cursor_close(&cursor);
	}
	gather_end(cpu, &gather);
	if (folio)
		folio_put(*cpu, folio);
}

static void act_protect(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	struct quire_as *as = &worker->world->spaces[space];
	quire_entry on = pick(worker, 2) ? ENTRY_NONE : ENTRY_PRESENT | (pick(worker, 2) ? ENTRY_WRITE : 0);
	struct cursor cursor;
	struct gather gather;

	gather_begin(cpu, &gather, as, place(slot), place(slot) + 4 * PAGE);
	cursor_begin(&cursor, *cpu, as, place(slot), place(slot) + 4 * PAGE, CURSOR_MM, &gather);
	while (cursor_next(&cursor))
		cursor_protect(&cursor, ENTRY_PROT_MASK & ~on, on);
	cursor_end(&cursor);
	linger(worker, *cpu);
	gather_end(cpu, &gather);
}

/* The first of a group's two places and some after it change places with nothing. */
static void act_move(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	struct world *world = worker->world;
	struct quire_as *as = &world->spaces[space];
	unsigned first = slot % GROUPS, pages = 1 + pick(worker, GROUPS - first);
	unsigned from = pick(worker, 2) ? first : first + GROUPS, to = (from + GROUPS) % SLOTS;
	struct gather gather;
	quire_vaddr moved;

	rwlock_write(cpu, &world->shape[space]);
	land_unmap(cpu, as, place(to), place(to) + pages * PAGE);
	gather_begin(cpu, &gather, as, place(from), place(from) + pages * PAGE);
	table_move(*cpu, as, place(from), place(to), pages * PAGE, &gather, &moved);
	gather_end(cpu, &gather);
	rwlock_write_done(*cpu, &world->shape[space]);
}

static void act_switch(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot)
{
	(void)slot;
	switch (pick(worker, 5)) {
	case 0:
		as_idle(*cpu);
		worker->away = true;
		break;
	case 1:
		as_leave(*cpu);
		worker->away = true;
		break;
	case 2:
		space = worker->space;
		/* fall through */
	default:
		as_run(*cpu, &worker->world->spaces[space]);
		worker->space = space;
		worker->away = false;
		break;
	}
}

typedef void act(struct worker *worker, struct quire_cpu **cpu, unsigned space, unsigned slot);

static void work(struct quire_cpu **cpu, void *argument)
{
	static act *const acts[] = { act_load,	  act_load, act_load,  act_load,  act_store,
				     act_put,	  act_put,  act_put,   act_clear, act_replace,
				     act_protect, act_move, act_switch };
	struct worker *worker = argument;

	worker->away = true;
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* Mostly in one space, or hardly anything would meet. */
		unsigned space = pick(worker, 6) ? 0 : pick(worker, SPACES);
		acts[pick(worker, sizeof(acts) / sizeof(acts[0]))](worker, cpu, space, pick(worker, SLOTS));
		if (round % 64 == 0)
			act_switch(worker, cpu, 0, 0);
	}
	as_idle(*cpu);
}

struct errand {
	struct worker worker;
	_Atomic bool done;
};

static void run_worker(struct quire_cpu **cpu, void *argument)
{
	struct errand *errand = argument;

	work(cpu, &errand->worker);
	/* Release pairs with the acquire in race(). */
	atomic_store_explicit(&errand->done, true, memory_order_release);
}

static void race(struct scene *s, struct quire_cpu **cpu)
{
	static struct world world;
	struct errand errands[CPUS];
	const char *what;

	world = (struct world){ .scene = s };
	for (unsigned i = 0; i < SPACES; i++)
		CHECK_EQUAL(as_create(*cpu, &world.spaces[i]), 0);
	for (unsigned i = 0; i < CPUS; i++) {
		errands[i] = (struct errand){ .worker = { .world = &world, .random = 7 + i } };
		if (i > 0)
			hosted_post(s->machine, i, run_worker, &errands[i]);
	}
	run_worker(cpu, &errands[0]);
	for (unsigned i = 1; i < CPUS; i++) {
		while (!atomic_load_explicit(&errands[i].done, memory_order_acquire))
			quire_port_relax(*cpu);
	}
	CHECK_EQUAL(world.wrong, 0);
	CHECK(world.found > world.loads / 20); /* or the test would not have met anything */
	for (unsigned i = 0; i < SPACES; i++) {
		if (!as_check(*cpu, &world.spaces[i], &what))
			CHECK_DRAWN(what, "");
		land_end(cpu, &world.spaces[i]);
	}
}

static void base_3_no_cpu_reaches_a_page_that_is_not_its_own(void **state)
{
	(void)state;
	land_run(race, CPUS);
}

/* ---- dirty bits ---------------------------------------------------------------------------------------- */

/*
 * Turn by turn: a clean page is put, one CPU stores to it once while another rewrites its entry again and
 * again. Whoever looks at the entry afterwards must find it dirty.
 */
struct turns {
	struct quire_as as;
	_Atomic uint64_t begun, ended; /* turns */
};

#define TURNS (ROUNDS / 4)

static void store_each_turn(struct quire_cpu **cpu, void *argument)
{
	struct turns *turns = argument;

	as_run(*cpu, &turns->as);
	for (uint64_t turn = 1; turn <= TURNS; turn++) {
		/* Acquire pairs with the release in dirty_race(): the page is there. */
		while (atomic_load_explicit(&turns->begun, memory_order_acquire) < turn)
			quire_port_relax(*cpu);
		for (unsigned i = 0; i < turn % 64; i++)
			atomic_signal_fence(memory_order_seq_cst);
		hosted_poll(*cpu);
		while (!land_store(*cpu, LEAF, turn))
			quire_port_relax(*cpu);
		atomic_store_explicit(&turns->ended, turn, memory_order_release);
	}
	as_leave(*cpu);
}

static void one_turn(struct scene *s, struct quire_cpu **cpu, struct turns *turns, uint64_t turn)
{
	struct cursor cursor;

	CHECK_EQUAL(land_put(*cpu, &turns->as, LEAF, LAND_WRITE), 0);
	CHECK_EQUAL(cursor_open(&cursor, *cpu, &turns->as, LEAF, CURSOR_FILL, NULL, NULL), 0);
	atomic_store_explicit(&turns->begun, turn, memory_order_release);
	/* Acquire pairs with the release in store_each_turn(). */
	while (atomic_load_explicit(&turns->ended, memory_order_acquire) < turn) {
		cursor_protect(&cursor, ENTRY_ACCESSED, 0);
		cursor_protect(&cursor, 0, ENTRY_ACCESSED);
		quire_port_relax(*cpu);
	}
	CHECK(cursor_protect(&cursor, 0, 0) & ENTRY_DIRTY);
	cursor_close(&cursor);
	struct folio *folio = land_folio(*cpu, &turns->as, LEAF);
	folio_get(folio);
	land_truncate(cpu, &turns->as, LEAF, LEAF + PAGE);
	CHECK(folio_flags(folio) & FOLIO_DIRTY);
	folio_put(*cpu, folio);
}

static void dirty_race(struct scene *s, struct quire_cpu **cpu)
{
	static struct turns turns;

	atomic_store_explicit(&turns.begun, 0, memory_order_relaxed);
	atomic_store_explicit(&turns.ended, 0, memory_order_relaxed);
	CHECK_EQUAL(as_create(*cpu, &turns.as), 0);
	hosted_post(s->machine, 1, store_each_turn, &turns);
	for (uint64_t turn = 1; turn <= TURNS; turn++) {
		one_turn(s, cpu, &turns, turn);
		if (s->failed[0])
			return;
	}
	land_end(cpu, &turns.as);
}

static void pin_8_no_dirty_bit_is_lost(void **state)
{
	(void)state;
	land_run(dirty_race, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_3_no_cpu_reaches_a_page_that_is_not_its_own),
		cmocka_unit_test(pin_8_no_dirty_bit_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
