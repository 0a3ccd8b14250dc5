/*
 * operand.c - what operations are given: addresses, ranges, values, mappings.
 */
#include "lab/check/litmus/parser.h"

#include <string.h>

int numbered(const struct token *token, char letter)
{
	unsigned number = 0;

	if (token->kind != TOKEN_NAME || token->length < 2 || token->length > 3 || token->start[0] != letter)
		return -1;
	for (size_t i = 1; i < token->length; i++) {
		if (token->start[i] < '0' || token->start[i] > '9')
			return -1;
		number = number * 10 + (unsigned)(token->start[i] - '0');
	}
	return (int)number;
}

int register_of(const struct token *token)
{
	return numbered(token, 'r');
}

unsigned register_expect(struct parser *p)
{
	int number = register_of(&p->token);

	if (number < 0)
		fail_expected(p, "a register");
	if (number >= LITMUS_REGISTERS)
		fail_at(p, p->token.at, "registers are r0 to r%d", LITMUS_REGISTERS - 1);
	token_next(p);
	return (unsigned)number;
}

/* ---- addresses ----------------------------------------------------------------------------------------- */

static uint64_t number_up_to(struct parser *p, const char *what, uint64_t most)
{
	struct litmus_place at = p->token.at;
	uint64_t number = token_expect_number(p, what);

	if (number > most)
		fail_at(p, at, "expected %s of at most %llu", what, (unsigned long long)most);
	return number;
}

struct litmus_address parse_address(struct parser *p, enum litmus_kind kind)
{
	const struct litmus_geometry *g = p->out->header.geometry;
	struct litmus_address address = { .name = -1 };

	if (kind == NAME_REGION && register_of(&p->token) >= 0) {
		address.reg = register_expect(p);
		address.exact = true;
	} else {
		address.name = name_expect(p, kind);
	}
	/* In a sum, what follows may be another term: &x + r1. */
	if (p->token.kind == '+' && token_peek(p).kind == TOKEN_NUMBER) {
		token_next(p);
		address.pages = number_up_to(p, "a number of pages", 1ul << 30);
		address.exact = true;
	}
	if (token_accept(p, '[')) {
		address.word = (uint32_t)number_up_to(p, "a word of the page", g->page_bytes / 8 - 1);
		address.exact = true;
		token_expect(p, ']', "']'");
	}
	return address;
}

uint64_t pages_of_name(const struct parser *p, int name)
{
	const struct litmus_name *n = &p->out->names[name];
	uint32_t page = p->out->header.geometry->page_bytes;

	return n->bytes ? (n->bytes + page - 1) / page : n->pages;
}

bool is_pages(const struct token *token)
{
	return token_is(token, "page") || token_is(token, "pages");
}

uint64_t parse_pages(struct parser *p)
{
	struct litmus_place at = p->token.at;
	uint64_t pages = number_up_to(p, "a number of pages", 1ul << 30);

	if (pages == 0)
		fail_at(p, at, "expected a number of pages of at least 1");
	if (!is_pages(&p->token))
		fail_expected(p, "pages");
	token_next(p);
	return pages;
}

/* All of a name; one page of an exact address. */
struct litmus_range range_of(const struct parser *p, struct litmus_address address)
{
	return (struct litmus_range){ address, address.exact ? 1 : pages_of_name(p, address.name) };
}

struct litmus_range parse_range(struct parser *p, enum litmus_kind kind)
{
	struct litmus_range range = range_of(p, parse_address(p, kind));

	if (p->token.kind == ',' && token_peek(p).kind == TOKEN_NUMBER) {
		token_next(p);
		range.pages = number_up_to(p, "a number of pages", 1ul << 30);
		if (is_pages(&p->token))
			token_next(p);
	}
	return range;
}

/* ---- values -------------------------------------------------------------------------------------------- */

/* Sums wrap, as they do in registers. */
static void add_number(struct litmus_value *value, uint64_t number, bool negative)
{
	value->number = (int64_t)((uint64_t)value->number + (negative ? -number : number));
}

static void add_register(struct parser *p, struct litmus_value *value, bool negative)
{
	struct litmus_place at = p->token.at;
	unsigned reg = register_expect(p);

	if (value->coefficients[reg] > 100 || value->coefficients[reg] < -100)
		fail_at(p, at, "a register more than 100 times in one sum");
	value->coefficients[reg] += (int8_t)(negative ? -1 : 1);
}

static void add_term(struct parser *p, struct litmus_value *value, bool negative)
{
	struct litmus_place at = p->token.at;
	int error = error_number(&p->token);

	if (register_of(&p->token) >= 0) {
		add_register(p, value, negative);
	} else if (p->token.kind == '&') {
		if (negative || value->is_address)
			fail_at(p, at, "an address can be added once, and not subtracted");
		token_next(p);
		value->is_address = true;
		value->address = parse_address(p, NAME_REGION);
	} else if (error) {
		if (!negative)
			fail_at(p, at, "errors are negative: -%.*s", (int)p->token.length, p->token.start);
		token_next(p);
		add_number(value, (uint64_t)error, true);
	} else if (p->token.kind == TOKEN_NUMBER) {
		add_number(value, token_expect_number(p, "a number"), negative);
	} else {
		fail_expected(p, "a value");
	}
}

struct litmus_value parse_value(struct parser *p)
{
	struct litmus_value value = { 0 };

	add_term(p, &value, token_accept(p, '-'));
	for (;;) {
		if (token_accept(p, '+'))
			add_term(p, &value, false);
		else if (token_accept(p, '-'))
			add_term(p, &value, true);
		else
			return value;
	}
}

struct litmus_value parse_constant(struct parser *p)
{
	struct litmus_place at = p->token.at;
	struct litmus_value value = parse_value(p);

	for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
		if (value.coefficients[i] || (value.is_address && value.address.name < 0))
			fail_at(p, at, "expected a value without registers");
	return value;
}

/* ---- mappings ------------------------------------------------------------------------------------------ */

/* "none", or some of the letters rwx, each once. False: not a protection. */
static bool is_protection(const struct token *token, uint32_t *out)
{
	*out = 0;
	if (token_is(token, "none"))
		return true;
	if (token->kind != TOKEN_NAME)
		return false;
	for (size_t i = 0; i < token->length; i++) {
		uint32_t bit = token->start[i] == 'r'	? MAP_R
			       : token->start[i] == 'w' ? MAP_W
			       : token->start[i] == 'x' ? MAP_X
							: 0;

		if (!bit || (*out & bit))
			return false;
		*out |= bit;
	}
	return true;
}

uint32_t parse_protection(struct parser *p)
{
	uint32_t prot;

	if (!is_protection(&p->token, &prot))
		fail_expected(p, "a protection (none, or letters of r, w, x)");
	token_next(p);
	return prot;
}

static const struct {
	const char *word;
	uint32_t flag;
} mapping_words[] = {
	{ "private", 0 },
	{ "shared", MAP_SHARED_ONE },
	{ "populate", MAP_POPULATED },
	{ "locked", MAP_LOCKED_ONE },
	{ "noreserve", MAP_UNRESERVED },
	{ "growsdown", MAP_GROWING },
	{ "readonly", MAP_OPENED_READONLY },
	{ "noreplace", MAP_KEEPS },
	{ "hint", MAP_HINTED },
};

static bool accept_mapping_word(struct parser *p, struct litmus_mapping *mapping)
{
	for (size_t i = 0; i < sizeof(mapping_words) / sizeof(mapping_words[0]); i++) {
		if (token_accept_word(p, mapping_words[i].word)) {
			mapping->flags |= mapping_words[i].flag;
			return true;
		}
	}
	return false;
}

/* anon|file F[+PAGE]|hole, then words in any order, among them one protection (a hole has none). */
struct litmus_mapping parse_mapping(struct parser *p)
{
	struct litmus_mapping mapping = { .file = -1 };
	bool protected = false;
	uint32_t prot;

	if (token_accept_word(p, "hole"))
		return (struct litmus_mapping){ .flags = MAP_HOLE, .file = -1 };
	if (token_accept_word(p, "file")) {
		struct litmus_place at = p->token.at;
		struct litmus_address position = parse_address(p, NAME_FILE);

		if (position.word)
			fail_at(p, at, "a mapping begins with a page of the file");
		mapping.file = position.name;
		mapping.file_page = position.pages;
	} else if (!token_accept_word(p, "anon")) {
		fail_expected(p, p->column < 0 ? "anon, file or hole" : "anon or file");
	}
	while (p->token.kind == TOKEN_NAME) {
		if (accept_mapping_word(p, &mapping))
			continue;
		if (protected || !is_protection(&p->token, &prot))
			break;
		mapping.flags |= prot;
		protected = true;
		token_next(p);
	}
	if (!protected)
		fail_expected(p, "a protection (none, or letters of r, w, x)");
	return mapping;
}
