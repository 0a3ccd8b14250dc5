/*
 * compare.h - two logs of one sequence: where do they part?
 */
#ifndef FUZZ_COMPARE_H
#define FUZZ_COMPARE_H

#include <stdbool.h>

#include "ops.h"

struct log {
	const void *at;
	size_t bytes;
};

/*
 * How one side names files: the numbers of those of wire_files, by distinct file. What is not among them is a
 * shared anonymous mapping's, whose names the sides need only give out alike.
 */
struct names {
	const char *who; /* in what is said about the side */
	uint64_t file[8];
};

struct divergence {
	uint32_t op;
	char what[256];
};

/* False when they agree. Otherwise the first operation after which they do not, and what differs. */
bool logs_differ(const struct sequence *sequence, struct log host, const struct names *host_names,
		 struct log quire, const struct names *quire_names, struct divergence *out);

/* The same, a record at a time. */
struct comparison {
	const struct sequence *sequence;
	const struct names *host_names, *quire_names;
	struct divergence *out;
	const struct wire_record *host, *quire;
	uint8_t kind;	    /* of the operation */
	bool cache_unknown; /* of the file on disk */
	bool bytes_unknown; /* of memory */
	bool loose;	    /* the owner's: adjoining anonymous mappings that are alike count as one */
};

void comparison_begin(struct comparison *comparison, const struct sequence *sequence,
		      const struct names *host_names, const struct names *quire_names,
		      struct divergence *out);
/* True: the records of operation @op, NULL where there is none, differ. */
bool comparison_step(struct comparison *comparison, uint32_t op, const struct wire_record *host,
		     const struct wire_record *quire);

/* The record of operation @op, or NULL. */
const struct wire_record *log_find(struct log log, uint32_t op);

/* A record for people, its mappings and pages too. */
void log_print(FILE *to, const struct wire_record *record, const struct names *names);

#endif
