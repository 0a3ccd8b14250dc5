/*
 * decode.c - from bytes to a program: variables first, then statements in the order of their records.
 */
#include "lab/check/fuzz/inside.h"

#include <stdio.h>
#include <string.h>

static char mm_name(unsigned mm)
{
	return (char)('A' + mm);
}

static struct sentence setup_end(struct program *p)
{
	size_t used = strlen(p->setup);

	return (struct sentence){ p->setup + used, sizeof(p->setup) - used };
}

/*
 * ---- options, files, address spaces
 * -----------------------------------------------------------------------------
 */

static void decode_options(struct program *p, const uint8_t *b)
{
	static const uint8_t walkers[8] = { 0, 0, 0, 0, 0, 1, 1, 2 };

	p->rcu = b[1] & 1;
	p->shared_pool = (b[1] & 0x0e) == 0x0e;
	p->fault_around = (b[1] & 0x30) == 0x30;
	p->writers_wait = b[1] & 0x40;
	p->walkers = walkers[b[2] & 7];
	p->frames = b[3] >= 224 ? 18 + b[3] % 16u : 0;
}

static void decode_file(struct program *p, const uint8_t *b)
{
	struct sentence s = { p->file_text[p->files], sizeof(p->file_text[0]) };

	if (p->files == FILES)
		return;
	p->file_pages[p->files] = b[3] >= 224 ? 1 : 1 + b[2] % 2u;
	p->file_stored[p->files] = b[1] & 1;
	say(&s, "file %s ", p->files ? "g" : "f");
	if (b[3] >= 224)
		say(&s, "24 bytes");
	else
		say(&s, "%u page%s", p->file_pages[p->files], p->file_pages[p->files] == 1 ? "" : "s");
	if (p->file_stored[p->files])
		say(&s, " stored");
	if (b[4])
		say(&s, " = 5");
	if (b[4] && p->file_pages[p->files] == 2)
		say(&s, ", 6");
	say(&s, ";");
	p->files++;
}

static void decode_mm(struct program *p, const uint8_t *b)
{
	struct sentence s = setup_end(p);

	if (p->has_b)
		return;
	p->has_b = true;
	say(&s, b[1] & 1 ? "mm B;\n" : "mm B = fork A;\n");
}

static void decode_device(struct program *p, const uint8_t *b)
{
	struct sentence s = setup_end(p);

	if (p->has_device)
		return;
	p->has_device = true;
	p->device_mm = p->has_b && b[1] & 1;
	say(&s, "device d: %c;\n", mm_name(p->device_mm));
}

/*
 * ---- places
 * ------------------------------------------------------------------------------------------------------
 */

static bool is_taken(const struct program *p, const struct place *top)
{
	for (unsigned i = 0; i < p->places; i++)
		if (p->place[i].at_top && top->at_top)
			return true;
	return false;
}

/* " at huge" or the like; may make it shorter. */
static void choose_place(const struct program *p, struct place *place, uint8_t where, char *out, size_t room)
{
	struct sentence s = { out, room };

	*out = 0;
	if (where < 130) {
		return;
	} else if (where < 195) {
		say(&s, " at huge");
	} else if (where < 215) {
		say(&s, " at level 2");
	} else if (where < 230) {
		place->at_top = true;
		place->at_top = !is_taken(p, place);
		if (place->at_top)
			say(&s, " at top");
	} else if (p->places && p->place[0].mm != place->mm) {
		if (place->pages > p->place[0].pages)
			place->pages = p->place[0].pages;
		place->at_top = p->place[0].at_top;
		say(&s, " at x");
	}
}

/* Two places of one mm may not lie over one another; @at x is for who is alone there. */
static bool is_alone_at_x(const struct program *p, const struct place *place)
{
	for (unsigned i = 1; i < p->places; i++)
		if (p->place[i].mm == place->mm)
			return false;
	return true;
}

/* What the first pages hold: nothing, a number, or what a read of them maps. */
static void say_contents(struct sentence *s, const struct program *p, const struct place *place,
			 const uint8_t *b)
{
	static const char *const untouched[] = { "-", "-", "-" };
	const char *const *names = untouched;
	bool reads = strchr(protection_name(b[3]), 'r') != NULL, stores = mapping_may_store(p, b[2], b[7]);
	int file = mapping_file(p, b[2]);
	unsigned pages = place->pages;

	/* A file's pages are where it has any. */
	if (file >= 0) {
		unsigned first = mapping_page(p, b[2]), all = p->file_pages[file];

		pages = all <= first ? 0 : pages < all - first ? pages : all - first;
	}
	for (unsigned i = 0; i < pages; i++) {
		unsigned how = b[6] >> 2 * i & 3;

		if (!(b[6] >> 2 * i & ((1u << 2 * (pages - i)) - 1)))
			return;
		say(s, i ? ", " : " = ");
		if (how && how < 3 && stores)
			say(s, "%u", 7 + i);
		else if (how && reads)
			say(s, "read");
		else
			say(s, "%s", names[i]);
	}
}

static void decode_place(struct program *p, const uint8_t *b)
{
	static const char *const names[PLACES] = { "x", "y", "z" };
	static const uint8_t pages[8] = { 1, 1, 1, 1, 1, 2, 2, 3 };
	struct place *place = &p->place[p->places];
	struct sentence s = setup_end(p);
	char at[20];

	if (p->places == PLACES)
		return;
	*place = (struct place){ .mm = p->has_b && b[1] & 1, .pages = pages[b[4] & 7] };
	choose_place(p, place, b[5], at, sizeof(at));
	if (strcmp(at, " at x") == 0 && !is_alone_at_x(p, place))
		*at = 0;
	say(&s, "%s: %c ", names[p->places], mm_name(place->mm));
	if (b[2] >= 120 && b[2] < 128)
		say(&s, "hole");
	else
		say_mapping(&s, p, b[2], b[3], b[7]);
	say(&s, " %u page%s%s", place->pages, place->pages == 1 ? "" : "s", at);
	if (b[2] < 120 || b[2] >= 128)
		say_contents(&s, p, place, b);
	say(&s, ";\n");
	p->places++;
}

/*
 * ---- the set-up's statements
 * -------------------------------------------------------------------------------------
 */

static void decode_setup(struct program *p, const uint8_t *b)
{
	unsigned mm = p->has_b && b[1] & 1;
	struct column column = { .current = (int)mm, .running = true };
	struct statement statement;
	struct sentence s = setup_end(p);

	if (statement_decode(p, &column, 0, b, &statement))
		say(&s, "@%c { %s; }\n", mm_name(mm), statement.text);
}

/*
 * ---- columns
 * -----------------------------------------------------------------------------------------------------
 */

static void decode_column(struct program *p, const uint8_t *b)
{
	static const uint8_t how[8] = { 0, 0, 0, 0, 1, 1, 2, 2 };
	struct column *column = &p->column[b[1] % PROGRAM_COLUMNS];

	column->used = true;
	column->mm = p->has_b && b[2] & 1;
	column->lazy = how[b[3] & 7] == 1;
	if (how[b[3] & 7] == 2)
		column->mm = -1;
}

static void begin_columns(struct program *p)
{
	for (unsigned i = 0; i < PROGRAM_COLUMNS; i++) {
		struct column *column = &p->column[i];

		column->current = column->mm;
		column->running = column->mm >= 0 && !column->lazy;
		column->mentioned = column->mm >= 0 ? 1u << column->mm : 0;
		column->scheduled = true;
	}
}

static void decode_statement(struct program *p, const uint8_t *b)
{
	unsigned number = b[1] % PROGRAM_COLUMNS;
	struct column *column = &p->column[number];

	if (column->count == STATEMENTS)
		return;
	if (statement_decode(p, column, number, b, &column->statement[column->count])) {
		column->used = true;
		column->count++;
	}
}

static void decode_order(struct program *p, const uint8_t *b)
{
	static const uint8_t pairs[3][2] = { { 0, 1 }, { 1, 2 }, { 0, 2 } };
	const uint8_t *pair = pairs[b[1] % 3];
	const struct column *from = &p->column[pair[0]], *to = &p->column[pair[1]];

	if (p->orders == EVENTS || !from->count || !to->count)
		return;
	p->order[p->orders++] = (struct order){ pair[0], pair[1], from->count - b[2] % from->count,
						b[3] % to->count };
}

/*
 * ---- what only the whole shows
 * -----------------------------------------------------------------------------------
 */

static bool is_alone(const struct program *p, unsigned number, const struct statement *s)
{
	for (unsigned i = 0; i < PROGRAM_COLUMNS; i++) {
		const struct column *other = &p->column[i];

		if (i == number || !other->used)
			continue;
		if (s->need == NEEDS_MM_ALONE && other->mentioned >> s->mm & 1)
			return false;
		if (s->need == NEEDS_DEVICE_ALONE && other->uses_device)
			return false;
	}
	return true;
}

/* exec, where another column has the mm too, becomes something that it may have as well. */
static void settle_needs(struct program *p)
{
	for (unsigned i = 0; i < PROGRAM_COLUMNS; i++) {
		for (unsigned k = 0; k < p->column[i].count; k++) {
			struct statement *s = &p->column[i].statement[k];

			if (s->need == NEEDS_NOTHING || is_alone(p, i, s))
				continue;
			if (s->need == NEEDS_DEVICE_ALONE)
				snprintf(s->text, sizeof(s->text), "drop d");
			else
				snprintf(s->text, sizeof(s->text), "%c.munlockall()", mm_name(s->mm));
			s->need = NEEDS_NOTHING;
		}
	}
}

/*
 * ---- all of it
 * ---------------------------------------------------------------------------------------------------
 */

static void decode_variable(struct program *p, const uint8_t *b)
{
	switch (b[0]) {
	case RECORD_OPTIONS:
		decode_options(p, b);
		break;
	case RECORD_PLACE:
		decode_place(p, b);
		break;
	case RECORD_MM:
		decode_mm(p, b);
		break;
	case RECORD_DEVICE:
		decode_device(p, b);
		break;
	case RECORD_SETUP:
		decode_setup(p, b);
		break;
	default:
		break;
	}
}

void program_decode(const uint8_t *bytes, size_t count, struct program *out)
{
	size_t records = count / PROGRAM_RECORD;

	memset(out, 0, sizeof(*out));
	if (records > PROGRAM_RECORDS)
		records = PROGRAM_RECORDS;
	for (size_t i = 0; i < records; i++)
		if (bytes[i * PROGRAM_RECORD] == RECORD_FILE)
			decode_file(out, bytes + i * PROGRAM_RECORD);
	for (size_t i = 0; i < records; i++)
		decode_variable(out, bytes + i * PROGRAM_RECORD);
	for (size_t i = 0; i < records; i++)
		if (bytes[i * PROGRAM_RECORD] == RECORD_COLUMN)
			decode_column(out, bytes + i * PROGRAM_RECORD);
	begin_columns(out);
	for (size_t i = 0; i < records; i++)
		if (bytes[i * PROGRAM_RECORD] == RECORD_STATEMENT || bytes[i * PROGRAM_RECORD] > RECORD_ORDER)
			decode_statement(out, bytes + i * PROGRAM_RECORD);
	for (size_t i = 0; i < records; i++)
		if (bytes[i * PROGRAM_RECORD] == RECORD_ORDER)
			decode_order(out, bytes + i * PROGRAM_RECORD);
	settle_needs(out);
}
