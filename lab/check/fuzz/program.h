/*
 * program.h - random concurrent programs: from a seed to bytes, from bytes to a litmus file.
 *
 *	generate.c	seed, number -> bytes		decode.c	bytes -> struct program
 *	statement.c	one record -> one statement	text.c		struct program -> litmus file
 *
 * A program is a string of records of PROGRAM_RECORD bytes, each an option, a variable, how a column
 * begins, a statement, or an order between two columns. Every string means something, each record by itself
 * as far as the others allow; zero bytes are the simplest choice everywhere. So a random generator, a
 * coverage-guided fuzzer and a shrinker may cut and change as they like.
 *
 * What comes out is legal: it breaks no rule of the API and cannot wait for ever, so that whatever an
 * oracle says of it is a mistake of the core (or of the checker). Records that would make it illegal mean
 * less, or nothing:
 *
 *	an mm that a column has put is not used by it again (others hold references of their own)
 *	exec and unregister are for who alone uses the mm, or the device
 *	a column waits only for columns with smaller numbers: no circle of waits
 *	set-up does nothing that fails, unless memory is out: such a program is not run
 *	user accesses stay inside the address space; no word of the file's own is plain
 */
#ifndef LAB_CHECK_FUZZ_PROGRAM_H
#define LAB_CHECK_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROGRAM_RECORD = 8,
	PROGRAM_RECORDS = 40,
	PROGRAM_BYTES = PROGRAM_RECORD * PROGRAM_RECORDS,
	PROGRAM_COLUMNS = 3,
};

/* What does not follow from the bytes. NULL, 0 or -1: not said. */
struct program_header {
	const char *name, *note, *model, *geometry;
	const char *const *without; /* safeguards that are off */
	unsigned without_count;
	int bound;
};

/* Random bytes, the same for the same seed and number. Returns how many: at most PROGRAM_BYTES. */
size_t program_generate(uint64_t seed, uint64_t number, uint8_t *bytes);

/* The litmus file, to be freed. NULL: out of memory. */
char *program_text(const uint8_t *bytes, size_t count, const struct program_header *header);

/* Bytes as hexadecimal digits, and back. False: not an even number of digits, or too many. */
void program_to_hex(const uint8_t *bytes, size_t count, char *out); /* 2 * count + 1 bytes */
bool program_from_hex(const char *text, uint8_t *bytes, size_t *count);

#endif
