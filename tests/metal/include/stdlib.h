/*
 * stdlib.h - of the C library, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_STDLIB_H
#define METAL_TESTS_STDLIB_H

#include <stddef.h>

/* From the kernel's heap: no more than 64 KiB, less a few bytes. */
void *malloc(size_t bytes);
void *calloc(size_t count, size_t bytes);
void free(void *object);

/* No test has arguments here, or an environment. */
char *getenv(const char *name);
unsigned long strtoul(const char *text, char **end, int base);
unsigned long long strtoull(const char *text, char **end, int base);

#endif
