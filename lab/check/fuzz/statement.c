/*
 * statement.c - from a record to a statement: operations by weight, and what makes each of them legal here.
 *
 *	b[1] column	b[2] operation	b[3] place	b[4] pages: where in it (low), how many (high)
 *	b[5] what	b[6] value	b[7] of which mm (low), under which condition (high)
 *
 * Operations that need what the program has not got (a file, a device, a second mm) become a load or a
 * store of the place.
 */
#include "lab/check/fuzz/inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct making {
	struct program *p;
	struct column *column;
	unsigned number; /* of the column */
	const uint8_t *b;
	struct statement *out;
	struct sentence s;
	int mm; /* that it is about, -1: none is at hand */
};

void say(struct sentence *s, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(s->text, s->room, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= s->room)
		length = (int)s->room - 1;
	s->text += length;
	s->room -= (size_t)length;
}

static char mm_name(unsigned mm)
{
	return (char)('A' + mm);
}

/*
 * ---- mms
 * ----------------------------------------------------------------------------------------------------
 */

/* May this column name @mm at this point? */
static bool may_mention(const struct making *m, unsigned mm)
{
	const struct program *p = m->p;

	if (m->column->exited >> mm & 1)
		return false;
	if (mm == 1)
		return p->has_b;
	if (mm == 2)
		return p->has_c && m->column->scheduled && m->number >= p->forked_by;
	return true;
}

/* One that it may name, from @choice on; -1: there is none. */
static int choose_mm(const struct making *m, unsigned choice)
{
	for (unsigned i = 0; i < MMS; i++)
		if (may_mention(m, (choice + i) % MMS))
			return (int)((choice + i) % MMS);
	return -1;
}

static void mention(const struct making *m, int mm)
{
	m->column->mentioned |= 1u << mm;
}

/* "B." where the call is not on what the CPU runs. False: there is no mm. */
static bool say_mm(struct making *m)
{
	unsigned choice = m->b[7] & 15;
	int mm = m->column->current;

	if (mm < 0 || choice >= 13)
		mm = choose_mm(m, choice % MMS);
	if (mm < 0)
		return false;
	if (mm != m->column->current)
		say(&m->s, "%c.", mm_name((unsigned)mm));
	mention(m, mm);
	m->mm = mm;
	return true;
}

/*
 * ---- addresses
 * ----------------------------------------------------------------------------------------------
 */

static unsigned pages_on(const struct making *m)
{
	static const uint8_t pages[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2 };

	return pages[m->b[4] & 15];
}

/* Of the places one, or the heap. */
static int choose_place(const struct making *m, uint8_t choice)
{
	return choice >= 248 || !m->p->places ? -1 : (int)(choice % m->p->places);
}

static void say_pages(struct making *m, unsigned pages)
{
	say(&m->s, "%u page%s", pages, pages == 1 ? "" : "s");
}

static void say_page(struct making *m, int place, unsigned page)
{
	static const char *const names[PLACES] = { "x", "y", "z" };

	say(&m->s, "%s", place < 0 ? "heap" : names[place]);
	/* Nothing is beyond the top. */
	if (place >= 0 && m->p->place[place].at_top)
		page %= m->p->place[place].pages;
	if (page)
		say(&m->s, "+%u", page);
}

static void say_address(struct making *m)
{
	say_page(m, choose_place(m, m->b[3]), pages_on(m));
	if (m->b[4] >> 4 >= 11)
		say(&m->s, "[%u]", 1 + (m->b[4] >> 4) % 3u);
}

static void say_range(struct making *m)
{
	static const uint8_t lengths[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 3, 9 };
	unsigned length = lengths[m->b[4] >> 4];

	say_page(m, choose_place(m, m->b[3]), pages_on(m));
	if (length)
		say(&m->s, ", %u", length);
}

static unsigned value(const struct making *m)
{
	return m->b[6] % 16u + 1;
}

/*
 * ---- mappings
 * -------------------------------------------------------------------------------------------------
 */

enum { MAPPING_FILE = 128, MAPPING_ANON_SHARED = 96 };

int mapping_file(const struct program *p, uint8_t mapping)
{
	return mapping < MAPPING_FILE || !p->files ? -1 : (int)((mapping >> 1) % p->files);
}

unsigned mapping_page(const struct program *p, uint8_t mapping)
{
	return mapping_file(p, mapping) >= 0 && (mapping >> 2 & 7) == 7;
}

static bool is_shared(uint8_t mapping)
{
	return mapping >= MAPPING_FILE ? mapping & 1 : mapping >= MAPPING_ANON_SHARED;
}

const char *protection_name(uint8_t prot)
{
	static const char *const names[16] = { "rw", "rw", "rw", "rw", "rw", "rw",  "rw", "rw",
					       "r",  "r",  "r",	 "r",  "rx", "rwx", "w",  "none" };

	return names[prot & 15];
}

static const char *mapping_flag(uint8_t flags)
{
	static const char *const names[16] = { "",	 "",	      "",	   "",	      "", "",
					       "",	 "",	      "",	   "",	      "", "populate",
					       "locked", "noreserve", "growsdown", "readonly" };

	return names[flags & 15];
}

bool mapping_may_store(const struct program *p, uint8_t mapping, uint8_t flags)
{
	return mapping_file(p, mapping) < 0 || !is_shared(mapping) || (flags & 15) != 15;
}

void say_mapping(struct sentence *s, const struct program *p, uint8_t mapping, uint8_t prot, uint8_t flags)
{
	static const char *const files[FILES] = { "f", "g" };
	int file = mapping_file(p, mapping);
	const char *flag = mapping_flag(flags), *protection = protection_name(prot);

	if (file < 0)
		say(s, "anon");
	else
		say(s, "file %s", files[file]);
	if (mapping_page(p, mapping))
		say(s, "+1");
	if (is_shared(mapping))
		say(s, " shared");
	/* What the call would refuse. */
	if (strcmp(flag, "growsdown") == 0 && (file >= 0 || is_shared(mapping)))
		flag = "";
	if (strcmp(flag, "readonly") == 0 && (file < 0 || (is_shared(mapping) && strchr(protection, 'w'))))
		flag = "";
	say(s, " %s%s%s", protection, *flag ? " " : "", flag);
}

/*
 * ---- accesses
 * -------------------------------------------------------------------------------------------------
 */

static void say_register(struct making *m)
{
	unsigned *registers = &m->column->registers;

	if (m->column->scheduled)
		say(&m->s, "r%u = ", *registers < 15 ? (*registers)++ : 15);
}

/* By the user's program; where none runs, by the kernel. */
static bool make_load(struct making *m)
{
	static const char *const names[8] = { "load", "load",  "load",	"load",
					      "load", "load1", "load4", "fetch" };

	if (!m->column->running) {
		say_register(m);
		if (!say_mm(m))
			return false;
		say(&m->s, "copy_from ");
	} else {
		say_register(m);
		say(&m->s, "%s ", names[m->b[5] & 7]);
	}
	say_address(m);
	return true;
}

static bool make_store(struct making *m)
{
	static const char *const names[8] = { "store", "store", "store",  "store",
					      "store", "store", "store1", "store4" };

	if (!m->column->running) {
		if (!say_mm(m))
			return false;
		say(&m->s, "copy_to ");
	} else {
		say(&m->s, "%s ", names[m->b[5] & 7]);
	}
	say_address(m);
	say(&m->s, ", %u", value(m));
	return true;
}

static bool make_kernel_load(struct making *m)
{
	say_register(m);
	if (!say_mm(m))
		return false;
	say(&m->s, "%s ", m->b[5] & 1 ? "peek" : "copy_from");
	say_address(m);
	return true;
}

static bool make_kernel_store(struct making *m)
{
	if (!say_mm(m))
		return false;
	say(&m->s, "%s ", m->b[5] & 1 ? "poke" : "copy_to");
	say_address(m);
	say(&m->s, ", %u", value(m));
	return true;
}

static bool make_process_vm(struct making *m)
{
	int other = choose_mm(m, (m->b[5] >> 1) + 1u);

	if (other < 0 || !say_mm(m))
		return false;
	say(&m->s, "process_vm_%s ", m->b[5] & 1 ? "writev" : "readv");
	say_address(m);
	say(&m->s, ", %c.", mm_name((unsigned)other));
	mention(m, other);
	say_page(m, choose_place(m, m->b[6]), 0);
	if (m->b[5] >> 6 == 3)
		say(&m->s, ", 1 page");
	return true;
}

/*
 * ---- calls
 * ------------------------------------------------------------------------------------------------------
 */

static bool make_mmap(struct making *m)
{
	static const char *const places[16] = { "", "", "", "", "", "",		  "",	   "",
						"", "", "", "", "", " noreplace", " hint", "" };

	if (!say_mm(m))
		return false;
	say(&m->s, "mmap(");
	if (m->b[6] >> 4 == 15)
		say_pages(m, 1 + m->b[4] % 2u);
	else
		say_range(m);
	say(&m->s, ", ");
	say_mapping(&m->s, m->p, m->b[5], m->b[6], m->b[7] >> 4);
	say(&m->s, "%s)", places[m->b[6] >> 4]);
	return true;
}

static bool make_munmap(struct making *m)
{
	if (!say_mm(m))
		return false;
	say(&m->s, "munmap(");
	say_range(m);
	say(&m->s, ")");
	return true;
}

static bool make_mprotect(struct making *m)
{
	static const char *const names[8] = { "r", "r", "r", "rw", "rw", "none", "rx", "rwx" };

	if (!say_mm(m))
		return false;
	say(&m->s, "mprotect(");
	say_range(m);
	say(&m->s, ", %s)", names[m->b[5] & 7]);
	return true;
}

/* To another place than it is; or, where there is none, behind itself. */
static void say_destination(struct making *m)
{
	int from = choose_place(m, m->b[3]);
	unsigned page = m->b[5] >> 4 & 3, places = m->p->places;

	if (from < 0 || m->b[6] >= 240)
		say_page(m, choose_place(m, m->b[6]), page);
	else if (places > 1)
		say_page(m, (int)(((unsigned)from + 1 + m->b[6] % (places - 1)) % places),
			 page & (page >> 1));
	else
		say_page(m, from, pages_on(m) + 1 + page);
}

static bool make_mremap(struct making *m)
{
	unsigned how = m->b[5] & 15;

	if (!say_mm(m))
		return false;
	say(&m->s, "mremap(");
	say_range(m);
	if (how < 12) {
		say(&m->s, ", ");
		say_destination(m);
	}
	if (how >= 10) {
		say(&m->s, ", ");
		say_pages(m, 1 + (m->b[5] >> 4 & 1u));
	}
	say(&m->s, "%s)", how == 9 ? ", dontunmap" : how >= 14 ? ", maymove" : "");
	return true;
}

static bool make_madvise(struct making *m)
{
	static const char *const names[] = {
		"DONTNEED", "DONTNEED",	     "DONTNEED",       "DONTNEED", "DONTNEED",	      "DONTNEED",
		"DONTNEED", "DONTNEED",	     "FREE",	       "REMOVE",   "REMOVE",	      "WILLNEED",
		"DONTFORK", "POPULATE_READ", "POPULATE_WRITE", "DOFORK",   "WIPEONFORK",      "KEEPONFORK",
		"COLD",	    "PAGEOUT",	     "COLLAPSE",       "HUGEPAGE", "DONTNEED_LOCKED",
	};

	if (!say_mm(m))
		return false;
	say(&m->s, "madvise(");
	say_range(m);
	say(&m->s, ", %s)", names[m->b[5] % (sizeof(names) / sizeof(names[0]))]);
	return true;
}

static bool make_locking(struct making *m)
{
	static const char *const all[4] = { "mlockall(current)", "mlockall(future)",
					    "mlockall(current onfault)", "munlockall()" };

	if (!say_mm(m))
		return false;
	if (m->b[5] >= 192) {
		say(&m->s, "%s", all[m->b[5] & 3]);
		return true;
	}
	say(&m->s, m->b[5] & 1 ? "munlock(" : "mlock(");
	say_range(m);
	say(&m->s, "%s)", (m->b[5] & 3) == 2 ? ", onfault" : "");
	return true;
}

static bool make_msync(struct making *m)
{
	static const char *const names[4] = { "", ", async", ", sync, invalidate", ", async, invalidate" };

	if (!say_mm(m))
		return false;
	say(&m->s, "msync(");
	say_range(m);
	say(&m->s, "%s)", names[m->b[5] & 3]);
	return true;
}

static bool make_look(struct making *m)
{
	say_register(m);
	if (!say_mm(m))
		return false;
	say(&m->s, m->b[5] & 1 ? "present(" : "mincore(");
	say_address(m);
	say(&m->s, ")");
	return true;
}

static bool make_brk(struct making *m)
{
	if (!say_mm(m))
		return false;
	say(&m->s, "brk(heap");
	if (m->b[5] & 3)
		say(&m->s, "+%u", m->b[5] & 3u);
	say(&m->s, ")");
	return true;
}

/*
 * ---- whole address spaces
 * -------------------------------------------------------------------------------------
 */

static bool make_fork(struct making *m)
{
	if (!m->column->scheduled || m->p->has_c || !say_mm(m))
		return false;
	say(&m->s, "fork C");
	m->p->has_c = true;
	m->p->forked_by = m->number;
	mention(m, 2);
	return true;
}

static bool make_exec(struct making *m)
{
	if (!m->column->scheduled || !say_mm(m))
		return false;
	say(&m->s, "exec");
	m->out->need = NEEDS_MM_ALONE;
	m->out->mm = (unsigned)m->mm;
	return true;
}

static bool make_exit(struct making *m)
{
	if (!m->column->scheduled || !say_mm(m))
		return false;
	say(&m->s, "exit");
	m->column->exited |= 1u << m->mm;
	if (m->mm == m->column->current) {
		m->column->current = -1;
		m->column->running = false;
	}
	return true;
}

static bool make_run(struct making *m)
{
	int mm = choose_mm(m, m->b[5] % MMS);

	if (!m->column->scheduled || mm < 0)
		return false;
	say(&m->s, "run @%c", mm_name((unsigned)mm));
	mention(m, mm);
	m->column->current = mm;
	m->column->running = true;
	return true;
}

static bool make_rest(struct making *m)
{
	struct column *c = m->column;

	if (!c->scheduled || c->current < 0 || (!c->running && !(m->b[5] & 1)))
		return false;
	c->running = false;
	if (m->b[5] & 1) {
		say(&m->s, "leave");
		c->current = -1;
	} else {
		say(&m->s, "idle");
	}
	return true;
}

/*
 * ---- files
 * ------------------------------------------------------------------------------------------------------
 */

static void say_file(struct making *m)
{
	say(&m->s, "%s", m->b[3] % m->p->files ? "g" : "f");
	if (pages_on(m))
		say(&m->s, "+%u", pages_on(m));
}

static void say_file_word(struct making *m)
{
	say_file(m);
	if (m->b[4] >> 4 >= 11)
		say(&m->s, "[%u]", 1 + (m->b[4] >> 4) % 3u);
}

static bool make_file_read(struct making *m)
{
	if (!m->p->files)
		return make_load(m);
	say_register(m);
	say(&m->s, "read ");
	say_file_word(m);
	return true;
}

static bool make_file_write(struct making *m)
{
	if (!m->p->files)
		return make_store(m);
	say(&m->s, "write ");
	say_file_word(m);
	say(&m->s, ", %u", value(m));
	return true;
}

static bool make_truncate(struct making *m)
{
	if (!m->p->files)
		return make_munmap(m);
	say(&m->s, "truncate(");
	say_file_word(m);
	say(&m->s, ")");
	return true;
}

/* punch, invalidate, sync */
static bool make_file_range(struct making *m, const char *name)
{
	if (!m->p->files)
		return make_store(m);
	say(&m->s, "%s(", name);
	say_file(m);
	if (m->b[4] >> 4 >= 11)
		say(&m->s, ", %u", 1 + (m->b[4] >> 4) % 2u);
	say(&m->s, ")");
	return true;
}

static bool make_punch(struct making *m)
{
	return make_file_range(m, "punch");
}

static bool make_invalidate(struct making *m)
{
	return make_file_range(m, "invalidate");
}

static bool make_sync(struct making *m)
{
	return make_file_range(m, "sync");
}

/*
 * ---- devices
 * ----------------------------------------------------------------------------------------------------
 */

/* False: there is none, or the column has put its mm. */
static bool use_device(struct making *m)
{
	if (!m->p->has_device || !may_mention(m, m->p->device_mm))
		return false;
	mention(m, (int)m->p->device_mm);
	m->column->uses_device = true;
	return true;
}

static bool make_translate(struct making *m)
{
	if (!use_device(m))
		return make_load(m);
	say(&m->s, "translate d, ");
	say_address(m);
	if (m->b[5] & 1)
		say(&m->s, ", write");
	return true;
}

static bool make_device_load(struct making *m)
{
	if (!use_device(m))
		return make_load(m);
	say_register(m);
	say(&m->s, "dload d, ");
	say_address(m);
	return true;
}

static bool make_device_store(struct making *m)
{
	if (!use_device(m))
		return make_store(m);
	say(&m->s, "dstore d, ");
	say_address(m);
	say(&m->s, ", %u", value(m));
	return true;
}

static bool make_device_end(struct making *m)
{
	if (!use_device(m))
		return make_munmap(m);
	if (m->b[5] & 1 && m->column->scheduled && !m->p->has_unregister) {
		m->p->has_unregister = true;
		m->out->need = NEEDS_DEVICE_ALONE;
		say(&m->s, "unregister d");
	} else {
		say(&m->s, "drop d");
	}
	return true;
}

/*
 * ---- words
 * ------------------------------------------------------------------------------------------------------
 */

static bool make_word(struct making *m)
{
	static const char *const loads[4] = { "load", "load.acquire", "load.relaxed", "add" };
	static const char *const stores[4] = { "store", "store.release", "store.relaxed",
					       "exchange.acq_rel" };

	if (!m->column->scheduled)
		return false;
	m->p->uses_word = true;
	if (m->b[5] & 4) {
		say(&m->s, "%s a, %u", stores[m->b[5] & 3], value(m));
		return true;
	}
	say_register(m);
	say(&m->s, "%s a%s", loads[m->b[5] & 3], (m->b[5] & 3) == 3 ? ", 1" : "");
	return true;
}

/*
 * ---- which
 * ------------------------------------------------------------------------------------------------------
 */

static const struct {
	uint8_t weight; /* of 256 */
	bool in_line;	/* changes what the CPU runs, or is waited for: under no condition */
	bool (*make)(struct making *m);
} operations[OPERATIONS] = {
	[OPERATION_LOAD] = { 32, false, make_load },
	[OPERATION_STORE] = { 38, false, make_store },
	[OPERATION_KERNEL_LOAD] = { 6, false, make_kernel_load },
	[OPERATION_KERNEL_STORE] = { 8, false, make_kernel_store },
	[OPERATION_PROCESS_VM] = { 5, false, make_process_vm },
	[OPERATION_MMAP] = { 12, false, make_mmap },
	[OPERATION_MUNMAP] = { 16, false, make_munmap },
	[OPERATION_MPROTECT] = { 16, false, make_mprotect },
	[OPERATION_MREMAP] = { 12, false, make_mremap },
	[OPERATION_MADVISE] = { 30, false, make_madvise },
	[OPERATION_LOCKING] = { 5, false, make_locking },
	[OPERATION_MSYNC] = { 4, false, make_msync },
	[OPERATION_LOOK] = { 2, false, make_look },
	[OPERATION_BRK] = { 3, false, make_brk },
	[OPERATION_FORK] = { 9, true, make_fork },
	[OPERATION_EXEC] = { 1, false, make_exec },
	[OPERATION_EXIT] = { 5, true, make_exit },
	[OPERATION_RUN] = { 8, true, make_run },
	[OPERATION_REST] = { 4, true, make_rest },
	[OPERATION_FILE_READ] = { 3, false, make_file_read },
	[OPERATION_FILE_WRITE] = { 4, false, make_file_write },
	[OPERATION_TRUNCATE] = { 9, false, make_truncate },
	[OPERATION_PUNCH] = { 4, false, make_punch },
	[OPERATION_INVALIDATE] = { 3, false, make_invalidate },
	[OPERATION_SYNC] = { 4, false, make_sync },
	[OPERATION_TRANSLATE] = { 5, false, make_translate },
	[OPERATION_DEVICE_LOAD] = { 4, false, make_device_load },
	[OPERATION_DEVICE_STORE] = { 2, false, make_device_store },
	[OPERATION_DEVICE_END] = { 1, false, make_device_end },
	[OPERATION_WORD] = { 1, false, make_word },
};

uint8_t operation_byte(enum operation operation)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < operation; i++)
		sum += operations[i].weight;
	return (uint8_t)sum;
}

static enum operation choose_operation(uint8_t byte)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < OPERATIONS; i++) {
		sum += operations[i].weight;
		if (byte < sum)
			return (enum operation)i;
	}
	return OPERATION_LOAD;
}

bool statement_decode(struct program *p, struct column *column, unsigned number, const uint8_t *b,
		      struct statement *out)
{
	struct making m = { p, column, number, b, out, { out->text, sizeof(out->text) }, -1 };
	enum operation which = choose_operation(b[2]);

	*out = (struct statement){ .need = NEEDS_NOTHING };
	if (b[7] >> 4 == 15 && column->scheduled && column->registers && !operations[which].in_line)
		say(&m.s, "if (r%u %s) ", (column->registers - 1) % 16, b[6] & 16 ? "!= 7" : "= 0");
	return operations[which].make(&m);
}
