/*
 * condition.c - conditions at a file's end and in `if`.
 */
#include "lab/check/litmus/parser.h"

#include <quire/abi.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	int number;
} errors[] = {
	{ "EPERM", QUIRE_EPERM },	    { "ENOENT", QUIRE_ENOENT }, { "ESRCH", QUIRE_ESRCH },
	{ "EINTR", QUIRE_EINTR },	    { "EIO", QUIRE_EIO },	{ "EBADF", QUIRE_EBADF },
	{ "EAGAIN", QUIRE_EAGAIN },	    { "ENOMEM", QUIRE_ENOMEM }, { "EACCES", QUIRE_EACCES },
	{ "EFAULT", QUIRE_EFAULT },	    { "EBUSY", QUIRE_EBUSY },	{ "EEXIST", QUIRE_EEXIST },
	{ "ENODEV", QUIRE_ENODEV },	    { "EINVAL", QUIRE_EINVAL }, { "ETXTBSY", QUIRE_ETXTBSY },
	{ "EFBIG", QUIRE_EFBIG },	    { "ENOSPC", QUIRE_ENOSPC }, { "EOVERFLOW", QUIRE_EOVERFLOW },
	{ "EOPNOTSUPP", QUIRE_EOPNOTSUPP },
};

int error_number(const struct token *token)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (token->kind == TOKEN_NAME && token->length == strlen(errors[i].name) &&
		    strncasecmp(token->start, errors[i].name, token->length) == 0)
			return errors[i].number;
	return 0;
}

static struct litmus_condition *condition_new(struct parser *p, enum litmus_condition_kind kind)
{
	struct litmus_condition *c = parser_alloc(p, sizeof(*c));

	c->kind = kind;
	c->at = p->token.at;
	c->mm = c->name = -1;
	c->address.name = -1;
	return c;
}

/* ---- atoms --------------------------------------------------------------------------------------------- */

static enum litmus_comparison parse_comparison(struct parser *p)
{
	int kind = p->token.kind;

	switch (kind) {
	case '=':
	case TOKEN_NOT_EQUAL:
	case '<':
	case '>':
	case TOKEN_AT_MOST:
	case TOKEN_AT_LEAST:
		token_next(p);
		break;
	default:
		fail_expected(p, "a comparison (=, !=, <, >, <=, >=)");
	}
	return kind == '='		 ? IS_EQUAL
	       : kind == TOKEN_NOT_EQUAL ? IS_NOT_EQUAL
	       : kind == '<'		 ? IS_LESS
	       : kind == '>'		 ? IS_GREATER
	       : kind == TOKEN_AT_MOST	 ? IS_AT_MOST
					 : IS_AT_LEAST;
}

static unsigned parse_column_number(struct parser *p)
{
	struct litmus_place at = p->token.at;
	uint64_t column = token_expect_number(p, "the number of a CPU");

	if (column >= p->out->column_count)
		fail_at(p, at, "there is no P%llu", (unsigned long long)column);
	token_expect(p, ':', "':'");
	return (unsigned)column;
}

/* (1:L2), or in a column (L2) */
static void parse_label(struct parser *p, struct litmus_condition *c, enum condition_scope scope)
{
	token_expect(p, '(', "'('");
	c->column = scope == CONDITION_OF_END ? parse_column_number(p) : (unsigned)p->column;
	if (p->token.kind != TOKEN_NAME)
		fail_expected(p, "a label");
	int label = label_find(&p->out->columns[c->column], &p->token);

	if (label < 0)
		fail_at(p, p->token.at, "P%u has no label '%.*s'%s", c->column,
			(int)(p->token.length > 40 ? 40 : p->token.length), p->token.start,
			scope == CONDITION_OF_END ? "" : " up to here");
	c->label = (unsigned)label;
	token_next(p);
	token_expect(p, ')', "')'");
}

static void parse_signal(struct parser *p, struct litmus_condition *c)
{
	c->comparison = IS_EQUAL;
	if (p->token.kind == TOKEN_NOT_EQUAL) {
		c->comparison = IS_NOT_EQUAL;
		token_next(p);
	} else {
		token_expect(p, '=', "= or !=");
	}
	if (token_accept_word(p, "SIGSEGV"))
		c->signal = QUIRE_SIGSEGV;
	else if (token_accept_word(p, "SIGBUS"))
		c->signal = QUIRE_SIGBUS;
	else if (!token_accept_word(p, "none"))
		fail_expected(p, "SIGSEGV, SIGBUS or none");
}

static struct litmus_condition *parse_register(struct parser *p, enum condition_scope scope)
{
	struct litmus_condition *c = condition_new(p, CONDITION_REGISTER);

	c->column = scope == CONDITION_OF_END ? parse_column_number(p) : (unsigned)p->column;
	c->reg = register_expect(p);
	c->comparison = parse_comparison(p);
	c->value = scope == CONDITION_OF_END ? parse_constant(p) : parse_value(p);
	return c;
}

static int only_mm(struct parser *p)
{
	int mm = -1;

	for (unsigned i = 0; i < p->out->name_count; i++) {
		if (p->out->names[i].kind != NAME_MM)
			continue;
		if (mm >= 0)
			fail_at(p, p->token.at,
				"whose memory? say %s.%.*s (there are several address spaces)",
				p->out->names[mm].name, (int)(p->token.length > 40 ? 40 : p->token.length),
				p->token.start);
		mm = (int)i;
	}
	return mm;
}

/* A.x = 7, x = 7, f+1 = 7, a = 1 */
static struct litmus_condition *parse_memory(struct parser *p)
{
	int name = name_find(p, &p->token);
	struct litmus_condition *c = condition_new(p, CONDITION_MEMORY);

	if (name < 0)
		fail_expected(p, "a condition");
	switch (p->out->names[name].kind) {
	case NAME_WORD:
		c->kind = CONDITION_WORD;
		c->name = name_expect(p, NAME_WORD);
		break;
	case NAME_FILE:
		c->kind = CONDITION_FILE;
		c->address = parse_address(p, NAME_FILE);
		break;
	case NAME_MM:
		c->mm = name_expect(p, NAME_MM);
		token_expect(p, '.', "'.'");
		if (register_of(&p->token) >= 0)
			fail_expected(p, "a place");
		c->address = parse_address(p, NAME_REGION);
		break;
	case NAME_REGION:
		c->mm = only_mm(p);
		c->address = parse_address(p, NAME_REGION);
		break;
	default:
		fail_at(p, p->token.at, "'%s' is %s, which has no value", p->out->names[name].name,
			litmus_kind_name(p->out->names[name].kind));
	}
	c->comparison = parse_comparison(p);
	if (c->kind != CONDITION_WORD && token_accept_word(p, "unmapped")) {
		if (c->comparison != IS_EQUAL && c->comparison != IS_NOT_EQUAL)
			fail_at(p, c->at, "unmapped is compared with = or !=");
		c->unmapped = true;
	} else {
		c->value = parse_constant(p);
	}
	return c;
}

static struct litmus_condition *parse_atom(struct parser *p, enum condition_scope scope)
{
	struct litmus_condition *c;

	if (token_accept_word(p, "true"))
		return condition_new(p, CONDITION_TRUE);
	if (token_is(&p->token, "fault") || token_is(&p->token, "done") || token_is(&p->token, "signal")) {
		c = condition_new(p, token_is(&p->token, "fault")  ? CONDITION_FAULT
				     : token_is(&p->token, "done") ? CONDITION_DONE
								   : CONDITION_SIGNAL);
		token_next(p);
		parse_label(p, c, scope);
		if (c->kind == CONDITION_SIGNAL)
			parse_signal(p, c);
		return c;
	}
	if (scope == CONDITION_OF_COLUMN) {
		if (register_of(&p->token) < 0)
			fail_expected(p, "a condition on registers or labels");
		return parse_register(p, scope);
	}
	if (p->token.kind == TOKEN_NUMBER)
		return parse_register(p, scope);
	return parse_memory(p);
}

/* ---- joined -------------------------------------------------------------------------------------------- */

static struct litmus_condition *parse_factor(struct parser *p, enum condition_scope scope)
{
	struct litmus_condition *c;

	parser_enter(p);
	if (p->token.kind == '~') {
		c = condition_new(p, CONDITION_NOT);
		token_next(p);
		c->left = parse_factor(p, scope);
	} else if (token_accept(p, '(')) {
		c = parse_condition(p, scope);
		token_expect(p, ')', "')', /\\ or \\/");
	} else {
		c = parse_atom(p, scope);
	}
	parser_leave(p);
	return c;
}

static struct litmus_condition *join(struct parser *p, enum litmus_condition_kind kind,
				     struct litmus_condition *left, struct litmus_condition *right)
{
	struct litmus_condition *c = condition_new(p, kind);

	c->left = left;
	c->right = right;
	return c;
}

static struct litmus_condition *parse_terms(struct parser *p, enum condition_scope scope)
{
	struct litmus_condition *c = parse_factor(p, scope);

	/* Each joint makes what evaluates it one deeper. */
	for (unsigned joints = 0; token_accept(p, TOKEN_AND); joints++) {
		if (joints == 100)
			fail_at(p, p->token.at, "more than 100 conditions joined");
		c = join(p, CONDITION_AND, c, parse_factor(p, scope));
	}
	return c;
}

struct litmus_condition *parse_condition(struct parser *p, enum condition_scope scope)
{
	struct litmus_condition *c = parse_terms(p, scope);

	for (unsigned joints = 0; token_accept(p, TOKEN_OR); joints++) {
		if (joints == 100)
			fail_at(p, p->token.at, "more than 100 conditions joined");
		c = join(p, CONDITION_OR, c, parse_terms(p, scope));
	}
	return c;
}
