/*
 * pool.c - worker processes: as many at a time as was asked for, over as many checks as there are.
 *
 * A worker writes lines of JSON; all are read by one loop. When one of those that share a check has found
 * what is wrong, the others stop by themselves (worker/share.c): their counts are not needed any more.
 */
#include "lab/check/check.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_STAGE = 20000, USUAL_SECONDS = 60, ARGUMENTS = 64 };

struct worker {
	struct check *check;
	pid_t pid;
	int from;
	char *line; /* what was read of the next one */
	size_t bytes, room;
	uint64_t progress;
	bool answered;
};

struct pool {
	struct check *checks;
	unsigned count, jobs, told; /* checks before told have been handed to done() */
	struct worker workers[CHECK_WORKERS];
	unsigned running;
	double began, last_progress;
	bool showed_progress;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- a worker's command line --------------------------------------------------------------------------- */

void worker_path(const struct check *check, char *out)
{
	ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 40);

	out[length > 0 ? length : 0] = 0;
	char *slash = strrchr(out, '/');

	snprintf(slash ? slash + 1 : out, 40, "quire-check-%s", check->litmus->header.geometry->name);
}

struct arguments {
	char *words[ARGUMENTS + 1];
	unsigned count;
};

static void add(struct arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *a, const char *format, ...)
{
	va_list arguments;

	if (a->count == ARGUMENTS)
		abort();
	va_start(arguments, format);
	if (vasprintf(&a->words[a->count++], format, arguments) < 0)
		abort();
	va_end(arguments);
}

/* The first stage has used up some of the budget. */
static double seconds_left(const struct check *check)
{
	double all = check->options->seconds > 0	 ? check->options->seconds
		     : check->litmus->header.seconds > 0 ? check->litmus->header.seconds
							 : USUAL_SECONDS;
	double left = all - (now() - check->began);

	return left > 1 ? left : 1;
}

static void add_parts(struct arguments *a, const struct check *check)
{
	const char *found = json_text(parts_found(check), "schedule");

	add(a, "--claims=%d", parts_claims(check));
	if (parts_frontier(check))
		add(a, "--frontier=%u", parts_frontier(check));
	if (!check->running && *found)
		add(a, "--witness=%s", found);
}

static void add_search(struct arguments *a, const struct check *check, unsigned shard, unsigned shards)
{
	const struct check_options *o = check->options;

	if (o->bound >= 0)
		add(a, "--bound=%d", o->bound);
	if (o->random)
		add(a, "--%s=%llu", o->pos ? "pos" : "pct",
		    (unsigned long long)(o->random / (shards ? shards : 1)));
	if (check->shared)
		add(a, "--seconds=%f", seconds_left(check));
	else if (o->seconds > 0)
		add(a, "--seconds=%f", o->seconds);
	if (o->executions)
		add(a, "--executions=%llu", (unsigned long long)o->executions);
	add(a, "--seed=%llu", (unsigned long long)(o->seed + shard));
	if (o->optimal)
		add(a, "--optimal");
	if (check->parts)
		add_parts(a, check);
	if (shards)
		add(a, "--shard=%u", shard);
	if (shards)
		add(a, "--shards=%u", shards);
	else if (!o->optimal && !check->parts)
		add(a, "--at-most=%d", FIRST_STAGE);
}

static void add_circle(struct arguments *a, const json_t *order)
{
	add(a, "--replay=%s", json_text(order, "schedule"));
	add(a, "--order=%d,%d,%d", (int)json_number(order, "held"), (int)json_number(order, "taken"),
	    (int)json_number(order, "how"));
}

static void make_arguments(struct arguments *a, const struct check *check, const char *program,
			   unsigned shard, unsigned shards)
{
	const struct check_options *o = check->options;

	add(a, "%s", program);
	if (o->model)
		add(a, "--model=%s", o->model);
	for (unsigned i = 0; i < o->without_count; i++)
		add(a, "--without=%s", o->without[i]);
	if (check->zoo)
		add(a, "--without=%s", check->zoo);
	if (check->zoo && !o->verbose && !o->json)
		add(a, "--quick"); /* its witness is not printed */
	if (o->html || o->dot)
		add(a, "--tables");
	if (o->lines)
		add(a, "--lines");
	if (check->circle)
		add_circle(a, circle_last(check->circle));
	else if (o->replay)
		add(a, "--replay=%s", o->replay);
	else
		add_search(a, check, shard, shards);
	add(a, "--");
	add(a, "%s", check->path);
}

/* ---- starting ------------------------------------------------------------------------------------------ */

static void free_arguments(struct arguments *a)
{
	for (unsigned i = 0; i < a->count; i++)
		free(a->words[i]);
}

static void give_up(struct check *check, const char *text)
{
	if (!check->mistake)
		check->mistake = strdup(text);
}

static void start_worker(struct pool *pool, struct check *check, unsigned shard, unsigned shards)
{
	struct worker *worker = &pool->workers[pool->running];
	struct arguments a = { 0 };
	char program[PATH_MAX];
	int pipes[2];

	check->state = CHECK_RUNNING;
	worker_path(check, program);
	if (access(program, X_OK)) {
		check->missing = true;
		give_up(check, program);
		return;
	}
	if (pipe(pipes)) {
		give_up(check, strerror(errno));
		return;
	}
	make_arguments(&a, check, program, shard, shards);
	fflush(NULL);
	*worker = (struct worker){ .check = check, .from = pipes[0], .pid = fork() };
	if (worker->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv(program, a.words);
		_exit(127);
	}
	free_arguments(&a);
	close(pipes[1]);
	if (worker->pid < 0) {
		close(pipes[0]);
		give_up(check, strerror(errno));
		return;
	}
	check->running++;
	pool->running++;
}

bool is_shareable(const struct check *check)
{
	const struct check_options *o = check->options;

	return o->bound < 0 && check->litmus->header.bound < 0 && !o->random && !o->optimal && !o->replay;
}

/* At once: its parts are known, or only some of them are to be searched. */
static bool is_shared(const struct check *check)
{
	return check->parts || (check->options->shards && is_shareable(check));
}

/*
 * All workers at one check, each beginning as soon as there is room: some wait in the operating system's
 * queue.
 */
static void start_shared(struct pool *pool, struct check *check, unsigned frontier)
{
	const struct check_options *o = check->options;

	check->shared = true;
	if (!check->parts && !parts_begin(check, frontier)) {
		give_up(check, strerror(errno));
		return;
	}
	for (unsigned j = 0; j < o->jobs && pool->running < CHECK_WORKERS; j++)
		start_worker(pool, check, o->shard, o->shards);
}

static void start(struct pool *pool, struct check *check)
{
	check->began = check->ended = now();
	if (check->litmus && check->options->shards && !is_shareable(check))
		give_up(check, "1:1: a bounded search is not shared: no --shard");
	if (check->litmus == NULL || check->mistake || check->result)
		check->state = CHECK_DONE; /* a result: of an earlier search, which was over */
	else if (is_shared(check))
		start_shared(pool, check, 0);
	else
		start_worker(pool, check, 0, 0);
	if (check->state == CHECK_RUNNING && !check->running)
		check->state = CHECK_DONE;
}

/* First those that only one worker can be at, and that may take long: the others then fill what is left. */
static void start_waiting(struct pool *pool)
{
	for (unsigned late = 0; late < 2; late++) {
		for (unsigned i = 0; i < pool->count && pool->running < pool->jobs; i++) {
			struct check *check = &pool->checks[i];

			if (check->state == CHECK_WAITING &&
			    (late || (check->litmus && !is_shareable(check))))
				start(pool, check);
		}
	}
}

/* ---- what workers say ---------------------------------------------------------------------------------- */

static void take_mistake(struct worker *worker, const json_t *mistake)
{
	char text[600];

	snprintf(text, sizeof(text), "%d:%d: %s", (int)json_number(mistake, "line"),
		 (int)json_number(mistake, "column"), json_text(mistake, "text"));
	give_up(worker->check, text);
}

static void take_line(struct worker *worker, const char *line, size_t bytes)
{
	json_t *json = json_loadb(line, bytes, 0, NULL);
	json_t *progress = json_object_get(json, "progress"), *result = json_object_get(json, "result");
	json_t *mistake = json_object_get(json, "mistake"), *parts = json_object_get(json, "parts");

	if (parts && worker->check->parts)
		parts_take(worker->check, parts);
	if (parts && worker->check->checkpoint)
		checkpoint_look(worker->check);
	if (progress) {
		uint64_t executions = (uint64_t)json_number(progress, "executions");

		worker->check->progress += executions - worker->progress;
		worker->progress = executions;
	}
	worker->answered |= result || mistake;
	if (mistake)
		take_mistake(worker, mistake);
	if (result && worker->check->circle)
		circle_shown(worker->check->result, worker->check->circle,
			     json_object_get(result, "witness"));
	else if (result)
		merge_result(worker->check, json_incref(result));
	json_decref(json);
}

static void take_lines(struct worker *worker)
{
	char *start = worker->line, *end = worker->line + worker->bytes, *newline;

	while ((newline = memchr(start, '\n', (size_t)(end - start)))) {
		take_line(worker, start, (size_t)(newline - start));
		start = newline + 1;
	}
	worker->bytes = (size_t)(end - start);
	memmove(worker->line, start, worker->bytes);
}

/* False at its end. */
static bool read_worker(struct worker *worker)
{
	ssize_t got;

	if (worker->room - worker->bytes < 65536) {
		worker->room = worker->room ? worker->room * 2 : 1 << 17;
		worker->line = realloc(worker->line, worker->room);
		if (!worker->line)
			abort();
	}
	got = read(worker->from, worker->line + worker->bytes, worker->room - worker->bytes);
	if (got < 0 && errno == EINTR)
		return true;
	if (got <= 0)
		return false;
	worker->bytes += (size_t)got;
	take_lines(worker);
	return true;
}

static void died(const struct worker *worker, int status)
{
	char text[100];

	if (worker->answered)
		return;
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "1:1: the worker died of signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "1:1: the worker ended with status %d and no result",
			 WEXITSTATUS(status));
	give_up(worker->check, text);
}

/* Locks are taken in a circle by different executions: one of them is to be shown. False: that is not so. */
static bool show_circle(struct pool *pool, struct check *check)
{
	if (check->mistake || check->circle)
		return false;
	check->circle = circle_found(check->result);
	if (check->circle)
		start_worker(pool, check, 0, 0);
	return check->running;
}

/* A search that one worker was not through with is begun again by all; else the check is done. */
static void check_ended(struct pool *pool, struct check *check)
{
	if (!check->mistake && check->result && !check->shared &&
	    strcmp(json_text(check->result, "stopped"), "share") == 0) {
		unsigned frontier = (unsigned)json_number(check->result, "frontier");

		json_decref(check->result);
		check->result = NULL;
		check->progress = 0;
		start_shared(pool, check, frontier);
		if (check->running)
			return;
	}
	if (check->parts && !check->circle)
		parts_end(check);
	if (show_circle(pool, check))
		return;
	if (check->checkpoint)
		checkpoint_end(check, json_is_true(json_object_get(check->result, "complete")));
	check->ended = now();
	check->state = CHECK_DONE;
}

static void reap(struct pool *pool, unsigned index)
{
	struct worker worker = pool->workers[index];
	int status = 0;

	close(worker.from);
	while (waitpid(worker.pid, &status, 0) < 0 && errno == EINTR)
		;
	died(&worker, status);
	free(worker.line);
	pool->workers[index] = pool->workers[--pool->running];
	if (!--worker.check->running)
		check_ended(pool, worker.check);
}

/* ---- the loop ------------------------------------------------------------------------------------------ */

static void show_progress(struct pool *pool)
{
	bool terminal = isatty(STDERR_FILENO);
	double time = now();
	unsigned done = 0;

	if (time - pool->last_progress < (terminal ? 1 : 10))
		return;
	pool->last_progress = time;
	for (unsigned i = 0; i < pool->count; i++)
		done += pool->checks[i].state == CHECK_DONE;
	for (unsigned i = 0; i < pool->count; i++) {
		const struct check *check = &pool->checks[i];

		if (check->state != CHECK_RUNNING)
			continue;
		fprintf(stderr, "%s%u of %u done; %s: %llu executions in %.0f s%s",
			terminal ? "\r\033[K" : "", done, pool->count, check->litmus->name,
			(unsigned long long)check->progress, time - check->began, terminal ? "" : "\n");
		pool->showed_progress = terminal;
		break;
	}
	fflush(stderr);
}

static void tell_done(struct pool *pool, void (*done)(struct check *check, void *data), void *data)
{
	while (pool->told < pool->count && pool->checks[pool->told].state == CHECK_DONE) {
		if (pool->showed_progress)
			fputs("\r\033[K", stderr);
		pool->showed_progress = false;
		done(&pool->checks[pool->told++], data);
	}
}

/* ---- being interrupted --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
}

static void expect_interruption(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* What workers have told so far is kept; they and we end. */
static void give_way(struct pool *pool)
{
	for (unsigned i = 0; i < pool->running; i++)
		kill(pool->workers[i].pid, SIGKILL);
	for (unsigned i = 0; i < pool->count; i++)
		if (pool->checks[i].checkpoint)
			checkpoint_interrupted(&pool->checks[i]);
	signal(interrupted, SIG_DFL);
	raise(interrupted);
}

void pool_run(struct check *checks, unsigned count, void (*done)(struct check *check, void *data), void *data)
{
	static struct pool pool;
	struct pollfd polls[CHECK_WORKERS];

	pool = (struct pool){ .checks = checks, .count = count, .began = now(), .last_progress = now() };
	pool.jobs = count ? checks[0].options->jobs : 1;
	if (count && checks[0].checkpoint)
		expect_interruption();
	for (;;) {
		start_waiting(&pool);
		tell_done(&pool, done, data);
		if (!pool.running && pool.told == count)
			break;
		for (unsigned i = 0; i < pool.running; i++)
			polls[i] = (struct pollfd){ .fd = pool.workers[i].from, .events = POLLIN };
		unsigned polled = pool.running;

		poll(polls, polled, 500);
		if (interrupted)
			give_way(&pool);
		/* From the last on: reaping moves the last into the gap. */
		for (unsigned i = polled; i-- > 0;)
			if (polls[i].revents && !read_worker(&pool.workers[i]))
				reap(&pool, i);
		show_progress(&pool);
	}
}
