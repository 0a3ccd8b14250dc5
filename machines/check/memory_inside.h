/*
 * memory_inside.h - what the parts of the memory models share.
 *
 *	memory.c	the front: which model, plain accesses, objects, what hardware does
 *	clock.c		who has seen what: vector clocks, messages from releases to acquires
 *	race.c		plain accesses that nothing orders
 *	tso.c		store buffers
 *	weak.c		histories of stores; weak_order.c: the order of seq_cst
 *	commute.c	is the result of an addition used?
 *	tsan.c		the names under which compilers call all this
 *
 * One instance. The state of an execution is what was added since its beginning: arrays that are cut when the
 * next begins, and tables that lead into them, whose entries count only if what they lead to says the same.
 * So nothing has to be cleared, and a state in the midst of an execution is kept by keeping the arrays
 * (image.h).
 */
#ifndef CHECK_MEMORY_INSIDE_H
#define CHECK_MEMORY_INSIDE_H

#include "clock.h"
#include "memory.h"

#define NONE UINT32_MAX

enum {
	WORD = 8, /* bytes that one cell of the shadow stands for */
};

/* How a plain or atomic access meets others, see race.c. */
enum race_kind { RACE_READ, RACE_WRITE, RACE_ATOMIC_READ, RACE_ATOMIC_WRITE };

/* An access that a later one might race with. */
struct record {
	uint32_t more; /* further ones of the same word, NONE */
	uint32_t epoch;
	uint8_t mask; /* bytes; 0: none */
	uint8_t kind, thread;
	uint16_t step; /* the first one of its epoch that made such an access */
	const void *code;
};

/*
 * A word that the running execution has seen something of. Cells lie one behind the other, as they were
 * needed; memory.cell_of[] leads from a word to its cell, or anywhere: it is the cell that says whose it is.
 */
struct cell {
	uint32_t word;
	uint32_t place; /* the first atomic here, NONE */
	struct record first;
};

/* An atomic object: an address and a size that atomic accesses of this execution were made with. */
struct place {
	uintptr_t address;
	uint8_t bytes;
	uint32_t next;	  /* of the same word, NONE */
	uint32_t message; /* SC, TSO: what the last store carries */
	/* WEAK: */
	uint32_t first, last; /* stores, in modification order */
	uint32_t accesses;    /* latest first, NONE */
};

struct thread_memory {
	struct clock now;      /* what it has seen; its own component is its epoch */
	struct clock acquired; /* read by relaxed loads: an acquire fence takes it */
	bool has_acquired;
	bool begun;	   /* has made a transition of ours */
	uint32_t released; /* message of the last release fence */
	/*
	 * WEAK: an interrupt handler and the thread that it interrupts are one CPU, and see what the other
	 * saw before: the handler has joined that to `now`; the interrupted thread has it beside `now`, for
	 * races are sought between the two.
	 */
	struct clock beside;
	bool is_interrupted;
	struct clock pure, pure_acquired; /* now and acquired without what interrupts have added */
	uint32_t fences;   /* WEAK: weak_order.c, the seq_cst fences that come before; NONE: to be computed */
	uint64_t stores;   /* made, in this execution */
	uint32_t buffered; /* TSO: in the store buffer now */
};

struct memory {
	struct memory_config config;
	uintptr_t base;
	size_t bytes;
	unsigned threads;
	uint32_t *cell_of; /* a word each */
	struct cell *cell;
	uint32_t cells;
	uint16_t *shape; /* a word each, over all executions: sizes and offsets seen, see memory_touch() */
	struct place *place;
	uint32_t places, place_room;
	struct thread_memory thread[ENGINE_THREADS];
	uintptr_t pending; /* a plain store that may not have happened when it was seen */
	size_t pending_bytes;
};

extern struct memory memory;

static inline bool memory_is_watched(uintptr_t address)
{
	return engine_now && address - memory.base < memory.bytes;
}

/* NULL: nothing of the word was seen. */
static inline struct cell *memory_cell(uintptr_t address)
{
	uint32_t word = (uint32_t)((address - memory.base) / WORD), at = memory.cell_of[word];

	return at < memory.cells && memory.cell[at].word == word ? &memory.cell[at] : NULL;
}

/*
 * The running thread has accessed these bytes so already in this epoch, and nothing of them is on its way to
 * memory: most plain accesses are such, and there is nothing to do for them.
 */
static inline bool memory_is_known(uintptr_t address, unsigned bytes, enum race_kind kind)
{
	const struct cell *cell = memory_cell(address);
	const struct thread_memory *thread = &memory.thread[engine_thread];
	unsigned at = address % WORD, mask = ((1u << bytes) - 1) << at;

	return cell && at + bytes <= WORD && cell->first.thread == engine_thread && !thread->buffered &&
	       cell->first.epoch == thread->now.at[engine_thread] && !(mask & ~cell->first.mask) &&
	       (cell->first.kind == RACE_WRITE || cell->first.kind == kind);
}

static inline struct thread_memory *memory_self(void)
{
	return &memory.thread[engine_self()];
}

void *memory_grow(void *array, uint32_t *room, uint32_t count, size_t each);

/* memory.c */
struct cell *memory_new_cell(uintptr_t address);
struct place *memory_place(uintptr_t address, unsigned bytes);
bool memory_overlaps(const struct place *place, uintptr_t address, size_t bytes);
void memory_new_read(uintptr_t address, size_t bytes, const void *code); /* of what is watched, not known */
void memory_deliver(void);						 /* the pending plain store */
void memory_changed(uintptr_t address, unsigned bytes);
uint64_t memory_native_load(uintptr_t address, unsigned bytes);
void memory_native_store(uintptr_t address, unsigned bytes, uint64_t value);
uint64_t memory_compute(enum memory_operation operation, uint64_t old, uint64_t operand, unsigned bytes);
void memory_wide(uintptr_t address, const void *code);
void memory_begin_step(unsigned what, uintptr_t address, const void *code, bool (*enabled)(void *),
		       void *argument);
bool memory_is_mixed(uintptr_t address, unsigned bytes); /* its bytes have been accessed in another size */
/* Touch every location that stands for a byte of the access; @mark is put into the upper bits. */
void memory_touch_marked(uintptr_t address, unsigned bytes, enum touch_mode mode, uintptr_t mark);

/* race.c */
int race_create(void);
void race_destroy(void);
void race_begin(void);
void race_image(struct image *image);
void race_check(uintptr_t address, size_t bytes, enum race_kind kind, const void *code);

/* tso.c */
void tso_begin(void);
void tso_image(struct image *image);
void tso_destroy(void);
bool tso_has_buffer(void);					  /* the running thread has one */
bool tso_holds(unsigned thread, uintptr_t address, size_t bytes); /* something of the range is buffered */
void tso_agent(unsigned thread);
uint64_t tso_load(uintptr_t address, unsigned bytes, int order, const void *code);
void tso_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code);
void tso_fence(const void *code);
bool tso_is_drained(void *thread);				    /* for conditions; a thread_memory */
void tso_touch_drained(unsigned thread);			    /* it is, because of what the agent did */
void tso_drain(unsigned thread);				    /* now, within this step */
void tso_settle(uintptr_t address, size_t bytes, const void *code); /* wait until nothing of it is buffered */
void tso_touch(uintptr_t address, unsigned bytes, enum touch_mode mode, unsigned by);

/* weak.c */
void weak_begin(void);
void weak_image(struct image *image);
void weak_destroy(void);
void weak_place(struct place *place, uint32_t message);
uint32_t weak_last_message(const struct place *place);
uint64_t weak_load(uintptr_t address, unsigned bytes, int order, const void *code);
void weak_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code);
uint64_t weak_rmw(uintptr_t address, unsigned bytes, enum memory_operation operation, uint64_t operand,
		  int order, const void *code);
bool weak_compare_exchange(uintptr_t address, unsigned bytes, uint64_t *expected, uint64_t desired,
			   int success, int failure, const void *code);
void weak_plain_write(struct place *place); /* about to happen, by the running thread */
/* Hardware looks, or is about to store. */
void weak_hardware(uintptr_t address, unsigned bytes, enum touch_mode mode);
bool weak_is_behind(const struct place *place, unsigned thread);
void weak_catch_up(struct place *place);
void weak_fence(void); /* seq_cst */

/* commute.c */
bool commute_is_used(const void *code); /* what the call that returns to @code returns */

#endif
