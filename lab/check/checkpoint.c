/*
 * checkpoint.c - a search that may be interrupted: what is known of it, in a file, and going on from there.
 *
 * Large searches are cut into parts (parts.c); of these it is known at any moment which are done, and what
 * came of them. That is what the file has; every few seconds, at the end, and when we are interrupted it is
 * written anew, beside the old one and then in its place. Whoever is killed loses the parts that were under
 * way.
 *
 *	{ "quire": "checkpoint", "version": 1,
 *	  "file": "litmus/x.litmus", "text": hash, "worker": hash,	what was searched, and by which build
 *	  "geometry", "model", "asked" (of --model), "without", "shard", "shards",
 *	  "over": true, when all is done; "frontier": 96, how deep parts begin
 *	  "executions": 12000,						for people
 *	  "done": [[part, hash of the way to it], ...],
 *	  "result": what these parts add up to, as workers tell it,
 *	  "found": the best schedule that contradicts the file, or null }
 *
 * Going on is safe only if parts have the same numbers: the same text, the same core. Hashes say so; and each
 * worker compares the way to each part as it passes by.
 *
 * Errors:  one line, and false; the command then exits with status 2.
 */
#include "lab/check/check.h"

#include "lab/check/claims.h"
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VERSION = 1 };
#define FIRST_SECONDS 0.5 /* until it is written first; then each time twice as long, up to */
#define USUAL_SECONDS 5.0
#define OFTEN 20 /* writing is to take no more than one part in so many of the time */

struct checkpoint {
	const char *path;
	json_t *head; /* all but what changes */
	double next, interval;
	bool failed; /* to be written: said once */
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool refuse(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(const char *path, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "quire check: %s: ", path);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return false;
}

/* ---- what a search is of ------------------------------------------------------------------------------- */

/* FNV-1a. "": it cannot be read. */
static void hash_file(const char *path, char out[20])
{
	FILE *file = fopen(path, "rb");
	uint64_t hash = 0xcbf29ce484222325ul;

	*out = 0;
	if (!file)
		return;
	for (int c; (c = getc(file)) != EOF;)
		hash = (hash ^ (unsigned char)c) * 0x100000001b3ul;
	if (!ferror(file))
		snprintf(out, 20, "%016" PRIx64, hash);
	fclose(file);
}

static json_t *without_json(const struct check_options *o)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < o->without_count; i++)
		json_array_append_new(list, json_string(o->without[i]));
	return list;
}

static json_t *head_of(const struct check *check)
{
	const struct check_options *o = check->options;
	char text[20], worker[20], program[PATH_MAX];

	worker_path(check, program);
	hash_file(check->path, text);
	hash_file(program, worker);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s?, s:o, s:i, s:i}", "quire", "checkpoint",
			 "version", VERSION, "file", check->path, "text", text, "worker", worker, "geometry",
			 check->litmus->header.geometry->name, "model",
			 o->model ? o->model : litmus_model_name(check->litmus->header.model), "asked",
			 o->model, "without", without_json(o), "shard", (int)o->shard, "shards",
			 (int)o->shards);
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool is_count(const json_t *number)
{
	return json_is_integer(number) && json_integer_value(number) >= 0;
}

static bool is_hash(const json_t *text)
{
	const char *s = json_string_value(text);

	return s && strlen(s) == 16 && strspn(s, "0123456789abcdef") == 16;
}

static bool are_parts(const json_t *done)
{
	size_t i;
	json_t *part;

	json_array_foreach(done, i, part) {
		if (!is_count(json_array_get(part, 0)) ||
		    json_integer_value(json_array_get(part, 0)) >= CLAIMS ||
		    !is_hash(json_array_get(part, 1)))
			return false;
	}
	return json_is_array(done);
}

static bool are_states(const json_t *states)
{
	size_t i;
	json_t *state;

	json_array_foreach(states, i, state) {
		if (!json_is_string(json_object_get(state, "state")) ||
		    !is_count(json_object_get(state, "count")) ||
		    !json_is_boolean(json_object_get(state, "holds")))
			return false;
	}
	return json_is_array(states);
}

static bool is_sound(const json_t *json)
{
	const json_t *result = json_object_get(json, "result"), *found = json_object_get(json, "found");
	static const char *const texts[] = { "file", "text", "worker", "geometry", "model" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!json_is_string(json_object_get(json, texts[i])))
			return false;
	if (!json_is_array(json_object_get(json, "without")) || !is_count(json_object_get(json, "shard")) ||
	    !is_count(json_object_get(json, "shards")))
		return false;
	if (!json_object_get(json, "frontier"))
		return true; /* nothing was searched yet */
	return is_count(json_object_get(json, "frontier")) && are_parts(json_object_get(json, "done")) &&
	       is_count(json_object_get(result, "executions")) &&
	       is_count(json_object_get(result, "holding")) && is_count(json_object_get(result, "failing")) &&
	       are_states(json_object_get(result, "states")) &&
	       (json_is_null(found) || json_is_string(json_object_get(found, "schedule")));
}

/* NULL: what is wrong has been said. */
static json_t *read_file(const char *path)
{
	json_error_t error;
	json_t *json = json_load_file(path, 0, &error);
	const json_t *version = json_object_get(json, "version");

	if (!json && access(path, R_OK))
		refuse(path, "%s", strerror(errno));
	else if (!json)
		refuse(path, "no checkpoint, or a damaged one: line %d: %s", error.line, error.text);
	else if (strcmp(json_text(json, "quire"), "checkpoint") != 0 || !json_is_integer(version))
		refuse(path, "not a checkpoint of quire check");
	else if (json_integer_value(version) != VERSION)
		refuse(path, "a checkpoint of version %lld; this program knows %d",
		       (long long)json_integer_value(version), VERSION);
	else if (!is_sound(json))
		refuse(path, "a damaged checkpoint");
	else
		return json;
	json_decref(json);
	return NULL;
}

/* What the user did not say is as it was. */
static void adopt(struct check_options *o)
{
	json_t *without = json_object_get(o->resumed, "without"), *name;
	size_t i;

	if (!o->path_count) {
		static const char *path;

		path = json_text(o->resumed, "file");
		o->paths = &path;
		o->path_count = 1;
	}
	if (!o->model)
		o->model = json_string_value(json_object_get(o->resumed, "asked"));
	if (!o->without_count)
		json_array_foreach(without, i, name)
			if (json_is_string(name) && i < CHECK_WITHOUT)
				o->without[o->without_count++] = json_string_value(name);
	if (!o->shards) {
		o->shard = (unsigned)json_number(o->resumed, "shard");
		o->shards = (unsigned)json_number(o->resumed, "shards");
	}
}

bool checkpoint_read(struct check_options *o)
{
	o->resumed = read_file(o->resume);
	if (!o->resumed)
		return false;
	adopt(o);
	if (!o->checkpoint)
		o->checkpoint = o->resume;
	return true;
}

/* ---- going on ------------------------------------------------------------------------------------------ */

static bool is_same_search(const struct check *check, const json_t *head)
{
	static const struct {
		const char *key, *what;
	} parts[] = {
		{ "geometry", "of another geometry" },
		{ "text", "of another text of the file" },
		{ "model", "of another memory model" },
		{ "without", "of a search with other safeguards switched off" },
		{ "shard", "of another share" },
		{ "shards", "of another share" },
		{ "worker", "of another build of the core: begin again" },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!json_equal(json_object_get(head, parts[i].key),
				json_object_get(check->options->resumed, parts[i].key)))
			return refuse(check->options->resume, "%s (%s)", parts[i].what, check->path);
	return true;
}

/* A new search does not take the place of something else. */
static bool may_write(const struct check_options *o)
{
	json_t *old;

	if (o->resumed || access(o->checkpoint, F_OK))
		return true;
	old = json_load_file(o->checkpoint, 0, NULL);
	bool is_one = strcmp(json_text(old, "quire"), "checkpoint") == 0;
	bool is_over = json_is_true(json_object_get(old, "over"));
	json_decref(old);
	if (is_one && is_over)
		return true;
	return refuse(o->checkpoint, is_one ? "has a search that is not over: --resume it, or remove it"
					    : "is there already, and no checkpoint");
}

bool checkpoint_begin(struct check *check)
{
	const struct check_options *o = check->options;
	struct checkpoint *c = calloc(1, sizeof(*c));

	if (!c)
		abort();
	c->path = o->checkpoint;
	c->head = head_of(check);
	c->interval = FIRST_SECONDS;
	check->checkpoint = c;
	if (!is_shareable(check))
		return refuse(check->path,
			      "only complete searches have checkpoints: no bounded, no sampled ones");
	if (!o->resumed)
		return may_write(o) && checkpoint_write(check);
	if (!is_same_search(check, c->head))
		return false;
	unsigned frontier = (unsigned)json_number(o->resumed, "frontier");
	if (!frontier)
		return true;
	if (!parts_begin(check, frontier))
		return refuse(c->path, "no shared memory: %s", strerror(errno));
	parts_know(check, json_object_get(o->resumed, "done"), json_object_get(o->resumed, "result"),
		   json_object_get(o->resumed, "found"));
	return true;
}

void checkpoint_look(struct check *check)
{
	if (now() >= check->checkpoint->next)
		checkpoint_write(check);
}

void checkpoint_end(struct check *check, bool is_complete)
{
	if (is_complete)
		json_object_set_new(check->checkpoint->head, "over", json_true());
	checkpoint_write(check);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static bool write_file(const struct checkpoint *c, json_t *json)
{
	char *beside;
	bool good;

	if (asprintf(&beside, "%s.new", c->path) < 0)
		abort();
	FILE *file = fopen(beside, "w");
	good = file && json_dumpf(json, file, JSON_COMPACT) == 0 && putc('\n', file) != EOF;
	good = file && fflush(file) == 0 && fsync(fileno(file)) == 0 && good;
	good = file && fclose(file) == 0 && good;
	good = good && rename(beside, c->path) == 0;
	if (!good) {
		int error = errno;

		unlink(beside);
		errno = error;
	}
	free(beside);
	return good;
}

bool checkpoint_write(struct check *check)
{
	struct checkpoint *c = check->checkpoint;
	double began = now();
	json_t *json = json_copy(c->head);

	if (check->parts) {
		json_object_set_new(json, "frontier", json_integer(parts_frontier(check)));
		json_object_set_new(json, "executions",
				    json_integer(json_number(parts_result(check), "executions")));
		json_object_set(json, "done", parts_done(check));
		json_object_set(json, "result", parts_result(check));
		json_object_set(json, "found", parts_found(check));
	}
	bool good = write_file(c, json);
	if (!good && !c->failed)
		refuse(c->path, "cannot be written: %s", strerror(errno));
	c->failed = !good;
	json_decref(json);
	c->interval = c->interval * 2 < USUAL_SECONDS ? c->interval * 2 : USUAL_SECONDS;
	if (c->interval < (now() - began) * OFTEN)
		c->interval = (now() - began) * OFTEN;
	c->next = now() + c->interval;
	return good;
}

void checkpoint_interrupted(struct check *check)
{
	if (!checkpoint_write(check))
		return;
	fprintf(stderr,
		"\nquire check: interrupted after %lld executions; go on with: quire check --resume %s\n",
		check->parts ? (long long)json_number(parts_result(check), "executions") : 0ll,
		check->checkpoint->path);
}
