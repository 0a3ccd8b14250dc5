/*
 * claims.h - who concerned himself last with which addresses.
 *
 * The plan's steps claim address ranges in the recorded order; a claim names the former owners of each
 * part, which are what the claimer must wait for, and becomes the owner of the whole.
 */
#ifndef LAB_REPLAY_CLAIMS_H
#define LAB_REPLAY_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

struct claim;

struct claims {
	struct claim *root;
};

typedef bool claims_owner(void *argument, uint32_t owner);

/*
 * @owner claims [start, end). @former is called for each former owner of a part. False: out of memory, or
 * @former said so.
 */
bool claims_add(struct claims *claims, uint64_t start, uint64_t end, uint32_t owner, claims_owner *former,
		void *argument);

void claims_clear(struct claims *claims);

#endif
