/*
 * walks_threads.c - changes of entries and flushes, a step each, without locks; and what a CPU then finds.
 *
 * A finding is what the loads got, two bits each: 0 a fault, 1 the first page, 2 the second.
 */
#include "walks_threads.h"

#include "../../../core/space/mm.h"
#include "../../../core/table/walk.h"

static struct {
	struct quire *quire;
	_Atomic quire_entry *slot, *slot_y, *upper;
	quire_entry first, second, table;
	struct folio *page;
	quire_pfn root;
} scene;

void setup_walks(void)
{
	struct quire_as *as = &scene_mm->as;
	struct quire_cpu *cpu = *machine_cpu(scene_machine, 0);
	struct walk at_leaf, at_above;

	walk_down(as, X, 0, &at_leaf);
	walk_down(as, X, 1, &at_above);
	struct folio *leaf = at_leaf.table, *above = at_above.table;
	struct folio *other = folio_alloc_zeroed(cpu, FOLIO_ANON, 0);

	scene.quire = as->quire;
	scene.slot = table_slot(as->quire, leaf, table_index(X, 0));
	scene.slot_y = table_slot(as->quire, leaf, table_index(Y, 0));
	scene.upper = table_slot(as->quire, above, table_index(X, 1));
	scene.first = atomic_load_explicit(scene.slot, memory_order_relaxed);
	scene.table = atomic_load_explicit(scene.upper, memory_order_relaxed);
	scene.second = entry_make(folio_pfn(as->quire, other), scene.first & ~ENTRY_PFN_MASK);
	scene.page = entry_folio(as->quire, scene.first);
	scene.root = folio_pfn(as->quire, as->root);
	*(uint64_t *)folio_memory(as->quire, other) = 9;
	atomic_store_explicit(scene.slot_y, scene.second, memory_order_relaxed);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

static void put(_Atomic quire_entry *slot, quire_entry entry)
{
	atomic_store_explicit(slot, entry, memory_order_seq_cst);
}

static void flush_handler(struct quire_cpu *cpu, void *argument)
{
	if (argument)
		quire_port_tlb_flush_asid(cpu, 1);
	else
		quire_port_tlb_flush_range(cpu, 1, X, X + QUIRE_PAGE_SIZE);
}

static void flush(struct quire_cpu *cpu, bool all)
{
	struct quire_cpu_mask targets;

	atomic_store_explicit(&targets.bits[0], 2, memory_order_relaxed);
	quire_port_ipi(cpu, &targets, flush_handler, all ? &targets : NULL);
}

COLUMN(col_clear)
{
	(void)cpu;
	put(scene.slot, 0);
}

COLUMN(col_clear_flush)
{
	put(scene.slot, 0);
	flush(*cpu, false);
}

COLUMN(col_clear_flush_set)
{
	put(scene.slot, 0);
	flush(*cpu, false);
	put(scene.slot, scene.second);
}

COLUMN(col_clear_set_flush)
{
	put(scene.slot, 0);
	put(scene.slot, scene.second);
	flush(*cpu, false);
}

COLUMN(col_clear_flush_all)
{
	put(scene.slot, 0);
	flush(*cpu, true);
}

COLUMN(col_flush_only)
{
	flush(*cpu, false);
}

COLUMN(col_cut)
{
	(void)cpu;
	put(scene.upper, 0);
}

COLUMN(col_cut_flush)
{
	put(scene.upper, 0);
	flush(*cpu, false);
}

COLUMN(col_cut_refill)
{
	(void)cpu;
	put(scene.upper, 0);
	put(scene.slot, scene.second);
}

COLUMN(col_protect_flush)
{
	put(scene.slot, scene.first & ~(ENTRY_WRITE | ENTRY_USER));
	flush(*cpu, false);
}

static void call(struct quire_cpu **cpu, bool flushes)
{
	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "munmap", 7);
	put(scene.slot, 0);
	if (flushes)
		flush(*cpu, false);
	machine_call_end(scene_machine, false);
}

COLUMN(col_call_clear_flush)
{
	call(cpu, true);
}

COLUMN(col_call_clear)
{
	call(cpu, false);
}

static void give_back(struct quire_cpu *cpu)
{
	(void)cpu;
	/* Only the count: the allocator would be most of the steps. */
	atomic_store_explicit(&scene.page->refs, 0, memory_order_seq_cst);
}

COLUMN(col_free_after_flush)
{
	put(scene.slot, 0);
	flush(*cpu, false);
	give_back(*cpu);
}

COLUMN(col_free)
{
	put(scene.slot, 0);
	give_back(*cpu);
}

/* ---- loads ------------------------------------------------------------------------------------------ */

static unsigned load(struct quire_cpu **cpu, quire_vaddr va)
{
	uint64_t value;

	if (!machine_try_load(scene_machine, cpu, scene_mm, va, &value))
		return 0;
	return value == 7 ? 1 : 2;
}

COLUMN(col_load)
{
	scene_find(load(cpu, X));
}

COLUMN(col_load_twice)
{
	unsigned first = load(cpu, X);

	scene_find(first << 2 | load(cpu, X));
}

COLUMN(col_load_x_and_y)
{
	unsigned first = load(cpu, X);

	scene_find(first << 2 | load(cpu, Y));
}

COLUMN(col_load_after_root)
{
	quire_port_load_root(*cpu, scene.root, 2);
	scene_find(load(cpu, X));
}

COLUMN(col_load_between_roots)
{
	unsigned first = load(cpu, X);

	quire_port_load_root(*cpu, scene.root, 2);
	unsigned second = load(cpu, X);
	quire_port_load_root(*cpu, scene.root, 1);
	scene_find(first << 4 | second << 2 | load(cpu, X));
}
