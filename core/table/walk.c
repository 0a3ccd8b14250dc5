/*
 * walk.c - the way down to a table, without locks; and the changes of the tree's shape, with them.
 *
 * A descent reads entries without a lock, under RCU, and locks only the table where it ends. By then that
 * table may be out of the tree. It cannot be freed, because we are in a read-side section, and its dead mark,
 * which is set under its own lock, tells:
 *
 *	a descent				the table is taken out
 *	read entry: table T			lock parent, lock T; T is empty
 *						T.dead; parent's entry = 0
 *						unlock; flush; grace period ...
 *	lock T
 *	T.dead? start over, from the root	... free T
 *	leave RCU: T is ours while locked
 *
 * Once locked and found alive, the table stays so: whoever would take it out needs its lock. The same answers
 * for the entry: where a descent ended for want of a table, the entry is read again under the lock of the
 * table that it is in; a table that was hung there meanwhile means to go on down.
 *
 * Order:   takes one table lock, or an upper one and then one below it (walk_prune()). Does not sleep.
 * Rules:   BASE-2, BASE-3.
 */
#include "walk.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

/* What a fault does most: so it looks for the folio at the end only. */
void walk_down(struct quire_as *as, quire_vaddr va, unsigned level, struct walk *walk)
{
	struct quire *quire = as->quire;
	char *memory = frame_memory(quire, 0);
	_Atomic quire_entry *slots = as->top;
	unsigned at = QUIRE_LEVELS - 1;
	quire_entry entry;

	for (;; at--) {
		/* Acquire pairs with the release in table_link(). */
		entry = atomic_load_explicit(slots + table_index(va, at), memory_order_acquire);
		if (at == level || !entry_is_table(entry))
			break;
		slots = (_Atomic quire_entry *)(void *)(memory + (entry_pfn(entry) << QUIRE_PAGE_SHIFT));
	}
	walk->table = folio_of(quire, (quire_pfn)((char *)slots - memory) >> QUIRE_PAGE_SHIFT);
	walk->slots = slots;
	walk->level = at;
	walk->entry = entry;
}

/*
 * Lock what walk_down() came to; false, with nothing locked, when that is not the end of the path any more.
 */
static inline bool lock_found(struct quire_cpu *cpu, quire_vaddr va, unsigned level, struct walk *walk)
{
	struct folio *table = walk->table;

	quire_spin_lock(cpu, &table->table.lock);
	if (!table->table.dead || !QUIRE_SAFEGUARD(walk_dead)) {
		/* Relaxed: software's part of it changes only under the lock. */
		walk->entry = atomic_load_explicit(walk->slots + table_index(va, walk->level),
						   memory_order_relaxed);
		if (walk->level == level || !entry_is_table(walk->entry))
			return true;
	}
	quire_spin_unlock(cpu, &table->table.lock);
	return false;
}

int walk_lock(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level, bool mapped,
	      struct walk *walk)
{
	for (;;) {
		quire_port_rcu_lock(cpu);
		walk_down(as, va, level, walk);
		bool missing = (mapped || walk->level > level) && !walk->entry;
		bool locked = !missing && lock_found(cpu, va, level, walk);
		quire_port_rcu_unlock(cpu);
		if (missing)
			return -QUIRE_ENOENT;
		if (!locked)
			continue;
		if (walk->level == level || walk->entry)
			return 0;
		quire_spin_unlock(cpu, &walk->table->table.lock);
		return -QUIRE_ENOENT;
	}
}

/*
 * A new table is allocated with no lock held, so that its zeroing keeps nobody waiting, and is carried from
 * one try to the next. Each turn either ends or hangs in one table.
 */
int walk_make(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level,
	      struct table_stock *stock, struct walk *walk)
{
	struct folio *spare = NULL;

	for (;;) {
		quire_port_rcu_lock(cpu);
		walk_down(as, va, level, walk);
		if (walk->level > level && !walk->entry && !spare) {
			quire_port_rcu_unlock(cpu);
			spare = table_take(cpu, stock);
			if (!spare)
				return -QUIRE_ENOMEM;
			continue;
		}
		bool locked = lock_found(cpu, va, level, walk);
		quire_port_rcu_unlock(cpu);
		if (!locked)
			continue;
		if (walk->level == level || walk->entry)
			break;
		if (spare)
			table_link(as->quire, walk->table, table_index(va, walk->level), spare);
		spare = NULL;
		quire_spin_unlock(cpu, &walk->table->table.lock);
	}
	if (spare)
		table_give_back(cpu, stock, spare);
	return 0;
}

/* Under RCU: the first address, from @va, of which the table says anything, or its end, or @end. */
static quire_vaddr skip_empty(const struct walk *walk, quire_vaddr va, quire_vaddr end)
{
	quire_vaddr size = QUIRE_LEVEL_SIZE(walk->level);
	quire_vaddr stop = min_u64(end, align_down(va, table_span(walk->level)) + table_span(walk->level));

	do {
		va = align_down(va, size) + size;
	} while (va < stop &&
		 !atomic_load_explicit(walk->slots + table_index(va, walk->level),
				       memory_order_acquire)); /* pairs with the release in table_unlink() */
	return min_u64(va, stop);
}

int walk_next(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr *va, quire_vaddr end, struct walk *walk,
	      struct walk_passed *passed)
{
	while (*va < end) {
		quire_vaddr at = *va;
		quire_port_rcu_lock(cpu);
		walk_down(as, at, 0, walk);
		bool found = walk->level == 0 || walk->entry;
		bool locked = found && lock_found(cpu, at, 0, walk);
		if (!found)
			*va = skip_empty(walk, at, end);
		quire_port_rcu_unlock(cpu);
		if (!found) {
			if (passed && is_aligned(*va, table_span(walk->level)))
				passed->table(passed, at, walk->level);
			continue;
		}
		if (!locked)
			continue;
		if (walk->level == 0 || walk->entry)
			return 0;
		quire_spin_unlock(cpu, &walk->table->table.lock);
	}
	return -QUIRE_ENOENT;
}

/*
 * Upper lock first, then the lower: whoever found the table before us has its lock, or finds it dead. Returns
 * whether the parent has become empty.
 */
static bool take_out(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level,
		     struct gather *gather)
{
	struct walk walk;

	if (walk_lock(cpu, as, va, level + 1, false, &walk))
		return false;
	bool emptied = false;
	if (walk.level == level + 1 && entry_is_table(walk.entry)) {
		struct folio *child = folio_of(as->quire, entry_pfn(walk.entry));
		quire_spin_lock(cpu, &child->table.lock);
		if (child->table.used == 0 || !QUIRE_SAFEGUARD(prune_recheck)) {
			table_unlink(as->quire, walk.table, table_index(va, level + 1), child);
			gather_table(gather, child, va);
			emptied = walk.table->table.used == 0;
		}
		quire_spin_unlock(cpu, &child->table.lock);
	}
	quire_spin_unlock(cpu, &walk.table->table.lock);
	return emptied;
}

/* The end of user addresses is no table's end; whoever reaches up to it reaches the last table's. */
static bool in_reach(const struct gather *gather, quire_vaddr first, quire_vaddr end)
{
	return first >= gather->reach_from && (end <= gather->reach_to || gather->reach_to >= QUIRE_USER_END);
}

/* The table of *va becomes the spare one; false: *va is in the one that was it, which may go now. */
static bool keep(struct table_spare *spare, quire_vaddr *va)
{
	/* Relaxed: whatever table it is, it is looked at again under its lock. */
	quire_vaddr before = atomic_load_explicit(&spare->va, memory_order_relaxed);

	if (before && align_down(before ^ *va, table_span(0)) == 0)
		return true;
	before = atomic_exchange_explicit(&spare->va, *va | 1, memory_order_relaxed);
	*va = before & ~(quire_vaddr)1;
	return !before;
}

void walk_prune(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned level,
		struct gather *gather)
{
	if (level == 0 && gather->spare && keep(gather->spare, &va))
		return;
	for (; level < QUIRE_LEVELS - 1; level++) {
		quire_vaddr first = align_down(va, table_span(level));
		if (!in_reach(gather, first, first + table_span(level)) ||
		    !take_out(cpu, as, va, level, gather))
			return;
	}
}
