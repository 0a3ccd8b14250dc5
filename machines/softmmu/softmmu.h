/*
 * softmmu.h - one CPU's memory-management unit in software: behaves as an x86-64's does.
 *
 * It translates user accesses with the tables that it finds in memory, at any time, whether asked or not,
 * and remembers what it found until told to forget. It changes tables in one way only: it sets accessed
 * and dirty bits, atomically.
 */
#ifndef SOFTMMU_SOFTMMU_H
#define SOFTMMU_SOFTMMU_H

#include "tlb.h"
#include "walk.h"

struct softmmu_config {
	void *memory; /* frame 0 */
	uint64_t frames;
	unsigned tlb_entries; /* rounded up to a power of two; 0: 1024 */
	unsigned speculation; /* 0: none; n: one call of softmmu_speculate() in n does something */
	uint64_t seed;
};

/* Written by the unit's CPU alone, read by anybody. */
struct softmmu_counts {
	_Atomic uint64_t translations, hits, walks, faults, speculative_fills, evictions;
};

struct softmmu {
	struct softmmu_config config;
	quire_pfn root; /* 0: none loaded, nothing is mapped */
	unsigned asid;
	quire_vaddr last; /* where the program was; speculation happens near it */
	struct tlb tlb;
	struct softmmu_counts counts;
};

int softmmu_create(struct softmmu *mmu, const struct softmmu_config *config); /* -QUIRE_ENOMEM */
void softmmu_destroy(struct softmmu *mmu);

void softmmu_load_root(struct softmmu *mmu, quire_pfn root, unsigned asid);
void softmmu_flush_range(struct softmmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end);
void softmmu_flush_asid(struct softmmu *mmu, unsigned asid);

struct softmmu_fault {
	uint32_t error;	   /* X86_PF_* */
	unsigned level;	   /* where the walk ended */
	quire_entry entry; /* what stood there; 0 when a cached translation refused */
};

/*
 * Where the byte at @va is, for an access of kind QUIRE_ACCESS_*; the rest of its page follows it. Or NULL
 * and *fault, and what was cached for the address is forgotten, so that the same access looks at the
 * tables again.
 */
void *softmmu_translate(struct softmmu *mmu, quire_vaddr va, unsigned access, struct softmmu_fault *fault);

/* A moment in which the hardware may translate some address near the program's, of its own accord. */
void softmmu_speculate(struct softmmu *mmu);

#endif
