/*
 * zap.c - takes pages out of page tables: by address, by file range, and their right to be written without
 * notice.
 *
 * All three are short loops over the cursor, which keeps the counts and the flush.
 *
 * Order:   zap_range() under whatever its caller holds, no table lock. The other two take the file's
 *          rmap_lock for reading and do the table work inside it, one node after another.
 * Rules:   BASE-3, BASE-4, BASE-5.
 */
#include "zap.h"
#include "file.h"

#include "../base/assert.h"
#include "../base/bits.h"

/* Does the entry map a page of a page cache? Not a private copy, and nothing uncounted. */
static bool maps_cache(struct quire *quire, quire_entry entry)
{
	struct folio *folio = entry_folio(quire, entry);

	return folio && folio->kind == FOLIO_FILE;
}

void zap_range(struct quire_cpu *cpu, struct quire_as *as, quire_vaddr start, quire_vaddr end,
	       enum zap_what what, enum cursor_intent intent, struct gather *gather,
	       struct table_stock *stock)
{
	struct cursor cursor;

	cursor_begin(&cursor, cpu, as, start, end, intent, gather);
	while (cursor_next(&cursor)) {
		if (what == ZAP_CACHE_ONLY && !maps_cache(as->quire, cursor.entry))
			continue;
		/* By its last byte: a leaf may end where the address space does. */
		if (cursor.level && (cursor.va < start || cursor.va + (cursor_size(&cursor) - 1) > end - 1)) {
			quire_assert(stock != NULL);
			cursor_split(&cursor, stock, max_u64(cursor.va, start));
		}
		cursor_clear(&cursor);
	}
	cursor_end(&cursor);
}

struct zap_visit {
	struct rmap_visit visit;
	enum zap_what what;
};

static bool zap_node(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node, quire_vaddr va,
		     uint64_t pages)
{
	struct zap_visit *zap = container_of(visit, struct zap_visit, visit);
	struct gather gather;
	quire_vaddr end = va + (pages << QUIRE_PAGE_SHIFT);

	gather_begin(cpu, &gather, node->as, va, end);
	zap_range(*cpu, node->as, va, end, zap->what, CURSOR_PAGE, &gather, NULL);
	gather_end(cpu, &gather);
	return true;
}

void zap_file(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last,
	      enum zap_what what)
{
	struct zap_visit zap = { .visit.node = zap_node, .what = what };

	rmap_walk_file(cpu, file, first, last, &zap.visit);
}

struct clean_visit {
	struct rmap_visit visit;
	struct folio *folio;
	bool dirty;
};

static bool clean_node(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node,
		       quire_vaddr va, uint64_t pages)
{
	struct clean_visit *clean = container_of(visit, struct clean_visit, visit);
	struct gather gather;
	struct cursor cursor;
	quire_vaddr end = va + (pages << QUIRE_PAGE_SHIFT);

	if (!node->shared) /* maps the cache's pages read-only */
		return true;

	gather_begin(cpu, &gather, node->as, va, end);
	cursor_begin(&cursor, *cpu, node->as, va, end, CURSOR_PAGE, &gather);
	while (cursor_next(&cursor)) {
		if (entry_folio(node->as->quire, cursor.entry) != clean->folio ||
		    !(cursor.entry & (ENTRY_WRITE | ENTRY_DIRTY)))
			continue;
		if (cursor_protect(&cursor, ENTRY_WRITE | ENTRY_DIRTY, 0) & ENTRY_DIRTY)
			clean->dirty = true;
	}
	cursor_end(&cursor);
	gather_end(cpu, &gather);
	return true;
}

bool clean_file_folio(struct quire_cpu **cpu, struct folio *folio)
{
	struct clean_visit clean = { .visit.node = clean_node, .folio = folio };

	rmap_walk_folio(cpu, folio, &clean.visit);
	return clean.dirty;
}
