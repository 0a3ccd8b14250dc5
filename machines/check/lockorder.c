/*
 * lockorder.c - in which order locks are taken, over all executions of a search.
 *
 * Locks are of classes (docs/locking.md): what they are in, and which field of it. Whoever takes a lock of
 * class B holding one of class A adds the edge A -> B to a graph that outlasts the execution: only where a
 * search begins is it cleared (machine_forget_orders()), so that what is found depends on nothing but that
 * search. An edge that closes a circle is a deadlock that some other schedule could reach: a violation,
 * whether or not it happens here. Where many processes search, the edges of all count: they are told
 * (machine_on_order()), and whoever has them all looks for circles.
 *
 * The graph is machines/lockorder's. (That a waiting writer keeps readers out is left to config.writers_wait,
 * which finds the deadlock itself.) The folio lock, a bit that the core sets, counts like the others: it is
 * the last edge that decides, who waits for it with what held.
 *
 * Within a class: tables of one level by ascending frame; others must not nest, but for address spaces and
 * their lineages, where fork holds the parent's and works on a child that nobody else has seen. A litmus
 * file's events, used as locks, are a class each (of more than eight, some are one).
 *
 * Rules:   BASE-8, CHK-5. The order is docs/locking.md's.
 */
#include "inside.h"

#include "../lockorder/lockorder.h"

#include <stdio.h>
#include <string.h>

enum { EVENTS = CLASS_EVENT_LAST - CLASS_EVENT + 1, EVENT_BYTES = 64 /* an object's, at least */ };

static struct lockorder graph;
static bool (*listener)(void *data, const struct machine_order *order);
static void *listener_data;

const char *class_name(unsigned class)
{
	return lockorder_name(class);
}

static unsigned class_in_object(uintptr_t lock)
{
	uintptr_t start;
	size_t bytes;
	bool freed;

	if (!heap_find(lock, &start, &bytes, &freed))
		return CLASS_OTHER;
	return lockorder_class(bytes, lock - start);
}

unsigned class_of(uintptr_t lock, enum held_how how)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = lock - (uintptr_t)machine->folios;

	if (how == HELD_FOLIO)
		return CLASS_FOLIO;
	if (place_kind(lock) == PLACE_DEVICE)
		return CLASS_DEVICE;
	if (place_kind(lock) == PLACE_EVENT)
		return CLASS_EVENT + place_what(lock) / EVENT_BYTES % EVENTS;
	if (machine->folios && offset < machine->config.frames * sizeof(struct folio))
		return CLASS_TABLE + machine->folios[offset / sizeof(struct folio)].table.level;
	if (lock - (uintptr_t)machine->metadata < machine->metadata_bytes)
		return CLASS_BUDDY;
	return class_in_object(lock);
}

/* ---- circles ---------------------------------------------------------------------------------------- */

/* Events have names of their own; of other locks the class says more. */
static const char *lock_text(uintptr_t lock, unsigned class)
{
	return class < CLASS_EVENT ? class_name(class) : machine_describe(machine_now, lock);
}

static void tell(struct machine_order *order, uintptr_t held, uintptr_t lock)
{
	char text[200];

	/* What is not scheduled in a search is the end of an execution. */
	snprintf(text, sizeof(text), "%s takes %s with %s held",
		 self() == OUTSIDE ? "the end" : thread_name(self()), lock_text(lock, order->taken),
		 lock_text(held, order->held));
	order->text = text;
	if (listener(listener_data, order))
		violation("order of locks: %s", text);
}

static void add_edge(const struct held *held, uintptr_t lock, unsigned class, bool shared)
{
	struct machine_order order = { held->class, class, held->how == HELD_READ, shared, false, NULL };
	unsigned via;

	if (lockorder_knows(&graph, held->class, order.held_shared, class, shared))
		return;
	order.closes = !lockorder_add(&graph, held->class, order.held_shared, class, shared, &via);
	if (listener)
		tell(&order, held->lock, lock);
	else if (order.closes)
		violation("order of locks: %s takes %s with %s held; elsewhere %s was taken with %s held%s",
			  thread_name(self()), lock_text(lock, class), lock_text(held->lock, held->class),
			  lock_text(held->lock, held->class), class_name(via),
			  via == class ? "" : ", in a circle");
}

static bool may_nest(const struct held *held, uintptr_t lock, unsigned class)
{
	if (class >= CLASS_TABLE && class <= CLASS_TABLE_LAST)
		return lock > held->lock; /* ascending frames */
	return class == CLASS_MM || class == CLASS_ANON || class == CLASS_NOTIFIERS || class == CLASS_OTHER ||
	       class >= CLASS_DEVICE;
}

void order_check(const struct held *held, unsigned count, uintptr_t lock, unsigned class, enum held_how how)
{
	for (unsigned i = 0; i < count; i++) {
		if (held[i].class == CLASS_OTHER || class == CLASS_OTHER)
			continue;
		if (held[i].class != class) {
			add_edge(&held[i], lock, class, how == HELD_READ);
			continue;
		}
		if (may_nest(&held[i], lock, class) || (how == HELD_READ && held[i].how == HELD_READ))
			continue;
		violation("order of locks: %s takes %s with another held, %s", thread_name(self()),
			  machine_describe(machine_now, lock), class_name(class));
	}
}

/*
 * A wait on a word of a folio is one for its lock (BASE-8): whoever has it may need the address space, or
 * what is inside it, to let it go.
 */
void order_sleep(const struct held *held, unsigned count, uintptr_t word)
{
	const struct machine *machine = machine_now;
	uintptr_t offset = word - (uintptr_t)machine->folios;

	if (!machine->folios || offset >= machine->config.frames * sizeof(struct folio))
		return;
	for (unsigned i = 0; i < count; i++) {
		if (held[i].class > CLASS_FOLIO && held[i].class < CLASS_DEVICE)
			violation("%s waits for a folio lock with %s held (BASE-8)", thread_name(self()),
				  class_name(held[i].class));
		else if (held[i].class == CLASS_FOLIO && held[i].lock != word)
			violation("%s waits for a folio lock with another folio locked", thread_name(self()));
		else if (held[i].class == CLASS_RESIZE)
			add_edge(&held[i], word, CLASS_FOLIO, false);
	}
}

void machine_on_order(bool (*seen)(void *data, const struct machine_order *order), void *data)
{
	listener = seen;
	listener_data = data;
}

void machine_forget_orders(void)
{
	memset(&graph, 0, sizeof(graph));
}
