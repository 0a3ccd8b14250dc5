/*
 * machine.h - the check machine: an instance of Quire whose CPUs are threads of a search (engine.h), with an
 * adversary for hardware and oracles at the doors.
 *
 * One machine exists at a time. Its memory, metadata and small objects lie in one arena. Set-up runs once,
 * unscheduled; machine_freeze() keeps the arena as it then is, and every execution begins with a copy.
 *
 *	machine_create -> set-up through Quire's own calls -> machine_freeze -> engine_run: reset, threads, finish
 *
 * Threads of the search, in this order:
 *
 *	0 .. cpus-1		what the CPUs execute: the litmus file's columns
 *	then for each CPU	its interrupt handler (IPIs)
 *	then, under TSO		each CPU's store buffer
 *	then, if asked for	the agent that ends grace periods and runs RCU callbacks (on a service CPU)
 *	then			a speculating walker or a device for each that the file names
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
	bool rcu_agent;	     /* grace periods end while the program runs, not only after it */
	bool shared_pool;    /* frames come from one pool, not from each CPU's own cache */
	bool several_tlbs;   /* a CPU may use an old translation after a newer one (any choice at every use) */
	unsigned devices;    /* secondary MMUs */
	unsigned walkers;    /* speculating walkers */
	struct quire_config quire;
};

struct machine;

int machine_create(const struct machine_config *config, struct machine **out);
void machine_destroy(struct machine *machine);

struct quire *machine_quire(struct machine *machine);
struct quire_cpu **machine_cpu(struct machine *machine, unsigned cpu);

/* Set-up is done. From now on reset() brings this state back. */
void machine_freeze(struct machine *machine);

/* What the thread of @thread_index does; for CPUs, @body is run, then the CPU leaves its mm. */
unsigned machine_threads(struct machine *machine);
const char *machine_thread_name(struct machine *machine, unsigned thread);
bool machine_is_agent(struct machine *machine, unsigned thread);
void machine_reset(struct machine *machine);
void machine_agent(struct machine *machine, unsigned thread); /* body of the threads that are not CPUs */

/* ---- what a CPU's column does: between calls of Quire, as a kernel and its user program would ------------ */

/*
 * A call of the core on the mm whose addresses [start, end) it is about begins and returns: from the return on,
 * no CPU may see there what was true before (CHK-5).
 */
void machine_call_begin(struct machine *machine, struct quire_mm *mm, quire_vaddr start, quire_vaddr end,
			const char *what);
void machine_call_end(struct machine *machine);

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

/* Everything is over: nothing leaks, every count is exact. Puts the @count mms and the files; reports violations. */
void machine_finish(struct machine *machine, struct quire_mm **mms, unsigned count, struct quire_file **files,
		    unsigned file_count);

/* ---- for reports ------------------------------------------------------------------------------------------ */

/* What stands at an address of the arena: "mm A lock", "frame 5 word 2 (table of level 0)". Never NULL. */
const char *machine_describe(struct machine *machine, uintptr_t location);

/* Names that descriptions use. */
void machine_name(struct machine *machine, const void *object, const char *name);

#endif
