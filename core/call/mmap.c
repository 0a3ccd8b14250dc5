/*
 * mmap.c - make a mapping; take one away.
 *
 *	arguments	in Linux's order, for which error wins is visible
 *	address		search, or the caller's
 *	limits		map count, address space, data, locked memory, commit
 *	replace		cut what is there, clear it, retire it (MAP_FIXED)
 *	merge or link	a neighbour grows, or a VMA is made
 *	populate	after the space is open again
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

/* An address for it, checked against what is there. */
static int64_t place(struct quire_mm *mm, const struct quire_mmap *map, quire_vaddr length,
		     struct vma_pair *around)
{
	unsigned how = search_kind(map->file);
	quire_vaddr hint = map->addr;
	if (map->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE)) {
		how |= SEARCH_FIXED;
	} else {
		hint = align_down(hint, QUIRE_PAGE_SIZE);
		if (hint && hint < mm->quire->config.mmap_min_addr)
			hint = align_up(mm->quire->config.mmap_min_addr, QUIRE_PAGE_SIZE);
		if (map->flags & QUIRE_MAP_32BIT)
			how |= SEARCH_LOW;
	}
	int64_t addr = search_unmapped(mm, hint, length, map->file ? map->offset : 0, how, around);
	if (addr < 0)
		return addr;
	if ((uint64_t)addr < mm->quire->config.mmap_min_addr)
		return -QUIRE_EPERM;
	if ((map->flags & QUIRE_MAP_FIXED_NOREPLACE) &&
	    vma_meets(mm, (uint64_t)addr, (uint64_t)addr + length))
		return -QUIRE_EEXIST;
	return addr;
}

/* Everything that the arguments decide, under the lock. 0 and *request, or an error. */
static int understand(struct quire_mm *mm, const struct quire_mmap *map, struct request *request)
{
	quire_vaddr length = align_up(map->length, QUIRE_PAGE_SIZE);
	if (!length)
		return -QUIRE_ENOMEM;
	uint64_t pgoff = page_of(map->offset);
	if (pgoff + page_of(length) < pgoff)
		return -QUIRE_EOVERFLOW;
	if (mm->vmas.count > mm->quire->config.max_map_count)
		return -QUIRE_ENOMEM;
	int64_t addr = place(mm, map, length, &request->around);
	if (addr < 0)
		return (int)addr;
	struct vma_new *fresh = &request->fresh;
	*fresh = (struct vma_new){
		.start = (uint64_t)addr,
		.end = (uint64_t)addr + length,
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
	request->access = map->access;
	request->fixed = map->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE);
	request->populate = (fresh->flags & VMA_LOCKED) ||
			    (map->flags & (QUIRE_MAP_POPULATE | QUIRE_MAP_NONBLOCK)) == QUIRE_MAP_POPULATE;
	return err;
}

/* A neighbour takes it in, or a VMA is made. */
static struct vma *join_or_link(struct door *door, const struct request *request)
{
	const struct vma_new *fresh = &request->fresh;
	struct vma_pair around = request->fixed ? vma_around(door->mm, fresh->start, fresh->start)
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
	unmap_sum(there, fresh->start, fresh->end, &old);
	/* Asked even when nothing is added, modulo 2^64: a process past its limit cannot even replace. */
	if (!mm_may_expand(mm, fresh->flags, pages - old.pages))
		return -QUIRE_ENOMEM;
	if (is_accountable(fresh->flags)) {
		charge = pages;
		fresh->flags |= VMA_ACCOUNT;
	}
	if (charge > old.accounted && commit_charge(mm->quire, charge - old.accounted))
		return -QUIRE_ENOMEM;
	unmap_cut_out(door, there, fresh->start, fresh->end); /* gives old.accounted back */
	if (request->shared && shared_memory_commit(request->shared))
		return -QUIRE_ENOMEM;
	uint64_t reclaim = min_u64(charge, old.accounted);
	if (reclaim && commit_charge(mm->quire, reclaim)) {
		commit_uncharge(mm->quire, charge - reclaim);
		return -QUIRE_ENOMEM;
	}
	struct vma *vma = join_or_link(door, request);
	if (!vma) {
		commit_uncharge(mm->quire, charge);
		return -QUIRE_ENOMEM;
	}
	mm_account(mm, fresh->flags, (int64_t)pages);
	if (fresh->flags & VMA_LOCKED) {
		if (vma->flags & VMA_SPECIAL)
			door_set_flags(door, vma, vma->flags & ~VMA_LOCK_MASK);
		else
			mm->locked += pages;
	}
	return 0;
}

static int64_t map_locked(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_mmap *map,
			  bool *populate)
{
	struct door door;
	struct request request;
	door_close(&door, cpu, mm);
	int64_t result = understand(mm, map, &request);
	if (!result) {
		bool commit = (map->flags & QUIRE_MAP_ANONYMOUS) && !(request.fresh.flags & VMA_NORESERVE);
		request.shared = commit ? map->file : NULL;
		result = map_region(&door, &request);
		*populate = request.populate;
	}
	door_open(&door);
	return result ? result : (int64_t)request.fresh.start;
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
	int64_t addr = map_locked(cpu, mm, map, &populate_it);
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
	door_close(&door, cpu, mm);
	int err = unmap_named(&door, addr, length);
	door_open(&door);
	return err;
}
