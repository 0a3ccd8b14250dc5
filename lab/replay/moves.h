/*
 * moves.h - where in the recorded order an mremap belongs.
 *
 * A call stands in the recording where it took memory away (at its entry) or gave it (at its exit). An mremap that moves
 * does both, and stands at its exit: then another thread may already have been given what it left.
 *
 *	mremap(A -> B) .......................... exit		the recording has the mmap first,
 *	                     mmap -> A exit			but A was free only after the mremap
 *
 * So a moving mremap is put before the first call that was given a part of its old range while it was under way.
 */
#ifndef LAB_REPLAY_MOVES_H
#define LAB_REPLAY_MOVES_H

#include "lab/trace/trace.h"

struct moves {
	const struct trace_event **all; /* the moving mremaps, by entry */
	bool *placed;
	size_t count;
	size_t first, next; /* all before `first` are placed; those before `next` had been entered */
};

/* Find them among @events. False: out of memory. */
bool moves_find(struct moves *moves, const struct trace_event *events, size_t count);

/* One that must come before @event, and counts as placed from now on; NULL: none, or no more. */
const struct trace_event *moves_before(struct moves *moves, const struct trace_event *event);

/* Was @event placed already? If not, it is now. */
bool moves_place(struct moves *moves, const struct trace_event *event);

void moves_free(struct moves *moves);

#endif
