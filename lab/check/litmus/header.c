/*
 * header.c - the lines of a litmus file's first comment: `Result: Never`, `Budget: 10 s`, ...
 *
 * A line that does not begin with one of the known words and a colon is prose. So that a misspelt word is not
 * taken for prose, a capitalised word with a colon behind it at a line's beginning must be known.
 */
#include "lab/check/litmus/parser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct litmus_geometry litmus_geometries[3] = {
	{ "mini", 64, 8, 3, 3 },
	{ "four", 32, 4, 4, 3 },
	{ "full", 4096, 512, 4, 7 },
};

static const char *const results[] = { "Never", "Sometimes", "Always" };
static const char *const models[] = { "sc", "tso", "weak" };

const char *litmus_result_name(enum litmus_result result)
{
	return results[result];
}

const char *litmus_model_name(enum litmus_model model)
{
	return models[model];
}

bool litmus_model_by_name(const char *name, enum litmus_model *out)
{
	for (unsigned i = 0; i < 3; i++) {
		if (strcasecmp(name, models[i]) == 0) {
			*out = (enum litmus_model)i;
			return true;
		}
	}
	return false;
}

/* What is left of a header line, and where it stands. */
struct line {
	const char *here, *end;
	struct litmus_place at;
};

static void line_blanks(struct line *line)
{
	while (line->here < line->end && strchr(" \t\r", *line->here)) {
		line->here++;
		line->at.column++;
	}
}

/* The next word, up to a blank, @stop or the line's end; its blanks skipped on both sides. May be empty. */
static struct line line_word(struct line *line, char stop)
{
	line_blanks(line);
	struct line word = *line;

	while (line->here < line->end && !strchr(" \t\r", *line->here) && *line->here != stop) {
		line->here++;
		line->at.column++;
	}
	word.end = line->here;
	line_blanks(line);
	return word;
}

static bool word_is(const struct line *word, const char *text)
{
	return (size_t)(word->end - word->here) == strlen(text) &&
	       memcmp(word->here, text, strlen(text)) == 0;
}

static void line_fail(struct parser *p, const struct line *word, const char *expected)
{
	if (word->here == word->end)
		fail_at(p, word->at, "expected %s, found the end of the line", expected);
	fail_at(p, word->at, "expected %s, found '%.*s'", expected,
		(int)(word->end - word->here > 40 ? 40 : word->end - word->here), word->here);
}

static uint64_t word_number(struct parser *p, const struct line *word, const char *expected)
{
	uint64_t number = 0;

	if (word->here == word->end)
		line_fail(p, word, expected);
	for (const char *c = word->here; c < word->end; c++) {
		if (*c < '0' || *c > '9' || number > 1000000000000ul)
			line_fail(p, word, expected);
		number = number * 10 + (unsigned)(*c - '0');
	}
	return number;
}

static unsigned word_choice(struct parser *p, const struct line *word, const char *const *choices,
			    unsigned count, const char *expected)
{
	for (unsigned i = 0; i < count; i++)
		if (word_is(word, choices[i]))
			return i;
	line_fail(p, word, expected);
	return 0;
}

/* Is there another item after a comma? Anything but a comma or the end is a mistake. */
static bool line_comma(struct parser *p, struct line *line)
{
	line_blanks(line);
	if (line->here == line->end)
		return false;
	if (*line->here != ',')
		line_fail(p, line, "',' or the end of the line");
	line->here++;
	line->at.column++;
	return true;
}

/* ---- the lines ----------------------------------------------------------------------------------------- */

static void read_result(struct parser *p, struct line *line)
{
	struct line word = line_word(line, ',');

	p->out->header.result = (enum litmus_result)word_choice(p, &word, results, 3,
								"Never, Sometimes or Always");
	p->out->header.has_result = true;
}

static void read_model(struct parser *p, struct line *line)
{
	struct line word = line_word(line, ',');

	p->out->header.model = (enum litmus_model)word_choice(p, &word, models, 3, "sc, tso or weak");
}

static void read_geometry(struct parser *p, struct line *line)
{
	static const char *const names[] = { "mini", "four", "full" };
	struct line word = line_word(line, ',');

	p->out->header.geometry = &litmus_geometries[word_choice(p, &word, names, 3, "mini, four or full")];
}

static void read_list(struct parser *p, struct line *line, const char **list, unsigned *count)
{
	do {
		struct line word = line_word(line, ',');

		if (word.here == word.end)
			line_fail(p, &word, "a name");
		if (*count == LITMUS_LIST)
			fail_at(p, word.at, "more than %d names", LITMUS_LIST);
		list[(*count)++] = parser_string(p, word.here, (size_t)(word.end - word.here));
	} while (line_comma(p, line));
}

static void read_rule(struct parser *p, struct line *line)
{
	read_list(p, line, p->out->header.rules, &p->out->header.rule_count);
}

static void read_safeguard(struct parser *p, struct line *line)
{
	read_list(p, line, p->out->header.safeguards, &p->out->header.safeguard_count);
}

static void read_shows(struct parser *p, struct line *line)
{
	line_blanks(line);
	if (line->here == line->end)
		line_fail(p, line, "a name or a sentence");
	p->out->header.shows = parser_string(p, line->here, (size_t)(line->end - line->here));
	line->here = line->end;
}

static void read_budget(struct parser *p, struct line *line)
{
	do {
		struct line number = line_word(line, ','), unit = line_word(line, ',');
		uint64_t value = word_number(p, &number, "a number");

		if (value == 0)
			fail_at(p, number.at, "a budget of nothing");
		if (word_is(&unit, "s") || word_is(&unit, "seconds"))
			p->out->header.seconds = (double)value;
		else if (word_is(&unit, "executions"))
			p->out->header.executions = value;
		else
			line_fail(p, &unit, "s or executions");
	} while (line_comma(p, line));
}

static void read_bound(struct parser *p, struct line *line)
{
	struct line word = line_word(line, ',');
	uint64_t bound = word_number(p, &word, "a number of preemptions");

	if (bound > 64)
		fail_at(p, word.at, "a bound above 64");
	p->out->header.bound = (int)bound;
}

static uint32_t option_number(struct parser *p, struct line *line, uint64_t most)
{
	struct line number = line_word(line, ',');
	uint64_t value = word_number(p, &number, "a number");

	if (value == 0 || value > most)
		fail_at(p, number.at, "expected a number from 1 to %llu", (unsigned long long)most);
	return (uint32_t)value;
}

static void read_options(struct parser *p, struct line *line)
{
	struct litmus_header *h = &p->out->header;

	do {
		struct line word = line_word(line, ',');

		if (word_is(&word, "rcu"))
			h->rcu = true;
		else if (word_is(&word, "shared-pool"))
			h->shared_pool = true;
		else if (word_is(&word, "several-tlbs"))
			h->several_tlbs = true;
		else if (word_is(&word, "fault-around"))
			h->fault_around = true;
		else if (word_is(&word, "writers-wait"))
			h->writers_wait = true;
		else if (word_is(&word, "frames"))
			h->frames = option_number(p, line, 4096);
		else if (word_is(&word, "walkers"))
			h->walkers = option_number(p, line, 4);
		else
			line_fail(p, &word,
				  "rcu, shared-pool, several-tlbs, fault-around, writers-wait, frames N "
				  "or walkers N");
	} while (line_comma(p, line));
}

static const struct {
	const char *name;
	void (*read)(struct parser *p, struct line *line);
} lines[] = {
	{ "Result", read_result },	 { "Rule", read_rule },		{ "Shows", read_shows },
	{ "Safeguard", read_safeguard }, { "Budget", read_budget },	{ "Bound", read_bound },
	{ "Model", read_model },	 { "Geometry", read_geometry }, { "Options", read_options },
};

enum { LINES = sizeof(lines) / sizeof(lines[0]) };

/* A word that begins with a capital and ends in a colon begins a header line. */
static bool is_header(const struct line *word)
{
	if (word->here == word->end || *word->here < 'A' || *word->here > 'Z')
		return false;
	for (const char *c = word->here + 1; c < word->end; c++)
		if (*c < 'a' || *c > 'z')
			return false;
	return true;
}

static void read_line(struct parser *p, struct line line, bool seen[LINES])
{
	while (line.here < line.end && strchr(" \t\r*", *line.here)) {
		line.here++;
		line.at.column++;
	}
	while (line.end > line.here && strchr(" \t\r", line.end[-1]))
		line.end--;

	struct line word = line_word(&line, ':');

	if (!is_header(&word) || line.here == line.end || *line.here != ':' || line.here != word.end)
		return;
	line.here++;
	line.at.column++;
	for (unsigned i = 0; i < LINES; i++) {
		if (!word_is(&word, lines[i].name))
			continue;
		if (seen[i])
			fail_at(p, word.at, "a second line '%s:'", lines[i].name);
		seen[i] = true;
		lines[i].read(p, &line);
		line_blanks(&line);
		if (line.here != line.end)
			line_fail(p, &line, "the end of the line");
		return;
	}
	line_fail(p, &word, "Result, Rule, Shows, Safeguard, Budget, Bound, Model, Geometry or Options");
}

void parse_header(struct parser *p)
{
	struct line line = { p->comment, NULL, p->comment_at };
	bool seen[LINES] = { false };

	p->out->header =
		(struct litmus_header){ .model = LITMUS_TSO, .bound = -1, .geometry = &litmus_geometries[0] };
	while (line.here && line.here <= p->comment_end) {
		const char *end = memchr(line.here, '\n', (size_t)(p->comment_end - line.here));

		line.end = end ? end : p->comment_end;
		read_line(p, line, seen);
		if (!end)
			return;
		line = (struct line){ end + 1, NULL, { line.at.line + 1, 1 } };
	}
}
