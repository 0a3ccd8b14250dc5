/*
 * oracle.h - the host kernel's side: a zygote, and the processes that it forks for each sequence.
 */
#ifndef FUZZ_ORACLE_H
#define FUZZ_ORACLE_H

#include "ops.h"

struct oracle;

/*
 * Start a zygote. @which: 0 for the first, 1 for a second one. An agent that does nothing for @patience
 * seconds counts as dead. NULL with *why saying what this computer lacks.
 */
struct oracle *oracle_create(unsigned which, unsigned patience, const char **why);
void oracle_destroy(struct oracle *oracle);

/* What the zygote found out: its own mappings, its heap, where mmap begins. */
const struct wire_control *oracle_layout(const struct oracle *oracle);

/*
 * Inode numbers of the files, in the order of wire.h's descriptors; equal where two descriptors share a file.
 */
uint64_t oracle_inode(const struct oracle *oracle, unsigned file);

/* Begin to run @sequence; it runs beside the caller. @looking: records show mappings and pages too. */
void oracle_start(struct oracle *oracle, const struct sequence *sequence, int looking);

/* Wait for its end. The log is the oracle's until the next start. NULL when an agent died. */
const void *oracle_finish(struct oracle *oracle, size_t *bytes);

/* Which file is behind each descriptor, how long it is at first, and how it is opened. */
struct wire_file {
	uint8_t file; /* 0, 1, ...: descriptors with the same number share it */
	uint8_t writable;
	uint8_t regular; /* on a disk, not in memory */
	uint32_t bytes;
};
extern const struct wire_file wire_files[WIRE_FILES];
enum { WIRE_DISTINCT_FILES = 3 };

#endif
