/*
 * image.h - the state of a program as a list of ranges of memory, to keep and to bring back.
 *
 * Whoever owns a part of the state says once where it is. The engine keeps images of it in the midst of an
 * execution (milestone.c) and goes on from one as if all that led there had been run again. So everything has
 * to be listed that a step may change and a later one, or the end, looks at; and nothing that is to outlast
 * an execution.
 */
#ifndef CHECK_IMAGE_H
#define CHECK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;

struct image *image_create(void); /* NULL: no memory */
void image_destroy(struct image *image);

/* @bytes at @at. */
void image_add(struct image *image, void *at, size_t bytes);

/*
 * The first *@count elements of @each bytes, at @at or where the pointer at @array leads to: that one may
 * change. What is behind them need not be kept. The count itself is one more part, to be added by the caller.
 */
void image_add_some(struct image *image, void *at, const uint32_t *count, size_t each);
void image_add_array(struct image *image, void *array, const uint32_t *count, size_t each);

/* Images have numbers, from 0 on; one that is kept again is overwritten. */
void image_keep(struct image *image, unsigned number);
void image_bring_back(struct image *image, unsigned number);
size_t image_bytes(const struct image *image, unsigned number);

/* Of the state as it is: a hash; and whether it is that of an image, to the byte. */
uint64_t image_hash(const struct image *image);
bool image_is(const struct image *image, unsigned number);

#endif
