/*
 * oracles_threads.h - the columns of test_oracles.c, each with what its fault is made of as a switch.
 */
#ifndef TESTS_CHECK_MACHINE_ORACLES_THREADS_H
#define TESTS_CHECK_MACHINE_ORACLES_THREADS_H

#include "scene.h"

enum fault {
	FAULT_NONE,
	NO_FLUSH, /* where one is owed */
	NO_ZERO,  /* of a fresh page */
	NO_WAKE,
	WRONG_ORDER,  /* of locks */
	SPIN_HELD,    /* over a sleep */
	SECTION_OPEN, /* over a sleep */
	MM_LOCK_HELD, /* over a wait for a folio lock */
	IN_HANDLER,   /* a lock is taken */
	WAKE_IN_HANDLER,
	TWICE,	   /* freed, taken */
	TOO_SMALL, /* freed as */
	NOT_TOLD,  /* a secondary MMU */
	LEAK,
	BIT_LOST,
	UNORDERED, /* a free and a use */
};
extern enum fault fault; /* of the scene that is run */

#define COLUMN(name) void name(struct quire_cpu **cpu)

COLUMN(col_nothing);
COLUMN(col_load_x);
COLUMN(col_load_x_after);
COLUMN(col_load_x_at_last);
COLUMN(col_load_x_twice);
COLUMN(col_store_x);
COLUMN(col_store_y);
COLUMN(col_store_two_words);
COLUMN(col_drop_page);	  /* clear, flush, put */
COLUMN(col_replace_page); /* clear, flush, set another */
COLUMN(col_take_away);	  /* a call that clears and returns, keeping the frame */
COLUMN(col_take_away_late);
COLUMN(col_find_it_gone); /* a call that has only to flush */
COLUMN(col_clear_and_post);
COLUMN(col_map_fresh_page); /* at y, and load from it */
COLUMN(col_drop_table);
COLUMN(col_leave_and_post);
COLUMN(col_drop_root);
COLUMN(col_clear_entry);
COLUMN(col_set_other_page);
COLUMN(col_copy_x);
COLUMN(col_sleep);
COLUMN(col_lock_two);
COLUMN(col_lock_two_after);
COLUMN(col_lock_two_at_once);
COLUMN(col_lock_two_at_once_backwards);
COLUMN(col_wait_for_word);
COLUMN(col_change_word);
COLUMN(col_hold_folio);
COLUMN(col_wait_for_folio);
COLUMN(col_interrupt);
COLUMN(col_table_lock);
COLUMN(col_objects);
COLUMN(col_frames);
COLUMN(col_use_object);
COLUMN(col_free_object);
COLUMN(col_follow_freed_pointer);
COLUMN(col_store_to_freed);
COLUMN(col_give_back_mapped); /* its entry still leads there */
COLUMN(col_device);
COLUMN(col_change_under_device);
COLUMN(col_unmap_file_page);

void setup_words(void);
void setup_object(void);
void setup_device(void);
void setup_file(void);
void setup_second_page(void);
void setup_not_accessed(void);

struct quire_file *scene_file(void); /* of setup_file() */

#endif
