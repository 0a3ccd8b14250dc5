/*
 * plan.h - a trace in memory, with what must come before what.
 *
 * Every event that does something becomes a step. Steps stand in the order of the recording. A step must
 * wait for
 *
 *	what its thread did before, or the fork that made its thread,
 *	the latest earlier steps of its mm that concern the same addresses, also where they overlapped, and
 *	every step of its mm that had ended in the recording before this one began.
 *
 * The first two are edges of a graph; the third is left to the schedule, which sees it from the times. A
 * touch lasts until its thread's next event, for that is all that the recording knows of its end. A barrier
 * step waits for all earlier steps, and all later ones for it.
 */
#ifndef LAB_REPLAY_PLAN_H
#define LAB_REPLAY_PLAN_H

#include "lab/trace/trace.h"

#define PLAN_NONE UINT32_MAX

enum step_kind {
	STEP_TOUCH,
	STEP_CALL,
	STEP_FORK,
	STEP_SPAWN, /* a thread or vfork child in the same mm: nothing happens to memory */
	STEP_LEAVE, /* a thread leaves an mm by exec */
	STEP_EXEC,
	STEP_EXIT,
	STEP_CHECK, /* look at every page written so far: the model's own step */
	STEP_SIZE,  /* a file was seen to change its size */
};

struct span {
	uint64_t start, end; /* [start, end) */
};

struct step {
	const struct trace_event *event;
	enum step_kind kind;
	uint32_t mm;	 /* PLAN_NONE for STEP_SIZE */
	uint32_t thread; /* TRACE_NONE for steps of nobody */
	uint32_t waits;	 /* how many edges lead to it */
	uint32_t edges;	 /* the first that leads from it, or PLAN_NONE */
	uint32_t signal; /* STEP_TOUCH: the signal that followed, or 0 */
	int32_t code;	 /* its si_code */
	bool barrier;
	bool last;	      /* STEP_LEAVE, STEP_EXIT: the mm dies */
	struct span spans[2]; /* addresses it concerns */
	uint64_t begin, end;  /* when it ran, in the recording */
	uint64_t decided;     /* STEP_TOUCH: when its signal came, or 0 */
};

struct edge {
	uint32_t to;   /* a step */
	uint32_t next; /* from the same step */
};

struct plan_file {
	struct trace_file file; /* path is the plan's own */
	uint64_t extent;	/* bytes up to the end of its furthest mapping */
};

struct plan {
	struct trace_reader *reader; /* for names in messages */
	struct trace_header header;
	struct trace_event *events; /* all of them */
	uint32_t event_count, event_room;
	struct step *steps;
	uint32_t count, room;
	struct edge *edges;
	uint32_t edge_count, edge_room;
	uint32_t mm_count;
	struct plan_file *files;
	uint32_t file_count;
	uint32_t *barriers; /* step numbers, ascending */
	uint32_t barrier_count;
	uint32_t threads;
	bool may_lock_any; /* no locking call failed for want of rights */

	/* what the recording kernel did */
	uint64_t faults, faults_kernel, faults_present, signals, lost;
	uint64_t faults_by_access[TRACE_ACCESSES];
	uint64_t minor, major, table_bytes, peak_rss_pages, calls, duration;
};

/*
 * Read all of @reader, which becomes the plan's. NULL on failure: one line in @error, the reader is closed.
 */
struct plan *plan_read(struct trace_reader *reader, char *error, size_t error_size);
void plan_free(struct plan *plan);

#endif
