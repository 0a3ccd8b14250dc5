/*
 * gear.c - what a fault holds while it tries: a read-side section, its VMA, or its part of the space.
 *
 * Rules: VMA-2, VMA-5, BASE-8.
 */
#include "fault.h"

#include "lineage.h"

static bool is_alone(const struct fault *fault)
{
	return fault->restarts >= QUIRE_FAULT_RESTARTS;
}

static bool is_exclusive(const struct fault *fault)
{
	return fault->gear == GEAR_LOCKED && is_alone(fault);
}

void gear_in(struct fault *fault)
{
	struct quire_mm *mm = fault->mm;
	if (is_alone(fault) || fault->mm->quire->config.without_vma_locks)
		fault->gear = GEAR_LOCKED;
	if (fault->gear == GEAR_RCU)
		quire_port_rcu_lock(*fault->cpu);
	else if (is_alone(fault)) /* others' faults and calls have undone us often enough: now they wait */
		door_close_whole(&fault->door, fault->cpu, mm);
	else
		mm_hold(fault->cpu, mm, fault->va, fault->va + 1, &fault->hold);
}

void gear_out(struct fault *fault)
{
	if (fault->gear == GEAR_RCU)
		quire_port_rcu_unlock(*fault->cpu);
	else if (fault->gear == GEAR_HELD)
		vma_leave(*fault->cpu, fault->vma);
	else if (is_alone(fault))
		door_open(&fault->door);
	else
		mm_hold_done(*fault->cpu, fault->mm, &fault->hold);
}

struct vma *gear_find(struct fault *fault)
{
	return is_alone(fault) ? door_find(&fault->door, fault->va)
			       : range_hold_find(*fault->cpu, &fault->hold, fault->va);
}

/* What was found out under RCU still holds, as the VMA is entered only unchanged. */
bool fault_hold(struct fault *fault)
{
	if (fault->gear != GEAR_RCU)
		return true;
	if (!vma_enter(fault->vma, &fault->is))
		return false;
	quire_port_rcu_unlock(*fault->cpu);
	fault->gear = GEAR_HELD;
	return true;
}

static int prepare_anon_alone(struct fault *fault)
{
	struct vma *vma = fault->vma;
	return vma_prepare_anon(fault->cpu, vma, door_around(&fault->door, vma->rmap.start, vma->rmap.end));
}

/*
 * The anon_vma is looked at before the gate is, the last time: a VMA that merges into another loses its own
 * without anybody's coming to its tables. The other has the same one then.
 */
enum fault_step fault_prepare_anon(struct fault *fault)
{
	fault->anon = vma_anon(fault->vma);
	if (fault->anon)
		return STEP_DONE;
	if (!fault_hold(fault))
		return STEP_AGAIN;
	int err = is_exclusive(fault) ? prepare_anon_alone(fault)
				      : vma_prepare_anon_in_use(fault->cpu, fault->vma);
	fault->anon = vma_anon(fault->vma);
	if (err)
		return err == -QUIRE_EAGAIN ? STEP_LOCK : STEP_NO_MEMORY;
	return STEP_DONE;
}
