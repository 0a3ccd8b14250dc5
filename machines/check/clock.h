/*
 * clock.h - who has seen what: vector clocks.
 *
 * A thread's steps are cut into epochs: a new one begins after each release. clock.at[u] is the last epoch of
 * thread u of which everything has been seen. So an access that u made in epoch e comes before whatever a
 * thread t does now exactly if t's clock.at[u] >= e.
 *
 *	store release		the store carries a copy of the clock, then a new epoch begins
 *	fence release		the same copy, carried by the thread's relaxed stores from now on
 *	load acquire		takes what the store that it reads carries
 *	load relaxed		keeps it aside; a later acquire fence takes it
 *	read-modify-write	carries on what the store it reads carries (a release sequence, as in C++20;
 *				in C11 the same thread's stores go on with one too: that is stronger)
 *
 * Copies are messages: numbers of entries of a pool that is emptied when an execution begins. 0 is the empty
 * one.
 */
#ifndef CHECK_CLOCK_H
#define CHECK_CLOCK_H

#include "engine.h"
#include "image.h"

struct clock {
	uint32_t at[ENGINE_THREADS];
};

int clock_create(void);
void clock_destroy(void);
void clock_begin(void); /* an execution begins */
void clock_image(struct image *image);

/* Of the running thread; orders are those of memory.h. */
uint32_t clock_publish(void);			 /* a release: what it has seen */
uint32_t clock_of_store(int order);		 /* what a store carries */
uint32_t clock_of_rmw(int order, uint32_t read); /* what a read-modify-write of @read's store carries */
void clock_take(int order, uint32_t message);	 /* what a load gets */
void clock_fence(int order);

/* A handler begins and ends: it comes after all that @main did, and @main goes on after it. */
void clock_interrupt(unsigned main);
void clock_resume(unsigned main);
void clock_view(unsigned of, struct clock *out); /* what it has seen, its CPU's other half included */
bool clock_view_covers(unsigned of, unsigned thread, uint32_t epoch);
/*
 * Without interrupts: what has been seen whenever a handler may have come. Where the two differ, orders
 * between a thread's steps and its interrupts decide, that the search is not told of.
 */
bool clock_pure_covers(unsigned of, unsigned thread, uint32_t epoch);

uint32_t clock_merge(uint32_t a, uint32_t b);

/* Objects that mechanisms release and acquire, by any number. */
void clock_acquire(uintptr_t object);
void clock_release(uintptr_t object);

static inline bool clock_covers(const struct clock *clock, unsigned thread, uint32_t epoch)
{
	return clock->at[thread] >= epoch;
}

#endif
