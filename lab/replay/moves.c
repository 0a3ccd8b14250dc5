/*
 * moves.c - finds the moving mremaps that stand too late in the recording.
 *
 * The recording is gone through once, by time; the mremaps by their entry beside it. Only those under way are looked at.
 */
#include "lab/replay/moves.h"

#include <stdlib.h>

static bool is_move(const struct trace_event *event)
{
	return event->kind == TRACE_CALL && event->call.nr == TRACE_MREMAP && event->call.result >= 0 &&
	       (uint64_t)event->call.result != event->call.args[0];
}

static int by_entry(const void *left, const void *right)
{
	const struct trace_event *a = *(const struct trace_event *const *)left;
	const struct trace_event *b = *(const struct trace_event *const *)right;

	if (a->entry != b->entry)
		return a->entry < b->entry ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

bool moves_find(struct moves *moves, const struct trace_event *events, size_t count)
{
	size_t found = 0;

	for (size_t i = 0; i < count; i++)
		found += is_move(&events[i]);
	*moves = (struct moves){.all = malloc((found + 1) * sizeof(const struct trace_event *)),
				.placed = calloc(found + 1, sizeof(bool))};
	if (!moves->all || !moves->placed)
		return false;
	for (size_t i = 0; i < count; i++)
		if (is_move(&events[i]))
			moves->all[moves->count++] = &events[i];
	qsort(moves->all, moves->count, sizeof(const struct trace_event *), by_entry);
	return true;
}

/* Was @event, which gave memory, given a part of what @move left? */
static bool reuses(const struct trace_event *event, const struct trace_event *move)
{
	uint64_t start = (uint64_t)event->call.result;
	uint64_t length = event->call.nr == TRACE_MREMAP ? event->call.args[2] : event->call.args[1];

	return event->mm == move->mm && event->thread != move->thread && start < move->call.args[0] + move->call.args[1] &&
	       move->call.args[0] < start + length;
}

const struct trace_event *moves_before(struct moves *moves, const struct trace_event *event)
{
	while (moves->next < moves->count && moves->all[moves->next]->entry < event->time)
		moves->next++;
	while (moves->first < moves->next && moves->placed[moves->first])
		moves->first++;
	if (event->kind != TRACE_CALL || event->call.result < 0 ||
	    (event->call.nr != TRACE_MMAP && event->call.nr != TRACE_MREMAP))
		return NULL;
	for (size_t i = moves->first; i < moves->next; i++) {
		const struct trace_event *move = moves->all[i];

		if (moves->placed[i] || move->index <= event->index || !reuses(event, move))
			continue;
		moves->placed[i] = true;
		return move;
	}
	return NULL;
}

bool moves_place(struct moves *moves, const struct trace_event *event)
{
	if (!is_move(event))
		return false;
	for (size_t i = moves->first; i < moves->next; i++) {
		if (moves->all[i] != event)
			continue;
		bool before = moves->placed[i];

		moves->placed[i] = true;
		return before;
	}
	/* Those before `first` are placed. One not entered yet has an entry that is not before its time. */
	return event->entry < event->time;
}

void moves_free(struct moves *moves)
{
	free(moves->all);
	free(moves->placed);
}
