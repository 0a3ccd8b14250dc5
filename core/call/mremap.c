/*
 * mremap.c - grow, shrink and move mappings.
 *
 *	same size, MREMAP_FIXED		any number of mappings move together, gaps kept
 *	same size			nothing
 *	smaller				unmap the end
 *	larger				grow in place; or move, with MREMAP_MAYMOVE
 *
 * The source's range is held, and the destination's; where that is for us to choose, it is chosen first and
 * held then, and if it is taken by that time, again.
 *
 * A move makes the destination's VMA first, then takes the entries over with the reverse map's walks held
 * off, so that a truncate finds each page at its old or its new address; then the source goes, or stays empty
 * (DONTUNMAP).
 *
 * Rules: BASE-1; zoo 1 (the source is flushed before the destination's table is unlocked: table/move.h).
 */
#include "../base/assert.h"
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../space/search.h"
#include "../space/unmap.h"
#include "../table/move.h"

struct remap {
	struct door *door;
	struct quire_mm *mm;
	quire_vaddr addr, old_length, new_length, new_addr;
	uint32_t flags;
	struct vma *vma;      /* at addr; looked up again after whatever may change it */
	quire_vaddr populate; /* where to populate what was added to a locked mapping; 0 nothing */
	bool has_target;      /* new_length from here on is held beside the source */
	quire_vaddr target;
	bool again; /* nothing happened, but the target should be held */
	bool whole; /* or everything, and is, in the next try */
};

static bool names_target(const struct remap *remap)
{
	return remap->flags & (QUIRE_MREMAP_FIXED | QUIRE_MREMAP_DONTUNMAP);
}

static int check_arguments(const struct remap *remap)
{
	quire_vaddr end = mm_end(remap->mm);
	uint32_t known = QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED | QUIRE_MREMAP_DONTUNMAP;
	if ((remap->flags & ~known) || !is_aligned(remap->addr, QUIRE_PAGE_SIZE) || !remap->new_length ||
	    remap->new_length > end)
		return -QUIRE_EINVAL;
	if (!names_target(remap))
		return 0;
	if (remap->new_addr > end - remap->new_length || !is_aligned(remap->new_addr, QUIRE_PAGE_SIZE) ||
	    !(remap->flags & QUIRE_MREMAP_MAYMOVE))
		return -QUIRE_EINVAL;
	if ((remap->flags & QUIRE_MREMAP_DONTUNMAP) && remap->old_length != remap->new_length)
		return -QUIRE_EINVAL;
	if (remap->addr + remap->old_length > remap->new_addr &&
	    remap->new_addr + remap->new_length > remap->addr)
		return -QUIRE_EINVAL;
	return 0;
}

/* A move may cut two mappings in three each; refuse before anything is lost. */
static bool has_map_room(struct quire_mm *mm)
{
	return mm_maps(mm) + 2 < mm->quire->config.max_map_count - 3;
}

/* What only growing or moving needs of the source. */
static int check_source(struct remap *remap)
{
	struct vma *vma = remap->vma;
	if (!vma)
		return -QUIRE_EFAULT;
	if (remap->new_length <= remap->old_length && !names_target(remap))
		return 0;
	if (!remap->old_length && !(vma->flags & (VMA_SHARED | VMA_MAY_SHARE)))
		return -QUIRE_EINVAL;
	if ((remap->flags & QUIRE_MREMAP_DONTUNMAP) && (vma->flags & VMA_SPECIAL))
		return -QUIRE_EINVAL;
	/* What shrinks may reach past the mapping's end: the rest is unmapped, whatever it is. */
	if (min_u64(remap->old_length, remap->new_length) > vma->rmap.end - remap->addr)
		return -QUIRE_EFAULT;
	if (remap->new_length <= remap->old_length)
		return 0;
	uint64_t pgoff = rmap_index(&vma->rmap, remap->addr);
	if (pgoff + page_of(remap->new_length) < pgoff)
		return -QUIRE_EINVAL;
	if (vma->flags & VMA_SPECIAL)
		return -QUIRE_EFAULT;
	quire_vaddr more = remap->new_length - remap->old_length;
	if (!mm_may_lock(remap->mm, vma->flags, more))
		return -QUIRE_EAGAIN;
	return mm_may_expand(remap->mm, vma->flags, page_of(more)) ? 0 : -QUIRE_ENOMEM;
}

static void count_new(struct remap *remap, uint32_t flags, quire_vaddr bytes)
{
	struct quire_cpu *cpu = *remap->door->cpu;
	mm_account(cpu, remap->mm, flags, (int64_t)page_of(bytes));
	if (flags & VMA_LOCKED)
		mm_add(cpu, remap->mm, MM_LOCKED, (int64_t)page_of(bytes));
}

/*
 * Move the entries while no walk of the reverse map can miss one. What was moved before memory ran out goes
 * back.
 */
static int move_pages(struct remap *remap, struct vma *from)
{
	struct quire_as *as = &remap->mm->as;
	struct quire_cpu **cpu = remap->door->cpu;
	quire_vaddr moved = 0, back = 0;
	struct gather gather;
	gather_begin_alone(cpu, &gather, as, remap->addr, remap->addr + remap->old_length);
	rmap_node_lock(cpu, &from->rmap);
	int err = table_move(*cpu, as, remap->addr, remap->new_addr, remap->old_length, &gather, &moved);
	rmap_node_unlock(cpu, &from->rmap);
	gather_end(cpu, &gather);
	if (err && moved) {
		/*
		 * The tables that these entries came from are still there, or make room that was just freed.
		 */
		gather_begin_alone(cpu, &gather, as, remap->new_addr, remap->new_addr + moved);
		rmap_node_lock(cpu, &from->rmap);
		table_move(*cpu, as, remap->new_addr, remap->addr, moved, &gather, &back);
		rmap_node_unlock(cpu, &from->rmap);
		gather_end(cpu, &gather);
	}
	return err;
}

/*
 * The VMA at the destination: a neighbour that grows, or a new one, findable from the source's pages either
 * way.
 */
static struct vma *make_target(struct remap *remap)
{
	struct vma *vma = remap->vma;
	struct vma_new fresh = {
		.start = remap->new_addr,
		.end = remap->new_addr + remap->new_length,
		.pgoff = rmap_index(&vma->rmap, remap->addr),
		.flags = vma->flags,
		.file = vma->rmap.file,
		.opened = vma->opened,
		.copied_from = vma,
	};
	if (vma_is_anonymous(vma) && !vma_anon(vma))
		fresh.pgoff = page_of(fresh.start); /* nothing was touched yet: it may as well merge there */
	struct vma *target = door_merge_new(remap->door, &fresh,
					    door_around(remap->door, fresh.start, fresh.start));
	if (target)
		return target;
	target = vma_duplicate(*remap->door->cpu, vma);
	if (!target)
		return NULL;
	target->rmap.start = fresh.start;
	target->rmap.end = fresh.end;
	target->rmap.pgoff = fresh.pgoff;
	if (door_link(remap->door, target, vma)) {
		list_add(&remap->door->retired, &target->rmap.chains);
		return NULL;
	}
	return target;
}

/*
 * Unmap [addr, addr + length) of a mapping whose commit has moved away: what is left on the sides keeps its
 * own.
 */
static void drop_source(struct remap *remap, quire_vaddr addr, quire_vaddr length, bool keep_commit)
{
	struct vma *vma = door_find(remap->door, addr);
	bool accounted = !keep_commit && (vma->flags & VMA_ACCOUNT);
	if (!length) /* a shared mapping was doubled */
		return;
	int err = unmap_cut(remap->door, addr, addr + length, &vma);
	/* no memory to cut: the source stays, empty, and its commit is counted twice, as on Linux */
	if (err) {
		if (accounted)
			commit_restore(*remap->door->cpu, page_of(length));
		return;
	}
	if (accounted)
		door_set_flags(remap->door, vma, vma->flags & ~VMA_ACCOUNT);
	unmap_cut_out(remap->door, vma, addr, addr + length);
}

/*
 * DONTUNMAP: the source stays, empty, unlocked, and forgets its anonymous past if all of it moved. As on
 * Linux the whole mapping is unlocked, whatever part of it moved. It is not counted as locked any more, but
 * as there its pages go on to count against the limit.
 */
static void empty_source(struct remap *remap, struct vma *target)
{
	struct vma *vma = door_find(remap->door, remap->addr);
	if (vma->flags & VMA_LOCKED) {
		mm_add(*remap->door->cpu, remap->mm, MM_LOCKED, -(int64_t)vma_pages(vma));
		remap->mm->lock_debt += vma_pages(vma);
	}
	door_set_flags(remap->door, vma, vma->flags & ~VMA_LOCK_MASK);
	if (vma != target && vma->rmap.start == remap->addr &&
	    vma->rmap.end == remap->addr + remap->old_length)
		anon_unlink(remap->door->cpu, &vma->rmap);
}

static int64_t move(struct remap *remap)
{
	struct quire_mm *mm = remap->mm;
	struct vma *vma = remap->vma;
	uint32_t flags = vma->flags;
	bool keep = remap->flags & QUIRE_MREMAP_DONTUNMAP;
	if (mm_maps(mm) >= mm->quire->config.max_map_count - 3)
		return -QUIRE_ENOMEM;
	door_shut(remap->door, vma);
	uint64_t charge = 0;
	if (flags & VMA_ACCOUNT)
		charge = page_of(keep ? remap->new_length : remap->new_length - remap->old_length);
	if (commit_charge(*remap->door->cpu, charge))
		return -QUIRE_ENOMEM;
	struct vma *target = make_target(remap);
	if (!target) {
		commit_uncharge(*remap->door->cpu, charge);
		return -QUIRE_ENOMEM;
	}
	vma = door_find(remap->door, remap->addr); /* it may have been taken into the target */
	int err = move_pages(remap, vma);
	count_new(remap, flags, remap->new_length);
	if (err) { /* everything is back at the source: the target goes, and what was charged for it */
		drop_source(remap, remap->new_addr, remap->new_length, true);
		if (flags & VMA_ACCOUNT)
			commit_restore(*remap->door->cpu, page_of(remap->new_length) - charge);
		return err;
	}
	if (keep)
		empty_source(remap, target);
	else
		drop_source(remap, remap->addr, remap->old_length, false);
	return (int64_t)remap->new_addr;
}

static bool has_target_mappings(const struct remap *remap)
{
	return door_meets(remap->door, remap->new_addr, remap->new_addr + remap->new_length) != NULL;
}

/* Choose the address of a move. -EAGAIN: remap->target is to be held, then it may go there. */
static int place(struct remap *remap)
{
	struct quire_file *file = remap->vma->rmap.file;
	unsigned how = search_kind(file);
	uint64_t offset = file ? rmap_index(&remap->vma->rmap, remap->addr) << QUIRE_PAGE_SHIFT : 0;
	if (remap->flags & QUIRE_MREMAP_FIXED)
		how |= SEARCH_FIXED;
	int64_t addr = search_unmapped(*remap->door->cpu, remap->mm,
				       names_target(remap) ? remap->new_addr : 0, remap->new_length, offset,
				       how);
	if (addr == -QUIRE_ENOMEM && !(how & SEARCH_FIXED) && !remap->whole) {
		/* There may have been room all the time, here or there. */
		remap->again = remap->whole = true;
		return -QUIRE_EAGAIN;
	}
	if (addr < 0)
		return (int)addr;
	if ((uint64_t)addr < remap->mm->quire->config.mmap_min_addr)
		return -QUIRE_EPERM;
	remap->new_addr = (uint64_t)addr;
	/* A gap that was found is of use if it is held, and still one. */
	if ((how & SEARCH_FIXED) || remap->whole ||
	    (remap->has_target && remap->new_addr == remap->target && !has_target_mappings(remap)))
		return 0;
	remap->has_target = true;
	remap->target = remap->new_addr;
	remap->again = true;
	return -QUIRE_EAGAIN;
}

/* To a named address: clear it, shrink, move. */
static int64_t move_to(struct remap *remap)
{
	int err;
	if (remap->flags & QUIRE_MREMAP_FIXED) {
		err = unmap_range(remap->door, remap->new_addr, remap->new_addr + remap->new_length);
		if (err)
			return err;
		remap->vma = door_find(remap->door, remap->addr);
		if (!remap->vma)
			return -QUIRE_EFAULT;
	}
	if (remap->old_length > remap->new_length) {
		err = unmap_named(remap->door, remap->addr + remap->new_length,
				  remap->old_length - remap->new_length);
		if (err)
			return err;
		remap->old_length = remap->new_length;
		remap->vma = door_find(remap->door, remap->addr);
	}
	if ((remap->flags & QUIRE_MREMAP_DONTUNMAP) &&
	    !mm_may_expand(remap->mm, remap->vma->flags, page_of(remap->old_length)))
		return -QUIRE_ENOMEM;
	err = place(remap);
	return err ? err : move(remap);
}

/* Room behind the mapping to grow into? */
static bool may_grow_in_place(const struct remap *remap)
{
	quire_vaddr end = remap->addr + remap->old_length, more = remap->new_length - remap->old_length;
	return remap->vma->rmap.end == end && end + more > end && end + more <= remap->mm->layout.end &&
	       !door_meets(remap->door, end, end + more);
}

static int64_t grow_in_place(struct remap *remap)
{
	struct vma *vma = remap->vma;
	quire_vaddr more = remap->new_length - remap->old_length;
	uint32_t flags = vma->flags;
	uint64_t charge = flags & VMA_ACCOUNT ? page_of(more) : 0;
	struct vma_new fresh = {
		.start = vma->rmap.end,
		.end = vma->rmap.end + more,
		.pgoff = rmap_index(&vma->rmap, vma->rmap.end),
		.flags = flags,
		.file = vma->rmap.file,
		.opened = vma->opened,
		.extends = vma,
	};
	if (commit_charge(*remap->door->cpu, charge))
		return -QUIRE_ENOMEM;
	door_shut(remap->door, vma);
	if (!door_merge_new(remap->door, &fresh, door_around(remap->door, fresh.start, fresh.start))) {
		commit_uncharge(*remap->door->cpu, charge);
		return -QUIRE_ENOMEM;
	}
	count_new(remap, flags, more);
	if (flags & VMA_LOCKED)
		remap->populate = remap->addr;
	return (int64_t)remap->addr;
}

static int64_t grow(struct remap *remap)
{
	if (may_grow_in_place(remap))
		return grow_in_place(remap);
	if (!(remap->flags & QUIRE_MREMAP_MAYMOVE))
		return -QUIRE_ENOMEM;
	bool locked = remap->vma->flags & VMA_LOCKED;
	int err = place(remap);
	if (err)
		return err;
	int64_t result = move(remap);
	if (result >= 0 && locked)
		remap->populate = remap->new_addr;
	return result;
}

static int64_t resize(struct remap *remap)
{
	remap->vma = door_find(remap->door, remap->addr);
	int err = check_source(remap);
	if (err)
		return err;
	if (names_target(remap)) {
		bool grows = remap->new_length > remap->old_length && (remap->vma->flags & VMA_LOCKED);
		int64_t result = move_to(remap);
		if (result >= 0 && grows)
			remap->populate = remap->new_addr;
		return result;
	}
	if (remap->new_length > remap->old_length)
		return grow(remap);
	if (remap->new_length < remap->old_length) {
		err = unmap_named(remap->door, remap->addr + remap->new_length,
				  remap->old_length - remap->new_length);
		if (err)
			return err;
	}
	return (int64_t)remap->addr;
}

/* Same size to a fixed address: every mapping of the range, with the gaps between them. */
static int64_t move_all(struct remap *remap)
{
	quire_vaddr start = remap->addr, end = start + remap->old_length, target = remap->new_addr;
	int64_t first = -QUIRE_EFAULT;
	bool seen = false;
	quire_vaddr last_end = start;
	struct vma *vma = door_meets(remap->door, start, end);
	while (vma) {
		quire_vaddr vma_end = vma->rmap.end;
		if (!seen && start < vma->rmap.start)
			return -QUIRE_EFAULT;
		remap->addr = max_u64(vma->rmap.start, start);
		target += seen ? vma->rmap.start - last_end : 0;
		last_end = vma_end;
		remap->vma = vma;
		remap->old_length = remap->new_length = min_u64(end, vma_end) - remap->addr;
		remap->new_addr = target;
		int64_t result = check_source(remap);
		if (!result)
			result = move_to(remap);
		if (result < 0)
			return result;
		if (!seen)
			first = result;
		seen = true;
		target = (uint64_t)result + remap->new_length;
		vma = vma_end < end ? door_meets(remap->door, vma_end, end) : NULL;
	}
	return first;
}

/* Hold the source as far as it is to reach, and the target. */
static void close_ranges(struct remap *remap, struct quire_cpu **cpu)
{
	quire_vaddr start = remap->addr, length = max_u64(remap->old_length, remap->new_length);
	quire_vaddr room = start < QUIRE_USER_END ? QUIRE_USER_END - start : 1;
	quire_vaddr end = start + min_u64(length, room);
	if (remap->whole)
		door_close_whole(remap->door, cpu, remap->mm);
	else if (remap->has_target)
		door_close_both(remap->door, cpu, remap->mm, start, end, remap->target,
				remap->target + remap->new_length);
	else
		door_close(remap->door, cpu, remap->mm, start, end);
}

/* Every mapping of the source moves; of one alone is known how many there will be more. */
static bool moves_all(const struct remap *remap)
{
	return (remap->flags & QUIRE_MREMAP_FIXED) && remap->old_length == remap->new_length;
}

static bool moves_several(const struct remap *remap)
{
	struct vma *vma = moves_all(remap) ? door_find(remap->door, remap->addr) : NULL;
	return vma && vma->rmap.end - remap->addr < remap->old_length;
}

static int64_t remap_held(struct remap *remap)
{
	if (names_target(remap) && !has_map_room(remap->mm))
		return -QUIRE_ENOMEM;
	return moves_all(remap) ? move_all(remap) : resize(remap);
}

int64_t quire_mremap(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr old_length,
		     quire_vaddr new_length, uint32_t flags, quire_vaddr new_addr)
{
	struct door door;
	const struct remap asked = {
		.door = &door,
		.mm = mm,
		.addr = addr,
		.old_length = align_up(old_length, QUIRE_PAGE_SIZE),
		.new_length = align_up(new_length, QUIRE_PAGE_SIZE),
		.new_addr = new_addr,
		.flags = flags,
	};
	int64_t result = check_arguments(&asked);
	if (result)
		return result;
	struct remap remap = { .has_target = flags & QUIRE_MREMAP_FIXED, .target = new_addr };
	for (bool again = true; again;) {
		bool has_target = remap.has_target, whole = remap.whole;
		quire_vaddr target = remap.target;
		remap = asked;
		remap.has_target = has_target;
		remap.target = target;
		remap.whole = whole;
		close_ranges(&remap, cpu);
		again = !whole && moves_several(&remap);
		if (again) {
			remap.whole = true;
		} else {
			result = remap_held(&remap);
			again = remap.again;
		}
		door_open(&door);
	}
	if (result >= 0 && remap.populate)
		populate_all(cpu, mm, remap.populate + asked.old_length, remap.populate + asked.new_length);
	return result;
}
