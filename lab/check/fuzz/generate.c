/*
 * generate.c - from a seed and a number to bytes.
 *
 * Uniform bytes would make programs whose columns never meet. So the outline is chosen first: a few
 * variables, two or three columns, one to three statements each; and most statements are about the same page
 * of the same place. Most programs have a theme, which says what variables there are, and what a column does
 * besides accesses; and most columns follow a habit: what a CPU does that wakes, that comes back, that takes
 * something away and uses what became free. What theme and habit do not say is uniform.
 */
#include "lab/check/fuzz/program.h"
#include "lab/check/fuzz/inside.h"

enum theme {
	THEME_ANYTHING,
	THEME_FORKS,	/* pages that two processes share, and copies of them */
	THEME_FILES,	/* a file, whose pages go while it is mapped */
	THEME_TABLES,	/* places with page tables of their own, which go */
	THEME_SWITCHES, /* CPUs that idle, leave, come back */
	THEME_DEVICES,
	THEMES,
};

struct generator {
	uint64_t state;
	uint8_t *bytes;
	size_t count;
	enum theme theme;
	bool has_file;
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

/* ---- variables ------------------------------------------------------------------------------------- */

static void add_options(struct generator *g)
{
	uint8_t *b;

	if (g->theme == THEME_TABLES) {
		b = add(g, RECORD_OPTIONS);
		b[1] |= 1; /* rcu */
		b[3] = 0;
	} else if (chance(g, 40)) {
		add(g, RECORD_OPTIONS);
	}
}

static void add_files(struct generator *g)
{
	g->has_file = g->theme == THEME_FILES || chance(g, 35);
	if (!g->has_file)
		return;
	add(g, RECORD_FILE);
	if (chance(g, 15))
		add(g, RECORD_FILE);
}

static void add_place(struct generator *g)
{
	uint8_t *b = add(g, RECORD_PLACE);

	if (g->theme == THEME_FILES ? chance(g, 85) : g->has_file && chance(g, 30))
		b[2] |= 128; /* of the file */
	else if (chance(g, 70))
		b[2] = 0;
	if (chance(g, 60))
		b[3] = 0; /* rw */
	if (g->theme == THEME_TABLES && chance(g, 80))
		b[5] = 190; /* at huge */
	/* Untouched, filled, read: in a file what is missing is as good as what is there. */
	b[6] = chance(g, g->theme == THEME_FILES ? 50 : 20) ? 0 : chance(g, 75) ? 1 : 3;
	if (chance(g, 75))
		b[7] = 0;
}

static void add_variables(struct generator *g)
{
	add_files(g);
	if (chance(g, g->theme == THEME_SWITCHES ? 70 : 10))
		add(g, RECORD_MM)[1] = 1;
	add_place(g);
	if (chance(g, g->theme == THEME_FORKS ? 80 : 20))
		add(g, RECORD_MM)[1] = 0;
	if (chance(g, 60))
		add_place(g);
	if (chance(g, 20))
		add_place(g);
	if (chance(g, g->theme == THEME_DEVICES ? 100 : 4))
		add(g, RECORD_DEVICE);
	if (chance(g, 15))
		add(g, RECORD_SETUP);
}

/* ---- statements ------------------------------------------------------------------------------------ */

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

/* ---- habits ---------------------------------------------------------------------------------------- */

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

/* What goes with a theme, besides accesses. */
static void add_taking(struct generator *g, uint8_t column)
{
	static const enum operation operations[THEMES][8] = {
		[THEME_ANYTHING] = { OPERATION_MUNMAP, OPERATION_MADVISE, OPERATION_MADVISE, OPERATION_MREMAP,
				     OPERATION_MPROTECT, OPERATION_MMAP, OPERATION_TRUNCATE, OPERATION_FORK },
		[THEME_FORKS] = { OPERATION_FORK, OPERATION_FORK, OPERATION_MADVISE, OPERATION_MADVISE,
				  OPERATION_MUNMAP, OPERATION_EXIT, OPERATION_KERNEL_STORE,
				  OPERATION_MREMAP },
		[THEME_FILES] = { OPERATION_TRUNCATE, OPERATION_TRUNCATE, OPERATION_PUNCH,
				  OPERATION_INVALIDATE, OPERATION_SYNC, OPERATION_MADVISE, OPERATION_MREMAP,
				  OPERATION_FILE_WRITE },
		[THEME_TABLES] = { OPERATION_MUNMAP, OPERATION_MUNMAP, OPERATION_MADVISE, OPERATION_MADVISE,
				   OPERATION_MREMAP, OPERATION_KERNEL_LOAD, OPERATION_FORK, OPERATION_MMAP },
		[THEME_SWITCHES] = { OPERATION_MADVISE, OPERATION_MADVISE, OPERATION_MUNMAP,
				     OPERATION_MPROTECT, OPERATION_EXIT, OPERATION_RUN, OPERATION_MREMAP,
				     OPERATION_FORK },
		[THEME_DEVICES] = { OPERATION_TRANSLATE, OPERATION_DEVICE_LOAD, OPERATION_DEVICE_STORE,
				    OPERATION_MADVISE, OPERATION_MUNMAP, OPERATION_MPROTECT, OPERATION_FORK,
				    OPERATION_DEVICE_END },
	};
	enum operation operation = operations[g->theme][draw(g) % 8];
	uint8_t *b = add_operation(g, column, operation);

	b[3] = g->hot;
	/* Mostly all of it, and DONTNEED. */
	if (chance(g, 60))
		b[4] = 0;
	if (operation == OPERATION_MADVISE && chance(g, 60))
		b[5] = 0;
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

/* The device's own fault, and what it does then. */
static void add_device_work(struct generator *g, uint8_t column)
{
	add_operation(g, column, OPERATION_TRANSLATE)[4] = 0;
	add_operation(g, column, chance(g, 60) ? OPERATION_DEVICE_LOAD : OPERATION_DEVICE_STORE)[4] = 0;
}

static void add_habit(struct generator *g, uint8_t column)
{
	if (g->theme == THEME_DEVICES && chance(g, 40)) {
		add_device_work(g, column);
		return;
	}
	if (g->theme == THEME_SWITCHES && chance(g, 40)) {
		if (chance(g, 50))
			add_waking(g, column);
		else
			add_returning(g, column);
		return;
	}
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

/* ---- all of it ------------------------------------------------------------------------------------- */

static void add_column(struct generator *g, uint8_t column)
{
	unsigned statements = 1 + (unsigned)(draw(g) % 100 * 3 / 130); /* mostly one or two */
	bool follows = g->theme == THEME_ANYTHING ? chance(g, 30) : chance(g, 80);

	if (g->theme == THEME_FORKS ? chance(g, 50) : chance(g, 20))
		add(g, RECORD_COLUMN)[1] = column;
	if (follows)
		add_habit(g, column);
	else
		for (unsigned i = 0; i < statements; i++)
			add_statement(g, column);
}

/* The one whose doing the others meet. */
static void add_taker(struct generator *g, uint8_t column)
{
	if (g->theme == THEME_FORKS ? chance(g, 50) : chance(g, 15))
		add(g, RECORD_COLUMN)[1] = column;
	if (chance(g, 25))
		add_access(g, column);
	if (chance(g, 50))
		add_taking(g, column);
	else
		add_reusing(g, column);
}

static enum theme choose_theme(struct generator *g)
{
	static const enum theme themes[16] = {
		THEME_ANYTHING, THEME_ANYTHING, THEME_ANYTHING, THEME_ANYTHING, THEME_FORKS, THEME_FORKS,
		THEME_FORKS,	THEME_FILES,	THEME_FILES,	THEME_FILES,	THEME_FILES, THEME_TABLES,
		THEME_TABLES,	THEME_SWITCHES, THEME_SWITCHES, THEME_DEVICES,
	};

	return themes[draw(g) % 16];
}

size_t program_generate(uint64_t seed, uint64_t number, uint8_t *bytes)
{
	struct generator g = { .state = seed * 0x2545f4914f6cdd1dul + number * 0xd6e8feb86659fd93ul,
			       .bytes = bytes };
	unsigned columns, taker;

	draw(&g);
	g.hot = (uint8_t)(draw(&g) % 3);
	g.theme = choose_theme(&g);
	add_options(&g);
	add_variables(&g);
	columns = chance(&g, 70) ? 2 : 3;
	taker = g.theme == THEME_ANYTHING ? PROGRAM_COLUMNS : (unsigned)(draw(&g) % columns);
	for (uint8_t i = 0; i < columns; i++) {
		if (i == taker)
			add_taker(&g, i);
		else
			add_column(&g, i);
	}
	if (chance(&g, 25))
		add(&g, RECORD_ORDER);
	return g.count;
}
