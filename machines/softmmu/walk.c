/*
 * walk.c - judges one page-table entry after another, as hardware does.
 *
 * Order:   pure functions of their arguments; any context.
 * Rules:   BASE-2, PIN-8.
 */
#include "walk.h"

#include <quire/mm.h>

bool softmmu_allows(unsigned rights, unsigned access)
{
	if (!(rights & SOFTMMU_USER))
		return false;
	if (access == QUIRE_ACCESS_WRITE)
		return (rights & SOFTMMU_WRITE) != 0;
	if (access == QUIRE_ACCESS_EXEC)
		return (rights & SOFTMMU_EXEC) != 0;
	return true;
}

uint32_t softmmu_error(unsigned access, bool present)
{
	uint32_t error = X86_PF_US;

	if (present)
		error |= X86_PF_P;
	if (access == QUIRE_ACCESS_WRITE)
		error |= X86_PF_WR;
	if (access == QUIRE_ACCESS_EXEC)
		error |= X86_PF_ID;
	return error;
}

void softmmu_walk_begin(struct softmmu_walk *walk, quire_vaddr va, unsigned access, uint64_t frames,
			quire_pfn table, unsigned level, unsigned rights)
{
	*walk = (struct softmmu_walk){
		.va = va,
		.access = access,
		.frames = frames,
		.level = level,
		.table = table,
		.rights = rights,
	};
}

static unsigned entry_rights(quire_entry entry)
{
	return (entry & X86_RW ? SOFTMMU_WRITE : 0) | (entry & X86_US ? SOFTMMU_USER : 0) |
	       (entry & X86_XD ? 0 : SOFTMMU_EXEC);
}

/*
 * Only the leaf table and the one above it may map pages; whatever is pointed to must be memory, a large
 * page aligned.
 */
static bool entry_is_sound(const struct softmmu_walk *walk, quire_entry entry, bool leaf)
{
	quire_pfn frame = (entry & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
	uint64_t pages = leaf && walk->level == 1 ? QUIRE_TABLE_ENTRIES : 1;

	if ((entry & X86_PS) && walk->level > 1)
		return false;
	return (frame & (pages - 1)) == 0 && frame < walk->frames && walk->frames - frame >= pages;
}

static enum softmmu_step fault(struct softmmu_walk *walk, uint32_t error)
{
	walk->error = error;
	return SOFTMMU_FAULT;
}

enum softmmu_step softmmu_walk_step(struct softmmu_walk *walk, quire_entry entry, quire_entry *bits)
{
	bool leaf = walk->level == 0 || (entry & X86_PS);
	unsigned rights = walk->rights & entry_rights(entry);

	walk->entry = entry;
	if (!(entry & X86_P))
		return fault(walk, softmmu_error(walk->access, false));
	if (!entry_is_sound(walk, entry, leaf))
		return fault(walk, softmmu_error(walk->access, true) | X86_PF_RSVD);
	if (leaf && !softmmu_allows(rights, walk->access))
		return fault(walk, softmmu_error(walk->access, true));

	*bits = X86_A;
	if (leaf && walk->access == QUIRE_ACCESS_WRITE)
		*bits |= X86_D;
	*bits &= ~entry;
	if (*bits)
		return SOFTMMU_SET;

	walk->rights = rights;
	if (leaf) {
		walk->frame = (entry & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
		walk->dirty = (entry & X86_D) != 0;
		return SOFTMMU_DONE;
	}
	walk->table = (entry & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
	walk->level--;
	return SOFTMMU_DOWN;
}
