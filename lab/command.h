/*
 * command.h - the subcommands of `quire`. Each takes its own argc and argv (argv[0] "quire" and its name)
 * and returns an exit status.
 */
#ifndef LAB_COMMAND_H
#define LAB_COMMAND_H

#include <stdint.h>

enum {
	EXIT_HELD = 0,	   /* what was to be shown holds */
	EXIT_VIOLATED = 1, /* it does not: a difference, a divergence, a violation */
	EXIT_USAGE = 2,	   /* bad options or bad input */
	EXIT_MISSING = 3,  /* something that this computer lacks */
};

int command_record(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_check(int argc, char **argv);
int command_commute(int argc, char **argv);
int command_boot(int argc, char **argv);
int command_fuzz(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_fuzz_check(int argc, char **argv); /* with --check */

uint64_t command_size(const char *text); /* a number, and K, M, G or T; 0: it is none */

#endif
