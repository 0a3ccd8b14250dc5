/*
 * engine.h - a systematic search over the interleavings of a small concurrent program.
 *
 * The engine knows nothing of Quire. A program is a few threads, a state to reset, and an end to look at. A
 * thread's code runs natively on a coroutine; whatever other threads could notice goes through one of the
 * calls below, each a *transition*: the thread stops, the scheduler chooses who goes on, and what the thread
 * does until its next transition is one step. The search runs the program again and again, each time along
 * another schedule, until every schedule has been run but those that differ from one that was only in the
 * order of steps that do not conflict.
 *
 *	begin() ---- stop, be chosen ----> touch(a, READ) touch(b, WRITE) choose(2) ... begin() ...
 *	             \_________ one transition: its footprint is {a: READ, b: WRITE} _________/
 *
 * Two steps conflict when both touch one location and at least one of the two modes does not tolerate the
 * other (enum touch_mode). What a step touches may depend on what it reads.
 *
 * Blocking is a condition, not a loop: a thread whose transition is not enabled is not chosen. When nobody
 * can be chosen and somebody has not ended, that is a deadlock, and reported.
 *
 * The same code path runs unscheduled too (set-up, and the final look at the state): outside a run every call
 * here does nothing but perform itself.
 */
#ifndef CHECK_ENGINE_H
#define CHECK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	ENGINE_THREADS = 24, /* at most, agents included: sets of threads are words */
	ENGINE_TOUCHES = 48, /* locations that one transition may touch */
	ENGINE_STEPS = 4000, /* transitions in one execution; more is reported as a hang */
	ENGINE_STACK_BYTES = 64 << 10,
	ENGINE_HOT = 256, /* locations of which races are counted */
};

/* How a step touches a location, and which other step's touch it commutes with. */
enum touch_mode {
	TOUCH_READ,	 /* READ */
	TOUCH_ADD,	 /* ADD: a count whose value nobody looks at here */
	TOUCH_WRITE,	 /* nothing */
	TOUCH_ACQUIRE,	 /* a lock taken alone. Nothing; a RELEASE before it is why it could run */
	TOUCH_SHARE,	 /* a lock taken with others, and given back: SHARE, SHARE_END */
	TOUCH_SHARE_END, /* SHARE, SHARE_END */
	TOUCH_RELEASE,	 /* like ACQUIRE */
	TOUCH_SIGNAL,	 /* makes an AWAIT possible: SIGNAL */
	TOUCH_AWAIT,	 /* was made possible by the SIGNALs before it; never a race */
	/*
	 * Where every store stays and a later load may choose it (engine_choose()): whatever a LOOK behind
	 * a PUT does, one before it cannot do more, so the two need not be tried in the order PUT, LOOK
	 * once more the other way round; nor need two PUTs. A LOOK before a PUT could have read it: these
	 * race. Readers AWAIT the store that they read.
	 */
	TOUCH_LOOK, /* LOOK, and any PUT or SWAP before it */
	TOUCH_PUT,  /* PUT */
	TOUCH_SWAP, /* looks at one store and puts the next: any PUT before it */
};

enum engine_search {
	SEARCH_SOURCE,	/* source-DPOR with sleep sets: complete */
	SEARCH_OPTIMAL, /* with wakeup trees: complete if nobody is interrupted, no run is begun in vain */
	SEARCH_BOUNDED, /* everything with at most `bound` preemptions */
	SEARCH_PCT,	/* random: priorities, `bound` changes of them */
	SEARCH_POS,	/* random: partial order sampling */
	SEARCH_BRUTE,	/* every schedule: to test the others */
};

struct engine_config {
	enum engine_search search;
	unsigned bound;	     /* preemptions; priority changes */
	uint64_t executions; /* stop after so many complete ones; 0: no limit. Random searches need it */
	uint64_t begun;	     /* stop after so many of any kind; 0: no limit */
	double seconds;	     /* stop after so long; 0: no limit */
	uint64_t seed;	     /* of the random searches */
	/*
	 * Work for several processes (SEARCH_SOURCE): the nodes at depth `frontier` are numbered as they
	 * are met, the same on every run, and each process explores those that it claims. Above, everything
	 * is branched over, so that no subtree asks for a branch in another's. 0 with shards: a sensible
	 * depth; without: no frontier.
	 */
	unsigned frontier;
	unsigned shard, shards; /* claim every shards-th from shard on; shards 0: all */
	/* Instead of that: asked once for each. @path is a hash of the steps that lead there. */
	bool (*claim)(void *data, uint64_t leaf, uint64_t path);
	void (*finished)(void *data, uint64_t leaf); /* a claimed one is explored; may be NULL */
	bool (*is_over)(void *data); /* asked now and then: nobody needs the rest; may be NULL */
	void *claim_data;
	bool stop_at_violation; /* the first one ends the search */
	unsigned spacing; /* steps between two states that are kept (engine_program.image); 0: sensible */
};

struct engine;
struct image;

/* What is searched. Called with the engine idle; the state is the program's own affair. */
struct engine_program {
	void *data;
	unsigned threads;
	const char *(*name)(void *data, unsigned thread);
	void (*reset)(void *data);		     /* the state that every execution begins with */
	void (*thread)(void *data, unsigned thread); /* body of a thread, on its coroutine */
	/*
	 * The execution is complete: nothing runs. Looks at the state; engine_violation() reports. Not called
	 * after a violation or a blocked run.
	 */
	void (*finish)(void *data);
	/* An agent (a store buffer, an interrupt) need not end: it is not waited for, and no deadlock. */
	bool (*is_agent)(void *data, unsigned thread);
	/*
	 * For whom a thread works: a store buffer for its CPU. Where one of the two cannot go on, going on
	 * with the other is no preemption. May be NULL: each for itself.
	 */
	unsigned (*works_for)(void *data, unsigned thread);
	/*
	 * What a thread waits for whose transition is not enabled, for the report of a deadlock. May be NULL.
	 */
	void (*describe_wait)(void *data, unsigned thread, char *out, size_t room);
	/*
	 * All that reset() sets up and steps change (image.h), so that an execution can begin in the midst of
	 * what it has in common with the one before. NULL: each begins with reset().
	 */
	struct image *image;
};

struct engine_counts {
	uint64_t executions; /* complete: every thread that must end has ended, or a violation did */
	uint64_t blocked;    /* begun in vain: every enabled thread was asleep */
	uint64_t abandoned;  /* by engine_abandon(): what they would have become is not known */
	uint64_t violations;
	uint64_t transitions, instrumented; /* in these executions together; plain accesses */
	uint64_t run;			    /* transitions that were run for it all, and not brought back */
	uint64_t leaves;		    /* met at the frontier */
	uint64_t longest;		    /* transitions in one execution */
	double seconds;
	bool complete;	  /* the whole space (within the bound) was explored */
	bool interrupted; /* somebody was, at least once: what SEARCH_OPTIMAL does not know of */
};

/* One step of the execution that is under way or has just ended, for witnesses. */
struct engine_step {
	uint8_t thread;
	uint8_t what;	  /* the program's: which kind of transition, see engine_begin() */
	uint16_t choices; /* of this step, from choices[] on */
	uint32_t touches;
	uintptr_t location; /* the first touched */
	const void *code;   /* who called: a return address */
	uint64_t value;	    /* what engine_note() said last */
};

/*
 * Of shared work (config.claim), asked by finished(): the part was but one execution, which was abandoned
 * before it came to the frontier. Everybody meets it, so it is not in anybody's counts.
 */
bool engine_part_was_abandoned(const struct engine *engine);

/* How many executions have begun: something that moves as long as the search does. */
uint64_t engine_begun(const struct engine *engine);

struct engine *engine_create(const struct engine_program *program);
void engine_destroy(struct engine *engine);
const struct engine_counts *engine_so_far(const struct engine *engine); /* while it runs */
void engine_run(struct engine *engine, const struct engine_config *config, struct engine_counts *counts);

/*
 * Run once, along a recorded schedule ("3.0.0.1:2..." as engine_schedule() gives it). False when the schedule
 * is not one of this program.
 */
bool engine_replay(struct engine *engine, const char *schedule, struct engine_counts *counts);

/* The schedule of the execution that is under way or has just ended. Valid until the next one begins. */
const char *engine_schedule(struct engine *engine);
const struct engine_step *engine_trace(struct engine *engine, size_t *steps);
unsigned engine_preemptions(struct engine *engine); /* switches away from a thread that could have gone on */

/* Called after each execution, complete or violated (violation: what, or NULL), not after blocked ones. */
void engine_on_execution(struct engine *engine, void (*ended)(void *data, const char *violation), void *data);

/*
 * Where the space comes from: the locations over which most races were reversed. Fills @out, at most @most,
 * most first; returns how many.
 */
struct engine_hot {
	uintptr_t location;
	const void *code[2]; /* a pair of places that met there */
	uint64_t races;
};
size_t engine_hottest(struct engine *engine, struct engine_hot *out, size_t most);

/* ---- called by the program's threads ------------------------------------------------------------------- */

/* The engine that runs on this OS thread, NULL when none does: then nothing is scheduled. */
extern struct engine *engine_now;

/* Plain accesses of the execution under way: whoever sees them counts them here. */
extern uint64_t engine_accesses;

/* The thread that runs. */
extern unsigned engine_thread; /* if there is one */
static inline unsigned engine_self(void)
{
	return engine_now ? engine_thread : 0;
}

uint32_t engine_step_now(void); /* the number of the step under way; also of the last, when it is over */

/*
 * What the next engine_begin() is about, for witnesses and for random searches: the place in the program,
 * and the location that it will touch, as far as is known (0: not).
 */
void engine_at(const void *code, uintptr_t location);

/*
 * Stop, and go on when chosen: a transition begins. It can be chosen while @enabled(@argument) (NULL:
 * always), which looks at the state and changes nothing. @what is for the trace.
 */
void engine_begin(unsigned what, bool (*enabled)(void *argument), void *argument);

/* This transition touches @location so. Before the first engine_begin() of a thread: not allowed. */
void engine_touch(uintptr_t location, enum touch_mode mode);

/* One of 0 .. @n - 1; every one is explored. Part of the transition. @n is at least 1. */
unsigned engine_choose(unsigned n);

/*
 * Where stores are kept (TOUCH_LOOK): what this transition does with stores made before step number
 * @returned was seen elsewhere. It chooses among the later ones; if there are none, engine_seen() ends the
 * execution: it is in vain.
 */
uint32_t engine_seen_before(void);
void engine_seen(void);

void engine_note(uint64_t value);	 /* for the trace: what this transition read or wrote */
void engine_note_code(const void *code); /* for the trace: it turns out to be about this place */

/*
 * Calls @ended whenever a step is over, in its thread, before another thread runs; NULL: no more. For all
 * engines.
 */
void engine_on_step(void (*ended)(void));

/*
 * The property does not hold in this execution: @text is kept, the execution ends. Does not return when
 * called by a thread.
 */
void engine_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * This execution goes on too long in the same way (a wait that spins): it ends, counted as neither complete
 * nor blocked, but as abandoned. Does not return.
 */
void engine_abandon(void);

/*
 * An interrupt: thread @handler runs in the midst of thread @main, which does not go on meanwhile. Declared
 * once per execution, before either runs; a handler's stretch, from engine_interrupt_enter() to _leave(),
 * comes between two of main's steps as a whole. All places that could make a difference are tried;
 * @everywhere: simply all.
 */
void engine_interrupts(unsigned handler, unsigned main, bool everywhere);
void engine_interrupt_enter(void);
void engine_interrupt_leave(void);

/*
 * What the running thread does comes after what was done in step @step, or soon after it; but it would not if
 * an interrupt between the two had come earlier among the steps of the thread that it interrupts.
 */
void engine_ordered_by_interrupt(uint32_t step);

#endif
