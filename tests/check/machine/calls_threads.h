/*
 * calls_threads.h - columns that are calls of the core's, and what a program does beside them.
 */
#ifndef TESTS_CHECK_MACHINE_CALLS_THREADS_H
#define TESTS_CHECK_MACHINE_CALLS_THREADS_H

#include "scene.h"

void col_munmap(struct quire_cpu **cpu);
void col_store_and_load(struct quire_cpu **cpu);
void col_fork(struct quire_cpu **cpu);
void col_fork_and_exit(struct quire_cpu **cpu);
void col_store(struct quire_cpu **cpu);
void setup_fork(void);
void setup_move(void); /* a page in another table than X's */
void col_move(struct quire_cpu **cpu);	/* X's entry, to beside that page */
void col_empty(struct quire_cpu **cpu); /* that table; it goes */
struct quire_mm **fork_pair(void);

#endif
