/*
 * memory_threads.c - what the threads of test_memory.c do. Compiled with -fsanitize=thread.
 */
#include "memory_threads.h"
#include "race_threads.h"

#include <string.h>

unsigned seen[4];

static _Atomic uint32_t *word(unsigned line)
{
	return &run_arena[line].word;
}

static void store(unsigned line, uint32_t value)
{
	atomic_store_explicit(word(line), value, memory_order_relaxed);
}

static uint32_t load(unsigned line)
{
	return atomic_load_explicit(word(line), memory_order_relaxed);
}

static void publish(unsigned line)
{
	atomic_store_explicit(word(line), 1, memory_order_release);
}

static bool is_published(unsigned line)
{
	return atomic_load_explicit(word(line), memory_order_acquire);
}

/* Atomic 1, then plain 2, then a message: whoever has it reads 2. */
void plain_behind_atomic_thread(unsigned thread)
{
	if (thread) {
		seen[0] = is_published(1) ? load(0) : 9;
		return;
	}
	store(0, 1);
	run_arena[0].plain = 2;
	publish(1);
}

/* What one stored oneself one reads, however. */
void plain_read_thread(unsigned thread)
{
	store(thread, 5);
	seen[thread] = run_arena[thread].plain;
	store(thread, 6);
	seen[2 + thread] = run_arena[thread].plain;
}

/* Plain, atomic, plain, atomic; the other one takes over in between. */
void plain_again_thread(unsigned thread)
{
	if (thread) {
		if (!is_published(1))
			return;
		seen[0] = atomic_fetch_add_explicit(word(0), 10, memory_order_relaxed);
		run_arena[0].plain += 100;
		seen[1] = load(0);
		return;
	}
	run_arena[0].plain = 1;
	store(0, 2);
	run_arena[0].plain++;
	publish(1);
}

void wide_store_half_load_thread(unsigned thread)
{
	if (thread)
		seen[0] = atomic_load_explicit(&run_arena[0].half[1], memory_order_relaxed);
	else
		atomic_store_explicit(&run_arena[0].wide, 0x700000003ul, memory_order_relaxed);
}

void half_store_wide_load_thread(unsigned thread)
{
	if (thread)
		seen[0] = (unsigned)(atomic_load_explicit(&run_arena[0].wide, memory_order_relaxed) >> 32);
	else
		atomic_store_explicit(&run_arena[0].half[1], 7, memory_order_relaxed);
}

void two_halves_thread(unsigned thread)
{
	atomic_store_explicit(&run_arena[0].half[thread], 1, memory_order_relaxed);
	seen[thread] = atomic_load_explicit(&run_arena[0].half[thread], memory_order_relaxed);
}

struct large {
	uint64_t part[12];
};

/* One after another, each is told of when it has happened: see test_memory.c. */
void changes_thread(unsigned thread)
{
	struct large *at = (struct large *)(void *)&run_arena[0];

	(void)thread;
	run_arena[4].plain = 1;
	run_arena[5].plain = 2;
	store(6, 3);
	atomic_fetch_add_explicit(word(6), 4, memory_order_relaxed);
	at[0].part[11] = 8;
	at[1] = at[0];
	memset(&run_arena[7], 0x55, sizeof(run_arena[7]));
	run_arena[4].plain = 6;
}

typedef unsigned __int128 wide;
wide __tsan_atomic128_fetch_add(volatile wide *address, wide operand, int order);
wide __tsan_atomic128_load(const volatile wide *address, int order);

void wide_exchange_thread(unsigned thread)
{
	volatile wide *at = (volatile wide *)(void *)&run_arena[0];

	seen[thread] = (unsigned)__tsan_atomic128_fetch_add(at, ((wide)1 << 64) + 1, MO_SEQ_CST);
	seen[2 + thread] = (unsigned)(__tsan_atomic128_load(at, MO_SEQ_CST) >> 64);
}

/* Thread 2 is hardware, of test_memory.c. */
void stores_thread(unsigned thread)
{
	store(0, thread + 1);
}

/* x = 1 and a load of y inside a lock; the other, without: a load of x, y = 1. */
void stores_and_locks_thread(unsigned thread)
{
	if (thread) {
		seen[1] = load(0);
		store(1, 1);
		return;
	}
	test_lock();
	store(0, 1);
	seen[0] = load(1);
	test_unlock();
}

/* A loop that waits, and one that does not: it knows that what it waits for has happened. */
void waiting_thread(unsigned thread)
{
	if (!thread) {
		store(0, 1);
		return;
	}
	while (!load(0))
		test_wait();
	seen[0] = load(0);
}

void spinning_thread(unsigned thread)
{
	if (!thread) {
		store(0, 1);
		store(1, 1);
		return;
	}
	if (!load(1))
		return;
	while (!load(0))
		;
	seen[0] = 1;
}

/* The thread, and its interrupt handler. */
void interrupted_thread(unsigned thread)
{
	(void)thread;
	store(0, 1);
	seen[1] = load(1);
	store(0, 2);
}

void handle(void)
{
	seen[0] = load(0);
	store(1, 1);
}

/* Who has interrupted the other knows of what it stored before, and of nothing that it does after. */
void interrupting_thread(unsigned thread)
{
	if (thread) {
		store(1, 1);
		test_interrupt();
		seen[0] = load(0);
		return;
	}
	seen[1] = load(1);
	store(0, 1);
	seen[2] = load(2);
}

/*
 * A thread looks at plain data of another, who then asks for an interrupt of it, and changes the data. The
 * two are ordered if the interrupt comes behind the look, and race if it comes before.
 */
void unprotected_thread(unsigned thread)
{
	if (thread) {
		test_interrupt();
		run_arena[0].plain = 1;
		return;
	}
	seen[1] = load(1);
	seen[0] = run_arena[0].plain;
	seen[2] = load(2);
}

/* The same, but it is a third who looks, and tells the one that is interrupted. */
void unprotected_other_thread(unsigned thread)
{
	if (thread == 1) {
		test_interrupt();
		run_arena[0].plain = 1;
	} else if (thread == 2) {
		seen[0] = run_arena[0].plain;
		publish(1);
	} else {
		seen[1] = is_published(1);
	}
}

/* Two locks, a word in each section; a third thread looks at both. */
void publish_thread(unsigned thread)
{
	if (thread == 2) {
		test_lock();
		seen[0] = load(0);
		test_unlock();
		seen[1] = load(1);
		return;
	}
	store(1, thread + 1);
	test_lock();
	store(0, thread + 1);
	test_unlock();
}
