/*
 * refusals.c - errors of the recording that are no question to Quire: what refused there is not here.
 *
 * A computer without memory, a limit that was set meanwhile, the mode of a descriptor, rights: the trace has
 * none of them. Such a call is not made. Where the same error can come of what is mapped, and the model sees
 * that it did, the call is made and compared. Of a call that was refused in the middle of its range, what was
 * done before is not known, and nothing of it is done here.
 */
#include <errno.h>

#include "lab/replay/replay.h"

enum { GUARD_GAP_PAGES = 256 }; /* what a stack keeps free below it */

/* Is all of [start, end) mapped? */
static bool is_whole(struct model_space *model, uint64_t start, uint64_t end)
{
	struct model_view range;

	for (; start < end; start = range.end)
		if (!model_next(model, start, &range) || range.start > start)
			return false;
	return true;
}

/* Is nothing of [start, end) mapped, nor a stack's guard gap? */
static bool is_free(struct model_space *model, uint64_t start, uint64_t end)
{
	struct model_view range;

	if (!model_next(model, start, &range))
		return true;
	uint64_t gap = range.flags & MODEL_GROWSDOWN ? GUARD_GAP_PAGES * QUIRE_PAGE_SIZE : 0;

	return range.start >= gap && range.start - gap >= end;
}

static bool is_short_of_memory(const struct process *process, const struct trace_event *event)
{
	const uint64_t *args = event->call.args;
	uint64_t end = args[0] + page_up(args[1]);

	switch (event->call.nr) {
	case TRACE_MMAP:
		return event->call.result == -ENOMEM && args[1] < QUIRE_USER_END;
	case TRACE_MPROTECT:
	case TRACE_PKEY_MPROTECT:
		return event->call.result == -ENOMEM && args[0] < end &&
		       is_whole(process->model, args[0], end);
	case TRACE_MREMAP: /* in place it may be what lies behind that refuses */
		return event->call.result == -ENOMEM && args[2] < QUIRE_USER_END &&
		       ((args[3] & QUIRE_MREMAP_MAYMOVE) ||
			is_free(process->model, end, args[0] + page_up(args[2])));
	case TRACE_BRK: /* its answer to what it refuses is where the heap ends */
		return (uint64_t)event->call.result == process->brk && args[0] > process->brk &&
		       args[0] < QUIRE_USER_END &&
		       is_free(process->model, page_up(process->brk), page_up(args[0]) + QUIRE_PAGE_SIZE);
	default:
		return false;
	}
}

/* Interrupted, or forbidden by something other than memory. */
static bool is_interrupted(const struct trace_event *event)
{
	int64_t result = event->call.result;

	return result == -EINTR || (result <= -512 && result > -4096) ||
	       (result == -EPERM && event->call.nr != TRACE_MLOCK && event->call.nr != TRACE_MLOCK2 &&
		event->call.nr != TRACE_MLOCKALL);
}

/* Is all that is mapped of [start, end) shared? */
static bool is_shared(struct model_space *model, uint64_t start, uint64_t end)
{
	struct model_view range;

	for (; start < end && model_next(model, start, &range) && range.start < end; start = range.end)
		if (!(range.flags & MODEL_SHARED))
			return false;
	return true;
}

/* What may be done with memory that came of a descriptor: its mode, its mount's. Here all is allowed. */
static bool is_forbidden(const struct process *process, const struct trace_event *event)
{
	const uint64_t *args = event->call.args;

	if (event->call.result != -EACCES)
		return false;
	return event->call.nr == TRACE_MPROTECT || event->call.nr == TRACE_PKEY_MPROTECT ||
	       (event->call.nr == TRACE_MADVISE &&
		is_shared(process->model, args[0], args[0] + page_up(args[1])));
}

/* A key that nobody has, or a processor that has none. */
static bool is_of_key(const struct trace_event *event)
{
	return event->call.nr == TRACE_PKEY_MPROTECT && event->call.result == -EINVAL &&
	       (int)event->call.args[3] != -1;
}

/* What the descriptor says of a file that is to be mapped. */
static bool is_of_descriptor(const struct trace_event *event)
{
	if (event->call.nr != TRACE_MMAP || (event->call.args[3] & QUIRE_MAP_ANONYMOUS))
		return false;
	switch (-event->call.result) {
	case EBADF:
	case ENODEV:
	case EACCES:
	case EPERM:
	case ETXTBSY:
	case ENFILE:
		return true;
	default:
		return event->call.result < 0 && event->call.file == TRACE_NONE;
	}
}

bool refused_elsewhere(const struct process *process, const struct trace_event *event)
{
	return is_interrupted(event) || is_of_descriptor(event) || is_of_key(event) ||
	       is_forbidden(process, event) || is_short_of_memory(process, event);
}
