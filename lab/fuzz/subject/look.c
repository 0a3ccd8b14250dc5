/*
 * look.c - what a process sees of its address space, and the records of it. The agents do the same.
 */
#include "inside.h"

#include <string.h>

static bool is_own(const struct subject *subject, uint64_t addr)
{
	return addr >= WIRE_CONTROL && addr < subject->layout->heap;
}

static void list_vmas(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;
	struct quire_map_info info;
	uint64_t addr = 0;

	while (r->head.vmas < WIRE_VMAS && quire_map_next(cpu, mm, addr, &info) == 0) {
		struct wire_vma *vma = &r->vmas[r->head.vmas];

		addr = info.end;
		if (is_own(subject, info.start)) {
			addr = subject->layout->heap;
			continue;
		}
		vma->start = info.start;
		vma->end = info.end;
		vma->offset = info.file ? info.offset : 0;
		vma->file = (uint64_t)(uintptr_t)info.file;
		vma->flags = (info.prot & 7) | (info.shared ? WIRE_SHARED : 0) | (info.file ? WIRE_FILE : 0);
		vma->looked = 0;
		r->head.vmas++;
	}
}

/* The agents do the same (agent.c). */
static void choose_pages(struct record_buffer *r)
{
	uint64_t room = 0, all = WIRE_PAGES;

	for (unsigned v = 0; v < r->head.vmas; v++) {
		uint64_t pages = (r->vmas[v].end - r->vmas[v].start) / WIRE_PAGE;

		if (v == 0 || r->vmas[v].start != r->vmas[v - 1].end)
			room = WIRE_GROUP_PAGES;
		if (pages > room)
			pages = room;
		if (pages > all)
			pages = all;
		room -= pages;
		all -= pages;
		r->vmas[v].looked = (uint32_t)pages;
		r->head.pages += (uint32_t)pages;
	}
}

void record_look(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;
	uint8_t *bits = r->pages;

	list_vmas(subject, cpu, mm);
	choose_pages(r);
	for (unsigned v = 0; v < r->head.vmas; bits += r->vmas[v++].looked) {
		const struct wire_vma *vma = &r->vmas[v];
		uint64_t bytes = vma->looked * WIRE_PAGE;

		if (!bytes)
			continue;
		quire_present(cpu, mm, vma->start, bytes, subject->present);
		if (vma->file)
			quire_mincore(cpu, mm, vma->start, bytes, subject->resident);
		for (uint32_t i = 0; i < vma->looked; i++) {
			bool resident = vma->file ? subject->resident[i] & 1 : subject->present[i];

			bits[i] = (uint8_t)((subject->present[i] ? WIRE_PRESENT : 0) |
					    (resident ? WIRE_RESIDENT : 0));
		}
	}
}

void record_contents(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;

	for (unsigned v = 0; v < r->head.vmas; v++) {
		if (!(r->vmas[v].flags & WIRE_READ))
			continue;
		for (uint64_t p = 0; p < r->vmas[v].looked && r->head.reads < WIRE_READ_PAGES; p++) {
			struct quire_fault fault = { 0, 0 };
			int error = hosted_load(cpu, mm, r->vmas[v].start + p * WIRE_PAGE, subject->buffer,
						WIRE_PAGE, &fault);

			r->reads[r->head.reads++] = error ? (uint64_t)fault.signal << 32 |
								    (uint32_t)fault.code
							  : wire_sum(1, subject->buffer, WIRE_PAGE / 8);
		}
	}
}

static void append(struct subject *subject, const void *bytes, size_t count)
{
	memcpy(subject->log + subject->log_bytes, bytes, count);
	subject->log_bytes += count;
}

void record_write(struct subject *subject)
{
	struct record_buffer *r = &subject->record;
	size_t pages = (r->head.pages + 7) / 8 * 8;

	r->head.bytes = (uint32_t)(sizeof(r->head) + r->head.vmas * sizeof(r->vmas[0]) + pages +
				   r->head.reads * 8ul);
	append(subject, &r->head, sizeof(r->head));
	append(subject, r->vmas, r->head.vmas * sizeof(r->vmas[0]));
	append(subject, r->pages, pages);
	append(subject, r->reads, r->head.reads * 8ul);
}
