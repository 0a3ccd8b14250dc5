/*
 * circles.c - circles in the orders in which locks are taken, out of what all workers have seen.
 *
 * A worker tells each order once (worker/orders.c), with the part of the search in which it saw it first. Put
 * together, each is kept where it was seen earliest; the list is sorted, so that it is the same whoever saw
 * what. The orders are then taken in the order of the list until one closes a circle: that is a violation in
 * its part, like those that an execution shows (share.c), and found by one worker or by many.
 *
 *	part 0: e, then f	part 12: a, then b	part 90: f, then e	part 91: b, then a
 *	                                                 closes a circle: part 90
 *
 * Of the orders up to there, those are left out one by one, the latest first, that the circle does not need.
 * A worker is given the one that closes it to show an execution with it.
 */
#include "lab/check/check.h"
#include "machines/lockorder/lockorder.h"

#include <stdlib.h>
#include <string.h>

bool is_order(const json_t *order)
{
	int64_t held = json_number(order, "held"), taken = json_number(order, "taken");
	int64_t how = json_number(order, "how");

	return held >= 0 && held < LOCKORDER_CLASSES && taken >= 0 && taken < LOCKORDER_CLASSES && how >= 0 &&
	       how < 4 && json_number(order, "part") >= 0 && *json_text(order, "text") &&
	       *json_text(order, "schedule");
}

/* ---- one list out of two ------------------------------------------------------------------------------- */

static int compare(const json_t *a, const json_t *b, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int64_t x = json_number(a, keys[i]), y = json_number(b, keys[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static int earliest_first(const void *a, const void *b)
{
	static const char *const keys[] = { "part", "held", "taken", "how" };

	return compare(*(json_t *const *)a, *(json_t *const *)b, keys, 4);
}

static bool has(const json_t *list, const json_t *order)
{
	static const char *const keys[] = { "held", "taken", "how" };
	const json_t *other;
	size_t i;

	json_array_foreach(list, i, other)
		if (compare(other, order, keys, 3) == 0)
			return true;
	return false;
}

json_t *orders_merge(const json_t *a, const json_t *b)
{
	size_t count = json_array_size(a) + json_array_size(b);
	json_t **all = calloc(count + 1, sizeof(json_t *)), *list = json_array();

	if (!all)
		abort();
	for (size_t i = 0; i < count; i++)
		all[i] = i < json_array_size(a) ? json_array_get(a, i)
						: json_array_get(b, i - json_array_size(a));
	qsort(all, count, sizeof(json_t *), earliest_first);
	for (size_t i = 0; i < count; i++)
		if (is_order(all[i]) && !has(list, all[i]))
			json_array_append(list, all[i]);
	free(all);
	return list;
}

/* ---- circles ------------------------------------------------------------------------------------------- */

/* How many of the list it takes to close one; 0: there is none. */
static size_t closed_by(const json_t *list)
{
	struct lockorder graph = { 0 };
	const json_t *order;
	unsigned via;
	size_t i;

	json_array_foreach(list, i, order) {
		unsigned how = (unsigned)json_number(order, "how");

		if (!lockorder_add(&graph, (unsigned)json_number(order, "held"), how & 2,
				   (unsigned)json_number(order, "taken"), how & 1, &via))
			return i + 1;
	}
	return 0;
}

json_t *orders_circle(const json_t *orders)
{
	json_t *list = orders_merge(orders, NULL);
	size_t count = closed_by(list);

	while (json_array_size(list) > count)
		json_array_remove(list, count);
	for (size_t i = count; i-- > 0;) {
		json_t *order = json_incref(json_array_get(list, i));

		json_array_remove(list, i);
		if (!closed_by(list))
			json_array_insert(list, i, order);
		json_decref(order);
	}
	if (count)
		return list;
	json_decref(list);
	return NULL;
}

const json_t *circle_last(const json_t *circle)
{
	return json_array_get(circle, json_array_size(circle) - 1);
}

/* ---- as a violation ------------------------------------------------------------------------------------ */

json_t *circle_found(json_t *result)
{
	json_t *circle = orders_circle(json_object_get(result, "orders"));
	int64_t part = json_number(circle_last(circle), "part");

	if (!circle)
		return NULL;
	/* One that an execution shows comes first, if it is of the same part. */
	if (strcmp(json_text(result, "stopped"), "violation") == 0 &&
	    json_number(result, "found_in") <= part) {
		json_decref(circle);
		return NULL;
	}
	json_object_set_new(result, "stopped", json_string("violation"));
	json_object_set_new(result, "found_in", json_integer(part));
	json_object_set_new(result, "complete", json_false());
	json_object_set_new(result, "violations", json_integer(json_number(result, "violations") + 1));
	json_object_set_new(result, "circle", circle);
	return circle;
}

/* @witness shows the last of its orders, and says so: the others are added. */
void circle_shown(json_t *result, const json_t *circle, json_t *witness)
{
	json_t *text = json_string(json_text(witness, "text"));

	for (size_t i = 0; i + 1 < json_array_size(circle); i++) {
		json_t *longer = json_sprintf("%s; elsewhere %s", json_string_value(text),
					      json_text(json_array_get(circle, i), "text"));

		json_decref(text);
		text = longer;
	}
	json_object_set_new(witness, "text", text);
	json_object_set(result, "witness", witness);
}
