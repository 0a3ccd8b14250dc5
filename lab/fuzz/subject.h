/*
 * subject.h - Quire's side: the same operations, the same records.
 */
#ifndef FUZZ_SUBJECT_H
#define FUZZ_SUBJECT_H

#include "compare.h"
#include "ops.h"

struct subject;

/*
 * @layout: what the oracle's zygote found out about itself. @threads: how many there may be in a stretch;
 * 0: there are no stretches. NULL with *why.
 */
struct subject *subject_create(const struct wire_control *layout, unsigned threads, const char **why);
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

/* One thread carries out everything, in an order that keeps that of each thread. */
struct step {
	uint16_t op;
	bool fault; /* not the access itself, but what brings in its page */
};

struct trial {
	const struct step *steps;
	const struct wire_record *const *expected; /* by operation */
	const struct names *names;		   /* of files in these */
	bool loose;				   /* the comparison is */
	bool placed;				   /* in stretches, who chooses an address gets that */
};

/*
 * Run @sequence in the order of @trial, as long as records are as expected. True: all are, and *log has
 * them. False: step *failed_at is the first whose record is not, and *out says how.
 */
bool subject_try(struct subject *subject, const struct sequence *sequence, bool looking,
		 const struct trial *trial, struct log *log, uint32_t *failed_at, struct divergence *out);

#endif
