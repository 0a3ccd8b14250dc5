/*
 * little.c - reading, printing and searching tiny programs.
 */
#include "little.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "run.h"

const char *const model_name[3] = { "SC", "TSO", "WEAK" };

static const char order_letter[] = { [MO_RELAXED] = 0,	 [MO_CONSUME] = 'c', [MO_ACQUIRE] = 'a',
				     [MO_RELEASE] = 'r', [MO_ACQ_REL] = 'b', [MO_SEQ_CST] = 's' };

/* ---- text ---------------------------------------------------------------------------------------------- */

static int read_order(const char **at, int otherwise)
{
	for (int order = MO_ACQUIRE; order <= MO_SEQ_CST; order++) {
		if (**at == order_letter[order]) {
			(*at)++;
			return order;
		}
	}
	return otherwise;
}

static struct little_op read_op(const char **at)
{
	struct little_op op = { 0 };
	char letter = *(*at)++;

	if (letter == 'F') {
		op.kind = LITTLE_FENCE;
		op.order = read_order(at, MO_SEQ_CST);
		return op;
	}
	assert_in_range(letter, 'u', 'z');
	op.location = (unsigned)(letter - 'u');
	op.kind = **at == '='	? LITTLE_STORE
		  : **at == '+' ? LITTLE_ADD
		  : **at == '^' ? LITTLE_EXCHANGE
		  : **at == '?' ? LITTLE_COMPARE
				: LITTLE_LOAD;
	if (op.kind != LITTLE_LOAD) {
		op.value = (unsigned)((*at)[1] - '0');
		*at += 2;
	}
	if (op.kind == LITTLE_COMPARE) {
		op.expected = op.value;
		op.value = (unsigned)((*at)[1] - '0');
		*at += 2;
	}
	if (op.kind == LITTLE_ADD && **at == '!') {
		op.kind = LITTLE_COUNT;
		(*at)++;
	}
	op.order = read_order(at, MO_RELAXED);
	return op;
}

struct little little(const char *program)
{
	struct little out = { .threads = 1 };

	while (*program && *program != ';') {
		if (*program == '|') {
			out.threads++;
			program++;
		} else if (isspace((unsigned char)*program)) {
			program++;
		} else {
			unsigned t = out.threads - 1;

			out.op[t][out.ops[t]++] = read_op(&program);
		}
	}
	if (*program == ';')
		sscanf(program + 1, "%6s", out.last);
	return out;
}

void little_print(const struct little *program, char *out, size_t room)
{
	size_t used = 0;

#define PRINT(...) used += (size_t)snprintf(out + used, used < room ? room - used : 0, __VA_ARGS__)
	for (unsigned t = 0; t < program->threads; t++) {
		PRINT("%s", t ? " |" : "");
		for (unsigned i = 0; i < program->ops[t]; i++) {
			const struct little_op *op = &program->op[t][i];
			char order[2] = { order_letter[op->order], 0 };

			PRINT(used ? " " : "");
			if (op->kind == LITTLE_FENCE) {
				PRINT("F%s", op->order == MO_SEQ_CST ? "" : order);
				continue;
			}
			PRINT("%c", 'u' + op->location);
			if (op->kind == LITTLE_COMPARE)
				PRINT("?%u:%u", op->expected, op->value);
			else if (op->kind != LITTLE_LOAD)
				PRINT("%c%u%s", "= ++^"[op->kind], op -> value,
				      op -> kind == LITTLE_COUNT ? "!" : "");
			PRINT("%s", order);
		}
	}
	if (*program->last)
		PRINT("; %s", program->last);
#undef PRINT
}

/* ---- outcomes ------------------------------------------------------------------------------------------ */

/* Kept sorted. */
void outcomes_add(struct outcomes *outcomes, const char *text)
{
	unsigned low = 0, high = outcomes->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;
		int difference = strncmp(text, outcomes->text[middle], LITTLE_TEXT - 1);

		if (!difference)
			return;
		if (difference < 0)
			high = middle;
		else
			low = middle + 1;
	}
	assert_true(outcomes->count < LITTLE_OUTCOMES);
	memmove(outcomes->text[low + 1], outcomes->text[low], (outcomes->count - low) * LITTLE_TEXT);
	snprintf(outcomes->text[low], LITTLE_TEXT, "%s", text);
	outcomes->count++;
}

bool outcomes_equal(const struct outcomes *a, const struct outcomes *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->text[i], b->text[i]))
			return false;
	return true;
}

void outcomes_print(const struct outcomes *outcomes, char *out, size_t room)
{
	size_t used = 0;

	*out = '\0';
	for (unsigned i = 0; i < outcomes->count && used < room; i++)
		used += (size_t)snprintf(out + used, room - used, "%s%s", i ? " " : "", outcomes->text[i]);
}

/* ---- searching ----------------------------------------------------------------------------------------- */

static struct {
	const struct little *program;
	char output[LITTLE_THREADS][LITTLE_OPS + 1];
	struct outcomes *outcomes;
} running;

static void thread_body(unsigned thread)
{
	const struct little *program = running.program;
	char *output = running.output[thread];

	for (unsigned i = 0; i < program->ops[thread]; i++) {
		const struct little_op *op = &program->op[thread][i];
		unsigned old = little_access(op, &run_arena[op->location].word);

		if (op->kind != LITTLE_STORE && op->kind != LITTLE_COUNT && op->kind != LITTLE_FENCE)
			*output++ = (char)('0' + old);
	}
	*output = '\0';
}

static void finish(void)
{
	char text[LITTLE_TEXT] = "";
	size_t used = 0;

	for (unsigned t = 0; t < running.program->threads; t++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", running.output[t]);
	if (*running.program->last)
		text[used++] = '/';
	for (const char *at = running.program->last; *at; at++)
		text[used++] = (char)('0' + run_arena[*at - 'u'].word);
	text[used] = '\0';
	outcomes_add(running.outcomes, text);
}

static void ended(const char *violation)
{
	char text[LITTLE_TEXT];

	if (!violation)
		return;
	snprintf(text, sizeof(text), "!%s", violation);
	outcomes_add(running.outcomes, text);
}

struct engine_counts little_search(const struct little *program, enum memory_model model,
				   enum engine_search search, struct outcomes *outcomes)
{
	static unsigned searches;
	struct run this = {
		.is_kept = ++searches % 2, /* it is to make no difference */
		.state = running.output,
		.state_bytes = sizeof(running.output),
		.model = model,
		.search = search,
		.most = program->most,
		.bound = LITTLE_THREADS * LITTLE_OPS,
		.threads = program->threads,
		.thread = thread_body,
		.finish = finish,
		.ended = ended,
		.is_walked = program->is_walked,
		.patience = LITTLE_OPS, /* all loads are made at a few places */
	};

	running.program = program;
	running.outcomes = outcomes;
	return run(&this).counts;
}

static void add_words(struct outcomes *outcomes, const char *words)
{
	char word[LITTLE_TEXT];
	int used;

	for (; sscanf(words, "%31s%n", word, &used) == 1; words += used)
		outcomes_add(outcomes, word);
}

/* @more to what is in @outcomes is what the search finds, and what the axioms allow. */
static void expect_model(const struct little *program, enum memory_model model, struct outcomes *outcomes,
			 const char *more)
{
	static struct outcomes found[2];
	static const char *const who[] = { "search", "axioms" };
	static char text[256], expected[8192], other[8192];

	add_words(outcomes, more);
	found[0].count = found[1].count = 0;
	little_search(program, model, SEARCH_SOURCE, &found[0]);
	axioms_outcomes(program, model, &found[1]);
	for (unsigned i = 0; i < 2; i++) {
		if (outcomes_equal(outcomes, &found[i]))
			continue;
		little_print(program, text, sizeof(text));
		outcomes_print(outcomes, expected, sizeof(expected));
		outcomes_print(&found[i], other, sizeof(other));
		fail_msg("%s under %s:\nexpected %s\n%s   %s", text, model_name[model], expected, who[i],
			 other);
	}
}

void expect_outcomes(const char *program, const char *sc, const char *tso, const char *weak)
{
	static struct outcomes outcomes;
	struct little parsed = little(program);

	outcomes.count = 0;
	expect_model(&parsed, MEMORY_SC, &outcomes, sc);
	expect_model(&parsed, MEMORY_TSO, &outcomes, tso);
	expect_model(&parsed, MEMORY_WEAK, &outcomes, weak);
}
