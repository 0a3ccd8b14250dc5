/*
 * main.c - the `quire` command: finds the subcommand and hands over.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lab/command.h"

#ifndef QUIRE_VERSION
#define QUIRE_VERSION "0.1"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *use, *what;
} commands[] = {
	{ "record", command_record, "record -o TRACE -- COMMAND...", "record a program's memory life" },
	{ "replay", command_replay, "replay TRACE...", "let a recorded program live on Quire" },
	{ "check", command_check, "check FILE...", "run races under every interleaving" },
	{ "commute", command_commute, "commute", "which operations share cache lines, pair by pair" },
	{ "boot", command_boot, "boot -- PROGRAM...",
	  "run a static program on a kernel around Quire, in QEMU" },
	{ "fuzz", command_fuzz, "fuzz", "compare Quire with this computer's kernel, call by call" },
	{ "bench", command_bench, "bench NAME", "measure, and model what cannot be measured here" },
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void help(void)
{
	printf("Usage: quire COMMAND [OPTION...]\n\n"
	       "A virtual-memory subsystem with Linux's semantics, to link, record, replay, check and compare.\n\n");
	for (int i = 0; i < COMMANDS; i++)
		printf("  quire %-32s %s\n", commands[i].use, commands[i].what);
	printf("\n`quire COMMAND --help` tells more; so does `man quire`.\n"
	       "Exit status: 0 it holds, 1 it does not, 2 bad options or input, 3 something is missing.\n");
}

/* What was printed has arrived, or is known not to have. */
static int finish(int status)
{
	bool lost = ferror(stdout);

	if (fclose(stdout) == 0 && !lost)
		return status;
	fprintf(stderr, "quire: cannot write to standard output: %s\n", strerror(errno));
	return EXIT_MISSING;
}

/* Under the name by which its messages and its help call it. */
static int run(int command, int argc, char **argv)
{
	char name[32];

	snprintf(name, sizeof(name), "quire %s", commands[command].name);
	argv[0] = name;
	return finish(commands[command].run(argc, argv));
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		help();
		return finish(EXIT_HELD);
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("quire %s\n", QUIRE_VERSION);
		return EXIT_HELD;
	}
	for (int i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return run(i, argc - 1, argv + 1);
	if (*name)
		fprintf(stderr, "quire: unknown command '%s' (quire --help)\n", name);
	else
		fprintf(stderr, "quire: no command given (quire --help)\n");
	return EXIT_USAGE;
}
