/*
 * interpret.c - what a column does, statement by statement: as a CPU's user program and kernel would.
 *
 * Runs on the column's coroutine, or unscheduled in the set-up. Only the column itself touches its
 * registers and labels; what several columns touch (which mms are there, who holds them) changes under an
 * event of the machine's, or in a step of the one that forks.
 */
#include "lab/check/worker/worker.h"

#include "core/base/list.h"
#include "core/space/mm.h"

#include <stdlib.h>
#include <string.h>

/* One statement of one column. */
struct act {
	struct run *run;
	unsigned column;
	struct quire_cpu **cpu;
	const struct litmus_statement *s;
	uint64_t *registers;
	struct quire_mm *mm; /* that it is about, NULL: of none */
	quire_vaddr start, length;
};

static uint64_t value(const struct act *a, const struct litmus_value *v)
{
	return (uint64_t)value_of(a->run, v, a->registers);
}

static void set_result(const struct act *a, int64_t result)
{
	if (a->s->result >= 0)
		a->registers[a->s->result] = (uint64_t)result;
}

static void set_fault(const struct act *a, int signal)
{
	if (a->s->label < 0)
		return;
	a->run->world.faulted[a->column] |= 1u << a->s->label;
	a->run->world.signals[a->column][a->s->label] = (uint8_t)signal;
}

/* What was moved, or nothing and a fault. */
static void set_moved(const struct act *a, bool moved, uint64_t word)
{
	if (moved)
		set_result(a, (int64_t)word);
	else
		set_fault(a, 0);
}

/* The child of a fork in another column: wait for it, once. */
static struct quire_mm *mm_of(const struct act *a, int name)
{
	struct run *run = a->run;

	if (name >= 0 && run->words[name] && run->litmus->names[name].by != (int)a->column &&
	    !(run->world.waited[a->column] >> name & 1)) {
		machine_wait(run->machine, run->words[name]);
		run->world.waited[a->column] |= 1ul << name;
	}
	return name < 0 ? NULL : run->world.mms[name];
}

/* ---- user accesses ------------------------------------------------------------------------------------- */

static void do_access(const struct act *a)
{
	struct machine *machine = a->run->machine;
	struct machine_result result;

	if (a->s->op == OP_STORE)
		result = machine_store(machine, a->cpu, a->mm, a->start, a->s->bytes, value(a, &a->s->value));
	else if (a->s->op == OP_LOAD)
		result = machine_load(machine, a->cpu, a->mm, a->start, a->s->bytes);
	else
		result = machine_fetch(machine, a->cpu, a->mm, a->start, a->s->bytes);
	if (result.signal || result.error)
		set_fault(a, result.signal);
	else if (a->s->op != OP_STORE)
		set_result(a, (int64_t)result.value);
}

/* ---- calls on an address space ------------------------------------------------------------------------- */

uint32_t protection(uint32_t flags)
{
	return (flags & MAP_R ? QUIRE_PROT_READ : 0u) | (flags & MAP_W ? QUIRE_PROT_WRITE : 0u) |
	       (flags & MAP_X ? QUIRE_PROT_EXEC : 0u);
}

int64_t do_mmap(struct run *run, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr at,
		quire_vaddr length, const struct litmus_mapping *mapping)
{
	uint32_t f = mapping->flags;
	struct quire_mmap map = {
		.addr = f & MAP_ANYWHERE ? 0 : at,
		.length = length,
		.prot = protection(f),
		.flags = (f & MAP_SHARED_ONE ? QUIRE_MAP_SHARED : QUIRE_MAP_PRIVATE) |
			 (f & MAP_POPULATED ? QUIRE_MAP_POPULATE : 0u) |
			 (f & MAP_LOCKED_ONE ? QUIRE_MAP_LOCKED : 0u) |
			 (f & MAP_UNRESERVED ? QUIRE_MAP_NORESERVE : 0u) |
			 (f & MAP_GROWING ? QUIRE_MAP_GROWSDOWN : 0u) |
			 (mapping->file < 0 ? QUIRE_MAP_ANONYMOUS : 0u) |
			 (f & MAP_KEEPS			    ? QUIRE_MAP_FIXED_NOREPLACE
			  : f & (MAP_HINTED | MAP_ANYWHERE) ? 0u
							    : QUIRE_MAP_FIXED),
	};

	if (mapping->file >= 0) {
		map.file = run->files[mapping->file];
		map.access = QUIRE_FILE_READ | (f & MAP_OPENED_READONLY ? 0u : QUIRE_FILE_WRITE) |
			     (run->litmus->names[mapping->file].stored ? 0u : QUIRE_FILE_RAM);
		map.opened = (uint64_t)mapping->file + 1;
		map.offset = mapping->file_page * QUIRE_PAGE_SIZE;
	}
	return quire_mmap(cpu, mm, &map);
}

static int64_t do_mremap(const struct act *a)
{
	const struct litmus_statement *s = a->s;
	uint32_t flags = (s->words & WORD_MAYMOVE ? QUIRE_MREMAP_MAYMOVE : 0u) |
			 (s->words & WORD_FIXED ? QUIRE_MREMAP_FIXED : 0u) |
			 (s->words & WORD_DONTUNMAP ? QUIRE_MREMAP_DONTUNMAP : 0u);
	quire_vaddr to = s->words & WORD_FIXED ? va_of(a->run, &s->other, a->registers) : 0;

	return quire_mremap(a->cpu, a->mm, a->start, a->length, s->pages * QUIRE_PAGE_SIZE, flags, to);
}

static int64_t do_msync(const struct act *a)
{
	uint32_t w = a->s->words;

	return quire_msync(a->cpu, a->mm, a->start, a->length,
			   (w & WORD_SYNC ? QUIRE_MS_SYNC : 0u) | (w & WORD_ASYNC ? QUIRE_MS_ASYNC : 0u) |
				   (w & WORD_INVALIDATE ? QUIRE_MS_INVALIDATE : 0u));
}

static int64_t do_look(const struct act *a)
{
	uint8_t byte = 0;
	quire_vaddr page = a->start & QUIRE_PAGE_MASK;
	int error = a->s->op == OP_MINCORE ? quire_mincore(a->cpu, a->mm, page, QUIRE_PAGE_SIZE, &byte)
					   : quire_present(a->cpu, a->mm, page, QUIRE_PAGE_SIZE, &byte);

	return error ? error : byte;
}

static int64_t do_exec(const struct act *a)
{
	struct quire_layout layout;

	quire_mm_get_layout(a->cpu, a->mm, &layout);
	return quire_exec(a->cpu, a->mm, &layout);
}

/* References for all that name the child, before any of them can know of it. */
static int64_t do_fork(const struct act *a)
{
	struct run *run = a->run;
	struct quire_mm *child = NULL;
	int error = quire_fork(a->cpu, a->mm, &child);

	if (!error) {
		uint64_t holders = 0;

		for (unsigned i = 0; i < run->cpus; i++)
			holders |= (run->litmus->columns[i].mms >> a->s->name & 1) << i;
		run->world.mms[a->s->name] = child;
		run->world.held[a->s->name] = holders;
		for (holders &= holders - 1; holders; holders &= holders - 1)
			quire_mm_get(child);
		machine_name(run->machine, child, run->litmus->names[a->s->name].name);
	}
	machine_post(run->machine, run->words[a->s->name]);
	return error;
}

static int64_t call_mm(const struct act *a)
{
	const struct litmus_statement *s = a->s;

	switch (s->op) {
	case OP_MMAP:
		return do_mmap(a->run, a->cpu, a->mm, a->start, a->length, &s->mapping);
	case OP_MUNMAP:
		return quire_munmap(a->cpu, a->mm, a->start, a->length);
	case OP_MPROTECT:
		return quire_mprotect(a->cpu, a->mm, a->start, a->length, protection(s->mapping.flags));
	case OP_MREMAP:
		return do_mremap(a);
	case OP_MADVISE:
		return quire_madvise(a->cpu, a->mm, a->start, a->length, s->advice);
	case OP_MLOCK:
		return quire_mlock(a->cpu, a->mm, a->start, a->length,
				   s->words & WORD_ONFAULT ? QUIRE_MLOCK_ONFAULT : 0);
	case OP_MUNLOCK:
		return quire_munlock(a->cpu, a->mm, a->start, a->length);
	case OP_MLOCKALL:
		return quire_mlockall(a->cpu, a->mm,
				      (s->words & WORD_CURRENT ? QUIRE_MCL_CURRENT : 0u) |
					      (s->words & WORD_FUTURE ? QUIRE_MCL_FUTURE : 0u) |
					      (s->words & WORD_ONFAULT ? QUIRE_MCL_ONFAULT : 0u));
	case OP_MUNLOCKALL:
		return quire_munlockall(a->cpu, a->mm);
	case OP_MSYNC:
		return do_msync(a);
	case OP_MINCORE:
	case OP_PRESENT:
		return do_look(a);
	case OP_BRK:
		return (int64_t)quire_brk(a->cpu, a->mm, a->start);
	case OP_FORK:
		return do_fork(a);
	case OP_EXEC:
		return do_exec(a);
	default:
		return -QUIRE_EINVAL;
	}
}

/* A move is about both of its ends; told as one range where they touch, as its source where they do not. */
static void widen_to_destination(const struct act *a, quire_vaddr *start, quire_vaddr *end)
{
	quire_vaddr to = va_of(a->run, &a->s->other, a->registers) & QUIRE_PAGE_MASK;
	quire_vaddr to_end = to + a->s->pages * QUIRE_PAGE_SIZE;

	if (!(a->s->words & WORD_FIXED) || to > *end || to_end < *start)
		return;
	*start = to < *start ? to : *start;
	*end = to_end > *end ? to_end : *end;
}

/*
 * What nobody may do any more by a translation of before, when the call has returned: a bit for each access.
 */
static unsigned takes_away(const struct litmus_statement *s)
{
	enum {
		LOADS = 1 << QUIRE_ACCESS_READ,
		STORES = 1 << QUIRE_ACCESS_WRITE,
		FETCHES = 1 << QUIRE_ACCESS_EXEC
	};
	uint32_t prot = s->mapping.flags & MAP_PROT;

	switch (s->op) {
	case OP_MUNMAP:
	case OP_MMAP:
	case OP_EXEC:
		return LOADS | STORES | FETCHES;
	case OP_MPROTECT: /* what can be stored to can be read */
		return (prot ? 0 : LOADS) | (prot & MAP_W ? 0 : STORES) | (prot & MAP_X ? 0 : FETCHES);
	case OP_MREMAP: /* in place, or wherever there is room: perhaps nothing */
		return s->words & WORD_FIXED ? LOADS | STORES | FETCHES : 0;
	case OP_MADVISE:
		return s->advice == QUIRE_MADV_DONTNEED ? LOADS | STORES | FETCHES : 0;
	default:
		return 0;
	}
}

/*
 * What the oracle is told of a call: its name, and which addresses it is about. Calls without a range are
 * about all of them; one that finds its own place, or replaces nothing, about none.
 */
static void announce(const struct act *a)
{
	const struct litmus_statement *s = a->s;
	quire_vaddr start = a->start & QUIRE_PAGE_MASK, end = start + a->length;

	switch (s->op) {
	case OP_MLOCKALL:
	case OP_MUNLOCKALL:
	case OP_FORK:
	case OP_EXEC:
		start = 0;
		end = QUIRE_USER_END;
		break;
	case OP_MMAP:
		if (s->mapping.flags & (MAP_ANYWHERE | MAP_HINTED | MAP_KEEPS))
			end = start;
		break;
	case OP_MREMAP:
		widen_to_destination(a, &start, &end);
		break;
	default:
		break;
	}
	machine_call_begin(a->run->machine, a->mm, start, end, s->call, takes_away(s));
}

static void do_call(const struct act *a)
{
	int64_t result;

	announce(a);
	result = call_mm(a);
	/* Or what follows would be about something else. */
	if (!engine_now && a->s->op == OP_MMAP && result < 0)
		mistake(a->run, a->s->at, "set-up failed: mmap says %d", (int)result);
	/* Errors are the last page's addresses. */
	machine_call_end(a->run->machine, (uint64_t)result > (uint64_t)-4096);
	set_result(a, result);
}

static void do_exit(const struct act *a)
{
	struct run *run = a->run;
	int name = a->s->mm >= 0 ? a->s->mm : run->world.current[a->column];

	if (!a->mm)
		return;
	if (name == run->world.current[a->column]) {
		if (!run->world.idle[a->column])
			quire_cpu_leave(*a->cpu);
		run->world.current[a->column] = -1;
	}
	put_mm(run, a->cpu, name, a->column);
}

/* ---- access by the kernel ------------------------------------------------------------------------------ */

static void do_kernel_access(const struct act *a)
{
	uint64_t word = value(a, &a->s->value);
	size_t moved;

	switch (a->s->op) {
	case OP_COPY_FROM:
		moved = quire_copy_from(a->cpu, a->mm, &word, a->start, 8);
		break;
	case OP_COPY_TO:
		moved = quire_copy_to(a->cpu, a->mm, a->start, &word, 8);
		break;
	case OP_PEEK:
		moved = quire_peek(a->cpu, a->mm, &word, a->start, 8);
		break;
	default:
		moved = quire_poke(a->cpu, a->mm, a->start, &word, 8);
		break;
	}
	set_moved(a, moved == 8, word);
}

struct count_mappings {
	struct rmap_visit visit;
	struct folio *folio;
	uint64_t count;
};

static bool count_mapping(struct rmap_visit *visit, struct quire_cpu **cpu, struct rmap_node *node,
			  quire_vaddr va, uint64_t pages)
{
	struct count_mappings *mappings = container_of(visit, struct count_mappings, visit);
	struct cursor cursor;

	(void)pages;
	if (cursor_open(&cursor, *cpu, node->as, va, CURSOR_READ, NULL, NULL))
		return true;
	mappings->count += entry_folio(node->as->quire, cursor.entry) == mappings->folio;
	cursor_close(&cursor);
	return true;
}

/* What reclaim will do: with a reference to a page, look who maps it. Mappings come and go meanwhile. */
static void do_rmap(const struct act *a)
{
	struct count_mappings mappings = { .visit.node = count_mapping };
	struct cursor cursor;

	if (!cursor_open(&cursor, *a->cpu, &a->mm->as, a->start & QUIRE_PAGE_MASK, CURSOR_READ, NULL, NULL)) {
		mappings.folio = entry_folio(a->mm->quire, cursor.entry);
		if (mappings.folio)
			folio_get(mappings.folio);
		cursor_close(&cursor);
	}
	if (mappings.folio) {
		folio_lock(a->cpu, mappings.folio);
		rmap_walk_folio(a->cpu, mappings.folio, &mappings.visit);
		folio_unlock(*a->cpu, mappings.folio);
		folio_put(*a->cpu, mappings.folio);
	}
	set_moved(a, mappings.folio != NULL, mappings.count);
}

static void do_process_vm(const struct act *a)
{
	const struct litmus_statement *s = a->s;
	struct quire_mm *other = mm_of(a, s->other_mm);
	uint64_t bytes = s->pages ? s->pages * QUIRE_PAGE_SIZE : 8;
	struct quire_iovec local = { a->start, bytes };
	struct quire_iovec remote = { va_of(a->run, &s->other, a->registers), bytes };

	set_result(a,
		   other ? quire_process_vm(a->cpu, a->mm, &local, 1, other, &remote, 1, s->op == OP_WRITEV)
			 : -QUIRE_ESRCH);
}

/* ---- what the CPU runs --------------------------------------------------------------------------------- */

static void do_run(const struct act *a)
{
	struct quire_mm *mm = mm_of(a, a->s->name);

	/* Its fork has failed: run nothing. */
	if (!mm) {
		quire_cpu_leave(*a->cpu);
		a->run->world.current[a->column] = -1;
		return;
	}
	quire_cpu_run(*a->cpu, mm);
	a->run->world.current[a->column] = a->s->name;
	a->run->world.idle[a->column] = false;
}

static void do_leave(const struct act *a)
{
	if (a->run->world.current[a->column] < 0)
		return;
	a->run->world.idle[a->column] = a->s->op == OP_IDLE;
	if (a->s->op == OP_IDLE) {
		quire_cpu_idle(*a->cpu);
		return;
	}
	quire_cpu_leave(*a->cpu);
	a->run->world.current[a->column] = -1;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static int64_t call_file(const struct act *a)
{
	struct quire_file *file = a->run->files[a->s->name];
	uint64_t at = file_position(&a->s->range.start), page = a->s->range.start.pages;
	uint64_t pages = a->s->range.pages ? a->s->range.pages : 1, word = value(a, &a->s->value);

	switch (a->s->op) {
	case OP_FILE_WRITE:
		return quire_file_write(a->cpu, file, at, &word, 8);
	case OP_TRUNCATE:
		return quire_file_truncate(a->cpu, file, at);
	case OP_PUNCH:
		return quire_file_punch(a->cpu, file, at & QUIRE_PAGE_MASK, pages * QUIRE_PAGE_SIZE);
	case OP_INVALIDATE:
		return quire_file_invalidate(a->cpu, file, page, page + pages - 1);
	case OP_SYNC:
		return quire_file_sync(a->cpu, file, page, page + pages - 1);
	default:
		return -QUIRE_EINVAL;
	}
}

static void do_file(const struct act *a)
{
	int64_t result;

	if (a->s->op == OP_FILE_READ) {
		uint64_t word = 0;

		result = quire_file_read(a->cpu, a->run->files[a->s->name], file_position(&a->s->range.start),
					 &word, 8);
		set_moved(a, result == 8, word);
		return;
	}
	machine_call_begin(a->run->machine, NULL, 0, 0, a->s->call, 0);
	result = call_file(a);
	machine_call_end(a->run->machine, result < 0);
	set_result(a, result);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static void do_device(const struct act *a)
{
	struct machine *machine = a->run->machine;
	unsigned device = a->run->device[a->s->name];
	uint64_t word = 0;
	int error;

	switch (a->s->op) {
	case OP_TRANSLATE:
		set_result(a, machine_device_map(machine, device, a->cpu, a->start,
						 a->s->words & WORD_WRITE ? QUIRE_ACCESS_WRITE
									  : QUIRE_ACCESS_READ));
		break;
	case OP_DLOAD:
		error = machine_device_load(machine, device, a->start, 8, &word);
		set_moved(a, !error, word);
		break;
	case OP_DSTORE:
		error = machine_device_store(machine, device, a->start, 8, value(a, &a->s->value));
		set_moved(a, !error, 0);
		break;
	case OP_DROP:
		machine_device_drop(machine, device, a->cpu);
		break;
	case OP_REGISTER:
		machine_device_open(machine, device, a->cpu,
				    a->run->world.mms[a->run->litmus->names[a->s->name].mm]);
		break;
	default:
		machine_device_close(machine, device, a->cpu);
		break;
	}
}

/* ---- words and events ---------------------------------------------------------------------------------- */

static const int orders[] = { MO_RELAXED, MO_ACQUIRE, MO_RELEASE, MO_ACQ_REL, MO_SEQ_CST };
static const enum memory_operation rmws[] = { RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_EXCHANGE };

/* The accesses are this file's own: their place in the report is the statement's line. */
static void do_plain_word(const struct act *a)
{
	uint64_t *word = a->run->words[a->s->name];
	const void *code = __builtin_return_address(0);

	if (a->s->op == OP_WORD_STORE) {
		memory_write((uintptr_t)word, 8, code);
		*(volatile uint64_t *)word = value(a, &a->s->value);
	} else {
		memory_read((uintptr_t)word, 8, code);
		set_result(a, (int64_t) * (volatile uint64_t *)word);
	}
}

static void do_word(const struct act *a)
{
	uintptr_t word = a->s->name >= 0 ? (uintptr_t)a->run->words[a->s->name] : 0;
	const void *code = __builtin_return_address(0);
	int order = orders[a->s->order];
	uint64_t expected;

	if (a->s->op != OP_FENCE && a->run->litmus->names[a->s->name].plain) {
		do_plain_word(a);
		return;
	}
	switch (a->s->op) {
	case OP_WORD_LOAD:
		set_result(a, (int64_t)memory_load(word, 8, order, code));
		break;
	case OP_WORD_STORE:
		memory_store(word, 8, value(a, &a->s->value), order, code);
		break;
	case OP_RMW:
		set_result(a, (int64_t)memory_rmw(word, 8, rmws[a->s->rmw], value(a, &a->s->value), order,
						  code));
		break;
	case OP_CAS:
		/* A failing exchange writes nothing: of its order the loading half is left. */
		expected = value(a, &a->s->value);
		memory_compare_exchange(word, 8, &expected, value(a, &a->s->second), order,
					order == MO_RELEASE   ? MO_RELAXED
					: order == MO_ACQ_REL ? MO_ACQUIRE
							      : order,
					code);
		set_result(a, (int64_t)expected);
		break;
	default:
		memory_fence(order, code);
		break;
	}
}

static void do_event(const struct act *a)
{
	void *event = a->run->words[a->s->name];

	switch (a->s->op) {
	case OP_POST:
		machine_post(a->run->machine, event);
		break;
	case OP_WAIT:
		machine_wait(a->run->machine, event);
		break;
	case OP_LOCK:
		machine_lock(a->run->machine, event);
		break;
	default:
		machine_unlock(a->run->machine, event);
		break;
	}
}

/* ---- a statement --------------------------------------------------------------------------------------- */

static void (*const doers[OPS])(const struct act *a) = {
	[OP_LOAD] = do_access,
	[OP_STORE] = do_access,
	[OP_FETCH] = do_access,
	[OP_MMAP] = do_call,
	[OP_MUNMAP] = do_call,
	[OP_MPROTECT] = do_call,
	[OP_MREMAP] = do_call,
	[OP_MADVISE] = do_call,
	[OP_MLOCK] = do_call,
	[OP_MUNLOCK] = do_call,
	[OP_MLOCKALL] = do_call,
	[OP_MUNLOCKALL] = do_call,
	[OP_MSYNC] = do_call,
	[OP_MINCORE] = do_call,
	[OP_PRESENT] = do_call,
	[OP_BRK] = do_call,
	[OP_FORK] = do_call,
	[OP_EXEC] = do_call,
	[OP_EXIT] = do_exit,
	[OP_COPY_FROM] = do_kernel_access,
	[OP_COPY_TO] = do_kernel_access,
	[OP_PEEK] = do_kernel_access,
	[OP_POKE] = do_kernel_access,
	[OP_RMAP] = do_rmap,
	[OP_READV] = do_process_vm,
	[OP_WRITEV] = do_process_vm,
	[OP_RUN] = do_run,
	[OP_IDLE] = do_leave,
	[OP_LEAVE] = do_leave,
	[OP_FILE_WRITE] = do_file,
	[OP_FILE_READ] = do_file,
	[OP_TRUNCATE] = do_file,
	[OP_PUNCH] = do_file,
	[OP_INVALIDATE] = do_file,
	[OP_SYNC] = do_file,
	[OP_TRANSLATE] = do_device,
	[OP_DLOAD] = do_device,
	[OP_DSTORE] = do_device,
	[OP_DROP] = do_device,
	[OP_UNREGISTER] = do_device,
	[OP_REGISTER] = do_device,
	[OP_WORD_LOAD] = do_word,
	[OP_WORD_STORE] = do_word,
	[OP_RMW] = do_word,
	[OP_CAS] = do_word,
	[OP_FENCE] = do_word,
	[OP_POST] = do_event,
	[OP_WAIT] = do_event,
	[OP_LOCK] = do_event,
	[OP_UNLOCK] = do_event,
};

/* Operations that have an mm work on it or, when its fork failed or it was left, say that there is none. */
static bool needs_mm(enum litmus_operation op)
{
	return (op >= OP_LOAD && op <= OP_WRITEV && op != OP_EXIT);
}

static void run_statement(struct run *run, unsigned column, struct quire_cpu **cpu,
			  const struct litmus_statement *s)
{
	struct act a = { run, column, cpu, s, run->world.registers[column], NULL, 0, 0 };

	trace_statement(run, column, s);
	if (s->label >= 0)
		run->world.reached[column] |= 1u << s->label;
	if (s->op == OP_SET) {
		set_result(&a, (int64_t)value(&a, &s->value));
		return;
	}
	if (s->op == OP_IF) {
		run_block(run, column, cpu, condition_holds(run, s->condition) ? s->body : s->otherwise);
		return;
	}
	a.mm = mm_of(&a, s->mm >= 0 ? s->mm : run->world.current[column]);
	a.start = va_of(run, &s->range.start, a.registers);
	a.length = s->range.pages * QUIRE_PAGE_SIZE;
	if (needs_mm(s->op) && !a.mm)
		set_result(&a, -QUIRE_ESRCH);
	else
		doers[s->op](&a);
}

void run_block(struct run *run, unsigned column, struct quire_cpu **cpu, const struct litmus_statement *block)
{
	for (; block; block = block->next)
		run_statement(run, column, cpu, block);
}
