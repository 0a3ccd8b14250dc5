/*
 * explore.c - the order between steps, and source-DPOR with sleep sets.
 *
 * Two executions that differ only in the order of steps that do not conflict are the same trace: everybody
 * reads the same values. It is enough to run one of each. After each execution the search looks for races:
 * pairs of steps of two threads that conflict, with no other chain of conflicts between them, so that they
 * could have come the other way round.
 *
 *	E:   ... j ......... s ...		j and s race
 *	v:        (what does not come after j) s
 *
 * From the node before j, some execution must begin with a first step of v (a thread of v that waits there
 * for nobody in v: an initial). If one of these is already to be tried there, nothing is added, else one
 * is: that is a source set (Abdulla, Aronis, Jonsson, Sagonas: Optimal dynamic partial order reduction,
 * POPL'14).
 *
 * Sleep sets keep what was tried from being run again in another order: a thread tried from a node is
 * asleep in what is tried there later, until a step conflicts with the one it took. An execution in which
 * all that could run are asleep is given up.
 *
 * Two orders are no races, though one step made the other possible: a lock's release and the next acquire, a
 * signal and what waited for it. The race of two that take one lock is between the acquires, whatever lies in
 * between.
 *
 * A thread and its interrupt handler are one process, see interrupts.c.
 *
 * Errors:  out of memory ends the process with status 3.
 * Rules:   CHK-2.
 */
#include "search.h"

#include <stdlib.h>
#include <string.h>

/* ---- races ------------------------------------------------------------------------------------------ */

struct candidate {
	uint16_t step;
	bool immediate;	       /* nothing that this step comes after comes between the two */
	uint32_t mine, theirs; /* touches */
};

struct candidates {
	uint32_t count, room;
	struct candidate *at;
};

static void add_candidate(struct candidates *list, uint16_t step, uint32_t mine, uint32_t theirs)
{
	if (list->count == list->room)
		list->at = search_grow(list->at, &list->room, list->count, sizeof(*list->at));
	list->at[list->count++] = (struct candidate){ .step = step, .mine = mine, .theirs = theirs };
}

/* All of them: a fixed number, so that it is a few instructions. */
static void join(uint16_t *restrict clock, const uint16_t *restrict other)
{
	for (unsigned t = 0; t < ENGINE_THREADS; t++)
		clock[t] = other[t] > clock[t] ? other[t] : clock[t];
}

static bool covers(const uint16_t *clock, const struct event *event)
{
	return clock[event->thread] > event->local;
}

/* Of two pairs of places: who searches which part must not decide which one is told. */
static bool is_lower(const void *const a[2], const void *const b[2])
{
	return a[0] != b[0] ? a[0] < b[0] : a[1] < b[1];
}

static void note_hot(struct engine *engine, const struct candidate *race)
{
	struct engine_hot new = { .location = engine->touch[race->mine].location,
				  .code = { engine->event[race->step].code,
					    engine->event[engine->touch[race->mine].event].code } };

	if (!engine->hot)
		engine->hot = calloc(ENGINE_HOT, sizeof(*engine->hot));
	if (!engine->hot)
		return;
	size_t i = 0;
	while (i < engine->hots && engine->hot[i].location != new.location)
		i++;
	if (i == ENGINE_HOT)
		return;
	if (i == engine->hots)
		engine->hot[engine->hots++] = new;
	if (is_lower(new.code, engine->hot[i].code))
		memcpy(engine->hot[i].code, new.code, sizeof(new.code));
	engine->hot[i].races++;
}

/*
 * The initials of v: the steps behind @e that do not come after it, then step @s. A thread's first step in v
 * is one when no other thread's step in v comes before it.
 */
static thread_set initials(struct engine *engine, uint32_t e, uint32_t s)
{
	thread_set seen = 0, found = 0;
	uint16_t first[ENGINE_THREADS];

	for (uint32_t k = e + 1; k <= s; k++) {
		const struct event *event = &engine->event[k];
		bool is_first = true;

		if ((seen & ONLY(event->thread)) || (k < s && event_before(&engine->event[e], event)))
			continue;
		for (thread_set rest = seen; rest && is_first; rest &= rest - 1) {
			unsigned t = (unsigned)__builtin_ctz(rest);

			is_first = event->clock[t] <= first[t];
		}
		seen |= ONLY(event->thread);
		first[event->thread] = event->local;
		if (is_first)
			found |= ONLY(event->thread);
	}
	return found;
}

static void add_source(struct engine *engine, uint32_t e, uint32_t s)
{
	struct node *node = &engine->node[e];
	thread_set starts = initials(engine, e, s) & node->enabled;

	if (starts & (node->todo | node->sleep))
		return;
	if (!starts) /* cannot be, but for orders that were not told: then everybody */
		node->todo |= node->enabled;
	else if (starts & ONLY(engine->event[s].thread))
		node->todo |= ONLY(engine->event[s].thread);
	else
		node->todo |= starts & -starts;
}

/* For the end of the execution: SEARCH_OPTIMAL. */
static void add_reversal(struct engine *engine, uint32_t e, uint32_t s)
{
	engine->race = search_grow(engine->race, &engine->race_room, engine->races, sizeof(*engine->race));
	engine->race[engine->races][0] = (uint16_t)e;
	engine->race[engine->races++][1] = (uint16_t)s;
}

/* Let @s come before @e, if that can be. */
static void reverse(struct engine *engine, uint32_t e, uint32_t s)
{
	if (engine->config.search == SEARCH_OPTIMAL)
		add_reversal(engine, e, s);
	else
		add_source(engine, e, s);
}

static void add_race(struct engine *engine, const struct candidate *race, uint32_t s)
{
	if (s >= engine->config.frontier) /* what is above it everybody meets */
		note_hot(engine, race);
	reverse(engine, race->step, s);
}

/* What a step has met. */
struct met {
	struct candidates races, locks, overtaken;
	uint16_t order[ENGINE_THREADS];	 /* what it comes after, races aside */
	uint16_t source[ENGINE_THREADS]; /* what it comes after because of the stores that it reads */
	uint32_t read;			 /* the step that made the one, NO_STEP */
};

/*
 * Link the touch behind those of its location, and collect what it meets there, back to what covers the rest.
 */
static void meet(struct engine *engine, uint32_t mine, struct met *met)
{
	struct touch *touch = &engine->touch[mine];
	struct location *location = conflicts_location(engine, touch);
	bool is_lock = touch->mode == TOUCH_ACQUIRE || touch->mode == TOUCH_SHARE;
	bool is_store = conflicts_is_store(touch->location);

	touch->before = location->last;
	touch->linked = true;
	location->last = mine;
	for (uint32_t i = touch->before; i != NO_TOUCH; i = engine->touch[i].before) {
		struct touch *other = &engine->touch[i];
		enum relation relation = conflicts_relation(engine, other, touch);

		if (relation != INDEPENDENT && !is_store)
			interrupts_learn(engine, location);
		switch (relation) {
		case RACE:
			/*
			 * What it finds behind a store that is kept it would not find before: then the store
			 * does not sleep on when the other comes first.
			 */
			other->is_write |= other->mode >= TOUCH_PUT && touch->mode < TOUCH_LOOK;
			add_candidate(is_lock ? &met->locks : &met->races, other->event, mine, i);
			break;
		case OVERTAKEN:
			add_candidate(&met->overtaken, other->event, mine, i);
			break;
		case ORDER:
			if (!is_store) {
				join(met->order, engine->event[other->event].clock);
				break;
			}
			join(met->source, engine->event[other->event].clock);
			met->read = other->event;
			break;
		default:
			break;
		}
		/* What came before it, and would meet us, it has met itself. */
		if (other->mode == TOUCH_WRITE || other->mode == TOUCH_ACQUIRE)
			break;
	}
}

static int latest_first(const void *a, const void *b)
{
	return (int)((const struct candidate *)b)->step - (int)((const struct candidate *)a)->step;
}

static void sort(struct candidates *list)
{
	if (list->count > 1)
		qsort(list->at, list->count, sizeof(list->at[0]), latest_first);
}

/*
 * First what is immediate, by the order before this step; then the order; then what follows from each. The
 * latest come first: they order what is before them. That it is read does not make the step @read less of one
 * to meet the other way round.
 */
static void find_immediate(struct engine *engine, struct candidates *list, uint16_t *cover, uint32_t read)
{
	sort(list);
	for (unsigned i = 0; i < list->count; i++) {
		struct event *event = &engine->event[list->at[i].step];

		list->at[i].immediate = !covers(cover, event) || list->at[i].step == read;
		join(cover, event->clock);
	}
}

/*
 * What could have been overtaken by this step, unless that comes after it anyway: but not because it reads
 * it.
 */
static void add_overtaken(struct engine *engine, const struct met *met, uint32_t s)
{
	for (unsigned i = 0; i < met->overtaken.count; i++) {
		const struct candidate *candidate = &met->overtaken.at[i];
		const struct event *event = &engine->event[candidate->step];

		if (covers(met->order, event) || (candidate->step != met->read && covers(met->source, event)))
			continue;
		add_race(engine, candidate, s);
	}
}

/* Returns the step that @s races with for the order of its CPU, NO_STEP: none. */
static uint32_t follow_cpu(struct engine *engine, struct met *met, uint32_t s)
{
	uint32_t last = interrupts_before(engine, s);

	if (last == NO_STEP)
		return NO_STEP;
	/* An interrupt is moved as a whole. */
	const struct event *event = &engine->event[last];
	uint32_t rival = event->interrupt == NO_STEP ? last : event->interrupt;
	/* What @s waited for may be why it is not earlier. */
	if (covers(met->order, &engine->event[rival]))
		rival = NO_STEP;
	join(met->order, event->clock);
	return rival;
}

/* The order of step @s, and its races. */
void explore_step_done(struct engine *engine, uint32_t s)
{
	struct event *event = &engine->event[s];
	struct thread *thread = &engine->thread[event->thread];
	static struct met met; /* its lists stay as long as they have become: most steps need no room */
	uint16_t cover[ENGINE_THREADS];

	if (engine->config.search > SEARCH_OPTIMAL)
		return;
	met.races.count = met.locks.count = met.overtaken.count = 0;
	met.read = NO_STEP;
	memset(met.source, 0, sizeof(met.source));
	if (thread->last == NO_STEP)
		memset(event->clock, 0, sizeof(event->clock));
	else
		memcpy(event->clock, engine->event[thread->last].clock, sizeof(event->clock));
	memcpy(met.order, event->clock, sizeof(met.order));
	for (uint32_t i = 0; i < event->touch_count; i++)
		meet(engine, event->touches + i, &met);

	uint32_t rival = follow_cpu(engine, &met, s);
	memcpy(cover, met.order, sizeof(cover));
	join(cover, met.source);
	if (met.read != NO_STEP && covers(met.order, &engine->event[met.read]))
		met.read = NO_STEP; /* it would be before this step in any case */
	find_immediate(engine, &met.races, cover, met.read);
	/* Locks by the order of the thread alone: whoever gave it back has taken it first. */
	find_immediate(engine, &met.locks, event->clock, NO_STEP);
	join(event->clock, cover);
	event->clock[event->thread] = event->local + 1;
	if (rival != NO_STEP)
		reverse(engine, rival, s);
	for (unsigned i = 0; i < met.races.count; i++)
		if (met.races.at[i].immediate)
			add_race(engine, &met.races.at[i], s);
	for (unsigned i = 0; i < met.locks.count; i++)
		if (met.locks.at[i].immediate)
			add_race(engine, &met.locks.at[i], s);
	add_overtaken(engine, &met, s);
}

/* ---- the tree --------------------------------------------------------------------------------------- */

/* Of those asleep or tried at the node before, these stay asleep past the step that was taken there. */
void explore_fall_asleep(struct engine *engine, uint32_t depth)
{
	struct node *node = &engine->node[depth];

	node->sleep = node->drowsy = 0;
	if (!depth)
		return;
	struct node *before = &engine->node[depth - 1];
	const struct event *event = &engine->event[depth - 1];
	thread_set rest = (before->sleep | before->done | before->drowsy) & ~ONLY(before->chosen);
	for (; rest; rest &= rest - 1) {
		unsigned t = (unsigned)__builtin_ctz(rest);
		struct footprint footprint = before->asleep[t];
		bool is_drowsy = before->drowsy & ~before->done & ONLY(t);
		enum waking waking = conflicts_wake(&engine->pool[footprint.first], footprint.count,
						    &engine->touch[event->touches], event->touch_count);

		if (waking == AWAKE || interrupts_wake(engine, depth - 1, t) ||
		    (waking == DROWSY && engine->config.search != SEARCH_SOURCE))
			continue;
		if (waking == DROWSY || is_drowsy)
			node->drowsy |= ONLY(t);
		else
			node->sleep |= ONLY(t);
		node->asleep[t] = footprint;
		node->since[t] = before->done & ONLY(t) ? (uint16_t)(depth - 1) : before->since[t];
	}
}

/*
 * What is found out in one part of the search, those who explore other parts do not know: above the frontier
 * nothing may depend on it.
 */
static bool is_above_frontier(const struct engine *engine, const struct node *node)
{
	return (uint32_t)(node - engine->node) < engine->config.frontier;
}

static void add_to_footprint(struct engine *engine, struct node *node, struct touch touch)
{
	uint32_t k = node->seen.first, end = node->seen.first + node->seen.count;

	if (touch.is_write || (touch.mode >= TOUCH_PUT && is_above_frontier(engine, node)))
		touch.mode = TOUCH_WRITE;
	while (k < end && (engine->pool[k].location != touch.location || engine->pool[k].mode != touch.mode))
		k++;
	if (k < end)
		return;
	engine->pool = search_grow(engine->pool, &engine->pool_room, engine->pool_count,
				   sizeof(*engine->pool));
	engine->pool[engine->pool_count++] = touch;
	node->seen.count++;
}

/* What the step taken at @depth touched joins what its other choices touched. */
void explore_note_footprint(struct engine *engine, uint32_t depth)
{
	const struct event *event = &engine->event[depth];

	for (uint32_t i = 0; i < event->touch_count; i++)
		add_to_footprint(engine, &engine->node[depth], engine->touch[event->touches + i]);
}

/* Another choice of the step taken at @depth, if one is left: as an odometer turns. */
bool explore_next_choice(struct engine *engine, uint32_t depth)
{
	struct node *node = &engine->node[depth];

	while (node->choice_count) {
		struct choice *last = &engine->choice[node->choices + node->choice_count - 1];

		if (last->value + 1u < last->of) {
			last->value++;
			engine->choice_count = node->choices + node->choice_count;
			return true;
		}
		node->choice_count--;
	}
	engine->choice_count = node->choices;
	return false;
}

void explore_tried(struct engine *engine, uint32_t depth)
{
	struct node *node = &engine->node[depth];
	struct footprint before = node->asleep[node->chosen];

	/*
	 * Of who was drowsy, what it did with stores of before is not done again, but part of what it may do.
	 */
	for (uint32_t i = 0; (node->drowsy & ONLY(node->chosen)) && i < before.count; i++)
		add_to_footprint(engine, node, engine->pool[before.first + i]);
	node->asleep[node->chosen] = node->seen;
	node->done |= ONLY(node->chosen);
	node->seen = (struct footprint){ engine->pool_count, 0 };
}

/* The next execution branches off at @depth. */
void explore_branch(struct engine *engine, uint32_t depth)
{
	conflicts_truncate(engine, depth);
	engine->known = depth;
	engine->replay = depth + 1;
}

/* The frontier: where processes share the work. */

enum { USUAL_FRONTIER = 10 };

/* Numbers are only worth something if everybody who counts meets the same: the way there says. */
static uint64_t path_hash(const struct engine *engine)
{
	uint64_t hash = 0;

	for (uint32_t d = 0; d < engine->depth && d < engine->config.frontier; d++) {
		const struct node *node = &engine->node[d];

		hash = (hash + node->chosen + 1) * 0x9e3779b97f4a7c15ul;
		for (uint32_t i = 0; i < node->choice_count; i++)
			hash = (hash ^ hash >> 32 ^ engine->choice[node->choices + i].value) *
			       0xe7037ed1a0b428dbul;
		hash ^= hash >> 29;
	}
	return hash;
}

static bool claim(struct engine *engine)
{
	const struct engine_config *config = &engine->config;

	interrupts_forget(engine);
	engine->leaf = engine->counts.leaves++;
	if (config->claim)
		engine->in_leaf = config->claim(config->claim_data, engine->leaf, path_hash(engine));
	else
		engine->in_leaf = !config->shards || engine->leaf % config->shards == config->shard;
	return engine->in_leaf;
}

static void leave_leaf(struct engine *engine)
{
	if (engine->in_leaf && engine->config.finished)
		engine->config.finished(engine->config.claim_data, engine->leaf);
	engine->in_leaf = false;
}

static unsigned pick_source(struct engine *engine, struct node *node, unsigned otherwise)
{
	if (engine->depth < engine->config.frontier)
		node->todo = node->enabled;
	if (engine->depth == engine->config.frontier && engine->config.frontier && !engine->in_leaf &&
	    otherwise < ENGINE_THREADS && !claim(engine)) {
		engine->verdict = NOT_OURS;
		return ENGINE_THREADS;
	}
	return otherwise;
}

/* With what was learnt. What was explored in vain has been counted: the same whoever searches the part. */
static void begin_again(struct engine *engine)
{
	uint32_t from = engine->config.frontier;

	conflicts_truncate(engine, from);
	engine->pool_count = engine->node[from].pool;
	engine->choice_count = engine->node[from].choices;
	engine->known = engine->replay = from;
	engine->begin_again = false;
}

static bool source_next(struct engine *engine)
{
	if (engine->begin_again) {
		begin_again(engine);
		return true;
	}
	for (uint32_t depth = engine->depth; depth-- > 0;) {
		struct node *node = &engine->node[depth];

		explore_note_footprint(engine, depth);
		if (explore_next_choice(engine, depth)) {
			explore_branch(engine, depth);
			return true;
		}
		explore_tried(engine, depth);
		thread_set left = node->todo & node->enabled & ~node->done & ~node->sleep;
		if (left) {
			node->chosen = (uint8_t)__builtin_ctz(left);
			explore_branch(engine, depth);
			return true;
		}
		conflicts_truncate(engine, depth);
		engine->pool_count = node->pool;
		if (depth == engine->config.frontier)
			leave_leaf(engine);
	}
	return false;
}

unsigned search_goes_on(struct engine *engine, const struct node *node)
{
	if (node->previous >= ENGINE_THREADS)
		return ENGINE_THREADS;
	if (node->enabled & ONLY(node->previous))
		return node->previous;
	for (thread_set rest = node->enabled; rest; rest &= rest - 1) {
		unsigned t = (unsigned)__builtin_ctz(rest);

		if (engine->thread[t].works_for == engine->thread[node->previous].works_for)
			return t;
	}
	return ENGINE_THREADS;
}

static unsigned first_choice(struct engine *engine, const struct node *node, thread_set from)
{
	unsigned goes_on = search_goes_on(engine, node);

	if (!from)
		return ENGINE_THREADS;
	return goes_on < ENGINE_THREADS && (from & ONLY(goes_on)) ? goes_on : (unsigned)__builtin_ctz(from);
}

unsigned search_pick(struct engine *engine, struct node *node)
{
	if (engine->replaying)
		return first_choice(engine, node, node->enabled);
	switch (engine->config.search) {
	case SEARCH_PCT:
	case SEARCH_POS:
		return random_pick(engine, node);
	case SEARCH_BRUTE:
		node->todo = node->enabled;
		return first_choice(engine, node, node->enabled);
	case SEARCH_BOUNDED:
		return first_choice(engine, node, node->enabled);
	case SEARCH_OPTIMAL:
		explore_fall_asleep(engine, engine->depth);
		return optimal_pick(engine, engine->depth,
				    first_choice(engine, node, node->enabled & ~node->sleep));
	default:
		explore_fall_asleep(engine, engine->depth);
		return pick_source(engine, node, first_choice(engine, node, node->enabled & ~node->sleep));
	}
}

static void count(struct engine *engine)
{
	bool is_violated = engine->verdict == VIOLATED;

	engine->counts.blocked += engine->verdict == BLOCKED && (engine->in_leaf || !engine->config.frontier);
	if (engine->verdict != COMPLETE && !is_violated)
		return;
	engine->counts.executions++;
	engine->counts.violations += is_violated;
	engine->counts.transitions += engine->depth;
	engine->counts.instrumented += engine_accesses;
	if (engine->depth > engine->counts.longest)
		engine->counts.longest = engine->depth;
	if (engine->ended)
		engine->ended(engine->ended_data, is_violated ? engine->violation : NULL);
}

void explore_ended(struct engine *engine)
{
	/* It came no further than the frontier: a leaf of its own. */
	bool is_leaf = engine->config.frontier && engine->depth <= engine->config.frontier &&
		       engine->verdict != BLOCKED && engine->verdict != NOT_OURS;

	if (is_leaf && !claim(engine))
		return;
	count(engine);
	if (is_leaf)
		leave_leaf(engine);
}

/* Is there another execution? False at the end of the space. */
static bool next(struct engine *engine)
{
	switch (engine->config.search) {
	case SEARCH_OPTIMAL:
		return optimal_next(engine);
	case SEARCH_BOUNDED:
		return bounded_next(engine);
	case SEARCH_PCT:
	case SEARCH_POS:
		random_begin(engine);
		return true;
	default:
		return source_next(engine);
	}
}

static bool is_enough(struct engine *engine)
{
	const struct engine_config *config = &engine->config;

	if (config->executions && engine->counts.executions >= config->executions)
		return true;
	if (config->begun && engine->runs >= config->begun)
		return true;
	if (config->stop_at_violation && engine->counts.violations)
		return true;
	if (engine->runs & 63)
		return false;
	return (config->seconds > 0 && engine_time() - engine->began > config->seconds) ||
	       (config->is_over && config->is_over(config->claim_data));
}

void explore_begin(struct engine *engine)
{
	engine->known = engine->replay = 0;
	engine->milestones = 0;
	engine->touches = engine->choice_count = engine->pool_count = 0;
	if (engine->location)
		memset(engine->location, 0, (engine->location_mask + 1ul) * sizeof(*engine->location));
	engine->locations = 0;
	engine->found_hot = engine->begin_again = false;
	engine->depth = 0;
	interrupts_forget(engine);
}

void engine_run(struct engine *engine, const struct engine_config *config, struct engine_counts *counts)
{
	engine->config = *config;
	engine->counts = (struct engine_counts){ 0 };
	engine->random = config->seed;
	engine->began = engine_time();
	engine->hots = 0;
	engine->replaying = false;
	if (config->search != SEARCH_SOURCE)
		engine->config.frontier = engine->config.shards = 0;
	else if (config->shards > 1 && !config->frontier)
		engine->config.frontier = USUAL_FRONTIER;
	engine->in_leaf = false;
	explore_begin(engine);
	random_begin(engine);
	for (engine->runs = 1;; engine->runs++) {
		engine_execute(engine);
		explore_ended(engine);
		if (is_enough(engine))
			break;
		if (!next(engine)) {
			engine->counts.complete = true;
			break;
		}
	}
	engine->counts.seconds = engine_time() - engine->began;
	*counts = engine->counts;
}

void explore_destroy(struct engine *engine)
{
	optimal_destroy(engine);
}
