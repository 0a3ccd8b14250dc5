/*
 * zoo.h - the safeguards of the core: what each protects, and the litmus file that fails without it (CHK-7).
 *
 * The core knows a safeguard by its name alone (core/base/safeguard.h). Here stands the rest: `quire check
 * --list-safeguards` prints it, and a test holds it against the core and against litmus/.
 */
#ifndef LAB_CHECK_ZOO_H
#define LAB_CHECK_ZOO_H

#include <stdbool.h>
#include <stddef.h>

struct zoo_safeguard {
	const char *name;     /* with -, as on the command line; the core writes _ */
	const char *known_as; /* a public name of what happens without it; NULL */
	const char *rule;     /* of the specification */
	const char *without;  /* what happens, in a line */
	const char *file;     /* in litmus/, without .litmus */
	unsigned agents;      /* CPUs and other agents that it takes, at least */
};

extern const struct zoo_safeguard zoo[];
extern const size_t zoo_count;

/* By its name, with - or _. NULL: there is none. */
const struct zoo_safeguard *zoo_find(const char *name);

#endif
