/*
 * tables.c - page tables, frames and CPUs as they stand in memory, for pictures.
 *
 * Looks with bare eyes, past the core and the memory model: nothing here is an access of the program. Under
 * TSO and the weak model it is what has reached memory.
 *
 *	{ "mms":  [{ "mm": "A", "root": 3, "tables": [{ "pfn": 3, "level": 2, "start": 0, "entries": [[1, 5, "UWP"]] }] }],
 *	  "frames": [{ "pfn": 5, "kind": "table", "refs": 1, "maps": 0, "word": 0 }],
 *	  "cpus": [{ "mm": "A", "lazy": false, "tlb": [{ "text": "x -> frame 5", "stale": false }] }] }
 */
#include "lab/check/worker/worker.h"

#include "core/space/mm.h"
#include "core/table/tlb.h"

#include <stdio.h>

/* Found once, unscheduled, since it asks the core. */
static struct folio *first_folio;

static const quire_entry *frame_words(struct quire *quire, quire_pfn pfn)
{
	return (const quire_entry *)((const char *)quire->config.memory + pfn * QUIRE_PAGE_SIZE);
}

void entry_text(uint64_t entry, char out[16])
{
	static const struct {
		quire_entry bit;
		char letter;
	} bits[] = {
		{ ENTRY_PRESENT, 'P' }, { ENTRY_NONE, 'N' }, { ENTRY_WRITE, 'W' },   { ENTRY_ACCESSED, 'A' },
		{ ENTRY_DIRTY, 'D' },	{ ENTRY_HUGE, 'H' }, { ENTRY_SPECIAL, 'Z' },
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (entry & bits[i].bit)
			out[used++] = bits[i].letter;
	if (entry_is_mapped(entry) && !(entry & ENTRY_NX))
		out[used++] = 'X';
	out[used] = 0;
}

uint64_t entry_frame_of(uint64_t entry)
{
	return entry_pfn(entry);
}

static void table_json(struct quire *quire, json_t *list, quire_pfn pfn, unsigned level, quire_vaddr start)
{
	json_t *entries = json_array();

	json_array_append_new(list, json_pack("{s:I, s:i, s:I, s:o}", "pfn", (json_int_t)pfn, "level",
					      (int)level, "start", (json_int_t)(start >> QUIRE_PAGE_SHIFT),
					      "entries", entries));
	for (unsigned i = 0; i < QUIRE_TABLE_ENTRIES; i++) {
		quire_entry entry = frame_words(quire, pfn)[i];
		char bits[16];

		if (!entry)
			continue;
		entry_text(entry, bits);
		json_array_append_new(entries,
				      json_pack("[i, I, s]", (int)i, (json_int_t)entry_pfn(entry), bits));
		if (level && entry_is_table(entry) && entry_pfn(entry) < quire->config.frames)
			table_json(quire, list, entry_pfn(entry), level - 1,
				   start + i * QUIRE_LEVEL_SIZE(level));
	}
}

static json_t *mms_json(struct run *run, struct quire *quire)
{
	json_t *mms = json_array();

	for (unsigned i = 0; i < run->litmus->name_count; i++) {
		struct quire_mm *mm = run->world.mms[i];
		json_t *tables = json_array();

		if (run->litmus->names[i].kind != NAME_MM || !mm || !run->world.held[i]) {
			json_decref(tables);
			continue;
		}
		quire_pfn root = (quire_pfn)(mm->as.root - first_folio);

		table_json(quire, tables, root, QUIRE_LEVELS - 1, 0);
		json_array_append_new(mms, json_pack("{s:s, s:I, s:o}", "mm", run->litmus->names[i].name,
						     "root", (json_int_t)root, "tables", tables));
	}
	return mms;
}

static json_t *frames_json(struct quire *quire)
{
	static const char *const kinds[] = { "free", "anon", "file", "table", "tail", "reserved" };
	json_t *frames = json_array();

	for (quire_pfn pfn = 0; pfn < quire->config.frames; pfn++) {
		const struct folio *folio = first_folio + pfn;

		if (folio->kind == FOLIO_UNUSED || folio->kind > FOLIO_RESERVED)
			continue;
		json_array_append_new(frames, json_pack("{s:I, s:s, s:i, s:i, s:I}", "pfn", (json_int_t)pfn,
							"kind", kinds[folio->kind], "refs",
							(int)*(const volatile uint32_t *)&folio->refs, "maps",
							(int)*(const volatile int32_t *)&folio->maps, "word",
							(json_int_t)frame_words(quire, pfn)[0]));
	}
	return frames;
}

static const char *mm_name(const struct run *run, const struct quire_as *as)
{
	for (unsigned i = 0; i < run->litmus->name_count; i++)
		if (as && run->world.mms[i] && &run->world.mms[i]->as == as)
			return run->litmus->names[i].name;
	return as ? "?" : "none";
}

static json_t *cpus_json(struct run *run)
{
	json_t *cpus = json_array();

	for (unsigned i = 0; i < run->cpus; i++) {
		const struct cpu_tlb *tlb = (*machine_cpu(run->machine, i))->tlb;
		const struct quire_as *as = *(struct quire_as *const volatile *)&tlb->as;

		json_array_append_new(cpus, json_pack("{s:s, s:b, s:o}", "mm", mm_name(run, as), "lazy",
						      (int)*(const volatile bool *)&tlb->lazy, "tlb",
						      tlb_json(run, i)));
	}
	return cpus;
}

void tables_prepare(struct run *run)
{
	first_folio = folio_of(machine_quire(run->machine), 0);
}

json_t *tables_json(struct run *run)
{
	struct quire *quire = machine_quire(run->machine);

	return json_pack("{s:o, s:o, s:o}", "mms", mms_json(run, quire), "frames", frames_json(quire), "cpus",
			 cpus_json(run));
}
