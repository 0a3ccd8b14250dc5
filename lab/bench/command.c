/*
 * command.c - `quire bench NAME`: finds the benchmark and hands over.
 */
#include "lab/bench/bench.h"
#include "lab/command.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *what;
	int (*run)(int argc, char **argv);
} benchmarks[] = {
	{ "scale", "faults a second by the number of CPUs, here and on modelled CPUs", bench_scale },
};

enum { BENCHMARKS = sizeof(benchmarks) / sizeof(benchmarks[0]) };

int command_bench(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
		printf("Usage: quire bench NAME [OPTION...]\n\n");
		for (unsigned i = 0; i < BENCHMARKS; i++)
			printf("  quire bench %-12s %s\n", benchmarks[i].name, benchmarks[i].what);
		printf("\n`quire bench NAME --help` tells more.\n");
		return EXIT_HELD;
	}
	for (unsigned i = 0; i < BENCHMARKS; i++)
		if (strcmp(name, benchmarks[i].name) == 0)
			return benchmarks[i].run(argc - 1, argv + 1);
	if (*name)
		fprintf(stderr, "quire bench: there is no benchmark %s (quire bench --help)\n", name);
	else
		fprintf(stderr, "quire bench: no benchmark is named (quire bench --help)\n");
	return EXIT_USAGE;
}
