/*
 * engine.c - one execution: threads that stop before each transition, and who goes on.
 *
 * There is no scheduler thread. A thread that reaches its next transition decides itself who runs, and
 * switches there directly, or simply goes on: a step of the same thread costs no switch at all. The main
 * stack only begins an execution and is switched to when it is over; threads that have not ended then are
 * forgotten where they stand, and begin anew on the same stacks.
 *
 * Order:   one OS thread. engine_now says that threads run; it is NULL during reset, set-up and finish.
 * Rules:   CHK-2.
 */
#include "search.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct engine *engine_now;
unsigned engine_thread;
uint64_t engine_accesses;

static void (*step_ended)(void);
static struct engine *engine_current; /* also while nothing is scheduled, for engine_violation() */

double engine_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

uint64_t engine_random(struct engine *engine)
{
	uint64_t z = (engine->random += 0x9e3779b97f4a7c15ul);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
	return z ^ (z >> 31);
}

void *search_grow(void *array, uint32_t *room, uint32_t count, size_t each)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	void *larger = realloc(array, *room * each);
	if (!larger) {
		fputs("quire check: out of memory\n", stderr);
		exit(3);
	}
	return larger;
}

uint32_t engine_step_now(void)
{
	return engine_current && engine_current->depth ? engine_current->depth - 1 : 0;
}

/* ---- how an execution ends -------------------------------------------------------------------------- */

static void leave(struct engine *engine, enum verdict verdict)
{
	engine->verdict = verdict;
	if (engine_now && engine_thread < ENGINE_THREADS)
		coroutine_switch(&engine->thread[engine_thread].coroutine, &engine->main);
}

void engine_violation(const char *format, ...)
{
	struct engine *engine = engine_current;
	va_list arguments;

	if (!engine || engine->verdict == VIOLATED)
		return; /* the first one counts */
	va_start(arguments, format);
	vsnprintf(engine->violation, sizeof(engine->violation), format, arguments);
	va_end(arguments);
	leave(engine, VIOLATED);
}

bool engine_part_was_abandoned(const struct engine *engine)
{
	return engine->verdict == ABANDONED && engine->config.claim &&
	       engine->depth <= engine->config.frontier;
}

void engine_abandon(void)
{
	leave(engine_current, ABANDONED);
}

static void report_deadlock(struct engine *engine)
{
	char text[400] = "";
	size_t used = 0;

	for (unsigned t = 0; t < engine->program.threads; t++) {
		char what[160] = "";

		if (!(engine->alive & ~engine->agents & ONLY(t)))
			continue;
		if (engine->program.describe_wait)
			engine->program.describe_wait(engine->program.data, t, what, sizeof(what));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s%s", used ? ", " : "",
					 engine->program.name(engine->program.data, t),
					 *what ? " waits for " : "", what);
		if (used >= sizeof(text))
			break;
	}
	engine_violation("deadlock: %s", text);
}

/* ---- who goes on ------------------------------------------------------------------------------------ */

static thread_set enabled_now(struct engine *engine)
{
	thread_set ready = engine->alive & ~engine->held;

	for (thread_set rest = ready & engine->waiting; rest; rest &= rest - 1) {
		struct thread *thread = &engine->thread[__builtin_ctz(rest)];

		if (!thread->enabled(thread->argument))
			ready &= ~(rest & -rest);
	}
	return ready;
}

static void new_node(struct engine *engine, thread_set ready)
{
	uint32_t depth = engine->depth;
	struct node *node = &engine->node[depth];

	node->enabled = ready;
	node->todo = node->done = node->sleep = node->drowsy = 0;
	node->previous = depth ? engine->event[depth - 1].thread : ENGINE_THREADS;
	node->choices = engine->choice_count;
	node->choice_count = 0;
	node->pool = engine->pool_count;
	node->seen = (struct footprint){ engine->pool_count, 0 };
	node->wakeup = node->taken = NULL;
}

/* The thread of the next step; ENGINE_THREADS when the execution is over. */
static unsigned pick(struct engine *engine)
{
	thread_set ready = enabled_now(engine);
	struct node *node = &engine->node[engine->depth];

	if (!ready) {
		if (engine->alive & ~engine->agents)
			report_deadlock(engine);
		else
			leave(engine, COMPLETE);
		return ENGINE_THREADS;
	}
	if (engine->depth == ENGINE_STEPS) {
		engine_violation("no end after %d steps", ENGINE_STEPS);
		return ENGINE_THREADS;
	}
	if (engine->depth < engine->replay) {
		node->enabled = ready;
		if (ready & ONLY(node->chosen))
			return node->chosen;
		engine_violation("the program does not repeat itself: thread %u cannot go on at step %u",
				 node->chosen, engine->depth);
		return ENGINE_THREADS;
	}
	new_node(engine, ready);
	unsigned chosen = search_pick(engine, node);
	if (chosen == ENGINE_THREADS) {
		leave(engine, engine->verdict == RUNNING ? BLOCKED : engine->verdict);
		return ENGINE_THREADS;
	}
	node->chosen = (uint8_t)chosen;
	node->todo |= ONLY(chosen);
	return chosen;
}

static void start_step(struct engine *engine, unsigned next)
{
	uint32_t step = engine->depth++;

	struct event *event = &engine->event[step];
	struct thread *thread = &engine->thread[next];

	engine->in_step = true;
	engine->node[step].choice_used = 0;
	event->code = thread->code;
	event->value = 0;
	if (step < engine->known)
		return;
	event->thread = (uint8_t)next;
	event->what = thread->what;
	event->local = thread->steps;
	event->interrupt = thread->block;
	event->touches = engine->touches;
	event->touch_count = 0;
	event->has_place = false;
}

static void step_done(struct engine *engine)
{
	uint32_t step = engine->depth - 1;
	struct thread *thread = &engine->thread[engine_thread];

	if (step >= engine->known)
		explore_step_done(engine, step);
	engine->in_step = false;
	thread->steps++;
	thread->last = (uint16_t)step;
	if (engine->event[step].has_place)
		thread->placed = (uint16_t)step;
}

static void schedule(struct engine *engine, struct coroutine *from)
{
	if (engine->depth == engine->pause_at && from != &engine->main) {
		coroutine_switch(from, &engine->main); /* a milestone is due */
		return;
	}
	unsigned next = pick(engine);

	if (engine->verdict != RUNNING)
		return;
	start_step(engine, next);
	if (from == &engine->thread[next].coroutine)
		return;
	engine_thread = next;
	coroutine_switch(from, &engine->thread[next].coroutine);
}

void engine_at(const void *code, uintptr_t location)
{
	struct engine *engine = engine_now;

	if (!engine)
		return;
	engine->thread[engine_thread].code = code;
	engine->thread[engine_thread].expects = location;
	engine->placed = true;
}

void engine_begin(unsigned what, bool (*enabled)(void *argument), void *argument)
{
	struct engine *engine = engine_now;

	if (!engine)
		return;
	unsigned self = engine_thread;
	struct thread *thread = &engine->thread[self];
	if (!engine->placed) {
		thread->code = __builtin_return_address(0);
		thread->expects = 0;
	}
	engine->placed = false;
	if (step_ended)
		step_ended();
	thread->what = (uint8_t)what;
	thread->enabled = enabled;
	thread->argument = argument;
	if (enabled)
		engine->waiting |= ONLY(self);
	else
		engine->waiting &= ~ONLY(self);
	if (engine->preparing) {
		coroutine_switch(&thread->coroutine, &engine->main);
		return;
	}
	step_done(engine);
	schedule(engine, &thread->coroutine);
}

static void thread_body(void *argument)
{
	struct engine *engine = engine_current;
	unsigned self = (unsigned)(uintptr_t)argument;

	engine->program.thread(engine->program.data, self);
	if (step_ended)
		step_ended();
	if (!engine->preparing)
		step_done(engine);
	engine->alive &= ~ONLY(self);
	engine->waiting &= ~ONLY(self);
	if (!engine->preparing)
		schedule(engine, &engine->thread[self].coroutine);
	coroutine_switch(&engine->thread[self].coroutine, &engine->main);
}

/* ---- what a step does ------------------------------------------------------------------------------- */

static void touch_again(struct touch *touch, enum touch_mode mode)
{
	if (touch->mode == mode)
		return;
	/* Looked at and changed, or counted twice in different ways: nobody may come between. */
	touch->mode = mode == TOUCH_READ && touch->mode != TOUCH_ADD ? touch->mode : TOUCH_WRITE;
}

void engine_touch(uintptr_t location, enum touch_mode mode)
{
	struct engine *engine = engine_now;

	if (!engine || engine->depth <= engine->known)
		return;
	struct event *event = &engine->event[engine->depth - 1];
	for (uint32_t i = event->touches; i < engine->touches; i++) {
		if (engine->touch[i].location == location) {
			touch_again(&engine->touch[i], mode);
			return;
		}
	}
	if (event->touch_count == ENGINE_TOUCHES) {
		engine_violation("one step touches more than %d locations", ENGINE_TOUCHES);
		return;
	}
	engine->touch = search_grow(engine->touch, &engine->touch_room, engine->touches,
				    sizeof(*engine->touch));
	engine->touch[engine->touches++] = (struct touch){
		.location = location,
		.before = NO_TOUCH,
		.event = (uint16_t)(engine->depth - 1),
		.mode = (uint8_t)mode,
	};
	event->touch_count++;
}

static bool is_random(const struct engine *engine)
{
	return engine->config.search == SEARCH_PCT || engine->config.search == SEARCH_POS;
}

unsigned engine_choose(unsigned n)
{
	struct engine *engine = engine_now;

	if (!engine || n <= 1)
		return 0;
	struct node *node = &engine->node[engine->depth - 1];
	uint32_t at = node->choices + node->choice_used++;
	if (node->choice_used <= node->choice_count) {
		if (!engine->choice[at].of) /* from a recorded schedule */
			engine->choice[at].of = (uint16_t)n;
		if (engine->choice[at].of != n || engine->choice[at].value >= n)
			engine_violation("the program does not repeat itself: %u choices, then %u at step %u",
					 engine->choice[at].of, n, engine->depth - 1);
		return engine->choice[at].value;
	}
	if (engine->depth <= engine->replay && engine->replaying)
		return 0; /* first choices are not recorded */
	engine->choice = search_grow(engine->choice, &engine->choice_room, engine->choice_count,
				     sizeof(*engine->choice));
	unsigned value = is_random(engine) && !engine->replaying ? (unsigned)(engine_random(engine) % n) : 0;
	engine->choice[engine->choice_count++] = (struct choice){ (uint16_t)value, (uint16_t)n };
	node->choice_count++;
	return value;
}

uint32_t engine_seen_before(void)
{
	struct engine *engine = engine_now;

	if (!engine || engine->replaying)
		return 0;
	const struct node *node = &engine->node[engine->depth - 1];
	return node->drowsy & ONLY(engine_thread) ? node->since[engine_thread] : 0;
}

/*
 * As if the thread had still been asleep when it was picked: if it was picked first, somebody else is to go
 * on.
 */
void engine_seen(void)
{
	struct engine *engine = engine_now;
	struct node *node = &engine->node[engine->depth - 1];
	thread_set others = node->enabled & ~node->sleep & ~node->done & ~ONLY(engine_thread);

	if (!(node->todo & others))
		node->todo |= others & -others;
	leave(engine, BLOCKED);
}

void engine_note(uint64_t value)
{
	if (engine_now && engine_now->depth)
		engine_now->event[engine_now->depth - 1].value = value;
}

void engine_note_code(const void *code)
{
	if (engine_now && engine_now->depth)
		engine_now->event[engine_now->depth - 1].code = code;
}

void engine_on_step(void (*ended)(void))
{
	step_ended = ended;
}

void engine_interrupts(unsigned handler, unsigned main, bool everywhere)
{
	if (!engine_current)
		return;
	engine_current->thread[handler].interrupts = (uint8_t)main;
	engine_current->thread[handler].other_half = (uint8_t)main;
	engine_current->thread[main].other_half = (uint8_t)handler;
	engine_current->thread[main].is_always_placed = everywhere;
}

void engine_interrupt_enter(void)
{
	struct engine *engine = engine_now;

	if (!engine)
		return;
	struct thread *thread = &engine->thread[engine_thread];
	thread->block = (uint16_t)(engine->depth - 1);
	engine->event[engine->depth - 1].interrupt = thread->block;
	engine->held |= ONLY(thread->interrupts);
	engine->counts.interrupted = true;
	interrupts_begin(engine, thread->interrupts);
}

void engine_interrupt_leave(void)
{
	struct engine *engine = engine_now;

	if (!engine)
		return;
	struct thread *thread = &engine->thread[engine_thread];
	thread->block = NO_STEP;
	engine->held &= ~ONLY(thread->interrupts);
}

void engine_ordered_by_interrupt(uint32_t step)
{
	if (engine_now)
		interrupts_matter(engine_now, step);
}

/* ---- an execution ----------------------------------------------------------------------------------- */

static void prepare(struct engine *engine)
{
	engine->depth = 0;
	engine->alive = engine->all;
	engine->waiting = engine->held = 0;
	engine_accesses = 0;
	for (unsigned t = 0; t < engine->program.threads; t++) {
		struct thread *thread = &engine->thread[t];

		thread->steps = 0;
		thread->last = thread->placed = thread->block = NO_STEP;
		thread->interrupts = thread->other_half = ENGINE_THREADS;
		thread->enabled = NULL;
		coroutine_prepare(&thread->coroutine, thread->stack, ENGINE_STACK_BYTES, thread_body,
				  (void *)(uintptr_t)t);
	}
}

/* All threads up to their first transitions. */
static void begin(struct engine *engine)
{
	prepare(engine);
	engine->program.reset(engine->program.data);
	engine_now = engine;
	engine->preparing = true;
	for (unsigned t = 0; t < engine->program.threads && engine->verdict == RUNNING; t++) {
		engine_thread = t;
		coroutine_switch(&engine->main, &engine->thread[t].coroutine);
	}
	engine->preparing = false;
	engine->pause_at = 0;
}

void engine_execute(struct engine *engine)
{
	engine_current = engine;
	engine->verdict = RUNNING;
	engine->violation[0] = '\0';
	engine->races = 0;
	engine->placed = engine->in_step = false;
	if (!milestone_return(engine))
		begin(engine);
	uint32_t first = engine->depth;
	engine_now = engine;
	while (engine->verdict == RUNNING) {
		if (engine->depth == engine->pause_at)
			milestone_set(engine);
		engine_thread = ENGINE_THREADS;
		schedule(engine, &engine->main);
	}
	engine_now = NULL;
	if (engine->verdict == VIOLATED && engine->in_step && engine->depth > engine->known)
		explore_step_done(engine, engine->depth - 1);
	if (engine->verdict == COMPLETE)
		engine->program.finish(engine->program.data);
	engine->counts.run += engine->depth - first;
	engine->counts.abandoned += engine->verdict == ABANDONED && !engine_part_was_abandoned(engine);
}

/* ---- the engine itself ------------------------------------------------------------------------------ */

struct engine *engine_create(const struct engine_program *program)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine || program->threads > ENGINE_THREADS)
		return free(engine), NULL;
	engine->program = *program;
	engine->node = calloc(ENGINE_STEPS + 1, sizeof(*engine->node));
	engine->event = calloc(ENGINE_STEPS + 1, sizeof(*engine->event));
	char *stacks = mmap(NULL, (size_t)ENGINE_STACK_BYTES * program->threads, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!engine->node || !engine->event || stacks == MAP_FAILED)
		return engine_destroy(engine), NULL;
	engine->stacks = stacks;
	for (unsigned t = 0; t < program->threads; t++) {
		engine->thread[t].stack = stacks + (size_t)t * ENGINE_STACK_BYTES;
		engine->thread[t].works_for =
			(uint8_t)(program->works_for ? program->works_for(program->data, t) : t);
		engine->all |= ONLY(t);
		if (program->is_agent && program->is_agent(program->data, t))
			engine->agents |= ONLY(t);
	}
	return engine;
}

void engine_destroy(struct engine *engine)
{
	if (engine->stacks)
		munmap(engine->stacks, (size_t)ENGINE_STACK_BYTES * engine->program.threads);
	explore_destroy(engine);
	milestone_destroy(engine);
	free(engine->node);
	free(engine->event);
	free(engine->touch);
	free(engine->choice);
	free(engine->pool);
	free(engine->location);
	free(engine->race);
	free(engine->hot);
	free(engine->step);
	free(engine->schedule);
	free(engine);
	if (engine_current == engine)
		engine_current = NULL;
}

const struct engine_counts *engine_so_far(const struct engine *engine)
{
	return &engine->counts;
}

uint64_t engine_begun(const struct engine *engine)
{
	return engine->runs;
}

void engine_on_execution(struct engine *engine, void (*ended)(void *data, const char *violation), void *data)
{
	engine->ended = ended;
	engine->ended_data = data;
}
