/*
 * search_threads.h - programs whose number of traces is known, and others for the search's and the models'
 * sake.
 */
#ifndef TESTS_CHECK_SEARCH_THREADS_H
#define TESTS_CHECK_SEARCH_THREADS_H

#include "run.h"

extern const bool is_optimised;
extern unsigned threads_count; /* how many there are in the program under way */

void lastzero_thread(unsigned thread);
void readers_thread(unsigned thread);
void many_reads_thread(unsigned thread); /* one stores once, the other loads MANY_READS times */
enum { MANY_READS = 1100 };
void independent_thread(unsigned thread);
void count_thread(unsigned thread);
void count_with_results_thread(unsigned thread);
void count_and_test_thread(unsigned thread);
void indexer_thread(unsigned thread);
void abandoning_thread(unsigned thread); /* the last is abandoned when it sees an even number */

/* Ways to use, and not to use, what an addition returns. */
unsigned addition_used(unsigned way);
void addition_unused(unsigned way);
enum { ADDITIONS_USED = 5, ADDITIONS_UNUSED = 5 };

#endif
