/*
 * history.c - what every word of physical memory has held, and since when.
 *
 * A TLB entry is an old value of a table's word. So the words of physical memory keep their values: all of
 * them, for a frame's data may be walked as a table by a CPU that was not told that it is none any more. The
 * source is what reaches memory, whoever stores it: the core's atomics and plain stores (memory.h tells), the
 * port's copies, the user's program, hardware's own accessed bits.
 *
 *	word	newest -> version: value, since, by whom, frame's life, life of what it leads to
 *			     |
 *			     v before
 *			  version -> ... -> version 0: what memory held at first
 *
 * A version that could be cached (present, accessed) and ends is what flushes are about: the step that ends
 * it and the steps that flush may come in either order, so they conflict (PLACE_ORDER, PLACE_ORDERS): see
 * mmu.c.
 *
 * While nothing is scheduled nobody tells of changes; then all of memory is compared before anything else is
 * noted, and what was freed and taken again in between is the same to us, but for the lives.
 *
 * Versions of set-up stay; an execution's are cut off when the next begins.
 */
#include "inside.h"

#include "../softmmu/x86.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_VALUE ((uint64_t)POISON << 32) /* of memory that was never used */

static struct history *history(void)
{
	return &machine_now->history;
}

int history_create(struct machine *machine)
{
	struct history *h = &machine->history;

	h->words = (uint32_t)(machine->memory_bytes / WORD);
	h->newest = calloc(h->words, sizeof(*h->newest));
	h->frozen = calloc(h->words, sizeof(*h->frozen));
	h->dirty = calloc(h->words, sizeof(*h->dirty));
	h->room = 1u << 16;
	h->version = calloc(h->room, sizeof(*h->version));
	if (!h->newest || !h->frozen || !h->dirty || !h->version)
		return -ENOMEM;
	h->version[0] = (struct version){ .value = FIRST_VALUE, .thread = OUTSIDE };
	h->count = 1;
	for (uint64_t *word = (void *)machine->memory; (char *)word < machine->memory + machine->memory_bytes;
	     word++)
		*word = FIRST_VALUE;
	return 0;
}

void history_destroy(struct machine *machine)
{
	struct history *h = &machine->history;

	free(h->newest);
	free(h->frozen);
	free(h->dirty);
	free(h->version);
}

void history_freeze(struct machine *machine)
{
	struct history *h = &machine->history;

	memcpy(h->frozen, h->newest, h->words * sizeof(*h->newest));
	h->frozen_count = h->count;
	h->dirty_count = 0;
}

void history_reset(struct machine *machine)
{
	struct history *h = &machine->history;

	for (uint32_t i = 0; i < h->dirty_count; i++)
		h->newest[h->dirty[i]] = h->frozen[h->dirty[i]];
	h->dirty_count = 0;
	h->count = h->frozen_count;
}

/* Versions are never changed. */
void history_image(struct machine *machine, struct image *image)
{
	struct history *h = &machine->history;

	image_add(image, &h->count, sizeof(h->count));
	image_add(image, &h->dirty_count, sizeof(h->dirty_count));
	image_add(image, h->newest, h->words * sizeof(*h->newest));
	image_add_some(image, h->dirty, &h->dirty_count, sizeof(*h->dirty));
}

static uint32_t word_of(uintptr_t address)
{
	return (uint32_t)((address - (uintptr_t)machine_now->memory) / WORD);
}

static uintptr_t word_address(uint32_t word)
{
	return (uintptr_t)machine_now->memory + (uintptr_t)word * WORD;
}

uint32_t history_index(uintptr_t address)
{
	return history()->newest[word_of(address)];
}

const struct version *history_newest(uintptr_t address)
{
	return &history()->version[history_index(address)];
}

/* ---- entries ---------------------------------------------------------------------------------------- */

static bool may_be_cached(uint64_t value)
{
	return (value & (X86_P | X86_A)) == (X86_P | X86_A);
}

static quire_pfn target_of(uint64_t value)
{
	return (value & X86_FRAME_MASK) >> X86_FRAME_SHIFT;
}

/* Life of the frame that a present entry leads to. */
static uint32_t target_life(uint64_t value)
{
	quire_pfn pfn = target_of(value);

	if (!(value & X86_P) || pfn >= machine_now->config.frames)
		return 0;
	return life_of(pfn)->number;
}

/* Does what was cached from @old differ from what @value says, but for bits that hardware adds? */
static bool ends(uint64_t old, uint64_t value)
{
	return may_be_cached(old) && (old | X86_A | X86_D) != (value | X86_A | X86_D);
}

static bool is_table(quire_pfn pfn)
{
	return folio_at(pfn)->kind == FOLIO_TABLE;
}

static void note_parent(uintptr_t address, uint64_t value)
{
	quire_pfn child = target_of(value);

	if ((value & (X86_P | X86_PS)) != X86_P || !child || child >= machine_now->config.frames)
		return;
	if (is_table(child) && is_table(frame_of(machine_now, address)))
		machine_now->life[child].parent = address;
}

/* ---- noting ----------------------------------------------------------------------------------------- */

static void push(uint32_t word, uint64_t value, const struct life *life)
{
	struct history *h = history();
	uint32_t before = h->newest[word];

	if (h->count == h->room) {
		h->version = realloc(h->version, (size_t)h->room * 2 * sizeof(*h->version));
		if (!h->version)
			abort();
		h->room *= 2;
	}
	if (machine_now->frozen && before < h->frozen_count)
		h->dirty[h->dirty_count++] = word;
	h->version[h->count] = (struct version){
		.value = value,
		.from = machine_now->time,
		.before = before,
		.step = engine_step_now(),
		.life = life->alive ? life->number : 0,
		.target = target_life(value),
		.thread = (uint8_t)actor(),
	};
	h->newest[word] = h->count++;
}

/* Returns whether a translation that may be cached ended. */
static bool note_word(uint32_t word)
{
	uintptr_t address = word_address(word);
	uint64_t value = *(const uint64_t *)address;
	const struct version *newest = &history()->version[history()->newest[word]];
	uint64_t old = newest->value;
	const struct life *life = life_of(frame_of(machine_now, address));

	bool same = old == value && newest->life == (life->alive ? life->number : 0);
	if (same && (engine_now || newest->target == target_life(value)))
		return false;
	push(word, value, life);
	note_parent(address, value);
	if (!engine_now || !ends(old, value) || !is_table(frame_of(machine_now, address)))
		return false;
	engine_touch(place(PLACE_ORDER, address), TOUCH_ADD);
	return true;
}

void history_note(uintptr_t address, size_t bytes)
{
	bool ended = false;

	if (!engine_now && machine_now->frozen)
		return;
	machine_now->time++;
	for (uint32_t word = word_of(address); word_address(word) < address + bytes; word++)
		ended |= note_word(word);
	if (ended)
		engine_touch(place(PLACE_ORDERS, 0), TOUCH_ADD);
}
