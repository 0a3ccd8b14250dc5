/*
 * fault.h - one fault's state, carried from one try to the next.
 *
 * A try runs in one of three gears: under RCU; shifting up, before it sleeps, to using the VMA; or holding
 * its address in the tree. It waits for nothing but locks of the reverse map and notifiers. What else it
 * misses it names (enum fault_step), lets go of everything, prepares it holding nothing, and tries again from
 * the tree with it in hand (BASE-8):
 *
 *	try ---> done
 *	 |  \--> failed: signal, or out of memory
 *	 |
 *	 +--> finds the VMA closed, or none ----------------------------> try, holding the address
 *	 +--> needs a page of the file: read it, lock it, keep it ------> try
 *	 +--> needs the store's leave to write the page: ask, keep it --> try
 *	 +--> needs more stack: hold what it grows into, grow it ---------> try
 *
 * The first gear takes nothing, and writes nothing that others of its space read but the page tables; gate.h
 * draws it. Waiting for a closed VMA is waiting for its range, which its closer holds; so is being sure that
 * there is none, and not a replacement under way, of which no program may see the middle (VMA-7).
 *
 * The page is carried locked, so the next try cannot miss it again unless the mapping itself has changed:
 * every restart but those is progress. And they are bounded: after QUIRE_FAULT_RESTARTS of them a try holds
 * the whole space, so that nothing of it changes meanwhile, and what comes from the file's side waits for the
 * page's lock, which we have. Holding a space under a folio lock is in order, for nobody who holds one waits
 * for a folio lock (docs/locking.md).
 */
#ifndef QUIRE_SPACE_FAULT_H
#define QUIRE_SPACE_FAULT_H

#include "door.h"
#include "gate.h"

enum { /* fault->flags */
       FAULT_WRITE = 1u << 0,
       FAULT_EXEC = 1u << 1,
       /* ptrace: past the VMA's protection, as far as its VMA_MAY_* go; a write breaks COW only */
       FAULT_FORCE = 1u << 2,
       /* from another process: what is not marked readable is not read, and no stack grows */
       FAULT_REMOTE = 1u << 3,
       FAULT_ABSENT = 1u << 4, /* nothing was mapped a moment ago */
};

enum fault_step {
	STEP_DONE,
	STEP_AGAIN,    /* the translation, or the VMA, changed under us: try again at once */
	STEP_LOCK,     /* again, holding the address: the VMA is closed, or there is none */
	STEP_READ,     /* fault->file, fault->index: get the page, locked */
	STEP_WRITABLE, /* the same, and the store's leave to write it */
	STEP_GROW,     /* the stack, down to fault->va */
	STEP_SEGV_MAP, /* failures */
	STEP_SEGV_ACCESS,
	STEP_BUS,
	STEP_NO_MEMORY,
};

enum fault_gear {
	GEAR_RCU,    /* in a read-side section, no more: what is installed is checked against the gate */
	GEAR_HELD,   /* using the VMA */
	GEAR_LOCKED, /* holding the address, to look; or the whole space, after QUIRE_FAULT_RESTARTS */
};

struct fault {
	struct quire_cpu **cpu;
	struct quire_mm *mm;
	quire_vaddr va; /* page aligned */
	unsigned flags;

	enum fault_gear gear;	 /* of this try */
	struct vma *vma;	 /* of this try */
	struct vma_view is;	 /* what it is */
	struct anon_vma *anon;	 /* its own, as fault_prepare_anon() found it in this try */
	struct folio *fresh;	 /* a page of our own to install, not yet used; contents arbitrary */
	struct quire_file *file; /* what STEP_READ and STEP_WRITABLE want: referenced */
	uint64_t index;
	struct folio *page; /* prepared: of file at index, referenced and locked */
	unsigned restarts;
	bool around;  /* the neighbours were mapped */
	bool refused; /* the store did not give what was asked of it last */
	union {	      /* in the last gear */
		struct range_hold hold;
		struct door door;
	};
};

/* A try's parts. fault->vma is found, in gear, and its protection checked. */
enum fault_step fault_anonymous(struct fault *fault);
enum fault_step fault_file(struct fault *fault);

/*
 * cursor_open() at fault->va, and under the lock of its table a look at the gate: -EAGAIN, with nothing held,
 * when the VMA is not any more what the fault takes it for. If it is, what the fault installs, before it lets
 * go of the table, comes before any change of the VMA (VMA-4).
 */
static inline int fault_open(struct fault *fault, struct cursor *cursor, enum cursor_intent intent,
			     struct gather *gather)
{
	int err = cursor_open(cursor, *fault->cpu, &fault->mm->as, fault->va, intent, gather, NULL);
	if (err || fault->gear != GEAR_RCU || vma_is_unchanged(fault->vma, &fault->is))
		return err;
	cursor_close(cursor);
	return -QUIRE_EAGAIN;
}

/* A failure too is one of the VMA as it was looked at: if it has changed, nothing is known. */
static inline enum fault_step fault_fail(const struct fault *fault, enum fault_step step)
{
	bool known = fault->gear != GEAR_RCU || !QUIRE_SAFEGUARD(refusal_recheck) ||
		     vma_is_unchanged(fault->vma, &fault->is);
	return known ? step : STEP_AGAIN;
}

static inline enum fault_step fault_open_failed(int err)
{
	return err == -QUIRE_EAGAIN ? STEP_AGAIN : STEP_NO_MEMORY;
}

/*
 * Take what fault->gear asks for, or the last gear where it must be; let go of what it is by then. The last
 * one SLEEPS.
 */
void gear_in(struct fault *fault);
void gear_out(struct fault *fault);

/* In the last gear: the VMA that contains fault->va, or NULL. */
struct vma *gear_find(struct fault *fault);

/* Up from the first gear, before the try sleeps. False, in gear as before: the VMA has changed. */
bool fault_hold(struct fault *fault);

/*
 * fault->anon: the VMA's anon_vma, made if there is none. STEP_DONE, STEP_AGAIN, STEP_LOCK or STEP_NO_MEMORY.
 * Shifts up.
 */
enum fault_step fault_prepare_anon(struct fault *fault);

/*
 * The entry @entry is present and does not allow the write of a private mapping. The cursor is open on it and
 * is closed on return.
 */
enum fault_step fault_break_cow(struct fault *fault, struct cursor *cursor);

/* Get fault->fresh if there is none. False: no memory. */
bool fault_get_fresh(struct fault *fault);

/*
 * Turn fault->fresh into an anonymous page of fault->vma at fault->va, exclusive; anon_vma prepared. Gives it
 * away.
 */
struct folio *fault_take_fresh(struct fault *fault);

/* Bits of an entry for such a page. */
quire_entry fault_anon_bits(const struct fault *fault);

/*
 * The whole of it: make @va accessible as @flags say. SLEEPS; nothing held. 0; -EFAULT with *signal and
 * *code; -ENOMEM.
 */
int fault_in(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va, unsigned flags,
	     struct quire_fault *out);

#endif
