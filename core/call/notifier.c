/*
 * notifier.c - secondary MMUs: registration, and what is behind an address.
 *
 * Order:   the whole mm, to change it > notifiers_lock for writing. Calls that hold a part of it keep
 *          notifiers_lock read-locked while they take locks of the reverse map; walks of the reverse map take
 *          it for reading inside those locks. A writer that waited for it without the mm would hold the walk
 *          off, the walk the call, and the call the writer. And calls that hold a part and see no secondary
 *          MMU do without notifiers_lock.
 * Rules:   BASE-7. The protocol is drawn in <quire/notifier.h>.
 */
#include "../base/bits.h"
#include "../base/safeguard.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../table/as.h"

#include <quire/notifier.h>

int quire_notifier_register(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_notifier *notifier)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	as_notifier_add(cpu, &mm->as, notifier);
	door_open(&door);
	as_notifiers_settle(cpu);
	return 0;
}

void quire_notifier_remove(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_notifier *notifier)
{
	struct door door;
	if (QUIRE_SAFEGUARD(notifier_close))
		door_close_whole(&door, cpu, mm);
	as_notifier_remove(cpu, &mm->as, notifier);
	if (QUIRE_SAFEGUARD(notifier_close))
		door_open(&door);
}

int quire_translate(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, unsigned access,
		    quire_pfn *out, bool *writable)
{
	quire_vaddr va = align_down(addr, QUIRE_PAGE_SIZE);
	unsigned flags = access == QUIRE_ACCESS_WRITE  ? FAULT_WRITE
			 : access == QUIRE_ACCESS_EXEC ? FAULT_EXEC
						       : 0;
	if (addr >= mm_end(mm))
		return -QUIRE_EFAULT;
	for (;;) {
		struct quire_fault fault;
		int err = access_populate(cpu, mm, va, va + QUIRE_PAGE_SIZE, flags, &fault);
		if (err)
			return err;
		struct cursor cursor;
		if (cursor_open(&cursor, *cpu, &mm->as, va, CURSOR_READ, NULL, NULL))
			continue;
		quire_entry entry = cursor.entry;
		*out = entry_pfn(entry) + page_of(va - cursor.va);
		/* The owner's stores set no bit of ours: what is still clean it must ask to write. */
		if (entry_is_writable(entry) && (flags & FAULT_WRITE))
			cursor_protect(&cursor, 0, ENTRY_DIRTY | ENTRY_ACCESSED);
		*writable = entry_is_writable(entry) && (cursor.entry & ENTRY_DIRTY);
		cursor_close(&cursor);
		if (entry_is_live(entry) && (!(flags & FAULT_WRITE) || *writable))
			return 0;
	}
}
