/*
 * orders.c - in which orders locks are taken: each that is new is told, with where and how it was seen.
 *
 *	{"part": 12, "held": 3, "taken": 5, "how": 2, "text": "P1 takes ... with ... held",
 *	 "schedule": "v1:..."}
 *
 * `held` and `taken` are classes of locks; `how`: 1, what is taken is shared, 2, what is held is. A circle
 * may need what several processes have seen: the command looks for it (lab/check/circles.c), and has one
 * worker show the order that closes it, in an execution that ends with it (--replay with --order).
 *
 * Which part of a search it was seen in is said so that of all who saw it one is the first, the same on every
 * run: parts are met by everybody in the same order, and what leads to one belongs to it. How, is then a
 * matter of that part alone: the first execution in it. The schedule ends with the step that does it. (An
 * end that was gone through before is not gone through again: but who did so before has seen what is in it.)
 */
#include "lab/check/worker/worker.h"

/* Above the frontier all is on the way to the next part. */
static uint64_t part_now(const struct run *run)
{
	uint64_t met = engine_so_far(run->engine)->leaves;

	return met && engine_step_now() >= run->frontier ? met - 1 : met;
}

static unsigned how_of(const struct machine_order *order)
{
	return order->held_shared * 2u + order->shared;
}

static bool is_to_be_shown(const struct run *run, const struct machine_order *order)
{
	const struct worker_order *wanted = &run->options.order;

	return order->held == wanted->held && order->taken == wanted->taken && how_of(order) == wanted->how;
}

static bool seen(void *data, const struct machine_order *order)
{
	struct run *run = data;

	if (run->options.order.is_given)
		return is_to_be_shown(run, order);
	if (run->minimising)
		return false;
	run->has_circle |= order->closes;
	json_array_append_new(run->orders,
			      json_pack("{s:I, s:i, s:i, s:i, s:s, s:s}", "part", (json_int_t)part_now(run),
					"held", (int)order->held, "taken", (int)order->taken, "how",
					(int)how_of(order), "text", order->text, "schedule",
					engine_schedule(run->engine)));
	return false;
}

void orders_begin(struct run *run)
{
	run->orders = json_array();
	machine_on_order(seen, run);
}

/* Where nothing is shared one process sees all of a circle. */
bool orders_closed(void *data)
{
	return ((struct run *)data)->has_circle;
}
