/*
 * memory.h - the four functions that a freestanding compiler wants from outside anyway.
 */
#ifndef QUIRE_BASE_MEMORY_H
#define QUIRE_BASE_MEMORY_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
