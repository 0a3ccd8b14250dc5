/*
 * text.c - a program as a litmus file.
 *
 * Columns without statements that nothing was said of are left out, and the others numbered anew: what is
 * left is as small as it looks.
 */
#include "lab/check/fuzz/inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const events[EVENTS] = { "e", "h" };

/*
 * ---- the first comment
 * --------------------------------------------------------------------------------------------
 */

static void print_option(FILE *to, bool *any, const char *name, unsigned number)
{
	fputs(*any ? ", " : "   Options: ", to);
	*any = true;
	if (number)
		fprintf(to, "%s %u", name, number);
	else
		fputs(name, to);
}

static void print_options(FILE *to, const struct program *p)
{
	bool any = false;

	if (p->rcu)
		print_option(to, &any, "rcu", 0);
	if (p->shared_pool)
		print_option(to, &any, "shared-pool", 0);
	if (p->fault_around)
		print_option(to, &any, "fault-around", 0);
	if (p->writers_wait)
		print_option(to, &any, "writers-wait", 0);
	if (p->walkers)
		print_option(to, &any, "walkers", p->walkers);
	if (p->frames)
		print_option(to, &any, "frames", p->frames);
	if (any)
		fputc('\n', to);
}

static void print_header(FILE *to, const struct program *p, const struct program_header *h)
{
	fprintf(to, "MM %s\n(* %s\n\n   Result: Never\n", h->name ? h->name : "program",
		h->note ? h->note : "");
	for (unsigned i = 0; i < h->without_count; i++)
		fprintf(to, "%s%s", i ? ", " : "   Safeguard: ", h->without[i]);
	if (h->without_count)
		fputc('\n', to);
	if (h->model)
		fprintf(to, "   Model: %s\n", h->model);
	if (h->geometry)
		fprintf(to, "   Geometry: %s\n", h->geometry);
	if (h->bound >= 0)
		fprintf(to, "   Bound: %d\n", h->bound);
	print_options(to, p);
	fputs("*)\n", to);
}

/*
 * ---- the initial state
 * --------------------------------------------------------------------------------------------
 */

static bool is_used(const struct column *column)
{
	return column->used;
}

static bool needs_a(const struct program *p)
{
	bool mentioned = *p->setup != 0;

	for (unsigned i = 0; i < PROGRAM_COLUMNS; i++)
		mentioned |= is_used(&p->column[i]) && p->column[i].mentioned & 1;
	return mentioned;
}

static void print_setup(FILE *to, const struct program *p)
{
	const char *line = p->setup;

	fputs("{\n", to);
	if (needs_a(p))
		fputs("  mm A;\n", to);
	for (unsigned i = 0; i < p->files; i++)
		fprintf(to, "  %s\n", p->file_text[i]);
	for (const char *end; *line && (end = strchr(line, '\n')); line = end + 1)
		fprintf(to, "  %.*s\n", (int)(end - line), line);
	if (p->uses_word)
		fputs("  a = 0;\n", to);
	for (unsigned i = 0; i < p->orders; i++)
		fprintf(to, "  event %s;\n", events[i]);
	fputs("}\n", to);
}

/*
 * ---- columns
 * ------------------------------------------------------------------------------------------------------
 */

static void print_waits(FILE *to, const struct program *p, unsigned number, unsigned before)
{
	for (unsigned i = 0; i < p->orders; i++)
		if (p->order[i].to == number && p->order[i].before == before)
			fprintf(to, " wait %s;", events[i]);
}

static void print_posts(FILE *to, const struct program *p, unsigned number, unsigned after)
{
	for (unsigned i = 0; i < p->orders; i++)
		if (p->order[i].from == number && p->order[i].after == after)
			fprintf(to, " post %s;", events[i]);
}

static void print_column(FILE *to, const struct program *p, unsigned number, unsigned shown)
{
	const struct column *c = &p->column[number];

	fprintf(to, "P%u @", shown);
	if (c->mm < 0)
		fputs("none", to);
	else
		fprintf(to, "%c%s", 'A' + c->mm, c->lazy ? " lazy" : "");
	fputs(" {", to);
	for (unsigned i = 0; i < c->count; i++) {
		print_waits(to, p, number, i);
		fprintf(to, " %s;", c->statement[i].text);
		print_posts(to, p, number, i + 1);
	}
	fputs(" }\n", to);
}

static void print_columns(FILE *to, const struct program *p)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < PROGRAM_COLUMNS; i++)
		if (is_used(&p->column[i]))
			print_column(to, p, i, shown++);
	if (!shown)
		fputs("P0 @none { }\n", to);
}

/*
 * ---- all of it
 * ----------------------------------------------------------------------------------------------------
 */

char *program_text(const uint8_t *bytes, size_t count, const struct program_header *header)
{
	struct program *program = malloc(sizeof(*program));
	char *text = NULL;
	size_t length;
	FILE *to = program ? open_memstream(&text, &length) : NULL;

	if (to) {
		program_decode(bytes, count, program);
		print_header(to, program, header);
		print_setup(to, program);
		print_columns(to, program);
		if (fclose(to)) {
			free(text);
			text = NULL;
		}
	}
	free(program);
	return text;
}

/*
 * ---- bytes as digits
 * ----------------------------------------------------------------------------------------------
 */

void program_to_hex(const uint8_t *bytes, size_t count, char *out)
{
	for (size_t i = 0; i < count; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	out[2 * count] = 0;
}

bool program_from_hex(const char *text, uint8_t *bytes, size_t *count)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = strlen(text);

	if (length % 2 || length / 2 > PROGRAM_BYTES || strspn(text, digits) != length)
		return false;
	for (size_t i = 0; i < length; i += 2)
		bytes[i / 2] = (uint8_t)((strchr(digits, text[i]) - digits) << 4 |
					 (strchr(digits, text[i + 1]) - digits));
	*count = length / 2;
	return true;
}
