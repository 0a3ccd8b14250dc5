/*
 * columns.c - a witness as columns, a column a thread: what happened, by which line of the core.
 *
 *	     P0                                  P1
 *	     > munmap(x)                         > load x
 *	12   A level 0 entry 0 = 0
 *	     core/table/change.h:33 entry_clear
 *	13                                       TLB hit x -> frame 5             <== stale
 *
 * Steps of no interest (steps.c) are left out; --verbose and the HTML page have them all.
 */
#include "lab/check/check.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 44, NUMBER = 5, THREADS = 32, LINES = 24 };

/* "stale frame: P1 stores to x ...; missing: a flush of x on P1": what it is, and what is missing. */
static void kind_of(const char *text, char *out, size_t room)
{
	size_t length = strcspn(text, ":");

	snprintf(out, room, "%.*s", (int)(length < room ? length : room - 1), text);
}

static const char *missing_of(const char *text)
{
	const char *at = strstr(text, "missing: ");

	return at ? at + strlen("missing: ") : NULL;
}

/* ---- columns ------------------------------------------------------------------------------------------- */

struct sheet {
	FILE *to;
	int column_of[THREADS]; /* of a thread, -1: it has none */
	unsigned columns;
	const char *statement[THREADS], *code[THREADS]; /* said last */
	int64_t line[THREADS];
	bool all;
};

static bool is_wanted(const struct sheet *sheet, const json_t *step)
{
	return sheet->all || json_is_true(json_object_get(step, "shown"));
}

struct cell {
	char lines[LINES][WIDTH + 1];
	unsigned count;
};

/* Words wrap; a word that is too long is cut where it must be. */
static void cell_add(struct cell *cell, const char *prefix, const char *text)
{
	size_t indent = strlen(prefix);

	for (bool first = true; *text && cell->count < LINES; first = false) {
		size_t fits = WIDTH - 2 - indent, length = strlen(text), cut = length;

		if (length > fits) {
			cut = fits;
			for (size_t i = fits; i > fits / 2; i--) {
				if (text[i] == ' ') {
					cut = i;
					break;
				}
			}
		}
		snprintf(cell->lines[cell->count++], WIDTH + 1, "%*s%.*s", (int)indent, first ? prefix : "",
			 (int)cut, text);
		text += cut;
		while (*text == ' ')
			text++;
	}
}

static void print_cell(const struct sheet *sheet, const json_t *step, const struct cell *cell,
		       unsigned column)
{
	for (unsigned i = 0; i < cell->count; i++) {
		if (i == 0)
			fprintf(sheet->to, "%*lld  ", NUMBER - 2, (long long)json_number(step, "step"));
		else
			fprintf(sheet->to, "%*s", NUMBER, "");
		fprintf(sheet->to, "%*s%s\n", (int)(column * WIDTH), "", cell->lines[i]);
	}
}

static void print_statement(struct sheet *sheet, const json_t *step, unsigned thread, unsigned column)
{
	const char *statement = json_text(step, "statement");

	if (!*statement || (sheet->statement[thread] && sheet->line[thread] == json_number(step, "line") &&
			    strcmp(sheet->statement[thread], statement) == 0))
		return;
	sheet->statement[thread] = statement;
	sheet->line[thread] = json_number(step, "line");
	fprintf(sheet->to, "%*s> %s  (line %lld)\n", (int)(NUMBER + column * WIDTH), "", statement,
		(long long)json_number(step, "line"));
}

/* @mark: what is wrong here, or NULL. */
static void print_step(struct sheet *sheet, const json_t *step, const char *mark)
{
	unsigned thread = (unsigned)json_number(step, "owner") % THREADS;
	unsigned column = (unsigned)sheet->column_of[thread];
	json_t *notes = json_object_get(step, "notes"), *note;
	const char *code = json_text(step, "code"), *part = json_text(step, "part");
	char text[300];
	struct cell cell = { .count = 0 };
	size_t i;

	if (*part)
		snprintf(text, sizeof(text), "[%s] %s", part, json_text(step, "text"));
	cell_add(&cell, "", *part ? text : json_text(step, "text"));
	json_array_foreach(notes, i, note)
		cell_add(&cell, "  ", json_string_value(note));
	if (*code && (!sheet->code[thread] || strcmp(sheet->code[thread], code) != 0))
		cell_add(&cell, "  at ", code);
	if (mark)
		cell_add(&cell, "", mark);
	sheet->code[thread] = code;
	print_statement(sheet, step, thread, column);
	print_cell(sheet, step, &cell, column);
}

/* Threads that do something shown, in their order. */
static void lay_out(struct sheet *sheet, json_t *steps)
{
	bool used[THREADS] = { false };
	json_t *step;
	size_t i;

	json_array_foreach(steps, i, step)
		used[(unsigned)json_number(step, "owner") % THREADS] |= is_wanted(sheet, step);
	for (unsigned t = 0; t < THREADS; t++)
		sheet->column_of[t] = used[t] ? (int)sheet->columns++ : -1;
}

static void print_heads(const struct sheet *sheet, json_t *threads)
{
	fprintf(sheet->to, "%*s", NUMBER, "");
	for (unsigned t = 0, last = sheet->columns; t < THREADS && t < json_array_size(threads); t++) {
		const char *name = json_string_value(json_array_get(threads, t));

		if (sheet->column_of[t] < 0)
			continue;
		fprintf(sheet->to, "%-*s", sheet->column_of[t] + 1 == (int)last ? 0 : WIDTH, name);
	}
	fputc('\n', sheet->to);
}

void columns_print(FILE *to, const struct check *check, json_t *witness)
{
	struct sheet sheet = { .to = to, .all = check->options->verbose };
	json_t *steps = json_object_get(witness, "steps"), *step;
	const char *text = json_text(witness, "text"), *missing = missing_of(text);
	bool violated = strcmp(json_text(witness, "kind"), "violation") == 0;
	char kind[80], mark[100];
	size_t i;

	kind_of(text, kind, sizeof(kind));
	snprintf(mark, sizeof(mark), "<== %s", kind);
	/* The last step is where the oracle spoke. */
	if (violated && json_array_size(steps))
		json_object_set_new(json_array_get(steps, json_array_size(steps) - 1), "shown", json_true());
	lay_out(&sheet, steps);
	print_heads(&sheet, json_object_get(witness, "threads"));
	json_array_foreach(steps, i, step)
		if (is_wanted(&sheet, step))
			print_step(&sheet, step, violated && i + 1 == json_array_size(steps) ? mark : NULL);
	if (violated && missing)
		fprintf(to, "%*smissing: %.*s\n", NUMBER, "", (int)strcspn(missing, ")"), missing);
}
