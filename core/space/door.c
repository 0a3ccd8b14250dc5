/*
 * door.c - the VMA door: linking, cutting, resizing and retiring VMAs.
 *
 * Every change of the tree is one range_tree_replace(), so that a search sees the space before it or after
 * it. What a change allocates is taken before the first visible step; from there on nothing fails.
 *
 * Order:   what is held (door_close) > the reverse map's locks. Nothing here holds a table lock.
 * Errors:  -ENOMEM with nothing changed.
 * Rules:   VMA-3, VMA-6, BASE-8 (a file's last reference is dropped when nothing is held).
 */
#include "door.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "gate.h"

/* A single cut in the middle of a mapping makes two more of it. */
#define MORE 2

static void door_begin(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm)
{
	door->cpu = cpu;
	door->mm = mm;
	door->closed = NULL;
	door->other.tree = NULL;
	list_init(&door->retired);
	if (mm->quire->config.without_vma_locks)
		rwlock_write(cpu, &mm->lock);
}

static bool is_exact(struct quire_mm *mm)
{
	return atomic_load_explicit(&mm->is_exact, memory_order_relaxed);
}

static void hold_whole(struct door *door)
{
	range_hold_write(door->cpu, &door->mm->vmas, RANGE_ALL, RANGE_MORE_ANY, 0, &door->hold);
}

static quire_vaddr edge_below(quire_vaddr start)
{
	return start ? start - 1 : 0;
}

/* What was exact when it was looked at, or not, stays so while anything is held. */
void door_close(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start,
		quire_vaddr end)
{
	door_begin(door, cpu, mm);
	if (!is_exact(mm)) {
		range_hold_write(cpu, &mm->vmas, edge_below(start), end + 1, MORE, 0, &door->hold);
		if (!is_exact(mm))
			return;
		range_hold_done(*cpu, &door->hold);
	}
	hold_whole(door);
}

/* False: nothing is held. The leaves of the one are those of the other, too. */
static bool hold_both(struct door *door, quire_vaddr low, quire_vaddr low_end, quire_vaddr high,
		      quire_vaddr high_end)
{
	struct range_tree *vmas = &door->mm->vmas;
	range_hold_write(door->cpu, vmas, edge_below(low), low_end + 1, 2 * MORE, 0, &door->hold);
	quire_vaddr floor = door->hold.hi;
	if (edge_below(high) >= floor && range_hold_write(door->cpu, vmas, edge_below(high), high_end + 1,
							  2 * MORE, floor, &door->other)) {
		if (!is_exact(door->mm))
			return true;
		range_hold_done(*door->cpu, &door->other);
	}
	range_hold_done(*door->cpu, &door->hold);
	door->other.tree = NULL;
	return false;
}

void door_close_both(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start,
		     quire_vaddr end, quire_vaddr other_start, quire_vaddr other_end)
{
	bool ordered = start <= other_start;
	quire_vaddr low = min_u64(start, other_start), high = max_u64(start, other_start);
	quire_vaddr low_end = ordered ? end : other_end, high_end = ordered ? other_end : end;
	door_begin(door, cpu, mm);
	if (!is_exact(mm)) {
		if (hold_both(door, low, low_end, high, high_end))
			return;
		range_hold_write(cpu, &mm->vmas, edge_below(low), max_u64(low_end, high_end) + 1, 2 * MORE, 0,
				 &door->hold);
		if (!is_exact(mm))
			return;
		range_hold_done(*cpu, &door->hold);
	}
	hold_whole(door);
}

void door_close_whole(struct door *door, struct quire_cpu **cpu, struct quire_mm *mm)
{
	door_begin(door, cpu, mm);
	hold_whole(door);
}

static struct range_hold *hold_of(struct door *door, quire_vaddr addr)
{
	return door->other.tree && addr >= door->other.lo ? &door->other : &door->hold;
}

struct vma *door_find(struct door *door, quire_vaddr addr)
{
	return range_hold_find(*door->cpu, hold_of(door, addr), addr);
}

struct vma *door_meets(struct door *door, quire_vaddr start, quire_vaddr end)
{
	return range_hold_meets(*door->cpu, hold_of(door, start), start, end);
}

struct vma *door_after(struct door *door, const struct vma *vma, quire_vaddr end)
{
	return vma->rmap.end < end ? door_meets(door, vma->rmap.end, end) : NULL;
}

struct vma_pair door_around(struct door *door, quire_vaddr start, quire_vaddr end)
{
	struct range_pair pair = range_hold_around(*door->cpu, hold_of(door, start), start, end);
	return (struct vma_pair){ pair.prev, pair.next };
}

/* It is closed, and opens with the door. */
static void will_open(struct door *door, struct vma *vma)
{
	vma->next_closed = door->closed;
	door->closed = vma;
}

void door_shut(struct door *door, struct vma *vma)
{
	if (vma_is_closed(vma)) /* by us: nobody else holds it */
		return;
	vma_close(door->cpu, vma);
	will_open(door, vma);
}

static void vma_free_after_grace(struct quire_cpu *cpu, struct quire_rcu *head)
{
	object_free(cpu, container_of(head, struct vma, rcu), sizeof(struct vma));
}

void vma_destroy(struct quire_cpu **cpu, struct vma *vma)
{
	quire_assert(list_empty(&vma->rmap.chains));
	if (vma->rmap.file)
		quire_file_put(cpu, vma->rmap.file);
	vma->rcu.done = vma_free_after_grace;
	if (QUIRE_SAFEGUARD(vma_grace))
		quire_port_rcu_call(*cpu, &vma->rcu);
	else
		vma_free_after_grace(*cpu, &vma->rcu);
}

static void door_done(struct door *door)
{
	if (door->mm->quire->config.without_vma_locks)
		rwlock_write_done(*door->cpu, &door->mm->lock);
	list_for_each_safe(at, after, &door->retired) {
		struct vma *vma = container_of(at, struct vma, rmap.chains);
		list_remove(at);
		vma_destroy(door->cpu, vma);
	}
}

void door_open(struct door *door)
{
	for (struct vma *vma = door->closed; vma; vma = vma->next_closed) {
		if (!vma->gone)
			vma_open(vma);
	}
	if (door->other.tree)
		range_hold_done(*door->cpu, &door->other);
	range_hold_done(*door->cpu, &door->hold);
	door_done(door);
}

void door_end(struct door *door)
{
	range_tree_destroy(*door->cpu, &door->hold);
	door_done(door);
}

struct vma *vma_create(struct quire_cpu *cpu, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
		       uint32_t flags, uint64_t pgoff, struct quire_file *file)
{
	struct vma *vma = object_alloc_raw(cpu, sizeof(*vma)); /* every field is set */
	if (!vma)
		return NULL;
	rmap_node_init(&vma->rmap, &mm->as);
	vma->rmap.start = start;
	vma->rmap.end = end;
	vma->rmap.pgoff = pgoff;
	vma->rmap.file = file ? quire_file_get(file) : NULL;
	vma->rmap.shared = (flags & VMA_MAY_SHARE) != 0;
	vma->mm = mm;
	vma->flags = flags;
	vma->access = 0;
	vma->opened = 0;
	vma->gone = false;
	vma_be_born(vma);
	return vma;
}

struct vma *vma_duplicate(struct quire_cpu *cpu, const struct vma *vma)
{
	struct vma *copy = vma_create(cpu, vma->mm, vma->rmap.start, vma->rmap.end, vma->flags,
				      vma->rmap.pgoff, vma->rmap.file);
	if (copy) {
		copy->access = vma->access;
		copy->opened = vma->opened;
	}
	return copy;
}

int door_reserve(struct door *door, quire_vaddr start)
{
	return range_hold_reserve(*door->cpu, hold_of(door, start));
}

static struct range range_of(struct vma *vma)
{
	return (struct range){ vma->rmap.start, vma->rmap.end, vma };
}

static void replace(struct door *door, quire_vaddr start, quire_vaddr end, struct vma *first,
		    struct vma *second)
{
	struct range ranges[2] = { 0 };
	unsigned n = 0;
	if (first)
		ranges[n++] = range_of(first);
	if (second)
		ranges[n++] = range_of(second);
	range_tree_replace(*door->cpu, hold_of(door, start), start, end, ranges, n);
}

/* What faults rely on is fixed now. */
static void be_linked(struct door *door, struct vma *vma)
{
	vma->base = vma->rmap.pgoff - page_of(vma->rmap.start);
	mm_add(*door->cpu, door->mm, MM_MAPS, 1);
	will_open(door, vma);
	if (!QUIRE_SAFEGUARD(newborn))
		vma_open(vma);
}

int door_link(struct door *door, struct vma *vma, struct vma *from)
{
	int err = door_reserve(door, vma->rmap.start);
	if (err)
		return err;
	rmap_node_attach(door->cpu, &vma->rmap);
	if (from) {
		err = anon_clone(door->cpu, &vma->rmap, &from->rmap);
		if (err) {
			rmap_node_detach(door->cpu, &vma->rmap);
			return err;
		}
	}
	be_linked(door, vma);
	replace(door, vma->rmap.start, vma->rmap.end, vma, NULL);
	return 0;
}

/* The new VMA covers its half before the old one lets go of it. */
static int split(struct door *door, struct vma *vma, struct vma *fresh, quire_vaddr addr)
{
	quire_vaddr start = vma->rmap.start, end = vma->rmap.end;
	int err = door_reserve(door, start);
	if (err)
		return err;
	rmap_node_attach(door->cpu, &fresh->rmap);
	err = anon_clone(door->cpu, &fresh->rmap, &vma->rmap);
	if (err) {
		rmap_node_detach(door->cpu, &fresh->rmap);
		return err;
	}
	be_linked(door, fresh);
	if (fresh->rmap.start == addr) {
		rmap_node_move(door->cpu, &vma->rmap, start, addr, vma->rmap.pgoff);
		replace(door, start, end, vma, fresh);
	} else {
		rmap_node_move(door->cpu, &vma->rmap, addr, end, vma->rmap.pgoff + page_of(addr - start));
		replace(door, start, end, fresh, vma);
	}
	return 0;
}

static int split_with(struct door *door, struct vma *vma, quire_vaddr addr, quire_vaddr start,
		      quire_vaddr end)
{
	quire_assert(addr > vma->rmap.start && addr < vma->rmap.end);
	struct vma *fresh = vma_duplicate(*door->cpu, vma);
	if (!fresh)
		return -QUIRE_ENOMEM;
	door_shut(door, vma);
	fresh->rmap.pgoff = rmap_index(&vma->rmap, start);
	fresh->rmap.start = start;
	fresh->rmap.end = end;
	int err = split(door, vma, fresh, addr);
	if (err)
		list_add(&door->retired, &fresh->rmap.chains);
	return err;
}

int door_split(struct door *door, struct vma *vma, quire_vaddr addr)
{
	return split_with(door, vma, addr, addr, vma->rmap.end);
}

int door_split_below(struct door *door, struct vma *vma, quire_vaddr addr)
{
	return split_with(door, vma, addr, vma->rmap.start, addr);
}

/*
 * Out of the reverse map, and freed when the door is open again; the tree forgets it by the caller's
 * replace().
 */
static void retire(struct door *door, struct vma *vma)
{
	quire_assert(vma_is_closed(vma));
	vma->gone = true;
	mm_add(*door->cpu, door->mm, MM_MAPS, -1);
	anon_unlink(door->cpu, &vma->rmap);
	rmap_node_detach(door->cpu, &vma->rmap);
	list_add(&door->retired, &vma->rmap.chains);
}

/* One change of the tree: a change for each VMA would have to reserve nodes for each. */
void door_unlink_range(struct door *door, struct vma *first, quire_vaddr start, quire_vaddr end)
{
	for (struct vma *vma = first; vma; vma = door_after(door, vma, end))
		retire(door, vma);
	replace(door, start, end, NULL, NULL);
}

void door_retire_all(struct door *door)
{
	for (struct vma *vma = vma_next(door->mm, 0); vma; vma = vma_next(door->mm, vma->rmap.end))
		retire(door, vma);
}

void door_empty(struct door *door)
{
	replace(door, 0, UINT64_MAX, NULL, NULL);
}

void door_set_flags(struct door *door, struct vma *vma, uint32_t flags)
{
	quire_assert(vma_is_closed(vma));
	(void)door;
	vma->flags = flags;
}

int door_resize(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, uint64_t pgoff)
{
	int err = door_reserve(door, start);
	if (err)
		return err;
	quire_vaddr from = min_u64(start, vma->rmap.start), to = max_u64(end, vma->rmap.end);
	door_shut(door, vma);
	rmap_node_move(door->cpu, &vma->rmap, start, end, pgoff);
	replace(door, from, to, vma, NULL);
	return 0;
}

/*
 * Merging. Two VMAs may become one when nothing tells them apart: flags, file, opening of the file,
 * consecutive page offsets, and anonymous lineage. For the last, Linux's rule: both have the same anon_vma;
 * or only one has, and it never went through a fork (its chain is single), so that nobody else's pages become
 * findable in a wider range than before.
 */
static bool is_fork_child(const struct vma *vma)
{
	return vma && vma_anon(vma) && !anon_is_single(&vma->rmap);
}

static bool attributes_match(const struct vma *neighbour, const struct vma_new *fresh)
{
	return neighbour->flags == fresh->flags && neighbour->rmap.file == fresh->file &&
	       neighbour->opened == fresh->opened;
}

/*
 * @source is the VMA whose range it is, NULL for a new range; then fresh->copied_from or ->extends lends its
 * anon_vma.
 */
static bool lineage_matches(const struct vma *target, const struct vma *source, const struct vma_new *fresh)
{
	const struct vma *lender = source ? source : fresh->copied_from ? fresh->copied_from : fresh->extends;
	struct anon_vma *theirs = vma_anon(target), *ours = lender ? vma_anon(lender) : NULL;
	if (!theirs && ours)
		return !is_fork_child(source) && !is_fork_child(fresh->copied_from);
	if (theirs && !ours)
		return !is_fork_child(target);
	return theirs == ours;
}

static bool fits_after(const struct vma *before, const struct vma *source, const struct vma_new *fresh)
{
	return before && before->rmap.end == fresh->start && attributes_match(before, fresh) &&
	       lineage_matches(before, source, fresh) &&
	       before->rmap.pgoff + vma_pages(before) == fresh->pgoff;
}

static bool fits_before(const struct vma *after, const struct vma *source, const struct vma_new *fresh)
{
	return after && after->rmap.start == fresh->end && attributes_match(after, fresh) &&
	       lineage_matches(after, source, fresh) &&
	       after->rmap.pgoff == fresh->pgoff + page_of(fresh->end - fresh->start);
}

/* Each may fit the middle and not each other. */
static bool sides_match(const struct vma *before, const struct vma *after)
{
	struct anon_vma *a = vma_anon(before), *b = vma_anon(after);
	return !a || !b || a == b;
}

/* A VMA that grows over pages of @from must be findable from them. */
static int inherit(struct door *door, struct vma *target, struct vma *from)
{
	if (vma_anon(target) || !from || !vma_anon(from))
		return 0;
	return anon_clone(door->cpu, &target->rmap, &from->rmap);
}

/*
 * Which of @around fit, @source's range or a new one between them. They are shut, and looked at once more
 * then, for a fault may just have given one of them an anon_vma.
 */
static struct vma_pair fitting(struct door *door, struct vma_pair around, const struct vma *source,
			       const struct vma_new *fresh)
{
	struct vma *before = around.before, *after = around.after;
	for (bool shut = false;; shut = true) {
		if (!fits_after(before, source, fresh))
			before = NULL;
		if (!fits_before(after, source, fresh) || (before && !sides_match(before, after)))
			after = NULL;
		if (shut || (!before && !after))
			return (struct vma_pair){ before, after };
		if (before)
			door_shut(door, before);
		if (after)
			door_shut(door, after);
	}
}

static struct vma *grow_neighbours(struct door *door, const struct vma_new *fresh, struct vma *before,
				   struct vma *after)
{
	struct vma *target = before ? before : after;
	struct vma *from = before && after && vma_anon(after) ? after : fresh->copied_from;
	quire_vaddr start = before ? before->rmap.start : fresh->start;
	quire_vaddr end = after ? after->rmap.end : fresh->end;
	if (door_reserve(door, start) || inherit(door, target, from))
		return NULL;
	rmap_node_move(door->cpu, &target->rmap, start, end, before ? before->rmap.pgoff : fresh->pgoff);
	replace(door, start, end, target, NULL);
	if (before && after)
		retire(door, after);
	return target;
}

struct vma *door_merge_new(struct door *door, const struct vma_new *fresh, struct vma_pair around)
{
	if (fresh->flags & VMA_SPECIAL)
		return NULL;
	struct vma_pair fit = fitting(door, around, NULL, fresh);
	return fit.before || fit.after ? grow_neighbours(door, fresh, fit.before, fit.after) : NULL;
}

struct vma *door_extend(struct door *door, const struct vma_new *fresh)
{
	struct vma_pair around = { door_around(door, fresh->start, fresh->start).before, NULL };
	struct vma_pair fit = fitting(door, around, NULL, fresh);
	return fit.before ? grow_neighbours(door, fresh, fit.before, NULL) : NULL;
}

/*
 * The range is all of @vma or one end of it, and goes to its neighbours:
 *
 *	before vma after  ->  before..........	both, vma and after go
 *	before vma        ->  before...[vma]	vma goes, or shrinks from the left
 *	       vma after  ->  [vma]....after	vma goes, or shrinks from the right
 */
static int merge_into(struct door *door, struct vma *vma, struct vma_new *part, struct vma *before,
		      struct vma *after)
{
	struct vma *target = before ? before : after;
	bool whole = part->start == vma->rmap.start && part->end == vma->rmap.end;
	quire_vaddr from = min_u64(target->rmap.start, vma->rmap.start);
	quire_vaddr to = max_u64(after ? after->rmap.end : vma->rmap.end, vma->rmap.end);
	int err = door_reserve(door, from);
	if (!err)
		err = inherit(door, target, before && after && vma_anon(after) ? after : vma);
	if (err)
		return err;

	if (before)
		rmap_node_move(door->cpu, &target->rmap, target->rmap.start,
			       after ? after->rmap.end : part->end, target->rmap.pgoff);
	else
		rmap_node_move(door->cpu, &target->rmap, part->start, target->rmap.end, part->pgoff);
	if (whole) {
		replace(door, from, to, target, NULL);
		retire(door, vma);
		if (before && after)
			retire(door, after);
	} else if (before) {
		rmap_node_move(door->cpu, &vma->rmap, part->end, vma->rmap.end,
			       rmap_index(&vma->rmap, part->end));
		replace(door, from, to, target, vma);
	} else {
		rmap_node_move(door->cpu, &vma->rmap, vma->rmap.start, part->start, vma->rmap.pgoff);
		replace(door, from, to, vma, target);
	}
	return 0;
}

int door_modify(struct door *door, struct vma *vma, quire_vaddr start, quire_vaddr end, uint32_t flags,
		struct vma **out)
{
	struct vma_new part = { start, end, rmap_index(&vma->rmap, start), flags, vma->rmap.file, vma->opened,
				NULL,  NULL };
	bool left = start == vma->rmap.start, right = end == vma->rmap.end;
	bool may_merge = !(flags & VMA_SPECIAL);
	struct vma_pair around = door_around(door, start, end);
	if (!may_merge || !left)
		around.before = NULL;
	if (!may_merge || !right)
		around.after = NULL;
	door_shut(door, vma);
	struct vma_pair fit = fitting(door, around, vma, &part);
	if (fit.before || fit.after) {
		*out = fit.before ? fit.before : fit.after;
		return merge_into(door, vma, &part, fit.before, fit.after);
	}

	int err = 0;
	uint64_t most = door->mm->quire->config.max_map_count;
	if ((!left || !right) && mm_maps(door->mm) >= most)
		return -QUIRE_ENOMEM;
	if (!left)
		err = door_split_below(door, vma, start);
	if (!err && !right)
		err = mm_maps(door->mm) >= most ? -QUIRE_ENOMEM : door_split(door, vma, end);
	*out = vma;
	return err;
}
