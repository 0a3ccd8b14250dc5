/*
 * sync_threads.h - core/base/sync.c itself, on the check machine's waits.
 */
#ifndef TESTS_CHECK_MACHINE_SYNC_THREADS_H
#define TESTS_CHECK_MACHINE_SYNC_THREADS_H

#include "scene.h"

enum sync_fault {
	SYNC_AS_IT_IS,
	SYNC_NEVER_WAKES,  /* a release wakes nobody */
	SYNC_SLEEPS_BLIND, /* a waiter sleeps on the value that it finds, not on the one that it announced */
};
extern enum sync_fault sync_fault;

void setup_sync(void);
void col_reader(struct quire_cpu **cpu);
void col_writer(struct quire_cpu **cpu);
void col_two_writes(struct quire_cpu **cpu);
void col_try_reader(struct quire_cpu **cpu);
void col_try_writer(struct quire_cpu **cpu);

#endif
