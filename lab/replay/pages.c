/*
 * pages.c - the treap of written pages, and what a page holds.
 */
#include "lab/replay/pages.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	return x ^ (x >> 32);
}

/* ---- the treap ---- */

struct page *pages_find(const struct pages *pages, uint64_t number)
{
	struct page *page = pages->root;

	while (page && page->number != number)
		page = number < page->number ? page->left : page->right;
	return page;
}

/* Split @tree: pages below @number to *left, the others to *right. */
static void split(struct page *tree, uint64_t number, struct page **left, struct page **right)
{
	while (tree) {
		if (tree->number < number) {
			*left = tree;
			left = &tree->right;
			tree = tree->right;
		} else {
			*right = tree;
			right = &tree->left;
			tree = tree->left;
		}
	}
	*left = *right = NULL;
}

/* Everything in @left is below everything in @right. */
static struct page *merge(struct page *left, struct page *right)
{
	struct page *root = NULL, **place = &root;

	while (left && right) {
		if (left->priority > right->priority) {
			*place = left;
			place = &left->right;
			left = left->right;
		} else {
			*place = right;
			place = &right->left;
			right = right->left;
		}
	}
	*place = left ? left : right;
	return root;
}

static void insert(struct pages *pages, struct page *page)
{
	struct page *left, *right;

	split(pages->root, page->number, &left, &right);
	pages->root = merge(merge(left, page), right);
}

/* Take [first, end) out of the tree. */
static struct page *cut(struct pages *pages, uint64_t first, uint64_t end)
{
	struct page *left, *middle, *right;

	split(pages->root, first, &left, &middle);
	split(middle, end, &middle, &right);
	pages->root = merge(left, right);
	return middle;
}

struct page *pages_add(struct pages *pages, uint64_t number)
{
	struct page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->number = number;
	page->priority = mix(number);
	page->known = PAGES_BYTES;
	insert(pages, page);
	return page;
}

static void free_tree(struct page *tree)
{
	if (!tree)
		return;
	free_tree(tree->left);
	free_tree(tree->right);
	free(tree->words);
	free(tree);
}

void pages_drop(struct pages *pages, uint64_t first, uint64_t end)
{
	free_tree(cut(pages, first, end));
}

static void lend(struct page *page, uint64_t first, uint64_t end)
{
	if (!page)
		return;
	if (page->number > first)
		lend(page->left, first, end);
	if (page->number < end)
		lend(page->right, first, end);
	if (page->number < first || page->number >= end)
		return;
	page->lent = true;
	for (size_t i = 0; i < page->count; i++)
		page->words[i].after = false;
}

void pages_lend(struct pages *pages, uint64_t first, uint64_t end)
{
	lend(pages->root, first, end);
}

/* Priorities follow the number, so moved pages are put in one by one. */
static void put_shifted(struct pages *pages, struct page *tree, uint64_t shift)
{
	if (!tree)
		return;
	struct page *left = tree->left, *right = tree->right;

	tree->left = tree->right = NULL;
	tree->number += shift;
	tree->priority = mix(tree->number);
	insert(pages, tree);
	put_shifted(pages, left, shift);
	put_shifted(pages, right, shift);
}

void pages_shift(struct pages *pages, uint64_t first, uint64_t end, uint64_t to)
{
	put_shifted(pages, cut(pages, first, end), to - first);
}

static bool copy_tree(struct pages *to, const struct page *from, uint64_t first, uint64_t end)
{
	if (!from)
		return true;
	if (from->number > first && !copy_tree(to, from->left, first, end))
		return false;
	if (from->number < end && !copy_tree(to, from->right, first, end))
		return false;
	if (from->number < first || from->number >= end)
		return true;
	struct page *page = pages_add(to, from->number);

	if (!page)
		return false;
	page->seed = from->seed;
	page->index = from->index;
	page->content = from->content;
	page->known = from->known;
	page->lent = from->lent;
	return page_copy_words(page, from);
}

bool pages_copy(struct pages *to, const struct pages *from, uint64_t first, uint64_t end)
{
	return copy_tree(to, from->root, first, end);
}

static size_t count_tree(const struct page *tree)
{
	return tree ? count_tree(tree->left) + 1 + count_tree(tree->right) : 0;
}

static uint64_t *list_tree(const struct page *tree, uint64_t *out, uint64_t scale)
{
	if (!tree)
		return out;
	out = list_tree(tree->left, out, scale);
	*out++ = tree->number * scale;
	return list_tree(tree->right, out, scale);
}

uint64_t *pages_list(const struct pages *pages, size_t *count, uint64_t scale)
{
	*count = count_tree(pages->root);
	uint64_t *list = malloc((*count + 1) * sizeof(*list));

	if (list)
		list_tree(pages->root, list, scale);
	else
		*count = 0;
	return list;
}

/* ---- a page ---- */

void pages_content(uint64_t seed, uint64_t index, void *page)
{
	uint64_t start = mix(seed * 0x9e3779b97f4a7c15u ^ mix(index + 1));
	uint64_t word;

	for (size_t i = 0; i < PAGES_BYTES; i += sizeof(word)) {
		word = (start + i) * 0xda942042e4dd58b5u;
		word ^= word >> 29;
		memcpy((char *)page + i, &word, sizeof(word));
	}
}

size_t pages_part(uint64_t bytes, uint64_t index)
{
	if (bytes / PAGES_BYTES > index)
		return PAGES_BYTES;
	return bytes / PAGES_BYTES == index ? bytes % PAGES_BYTES : 0;
}

bool page_store(struct page *page, unsigned at, uint64_t value)
{
	struct word *word = NULL;

	for (size_t i = 0; i < page->count; i++)
		if (page->words[i].at == at)
			word = &page->words[i];
	if (!word && page->count == page->room) {
		size_t room = page->room ? 2 * page->room : 2;
		struct word *more = realloc(page->words, room * sizeof(*more));

		if (!more)
			return false;
		page->words = more;
		page->room = room;
	}
	if (!word)
		word = &page->words[page->count++];
	*word = (struct word){ .at = (uint16_t)at, .after = page->lent, .value = value };
	return true;
}

void page_zero(struct page *page, size_t from, size_t to)
{
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++) {
		struct word word = page->words[i];

		/* The bytes of a word that are zeroed, by a mask that keeps the others. */
		for (size_t byte = 0; byte < sizeof(word.value); byte++)
			if (word.at + byte >= from && word.at + byte < to)
				((unsigned char *)&word.value)[byte] = 0;
		page->words[kept++] = word;
	}
	if (from < page->content && to >= page->content)
		page->content = from;
	else if (from < page->content)
		for (size_t at = from / 8 * 8; at < to; at += 8) {
			unsigned char now[PAGES_BYTES];
			uint64_t value;

			page_contents(page, now);
			if (at >= from && at + 8 <= to) {
				value = 0;
			} else {
				size_t first = at > from ? at : from, end = at + 8 < to ? at + 8 : to;

				memset(now + first, 0, end - first);
				memcpy(&value, now + at, sizeof(value));
			}
			page_store(page, (unsigned)at, value);
		}
}

bool page_copy_words(struct page *to, const struct page *from)
{
	if (!from->count)
		return true;
	to->words = malloc(from->count * sizeof(*to->words));
	if (!to->words)
		return false;
	memcpy(to->words, from->words, from->count * sizeof(*to->words));
	to->count = to->room = from->count;
	return true;
}

void page_take(struct page *page)
{
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++)
		if (page->words[i].after)
			page->words[kept++] = page->words[i];
	page->count = kept;
	page->content = 0;
	page->lent = false;
}

void page_contents(const struct page *page, void *out)
{
	if (page->content)
		pages_content(page->seed, page->index, out);
	memset((char *)out + page->content, 0, PAGES_BYTES - page->content);
	for (size_t i = 0; i < page->count; i++)
		memcpy((char *)out + page->words[i].at, &page->words[i].value, sizeof(page->words[i].value));
}
