/*
 * quire.h - an instance: all of Quire's state, over one range of physical memory.
 *
 * There is no global state. Many instances can live in one process.
 */
#ifndef QUIRE_QUIRE_H
#define QUIRE_QUIRE_H

#include <quire/abi.h>
#include <quire/cpu.h>
#include <quire/types.h>

enum {
	QUIRE_OVERCOMMIT_GUESS = 0,  /* refuse only what could never be */
	QUIRE_OVERCOMMIT_ALWAYS = 1, /* refuse nothing */
	QUIRE_OVERCOMMIT_NEVER = 2,  /* refuse past the commit limit */
};

struct quire_config {
	void *memory;		     /* frame 0 is here; page aligned, mapped whole; contents arbitrary */
	uint64_t frames;	     /* how many */
	void *metadata;		     /* quire_metadata_bytes(frames) bytes of zeroes, 64-byte aligned */
	uint32_t overcommit;	     /* QUIRE_OVERCOMMIT_* */
	uint32_t overcommit_ratio;   /* percent of memory, for OVERCOMMIT_NEVER */
	uint32_t max_map_count;	     /* VMAs in one address space; Linux's default is 65530 */
	uint32_t fault_around_pages; /* 0: QUIRE_FAULT_AROUND; 1 turns it off; a power of two */
	bool without_vma_locks;	     /* faults and calls take one lock of the address space: for comparison */
	uint64_t mmap_min_addr;	     /* lowest address that may be mapped */
};

/* Bytes of metadata for @frames frames. They stay the caller's; give them back after quire_destroy(). */
size_t quire_metadata_bytes(uint64_t frames);

/*
 * Create an instance with its first CPU, id 0. Fast: metadata of memory never used is never touched.
 * Errors: -EINVAL for a configuration that makes no sense, -ENOMEM.
 */
int quire_create(const struct quire_config *config, void *machine, struct quire **out,
		 struct quire_cpu **boot);

/* SLEEPS. Every mm and file is gone; frees all CPUs, *cpu among them, and the instance. */
void quire_destroy(struct quire_cpu **cpu);

/* What an instance has done and holds now. Counters only grow. */
struct quire_stats {
	/* now */
	uint64_t frames_total;
	uint64_t frames_free;	  /* per-CPU caches included; exact when nothing runs */
	uint64_t frames_reserved; /* never handed out: frame 0, the zero page, the empty root */
	uint64_t frames_peak;	  /* most in use at one time */
	uint64_t frames_tables;	  /* page-table pages */
	uint64_t frames_cached;	  /* page-cache pages */
	uint64_t committed_pages; /* promised to accountable mappings */
	uint64_t objects;	  /* small objects held from the port */
	/* faults, by what they did */
	uint64_t faults;
	uint64_t faults_anon;	  /* a fresh zeroed page */
	uint64_t faults_zero;	  /* the zero page, on a read */
	uint64_t faults_file;	  /* a page-cache page mapped */
	uint64_t faults_around;	  /* further page-cache pages mapped along with it */
	uint64_t faults_read;	  /* page-cache pages read from a store */
	uint64_t faults_cow;	  /* a copy made */
	uint64_t faults_reuse;	  /* a write-protected page made writable in place */
	uint64_t faults_spurious; /* nothing to do: another CPU or a stale entry */
	uint64_t faults_failed;	  /* ended in SIGSEGV or SIGBUS */
	uint64_t faults_restarts;
	/* those that succeeded, by how: under RCU alone; using their VMA; holding their address */
	uint64_t faults_rcu, faults_held, faults_locked;
	/* TLB */
	uint64_t flushes_page; /* pages flushed one by one, on the initiating CPU */
	uint64_t flushes_full;
	uint64_t shootdowns; /* flushes that interrupted at least one CPU */
	uint64_t ipis;	     /* CPUs interrupted */
	uint64_t tables_freed;
};

void quire_stats_read(struct quire *quire, struct quire_stats *out);

#endif
