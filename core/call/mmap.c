/*
 * mmap.c - make a mapping; take one away.
 *
 *	arguments	in Linux's order, for which error wins is visible
 *	address		search, or the caller's; then the range is held
 *	limits		map count, address space, data, locked memory, commit
 *	replace		cut what is there, clear it, retire it (MAP_FIXED)
 *	merge or link	a neighbour grows, or a VMA is made
 *	populate	after the range is open again
 *
 * Rules: BASE-1, VMA-3 (what can fail comes before what is there is cleared).
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/door.h"
#include "../space/search.h"
#include "../space/shared.h"
#include "../space/unmap.h"

/*
 * Flags that MAP_SHARED_VALIDATE knows (not FIXED_NOREPLACE, which is younger); the highest bits are the size
 * of a huge page, or nothing (MAP_UNINITIALIZED).
 */
#define KNOWN_FLAGS                                                                               \
	(0x7c000080u | QUIRE_MAP_TYPE | QUIRE_MAP_FIXED | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_32BIT | \
	 QUIRE_MAP_GROWSDOWN | QUIRE_MAP_DENYWRITE | QUIRE_MAP_EXECUTABLE | QUIRE_MAP_LOCKED |    \
	 QUIRE_MAP_NORESERVE | QUIRE_MAP_POPULATE | QUIRE_MAP_NONBLOCK | QUIRE_MAP_STACK |        \
	 QUIRE_MAP_HUGETLB)

struct request {
	struct vma_new fresh; /* what the new mapping is */
	uint32_t access;
	bool fixed;		/* where the caller says, whatever is there; else where nothing is */
	struct vma_pair around; /* it, unless it is fixed */
	bool populate;
	struct quire_file *shared; /* memory that only this mapping names, to be committed for; or NULL */
};

static uint32_t flags_of(const struct quire_mm *mm, const struct quire_mmap *map)
{
	uint32_t flags = mm->default_flags | VMA_MAY_READ | VMA_MAY_WRITE | VMA_MAY_EXEC;
	flags |= map->prot & (VMA_READ | VMA_WRITE | VMA_EXEC);
	if (map->flags & QUIRE_MAP_GROWSDOWN)
		flags |= VMA_GROWSDOWN;
	if (map->flags & QUIRE_MAP_LOCKED)
		flags |= VMA_LOCKED;
	if (map->flags & QUIRE_MAP_STACK)
		flags |= VMA_NO_HUGE;
	if ((map->flags & QUIRE_MAP_NORESERVE) && mm->quire->config.overcommit != QUIRE_OVERCOMMIT_NEVER)
		flags |= VMA_NORESERVE;
	return flags;
}

static int check_file(const struct quire_mmap *map, uint32_t *flags)
{
	switch (map->flags & QUIRE_MAP_TYPE) {
	case QUIRE_MAP_SHARED_VALIDATE:
		if (map->flags & ~(uint32_t)KNOWN_FLAGS)
			return -QUIRE_EOPNOTSUPP;
		/* fall through */
	case QUIRE_MAP_SHARED:
		if ((map->prot & QUIRE_PROT_WRITE) && !(map->access & QUIRE_FILE_WRITE))
			return -QUIRE_EACCES;
		*flags |= VMA_SHARED | VMA_MAY_SHARE;
		if (!(map->access & QUIRE_FILE_WRITE))
			*flags &= ~(VMA_MAY_WRITE | VMA_SHARED);
		/* fall through */
	case QUIRE_MAP_PRIVATE:
		if (!(map->access & QUIRE_FILE_READ))
			return -QUIRE_EACCES;
		if (map->access & QUIRE_FILE_NOEXEC) {
			if (*flags & VMA_EXEC)
				return -QUIRE_EPERM;
			*flags &= ~VMA_MAY_EXEC;
		}
		return *flags & VMA_GROWSDOWN ? -QUIRE_EINVAL : 0;
	default:
		return -QUIRE_EINVAL;
	}
}

static int check_anonymous(const struct quire_mmap *map, struct vma_new *fresh)
{
	if ((map->flags & QUIRE_MAP_TYPE) != QUIRE_MAP_PRIVATE)
		return -QUIRE_EINVAL;
	fresh->pgoff = page_of(fresh->start);
	return 0;
}

static bool is_fixed(const struct quire_mmap *map)
{
	return map->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE);
}

static bool may_replace(const struct quire_mmap *map)
{
	return (map->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE)) == QUIRE_MAP_FIXED;
}

/* An address for it, with nothing held. */
static int64_t place(struct quire_cpu *cpu, struct quire_mm *mm, const struct quire_mmap *map,
		     quire_vaddr length)
{
	unsigned how = search_kind(map->file);
	quire_vaddr hint = map->addr;
	if (is_fixed(map)) {
		how |= SEARCH_FIXED;
	} else {
		hint = align_down(hint, QUIRE_PAGE_SIZE);
		if (hint && hint < mm->quire->config.mmap_min_addr)
			hint = align_up(mm->quire->config.mmap_min_addr, QUIRE_PAGE_SIZE);
		if (map->flags & QUIRE_MAP_32BIT)
			how |= SEARCH_LOW;
	}
	int64_t addr = search_unmapped(cpu, mm, hint, length, map->file ? map->offset : 0, how);
	return addr < 0 || (uint64_t)addr >= mm->quire->config.mmap_min_addr ? addr : -QUIRE_EPERM;
}

/* Where it goes. What decides before the address does, decides here. */
static int64_t choose(struct quire_cpu *cpu, struct quire_mm *mm, const struct quire_mmap *map,
		      quire_vaddr length)
{
	if (!length)
		return -QUIRE_ENOMEM;
	uint64_t pgoff = page_of(map->offset);
	if (pgoff + page_of(length) < pgoff)
		return -QUIRE_EOVERFLOW;
	if (mm_maps(mm) > mm->quire->config.max_map_count)
		return -QUIRE_ENOMEM;
	return place(cpu, mm, map, length);
}

/* What else the arguments decide, with the range held. 0 and *request, or an error. */
static int understand(struct quire_mm *mm, const struct quire_mmap *map, quire_vaddr start,
		      quire_vaddr length, struct request *request)
{
	uint64_t pgoff = page_of(map->offset);
	struct vma_new *fresh = &request->fresh;
	*fresh = (struct vma_new){
		.start = start,
		.end = start + length,
		.pgoff = pgoff,
		.flags = flags_of(mm, map),
		.file = map->file,
		.opened = map->file ? map->opened : 0,
	};
	if ((map->flags & QUIRE_MAP_LOCKED) && !mm_can_lock(mm))
		return -QUIRE_EPERM;
	if (!mm_may_lock(mm, fresh->flags, length))
		return -QUIRE_EAGAIN;
	if (map->file && (length > INT64_MAX || pgoff > page_of(INT64_MAX - length)))
		return -QUIRE_EOVERFLOW; /* no file is that long */
	int err = map->file ? check_file(map, &fresh->flags) : check_anonymous(map, fresh);
	bool commit = (map->flags & QUIRE_MAP_ANONYMOUS) && !(fresh->flags & VMA_NORESERVE);
	request->shared = commit ? map->file : NULL;
	request->access = map->access;
	request->fixed = is_fixed(map);
	request->populate = (fresh->flags & VMA_LOCKED) ||
			    (map->flags & (QUIRE_MAP_POPULATE | QUIRE_MAP_NONBLOCK)) == QUIRE_MAP_POPULATE;
	return err;
}

/* A neighbour takes it in, or a VMA is made. */
static struct vma *join_or_link(struct door *door, const struct request *request)
{
	const struct vma_new *fresh = &request->fresh;
	struct vma_pair around = request->fixed ? door_around(door, fresh->start, fresh->start)
						: request->around;
	struct vma *vma = door_merge_new(door, fresh, around);
	if (vma)
		return vma;
	vma = vma_create(*door->cpu, door->mm, fresh->start, fresh->end, fresh->flags, fresh->pgoff,
			 fresh->file);
	if (!vma)
		return NULL;
	vma->access = request->access;
	vma->opened = fresh->opened;
	if (door_link(door, vma, NULL)) {
		list_add(&door->retired, &vma->rmap.chains);
		return NULL;
	}
	return vma;
}

static bool is_accountable(uint32_t flags)
{
	return (flags & (VMA_NORESERVE | VMA_SHARED | VMA_WRITE)) == VMA_WRITE;
}

/*
 * Replace what is there. Linux's order: cut, limits, charge, clear, link; whatever fails after the clear
 * leaves a hole, whatever fails before leaves everything but the cuts.
 */
static int map_region(struct door *door, struct request *request)
{
	struct quire_mm *mm = door->mm;
	struct vma_new *fresh = &request->fresh;
	uint64_t pages = page_of(fresh->end - fresh->start), charge = 0;
	struct unmap_sums old;
	struct vma *there = NULL;
	int err = request->fixed ? unmap_cut(door, fresh->start, fresh->end, &there) : 0;
	if (err)
		return err;
	unmap_sum(door, there, fresh->start, fresh->end, &old);
	/* Asked even when nothing is added, modulo 2^64: a process past its limit cannot even replace. */
	if (!mm_may_expand(mm, fresh->flags, pages - old.pages))
		return -QUIRE_ENOMEM;
	if (is_accountable(fresh->flags)) {
		charge = pages;
		fresh->flags |= VMA_ACCOUNT;
	}
	if (charge > old.accounted && commit_charge(*door->cpu, charge - old.accounted))
		return -QUIRE_ENOMEM;
	unmap_cut_out(door, there, fresh->start, fresh->end); /* gives old.accounted back */
	if (request->shared && shared_memory_commit(*door->cpu, request->shared))
		return -QUIRE_ENOMEM;
	uint64_t reclaim = min_u64(charge, old.accounted);
	if (reclaim && commit_charge(*door->cpu, reclaim)) {
		commit_uncharge(*door->cpu, charge - reclaim);
		return -QUIRE_ENOMEM;
	}
	struct vma *vma = join_or_link(door, request);
	if (!vma) {
		commit_uncharge(*door->cpu, charge);
		return -QUIRE_ENOMEM;
	}
	mm_account(*door->cpu, mm, fresh->flags, (int64_t)pages);
	if (fresh->flags & VMA_LOCKED) {
		if (vma->flags & VMA_SPECIAL)
			door_set_flags(door, vma, vma->flags & ~VMA_LOCK_MASK);
		else
			mm_add(*door->cpu, mm, MM_LOCKED, (int64_t)pages);
		mm_judge(mm);
	}
	return 0;
}

/*
 * The range is held. -EAGAIN, and *again: it was free when it was found, and is not any more, or addresses
 * end before it.
 */
static int64_t map_held(struct door *door, const struct quire_mmap *map, quire_vaddr start,
			quire_vaddr length, bool *populate, bool *again)
{
	struct request request = { .populate = false };
	bool taken = false;
	if (!may_replace(map))
		request.around = door_around(door, start, start);
	struct vma *after = request.around.after;
	if (!is_fixed(map)) /* a stack may have grown */
		taken = !search_is_clear(*door->cpu, door->mm, start, length, after);
	else if (after && after->rmap.start < start + length)
		return -QUIRE_EEXIST;
	*again = taken || start + length > door->mm->layout.end;
	if (*again)
		return -QUIRE_EAGAIN;
	int err = understand(door->mm, map, start, length, &request);
	if (!err)
		err = map_region(door, &request);
	*populate = request.populate;
	return err ? err : (int64_t)start;
}

/* As map_held(); with all of the space held, so that the address is chosen for good. */
static int64_t map_whole(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_mmap *map,
			 quire_vaddr length, bool *populate, bool *again)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	int64_t result = choose(*cpu, mm, map, length);
	if (result >= 0)
		result = map_held(&door, map, (uint64_t)result, length, populate, again);
	door_open(&door);
	return result;
}

/*
 * That there is no room is sure only when nobody else maps and unmaps; and what is locked counts against a
 * limit.
 */
static int64_t map_somewhere(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_mmap *map,
			     bool *populate)
{
	quire_vaddr length = align_up(map->length, QUIRE_PAGE_SIZE);
	for (;;) {
		struct door door;
		bool again = false;
		int64_t start = choose(*cpu, mm, map, length);
		if (start < 0 && (start != -QUIRE_ENOMEM || is_fixed(map)))
			return start;
		if (start < 0 || (map->flags & QUIRE_MAP_LOCKED))
			return map_whole(cpu, mm, map, length, populate, &again);
		door_close(&door, cpu, mm, (uint64_t)start, (uint64_t)start + length);
		int64_t result = map_held(&door, map, (uint64_t)start, length, populate, &again);
		door_open(&door);
		if (!again)
			return result;
	}
}

int64_t quire_mmap(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_mmap *map)
{
	struct quire_mmap with_file;
	bool anonymous = map->flags & QUIRE_MAP_ANONYMOUS;
	bool shared_anonymous = anonymous && (map->flags & QUIRE_MAP_TYPE) == QUIRE_MAP_SHARED;
	if (!is_aligned(map->offset, QUIRE_PAGE_SIZE) || !map->length || (map->flags & QUIRE_MAP_HUGETLB) ||
	    (!map->file && !anonymous))
		return -QUIRE_EINVAL;
	if (anonymous && (shared_anonymous || map->file)) {
		with_file = *map;
		with_file.file = NULL; /* one that is named all the same is not looked at */
		map = &with_file;
	}
	if (shared_anonymous) {
		/* Memory that children share is a file that has no name. */
		int err = shared_memory_create(cpu, align_up(map->length, QUIRE_PAGE_SIZE), &with_file.file);
		if (err)
			return err;
		with_file.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE;
		with_file.offset = 0;
	}
	bool populate_it = false;
	int64_t addr = map_somewhere(cpu, mm, map, &populate_it);
	if (addr >= 0 && populate_it)
		populate_all(cpu, mm, (uint64_t)addr,
			     (uint64_t)addr + align_up(map->length, QUIRE_PAGE_SIZE));
	if (shared_anonymous)
		quire_file_put(cpu, with_file.file);
	return addr;
}

int quire_munmap(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, quire_vaddr length)
{
	struct door door;
	if (!unmap_may_name(mm, addr, length))
		return -QUIRE_EINVAL;
	door_close(&door, cpu, mm, addr, addr + align_up(length, QUIRE_PAGE_SIZE));
	int err = unmap_named(&door, addr, length);
	door_open(&door);
	return err;
}
