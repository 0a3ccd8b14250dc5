/*
 * race.c - which steps the recording cannot put in one order with calls of other threads.
 *
 * A fault is recorded as it begins, and what comes of it is decided later, behind a lock or without one. A
 * call of another thread that changes what is mapped there, and was at work in between, may come first or
 * last. So with calls that only read the space: no tracepoint says when they had it.
 *
 *	thread 1	fault ................ signal, or the thread's next event
 *	thread 2		  mprotect .....
 */
#include "lab/replay/replay.h"

static bool changes_what_is_mapped(const struct step *step)
{
	if (step->kind != STEP_CALL)
		return false;
	switch (step->event->call.nr) {
	case TRACE_MMAP:
	case TRACE_MUNMAP:
	case TRACE_MPROTECT:
	case TRACE_PKEY_MPROTECT:
	case TRACE_MREMAP:
	case TRACE_SHMAT:
	case TRACE_SHMDT:
		return true;
	default:
		return false;
	}
}

static bool meet(const struct step *a, const struct step *b)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < 2; j++)
			if (a->spans[i].start < b->spans[j].end && b->spans[j].start < a->spans[i].end)
				return true;
	return false;
}

/* The whole plan is gone through: few steps are asked about. */
bool step_races(const struct plan *plan, const struct step *step)
{
	uint64_t until = step->decided ? step->decided : step->end;

	for (uint32_t i = 0; i < plan->count; i++) {
		const struct step *other = &plan->steps[i];

		if (other->mm == step->mm && other->thread != step->thread && other->begin <= until &&
		    other->end >= step->begin && changes_what_is_mapped(other) && meet(step, other))
			return true;
	}
	return false;
}
