/*
 * calls_threads.c - a call of the core's against a store; and changes of tables, which no call makes so.
 */
#include "calls_threads.h"

#include "../../../core/space/mm.h"
#include "../../../core/table/cursor.h"
#include "../../../core/table/move.h"

static struct quire_mm **mms; /* A and its child, in memory of the machine's */

void col_munmap(struct quire_cpu **cpu)
{
	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "munmap", 7);
	int err = quire_munmap(cpu, scene_mm, X, QUIRE_PAGE_SIZE);
	machine_call_end(scene_machine, err != 0);
}

/* 1: both before the unmapping; 2: the load faults; 3: both fault; 0: what cannot be. */
void col_store_and_load(struct quire_cpu **cpu)
{
	struct machine_result stored = machine_store(scene_machine, cpu, scene_mm, X, 8, 9);
	struct machine_result loaded = machine_load(scene_machine, cpu, scene_mm, X, 8);

	if (!stored.signal && !loaded.signal && loaded.value == 9)
		scene_find(1);
	else if (loaded.signal)
		scene_find(stored.signal ? 3 : 2);
}

void setup_fork(void)
{
	mms = machine_memory(scene_machine, 2 * sizeof(*mms));
	mms[0] = scene_mm;
}

struct quire_mm **fork_pair(void)
{
	return mms;
}

/* The child sees the store, or does not. */
void col_fork(struct quire_cpu **cpu)
{
	uint64_t seen = 0;

	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "fork", 0);
	int err = quire_fork(cpu, scene_mm, &mms[1]);
	machine_call_end(scene_machine, err != 0);
	if (err)
		return;
	quire_copy_from(cpu, mms[1], &seen, X, 8);
	scene_find(seen == 7 ? 1 : seen == 9 ? 2 : 0);
}

/* The same, and it is gone when the column ends. */
void col_fork_and_exit(struct quire_cpu **cpu)
{
	col_fork(cpu);
	if (mms[1])
		quire_mm_put(cpu, mms[1]);
	mms[1] = NULL;
}

void col_store(struct quire_cpu **cpu)
{
	machine_store(scene_machine, cpu, scene_mm, X, 8, 9);
}

/* ---- tables ----------------------------------------------------------------------------------------- */

#define Z (X + 2 * QUIRE_HUGE_SIZE)

void setup_move(void)
{
	struct quire_cpu *cpu = *machine_cpu(scene_machine, 0);
	struct folio *folio = folio_alloc_zeroed(cpu, FOLIO_ANON, 0);
	struct cursor cursor;

	cursor_open(&cursor, cpu, &scene_mm->as, Z, CURSOR_FILL, NULL, NULL);
	cursor_set(&cursor, entry_make(folio_pfn(cpu->quire, folio), ENTRY_PRESENT | ENTRY_USER), folio);
	cursor_close(&cursor);
}

void col_move(struct quire_cpu **cpu)
{
	struct quire_as *as = &scene_mm->as;
	struct gather gather;
	quire_vaddr moved;

	gather_begin(cpu, &gather, as, X, X + QUIRE_PAGE_SIZE);
	table_move(*cpu, as, X, Z + QUIRE_PAGE_SIZE, QUIRE_PAGE_SIZE, &gather, &moved);
	gather_end(cpu, &gather);
}

void col_empty(struct quire_cpu **cpu)
{
	struct quire_as *as = &scene_mm->as;
	struct gather gather;
	struct cursor cursor;

	gather_begin(cpu, &gather, as, Z, Z + QUIRE_HUGE_SIZE);
	cursor_begin(&cursor, *cpu, as, Z, Z + QUIRE_HUGE_SIZE, CURSOR_MM, &gather);
	while (cursor_next(&cursor))
		cursor_clear(&cursor);
	cursor_end(&cursor);
	gather_end(cpu, &gather);
}
