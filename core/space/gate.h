/*
 * gate.h - a VMA's gate: who uses it, whether it is closed, and what faults may know of it without using it.
 *
 *	bits	63 .. 41	40 .. 21	20		19 .. 0
 *		turn		VMA_* flags	closed		users
 *
 * All of it is one word, so that whoever enters learns in the same step that it is open, and whose turn it
 * is. A VMA is changed while it is closed and has no user; each opening begins a new turn. Two kinds are
 * closed from birth or for ever: a newborn one, which is linked before its pages are in place, and a zombie,
 * which is out of the tree and waits for its grace period. Nobody need tell them apart.
 *
 *	a fault without a use		a fault that uses it		the door
 *	RCU				RCU				closed = 1
 *	find the VMA, look		find the VMA, look		FULL FENCE (a)
 *	lock its leaf table		users + 1, if unchanged		users == 0? or wait
 *	FULL FENCE (b)			leave RCU			change it, clear entries
 *	gate unchanged? install		install, may sleep		flush
 *	unlock				users - 1; closed and none	turn + 1, closed = 0
 *					left? wake the door
 *
 * (b) against (a). The door clears what it finds in tables, under their locks. If it came to a table first,
 * the fault sees the gate changed; if the fault did, the door finds its entry. But the table may be one that
 * the fault, or another one just before it, has hung in while the door looked: the door found none.
 * Storing the mark and looking for tables against hanging in a table and looking at the mark is store
 * buffering, and needs both fences. Without one, an entry appears behind the door's back and stays.
 *
 * Who merges VMAs comes to no table. So what is read of a VMA to go into an entry, or into its page, is read
 * before the last look at the gate; and a refusal (a signal) is believed only after one more look.
 *
 * What is read of an open VMA without a use may change under the reader; so it is either in the gate, or
 * atomic beside it, or fixed for the VMA's life (mm.h says which), and counts for nothing until the gate was
 * looked at again. The memory is this VMA's for the whole read-side section: no other has it before a grace
 * period has passed (CVE-2025-38554 is where it could be).
 *
 * Order:   vma_enter() in a read-side section; users may sleep, and wait for locks of the reverse map and for
 *          notifiers, whose holders never wait for a VMA (BASE-8). vma_close() sleeps, with the VMA's
 *          range held for writing and nothing locked inside.
 * Rules:   VMA-2 to VMA-5.
 */
#ifndef QUIRE_SPACE_GATE_H
#define QUIRE_SPACE_GATE_H

#include "mm.h"

#include "../base/safeguard.h"

#define VMA_GATE_CLOSED (1ull << 20)
#define VMA_GATE_USERS (VMA_GATE_CLOSED - 1)
#define VMA_GATE_FLAGS_SHIFT 21
#define VMA_GATE_FLAGS 0xfffffull

/* What a fault knows of an open VMA. */
struct vma_view {
	uint64_t gate; /* without the users */
	quire_vaddr start, end;
	uint32_t flags;
};

/* False: it is closed. In a read-side section, or with its range held. */
static inline bool vma_look(struct vma *vma, struct vma_view *view)
{
	/* Acquire pairs with the release in vma_open(). */
	uint64_t gate = atomic_load_explicit(&vma->gate, memory_order_acquire);

	view->gate = gate & ~VMA_GATE_USERS;
	view->flags = (uint32_t)(gate >> VMA_GATE_FLAGS_SHIFT & VMA_GATE_FLAGS);
	/* Acquire: who reads a later turn's finds the gate changed when it looks again. */
	view->start = atomic_load_explicit(&vma->shown_start, memory_order_acquire);
	view->end = atomic_load_explicit(&vma->shown_end, memory_order_acquire);
	return !(gate & VMA_GATE_CLOSED);
}

/* Is all as it was at the look? In the same read-side section, with the lock of the leaf table held. */
static inline bool vma_is_unchanged(struct vma *vma, const struct vma_view *view)
{
	if (QUIRE_SAFEGUARD(gate_fence))
		quire_port_fence(); /* (b) */
	/* Relaxed: the fence orders it. */
	return (atomic_load_explicit(&vma->gate, memory_order_relaxed) & ~VMA_GATE_USERS) == view->gate ||
	       !QUIRE_SAFEGUARD(gate_recheck);
}

/* Begin to use it: it stays as in @view until vma_leave(). False: it has changed. */
bool vma_enter(struct vma *vma, const struct vma_view *view);
void vma_leave(struct quire_cpu *cpu, struct vma *vma);

/* The door's. Nobody knows the VMA yet: it begins closed. SLEEPS; twice is once. It has no users. */
void vma_be_born(struct vma *vma);
void vma_close(struct quire_cpu **cpu, struct vma *vma);
void vma_open(struct vma *vma);

static inline bool vma_is_closed(const struct vma *vma)
{
	return (atomic_load_explicit(&((struct vma *)vma)->gate, memory_order_relaxed) & VMA_GATE_CLOSED) !=
	       0;
}

#endif
