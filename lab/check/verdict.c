/*
 * verdict.c - what a search's result says about what the file promises.
 *
 * Never and Always can be contradicted by one execution, and shown only by all of them; Sometimes is shown
 * by two. A search that did not end contradicts nothing, and the verdict says how far it went; nor does one
 * that gave executions up: what these would have become nobody knows.
 */
#include "lab/check/check.h"

#include <string.h>

static void tell_how_far(const struct check *check, char *out, size_t room)
{
	const json_t *result = check->result;
	const char *search = json_text(result, "search"), *stopped = json_text(result, "stopped");
	long long executions = (long long)(json_number(result, "executions"));
	int bound = (int)json_number(result, "bound");

	if (strcmp(search, "sampled") == 0)
		snprintf(out, room, "%lld sampled", executions);
	else if (strcmp(search, "replayed") == 0)
		snprintf(out, room, "one execution, replayed");
	else if (strcmp(stopped, "violation") == 0)
		snprintf(out, room, "stopped at a violation");
	else if (strcmp(search, "bounded") == 0 && bound >= 0)
		snprintf(out, room, "complete for <= %d preemption%s%s", bound, bound == 1 ? "" : "s",
			 *stopped ? "; then its budget ran out" : "");
	else if (*stopped)
		snprintf(out, room, "%s ran out after %lld executions",
			 strcmp(stopped, "time") == 0 ? "time" : "budget", executions);
	else if (check->options->shards > 1)
		snprintf(out, room, "share %u of %u, to its end", check->options->shard,
			 check->options->shards);
	else
		snprintf(out, room, "complete");
}

static void tell_search(const struct check *check, char *out, size_t room)
{
	const json_t *result = check->result;
	long long given_up = (long long)json_number(result, "given_up");
	bool is_whole = json_is_true(json_object_get(result, "complete"));

	tell_how_far(check, out, room);
	if (given_up && strcmp(json_text(result, "stopped"), "violation") != 0)
		snprintf(out + strlen(out), room - strlen(out), "%s %lld given up",
			 is_whole ? " but for" : ",", given_up);
}

/* The whole space, within the bound if the file has one. */
static bool is_complete(const struct check *check)
{
	return !*json_text(check->result, "stopped") && !json_number(check->result, "given_up") &&
	       json_is_true(json_object_get(check->result, "complete")) && check->options->shards <= 1;
}

struct finding verdict_of(const struct check *check)
{
	const json_t *result = check->result;
	int64_t holding = json_number(result, "holding"), failing = json_number(result, "failing");
	enum litmus_result expected = check->litmus->header.result;
	struct finding f = { .violated = json_number(result, "violations") > 0 };

	tell_search(check, f.search, sizeof(f.search));
	f.observed = !holding ? LITMUS_NEVER : failing ? LITMUS_SOMETIMES : LITMUS_ALWAYS;
	if (f.violated || (expected == LITMUS_NEVER && holding) || (expected == LITMUS_ALWAYS && failing))
		f.verdict = VERDICT_FAILS;
	else if (expected == LITMUS_SOMETIMES && holding && failing)
		f.verdict = VERDICT_HOLDS;
	else if (!is_complete(check))
		f.verdict = expected == LITMUS_SOMETIMES &&
					    strcmp(json_text(result, "search"), "replayed") != 0
				    ? VERDICT_FAILS
				    : VERDICT_UNSURE;
	else
		f.verdict = expected == f.observed ? VERDICT_HOLDS : VERDICT_FAILS;
	return f;
}
