/*
 * world.c - what a litmus file's initial state says, built on the machine through Quire's own calls; and
 * how an execution begins and ends.
 *
 * Set-up runs on CPU 0, or on the one that the file says, unscheduled. Then every CPU starts to run what its
 * column says, and the machine is frozen.
 *
 * References: each column holds one on every mm that it names, HELD_BY_WORKER one on every mm that no
 * column names. What a column has not put at the end is put before machine_finish() puts the last.
 */
#include "lab/check/worker/worker.h"

#include "core/store/file.h"

#include <quire/port.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void mistake(const struct run *run, struct litmus_place at, const char *format, ...)
{
	char text[300];
	va_list arguments;
	json_t *json;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (run->complain)
		run->complain(run, at, text);
	json = json_pack("{s:{s:s, s:i, s:i, s:s}}", "mistake", "file", run->options.path, "line",
			 (int)at.line, "column", (int)at.column, "text", text);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	_Exit(EXIT_BAD_FILE);
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

quire_vaddr va_of(const struct run *run, const struct litmus_address *address, const uint64_t *registers)
{
	quire_vaddr base = address->name < 0 ? registers[address->reg]
					     : run->litmus->names[address->name].page * QUIRE_PAGE_SIZE;

	return base + address->pages * QUIRE_PAGE_SIZE + address->word * 8ul;
}

uint64_t file_position(const struct litmus_address *address)
{
	return address->pages * QUIRE_PAGE_SIZE + address->word * 8ul;
}

/* ---- files with a store behind them -------------------------------------------------------------------- */

/*
 * In the arena, so that an execution begins with what set-up left there. Pages are moved by the port's
 * copies: others may be storing to them, and a copy is then steps of its own.
 */
struct backing {
	uint64_t pages;
	uint8_t bytes[];
};

static int backing_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
			void *page)
{
	struct backing *backing = data;

	(void)cpu;
	(void)file;
	if (index < backing->pages)
		quire_port_copy(page, backing->bytes + index * QUIRE_PAGE_SIZE, QUIRE_PAGE_SIZE);
	else
		quire_port_zero(page, QUIRE_PAGE_SIZE);
	return 0;
}

static int backing_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
			 const void *page)
{
	struct backing *backing = data;

	(void)cpu;
	(void)file;
	if (index >= backing->pages)
		return -QUIRE_ENOSPC;
	quire_port_copy(backing->bytes + index * QUIRE_PAGE_SIZE, page, QUIRE_PAGE_SIZE);
	return 0;
}

static int backing_punch(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
			 uint64_t end)
{
	struct backing *backing = data;
	uint64_t all = backing->pages * QUIRE_PAGE_SIZE;

	(void)cpu;
	(void)file;
	if (start < all)
		memset(backing->bytes + start, 0, (end < all ? end : all) - start);
	return 0;
}

/* What lies past the new end is not kept. */
static int backing_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	return backing_punch(cpu, file, data, bytes, UINT64_MAX);
}

static const struct quire_store backing_store = {
	.read = backing_read,
	.write = backing_write,
	.resize = backing_resize,
	.punch = backing_punch,
};

/*
 * BASE-5: a page that is not dirty is what the store has, or a store through a mapping has left no trace.
 * (One that may be written through a mapping is dirty.)
 */
static void check_store(struct run *run, int index)
{
	struct quire_file *file = run->files[index];
	const struct backing *backing = file->data;
	struct quire_cpu *cpu = *machine_cpu(run->machine, 0);
	uint64_t size = quire_file_size(file);

	for (uint64_t page = 0; page * QUIRE_PAGE_SIZE < size && page < backing->pages; page++) {
		uint64_t left = size - page * QUIRE_PAGE_SIZE;
		struct folio *folio = file_find(cpu, file, page);

		if (!folio)
			continue;
		if ((folio_flags(folio) & (FOLIO_UPTODATE | FOLIO_DIRTY)) == FOLIO_UPTODATE &&
		    memcmp(folio_memory(file->quire, folio), backing->bytes + page * QUIRE_PAGE_SIZE,
			   left < QUIRE_PAGE_SIZE ? left : QUIRE_PAGE_SIZE))
			engine_violation(
				"a store is lost: page %lu of %s is clean, and not what its store has",
				(unsigned long)page, run->litmus->names[index].name);
		folio_put(cpu, folio);
	}
}

void check_stores(struct run *run)
{
	for (unsigned i = 0; i < run->litmus->name_count; i++)
		if (run->files[i] && run->litmus->names[i].stored)
			check_store(run, (int)i);
}

static const char *name_of_file(const struct run *run, const struct quire_file *file)
{
	for (unsigned i = 0; i < run->litmus->name_count; i++)
		if (run->files[i] == file)
			return run->litmus->names[i].name;
	return "a file";
}

static void check_map(struct run *run, int mm, const struct quire_map_info *map)
{
	uint64_t size = quire_file_size(map->file), first = map->offset;
	uint8_t present;

	if (size > first)
		first = (size + QUIRE_PAGE_SIZE - 1) & QUIRE_PAGE_MASK;
	for (quire_vaddr at = map->start + (first - map->offset); at < map->end; at += QUIRE_PAGE_SIZE) {
		if (!quire_present(machine_cpu(run->machine, 0), run->world.mms[mm], at, QUIRE_PAGE_SIZE,
				   &present) &&
		    present)
			engine_violation(
				"a page is left behind: %s has an entry for page %lu of %s, which has %lu bytes",
				run->litmus->names[mm].name,
				(unsigned long)((at - map->start + map->offset) >> QUIRE_PAGE_SHIFT),
				name_of_file(run, map->file), (unsigned long)size);
	}
}

void check_file_ends(struct run *run)
{
	struct quire_map_info map;

	for (unsigned i = 0; i < run->litmus->name_count; i++) {
		if (run->litmus->names[i].kind != NAME_MM || !run->world.mms[i] || !run->world.held[i])
			continue;
		for (quire_vaddr at = 0;
		     !quire_map_next(machine_cpu(run->machine, 0), run->world.mms[i], at, &map); at = map.end)
			if (map.file)
				check_map(run, (int)i, &map);
	}
}

enum { BACKING_SPARE_PAGES = 4 };

static void create_file(struct run *run, int index)
{
	const struct litmus_name *name = &run->litmus->names[index];
	struct quire_cpu **cpu = machine_cpu(run->machine, 0);
	uint64_t bytes = name->bytes ? name->bytes : name->pages * QUIRE_PAGE_SIZE;
	int error;

	if (name->stored) {
		uint64_t pages = (bytes + QUIRE_PAGE_SIZE - 1) / QUIRE_PAGE_SIZE + BACKING_SPARE_PAGES;
		struct backing *backing = machine_memory(run->machine,
							 sizeof(*backing) + pages * QUIRE_PAGE_SIZE);

		if (!backing)
			mistake(run, name->at, "no room for the store of '%s': %llu pages", name->name,
				(unsigned long long)pages);
		backing->pages = pages;
		for (unsigned i = 0; i < name->content_count; i++)
			memcpy(backing->bytes + i * QUIRE_PAGE_SIZE, &name->contents[i].value, 8);
		error = quire_file_create(cpu, &backing_store, backing, QUIRE_FILE_READ | QUIRE_FILE_WRITE,
					  bytes, (uint64_t)index, &run->files[index]);
	} else {
		error = quire_file_create_ram(cpu, bytes, (uint64_t)index, &run->files[index]);
	}
	if (error)
		mistake(run, name->at, "set-up of '%s' failed: error %d", name->name, -error);
	for (unsigned i = 0; !name->stored && i < name->content_count; i++)
		if (name->contents[i].touch == TOUCHED_VALUE &&
		    quire_file_write(cpu, run->files[index], i * QUIRE_PAGE_SIZE, &name->contents[i].value,
				     8) != 8)
			mistake(run, name->at, "set-up of '%s' failed: page %u cannot be written", name->name,
				i);
	machine_name(run->machine, run->files[index], name->name);
}

/* ---- address spaces ------------------------------------------------------------------------------------ */

static uint64_t holders_of(const struct run *run, int mm)
{
	uint64_t holders = 0;

	for (unsigned i = 0; i < run->litmus->column_count; i++)
		holders |= (run->litmus->columns[i].mms >> mm & 1) << i;
	return holders ? holders : 1ul << HELD_BY_WORKER;
}

/* References for all that name it. The first is the one it was born with. */
static void hold_mm(struct run *run, int name, struct quire_mm *mm)
{
	uint64_t holders = holders_of(run, name);

	run->world.mms[name] = mm;
	run->world.held[name] = holders;
	for (holders &= holders - 1; holders; holders &= holders - 1)
		quire_mm_get(mm);
}

void put_mm(struct run *run, struct quire_cpu **cpu, int name, unsigned holder)
{
	run->world.held[name] &= ~(1ul << holder);
	quire_mm_put(cpu, run->world.mms[name]);
}

static void create_mm(struct run *run, int index)
{
	const struct litmus_name *name = &run->litmus->names[index];
	struct quire_cpu **cpu = machine_cpu(run->machine, 0);
	quire_vaddr heap = run->litmus->heap_page * QUIRE_PAGE_SIZE;
	struct quire_layout layout = {
		.mmap_base = run->litmus->mmap_top_page * QUIRE_PAGE_SIZE,
		.mmap_bottom = run->litmus->mmap_bottom_page * QUIRE_PAGE_SIZE,
		.brk_start = heap,
		.data_start = heap,
		.data_end = heap,
	};
	struct quire_mm *mm;
	int error;

	if (name->mm >= 0)
		error = quire_fork(cpu, run->world.mms[name->mm], &mm);
	else
		error = quire_mm_create(cpu, &mm);
	if (error)
		mistake(run, name->at, "set-up of '%s' failed: error %d", name->name, -error);
	if (name->mm < 0)
		quire_mm_set_layout(cpu, mm, &layout);
	machine_name(run->machine, mm, name->name);
	hold_mm(run, index, mm);
}

/* ---- mappings ------------------------------------------------------------------------------------------ */

static void touch_page(struct run *run, const struct litmus_name *name, unsigned page)
{
	const struct litmus_content *content = &name->contents[page];
	struct quire_cpu **cpu = machine_cpu(run->machine, 0);
	struct quire_mm *mm = run->world.mms[name->mm];
	quire_vaddr at = (name->page + page) * QUIRE_PAGE_SIZE;
	struct machine_result result = { 0 };

	if (content->touch == TOUCHED_READ)
		result = machine_load(run->machine, cpu, mm, at, 8);
	else if (content->touch == TOUCHED_VALUE)
		result = machine_store(run->machine, cpu, mm, at, 8, content->value);
	if (result.signal || result.error)
		mistake(run, name->at, "set-up of '%s' failed: page %u cannot be touched (%s)", name->name,
			page, result.signal ? "signal" : "no memory");
}

/*
 * A page that is to hold a value is stored to; a mapping that forbids it gets its protection after that.
 */
static void create_region(struct run *run, int index)
{
	const struct litmus_name *name = &run->litmus->names[index];
	struct quire_cpu **cpu = machine_cpu(run->machine, 0);
	struct quire_mm *mm = run->world.mms[name->mm];
	quire_vaddr at = name->page * QUIRE_PAGE_SIZE, length = name->pages * QUIRE_PAGE_SIZE;
	struct litmus_mapping mapping = name->mapping;
	bool stores = false;
	int64_t result;

	machine_name_range(run->machine, at, length, name->name);
	if (mapping.flags & MAP_HOLE)
		return;
	for (unsigned i = 0; i < name->content_count; i++)
		stores |= name->contents[i].touch == TOUCHED_VALUE;
	if (stores)
		mapping.flags |= MAP_R | MAP_W;
	result = do_mmap(run, cpu, mm, at, length, &mapping);
	if (result < 0)
		mistake(run, name->at, "set-up of '%s' failed: mmap says %d", name->name, (int)result);
	quire_cpu_run(*cpu, mm);
	for (unsigned i = 0; i < name->content_count; i++)
		touch_page(run, name, i);
	if (mapping.flags != name->mapping.flags) {
		result = quire_mprotect(cpu, mm, at, length, protection(name->mapping.flags));
		if (result < 0)
			mistake(run, name->at, "set-up of '%s' failed: mprotect says %d", name->name,
				(int)result);
	}
	quire_cpu_leave(*cpu);
}

static void create_word(struct run *run, int index)
{
	const struct litmus_name *name = &run->litmus->names[index];

	run->words[index] = machine_memory(run->machine, 8);
	memcpy(run->words[index], &name->value, 8);
	machine_name(run->machine, run->words[index], name->name);
}

static void create_device(struct run *run, int index, unsigned device)
{
	run->device[index] = device;
	machine_device_open(run->machine, device, machine_cpu(run->machine, 0),
			    run->world.mms[run->litmus->names[index].mm]);
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static void create_name(struct run *run, int index)
{
	static unsigned devices;

	switch (run->litmus->names[index].kind) {
	case NAME_MM:
		create_mm(run, index);
		break;
	case NAME_REGION:
		create_region(run, index);
		break;
	case NAME_FILE:
		create_file(run, index);
		break;
	case NAME_DEVICE:
		create_device(run, index, devices++);
		break;
	case NAME_WORD:
	case NAME_EVENT:
		create_word(run, index);
		break;
	default:
		break;
	}
}

static void run_setup_block(struct run *run, const struct litmus_setup *setup)
{
	struct quire_cpu **cpu = machine_cpu(run->machine, setup->cpu);

	quire_cpu_run(*cpu, run->world.mms[setup->mm]);
	run->world.current[setup->cpu] = setup->mm;
	run_block(run, setup->cpu, cpu, setup->body);
	quire_cpu_leave(*cpu);
	memset(run->world.registers, 0, sizeof(run->world.registers));
}

static void start_columns(struct run *run)
{
	for (unsigned i = 0; i < run->cpus; i++) {
		const struct litmus_column *column = &run->litmus->columns[i];

		run->world.current[i] = column->mm;
		if (column->mm < 0)
			continue;
		quire_cpu_run(*machine_cpu(run->machine, i), run->world.mms[column->mm]);
		run->world.idle[i] = column->lazy;
		if (column->lazy)
			quire_cpu_idle(*machine_cpu(run->machine, i));
	}
}

static unsigned count_kind(const struct litmus *litmus, enum litmus_kind kind)
{
	unsigned count = 0;

	for (unsigned i = 0; i < litmus->name_count; i++)
		count += litmus->names[i].kind == kind;
	return count;
}

/* A forked child has an event, for columns that wait until it is there. */
static void create_child_event(struct run *run, unsigned index)
{
	if (run->litmus->names[index].kind == NAME_MM && run->litmus->names[index].by >= 0) {
		run->words[index] = machine_memory(run->machine, 8);
		machine_name(run->machine, run->words[index], run->litmus->names[index].name);
	}
}

void world_create(struct run *run)
{
	const struct litmus *l = run->litmus;
	struct machine_config config = {
		.cpus = run->cpus,
		.frames = l->header.frames ? l->header.frames : 64,
		.model = run->model,
		.rcu_agent = l->header.rcu,
		.shared_pool = l->header.shared_pool,
		.several_tlbs = l->header.several_tlbs,
		.writers_wait = l->header.writers_wait,
		.devices = count_kind(l, NAME_DEVICE),
		.walkers = l->header.walkers,
		.quire = { .fault_around_pages = l->header.fault_around ? 0 : 1 },
	};
	int error = machine_create(&config, &run->machine);

	if (error)
		mistake(run, (struct litmus_place){ 1, 1 }, "the machine cannot be made: %s",
			error == -EINVAL
				? "too many CPUs, buffers and walkers for one search, or too few frames"
				: "no memory");
	for (const struct litmus_setup *s = l->setup; s; s = s->next) {
		if (s->name >= 0)
			create_name(run, s->name);
		else
			run_setup_block(run, s);
	}
	for (unsigned i = 0; i < l->name_count; i++)
		create_child_event(run, i);
	start_columns(run);
	machine_freeze(run->machine);
	run->frozen = run->world;
}
