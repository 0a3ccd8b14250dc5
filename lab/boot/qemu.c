/*
 * qemu.c - starts QEMU, and passes the console through.
 *
 * Input: a terminal is QEMU's directly, which makes it raw; the kernel then echoes. Anything else is passed
 * on by a process of its own, which adds a ^D at its end: a serial line knows no end of a file.
 *
 * Output comes through a pipe, and we pass it on: QEMU would not tell that nobody has taken it.
 *
 * The kernel ends a run, or a test, that takes too long, and tells what every CPU was doing (option limit=).
 * If it cannot even do that, we end QEMU a little later: so long after what it reported last.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lab/boot/boot.h"

#define PROGRAM "qemu-system-x86_64"
#define GRACE_SECONDS 10
#define POLL_MS 5

enum { WORDS = 48 };

struct words {
	char *word[WORDS];
	unsigned count;
};

__attribute__((format(printf, 2, 3))) static void add(struct words *words, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (words->count + 1 >= WORDS || vasprintf(&words->word[words->count++], format, args) < 0)
		abort();
	va_end(args);
}

/* A comma in a value is doubled for QEMU. */
static void add_path(struct words *words, const char *key, const char *path)
{
	char *text = malloc(2 * strlen(path) + 1), *to = text;

	if (!text)
		abort();
	for (; *path; path++) {
		if (*path == ',')
			*to++ = ',';
		*to++ = *path;
	}
	*to = '\0';
	add(words, "%s%s", key, text);
	free(text);
}

static void command_line(struct words *words, const struct boot_options *options, const char *kernel,
			 const char *archive, const char *report)
{
	static const char *const fixed[] = {
		"-machine",
		"pc,accel=tcg",
		"-cpu",
		"max",
		"-nodefaults",
		"-no-user-config",
		"-display",
		"none",
		"-no-reboot",
		"-device",
		"isa-debug-exit,iobase=0xf4,iosize=4",
		"-chardev",
		"stdio,id=console",
		"-serial",
		"chardev:console",
	};

	add(words, PROGRAM);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add(words, "%s", fixed[i]);
	add(words, "-m");
	add(words, "%lluk", (unsigned long long)options->memory_bytes >> 10);
	add(words, "-smp");
	add(words, "%u", options->cpus);
	add(words, "-kernel");
	add(words, "%s", kernel);
	if (!options->test) {
		add(words, "-initrd");
		add_path(words, "", archive);
	}
	add(words, "-debugcon");
	add_path(words, "file:", report);
	add(words, "-append");
	add(words, "limit=%u%s%s%s%s%s%s%s", options->limit, options->stats ? " stats" : "",
	    isatty(STDIN_FILENO) ? " terminal" : "", options->without ? " without=" : "",
	    options->without ? options->without : "", options->test ? " test" : "",
	    options->only ? " only=" : "", options->only ? options->only : "");
	words->word[words->count] = NULL;
}

/* Standard input, and then its end, once the kernel has told that it listens. Does not return. */
static void pass_on(int to, const char *report)
{
	struct timespec nap = { 0, 2000000 };
	char buffer[4096], end = 4;
	struct stat told;
	ssize_t got;

	signal(SIGPIPE, SIG_DFL);
	while (stat(report, &told) < 0 || !told.st_size)
		nanosleep(&nap, NULL);
	while ((got = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0)
		for (ssize_t done = 0, put; done < got; done += put)
			if ((put = write(to, buffer + done, (size_t)(got - done))) < 0)
				_exit(0);
	if (write(to, &end, 1) < 0)
		_exit(0);
	/* The other end sees the pipe closed only when there is nobody left to read it. */
	for (;;)
		pause();
}

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	interrupted = signal;
}

/* Signals that end us end QEMU first, and the files in /tmp go. */
static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGPIPE };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
}

static pid_t start_input(int *from, const char *report)
{
	int ends[2];

	*from = -1;
	if (isatty(STDIN_FILENO))
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		pass_on(ends[1], report);
	}
	close(ends[1]);
	*from = ends[0];
	return pid;
}

static pid_t start_qemu(struct words *words, int input, int *output)
{
	int told[2], out[2], error = 0;

	if (pipe2(told, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = pipe2(out, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (input >= 0)
			dup2(input, STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execvp(PROGRAM, words->word);
		error = errno;
		if (write(told[1], &error, sizeof(error)) < 0)
			_exit(126);
		_exit(127);
	}
	close(told[1]);
	if (pid > 0) {
		close(out[1]);
		*output = out[0];
	}
	if (pid > 0 && read(told[0], &error, sizeof(error)) == (ssize_t)sizeof(error)) {
		waitpid(pid, NULL, 0);
		pid = -1;
		errno = error;
	}
	close(told[0]);
	return pid;
}

/* ---- output ---------------------------------------------------------------------------------------- */

static int lost; /* why standard output did not take something, or 0 */

/* Can standard output take something now? A pipe that nobody reads any more is an error. */
static bool has_room(int wait_ms)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (poll(&output, 1, wait_ms) != 1)
		return false;
	if (output.revents & POLLERR)
		interrupted = SIGPIPE;
	return (output.revents & POLLOUT) != 0;
}

static void put(const char *data, size_t bytes)
{
	while (bytes && !interrupted && !lost) {
		ssize_t done = write(STDOUT_FILENO, data, bytes);

		if (done >= 0) {
			data += done;
			bytes -= (size_t)done;
		} else if (errno == EAGAIN) { /* QEMU has changed the terminal, which is ours too */
			has_room(POLL_MS);
		} else if (errno != EINTR) {
			lost = errno;
		}
	}
}

/* Pass on some of what QEMU prints, if it comes soon. False: it did not. */
static bool pass_output(int from)
{
	struct pollfd input = { .fd = from, .events = POLLIN };
	char buffer[4096]; /* so much a pipe takes at once if it takes anything */

	if (poll(&input, 1, POLL_MS) != 1)
		return false;
	ssize_t got = read(from, buffer, sizeof(buffer));
	if (got > 0)
		put(buffer, (size_t)got);
	return got > 0;
}

/* ---- the run --------------------------------------------------------------------------------------- */

static int wait_for(pid_t pid, int output, const char *report, unsigned seconds)
{
	struct timespec nap = { 0, 1000000 }, now, start;
	struct stat told;
	off_t bytes = 0;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		pid_t ended = waitpid(pid, &status, WNOHANG);

		if (ended == pid)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (stat(report, &told) == 0 && told.st_size != bytes) {
			bytes = told.st_size;
			start = now;
		}
		if ((ended < 0 && errno != EINTR) || interrupted || lost ||
		    now.tv_sec - start.tv_sec > (time_t)seconds) {
			kill(pid, SIGKILL);
			if (waitpid(pid, &status, 0) != pid)
				status = -1;
			break;
		}
		if (!has_room(POLL_MS) || !pass_output(output))
			nanosleep(&nap, NULL);
	}
	while (!interrupted && !lost && pass_output(output))
		;
	return status;
}

int qemu_interrupted(void)
{
	return interrupted;
}

int qemu_run(const struct boot_options *options, const char *kernel, const char *archive, const char *report)
{
	struct words words = { .count = 0 };
	int input, output = -1, status = -1;

	/* QEMU wants one, and the files that we open are not to be it. */
	if (fcntl(STDIN_FILENO, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != STDIN_FILENO)
		return -1;
	catch_signals();
	command_line(&words, options, kernel, archive, report);
	fflush(NULL);
	pid_t feeder = start_input(&input, report);
	pid_t qemu = feeder < 0 ? -1 : start_qemu(&words, input, &output);
	if (qemu > 0)
		status = wait_for(qemu, output, report, options->limit + GRACE_SECONDS);
	else if (errno == ENOENT)
		fprintf(stderr, "quire boot: there is no " PROGRAM " here (Debian: qemu-system-x86)\n");
	else
		fprintf(stderr, "quire boot: cannot start " PROGRAM ": %s\n", strerror(errno));
	if (lost && !interrupted) {
		fprintf(stderr, "quire boot: cannot write to standard output: %s\n", strerror(lost));
		status = -1;
	}
	if (feeder > 0) {
		kill(feeder, SIGKILL);
		waitpid(feeder, NULL, 0);
	}
	if (input >= 0)
		close(input);
	if (output >= 0)
		close(output);
	while (words.count)
		free(words.word[--words.count]);
	return status;
}
