/*
 * measure.c - medians, their intervals, and a word for them.
 *
 * The interval is that of order statistics, which supposes nothing about how measurements are distributed:
 * of n, the median of all lies between the k-th smallest and the k-th largest, unless fewer than k are on
 * one of its sides, as when a coin thrown n times shows fewer than k heads, or fewer than k tails.
 */
#include "lab/bench/bench.h"

#include <stdlib.h>

#define STEADY 0.03
#define SHAKY 0.10

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The largest k for which both together are no likelier than 5 %; at least 1. */
static unsigned rank(unsigned n)
{
	double one = 1, below = 0; /* in n throws: of exactly k - 1 heads; of fewer than k */
	unsigned k = 1;

	for (unsigned i = 0; i < n; i++)
		one /= 2;
	for (below = one; k < n / 2; k++) {
		one = one * (n - k + 1) / k;
		below += one;
		if (2 * below > 0.05)
			break;
	}
	return k;
}

static struct bench_figure summarise(double *values, unsigned n)
{
	unsigned k = rank(n);

	qsort(values, n, sizeof(*values), by_size);
	return (struct bench_figure){
		.median = (values[(n - 1) / 2] + values[n / 2]) / 2,
		.low = values[k - 1],
		.high = values[n - k],
	};
}

void bench_by_turns(bench_measure *measure, void *argument, unsigned variants, unsigned repetitions,
		    struct bench_figure *figures)
{
	double *values = calloc((size_t)variants * repetitions, sizeof(*values));

	if (!values)
		abort();
	for (unsigned variant = 0; variant < variants; variant++)
		measure(argument, variant);
	for (unsigned i = 0; i < repetitions; i++)
		for (unsigned turn = 0; turn < variants; turn++) {
			unsigned variant = i % 2 ? variants - 1 - turn : turn;

			values[variant * repetitions + i] = measure(argument, variant);
		}
	for (unsigned variant = 0; variant < variants; variant++)
		figures[variant] = summarise(values + variant * repetitions, repetitions);
	free(values);
}

double bench_spread(const struct bench_figure *figure)
{
	return (figure->high - figure->low) / 2 / figure->median;
}

const char *bench_word(const struct bench_figure *figure)
{
	double spread = bench_spread(figure);

	return spread <= STEADY ? "steady" : spread <= SHAKY ? "shaky" : "noise";
}

bool bench_differ(const struct bench_figure *a, const struct bench_figure *b)
{
	return a->low > b->high || b->low > a->high;
}

json_t *bench_json(const struct bench_figure *figure)
{
	return json_pack("{s:f,s:f,s:f,s:s}", "median", figure->median, "low", figure->low, "high",
			 figure->high, "word", bench_word(figure));
}
