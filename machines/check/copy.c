/*
 * copy.c - copies and fills of frames' contents, which other CPUs and devices may be reading and writing.
 *
 * What can be seen by others is moved in two halves, a step each: a store or a device's write between them is
 * real, and the copy torn. A single word is moved at once. What nobody else can reach is moved without a
 * step: a frame that is free, and one that has only just been taken (one reference, no mapping, not of a
 * file). That nobody else can reach it is not believed: whoever does it through an old translation is caught
 * by the lives of frames (frames.c), at whatever moment he comes.
 *
 * Filling a fresh frame counts as a plain store for races: a descent of the core's that still reads it as the
 * table that it was before comes without a grace period.
 *
 * Rules:   BASE-5, CHK-4.
 */
#include "inside.h"

#include <string.h>

static uint32_t raw_refs(const struct folio *folio)
{
	return *(const uint32_t *)(const void *)&folio->refs;
}

static int32_t raw_maps(const struct folio *folio)
{
	return *(const int32_t *)(const void *)&folio->maps;
}

static bool is_memory(const void *at)
{
	return is_physical(machine_now, (uintptr_t)at);
}

static bool is_free_frame(const void *at)
{
	return !raw_refs(folio_at(head_of(frame_of(machine_now, (uintptr_t)at))));
}

/* Only the caller knows it. */
static bool is_private(const void *at)
{
	const struct folio *folio = folio_at(head_of(frame_of(machine_now, (uintptr_t)at)));

	return raw_refs(folio) <= 1 && raw_maps(folio) == 0 && folio->kind != FOLIO_FILE;
}

static bool is_shared_target(const void *at)
{
	return is_memory(at) && !is_private(at);
}

static bool is_shared_source(const void *at)
{
	return at && is_memory(at) && !is_free_frame(at);
}

static void touch_data(const void *at, size_t bytes, enum touch_mode mode)
{
	uintptr_t last = 0;

	for (uintptr_t address = (uintptr_t)at; address < (uintptr_t)at + bytes; address += WORD) {
		if (data_location(address) != last)
			engine_touch(data_location(address), mode);
		last = data_location(address);
	}
	if (data_location((uintptr_t)at + bytes - 1) != last)
		engine_touch(data_location((uintptr_t)at + bytes - 1), mode);
}

/* @from NULL: zeroes. */
static void move_bytes(char *to, const char *from, size_t bytes)
{
	if (from)
		memmove(to, from, bytes);
	else
		memset(to, 0, bytes);
	if (is_memory(to))
		history_note((uintptr_t)to, bytes);
}

/* To the middle of a page, or to its end. */
static size_t part_of(const void *at, size_t bytes)
{
	size_t half = QUIRE_PAGE_SIZE / 2, room = half - ((uintptr_t)at & (half - 1));

	return bytes < room ? bytes : room;
}

static void move(char *to, const char *from, size_t bytes, unsigned what, const void *code)
{
	bool target = is_shared_target(to), source = is_shared_source(from);

	if (!engine_now || (!target && !source)) {
		if (is_memory(to) && engine_now && !is_free_frame(to))
			memory_write((uintptr_t)to, bytes, code);
		move_bytes(to, from, bytes);
		return;
	}
	while (bytes) {
		size_t part = part_of(target ? to : from, bytes);

		engine_at(code, data_location((uintptr_t)(target ? to : from)));
		engine_begin(what, NULL, NULL);
		if (source)
			touch_data(from, part, TOUCH_READ);
		if (target)
			touch_data(to, part, TOUCH_WRITE);
		move_bytes(to, from, part);
		to += part;
		from = from ? from + part : NULL;
		bytes -= part;
	}
}

void quire_port_copy(void *to, const void *from, size_t bytes)
{
	if (bytes)
		move(to, from, bytes, STEP_COPY, __builtin_return_address(0));
}

void quire_port_zero(void *to, size_t bytes)
{
	if (bytes)
		move(to, NULL, bytes, STEP_ZERO, __builtin_return_address(0));
}
