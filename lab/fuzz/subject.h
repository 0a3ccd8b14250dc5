/*
 * subject.h - Quire's side: the same operations, the same records.
 */
#ifndef FUZZ_SUBJECT_H
#define FUZZ_SUBJECT_H

#include "compare.h"
#include "ops.h"

struct subject;

/* @layout: what the oracle's zygote found out about itself. NULL with *why. */
struct subject *subject_create(const struct wire_control *layout, const char **why);
void subject_destroy(struct subject *subject);

/* Another zygote has taken the oracle's place: its layout from now on. */
void subject_place(struct subject *subject, const struct wire_control *layout);

/* Names of its files in records. */
const struct names *subject_names(const struct subject *subject);

/*
 * Run @sequence. The log is the subject's until the next run. When everybody has exited every count must be
 * zero: if not, *leak says what is left, otherwise it is NULL.
 */
struct log subject_run(struct subject *subject, const struct sequence *sequence, bool looking,
		       const char **leak);

#endif
