/*
 * tests.h - what the kernel for tests has besides the machine.
 */
#ifndef METAL_TESTS_TESTS_H
#define METAL_TESTS_TESTS_H

#include <stddef.h>

/* The mains of tests/unit/ that run here, by the build. */
extern int (*const tests_all[])(void);
extern const unsigned tests_count;

/* The text of a boot option like "only=": its length; 0 and empty: it is not there. */
size_t begin_option(const char *name, char *to, size_t room);

#endif
