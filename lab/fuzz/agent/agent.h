/*
 * agent.h - what the agent's files share.
 *
 *	agent.c		processes and their turns	access.c	loads, stores and their signals
 *	threads.c	stretches of several threads	calls.c		operations
 *	wait.c		waiting for each other		look.c		mappings, pages, records
 */
#ifndef AGENT_H
#define AGENT_H

#include "../wire.h"
#include "host.h"

enum { AGENT_THREAD_BYTES = 32 << 10 };

/*
 * A thread, aligned to its size: the signal handler, which runs on @signal_stack, finds it by its stack
 * pointer. Each is used by its own thread alone, but that thread 0 reads the others' when they are done.
 */
struct agent_thread {
	volatile word resume; /* where the handler goes on */
	volatile int32_t signal_number, signal_code;
	struct wire_record head; /* of the operation under way */
	uint64_t slots[WIRE_SLOTS];
	uint64_t random;
	unsigned index;
	uint32_t born; /* the stretch before its first */
	char signal_stack[] __attribute__((aligned(16)));
};

static struct wire_control *const control = (struct wire_control *)WIRE_CONTROL;
extern unsigned me; /* which process */

/* The first is the process's own thread, which carries out whatever is no stretch. */
struct agent_thread *agent_thread(unsigned index);

void *memset(void *to, int byte, size_t bytes);
void *memcpy(void *to, const void *from, size_t bytes);

/* ---- access.c ---- */
void catch_signal(int number, int ignore);
void use_signal_stack(struct agent_thread *t); /* by the thread itself */
uint64_t load(struct agent_thread *t, uint64_t addr);
void store(struct agent_thread *t, uint64_t addr, uint64_t value);

/* ---- calls.c ---- */
/* Everything but a fork. The result; the rest is in @t's head. */
word carry_out(struct agent_thread *t, const struct wire_op *op);
word open_memory(uint32_t pid); /* /proc/PID/mem; @pid is not negative */

/* ---- look.c ---- */
word next_vma(uint64_t addr, struct wire_vma *vma);
/* A record's parts, in this order: its head, mappings and pages, contents; and written. */
void record_begin(const struct wire_record *head);
void record_look(void);
void record_contents(struct agent_thread *t);
void record_write(void);

/* ---- threads.c ---- */
void threads_none(void); /* after a fork: the child has one */
/* Carry out the stretch that begins at operation @at, and write its records. Returns what follows it. */
uint32_t run_stretch(uint32_t at);

/* ---- wait.c ---- */
/* Wait until *word is not @seen; too long without a change means that somebody died. */
uint32_t wait_change(uint32_t *at, uint32_t seen, int forever);
void wake(uint32_t *at, uint32_t value);
void read_op(uint32_t at, struct wire_op *op);

#endif
