/*
 * merge.c - one result out of those of several shards.
 *
 * Counts add up, states are counted together, hot places too, orders of locks are put together (circles.c);
 * of witnesses the best is kept: an oracle's before a condition's, then the fewest preemptions, then the
 * fewest steps; but where violations have ended the search, that of the lowest part (share.c). Whatever order
 * the shards end in, the outcome is the same.
 */
#include "lab/check/check.h"

#include <stdlib.h>
#include <string.h>

enum { HOT_PLACES = 10 };

int64_t json_number(const json_t *object, const char *key)
{
	return (int64_t)json_integer_value(json_object_get(object, key));
}

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void add_numbers(json_t *to, const json_t *from)
{
	static const char *const keys[] = { "executions",  "blocked",	   "given_up",
					    "transitions", "instrumented", "run",
					    "holding",	   "failing",	   "violations" };
	double cpu = json_real_value(json_object_get(to, "cpu")) +
		     json_real_value(json_object_get(from, "cpu"));

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(to, keys[i],
				    json_integer(json_number(to, keys[i]) + json_number(from, keys[i])));
	json_object_set_new(to, "cpu", json_real(cpu));
	if (json_number(from, "longest") > json_number(to, "longest"))
		json_object_set_new(to, "longest", json_integer(json_number(from, "longest")));
	if (json_real_value(json_object_get(from, "seconds")) >
	    json_real_value(json_object_get(to, "seconds")))
		json_object_set(to, "seconds", json_object_get(from, "seconds"));
}

static bool same_state(const json_t *a, const json_t *b)
{
	return strcmp(json_text(a, "state"), json_text(b, "state")) == 0 &&
	       json_is_true(json_object_get(a, "holds")) == json_is_true(json_object_get(b, "holds"));
}

/* Both are sorted by text, and so is what comes out. */
static json_t *merge_states(json_t *a, json_t *b)
{
	json_t *list = json_array();
	size_t i = 0, j = 0;

	while (i < json_array_size(a) || j < json_array_size(b)) {
		json_t *x = json_array_get(a, i), *y = json_array_get(b, j);

		if (x && y && same_state(x, y)) {
			json_object_set_new(x, "count",
					    json_integer(json_number(x, "count") + json_number(y, "count")));
			json_array_append(list, x);
			i++;
			j++;
		} else if (!y || (x && strcmp(json_text(x, "state"), json_text(y, "state")) <= 0)) {
			json_array_append(list, x);
			i++;
		} else {
			json_array_append(list, y);
			j++;
		}
	}
	return list;
}

static json_t *find_place(json_t *places, const char *where)
{
	size_t i;
	json_t *place;

	json_array_foreach(places, i, place)
		if (strcmp(json_text(place, "where"), where) == 0)
			return place;
	return NULL;
}

static json_int_t offset(const json_t *place, size_t i)
{
	return json_integer_value(json_array_get(json_object_get(place, "offset"), i));
}

/* Where two steps met there: of the pairs that were seen the lowest one, as in the worker. */
static void merge_code(json_t *to, const json_t *from)
{
	size_t i = offset(from, 0) == offset(to, 0);

	if (offset(from, i) >= offset(to, i))
		return;
	json_object_set(to, "offset", json_object_get(from, "offset"));
	json_object_set(to, "code", json_object_get(from, "code"));
}

static void merge_hot(json_t *to, json_t *from)
{
	size_t i;
	json_t *place;

	json_array_foreach(from, i, place) {
		json_t *known = find_place(to, json_text(place, "where"));

		if (!known) {
			json_array_append(to, place);
			continue;
		}
		json_object_set_new(known, "races",
				    json_integer(json_number(known, "races") + json_number(place, "races")));
		merge_code(known, place);
	}
}

static int most_first(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	json_int_t more = json_number(y, "races") - json_number(x, "races");

	return more ? (more > 0 ? 1 : -1) : strcmp(json_text(x, "where"), json_text(y, "where"));
}

void merge_hottest(json_t *result)
{
	json_t *all = json_object_get(result, "hot"), *list = json_array(), *place;
	size_t i, count = json_array_size(all);
	json_t **sorted = calloc(count + 1, sizeof(json_t *));

	json_array_foreach(all, i, place)
		if (sorted)
			sorted[i] = place;
	if (sorted)
		qsort(sorted, count, sizeof(json_t *), most_first);
	for (i = 0; sorted && i < count && i < HOT_PLACES; i++) {
		json_object_del(sorted[i], "offset");
		json_array_append(list, sorted[i]);
	}
	free(sorted);
	json_object_set_new(result, "hot", list);
}

static int witness_rank(const json_t *witness)
{
	const char *kind = json_text(witness, "kind");

	return strcmp(kind, "violation") == 0 ? 2 : strcmp(kind, "condition") == 0 ? 1 : 0;
}

static bool is_better(const json_t *a, const json_t *than)
{
	int64_t preemptions = json_number(a, "preemptions") - json_number(than, "preemptions");
	int64_t steps = (int64_t)json_array_size(json_object_get(a, "steps")) -
			(int64_t)json_array_size(json_object_get(than, "steps"));

	if (!json_is_object(a) || !json_is_object(than))
		return json_is_object(a);
	if (witness_rank(a) != witness_rank(than))
		return witness_rank(a) > witness_rank(than);
	if (preemptions)
		return preemptions < 0;
	if (steps)
		return steps < 0;
	return strcmp(json_text(a, "schedule"), json_text(than, "schedule")) < 0;
}

static bool has_violation(const json_t *result)
{
	return strcmp(json_text(result, "stopped"), "violation") == 0;
}

/* Whose witness is the one? */
static bool is_found_first(const json_t *result, const json_t *than)
{
	if (has_violation(result) && has_violation(than) &&
	    json_number(result, "found_in") != json_number(than, "found_in"))
		return json_number(result, "found_in") < json_number(than, "found_in");
	if (has_violation(result) != has_violation(than))
		return has_violation(result);
	return is_better(json_object_get(result, "witness"), json_object_get(than, "witness"));
}

static void merge_ends(json_t *to, json_t *from)
{
	if (json_is_true(json_object_get(from, "complete")))
		return;
	json_object_set(to, "complete", json_false());
	if (has_violation(to) && (!has_violation(from) || is_found_first(to, from)))
		return;
	json_object_set(to, "stopped", json_object_get(from, "stopped"));
	json_object_set(to, "found_in", json_object_get(from, "found_in"));
}

json_t *merge_results(json_t *to, json_t *from)
{
	if (!to) {
		json_t *all = json_object_get(from, "hot"), *hot = json_array();

		merge_hot(hot, all); /* what is called the same is one */
		json_object_set_new(from, "hot", hot);
		return from;
	}
	add_numbers(to, from);
	json_object_set_new(to, "states",
			    merge_states(json_object_get(to, "states"), json_object_get(from, "states")));
	merge_hot(json_object_get(to, "hot"), json_object_get(from, "hot"));
	json_object_set_new(to, "orders",
			    orders_merge(json_object_get(to, "orders"), json_object_get(from, "orders")));
	if (is_found_first(from, to))
		json_object_set(to, "witness", json_object_get(from, "witness"));
	merge_ends(to, from);
	json_decref(from);
	return to;
}

void merge_result(struct check *check, json_t *result)
{
	check->result = merge_results(check->result, result);
}
