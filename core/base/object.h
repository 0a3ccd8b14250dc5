/*
 * object.h - small objects from the port, counted, so that a leak shows at the end.
 */
#ifndef QUIRE_BASE_OBJECT_H
#define QUIRE_BASE_OBJECT_H

#include "instance.h"

#include <quire/port.h>

/* 64-byte aligned, zeroed, or _raw: whatever is in it; NULL when memory is out. Does not sleep. */
void *object_alloc(struct quire_cpu *cpu, size_t bytes);
void *object_alloc_raw(struct quire_cpu *cpu, size_t bytes);
void object_free(struct quire_cpu *cpu, void *object, size_t bytes);

/* Held now by all CPUs of the instance: exact when they rest. */
uint64_t object_count(struct quire *quire);

#endif
