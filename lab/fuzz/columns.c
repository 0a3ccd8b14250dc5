/*
 * columns.c - a stretch for people: a column for each thread, an operation's number, what it is, what
 * came of it, and when by the stretch's clock it began and ended.
 *
 *	     thread 1                                   thread 2
 *	   6 [0] munmap(A + 252 * P, 2 * P) = 0 [2-4]   8 [0] load(A + 252 * P) = 0x17 [1-3]
 *	   7 ...
 */
#define _GNU_SOURCE
#include "fuzzer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct column {
	char *lines[WIRE_STRETCH_OPS];
	unsigned count;
	int width;
};

void print_result(FILE *to, const struct wire_op *op, const struct wire_record *record)
{
	const char *error = ops_errno_name(record->result);

	if (error)
		fprintf(to, " = -%s", error);
	else if (record->result == WIRE_LEFT_OUT)
		fputs(", left out", to);
	else if (record->signal)
		fprintf(to, ", signal %d code %d", record->signal, record->code);
	else
		fprintf(to, " = %#" PRIx64, op->kind == WIRE_LOAD ? record->value : (uint64_t)record->result);
}

static char *line_of(const struct sequence *sequence, struct log log, uint32_t at)
{
	const struct wire_record *record = log_find(log, at);
	char *line = NULL;
	size_t bytes;
	FILE *to = open_memstream(&line, &bytes);

	if (!to)
		return NULL;
	fprintf(to, "%4u ", at);
	ops_print(to, &sequence->ops[at]);
	if (record) {
		print_result(to, &sequence->ops[at], record);
		fprintf(to, " [%" PRIu64 "-%" PRIu64 "]", record->began, record->ended);
	}
	fclose(to);
	return line;
}

static void print_row(FILE *to, struct column *columns, unsigned threads, unsigned row)
{
	for (unsigned t = 0; t < threads; t++) {
		bool has = row < columns[t].count && columns[t].lines[row];

		fprintf(to, "%-*s", t + 1 < threads ? columns[t].width + 2 : 0,
			has ? columns[t].lines[row] : "");
	}
	fputc('\n', to);
}

uint32_t print_stretch(FILE *to, const struct sequence *sequence, struct log log, uint32_t from)
{
	struct column columns[WIRE_THREADS] = { 0 };
	unsigned threads = 0, rows = 0;
	uint32_t at;

	for (at = from; at < sequence->count && sequence->ops[at].thread; at++) {
		struct column *c = &columns[sequence->ops[at].thread - 1];
		char *line = line_of(sequence, log, at);

		if (line && (int)strlen(line) > c->width)
			c->width = (int)strlen(line);
		c->lines[c->count++] = line;
		if (c->count > rows)
			rows = c->count;
		if (sequence->ops[at].thread > threads)
			threads = sequence->ops[at].thread;
	}
	for (unsigned t = 0; t < threads; t++) {
		if (columns[t].width < 14)
			columns[t].width = 14;
		fprintf(to, "     thread %-*u", t + 1 < threads ? columns[t].width - 10 : 0, t + 1);
	}
	fputc('\n', to);
	for (unsigned row = 0; row < rows; row++)
		print_row(to, columns, threads, row);
	for (unsigned t = 0; t < threads; t++) {
		for (unsigned i = 0; i < columns[t].count; i++)
			free(columns[t].lines[i]);
	}
	return at;
}

void print_order(FILE *to, const struct orders *orders)
{
	const struct wire_op *ops = orders->sequence->ops;

	for (uint32_t i = 0; i < orders->count; i++) {
		if (ops[orders->steps[i].op].thread)
			fprintf(to, " %s%u%s", orders->steps[i].fault ? "fault-of-" : "", orders->steps[i].op,
				ops[orders->steps[i + 1].op].thread ? "" : ";");
	}
}
