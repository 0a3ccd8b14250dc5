/*
 * parse.c - a litmus file from its first word to its last.
 */
#include "lab/check/litmus/parser.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* MM NAME: words and signs up to the next blank. */
static void parse_name(struct parser *p)
{
	const char *start, *end;

	token_expect_word(p, "MM");
	start = end = p->token.start;
	struct litmus_place at = p->token.at;

	if (p->token.kind != TOKEN_NAME && p->token.kind != TOKEN_NUMBER)
		fail_expected(p, "the name of the test");
	while (p->token.kind == TOKEN_NAME || p->token.kind == TOKEN_NUMBER || p->token.kind == '-' ||
	       p->token.kind == '+' || p->token.kind == '.') {
		if (p->token.start != end)
			break;
		end = p->token.start + p->token.length;
		token_next(p);
	}
	if (end - start > 60)
		fail_at(p, at, "the name is longer than 60 letters");
	p->out->name = parser_string(p, start, (size_t)(end - start));
}

/*
 * A column may use the child that a later column forks. So the children's names are declared before the
 * columns are read: by their tokens alone, mistakes are left to whoever reads them properly.
 */
static void declare_children(struct parser *p)
{
	struct parser saved;
	int column = -1;

	memcpy(&saved, p, sizeof(saved));
	while (p->token.kind != TOKEN_END) {
		if (column_number(&p->token) >= 0)
			column = column_number(&p->token);
		if (token_accept_word(p, "fork")) {
			token_accept(p, '(');
			if (p->token.kind == TOKEN_NAME && name_find(p, &p->token) < 0 && column >= 0)
				p->out->names[name_declare(p, NAME_MM, -1)].by = column;
			continue;
		}
		token_next(p);
	}
	/* Everything but the jump buffer, which is the same. */
	p->here = saved.here;
	p->token = saved.token;
	p->last_end = saved.last_end;
	p->at = saved.at;
}

static void parse_column(struct parser *p)
{
	struct litmus *l = p->out;
	unsigned index = l->column_count;
	struct litmus_column *column = &l->columns[index];

	if (index == l->header.geometry->cpus)
		fail_at(p, p->token.at, "more than %u CPUs in geometry %s", index, l->header.geometry->name);
	if (column_number(&p->token) != (int)index)
		fail_at(p, p->token.at, "expected P%u, found '%.*s'", index, (int)p->token.length,
			p->token.start);
	*column = (struct litmus_column){ .mm = -1, .at = p->token.at };
	l->column_count++;
	p->column = (int)index;
	p->exited = 0;
	p->posted = p->certain;
	token_next(p);
	token_expect(p, '@', "'@' and an address space, or @none");
	if (!token_accept_word(p, "none")) {
		struct litmus_place at = p->token.at;

		column->mm = name_expect(p, NAME_MM);
		if (l->names[column->mm].by >= 0)
			fail_at(p, at, "'%s' is not there at the start: use run", l->names[column->mm].name);
		column->lazy = token_accept_word(p, "lazy");
		column->mms = 1ul << column->mm;
	}
	p->current = column->mm;
	p->running = column->stays = column->mm >= 0 && !column->lazy;
	column->body = parse_block(p);
}

/* What exec replaces nobody else may be running: of a CPU that never stops to, that is known. */
static void check_execs(struct parser *p)
{
	const struct litmus *l = p->out;

	for (unsigned i = 0; i < l->column_count; i++) {
		int mm = l->columns[i].mm;

		if (l->columns[i].stays && p->exec[mm].columns & ~(1u << i))
			fail_at(p, p->exec[mm].at, "exec in %s, which P%u runs as well", l->names[mm].name,
				i);
	}
}

static void check_setup(struct parser *p)
{
	for (const struct litmus_setup *s = p->out->setup; s; s = s->next)
		if (s->cpu >= p->out->column_count)
			fail_at(p, s->at, "P%u is to set up, and has no column", s->cpu);
}

static void parse_end(struct parser *p)
{
	struct litmus *l = p->out;
	const char *start = p->token.start;

	if (token_is(&p->token, "exists") || token_is(&p->token, "forall")) {
		l->quantifier = token_is(&p->token, "exists") ? QUANTIFIER_EXISTS : QUANTIFIER_FORALL;
		token_next(p);
		token_expect(p, '(', "'('");
		l->condition = parse_condition(p, CONDITION_OF_END);
		token_expect(p, ')', "')', /\\ or \\/");
		l->condition_text = parser_source(p, start, p->last_end);
	}
	if (p->token.kind != TOKEN_END)
		fail_expected(p, l->condition ? "the end of the file"
					      : "P0, P1, ..., exists, forall or the end");
}

/* What the result can be follows from what is asked. */
static void settle_result(struct parser *p)
{
	struct litmus_header *h = &p->out->header;

	if (p->out->quantifier == QUANTIFIER_EXISTS && !h->has_result)
		fail_at(p, p->comment ? p->comment_at : (struct litmus_place){ 1, 1 },
			"expected a comment with a line 'Result: Never', Sometimes or Always");
	if (!h->has_result)
		h->result = p->out->quantifier == QUANTIFIER_FORALL ? LITMUS_ALWAYS : LITMUS_NEVER;
	if (p->out->quantifier == QUANTIFIER_FORALL && h->result != LITMUS_ALWAYS)
		fail_at(p, p->comment_at, "with forall the Result can only be Always");
	if (p->out->quantifier == QUANTIFIER_NONE && h->result != LITMUS_NEVER)
		fail_at(p, p->comment_at, "without a condition the Result can only be Never");
}

static void parse_file_text(struct parser *p)
{
	token_next(p);
	parse_name(p);
	parse_header(p);
	place_fixed(p);
	parse_setup(p);
	declare_children(p);
	if (column_number(&p->token) < 0)
		fail_expected(p, "P0");
	while (column_number(&p->token) >= 0)
		parse_column(p);
	check_setup(p);
	check_execs(p);
	parse_end(p);
	settle_result(p);
}

struct litmus *litmus_parse(const char *text, size_t bytes, struct litmus_mistake *mistake)
{
	static struct parser parser;
	struct parser *p = &parser;

	memset(p, 0, sizeof(*p));
	p->text = p->here = text;
	p->end = text + bytes;
	p->at = (struct litmus_place){ 1, 1 };
	p->mistake = mistake;
	p->column = p->current = -1;
	p->out = calloc(1, sizeof(*p->out));
	if (!p->out) {
		*mistake = (struct litmus_mistake){ { 0, 0 }, "out of memory" };
		return NULL;
	}
	if (setjmp(p->failed)) {
		litmus_free(p->out);
		return NULL;
	}
	if (bytes > LITMUS_BYTES)
		fail_at(p, p->at, "a file of more than %d bytes", LITMUS_BYTES);
	parse_file_text(p);
	return p->out;
}

struct litmus *litmus_read(const char *path, struct litmus_mistake *mistake)
{
	FILE *file = fopen(path, "rb");
	char *text = malloc(LITMUS_BYTES + 1);
	struct litmus *litmus = NULL;
	size_t bytes;

	*mistake = (struct litmus_mistake){ { 0, 0 }, "out of memory" };
	if (!file || !text) {
		snprintf(mistake->text, sizeof(mistake->text), "%s", strerror(errno));
		goto out;
	}
	bytes = fread(text, 1, LITMUS_BYTES + 1, file);
	if (ferror(file))
		snprintf(mistake->text, sizeof(mistake->text), "%s", strerror(errno));
	else
		litmus = litmus_parse(text, bytes, mistake);
out:
	if (file)
		fclose(file);
	free(text);
	return litmus;
}
