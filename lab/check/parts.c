/*
 * parts.c - a search that several workers share: the memory from which they take parts (claims.h), and what
 * they tell came of these (worker/share.c).
 *
 *	take		a worker's line: parts that are finished, and what they add to the result
 *	end		all workers are through: to what was told comes the rest that each has counted besides
 *
 * So what was told is, at any moment, the exact result of a known set of parts. checkpoint.c keeps it.
 */
#include "lab/check/check.h"

#include "lab/check/claims.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct parts {
	int fd;
	struct claims *claims;
	unsigned frontier;
	json_t *done; /* [[part, hash of the way to it], ...] */
	json_t *result;
	json_t *found; /* the best schedule that contradicts the file, or null */
	size_t orders; /* in the result, when circles were last looked for */
};

/* As workers tell it, of no part. */
static json_t *nothing(void)
{
	return json_pack(
		"{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:[], s:[], s:[], s:n, s:b}",
		"executions", 0, "blocked", 0, "given_up", 0, "transitions", 0, "instrumented", 0, "run", 0,
		"holding", 0, "failing", 0, "violations", 0, "longest", 0, "cpu", 0.0, "states", "hot",
		"orders", "witness", "complete", 1);
}

static bool create_claims(struct parts *p)
{
	p->fd = memfd_create("claims", 0);
	if (p->fd < 0 || ftruncate(p->fd, sizeof(*p->claims)))
		return false;
	p->claims = mmap(NULL, sizeof(*p->claims), PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	return p->claims != MAP_FAILED;
}

bool parts_begin(struct check *check, unsigned frontier)
{
	struct parts *p = calloc(1, sizeof(*p));

	if (!p)
		abort();
	check->parts = p;
	p->frontier = frontier;
	p->done = json_array();
	p->result = nothing();
	p->found = json_null();
	return create_claims(p);
}

/* A circle in the orders of locks is a violation, too. */
static void look_for_circle(struct parts *p)
{
	const json_t *orders = json_object_get(p->result, "orders");
	json_t *circle;

	if (json_array_size(orders) == p->orders)
		return;
	p->orders = json_array_size(orders);
	circle = orders_circle(orders);
	if (circle)
		claims_found(p->claims, (uint64_t)json_number(circle_last(circle), "part"));
	json_decref(circle);
}

/* Of an earlier search: its parts need not be searched again. */
void parts_know(struct check *check, json_t *done, json_t *result, json_t *found)
{
	struct parts *p = check->parts;
	size_t i;
	json_t *part;

	json_array_extend(p->done, done);
	json_object_update(p->result, result);
	p->found = json_incref(found);
	look_for_circle(p);
	json_array_foreach(done, i, part) {
		struct claim *claim = &p->claims->part[json_integer_value(json_array_get(part, 0))];

		claim->done = true;
		atomic_store_explicit(&claim->path,
				      strtoull(json_string_value(json_array_get(part, 1)), NULL, 16),
				      memory_order_relaxed);
	}
}

int parts_claims(const struct check *check)
{
	return check->parts->fd;
}

unsigned parts_frontier(const struct check *check)
{
	return check->parts->frontier;
}

json_t *parts_done(const struct check *check)
{
	return check->parts->done;
}

json_t *parts_result(const struct check *check)
{
	return check->parts->result;
}

json_t *parts_found(const struct check *check)
{
	return check->parts->found;
}

/* ---- what workers tell --------------------------------------------------------------------------------- */

static bool is_better(const json_t *a, const json_t *than)
{
	static const char *const keys[] = { "preemptions", "switches", "steps" };

	if (!json_is_object(a) || !json_is_object(than))
		return json_is_object(a);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_number(a, keys[i]) != json_number(than, keys[i]))
			return json_number(a, keys[i]) < json_number(than, keys[i]);
	return false;
}

void parts_take(struct check *check, json_t *line)
{
	struct parts *p = check->parts;
	json_t *result = json_object_get(line, "result"), *found = json_object_get(result, "found");
	json_t *whole = nothing();

	/* A share's workers find it out themselves. */
	p->frontier = (unsigned)json_number(line, "frontier");
	json_array_extend(p->done, json_object_get(line, "done"));
	if (is_better(found, p->found)) {
		json_decref(p->found);
		p->found = json_incref(found);
	}
	json_object_update(whole, result);
	json_object_del(whole, "found");
	p->result = merge_results(p->result, whole);
	look_for_circle(p);
}

static uint64_t expected(const struct check *check)
{
	uint64_t parts = (uint64_t)json_number(check->result, "parts");
	uint64_t shards = check->options->shards ? check->options->shards : 1;

	return parts / shards + (parts % shards > check->options->shard);
}

bool parts_end(struct check *check)
{
	struct parts *p = check->parts;
	bool complete;

	if (check->mistake || !check->result)
		return false;
	complete = json_is_true(json_object_get(check->result, "complete"));
	if (complete && json_array_size(p->done) != expected(check)) {
		check->mistake = strdup("1:1: parts of the search are missing: a mistake in the checker");
		return false;
	}
	check->result = merge_results(check->result, json_deep_copy(p->result));
	munmap(p->claims, sizeof(*p->claims));
	close(p->fd);
	return complete;
}
