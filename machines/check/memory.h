/*
 * memory.h - what the program under check reads and writes: atomics by a memory model, plain data by native
 * memory and a race detector.
 *
 * Atomic accesses are transitions (engine.h). Plain ones are not: they happen natively, within whatever step
 * they are in, and are checked against happens-before (vector clocks, one an agent or thread, moved by
 * atomics, locks and signals). So a program without races on plain data behaves as if every access were
 * scheduled, and one with a race is reported.
 *
 *	SC	every atomic acts on native memory when its transition is chosen
 *	TSO	stores go into the thread's buffer, one agent a CPU writes them to memory; loads look in the
 *		buffer first; read-modify-writes, seq_cst stores and seq_cst fences wait until it is empty
 *	WEAK	every location keeps the stores of this execution, every thread a view; a load may read any
 *		store that its view allows, a store goes anywhere behind what its thread has seen: C11's
 *		orders, without load buffering (a load never reads a store that comes later in the same run)
 *
 * Watched is one range of addresses, the arena. Everything outside (stacks, constants) is private or fixed,
 * and ignored.
 */
#ifndef CHECK_MEMORY_H
#define CHECK_MEMORY_H

#include "engine.h"
#include "image.h"

enum memory_model { MEMORY_SC, MEMORY_TSO, MEMORY_WEAK };

/* Orders as the compiler passes them to __tsan_atomic*(). */
enum memory_order_number { MO_RELAXED, MO_CONSUME, MO_ACQUIRE, MO_RELEASE, MO_ACQ_REL, MO_SEQ_CST };

/* Kinds of transitions, for engine_begin() and whoever reads a trace. Those of others begin at 64. */
enum memory_step {
	MEMORY_STEP_LOAD = 1,
	MEMORY_STEP_STORE,
	MEMORY_STEP_RMW,
	MEMORY_STEP_COMPARE_EXCHANGE,
	MEMORY_STEP_FENCE,  /* TSO: has waited for the buffer */
	MEMORY_STEP_DRAIN,  /* TSO: a store leaves the buffer; the code is the store's */
	MEMORY_STEP_SETTLE, /* TSO: a plain access, or one of another size, waits for a buffered store */
};

enum memory_operation { RMW_EXCHANGE, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR, RMW_NAND };

struct memory_config {
	enum memory_model model;
	void *base; /* the arena */
	size_t bytes;
	unsigned threads;      /* the program's, agents of its own included */
	unsigned first_buffer; /* TSO: threads first_buffer + n are the buffers of threads n < buffers */
	unsigned buffers;
	/*
	 * Every change of native memory inside the arena, after it: atomics when they reach memory, plain
	 * stores when they are seen. Plain stores of a step are delivered no later than its end. Only while
	 * threads run. May be NULL.
	 */
	void (*changed)(void *data, uintptr_t address, size_t bytes);
	/* Accesses to this range are user data: no races are reported there. May be NULL: nothing is. */
	bool (*is_exempt)(void *data, uintptr_t address);
	const char *(*name)(void *data, unsigned thread); /* for reports of races; may be NULL */
	bool interrupts; /* threads are interrupted: memory_join() will be called */
	/*
	 * WEAK: where hardware looks (tables). Two stores there are made in both orders: which came first can
	 * be told from what hardware read between, not only from the order that the location ends with.
	 */
	void *walked;
	size_t walked_bytes;
	/*
	 * WEAK: how often the same code may read the same old store while its thread stores nothing; 0:
	 * twice. Then it reads a later one: stores become visible in finite time, and waiting loops end.
	 */
	unsigned patience;
	void *data;
};

int memory_create(const struct memory_config *config); /* one at a time; -ENOMEM */
void memory_destroy(void);
void memory_begin(void);  /* an execution begins: clocks, buffers, histories and shadow are as new */
void memory_settle(void); /* it is complete: what is still buffered reaches memory (unscheduled) */

/* Body of the store-buffer agent of @thread under TSO; returns when the execution is over. */
void memory_buffer_agent(unsigned thread);

/* Atomics; @code is the return address into the program. @bytes 1, 2, 4 or 8. */
uint64_t memory_load(uintptr_t address, unsigned bytes, int order, const void *code);
void memory_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code);
uint64_t memory_rmw(uintptr_t address, unsigned bytes, enum memory_operation operation, uint64_t operand,
		    int order, const void *code);
bool memory_compare_exchange(uintptr_t address, unsigned bytes, uint64_t *expected, uint64_t desired,
			     int success, int failure, const void *code);
void memory_fence(int order, const void *code);

/* Plain accesses, before they happen. */
void memory_read(uintptr_t address, size_t bytes, const void *code);
void memory_write(uintptr_t address, size_t bytes, const void *code);

/*
 * What hardware does to memory, and others that are no threads of the program: native memory, at once, as a
 * part of the caller's transition. These touch the location as the atomics of the program do (engine_touch()
 * of the bare address would miss conflicts with them), order nothing, and are no races. They change what
 * @changed is told.
 */
uint64_t memory_hardware_load(uintptr_t address, unsigned bytes);
void memory_hardware_store(uintptr_t address, unsigned bytes, uint64_t value);
/*
 * Only the touch; and a change that the caller made, to be told before it: histories go on from what is then
 * there.
 */
void memory_hardware_touch(uintptr_t address, unsigned bytes, enum touch_mode mode);

/*
 * Happens-before that other mechanisms make (locks, wakes, IPIs, grace periods): release() puts what the
 * running thread has seen into the object, acquire() takes it out. Part of the caller's transition. full() is
 * both, and with every other full() and every seq_cst fence in one order: a full fence.
 *
 * Under TSO whoever calls release() or full() has waited until its store buffer is empty: memory_is_drained()
 * was a condition of its transition, or it has called drain() before, which is a transition if one is needed.
 * (To empty it within the caller's step would hide from the search what others could have seen of the stores
 * before.)
 */
void memory_acquire(uintptr_t object);
void memory_release(uintptr_t object);
void memory_full(void);
void memory_drain(const void *code);

/* As engine_interrupts(). */
void memory_interrupts(unsigned handler, unsigned main);

/*
 * The running thread is an interrupt handler, which begins and ends: it comes after all that thread @of of
 * its CPU has done, and what that does afterwards comes after it, as one CPU's steps do. For races only the
 * first is true: what a handler changes, its CPU must expect.
 */
void memory_join(unsigned of);
void memory_resume(unsigned of);

/*
 * Waits. Under WEAK a thread may have read a store that is not the last, and a wait for a change would be for
 * one that has happened. is_behind() is a condition; catch_up(), in that transition, makes the thread go on
 * to a later store, so that a turn of a waiting loop is not the same again.
 */
bool memory_is_behind(unsigned thread, uintptr_t address);
void memory_catch_up(uintptr_t address);

/* TSO: is the running thread's (or @thread's) store buffer empty? For conditions. */
bool memory_is_drained(unsigned thread);

/*
 * The arena is given back or taken anew (free, alloc): what was known of its accesses is forgotten. Under TSO
 * this may be a transition: what the thread has stored there must have arrived.
 */
void memory_forget(uintptr_t address, size_t bytes);

/* All of this as a state to keep and bring back. Afterwards nothing may be created anew. */
void memory_image(struct image *image);

/*
 * The address that a location of engine_touch() stands for: some carry a mark of this module's in the upper
 * bits.
 */
uintptr_t memory_address(uintptr_t location);

/* ---- lines.c ------------------------------------------------------------------------------------------- */

/*
 * The cache lines of the core that several columns touched and one wrote to, from lines_begin() on: an
 * execution's, if only one is run. A touch is all that a column did to what begins at an address; the code is
 * that of the first read and of the first write, NULL where there was none.
 */
struct touch {
	uintptr_t address; /* 0: none */
	unsigned column;
	const void *reads, *writes;
};
void lines_begin(unsigned columns);

/* The touches of the next line, by column and address; NULL: after the last. NULL is before the first. */
struct touch *const *lines_next(struct touch *const *after, size_t *count);

/* An access of the running thread, if they are noted at all. */
extern bool lines_are_noted;
void lines_note(uintptr_t address, size_t bytes, bool write, const void *code);

static inline void note_line(uintptr_t address, size_t bytes, bool write, const void *code)
{
	if (lines_are_noted)
		lines_note(address, bytes, write, code);
}

#endif
