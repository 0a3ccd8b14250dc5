/*
 * lines.c - who has which cache line, and what it costs to get it.
 *
 *	nobody --any--> one: may read and write --another reads--> several: may read
 *	                 ^-----------------------one writes-------------'
 *
 * Every other change of hands is a transfer, and the line is busy until it ends. What nobody had yet comes
 * from memory, for the same price, at no cost to others. Copies and fills of frames have many lines under
 * way at once: a whole block is as one line.
 *
 * What another CPU does cannot be noticed sooner than a transfer later. So a CPU that has the lines it needs
 * may be so much ahead of the others; before a transfer it is not.
 */
#include "inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { USES = 1 << 16 };

/* What was paid for a line at one place of the source. */
struct paid {
	uintptr_t line; /* its number; 0: free */
	struct model_use use;
};

static struct paid paid[USES];
static unsigned paid_count;

static void *reserve(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int lines_create(struct model *model)
{
	model->lines = reserve(model->region_bytes / MODEL_LINE * sizeof(struct line));
	model->blocks = reserve(model->config.frames * sizeof(struct line));
	model->written = reserve(model->config.frames * sizeof(bool));
	return model->lines && model->blocks && model->written ? 0 : -QUIRE_ENOMEM;
}

static void note(struct model_cpu *me, uintptr_t line, const void *code, uint64_t transfers, uint64_t waited)
{
	if (!model_now.counting)
		return;
	me->counts.transfers += transfers;
	me->counts.waited += waited;
	size_t at = (line * 31 + (uintptr_t)code) * 0x9e3779b97f4a7c15u >> 48;

	for (; paid[at].line; at = (at + 1) % USES)
		if (paid[at].line == line && paid[at].use.code == code)
			break;
	if (!paid[at].line) {
		/* Full: what comes late is cheap. */
		if (paid_count == USES / 2)
			return;
		paid_count++;
		paid[at].line = line;
		paid[at].use.code = code;
	}
	paid[at].use.transfers += transfers;
	paid[at].use.waited += waited;
}

void lines_note(struct model_cpu *me, uintptr_t address, uint64_t waited, const void *code)
{
	note(me, address / MODEL_LINE, code, 0, waited);
}

static bool has(const struct line *line, unsigned id)
{
	return line->has[id / 64] >> id % 64 & 1;
}

static void have(struct line *line, unsigned id, bool alone)
{
	if (alone) {
		memset(line->has, 0, sizeof(line->has));
		line->count = 0;
	}
	line->has[id / 64] |= 1ul << id % 64;
	line->count++;
	line->last = id;
}

static void transfer(struct model_cpu *me, struct line *line, bool write, uintptr_t name, const void *code)
{
	uint64_t began = me->clock;

	if (line->count && me->clock < line->busy)
		me->clock = line->busy;
	me->clock += model_now.config.costs.transfer;
	if (line->count) {
		line->busy = me->clock;
		note(me, name, code, 1, me->clock - began);
	}
	have(line, me->id, write);
}

static bool is_hit(const struct model_cpu *me, const struct line *line, bool write)
{
	return (line->count == 1 && line->last == me->id) || (!write && has(line, me->id));
}

static void want(struct model_cpu *me, struct line *line, bool write, uintptr_t name, const void *code)
{
	if (is_hit(me, line, write)) {
		take_turn_within(me, model_now.config.costs.transfer);
		return;
	}
	take_turn_within(me, 0);
	/* Others' turns may have brought it, or taken it away. */
	if (!is_hit(me, line, write))
		transfer(me, line, write, name, code);
}

void lines_touch(struct model_cpu *me, uintptr_t address, size_t bytes, bool write, const void *code)
{
	uintptr_t offset = address - (uintptr_t)model_now.region, last = offset + bytes - 1;

	for (uintptr_t line = offset / MODEL_LINE; line <= last / MODEL_LINE; line++)
		want(me, &model_now.lines[line], write, (uintptr_t)model_now.region / MODEL_LINE + line,
		     code);
}

void lines_block(struct model_cpu *me, uintptr_t address, bool write, const void *code)
{
	uintptr_t offset = address - (uintptr_t)model_now.memory;

	if (offset < model_now.memory_bytes)
		want(me, &model_now.blocks[offset >> QUIRE_PAGE_SHIFT], write, address / MODEL_LINE, code);
}

/* ---- the dearest --------------------------------------------------------------------------------------- */

static int by_line(const void *a, const void *b)
{
	const struct paid *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? 1 : -1; /* free ones last */
	if (x->use.waited != y->use.waited)
		return x->use.waited < y->use.waited ? 1 : -1;
	return x->use.code < y->use.code ? -1 : x->use.code > y->use.code;
}

static unsigned insert(struct model_line *lines, unsigned count, unsigned most, const struct model_line *line)
{
	unsigned at = count;

	while (at && lines[at - 1].waited < line->waited)
		at--;
	if (at == most)
		return count;
	count += count < most;
	memmove(&lines[at + 1], &lines[at], (count - 1 - at) * sizeof(*lines));
	lines[at] = *line;
	return count;
}

unsigned model_dearest(struct model_line *lines, unsigned most)
{
	unsigned count = 0;

	qsort(paid, USES, sizeof(paid[0]), by_line);
	for (unsigned i = 0; i < USES && paid[i].line;) {
		struct model_line line = { .address = paid[i].line * MODEL_LINE };

		for (unsigned n = 0; i < USES && paid[i].line * MODEL_LINE == line.address; i++, n++) {
			line.transfers += paid[i].use.transfers;
			line.waited += paid[i].use.waited;
			if (n < MODEL_USES)
				line.use[n] = paid[i].use;
		}
		count = insert(lines, count, most, &line);
	}
	model_now.counting = false; /* sorted, it is no table any more */
	return count;
}
