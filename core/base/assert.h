/*
 * assert.h - invariants, checked in debug builds only.
 */
#ifndef QUIRE_BASE_ASSERT_H
#define QUIRE_BASE_ASSERT_H

#include <quire/port.h>

#ifdef QUIRE_DEBUG
#define quire_assert(condition) ((condition) ? (void)0 : quire_port_panic(__FILE__, __LINE__, #condition))
#define quire_lock_note(lock, note) quire_port_lock_note(lock, note)
#else
#define quire_lock_note(lock, note) ((void)0)
#define quire_assert(condition) ((void)sizeof((condition) ? 1 : 0)) /* seen, not evaluated; bit-fields too */
#endif

#endif
