/*
 * port.h - everything that a machine must provide. One page to port Quire.
 *
 * The core calls what is declared here, memcpy, memmove, memset and memcmp, and nothing else.
 *
 * Contexts. A function marked SLEEPS takes `struct quire_cpu **`: the caller may be moved to another CPU
 * while it waits and finds the CPU it runs on afterwards in *cpu. All others take `struct quire_cpu *`,
 * which is valid only while the caller cannot be moved: between two calls that sleep, the core must not be
 * preempted to another CPU (a kernel disables preemption, a CPU that is a thread needs nothing).
 *
 * Interrupts. The core never disables them. Every function here that waits serves the IPIs of other CPUs
 * meanwhile, or two CPUs that flush each other wait for ever.
 */
#ifndef QUIRE_PORT_H
#define QUIRE_PORT_H

#include <quire/types.h>

/* ---- memory ------------------------------------------------------------------------------------------ */

/*
 * Small objects: VMAs, tree nodes, address spaces. Returns memory aligned to 64 bytes, whatever is in it, or
 * NULL when there is none; must not sleep, may be called under spin locks. quire_port_free() also under RCU.
 */
void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes);
void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes);

/*
 * Copies, fills and compares frames' contents, which other CPUs and devices may be writing: a result torn at
 * any byte is allowed, as `rep movsb` gives it, anything else is not. Addresses are in the instance's memory
 * or the caller's buffers.
 */
void quire_port_copy(void *to, const void *from, size_t bytes);
void quire_port_zero(void *to, size_t bytes);

/* ---- waiting ----------------------------------------------------------------------------------------- */

/*
 * One turn of a short wait under a spin lock's conditions: serves IPIs, may yield to the host, never sleeps.
 */
void quire_port_relax(struct quire_cpu *cpu);

/*
 * SLEEPS until *word is not @seen, or for no reason at all. quire_port_wake() after a change of *word wakes
 * those who wait for it: one, or all.
 */
void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen);
void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word);
void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word);

/* ---- RCU --------------------------------------------------------------------------------------------- */

struct quire_rcu {
	struct quire_rcu *next;
	void (*done)(struct quire_cpu *cpu, struct quire_rcu *head);
};

/* Read-side sections nest, do not sleep, and may contain spin locks. */
void quire_port_rcu_lock(struct quire_cpu *cpu);
void quire_port_rcu_unlock(struct quire_cpu *cpu);

/*
 * Calls head->done once every read-side section that had begun has ended. done runs on some CPU, under no
 * lock of the core's, not inside a read-side section, and does not sleep. May be called under spin locks.
 */
void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head);

/* SLEEPS until every callback handed in before has run. For tearing down, and what is as rare. */
void quire_port_rcu_barrier(struct quire_cpu **cpu);

/* ---- other CPUs -------------------------------------------------------------------------------------- */

struct quire_cpu_mask {
	_Atomic uint64_t bits[(QUIRE_MAX_CPUS + 63) / 64];
};

/*
 * Runs @handler(target's cpu, @argument) on every CPU of @targets and returns when all have run; the caller
 * is not among them. Serves IPIs meanwhile. The handler takes no lock, does not wait and wakes nobody.
 * Everything before the call is visible to the handlers, everything in the handlers to the caller after it. A
 * CPU that executes nothing at all (offline) may have its handler run for it by another.
 */
void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument);

/* ---- the CPU's own MMU ------------------------------------------------------------------------------- */

/*
 * Translate with the table tree at @root from now on, tagging what is cached with @asid (1 to QUIRE_ASIDS; 0
 * is the empty root's, where nothing is mapped). Does not flush by itself. The root's entries from
 * QUIRE_USER_END on are the machine's, for a kernel's half of the address space: the core neither writes nor
 * reads them.
 */
void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid);

/*
 * Forget, on this CPU only, what is cached under @asid: leaves of [start, end) and all upper-level entries
 * for these addresses; or everything.
 */
void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end);
void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid);

/* ---- failure ----------------------------------------------------------------------------------------- */

/* An invariant is broken: print and stop. Only debug builds (QUIRE_DEBUG) call it. Does not return. */
_Noreturn void quire_port_panic(const char *file, int line, const char *condition);

/*
 * Debug builds: is @cpu the CPU that the caller runs on? A caller that slept and kept a stale one is caught.
 */
bool quire_port_is_here(struct quire_cpu *cpu);

/*
 * Debug builds: the caller has taken a lock of the core's (alone, or shared with other readers; or only
 * tried, and so waited for nobody), or is about to give it back. For a machine that watches in which order
 * locks are taken; it need not do anything.
 */
enum quire_lock_note { QUIRE_LOCK_TAKEN, QUIRE_LOCK_SHARED, QUIRE_LOCK_TRIED, QUIRE_LOCK_GIVEN };
void quire_port_lock_note(const void *lock, enum quire_lock_note note);

/* ---- with defaults ------------------------------------------------------------------------------------- */

/*
 * A full fence. One name for it, because ThreadSanitizer does not understand fences: builds under it use a
 * read-modify-write of one shared word instead, which it does.
 */
#ifndef QUIRE_PORT_OWN_FENCE
#if defined(__SANITIZE_THREAD__) /* gcc */
#define QUIRE_PORT_OWN_FENCE
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) /* clang */
#define QUIRE_PORT_OWN_FENCE
#endif
#endif
#endif
#ifdef QUIRE_PORT_OWN_FENCE
void quire_port_fence(void);
#else
static inline void quire_port_fence(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}
#endif

/*
 * A spin lock: held for a few hundred instructions, never while sleeping. A machine that defines
 * QUIRE_PORT_OWN_SPIN provides the three functions itself.
 */
struct quire_spin {
	_Atomic uint32_t word; /* 0 free, 1 held */
};

#ifdef QUIRE_PORT_OWN_SPIN
void quire_spin_lock(struct quire_cpu *cpu, struct quire_spin *lock);
bool quire_spin_trylock(struct quire_cpu *cpu, struct quire_spin *lock);
void quire_spin_unlock(struct quire_cpu *cpu, struct quire_spin *lock);
#else
static inline void quire_spin_note(struct quire_spin *lock, enum quire_lock_note note)
{
#ifdef QUIRE_DEBUG
	quire_port_lock_note(lock, note);
#else
	(void)lock;
	(void)note;
#endif
}

static inline bool quire_spin_enter(struct quire_spin *lock)
{
	/* Acquire pairs with the release in quire_spin_unlock(). */
	return atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
	       atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) == 0;
}

static inline bool quire_spin_trylock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	if (!quire_spin_enter(lock))
		return false;
	quire_spin_note(lock, QUIRE_LOCK_TRIED);
	return true;
}

static inline void quire_spin_lock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	while (!quire_spin_enter(lock))
		quire_port_relax(cpu);
	quire_spin_note(lock, QUIRE_LOCK_TAKEN);
}

static inline void quire_spin_unlock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	quire_spin_note(lock, QUIRE_LOCK_GIVEN);
	atomic_store_explicit(&lock->word, 0, memory_order_release);
}
#endif

#endif
