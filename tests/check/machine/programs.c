/*
 * programs.c - programs as text, at random, and made smaller.
 */
#include "programs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *name;
	bool has_place;
} op_form[OP_KINDS] = {
	[OP_READ] = { "rd", true },
	[OP_WRITE] = { "wr", true },
	[OP_LOAD] = { "ld", true },
	[OP_STORE] = { "st", true },
	[OP_ADD] = { "add", true },
	[OP_SWAP] = { "swap", true },
	[OP_FENCE] = { "fence", false },
	[OP_LOCK] = { "lock", true },
	[OP_UNLOCK] = { "unlock", true },
	[OP_READ_LOCK] = { "rlock", false },
	[OP_READ_UNLOCK] = { "runlock", false },
	[OP_WRITE_LOCK] = { "wlock", false },
	[OP_WRITE_UNLOCK] = { "wunlock", false },
	[OP_RCU_LOCK] = { "rcu", false },
	[OP_RCU_UNLOCK] = { "rcuend", false },
	[OP_CALL] = { "call", false },
	[OP_BARRIER] = { "barrier", false },
	[OP_WAIT] = { "wait", true },
	[OP_SET] = { "set", true },
	[OP_WAKE] = { "wake", true },
	[OP_IPI] = { "ipi", true },
};

/* ---- programs as text ------------------------------------------------------------------------------- */

static size_t write_op(const struct op *op, char *out, size_t room)
{
	size_t used = (size_t)snprintf(out, room, " %s", op_form[op->kind].name);

	if (op->kind == OP_IPI) {
		for (unsigned cpu = 0; cpu < PROGRAM_CPUS; cpu++)
			if (op->place >> cpu & 1)
				used += (size_t)snprintf(out + used, room - used, "%u", cpu);
	} else if (op_form[op->kind].has_place) {
		used += (size_t)snprintf(out + used, room - used, "%u", op->place);
	}
	return used + (size_t)snprintf(out + used, room - used, "%s", op->is_ordered ? "*" : "");
}

const char *program_text(const struct program *from)
{
	static char text[1024];
	size_t used = 0;

	for (unsigned part = 0; part < PARTS; part++) {
		bool is_column = part < HANDLER;

		if (is_column ? part >= from->cpus : !from->ops[part])
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c", used ? " " : "",
					 "PHC"[part / PROGRAM_CPUS]);
		if (part != CALLBACK)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%u", part % PROGRAM_CPUS);
		for (unsigned i = 0; i < from->ops[part]; i++)
			used += write_op(&from->op[part][i], text + used, sizeof(text) - used);
	}
	return text;
}

static void add_op(struct program *to, unsigned part, struct op op)
{
	if (to->ops[part] == PROGRAM_OPS)
		fail_msg("more than %d operations in one part", PROGRAM_OPS);
	to->op[part][to->ops[part]++] = op;
}

static struct op read_op(const char *word)
{
	size_t letters = strcspn(word, "0123456789*");
	const char *digits = word + letters;
	struct op op = { .is_ordered = strchr(word, '*') };

	while (op.kind < OP_KINDS &&
	       (strlen(op_form[op.kind].name) != letters || strncmp(op_form[op.kind].name, word, letters)))
		op.kind++;
	if (op.kind == OP_KINDS || op_form[op.kind].has_place != (*digits >= '0' && *digits <= '9'))
		fail_msg("%s is not an operation", word);
	for (; *digits >= '0' && *digits <= '9'; digits++) {
		unsigned digit = (unsigned)(*digits - '0');

		if (digit >= (op.kind == OP_IPI ? (unsigned)PROGRAM_CPUS : (unsigned)PROGRAM_PLACES))
			fail_msg("%s: there is no such place", word);
		op.place = op.kind == OP_IPI ? (uint8_t)(op.place | 1u << digit) : (uint8_t)digit;
	}
	return op;
}

struct program program_read(const char *text)
{
	struct program read = { .cpus = 2 };
	unsigned part = PARTS;
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		unsigned cpu = word[0] == 'C' ? 0 : (unsigned)(word[1] - '0');
		const char *kind = strchr("PHC", word[0]);

		if (!kind) {
			if (part == PARTS)
				fail_msg("%s is in no part", word);
			add_op(&read, part, read_op(word));
			continue;
		}
		if (cpu >= PROGRAM_CPUS)
			fail_msg("%s is no part of a program", word);
		part = (unsigned)(kind - "PHC") * PROGRAM_CPUS + cpu;
		read.cpus = *kind != 'C' && cpu >= read.cpus ? cpu + 1 : read.cpus;
	}
	return read;
}

/* ---- random programs -------------------------------------------------------------------------------- */

static uint64_t seed;
static enum program_size size;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 16) % n);
}

static void add(struct program *to, unsigned part, enum op_kind kind, unsigned place)
{
	add_op(to, part, (struct op){ .kind = (uint8_t)kind, .place = (uint8_t)place });
}

/* An access of memory. Plain ones are rare: a program in which they race shows nothing else. */
static void add_access(struct program *to, unsigned part)
{
	static const enum op_kind kinds[] = { OP_READ,	OP_WRITE, OP_LOAD, OP_LOAD,
					      OP_STORE, OP_STORE, OP_ADD,  OP_SWAP };
	unsigned kind = size == PROGRAM_SMALL ? below(8) : 2 + below(6);
	struct op op = { .kind = (uint8_t)kinds[kind], .place = (uint8_t)below(PROGRAM_PLACES) };

	op.is_ordered = op.kind > OP_WRITE && below(3) == 0;
	add_op(to, part, op);
}

static void add_inside(struct program *to, unsigned part, enum op_kind enter, enum op_kind leave,
		       unsigned place)
{
	add(to, part, enter, place);
	if (below(4))
		add_access(to, part);
	add(to, part, leave, place);
}

bool program_has(const struct program *in, unsigned part, enum op_kind kind)
{
	for (unsigned i = 0; i < in->ops[part]; i++)
		if (in->op[part][i].kind == kind)
			return true;
	return false;
}

/* What programs are about: two of these each. */
enum theme { INTERRUPTS, SPIN_LOCKS, SLEEPING_LOCKS, RCU, WAITS, THEMES };

/* Of interrupts: @aim is the CPU that all others interrupt; or nobody in particular. */
static void add_ipi(struct program *to, unsigned column, unsigned aim)
{
	unsigned target = (column + 1 + below(to->cpus - 1)) % to->cpus;
	unsigned everybody = ((1u << to->cpus) - 1) & ~(1u << column);

	if (aim < to->cpus && aim != column)
		target = aim;
	add(to, column, OP_IPI, below(8) ? 1u << target : everybody);
}

static void add_rcu(struct program *to, unsigned column)
{
	switch (below(4)) {
	case 0:
		if (!program_has(to, column, OP_CALL))
			add(to, column, OP_CALL, 0);
		break;
	case 1:
		add(to, column, OP_BARRIER, 0);
		break;
	default:
		add_inside(to, column, OP_RCU_LOCK, OP_RCU_UNLOCK, 0);
		break;
	}
}

static void add_wait(struct program *to, unsigned column)
{
	unsigned way = below(4);

	if (way < 2) {
		add(to, column, OP_WAIT, 0);
		return;
	}
	add(to, column, OP_SET, 0);
	if (way == 3)
		add(to, column, OP_WAKE, 0);
}

static void add_themed(struct program *to, unsigned column, enum theme theme, unsigned aim)
{
	switch (theme) {
	case INTERRUPTS:
		add_ipi(to, column, aim);
		break;
	case SPIN_LOCKS:
		add_inside(to, column, OP_LOCK, OP_UNLOCK, below(PROGRAM_PLACES));
		break;
	case SLEEPING_LOCKS:
		if (below(2))
			add_inside(to, column, OP_READ_LOCK, OP_READ_UNLOCK, 0);
		else
			add_inside(to, column, OP_WRITE_LOCK, OP_WRITE_UNLOCK, 0);
		break;
	case RCU:
		add_rcu(to, column);
		break;
	default:
		add_wait(to, column);
		break;
	}
}

/* It may begin with a plain access, which is no transition of its own. */
static void add_handler(struct program *to, unsigned part)
{
	if (size == PROGRAM_SMALL && below(3) == 0)
		add(to, part, below(2) ? OP_READ : OP_WRITE, below(PROGRAM_PLACES));
	for (unsigned i = 1 + below(size == PROGRAM_SMALL ? 2 : 3); i > 0; i--)
		add_access(to, part);
}

static void drop(struct program *from, unsigned part)
{
	from->ops[part] = 0;
	memset(from->op[part], 0, sizeof(from->op[part]));
}

/* What nobody calls. */
static void drop_unused(struct program *from)
{
	unsigned interrupted = 0;
	bool is_called = false;

	for (unsigned column = 0; column < from->cpus; column++) {
		is_called |= program_has(from, column, OP_CALL);
		for (unsigned i = 0; i < from->ops[column]; i++)
			if (from->op[column][i].kind == OP_IPI)
				interrupted |= from->op[column][i].place;
	}
	for (unsigned cpu = 0; cpu < from->cpus; cpu++)
		if (!(interrupted >> cpu & 1))
			drop(from, HANDLER + cpu);
	if (!is_called)
		drop(from, CALLBACK);
}

struct program program_random(uint64_t number, enum program_size of_size)
{
	seed = (number + 1) * 0x9e3779b97f4a7c15ul;
	size = of_size;
	struct program made = { .cpus = 2 + below(PROGRAM_CPUS - 1) };
	/* Interrupts are the half of it. */
	enum theme theme[] = { below(2) ? INTERRUPTS : below(THEMES), below(THEMES) };
	unsigned aim = below(2) ? below(made.cpus) : PROGRAM_CPUS;

	if (size == PROGRAM_ENTANGLED) {
		made.cpus = PROGRAM_CPUS;
		theme[0] = INTERRUPTS;
	}
	for (unsigned column = 0; column < made.cpus; column++) {
		unsigned statements = (made.cpus > 2 ? 0 : 1) + below(4);

		for (; statements && made.ops[column] + 3 <= PROGRAM_OPS; statements--)
			if (below(2))
				add_themed(&made, column, theme[below(2)], aim);
			else
				add_access(&made, column);
	}
	for (unsigned cpu = 0; cpu < made.cpus; cpu++)
		add_handler(&made, HANDLER + cpu);
	add_access(&made, CALLBACK);
	drop_unused(&made);
	return made;
}

/* ---- smaller ones ----------------------------------------------------------------------------------- */

struct program program_without(const struct program *from, unsigned part, unsigned i)
{
	struct program less = *from;
	unsigned kind = from->op[part][i].kind;
	bool has_end = kind == OP_LOCK || kind == OP_READ_LOCK || kind == OP_WRITE_LOCK ||
		       kind == OP_RCU_LOCK;

	less.ops[part] = 0;
	for (unsigned k = 0; k < from->ops[part]; k++) {
		if (has_end && k > i && from->op[part][k].kind == kind + 1)
			has_end = false;
		else if (k != i)
			add_op(&less, part, from->op[part][k]);
	}
	return less;
}

bool op_is_end(const struct op *op)
{
	return op->kind == OP_UNLOCK || op->kind == OP_READ_UNLOCK || op->kind == OP_WRITE_UNLOCK ||
	       op->kind == OP_RCU_UNLOCK;
}
