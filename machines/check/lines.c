/*
 * lines.c - which cache lines the columns of a run share: several touch one, and one of them writes to it.
 *
 * Operations that share none scale; those that commute and share some could (VMA-6). Counted are the core's
 * accesses, atomic and plain, and a lock's, given back or taken, as a write of its word; not the data of
 * programs, nor what walkers read. One execution is enough: what an operation touches hardly depends on when
 * it runs. What agents touch (grace periods, store buffers) is nobody's.
 *
 *	touches, by where they begin and by column  -- sorted -->  [line: P0 ..., P1 ...] [line: P1 ...] ...
 *
 * Rules:   VMA-6.
 */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 1 << 15, LINE = 64, PART = 8 }; /* a larger access is one of each of its parts */

bool lines_are_noted;

static struct {
	unsigned columns;
	size_t count;
	struct touch slot[SLOTS];
	struct touch *sorted[SLOTS / 2];
} lines;

void lines_begin(unsigned columns)
{
	memset(&lines, 0, sizeof(lines));
	lines.columns = columns;
	lines_are_noted = true;
}

static struct touch *touch_at(uintptr_t address, unsigned column)
{
	for (size_t at = (address * 16 + column) * 0x9e3779b97f4a7c15u >> 49;; at = (at + 1) % SLOTS) {
		struct touch *touch = &lines.slot[at];

		if (!touch->address) {
			/* No execution comes near to what there is room for. */
			if (lines.count == SLOTS / 2)
				return NULL;
			lines.sorted[lines.count++] = touch;
			*touch = (struct touch){ .address = address, .column = column };
		}
		if (touch->address == address && touch->column == column)
			return touch;
	}
}

void lines_note(uintptr_t address, size_t bytes, bool write, const void *code)
{
	unsigned thread = engine_self();

	if (!engine_now || thread >= lines.columns)
		return;
	for (uintptr_t at = address; at < address + bytes; at = (at / PART + 1) * PART) {
		struct touch *touch = touch_at(at, thread);

		if (touch && write && !touch->writes)
			touch->writes = code;
		else if (touch && !write && !touch->reads)
			touch->reads = code;
	}
}

/* ---- afterwards ---------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct touch *x = *(struct touch *const *)a, *y = *(struct touch *const *)b;

	if (x->address / LINE != y->address / LINE)
		return x->address < y->address ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return (x->address > y->address) - (x->address < y->address);
}

static bool is_shared(struct touch *const *touches, size_t count)
{
	bool writes = false;

	for (size_t i = 0; i < count; i++)
		writes |= touches[i]->writes != NULL;
	return writes && touches[0]->column != touches[count - 1]->column;
}

struct touch *const *lines_next(struct touch *const *after, size_t *count)
{
	struct touch *const *end = lines.sorted + lines.count;

	if (!after)
		qsort(lines.sorted, lines.count, sizeof(lines.sorted[0]), compare);
	for (struct touch *const *at = after ? after + *count : lines.sorted; at < end; at += *count) {
		*count = 1;
		while (at + *count < end && at[*count]->address / LINE == at[0]->address / LINE)
			++*count;
		if (is_shared(at, *count))
			return at;
	}
	return NULL;
}
