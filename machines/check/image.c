/*
 * image.c - keeps copies of ranges of memory, and brings them back.
 *
 * A copy is one block: the parts in the order in which they were added, each rounded up to whole words. Sizes
 * are those of the moment at which it was kept.
 *
 * Errors:  out of memory, or too many parts, ends the process with status 3.
 */
#include "image.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 192, WORD = 8 };

struct part {
	void *at;
	bool is_pointer;       /* what is at @at */
	const uint32_t *count; /* NULL: one */
	size_t bytes;	       /* of each */
};

struct copy {
	char *bytes;
	size_t used, room;
	uint32_t count[PARTS];
};

struct image {
	struct part part[PARTS];
	unsigned parts;
	struct copy **copy;
	unsigned copies;
};

static void give_up(const char *why)
{
	fprintf(stderr, "quire check: %s\n", why);
	exit(3);
}

struct image *image_create(void)
{
	return calloc(1, sizeof(struct image));
}

void image_destroy(struct image *image)
{
	if (!image)
		return;
	for (unsigned i = 0; i < image->copies; i++) {
		free(image->copy[i]->bytes);
		free(image->copy[i]);
	}
	free(image->copy);
	free(image);
}

static void add(struct image *image, struct part part)
{
	if (image->parts == PARTS)
		give_up("an image has too many parts");
	image->part[image->parts++] = part;
}

void image_add(struct image *image, void *at, size_t bytes)
{
	if (bytes)
		add(image, (struct part){ at, false, NULL, bytes });
}

void image_add_some(struct image *image, void *at, const uint32_t *count, size_t each)
{
	add(image, (struct part){ at, false, count, each });
}

void image_add_array(struct image *image, void *array, const uint32_t *count, size_t each)
{
	add(image, (struct part){ array, true, count, each });
}

static size_t rounded(size_t bytes)
{
	return (bytes + WORD - 1) & ~(size_t)(WORD - 1);
}

static void *address_of(const struct part *part)
{
	return part->is_pointer ? *(void **)part->at : part->at;
}

static struct copy *copy_at(struct image *image, unsigned number)
{
	while (image->copies <= number) {
		image->copy = realloc(image->copy, (image->copies + 1ul) * sizeof(*image->copy));
		struct copy *copy = calloc(1, sizeof(*copy));
		if (!image->copy || !copy)
			give_up("out of memory");
		image->copy[image->copies++] = copy;
	}
	return image->copy[number];
}

static size_t bytes_now(const struct image *image)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < image->parts; i++) {
		const struct part *part = &image->part[i];

		bytes += rounded(part->count ? *part->count * part->bytes : part->bytes);
	}
	return bytes;
}

void image_keep(struct image *image, unsigned number)
{
	struct copy *copy = copy_at(image, number);
	size_t bytes = bytes_now(image);

	if (bytes > copy->room) {
		free(copy->bytes);
		copy->room = bytes + bytes / 4;
		copy->bytes = malloc(copy->room);
		if (!copy->bytes)
			give_up("out of memory");
	}
	copy->used = bytes;
	char *to = copy->bytes;
	for (unsigned i = 0; i < image->parts; i++) {
		const struct part *part = &image->part[i];

		copy->count[i] = part->count ? *part->count : 1;
		bytes = copy->count[i] * part->bytes;
		if (bytes)
			memcpy(to, address_of(part), bytes);
		to += rounded(bytes);
	}
}

void image_bring_back(struct image *image, unsigned number)
{
	const struct copy *copy = image->copy[number];
	const char *from = copy->bytes;

	for (unsigned i = 0; i < image->parts; i++) {
		const struct part *part = &image->part[i];
		size_t bytes = copy->count[i] * part->bytes;

		if (bytes)
			memcpy(address_of(part), from, bytes);
		from += rounded(bytes);
	}
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)(a ^ 0x9e3779b97f4a7c15ul) *
				    (b ^ 0xe7037ed1a0b428dbul);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/*
 * Two words at a time: what is between the parts is not there, so what is left over of each is taken by
 * itself.
 */
static uint64_t hash_bytes(uint64_t hash, const char *at, size_t bytes)
{
	uint64_t word[2] = { 0, 0 };

	for (; bytes >= sizeof(word); at += sizeof(word), bytes -= sizeof(word)) {
		memcpy(word, at, sizeof(word));
		hash = mix(hash ^ word[0], word[1]);
	}
	word[0] = word[1] = 0;
	memcpy(word, at, bytes);
	return mix(hash ^ word[0], word[1] ^ bytes << 56);
}

uint64_t image_hash(const struct image *image)
{
	uint64_t hash = 0;

	for (unsigned i = 0; i < image->parts; i++) {
		const struct part *part = &image->part[i];

		if (part->count && !*part->count)
			continue;
		hash = hash_bytes(hash, address_of(part), (part->count ? *part->count : 1) * part->bytes);
	}
	return hash;
}

bool image_is(const struct image *image, unsigned number)
{
	const struct copy *copy = image->copy[number];
	const char *bytes = copy->bytes;

	for (unsigned i = 0; i < image->parts; i++) {
		const struct part *part = &image->part[i];
		uint32_t count = part->count ? *part->count : 1;

		if (count != copy->count[i] || memcmp(address_of(part), bytes, count * part->bytes) != 0)
			return false;
		bytes += rounded(count * part->bytes);
	}
	return true;
}

size_t image_bytes(const struct image *image, unsigned number)
{
	return number < image->copies ? image->copy[number]->used : 0;
}
