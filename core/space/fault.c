/*
 * fault.c - the fault handler: find the VMA, check its rights, let the right part make the entry; prepare
 * what was missing and restart.
 *
 * fault.h draws the states. Rules: BASE-1 (signals are Linux's), BASE-8.
 */
#include "fault.h"

#include "../base/assert.h"
#include "../base/safeguard.h"
#include "grow.h"

/* Give back what the last try wanted or what was prepared for it. */
static void drop_file(struct fault *fault)
{
	if (fault->file)
		quire_file_put(fault->cpu, fault->file);
	fault->file = NULL;
}

static void drop_page(struct fault *fault)
{
	if (!fault->page)
		return;
	folio_unlock(*fault->cpu, fault->page);
	folio_put(*fault->cpu, fault->page);
	fault->page = NULL;
}

static bool access_allowed(const struct fault *fault)
{
	uint32_t have = fault->is.flags;
	if (fault->flags & FAULT_FORCE) {
		if (fault->flags & FAULT_WRITE)
			return (have & VMA_WRITE) || flags_are_private(have);
		return (have & VMA_MAY_READ) != 0;
	}
	if (fault->flags & FAULT_WRITE)
		return (have & VMA_WRITE) != 0;
	if (fault->flags & FAULT_EXEC)
		return (have & VMA_EXEC) != 0;
	return (have & (fault->flags & FAULT_REMOTE ? VMA_READ : VMA_ACCESS)) != 0;
}

/* What was prepared is for a page of a file; is it still the one that the address maps? */
static bool prepared_fits(const struct fault *fault)
{
	return fault->file == fault->vma->rmap.file && fault->index == vma_index(fault->vma, fault->va);
}

/*
 * Nothing is mapped there, surely. The stack above, if it is one, need not be held: who grows it looks again.
 */
static enum fault_step look_above(struct fault *fault)
{
	struct vma_view above = { .flags = 0 };
	bool open = true;
	if (fault->flags & FAULT_REMOTE)
		return STEP_SEGV_MAP;
	quire_port_rcu_lock(*fault->cpu);
	struct vma *vma = vma_next(fault->mm, fault->va);
	if (vma)
		open = vma_look(vma, &above);
	quire_port_rcu_unlock(*fault->cpu);
	if (!open)
		return STEP_LOCK;
	return above.flags & VMA_GROWSDOWN ? STEP_GROW : STEP_SEGV_MAP;
}

/* Under RCU, or holding the address: fault->vma, and what it is. STEP_DONE: found. */
static enum fault_step look_up(struct fault *fault)
{
	struct vma *vma = fault->gear == GEAR_RCU ? vma_find(fault->mm, fault->va) : gear_find(fault);
	if (!vma && fault->gear == GEAR_LOCKED)
		return look_above(fault);
	if (!vma)
		return QUIRE_SAFEGUARD(absent_lock) ? STEP_LOCK : STEP_SEGV_MAP;
	fault->vma = vma;
	if (!vma_look(vma, &fault->is))
		return STEP_LOCK;
	/* The tree may have been a change behind. */
	return fault->va >= fault->is.start && fault->va < fault->is.end ? STEP_DONE : STEP_LOCK;
}

static enum fault_step try_in_gear(struct fault *fault)
{
	if (!access_allowed(fault))
		return fault_fail(fault, STEP_SEGV_ACCESS);
	if (!fault->file || !prepared_fits(fault)) {
		drop_page(fault);
		fault->refused = false;
	}
	return vma_is_anonymous(fault->vma) ? fault_anonymous(fault) : fault_file(fault);
}

/*
 * The file's reference of the step before is dropped only after the try, with nothing held: the last one may
 * write pages back.
 */
static enum fault_step try_once(struct fault *fault)
{
	struct quire_file *prepared = fault->file;
	gear_in(fault);
	enum fault_step step = look_up(fault);
	if (step == STEP_DONE)
		step = try_in_gear(fault);
	gear_out(fault);
	drop_page(fault); /* the mapping changed, and the try had no use for it */
	if (prepared) {
		if (fault->file == prepared && step != STEP_READ && step != STEP_WRITABLE)
			fault->file = NULL;
		quire_file_put(fault->cpu, prepared);
	}
	return step;
}

/*
 * There is no such page, or the store will not give it, or not for writing. Whether the address still maps it
 * is for the next try to see, and so is whether the file still ends before it: no mapping of this moment need
 * be to blame (VMA-7).
 */
static enum fault_step refuse(struct fault *fault, int err)
{
	if (err == -QUIRE_ENOMEM)
		return STEP_NO_MEMORY;
	fault->refused = fault->index < file_pages(fault->file);
	return STEP_AGAIN;
}

/* Nothing is held. Brings the page locked, with the store's leave if that is what was missing. */
static enum fault_step prepare_page(struct fault *fault, enum fault_step step)
{
	bool read = false;
	int err = file_page(fault->cpu, fault->file, fault->index, &fault->page, &read);
	if (read)
		count(&(*fault->cpu)->faults->read);
	if (err)
		return refuse(fault, err);
	folio_lock(fault->cpu, fault->page);
	if (!file_may_map(fault->file, fault->page)) { /* truncated meanwhile: look again */
		drop_page(fault);
		return STEP_AGAIN;
	}
	if (step == STEP_WRITABLE) {
		err = file_make_writable(fault->cpu, fault->file, fault->page);
		if (err) {
			drop_page(fault);
			return refuse(fault, err);
		}
	}
	return STEP_AGAIN;
}

static enum fault_step prepare(struct fault *fault, enum fault_step step)
{
	fault->gear = GEAR_RCU;
	switch (step) {
	case STEP_AGAIN:
		return STEP_AGAIN;
	case STEP_LOCK:
		fault->gear = GEAR_LOCKED;
		return STEP_AGAIN;
	case STEP_READ:
	case STEP_WRITABLE:
		return prepare_page(fault, step);
	case STEP_GROW:
		return grow_stack(fault->cpu, fault->mm, fault->va) ? STEP_SEGV_MAP : STEP_AGAIN;
	default:
		return step;
	}
}

static void count_gear(const struct fault *fault)
{
	struct fault_counts *counts = (*fault->cpu)->faults;
	count(fault->gear == GEAR_RCU	 ? &counts->rcu
	      : fault->gear == GEAR_HELD ? &counts->held
					 : &counts->locked);
}

static int finish(struct fault *fault, enum fault_step step, struct quire_fault *out)
{
	quire_assert(!fault->page);
	drop_file(fault);
	if (fault->fresh)
		folio_put(*fault->cpu, fault->fresh);
	*out = (struct quire_fault){ 0 };
	switch (step) {
	case STEP_DONE:
		count_gear(fault);
		return 0;
	case STEP_NO_MEMORY:
		return -QUIRE_ENOMEM;
	case STEP_BUS:
		*out = (struct quire_fault){ QUIRE_SIGBUS, QUIRE_BUS_ADRERR };
		break;
	case STEP_SEGV_ACCESS:
		*out = (struct quire_fault){ QUIRE_SIGSEGV, QUIRE_SEGV_ACCERR };
		break;
	default:
		*out = (struct quire_fault){ QUIRE_SIGSEGV, QUIRE_SEGV_MAPERR };
		break;
	}
	count(&(*fault->cpu)->faults->failed);
	return -QUIRE_EFAULT;
}

static void fault_begin(struct fault *fault, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va,
			unsigned flags)
{
	fault->cpu = cpu;
	fault->mm = mm;
	fault->va = align_down(va, QUIRE_PAGE_SIZE);
	fault->flags = flags;
	fault->gear = GEAR_RCU;
	fault->fresh = NULL;
	fault->file = NULL;
	fault->page = NULL;
	fault->restarts = 0;
	fault->around = false;
	fault->refused = false;
}

int fault_in(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va, unsigned flags,
	     struct quire_fault *out)
{
	struct fault fault;
	enum fault_step step;
	fault_begin(&fault, cpu, mm, va, flags);
	for (;;) {
		step = try_once(&fault);
		if (step == STEP_DONE)
			break;
		step = prepare(&fault, step);
		if (step != STEP_AGAIN)
			break;
		count(&(*cpu)->faults->restarts);
		fault.restarts++;
	}
	return finish(&fault, step, out);
}

int quire_fault(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr addr, unsigned access,
		struct quire_fault *out)
{
	unsigned flags = access & QUIRE_ACCESS_ABSENT ? FAULT_ABSENT : 0;
	access &= ~(unsigned)QUIRE_ACCESS_ABSENT;
	if (access == QUIRE_ACCESS_WRITE)
		flags |= FAULT_WRITE;
	else if (access == QUIRE_ACCESS_EXEC)
		flags |= FAULT_EXEC;
	count(&(*cpu)->faults->faults);
	return fault_in(cpu, mm, addr, flags, out);
}
