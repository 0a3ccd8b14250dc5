/*
 * tlb.h - the flush, for the rest of table/; and what an instance and a CPU remember for it.
 */
#ifndef QUIRE_TABLE_TLB_H
#define QUIRE_TABLE_TLB_H

#include "as.h"

struct tables {
	struct folio *empty; /* a root that maps nothing: what a CPU with no address space has loaded */
	_Atomic uint64_t next_id;
};

/*
 * One tag of the CPU's TLB. Written by its own CPU only, but also by the IPI handler there, which may come
 * between any two instructions of the rest: hence atomic, relaxed.
 */
struct asid_slot {
	_Atomic uint64_t as_id; /* whose translations the tag holds; 0: nobody's that may come back */
	_Atomic uint64_t generation[QUIRE_AS_PARTS]; /* flushed up to here; 0: what is there is another's */
};

struct tlb_tally { /* relaxed; added to by the CPU itself, read by anybody */
	_Atomic uint64_t pages, full, shootdowns, ipis, tables_freed;
};

struct cpu_tlb {
	struct quire_as *_Atomic as; /* whose root is loaded; NULL: the empty one */
	_Atomic bool lazy;	     /* runs no user code of it; read by others, see tlb.c */
	_Atomic uint32_t victim;     /* where the search for a tag to take begins */
	_Alignas(64) struct asid_slot slots[QUIRE_ASIDS]; /* asid - 1; not beside what others read */
	_Alignas(64) struct tlb_tally tally;
};

/*
 * Every CPU that could use a translation of [start, end) from before the call has forgotten it on return; one
 * that runs no user code of @as will before it does. Waits for other CPUs, serving their IPIs; takes no lock;
 * under any.
 */
void tlb_flush(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);

/*
 * The same, and no CPU, lazy ones included, can walk into a table that was taken out of the tree before the
 * call.
 */
void tlb_flush_tables(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);

/* SLEEPS. No CPU has the root loaded any more on return; none runs it at the call. */
void tlb_evict(struct quire_cpu **cpu, struct quire_as *as);

#endif
