/*
 * convert.h - a recording on its way to a trace: what convert.c, descriptors.c and settle.c share.
 */
#ifndef LAB_RECORD_CONVERT_H
#define LAB_RECORD_CONVERT_H

#include "capture.h"

struct binding {
	uint32_t pid;
	int fd;
	bool closed;
	uint32_t same; /* the binding that knows the file: itself, or what it is a duplicate of */
	uint32_t file; /* TRACE_NONE: not known (yet) */
};

struct thread {
	uint32_t tid, pid;
	bool alive;
	bool in_call;
	struct raw enter;   /* the call that it is in */
	uint64_t locked_at; /* when that had the mm for itself; 0: not yet, or not known */
	uint32_t mapped;    /* the file that the kernel mapped in it */
	uint64_t mapped_start, mapped_end;
	size_t clone;	  /* the event of the clone that it is in, or NO_EVENT */
	uint64_t exec_at; /* when it left its old mm, 0 */
	struct raw usage;
	uint64_t minor_before, major_before; /* faults before the first exec: the recorder's own child's */
	uint32_t space;			     /* its mm */
	uint64_t brk;			     /* of its mm, as this thread saw it last */
};

#define NO_EVENT SIZE_MAX

/* An event that is finished but for what another one will tell. */
struct draft {
	struct trace_event event; /* must be first: its `time` is the key */
	uint32_t binding;	  /* whose file the call is about; TRACE_NONE */
	bool looked;		  /* FILE_SIZE that comes from looking at the file, not from a call */
	uint32_t space;		  /* the mm that the call changes */
};

struct conversion {
	struct capture *capture;
	struct log drafts;
	struct thread *threads;
	uint32_t nr_threads, room_threads;
	struct binding *bindings;
	uint32_t nr_bindings, room_bindings;
	uint32_t *clone_raws; /* RAW_CLONED entries not yet used, by log index */
	uint32_t nr_clones;
	uint32_t nr_spaces;
	uint64_t base; /* the first exec */
	bool begun, failed;
};

/* ---- descriptors.c: which file a descriptor is ---- */

/* The open binding of @fd in process @pid; made if there is none. TRACE_NONE when memory runs out. */
uint32_t binding_find(struct conversion *v, uint32_t pid, int fd);
void binding_close(struct conversion *v, uint32_t pid, int first, int last);
/* A fork's child has its parent's descriptors. */
void bindings_copy(struct conversion *v, uint32_t parent, uint32_t child);
/* What the call that just ended did to the descriptors. */
void bindings_follow(struct conversion *v, uint32_t pid, const struct raw *enter, int64_t result);
/* The file of a binding, TRACE_NONE while it is not known; and to say that it is @file. */
uint32_t binding_file(const struct conversion *v, uint32_t binding);
void binding_is(struct conversion *v, uint32_t binding, uint32_t file);

/* ---- settle.c: order and files settled, the trace written ---- */

int settle(struct conversion *v, const char *path, const struct trace_header *header,
	   struct convert_counts *counts);

#endif
