/*
 * walks_threads.h - columns of a few steps each, about translations and nothing else.
 */
#ifndef TESTS_CHECK_MACHINE_WALKS_THREADS_H
#define TESTS_CHECK_MACHINE_WALKS_THREADS_H

#include "scene.h"

#define COLUMN(name) void name(struct quire_cpu **cpu)

void setup_walks(void);

COLUMN(col_clear);	     /* the entry of x */
COLUMN(col_clear_flush);     /* and flush it on P1 */
COLUMN(col_clear_flush_set); /* and set another page then */
COLUMN(col_clear_set_flush);
COLUMN(col_clear_flush_all);
COLUMN(col_flush_only);
COLUMN(col_cut); /* the entry that leads to x's table */
COLUMN(col_cut_flush);
COLUMN(col_cut_refill);	      /* and put another page into the table after that */
COLUMN(col_protect_flush);    /* no more writes */
COLUMN(col_call_clear_flush); /* as a call */
COLUMN(col_call_clear);	      /* that forgets the flush */
COLUMN(col_free_after_flush); /* the page */
COLUMN(col_free);
COLUMN(col_load);
COLUMN(col_load_twice);
COLUMN(col_load_after_root); /* the root is loaded anew, without a flush */
COLUMN(col_load_between_roots);
COLUMN(col_load_x_and_y);

#endif
