/*
 * model.c - what memory must contain: spaces, ranges and written pages, as plainly as can be.
 *
 * A space's ranges stand in a sorted array and are not merged: nothing observable depends on it. The pages
 * that were written stand in a treap (pages.h) by page number. Contents of a page that was written
 * privately: what the file held there when it was first written (its invented contents, and the words
 * others had written by then), and our words over it.
 */
#include "lab/replay/model.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/pages.h"

struct model_object {
	pthread_mutex_t lock;
	_Atomic unsigned references;
	uint64_t seed;
	uint64_t bytes;	    /* lock */
	uint64_t content;   /* lock: invented contents end here: the shortest the object ever was */
	struct pages pages; /* lock: by page of the object */
};

struct range {
	uint64_t start, end;
	unsigned prot, flags;
	struct model_object *object; /* referenced */
	uint64_t first;		     /* the object's page at `start` */
};

struct model_space {
	pthread_mutex_t lock;
	struct range *ranges; /* lock; ascending, disjoint */
	size_t count, room;
	struct pages pages; /* lock; by page number: private pages only */
};

/* ---- objects ---- */

void model_content(uint64_t seed, uint64_t index, void *page)
{
	pages_content(seed, index, page);
}

struct model_object *model_object_create(uint64_t seed, uint64_t bytes, bool zeroes)
{
	struct model_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	pthread_mutex_init(&object->lock, NULL);
	atomic_store_explicit(&object->references, 1, memory_order_relaxed);
	object->seed = seed;
	object->bytes = bytes;
	object->content = zeroes ? 0 : bytes;
	return object;
}

struct model_object *model_object_get(struct model_object *object)
{
	if (object)
		atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
	return object;
}

void model_object_put(struct model_object *object)
{
	/* Acquire and release: whoever frees it sees all that others did with it. */
	if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
		return;
	pages_drop(&object->pages, 0, UINT64_MAX);
	pthread_mutex_destroy(&object->lock);
	free(object);
}

uint64_t model_object_bytes(struct model_object *object)
{
	pthread_mutex_lock(&object->lock);
	uint64_t bytes = object->bytes;
	pthread_mutex_unlock(&object->lock);
	return bytes;
}

void model_object_resize(struct model_object *object, uint64_t bytes)
{
	pthread_mutex_lock(&object->lock);
	if (bytes < object->bytes) {
		uint64_t pages = (bytes + PAGES_BYTES - 1) / PAGES_BYTES;

		pages_drop(&object->pages, pages, UINT64_MAX);
		struct page *last = pages_find(&object->pages, bytes / PAGES_BYTES);
		if (last)
			page_zero(last, bytes % PAGES_BYTES, PAGES_BYTES);
		if (bytes < object->content)
			object->content = bytes;
	}
	object->bytes = bytes;
	pthread_mutex_unlock(&object->lock);
}

/* The object's page @index, made if need be. NULL: out of memory. Under its lock. */
static struct page *object_page(struct model_object *object, uint64_t index)
{
	struct page *page = pages_find(&object->pages, index);

	if (page)
		return page;
	page = pages_add(&object->pages, index);
	if (!page)
		return NULL;
	page->seed = object->seed;
	page->index = index;
	page->content = pages_part(object->content, index);
	return page;
}

void model_object_punch(struct model_object *object, uint64_t start, uint64_t bytes)
{
	uint64_t end = start + bytes;

	pthread_mutex_lock(&object->lock);
	if (end > object->bytes || end < start)
		end = (object->bytes + PAGES_BYTES - 1) / PAGES_BYTES * PAGES_BYTES;
	for (uint64_t at = start; at < end;) {
		uint64_t from = at % PAGES_BYTES;
		uint64_t to = end - at + from < PAGES_BYTES ? end - at + from : PAGES_BYTES;
		struct page *page = object_page(object, at / PAGES_BYTES);

		if (page)
			page_zero(page, from, to);
		at += to - from;
	}
	pthread_mutex_unlock(&object->lock);
}

uint64_t *model_object_written(struct model_object *object, size_t *count)
{
	pthread_mutex_lock(&object->lock);
	uint64_t *list = pages_list(&object->pages, count, 1);
	pthread_mutex_unlock(&object->lock);
	return list;
}

/* What page @index of @object holds, and how many bytes of it are known. Under its lock. */
static size_t object_contents(struct model_object *object, uint64_t index, unsigned char *out)
{
	struct page *page = pages_find(&object->pages, index);
	struct page fresh = { .seed = object->seed,
			      .index = index,
			      .content = pages_part(object->content, index) };

	page_contents(page ? page : &fresh, out);
	return pages_part(object->bytes, index);
}

static bool compare(const unsigned char *expected, const unsigned char *found, size_t known, uint64_t at,
		    struct model_bad *bad)
{
	if (memcmp(expected, found, known) == 0)
		return true;
	for (size_t i = 0; i < known; i += 8) {
		size_t bytes = known - i < 8 ? known - i : 8;

		if (memcmp(expected + i, found + i, bytes) == 0)
			continue;
		bad->at = at + i;
		bad->expected = bad->found = 0;
		memcpy(&bad->expected, expected + i, bytes);
		memcpy(&bad->found, found + i, bytes);
		return false;
	}
	return true;
}

bool model_object_check(struct model_object *object, uint64_t index, const void *page, struct model_bad *bad)
{
	unsigned char expected[PAGES_BYTES];

	pthread_mutex_lock(&object->lock);
	size_t known = object_contents(object, index, expected);
	pthread_mutex_unlock(&object->lock);
	return compare(expected, page, known, index * PAGES_BYTES, bad);
}

/* ---- ranges ---- */

struct model_space *model_space_create(void)
{
	struct model_space *space = calloc(1, sizeof(*space));

	if (space)
		pthread_mutex_init(&space->lock, NULL);
	return space;
}

void model_space_destroy(struct model_space *space)
{
	if (!space)
		return;
	for (size_t i = 0; i < space->count; i++)
		model_object_put(space->ranges[i].object);
	pages_drop(&space->pages, 0, UINT64_MAX);
	pthread_mutex_destroy(&space->lock);
	free(space->ranges);
	free(space);
}

/* The first range that ends above @addr; space->count if none. */
static size_t range_above(const struct model_space *space, uint64_t addr)
{
	size_t low = 0, high = space->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (space->ranges[middle].end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static struct range *range_at(struct model_space *space, uint64_t addr)
{
	size_t i = range_above(space, addr);

	return i < space->count && space->ranges[i].start <= addr ? &space->ranges[i] : NULL;
}

/* Put @range at place @i; its object's reference becomes the array's. */
static bool range_insert(struct model_space *space, size_t i, struct range range)
{
	if (space->count == space->room) {
		size_t room = space->room ? 2 * space->room : 32;
		struct range *more = realloc(space->ranges, room * sizeof(*more));

		if (!more)
			return false;
		space->ranges = more;
		space->room = room;
	}
	memmove(&space->ranges[i + 1], &space->ranges[i], (space->count - i) * sizeof(range));
	space->ranges[i] = range;
	space->count++;
	return true;
}

/* Let a range begin at @addr, if one contains it. */
static bool range_split(struct model_space *space, uint64_t addr)
{
	size_t i = range_above(space, addr);

	if (i == space->count || space->ranges[i].start >= addr)
		return true;
	struct range upper = space->ranges[i];

	upper.first += (addr - upper.start) / PAGES_BYTES;
	upper.start = addr;
	if (!range_insert(space, i + 1, upper))
		return false;
	model_object_get(upper.object);
	space->ranges[i].end = addr;
	return true;
}

/* Split at both ends: *first and *last are the ranges within [start, end), last not included. */
static bool range_within(struct model_space *space, uint64_t start, uint64_t end, size_t *first, size_t *last)
{
	if (!range_split(space, start) || !range_split(space, end))
		return false;
	*first = range_above(space, start);
	*last = *first;
	while (*last < space->count && space->ranges[*last].start < end)
		++*last;
	return true;
}

static bool ranges_unmap(struct model_space *space, uint64_t start, uint64_t end)
{
	size_t first, last;

	if (!range_within(space, start, end, &first, &last))
		return false;
	if (first == last)
		return true; /* pages lie in ranges only */
	for (size_t i = first; i < last; i++)
		model_object_put(space->ranges[i].object);
	memmove(&space->ranges[first], &space->ranges[last], (space->count - last) * sizeof(struct range));
	space->count -= last - first;
	pages_drop(&space->pages, start / PAGES_BYTES, end / PAGES_BYTES);
	return true;
}

bool model_map(struct model_space *space, uint64_t start, uint64_t length, unsigned prot, unsigned flags,
	       struct model_object *object, uint64_t first_page)
{
	struct range range = { start, start + length, prot, flags, object, first_page };

	pthread_mutex_lock(&space->lock);
	bool done = ranges_unmap(space, start, start + length) &&
		    range_insert(space, range_above(space, start), range);
	if (done)
		model_object_get(object);
	pthread_mutex_unlock(&space->lock);
	return done;
}

bool model_unmap(struct model_space *space, uint64_t start, uint64_t length)
{
	pthread_mutex_lock(&space->lock);
	bool done = ranges_unmap(space, start, start + length);
	pthread_mutex_unlock(&space->lock);
	return done;
}

bool model_protect(struct model_space *space, uint64_t start, uint64_t length, unsigned prot)
{
	size_t first, last;

	pthread_mutex_lock(&space->lock);
	bool done = range_within(space, start, start + length, &first, &last);
	uint64_t reached = start;
	for (size_t i = first; done && i < last && space->ranges[i].start == reached; i++) {
		space->ranges[i].prot = prot;
		reached = space->ranges[i].end;
	}
	pthread_mutex_unlock(&space->lock);
	return done;
}

bool model_set_flags(struct model_space *space, uint64_t start, uint64_t length, unsigned set, unsigned clear)
{
	size_t first, last;

	pthread_mutex_lock(&space->lock);
	bool done = range_within(space, start, start + length, &first, &last);
	for (size_t i = first; done && i < last; i++)
		space->ranges[i].flags = (space->ranges[i].flags | set) & ~clear;
	pthread_mutex_unlock(&space->lock);
	return done;
}

/* Grow the range that ends at @end by @bytes. */
static int range_extend(struct model_space *space, uint64_t end, uint64_t bytes)
{
	struct range *range = range_at(space, end - 1);

	if (!range)
		return -ENOENT;
	range->end += bytes;
	return 0;
}

/* A second mapping of the shared memory at @old. */
static int range_twin(struct model_space *space, uint64_t old, uint64_t to, uint64_t length)
{
	struct range *range = range_at(space, old);

	if (!range)
		return -ENOENT;
	struct range twin = *range;

	twin.first += (old - twin.start) / PAGES_BYTES;
	twin.start = to;
	twin.end = to + length;
	if (!ranges_unmap(space, to, to + length) || !range_insert(space, range_above(space, to), twin))
		return -ENOMEM;
	model_object_get(twin.object);
	return 0;
}

/*
 * Move [old, old + length) to @to; at @to there is nothing. With @leave_old the empty mapping stays behind.
 */
static bool ranges_move(struct model_space *space, uint64_t old, uint64_t length, uint64_t to, bool leave_old)
{
	size_t first, last;

	if (!range_within(space, old, old + length, &first, &last))
		return false;
	size_t count = last - first;
	struct range *moved = malloc((count + 1) * sizeof(*moved));
	if (!moved)
		return false;
	memcpy(moved, &space->ranges[first], count * sizeof(*moved));
	if (leave_old) {
		for (size_t i = 0; i < count; i++)
			model_object_get(moved[i].object);
	} else {
		memmove(&space->ranges[first], &space->ranges[last], (space->count - last) * sizeof(*moved));
		space->count -= count;
	}
	bool done = true;
	for (size_t i = 0; i < count && done; i++) {
		moved[i].start += to - old;
		moved[i].end += to - old;
		done = range_insert(space, range_above(space, moved[i].start), moved[i]);
	}
	free(moved);
	pages_shift(&space->pages, old / PAGES_BYTES, (old + length) / PAGES_BYTES, to / PAGES_BYTES);
	return done;
}

static int space_move(struct model_space *space, uint64_t old, uint64_t old_length, uint64_t to,
		      uint64_t length, bool leave_old)
{
	if (old_length == 0)
		return range_twin(space, old, to, length);
	if (!range_at(space, old))
		return -ENOENT;
	if (to != old && !ranges_unmap(space, to, to + length))
		return -ENOMEM;
	if (old_length > length) {
		if (!ranges_unmap(space, old + length, old + old_length))
			return -ENOMEM;
		old_length = length;
	}
	if (to != old && !ranges_move(space, old, old_length, to, leave_old))
		return -ENOMEM;
	return length > old_length ? range_extend(space, to + old_length, length - old_length) : 0;
}

int model_move(struct model_space *space, uint64_t old, uint64_t old_length, uint64_t to, uint64_t length,
	       bool leave_old)
{
	pthread_mutex_lock(&space->lock);
	int error = space_move(space, old, old_length, to, length, leave_old);
	pthread_mutex_unlock(&space->lock);
	return error;
}

bool model_grow(struct model_space *space, uint64_t addr)
{
	pthread_mutex_lock(&space->lock);
	size_t i = range_above(space, addr);
	bool grows = i < space->count && (space->ranges[i].flags & MODEL_GROWSDOWN) != 0;

	if (grows && addr < space->ranges[i].start)
		space->ranges[i].start = addr / PAGES_BYTES * PAGES_BYTES;
	pthread_mutex_unlock(&space->lock);
	return grows;
}

bool model_next(struct model_space *space, uint64_t addr, struct model_view *out)
{
	pthread_mutex_lock(&space->lock);
	size_t i = range_above(space, addr);
	bool found = i < space->count;

	if (found) {
		struct range *range = &space->ranges[i];

		*out = (struct model_view){ MODEL_FINE,	  range->prot,	range->flags, range->object,
					    range->first, range->start, range->end };
	}
	pthread_mutex_unlock(&space->lock);
	return found;
}

/* ---- pages ---- */

/* Pages in private mappings of [start, end); shared ones are not in space->pages anyway. */
void model_discard(struct model_space *space, uint64_t start, uint64_t length)
{
	pthread_mutex_lock(&space->lock);
	pages_drop(&space->pages, start / PAGES_BYTES, (start + length) / PAGES_BYTES);
	pthread_mutex_unlock(&space->lock);
}

void model_free(struct model_space *space, uint64_t start, uint64_t length)
{
	pthread_mutex_lock(&space->lock);
	pages_lend(&space->pages, start / PAGES_BYTES, (start + length) / PAGES_BYTES);
	pthread_mutex_unlock(&space->lock);
}

void model_remove(struct model_space *space, uint64_t start, uint64_t length)
{
	pthread_mutex_lock(&space->lock);
	for (size_t i = range_above(space, start); i < space->count; i++) {
		struct range *range = &space->ranges[i];
		uint64_t from = range->start > start ? range->start : start;
		uint64_t to = range->end < start + length ? range->end : start + length;

		if (from >= to)
			break;
		if (range->object)
			model_object_punch(range->object, range->first * PAGES_BYTES + (from - range->start),
					   to - from);
	}
	pthread_mutex_unlock(&space->lock);
}

void model_cut(struct model_space *space, struct model_object *object, uint64_t bytes)
{
	uint64_t pages = (bytes + PAGES_BYTES - 1) / PAGES_BYTES;

	pthread_mutex_lock(&space->lock);
	for (size_t i = 0; i < space->count; i++) {
		struct range *range = &space->ranges[i];
		uint64_t keep = pages > range->first ? pages - range->first : 0;

		if (range->object == object && keep < (range->end - range->start) / PAGES_BYTES)
			pages_drop(&space->pages, range->start / PAGES_BYTES + keep,
				   range->end / PAGES_BYTES);
	}
	pthread_mutex_unlock(&space->lock);
}

struct model_space *model_space_fork(struct model_space *space)
{
	struct model_space *child = model_space_create();
	bool done = child != NULL;

	pthread_mutex_lock(&space->lock);
	for (size_t i = 0; done && i < space->count; i++) {
		const struct range *range = &space->ranges[i];

		if (range->flags & MODEL_DONTFORK)
			continue;
		done = range_insert(child, child->count, *range);
		if (!done)
			break;
		model_object_get(range->object);
		if (!(range->flags & (MODEL_SHARED | MODEL_WIPEONFORK)))
			done = pages_copy(&child->pages, &space->pages, range->start / PAGES_BYTES,
					  range->end / PAGES_BYTES);
	}
	pthread_mutex_unlock(&space->lock);
	if (done)
		return child;
	model_space_destroy(child);
	return NULL;
}

static enum model_outcome outcome(struct range *range, uint64_t page, unsigned access)
{
	/* What the hardware cannot tell apart, the kernel allows: whatever is mapped at all may be read. */
	unsigned needs = access == MODEL_READ ? MODEL_READ | MODEL_WRITE | MODEL_EXEC : access;

	if (!(range->prot & needs))
		return MODEL_ACCERR;
	if (range->object && page * PAGES_BYTES >= model_object_bytes(range->object))
		return MODEL_BUS;
	return MODEL_FINE;
}

struct model_view model_look(struct model_space *space, uint64_t addr, unsigned access)
{
	struct model_view view = { .outcome = MODEL_MAPERR };

	pthread_mutex_lock(&space->lock);
	size_t i = range_above(space, addr);
	if (i < space->count) {
		struct range *range = &space->ranges[i];

		view.prot = range->prot;
		view.flags = range->flags;
		view.object = range->object;
		view.start = range->start;
		view.end = range->end;
		if (range->start <= addr) {
			view.page = range->first + (addr - range->start) / PAGES_BYTES;
			view.outcome = outcome(range, view.page, access);
		} else if (range->flags & MODEL_GROWSDOWN) {
			view.outcome = MODEL_GROWS;
		}
	}
	pthread_mutex_unlock(&space->lock);
	return view;
}

/*
 * The private page at @addr of @range, made as a copy of what it shows now if need be. NULL: out of memory.
 */
static struct page *private_page(struct model_space *space, struct range *range, uint64_t addr)
{
	struct page *page = pages_find(&space->pages, addr / PAGES_BYTES);

	if (page)
		return page;
	page = pages_add(&space->pages, addr / PAGES_BYTES);
	if (!page || !range->object)
		return page;
	struct model_object *object = range->object;
	uint64_t index = range->first + (addr - range->start) / PAGES_BYTES;

	page->seed = object->seed;
	page->index = index;
	pthread_mutex_lock(&object->lock);
	page->content = pages_part(object->content, index);
	page->known = pages_part(object->bytes, index);
	struct page *shared = pages_find(&object->pages, index);
	bool done = !shared || page_copy_words(page, shared);
	if (shared)
		page->content = shared->content;
	pthread_mutex_unlock(&object->lock);
	return done ? page : NULL;
}

bool model_store(struct model_space *space, uint64_t addr, uint64_t value)
{
	bool done = false;

	pthread_mutex_lock(&space->lock);
	struct range *range = range_at(space, addr);
	if (range && (range->flags & MODEL_SHARED) && range->object) {
		struct model_object *object = range->object;

		pthread_mutex_lock(&object->lock);
		struct page *page = object_page(object, range->first + (addr - range->start) / PAGES_BYTES);
		done = page && page_store(page, addr % PAGES_BYTES, value);
		pthread_mutex_unlock(&object->lock);
	} else if (range) {
		struct page *page = private_page(space, range, addr);

		done = page && page_store(page, addr % PAGES_BYTES, value);
	}
	pthread_mutex_unlock(&space->lock);
	return done;
}

/* What the page at @addr must hold; returns how many bytes of it are known. Under the space's lock. */
static size_t space_contents(struct model_space *space, uint64_t addr, unsigned char *out)
{
	struct page *page = pages_find(&space->pages, addr / PAGES_BYTES);
	struct range *range = range_at(space, addr);

	if (page) {
		page_contents(page, out);
		return page->known;
	}
	memset(out, 0, PAGES_BYTES);
	if (!range || !range->object)
		return PAGES_BYTES;
	pthread_mutex_lock(&range->object->lock);
	size_t known = object_contents(range->object, range->first + (addr - range->start) / PAGES_BYTES,
				       out);
	pthread_mutex_unlock(&range->object->lock);
	return known;
}

bool model_check(struct model_space *space, uint64_t addr, const void *page, struct model_bad *bad)
{
	unsigned char expected[PAGES_BYTES];

	addr = addr / PAGES_BYTES * PAGES_BYTES;
	pthread_mutex_lock(&space->lock);
	size_t known = space_contents(space, addr, expected);
	bool same = compare(expected, page, known, addr, bad);
	struct page *lent = same ? NULL : pages_find(&space->pages, addr / PAGES_BYTES);
	if (lent && lent->lent) {
		/* MADV_FREE: then the page may also have been taken, and be zero but for what came after. */
		page_take(lent);
		known = space_contents(space, addr, expected);
		same = compare(expected, page, known, addr, bad);
	}
	pthread_mutex_unlock(&space->lock);
	return same;
}

uint64_t *model_written(struct model_space *space, size_t *count)
{
	pthread_mutex_lock(&space->lock);
	uint64_t *list = pages_list(&space->pages, count, PAGES_BYTES);
	pthread_mutex_unlock(&space->lock);
	return list;
}
