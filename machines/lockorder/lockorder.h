/*
 * lockorder.h - a graph of which locks were taken while which were held, and the circles in it.
 *
 * Locks are of classes, small numbers that the machine gives out. Whoever takes a lock of class B holding
 * one of class A adds the edge A -> B. An edge that closes a circle is a deadlock that some schedule could
 * reach, whether or not it happens now. Edges say how, shared or not: a circle is one only if at each of
 * its locks somebody is kept out by somebody, not where both share it as readers.
 *
 * Order:   no locks of its own: calls are serialised by the machine. Edges of one class to itself are not
 *           kept.
 * Rules:   BASE-8, CHK-5. The order meant is docs/locking.md's.
 */
#ifndef LOCKORDER_H
#define LOCKORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The core's locks, docs/locking.md's rows; and two that machines add. */
enum lock_class {
	CLASS_OTHER,
	CLASS_RESIZE,
	CLASS_FOLIO,
	CLASS_MM, /* a leaf of its tree of VMAs, or the lock instead of them */
	CLASS_FILE_RMAP,
	CLASS_ANON,
	CLASS_NOTIFIERS,
	CLASS_TABLE, /* of the leaf level; one more for each level up */
	CLASS_TABLE_LAST = CLASS_TABLE + 4,
	CLASS_PAGES,
	CLASS_CACHE,
	CLASS_BUDDY,
	CLASS_DEVICE,
	CLASS_EVENT, /* each event of a program's own is a class, or two of many are one */
	CLASS_EVENT_LAST = CLASS_EVENT + 7,
	LOCKORDER_CLASSES
};

const char *lockorder_name(unsigned class);

/* What stands @offset bytes into a small object of @bytes; CLASS_OTHER: no lock that is known. */
unsigned lockorder_class(size_t bytes, size_t offset);

/*
 * All zeroes is a graph without edges. edge[a][b]: a bit for each of four ways, a shared or not, b shared
 * or not.
 */
struct lockorder {
	uint8_t edge[LOCKORDER_CLASSES][LOCKORDER_CLASSES];
};

/* Was that seen before? */
bool lockorder_knows(const struct lockorder *graph, unsigned held, bool held_shared, unsigned class,
		     bool shared);

/*
 * @class is taken, shared or not, with @held held, shared or not. False, with a class on the way back in
 * *via, when that closes a circle for the first time.
 */
bool lockorder_add(struct lockorder *graph, unsigned held, bool held_shared, unsigned class, bool shared,
		   unsigned *via);

#endif
