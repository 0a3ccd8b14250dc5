/*
 * trial.c - one random program on the check machine: does an oracle speak?
 *
 * A program gets some executions of each random search, for what needs luck among many steps; and where
 * it is tiny also the beginning of the complete one, for what needs an exact order of a few.
 *
 *	parent					child
 *	fork ------------------------------->	decode, set up, search
 *						what an oracle says -> *outcome, shared
 *	what it says, or how it ended  <----	_Exit
 */
#include "lab/check/worker/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	TINY_STATEMENTS = 3,
	TINY_EXECUTIONS = 100,
	SETTLE_EXECUTIONS = 20000, /* a complete search that needs more is none to wait for */
	SETUP_STATUS = 3,	   /* machine.c: an oracle spoke before anything was scheduled */
};

/* ---- classes ------------------------------------------------------------------------------------------- */

/* "frame 12" and "frame 7", P0 and P1 are alike: what a violation says but for who and where. */
static void class_of(const char *text, char *out, size_t room)
{
	static const char *const known[] = {
		"stale frame",
		"two translations",
		"stale after return",
		"data that was never its own",
		"data race",
		"deadlock",
		"no end after",
		"order of locks",
		"leak",
		"walk of a table",
		"still committed",
		"waits for a folio lock",
		"sleeps in a",
		"sleeps with a",
		"moves data at",
		"faults for ever",
		"crashes (signal",
		"given back with its",
		"is freed twice",
	};
	const char *panic = strstr(text, "does not hold: ");
	size_t n = 0;

	if (panic) {
		snprintf(out, room, "%s", panic);
		return;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strstr(text, known[i])) {
			snprintf(out, room, "%s", known[i]);
			return;
		}
	}
	for (const char *c = text; *c && *c != ':' && n + 1 < room && n < 40; c++)
		out[n++] = (char)(*c >= '0' && *c <= '9' ? '#' : *c);
	out[n] = 0;
}

/* ---- in the child -------------------------------------------------------------------------------------- */

static unsigned count_statements(const struct litmus *litmus)
{
	unsigned count = 0;

	for (unsigned i = 0; i < litmus->column_count; i++)
		for (const struct litmus_statement *s = litmus->columns[i].body; s; s = s->next)
			count++;
	return count;
}

static void set_up(struct run *run, const struct trial_plan *plan, const char *text)
{
	struct litmus_mistake wrong;

	run->options = (struct worker_options){ .path = "program", .bound = -1, .seed = 1, .quick = true };
	run->began = run->told = now();
	run->litmus = litmus_parse(text, strlen(text), &wrong);
	if (!run->litmus) {
		fprintf(stderr, "the generator's own program: %u:%u: %s\n%s", wrong.at.line, wrong.at.column,
			wrong.text, text);
		abort();
	}
	run->cpus = run->litmus->column_count;
	run->model = (enum memory_model)plan->model;
	world_create(run);
}

static bool try_search(struct run *run, struct trial *out, const char *name, enum search_kind kind)
{
	run->options.kind = kind;
	run->stopped = NULL;
	search(run);
	out->executions += run->counts.executions;
	out->transitions += run->counts.transitions;
	snprintf(out->search, sizeof(out->search), "%s", name);
	return run->witness.kind != WITNESS_VIOLATION;
}

/* Depths 1 to 4 in turn: how many moments must be met. */
static void try_all(struct run *run, const struct trial_plan *plan, struct trial *out)
{
	run->options.samples = plan->executions;
	run->options.seed = plan->seed;
	run->options.executions = TINY_EXECUTIONS;
	if (count_statements(run->litmus) <= TINY_STATEMENTS &&
	    !try_search(run, out, "complete", SEARCH_FOR_FILE))
		return;
	run->options.executions = 0;
	run->options.bound = 1 + (int)(plan->seed % 4);
	if (try_search(run, out, "pct", SEARCH_BY_PCT))
		try_search(run, out, "pos", SEARCH_BY_POS);
}

/* A program of its own, but not one that goes on when nobody listens any more. */
static pid_t fork_trial(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_Exit(EXIT_BROKEN);
	}
	return pid;
}

static void silence(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (nowhere >= 0)
		dup2(nowhere, STDOUT_FILENO);
}

static _Noreturn void child(const struct trial_plan *plan, const char *text, struct trial *out, int errors)
{
	static struct run run;

	silence();
	dup2(errors, STDERR_FILENO);
	set_up(&run, plan, text);
	try_all(&run, plan, out);
	if (run.witness.kind == WITNESS_VIOLATION) {
		snprintf(out->text, sizeof(out->text), "%s", run.witness.text);
		out->kind = TRIAL_VIOLATION;
	}
	_Exit(0);
}

/* ---- in the parent ------------------------------------------------------------------------------------- */

static void *shared_memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED) {
		perror("quire check: no memory");
		exit(EXIT_BROKEN);
	}
	return at;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	if (pid < 0) {
		perror("quire check: no process");
		exit(EXIT_BROKEN);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* What it has said last. */
static void read_errors(int errors, char *out, size_t room)
{
	ssize_t got = pread(errors, out, room - 1, 0);

	out[got > 0 ? got : 0] = 0;
	out[strcspn(out, "\n")] = 0;
	if (ftruncate(errors, 0) || lseek(errors, 0, SEEK_SET) < 0)
		exit(EXIT_BROKEN);
}

/* It did not come to its end. */
static void judge_ending(struct trial *out, int status, int errors)
{
	char said[sizeof(out->text) - 40];

	read_errors(errors, said, sizeof(said));
	if (WIFSIGNALED(status)) {
		out->kind = TRIAL_CRASH;
		snprintf(out->text, sizeof(out->text), "signal %d%s%s", WTERMSIG(status), *said ? ": " : "",
			 said);
	} else if (WEXITSTATUS(status) == EXIT_BAD_FILE) {
		out->kind = TRIAL_UNUSABLE;
	} else if (WEXITSTATUS(status) == SETUP_STATUS) {
		out->kind = TRIAL_SETUP;
		snprintf(out->text, sizeof(out->text), "%s", *said ? said : "set-up");
	} else if (WEXITSTATUS(status)) {
		out->kind = TRIAL_CRASH;
		snprintf(out->text, sizeof(out->text),
			 "an execution does not end: a loop without a step in it");
	}
}

void trial_run(const struct trial_plan *plan, const uint8_t *bytes, size_t count, struct trial *out)
{
	static struct trial *shared;
	static int errors = -1;
	struct program_header header = { .geometry = QUIRE_GEOMETRY_NAME, .bound = -1 };
	char *text = program_text(bytes, count, &header);
	int status;

	if (!text)
		exit(EXIT_BROKEN);
	if (!shared)
		shared = shared_memory(sizeof(*shared));
	if (errors < 0)
		errors = memfd_create("said", MFD_CLOEXEC);
	*shared = (struct trial){ .kind = TRIAL_CLEAN };

	pid_t pid = fork_trial();

	if (pid == 0)
		child(plan, text, shared, errors);
	status = wait_for(pid);
	*out = *shared;
	if (status)
		judge_ending(out, status, errors);
	if (out->kind == TRIAL_VIOLATION || out->kind == TRIAL_SETUP || out->kind == TRIAL_CRASH)
		class_of(out->text, out->class, sizeof(out->class));
	free(text);
}

/* ---- the final file ------------------------------------------------------------------------------------ */

char *trial_text(const struct trial_plan *plan, const uint8_t *bytes, size_t count,
		 const struct trial_file *file)
{
	struct program_header header = {
		.name = file->name,
		.note = file->note,
		.model = litmus_model_name(plan->model),
		.geometry = QUIRE_GEOMETRY_NAME,
		.without = plan->without,
		.without_count = plan->without_count,
		.bound = file->search == TRIAL_BOUNDED ? (int)file->bound : -1,
	};
	char *text = program_text(bytes, count, &header);

	if (!text)
		exit(EXIT_BROKEN);
	return text;
}

/* As `quire check` would; sampled: as the trial did. */
static void search_file(struct run *run, const struct trial_plan *plan, const struct trial_file *file)
{
	struct trial ignored;

	run->options.quick = false;
	if (file->search == TRIAL_SAMPLED) {
		try_all(run, plan, &ignored);
		return;
	}
	run->options.executions = file->executions;
	search(run);
}

/* Returns what the child has ended with. */
static int in_child(const struct trial_plan *plan, const char *text, const struct trial_file *file,
		    struct witness *found, bool tells)
{
	static struct run run;
	pid_t pid;

	pid = fork_trial();
	if (pid)
		return wait_for(pid);
	if (!tells)
		silence();
	set_up(&run, plan, text);
	tables_prepare(&run);
	search_file(&run, plan, file);
	if (found)
		*found = run.witness;
	if (tells) {
		json_dumpf(json_pack("{s:o}", "result", result_json(&run)), stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
	}
	_Exit(0);
}

static bool finds(const struct trial_plan *plan, const uint8_t *bytes, size_t count,
		  const struct trial_file *file, unsigned *preemptions)
{
	struct witness *found = shared_memory(sizeof(*found));
	char *text = trial_text(plan, bytes, count, file);
	bool any = in_child(plan, text, file, found, false) == 0 && found->kind == WITNESS_VIOLATION;

	*preemptions = found->preemptions;
	free(text);
	munmap(found, sizeof(*found));
	return any;
}

void trial_settle(const struct trial_plan *plan, const uint8_t *bytes, size_t count, struct trial_file *file)
{
	unsigned preemptions = 0, ignored;

	file->search = TRIAL_COMPLETE;
	file->executions = SETTLE_EXECUTIONS;
	if (finds(plan, bytes, count, file, &ignored)) {
		file->executions = 0;
		return;
	}
	file->search = TRIAL_SAMPLED;
	if (!finds(plan, bytes, count, file, &preemptions))
		return;
	file->search = TRIAL_BOUNDED;
	file->bound = preemptions;
	if (!finds(plan, bytes, count, file, &file->bound))
		file->search = TRIAL_SAMPLED;
	file->executions = 0;
}

void trial_tell_result(const struct trial_plan *plan, const uint8_t *bytes, size_t count,
		       const struct trial_file *file)
{
	char *text = trial_text(plan, bytes, count, file);

	in_child(plan, text, file, NULL, true);
	free(text);
}
