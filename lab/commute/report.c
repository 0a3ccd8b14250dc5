/*
 * report.c - the matrix, its cells and its sums, as text and as JSON.
 */
#include "lab/commute/commute.h"

#include "lab/check/check.h"

#include <string.h>

/* Two groups of operations, of a cell in whatever order. */
static const struct {
	const char *name;
	unsigned a, b;
} sums[] = {
	{ "faults x faults", GROUP_FAULT, GROUP_FAULT },
	{ "faults x changes", GROUP_FAULT, GROUP_CHANGE },
	{ "changes x changes", GROUP_CHANGE, GROUP_CHANGE },
};

enum { SUMS = sizeof(sums) / sizeof(sums[0]) };

struct sum {
	unsigned cells, free, lines, unexplained;
};

const struct cell *matrix_cell(const struct matrix *m, unsigned placement, unsigned a, unsigned b)
{
	for (size_t i = 0; i < m->count; i++) {
		const struct cell *cell = &m->cells[i];

		if (cell->placement == placement &&
		    ((cell->a == a && cell->b == b) || (cell->a == b && cell->b == a)))
			return cell;
	}
	return NULL;
}

static size_t unexplained(const struct cell *cell)
{
	size_t count = 0, i;
	json_t *line;

	json_array_foreach(cell->lines, i, line)
		count += json_is_null(json_object_get(line, "reason"));
	return count;
}

size_t matrix_unexplained(const struct matrix *m)
{
	size_t count = 0;

	for (size_t i = 0; i < m->count; i++)
		count += unexplained(&m->cells[i]);
	return count;
}

static struct sum sum_of(const struct matrix *m, unsigned placement, unsigned which)
{
	struct sum sum = { 0 };

	for (size_t i = 0; i < m->count; i++) {
		const struct cell *cell = &m->cells[i];
		unsigned a = operations[cell->a].group, b = operations[cell->b].group;

		if (cell->placement != placement || (a < b ? a : b) != sums[which].a ||
		    (a < b ? b : a) != sums[which].b)
			continue;
		sum.cells++;
		sum.free += !cell->error && !json_array_size(cell->lines);
		sum.lines += (unsigned)json_array_size(cell->lines);
		sum.unexplained += (unsigned)unexplained(cell);
	}
	return sum;
}

/* ---- the matrix ---------------------------------------------------------------------------------------- */

static void print_cell(FILE *to, const struct cell *cell)
{
	if (!cell)
		fputs("    ", to);
	else if (cell->error)
		fputs("   !", to);
	else if (!json_array_size(cell->lines))
		fputs("   .", to);
	else
		fprintf(to, " %3zu", json_array_size(cell->lines));
}

static bool has_cells(const struct matrix *m, unsigned placement, unsigned operation)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->cells[i].placement == placement &&
		    (m->cells[i].a == operation || m->cells[i].b == operation))
			return true;
	return false;
}

static void print_placement(FILE *to, const struct matrix *m, unsigned placement)
{
	unsigned shown[OPERATIONS], count = 0;

	for (unsigned i = 0; i < OPERATIONS; i++)
		if (has_cells(m, placement, i))
			shown[count++] = i;
	if (!count)
		return;
	fprintf(to, "%s: %s\n%16s", placements[placement].name, placements[placement].what, "");
	for (unsigned i = 0; i < count; i++)
		fprintf(to, " %3u", i + 1);
	fputc('\n', to);
	for (unsigned i = 0; i < count; i++) {
		fprintf(to, "%2u %-13s", i + 1, operations[shown[i]].name);
		for (unsigned k = 0; k <= i; k++)
			print_cell(to, matrix_cell(m, placement, shown[k], shown[i]));
		fputc('\n', to);
	}
	fputc('\n', to);
}

/* ---- fields -------------------------------------------------------------------------------------------- */

/* Of a line that nobody can explain the field, without indices: "range_node.key[]"; else only what it is of. */
static const char *name_of(const char *field, bool is_explained)
{
	static char out[200];
	size_t n = 0;

	for (; *field && n < sizeof(out) - 1 && !(is_explained && *field == '.'); field++)
		if (*field < '0' || *field > '9' || !n || out[n - 1] != '[')
			out[n++] = *field;
	out[n] = 0;
	return out;
}

/* Sets what a cell's lines are shared for: {reason: {name: true}}, the reason "" where there is none. */
static json_t *shares_of(const struct cell *cell)
{
	json_t *shares = json_object(), *line, *field;
	size_t i, k;

	json_array_foreach(cell->lines, i, line) {
		const char *why = json_text(line, "reason");

		if (!json_object_get(shares, why))
			json_object_set_new(shares, why, json_object());
		json_array_foreach(json_object_get(line, "fields"), k, field)
			json_object_set_new(json_object_get(shares, why),
					    name_of(json_string_value(field), *why), json_true());
	}
	return shares;
}

static void count_one(json_t *counts, const char *key)
{
	json_object_set_new(counts, key, json_integer(json_number(counts, key) + 1));
}

/* Of a placement: {reason: {"": pairs, name: pairs, ...}} */
static json_t *count_shares(const struct matrix *m, unsigned placement)
{
	json_t *all = json_object(), *shares, *names, *ignored;
	const char *why, *name;

	for (size_t i = 0; i < m->count; i++) {
		if (m->cells[i].placement != placement)
			continue;
		shares = shares_of(&m->cells[i]);
		json_object_foreach(shares, why, names)
		{
			if (!json_object_get(all, why))
				json_object_set_new(all, why, json_object());
			count_one(json_object_get(all, why), "");
			json_object_foreach(names, name, ignored) count_one(json_object_get(all, why), name);
		}
		json_decref(shares);
	}
	return all;
}

/* The most frequent first. */
static void print_unexplained(FILE *to, json_t *counts)
{
	for (;;) {
		const char *name, *most = "";
		json_t *pairs;

		json_object_foreach(counts, name,
				    pairs) if (*name && (!*most || json_integer_value(pairs) >
									   json_number(counts, most)))
			most = name;
		if (!*most)
			break;
		fprintf(to, "  %4lld    %s\n", (long long)json_number(counts, most), most);
		json_object_del(counts, most);
	}
}

static void print_explained(FILE *to, const char *why, json_t *counts)
{
	const char *name, *before = " (";
	json_t *pairs;

	fprintf(to, "  %4lld  %s", (long long)json_number(counts, ""), why);
	json_object_foreach(counts, name, pairs) if (*name)
	{
		fprintf(to, "%s%s", before, name);
		before = ", ";
	}
	fputs(")\n", to);
}

static void print_shares(FILE *to, const struct matrix *m, unsigned placement)
{
	json_t *all = count_shares(m, placement), *counts, *unknown = json_object_get(all, "");
	const char *why;

	if (json_object_size(all))
		fprintf(to, "%s: why lines are shared, in how many pairs\n", placements[placement].name);
	json_object_foreach(all, why, counts) if (*why) print_explained(to, why, counts);
	if (unknown) {
		fprintf(to, "  %4lld  no reason known:\n", (long long)json_number(unknown, ""));
		print_unexplained(to, unknown);
	}
	if (json_object_size(all))
		fputc('\n', to);
	json_decref(all);
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

static void print_sums(FILE *to, const struct matrix *m)
{
	fprintf(to, "Pairs that share no line:\n%-10s", "");
	for (unsigned i = 0; i < SUMS; i++)
		fprintf(to, " %18s", sums[i].name);
	fputc('\n', to);
	for (unsigned p = 0; p < PLACEMENTS; p++) {
		if (!m->placement[p])
			continue;
		fprintf(to, "%-10s", placements[p].name);
		for (unsigned i = 0; i < SUMS; i++) {
			struct sum sum = sum_of(m, p, i);
			char text[40] = "-";

			if (sum.cells)
				snprintf(text, sizeof(text), "%u of %u", sum.free, sum.cells);
			fprintf(to, " %18s", text);
		}
		fputc('\n', to);
	}
	fprintf(to, "Lines that are shared, and nobody knows why: %zu\n", matrix_unexplained(m));
}

void matrix_print(FILE *to, const struct matrix *m)
{
	for (unsigned p = 0; p < PLACEMENTS; p++)
		print_placement(to, m, p);
	for (unsigned p = 0; p < PLACEMENTS; p++)
		print_shares(to, m, p);
	print_sums(to, m);
}

/* ---- a cell -------------------------------------------------------------------------------------------- */

static void print_line(FILE *to, const struct cell *cell, const json_t *line)
{
	const char *why = json_string_value(json_object_get(line, "reason"));
	json_t *use;
	size_t i;

	fprintf(to, "- %s%s\n", why ? why : "no reason known",
		json_is_true(json_object_get(line, "meet")) ? "" : " (no field of it is touched by both)");
	json_array_foreach(json_object_get(line, "uses"), i, use) {
		unsigned column = (unsigned)json_number(use, "column");

		fprintf(to, "    %-13s %s %-40s %s\n", operations[column ? cell->b : cell->a].name,
			json_is_true(json_object_get(use, "writes")) ? "writes" : "reads ",
			json_text(use, "where"), json_text(use, "code"));
	}
}

void matrix_print_cells(FILE *to, const struct matrix *m)
{
	for (size_t c = 0; c < m->count; c++) {
		const struct cell *cell = &m->cells[c];
		json_t *line;
		size_t i;

		fprintf(to, "%s%s x %s, %s: ", c ? "\n" : "", operations[cell->a].name,
			operations[cell->b].name, placements[cell->placement].name);
		if (cell->error)
			fprintf(to, "%s\n", cell->error);
		else
			fprintf(to, "%zu line%s shared\n", json_array_size(cell->lines),
				json_array_size(cell->lines) == 1 ? "" : "s");
		json_array_foreach(cell->lines, i, line)
			print_line(to, cell, line);
	}
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static json_t *cell_json(const struct cell *cell)
{
	json_t *json = json_pack("{s:s, s:[s, s]}", "placement", placements[cell->placement].name,
				 "operations", operations[cell->a].name, operations[cell->b].name);

	if (cell->error)
		json_object_set_new(json, "error", json_string(cell->error));
	if (cell->lines)
		json_object_set(json, "lines", cell->lines);
	return json;
}

static json_t *sums_json(const struct matrix *m)
{
	json_t *list = json_array();

	for (unsigned p = 0; p < PLACEMENTS; p++) {
		for (unsigned i = 0; i < SUMS; i++) {
			struct sum sum = sum_of(m, p, i);

			if (sum.cells)
				json_array_append_new(
					list, json_pack("{s:s, s:s, s:i, s:i, s:i, s:i}", "placement",
							placements[p].name, "of", sums[i].name, "pairs",
							(int)sum.cells, "free", (int)sum.free, "lines",
							(int)sum.lines, "unexplained", (int)sum.unexplained));
		}
	}
	return list;
}

json_t *matrix_json(const struct matrix *m)
{
	json_t *json = json_object(), *list = json_array();

	for (unsigned i = 0; i < OPERATIONS; i++)
		if (m->operation[i])
			json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", operations[i].name,
							      "what", operations[i].what, "group",
							      operations[i].group == GROUP_FAULT ? "fault"
												 : "change"));
	json_object_set_new(json, "operations", list);
	list = json_array();
	for (unsigned i = 0; i < PLACEMENTS; i++)
		if (m->placement[i])
			json_array_append_new(list, json_pack("{s:s, s:s}", "name", placements[i].name,
							      "what", placements[i].what));
	json_object_set_new(json, "placements", list);
	list = json_array();
	for (size_t i = 0; i < m->count; i++)
		json_array_append_new(list, cell_json(&m->cells[i]));
	json_object_set_new(json, "cells", list);
	json_object_set_new(json, "sums", sums_json(m));
	return json;
}
