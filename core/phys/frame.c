/*
 * frame.c - from a frame's number to its struct and its memory, and back.
 *
 * Plain arithmetic on two arrays: memory, and the metadata in which a folio per frame stands behind the
 * allocator itself.
 */
#include "frames.h"

#include "../base/assert.h"

struct folio *frame_folio(struct phys *phys, quire_pfn pfn)
{
	quire_assert(pfn < phys->frames);
	return &phys->folios[pfn];
}

quire_pfn frame_pfn(struct phys *phys, const struct folio *folio)
{
	return (quire_pfn)(folio - phys->folios);
}

struct folio *folio_of(struct quire *quire, quire_pfn pfn)
{
	return frame_folio(quire->phys, pfn);
}

struct folio *folio_head(struct folio *folio)
{
	return folio->kind == FOLIO_TAIL ? folio->head : folio;
}

quire_pfn folio_pfn(struct quire *quire, const struct folio *folio)
{
	return frame_pfn(quire->phys, folio);
}

void *frame_memory(struct quire *quire, quire_pfn pfn)
{
	quire_assert(pfn < quire->phys->frames);
	return quire->phys->memory + (pfn << QUIRE_PAGE_SHIFT);
}

void *folio_memory(struct quire *quire, const struct folio *folio)
{
	return frame_memory(quire, folio_pfn(quire, folio));
}

void folio_copy(struct quire *quire, struct folio *to, struct folio *from)
{
	quire_assert(to->order == from->order);
	quire_port_copy(folio_memory(quire, to), folio_memory(quire, from), QUIRE_PAGE_SIZE << from->order);
}
