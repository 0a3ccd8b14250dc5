/*
 * lex.c - words of a litmus file, comments between them, and mistakes.
 *
 * A word ends where it ends: `1page` is a number and a name. The first comment is kept for header.c.
 */
#include "lab/check/litmus/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct litmus_chunk {
	struct litmus_chunk *next;
	max_align_t bytes[];
};

void *parser_alloc(struct parser *p, size_t bytes)
{
	struct litmus_chunk *chunk = calloc(1, sizeof(*chunk) + bytes);

	if (!chunk)
		fail_at(p, (struct litmus_place){ 0, 0 }, "out of memory");
	chunk->next = p->out->chunks;
	p->out->chunks = chunk;
	return chunk->bytes;
}

void litmus_free(struct litmus *litmus)
{
	if (!litmus)
		return;
	for (struct litmus_chunk *chunk = litmus->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(litmus);
}

char *parser_string(struct parser *p, const char *start, size_t length)
{
	char *copy = parser_alloc(p, length + 1);

	memcpy(copy, start, length);
	return copy;
}

/* ---- mistakes ------------------------------------------------------------------------------------------ */

void fail_at(struct parser *p, struct litmus_place at, const char *format, ...)
{
	va_list arguments;

	p->mistake->at = at;
	va_start(arguments, format);
	vsnprintf(p->mistake->text, sizeof(p->mistake->text), format, arguments);
	va_end(arguments);
	/* One line, whatever stands in the file. */
	for (char *c = p->mistake->text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c == 0x7f)
			*c = '?';
	longjmp(p->failed, 1);
}

void fail_expected(struct parser *p, const char *what)
{
	if (p->token.kind == TOKEN_END)
		fail_at(p, p->token.at, "expected %s, found the end of the file", what);
	fail_at(p, p->token.at, "expected %s, found '%.*s'", what,
		(int)(p->token.length > 40 ? 40 : p->token.length), p->token.start);
}

void parser_enter(struct parser *p)
{
	if (++p->depth > PARSER_DEPTH)
		fail_at(p, p->token.at, "nested more than %d deep", PARSER_DEPTH);
}

void parser_leave(struct parser *p)
{
	p->depth--;
}

/* ---- characters ---------------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int digit_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool starts(const struct parser *p, const char *pair)
{
	return p->end - p->here >= 2 && p->here[0] == pair[0] && p->here[1] == pair[1];
}

static void step(struct parser *p, size_t characters)
{
	while (characters--) {
		if (*p->here == '\n') {
			p->at.line++;
			p->at.column = 1;
		} else {
			p->at.column++;
		}
		p->here++;
	}
}

static void skip_comment(struct parser *p)
{
	struct litmus_place began = p->at;
	const char *start = p->here + 2;
	unsigned open = 0;

	do {
		if (p->here >= p->end)
			fail_at(p, began, "this comment does not end");
		if (starts(p, "(*"))
			open++;
		else if (starts(p, "*)"))
			open--;
		step(p, starts(p, "(*") || starts(p, "*)") ? 2 : 1);
	} while (open);
	if (!p->comment) {
		p->comment = start;
		p->comment_end = p->here - 2;
		p->comment_at = (struct litmus_place){ began.line, began.column + 2 };
	}
}

static void skip_blanks(struct parser *p)
{
	while (p->here < p->end) {
		if (*p->here == ' ' || *p->here == '\t' || *p->here == '\n' || *p->here == '\r')
			step(p, 1);
		else if (starts(p, "(*"))
			skip_comment(p);
		else if (starts(p, "//"))
			while (p->here < p->end && *p->here != '\n')
				step(p, 1);
		else
			return;
	}
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

static void lex_number(struct parser *p, struct token *t)
{
	unsigned base = 10;
	size_t digits = 0;

	if (p->end - p->here > 2 && p->here[0] == '0' && p->here[1] == 'x' && digit_value(p->here[2]) < 16) {
		base = 16;
		step(p, 2);
	}
	for (; p->here < p->end && (unsigned)digit_value(*p->here) < base; digits++) {
		unsigned digit = (unsigned)digit_value(*p->here);

		if (t->number > (UINT64_MAX - digit) / base)
			fail_at(p, t->at, "this number does not fit in 64 bits");
		t->number = t->number * base + digit;
		step(p, 1);
	}
	t->kind = TOKEN_NUMBER;
}

static void lex_symbol(struct parser *p, struct token *t)
{
	static const struct {
		char text[3];
		int kind;
	} pairs[] = {
		{ "/\\", TOKEN_AND },	 { "\\/", TOKEN_OR },	   { "!=", TOKEN_NOT_EQUAL },
		{ "<=", TOKEN_AT_MOST }, { ">=", TOKEN_AT_LEAST },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (starts(p, pairs[i].text)) {
			t->kind = pairs[i].kind;
			step(p, 2);
			return;
		}
	}
	t->kind = (unsigned char)*p->here;
	if (!strchr("{}()[];:,=<>+-@&.~*", *p->here) || !*p->here)
		fail_at(p, t->at, "a character that means nothing here: '%.1s'",
			(unsigned char)*p->here < 0x80 ? p->here : "?");
	step(p, 1);
}

void token_next(struct parser *p)
{
	struct token *t = &p->token;

	p->last_end = t->start ? t->start + t->length : p->text;
	skip_blanks(p);
	*t = (struct token){ .kind = TOKEN_END, .start = p->here, .at = p->at };
	if (p->here >= p->end)
		return;
	if (is_letter(*p->here)) {
		while (p->here < p->end && (is_letter(*p->here) || is_digit(*p->here)))
			step(p, 1);
		t->kind = TOKEN_NAME;
	} else if (is_digit(*p->here)) {
		lex_number(p, t);
	} else {
		lex_symbol(p, t);
	}
	t->length = (size_t)(p->here - t->start);
}

struct token token_peek(struct parser *p)
{
	const char *here = p->here, *last_end = p->last_end;
	struct litmus_place at = p->at;
	struct token token = p->token, next;

	token_next(p);
	next = p->token;
	p->here = here;
	p->last_end = last_end;
	p->at = at;
	p->token = token;
	return next;
}

bool token_is(const struct token *token, const char *word)
{
	return token->kind == TOKEN_NAME && strlen(word) == token->length &&
	       memcmp(token->start, word, token->length) == 0;
}

bool token_accept(struct parser *p, int kind)
{
	if (p->token.kind != kind)
		return false;
	token_next(p);
	return true;
}

bool token_accept_word(struct parser *p, const char *word)
{
	if (!token_is(&p->token, word))
		return false;
	token_next(p);
	return true;
}

void token_expect(struct parser *p, int kind, const char *what)
{
	if (p->token.kind != kind)
		fail_expected(p, what);
	token_next(p);
}

void token_expect_word(struct parser *p, const char *word)
{
	if (!token_accept_word(p, word))
		fail_expected(p, word);
}

uint64_t token_expect_number(struct parser *p, const char *what)
{
	uint64_t number = p->token.number;

	token_expect(p, TOKEN_NUMBER, what);
	return number;
}

const char *token_expect_name(struct parser *p, const char *what)
{
	if (p->token.kind != TOKEN_NAME)
		fail_expected(p, what);
	const char *name = parser_string(p, p->token.start, p->token.length);

	token_next(p);
	return name;
}

/* The text from @start to @end on one line, as it is to be quoted. */
char *parser_source(struct parser *p, const char *start, const char *end)
{
	char *copy = parser_alloc(p, (size_t)(end - start) + 1), *to = copy;
	unsigned comments = 0;

	for (const char *c = start; c < end; c++) {
		bool pair = end - c >= 2;

		if (pair && c[0] == '(' && c[1] == '*') {
			comments++;
			c++;
		} else if (pair && comments && c[0] == '*' && c[1] == ')') {
			comments--;
			c++;
		} else if (pair && !comments && c[0] == '/' && c[1] == '/') {
			while (c + 1 < end && c[1] != '\n')
				c++;
		} else if (comments || *c == ' ' || *c == '\t' || *c == '\n' || *c == '\r') {
			if (!comments && to > copy && to[-1] != ' ')
				*to++ = ' ';
		} else {
			*to++ = *c;
		}
	}
	if (to > copy && to[-1] == ' ')
		to--;
	*to = 0;
	return copy;
}
