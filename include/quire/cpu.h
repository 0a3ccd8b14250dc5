/*
 * cpu.h - CPUs of an instance, and which address space each runs.
 *
 * A machine creates one per processor, plus one for every other thread that runs RCU callbacks, since
 * whatever touches frames needs to say where it runs. It tells Quire whenever a CPU starts or stops running a
 * program.
 */
#ifndef QUIRE_CPU_H
#define QUIRE_CPU_H

#include <quire/types.h>

struct cpu_frames;
struct cpu_tlb;
struct fault_counts;

struct quire_cpu {
	struct quire *quire;
	void *machine;		     /* the port's own */
	uint32_t id;		     /* 0 to QUIRE_MAX_CPUS - 1, unique in the instance */
	struct cpu_frames *frames;   /* the frame allocator's part */
	struct cpu_tlb *tlb;	     /* the flush machinery's part */
	struct fault_counts *faults; /* what the fault handler counts */
	/*
	 * Small objects that it had from the port, less those that it gave back; others read the lines
	 * before.
	 */
	_Alignas(64) _Atomic uint64_t objects;
};

/*
 * Add CPU @id. @boot is a CPU that exists already, or NULL for the first. The new one runs nothing.
 * Errors: -ENOMEM; -EINVAL for an id out of range or in use.
 */
int quire_cpu_create(struct quire_cpu *boot, struct quire *quire, uint32_t id, void *machine,
		     struct quire_cpu **out);

/*
 * This CPU runs @mm's user code from now on. Flushes what went stale while it did not (BASE-3). Does not
 * sleep. The caller holds a reference on @mm for as long as it runs, and calls quire_cpu_leave() before it
 * drops it.
 */
void quire_cpu_run(struct quire_cpu *cpu, struct quire_mm *mm);

/*
 * This CPU runs no user code for now but will probably go on with the same mm: it keeps its translations and
 * is not interrupted for changed leaves. quire_cpu_run() ends it.
 */
void quire_cpu_idle(struct quire_cpu *cpu);

/* This CPU has done with its mm: it translates nothing until the next quire_cpu_run(). */
void quire_cpu_leave(struct quire_cpu *cpu);

#endif
