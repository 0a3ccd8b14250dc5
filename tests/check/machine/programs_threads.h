/*
 * programs_threads.h - programs of a few operations of the port, as data: what test_programs.c makes up.
 *
 * A program has a column for each CPU, what the CPU does when it is interrupted, and what a callback does.
 * Whatever a part reads it writes down, so that an outcome shows each value that was read, and by whom.
 */
#ifndef TESTS_CHECK_MACHINE_PROGRAMS_THREADS_H
#define TESTS_CHECK_MACHINE_PROGRAMS_THREADS_H

#include "scene.h"

#include "../../../core/base/sync.h"

enum op_kind {
	OP_READ, /* plain */
	OP_WRITE,
	OP_LOAD, /* the rest of these five: atomics, relaxed or ordered */
	OP_STORE,
	OP_ADD,	 /* nobody looks at what was there */
	OP_SWAP, /* somebody does */
	OP_FENCE,
	OP_LOCK,
	OP_UNLOCK,
	OP_READ_LOCK,
	OP_READ_UNLOCK,
	OP_WRITE_LOCK,
	OP_WRITE_UNLOCK,
	OP_RCU_LOCK,
	OP_RCU_UNLOCK,
	OP_CALL,    /* once a column */
	OP_BARRIER, /* until all callbacks have run */
	OP_WAIT,    /* until the word is set */
	OP_SET,
	OP_WAKE,
	OP_IPI,
	OP_KINDS
};

enum {
	PROGRAM_CPUS = SCENE_COLUMNS,
	PROGRAM_OPS = 8,
	PROGRAM_PLACES = 2, /* of each kind: plain words, atomics, locks, words to wait on */
};

struct op {
	uint8_t kind;
	uint8_t place; /* which; of an IPI: a bit for each CPU that it goes to */
	bool is_ordered;
};

enum part { COLUMN, HANDLER = PROGRAM_CPUS, CALLBACK = 2 * PROGRAM_CPUS, PARTS };

struct program {
	unsigned cpus;
	unsigned ops[PARTS];
	struct op op[PARTS][PROGRAM_OPS];
};

/* What they all work on, a line each. Part p writes p + 1, and adds 10. */
struct program_state {
	struct quire_spin spin[PROGRAM_PLACES];
	_Alignas(64) struct rwlock rwlock;
	_Alignas(64) _Atomic uint64_t atomic[PROGRAM_PLACES];
	_Alignas(64) uint64_t plain[PROGRAM_PLACES];
	_Alignas(64) _Atomic uint32_t word[PROGRAM_PLACES];
	struct {
		_Alignas(64) uint64_t seen; /* what it read, two decimal digits a value */
		struct quire_rcu head;
	} part[PARTS];
};

extern struct program program; /* the one that runs */
extern struct program_state *program_state;

void setup_program(void);
extern void (*const program_column[PROGRAM_CPUS])(struct quire_cpu **cpu);

#endif
