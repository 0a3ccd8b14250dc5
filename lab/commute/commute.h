/*
 * commute.h - what the files of `quire commute` share.
 *
 *	command.c  options, exit status		scene.c    operations, placements, litmus files of them
 *	run.c      cells, through workers	reasons.c  why lines are shared that have to be
 *	report.c   the text, and JSON		html.c     the heat map
 *
 * A cell is two operations in one placement. It is run once on the check machine, which says which cache
 * lines both sides touch and one writes; all the rest is arithmetic on that.
 *
 * Rules:   VMA-6.
 */
#ifndef LAB_COMMUTE_COMMUTE_H
#define LAB_COMMUTE_COMMUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { GROUP_FAULT, GROUP_CHANGE };

/* What an operation's range maps. */
enum backing { BACKING_ANON, BACKING_PRIVATE, BACKING_SHARED, BACKING_ANY };

struct operation {
	const char *name, *what;
	unsigned group;
	enum backing backing;
	/* Statements: what is mapped there (NULL: nothing), what its CPU does before, what is measured. */
	const char *mapped, *before, *measured, *holds;
};

/* Of the two ranges. */
enum placement_flags {
	PLACED_IN_TABLE = 1, /* in one page table */
	PLACED_IN_VMA = 2,   /* in one VMA */
	PLACED_APART = 4,    /* in two address spaces */
	PLACED_ON_FILES = 8, /* in two files: for what is about files alone */
};

struct placement {
	const char *name, *what;
	unsigned flags;
};

enum { OPERATIONS = 16, PLACEMENTS = 6 };

extern const struct operation operations[OPERATIONS];
extern const struct placement placements[PLACEMENTS];

int operation_find(const char *name, size_t length); /* its number, or -1 */
int placement_find(const char *name, size_t length);

struct cell {
	unsigned placement, a, b; /* a <= b */
	char *error;		  /* what is wrong with it; else NULL */
	json_t *lines;		  /* with "fields" and "reason" each */
};

/* Can the two be placed so? */
bool scene_exists(unsigned placement, unsigned a, unsigned b);
char *scene_text(unsigned placement, unsigned a, unsigned b); /* a litmus file; to be freed */

/* 0, or an exit status, when it was said why there is no result. */
int run_cells(struct cell *cells, size_t count, unsigned jobs);

/* ---- reasons.c ----------------------------------------------------------------------------------------- */

/* Gives each line "fields": those for which it is shared, and "reason", or null where nobody knows one. */
void reasons_add(struct cell *cell);

/* ---- report.c, html.c ---------------------------------------------------------------------------------- */

struct matrix {
	struct cell *cells;
	size_t count;
	bool operation[OPERATIONS], placement[PLACEMENTS]; /* those that were asked for */
};

const struct cell *matrix_cell(const struct matrix *m, unsigned placement, unsigned a, unsigned b);
size_t matrix_unexplained(const struct matrix *m); /* lines that have no reason */
void matrix_print(FILE *to, const struct matrix *m);
void matrix_print_cells(FILE *to, const struct matrix *m);
json_t *matrix_json(const struct matrix *m);
bool matrix_html(const char *path, const struct matrix *m); /* false: errno */

#endif
