/*
 * time.h - of the C library, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_TIME_H
#define METAL_TESTS_TIME_H

#include <stdint.h>

typedef int64_t time_t;

time_t time(time_t *out);

#endif
