/*
 * as.h - an address space as the hardware sees it: a root table, who runs it, and how far flushed it is.
 *
 * An mm contains one; a reverse-mapping node points to one. RSS is not counted here but in each table's own
 * metadata, under that table's lock: faults in different tables then share no line (VMA-6), and a table with
 * several sharers counts for each (SPT-9). Reading it is a walk over the tables.
 */
#ifndef QUIRE_TABLE_AS_H
#define QUIRE_TABLE_AS_H

#include "../base/instance.h"
#include "../base/sync.h"
#include "../phys/phys.h"
#include "entry.h"

#include <quire/notifier.h>

/*
 * The account of flushes, for some of the leaf tables: those of other tables write to another line. A flush
 * counts where it begins.
 */
struct as_part {
	_Alignas(64) _Atomic uint64_t generation; /* moves at every flush; see tlb.c */
	_Atomic uint32_t owing;			  /* gathers that owe one here; see gather.c */
};

struct quire_as {
	struct quire *quire;
	struct folio *root;			 /* the top table; fixed until as_destroy() */
	_Atomic quire_entry *top;		 /* its entries */
	uint64_t id;				 /* never used twice in an instance */
	_Alignas(64) struct quire_cpu_mask cpus; /* CPUs that have the root loaded, lazy ones too */
	struct as_part part[QUIRE_AS_PARTS];
	_Alignas(64) struct rwlock notifiers_lock; /* order: outside every other lock of table/ */
	struct quire_notifier *_Atomic notifiers;
};

static inline unsigned as_part_of(quire_vaddr va)
{
	return (va >> QUIRE_LEVEL_SHIFT(1)) % QUIRE_AS_PARTS;
}

/* Instance set-up: the empty root, what idle CPUs run. */
int tables_create(struct quire_cpu *cpu);
void tables_destroy(struct quire_cpu *cpu);
/* cpu->tlb. The first CPU, where @boot is @cpu, also loads the empty root; others begin with none. */
int tables_cpu_create(struct quire_cpu *boot, struct quire_cpu *cpu);
void tables_cpu_destroy(struct quire_cpu *boot, struct quire_cpu *cpu);

int as_create(struct quire_cpu *cpu, struct quire_as *as); /* an empty root; -ENOMEM */

/*
 * SLEEPS. Every entry is clear, and the notifiers are released. Evicts lazy CPUs, frees the tables that are
 * left and the root.
 */
void as_destroy(struct quire_cpu **cpu, struct quire_as *as);

/* The CPU switches: the table/ half of quire_cpu_run(), _idle() and _leave(). */
void as_run(struct quire_cpu *cpu, struct quire_as *as);
void as_idle(struct quire_cpu *cpu);
void as_leave(struct quire_cpu *cpu);

/*
 * Secondary MMUs; the public half is <quire/notifier.h>. SLEEP. Both wait for operations under way, so that
 * every notifier hears the start and the end of an operation, or neither. Release: the address space goes;
 * each is told so and forgotten.
 */
void as_notifier_add(struct quire_cpu **cpu, struct quire_as *as, struct quire_notifier *notifier);
void as_notifiers_settle(struct quire_cpu **cpu); /* after it, before the owner translates: nothing held */
void as_notifier_remove(struct quire_cpu **cpu, struct quire_as *as, struct quire_notifier *notifier);
void as_notifiers_release(struct quire_cpu **cpu, struct quire_as *as);

/*
 * In a read-side section. If not, none is there before the section ends: whoever adds one waits for a grace
 * period before it may translate. Or by whoever keeps them from coming and going.
 */
bool as_has_notifiers(struct quire_as *as);

struct as_counts {
	uint64_t rss[RSS_KINDS]; /* pages */
	uint64_t tables;	 /* pages, the root too */
	uint64_t entries;	 /* leaves present */
};

/* Walks all tables under their locks, one at a time. Exact when nobody changes them. */
void as_counts(struct quire_cpu *cpu, struct quire_as *as, struct as_counts *out);

/* Debug: every table's counts against its entries. False and *what on a violation. */
bool as_check(struct quire_cpu *cpu, struct quire_as *as, const char **what);

struct tlb_counts {
	uint64_t pages, full, shootdowns, ipis, tables_freed;
};
void tlb_counts(struct quire *quire, struct tlb_counts *out);

#endif
