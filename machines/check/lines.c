/*
 * lines.c - which cache lines the columns of a run share: several touch one, and one of them writes to it.
 *
 * Operations that share none scale; those that commute and share some could (VMA-6). Counted are the core's
 * accesses, atomic and plain, and a lock's, given back or taken, as a write of its word; not the data of
 * programs, nor what walkers read. One execution is enough: what an operation touches hardly depends on when
 * it runs. What agents touch (grace periods, store buffers) is nobody's.
 *
 * Rules:   VMA-6.
 */
#include "memory.h"

#include <string.h>

enum { SLOTS = 1 << 13, LINE = 64 };

bool lines_are_noted;

static struct {
	unsigned columns, count;
	struct line slot[SLOTS];
} lines;

void lines_begin(unsigned columns)
{
	memset(&lines, 0, sizeof(lines));
	lines.columns = columns;
	lines_are_noted = true;
}

static struct line *line_at(uintptr_t address)
{
	uintptr_t line = address / LINE;

	for (size_t at = line * 0x9e3779b97f4a7c15u >> 51;; at = (at + 1) % SLOTS)
		if (!lines.slot[at].address || lines.slot[at].address == line * LINE) {
			lines.count += !lines.slot[at].address;
			lines.slot[at].address = line * LINE;
			return &lines.slot[at];
		}
}

static void use(struct line_use *use, uintptr_t address, bool write, const void *code)
{
	if (use->used && (use->writes || !write))
		return;
	*use = (struct line_use){ .used = true, .writes = write, .address = address, .code = code };
}

void lines_note(uintptr_t address, size_t bytes, bool write, const void *code)
{
	unsigned thread = engine_self();

	if (!engine_now || thread >= lines.columns)
		return;
	/* No execution comes near to what there is room for. */
	for (uintptr_t at = address; at < address + bytes && lines.count < SLOTS / 2;
	     at = (at / LINE + 1) * LINE)
		use(&line_at(at)->use[thread], at, write, code);
}

static bool is_shared(const struct line *line)
{
	unsigned users = 0, writers = 0;

	for (unsigned i = 0; i < lines.columns; i++) {
		users += line->use[i].used;
		writers += line->use[i].writes;
	}
	return users > 1 && writers;
}

const struct line *lines_next(const struct line *line)
{
	for (line = line ? line + 1 : lines.slot; line < lines.slot + SLOTS; line++)
		if (line->address && is_shared(line))
			return line;
	return NULL;
}
