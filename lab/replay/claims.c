/*
 * claims.c - disjoint address ranges with an owner each, in a treap by start.
 *
 * A range that is claimed in part is cut first; then what lies within the new claim is split off, reported
 * and replaced by one. Every claim adds at most three ranges, so that all of it costs a logarithm a claim.
 */
#include "lab/replay/claims.h"

#include <stddef.h>
#include <stdlib.h>

struct claim {
	struct claim *left, *right;
	uint64_t start, end;
	uint64_t priority;
	uint32_t owner;
};

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
	return x ^ (x >> 32);
}

/* Those that start below @at to *left, the others to *right. */
static void split(struct claim *tree, uint64_t at, struct claim **left, struct claim **right)
{
	while (tree) {
		if (tree->start < at) {
			*left = tree;
			left = &tree->right;
			tree = tree->right;
		} else {
			*right = tree;
			right = &tree->left;
			tree = tree->left;
		}
	}
	*left = *right = NULL;
}

static struct claim *merge(struct claim *left, struct claim *right)
{
	struct claim *root = NULL, **place = &root;

	while (left && right) {
		if (left->priority > right->priority) {
			*place = left;
			place = &left->right;
			left = left->right;
		} else {
			*place = right;
			place = &right->left;
			right = right->left;
		}
	}
	*place = left ? left : right;
	return root;
}

static bool insert(struct claims *claims, uint64_t start, uint64_t end, uint32_t owner)
{
	struct claim *claim = calloc(1, sizeof(*claim));
	struct claim *left, *right;

	if (!claim)
		return false;
	claim->start = start;
	claim->end = end;
	claim->owner = owner;
	claim->priority = mix(start + 1);
	split(claims->root, start, &left, &right);
	claims->root = merge(merge(left, claim), right);
	return true;
}

/* Let no range contain both sides of @at. */
static bool cut(struct claims *claims, uint64_t at)
{
	struct claim *claim = claims->root, *below = NULL;

	while (claim) {
		if (claim->start < at) {
			below = claim;
			claim = claim->right;
		} else {
			claim = claim->left;
		}
	}
	if (!below || below->end <= at)
		return true;
	uint64_t end = below->end;

	below->end = at;
	return insert(claims, at, end, below->owner);
}

static bool report_and_free(struct claim *tree, claims_owner *former, void *argument)
{
	if (!tree)
		return true;
	bool done = report_and_free(tree->left, former, argument);

	done = (!former || former(argument, tree->owner)) && done;
	done = report_and_free(tree->right, former, argument) && done;
	free(tree);
	return done;
}

bool claims_add(struct claims *claims, uint64_t start, uint64_t end, uint32_t owner, claims_owner *former,
		void *argument)
{
	struct claim *left, *middle, *right;

	if (!cut(claims, start) || !cut(claims, end))
		return false;
	split(claims->root, start, &left, &middle);
	split(middle, end, &middle, &right);
	claims->root = merge(left, right);
	return report_and_free(middle, former, argument) && insert(claims, start, end, owner);
}

void claims_clear(struct claims *claims)
{
	report_and_free(claims->root, NULL, NULL);
	claims->root = NULL;
}
