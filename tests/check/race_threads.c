/*
 * race_threads.c - what the threads of test_race.c do. Compiled with -fsanitize=thread.
 */
#include "race_threads.h"

#include <string.h>

struct message_orders message_orders;

/* Orders are constants where they are used, as in any program. */
static void fence(memory_order order)
{
	if (order == memory_order_acquire)
		atomic_thread_fence(memory_order_acquire);
	else if (order == memory_order_release)
		atomic_thread_fence(memory_order_release);
	else if (order == memory_order_seq_cst)
		atomic_thread_fence(memory_order_seq_cst);
}

void message_store_flag(memory_order order)
{
	_Atomic uint32_t *flag = &run_arena[1].word;

	if (order == memory_order_relaxed)
		atomic_store_explicit(flag, 1, memory_order_relaxed);
	else if (order == memory_order_release)
		atomic_store_explicit(flag, 1, memory_order_release);
	else
		atomic_store_explicit(flag, 1, memory_order_seq_cst);
}

unsigned message_load_flag(memory_order order)
{
	_Atomic uint32_t *flag = &run_arena[1].word;

	if (order == memory_order_relaxed)
		return atomic_load_explicit(flag, memory_order_relaxed);
	if (order == memory_order_acquire)
		return atomic_load_explicit(flag, memory_order_acquire);
	return atomic_load_explicit(flag, memory_order_seq_cst);
}

void message_thread(unsigned thread)
{
	if (!thread) {
		run_arena[0].plain = 7;
		fence(message_orders.fence_before);
		message_store_flag(message_orders.store);
		return;
	}
	if (!message_load_flag(message_orders.load))
		return;
	fence(message_orders.fence_behind);
	run_arena[2].plain = run_arena[0].plain;
}

void write_write_thread(unsigned thread)
{
	run_arena[0].plain = thread;
}

void write_read_thread(unsigned thread)
{
	if (thread)
		run_arena[1].plain = run_arena[0].plain;
	else
		run_arena[0].plain = 1;
}

void read_read_thread(unsigned thread)
{
	run_arena[1 + thread].plain = run_arena[0].plain;
}

/* Bytes of one word. */
void neighbours_thread(unsigned thread)
{
	for (unsigned i = 0; i < 8; i++)
		run_arena[i].byte[thread] = 1;
	run_arena[9].byte[2 * thread] = run_arena[0].byte[thread];
}

void overlap_thread(unsigned thread)
{
	if (thread)
		run_arena[0].byte[5] = 1;
	else
		run_arena[0].plain_wide = 1;
}

void atomic_write_plain_read_thread(unsigned thread)
{
	if (thread)
		run_arena[1].plain = run_arena[0].plain;
	else
		atomic_store_explicit(&run_arena[0].word, 1, memory_order_seq_cst);
}

void atomic_read_plain_write_thread(unsigned thread)
{
	if (thread)
		run_arena[0].plain = 1;
	else
		run_arena[1].plain = atomic_load_explicit(&run_arena[0].word, memory_order_seq_cst);
}

void atomic_read_plain_read_thread(unsigned thread)
{
	if (thread)
		run_arena[1].plain = run_arena[0].plain;
	else
		run_arena[2].plain = atomic_load_explicit(&run_arena[0].word, memory_order_relaxed);
}

void locked_thread(unsigned thread)
{
	test_lock();
	run_arena[0].plain += thread + 1;
	run_arena[3].plain_wide++;
	test_unlock();
}

struct large {
	uint64_t part[12];
};

/* A copy that compilers make a call, or many small accesses, of; the race is in its last part. */
void copy_thread(unsigned thread)
{
	struct large *at = (struct large *)(void *)&run_arena[0];

	if (thread)
		at[1] = at[0];
	else
		at[0].part[11] = 1;
}

void fill_thread(unsigned thread)
{
	if (thread)
		memset(&run_arena[0], 0, 4 * sizeof(run_arena[0]));
	else
		run_arena[3].plain = 1;
}
