/*
 * generate.c - from a seed and a number to bytes.
 *
 * Uniform bytes would make programs whose columns never meet. So the outline is chosen first: a few
 * variables, two or three columns, one to three statements each; and most statements are about the same
 * page of the same place. Half of the columns follow a habit: what a CPU does that wakes, that comes back,
 * that takes something away and uses what became free. All else about them is as random as in the others.
 */
#include "lab/check/fuzz/program.h"
#include "lab/check/fuzz/inside.h"

struct generator {
	uint64_t state;
	uint8_t *bytes;
	size_t count;
	uint8_t hot; /* the place that most statements are about */
};

/* SplitMix64 */
static uint64_t draw(struct generator *g)
{
	uint64_t z = (g->state += 0x9e3779b97f4a7c15ul);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
	return z ^ (z >> 31);
}

static bool chance(struct generator *g, unsigned percent)
{
	return draw(g) % 100 < percent;
}

static uint8_t *add(struct generator *g, enum record_kind kind)
{
	uint8_t *b = g->bytes + g->count;
	uint64_t some = draw(g);

	for (unsigned i = 1; i < PROGRAM_RECORD; i++)
		b[i] = (uint8_t)(some >> 8 * i);
	b[0] = (uint8_t)kind;
	g->count += PROGRAM_RECORD;
	return b;
}

static void add_place(struct generator *g)
{
	uint8_t *b = add(g, RECORD_PLACE);

	/* Filled, more often than not. */
	if (chance(g, 50))
		b[6] = 1;
	if (chance(g, 60))
		b[3] = 0;
}

static void add_variables(struct generator *g)
{
	if (chance(g, 45)) {
		add(g, RECORD_FILE);
		if (chance(g, 15))
			add(g, RECORD_FILE);
	}
	if (chance(g, 15))
		add(g, RECORD_MM)[1] = 1;
	add_place(g);
	if (chance(g, 35))
		add(g, RECORD_MM)[1] = 0;
	if (chance(g, 60))
		add_place(g);
	if (chance(g, 20))
		add_place(g);
	if (chance(g, 12))
		add(g, RECORD_DEVICE);
	if (chance(g, 15))
		add(g, RECORD_SETUP);
}

static uint8_t *add_statement(struct generator *g, uint8_t column)
{
	uint8_t *b = add(g, RECORD_STATEMENT);

	b[1] = column;
	if (chance(g, 70))
		b[3] = g->hot;
	if (chance(g, 50))
		b[4] = 0;
	return b;
}

/*
 * ---- habits
 * ------------------------------------------------------------------------------------------------------
 */

static uint8_t *add_operation(struct generator *g, uint8_t column, enum operation operation)
{
	uint8_t *b = add_statement(g, column);

	b[2] = operation_byte(operation);
	b[7] = 0;
	return b;
}

static void add_access(struct generator *g, uint8_t column)
{
	uint8_t *b = add_operation(g, column, chance(g, 50) ? OPERATION_LOAD : OPERATION_STORE);

	b[3] = g->hot;
	b[4] = 0;
}

static void add_taking(struct generator *g, uint8_t column)
{
	static const enum operation takes[8] = { OPERATION_MUNMAP, OPERATION_MADVISE,  OPERATION_MADVISE,
						 OPERATION_MREMAP, OPERATION_MPROTECT, OPERATION_TRUNCATE,
						 OPERATION_PUNCH,  OPERATION_FORK };

	add_operation(g, column, takes[draw(g) % 8])[3] = g->hot;
}

/* Idle, with what it had in its TLB; it wakes, and uses that. */
static void add_waking(struct generator *g, uint8_t column)
{
	uint8_t *b = add(g, RECORD_COLUMN);

	b[1] = column;
	b[2] = 0;
	b[3] = 4;
	add_operation(g, column, OPERATION_RUN)[5] = 0;
	add_access(g, column);
}

/* Away to another address space, and back. */
static void add_returning(struct generator *g, uint8_t column)
{
	if (chance(g, 50))
		add_access(g, column);
	add_operation(g, column, chance(g, 70) ? OPERATION_RUN : OPERATION_REST)[5] = 1;
	add_operation(g, column, OPERATION_RUN)[5] = 0;
	if (chance(g, 70))
		add_access(g, column);
}

/* Takes away, and uses what has become free. */
static void add_reusing(struct generator *g, uint8_t column)
{
	add_taking(g, column);
	if (chance(g, 60))
		add_operation(g, column, OPERATION_STORE)[3] = (uint8_t)(g->hot + 1);
	else
		add_access(g, column);
}

static void add_habit(struct generator *g, uint8_t column)
{
	switch (draw(g) % 8) {
	case 0:
		add_waking(g, column);
		break;
	case 1:
		add_returning(g, column);
		break;
	case 2:
	case 3:
		add_reusing(g, column);
		break;
	case 4:
		add_taking(g, column);
		break;
	case 5:
		add_access(g, column);
		add_access(g, column);
		break;
	default:
		add_access(g, column);
		break;
	}
}

/*
 * ---- all of it
 * ---------------------------------------------------------------------------------------------------
 */

static void add_column(struct generator *g, uint8_t column)
{
	unsigned statements = 1 + (unsigned)(draw(g) % 100 * 3 / 130); /* mostly one or two */

	if (chance(g, 50)) {
		add_habit(g, column);
		return;
	}
	if (chance(g, 40))
		add(g, RECORD_COLUMN)[1] = column;
	for (unsigned i = 0; i < statements; i++)
		add_statement(g, column);
}

size_t program_generate(uint64_t seed, uint64_t number, uint8_t *bytes)
{
	struct generator g = { .state = seed * 0x2545f4914f6cdd1dul + number * 0xd6e8feb86659fd93ul,
			       .bytes = bytes };
	unsigned columns;

	draw(&g);
	g.hot = (uint8_t)(draw(&g) % 3);
	if (chance(&g, 45))
		add(&g, RECORD_OPTIONS);
	add_variables(&g);
	columns = chance(&g, 70) ? 2 : 3;
	for (uint8_t i = 0; i < columns; i++)
		add_column(&g, i);
	if (chance(&g, 30))
		add(&g, RECORD_ORDER);
	return g.count;
}
