/*
 * steps.c - a witness's steps in words, and which of them a reader wants to see.
 *
 * An execution has some hundred steps. What is shown is what could have come out otherwise:
 *
 *	- a step at a place where another thread has a step too, one of the two a change
 *	- a change of a page-table entry; what hardware does; interrupts, flushes, grace periods
 *	- a step with something to tell beyond its place: a fault, a frame that is free
 *
 * Everything else (statistics, the way down a tree that nobody else touches) is left to --verbose.
 */
#include "lab/check/check.h"

#include <string.h>

static bool is_one_of(const char *what, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(what, names[i]) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(what, names) is_one_of(what, names, sizeof(names) / sizeof((names)[0]))

/* Steps that hardware and the port take: of interest wherever they are. */
static bool is_notable(const char *what)
{
	static const char *const names[] = {
		"interrupt",
		"handler",
		"flush",
		"flush all",
		"load root",
		"user load",
		"user store",
		"user fetch",
		"post",
		"wait",
		"speculative walk",
		"device load",
		"device store",
		"grace period begins",
		"grace period ends",
		"woken",
		"return",
	};

	return IS_ONE_OF(what, names);
}

static bool is_change(const char *what)
{
	static const char *const names[] = { "load",	  "fence",	 "begin",
					     "read lock", "read unlock", "rcu read section" };

	return !IS_ONE_OF(what, names);
}

/* Ends of what began with a step that is shown. */
static bool is_end(const char *what)
{
	static const char *const names[] = { "unlock", "read unlock", "write unlock", "interrupts done",
					     "begin" };

	return IS_ONE_OF(what, names);
}

/*
 * Another CPU has a step at this place, and not both only look. What a CPU's buffer or handler does is its
 * own.
 */
static bool is_met(json_t *steps, const json_t *step)
{
	const char *where = json_text(step, "where");
	bool changes = is_change(json_text(step, "what"));
	json_t *other;
	size_t i;

	if (!*where)
		return false;
	json_array_foreach(steps, i, other)
		if (json_number(other, "owner") != json_number(step, "owner") &&
		    strcmp(json_text(other, "where"), where) == 0 &&
		    (changes || is_change(json_text(other, "what"))))
			return true;
	return false;
}

static bool is_shown(json_t *steps, const json_t *step)
{
	const char *what = json_text(step, "what"), *where = json_text(step, "where");

	if (json_array_size(json_object_get(step, "notes")) || is_notable(what))
		return true;
	if (is_end(what))
		return false;
	if (strncmp(where, "entry ", 6) == 0 && is_change(what))
		return true;
	return is_met(steps, step);
}

static void step_text(const json_t *step, char *out, size_t room)
{
	static const char *const valued[] = { "load", "store", "rmw", "cas", "drain" };
	static const char *const by_user[] = { "user load", "user store", "user fetch" };
	const char *what = json_text(step, "what"), *where = json_text(step, "where");
	int64_t value = json_number(step, "value");

	if (IS_ONE_OF(what, by_user))
		snprintf(out, room, "%s", what + 5); /* the notes say where */
	else if (IS_ONE_OF(what, valued) && *json_text(step, "entry"))
		snprintf(out, room, "%s %s: %s", what, where, json_text(step, "entry"));
	else if (IS_ONE_OF(what, valued) && *where)
		snprintf(out, room, value > -4096 && value < 65536 ? "%s %s = %lld" : "%s %s = %#llx", what,
			 where, (long long)value);
	else
		snprintf(out, room, "%s%s%s", what, *where ? " " : "", where);
}

/* Without the checker's own files: what they do is told otherwise. */
static void drop_own_code(json_t *step)
{
	const char *code = json_text(step, "code");

	if (strncmp(code, "core/", 5) != 0 && strncmp(code, "include/", 8) != 0 &&
	    strncmp(code, "0x", 2) != 0)
		json_object_set_new(step, "code", json_string(""));
}

/*
 * "P1 interrupt" and "P1 buffer" are P1's: a column is a CPU, not a thread. Whatever belongs to none (RCU,
 * walkers) is its own owner.
 */
static int64_t owner_of(json_t *threads, int64_t thread)
{
	const char *name = json_string_value(json_array_get(threads, (size_t)thread));
	json_t *other;
	size_t i;

	json_array_foreach(threads, i, other) {
		const char *cpu = json_string_value(other);
		size_t length = strlen(cpu);

		if (name && strncmp(name, cpu, length) == 0 && name[length] == ' ')
			return (int64_t)i;
	}
	return thread;
}

/* What it is that does the step for its CPU: "interrupt", "buffer"; NULL: the CPU itself. */
static const char *part_of(json_t *threads, const json_t *step)
{
	int64_t thread = json_number(step, "thread"), owner = json_number(step, "owner");

	if (thread == owner)
		return NULL;
	return json_string_value(json_array_get(threads, (size_t)thread)) +
	       strlen(json_string_value(json_array_get(threads, (size_t)owner))) + 1;
}

static void set_owners(json_t *steps, json_t *threads)
{
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step) {
		int64_t owner = owner_of(threads, json_number(step, "thread"));

		json_object_set_new(step, "owner", json_integer(owner));
		if (part_of(threads, step))
			json_object_set_new(step, "part", json_string(part_of(threads, step)));
	}
}

void steps_prepare(json_t *witness)
{
	json_t *steps = json_object_get(witness, "steps"), *step;
	char text[300];
	size_t i;

	set_owners(steps, json_object_get(witness, "threads"));
	json_array_foreach(steps, i, step) {
		step_text(step, text, sizeof(text));
		json_object_set_new(step, "text", json_string(text));
		json_object_set_new(step, "shown", json_boolean(is_shown(steps, step)));
		drop_own_code(step);
	}
}
