/*
 * report.c - the text: one line for a check that is as expected, everything for one that is not.
 *
 * In the manner of the memory-model tools: Test, States, Observation. What depends on the machine (times,
 * rates) stands in lines of its own, which begin with Time; all else is the same wherever it is run.
 */
#include "lab/check/check.h"

#include <string.h>

enum { HOT_SHOWN = 5 };

static const char *marks[] = { [VERDICT_HOLDS] = "ok", [VERDICT_UNSURE] = "ok?", [VERDICT_FAILS] = "FAIL" };

static const char *model_name(const struct check *check)
{
	const char *model = json_text(check->result, "model");

	return strcmp(model, "sc") == 0 ? "SC" : strcmp(model, "tso") == 0 ? "TSO" : "weak";
}

/* A check of the zoo is as it should be when it fails. */
static const char *mark_of(const struct check *check, const struct finding *f)
{
	if (check->zoo)
		return f->verdict == VERDICT_FAILS ? "ok" : "FAIL";
	return marks[f->verdict];
}

static const char *observed_text(const struct finding *f)
{
	return f->violated ? "violated" : litmus_result_name(f->observed);
}

static void print_without(FILE *to, const struct check *check, const char *before)
{
	for (unsigned i = 0; i < check->options->without_count; i++)
		fprintf(to, "%s%s", before, check->options->without[i]);
	if (check->zoo)
		fprintf(to, "%s%s", before, check->zoo);
}

void report_line(FILE *to, const struct check *check)
{
	struct finding f = verdict_of(check);
	char name[120];

	snprintf(name, sizeof(name), "%s%s%s", check->litmus->name, check->zoo ? " without " : "",
		 check->zoo ? check->zoo : "");
	fprintf(to, "%-4s %-44s %s (%s) %lld executions, %.2f s\n", mark_of(check, &f), name,
		observed_text(&f), f.search, (long long)json_number(check->result, "executions"),
		check->ended - check->began);
}

void report_command(FILE *to, const struct check *check)
{
	const struct check_options *o = check->options;

	fprintf(to, "quire check %s", check->path);
	if (o->model)
		fprintf(to, " --model %s", o->model);
	print_without(to, check, " --without ");
}

/*
 * Where several workers were at it when a violation ended it, how far each had come depends on the machine.
 */
static bool is_cut_short(const struct check *check)
{
	return check->shared && strcmp(json_text(check->result, "stopped"), "violation") == 0;
}

/* ---- the full report ----------------------------------------------------------------------------------- */

static void print_states(FILE *to, const struct check *check)
{
	json_t *states = json_object_get(check->result, "states"), *state;
	size_t i;

	if (is_cut_short(check))
		return;
	fprintf(to, "States %zu\n", json_array_size(states));
	json_array_foreach(states, i, state)
		fprintf(to, "%-10lld%s %s\n", (long long)json_number(state, "count"),
			check->litmus->condition && json_is_true(json_object_get(state, "holds")) ? "*>"
												  : ":>",
			json_text(state, "state"));
}

static void print_replay(FILE *to, const struct check *check, const char *head, const char *schedule)
{
	fprintf(to, "%s ", head);
	report_command(to, check);
	fprintf(to, " --replay %s\n", schedule);
}

static void print_witness(FILE *to, const struct check *check)
{
	json_t *witness = json_object_get(check->result, "witness");
	json_t *circle = json_object_get(check->result, "circle"), *order;
	size_t i;

	if (!json_is_object(witness))
		return;
	if (!check->options->replay)
		print_replay(to, check, "Replay", json_text(witness, "schedule"));
	json_array_foreach(circle, i, order)
		if (i + 1 < json_array_size(circle))
			print_replay(to, check, "Elsewhere", json_text(order, "schedule"));
	columns_print(to, check, witness);
}

/* Tells the author of a file that is too large what makes it so. */
static void print_hot(FILE *to, const struct check *check)
{
	json_t *hot = json_object_get(check->result, "hot"), *place;
	size_t i;

	json_array_foreach(hot, i, place) {
		if (i == HOT_SHOWN)
			break;
		fprintf(to, "%s%s: %lld reversed\n", i ? "      " : "Space ", json_text(place, "where"),
			(long long)json_number(place, "races"));
		for (size_t k = 0; k < 2; k++) {
			json_t *code = json_array_get(json_object_get(place, "code"), k);

			if (k == 0 || !json_equal(code, json_array_get(json_object_get(place, "code"), 0)))
				fprintf(to, "        %s\n", json_string_value(code));
		}
	}
}

/* What keeps columns from running beside each other without loss, though none waits for another. */
static void print_lines(FILE *to, const struct check *check)
{
	json_t *lines = json_object_get(check->result, "lines"), *line, *use;
	size_t i, k;

	if (!json_is_array(lines))
		return;
	fprintf(to, "Lines %zu shared, and written to by one column at least\n", json_array_size(lines));
	json_array_foreach(lines, i, line)
		json_array_foreach(json_object_get(line, "uses"), k, use)
			fprintf(to, "%sP%d %s %s\n         %s\n", k ? "      " : "    - ",
				(int)json_number(use, "column"),
				json_is_true(json_object_get(use, "writes")) ? "writes" : "reads ",
				json_text(use, "where"), json_text(use, "code"));
}

/*
 * The rate is one of CPU time, over all workers: what a core does that has nothing else to do. What an
 * execution consists of counts what was brought back, too: it is the same whatever the search can do without
 * running.
 */
static void print_time(FILE *to, const json_t *r, double seconds)
{
	double cpu = json_real_value(json_object_get(r, "cpu"));
	int64_t executions = json_number(r, "executions");
	int64_t transitions = json_number(r, "transitions");

	fprintf(to, "Time %.2f s, %.2f s of CPU", seconds, cpu);
	if (cpu > 0)
		fprintf(to, ": %.0f executions/s on a core", (double)executions / cpu);
	fputc('\n', to);
	if (!executions || !transitions)
		return;
	fprintf(to,
		"Time an execution is %lld transitions and %lld plain accesses; of the transitions %lld%% were run\n",
		(long long)(transitions / executions),
		(long long)(json_number(r, "instrumented") / executions),
		(long long)(json_number(r, "run") * 100 / transitions));
}

static void print_search(FILE *to, const struct check *check, const struct finding *f)
{
	const json_t *r = check->result;

	fprintf(to, "Search %s, model %s", f->search, model_name(check));
	/*
	 * Where workers were stopped, how far each had come depends on the machine; and so does what they
	 * begin in vain.
	 */
	if (!*json_text(r, "stopped") || !check->shared)
		fprintf(to, ", %lld executions, at most %lld steps", (long long)json_number(r, "executions"),
			(long long)json_number(r, "longest"));
	if (!check->shared)
		fprintf(to, ", %lld begun in vain", (long long)json_number(r, "blocked"));
	fputc('\n', to);
	print_time(to, r, check->ended - check->began);
}

static void print_result(FILE *to, const struct check *check, const struct finding *f)
{
	const struct litmus *l = check->litmus;

	fprintf(to, "Result %s (%s)", observed_text(f), f->search);
	if (check->zoo)
		fprintf(to, ", %s\n",
			f->verdict == VERDICT_FAILS ? "as it must be without its safeguard"
						    : "though its safeguard is off");
	else if (f->verdict == VERDICT_FAILS && (f->violated || f->observed != l->header.result))
		fprintf(to, ", expected %s\n", litmus_result_name(l->header.result));
	else
		fprintf(to, "%s\n",
			f->verdict == VERDICT_HOLDS    ? ", as expected"
			: f->verdict == VERDICT_UNSURE ? ", not contradicted"
						       : ", not shown");
}

void report_full(FILE *to, const struct check *check)
{
	static const char *const words[] = { "Forbidden", "Allowed", "Required" };
	const struct litmus *l = check->litmus;
	const json_t *witness = json_object_get(check->result, "witness");
	struct finding f = verdict_of(check);

	fprintf(to, "Test %s %s", l->name, words[l->header.result]);
	print_without(to, check, ", without ");
	fputc('\n', to);
	print_states(to, check);
	if (f.violated)
		fprintf(to, "VIOLATION %s\n", json_text(witness, "text"));
	if (l->condition_text)
		fprintf(to, "Condition %s\n", l->condition_text);
	if (!is_cut_short(check))
		fprintf(to, "Observation %s %s %lld %lld\n", l->name, litmus_result_name(f.observed),
			(long long)json_number(check->result, "holding"),
			(long long)json_number(check->result, "failing"));
	print_result(to, check, &f);
	print_search(to, check, &f);
	print_lines(to, check);
	if (f.verdict == VERDICT_UNSURE || check->options->verbose)
		print_hot(to, check);
	print_witness(to, check);
}
