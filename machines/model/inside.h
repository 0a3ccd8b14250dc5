/*
 * inside.h - the model machine's insides.
 *
 *	machine.c	putting it together; jobs
 *	turns.c		whose turn it is: clocks, sleep, wake
 *	lines.c		who has which cache line, and what it costs to get it
 *	tsan.c		the core's accesses, as the compiler announces them
 *	port.c		port.h: objects, copies, waits, grace periods, IPIs
 *
 * Everything that CPUs could share is in one region of memory: frames, metadata, small objects, stacks. A
 * line is found by its place in it.
 */
#ifndef MODEL_INSIDE_H
#define MODEL_INSIDE_H

#include "model.h"

#include "../coroutine/coroutine.h"

#include <quire/port.h>

enum {
	MODEL_LINE = 64,
	MODEL_STACK = 64 << 10,
	MODEL_HEAP = 64 << 20, /* small objects of all CPUs */
	MODEL_CLASSES = 64,    /* sizes of objects, in lines */
	MASK_WORDS = (QUIRE_MAX_CPUS + 63) / 64,
};

struct line {
	uint64_t has[MASK_WORDS]; /* a bit a CPU; one alone may write */
	uint64_t busy;		  /* under way until then */
	uint32_t count;		  /* CPUs that have it; 0: nobody yet */
	uint32_t last;		  /* who got it last */
};

struct mail { /* an IPI for a CPU */
	struct model_cpu *from;
	uint64_t at;
};

struct model_cpu {
	uint64_t clock;
	unsigned id;
	struct quire_cpu *cpu;
	struct coroutine coroutine;
	struct model_counts counts;

	/* turns */
	bool queued; /* it can go on, and does not run */
	bool go;     /* what it waited for has happened, at: */
	uint64_t go_at;
	bool idle; /* it has no job */

	/* what it waits for; NULL: nothing */
	const _Atomic uint32_t *word;
	const struct quire_spin *spins_for;
	uint64_t ticket; /* the order of those who spin */

	/* IPIs: those for it, oldest first, and its own */
	struct mail mail[QUIRE_MAX_CPUS];
	unsigned mail_first, mail_count;
	bool in_handler;
	void (*handler)(struct quire_cpu *cpu, void *argument);
	void *argument;
	unsigned pending;

	/* grace periods */
	uint64_t quiet; /* number of the last quiescent state */
	struct quire_rcu *fresh, *waiting;
	uint64_t waits_for; /* all must have been quiet since */

	void *free[MODEL_CLASSES + 1];
};

struct model {
	struct model_config config;
	uint64_t access_cost;
	struct quire *quire;
	struct model_cpu *cpu[QUIRE_MAX_CPUS];
	char *region, *memory, *metadata, *heap, *heap_end, *stacks;
	size_t region_bytes, memory_bytes;
	struct line *lines;  /* of the region */
	struct line *blocks; /* of frames, for copies and fills */
	bool *written;	     /* of frames: they are not all zeroes */
	uint64_t states;     /* quiescent ones so far */
	uint64_t tickets;    /* of spin locks */

	struct model_cpu *self; /* who runs; NULL: the set-up, which costs nothing */
	bool counting;
	uint64_t horizon; /* the clock of who is next; self goes on up to there */
	struct coroutine main;
	model_job *job;
	void *argument;
};

extern struct model model_now;

static inline void spend(struct model_cpu *me, uint64_t instructions)
{
	me->clock += instructions * model_now.config.costs.instruction;
}

/* turns.c */
void turn_begin(uint64_t at);	       /* all CPUs have the job; returns when none has it any more */
void turn_take(struct model_cpu *me);  /* whoever is behind comes first; and what interrupts us */
void turn_sleep(struct model_cpu *me); /* until turn_wake(); serves IPIs */
void turn_wake(struct model_cpu *cpu, uint64_t at);
void turn_mail(struct model_cpu *cpu, uint64_t at); /* there is mail for it */
void serve(struct model_cpu *me);		    /* port.c: run what is due */

static inline bool has_mail(const struct model_cpu *me)
{
	return me->mail_count && !me->in_handler && me->mail[me->mail_first].at <= me->clock;
}

/* Others first, if they are behind by more than @ahead. */
static inline void take_turn_within(struct model_cpu *me, uint64_t ahead)
{
	if (me->clock - (me->clock < ahead ? me->clock : ahead) > model_now.horizon || has_mail(me))
		turn_take(me);
}

static inline void take_turn(struct model_cpu *me)
{
	take_turn_within(me, 0);
}

/* lines.c */
int lines_create(struct model *model);
void lines_touch(struct model_cpu *me, uintptr_t address, size_t bytes, bool write, const void *code);
void lines_block(struct model_cpu *me, uintptr_t address, bool write, const void *code);
void lines_note(struct model_cpu *me, uintptr_t address, uint64_t waited,
		const void *code); /* for a lock there */

/* tsan.c: an access of the core's, about to happen */
void access_memory(const volatile void *to, size_t bytes, bool write, const void *code);

#endif
