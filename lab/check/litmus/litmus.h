/*
 * litmus.h - a litmus file as the checker sees it (docs/litmus-format.md is the language).
 *
 * The command reads a file to learn its geometry, and a worker of that geometry reads it again to run it.
 * What is here knows nothing of Quire but names; sizes are in pages, and placed by the geometry that the
 * file asks for. Everything hangs on one struct litmus and is freed with it. Nothing changes after
 * litmus_parse().
 */
#ifndef LAB_CHECK_LITMUS_H
#define LAB_CHECK_LITMUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LITMUS_CPUS = 8,
	LITMUS_NAMES = 64,
	LITMUS_REGISTERS = 16,
	LITMUS_LABELS = 32, /* in one column */
	LITMUS_LIST = 16,   /* rules, safeguards */
	LITMUS_CONTENTS = 16,
	LITMUS_BYTES = 256 << 10, /* of a file */
};

struct litmus_place { /* in the file, from 1 on */
	uint32_t line, column;
};

struct litmus_mistake {
	struct litmus_place at;
	char text[200]; /* "expected ';', found '}'" */
};

struct litmus_geometry {
	const char *name;
	uint32_t page_bytes, entries, levels, cpus;
};

extern const struct litmus_geometry litmus_geometries[3]; /* mini, four, full */

enum litmus_result { LITMUS_NEVER, LITMUS_SOMETIMES, LITMUS_ALWAYS };
enum litmus_model { LITMUS_SC, LITMUS_TSO, LITMUS_WEAK };

const char *litmus_result_name(enum litmus_result result);
const char *litmus_model_name(enum litmus_model model);
bool litmus_model_by_name(const char *name, enum litmus_model *out);

struct litmus_header {
	enum litmus_result result;
	bool has_result;
	enum litmus_model model;
	const struct litmus_geometry *geometry;
	double seconds; /* budget; 0: not given */
	uint64_t executions;
	int bound; /* -1: none */
	bool rcu, shared_pool, several_tlbs, fault_around, writers_wait;
	uint32_t frames, walkers; /* 0: not given */
	const char *shows;	  /* or NULL */
	const char *rules[LITMUS_LIST], *safeguards[LITMUS_LIST];
	unsigned rule_count, safeguard_count;
};

/* ---- names --------------------------------------------------------------------------------------------- */

enum litmus_kind {
	NAME_MM,
	NAME_REGION,
	NAME_FILE,
	NAME_DEVICE,
	NAME_WORD,
	NAME_EVENT,
	NAME_KINDS,
};

/* Protections and flags of a mapping. */
enum {
	MAP_R = 0x1,
	MAP_W = 0x2,
	MAP_X = 0x4,
	MAP_PROT = MAP_R | MAP_W | MAP_X,
	MAP_SHARED_ONE = 0x8,
	MAP_POPULATED = 0x10,
	MAP_LOCKED_ONE = 0x20,
	MAP_UNRESERVED = 0x40,
	MAP_GROWING = 0x80,
	MAP_OPENED_READONLY = 0x100,
	MAP_KEEPS = 0x200,    /* noreplace */
	MAP_HINTED = 0x400,   /* hint */
	MAP_ANYWHERE = 0x800, /* no address */
	MAP_HOLE = 0x1000,
};

struct litmus_mapping {
	uint32_t flags;
	int file; /* a name, or -1: anonymous */
	uint64_t file_page;
};

enum litmus_touch { TOUCHED_NOT, TOUCHED_READ, TOUCHED_VALUE };

struct litmus_content {
	enum litmus_touch touch;
	uint64_t value;
};

struct litmus_name {
	const char *name;
	enum litmus_kind kind;
	struct litmus_place at;
	int mm; /* of a region or device; of an mm, its parent, or -1 */
	int by; /* an mm: the column that forks it, or -1: there from the start */
	/* regions */
	struct litmus_mapping mapping;
	uint64_t pages; /* of a region or file */
	uint64_t page;	/* where a region is: page number of its address */
	/* files */
	uint64_t bytes; /* if not whole pages: the length, 0 otherwise */
	bool stored;
	/* words */
	bool plain;
	uint64_t value;
	/* regions, files */
	unsigned content_count;
	struct litmus_content contents[LITMUS_CONTENTS];
};

/* ---- statements ---------------------------------------------------------------------------------------- */

struct litmus_address {
	int name; /* a region or file, or -1: the register */
	unsigned reg;
	uint64_t pages; /* from there */
	uint32_t word;	/* in that page */
	bool exact;	/* a page or word was said: as a range it is one page */
};

struct litmus_range {
	struct litmus_address start;
	uint64_t pages;
};

/* number + sum of coefficients times registers, + the address if there is one */
struct litmus_value {
	int64_t number;
	int8_t coefficients[LITMUS_REGISTERS];
	bool is_address;
	struct litmus_address address;
};

enum litmus_operation {
	OP_SET, /* rN = VALUE */
	OP_IF,
	OP_LOAD,
	OP_STORE,
	OP_FETCH,
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_MADVISE,
	OP_MLOCK,
	OP_MUNLOCK,
	OP_MLOCKALL,
	OP_MUNLOCKALL,
	OP_MSYNC,
	OP_MINCORE,
	OP_PRESENT,
	OP_BRK,
	OP_FORK,
	OP_EXEC,
	OP_EXIT,
	OP_COPY_FROM,
	OP_COPY_TO,
	OP_PEEK,
	OP_POKE,
	OP_RMAP,
	OP_READV,
	OP_WRITEV,
	OP_RUN,
	OP_IDLE,
	OP_LEAVE,
	OP_FILE_WRITE,
	OP_FILE_READ,
	OP_TRUNCATE,
	OP_PUNCH,
	OP_INVALIDATE,
	OP_SYNC,
	OP_TRANSLATE,
	OP_DLOAD,
	OP_DSTORE,
	OP_DROP,
	OP_UNREGISTER,
	OP_REGISTER,
	OP_WORD_LOAD,
	OP_WORD_STORE,
	OP_RMW,
	OP_CAS,
	OP_FENCE,
	OP_POST,
	OP_WAIT,
	OP_LOCK,
	OP_UNLOCK,
	OPS,
};

enum litmus_order { ORDER_RELAXED, ORDER_ACQUIRE, ORDER_RELEASE, ORDER_ACQ_REL, ORDER_SEQ_CST };
enum litmus_rmw { RMW_IS_ADD, RMW_IS_SUB, RMW_IS_AND, RMW_IS_OR, RMW_IS_XOR, RMW_IS_EXCHANGE };

/* Words that an operation may be given; what they mean depends on it. */
enum {
	WORD_DONTUNMAP = 0x1,
	WORD_MAYMOVE = 0x2,
	WORD_FIXED = 0x4, /* mremap to a place */
	WORD_ONFAULT = 0x8,
	WORD_CURRENT = 0x10,
	WORD_FUTURE = 0x20,
	WORD_ASYNC = 0x40,
	WORD_INVALIDATE = 0x80,
	WORD_SYNC = 0x100,
	WORD_WRITE = 0x200,
};

struct litmus_condition;

struct litmus_statement {
	struct litmus_statement *next;
	enum litmus_operation op;
	struct litmus_place at;
	const char *text; /* as it stands in the file, blanks squeezed */
	const char *call; /* the operation's name, and an advice: "madvise DONTNEED" */
	int label;	  /* of the column's labels, or -1 */
	int result;	  /* register, or -1 */
	int mm;		  /* a name, or -1: what the CPU runs */
	int name;	  /* mm, file, device, word or event that it is about, or -1 */
	int other_mm;	  /* process_vm */
	struct litmus_range range;
	struct litmus_address other;
	uint64_t pages; /* a new length; 0: none given */
	struct litmus_value value, second;
	struct litmus_mapping mapping;
	uint32_t words;
	int advice;
	unsigned bytes;
	enum litmus_order order;
	enum litmus_rmw rmw;
	struct litmus_condition *condition;
	struct litmus_statement *body, *otherwise;
};

struct litmus_column {
	int mm; /* that runs at the start, or -1 */
	bool lazy;
	struct litmus_place at;
	struct litmus_statement *body;
	const char *labels[LITMUS_LABELS];
	unsigned label_count;
	uint64_t mms; /* names of the address spaces that it mentions: a bit each */
	bool stays;   /* it runs the user program of mm, from its beginning to its end */
};

/* A step of the set-up: a name comes into being, or statements are run in an mm. */
struct litmus_setup {
	struct litmus_setup *next;
	int name;     /* or -1 */
	int mm;	      /* with statements */
	unsigned cpu; /* that runs them: a column's */
	struct litmus_place at;
	struct litmus_statement *body; /* run with registers of their own */
};

/* ---- conditions ---------------------------------------------------------------------------------------- */

enum litmus_condition_kind {
	CONDITION_TRUE,
	CONDITION_NOT,
	CONDITION_AND,
	CONDITION_OR,
	CONDITION_REGISTER,
	CONDITION_FAULT,
	CONDITION_SIGNAL,
	CONDITION_DONE,
	CONDITION_MEMORY, /* a word of an mm */
	CONDITION_FILE,
	CONDITION_WORD,
};

enum litmus_comparison { IS_EQUAL, IS_NOT_EQUAL, IS_LESS, IS_GREATER, IS_AT_MOST, IS_AT_LEAST };

struct litmus_condition {
	enum litmus_condition_kind kind;
	struct litmus_condition *left, *right;
	struct litmus_place at;
	unsigned column;
	unsigned reg, label;
	int mm;
	struct litmus_address address; /* of memory or a file */
	int name;		       /* a word */
	enum litmus_comparison comparison;
	struct litmus_value value;
	bool unmapped; /* compared with that instead of a value */
	int signal;    /* 0: none */
};

enum litmus_quantifier { QUANTIFIER_NONE, QUANTIFIER_EXISTS, QUANTIFIER_FORALL };

struct litmus {
	const char *name;
	struct litmus_header header;
	struct litmus_name names[LITMUS_NAMES];
	unsigned name_count;
	struct litmus_setup *setup;
	struct litmus_column columns[LITMUS_CPUS];
	unsigned column_count;
	enum litmus_quantifier quantifier;
	struct litmus_condition *condition; /* NULL without quantifier */
	const char *condition_text;	    /* as it stands, "exists (...)"; or NULL */
	uint64_t heap_page, mmap_bottom_page, mmap_top_page;
	struct litmus_chunk *chunks;
};

/* NULL, and *mistake says why: the file's, or (at line 0) that memory is out. */
struct litmus *litmus_parse(const char *text, size_t bytes, struct litmus_mistake *mistake);

/* The same of a file; one that cannot be read is a mistake at line 0. */
struct litmus *litmus_read(const char *path, struct litmus_mistake *mistake);

void litmus_free(struct litmus *litmus);

const char *litmus_kind_name(enum litmus_kind kind); /* "an address space" */

#endif
