/*
 * command.c - `quire boot`: options, the files, the run, and the program's status.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/boot/boot.h"
#include "lab/check/zoo.h"
#include "lab/command.h"

enum { KEY_WITHOUT = 256, KEY_LIMIT, KEY_TEST };

#define CPUS_MOST 4

#define FAULT_AROUND "fault-around"
#define VMA_LOCKS "vma-locks"

/* What the plain kernel can do without; safeguards are another thing. */
static bool is_mechanism(const char *what)
{
	return strcmp(what, FAULT_AROUND) == 0 || strcmp(what, VMA_LOCKS) == 0;
}

static const uint64_t memory_least = 16ull << 20, memory_most = 3ull << 30;
/* What the kernel needs beside the files, or a little less. */
static const uint64_t kernel_least = 6ull << 20;

struct arguments {
	struct boot_options options;
	bool told; /* what is wrong was printed */
	bool help;
};

/* One line; for parse() to return. */
__attribute__((format(printf, 2, 3))) static error_t wrong(struct arguments *a, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "quire boot: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	a->told = true;
	return EINVAL;
}

static bool parse_number(const char *text, unsigned least, unsigned most, unsigned *out)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number < least || number > most)
		return false;
	*out = (unsigned)number;
	return true;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct boot_options *options = &a->options;

	switch (key) {
	case 'c':
		return parse_number(text, 1, CPUS_MOST, &options->cpus)
			       ? 0
			       : wrong(a, "--cpus %s: must be 1 to %u", text, CPUS_MOST);
	case 'm':
		options->memory_bytes = command_size(text);
		return options->memory_bytes >= memory_least && options->memory_bytes <= memory_most
			       ? 0
			       : wrong(a, "--memory %s: must be a size from 16M to 3G", text);
	case 'r':
		options->root = text;
		return 0;
	case 's':
		options->stats = true;
		return 0;
	case KEY_LIMIT:
		return parse_number(text, 1, 1000000, &options->limit)
			       ? 0
			       : wrong(a, "--limit %s: must be seconds, at least 1", text);
	case KEY_WITHOUT:
		options->without = text;
		return is_mechanism(text) || zoo_find(text)
			       ? 0
			       : wrong(a,
				       "--without %s: there is fault-around, vma-locks, and what quire check "
				       "--list-safeguards says",
				       text);
	case KEY_TEST:
		options->test = true;
		options->only = text;
		return !text || (!text[strcspn(text, " ")] && strlen(text) < 64)
			       ? 0
			       : wrong(a, "--test=%s: part of a test's name is wanted", text);
	case 'h':
		a->help = true;
		return 0;
	case ARGP_KEY_ARGS:
		if (options->test)
			return wrong(a, "--test runs no program");
		options->program = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return a->help || options->test ? 0 : wrong(a, "no program is given (quire boot --help)");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- the files ------------------------------------------------------------------------------------- */

/* How many arguments there are, those, the environment. */
static void add_strings(struct archive *archive, char **program)
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/",
						   "TERM=linux" };
	unsigned count;
	char *text;
	size_t bytes;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		abort();
	for (count = 0; program[count];)
		count++;
	fprintf(memory, "%u%c", count, 0);
	for (; *program; program++)
		fwrite(*program, strlen(*program) + 1, 1, memory);
	for (size_t i = 0; i < sizeof(environment) / sizeof(environment[0]); i++)
		fwrite(environment[i], strlen(environment[i]) + 1, 1, memory);
	fclose(memory);
	archive_add(archive, ".quire-boot", S_IFREG | 0600, text, bytes);
	free(text);
}

/* Is the program among the root's files? Links are looked at by the kernel. */
static bool root_has(const char *root, const char *program)
{
	char path[PATH_MAX];
	struct stat stat;

	return root && snprintf(path, sizeof(path), "%s/%s", root, program) < (int)sizeof(path) &&
	       lstat(path, &stat) == 0;
}

static bool pack(const struct boot_options *options, const char *path)
{
	const char *program = options->program[0];
	struct archive archive = { .file = fopen(path, "wb"), .most = options->memory_bytes - kernel_least };
	struct stat stat;

	if (!archive.file) {
		fprintf(stderr, "quire boot: %s: %s\n", path, strerror(errno));
		return false;
	}
	add_strings(&archive, options->program);
	if (options->root)
		archive_add_tree(&archive, options->root);
	if (!root_has(options->root, program)) {
		if (lstat(program, &stat) == 0 && S_ISDIR(stat.st_mode)) {
			fprintf(stderr, "quire boot: %s: is a directory\n", program);
			archive.failed = true;
		} else if (!archive.failed) {
			archive_add_file(&archive, program, program + strspn(program, "/"));
		}
	}
	archive_end(&archive);
	fclose(archive.file);
	return !archive.failed;
}

/* ---- the run --------------------------------------------------------------------------------------- */

/* Safeguards are switches only in the kernel for tests. */
static const char *kernel_name(const struct boot_options *options)
{
	bool plain = !options->without || is_mechanism(options->without);

	return options->test || !plain ? "quire-test-kernel" : "quire-kernel";
}

static bool find_kernel(const struct boot_options *options, char *out)
{
	ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 40);

	out[length > 0 ? length : 0] = '\0';
	char *slash = strrchr(out, '/');
	snprintf(slash ? slash + 1 : out, 40, "%s", kernel_name(options));
	if (access(out, R_OK) == 0)
		return true;
	fprintf(stderr, "quire boot: %s: %s\n", out, strerror(errno));
	return false;
}

static int conclude(const struct boot_report *report)
{
	if (report->stopped) {
		fprintf(stderr, "quire boot: the kernel stopped: %s\n", report->why);
		return EXIT_VIOLATED;
	}
	if (!report->ended) {
		fprintf(stderr, "quire boot: the kernel did not come to its end%s%s\n",
			*report->test ? ", in " : "", report->test);
		return EXIT_VIOLATED;
	}
	if (report->frames) {
		fprintf(stderr, "quire boot: %ld frames were not given back\n", report->frames);
		return EXIT_VIOLATED;
	}
	return report->status;
}

static int boot(const struct boot_options *options)
{
	char kernel[PATH_MAX], directory[] = "/tmp/quire-boot-XXXXXX", archive[64], told[64];
	struct boot_report report;
	int result = EXIT_MISSING;

	/* Closed: the next file opened would be it. That it cannot be written to is said at our end. */
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0 || !find_kernel(options, kernel))
		return EXIT_MISSING;
	if (!mkdtemp(directory)) {
		fprintf(stderr, "quire boot: %s: %s\n", directory, strerror(errno));
		return EXIT_MISSING;
	}
	snprintf(archive, sizeof(archive), "%s/files", directory);
	snprintf(told, sizeof(told), "%s/report", directory);
	if (!options->test && !pack(options, archive)) {
		result = EXIT_USAGE;
	} else if (qemu_run(options, kernel, archive, told) != -1) {
		report_read(told, options, &report);
		result = qemu_interrupted() ? 128 + qemu_interrupted() : conclude(&report);
	}
	unlink(archive);
	unlink(told);
	rmdir(directory);
	return result;
}

int command_boot(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "cpus", 'c', "N", 0, "Boot with N CPUs, 1 to 4 (default: 1)", 0 },
		{ "memory", 'm', "SIZE", 0, "Memory, like 64M or 1G (default: 256M)", 0 },
		{ "root", 'r', "DIR", 0, "Take the files of DIR along; else the program is the only one", 0 },
		{ "without", KEY_WITHOUT, "M", 0,
		  "Do without M: fault-around, vma-locks, or a safeguard of quire check --list-safeguards",
		  0 },
		{ "test", KEY_TEST, "NAME", OPTION_ARG_OPTIONAL,
		  "Run the core's tests in the kernel, no program; only those with NAME in their names", 0 },
		{ "limit", KEY_LIMIT, "SECONDS", 0, "End a run, or a test, that takes longer (default: 300)",
		  0 },
		{ "stats", 's', NULL, 0, "Print what the kernel counted", 0 },
		{ "help", 'h', NULL, 0, "Print this", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse,
		"-- PROGRAM [ARGUMENT...]\n--test[=NAME]",
		"Run a static program on a small kernel around Quire, in QEMU: real page tables, real shootdowns.\v"
		"Exit status: the program's; 128 and the signal that ended it; 1 the kernel stopped, or lost memory; "
		"2 bad options or input; 3 QEMU or the kernel is missing, or standard output does not take what "
		"is printed.",
		NULL,
		NULL,
		NULL
	};
	struct arguments a = { .options = { .cpus = 1, .memory_bytes = 256ull << 20, .limit = 300 } };
	char name[] = "quire boot";

	argv[0] = name;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER | ARGP_NO_HELP | ARGP_NO_ERRS | ARGP_NO_EXIT, NULL,
		       &a) != 0) {
		if (!a.told)
			wrong(&a, "an unknown option, or one without its value (quire boot --help)");
		return EXIT_USAGE;
	}
	if (a.help) {
		argp_help(&argp, stdout, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK, name);
		return EXIT_HELD;
	}
	return boot(&a.options);
}
