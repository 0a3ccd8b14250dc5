/*
 * html.c - the matrix as one page to look at: commute.html with the data put in.
 */
#include "lab/commute/commute.h"
#include "lab/page.h"

/* The page, put here by the assembler; QUIRE_COMMUTE_PAGE is its path. */
__asm__(".pushsection .rodata\n"
	"commute_page_start:\n"
	".incbin \"" QUIRE_COMMUTE_PAGE "\"\n"
	"commute_page_end:\n"
	".popsection\n");
extern const char commute_page_start[], commute_page_end[];

bool matrix_html(const char *path, const struct matrix *m)
{
	json_t *data = matrix_json(m);
	bool written = page_write(path, commute_page_start, commute_page_end, data, "quire commute");

	json_decref(data);
	return written;
}
