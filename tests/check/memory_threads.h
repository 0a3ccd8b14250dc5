/*
 * memory_threads.h - plain and atomic accesses of one location, accesses of several sizes.
 */
#ifndef TESTS_CHECK_MEMORY_THREADS_H
#define TESTS_CHECK_MEMORY_THREADS_H

#include "run.h"

extern unsigned seen[4]; /* by the threads, to be looked at when all is over */

void plain_behind_atomic_thread(unsigned thread);
void plain_read_thread(unsigned thread);
void plain_again_thread(unsigned thread);
void wide_store_half_load_thread(unsigned thread);
void half_store_wide_load_thread(unsigned thread);
void two_halves_thread(unsigned thread);
void changes_thread(unsigned thread);
void wide_exchange_thread(unsigned thread);
void stores_thread(unsigned thread);
void stores_and_locks_thread(unsigned thread);
void publish_thread(unsigned thread);
void waiting_thread(unsigned thread);
void spinning_thread(unsigned thread);
void interrupted_thread(unsigned thread);
void handle(void);
void interrupting_thread(unsigned thread);
void unprotected_thread(unsigned thread);
void unprotected_other_thread(unsigned thread);

void test_interrupt(void); /* thread 0; returns when its handler has run */

void test_wait(void); /* for a change of line 0 */

#endif
