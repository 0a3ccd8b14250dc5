/*
 * solo.h - the smallest port there is: one thread, no MMU, for tests of the core's lower layers alone.
 *
 * Tests named tests/unit/solo_*.c are linked with the core and this instead of a machine. Objects come from
 * malloc() and are counted; RCU callbacks run when solo_run_rcu() says so. A core that would wait calls the
 * test's own function, which has to bring about what is waited for; without one, waiting is a failure.
 */
#ifndef QUIRE_TESTS_SOLO_H
#define QUIRE_TESTS_SOLO_H

#include <quire/port.h>

#include "../../core/base/instance.h"

struct solo {
	uint64_t objects;		 /* held from the port now */
	uint64_t fail_after;		 /* that many allocations succeed, then one fails; UINT64_MAX: none */
	uint64_t waits, wakes;		 /* calls */
	void (*on_wait)(void *argument); /* called by quire_port_wait() and _relax() */
	void *argument;
	struct quire_rcu *callbacks;
};

extern struct solo solo;

/* As new. */
void solo_reset(void);

/* Run what was handed to quire_port_rcu_call(), and what that hands in. Returns how many. */
unsigned solo_run_rcu(struct quire_cpu *cpu);

/* A pseudo-random number, the same ones in each run from the same *state. */
uint64_t solo_random(uint64_t *state);

#endif
