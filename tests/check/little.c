/*
 * little.c - reading, printing and searching tiny programs.
 */
#include "little.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const model_name[3] = { "SC", "TSO", "WEAK" };

static const char order_letter[] = { [MO_RELAXED] = 0,	 [MO_CONSUME] = 'c', [MO_ACQUIRE] = 'a',
				     [MO_RELEASE] = 'r', [MO_ACQ_REL] = 'b', [MO_SEQ_CST] = 's' };

/* ---- text ------------------------------------------------------------------------------------------------- */

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

/* ---- outcomes ------------------------------------------------------------------------------------------- */

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

/* ---- searching ------------------------------------------------------------------------------------------ */

/* A line each, so that nothing is shared but what the program shares. */
static struct {
	_Alignas(64) _Atomic uint32_t word[16];
} arena[LITTLE_LOCATIONS];

static struct {
	const struct little *program;
	char output[LITTLE_THREADS][LITTLE_OPS + 1];
	struct outcomes *outcomes;
} running;

static const char *name(void *data, unsigned thread)
{
	static const char *const names[] = { "P0", "P1", "P2", "P3", "P4", "P5" };

	(void)data;
	return thread < running.program->threads ? names[thread] : "a buffer";
}

static bool is_agent(void *data, unsigned thread)
{
	(void)data;
	return thread >= running.program->threads;
}

static void reset(void *data)
{
	(void)data;
	memset(arena, 0, sizeof(arena));
	memory_begin();
}

static void thread_body(void *data, unsigned thread)
{
	const struct little *program = running.program;
	char *output = running.output[thread % LITTLE_THREADS];

	(void)data;
	if (thread >= program->threads) {
		memory_buffer_agent(thread - program->threads);
		return;
	}
	for (unsigned i = 0; i < program->ops[thread]; i++) {
		const struct little_op *op = &program->op[thread][i];
		unsigned old = little_access(op, &arena[op->location].word[0]);

		if (op->kind != LITTLE_STORE && op->kind != LITTLE_COUNT && op->kind != LITTLE_FENCE)
			*output++ = (char)('0' + old);
	}
	*output = '\0';
}

static void finish(void *data)
{
	char text[LITTLE_TEXT] = "";
	size_t used = 0;

	(void)data;
	memory_settle();
	for (unsigned t = 0; t < running.program->threads; t++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", running.output[t]);
	if (*running.program->last)
		text[used++] = '/';
	for (const char *at = running.program->last; *at; at++)
		text[used++] = (char)('0' + arena[*at - 'u'].word[0]);
	text[used] = '\0';
	outcomes_add(running.outcomes, text);
}

static void ended(void *data, const char *violation)
{
	char text[LITTLE_TEXT];

	(void)data;
	if (!violation)
		return;
	snprintf(text, sizeof(text), "!%s", violation);
	outcomes_add(running.outcomes, text);
}

struct engine_counts little_search(const struct little *program, enum memory_model model,
				   enum engine_search search, struct outcomes *outcomes)
{
	unsigned buffers = model == MEMORY_TSO ? program->threads : 0;
	struct memory_config memory = {
		.model = model,
		.base = arena,
		.bytes = sizeof(arena),
		.threads = program->threads + buffers,
		.first_buffer = program->threads,
		.buffers = buffers,
		.name = name,
	};
	struct engine_program engine_program = {
		.threads = memory.threads,
		.name = name,
		.reset = reset,
		.thread = thread_body,
		.finish = finish,
		.is_agent = is_agent,
	};
	struct engine_config config = { .search = search };
	if (getenv("W")) {
		memory.walked = arena;
		memory.walked_bytes = sizeof(arena);
	}
	struct engine_counts counts;

	running.program = program;
	running.outcomes = outcomes;
	assert_int_equal(memory_create(&memory), 0);
	struct engine *engine = engine_create(&engine_program);
	assert_non_null(engine);
	engine_on_execution(engine, ended, NULL);
	engine_run(engine, &config, &counts);
	engine_destroy(engine);
	memory_destroy();
	assert_true(counts.complete);
	return counts;
}

static void add_words(struct outcomes *outcomes, const char *words)
{
	char word[LITTLE_TEXT];
	int used;

	for (; sscanf(words, "%31s%n", word, &used) == 1; words += used)
		outcomes_add(outcomes, word);
}

void expect_outcomes(const char *program, enum memory_model model, const char *outcomes)
{
	static struct outcomes expected, found, axioms;
	static char a[8192], b[8192];
	struct little parsed = little(program);

	expected.count = found.count = axioms.count = 0;
	add_words(&expected, outcomes);
	little_search(&parsed, model, SEARCH_SOURCE, &found);
	axioms_outcomes(&parsed, model, &axioms);
	outcomes_print(&expected, a, sizeof(a));
	outcomes_print(&found, b, sizeof(b));
	if (!outcomes_equal(&expected, &found))
		fail_msg("%s under %s:\nexpected %s\nfound    %s", program, model_name[model], a, b);
	outcomes_print(&axioms, b, sizeof(b));
	if (!outcomes_equal(&expected, &axioms))
		fail_msg("%s under %s:\nexpected %s\naxioms   %s", program, model_name[model], a, b);
}
