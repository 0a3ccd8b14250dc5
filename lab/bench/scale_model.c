/*
 * scale_model.c - the workload on modelled CPUs: a process of quire-model for each point, as many at a time
 * as there are processors; and where the curves bend.
 *
 * The knee is where the line of who loses nothing would reach the most that the curve ever has: at so
 * many CPUs as that is times one CPU's faults. A curve that has its most at the last point still rises
 * there: its knee is at least that.
 */
#include "lab/bench/scale.h"

#include "lab/command.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 2, SCALE_FINE = 16, ARGUMENTS = 9, JOBS = SCALE_SETTINGS * SCALE_LOCKS * SCALE_POINTS };

struct job {
	unsigned setting, point;
	enum scale_locks locks;
	pid_t pid;
	FILE *from;
};

const char *const scale_lock_names[SCALE_LOCKS] = { "per-VMA locks", "single lock" };

/* ---- a worker ------------------------------------------------------------------------------------------ */

static void worker_path(char *out)
{
	ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 40);

	out[length > 0 ? length : 0] = 0;
	char *slash = strrchr(out, '/');

	snprintf(slash ? slash + 1 : out, 40, "quire-model");
}

static void execute(const struct scale_options *options, const struct scale_model *model,
		    const struct job *job)
{
	static const char *const locks[SCALE_LOCKS] = { "vma", "single" };
	const uint64_t *cost = model->cost[job->setting];
	bool lines = job->setting == 0 && model->cpus[job->point] == model->lines_at;
	uint64_t numbers[] = { model->cpus[job->point], options->pages,	     ROUNDS,
			       cost[COST_INSTRUCTION],	cost[COST_TRANSFER], cost[COST_IPI],
			       lines ? SCALE_LINES : 0 };
	char path[PATH_MAX], text[ARGUMENTS][24];
	const char *words[ARGUMENTS + 2] = { "quire-model", options->load->name, locks[job->locks] };

	worker_path(path);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		snprintf(text[i], sizeof(text[i]), "%llu", (unsigned long long)numbers[i]);
		words[i + 3] = text[i];
	}
	execv(path, (char **)words);
	_exit(EXIT_MISSING);
}

static bool start(const struct scale_options *options, const struct scale_model *model, struct job *job)
{
	int pipes[2];

	fflush(NULL);
	if (pipe(pipes))
		return false;
	job->pid = fork();
	if (job->pid == 0) {
		dup2(pipes[1], STDOUT_FILENO);
		close(pipes[0]);
		close(pipes[1]);
		execute(options, model, job);
	}
	close(pipes[1]);
	job->from = fdopen(pipes[0], "r");
	return job->pid > 0 && job->from;
}

static bool finish(struct scale_model *model, struct job *job)
{
	json_t *result = json_loadf(job->from, 0, NULL);
	int status = 0;

	fclose(job->from);
	waitpid(job->pid, &status, 0);
	/* It says itself why it ends, if it can. */
	if (WIFSIGNALED(status))
		fprintf(stderr, "quire bench scale: quire-model at %u CPUs: %s\n", model->cpus[job->point],
			strsignal(WTERMSIG(status)));
	if (!result)
		return false;
	double faults = (double)json_integer_value(json_object_get(result, "faults"));
	double seconds = (double)json_integer_value(json_object_get(result, "ps")) * 1e-12;

	model->curve[job->setting][job->locks].rate[job->point] = faults / seconds;
	if (json_array_size(json_object_get(result, "lines")))
		model->lines[job->locks] = json_incref(json_object_get(result, "lines"));
	json_decref(result);
	return true;
}

/* ---- all of them --------------------------------------------------------------------------------------- */

/* What takes longest first. */
static unsigned list_jobs(const struct scale_model *model, struct job *jobs)
{
	unsigned count = 0;

	for (unsigned point = model->points; point-- > 0;)
		for (unsigned setting = 0; setting < SCALE_SETTINGS; setting++)
			for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
				jobs[count++] =
					(struct job){ .setting = setting, .point = point, .locks = locks };
	return count;
}

static bool run_jobs(const struct scale_options *options, struct scale_model *model, struct job *jobs,
		     unsigned count)
{
	cpu_set_t set;
	unsigned at_a_time = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);
	unsigned started = 0, finished = 0;
	bool held = true;

	while (held && finished < count) {
		while (held && started < count && started < finished + at_a_time) {
			held = start(options, model, &jobs[started]);
			started += held;
		}
		if (finished < started)
			held = finish(model, &jobs[finished++]) && held;
	}
	for (; finished < started; finished++)
		finish(model, &jobs[finished]);
	return held;
}

static void set_costs(struct scale_model *model)
{
	static const uint64_t costs[SCALE_COSTS] = { 300, 100000, 2000000 };
	static const char *const names[SCALE_SETTINGS] = {
		"as they are",	    "instruction halved", "instruction doubled", "transfer halved",
		"transfer doubled", "IPI halved",	  "IPI doubled",
	};

	for (unsigned setting = 0; setting < SCALE_SETTINGS; setting++) {
		memcpy(model->cost[setting], costs, sizeof(costs));
		model->setting[setting] = names[setting];
	}
	for (unsigned cost = 0; cost < SCALE_COSTS; cost++) {
		model->cost[1 + 2 * cost][cost] /= 2;
		model->cost[2 + 2 * cost][cost] *= 2;
	}
}

static void find_knee(const struct scale_model *model, struct scale_curve *curve)
{
	double most = 0;

	for (unsigned point = 0; point < model->points; point++)
		most = fmax(most, curve->rate[point]);
	curve->knee = most / curve->rate[0];
	curve->rises = most <= curve->rate[model->points - 1];
}

/* Powers of two; and between them where one lock is known to bend the curve. */
static void choose_points(struct scale_model *model, unsigned most)
{
	for (unsigned cpus = 1; cpus <= most; cpus *= 2) {
		model->cpus[model->points++] = cpus;
		if (cpus > 1 && cpus < SCALE_FINE && cpus + cpus / 2 <= most)
			model->cpus[model->points++] = cpus + cpus / 2;
	}
}

bool scale_run_model(const struct scale_options *options, struct scale_model *model)
{
	struct job jobs[JOBS];
	char path[PATH_MAX];

	worker_path(path);
	if (access(path, X_OK)) {
		fprintf(stderr, "quire bench scale: %s is missing, which models CPUs (--no-model)\n", path);
		return false;
	}
	set_costs(model);
	choose_points(model, options->cpus);
	model->lines_at = model->cpus[model->points - 1];
	if (model->lines_at > SCALE_LINES_AT)
		model->lines_at = SCALE_LINES_AT;
	if (!run_jobs(options, model, jobs, list_jobs(model, jobs)))
		return false;
	for (unsigned setting = 0; setting < SCALE_SETTINGS; setting++)
		for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
			find_knee(model, &model->curve[setting][locks]);
	return true;
}

double scale_knee_moves(const struct scale_model *model, enum scale_locks locks)
{
	double knee = model->curve[0][locks].knee, most = 1;

	for (unsigned setting = 1; setting < SCALE_SETTINGS; setting++) {
		double other = model->curve[setting][locks].knee;

		most = fmax(most, fmax(other / knee, knee / other));
	}
	return most;
}
