/*
 * string.h - of the C library, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_STRING_H
#define METAL_TESTS_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t most);
size_t strspn(const char *text, const char *set);

#endif
