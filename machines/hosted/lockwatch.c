/*
 * lockwatch.c - debug builds: in which order locks are taken, over the whole life of a machine.
 *
 * Every lock that a CPU takes makes edges from those that it holds (machines/lockorder). A circle stops the
 * machine and says which classes it goes through, on the first run that takes locks in two orders, however
 * unlikely the deadlock itself. A lock that was only tried is held like the others, but nobody waited for
 * it: no edge leads to it.
 *
 * What a lock is, the object that it lies in tells: the objects handed out are kept in a table by their
 * first line, and a lock's is found by going down from it line by line.
 *
 * Under ThreadSanitizer it stays out of the way: its mutex would order what it watches, and hide races.
 *
 * Order:   watch->lock is inside everything.
 * Rules:   BASE-8.
 */
#include "machine.h"

#include "../../core/phys/folio.h"
#include "../lockorder/lockorder.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(QUIRE_DEBUG) && !defined(HOSTED_TSAN)

enum {
	LINE = 64,
	BUCKETS = 4096,
	LARGEST = 64 * LINE, /* objects that hold locks are smaller */
};

struct object {
	struct object *next;
	uintptr_t start;
	size_t bytes;
};

struct lock_watch {
	pthread_mutex_t lock;
	struct lockorder graph;
	struct object *bucket[BUCKETS];
};

struct lock_watch *watch_create(void)
{
	struct lock_watch *watch = calloc(1, sizeof(*watch));

	if (watch)
		pthread_mutex_init(&watch->lock, NULL);
	return watch;
}

void watch_destroy(struct lock_watch *watch)
{
	if (!watch)
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		for (struct object *object = watch->bucket[i], *next; object; object = next) {
			next = object->next;
			free(object);
		}
	}
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

static struct object **place(struct lock_watch *watch, uintptr_t start)
{
	struct object **link = &watch->bucket[start / LINE * 0x9e3779b97f4a7c15ull >> 52];

	while (*link && (*link)->start != start)
		link = &(*link)->next;
	return link;
}

/* Without memory for the note the object's locks are of no class, and not watched. */
void watch_object(struct lock_watch *watch, const void *start, size_t bytes)
{
	struct object *object = watch && bytes <= LARGEST ? malloc(sizeof(*object)) : NULL;

	if (!object)
		return;
	*object = (struct object){ .start = (uintptr_t)start, .bytes = bytes };
	pthread_mutex_lock(&watch->lock);
	*place(watch, object->start) = object;
	pthread_mutex_unlock(&watch->lock);
}

void watch_forget(struct lock_watch *watch, const void *start)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	struct object **link = place(watch, (uintptr_t)start), *object = *link;
	if (object)
		*link = object->next;
	pthread_mutex_unlock(&watch->lock);
	free(object);
}

static unsigned class_in_object(struct lock_watch *watch, uintptr_t lock)
{
	uintptr_t line = lock & ~(uintptr_t)(LINE - 1);

	for (uintptr_t down = 0; down < LARGEST; down += LINE) {
		struct object *object = *place(watch, line - down);

		if (object)
			return lock - object->start < object->bytes
				       ? lockorder_class(object->bytes, lock - object->start)
				       : CLASS_OTHER;
	}
	return CLASS_OTHER;
}

static unsigned class_of(struct hosted *machine, uintptr_t lock)
{
	uintptr_t offset = lock - (uintptr_t)machine->metadata;
	uintptr_t in_folio = lock % sizeof(struct folio);

	if (offset >= machine->metadata_bytes)
		return class_in_object(machine->watch, lock);
	if (in_folio == offsetof(struct folio, flags))
		return CLASS_FOLIO;
	if (in_folio == offsetof(struct folio, table.lock))
		return CLASS_TABLE +
		       ((struct folio *)(lock - offsetof(struct folio, table.lock)))->table.level;
	return CLASS_BUDDY;
}

_Noreturn static void report(struct hosted_cpu *me, unsigned class, unsigned held, unsigned via)
{
	fprintf(stderr, "quire: CPU %u takes %s with %s held; elsewhere %s was taken with %s held%s\n",
		me->id, lockorder_name(class), lockorder_name(held), lockorder_name(held),
		lockorder_name(via), via == class ? "" : ", in a circle");
	abort();
}

static void take(struct hosted_cpu *me, uintptr_t lock, enum quire_lock_note note)
{
	struct lock_watch *watch = me->machine->watch;
	bool shared = note == QUIRE_LOCK_SHARED;

	pthread_mutex_lock(&watch->lock);
	unsigned class = class_of(me->machine, lock), via;
	for (unsigned i = 0; i < me->held_count && class && note != QUIRE_LOCK_TRIED; i++) {
		struct held_lock *held = &me->held[i];

		if (held->class &&
		    !lockorder_add(&watch->graph, held->class, held->shared, class, shared, &via))
			report(me, class, held->class, via);
	}
	pthread_mutex_unlock(&watch->lock);
	if (me->held_count < HOSTED_HELD)
		me->held[me->held_count++] = (struct held_lock){ lock, class, shared };
}

/* Mostly the last one taken. A folio's lock may be given back by another CPU than the one that took it. */
static void give(struct hosted_cpu *me, uintptr_t lock)
{
	for (unsigned i = me->held_count; i-- > 0;) {
		if (me->held[i].lock != lock)
			continue;
		for (me->held_count--; i < me->held_count; i++)
			me->held[i] = me->held[i + 1];
		return;
	}
}

void quire_port_lock_note(const void *lock, enum quire_lock_note note)
{
	struct hosted_cpu *me = hosted_here;

	if (!me || !me->machine->watch)
		return;
	if (note == QUIRE_LOCK_GIVEN)
		give(me, (uintptr_t)lock);
	else
		take(me, (uintptr_t)lock, note);
}

#else

struct lock_watch *watch_create(void)
{
	return NULL;
}

void watch_destroy(struct lock_watch *watch)
{
	(void)watch;
}

void watch_object(struct lock_watch *watch, const void *start, size_t bytes)
{
	(void)watch;
	(void)start;
	(void)bytes;
}

void watch_forget(struct lock_watch *watch, const void *start)
{
	(void)watch;
	(void)start;
}

void quire_port_lock_note(const void *lock, enum quire_lock_note note)
{
	(void)lock;
	(void)note;
}

#endif
