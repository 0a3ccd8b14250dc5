/*
 * zap.h - take pages out of page tables: by address (munmap, madvise, exit) and by file range (truncate).
 */
#ifndef QUIRE_STORE_ZAP_H
#define QUIRE_STORE_ZAP_H

#include "rmap.h"

enum zap_what {
	ZAP_ALL,	/* every page */
	ZAP_CACHE_ONLY, /* page-cache pages; private copies stay */
};

/*
 * Clear the entries of [start, end); page aligned; frames go into @gather, which is begun. @intent is
 * CURSOR_MM, or CURSOR_PAGE for work that comes from the file. A huge leaf that the range covers in part is
 * split with a table of @stock (NULL: none such can be there). Does not sleep; flushes as the gather fills.
 */
void zap_range(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end,
	       enum zap_what what, enum cursor_intent intent, struct gather *gather,
	       struct table_stock *stock);

/*
 * Unmap pages [first, last] of @file from every address space (unmap_mapping_range). SLEEPS; takes
 * rmap_lock for reading.
 */
void zap_file(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last,
	      enum zap_what what);

/*
 * Write-protect and clean every mapping of a locked FILE folio: what is written after this faults first.
 * Dirty bits that were set go to the folio. Returns whether one was. SLEEPS. (page_mkclean)
 */
bool clean_file_folio(struct quire_cpu **cpu, struct folio *folio);

#endif
