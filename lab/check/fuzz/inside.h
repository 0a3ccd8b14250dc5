/*
 * inside.h - a program between its bytes and its text.
 */
#ifndef LAB_CHECK_FUZZ_INSIDE_H
#define LAB_CHECK_FUZZ_INSIDE_H

#include "lab/check/fuzz/program.h"

/* A record's first byte. All others, up to 255, are statements too. */
enum record_kind {
	RECORD_STATEMENT, /* column, operation, place, pages, what, value, modifiers */
	RECORD_OPTIONS,	  /* flags, walkers, frames */
	RECORD_FILE,	  /* stored, pages, bytes short of them, contents */
	RECORD_PLACE,	  /* mm, mapping, protection, pages, where, contents, flags */
	RECORD_MM,	  /* a second one: a fork of the first at this point, or new */
	RECORD_DEVICE,	  /* mm */
	RECORD_SETUP,	  /* a statement of the initial state, like any other */
	RECORD_COLUMN,	  /* column, mm, how */
	RECORD_ORDER,	  /* which two columns, after what, before what */
};

enum operation {
	OPERATION_LOAD,
	OPERATION_STORE,
	OPERATION_KERNEL_LOAD,
	OPERATION_KERNEL_STORE,
	OPERATION_PROCESS_VM,
	OPERATION_MMAP,
	OPERATION_MUNMAP,
	OPERATION_MPROTECT,
	OPERATION_MREMAP,
	OPERATION_MADVISE,
	OPERATION_LOCKING,
	OPERATION_MSYNC,
	OPERATION_LOOK,
	OPERATION_BRK,
	OPERATION_FORK,
	OPERATION_EXEC,
	OPERATION_EXIT,
	OPERATION_RUN,
	OPERATION_REST, /* idle or leave */
	OPERATION_FILE_READ,
	OPERATION_FILE_WRITE,
	OPERATION_TRUNCATE,
	OPERATION_PUNCH,
	OPERATION_INVALIDATE,
	OPERATION_SYNC,
	OPERATION_TRANSLATE,
	OPERATION_DEVICE_LOAD,
	OPERATION_DEVICE_STORE,
	OPERATION_DEVICE_END, /* drop or unregister */
	OPERATION_WORD,
	OPERATIONS,
};

enum {
	MMS = 3, /* A; B, from the start; C, forked by a column */
	PLACES = 3,
	FILES = 2,
	EVENTS = 2,
	STATEMENTS = 8, /* of a column */
	SETUP_STATEMENTS = 4,
	STATEMENT_BYTES = 100,
	SETUP_BYTES = 2000,
};

/* What must be known of a statement when all are there. */
enum statement_need {
	NEEDS_NOTHING,
	NEEDS_MM_ALONE,	    /* exec */
	NEEDS_DEVICE_ALONE, /* unregister */
};

struct statement {
	char text[STATEMENT_BYTES];
	enum statement_need need;
	unsigned mm; /* that it is about, if it needs that alone */
};

struct column {
	bool used; /* it has a record */
	int mm;	   /* at its beginning; -1: none */
	bool lazy;
	int current; /* after the statements so far; -1: none */
	bool running;
	bool uses_device, scheduled; /* scheduled: not the set-up's */
	unsigned exited, mentioned;  /* mms, a bit each */
	unsigned registers;
	unsigned count;
	struct statement statement[STATEMENTS];
};

struct place {
	unsigned mm, pages;
	bool at_top;
};

struct order { /* the event number of it is posted after, and awaited before, these statements */
	unsigned from, to, after, before;
};

struct program {
	bool rcu, shared_pool, fault_around, writers_wait;
	unsigned walkers, frames;
	bool has_b, has_c, has_device, has_unregister, uses_word;
	unsigned device_mm;
	unsigned forked_by; /* C */
	unsigned files, file_pages[FILES];
	bool file_stored[FILES];
	unsigned places;
	struct place place[PLACES];
	char setup[SETUP_BYTES]; /* but for what is printed first: mm A, files */
	char file_text[FILES][STATEMENT_BYTES];
	struct column column[PROGRAM_COLUMNS];
	unsigned orders;
	struct order order[EVENTS];
};

/* A text that grows in a buffer; what does not fit is lost. */
struct sentence {
	char *text;
	size_t room;
};

void say(struct sentence *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

void program_decode(const uint8_t *bytes, size_t count, struct program *out);

/*
 * The statement that record @b is in @column, at its present end. Follows what it does to what the column
 * runs. False: none that would be legal.
 */
bool statement_decode(struct program *p, struct column *column, unsigned number, const uint8_t *b,
		      struct statement *out);

/* The second byte of a record that is to be such a statement. */
uint8_t operation_byte(enum operation operation);

/* "anon rw populate", "file f+1 shared r": bytes @mapping, @prot, @flags. */
void say_mapping(struct sentence *s, const struct program *p, uint8_t mapping, uint8_t prot, uint8_t flags);

/* What those bytes mean, for whoever must know. */
int mapping_file(const struct program *p, uint8_t mapping); /* -1: anonymous */
unsigned mapping_page(const struct program *p, uint8_t mapping);
bool mapping_may_store(const struct program *p, uint8_t mapping,
		       uint8_t flags); /* not if opened for reading */
const char *protection_name(uint8_t prot);

#endif
