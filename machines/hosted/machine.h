/*
 * machine.h - the hosted machine's inside: its CPUs, how they sleep and are woken, and what they ask of
 * each other.
 *
 * A CPU is a thread. Nothing can interrupt it, so it looks for the wishes of others (IPIs) at poll points:
 * before every access, at every turn of a wait, between jobs. A CPU that sleeps cannot look; it is
 * *borrowed* instead: who wants something of it takes its state from ASLEEP to BORROWED and does the work
 * for it, on the spot, without a switch of threads. Before a CPU's thread has started, and after it has
 * ended, it counts as asleep.
 *
 *	           bell rung                        the thread's own
 *	ASLEEP ----------------> AWAKE -----------> ASLEEP
 *	   ^                        (waits for BORROWED to end)
 *	   +--> BORROWED --+     another CPU's, for the length of one handler
 *
 * Locks, all leaves: a CPU's job lock, a wait bucket's lock, the machine's lock. None is held while a
 * handler, a job or the core runs.
 */
#ifndef HOSTED_MACHINE_H
#define HOSTED_MACHINE_H

#include "../softmmu/softmmu.h"
#include "hosted.h"

#include <quire/port.h>

#include <pthread.h>

#if defined(__SANITIZE_THREAD__)
#define HOSTED_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOSTED_TSAN 1
#endif
#endif

#define HOSTED_MASK_WORDS ((QUIRE_MAX_CPUS + 63) / 64)

enum cpu_state { CPU_ASLEEP, CPU_AWAKE, CPU_BORROWED };

struct job {
	struct job *next;
	hosted_job *run;
	void *argument;
};

/* A handler that this CPU has sent to others. Written by its owner before the targets learn of it. */
struct ipi {
	void (*handler)(struct quire_cpu *cpu, void *argument);
	void *argument;
	_Atomic uint32_t pending; /* targets that have not run it yet */
};

enum { HOSTED_HELD = 32 };

struct held_lock {
	uintptr_t lock;
	unsigned class; /* machines/lockorder's */
	bool shared;
};

struct hosted_cpu {
	/* fixed before the thread starts */
	struct hosted *machine;
	struct quire_cpu *cpu;
	unsigned id;
	bool started;
	pthread_t thread;

	/* the CPU's own; also a borrower's, for as long as it has borrowed it */
	struct softmmu mmu;
	unsigned relaxes;   /* turns of short waits, to know when to let other threads run */
	unsigned rcu_depth; /* read-side sections it is in */
	bool in_handler;
	struct ipi ipi;
	unsigned held_count; /* debug builds: locks that it holds; see lockwatch.c */
	struct held_lock held[HOSTED_HELD];

	/* written by everybody */
	_Alignas(64) _Atomic uint32_t attention;  /* there is something in @from */
	_Atomic uint32_t state;			  /* enum cpu_state */
	_Atomic uint32_t bell;			  /* moves at every ring; what the thread sleeps on */
	_Atomic bool stop;			  /* end, once there is no job */
	_Atomic uint64_t from[HOSTED_MASK_WORDS]; /* CPUs whose ipi is to be run here */

	_Alignas(64) pthread_mutex_t jobs_lock; /* protects the queue */
	struct job *jobs_first, **jobs_last;
};

#define WAIT_BUCKETS 64

struct waiter;
struct wait_bucket {
	_Alignas(64) _Atomic uint32_t waiters; /* length of the list; changed under the lock */
	pthread_mutex_t lock;
	struct waiter *first, **last;
};

/* RCU callbacks on their way. See rcu.c. */
struct rcu_queue {
	_Atomic(struct quire_rcu *) handed_in; /* newest first */
	_Atomic(struct quire_rcu *) ready;     /* newest first; a grace period has passed */
	_Atomic uint32_t bell;		       /* moves with every handing-in */
	_Atomic bool stop;
	pthread_t thread;
};

struct hosted {
	struct hosted_config config;
	struct quire *quire;
	struct hosted_cpu **cpus; /* config.cpus of them, then the service CPU */
	unsigned count;		  /* of all, the service CPU too */
	void *memory, *metadata;
	size_t memory_bytes, metadata_bytes;

	_Alignas(64) _Atomic uint32_t hurry;   /* CPUs that wait for a handler to run elsewhere */
	_Alignas(64) _Atomic uint64_t objects; /* small objects held by the core */
	_Atomic uint64_t fail_after;	       /* allocations until one fails; UINT64_MAX: none will */

	_Alignas(64) _Atomic uint64_t jobs; /* posted and not ended */
	pthread_mutex_t lock;		    /* with @changed: jobs reached 0, or a hosted_run() ended */
	pthread_cond_t changed;

	struct rcu_queue rcu;
	struct wait_bucket wait[WAIT_BUCKETS];
	struct lock_watch *watch; /* fixed; NULL: nobody watches */
};

/* The CPU that this thread is, or runs a handler for; NULL on threads that are none. */
extern _Thread_local struct hosted_cpu *hosted_here;

static inline struct hosted_cpu *hosted_cpu_of(const struct quire_cpu *cpu)
{
	return cpu->machine;
}

/* ---- lockwatch.c: the order of locks, in debug builds ------------------------------------------- */

struct lock_watch *watch_create(void); /* NULL: not in this build, or no memory */
void watch_destroy(struct lock_watch *watch);
void watch_object(struct lock_watch *watch, const void *start, size_t bytes);
void watch_forget(struct lock_watch *watch, const void *start);

/* ---- sleep.c: bells ----------------------------------------------------------------------------- */

/*
 * To sleep until something happens: read the bell, look whether it has happened, serve, sleep. Whoever
 * makes it happen does so first and then rings, so a ring between the reading and the sleep ends the sleep
 * at once.
 */
uint32_t bell_read(struct hosted_cpu *me);
void bell_sleep(struct hosted_cpu *me, uint32_t seen, long timeout_ns); /* 0: for ever */
void bell_ring(struct hosted_cpu *target);

/* Around a blocking call to the host: the CPU counts as asleep. */
void cpu_outside(struct hosted_cpu *me);
void cpu_inside(struct hosted_cpu *me);

/* Sleep and wake on a bare futex. */
void futex_sleep(_Atomic uint32_t *word, uint32_t seen, long timeout_ns);
void futex_wake(_Atomic uint32_t *word, int threads);

/* ---- ipi.c -------------------------------------------------------------------------------------- */

/* Run what other CPUs want of this one. */
void cpu_serve(struct hosted_cpu *me);

/* A poll point: cheap when nobody wants anything. */
static inline void cpu_poll(struct hosted_cpu *me)
{
	/* Relaxed: a hint. cpu_serve() looks again with acquire. */
	if (atomic_load_explicit(&me->attention, memory_order_relaxed))
		cpu_serve(me);
}

/* Long-running threads let others run while some CPU waits for one that the host has not scheduled. */
void cpu_give_way(struct hosted_cpu *me);

/* ---- cpu.c: threads and jobs -------------------------------------------------------------------- */

int cpu_create(struct hosted *machine, unsigned id, struct hosted_cpu **out);
void cpu_destroy(struct hosted_cpu *cpu);
int cpu_start(struct hosted_cpu *cpu);
void cpu_stop(struct hosted_cpu *cpu); /* returns when the thread has ended */

/* ---- wait.c ------------------------------------------------------------------------------------- */

void waits_create(struct hosted *machine);
void waits_destroy(struct hosted *machine);
void waits_wake(struct hosted *machine, _Atomic uint32_t *word, unsigned most);

/* ---- rcu.c -------------------------------------------------------------------------------------- */

int rcu_create(struct hosted *machine);
void rcu_destroy(struct hosted *machine);
void rcu_thread_enter(void); /* every CPU thread, before its first section */
void rcu_thread_leave(void);
bool rcu_has_ready(struct hosted *machine);
void rcu_run_ready(struct hosted_cpu *service);

/* ---- memory.c ----------------------------------------------------------------------------------- */

int memory_create(struct hosted *machine);
void memory_destroy(struct hosted *machine);

#endif
