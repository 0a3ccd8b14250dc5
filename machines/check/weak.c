/*
 * weak.c - C11's atomics as weak as the language allows, but for load buffering.
 *
 * Each atomic location keeps the stores of this execution in modification order, which need not be the order
 * in which they are made. Native memory holds the last.
 *
 *	modification order	s0    s1    s2    s3
 *	T may read			    ^^    ^^	not behind s2: T has seen s2, or something that comes
 *							after it
 *
 * The *floor* of a thread at a location is the latest store that some access made or read that comes before
 * its next one (clock.h). Then
 *
 *	a load reads any store from the floor on: engine_choose(), the newest first;
 *	a store goes anywhere behind the floor, again the last place first;
 *	a read-modify-write reads a store as a load does and goes right behind it: so one that another has
 *	read-modify-written cannot be chosen, and nothing is ever put between the two.
 *
 * What seq_cst adds is in weak_order.c: some of these would close a circle in the order of seq_cst
 * operations.
 *
 * A load never reads a store that is made later in the same run. So executions with a circle of program order
 * and reads-from (load buffering) are not explored, and nothing comes out of thin air.
 *
 * Conflicts. For the search, the order of two stores to one location is no matter, since either order leads
 * to both modification orders; a load behind a store can read what it would have read before it. What is left
 * is a load, or read-modify-write, before a store that it could read, and two read-modify-writes: see
 * TOUCH_LOOK in engine.h. That a load comes after the store that it reads is an order of its own: each store
 * has a location (SIGNAL) that its readers await.
 *
 * Rules:   CHK-3.
 */
#include "weak.h"

#include <stdlib.h>

static struct {
	struct store *store;
	uint32_t stores, store_room;
	struct access *access;
	uint32_t accesses, access_room;
} weak;

enum { CHOICES = 256 };

struct choice_list {
	unsigned count;
	uint32_t store[CHOICES];
};

void weak_begin(void)
{
	weak.stores = weak.accesses = 0;
	weak_order_begin();
}

void weak_image(struct image *image)
{
	image_add(image, &weak.stores, sizeof(weak.stores));
	image_add(image, &weak.accesses, sizeof(weak.accesses));
	image_add_array(image, &weak.store, &weak.stores, sizeof(*weak.store));
	image_add_array(image, &weak.access, &weak.accesses, sizeof(*weak.access));
	weak_order_image(image);
}

void weak_destroy(void)
{
	free(weak.store);
	free(weak.access);
	weak.store = NULL;
	weak.access = NULL;
	weak.store_room = weak.access_room = 0;
	weak_order_destroy();
}

struct store *weak_store_at(uint32_t store)
{
	return &weak.store[store];
}

struct access *weak_access_at(uint32_t access)
{
	return &weak.access[access];
}

/* ---- histories ----------------------------------------------------------------------------------------- */

static uint32_t new_store(const struct store *store)
{
	weak.store = memory_grow(weak.store, &weak.store_room, weak.stores, sizeof(*weak.store));
	weak.store[weak.stores] = *store;
	weak.store[weak.stores].step = engine_step_now();
	return weak.stores++;
}

/* A history begins with what is in memory. */
void weak_place(struct place *place, uint32_t message)
{
	place->first = place->last = new_store(&(struct store){
		.value = memory_native_load(place->address, place->bytes),
		.message = message,
		.before = NONE,
		.behind = NONE,
	});
	weak.store[place->first].step = 0;
	place->accesses = NONE;
}

/* What whoever reads any of it could get. */
uint32_t weak_last_message(const struct place *place)
{
	uint32_t message = 0;

	for (uint32_t s = place->first; s != NONE; s = weak.store[s].behind)
		message = clock_merge(message, weak.store[s].message);
	return message;
}

static void put_behind(struct place *place, uint32_t at, uint32_t store)
{
	uint32_t behind = weak.store[at].behind;

	weak.store[store].before = at;
	weak.store[store].behind = behind;
	weak.store[at].behind = store;
	if (behind == NONE)
		place->last = store;
	else
		weak.store[behind].before = store;
	for (uint32_t s = store; s != NONE; s = weak.store[s].behind)
		weak.store[s].position = weak.store[weak.store[s].before].position + 1;
}

static struct access *last_access(const struct place *place, unsigned thread)
{
	for (uint32_t i = place->accesses; i != NONE; i = weak.access[i].next)
		if (weak.access[i].thread == thread)
			return &weak.access[i];
	return NULL;
}

/* Again the same: whether others came in between says nothing. */
static void note_access(struct place *place, uint32_t store, bool is_write, uint32_t event, const void *code)
{
	unsigned self = engine_self();
	uint64_t stores = memory.thread[self].stores;
	uint32_t epoch = memory.thread[self].now.at[self], fences = weak_order_fences(self);
	struct access *last = last_access(place, self);

	if (last && !is_write && last->epoch == epoch && last->store == store && last->fences == fences &&
	    last->event == event && last->code == code && last->stores == stores) {
		last->times++;
		return;
	}
	weak.access = memory_grow(weak.access, &weak.access_room, weak.accesses, sizeof(*weak.access));
	weak.access[weak.accesses] = (struct access){
		.next = place->accesses,
		.store = store,
		.epoch = epoch,
		.fences = fences,
		.event = event,
		.thread = (uint8_t)self,
		.is_write = is_write,
		.code = code,
		.stores = stores,
		.times = 1,
	};
	place->accesses = weak.accesses++;
}

/*
 * A plain store is the last of its location, and what it stored is in native memory until the next one:
 * nothing races with it.
 */
static void refresh(struct place *place)
{
	struct store *last = &weak.store[place->last];

	if (last->is_native)
		last->value = memory_native_load(place->address, place->bytes);
	last->is_native = false;
}

static uint32_t native_store(struct place *place)
{
	refresh(place);
	uint32_t store = new_store(&(struct store){ .is_native = true });
	put_behind(place, place->last, store);
	return store;
}

void weak_plain_write(struct place *place)
{
	note_access(place, native_store(place), true, NONE, NULL);
}

/* The earliest store that the running thread may read; its own stores go behind it. */
static uint32_t floor_of(const struct place *place)
{
	unsigned self = engine_self();
	uint32_t found = place->first, done = 0;

	for (uint32_t i = place->accesses; i != NONE; i = weak.access[i].next) {
		const struct access *access = &weak.access[i];

		if (done & 1u << access->thread || !clock_view_covers(self, access->thread, access->epoch))
			continue;
		/* A thread's accesses of one location go forward: its earlier ones say less. */
		done |= 1u << access->thread;
		if (weak.store[access->store].position > weak.store[found].position)
			found = access->store;
	}
	return found;
}

/*
 * Stores become visible in finite time: a loop that has read an old one often enough without storing anything
 * reads it no more.
 */
static bool is_stale(const struct place *place, uint32_t store, const void *code)
{
	unsigned self = engine_self(), patience = memory.config.patience ? memory.config.patience : 2;

	if (weak.store[store].behind == NONE)
		return false;
	for (uint32_t i = place->accesses; i != NONE; i = weak.access[i].next) {
		const struct access *access = &weak.access[i];

		if (access->thread != self)
			continue;
		if (access->is_write || access->store != store ||
		    access->stores != memory.thread[self].stores)
			return false;
		if (access->code == code)
			return access->times >= patience;
	}
	return false;
}

/* Another read-modify-write has read it. */
static bool is_consumed(uint32_t store)
{
	uint32_t behind = weak.store[store].behind;

	return behind != NONE && weak.store[behind].is_rmw;
}

/* The last made first: what was not seen before (engine_seen_before()) then comes before what was. */
static void add_choice(struct choice_list *list, uint32_t store)
{
	unsigned i = list->count++;

	if (i == CHOICES)
		engine_violation("more than %d stores of one location could be read", CHOICES);
	for (; i && list->store[i - 1] < store; i--)
		list->store[i] = list->store[i - 1];
	list->store[i] = store;
}

static uint32_t choose_place(struct choice_list *list)
{
	return list->store[engine_choose(list->count)];
}

/* The same for what reads. */
static uint32_t choose_source(struct choice_list *list)
{
	uint32_t seen_before = engine_seen_before();

	while (list->count && weak.store[list->store[list->count - 1]].step < seen_before)
		list->count--;
	if (!list->count)
		engine_seen();
	return choose_place(list);
}

/* ---- conflicts ----------------------------------------------------------------------------------------- */

static bool is_walked(uintptr_t address)
{
	return address - (uintptr_t)memory.config.walked < memory.config.walked_bytes;
}

/*
 * What hardware sees of a location is another one: there, stores meet each other and hardware in both orders.
 */
enum { SEEN_BY_HARDWARE = 1 };

/*
 * Accesses of one word in several sizes do not find each other's histories, and what is @impatient does not
 * find what it would have found before: there, orders matter as everywhere.
 */
static enum touch_mode mode_of(const struct place *place, enum touch_mode mode, bool impatient)
{
	if (!impatient && !memory_is_mixed(place->address, place->bytes))
		return mode;
	return mode == TOUCH_LOOK ? TOUCH_READ : TOUCH_WRITE;
}

static void touch(const struct place *place, enum touch_mode mode)
{
	memory_touch_marked(place->address, place->bytes, mode, 0);
	if (mode != TOUCH_LOOK && mode != TOUCH_READ && is_walked(place->address))
		memory_touch_marked(place->address, place->bytes, TOUCH_WRITE, SEEN_BY_HARDWARE);
}

static uintptr_t location_of(const struct store *store)
{
	return 1ul << 63 | (uintptr_t)store->thread << 48 | store->number;
}

/*
 * It comes after the store that it reads. Where the two meet in both orders anyway, this is known, and must
 * not be said again: they would pass for ordered by something else, and not be tried the other way round.
 */
static void read_from(const struct place *place, uint32_t at, enum touch_mode mode)
{
	const struct store *store = &weak.store[at];

	if (!store->number || mode == TOUCH_READ || mode == TOUCH_WRITE)
		return;
	if (mode != TOUCH_SWAP || !is_walked(place->address))
		engine_touch(location_of(store), TOUCH_AWAIT);
}

/* ---- hardware ------------------------------------------------------------------------------------------ */

/* Locked, as hardware's are: it goes on what was there, and carries on its release sequence. */
static uint32_t hardware_store(struct place *place)
{
	uint32_t store = native_store(place);

	weak.store[store].message = weak.store[weak.store[store].before].message;
	weak.store[store].is_rmw = true;
	return store;
}

/* Where hardware is expected, loads find its stores in the history as they find others. */
static void walked_store(uintptr_t address, unsigned bytes)
{
	uint32_t new = hardware_store(memory_place(address, bytes));
	struct store *store = &weak.store[new];

	store->thread = (uint8_t)engine_self();
	store->number = (uint32_t)++memory_self()->stores;
	memory_touch_marked(address, bytes, TOUCH_SWAP, 0);
	engine_touch(location_of(store), TOUCH_SIGNAL);
}

void weak_hardware(uintptr_t address, unsigned bytes, enum touch_mode mode)
{
	bool walked = is_walked(address);

	if (walked)
		memory_touch_marked(address, bytes, mode, SEEN_BY_HARDWARE);
	if (mode == TOUCH_READ) {
		if (!walked)
			memory_touch_marked(address, bytes, mode, 0);
		return;
	}
	if (walked && !memory_is_mixed(address, bytes)) {
		walked_store(address, bytes);
		return;
	}
	memory_touch_marked(address, bytes, mode, 0);
	struct cell *cell = memory_cell(address);
	for (uint32_t i = cell ? cell->place : NONE; i != NONE; i = memory.place[i].next)
		if (memory_overlaps(&memory.place[i], address, bytes))
			hardware_store(&memory.place[i]);
}

/* ---- accesses ------------------------------------------------------------------------------------------ */

static struct place *begin(unsigned what, uintptr_t address, unsigned bytes, const void *code)
{
	memory_begin_step(what, address, code, NULL, NULL);
	struct place *place = memory_place(address, bytes);
	refresh(place);
	return place;
}

static uint64_t read_store(struct place *place, uint32_t store, int order, enum touch_mode mode,
			   const void *code)
{
	weak_order_commit(place, weak_at(store), order);
	read_from(place, store, mode);
	note_access(place, store, false, weak_order_event(order), code);
	clock_take(order, weak.store[store].message);
	engine_note(weak.store[store].value);
	return weak.store[store].value;
}

static uint32_t write_behind(struct place *place, uint32_t at, uint64_t value, int order, bool is_rmw)
{
	unsigned self = engine_self();
	uint32_t event = weak_order_event(order);
	struct store store = {
		.value = value,
		.is_rmw = is_rmw,
		.thread = (uint8_t)self,
		.number = (uint32_t)++memory.thread[self].stores,
	};
	uint32_t new = new_store(&store);

	put_behind(place, at, new);
	note_access(place, new, true, event, NULL);
	engine_touch(location_of(&store), TOUCH_SIGNAL);
	weak.store[new].message = is_rmw ? clock_of_rmw(order, weak.store[at].message)
					 : clock_of_store(order);
	if (place->last == new)
		memory_native_store(place->address, place->bytes, value);
	engine_note(value);
	return new;
}

uint64_t weak_load(uintptr_t address, unsigned bytes, int order, const void *code)
{
	struct place *place = begin(MEMORY_STEP_LOAD, address, bytes, code);
	bool is_impatient = false;
	uint32_t floor = floor_of(place);
	struct choice_list list = { 0 };

	race_check(address, bytes, RACE_ATOMIC_READ, code);
	for (uint32_t s = place->last;; s = weak.store[s].before) {
		if (is_stale(place, s, code))
			is_impatient = true; /* it could be read before the later ones were made */
		else if (weak_order_allows(place, weak_at(s), order))
			add_choice(&list, s);
		if (s == floor)
			break;
	}
	enum touch_mode mode = mode_of(place, TOUCH_LOOK, is_impatient);
	touch(place, mode);
	return read_store(place, choose_source(&list), order, mode, code);
}

void weak_store(uintptr_t address, unsigned bytes, uint64_t value, int order, const void *code)
{
	struct place *place = begin(MEMORY_STEP_STORE, address, bytes, code);
	uint32_t floor = floor_of(place);
	struct choice_list list = { 0 };

	touch(place, mode_of(place, TOUCH_PUT, false));
	race_check(address, bytes, RACE_ATOMIC_WRITE, code);
	for (uint32_t s = place->last;; s = weak.store[s].before) {
		if (!is_consumed(s) && weak_order_allows(place, weak_behind(s), order))
			add_choice(&list, s);
		if (s == floor)
			break;
	}
	uint32_t at = choose_place(&list);
	weak_order_commit(place, weak_behind(at), order);
	write_behind(place, at, value, order, false);
}

static uint64_t modify(struct place *place, uint32_t at, uint64_t value, int order, enum touch_mode mode)
{
	uint64_t old = weak.store[at].value;

	weak_order_commit(place, weak_behind(at), order);
	read_from(place, at, mode);
	clock_take(order, weak.store[at].message);
	write_behind(place, at, value, order, true);
	return old;
}

uint64_t weak_rmw(uintptr_t address, unsigned bytes, enum memory_operation operation, uint64_t operand,
		  int order, const void *code)
{
	struct place *place = begin(MEMORY_STEP_RMW, address, bytes, code);
	uint32_t floor = floor_of(place);
	enum touch_mode mode = mode_of(place, TOUCH_SWAP, false);
	struct choice_list list = { 0 };

	touch(place, mode);
	race_check(address, bytes, RACE_ATOMIC_WRITE, code);
	for (uint32_t s = place->last;; s = weak.store[s].before) {
		if (!is_consumed(s) && weak_order_allows(place, weak_behind(s), order))
			add_choice(&list, s);
		if (s == floor)
			break;
	}
	uint32_t at = choose_source(&list);
	return modify(place, at, memory_compute(operation, weak.store[at].value, operand, bytes), order,
		      mode);
}

/*
 * One that fails is a load. Which of the two it is may be the choice: both belong to the step. If it cannot
 * succeed only because others were first to replace what it looks for, it meets them as one that does.
 */
bool weak_compare_exchange(uintptr_t address, unsigned bytes, uint64_t *expected, uint64_t desired,
			   int success, int failure, const void *code)
{
	struct place *place = begin(MEMORY_STEP_COMPARE_EXCHANGE, address, bytes, code);
	bool may_succeed = false, is_impatient = false;
	uint32_t floor = floor_of(place);
	struct choice_list list = { 0 };

	for (uint32_t s = place->last;; s = weak.store[s].before) {
		bool succeeds = weak.store[s].value == *expected;

		if (!succeeds && is_stale(place, s, code))
			is_impatient = true;
		else if (succeeds ? !is_consumed(s) && weak_order_allows(place, weak_behind(s), success)
				  : weak_order_allows(place, weak_at(s), failure))
			add_choice(&list, s);
		may_succeed |= succeeds;
		if (s == floor)
			break;
	}
	enum touch_mode mode = mode_of(place, may_succeed ? TOUCH_SWAP : TOUCH_LOOK, is_impatient);
	touch(place, mode);
	uint32_t at = choose_source(&list);
	bool done = weak.store[at].value == *expected;
	race_check(address, bytes, done ? RACE_ATOMIC_WRITE : RACE_ATOMIC_READ, code);
	if (done)
		modify(place, at, desired, success, mode);
	else
		*expected = read_store(place, at, failure, mode, code);
	return done;
}

/* ---- waits --------------------------------------------------------------------------------------------- */

/* The last store that @thread made or read; NONE: it was not here. */
static uint32_t last_seen(const struct place *place, unsigned thread)
{
	const struct access *last = last_access(place, thread);

	return last ? last->store : NONE;
}

bool weak_is_behind(const struct place *place, unsigned thread)
{
	uint32_t seen = last_seen(place, thread);

	return seen != NONE && weak.store[seen].behind != NONE;
}

/*
 * It reads the next store that it may: not the last, so that what a later load chooses from does not depend
 * on how many there are by now.
 */
void weak_catch_up(struct place *place)
{
	refresh(place);
	uint32_t seen = last_seen(place, engine_self());
	if (seen == NONE || weak.store[seen].behind == NONE)
		return;
	uint32_t next = weak.store[seen].behind, floor = floor_of(place);
	enum touch_mode mode = mode_of(place, TOUCH_LOOK, false);
	if (weak.store[next].position < weak.store[floor].position)
		next = floor;
	while (!weak_order_allows(place, weak_at(next), MO_RELAXED))
		next = weak.store[next].behind;
	touch(place, mode);
	weak_order_commit(place, weak_at(next), MO_RELAXED);
	read_from(place, next, mode);
	note_access(place, next, false, NONE, NULL);
}

void weak_fence(void)
{
	clock_fence(MO_ACQUIRE);
	weak_order_fence();
	clock_fence(MO_RELEASE);
}
