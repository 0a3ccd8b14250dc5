/*
 * record.c - `quire record`: the memory life of a real program, written down as a trace.
 *
 *   quire record -o T -- CMD...	record
 *   quire record --dump T		print a trace as text
 *
 * Two methods. `perf` has the calls and the faults from the kernel's tracepoints, at little cost to the
 * program; `ptrace` stops the program at every call, and has the faults (without their kind of access) from
 * perf's software event. The first is tried first unless --method says otherwise.
 */
#define _GNU_SOURCE
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "capture.h"

enum method { METHOD_ANY, METHOD_PERF, METHOD_PTRACE };

struct options {
	const char *output;
	const char *dump;
	enum method method;
	bool quiet;
	char **command;
};

static const struct argp_option option_table[] = {
	{ "output", 'o', "TRACE", 0, "Write the trace to this file", 0 },
	{ "method", 'm', "METHOD", 0,
	  "perf (tracepoints) or ptrace (stop at every call); default: perf, else ptrace", 0 },
	{ "quiet", 'q', NULL, 0, "Say nothing but errors", 0 },
	{ "dump", 'd', "TRACE", 0, "Print this trace as text instead of recording one", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'o':
		options->output = value;
		return 0;
	case 'd':
		options->dump = value;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case 'm':
		if (!strcmp(value, "perf"))
			options->method = METHOD_PERF;
		else if (!strcmp(value, "ptrace"))
			options->method = METHOD_PTRACE;
		else
			argp_error(state, "no such method: %s (there are perf and ptrace)", value);
		return 0;
	case ARGP_KEY_ARGS:
		options->command = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		if (options->dump ? options->command || options->output
				  : !options->command || !options->output)
			argp_error(state, options->dump ? "--dump goes with nothing else"
							: "needs -o TRACE and a command");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.options = option_table,
	.parser = parse_option,
	.args_doc = "-o TRACE -- COMMAND...\n--dump TRACE",
	.doc = "Record the memory behaviour of a program, its threads and its children.\v"
	       "The exit status is 0 when the recording succeeded, whatever the program's own status was "
	       "(that is printed), 2 for bad options or input, 3 when this computer does not allow "
	       "recording.",
};

static int dump(const char *path)
{
	char error[512];
	struct trace_reader *reader = trace_reader_open(path, error, sizeof(error));
	if (!reader) {
		fprintf(stderr, "quire record: %s\n", error);
		return EXIT_USAGE;
	}
	const struct trace_header *header = trace_reader_header(reader);
	printf("# %s\n# version %" PRIu32 ", %s %s, %" PRIu32 " CPUs, pages of %" PRIu32
	       " bytes, features 0x%" PRIx32 ", thp %" PRIu32 ", overcommit %" PRIu32
	       ", fault-around %" PRIu64 " bytes, lost %" PRIu64 "\n",
	       header->command, header->version, header->kernel, header->machine, header->cpus,
	       header->page_size, header->features, header->thp, header->overcommit,
	       header->fault_around_bytes, header->lost);
	struct trace_event event;
	enum trace_status status;
	size_t files = 0;
	while ((status = trace_reader_next(reader, &event)) == TRACE_EVENT) {
		for (; files < trace_reader_files(reader); files++) {
			const struct trace_file *file = trace_reader_file(reader, (uint32_t)files);
			printf("# file %zu: %s kind %d device 0x%" PRIx64 " inode %" PRIu64 " size %" PRId64
			       " build-id ",
			       files, file->path, (int)file->kind, file->device, file->inode,
			       (int64_t)file->size);
			for (int i = 0; i < file->build_id_size; i++)
				printf("%02x", file->build_id[i]);
			puts(file->build_id_size ? "" : "none");
		}
		trace_event_print(reader, &event, stdout);
		putchar('\n');
	}
	if (status == TRACE_ERROR)
		fprintf(stderr, "quire record: %s\n", trace_reader_error(reader));
	trace_reader_close(reader);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "quire record: cannot write: %s\n", strerror(errno));
		return EXIT_USAGE;
	}
	return status == TRACE_DONE ? EXIT_HELD : EXIT_USAGE;
}

/* How this recording can be made: start the kernel's events, and say what is not as good as it could be. */
static int choose_method(struct capture *c, const struct options *options, struct tracee *t,
			 struct rings **rings, struct trace_header *header)
{
	char reason[sizeof(c->error)] = "";

	if (options->method != METHOD_PTRACE) {
		*rings = rings_open(c, t->pid, RINGS_CALLS | RINGS_FAULTS);
		if (*rings) {
			header->features = TRACE_HAS_ACCESS | TRACE_HAS_FAULTS | TRACE_HAS_KERNEL |
					   TRACE_HAS_SIGNALS | TRACE_HAS_USAGE | TRACE_BY_TRACEPOINTS |
					   (rings_see_locks(*rings) ? TRACE_HAS_LOCKS : 0);
			return 0;
		}
		if (options->method == METHOD_PERF)
			return -1;
		memcpy(reason, c->error, sizeof(reason));
		fprintf(stderr, "quire record: %s; now falling back to it\n", reason);
	}
	t->calls = true;
	header->features = TRACE_HAS_SIGNALS | TRACE_HAS_USAGE | TRACE_BY_PTRACE;
	*rings = rings_open(c, t->pid, RINGS_SOFT_FAULTS);
	if (*rings) {
		header->features |= TRACE_HAS_FAULTS | (rings_see_kernel(*rings) ? TRACE_HAS_KERNEL : 0);
		if (!options->quiet)
			fprintf(stderr,
				"quire record: by ptrace: page faults without their kind of access%s\n",
				rings_see_kernel(*rings) ? "" : ", and only those in user mode");
		return 0;
	}
	fprintf(stderr, "quire record: no page faults in this recording, calls only: %s\n", c->error);
	return 0;
}

static void report(const struct options *options, const struct capture *c, const struct tracee *t,
		   const struct convert_counts *counts)
{
	struct stat st;

	if (c->lost)
		fprintf(stderr,
			"quire record: the kernel dropped %" PRIu64
			" events: the trace is incomplete, and says "
			"so; a program that does less at once, or a computer with less load, would help\n",
			c->lost);
	if (options->quiet)
		return;
	if (WIFSIGNALED(t->status))
		fprintf(stderr, "quire record: %s was killed by signal %d (%s)\n", options->command[0],
			WTERMSIG(t->status), strsignal(WTERMSIG(t->status)));
	else
		fprintf(stderr, "quire record: %s exited with status %d\n", options->command[0],
			WEXITSTATUS(t->status));
	fprintf(stderr,
		"quire record: %s: %" PRIu64 " events (%" PRIu64 " calls, %" PRIu64 " faults) of %" PRIu64
		" threads in %" PRIu64 " address spaces, %" PRIu64 " KiB\n",
		options->output, counts->events, counts->calls, counts->faults, counts->threads, counts->mms,
		stat(options->output, &st) ? 0 : ((uint64_t)st.st_size + 1023) / 1024);
}

struct progress {
	struct capture *capture;
	pthread_t thread;
	atomic_bool stop;
};

/* What has been gathered so far, once a second on a terminal; for anything that takes longer than that. */
static void *show_progress(void *argument)
{
	struct progress *progress = argument;
	struct timespec pause = { .tv_nsec = 20000000 };
	uint64_t next = capture_now() + 1000000000;
	bool terminal = isatty(STDERR_FILENO), said = false;

	while (terminal && !atomic_load_explicit(&progress->stop, memory_order_relaxed)) {
		nanosleep(&pause, NULL);
		if (capture_now() < next)
			continue;
		next += 1000000000;
		pthread_mutex_lock(&progress->capture->lock);
		size_t count = progress->capture->raws.count, size = progress->capture->raws.size;
		pthread_mutex_unlock(&progress->capture->lock);
		fprintf(stderr, "\rquire record: %zu events, %zu MiB of temporary data ", count,
			count * size >> 20);
		said = true;
	}
	if (said)
		fputc('\n', stderr);
	return NULL;
}

static int record(struct capture *c, const struct options *options)
{
	struct tracee t = { 0 };
	struct rings *rings = NULL;
	struct trace_header header;
	struct convert_counts counts;

	proc_header(&header, options->command);
	if (tracee_start(c, &t, options->command))
		return EXIT_MISSING;
	if (choose_method(c, options, &t, &rings, &header)) {
		tracee_abandon(&t);
		return EXIT_MISSING;
	}
	struct progress progress = { .capture = c };
	bool shown = !options->quiet && !pthread_create(&progress.thread, NULL, show_progress, &progress);
	int ran = tracee_run(c, &t);
	if (shown) {
		atomic_store_explicit(&progress.stop, true, memory_order_relaxed);
		pthread_join(progress.thread, NULL);
	}
	if (rings)
		rings_close(rings);
	if (ran > 0)
		capture_fail(c, "cannot run %s: %s", options->command[0], strerror(ran));
	if (ran)
		return ran > 0 ? EXIT_USAGE : EXIT_MISSING;
	if (atomic_load_explicit(&c->full, memory_order_relaxed)) {
		capture_fail(c, "memory or room for temporary data ran out (TMPDIR says where that is kept)");
		return EXIT_MISSING;
	}
	header.lost = c->lost;
	if (convert(c, options->output, &header, &counts))
		return EXIT_MISSING;
	report(options, c, &t, &counts);
	return EXIT_HELD;
}

int command_record(int argc, char **argv)
{
	struct options options = { 0 };
	struct capture capture;

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &options);
	if (options.dump)
		return dump(options.dump);

	/* Before the program runs: its work is lost when the trace cannot be written. */
	struct stat st;
	bool there = !stat(options.output, &st);
	FILE *out = fopen(options.output, "ab");
	if (!out) {
		fprintf(stderr, "quire record: %s: cannot write: %s\n", options.output, strerror(errno));
		return EXIT_USAGE;
	}
	fclose(out);
	int status = capture_open(&capture) ? EXIT_MISSING : record(&capture, &options);
	if (status != EXIT_HELD) {
		fprintf(stderr, "quire record: %s\n", capture.error);
		if (!there)
			unlink(options.output);
	}
	capture_close(&capture);
	return status;
}
