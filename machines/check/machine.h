/*
 * machine.h - the check machine: an instance of Quire whose CPUs are threads of a search (engine.h), with an
 * adversary for hardware and oracles at the doors.
 *
 * One machine exists at a time. Its memory, metadata and small objects lie in one arena. Set-up runs once,
 * unscheduled; machine_freeze() keeps the arena as it then is, and every execution begins with a copy.
 *
 *	machine_create -> set-up through Quire's calls -> machine_freeze -> engine_run: reset, threads, end
 *
 * Threads of the search, in this order:
 *
 *	0 .. cpus-1		what the CPUs execute: the litmus file's columns
 *	then for each CPU	its interrupt handler (IPIs)
 *	then, under TSO		each CPU's store buffer
 *	then, if asked for	the agent that ends grace periods and runs RCU callbacks (on a service CPU)
 *	then			the speculating walkers, one for each that the file asks for
 *
 * A device has no thread of its own: a column works it (machine_device_*()).
 *
 * What is not explored.
 *
 *	- A program's own loads and stores act at once: its data has no store buffer, and a store waits until
 *	  its CPU's is empty. Under TSO an unlock, a wake and an interrupt empty it too.
 *	- Fills of a TLB that set accessed bits at a moment when nothing uses them: by walkers only.
 *	- Without rcu_agent no grace period ends before the execution does.
 *	- A spin lock or a rwlock that is tried: a violation (locks.c).
 *	- Loads from freed objects are seen if they race with the free or crash on the poison; stores always.
 *	- What set-up left in TLBs is known from moments between its flushes, not from every change.
 *
 * And what is explored that no single CPU does: old upper-level entries after newer ones.
 */
#ifndef CHECK_MACHINE_H
#define CHECK_MACHINE_H

#include "engine.h"
#include "memory.h"

#include <quire/mm.h>
#include <quire/notifier.h>
#include <quire/quire.h>

struct machine_config {
	unsigned cpus; /* 1 to QUIRE_MAX_CPUS - 1 */
	uint64_t frames;
	enum memory_model model;
	bool rcu_agent;	   /* grace periods end while the program runs, not only after it */
	bool shared_pool;  /* frames come from one pool, not from each CPU's own cache */
	bool several_tlbs; /* a CPU may use an old translation after a newer one (any choice at every use) */
	bool writers_wait; /* a writer that waits for a sleeping lock is seen, and holds new readers off */
	unsigned devices;  /* secondary MMUs */
	unsigned walkers;  /* speculating walkers; walker n is CPU n % cpus's */
	struct quire_config quire; /* memory, metadata and frames are filled in; zeroes mean defaults */
};

struct machine;

int machine_create(const struct machine_config *config, struct machine **out);
void machine_destroy(struct machine *machine);

struct quire *machine_quire(struct machine *machine);
struct quire_cpu **machine_cpu(struct machine *machine, unsigned cpu);

/* Set-up is done. From now on reset() brings this state back. */
void machine_freeze(struct machine *machine);

/*
 * The machine's half of an engine_program. The threads that are CPUs run the caller's code; a CPU may still
 * run an mm when its column ends (machine_finish() makes it leave).
 */
unsigned machine_threads(struct machine *machine);
const char *machine_thread_name(struct machine *machine, unsigned thread);
bool machine_is_agent(struct machine *machine, unsigned thread);
unsigned machine_works_for(struct machine *machine, unsigned thread); /* engine_program.works_for */
void machine_reset(struct machine *machine);
void machine_image(struct machine *machine, struct image *image); /* what that resets, when it is frozen */
void machine_agent(struct machine *machine, unsigned thread);	  /* body of the threads that are not CPUs */
void machine_describe_wait(struct machine *machine, unsigned thread, char *out, size_t room);

/*
 * What machine_finish() looks at, when all threads have ended and memory_settle() was called: executions that
 * agree in it end alike.
 */
void machine_end_image(struct machine *machine, struct image *image);

/*
 * At every complete execution, before that: what depends on the way that led to the end, and is in no image.
 * Reports violations. machine_finish() does it too.
 */
void machine_look_back(struct machine *machine);

/* ---- what a CPU's column does: between calls of Quire, as a kernel and its user program would ------- */

/*
 * A call of the core on the mm whose addresses [start, end) it is about begins and returns: from the return
 * on, no CPU may see what it has changed as it was before (CHK-5). A call that takes something away whatever
 * it was (munmap, say) answers for the whole range: also for what another call was changing there. @takes
 * says what: a bit for each access (1 << QUIRE_ACCESS_READ, ...) that nobody has any more by what was there
 * before. A call that @failed answers for what it has changed itself, and no more. @mm may be NULL, for calls
 * on files.
 */
void machine_call_begin(struct machine *machine, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			const char *what, unsigned takes);
void machine_call_end(struct machine *machine, bool failed);

struct machine_result {
	int signal;	/* 0, or the signal that the access raised */
	int error;	/* 0, or -ENOMEM */
	uint64_t value; /* loaded */
};

/*
 * The user program of the mm that @cpu runs loads or stores @bytes (1 to 8, within a page), or fetches: the
 * adversary chooses the translation; a fault is handled by quire_fault() and the access tried again. Each try
 * is one transition.
 */
struct machine_result machine_load(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				   quire_vaddr va, unsigned bytes);
struct machine_result machine_store(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				    quire_vaddr va, unsigned bytes, uint64_t value);
struct machine_result machine_fetch(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm,
				    quire_vaddr va, unsigned bytes);

/* One try of a load: false is a page fault, which nobody has handled yet. For tests of the machine. */
bool machine_try_load(struct machine *machine, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va,
		      uint64_t *value);

/*
 * A secondary MMU: registers a notifier, keeps translations until that tells it to let go, loads and stores
 * through them. Its owner's lock is a transition. The first and the last two SLEEP.
 */
void machine_device_open(struct machine *machine, unsigned device, struct quire_cpu **cpu,
			 struct quire_mm *mm);
int machine_device_map(struct machine *machine, unsigned device, struct quire_cpu **cpu, quire_vaddr va,
		       unsigned access); /* 0, or quire_translate()'s error */
/* -EFAULT when there is no translation, or none that allows it. */
int machine_device_load(struct machine *machine, unsigned device, quire_vaddr va, unsigned bytes,
			uint64_t *value);
int machine_device_store(struct machine *machine, unsigned device, quire_vaddr va, unsigned bytes,
			 uint64_t value);
void machine_device_drop(struct machine *machine, unsigned device,
			 struct quire_cpu **cpu); /* all translations */
void machine_device_close(struct machine *machine, unsigned device, struct quire_cpu **cpu);

/*
 * Words and events of the caller's own. Set-up: zeroed memory in the arena, where accesses are seen by
 * memory.h. An event is a word of it: posted once and waited for, or used as a lock.
 */
void *machine_memory(struct machine *machine, size_t bytes);
void machine_post(struct machine *machine, void *event);
void machine_wait(struct machine *machine, void *event);
void machine_lock(struct machine *machine, void *event);
void machine_unlock(struct machine *machine, void *event);

/*
 * Everything is over: nothing leaks, every count is exact. Puts the @count mms and the files; reports
 * violations.
 */
void machine_finish(struct machine *machine, struct quire_mm **mms, unsigned count, struct quire_file **files,
		    unsigned file_count);

/* ---- for reports ------------------------------------------------------------------------------------ */

/* Kinds of transitions (engine_begin()) that are the machine's; memory.h has those of atomics below 64. */
enum machine_step {
	STEP_LOCK = 64,
	STEP_TRYLOCK,
	STEP_UNLOCK,
	STEP_READ_LOCK,
	STEP_WRITE_LOCK,
	STEP_WRITER_WAITS,
	STEP_READ_UNLOCK,
	STEP_WRITE_UNLOCK,
	STEP_SLEEP, /* a wait has begun, and ends here */
	STEP_WAKE,
	STEP_RELAX,
	STEP_IPI_SEND,
	STEP_IPI,      /* its handler begins */
	STEP_IPI_WAIT, /* all handlers have run */
	STEP_RCU_LOCK,
	STEP_RCU_CALL,
	STEP_GRACE_BEGIN,
	STEP_GRACE_END,
	STEP_ROOT, /* the CPU loads a root */
	STEP_FLUSH,
	STEP_FLUSH_ALL,
	STEP_LOAD, /* by the user's program */
	STEP_STORE,
	STEP_FETCH,
	STEP_COPY, /* a part of a page */
	STEP_ZERO,
	STEP_RETURN, /* a call returns */
	STEP_SPECULATE,
	STEP_DEVICE_LOAD,
	STEP_DEVICE_STORE,
	STEP_DEVICE_LOCK,
	STEP_POST,
	STEP_EVENT_WAIT,
	STEP_MACHINE_END
};
const char *machine_step_name(unsigned what); /* "lock", "flush", ...; NULL when it is not the machine's */

/*
 * What happened in step @step of the execution under way or just ended that its first location does not tell:
 * page faults, translations used, accessed bits set, frames given back and taken. Fills @out with at most
 * @most texts, valid until the next call, and returns how many.
 */
size_t machine_notes(struct machine *machine, size_t step, const char **out, size_t most);

/* What stands at an address of the arena: "mm A lock", "frame 5 word 2 (table of level 0)". Never NULL. */
const char *machine_describe(struct machine *machine, uintptr_t location);

/*
 * The same for those who can read debug information: which object of the core, and where in it. Of an object
 * that nobody has a name for, the calls that led to its allocation tell what it is.
 */
enum machine_spot_kind { SPOT_OBJECT, SPOT_FOLIO, SPOT_ALLOCATOR, SPOT_ENTRY, SPOT_FRAME, SPOT_UNKNOWN };
struct machine_spot {
	enum machine_spot_kind kind;
	size_t offset, bytes;	 /* in it, and its size; of an entry its number */
	const char *owner;	 /* "A", "P1", or NULL */
	unsigned long number;	 /* of a frame */
	unsigned level;		 /* of a table */
	const char *use;	 /* of a folio: which member of its union counts */
	const void *const *code; /* of an object: return addresses, innermost first */
	unsigned code_count;
	bool freed;
};
struct machine_spot machine_spot(struct machine *machine, uintptr_t address);

/*
 * Names that descriptions use: of an mm, a file, a word of the caller's; and of addresses [va, va + bytes).
 */
void machine_name(struct machine *machine, const void *object, const char *name);
void machine_name_range(struct machine *machine, quire_vaddr va, quire_vaddr bytes, const char *name);

/*
 * Orders of locks are watched over all executions since the last machine_forget_orders(). One that closes a
 * circle is a violation; but where somebody listens, each that is new is @seen, and is one if that says so.
 */
struct machine_order {
	unsigned held, taken; /* classes (machines/lockorder) */
	bool held_shared, shared;
	bool closes; /* a circle, with those seen before */
	const char *text;
};
void machine_on_order(bool (*seen)(void *data, const struct machine_order *order), void *data);
void machine_forget_orders(void);

#endif
