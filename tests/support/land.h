/*
 * land.h - page tables with nothing above them: an address space, pages put into it by hand, and pictures.
 *
 * A picture has a character for each of a row of pages:
 *
 *	.  nothing	r  readable	w  writable	n  mapped, but not for hardware
 *	z  a page that is not counted
 *
 * A page is put at an address with the address written into it, so that whoever finds it elsewhere can tell.
 */
#ifndef QUIRE_TESTS_LAND_H
#define QUIRE_TESTS_LAND_H

#include "../../core/table/move.h"
#include "scene.h"

#define LAND_READ (ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | ENTRY_NX)
#define LAND_WRITE (LAND_READ | ENTRY_WRITE)
#define LAND_NONE (ENTRY_NONE | ENTRY_USER | ENTRY_NX)
#define LAND_PICTURE 80

/*
 * Run @body on CPU 0 of a machine of @cpus, with room for huge pages; fail the test if it fails or keeps
 * anything.
 */
void land_run(void (*body)(struct scene *s, struct quire_cpu **cpu), unsigned cpus);

/* Run @job on another CPU, and wait for it. */
void land_elsewhere(struct scene *s, struct quire_cpu *cpu, unsigned id, hosted_job *job, void *argument);

/* A fresh page in an empty place. 0 or -ENOMEM. */
int land_put(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits);
int land_put_folio(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits,
		   struct folio *folio);
int land_put_huge(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, quire_entry bits);

/* Put a row, by its picture; 0 or -ENOMEM. */
int land_draw(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, const char *picture);

/* The picture of @pages pages from @va. Good until the next but three. */
const char *land_picture(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va, unsigned pages);

/* Clear [start, end) as munmap does, or as truncate does. */
void land_unmap(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);
void land_truncate(struct quire_cpu **cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end);

/* The head of the folio at @va; NULL. Not referenced. */
struct folio *land_folio(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr va);

/*
 * What this CPU's MMU finds at @va for an access of kind QUIRE_ACCESS_*: the word in the page, which
 * land_put() set to the page's first address; 0 for a fault.
 */
uint64_t land_load(struct quire_cpu *cpu, quire_vaddr va);
bool land_store(struct quire_cpu *cpu, quire_vaddr va, uint64_t word);

uint64_t land_tables(struct quire_cpu *cpu, struct quire_as *as);
uint64_t land_rss(struct quire_cpu *cpu, struct quire_as *as); /* of all kinds */

/* Everything away, and the address space. */
void land_end(struct quire_cpu **cpu, struct quire_as *as);

#endif
