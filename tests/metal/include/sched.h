/*
 * sched.h - of the C library, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_SCHED_H
#define METAL_TESTS_SCHED_H

int sched_yield(void);

#endif
