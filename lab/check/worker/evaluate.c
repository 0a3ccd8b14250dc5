/*
 * evaluate.c - conditions, and what an execution's end looks like to them.
 *
 * A state is the list of what the condition looks at, each with its value: executions that end alike are
 * counted together. Without a condition it is the registers that results went into.
 */
#include "lab/check/worker/worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t value_of(const struct run *run, const struct litmus_value *value, const uint64_t *registers)
{
	uint64_t sum = (uint64_t)value->number;

	for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
		sum += (uint64_t)(int64_t)value->coefficients[i] * registers[i];
	if (value->is_address)
		sum += va_of(run, &value->address, registers);
	return (int64_t)sum;
}

/* ---- what conditions look at --------------------------------------------------------------------------- */

/* False: there is nothing. As a debugger reads another's memory: what is mapped unreadable is seen. */
static bool read_memory(struct run *run, const struct litmus_condition *c, uint64_t *out)
{
	static const uint64_t none[LITMUS_REGISTERS];

	*out = 0;
	if (!run->world.held[c->mm])
		return false; /* torn down */
	return quire_peek(machine_cpu(run->machine, 0), run->world.mms[c->mm], out,
			  va_of(run, &c->address, none), 8) == 8;
}

static bool read_file(struct run *run, const struct litmus_condition *c, uint64_t *out)
{
	*out = 0;
	return quire_file_read(machine_cpu(run->machine, 0), run->files[c->address.name],
			       file_position(&c->address), out, 8) == 8;
}

static bool compare(enum litmus_comparison comparison, int64_t left, int64_t right)
{
	switch (comparison) {
	case IS_EQUAL:
		return left == right;
	case IS_NOT_EQUAL:
		return left != right;
	case IS_LESS:
		return left < right;
	case IS_GREATER:
		return left > right;
	case IS_AT_MOST:
		return left <= right;
	default:
		return left >= right;
	}
}

static bool memory_holds(struct run *run, const struct litmus_condition *c)
{
	uint64_t word;
	bool mapped = c->kind == CONDITION_FILE ? read_file(run, c, &word) : read_memory(run, c, &word);
	static const uint64_t none[LITMUS_REGISTERS];

	if (c->unmapped)
		return mapped == (c->comparison == IS_NOT_EQUAL);
	return mapped && compare(c->comparison, (int64_t)word, value_of(run, &c->value, none));
}

static int signal_at(const struct run *run, const struct litmus_condition *c)
{
	return run->world.signals[c->column][c->label];
}

bool condition_holds(struct run *run, const struct litmus_condition *c)
{
	const uint64_t *registers = run->world.registers[c->column];

	switch (c->kind) {
	case CONDITION_TRUE:
		return true;
	case CONDITION_NOT:
		return !condition_holds(run, c->left);
	case CONDITION_AND:
		return condition_holds(run, c->left) && condition_holds(run, c->right);
	case CONDITION_OR:
		return condition_holds(run, c->left) || condition_holds(run, c->right);
	case CONDITION_REGISTER:
		return compare(c->comparison, (int64_t)registers[c->reg],
			       value_of(run, &c->value, registers));
	case CONDITION_FAULT:
		return run->world.faulted[c->column] >> c->label & 1;
	case CONDITION_DONE:
		return run->world.reached[c->column] >> c->label & 1;
	case CONDITION_SIGNAL:
		return (signal_at(run, c) == c->signal) == (c->comparison == IS_EQUAL);
	case CONDITION_WORD:
		return compare(c->comparison, *(volatile int64_t *)run->words[c->name],
			       value_of(run, &c->value, registers));
	default:
		return memory_holds(run, c);
	}
}

/* ---- states -------------------------------------------------------------------------------------------- */

enum { STATE_BYTES = 600 };

static void append(char *out, const char *format, ...)
{
	size_t used = strlen(out);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out + used, STATE_BYTES - used, format, arguments);
	va_end(arguments);
}

/* As one reads it: errors and small numbers are decimal, addresses named if they are. */
static void append_value(const struct run *run, char *out, uint64_t value)
{
	int64_t number = (int64_t)value;

	for (unsigned i = 0; i < run->litmus->name_count; i++) {
		const struct litmus_name *name = &run->litmus->names[i];

		if (name->kind == NAME_REGION && value == name->page * QUIRE_PAGE_SIZE) {
			append(out, "&%s", name->name);
			return;
		}
	}
	if (number > -1000000 && number < 1000000)
		append(out, "%" PRId64, number);
	else
		append(out, "%#" PRIx64, value);
}

static void append_address(const struct run *run, char *out, const struct litmus_address *address)
{
	append(out, "%s", run->litmus->names[address->name].name);
	if (address->pages)
		append(out, "+%" PRIu64, address->pages);
	if (address->word)
		append(out, "[%u]", address->word);
}

/* What the atom looks at, without its value. */
static void append_subject(const struct run *run, char *out, const struct litmus_condition *c)
{
	const struct litmus *l = run->litmus;

	switch (c->kind) {
	case CONDITION_REGISTER:
		append(out, "%u:r%u", c->column, c->reg);
		break;
	case CONDITION_FAULT:
	case CONDITION_DONE:
	case CONDITION_SIGNAL:
		append(out, "%s(%u:%s)",
		       c->kind == CONDITION_FAULT  ? "fault"
		       : c->kind == CONDITION_DONE ? "done"
						   : "signal",
		       c->column, l->columns[c->column].labels[c->label]);
		break;
	case CONDITION_WORD:
		append(out, "%s", l->names[c->name].name);
		break;
	case CONDITION_MEMORY:
		append(out, "%s.", l->names[c->mm].name);
		/* fall through */
	default:
		append_address(run, out, &c->address);
		break;
	}
}

static const char *signal_name(int signal)
{
	return signal == QUIRE_SIGSEGV ? "SIGSEGV" : signal == QUIRE_SIGBUS ? "SIGBUS" : "none";
}

static void append_content(struct run *run, char *out, const struct litmus_condition *c)
{
	uint64_t word;

	switch (c->kind) {
	case CONDITION_REGISTER:
		append_value(run, out, run->world.registers[c->column][c->reg]);
		break;
	case CONDITION_FAULT:
	case CONDITION_DONE:
		append(out, "%s", condition_holds(run, c) ? "yes" : "no");
		break;
	case CONDITION_SIGNAL:
		append(out, "%s", signal_name(signal_at(run, c)));
		break;
	case CONDITION_WORD:
		append_value(run, out, *(volatile uint64_t *)run->words[c->name]);
		break;
	default:
		if (c->kind == CONDITION_FILE ? read_file(run, c, &word) : read_memory(run, c, &word))
			append_value(run, out, word);
		else
			append(out, "unmapped");
		break;
	}
}

static void append_atoms(struct run *run, char *out, const struct litmus_condition *c)
{
	char subject[STATE_BYTES] = "";

	if (c->kind == CONDITION_TRUE)
		return;
	if (c->kind <= CONDITION_OR) {
		append_atoms(run, out, c->left);
		if (c->right)
			append_atoms(run, out, c->right);
		return;
	}
	append_subject(run, subject, c);
	append(subject, "=");
	/* Once each. */
	if (strncmp(out, subject, strlen(subject)) == 0)
		return;
	for (const char *at = strstr(out, subject); at; at = strstr(at + 1, subject))
		if (at >= out + 2 && at[-1] == ' ' && at[-2] == ';')
			return;
	append(out, "%s%s", *out ? " " : "", subject);
	append_content(run, out, c);
	append(out, ";");
}

static void append_results(const struct run *run, char *out, unsigned column,
			   const struct litmus_statement *s, uint32_t *seen)
{
	for (; s; s = s->next) {
		if (s->result >= 0 && !(*seen >> s->result & 1)) {
			*seen |= 1u << s->result;
			append(out, "%s%u:r%d=", *out ? " " : "", column, s->result);
			append_value(run, out, run->world.registers[column][s->result]);
			append(out, ";");
		}
		append_results(run, out, column, s->body, seen);
		append_results(run, out, column, s->otherwise, seen);
	}
}

char *state_text(struct run *run)
{
	char out[STATE_BYTES] = "";

	if (run->litmus->condition) {
		append_atoms(run, out, run->litmus->condition);
	} else {
		for (unsigned i = 0; i < run->cpus; i++) {
			uint32_t seen = 0;

			append_results(run, out, i, run->litmus->columns[i].body, &seen);
		}
	}
	return strdup(out);
}
