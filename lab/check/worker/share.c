/*
 * share.c - parts of a search: taking them, one at a time, and telling what came of each.
 *
 *	{"parts": {"frontier": 96, "done": [[12, "5f0a..."], ...], "result": {...}}}
 *
 * tells how deep parts begin, and what all those finished since the last such line have added: counts,
 * states, the best witness; and the orders of locks (orders.c). So whoever reads the lines has, at any
 * moment, the exact result of a known set of parts; what a worker that is killed was at is lost and nothing
 * else. The result at the end (result.c) is then what is left: a part that was not finished.
 *
 * A violation in one part ends the search of those behind it. Those before it are searched to their end, and
 * one that is found there counts: so which it is does not depend on who was first.
 *
 * Where numbers come from is a matter of whom the work is shared with: memory that a command shares with its
 * workers (claims.h), or another computer's (mpi.c).
 */
#include "lab/check/worker/worker.h"

#include "lab/check/claims.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	DONE_ROOM = 4096,
	PARTS_ENOUGH = 128,   /* for some dozen workers; the deeper the cut, the more is done twice */
	RUNS_AT_MOST = 50000, /* to count them: each part is one, and each of those that are begun in vain */
};
#define TELL_SECONDS 0.1

static struct {
	struct run *run;
	const struct share *share;
	uint64_t mine, path;
	struct {
		uint64_t part, path;
	} done[DONE_ROOM];
	unsigned count;
	double told;
} own;

/* ---- from memory that is shared ------------------------------------------------------------------------ */

static struct claims *claims;

static uint64_t next_claim(void)
{
	return atomic_fetch_add_explicit(&claims->next, 1, memory_order_relaxed);
}

static bool claim_is_done(uint64_t part)
{
	return part < CLAIMS && claims->part[part].done;
}

static bool claim_is_same(uint64_t part, uint64_t path)
{
	uint64_t known = 0;

	return part < CLAIMS &&
	       (atomic_compare_exchange_strong_explicit(&claims->part[part].path, &known, path,
							memory_order_relaxed, memory_order_relaxed) ||
		known == path);
}

static void claim_found(uint64_t part)
{
	claims_found(claims, part);
}

static uint64_t lowest_found(void)
{
	return atomic_load_explicit(&claims->found, memory_order_relaxed) - 1;
}

const struct share *share_by_memory(int fd)
{
	static const struct share share = { next_claim, claim_is_done, claim_is_same, claim_found,
					    lowest_found };

	claims = mmap(NULL, sizeof(*claims), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return claims == MAP_FAILED ? NULL : &share;
}

/* ---- how deep the parts begin -------------------------------------------------------------------------- */

static bool nobody(void *data, uint64_t part, uint64_t path)
{
	(void)data;
	(void)part;
	(void)path;
	return false;
}

/*
 * What makes executions differ may come late in them, and then a shallow cut leaves nearly all in one part.
 * So parts are counted, deeper and deeper. Everybody comes to the same depth.
 */
unsigned share_depth(struct run *run)
{
	static const unsigned depths[] = { 16,	24,  32,  48,  64,  80,	 96,   128,  160,
					   192, 256, 320, 384, 512, 768, 1024, 1536, 2048 };
	unsigned best = depths[0];
	bool was_minimising = run->minimising;

	if (run->options.frontier)
		return run->options.frontier;
	run->minimising = true;
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		struct engine_config config = {
			.search = SEARCH_SOURCE, .frontier = depths[i], .claim = nobody, .begun = RUNS_AT_MOST
		};
		struct engine_counts counts;

		engine_run(run->engine, &config, &counts);
		if (!counts.complete)
			break;
		best = depths[i];
		if (counts.leaves >= PARTS_ENOUGH)
			break;
	}
	run->minimising = was_minimising;
	return best;
}

/* ---- taking -------------------------------------------------------------------------------------------- */

static void take_next(void)
{
	const struct worker_options *o = &own.run->options;

	do
		own.mine = own.share->next();
	while (own.share->is_done(own.mine) || (o->shards && own.mine % o->shards != o->shard));
}

static bool claim(void *data, uint64_t part, uint64_t path)
{
	struct run *run = data;

	if (part >= CLAIMS)
		mistake(run, (struct litmus_place){ 1, 1 }, "the search falls into more than %d parts",
			CLAIMS);
	if (!own.share->is_same(part, path ? path : 1))
		mistake(run, (struct litmus_place){ 1, 1 },
			"part %" PRIu64
			" of the search is not what it was to others, or before: it cannot be shared",
			part);
	own.path = path ? path : 1;
	return part == own.mine;
}

/* ---- telling ------------------------------------------------------------------------------------------- */

static json_t *done_json(void)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < own.count; i++) {
		char path[24];

		snprintf(path, sizeof(path), "%016" PRIx64, own.done[i].path);
		json_array_append_new(list, json_pack("[I, s]", (json_int_t)own.done[i].part, path));
	}
	return list;
}

void share_tell(struct run *run)
{
	if (!own.count)
		return;
	run->tell(run, json_pack("{s:{s:i, s:o, s:o}}", "parts", "frontier", (int)run->frontier, "done",
				 done_json(), "result", settled_json(run)));
	own.count = 0;
	own.told = now();
}

static void finished(void *data, uint64_t part)
{
	struct run *run = data;

	run->parts_given_up += engine_part_was_abandoned(run->engine);
	settle(run);
	if (!run->tell) {
		take_next();
		return;
	}
	own.done[own.count].part = part;
	own.done[own.count++].path = own.path;
	if (own.count == DONE_ROOM || now() - own.told > TELL_SECONDS)
		share_tell(run);
	take_next();
}

static bool is_over(void *data)
{
	(void)data;
	return own.mine > own.share->lowest();
}

void share_ended(struct run *run)
{
	if (run->stopped && strcmp(run->stopped, "violation") == 0) {
		run->found_in = own.mine;
		own.share->found(own.mine);
	} else if (run->stopped && is_over(run)) {
		run->stopped = "elsewhere";
	}
}

void share_begin(struct run *run, struct engine_config *config)
{
	own.run = run;
	own.share = run->share;
	own.told = now();
	run->frontier = config->frontier;
	config->claim = claim;
	config->finished = finished;
	config->is_over = is_over;
	config->claim_data = run;
	take_next();
}
