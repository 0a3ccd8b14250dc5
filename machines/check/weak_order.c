/*
 * weak_order.c - the single order of seq_cst operations.
 *
 * C11 wants one total order S of all seq_cst operations and fences (as mended by P0668, and as in RC11: Lahav
 * et al., PLDI'17). It is not the order in which the search makes them: a relaxed load can see a seq_cst
 * thread's later store, and a seq_cst load after it still miss an earlier one. So S is kept as what it must
 * respect: a graph, its edges found as accesses find their places. For two accesses of one location let a < b
 * say that a comes first in *coherence*: a's store is before b's in modification order, or b reads what a
 * stores. Then, for a < b,
 *
 *	A before B, where	A is a, if that is seq_cst, or a fence that happens before a
 *				B is b, if that is seq_cst, or a fence that b happens before
 *
 * and what happens before a fence or, in the sense of *strongly*, before a seq_cst access comes before it in
 * S. A total order exists exactly as long as the graph has no circle. New nodes have edges to older ones only
 * when an access goes behind others in coherence, so there is one question: does a point in a location's
 * modification order lead from a successor of the new access back to one of its predecessors? The newest
 * point never does.
 *
 * Each event keeps all that is before it, as a set. There are few: nothing is done at all as long as there
 * are none.
 *
 * Rules:   CHK-3.
 */
#include "weak.h"

#include <stdlib.h>
#include <string.h>

enum {
	EVENTS = 1024, /* seq_cst operations in one execution */
	WORDS = EVENTS / 64,
	NO_EVENT = UINT16_MAX,
};

struct set {
	uint64_t word[WORDS];
};

struct event {
	uint32_t epoch;
	uint16_t previous; /* of the same thread, NO_EVENT */
	uint16_t previous_fence;
	uint8_t thread;
	bool is_store;
	struct clock now; /* a fence: what its thread had seen */
	struct set before;
};

/* Fences that come before something: the last one of each thread. */
struct fences {
	uint16_t last[ENGINE_THREADS];
};

static struct {
	uint32_t events, fences;
	uint16_t last[ENGINE_THREADS], last_fence[ENGINE_THREADS]; /* of each thread */
	uint32_t newest;					   /* made by the last commit(), NONE */
	uint32_t sets;
	/* not a part of the image: */
	struct event *event;
	struct fences *set;
	uint32_t set_room;
} order;

static uint32_t new_set(void)
{
	order.set = memory_grow(order.set, &order.set_room, order.sets, sizeof(*order.set));
	memset(&order.set[order.sets], 0xff, sizeof(*order.set));
	return order.sets++;
}

void weak_order_begin(void)
{
	order.events = order.fences = 0;
	order.sets = 0;
	memset(order.last, 0xff, sizeof(order.last));
	memset(order.last_fence, 0xff, sizeof(order.last_fence));
	if (memory.config.model == MEMORY_WEAK)
		new_set(); /* 0: none */
}

void weak_order_image(struct image *image)
{
	image_add(image, &order, (size_t)((char *)&order.event - (char *)&order));
	image_add_array(image, &order.event, &order.events, sizeof(*order.event));
	/* Sets are never changed. */
}

void weak_order_destroy(void)
{
	free(order.event);
	free(order.set);
	memset(&order, 0, sizeof(order));
}

/* ---- sets ---------------------------------------------------------------------------------------------- */

static unsigned words(void)
{
	return (order.events + 63) / 64;
}

static void add(struct set *set, uint32_t event)
{
	set->word[event / 64] |= 1ul << event % 64;
}

static bool holds(const struct set *set, uint32_t event)
{
	return set->word[event / 64] >> event % 64 & 1;
}

static void add_all(struct set *set, const struct set *other)
{
	for (unsigned w = 0; w < words(); w++)
		set->word[w] |= other->word[w];
}

static bool meet(const struct set *a, const struct set *b)
{
	for (unsigned w = 0; w < words(); w++)
		if (a->word[w] & b->word[w])
			return true;
	return false;
}

static bool is_empty(const struct set *set)
{
	return !meet(set, set);
}

/* @event, and all before it. */
static void add_with_past(struct set *set, uint16_t event)
{
	if (event == NO_EVENT)
		return;
	add(set, event);
	add_all(set, &order.event[event].before);
}

static void add_fences(struct set *set, uint32_t fences)
{
	for (unsigned t = 0; fences && t < memory.threads; t++)
		add_with_past(set, order.set[fences].last[t]);
}

/* ---- what comes before, what behind -------------------------------------------------------------------- */

uint32_t weak_order_fences(unsigned thread)
{
	struct thread_memory *of = &memory.thread[thread];

	if (!order.fences)
		return 0;
	if (of->fences != NONE)
		return of->fences;
	of->fences = new_set();
	for (unsigned u = 0; u < memory.threads; u++) {
		uint16_t fence = order.last_fence[u];

		while (fence != NO_EVENT && !clock_view_covers(thread, u, order.event[fence].epoch))
			fence = order.event[fence].previous_fence;
		order.set[of->fences].last[u] = fence;
	}
	return of->fences;
}

/*
 * Events that happen before what the running thread does next. A store of another thread that only its own
 * readers tell of is *strongly* before what they do next if that is a fence, and not if it is an access.
 */
static void add_past(struct set *set, bool is_fence)
{
	unsigned self = engine_self();
	const struct thread_memory *thread = &memory.thread[self];
	const struct clock *now = &thread->now;

	for (unsigned u = 0; u < memory.threads; u++) {
		uint16_t event = order.last[u];

		while (event != NO_EVENT && u != self) {
			const struct event *at = &order.event[event];
			uint32_t known = now->at[u];

			if (thread->is_interrupted && thread->beside.at[u] > known)
				known = thread->beside.at[u];

			if (at->epoch < known || (at->epoch == known && (is_fence || !at->is_store)))
				break;
			event = at->previous;
		}
		add_with_past(set, event);
	}
}

static bool is_before(const struct access *access, uint32_t point)
{
	uint32_t at = weak_at(access->store);

	return at < point || (at == point && access->is_write);
}

/* Of accesses before @point: themselves, and the fences before them. */
static void add_before(struct set *set, const struct place *place, uint32_t point)
{
	for (uint32_t i = place->accesses; i != NONE;) {
		const struct access *access = weak_access_at(i);

		i = access->next;
		if (!is_before(access, point))
			continue;
		if (access->event != NONE)
			add_with_past(set, (uint16_t)access->event);
		add_fences(set, access->fences);
	}
}

/* Of accesses behind @point: themselves, and of each thread the first fence that comes after them. */
static void add_behind(struct set *set, const struct place *place, uint32_t point)
{
	for (uint32_t i = place->accesses; i != NONE;) {
		const struct access *access = weak_access_at(i);

		i = access->next;
		if (weak_at(access->store) <= point)
			continue;
		if (access->event != NONE)
			add(set, access->event);
		for (unsigned t = 0; order.fences && t < memory.threads; t++) {
			uint16_t found = NO_EVENT;

			for (uint16_t fence = order.last_fence[t]; fence != NO_EVENT;
			     fence = order.event[fence].previous_fence) {
				if (!clock_covers(&order.event[fence].now, access->thread, access->epoch))
					break;
				found = fence;
			}
			if (found != NO_EVENT)
				add(set, found);
		}
	}
}

/* All that the access would come behind, and what it would come before. */
static void surroundings(const struct place *place, uint32_t point, int memory_order, struct set *past,
			 struct set *behind)
{
	add_behind(behind, place, point);
	if (memory_order != MO_SEQ_CST) {
		if (!is_empty(behind))
			add_fences(past, weak_order_fences(engine_self()));
		return;
	}
	add_past(past, false);
	add_before(past, place, point);
}

bool weak_order_allows(const struct place *place, uint32_t point, int memory_order)
{
	struct set past, behind;

	if (!order.events || (memory_order != MO_SEQ_CST && !order.fences))
		return true;
	memset(&past, 0, words() * 8);
	memset(&behind, 0, words() * 8);
	surroundings(place, point, memory_order, &past, &behind);
	return !meet(&past, &behind);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static uint16_t new_event(const struct set *past, bool is_fence)
{
	unsigned self = engine_self();

	if (order.events == EVENTS)
		engine_violation("more than %d seq_cst operations in one execution", EVENTS);
	if (!order.event)
		order.event = calloc(EVENTS, sizeof(*order.event));
	if (!order.event)
		exit(3);
	uint16_t new = (uint16_t)order.events++;
	struct event *event = &order.event[new];
	event->epoch = memory.thread[self].now.at[self];
	event->previous = order.last[self];
	event->previous_fence = order.last_fence[self];
	event->thread = (uint8_t)self;
	event->is_store = false;
	event->before = *past;
	order.last[self] = new;
	if (is_fence) {
		clock_view(self, &event->now);
		order.last_fence[self] = new;
		order.fences++;
		memory.thread[self].fences = NONE;
	}
	return new;
}

/* Everything in @behind, and all behind that, comes after all of @past. */
static void put_before(const struct set *past, const struct set *behind)
{
	for (unsigned e = 0; e < order.events; e++) {
		struct event *event = &order.event[e];

		if (holds(behind, e) || meet(&event->before, behind))
			add_all(&event->before, past);
	}
}

void weak_order_commit(const struct place *place, uint32_t point, int memory_order)
{
	struct set past, behind;

	order.newest = NONE;
	if (memory_order != MO_SEQ_CST && !order.fences)
		return;
	memset(&past, 0, sizeof(past));
	memset(&behind, 0, sizeof(behind));
	surroundings(place, point, memory_order, &past, &behind);
	if (memory_order == MO_SEQ_CST) {
		order.newest = new_event(&past, false);
		order.event[order.newest].is_store = point & 1;
		add(&past, order.newest);
	}
	if (!is_empty(&behind))
		put_before(&past, &behind);
}

uint32_t weak_order_event(int memory_order)
{
	return memory_order == MO_SEQ_CST ? order.newest : NONE;
}

/* How far @place has got in what comes before the running thread; 0: nothing of it does. */
static uint32_t reach(const struct place *place)
{
	unsigned self = engine_self();
	uint32_t point = 0;

	for (uint32_t i = place->accesses; i != NONE;) {
		const struct access *access = weak_access_at(i);
		uint32_t at = weak_at(access->store);

		i = access->next;
		if (!clock_view_covers(self, access->thread, access->epoch))
			continue;
		/* A write at its own store is before that point only for who reads it. */
		if (at + !access->is_write > point)
			point = at + !access->is_write;
	}
	return point;
}

void weak_order_fence(void)
{
	struct set past;

	memset(&past, 0, sizeof(past));
	add_past(&past, true);
	for (uint32_t i = 0; order.events && i < memory.places; i++) {
		uint32_t point = reach(&memory.place[i]);

		/* Points here: 2n + 1 has been read up to store n, 2n only made. */
		for (uint32_t k = memory.place[i].accesses; point && k != NONE;) {
			const struct access *access = weak_access_at(k);
			uint32_t at = weak_at(access->store);

			k = access->next;
			if (at >= point || (at + 1 == point && !access->is_write))
				continue;
			if (access->event != NONE)
				add_with_past(&past, (uint16_t)access->event);
			add_fences(&past, access->fences);
		}
	}
	new_event(&past, true);
}
