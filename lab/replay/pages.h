/*
 * pages.h - the model's map from page numbers to what was written there.
 *
 * A treap: a search tree by page number that is a heap by a hash of it, so that it is balanced without
 * effort and ranges are cut out and put back by split and merge. A page holds the words that were written
 * over its first contents.
 */
#ifndef LAB_REPLAY_PAGES_H
#define LAB_REPLAY_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/geometry.h>

#define PAGES_BYTES QUIRE_PAGE_SIZE

struct word {
	uint16_t at; /* byte in the page */
	bool after;  /* written after the page was lent */
	uint64_t value;
};

struct page {
	uint64_t number;
	struct page *left, *right;
	uint64_t priority;
	uint64_t seed, index; /* whose invented contents it began with */
	size_t content;	      /* bytes of them; the rest is zero */
	size_t known;	      /* bytes that can be told: less in a file's last page */
	bool lent;	      /* MADV_FREE: may turn into zeroes */
	struct word *words;
	size_t count, room;
};

struct pages {
	struct page *root;
};

void pages_content(uint64_t seed, uint64_t index, void *page);

/* How many of the first @bytes lie in page @index. */
size_t pages_part(uint64_t bytes, uint64_t index);

struct page *pages_find(const struct pages *pages, uint64_t number);
struct page *pages_add(struct pages *pages, uint64_t number); /* zeroes; NULL: out of memory */
void pages_drop(struct pages *pages, uint64_t first, uint64_t end);
void pages_lend(struct pages *pages, uint64_t first, uint64_t end);
void pages_shift(struct pages *pages, uint64_t first, uint64_t end, uint64_t to);
bool pages_copy(struct pages *to, const struct pages *from, uint64_t first, uint64_t end);
uint64_t *pages_list(const struct pages *pages, size_t *count, uint64_t scale); /* numbers times @scale */

bool page_store(struct page *page, unsigned at, uint64_t value);
void page_zero(struct page *page, size_t from, size_t to);
bool page_copy_words(struct page *to, const struct page *from);
void page_take(struct page *page); /* a lent page was taken: zero but for what was written after */
void page_contents(const struct page *page, void *out);

#endif
