/*
 * describe.c - what stands at a place, in words.
 *
 * Objects of the core are known by their size, fields by their offset: good enough to say "mm A generation"
 * where the two are unique, and nothing depends on it.
 */
#include "inside.h"

#include "../../core/base/rangenode.h"
#include "../../core/phys/frames.h"
#include "../../core/store/anon.h"
#include "../../core/table/tlb.h"

#include <stdio.h>
#include <string.h>

enum { NAMES = 96, RANGES = 96, BUFFERS = 8, BUFFER_BYTES = 160, NAME_BYTES = 32 };

static struct {
	uintptr_t object;
	char name[NAME_BYTES];
} names[NAMES];
static unsigned name_count;

static struct {
	quire_vaddr va, bytes;
	char name[NAME_BYTES];
} ranges[RANGES];
static unsigned range_count;

static char *buffer(void)
{
	static char buffers[BUFFERS][BUFFER_BYTES];
	static unsigned next;

	return buffers[next++ % BUFFERS];
}

void describe_reset(void)
{
	name_count = range_count = 0;
}

void machine_name(struct machine *machine, const void *object, const char *name)
{
	unsigned i = 0;

	(void)machine;
	while (i < name_count && names[i].object != (uintptr_t)object)
		i++;
	if (i == NAMES)
		return;
	names[i].object = (uintptr_t)object;
	snprintf(names[i].name, NAME_BYTES, "%s", name);
	name_count += i == name_count;
}

void machine_name_range(struct machine *machine, quire_vaddr va, quire_vaddr bytes, const char *name)
{
	(void)machine;
	if (range_count == RANGES)
		return;
	ranges[range_count].va = va;
	ranges[range_count].bytes = bytes;
	snprintf(ranges[range_count++].name, NAME_BYTES, "%s", name);
}

unsigned described_pages(quire_vaddr *out, unsigned most)
{
	unsigned count = 0;

	for (unsigned i = 0; i < range_count; i++)
		for (quire_vaddr at = 0; at < ranges[i].bytes && count < most; at += QUIRE_PAGE_SIZE)
			out[count++] = ranges[i].va + at;
	return count;
}

static const char *name_of(uintptr_t object)
{
	for (unsigned i = 0; i < name_count; i++)
		if (names[i].object == object)
			return names[i].name;
	return NULL;
}

const char *describe_va(quire_vaddr va)
{
	char *out = buffer();

	for (unsigned i = 0; i < range_count; i++) {
		quire_vaddr offset = va - ranges[i].va;
		char word[16] = "";

		if (offset >= ranges[i].bytes)
			continue;
		if (offset % QUIRE_PAGE_SIZE)
			snprintf(word, sizeof(word), "[%lu]", offset % QUIRE_PAGE_SIZE / WORD);
		if (offset >= QUIRE_PAGE_SIZE)
			snprintf(out, BUFFER_BYTES, "%s+%lu%s", ranges[i].name, offset >> QUIRE_PAGE_SHIFT,
				 word);
		else
			snprintf(out, BUFFER_BYTES, "%s%s", ranges[i].name, word);
		return out;
	}
	snprintf(out, BUFFER_BYTES, "%#lx", (unsigned long)va);
	return out;
}

/* ---- fields ----------------------------------------------------------------------------------------- */

struct field {
	size_t object; /* bytes of the struct */
	size_t offset, bytes;
	const char *kind, *name;
};

#define FIELD(type, word, member)                                                                       \
	{                                                                                               \
		sizeof(struct type), offsetof(struct type, member), sizeof(((struct type *)0)->member), \
			word, #member                                                                   \
	}

static const struct field fields[] = {
	FIELD(quire_mm, "mm", as.part),
	FIELD(quire_mm, "mm", as.cpus),
	FIELD(quire_mm, "mm", as.notifiers_lock),
	FIELD(quire_mm, "mm", as.notifiers),
	FIELD(quire_mm, "mm", refs),
	FIELD(quire_mm, "mm", lock),
	FIELD(quire_mm, "mm", vmas),
	FIELD(quire_mm, "mm", end),
	FIELD(range_head, "leaf", leaf),
	FIELD(range_head, "leaf", gap),
	FIELD(range_head, "leaf", lock),
	FIELD(range_head, "leaf", refs),
	FIELD(range_head, "leaf", dead),
	FIELD(range_head, "leaf", spare),
	FIELD(quire_file, "file", refs),
	FIELD(quire_file, "file", size),
	FIELD(quire_file, "file", resize_lock),
	FIELD(quire_file, "file", pages),
	FIELD(quire_file, "file", pages_lock),
	FIELD(quire_file, "file", rmap_lock),
	FIELD(quire_file, "file", mappings),
	FIELD(quire_file, "file", error),
	FIELD(anon_vma, "anon_vma", lock),
	FIELD(anon_vma, "anon_vma", refs),
	FIELD(vma, "vma", rmap.anon),
	FIELD(vma, "vma", rmap.chain_count),
	FIELD(vma, "vma", flags),
	FIELD(cpu_tlb, "tlb", as),
	FIELD(cpu_tlb, "tlb", lazy),
	FIELD(cpu_tlb, "tlb", victim),
	FIELD(cpu_tlb, "tlb", slots),
	FIELD(cpu_tlb, "tlb", tally),
	FIELD(cpu_frames, "frame cache", lock),
	FIELD(cpu_frames, "frame cache", count),
	FIELD(cpu_frames, "frame cache", lowest),
	FIELD(cpu_frames, "frame cache", in_use),
	FIELD(quire, "instance", cpus),
	FIELD(device, "device", notifier.seq),
	FIELD(device, "device", notifier.active),
};

static unsigned cpu_with(uintptr_t start, bool is_tlb)
{
	const struct machine *machine = machine_now;
	unsigned i = 0;

	while (i <= machine->cpus &&
	       (!machine->cpu[i].cpu || start != (uintptr_t)(is_tlb ? (void *)machine->cpu[i].cpu->tlb
								    : (void *)machine->cpu[i].cpu->frames)))
		i++;
	return i;
}

/* What there is one of, or one a CPU, is known by its place; NULL: it is nothing such. */
static const char *known_kind(uintptr_t start)
{
	const struct machine *machine = machine_now;

	return start == (uintptr_t)machine->quire	 ? "instance"
	       : cpu_with(start, true) <= machine->cpus	 ? "tlb"
	       : cpu_with(start, false) <= machine->cpus ? "frame cache"
							 : NULL;
}

static bool is_known_kind(const char *kind)
{
	return strcmp(kind, "instance") == 0 || strcmp(kind, "tlb") == 0 || strcmp(kind, "frame cache") == 0;
}

/* Leaves are never given a name, and files, which are as large, mostly are. */
static bool is_other_kind(uintptr_t start, const char *kind)
{
	return strcmp(kind, name_of(start) ? "leaf" : "file") == 0;
}

/* The rest by size, where only one kind has it. */
static const char *kind_of(uintptr_t start, size_t bytes)
{
	const char *kind = known_kind(start);

	if (kind)
		return kind;
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (fields[i].object != bytes || is_known_kind(fields[i].kind) ||
		    is_other_kind(start, fields[i].kind))
			continue;
		if (kind && strcmp(kind, fields[i].kind))
			return NULL;
		kind = fields[i].kind;
	}
	return kind;
}

static const char *owner_of(uintptr_t start)
{
	const struct machine *machine = machine_now;
	static char out[NAME_BYTES];
	unsigned cpu = cpu_with(start, true);

	if (cpu > machine->cpus)
		cpu = cpu_with(start, false);
	if (cpu > machine->cpus)
		return name_of(start);
	snprintf(out, sizeof(out), "P%u", cpu);
	return out;
}

static void describe_object(uintptr_t start, size_t bytes, uintptr_t offset, bool freed, char *out)
{
	const char *owner = owner_of(start), *kind = kind_of(start, bytes), *gone = freed ? " (freed)" : "";

	for (unsigned i = 0; kind && i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct field *field = &fields[i];

		if (strcmp(kind, field->kind) || offset - field->offset >= field->bytes)
			continue;
		snprintf(out, BUFFER_BYTES, "%s%s%s %s%s", kind, owner ? " " : "", owner ? owner : "",
			 field->name, gone);
		return;
	}
	if (owner)
		snprintf(out, BUFFER_BYTES, "%s + %lu%s", owner, (unsigned long)offset, gone);
	else if (kind)
		snprintf(out, BUFFER_BYTES, "%s + %lu%s", kind, (unsigned long)offset, gone);
	else
		snprintf(out, BUFFER_BYTES, "object of %zu bytes at %#lx, + %lu%s", bytes,
			 (unsigned long)start, (unsigned long)offset, gone);
}

static const char *folio_field(size_t offset)
{
	switch (offset) {
	case offsetof(struct folio, refs):
		return "refs";
	case offsetof(struct folio, maps):
		return "maps";
	case offsetof(struct folio, flags):
		return "flags";
	case offsetof(struct folio, owner):
		return "owner or table lock";
	default:
		return NULL;
	}
}

static void describe_metadata(uintptr_t address, char *out)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = address - (uintptr_t)machine->folios;

	if (!machine->folios || address < (uintptr_t)machine->folios) {
		offset = address - (uintptr_t)machine->metadata;
		const char *what =
			offset >= offsetof(struct phys, lock) && offset < offsetof(struct phys, out) ? "lock"
			: offset >= offsetof(struct phys, out) && offset < offsetof(struct phys, peak) ? "out"
			: offset >= offsetof(struct phys, peak) && offset < offsetof(struct phys, watermark)
				? "peak"
				: NULL;
		if (what)
			snprintf(out, BUFFER_BYTES, "allocator %s", what);
		else
			snprintf(out, BUFFER_BYTES, "allocator + %lu", (unsigned long)offset);
		return;
	}
	unsigned long pfn = offset / sizeof(struct folio);
	size_t in = offset % sizeof(struct folio);
	const char *field = folio_field(in);
	if (machine->folios[pfn].kind == FOLIO_TABLE && in == offsetof(struct folio, table.lock))
		snprintf(out, BUFFER_BYTES, "lock of table frame %lu (level %u)", pfn,
			 machine->folios[pfn].table.level);
	else if (field)
		snprintf(out, BUFFER_BYTES, "folio %lu %s", pfn, field);
	else
		snprintf(out, BUFFER_BYTES, "folio %lu + %zu", pfn, in);
}

static void describe_memory(uintptr_t address, char *out)
{
	const struct machine *machine = machine_now;
	quire_pfn pfn = frame_of(machine, address);
	const struct folio *folio = &machine->folios[pfn];
	unsigned long word = address % QUIRE_PAGE_SIZE / WORD;

	if (folio->kind == FOLIO_TABLE)
		snprintf(out, BUFFER_BYTES, "entry %lu of table frame %lu (level %u)", word,
			 (unsigned long)pfn, folio->table.level);
	else
		snprintf(out, BUFFER_BYTES, "frame %lu word %lu", (unsigned long)pfn, word);
}

/* ---- places ----------------------------------------------------------------------------------------- */

static void describe_place(uintptr_t location, char *out)
{
	uintptr_t what = place_what(location);
	unsigned long n = what & 0xff;

	switch (place_kind(location)) {
	case PLACE_QUEUE:
	case PLACE_WAITERS:
		snprintf(out, BUFFER_BYTES, "waiters for %s", machine_describe(machine_now, what));
		break;
	case PLACE_WOKEN:
		snprintf(out, BUFFER_BYTES, "%s", thread_name((unsigned)n));
		break;
	case PLACE_READERS:
	case PLACE_WRITERS:
		snprintf(out, BUFFER_BYTES, "%s", machine_describe(machine_now, what));
		break;
	case PLACE_TLB:
		snprintf(out, BUFFER_BYTES, "TLB of P%lu", n);
		break;
	case PLACE_ORDER:
		snprintf(out, BUFFER_BYTES, "flushes of %s", machine_describe(machine_now, what));
		break;
	case PLACE_ORDERS:
		snprintf(out, BUFFER_BYTES, "flushes of whole address spaces");
		break;
	case PLACE_RETURN:
		snprintf(out, BUFFER_BYTES, "return of a call on %s",
			 describe_va((what & 0xfffffffffful) << QUIRE_PAGE_SHIFT));
		break;
	case PLACE_RETURNS:
		snprintf(out, BUFFER_BYTES, "return of a call");
		break;
	case PLACE_IPI:
		snprintf(out, BUFFER_BYTES, "interrupts of P%lu", n);
		break;
	case PLACE_ACK:
		snprintf(out, BUFFER_BYTES, "interrupts sent by %s", thread_name((unsigned)n));
		break;
	case PLACE_READER:
		snprintf(out, BUFFER_BYTES, "read-side section of %s",
			 thread_name((unsigned)n % ENGINE_THREADS));
		break;
	case PLACE_CALLBACKS:
		snprintf(out, BUFFER_BYTES, "RCU callbacks");
		break;
	case PLACE_GRACE:
		snprintf(out, BUFFER_BYTES, "grace period");
		break;
	case PLACE_DEVICE:
		snprintf(out, BUFFER_BYTES,
			 what < 0x100 ? "lock of device %lu" : "translations of device %lu", n);
		break;
	case PLACE_EVENT:
		snprintf(out, BUFFER_BYTES, "event %s", name_of(what) ? name_of(what) : "?");
		break;
	default:
		snprintf(out, BUFFER_BYTES, "%#lx", (unsigned long)location);
	}
}

const char *machine_describe(struct machine *machine, uintptr_t location)
{
	char *out = buffer();
	uintptr_t start, address;
	size_t bytes;
	bool freed;

	if (place_kind(location) >= PLACE_QUEUE) {
		describe_place(location, out);
		return out;
	}
	address = memory_address(location);
	if (is_physical(machine, address))
		describe_memory(address, out);
	else if (address - (uintptr_t)machine->metadata < machine->metadata_bytes)
		describe_metadata(address, out);
	else if (heap_find(address, &start, &bytes, &freed))
		describe_object(start, bytes, address - start, freed, out);
	else
		snprintf(out, BUFFER_BYTES, "%#lx", (unsigned long)address);
	return out;
}

/* ---- spots ------------------------------------------------------------------------------------------ */

static const char *use_of(const struct folio *folio)
{
	return folio->kind == FOLIO_TABLE				? "table"
	       : folio->kind == FOLIO_TAIL				? "head"
	       : folio->kind == FOLIO_ANON || folio->kind == FOLIO_FILE ? "owner"
									: "free";
}

static void find_physical(const struct machine *machine, uintptr_t address, struct machine_spot *spot)
{
	const struct folio *folio;

	spot->number = frame_of(machine, address);
	folio = &machine->folios[spot->number];
	spot->offset = address % QUIRE_PAGE_SIZE;
	spot->bytes = QUIRE_PAGE_SIZE;
	spot->kind = SPOT_FRAME;
	if (folio->kind != FOLIO_TABLE)
		return;
	spot->kind = SPOT_ENTRY;
	spot->offset /= WORD;
	spot->bytes = QUIRE_TABLE_ENTRIES;
	spot->level = folio->table.level;
}

static void find_metadata(const struct machine *machine, uintptr_t address, struct machine_spot *spot)
{
	uintptr_t offset = address - (uintptr_t)machine->folios;

	if (address < (uintptr_t)machine->folios) {
		spot->kind = SPOT_ALLOCATOR;
		spot->offset = address - (uintptr_t)machine->metadata;
		spot->bytes = sizeof(struct phys);
		return;
	}
	spot->kind = SPOT_FOLIO;
	spot->number = offset / sizeof(struct folio);
	spot->offset = offset % sizeof(struct folio);
	spot->bytes = sizeof(struct folio);
	spot->use = use_of(&machine->folios[spot->number]);
}

/* What has a name, and what a CPU has. Until the next call. */
static const char *whose(const struct machine *machine, uintptr_t start)
{
	static char out[NAME_BYTES];

	for (unsigned i = 0; i <= machine->cpus; i++) {
		const struct quire_cpu *cpu = machine->cpu[i].cpu;

		if (!cpu || (start != (uintptr_t)cpu && start != (uintptr_t)cpu->tlb &&
			     start != (uintptr_t)cpu->frames && start != (uintptr_t)cpu->faults))
			continue;
		snprintf(out, sizeof(out), "P%u", i);
		return out;
	}
	return name_of(start);
}

struct machine_spot machine_spot(struct machine *machine, uintptr_t address)
{
	struct machine_spot spot = { .kind = SPOT_UNKNOWN };
	uintptr_t start;

	if (is_physical(machine, address)) {
		find_physical(machine, address, &spot);
	} else if (address - (uintptr_t)machine->metadata < machine->metadata_bytes) {
		find_metadata(machine, address, &spot);
	} else if (heap_find(address, &start, &spot.bytes, &spot.freed)) {
		const struct heap_sites *sites = heap_sites(start);

		spot.kind = SPOT_OBJECT;
		spot.offset = address - start;
		spot.owner = whose(machine, start);
		spot.code = sites->code;
		spot.code_count = sites->count;
	}
	return spot;
}
