/*
 * parser.h - what the files of the litmus parser share: words, failure, and who reads which part.
 *
 *	lex.c		words, comments		header.c	the lines of the first comment
 *	parse.c		the file, columns	setup.c		the initial state, places
 *	statement.c	operations		operand.c	addresses, values, mappings
 *	condition.c	conditions
 *
 * Recursive descent, one word ahead. The first mistake ends it: fail_*() does not return but jumps back to
 * litmus_parse(), and all memory hangs on the litmus, so nothing else is to be cleaned up. Nesting is
 * bounded.
 */
#ifndef LAB_CHECK_LITMUS_PARSER_H
#define LAB_CHECK_LITMUS_PARSER_H

#include "lab/check/litmus/litmus.h"

#include <setjmp.h>

/* A single character is its own token; these are the others. */
enum token_kind {
	TOKEN_END = 0,
	TOKEN_NAME = 256,
	TOKEN_NUMBER,
	TOKEN_AND,	 /* /\ */
	TOKEN_OR,	 /* \/ */
	TOKEN_NOT_EQUAL, /* != */
	TOKEN_AT_MOST,	 /* <= */
	TOKEN_AT_LEAST,	 /* >= */
};

struct token {
	int kind;
	const char *start;
	size_t length;
	uint64_t number;
	struct litmus_place at;
};

enum { PARSER_DEPTH = 40 };

struct parser {
	const char *text, *end, *here; /* here: behind the token */
	struct token token;
	const char *last_end;		   /* of the token before */
	struct litmus_place at;		   /* of here */
	const char *comment, *comment_end; /* the first one */
	struct litmus_place comment_at;
	struct litmus *out;
	struct litmus_mistake *mistake;
	int column;	  /* whose statements are read; -1: the set-up's */
	bool branch;	  /* inside an if */
	int current;	  /* mm that the CPU runs, or ran, at this point; -1: none */
	bool running;	  /* its user program */
	uint64_t exited;  /* address spaces that this column has put */
	uint64_t forked;  /* those whose fork has been read */
	uint64_t posted;  /* events that are on the way to here, or by other columns in no branch */
	uint64_t certain; /* of these, those in no branch */
	struct {
		struct litmus_place at; /* of the last one */
		uint32_t columns;	/* where it stands, a bit each */
	} exec[LITMUS_NAMES];		/* of that mm */
	unsigned depth;
	uint64_t next_page, last_page; /* where the next region goes; behind the last place used */
	jmp_buf failed;
};

/* ---- lex.c --------------------------------------------------------------------------------------------- */

_Noreturn void fail_at(struct parser *p, struct litmus_place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void fail_expected(struct parser *p, const char *what); /* "expected WHAT, found 'token'" */

void *parser_alloc(struct parser *p, size_t bytes); /* zeroed */
char *parser_string(struct parser *p, const char *start, size_t length);
char *parser_source(struct parser *p, const char *start, const char *end); /* blanks and comments squeezed */

void token_next(struct parser *p);
struct token token_peek(struct parser *p); /* the one after the current one */
bool token_is(const struct token *token, const char *word);
bool token_accept(struct parser *p, int kind);
bool token_accept_word(struct parser *p, const char *word);
void token_expect(struct parser *p, int kind, const char *what);
void token_expect_word(struct parser *p, const char *word);
uint64_t token_expect_number(struct parser *p, const char *what);
const char *token_expect_name(struct parser *p, const char *what);

void parser_enter(struct parser *p); /* one level deeper, at most PARSER_DEPTH */
void parser_leave(struct parser *p);

/* ---- header.c ------------------------------------------------------------------------------------------ */

void parse_header(struct parser *p);

/* ---- setup.c ------------------------------------------------------------------------------------------- */

void parse_setup(struct parser *p);
void place_fixed(struct parser *p); /* where break and mmap's own places are */

int name_find(const struct parser *p, const struct token *token); /* -1: none so called */
int name_declare(struct parser *p, enum litmus_kind kind, int mm);
int name_expect(struct parser *p, enum litmus_kind kind); /* a name of that kind; consumes it */
int column_number(const struct token *token);		  /* P0, P1, ...: its number, or -1 */

/* ---- operand.c ----------------------------------------------------------------------------------------- */

/* rN, of the current token: its number, or -1. */
int numbered(const struct token *token,
	     char letter); /* that letter and a number of one or two digits, or -1 */
int register_of(const struct token *token);
unsigned register_expect(struct parser *p);

struct litmus_address parse_address(struct parser *p, enum litmus_kind kind);
struct litmus_range range_of(const struct parser *p, struct litmus_address address);
struct litmus_range parse_range(struct parser *p, enum litmus_kind kind);
struct litmus_value parse_value(struct parser *p);
struct litmus_value parse_constant(struct parser *p); /* no registers */
struct litmus_mapping parse_mapping(struct parser *p);
uint32_t parse_protection(struct parser *p);
uint64_t parse_pages(struct parser *p); /* "N pages" */
bool is_pages(const struct token *token);
uint64_t pages_of_name(const struct parser *p, int name);

/* ---- statement.c --------------------------------------------------------------------------------------- */

struct litmus_statement *parse_block(struct parser *p); /* { statements } */
int label_find(const struct litmus_column *column, const struct token *token);

/* ---- condition.c --------------------------------------------------------------------------------------- */

enum condition_scope { CONDITION_OF_COLUMN, CONDITION_OF_END };

struct litmus_condition *parse_condition(struct parser *p, enum condition_scope scope);
int error_number(const struct token *token); /* of ENOMEM; 0: not one */

#endif
