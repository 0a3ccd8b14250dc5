/*
 * programs.h - programs as text, at random, and made smaller.
 *
 * A program is written as it is printed, each part followed by what it does:
 *
 *	P0 ipi1 ld0*  P1 lock0 rd0 unlock0  H1 add0  C wr1
 *
 * P is a CPU's column, H what a CPU does when it is interrupted, C what a callback does. A digit says which
 * word, lock or CPU; a star, that an atomic is ordered: acquire, release or both.
 */
#ifndef TESTS_CHECK_MACHINE_PROGRAMS_H
#define TESTS_CHECK_MACHINE_PROGRAMS_H

#include "programs_threads.h"

const char *program_text(const struct program *from); /* valid until the next call */
struct program program_read(const char *text);	      /* fails the test that gives what is none */

/* ENTANGLED: all CPUs, interrupts everywhere, with up to three operations in a handler; nothing plain. */
enum program_size { PROGRAM_SMALL, PROGRAM_ENTANGLED };

/* A function of @number. What nobody calls is left out: who reads a failure need not look at it. */
struct program program_random(uint64_t number, enum program_size size);

bool program_has(const struct program *in, unsigned part, enum op_kind kind);

/* Without operation @i of @part, and the end of what it begins; which itself is not to be left out alone. */
struct program program_without(const struct program *from, unsigned part, unsigned i);
bool op_is_end(const struct op *op);

#endif
