/*
 * model.h - the model machine: up to QUIRE_MAX_CPUS CPUs that run the core's real code, and a clock for each
 * that says what it would have taken on a machine with as many.
 *
 * The core is compiled once more with -fsanitize=thread, so that each of its accesses of memory comes
 * here. A CPU is a coroutine, and whose clock is furthest behind goes on. Nothing is random, and nothing
 * of the host's time comes in: two runs give the same figures. There are three costs:
 *
 *	instruction	whatever a CPU does by itself; so many instructions for each access (below)
 *	transfer	of a cache line, when the CPU does not have it as it needs it. A line is at one place
 *			at a time: who wants it while it is under way waits for the end of that transfer
 *	IPI		half of it under way, half the target's, for entering and leaving the handler. Waking
 *			a CPU that sleeps takes one too
 *
 * A line is had by its last writer alone, or by those who have read it since. Left out is what
 * docs/benchmarks.md lists: capacity, distance, store buffers, memory that is fetched ahead, the program's
 * own work.
 *
 * One model a process. A mistake in the model itself, like CPUs that all wait, ends the process.
 */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <quire/mm.h>
#include <quire/quire.h>

/* Times are in picoseconds. */
struct model_costs {
	uint64_t instruction, transfer, ipi;
};

/*
 * An anonymous fault is so many instructions on the metal machine without the clearing
 * (docs/performance.md), and the hooks see so many accesses of it: by this an access is so many
 * instructions. Compilers differ in which accesses they leave.
 */
#ifdef __clang__
enum { MODEL_FAULT_ACCESSES = 162 };
#else
enum { MODEL_FAULT_ACCESSES = 198 };
#endif
enum { MODEL_FAULT_INSTRUCTIONS = 812 };

enum {
	MODEL_PAUSE = 128, /* instructions of a turn of a short wait */
	MODEL_FLUSH = 200, /* of forgetting one page's translation, or all of a tag's */
	MODEL_OBJECT = 20, /* of an allocation of a small object, or its end */
	MODEL_SECTION = 2, /* of entering or leaving a read-side section */
	MODEL_WORD = 8,	   /* bytes that an instruction copies or clears */
};

struct model_config {
	unsigned cpus; /* 1 to QUIRE_MAX_CPUS */
	uint64_t frames;
	bool without_vma_locks;
	struct model_costs costs;
};

/* Returns 0, or -QUIRE_ENOMEM. */
int model_create(const struct model_config *config);

typedef void model_job(struct quire_cpu **cpu, void *argument);

/* On CPU 0, at no cost: to set the scene. */
void model_set_up(model_job *job, void *argument);

/* On every CPU, beginning at one time. Returns how long it took until the last had ended. */
uint64_t model_run(model_job *job, void *argument);

/* For jobs: the CPU is in no read-side section, and what waits for its end may go on. */
void model_quiescent(struct quire_cpu *cpu);

struct model_counts {
	uint64_t accesses, transfers, ipis, sleeps;
	uint64_t waited; /* for lines, and in the queues of spin locks */
};

/* From now on count, or do not. At first nothing is counted. */
void model_counting(bool on);

/* By all CPUs. */
struct model_counts model_count(void);

/* Who paid for a line. */
struct model_use {
	const void *code; /* behind the access */
	uint64_t transfers, waited;
};

enum { MODEL_USES = 4 };

struct model_line {
	uintptr_t address;
	uint64_t transfers, waited;
	struct model_use use[MODEL_USES]; /* the dearest, dearest first; unused ones are zeroes */
};

/* The @most dearest lines; once, as it ends the counting of lines. Returns how many. */
unsigned model_dearest(struct model_line *lines, unsigned most);

#endif
