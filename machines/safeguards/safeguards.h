/*
 * safeguards.h - the core's safeguards by their names (core/base/safeguard.h), where a build keeps them as
 * switches: for the check machine and for the metal machine's test kernel.
 *
 * One name may stand at several places of the core: it is switched off at all of them. Names may be written
 * with - or with _.
 */
#ifndef SAFEGUARDS_H
#define SAFEGUARDS_H

#include "core/base/safeguard.h"

/* The one after @before, NULL: the first. NULL: there are no more. */
struct quire_safeguard *safeguard_next(struct quire_safeguard *before);

/* False: there is none of that name. */
bool safeguard_exists(const char *name);
bool safeguard_off(const char *name);

#endif
