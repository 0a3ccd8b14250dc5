/*
 * reasons.c - which lines two operations share that have to, and why: the named list of VMA-6.
 *
 * A line is shared for the sake of the fields that both sides touch and one writes; if there is none, of
 * those that one side writes while the other is busy beside them. It has a reason when all of these have one.
 */
#include "lab/commute/commute.h"

#include "lab/check/check.h"

#include <fnmatch.h>
#include <string.h>

enum who { ALL, BOTH_CHANGE, ONE_CHANGES, ONE_FAULTS };

struct reason {
	unsigned placed, elsewhere; /* placement_flags: all of these are there, none of those */
	enum who who;
	const char *field; /* as the shell matches names */
	const char *why;
};

#define CUT "one of the two cuts or replaces the VMA that the other is in"
#define TABLE "one page table has one lock, and one count of its entries"
#define FLUSHES \
	"both take away translations that any CPU may have cached: a part of the tables has one account of flushes"
#define FILE_MAPS "both change which mappings the one file has"

static const struct reason reasons[] = {
	{ 0, PLACED_APART, BOTH_CHANGE, "quire_mm.as.part*.generation", FLUSHES },
	{ PLACED_IN_TABLE, 0, ALL, "quire_mm.as.part*.owing",
	  "who fills a table in which a flush is owed looks whether it was made" },
	{ 0, PLACED_APART, BOTH_CHANGE, "quire_mm.as.part*.owing", FLUSHES },
	{ PLACED_IN_TABLE, 0, ALL, "folio.table.*", TABLE },
	{ PLACED_IN_VMA, 0, ONE_CHANGES, "vma.*", CUT },
	{ PLACED_IN_VMA, 0, ONE_CHANGES, "range_head.*", CUT },
	{ PLACED_IN_VMA, 0, ONE_CHANGES, "range_node.*", CUT },
	{ PLACED_IN_VMA, 0, BOTH_CHANGE, "anon_*", CUT },
	{ 0, PLACED_ON_FILES, BOTH_CHANGE, "quire_file.*", FILE_MAPS },
	{ 0, PLACED_ON_FILES, BOTH_CHANGE, "vma.rmap.in_file.*", FILE_MAPS },
	{ 0, PLACED_ON_FILES, BOTH_CHANGE, "vma.rmap.attached", FILE_MAPS },
};

static bool is_about(const struct cell *cell, enum who who)
{
	unsigned changes = (operations[cell->a].group == GROUP_CHANGE) +
			   (operations[cell->b].group == GROUP_CHANGE);

	return who == ALL || (who == BOTH_CHANGE && changes == 2) || (who == ONE_CHANGES && changes) ||
	       (who == ONE_FAULTS && changes < 2);
}

static const char *reason_of(const struct cell *cell, const char *field)
{
	unsigned flags = placements[cell->placement].flags;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const struct reason *reason = &reasons[i];

		if ((flags & reason->placed) == reason->placed && !(flags & reason->elsewhere) &&
		    is_about(cell, reason->who) && fnmatch(reason->field, field, 0) == 0)
			return reason->why;
	}
	return NULL;
}

static bool is_write(const json_t *use)
{
	return json_is_true(json_object_get(use, "writes"));
}

/* Does another column touch the same field, and one of the two write it? */
static bool is_met(const json_t *uses, const json_t *use)
{
	const json_t *other;
	size_t i;

	json_array_foreach((json_t *)uses, i, other)
		if (json_number(other, "column") != json_number(use, "column") &&
		    strcmp(json_text(other, "where"), json_text(use, "where")) == 0 &&
		    (is_write(use) || is_write(other)))
			return true;
	return false;
}

static bool is_listed(const json_t *list, const char *text)
{
	size_t i;
	json_t *known;

	json_array_foreach((json_t *)list, i, known)
		if (strcmp(json_string_value(known), text) == 0)
			return true;
	return false;
}

static json_t *fields_of(const json_t *line)
{
	json_t *uses = json_object_get(line, "uses"), *fields = json_array(), *use;
	bool meet = json_is_true(json_object_get(line, "meet"));
	size_t i;

	json_array_foreach(uses, i, use)
		if ((meet ? is_met(uses, use) : is_write(use)) && !is_listed(fields, json_text(use, "field")))
			json_array_append(fields, json_object_get(use, "field"));
	return fields;
}

/* All of its fields have one: the first's. */
static const char *reason_of_line(const struct cell *cell, const json_t *fields)
{
	const char *first = NULL;
	json_t *field;
	size_t i;

	json_array_foreach((json_t *)fields, i, field) {
		const char *why = reason_of(cell, json_string_value(field));

		if (!why)
			return NULL;
		if (!first)
			first = why;
	}
	return first;
}

void reasons_add(struct cell *cell)
{
	json_t *line;
	size_t i;

	json_array_foreach(cell->lines, i, line) {
		json_t *fields = fields_of(line);
		const char *why = reason_of_line(cell, fields);

		json_object_set_new(line, "fields", fields);
		json_object_set_new(line, "reason", why ? json_string(why) : json_null());
	}
}
