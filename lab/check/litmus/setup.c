/*
 * setup.c - the initial state of a litmus file: names, and where they are placed.
 *
 *	page  0        U            4U            6U          7U          8U
 *	      | unused | names ...  | mmap's own  | the break |  (at top) |
 *
 * U is what an entry of level 2 spans.
 *
 * Placed by the geometry that the file asks for, so that every mistake of place has a line and a column.
 */
#include "lab/check/litmus/parser.h"

#include <string.h>

/* Pages that one entry of a table of @level maps; level 0 is a leaf table, whose entries are pages. */
static uint64_t span_of(const struct litmus_geometry *g, uint64_t level)
{
	uint64_t pages = 1;

	while (level--)
		pages *= g->entries;
	return pages;
}

static uint64_t space_pages(const struct litmus_geometry *g)
{
	/* As in geometry.h: x86-64 has the lower half but for its last page. */
	return g->entries == 512 ? span_of(g, g->levels) / 2 - 1 : span_of(g, g->levels);
}

static uint64_t unit_pages(const struct litmus_geometry *g)
{
	return span_of(g, 2);
}

void place_fixed(struct parser *p)
{
	uint64_t unit = unit_pages(p->out->header.geometry);

	p->next_page = p->last_page = unit;
	p->out->mmap_bottom_page = 4 * unit;
	p->out->mmap_top_page = 6 * unit;
	p->out->heap_page = 6 * unit;
	p->out->names[0] = (struct litmus_name){ .name = "heap",
						 .kind = NAME_REGION,
						 .mm = -1,
						 .by = -1,
						 .mapping = { .flags = MAP_HOLE, .file = -1 },
						 .pages = 1,
						 .page = p->out->heap_page };
	p->out->name_count = 1;
}

int column_number(const struct token *token)
{
	return numbered(token, 'P');
}

/* ---- names --------------------------------------------------------------------------------------------- */

static const char *const kind_names[NAME_KINDS] = {
	[NAME_MM] = "an address space", [NAME_REGION] = "a place", [NAME_FILE] = "a file",
	[NAME_DEVICE] = "a device",	[NAME_WORD] = "a word",	   [NAME_EVENT] = "an event",
};

const char *litmus_kind_name(enum litmus_kind kind)
{
	return kind_names[kind];
}

int name_find(const struct parser *p, const struct token *token)
{
	for (unsigned i = 0; i < p->out->name_count; i++)
		if (token_is(token, p->out->names[i].name))
			return (int)i;
	return -1;
}

static bool is_reserved(const struct token *token)
{
	static const char *const words[] = {
		"mm",	  "file", "device", "event",	"fork", "anon",	 "hole", "true",  "fault",
		"signal", "done", "exists", "forall",	"if",	"else",	 "at",	 "page",  "pages",
		"none",	  "lazy", "read",   "unmapped", "huge", "level", "top",	 "plain", "stored",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (token_is(token, words[i]))
			return true;
	return register_of(token) >= 0;
}

int name_declare(struct parser *p, enum litmus_kind kind, int mm)
{
	int known = name_find(p, &p->token);

	if (p->token.kind != TOKEN_NAME)
		fail_expected(p, "a name");
	if (is_reserved(&p->token))
		fail_at(p, p->token.at, "'%.*s' cannot be a name: it means something", (int)p->token.length,
			p->token.start);
	if (known >= 0)
		fail_at(p, p->token.at, "'%s' is %s already (line %u)", p->out->names[known].name,
			kind_names[p->out->names[known].kind], p->out->names[known].at.line);
	if (p->out->name_count == LITMUS_NAMES)
		fail_at(p, p->token.at, "more than %d names", LITMUS_NAMES);

	struct litmus_name *name = &p->out->names[p->out->name_count];

	*name = (struct litmus_name){
		.kind = kind, .mm = mm, .by = -1, .at = p->token.at, .mapping = { .file = -1 }
	};
	name->name = token_expect_name(p, "a name");
	return (int)p->out->name_count++;
}

int name_expect(struct parser *p, enum litmus_kind kind)
{
	int name = name_find(p, &p->token);

	if (p->token.kind == TOKEN_NAME && name < 0 && !is_reserved(&p->token))
		fail_at(p, p->token.at, "expected %s, but '%.*s' is not declared", kind_names[kind],
			(int)(p->token.length > 40 ? 40 : p->token.length), p->token.start);
	if (name < 0)
		fail_expected(p, kind_names[kind]);
	if (p->out->names[name].kind != kind)
		fail_at(p, p->token.at, "expected %s, but '%s' is %s", kind_names[kind],
			p->out->names[name].name, kind_names[p->out->names[name].kind]);
	token_next(p);
	return name;
}

/* ---- contents ------------------------------------------------------------------------------------------ */

static void parse_contents(struct parser *p, struct litmus_name *name, uint64_t pages)
{
	do {
		struct litmus_content *content = &name->contents[name->content_count];
		struct litmus_place at = p->token.at;

		if (name->content_count == LITMUS_CONTENTS || name->content_count == pages)
			fail_at(p, at, "contents of more than %u page%s", name->content_count,
				name->content_count == 1 ? "" : "s");
		name->content_count++;
		if (token_accept(p, '-')) {
			content->touch = TOUCHED_NOT;
		} else if (name->kind == NAME_REGION && token_accept_word(p, "read")) {
			content->touch = TOUCHED_READ;
		} else {
			content->value = token_expect_number(
				p, name->kind == NAME_REGION ? "a number, read or -" : "a number or -");
			content->touch = TOUCHED_VALUE;
		}
	} while (token_accept(p, ','));
}

/* ---- places -------------------------------------------------------------------------------------------- */

static uint64_t place_of(struct parser *p, uint64_t pages)
{
	const struct litmus_geometry *g = p->out->header.geometry;
	uint64_t level = 1;

	if (!token_accept_word(p, "at")) {
		uint64_t page = p->next_page;

		p->next_page += pages;
		return page;
	}
	if (token_accept_word(p, "top"))
		return space_pages(g) - pages;
	if (p->token.kind == TOKEN_NUMBER) {
		uint64_t page = token_expect_number(p, "a place");

		return page > space_pages(g) ? UINT64_MAX : unit_pages(g) + page;
	}
	if (token_is(&p->token, "huge") || token_is(&p->token, "level")) {
		bool huge = token_is(&p->token, "huge");

		token_next(p);
		struct litmus_place at = p->token.at;

		if (!huge)
			level = token_expect_number(p, "a level");
		if (level < 1 || level >= g->levels)
			fail_at(p, at, "levels are 1 to %u in this geometry", g->levels - 1);
		uint64_t page = (p->last_page + span_of(g, level) - 1) / span_of(g, level) *
				span_of(g, level);

		p->next_page = page + pages;
		return page;
	}
	if (p->token.kind != TOKEN_NAME)
		fail_expected(p, "a place (a number, a name, huge, level N or top)");
	struct litmus_address address = parse_address(p, NAME_REGION);

	if (address.name < 0 || address.word)
		fail_expected(p, "a page");
	return p->out->names[address.name].page + address.pages;
}

/* Two mappings of one mm that overlap would replace one another; a hole is only a name. */
static void check_overlap(struct parser *p, int index, struct litmus_place at)
{
	const struct litmus_name *name = &p->out->names[index];

	if (name->mapping.flags & MAP_HOLE)
		return;
	for (int i = 0; i < index; i++) {
		const struct litmus_name *other = &p->out->names[i];

		if (other->kind == NAME_REGION && other->mm == name->mm &&
		    !(other->mapping.flags & MAP_HOLE) && name->page < other->page + other->pages &&
		    other->page < name->page + name->pages)
			fail_at(p, at, "'%s' lies over '%s'", name->name, other->name);
	}
}

static void parse_region(struct parser *p)
{
	struct litmus_place at = p->token.at;
	int index = name_declare(p, NAME_REGION, -1);
	struct litmus_name *name = &p->out->names[index];

	token_expect(p, ':', "':' or '='");
	name->mm = name_expect(p, NAME_MM);
	name->mapping = parse_mapping(p);
	if (name->mapping.flags & (MAP_KEEPS | MAP_HINTED))
		fail_at(p, at, "noreplace and hint are for the call: an initial mapping is fixed");
	name->pages = parse_pages(p);
	name->page = place_of(p, name->pages);
	if (name->page > space_pages(p->out->header.geometry) ||
	    name->pages > space_pages(p->out->header.geometry) - name->page)
		fail_at(p, at, "'%s' does not fit into the address space of geometry %s", name->name,
			p->out->header.geometry->name);
	if (name->page + name->pages > p->last_page && name->page < p->out->mmap_bottom_page)
		p->last_page = name->page + name->pages;
	check_overlap(p, index, at);
	if (p->token.kind == '=') {
		if (name->mapping.flags & MAP_HOLE)
			fail_at(p, p->token.at, "a hole holds nothing");
		token_next(p);
		parse_contents(p, name, name->pages);
	}
}

/* ---- the other kinds ----------------------------------------------------------------------------------- */

static int parse_mm(struct parser *p)
{
	int mm = name_declare(p, NAME_MM, -1);

	if (token_accept(p, '=')) {
		token_expect_word(p, "fork");
		p->out->names[mm].mm = name_expect(p, NAME_MM);
		if (p->out->names[mm].mm == mm)
			fail_at(p, p->out->names[mm].at, "'%s' cannot be its own parent",
				p->out->names[mm].name);
	}
	return mm;
}

static int parse_file(struct parser *p)
{
	int file = name_declare(p, NAME_FILE, -1);
	struct litmus_name *name = &p->out->names[file];
	struct litmus_place at = p->token.at;
	uint64_t size = token_expect_number(p, "a length");

	if (size > 1ul << 30)
		fail_at(p, at, "a file of more than 2^30");
	if (is_pages(&p->token)) {
		name->pages = size;
		token_next(p);
	} else {
		token_expect_word(p, "bytes");
		name->bytes = size;
	}
	name->stored = token_accept_word(p, "stored");
	if (token_accept(p, '='))
		parse_contents(p, name, pages_of_name(p, file));
	return file;
}

static int parse_word(struct parser *p)
{
	int word = name_declare(p, NAME_WORD, -1);

	token_expect(p, '=', "':' or '='");
	p->out->names[word].value = token_expect_number(p, "a number");
	p->out->names[word].plain = token_accept_word(p, "plain");
	return word;
}

static int parse_device(struct parser *p)
{
	int device = name_declare(p, NAME_DEVICE, -1);

	token_expect(p, ':', "':'");
	p->out->names[device].mm = name_expect(p, NAME_MM);
	return device;
}

/* What one statement of the initial state declares; -1: nothing, it was a block. */
static int parse_declaration(struct parser *p)
{
	struct token next = token_peek(p);

	if (next.kind != ':' && next.kind != '=') {
		if (token_accept_word(p, "mm"))
			return parse_mm(p);
		if (token_accept_word(p, "file"))
			return parse_file(p);
		if (token_accept_word(p, "device"))
			return parse_device(p);
		if (token_accept_word(p, "event"))
			return name_declare(p, NAME_EVENT, -1);
	}
	if (p->token.kind != TOKEN_NAME)
		fail_expected(p, "mm, file, device, event, @ or a name");
	if (next.kind == ':') {
		parse_region(p);
		return (int)p->out->name_count - 1;
	}
	return parse_word(p);
}

void parse_setup(struct parser *p)
{
	struct litmus_setup **last = &p->out->setup;

	p->column = -1;
	token_expect(p, '{', "'{' and the initial state");
	while (p->token.kind != '}') {
		struct litmus_setup *setup = parser_alloc(p, sizeof(*setup));

		setup->name = setup->mm = -1;
		if (token_accept(p, '@')) {
			setup->mm = p->current = name_expect(p, NAME_MM);
			setup->at = p->token.at;
			if (column_number(&p->token) >= 0) {
				setup->cpu = (unsigned)column_number(&p->token);
				token_next(p);
			}
			p->running = true;
			setup->body = parse_block(p);
			token_accept(p, ';');
		} else {
			setup->name = parse_declaration(p);
			if (p->token.kind != '}')
				token_expect(p, ';', "';'");
		}
		*last = setup;
		last = &setup->next;
	}
	token_next(p);
}
