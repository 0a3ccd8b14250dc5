/*
 * bench.h - what the benchmarks of `quire bench` share: measuring by turns, and what may be said of it.
 *
 * A computer drifts: it warms up, and others use it too. So variants that are to be compared are measured by
 * turns, in an order that goes to and fro, and every figure is a median with an interval: with 95 %
 * confidence the median of as many measurements as one likes is in it. How wide it is says whether the
 * figure means anything; this is said in a word.
 */
#ifndef LAB_BENCH_BENCH_H
#define LAB_BENCH_BENCH_H

#include <jansson.h>
#include <stdbool.h>

enum { BENCH_LEAST = 3, BENCH_MOST = 101 }; /* repetitions */

struct bench_figure {
	double median, low, high;
};

/* One measurement of variant number @variant. */
typedef double bench_measure(void *argument, unsigned variant);

/* Each of @variants so often, after once for nothing. @figures has room for one each. */
void bench_by_turns(bench_measure *measure, void *argument, unsigned variants, unsigned repetitions,
		    struct bench_figure *figures);

/* Half of the interval's width, in parts of the median. */
double bench_spread(const struct bench_figure *figure);

/* "steady", "shaky", or "noise": the figure means nothing. */
const char *bench_word(const struct bench_figure *figure);

bool bench_differ(const struct bench_figure *a, const struct bench_figure *b); /* the intervals do not meet */

json_t *bench_json(const struct bench_figure *figure);

int bench_scale(int argc, char **argv);

#endif
