/*
 * shared.h - memory behind shared anonymous mappings.
 */
#ifndef QUIRE_SPACE_SHARED_H
#define QUIRE_SPACE_SHARED_H

#include "mm.h"

/* A file in memory that nobody can open, so its length stays. Errors: -ENOMEM. */
int shared_memory_create(struct quire_cpu **cpu, uint64_t bytes, struct quire_file **out);

/* Commit for all of it, until it goes. Before anybody else knows it. -ENOMEM. */
int shared_memory_commit(struct quire_cpu *cpu, struct quire_file *file);

#endif
