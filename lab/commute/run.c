/*
 * run.c - cells are run by the workers of `quire check`, one a cell, as many at a time as there are CPUs.
 *
 * Their litmus files are memory that the workers inherit: nothing is left lying about if we are interrupted.
 */
#include "lab/check/check.h"
#include "lab/command.h"
#include "lab/commute/commute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCH = 256, PATH = 40 };

struct batch {
	struct cell *cells;
	struct check checks[BATCH];
	char paths[BATCH][PATH];
	int files[BATCH];
	char missing[200]; /* a worker that is not there */
};

static void set_error(struct cell *cell, const char *text)
{
	cell->error = strdup(text);
	if (!cell->error)
		abort();
}

static void cell_done(struct check *check, void *data)
{
	struct batch *batch = data;
	struct cell *cell = &batch->cells[check - batch->checks];
	const char *stopped;

	if (check->missing)
		snprintf(batch->missing, sizeof(batch->missing), "%s", check->mistake);
	if (check->mistake) {
		set_error(cell, check->mistake);
		return;
	}
	stopped = json_text(check->result, "stopped");
	if (strcmp(stopped, "violation") == 0)
		set_error(cell, json_text(json_object_get(check->result, "witness"), "text"));
	else if (json_number(check->result, "holding") != 1)
		set_error(cell, "one of the two has failed");
	cell->lines = json_incref(json_object_get(check->result, "lines"));
	json_decref(check->result);
	reasons_add(cell);
}

/* False: errno. */
static bool add_cell(struct batch *batch, unsigned index, const struct check_options *options)
{
	const struct cell *cell = &batch->cells[index];
	char *text = scene_text(cell->placement, cell->a, cell->b);
	struct litmus_mistake mistake;
	size_t bytes = strlen(text);
	int file = memfd_create("cell", 0);

	if (file < 0 || write(file, text, bytes) != (ssize_t)bytes) {
		free(text);
		return false;
	}
	snprintf(batch->paths[index], PATH, "/proc/self/fd/%d", file);
	batch->files[index] = file;
	batch->checks[index] = (struct check){ .options = options,
					       .path = batch->paths[index],
					       .litmus = litmus_parse(text, bytes, &mistake) };
	if (!batch->checks[index].litmus) {
		fprintf(stderr, "%u:%u: %s\n%s", mistake.at.line, mistake.at.column, mistake.text, text);
		abort();
	}
	free(text);
	return true;
}

static int run_batch(struct cell *cells, unsigned count, const struct check_options *options)
{
	static struct batch batch;

	batch = (struct batch){ .cells = cells };
	for (unsigned i = 0; i < count; i++) {
		if (!add_cell(&batch, i, options)) {
			fprintf(stderr, "quire commute: no memory for litmus files: %s\n", strerror(errno));
			return EXIT_MISSING;
		}
	}
	pool_run(batch.checks, count, cell_done, &batch);
	for (unsigned i = 0; i < count; i++) {
		close(batch.files[i]);
		litmus_free((struct litmus *)batch.checks[i].litmus);
	}
	if (*batch.missing)
		fprintf(stderr, "quire commute: no worker for geometry full: %s\n", batch.missing);
	return *batch.missing ? EXIT_MISSING : 0;
}

int run_cells(struct cell *cells, size_t count, unsigned jobs)
{
	const struct check_options options = {
		.bound = -1, .seed = 1, .jobs = jobs, .executions = 1, .lines = true
	};
	int status = 0;

	for (size_t i = 0; i < count && !status; i += BATCH)
		status = run_batch(cells + i, count - i < BATCH ? (unsigned)(count - i) : BATCH, &options);
	return status;
}
