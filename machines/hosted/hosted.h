/*
 * hosted.h - the hosted machine: every CPU a thread with an emulated MMU over one arena of "physical"
 * memory.
 *
 * A program for this machine is a set of jobs. A job is posted to a CPU and runs there, on that CPU's
 * thread, with the `struct quire_cpu **` that all of Quire's calls want. Jobs of one CPU run one after
 * another, in the order posted. Between jobs, and whenever a job waits, the CPU serves IPIs.
 */
#ifndef QUIRE_HOSTED_H
#define QUIRE_HOSTED_H

#include <quire/file.h>
#include <quire/mm.h>
#include <quire/quire.h>

struct hosted; /* a machine */

struct hosted_config {
	unsigned cpus;		   /* 1 to QUIRE_MAX_CPUS - 1 */
	uint64_t memory_bytes;	   /* of the arena; only what is touched costs the host anything */
	unsigned tlb_entries;	   /* per CPU; 0: a sensible default */
	unsigned speculation;	   /* 0: none; n: one access in n also fills the TLB near it, unasked */
	uint64_t seed;		   /* for speculation and evictions */
	bool maps_zero;		   /* a lowest address of 0 is meant, no default */
	struct quire_config quire; /* memory, frames and metadata are filled in; zeroes mean defaults */
};

/* Errors: -ENOMEM, -EINVAL. */
int hosted_create(const struct hosted_config *config, struct hosted **out);

/* All jobs are done, all mms and files are gone. Stops the CPUs and frees everything. */
void hosted_destroy(struct hosted *machine);

struct quire *hosted_quire(struct hosted *machine);
unsigned hosted_cpus(struct hosted *machine);

typedef void hosted_job(struct quire_cpu **cpu, void *argument);

/* Post a job and return at once; from any thread. */
void hosted_post(struct hosted *machine, unsigned cpu, hosted_job *job, void *argument);

/* The same, but return when it has run. Not from a job. */
void hosted_run(struct hosted *machine, unsigned cpu, hosted_job *job, void *argument);

/* Return when every CPU's queue is empty and its last job has ended. Not from a job. */
void hosted_wait(struct hosted *machine);

/*
 * What the program on this CPU does: translate with the CPU's TLB and the tables of the mm that
 * quire_cpu_run() chose, take the fault if there is none, run again. Aligned or not, across pages or not;
 * each page's part is one access. @mm is the one that runs. Returns 0; or -EFAULT with *fault telling the
 * signal (bytes before it are done); or -ENOMEM.
 */
int hosted_load(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		struct quire_fault *fault);
int hosted_store(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from, size_t bytes,
		 struct quire_fault *fault);
int hosted_fetch(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		 struct quire_fault *fault);

/*
 * Serve what other CPUs want of this one; long jobs that neither access memory nor call Quire call it now
 * and then.
 */
void hosted_poll(struct quire_cpu *cpu);

struct hosted_counts { /* over all CPUs */
	uint64_t accesses, tlb_hits, walks, faults, speculative_fills, evictions;
};
void hosted_counts(struct hosted *machine, struct hosted_counts *out);

/* Test aid: the @succeed next small-object allocations succeed, then one fails. UINT64_MAX turns it off. */
void hosted_fail_objects_after(struct hosted *machine, uint64_t succeed);

/*
 * A file of the host: pages are read and written back with pread and pwrite. @writable opens it so. -errno
 * of open().
 */
int hosted_file_open(struct quire_cpu **cpu, const char *path, bool writable, struct quire_file **out);

#endif
