/*
 * checkpoint.c - a search that may be interrupted: what is known of it, in a file, and going on from there.
 *
 * Large searches are cut into parts (parts.c); of these it is known at any moment which are done, and what
 * came of them. That is what the file has; every few seconds, at the end, and when we are interrupted it is
 * written anew, beside the old one and then in its place. Whoever is killed loses the parts that were under
 * way.
 *
 *	{ "quire": "checkpoint", "version": 3,
 *	  "file": "litmus/x.litmus", "text": hash, "worker": hash,	what was searched, and by which build
 *	  "geometry", "model", "asked" (of --model), "without", "shard", "shards",
 *	  "over": true, when all is done; then "end" is the whole result, and nothing is searched again
 *	  "frontier": 96, how deep parts begin; without it nothing was searched yet
 *	  "executions": 12000,						for people
 *	  "done": [[part, hash of the way to it], ...],
 *	  "result": what these parts add up to, as workers tell it,
 *	  "found": the best schedule that contradicts the file, or null,
 *	  "seal": hash of all that stands before it }
 *
 * The seal is no secret: it finds what was cut, mixed up or edited by mistake.
 *
 * Going on is safe only if parts have the same numbers: the same text, the same core. Hashes say so; and each
 * worker compares the way to each part as it passes by.
 *
 * Errors:  one line, and false; the command then exits with status 2.
 */
#include "lab/check/check.h"

#include "lab/check/claims.h"
#include "lab/check/zoo.h"
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	VERSION = 3,
	SHARES = 65536, /* at most, as of --shard */
	DEEPEST = 65536,
};
#define MOST (1ll << 53)  /* of whatever is counted: more was never run */
#define FIRST_SECONDS 0.1 /* until it is written first; then each time twice as long, up to */
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

/* FNV-1a. */
static const uint64_t nothing_hashed = 0xcbf29ce484222325ul;

static uint64_t hash_byte(uint64_t hash, int byte)
{
	return (hash ^ (unsigned char)byte) * 0x100000001b3ul;
}

/* "": it cannot be read. */
static void hash_file(const char *path, char out[20])
{
	FILE *file = fopen(path, "rb");
	uint64_t hash = nothing_hashed;

	*out = 0;
	if (!file)
		return;
	for (int c; (c = getc(file)) != EOF;)
		hash = hash_byte(hash, c);
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

/* As it is written but for the seal, and what that is then. */
static char *text_of(const json_t *json, char seal[20])
{
	char *text = json_dumps(json, JSON_COMPACT);
	uint64_t hash = nothing_hashed;

	if (!text)
		abort();
	for (const char *c = text; *c; c++)
		hash = hash_byte(hash, *c);
	snprintf(seal, 20, "%016" PRIx64, hash);
	return text;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool is_up_to(const json_t *number, json_int_t least, json_int_t most)
{
	return json_is_integer(number) && json_integer_value(number) >= least &&
	       json_integer_value(number) <= most;
}

static bool is_count(const json_t *number)
{
	return is_up_to(number, 0, MOST);
}

static bool is_hash(const json_t *text)
{
	const char *s = json_string_value(text);

	return s && strlen(s) == 16 && strspn(s, "0123456789abcdef") == 16;
}

/* Each once, and of this share. */
static bool are_parts(const json_t *done, json_int_t shard, json_int_t shards)
{
	bool *known = calloc(CLAIMS, sizeof(*known)), sound = known && json_is_array(done);
	size_t i;
	json_t *part;

	json_array_foreach(done, i, part) {
		json_int_t number = json_integer_value(json_array_get(part, 0));

		sound = sound && is_up_to(json_array_get(part, 0), 0, CLAIMS - 1) && !known[number] &&
			(!shards || number % shards == shard) && is_hash(json_array_get(part, 1));
		if (!sound)
			break;
		known[number] = true;
	}
	free(known);
	return sound;
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

static bool are_orders(const json_t *orders)
{
	size_t i;
	json_t *order;

	json_array_foreach(orders, i, order)
		if (!is_order(order) || !is_count(json_object_get(order, "part")))
			return false;
	return json_is_array(orders);
}

static bool is_result(const json_t *result)
{
	static const char *const counts[] = { "executions",   "blocked", "given_up", "transitions",
					      "instrumented", "run",	 "holding",  "failing",
					      "violations",   "longest" };
	const json_t *witness = json_object_get(result, "witness");

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (!is_count(json_object_get(result, counts[i])))
			return false;
	return json_is_real(json_object_get(result, "cpu")) &&
	       are_states(json_object_get(result, "states")) &&
	       json_is_array(json_object_get(result, "hot")) &&
	       are_orders(json_object_get(result, "orders")) &&
	       json_is_boolean(json_object_get(result, "complete")) &&
	       (json_is_null(witness) || json_is_object(witness));
}

/* Of what the search was: these become options. */
static bool is_asked(const json_t *json)
{
	static const char *const texts[] = { "file", "text", "worker", "geometry", "model" };
	const json_t *without = json_object_get(json, "without"), *asked = json_object_get(json, "asked");
	json_int_t shards = json_number(json, "shards");
	enum litmus_model model;
	size_t i;
	json_t *name;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!json_is_string(json_object_get(json, texts[i])))
			return false;
	json_array_foreach(without, i, name)
		if (!json_is_string(name) || !zoo_find(json_string_value(name)))
			return false;
	return json_is_array(without) && json_array_size(without) <= CHECK_WITHOUT &&
	       (json_is_null(asked) ||
		(json_is_string(asked) && litmus_model_by_name(json_string_value(asked), &model))) &&
	       is_up_to(json_object_get(json, "shards"), 0, SHARES) &&
	       is_up_to(json_object_get(json, "shard"), 0, shards ? shards - 1 : 0);
}

static bool is_sound(const json_t *json)
{
	const json_t *found = json_object_get(json, "found"), *over = json_object_get(json, "over");

	if (!is_asked(json))
		return false;
	if (over && !(json_is_true(over) && is_result(json_object_get(json, "end"))))
		return false;
	if (!json_object_get(json, "frontier"))
		return true; /* no part was searched yet */
	return is_up_to(json_object_get(json, "frontier"), 1, DEEPEST) &&
	       are_parts(json_object_get(json, "done"), json_number(json, "shard"),
			 json_number(json, "shards")) &&
	       is_result(json_object_get(json, "result")) &&
	       (json_is_null(found) || json_is_string(json_object_get(found, "schedule")));
}

/* The seal is right, and taken off. */
static bool is_sealed(json_t *json)
{
	json_t *seal = json_incref(json_object_get(json, "seal"));
	char right[20];

	json_object_del(json, "seal");
	free(text_of(json, right));
	bool is_right = json_is_string(seal) && strcmp(json_string_value(seal), right) == 0;
	json_decref(seal);
	return is_right;
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
	else if (!is_sealed(json))
		refuse(path, "the checkpoint was altered or cut");
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

	if ((o->resume && strcmp(o->checkpoint, o->resume) == 0) || access(o->checkpoint, F_OK))
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

static bool write_file(const struct checkpoint *c, json_t *json);

/* What was searched to its end is told once more. */
static bool know_end(struct check *check)
{
	const struct check_options *o = check->options;
	struct checkpoint *c = check->checkpoint;
	bool good = strcmp(o->checkpoint, o->resume) == 0 || write_file(c, o->resumed);

	check->result = json_incref(json_object_get(o->resumed, "end"));
	check->shared = json_object_get(o->resumed, "frontier") != NULL;
	check->checkpoint = NULL;
	if (!good)
		refuse(c->path, "cannot be written: %s", strerror(errno));
	json_decref(c->head);
	free(c);
	return good;
}

/* Its parts that are done, if it was cut into parts at all. */
static bool know_parts(struct check *check)
{
	const json_t *resumed = check->options->resumed;
	unsigned frontier = (unsigned)json_number(resumed, "frontier");

	if (!frontier)
		return true;
	if (!parts_begin(check, frontier))
		return refuse(check->checkpoint->path, "no shared memory: %s", strerror(errno));
	parts_know(check, json_object_get(resumed, "done"), json_object_get(resumed, "result"),
		   json_object_get(resumed, "found"));
	return true;
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
	if (!may_write(o))
		return false;
	if (!o->resumed)
		return checkpoint_write(check);
	if (!is_same_search(check, c->head))
		return false;
	/* Pictures want a witness's tables, which are not kept. */
	if (json_is_true(json_object_get(o->resumed, "over")) && !o->html && !o->dot)
		return know_end(check);
	return know_parts(check);
}

void checkpoint_look(struct check *check)
{
	if (now() >= check->checkpoint->next)
		checkpoint_write(check);
}

void checkpoint_end(struct check *check, bool is_complete)
{
	if (is_complete) {
		json_object_set_new(check->checkpoint->head, "over", json_true());
		json_object_set(check->checkpoint->head, "end", check->result);
	}
	checkpoint_write(check);
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static bool write_file(const struct checkpoint *c, json_t *json)
{
	char *beside, seal[20], *text = text_of(json, seal);
	bool good;

	if (asprintf(&beside, "%s.new", c->path) < 0)
		abort();
	FILE *file = fopen(beside, "w");
	text[strlen(text) - 1] = 0; /* the bracket */
	good = file && fprintf(file, "%s,\"seal\":\"%s\"}\n", text, seal) > 0;
	free(text);
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

	if (check->parts && parts_frontier(check)) {
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
