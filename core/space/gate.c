/*
 * gate.c - a VMA's gate. gate.h draws it.
 */
#include "gate.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

#define CLOSED VMA_GATE_CLOSED
#define USERS VMA_GATE_USERS
#define TURN (1ull << 41)

_Static_assert(VMA_SPECIAL <= VMA_GATE_FLAGS, "the gate holds all flags");

bool vma_enter(struct vma *vma, const struct vma_view *view)
{
	uint64_t gate = atomic_load_explicit(&vma->gate, memory_order_relaxed);

	do {
		if ((gate & ~USERS) != view->gate && QUIRE_SAFEGUARD(enter_recheck))
			return false;
		quire_assert((gate & USERS) != USERS);
		/* Acquire pairs with the release in vma_open(). */
	} while (!atomic_compare_exchange_weak_explicit(&vma->gate, &gate, gate + 1, memory_order_acquire,
							memory_order_relaxed));
	return true;
}

void vma_leave(struct quire_cpu *cpu, struct vma *vma)
{
	struct quire_mm *mm = vma->mm; /* the VMA may go as soon as we have left it */
	/* Release pairs with the acquire in has_users(). */
	uint64_t gate = atomic_fetch_sub_explicit(&vma->gate, 1, memory_order_release);

	quire_assert(gate & USERS);
	if ((gate & (CLOSED | USERS)) != (CLOSED | 1))
		return;
	/* Release pairs with the acquire in vma_close(): who reads the new number sees us gone. */
	atomic_fetch_add_explicit(&mm->left, 1, memory_order_release);
	quire_port_wake_all(cpu, &mm->left);
}

void vma_be_born(struct vma *vma)
{
	/* Nobody knows it yet. Who looks for room looks at the flags of a closed one, too. */
	atomic_store_explicit(&vma->gate, CLOSED | (uint64_t)vma->flags << VMA_GATE_FLAGS_SHIFT,
			      memory_order_relaxed);
}

static bool has_users(struct vma *vma)
{
	/* Acquire pairs with the release in vma_leave(). */
	return (atomic_load_explicit(&vma->gate, memory_order_acquire) & USERS) != 0;
}

void vma_close(struct quire_cpu **cpu, struct vma *vma)
{
	/* Relaxed: what faults installed before is found under their tables' locks. */
	atomic_fetch_or_explicit(&vma->gate, CLOSED, memory_order_relaxed);
	if (QUIRE_SAFEGUARD(close_fence))
		quire_port_fence(); /* (a) */
	while (has_users(vma) && QUIRE_SAFEGUARD(close_wait)) {
		uint32_t left = atomic_load_explicit(&vma->mm->left, memory_order_acquire);

		if (has_users(vma))
			quire_port_wait(cpu, &vma->mm->left, left);
	}
}

void vma_open(struct vma *vma)
{
	uint64_t gate = atomic_load_explicit(&vma->gate, memory_order_relaxed);
	uint64_t turn = gate & ~(TURN - 1);

	/* Release: who reads these finds the gate closed, or later in turn, when it looks again. */
	atomic_store_explicit(&vma->shown_start, vma->rmap.start, memory_order_release);
	atomic_store_explicit(&vma->shown_end, vma->rmap.end, memory_order_release);
	/* Release pairs with the acquires in vma_look() and vma_enter(). Closed, it is nobody's but ours. */
	atomic_store_explicit(&vma->gate, (turn + TURN) | (uint64_t)vma->flags << VMA_GATE_FLAGS_SHIFT,
			      memory_order_release);
}
