/*
 * stretch.h - which operations may run at once.
 *
 * A stretch is a run of operations of one process, each of one of its threads. What comes of it is right
 * if it is what comes of the same operations one after another, in some order that keeps that of each
 * thread. For that, each of them must be one step as far as the others can see:
 *
 *   - No kind is allowed that is several steps on Linux: what populates after it has mapped or locked (so
 *     there is no MAP_POPULATE, and nothing is locked in a sequence with stretches), forks and exits,
 *     copies of many bytes, changes of files, msync, limits.
 *   - A call changes mappings at once, but pages one after another: a thread that looks at two of them
 *     may see one changed and the other not. So of all pages that a call changes, empties or populates,
 *     the other threads touch one at most in the same stretch. And what populates (MADV_POPULATE_READ,
 *     MADV_POPULATE_WRITE) runs beside no change of mappings there: it brings in page after page.
 *   - No mapping grows downwards: an access that makes it grow does so in one step more.
 *   - No file is mapped both privately and shared: a copy on write copies word by word, beside stores.
 *     Accesses are to whole words, and each thread stores to one of its own, so that no store hides that
 *     another one is lost.
 *
 * Calls against calls may overlap as they like.
 */
#ifndef FUZZ_STRETCH_H
#define FUZZ_STRETCH_H

#include <stdbool.h>

#include "ops.h"

/* From a record's second byte: 0 is no thread. */
unsigned stretch_thread(uint8_t byte, unsigned threads);

/* @kind, or what comes in its place in a sequence with stretches, outside of them. */
uint8_t stretch_free_kind(uint8_t kind);

/* The same in a stretch: @kind, or a load or a store, by @byte. */
uint8_t stretch_kind(uint8_t kind, uint8_t byte);

/* In a sequence with stretches, operations meet on few pages; and those of a stretch are made fit for it. */
void stretch_gather(struct wire_op *op);

/* May @ops[joined] run beside the @joined operations before it? */
bool stretch_admits(const struct wire_op *ops, uint32_t joined);

/*
 * Linux takes mappings away first and their pages then, while other calls already find the mappings gone.
 * So a thread that is told so may still reach a page. Is there an operation in @sequence by which that
 * may be seen?
 */
bool stretch_may_show_two_steps(const struct sequence *sequence);

/*
 * Whether two anonymous mappings merge depends on who owns their pages, and that on which was written to
 * first: the second takes the first one's owner. Two threads that write at once each give theirs an owner
 * of its own. May that happen in @sequence?
 */
bool stretch_may_part_mappings(const struct sequence *sequence);

/*
 * Where a mapping goes is chosen before its place is held: what another thread takes away in between does not
 * count. So it may come to lie in a gap that is not the first one any more. May that happen in @sequence?
 */
bool stretch_may_place_late(const struct sequence *sequence);

/* Does it choose an address? */
bool stretch_chooses(const struct wire_op *op);

/* Say which of the random records at @bytes are whose. */
void stretch_generate(uint64_t *state, uint8_t *bytes, size_t records);

#endif
