/*
 * scene.c - the two operations of a cell, as a litmus file in a lively address space.
 *
 * Around each of the two ranges is a row of small mappings that do not merge, so that they are in different
 * leaves of the tree of VMAs, none of which is full or nearly empty:
 *
 *	r w r w ... r w   .   x0  .  w0  .  d0  .  e0  .   r w r ... w r   x1 and so on   r w ... r w
 *	32 VMAs of a page     what is measured, on 4	      32 and 32
 *			      pages; w0 is practice;
 *			      d0, e0: where they move
 *
 * Before anything is measured, each CPU does the same on w0 or w1, or on the range's other pages: its caches
 * hold what the operation takes from them, tables are there, and stay. What is left is what happens every
 * time. There are enough frames: where they are scarce, CPUs keep none for themselves.
 *
 * In the texts % is the column's number, # its file's, and $n page n of what it maps of that.
 */
#include "lab/commute/commute.h"

#include <stdlib.h>
#include <string.h>

#define TOUCH(x) "store " x ", 1; store " x "+1, 1; store " x "+2, 1; store " x "+3, 1; "
#define CACHE "write f#+$0, 1; write f#+$1, 1; write f#+$2, 1; write f#+$3, 1; "
#define PRACTISE(mapped) "mmap(w%, " mapped "); " TOUCH("w%") TOUCH("x%")

const struct operation operations[OPERATIONS] = {
	{ "read", "read fault on anonymous memory", GROUP_FAULT, BACKING_ANON, "anon rw",
	  "store x%+3, 1; r1 = load x%+1; ", "L: r0 = load x%", "~fault(%:L)" },
	{ "write", "write fault on anonymous memory", GROUP_FAULT, BACKING_ANON, "anon rw",
	  "store x%+3, 1; store x%+1, 1; ", "L: store x%, 9", "~fault(%:L)" },
	{ "private-read", "read fault on a private mapping of a cached file", GROUP_FAULT, BACKING_PRIVATE,
	  "file f#+$0 private rw", CACHE "store x%+3, 1; r1 = load x%+1; ", "L: r0 = load x%",
	  "~fault(%:L)" },
	{ "private-write", "write fault on a private mapping of a cached file", GROUP_FAULT, BACKING_PRIVATE,
	  "file f#+$0 private rw", CACHE "store x%+3, 1; store x%+1, 1; ", "L: store x%, 9", "~fault(%:L)" },
	{ "shared-read", "read fault on a shared mapping of a cached file", GROUP_FAULT, BACKING_SHARED,
	  "file f#+$0 shared rw", CACHE "r1 = load x%+3; r1 = load x%+1; ", "L: r0 = load x%",
	  "~fault(%:L)" },
	{ "shared-write", "write fault on a shared mapping of a cached file", GROUP_FAULT, BACKING_SHARED,
	  "file f#+$0 shared rw", CACHE "store x%+3, 1; store x%+1, 1; ", "L: store x%, 9", "~fault(%:L)" },
	{ "mmap", "mmap of anonymous memory at a fixed address", GROUP_CHANGE, BACKING_ANY, NULL,
	  "mmap(w%, anon rw); munmap(w%); mmap(w%, anon rw); ", "r0 = mmap(x%, anon rw)", "%:r0 = &x%" },
	{ "populate", "the same with MAP_POPULATE", GROUP_CHANGE, BACKING_ANY, NULL,
	  "mmap(w%, anon rw populate); munmap(w%); mmap(w%, anon rw populate); ",
	  "r0 = mmap(x%, anon rw populate)", "%:r0 = &x%" },
	{ "munmap", "munmap of anonymous memory that was written to", GROUP_CHANGE, BACKING_ANY, "anon rw",
	  PRACTISE("anon rw") "munmap(w%); ", "r0 = munmap(x%)", "%:r0 = 0" },
	{ "mprotect", "mprotect of such memory, to read only", GROUP_CHANGE, BACKING_ANY, "anon rw",
	  PRACTISE("anon rw") "mprotect(w%, r); ", "r0 = mprotect(x%, r)", "%:r0 = 0" },
	{ "munmap-part", "munmap of two pages in the middle of such memory", GROUP_CHANGE, BACKING_ANY,
	  "anon rw", PRACTISE("anon rw") "munmap(w%+1, 2); ", "r0 = munmap(x%+1, 2)", "%:r0 = 0" },
	{ "mprotect-part", "mprotect of two pages in the middle of such memory", GROUP_CHANGE, BACKING_ANY,
	  "anon rw", PRACTISE("anon rw") "mprotect(w%+1, 2, r); ", "r0 = mprotect(x%+1, 2, r)", "%:r0 = 0" },
	{ "mremap", "mremap of such memory to a fixed address", GROUP_CHANGE, BACKING_ANY, "anon rw",
	  PRACTISE("anon rw") "mremap(w%, e%); ", "r0 = mremap(x%, d%)", "%:r0 = &d%" },
	{ "dontneed", "madvise(MADV_DONTNEED) of such memory", GROUP_CHANGE, BACKING_ANY, "anon rw",
	  PRACTISE("anon rw") "madvise(w%, DONTNEED); ", "r0 = madvise(x%, DONTNEED)", "%:r0 = 0" },
	{ "mmap-file", "mmap of a file, shared, at a fixed address", GROUP_CHANGE, BACKING_SHARED, NULL,
	  "mmap(w%, file f#+$8 shared rw); munmap(w%); mmap(w%, file f#+$8 shared rw); ",
	  "r0 = mmap(x%, file f#+$0 shared rw)", "%:r0 = &x%" },
	{ "munmap-file", "munmap of a shared mapping that was written to", GROUP_CHANGE, BACKING_SHARED,
	  "file f#+$0 shared rw", PRACTISE("file f#+$8 shared rw") "munmap(w%); ", "r0 = munmap(x%)",
	  "%:r0 = 0" },
};

const struct placement placements[PLACEMENTS] = {
	{ "tables", "one address space, different page tables", 0 },
	{ "table", "one address space, one page table", PLACED_IN_TABLE },
	{ "vma", "one VMA, different page tables", PLACED_IN_VMA },
	{ "mms", "two address spaces, of files the same one", PLACED_APART },
	{ "files", "one address space, different page tables, two files", PLACED_ON_FILES },
	{ "mms-files", "two address spaces, two files", PLACED_APART | PLACED_ON_FILES },
};

enum {
	TABLE = 512, /* pages that a page table maps */
	ROW = 32,    /* mappings before and behind */
	WINDOW = 36, /* pages between them, for what follows */
	X = 4,
	W = 12,
	D = 20,
	E = 28,
	RANGE = 4,
	VMA = 8 * TABLE, /* where a giant one is, and its pages */
	VMA_PAGES = 8 * TABLE,
	FILE_PAGES = 2 * VMA_PAGES,
	FILE_STEP = 64, /* in a file, from one column's pages to the other's */
};

static int find(const char *name, size_t length, const char *known, int number)
{
	return strncmp(name, known, length) == 0 && !known[length] ? number : -1;
}

int operation_find(const char *name, size_t length)
{
	int found = -1;

	for (int i = 0; i < OPERATIONS && found < 0; i++)
		found = find(name, length, operations[i].name, i);
	return found;
}

int placement_find(const char *name, size_t length)
{
	int found = -1;

	for (int i = 0; i < PLACEMENTS && found < 0; i++)
		found = find(name, length, placements[i].name, i);
	return found;
}

static bool is_about_files(const struct operation *operation)
{
	return operation->backing == BACKING_PRIVATE || operation->backing == BACKING_SHARED;
}

bool scene_exists(unsigned placement, unsigned a, unsigned b)
{
	unsigned flags = placements[placement].flags;
	enum backing one = operations[a].backing, other = operations[b].backing;

	if (flags & PLACED_ON_FILES)
		return is_about_files(&operations[a]) && is_about_files(&operations[b]);
	if (flags & PLACED_IN_VMA)
		return one == other || one == BACKING_ANY || other == BACKING_ANY;
	return true;
}

/* ---- the text ------------------------------------------------------------------------------------------ */

struct side {
	const struct operation *operation;
	unsigned column, file;
	char mm;
	unsigned home;	    /* page where the window begins */
	unsigned x;	    /* where the range is */
	unsigned file_page; /* that it maps */
};

static struct side side_of(const struct placement *placement, unsigned column,
			   const struct operation *operation)
{
	struct side side = { .operation = operation, .column = column, .mm = 'A' };

	side.home = 1 + ROW + column * (WINDOW + 2 * ROW);
	if (!(placement->flags & PLACED_IN_TABLE))
		side.home += (1 + 4 * column) * TABLE;
	side.x = side.home + X;
	side.file_page = column * FILE_STEP;
	if (placement->flags & PLACED_IN_VMA) {
		side.x += VMA;
		side.file_page = side.x - VMA;
	}
	if (placement->flags & PLACED_APART)
		side.mm = (char)('A' + column);
	if (placement->flags & PLACED_ON_FILES)
		side.file = column;
	return side;
}

static void write_words(FILE *to, const struct side *side, const char *words)
{
	for (const char *c = words; *c; c++) {
		if (*c == '%')
			fprintf(to, "%u", side->column);
		else if (*c == '#')
			fprintf(to, "%u", side->file);
		else if (*c == '$')
			fprintf(to, "%u", side->file_page + (unsigned)(*++c - '0'));
		else
			fputc(*c, to);
	}
}

static void write_names(FILE *to, const struct side *side)
{
	static const struct {
		const char *name;
		unsigned page;
	} places[] = { { "w", W }, { "d", D }, { "e", E } };

	fprintf(to, "  x%u: %c hole %d pages at m+%u;", side->column, side->mm, RANGE, side->x);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		fprintf(to, " %s%u: %c hole %d pages at m+%u;", places[i].name, side->column, side->mm, RANGE,
			side->home + places[i].page);
	fputc('\n', to);
}

static void write_row(FILE *to, unsigned from)
{
	for (unsigned i = 0; i < ROW; i++)
		fprintf(to, "%smmap(m+%u, anon %s);", i % 4 ? " " : "\n    ", from + i, i % 2 ? "rw" : "r");
}

/* The window's neighbours; one of them is touched, so that its table is there, and stays. */
static void write_rows(FILE *to, const struct side *side)
{
	fprintf(to, "  @%c P%u {", side->mm, side->column);
	write_row(to, side->home - ROW);
	write_row(to, side->home + WINDOW);
	fprintf(to, "\n    store m+%u, 1; }\n", side->home - 1);
}

static void write_before(FILE *to, const struct placement *placement, const struct side *side)
{
	fprintf(to, "  @%c P%u { ", side->mm, side->column);
	if (placement->flags & PLACED_IN_VMA) {
		fprintf(to, "store x%u+8, 1; ", side->column); /* its table is there, and stays */
	} else if (side->operation->mapped) {
		fprintf(to, "mmap(x%u, ", side->column);
		write_words(to, side, side->operation->mapped);
		fputs("); ", to);
	}
	write_words(to, side, side->operation->before);
	fputs("}\n", to);
}

/* What both are in is what one of them wants it to be. */
static void write_vma(FILE *to, const struct side *sides)
{
	static const char *const kinds[] = { "anon rw noreserve", "file f0 private rw noreserve",
					     "file f0 shared rw", "anon rw noreserve" };
	enum backing backing = sides[0].operation->backing;

	if (backing == BACKING_ANY)
		backing = sides[1].operation->backing;
	fprintf(to, "  @A { mmap(m+%d, %d, %s); }\n", VMA, VMA_PAGES, kinds[backing]);
}

char *scene_text(unsigned number, unsigned a, unsigned b)
{
	const struct placement *placement = &placements[number];
	struct side sides[2] = { side_of(placement, 0, &operations[a]),
				 side_of(placement, 1, &operations[b]) };
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		abort();
	fprintf(to,
		"MM %s-and-%s\n(* In %s: %s\n   Rule: VMA-6\n   Geometry: full\n   Model: sc\n"
		"   Options: frames 384 *)\n{\n  mm A;%s file f0 %d pages; file f1 %d pages;\n  m: A hole %d pages;\n",
		operations[a].name, operations[b].name, placement->name, placement->what,
		placement->flags & PLACED_APART ? " mm B;" : "", FILE_PAGES, FILE_PAGES, VMA + VMA_PAGES);
	for (unsigned i = 0; i < 2; i++)
		write_names(to, &sides[i]);
	for (unsigned i = 0; i < 2; i++)
		write_rows(to, &sides[i]);
	if (placement->flags & PLACED_IN_VMA)
		write_vma(to, sides);
	for (unsigned i = 0; i < 2; i++)
		write_before(to, placement, &sides[i]);
	fputs("}\n", to);
	for (unsigned i = 0; i < 2; i++) {
		fprintf(to, "P%u @%c { ", i, sides[i].mm);
		write_words(to, &sides[i], sides[i].operation->measured);
		fputs("; }\n", to);
	}
	fputs("forall (", to);
	write_words(to, &sides[0], sides[0].operation->holds);
	fputs(" /\\ ", to);
	write_words(to, &sides[1], sides[1].operation->holds);
	fputs(")\n", to);
	fclose(to);
	return text;
}
