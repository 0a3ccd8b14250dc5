/*
 * mpi/main.c - quire-check-mpi-GEOMETRY: one litmus file, searched by the processes of an MPI job, which may
 * be on many computers.
 *
 *	mpirun -n 64 quire-check-mpi-mini big.litmus
 *
 * Each process takes parts of the search (share.c). The number of the next one is a word of rank 0's memory
 * that the others fetch and increment without its doing anything: one-sided, MPI_Fetch_and_op(). At the end
 * the results are gathered, merged as the command merges its workers', and reported by rank 0 in the same
 * words.
 *
 *	rank 0:  next = 17 <---- fetch, +1 ---- rank 1
 *		 found = 9 <---- least ------- rank 2: a violation, in part 9: nobody needs those behind it
 *
 * That all have met the same parts is seen at the end: a hash of the ways to all of them is the same
 * everywhere.
 *
 * Errors:  of the file: said by rank 0, the others wait until it has read it; status 2.
 */
#include "lab/check/check.h"
#include "lab/check/claims.h"
#include "lab/check/worker/worker.h"
#include "lab/command.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, ranks;
static MPI_Win window;
static uint64_t *words; /* rank 0's */
static uint64_t ways;	/* to all parts met so far */

/* ---- parts --------------------------------------------------------------------------------------------- */

enum word { NEXT, FOUND, WORDS };

static uint64_t fetch(enum word word, uint64_t number, MPI_Op operation)
{
	uint64_t old;

	MPI_Win_lock(MPI_LOCK_SHARED, 0, 0, window);
	MPI_Fetch_and_op(&number, &old, MPI_UINT64_T, 0, word, operation, window);
	MPI_Win_unlock(0, window);
	return old;
}

static uint64_t next(void)
{
	return fetch(NEXT, 1, MPI_SUM);
}

static void found(uint64_t part)
{
	fetch(FOUND, part, MPI_MIN);
}

static uint64_t lowest(void)
{
	return fetch(FOUND, 0, MPI_NO_OP);
}

static bool is_done(uint64_t part)
{
	(void)part;
	return false;
}

static bool is_same(uint64_t part, uint64_t path)
{
	ways = (ways ^ path) * 0x9e3779b97f4a7c15ul + part;
	return true;
}

static const struct share share = { next, is_done, is_same, found, lowest };

static void create_window(void)
{
	MPI_Win_allocate(rank ? 0 : WORDS * sizeof(*words), sizeof(*words), MPI_INFO_NULL, MPI_COMM_WORLD,
			 &words, &window);
	if (!rank) {
		MPI_Win_lock(MPI_LOCK_EXCLUSIVE, 0, 0, window);
		words[NEXT] = 0;
		words[FOUND] = NO_PART;
		MPI_Win_unlock(0, window);
	}
	MPI_Barrier(MPI_COMM_WORLD);
}

/* ---- results ------------------------------------------------------------------------------------------- */

/* Of all, at rank 0: an array of texts. */
static char **gather(const char *text, int bytes)
{
	int *count = calloc((size_t)ranks, sizeof(*count)), *at = calloc((size_t)ranks + 1, sizeof(*at));
	char **texts = calloc((size_t)ranks, sizeof(*texts)), *all = NULL;

	MPI_Gather(&bytes, 1, MPI_INT, count, 1, MPI_INT, 0, MPI_COMM_WORLD);
	for (int i = 0; !rank && i < ranks; i++)
		at[i + 1] = at[i] + count[i];
	if (!rank)
		all = malloc((size_t)at[ranks] + 1);
	MPI_Gatherv(text, bytes, MPI_CHAR, all, count, at, MPI_CHAR, 0, MPI_COMM_WORLD);
	for (int i = 0; !rank && i < ranks; i++)
		texts[i] = all + at[i];
	free(count);
	free(at);
	return texts;
}

/* Whether all that came to their end have met the same. */
static bool has_met_the_same(bool complete)
{
	uint64_t mine[2] = { complete ? ways : 0, complete ? ~ways : ~0ul }, most[2];

	MPI_Allreduce(mine, most, 2, MPI_UINT64_T, MPI_MAX, MPI_COMM_WORLD);
	/* The most of all that are not 0, and the least, which is the most of the complements. */
	return !complete || (most[0] == ways && (most[1] == ~ways || most[1] == ~0ul));
}

static json_t *merge_all(const char *text, int bytes)
{
	json_t *result = NULL;
	char **texts = gather(text, bytes);

	for (int i = 0; !rank && i < ranks; i++) {
		json_t *one = json_loads(texts[i], 0, NULL);

		if (!one)
			MPI_Abort(MPI_COMM_WORLD, EXIT_MISSING);
		result = merge_results(result, one);
	}
	return result;
}

/* Locks that are taken in a circle, by executions of which none shows it: one is run again. */
static void show_circle(struct run *run, json_t *result)
{
	json_t *circle = circle_found(result);
	const json_t *order = circle_last(circle);

	if (!circle)
		return;
	run->options.replay = json_text(order, "schedule");
	run->options.order = (struct worker_order){ true, (unsigned)json_number(order, "held"),
						    (unsigned)json_number(order, "taken"),
						    (unsigned)json_number(order, "how") };
	run->witness = (struct witness){ 0 };
	search(run);
	json_t *witness = witness_json(run);
	circle_shown(result, circle, witness);
	json_decref(witness);
}

static int report(const struct run *run, json_t *result)
{
	struct check_options options = { .bound = -1, .seed = 1 };
	struct check check = { .options = &options,
			       .path = run->options.path,
			       .litmus = run->litmus,
			       .shared = true,
			       .result = result,
			       .began = run->began,
			       .ended = now() };

	if (run->options.has_model)
		options.model = litmus_model_name(run->options.model);
	for (unsigned i = 0; i < run->options.without_count; i++)
		options.without[options.without_count++] = run->options.without[i];
	steps_prepare(json_object_get(result, "witness"));
	merge_hottest(result);
	report_full(stdout, &check);
	fflush(stdout);
	return verdict_of(&check).verdict == VERDICT_FAILS ? EXIT_VIOLATED : EXIT_HELD;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

static void complain(const struct run *run, struct litmus_place at, const char *text)
{
	fprintf(stderr, "%s:%u:%u: %s\n", run->options.path, at.line, at.column, text);
	MPI_Abort(MPI_COMM_WORLD, EXIT_USAGE);
	_Exit(EXIT_USAGE);
}

/* A mistake in the file is everybody's: rank 0 reads it first. */
static void begin(struct run *run)
{
	if (rank)
		MPI_Barrier(MPI_COMM_WORLD);
	worker_begin(run);
	if (!rank)
		MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
	static struct run run = { .complain = complain, .share = &share };
	int status = EXIT_HELD;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	worker_options(&run, argc, argv);
	begin(&run);
	create_window();
	orders_begin(&run);
	search(&run);
	bool is_good = has_met_the_same(!run.stopped);
	char *text = json_dumps(result_json(&run), JSON_COMPACT);
	json_t *result = merge_all(text, (int)strlen(text) + 1);
	if (!is_good)
		complain(&run, (struct litmus_place){ 1, 1 },
			 "processes have not met the same parts of the search: it cannot be shared");
	if (!rank) {
		show_circle(&run, result);
		status = report(&run, result);
	}
	MPI_Win_free(&window);
	MPI_Finalize();
	return status;
}
