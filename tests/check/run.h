/*
 * run.h - a few threads in C on a small arena, searched.
 */
#ifndef TESTS_CHECK_RUN_H
#define TESTS_CHECK_RUN_H

#include "../../machines/check/engine.h"
#include "../../machines/check/memory.h"

enum { RUN_LINES = 64 };

/* Zero when an execution begins. A line each, so that nothing is shared but what the program shares. */
struct run_line {
	_Alignas(64) union {
		_Atomic uint32_t word;
		_Atomic uint64_t wide;
		_Atomic uint32_t half[2];
		uint32_t plain;
		uint64_t plain_wide;
		unsigned char byte[64];
	};
};
extern struct run_line run_arena[RUN_LINES];

struct run {
	enum memory_model model;
	enum engine_search search;
	uint64_t most; /* executions; 0: all */
	unsigned bound;
	unsigned threads;
	unsigned handlers; /* of these, the last so many are interrupt handlers: they have no store buffer */
	void (*prepare)(void); /* before each execution; may be NULL */
	void (*thread)(unsigned thread);
	void (*finish)(void);		      /* may be NULL; what is buffered has reached memory */
	void (*ended)(const char *violation); /* may be NULL */
	void (*changed)(void *data, uintptr_t address, size_t bytes);
	bool (*is_exempt)(void *data, uintptr_t address);
	bool is_walked;	   /* hardware looks at all of it, or so the memory model is told */
	unsigned patience; /* memory.h */
	unsigned frontier, worker,
		workers; /* of parts that begin so deep, every workers-th; 0: nothing is shared */
	bool may_stop;	 /* need not be complete: the first violation ends it */
	/*
	 * States are kept before each step, and executions go on from there; what threads change outside the
	 * arena, and not on their stacks, is @state.
	 */
	bool is_kept;
	void *state;
	size_t state_bytes;
};

struct run_result {
	struct engine_counts counts; /* with the parts that were abandoned */
	char violation[512];	     /* the first; "" */
};

struct run_result run(const struct run *run);

#endif
