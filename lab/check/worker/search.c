/*
 * search.c - which searches a file gets, what is kept of their executions, and when they end.
 *
 *	complete	source-DPOR (a share of it, when there are shards)
 *	Bound: k	bound 0, 1, ... k, each complete in itself: "complete for <= 2 preemptions"
 *	sampled		PCT or POS, with a seed
 *
 * An oracle that speaks ends the search at once. A condition that contradicts the file's Result does not,
 * so that it can be told how often; but after many executions it does too. Then the file has failed, and
 * what is left to find is the witness that is easiest to read: with 0, 1, 2, ... preemptions, until there
 * is one, and of these the shortest. That is limited by executions, not by time, so that it comes out the
 * same everywhere.
 */
#include "lab/check/worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	USUAL_SECONDS = 60,
	PATIENCE = 50000, /* executions after which a contradicted condition ends the search */
	MINIMISE_BOUND = 1,
	MINIMISE_EXECUTIONS = 3000,
	MINIMISE_SECONDS = 30, /* a machine too slow for that many gets another witness */
	PROGRESS_EVERY = 64,
	HANG_SECONDS = 20,
};

/* ---- witnesses ----------------------------------------------------------------------------------------- */

/* The end of this execution is not what the file promises. */
static bool contradicts(const struct run *run)
{
	if (!run->litmus->condition)
		return false;
	return run->litmus->header.result == LITMUS_NEVER    ? run->holds
	       : run->litmus->header.result == LITMUS_ALWAYS ? !run->holds
							     : false;
}

static bool is_better(const struct witness *a, const struct witness *than)
{
	if (!than->schedule)
		return true;
	if (than->kind != a->kind)
		return a->kind == WITNESS_VIOLATION || than->kind == WITNESS_NONE;
	if (than->preemptions != a->preemptions)
		return a->preemptions < than->preemptions;
	if (than->switches != a->switches)
		return a->switches < than->switches;
	return a->steps < than->steps;
}

static void keep_witness(struct run *run, enum witness_kind kind, const char *text)
{
	struct witness *w = &run->witness;
	struct witness found = { .kind = kind, .preemptions = engine_preemptions(run->engine) };
	const struct engine_step *steps = engine_trace(run->engine, &found.steps);

	for (size_t i = 1; i < found.steps; i++)
		found.switches += steps[i].thread != steps[i - 1].thread;
	if (!is_better(&found, w))
		return;
	free(w->text);
	free(w->schedule);
	found.text = explain(run, text);
	found.schedule = strdup(engine_schedule(run->engine));
	*w = found;
}

/*
 * A violation that does not count: what the engine says of a schedule that is none of the program's, which
 * shorten() tries; and where an order of locks is to be shown, any other.
 */
static bool is_of_no_interest(const struct run *run, const char *violation)
{
	if (run->options.order.is_given)
		return strncmp(violation, "order of locks: ", 16) != 0;
	return (run->minimising || run->options.replay) &&
	       strncmp(violation, "the program does not repeat itself", 34) == 0;
}

/* ---- executions ---------------------------------------------------------------------------------------- */

static void count_state(struct run *run)
{
	for (size_t i = 0; i < run->state_count; i++) {
		if (run->states[i].holds == run->holds && strcmp(run->states[i].text, run->end) == 0) {
			run->states[i].count++;
			return;
		}
	}
	if (run->state_count == run->state_room) {
		run->state_room = run->state_room ? run->state_room * 2 : 64;
		run->states = realloc(run->states, run->state_room * sizeof(*run->states));
		if (!run->states)
			exit(EXIT_BROKEN);
	}
	run->states[run->state_count++] =
		(struct state){ .text = strdup(run->end), .count = 1, .holds = run->holds };
}

static void drop_references(struct run *run, struct quire_mm **mms, unsigned *count)
{
	struct quire_cpu **cpu = machine_cpu(run->machine, 0);

	for (unsigned i = 0; i < run->litmus->name_count; i++) {
		if (run->litmus->names[i].kind != NAME_MM || !run->world.mms[i] || !run->world.held[i])
			continue;
		for (uint64_t more = run->world.held[i]; more &= more - 1;)
			quire_mm_put(cpu, run->world.mms[i]);
		mms[(*count)++] = run->world.mms[i];
	}
}

/* What does it end with, and does it leave everything in order? */
static void go_through_end(struct run *run)
{
	struct quire_mm *mms[LITMUS_NAMES];
	struct quire_file *files[LITMUS_NAMES];
	unsigned mm_count = 0, file_count = 0;

	run->holds = run->litmus->condition && condition_holds(run, run->litmus->condition);
	free(run->own_end);
	run->end = run->own_end = state_text(run);
	check_stores(run);
	check_file_ends(run);
	drop_references(run, mms, &mm_count);
	for (unsigned i = 0; i < run->litmus->name_count; i++)
		if (run->files[i])
			files[file_count++] = run->files[i];
	machine_finish(run->machine, mms, mm_count, files, file_count);
}

/* The execution is complete. */
static void finish(void *data)
{
	struct run *run = data;

	memory_settle();
	machine_look_back(run->machine);
	run->has_ended = true;
	if (run->options.again || !ends_find(run, &run->end, &run->holds))
		go_through_end(run);
	if (contradicts(run) && !run->minimising && (run->share || run->holding + run->failing >= PATIENCE)) {
		run->out_of_patience = true;
		engine_violation("%s", run->litmus->condition_text);
	}
}

static void ended(void *data, const char *violation)
{
	struct run *run = data;

	if (!violation && run->has_ended)
		ends_remember(run->end, run->holds);
	if (violation && is_of_no_interest(run, violation)) {
		run->has_ended = false;
		return;
	}
	if (violation && !run->out_of_patience) {
		run->violations += !run->minimising;
		keep_witness(run, WITNESS_VIOLATION, violation);
	} else if (run->has_ended) {
		if (contradicts(run))
			keep_witness(run, WITNESS_CONDITION, run->end);
		if (!run->minimising) {
			run->holding += run->holds;
			run->failing += !run->holds;
			count_state(run);
		}
	}
	if (run->options.tables && !run->witness.schedule)
		keep_witness(run, WITNESS_NONE, ""); /* something to look at */
	run->has_ended = false;
	if ((run->holding + run->failing) % PROGRESS_EVERY == 0)
		tell_progress(run);
}

/* ---- a search that stands still ------------------------------------------------------------------------ */

static const struct engine *watched;

/*
 * An execution has at most ENGINE_STEPS steps, so that one which takes so long is in a loop between two
 * steps. Nothing can be saved then but the word.
 */
static void look_whether_it_moves(int signal)
{
	static const char text[] = "{\"mistake\": {\"line\": 1, \"column\": 1, \"text\": "
				   "\"an execution does not end: a loop without a step in it\"}}\n";
	static uint64_t seen;

	(void)signal;
	if (seen == engine_begun(watched)) {
		if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
			_exit(1);
		_exit(EXIT_BROKEN);
	}
	seen = engine_begun(watched);
	alarm(HANG_SECONDS);
}

static void watch(const struct engine *engine)
{
	struct sigaction action = { .sa_handler = look_whether_it_moves, .sa_flags = SA_RESTART };

	watched = engine;
	sigaction(SIGALRM, &action, NULL);
	alarm(HANG_SECONDS);
}

/* ---- the engine's program ------------------------------------------------------------------------------ */

static const char *thread_name(void *data, unsigned thread)
{
	return machine_thread_name(((struct run *)data)->machine, thread);
}

static void reset(void *data)
{
	struct run *run = data;

	machine_reset(run->machine);
	if (run->options.order.is_given)
		machine_forget_orders(); /* it is to be seen each time */
	run->world = run->frozen;
	run->has_ended = false;
}

static void thread(void *data, unsigned thread)
{
	struct run *run = data;

	if (thread < run->cpus)
		run_block(run, thread, machine_cpu(run->machine, thread), run->litmus->columns[thread].body);
	else
		machine_agent(run->machine, thread);
}

static unsigned works_for(void *data, unsigned thread)
{
	return machine_works_for(((struct run *)data)->machine, thread);
}

static bool is_agent(void *data, unsigned thread)
{
	return machine_is_agent(((struct run *)data)->machine, thread);
}

static void describe_wait(void *data, unsigned thread, char *out, size_t room)
{
	machine_describe_wait(((struct run *)data)->machine, thread, out, room);
}

static void create_engine(struct run *run)
{
	struct engine_program program = {
		.data = run,
		.threads = machine_threads(run->machine),
		.name = thread_name,
		.reset = reset,
		.thread = thread,
		.finish = finish,
		.is_agent = is_agent,
		.works_for = works_for,
		.describe_wait = describe_wait,
		.image = run->options.again ? NULL : image_create(),
	};

	if (program.image) {
		machine_image(run->machine, program.image);
		image_add(program.image, &run->world, sizeof(run->world));
	}

	run->engine = engine_create(&program);
	if (!run->engine)
		mistake(run, (struct litmus_place){ 1, 1 }, "no memory for the search");
	engine_on_execution(run->engine, ended, run);
}

/* ---- searches ------------------------------------------------------------------------------------------ */

static double seconds_of(const struct run *run)
{
	return run->options.seconds > 0		 ? run->options.seconds
	       : run->litmus->header.seconds > 0 ? run->litmus->header.seconds
						 : USUAL_SECONDS;
}

static uint64_t executions_of(const struct run *run)
{
	return run->options.executions ? run->options.executions : run->litmus->header.executions;
}

static void forget_counts(struct run *run)
{
	for (size_t i = 0; i < run->state_count; i++)
		free(run->states[i].text);
	run->state_count = 0;
	run->holding = run->failing = run->violations = 0;
	json_array_clear(run->orders);
	run->has_circle = false;
}

static void run_engine(struct run *run, const struct engine_config *asked)
{
	struct engine_config config = *asked;
	struct engine_counts counts;

	machine_forget_orders();
	ends_forget();
	if (!config.is_over && !run->minimising) {
		config.is_over = orders_closed;
		config.claim_data = run;
	}
	if (!run->minimising) {
		run->cpu_from = cpu_time();
		run->cpu = run->cpu_told = 0;
	}
	engine_run(run->engine, &config, &counts);
	if (run->minimising)
		return;
	run->counts = counts;
	run->cpu = cpu_time() - run->cpu_from;
	run->stopped = counts.complete							  ? NULL
		       : run->witness.kind && (counts.violations || run->out_of_patience) ? "violation"
		       : run->has_circle && !run->share					  ? "circle"
		       : config.executions && counts.executions >= config.executions	  ? "executions"
											  : "time";
}

static void search_sampled(struct run *run)
{
	struct engine_config config = {
		.search = run->options.kind == SEARCH_BY_POS ? SEARCH_POS : SEARCH_PCT,
		.bound = run->options.bound >= 0 ? (unsigned)run->options.bound : 3,
		.executions = run->options.samples,
		.seconds = run->options.seconds,
		.seed = run->options.seed,
		.stop_at_violation = true,
	};

	run->search = "sampled";
	run_engine(run, &config);
}

static void search_bounded(struct run *run, unsigned bound)
{
	double until = now() + seconds_of(run);

	run->search = "bounded";
	for (unsigned k = 0; k <= bound; k++) {
		struct engine_config config = {
			.search = SEARCH_BOUNDED,
			.bound = k,
			.seconds = until - now(),
			.executions = executions_of(run),
			.stop_at_violation = true,
		};

		if (config.seconds <= 0) {
			run->stopped = "time";
			return;
		}
		forget_counts(run);
		run_engine(run, &config);
		if (!run->counts.complete)
			return;
		run->complete_bound = (int)k;
		if (run->witness.kind)
			return;
	}
}

static bool was_interrupted(void *data)
{
	return engine_so_far(((struct run *)data)->engine)->interrupted;
}

/* Wakeup trees do not cover interrupts: false if there was one, and another search must be made. */
static bool search_optimal(struct run *run)
{
	struct engine_config config = {
		.search = SEARCH_OPTIMAL,
		.seconds = seconds_of(run),
		.executions = executions_of(run),
		.stop_at_violation = true,
		.is_over = was_interrupted,
		.claim_data = run,
	};

	run->search = "complete";
	run_engine(run, &config);
	return run->witness.kind || !run->counts.interrupted;
}

static void search_complete(struct run *run)
{
	struct engine_config config = {
		.search = SEARCH_SOURCE,
		.seconds = seconds_of(run),
		.executions = executions_of(run),
		.shard = run->options.shard,
		.shards = run->options.shards,
		.stop_at_violation = true,
	};

	if (run->options.optimal) {
		if (search_optimal(run))
			return;
		forget_counts(run);
	}
	run->search = "complete";
	if (run->share || run->options.shards)
		config.frontier = share_depth(run);
	if (run->share)
		share_begin(run, &config);
	if (run->options.at_most && (!config.executions || run->options.at_most < config.executions))
		config.executions = run->options.at_most;
	run_engine(run, &config);
	if (run->share)
		share_ended(run);
	if (run->stopped && strcmp(run->stopped, "executions") == 0 &&
	    config.executions == run->options.at_most)
		run->stopped = "share";
	if (run->stopped && strcmp(run->stopped, "share") == 0)
		run->frontier = share_depth(run);
}

/*
 * A witness is there, and is made shorter. Then, is there one with less than its preemptions? Few are
 * looked for in full, more would be too many.
 */
static void minimise(struct run *run)
{
	run->minimising = true;
	shorten(run);
	for (unsigned k = 0; k < run->witness.preemptions && k <= MINIMISE_BOUND; k++) {
		struct engine_config config = {
			.search = SEARCH_BOUNDED,
			.bound = k,
			.executions = MINIMISE_EXECUTIONS,
			.seconds = MINIMISE_SECONDS,
			.stop_at_violation = true,
		};

		run_engine(run, &config);
		if (run->witness.preemptions <= k)
			shorten(run);
	}
	run->minimising = false;
}

/* One execution, given. */
static void replay(struct run *run)
{
	run->search = "replayed";
	machine_forget_orders();
	if (!engine_replay(run->engine, run->options.replay, &run->counts) ||
	    (run->counts.violations && !run->witness.kind))
		mistake(run, (struct litmus_place){ 1, 1 }, "this schedule is none of this file's");
	if (!run->witness.kind)
		keep_witness(run, WITNESS_NONE, "");
	if (run->options.order.is_given && run->witness.kind != WITNESS_VIOLATION)
		mistake(run, (struct litmus_place){ 1, 1 }, "an order of locks is not seen again");
	if (run->options.order.is_given && !run->options.quick)
		minimise(run);
}

/* What an earlier search has found, of which this is the rest. */
static void know_witness(struct run *run)
{
	struct engine_counts counts;

	run->minimising = true;
	if (!engine_replay(run->engine, run->options.witness, &counts) || !run->witness.kind)
		mistake(run, (struct litmus_place){ 1, 1 },
			"a schedule that contradicted this file does so no more");
	run->minimising = false;
}

void search(struct run *run)
{
	int bound = run->options.bound >= 0 ? run->options.bound : run->litmus->header.bound;

	run->complete_bound = -1;
	if (!run->engine)
		create_engine(run);
	watch(run->engine);
	if (run->options.replay) {
		replay(run);
		return;
	}
	if (run->options.witness)
		know_witness(run);
	if (run->options.kind != SEARCH_FOR_FILE)
		search_sampled(run);
	else if (bound >= 0)
		search_bounded(run, (unsigned)bound);
	else
		search_complete(run);
	if (run->witness.kind && !run->options.quick)
		minimise(run);
	alarm(0);
}
