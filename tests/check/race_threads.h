/*
 * race_threads.h - pairs of threads, with and without data races.
 */
#ifndef TESTS_CHECK_RACE_THREADS_H
#define TESTS_CHECK_RACE_THREADS_H

#include "run.h"

#include <stdatomic.h>

/* The orders of a message's two halves. */
struct message_orders {
	memory_order store, load;
	memory_order fence_before, fence_behind; /* relaxed: none */
};
extern struct message_orders message_orders;

void message_thread(unsigned thread); /* plain data, then a flag; the flag, then if set the data */
void message_store_flag(memory_order order);
unsigned message_load_flag(memory_order order);
void write_write_thread(unsigned thread);
void write_read_thread(unsigned thread);
void read_read_thread(unsigned thread);
void neighbours_thread(unsigned thread);
void overlap_thread(unsigned thread);
void atomic_write_plain_read_thread(unsigned thread);
void atomic_read_plain_write_thread(unsigned thread);
void atomic_read_plain_read_thread(unsigned thread);
void locked_thread(unsigned thread); /* between test_lock() and test_unlock() */
void copy_thread(unsigned thread);   /* copies of structs */
void fill_thread(unsigned thread);

void test_lock(void);
void test_unlock(void);

#endif
