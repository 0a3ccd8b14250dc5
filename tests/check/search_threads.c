/*
 * search_threads.c - what the threads of test_search.c do. Compiled with -fsanitize=thread.
 */
#include "search_threads.h"

#include <stdatomic.h>

unsigned threads_count;

#ifdef __OPTIMIZE__
const bool is_optimised = true;
#else
const bool is_optimised = false;
#endif

static uint32_t load(unsigned line)
{
	return atomic_load_explicit(&run_arena[line].word, memory_order_relaxed);
}

static void store(unsigned line, uint32_t value)
{
	atomic_store_explicit(&run_arena[line].word, value, memory_order_relaxed);
}

/* Thread 0 looks for the last zero; thread n makes number n one more than its neighbour. */
void lastzero_thread(unsigned thread)
{
	if (thread) {
		store(thread, load(thread - 1) + 1);
		return;
	}
	for (unsigned i = threads_count - 1; load(i); i--)
		;
}

void readers_thread(unsigned thread)
{
	if (thread)
		load(0);
	else
		store(0, 1);
}

void many_reads_thread(unsigned thread)
{
	if (thread)
		store(0, 1);
	for (unsigned i = 0; !thread && i < MANY_READS; i++)
		load(0);
}

void independent_thread(unsigned thread)
{
	store(thread, 1);
	load(thread);
	atomic_fetch_add_explicit(&run_arena[thread].word, 1, memory_order_seq_cst);
}

void count_thread(unsigned thread)
{
	(void)thread;
	atomic_fetch_add_explicit(&run_arena[0].word, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&run_arena[0].word, 3, memory_order_relaxed);
}

void count_with_results_thread(unsigned thread)
{
	store(1 + thread, atomic_fetch_add_explicit(&run_arena[0].word, 1, memory_order_relaxed));
}

/* The last one out. */
void count_and_test_thread(unsigned thread)
{
	(void)thread;
	if (atomic_fetch_add_explicit(&run_arena[0].word, 1, memory_order_acq_rel) + 1 == threads_count)
		atomic_store_explicit(&run_arena[1].word, 1, memory_order_relaxed);
}

/* Threads put messages into a table, by a hash that makes all of them start in different places. */
void indexer_thread(unsigned thread)
{
	enum { SIZE = 32, MESSAGES = 4 };

	for (unsigned m = 0; m < MESSAGES; m++) {
		uint32_t word = m * 11 + thread + 1;
		unsigned at = (word * 7) % SIZE;
		uint32_t empty = 0;

		while (!atomic_compare_exchange_strong_explicit(&run_arena[at].word, &empty, word,
								memory_order_acq_rel, memory_order_acquire)) {
			at = (at + 1) % SIZE;
			empty = 0;
		}
	}
}

void abandoning_thread(unsigned thread)
{
	if (thread + 1 < threads_count)
		count_with_results_thread(thread);
	else if (load(0) % 2 == 0)
		engine_abandon();
}

/* ---- results of additions ------------------------------------------------------------------------------ */

#define COUNT(delta) atomic_fetch_add_explicit(&run_arena[0].word, delta, memory_order_relaxed)

static unsigned return_it(unsigned delta)
{
	return COUNT(delta);
}

static unsigned compare_it(unsigned delta)
{
	return COUNT(delta) > 3;
}

static unsigned keep_it(unsigned delta)
{
	unsigned old = COUNT(delta);

	COUNT(1); /* a call in between */
	return old;
}

static unsigned index_with_it(unsigned delta)
{
	static const unsigned char table[16] = { 3, 1, 4, 1, 5, 9, 2, 6 };

	return table[COUNT(delta) & 15];
}

static unsigned truncate_it(unsigned delta)
{
	return (uint8_t)COUNT(delta);
}

unsigned addition_used(unsigned way)
{
	switch (way) {
	case 0:
		return return_it(1);
	case 1:
		return compare_it(1);
	case 2:
		return keep_it(1);
	case 3:
		return index_with_it(1);
	default:
		return truncate_it(1);
	}
}

static void drop_it(unsigned delta)
{
	COUNT(delta);
}

static unsigned return_another(unsigned delta)
{
	COUNT(delta);
	return delta + 1;
}

static void branch_behind_it(unsigned delta)
{
	COUNT(delta);
	if (delta > 1)
		run_arena[2].byte[0] = 1;
}

static void take_away(unsigned delta)
{
	atomic_fetch_sub_explicit(&run_arena[0].wide, delta, memory_order_relaxed);
}

static void loop_behind_it(unsigned delta)
{
	for (unsigned i = 0; i < delta; i++)
		COUNT(1);
}

void addition_unused(unsigned way)
{
	switch (way) {
	case 0:
		drop_it(1);
		break;
	case 1:
		return_another(1);
		break;
	case 2:
		branch_behind_it(1);
		break;
	case 3:
		take_away(1);
		break;
	default:
		loop_behind_it(2);
	}
}
