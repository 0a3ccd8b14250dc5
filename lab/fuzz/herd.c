/*
 * herd.c - worker processes that run random programs, and what they say.
 *
 * Worker j of J has the numbers first + j, first + j + J, ... A worker tells the number of each program
 * before it runs it, so that one which dies has named what it died of. When there are enough findings,
 * those workers go on that have not yet passed the last of them: a smaller number may still be found.
 */
#include "programs.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS = 32, LINE_BYTES = 1 << 16 };

struct worker {
	struct herd *herd;
	struct programs_finding *shrinks; /* NULL: it runs one after the other */
	pid_t pid;
	int from;
	char *line; /* what was read of the next one */
	size_t bytes, room;
	struct programs_counts counts; /* told last */
	uint64_t at;
	bool has_ended, killed;
};

struct arguments {
	char *words[ARGUMENTS + 1];
	unsigned count;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

bool herd_find(struct herd *herd)
{
	ssize_t length = readlink("/proc/self/exe", herd->worker, sizeof(herd->worker) - 40);

	herd->worker[length > 0 ? length : 0] = 0;
	char *slash = strrchr(herd->worker, '/');

	snprintf(slash ? slash + 1 : herd->worker, 40, "quire-check-%s", herd->options->geometry);
	return access(herd->worker, X_OK) == 0;
}

/* ---- starting --------------------------------------------------------------------------------------- */

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

static void add_common(struct arguments *a, const struct herd *herd)
{
	const struct programs_options *o = herd->options;

	add(a, "%s", herd->worker);
	add(a, "--fuzz");
	add(a, "--model=%s", o->model);
	add(a, "--seed=%llu", (unsigned long long)o->seed);
	add(a, "--executions=%llu", (unsigned long long)o->executions);
	for (unsigned i = 0; i < o->without_count; i++)
		add(a, "--without=%s", o->without[i]);
}

static int start(struct worker *worker, struct arguments *a)
{
	int pipes[2], error;

	if (pipe(pipes))
		return errno;
	fflush(NULL);
	worker->from = pipes[0];
	worker->pid = fork();
	error = errno;
	if (worker->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execv(a->words[0], a->words);
		_exit(127);
	}
	close(pipes[1]);
	for (unsigned i = 0; i < a->count; i++)
		free(a->words[i]);
	if (worker->pid > 0)
		return 0;
	close(pipes[0]);
	return error;
}

/* ---- what they say ---------------------------------------------------------------------------------- */

static uint64_t unsigned_of(const json_t *object, const char *key)
{
	return (uint64_t)json_number(object, key);
}

/* Those with the smallest numbers are kept, in order. */
static void keep_finding(struct herd *herd, uint64_t number, json_t *found)
{
	unsigned at = herd->findings;

	while (at > 0 && herd->finding[at - 1].number > number)
		at--;
	if (at >= herd->options->findings)
		return;
	if (herd->findings == herd->options->findings)
		json_decref(herd->finding[--herd->findings].found);
	memmove(&herd->finding[at + 1], &herd->finding[at], (herd->findings - at) * sizeof(*herd->finding));
	herd->finding[at] = (struct programs_finding){ .number = number, .found = json_incref(found) };
	herd->findings++;
}

static void take_counts(struct worker *worker, const json_t *json)
{
	struct programs_counts *all = &worker->herd->counts, *told = &worker->counts;
	struct programs_counts new = {
		.programs = unsigned_of(json, "programs"),
		.unusable = unsigned_of(json, "unusable"),
		.executions = unsigned_of(json, "executions"),
		.transitions = unsigned_of(json, "transitions"),
	};

	all->programs += new.programs - told->programs;
	all->unusable += new.unusable - told->unusable;
	all->executions += new.executions - told->executions;
	all->transitions += new.transitions - told->transitions;
	*told = new;
}

static void tell_shrinking(const struct worker *worker, const json_t *json)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r\033[Kprogram %llu: %lld candidates, %lld records left",
		(unsigned long long)worker->shrinks->number, (long long)json_number(json, "trials"),
		(long long)json_number(json, "records"));
	fflush(stderr);
}

static void take_line(struct worker *worker, const char *line, size_t bytes)
{
	json_t *json = json_loadb(line, bytes, 0, NULL), *part;

	if ((part = json_object_get(json, "at"))) {
		take_counts(worker, part);
		worker->at = unsigned_of(part, "number");
	} else if ((part = json_object_get(json, "finding"))) {
		keep_finding(worker->herd, unsigned_of(part, "number"), part);
	} else if ((part = json_object_get(json, "ended"))) {
		if (!worker->shrinks)
			take_counts(worker, part);
		worker->has_ended = true;
	} else if ((part = json_object_get(json, "shrinking"))) {
		tell_shrinking(worker, part);
	} else if ((part = json_object_get(json, "shrunk"))) {
		worker->shrinks->shrunk = json_incref(part);
		worker->has_ended = true;
	} else if ((part = json_object_get(json, "result"))) {
		worker->shrinks->result = json_incref(part);
	}
	json_decref(json);
}

/* False at its end. */
static bool read_worker(struct worker *worker)
{
	char *start, *end, *newline;
	ssize_t got;

	if (worker->room - worker->bytes < LINE_BYTES) {
		worker->room = worker->room ? worker->room * 2 : 2 * LINE_BYTES;
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
	start = worker->line;
	end = start + worker->bytes;
	while ((newline = memchr(start, '\n', (size_t)(end - start)))) {
		take_line(worker, start, (size_t)(newline - start));
		start = newline + 1;
	}
	worker->bytes = (size_t)(end - start);
	memmove(worker->line, start, worker->bytes);
	return true;
}

/*
 * The worker itself is gone, with all that it was to do: that is a finding about the program that it was in.
 */
static void died(struct worker *worker, int status)
{
	uint8_t bytes[PROGRAM_BYTES];
	char hex[2 * PROGRAM_BYTES + 1], text[80];
	json_t *found;

	program_to_hex(bytes, program_generate(worker->herd->options->seed, worker->at, bytes), hex);
	if (WIFSIGNALED(status))
		snprintf(text, sizeof(text), "the worker died of signal %d", WTERMSIG(status));
	else
		snprintf(text, sizeof(text), "the worker ended with status %d", WEXITSTATUS(status));
	found = json_pack("{s:I, s:s, s:s, s:s, s:s}", "number", (json_int_t)worker->at, "kind", "worker",
			  "class", "worker", "text", text, "bytes", hex);
	keep_finding(worker->herd, worker->at, found);
	json_decref(found);
}

static void reap(struct worker *worker)
{
	int status = 0;

	close(worker->from);
	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	free(worker->line);
	if (!worker->has_ended && !worker->killed && !worker->shrinks)
		died(worker, status);
	worker->pid = 0;
}

/* ---- one after the other ---------------------------------------------------------------------------- */

/* It could only find what is not wanted any more. */
static bool is_needed(const struct worker *worker)
{
	const struct herd *herd = worker->herd;

	return herd->findings < herd->options->findings ||
	       worker->at <= herd->finding[herd->findings - 1].number;
}

static void show_progress(struct herd *herd, double *last)
{
	bool terminal = isatty(STDERR_FILENO);
	double time = now();

	if (time - *last < (terminal ? 1 : 10))
		return;
	*last = time;
	fprintf(stderr, "%s%llu programs, %.0f/s, %llu executions, %u findings%s", terminal ? "\r\033[K" : "",
		(unsigned long long)herd->counts.programs,
		(double)herd->counts.programs / (time - herd->began),
		(unsigned long long)herd->counts.executions, herd->findings, terminal ? "" : "\n");
	fflush(stderr);
}

static int start_share(struct herd *herd, struct worker *worker, unsigned share)
{
	const struct programs_options *o = herd->options;
	struct arguments a = { 0 };

	*worker = (struct worker){ .herd = herd, .at = o->first + share };
	add_common(&a, herd);
	add(&a, "--first=%llu", (unsigned long long)(o->first + share));
	add(&a, "--step=%u", o->jobs);
	if (o->programs)
		add(&a, "--programs=%llu", (unsigned long long)(o->first + o->programs));
	if (o->seconds > 0)
		add(&a, "--seconds=%f", o->seconds);
	return start(worker, &a);
}

/* Until the last has ended. */
static void attend(struct herd *herd, struct worker *workers, unsigned count)
{
	struct pollfd polls[HERD_WORKERS];
	double last = herd->began;

	for (unsigned running = count; running;) {
		for (unsigned i = 0; i < count; i++)
			polls[i] = (struct pollfd){ .fd = workers[i].pid ? workers[i].from : -1,
						    .events = POLLIN };
		poll(polls, count, 500);
		for (unsigned i = 0; i < count; i++) {
			struct worker *worker = &workers[i];

			if (!worker->pid || !polls[i].revents)
				continue;
			if (!read_worker(worker)) {
				reap(worker);
				running--;
			} else if (!worker->shrinks && !worker->killed && !is_needed(worker)) {
				worker->killed = true;
				kill(worker->pid, SIGKILL);
			}
		}
		if (!workers[0].shrinks)
			show_progress(herd, &last);
	}
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

int herd_run(struct herd *herd)
{
	static struct worker workers[HERD_WORKERS];
	unsigned count = 0;
	int error = 0;

	herd->began = now();
	while (!error && count < herd->options->jobs)
		if (!(error = start_share(herd, &workers[count], count)))
			count++;
	/* Without its share the numbers would have gaps. */
	for (unsigned i = 0; error && i < count; i++) {
		workers[i].killed = true;
		kill(workers[i].pid, SIGKILL);
	}
	attend(herd, workers, count);
	return error;
}

/* ---- as small as it gets ---------------------------------------------------------------------------- */

int herd_shrink(struct herd *herd, struct programs_finding *finding)
{
	struct worker worker = { .herd = herd, .shrinks = finding };
	struct arguments a = { 0 };
	int error;

	add_common(&a, herd);
	add(&a, "--number=%llu", (unsigned long long)finding->number);
	add(&a, "--shrink=%s", json_text(finding->found, "bytes"));
	if (herd->options->no_shrink)
		add(&a, "--no-shrink");
	error = start(&worker, &a);
	if (!error)
		attend(herd, &worker, 1);
	return error;
}
