/*
 * oracles_threads.c - what is deliberately wrong, and the same done right.
 *
 * Entries are changed by hand here, as no code of the core's would: under the table's lock, with its counts,
 * and with or without what else is owed. The fault to be made is a variable of the test's: nothing but it
 * differs.
 */
#include "oracles_threads.h"

#include "../../../core/base/object.h"
#include "../../../core/base/sync.h"
#include "../../../core/space/mm.h"
#include "../../../core/table/gather.h"
#include "../../../core/table/notifier.h"
#include "../../../core/table/tlb.h"
#include "../../../core/table/walk.h"

enum fault fault;

#define EVERY_ACCESS (1u << QUIRE_ACCESS_READ | 1u << QUIRE_ACCESS_WRITE | 1u << QUIRE_ACCESS_EXEC)

/* In the arena. */
static struct words {
	_Atomic uint32_t futex;
	uint32_t event, second_event;
	struct rwlock a, b;
	struct quire_spin spin;
	struct folio *page;   /* of x, with a reference of ours */
	struct folio *second; /* to be put at x instead */
	struct object_of_ours {
		uint64_t value;
	} * object;
} * words;

static struct quire_file *file;

void setup_words(void)
{
	words = machine_memory(scene_machine, sizeof(*words));
	machine_name(scene_machine, words, "words");
}

/* ---- entries, by hand ------------------------------------------------------------------------------- */

static struct quire_as *as(void)
{
	return &scene_mm->as;
}

static struct quire *quire(void)
{
	return as()->quire;
}

static struct folio *table_of(quire_vaddr va, unsigned level)
{
	struct walk walk;

	walk_down(as(), va, level, &walk);
	return walk.table;
}

static _Atomic quire_entry *slot_of(quire_vaddr va, unsigned level)
{
	return table_slot(quire(), table_of(va, level), table_index(va, level));
}

static void flush(struct quire_cpu *cpu, quire_vaddr va)
{
	if (fault != NO_FLUSH)
		tlb_flush(cpu, as(), va, va + QUIRE_PAGE_SIZE);
}

/* With the table locked. */
static quire_entry clear_locked(struct folio *table, quire_vaddr va)
{
	quire_entry old = atomic_exchange_explicit(slot_of(va, 0), 0, memory_order_acq_rel);

	table->table.used--;
	table->table.rss[RSS_ANON]--;
	atomic_fetch_sub_explicit(&entry_folio(quire(), old)->maps, 1, memory_order_release);
	return old;
}

static void set_locked(struct folio *table, quire_vaddr va, struct folio *folio)
{
	quire_entry bits = ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER | ENTRY_ACCESSED | ENTRY_DIRTY | ENTRY_NX;

	atomic_fetch_add_explicit(&folio->maps, 1, memory_order_relaxed);
	table->table.used++;
	table->table.rss[RSS_ANON]++;
	atomic_store_explicit(slot_of(va, 0), entry_make(folio_pfn(quire(), folio), bits),
			      memory_order_release);
}

/* Clear the entry: the page is nobody's but the caller's. Returns what was there. */
static quire_entry clear(struct quire_cpu *cpu, quire_vaddr va)
{
	struct folio *table = table_of(va, 0);

	quire_spin_lock(cpu, &table->table.lock);
	quire_entry old = clear_locked(table, va);
	quire_spin_unlock(cpu, &table->table.lock);
	return old;
}

/* Put @folio, whose reference becomes the entry's, where nothing is; unless something is. */
static void set(struct quire_cpu *cpu, quire_vaddr va, struct folio *folio)
{
	struct folio *table = table_of(va, 0);

	quire_spin_lock(cpu, &table->table.lock);
	if (!atomic_load_explicit(slot_of(va, 0), memory_order_relaxed))
		set_locked(table, va, folio);
	quire_spin_unlock(cpu, &table->table.lock);
}

/* ---- accesses --------------------------------------------------------------------------------------- */

static unsigned load(struct quire_cpu **cpu, quire_vaddr va)
{
	struct machine_result result = machine_load(scene_machine, cpu, scene_mm, va, 8);

	return result.signal || result.error ? 99 : (unsigned)result.value;
}

COLUMN(col_nothing)
{
	(void)cpu;
}

COLUMN(col_load_x)
{
	scene_find(load(cpu, X) == 7 ? 1 : 2);
}

COLUMN(col_load_x_after)
{
	machine_wait(scene_machine, &words->event);
	col_load_x(cpu);
}

COLUMN(col_load_x_twice)
{
	unsigned first = load(cpu, X), second = load(cpu, X);

	scene_find(first == 9 && second == 7 ? 1 : first == 7 && second == 9 ? 2 : 3);
}

COLUMN(col_store_x)
{
	machine_store(scene_machine, cpu, scene_mm, X, 8, 9);
}

COLUMN(col_store_two_words)
{
	machine_store(scene_machine, cpu, scene_mm, X, 8, 8);
	machine_store(scene_machine, cpu, scene_mm, X + QUIRE_PAGE_SIZE - 8, 8, 8);
}

/* ---- stale translations ----------------------------------------------------------------------------- */

COLUMN(col_drop_page)
{
	quire_entry old = clear(*cpu, X);

	flush(*cpu, X);
	folio_put(*cpu, entry_folio(quire(), old));
}

COLUMN(col_replace_page)
{
	struct folio *fresh = folio_alloc_zeroed(*cpu, FOLIO_ANON, 0), *table = table_of(X, 0);

	quire_spin_lock(*cpu, &table->table.lock);
	quire_entry old = clear_locked(table, X);
	flush(*cpu, X);
	set_locked(table, X, fresh);
	quire_spin_unlock(*cpu, &table->table.lock);
	if (fault != NO_FLUSH)
		folio_put(*cpu, entry_folio(quire(), old));
}

COLUMN(col_take_away)
{
	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "munmap", EVERY_ACCESS);
	clear(*cpu, X);
	flush(*cpu, X);
	machine_call_end(scene_machine, false);
}

/* After so many calls about another page as nobody will have expected. */
COLUMN(col_take_away_late)
{
	for (unsigned i = 0; i < 100; i++) {
		machine_call_begin(scene_machine, scene_mm, Y, Y + QUIRE_PAGE_SIZE, "munmap", EVERY_ACCESS);
		machine_call_end(scene_machine, false);
	}
	col_take_away(cpu);
}

/* Another's call: it finds the entry clear, and must not return before that is flushed. */
COLUMN(col_find_it_gone)
{
	machine_wait(scene_machine, &words->event);
	machine_call_begin(scene_machine, scene_mm, X, X + QUIRE_PAGE_SIZE, "madvise DONTNEED", EVERY_ACCESS);
	atomic_load_explicit(slot_of(X, 0), memory_order_relaxed);
	flush(*cpu, X);
	machine_call_end(scene_machine, false);
	machine_post(scene_machine, &words->second_event);
}

COLUMN(col_load_x_at_last)
{
	machine_wait(scene_machine, &words->second_event);
	load(cpu, X);
}

COLUMN(col_clear_and_post)
{
	clear(*cpu, X);
	machine_post(scene_machine, &words->event);
}

COLUMN(col_map_fresh_page)
{
	struct folio *fresh = fault == NO_ZERO ? folio_alloc(*cpu, FOLIO_ANON, 0)
					       : folio_alloc_zeroed(*cpu, FOLIO_ANON, 0);

	set(*cpu, Y, fresh);
	load(cpu, Y);
}

COLUMN(col_drop_table)
{
	struct folio *table = table_of(X, 0);

	clear(*cpu, X);
	atomic_exchange_explicit(slot_of(X, 1), 0, memory_order_acq_rel);
	if (fault == NO_FLUSH)
		tlb_flush(*cpu, as(), Y + QUIRE_HUGE_SIZE,
			  Y + QUIRE_HUGE_SIZE + QUIRE_PAGE_SIZE); /* elsewhere */
	else
		tlb_flush_tables(*cpu, as(), X, X + QUIRE_PAGE_SIZE);
	folio_put(*cpu, table);
}

COLUMN(col_leave_and_post)
{
	if (fault != NO_FLUSH)
		quire_cpu_leave(*cpu);
	machine_post(scene_machine, &words->event);
}

COLUMN(col_drop_root)
{
	machine_wait(scene_machine, &words->event);
	quire_cpu_leave(*cpu);
	folio_put(*cpu, as()->root);
}

/* ---- what the adversary offers ---------------------------------------------------------------------- */

void setup_not_accessed(void)
{
	struct quire_cpu *cpu = *machine_cpu(scene_machine, 0);

	setup_words();
	atomic_fetch_and_explicit(slot_of(X, 0), ~ENTRY_ACCESSED, memory_order_relaxed);
	tlb_flush(cpu, as(), X, X + QUIRE_PAGE_SIZE);
}

void setup_second_page(void)
{
	setup_words();
	words->second = folio_alloc_zeroed(*machine_cpu(scene_machine, 0), FOLIO_ANON, 0);
	*(uint64_t *)folio_memory(quire(), words->second) = 9;
}

COLUMN(col_clear_entry)
{
	clear(*cpu, X);
	machine_post(scene_machine, &words->event);
}

COLUMN(col_set_other_page)
{
	machine_wait(scene_machine, &words->event);
	set(*cpu, X, words->second);
}

COLUMN(col_copy_x)
{
	uint64_t copy[QUIRE_PAGE_SIZE / 8];
	struct folio *page = entry_folio(quire(), atomic_load_explicit(slot_of(X, 0), memory_order_relaxed));

	(void)cpu;
	quire_port_copy(copy, folio_memory(quire(), page), sizeof(copy));
	uint64_t last = copy[QUIRE_PAGE_SIZE / 8 - 1];
	scene_find(copy[0] == 7 && last == 8 ? 1 : copy[0] == 7 ? 2 : last == 8 ? 3 : 4);
}

/* ---- locks and sleep -------------------------------------------------------------------------------- */

COLUMN(col_sleep)
{
	if (fault == SPIN_HELD)
		quire_spin_lock(*cpu, &words->spin);
	if (fault == SECTION_OPEN)
		quire_port_rcu_lock(*cpu);
	if (fault == TWICE)
		rwlock_read(cpu, &words->a);
	rwlock_read(cpu, &words->a);
	rwlock_read_done(*cpu, &words->a);
	if (fault == SPIN_HELD)
		quire_spin_unlock(*cpu, &words->spin);
	if (fault == SECTION_OPEN)
		quire_port_rcu_unlock(*cpu);
}

static void lock_both(struct quire_cpu **cpu, struct rwlock *first, struct rwlock *second)
{
	rwlock_write(cpu, first);
	rwlock_write(cpu, second);
	rwlock_write_done(*cpu, second);
	rwlock_write_done(*cpu, first);
}

COLUMN(col_lock_two)
{
	lock_both(cpu, &scene_mm->lock, &as()->notifiers_lock);
	machine_post(scene_machine, &words->event);
}

COLUMN(col_lock_two_after)
{
	machine_wait(scene_machine, &words->event);
	if (fault == WRONG_ORDER)
		lock_both(cpu, &as()->notifiers_lock, &scene_mm->lock);
	else
		lock_both(cpu, &scene_mm->lock, &as()->notifiers_lock);
}

COLUMN(col_lock_two_at_once)
{
	lock_both(cpu, &words->a, &words->b);
}

COLUMN(col_lock_two_at_once_backwards)
{
	if (fault == WRONG_ORDER)
		lock_both(cpu, &words->b, &words->a);
	else
		lock_both(cpu, &words->a, &words->b);
}

COLUMN(col_wait_for_word)
{
	while (!atomic_load_explicit(&words->futex, memory_order_acquire))
		quire_port_wait(cpu, &words->futex, 0);
}

COLUMN(col_change_word)
{
	atomic_store_explicit(&words->futex, 1, memory_order_release);
	if (fault != NO_WAKE)
		quire_port_wake_all(*cpu, &words->futex);
}

static struct folio *page_of_x(void)
{
	return entry_folio(quire(), atomic_load_explicit(slot_of(X, 0), memory_order_relaxed));
}

COLUMN(col_hold_folio)
{
	struct folio *page = page_of_x();

	folio_lock(cpu, page);
	folio_unlock(*cpu, page);
}

COLUMN(col_wait_for_folio)
{
	struct folio *page = page_of_x();

	if (fault == MM_LOCK_HELD)
		rwlock_read(cpu, &scene_mm->lock);
	folio_lock(cpu, page);
	folio_unlock(*cpu, page);
	if (fault == MM_LOCK_HELD)
		rwlock_read_done(*cpu, &scene_mm->lock);
}

static void handler(struct quire_cpu *cpu, void *argument)
{
	(void)argument;
	if (fault == WAKE_IN_HANDLER)
		quire_port_wake_all(cpu, &words->futex);
	if (fault != IN_HANDLER)
		return;
	quire_spin_lock(cpu, &words->spin);
	quire_spin_unlock(cpu, &words->spin);
}

COLUMN(col_interrupt)
{
	struct quire_cpu_mask targets;

	atomic_store_explicit(&targets.bits[0], 2, memory_order_relaxed);
	quire_port_ipi(*cpu, &targets, handler, NULL);
}

COLUMN(col_table_lock)
{
	struct folio *table = folio_alloc_zeroed(*cpu, FOLIO_TABLE, 0);

	quire_spin_lock(*cpu, &table->table.lock);
	if (fault == SPIN_HELD)
		folio_put(*cpu, table);
	quire_spin_unlock(*cpu, &table->table.lock);
	if (fault != SPIN_HELD)
		folio_put(*cpu, table);
}

/* ---- accounts --------------------------------------------------------------------------------------- */

COLUMN(col_objects)
{
	uint64_t *object = object_alloc(*cpu, 40);

	if (fault == LEAK)
		return;
	object_free(*cpu, object, fault == TOO_SMALL ? 24 : 40);
	if (fault == TWICE)
		object_free(*cpu, object, 40);
}

COLUMN(col_frames)
{
	struct folio *folio = folio_alloc(*cpu, FOLIO_ANON, 0);

	if (fault != LEAK)
		folio_put(*cpu, folio);
}

COLUMN(col_use_object)
{
	(void)cpu;
	words->object->value++;
	machine_post(scene_machine, &words->event);
}

COLUMN(col_free_object)
{
	if (fault != UNORDERED)
		machine_wait(scene_machine, &words->event);
	quire_port_free(*cpu, words->object, sizeof(*words->object));
}

void setup_object(void)
{
	setup_words();
	words->object = quire_port_alloc(*machine_cpu(scene_machine, 0), sizeof(*words->object));
}

COLUMN(col_store_to_freed)
{
	_Atomic uint64_t *object = quire_port_alloc(*cpu, sizeof(*object));

	if (fault != UNORDERED)
		atomic_store_explicit(object, 1, memory_order_relaxed);
	quire_port_free(*cpu, (void *)object, sizeof(*object));
	if (fault == UNORDERED)
		atomic_store_explicit(object, 1, memory_order_relaxed);
}

COLUMN(col_give_back_mapped)
{
	struct folio *page = page_of_x();

	atomic_fetch_sub_explicit(&page->maps, 1, memory_order_relaxed);
	if (fault != NO_FLUSH)
		atomic_store_explicit(slot_of(X, 0), 0, memory_order_relaxed);
	tlb_flush(*cpu, as(), X, X + QUIRE_PAGE_SIZE);
	folio_put(*cpu, page);
}

COLUMN(col_follow_freed_pointer)
{
	struct list {
		struct list *next;
	} *object = quire_port_alloc(*cpu, sizeof(*object));

	object->next = object;
	quire_port_free(*cpu, object, sizeof(*object));
	if (fault == UNORDERED && object->next->next)
		scene_find(1);
}

/* ---- a device --------------------------------------------------------------------------------------- */

void setup_device(void)
{
	struct quire_cpu **cpu = machine_cpu(scene_machine, 0);

	setup_words();
	machine_device_open(scene_machine, 0, cpu, scene_mm);
	machine_device_map(scene_machine, 0, cpu, X, QUIRE_ACCESS_WRITE);
}

COLUMN(col_device)
{
	(void)cpu;
	machine_device_store(scene_machine, 0, X, 8, 9);
}

COLUMN(col_change_under_device)
{
	if (fault != NOT_TOLD)
		notifiers_start(cpu, as(), X, X + QUIRE_PAGE_SIZE);
	quire_entry old = clear(*cpu, X);
	flush(*cpu, X);
	if (fault != NOT_TOLD)
		notifiers_end(cpu, as(), X, X + QUIRE_PAGE_SIZE);
	folio_put(*cpu, entry_folio(quire(), old));
}

/* ---- dirty bits ------------------------------------------------------------------------------------- */

void setup_file(void)
{
	struct quire_cpu **cpu = machine_cpu(scene_machine, 0);
	struct quire_mmap map = { .addr = Y,
				  .length = QUIRE_PAGE_SIZE,
				  .prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
				  .flags = QUIRE_MAP_SHARED | QUIRE_MAP_FIXED,
				  .access = QUIRE_FILE_READ | QUIRE_FILE_WRITE };

	setup_words();
	quire_file_create_ram(cpu, QUIRE_PAGE_SIZE, 1, &file);
	map.file = file;
	quire_mmap(cpu, scene_mm, &map);
	machine_load(scene_machine, cpu, scene_mm, Y, 8);
}

COLUMN(col_store_y)
{
	machine_store(scene_machine, cpu, scene_mm, Y, 8, 9);
}

/* PIN-8: read, then write, is not one step; the dirty bit that hardware sets between is lost. */
COLUMN(col_unmap_file_page)
{
	struct folio *table = table_of(Y, 0);
	_Atomic quire_entry *slot = slot_of(Y, 0);
	quire_entry old;

	quire_spin_lock(*cpu, &table->table.lock);
	if (fault == BIT_LOST) {
		old = atomic_load_explicit(slot, memory_order_relaxed);
		atomic_store_explicit(slot, 0, memory_order_relaxed);
	} else {
		old = atomic_exchange_explicit(slot, 0, memory_order_acq_rel);
	}
	struct folio *page = entry_folio(quire(), old);
	table->table.used--;
	table->table.rss[RSS_SHMEM]--;
	atomic_fetch_sub_explicit(&page->maps, 1, memory_order_release);
	if (old & ENTRY_DIRTY)
		folio_set(page, FOLIO_DIRTY);
	quire_spin_unlock(*cpu, &table->table.lock);
	flush(*cpu, Y);
	folio_put(*cpu, page);
}

struct quire_file *scene_file(void)
{
	return file;
}
