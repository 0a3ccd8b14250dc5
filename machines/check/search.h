/*
 * search.h - the engine's insides: an execution, the tree of executions, and what searches share.
 *
 *	engine.c	an execution: threads, transitions, choices, how it ends
 *	conflicts.c	which touches of a location commute
 *	explore.c	the order between steps; source-DPOR with sleep sets; brute force
 *	interrupts.c	where an interrupt comes among the steps of its CPU
 *	optimal.c	wakeup trees
 *	bounded.c	at most so many preemptions
 *	random.c	PCT and POS
 *	witness.c	schedules and steps, to keep and to repeat
 *	milestone.c	states on the way, from which the next execution goes on
 *
 * The tree is never in memory: what is, is the path to the execution under way. node[d] is the state before
 * step d, with what was tried from there and what is still to be tried; event[d] is step d itself. When the
 * next execution branches off at depth d, all before d stays, including the order computed for it: the common
 * beginning is not analysed again, and run again only from the last milestone on.
 */
#ifndef CHECK_SEARCH_H
#define CHECK_SEARCH_H

#include "../coroutine/coroutine.h"
#include "engine.h"
#include "image.h"

typedef uint32_t thread_set;

#define ONLY(thread) ((thread_set)1 << (thread))
#define NO_TOUCH UINT32_MAX
#define NO_STEP UINT16_MAX

struct touch {
	uintptr_t location;
	uint32_t before; /* the touch of this location before this one, NO_TOUCH: none */
	uint32_t slot;	 /* of the location table */
	uint16_t event;
	uint8_t mode;
	bool linked;   /* in its location's list */
	bool is_write; /* a PUT or SWAP that turned out to be felt as a WRITE */
};

/*
 * The order. clock[t] counts the steps of thread t that come before this step because of a chain of conflicts
 * (itself included, for its own thread). So step e comes before f exactly if f.clock[e.thread] > e.local.
 */
struct event {
	uint8_t thread;
	uint8_t what;
	uint16_t local;	    /* its number among the thread's steps */
	uint16_t interrupt; /* first step of the interrupt that it is in, NO_STEP: in none */
	bool has_place;	    /* among its CPU's interrupts (interrupts.c) */
	uint32_t touches, touch_count;
	const void *code;
	uint64_t value;
	uint16_t clock[ENGINE_THREADS];
};

/* Touches of a step that is asleep: a range of the footprint pool. */
struct footprint {
	uint32_t first, count;
};

struct wakeup; /* optimal.c */

struct node {
	thread_set enabled;
	thread_set todo;   /* to be tried from here: the backtrack set, tried ones included */
	thread_set done;   /* tried */
	thread_set sleep;  /* asleep on arrival: whatever they lead to was seen elsewhere */
	thread_set drowsy; /* whatever they lead to but with stores made since step since[] */
	uint8_t chosen;
	uint8_t previous; /* the thread of the step before, ENGINE_THREADS: none */
	uint16_t preemptions;
	uint32_t choices, choice_count, choice_used; /* of the step tried now, in the choice pool */
	struct footprint seen;			     /* by the step tried now, over its choices so far */
	uint32_t pool; /* footprints from here on belong to this node or later ones */
	struct footprint asleep[ENGINE_THREADS]; /* of threads in sleep, drowsy or done */
	uint16_t since[ENGINE_THREADS];
	struct wakeup *wakeup; /* SEARCH_OPTIMAL: what is still to be tried, in order */
	struct wakeup *taken;  /* what is to follow the step tried now */
};

struct choice {
	uint16_t value, of;
};

struct thread {
	struct coroutine coroutine;
	char *stack;
	bool (*enabled)(void *argument);
	void *argument;
	uint8_t what;
	const void *code;
	uintptr_t expects; /* the location that its next step will touch, 0: not known */
	uint16_t steps;
	uint16_t last;	    /* its last step, NO_STEP: none */
	uint16_t placed;    /* its last step that has a place, NO_STEP */
	uint16_t block;	    /* a handler inside: its first step there, NO_STEP: outside */
	uint8_t works_for;  /* fixed: itself, or whose agent it is */
	uint8_t interrupts; /* a handler: whom it interrupts; ENGINE_THREADS: nobody */
	uint8_t other_half; /* that one, or the other way round, the handler: of one CPU; ENGINE_THREADS */
	bool is_always_placed;
};

struct location {
	uintptr_t location;
	uint32_t last; /* touch, NO_TOUCH */
	bool hot;      /* two threads conflict there */
	/* SEARCH_BOUNDED: */
	bool several;	/* more than one thread touched it */
	uint8_t first;	/* thread */
	uint16_t modes; /* seen */
};

enum verdict { RUNNING, COMPLETE, BLOCKED, VIOLATED, ABANDONED, NOT_OURS };

struct engine {
	struct engine_program program;
	struct engine_config config;
	struct engine_counts counts;
	struct coroutine main;
	struct thread thread[ENGINE_THREADS];
	thread_set all, agents;
	/* the execution */
	thread_set alive, waiting;    /* not ended; of these, with a condition */
	thread_set held;	      /* main threads that an interrupt holds off */
	bool preparing;		      /* threads run up to their first transition */
	uint32_t depth;		      /* steps so far; the one under way is depth - 1 */
	uint32_t replay;	      /* so many steps' threads are decided */
	uint32_t known;		      /* of these, so many are the last execution's: nothing to analyse */
	bool in_step;		      /* one has begun and is not over */
	bool placed;		      /* engine_at() was called for the next transition */
	struct milestone **milestone; /* as many as are valid, and room for more */
	unsigned milestones, milestone_room;
	uint32_t pause_at; /* the depth at which the next one is set */
	uint64_t runs;
	uint64_t leaf; /* the one being explored */
	bool in_leaf;
	char *stacks;
	enum verdict verdict;
	char violation[512];
	bool replaying; /* along a recorded schedule */
	/* the path */
	struct node *node;
	struct event *event;
	struct touch *touch;
	uint32_t touches, touch_room;
	struct choice *choice;
	uint32_t choice_count, choice_room;
	struct touch *pool; /* footprints */
	uint32_t pool_count, pool_room;
	struct location *location; /* hash table */
	uint32_t location_mask, locations;
	/* what searches keep */
	uint16_t (*race)[2]; /* SEARCH_OPTIMAL: races of this execution */
	uint32_t races, race_room;
	bool found_hot;
	thread_set entangled; /* whose interrupts hide orders of plain accesses */
	bool was_interrupted; /* somebody, since the search of this part has begun */
	bool begin_again;     /* this part: its search has relied on what is not so */
	uint64_t random;
	uint64_t priority[ENGINE_THREADS]; /* random searches */
	uint32_t change[64], changes;	   /* PCT: steps at which priorities change */
	struct engine_hot *hot;
	size_t hots;
	double began;
	void (*ended)(void *data, const char *violation);
	void *ended_data;
	struct engine_step *step;
	char *schedule;
	size_t schedule_room;
};

/*
 * Who goes on at @node if nobody is preempted: the thread of the step before, or where it cannot, one that
 * works for the same; ENGINE_THREADS: neither can, everybody else may.
 */
unsigned search_goes_on(struct engine *engine, const struct node *node);

void *search_grow(void *array, uint32_t *room, uint32_t count, size_t each);

/* engine.c */
void engine_execute(struct engine *engine); /* once: from the reset to the verdict */
uint64_t engine_random(struct engine *engine);
double engine_time(void);

/* Which thread goes on at a node that is new; ENGINE_THREADS: none, the execution is blocked. */
unsigned search_pick(struct engine *engine, struct node *node);

/*
 * conflicts.c. A RACE is an order too: who was first is part of the trace. Where stores are kept it is not
 * (OVERTAKEN): a load before a store, or one behind it that reads an older one, is the same trace; but the
 * load could have read the store.
 */
enum relation { INDEPENDENT, RACE, OVERTAKEN, ORDER };
enum waking { ASLEEP, DROWSY, AWAKE };

bool modes_conflict(unsigned a, unsigned b);
bool footprints_conflict(const struct touch *a, uint32_t a_count, const struct touch *b, uint32_t b_count);
bool event_before(const struct event *earlier, const struct event *later);
bool conflicts_is_store(uintptr_t location); /* one that is kept, or waits in a buffer: no address */
enum relation conflicts_relation(const struct engine *engine, const struct touch *earlier,
				 const struct touch *later);
enum waking conflicts_wake(const struct touch *asleep, uint32_t count, const struct touch *taken,
			   uint32_t taken_count);
struct location *conflicts_location(struct engine *engine, struct touch *touch);
void conflicts_truncate(struct engine *engine, uint32_t depth); /* forget steps from @depth on */

/* explore.c */
void explore_step_done(struct engine *engine, uint32_t step);	 /* its order, its races */
void explore_fall_asleep(struct engine *engine, uint32_t depth); /* computes node[depth].sleep */
void explore_note_footprint(struct engine *engine, uint32_t depth);
bool explore_next_choice(struct engine *engine, uint32_t depth);
void explore_tried(struct engine *engine, uint32_t depth);
void explore_branch(struct engine *engine, uint32_t depth);
void explore_begin(struct engine *engine); /* an empty tree */
void explore_ended(struct engine *engine); /* an execution has ended: counts, and whoever listens */
void explore_destroy(struct engine *engine);

/*
 * interrupts.c. interrupts_before(): for the order of its CPU step @s comes after this one, NO_STEP: after
 * none. interrupts_wake(): does the step at @depth wake its CPU's other half, though nothing conflicts?
 * interrupts_matter(): what was done in step @step is in order only because of interrupts since.
 */
uint32_t interrupts_before(struct engine *engine, uint32_t s);
bool interrupts_wake(struct engine *engine, uint32_t depth, unsigned sleeper);
void interrupts_learn(struct engine *engine, struct location *location); /* two threads conflict there */
void interrupts_matter(struct engine *engine, uint32_t step);
void interrupts_begin(struct engine *engine, unsigned main); /* one does */
void interrupts_forget(struct engine *engine);

/* optimal.c */
unsigned optimal_pick(struct engine *engine, uint32_t depth, unsigned otherwise);
bool optimal_next(struct engine *engine);
void optimal_destroy(struct engine *engine);

/* bounded.c */
bool bounded_next(struct engine *engine);

/* milestone.c */
void milestone_set(struct engine *engine);
void milestone_ahead(struct engine *engine);
bool milestone_return(struct engine *engine);
void milestone_destroy(struct engine *engine);

/* random.c */
void random_begin(struct engine *engine);
unsigned random_pick(struct engine *engine, struct node *node);

#endif
