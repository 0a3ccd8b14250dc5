/*
 * claims.h - which parts of a search are whose, when several processes are at it.
 *
 * A search is cut at a certain depth into parts that are numbered as they are met, the same by everybody
 * (engine.h, frontier). Who is free takes the next number. Beside the numbers stands what leads to each part,
 * as a hash: if two processes, or one and an earlier one whose work goes on here, do not meet the same, the
 * numbers mean nothing, and the search must not be trusted.
 *
 * Lies in memory that the processes share. `done` is set before they begin, of parts that need not be
 * searched.
 */
#ifndef LAB_CHECK_CLAIMS_H
#define LAB_CHECK_CLAIMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CLAIMS = 1 << 20 };

struct claims {
	_Atomic uint64_t next;
	_Atomic uint64_t found; /* the lowest part with a violation, plus one; 0: none is known */
	struct claim {
		_Atomic uint64_t path; /* 0: not met yet */
		uint8_t done;
	} part[CLAIMS];
};

/* A violation in @part: nobody needs those behind it. */
static inline void claims_found(struct claims *claims, uint64_t part)
{
	uint64_t known = atomic_load_explicit(&claims->found, memory_order_relaxed);

	while ((!known || known > part + 1) &&
	       !atomic_compare_exchange_weak_explicit(&claims->found, &known, part + 1, memory_order_relaxed,
						      memory_order_relaxed))
		;
}

#endif
