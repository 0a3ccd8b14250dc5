/*
 * fuzz.c - `quire fuzz`: random sequences of memory calls on Quire and on the host's kernel, compared.
 *
 * A sequence is a function of the seed and its number, so a run is repeated by its seed and any finding
 * by its bytes. With --threads there are stretches in which several threads of a process work at once
 * (stretch.h, legal.h). With --check it is something else: concurrent programs (programs.c).
 */
#define _GNU_SOURCE
#include "fuzzer.h"
#include "../command.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
	uint64_t ops, seconds, seed, findings, length, threads;
	const char *replay;
	bool json, list, verbose, against_itself, no_shrink, program, blind;
};

enum {
	REPETITIONS = 3,
	REPLAY_ROUNDS = 500, /* of a sequence with stretches, until it shows something */
};

struct totals {
	uint64_t ops, sequences, findings, once, restarts;
	uint64_t together, stretches; /* operations that ran at once, and in how many stretches */
	uint64_t kinds[WIRE_KINDS], failed[WIRE_KINDS];
	double seconds;
};

struct run {
	struct options options;
	struct fuzzer fuzzer;
	struct totals totals;
	double began, told;
	uint8_t bytes[OPS_MAX * OPS_RECORD];
	size_t count;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- options --------------------------------------------------------------------------------- */

enum {
	OPTION_FINDINGS = 0x100,
	OPTION_LENGTH,
	OPTION_AGAINST_ITSELF,
	OPTION_NO_SHRINK,
	OPTION_LIST,
	OPTION_PROGRAM,
	OPTION_BLIND,
	OPTION_THREADS,
	OPTION_CHECK,
};

static const struct argp_option option_table[] = {
	{ "ops", 'n', "N", 0, "Stop after N operations (default 100000)", 0 },
	{ "seconds", 't', "N", 0, "Stop after N seconds", 0 },
	{ "seed", 's', "S", 0, "Begin with seed S (default 1)", 0 },
	{ "replay", 'r', "FILE|BYTES", 0, "Run one sequence: a file of bytes, or bytes in hexadecimal", 0 },
	{ "json", 'j', NULL, 0, "Print the summary as JSON", 0 },
	{ "verbose", 'v', NULL, 0, "With --replay: print every operation and what Linux saw", 0 },
	{ "list", OPTION_LIST, NULL, 0, "List the kinds of operation", 0 },
	{ "length", OPTION_LENGTH, "N", 0,
	  "Sequences of N operations (default: 20 to 400, with --threads 20 to 60)", 0 },
	{ "findings", OPTION_FINDINGS, "N", 0, "Go on until N divergences are found (default 1)", 0 },
	{ "no-shrink", OPTION_NO_SHRINK, NULL, 0, "Report divergences as they are found", 0 },
	{ "program", OPTION_PROGRAM, NULL, 0,
	  "With --replay: print the sequence as a C program that asserts what Linux does", 0 },
	{ "against-itself", OPTION_AGAINST_ITSELF, NULL, 0, "Linux in Quire's place, to check the fuzzer",
	  0 },
	{ "blind", OPTION_BLIND, NULL, 0, "Compare mappings and pages at a sequence's end only", 0 },
	{ "threads", OPTION_THREADS, "N", 0,
	  "Sequences with stretches in which up to N threads of a process, 2 to 4, work at once", 0 },
	{ "check", OPTION_CHECK, NULL, 0,
	  "Concurrent programs on the check machine instead (see quire fuzz --check --help)", 0 },
	{ 0 },
};

static uint64_t parse_number(const char *text, struct argp_state *state)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-')
		argp_error(state, "not a number: %s", text);
	return value;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'n':
		o->ops = parse_number(argument, state);
		if (!o->ops)
			argp_error(state, "--ops is at least 1");
		break;
	case 't':
		o->seconds = parse_number(argument, state);
		if (!o->seconds)
			argp_error(state, "--seconds is at least 1");
		break;
	case 's':
		o->seed = parse_number(argument, state);
		break;
	case 'r':
		o->replay = argument;
		break;
	case 'j':
		o->json = true;
		break;
	case 'v':
		o->verbose = true;
		break;
	case OPTION_LIST:
		o->list = true;
		break;
	case OPTION_LENGTH:
		o->length = parse_number(argument, state);
		if (o->length < 1 || o->length > OPS_MAX)
			argp_error(state, "--length is 1 to %d", OPS_MAX);
		break;
	case OPTION_FINDINGS:
		o->findings = parse_number(argument, state);
		if (!o->findings)
			argp_error(state, "--findings is at least 1");
		break;
	case OPTION_THREADS:
		o->threads = parse_number(argument, state);
		if (o->threads < 2 || o->threads > WIRE_THREADS)
			argp_error(state, "--threads is 2 to %d", WIRE_THREADS);
		break;
	case OPTION_NO_SHRINK:
		o->no_shrink = true;
		break;
	case OPTION_PROGRAM:
		o->program = true;
		break;
	case OPTION_AGAINST_ITSELF:
		o->against_itself = true;
		break;
	case OPTION_BLIND:
		o->blind = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is %s?", argument);
		break;
	case ARGP_KEY_END:
		if ((o->program || o->verbose) && !o->replay)
			argp_error(state, "%s is about one sequence: it needs --replay",
				   o->program ? "--program" : "--verbose");
		if (o->threads && (o->program || o->against_itself))
			argp_error(state, "%s knows no threads",
				   o->program ? "--program" : "--against-itself");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	option_table,
	parse_option,
	NULL,
	"Random sequences of memory calls, loads and stores over several processes, on Quire and on this computer's "
	"kernel at the same addresses. After every operation result, mappings, mincore and present pages are compared, "
	"at a sequence's end all contents. A divergence is made as short as it gets and printed as a C program.\v"
	"Exit status: 0 no divergence, 1 divergence, 2 usage, 3 this computer lacks something.",
	NULL,
	NULL,
	NULL,
};

/* ---- a crash names its sequence -------------------------------------------------------------- */

static const struct run *crashing_run;

static void say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		_exit(EXIT_VIOLATED);
}

static void on_crash(int number)
{
	static const char digits[] = "0123456789abcdef";
	const struct run *run = crashing_run;
	char hex[3] = "", threads[] = "--threads 0 ";

	say(number == SIGALRM ? "\nquire fuzz: Quire got stuck" : "\nquire fuzz: Quire stopped");
	say(" in this sequence; repeat with: quire fuzz ");
	if (run->options.threads) {
		threads[10] = digits[run->options.threads];
		say(threads);
	}
	say("--replay ");
	for (size_t i = 0; i < run->count; i++) {
		hex[0] = digits[run->bytes[i] >> 4];
		hex[1] = digits[run->bytes[i] & 15];
		say(hex);
	}
	say("\n");
	signal(number, SIG_DFL);
	raise(number);
}

/* Sanitizers have handlers of their own for what is not SIGABRT. */
static void catch_crashes(const struct run *run)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM };
	struct sigaction old, action = { .sa_handler = on_crash };

	crashing_run = run;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigaction(signals[i], NULL, &old);
		if (signals[i] == SIGABRT || old.sa_handler == SIG_DFL)
			sigaction(signals[i], &action, NULL);
	}
}

/* ---- reports --------------------------------------------------------------------------------- */

static void print_bytes(FILE *to, const struct run *run)
{
	for (size_t i = 0; i < run->count; i++)
		fprintf(to, "%02x", run->bytes[i]);
}

/* Whose log the operations are shown with. */
static struct log shown_log(const struct run *run, const struct finding *finding)
{
	const struct fuzzer *f = &run->fuzzer;

	return finding->kind == FINDING_RACE || (finding->kind == FINDING_LEAK && f->threads) ? f->quire_log
											      : f->host_log;
}

static bool is_race(const struct finding *finding)
{
	return finding->kind == FINDING_RACE || finding->kind == FINDING_HOST_RACE;
}

static void print_sequence(FILE *to, const struct run *run, const struct finding *finding)
{
	const struct fuzzer *f = &run->fuzzer;
	const struct sequence *sequence = &f->sequence;
	struct log log = shown_log(run, finding);
	uint32_t last = finding->kind == FINDING_NONE || is_race(finding) ? UINT32_MAX
									  : finding->divergence.op;

	for (uint32_t i = 0; i < sequence->count && i <= last;) {
		const struct wire_record *record = log_find(log, i);

		if (sequence->ops[i].thread) {
			i = print_stretch(to, sequence, log, i);
			continue;
		}
		fprintf(to, "%4u ", i);
		ops_print(to, &sequence->ops[i]);
		if (record)
			print_result(to, &sequence->ops[i], record);
		fputc('\n', to);
		if (run->options.verbose && record)
			log_print(to, record, log.at == f->host_log.at ? &f->host_names : &f->observed_names);
		i++;
	}
}

static void print_sides(FILE *to, const struct run *run, const struct finding *finding)
{
	const struct fuzzer *f = &run->fuzzer;
	const struct wire_record *host = log_find(f->host_log, finding->divergence.op);
	const struct wire_record *quire = log_find(f->quire_log, finding->divergence.op);

	if (host) {
		fprintf(to, "Linux then:\n");
		log_print(to, host, &f->host_names);
	}
	if (quire) {
		fprintf(to, "Quire then:\n");
		log_print(to, quire, fuzzer_quire_names(f));
	}
}

static const char *const headings[] = {
	[FINDING_DIVERGENCE] = "Divergence:",
	[FINDING_LEAK] = "Leak:",
	[FINDING_RACE] = "Divergence of threads on Quire: no order of their operations gives these results.",
	[FINDING_HOST_RACE] =
		"Threads on Linux: no order of their operations gives these results on Quire. Either "
		"Quire differs without threads too, or what the fuzzer takes for legal is too little.",
};

/* What no order gives, and the order that comes nearest. */
static void print_race(FILE *to, const struct run *run)
{
	const struct fuzzer *f = &run->fuzzer;

	fputs("Nearest order:", to);
	print_order(to, &f->nearest.orders);
	fprintf(to, " at operation %u\n", f->nearest.divergence.op);
}

static FILE *report_stream(const struct run *run)
{
	return run->options.json ? stderr : stdout;
}

static void report(struct run *run, const struct finding *finding)
{
	FILE *to = report_stream(run);

	fprintf(to, "%s\n", headings[finding->kind]);
	print_sequence(to, run, finding);
	if (is_race(finding))
		print_race(to, run);
	fprintf(to, "After operation %u, %s\n", finding->divergence.op, finding->divergence.what);
	if (finding->kind == FINDING_DIVERGENCE) {
		print_sides(to, run, finding);
		if (!run->options.no_shrink) {
			fputs("\nAs a C program:\n\n", to);
			print_program(to, &run->fuzzer, finding);
		}
	}
	fputs("\nRepeat with:\n    quire fuzz ", to);
	if (run->options.threads)
		fprintf(to, "--threads %" PRIu64 " ", run->options.threads);
	fputs("--replay ", to);
	print_bytes(to, run);
	fputs("\n\n", to);
	fflush(to);
}

static void print_summary(const struct run *run)
{
	const struct totals *t = &run->totals;
	double rate = t->seconds > 0 ? (double)t->ops / t->seconds : 0;

	printf("%" PRIu64 " operations in %" PRIu64 " sequences, %.1f s, %.0f operations/s; seed %" PRIu64
	       "\n",
	       t->ops, t->sequences, t->seconds, rate, run->options.seed);
	for (unsigned k = 0; k < WIRE_KINDS; k++) {
		if (t->kinds[k])
			printf("  %-10s %10" PRIu64 "  of them failed on Linux %9" PRIu64 "\n",
			       ops_kind_name(k), t->kinds[k], t->failed[k]);
	}
	if (run->options.threads)
		printf("%" PRIu64 " of them in %" PRIu64
		       " stretches of threads, each run once on Linux and %u times on "
		       "Quire; %" PRIu64 " orders tried, %" PRIu64 " outcomes undecided, %" PRIu64
		       " with mappings apart, %" PRIu64 " placed late, %" PRIu64 " of Linux's excused\n",
		       t->together, t->stretches, run->fuzzer.effort.quire, run->fuzzer.legal.tries,
		       run->fuzzer.undecided, run->fuzzer.legal.loose, run->fuzzer.legal.placed,
		       run->fuzzer.excused);
	if (t->once)
		printf("%" PRIu64 " differences did not come again when repeated\n", t->once);
	if (t->restarts)
		printf("%" PRIu64 " times agents died and fresh ones went on\n", t->restarts);
	printf("%" PRIu64 " divergences\n", t->findings);
}

static void print_json(const struct run *run)
{
	const struct totals *t = &run->totals;
	json_t *kinds = json_object();
	json_t *all = json_pack("{s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "operations", (json_int_t)t->ops,
				"sequences", (json_int_t)t->sequences, "seconds", t->seconds, "seed",
				(json_int_t)run->options.seed, "divergences", (json_int_t)t->findings,
				"not_repeated", (json_int_t)t->once, "agents_restarted",
				(json_int_t)t->restarts);

	for (unsigned k = 0; k < WIRE_KINDS; k++)
		json_object_set_new(kinds, ops_kind_name(k),
				    json_pack("{s:I, s:I}", "operations", (json_int_t)t->kinds[k], "failed",
					      (json_int_t)t->failed[k]));
	json_object_set_new(all, "kinds", kinds);
	if (run->options.threads)
		json_object_set_new(all, "stretches",
				    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "operations",
					      (json_int_t)t->together, "stretches", (json_int_t)t->stretches,
					      "runs", (json_int_t)run->fuzzer.effort.quire, "orders",
					      (json_int_t)run->fuzzer.legal.tries, "undecided",
					      (json_int_t)run->fuzzer.undecided, "apart",
					      (json_int_t)run->fuzzer.legal.loose, "placed_late",
					      (json_int_t)run->fuzzer.legal.placed, "excused",
					      (json_int_t)run->fuzzer.excused));
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

/* ---- running --------------------------------------------------------------------------------- */

static void count_operations(struct run *run)
{
	const struct sequence *sequence = &run->fuzzer.sequence;

	run->totals.sequences++;
	run->totals.ops += sequence->count;
	for (uint32_t i = 0; i < sequence->count; i++) {
		run->totals.kinds[sequence->ops[i].kind]++;
		run->totals.together += sequence->ops[i].thread != 0;
		run->totals.stretches += sequence->ops[i].thread && !sequence->ops[i + 1].thread;
	}
	for (const uint8_t *at = run->fuzzer.host_log.at, *end = at + run->fuzzer.host_log.bytes; at < end;) {
		const struct wire_record *record = (const struct wire_record *)at;

		if (ops_errno_name(record->result) || record->signal)
			run->totals.failed[sequence->ops[record->op].kind]++;
		at += record->bytes;
	}
}

static void tell_progress(struct run *run)
{
	double time = now();

	if (time - run->told < 1)
		return;
	run->told = time;
	if (run->options.json || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%" PRIu64 " operations, %.0f/s, %" PRIu64 " divergences ", run->totals.ops,
		(double)run->totals.ops / (time - run->began), run->totals.findings);
}

/*
 * A difference that does not come again each time is the host's own doing (pages that MADV_FREE gave up and
 * reclaim took, say): counted, not reported.
 */
static bool comes_again(struct run *run, struct finding *finding)
{
	struct finding again;

	for (unsigned i = 0; i < REPETITIONS; i++) {
		again = fuzzer_run(&run->fuzzer, run->bytes, run->count);
		if (again.kind == finding->kind && again.divergence.op == finding->divergence.op)
			continue;
		run->totals.once++;
		if (run->options.verbose)
			fprintf(stderr, "not repeated: %s\n", finding->divergence.what);
		return false;
	}
	*finding = again;
	return true;
}

/* What threads do need not come again: once is enough, and is reported first. */
static void handle_threads(struct run *run, struct finding finding)
{
	uint64_t runs = 0;

	run->totals.findings++;
	report(run, &finding);
	if (run->options.no_shrink)
		return;
	if (!shrink_threads(&run->fuzzer, run->bytes, &run->count, &finding, &runs)) {
		fprintf(report_stream(run), "It did not come again in %" PRIu64 " runs.\n\n", runs);
		return;
	}
	fputs("As short as it gets:\n\n", report_stream(run));
	report(run, &finding);
}

static void handle(struct run *run, struct finding finding)
{
	if (run->options.threads) {
		handle_threads(run, finding);
		return;
	}
	if (!comes_again(run, &finding))
		return;
	run->totals.findings++;
	if (!run->options.no_shrink)
		finding = shrink(&run->fuzzer, run->bytes, &run->count, finding);
	report(run, &finding);
}

static int agent_died(const struct run *run)
{
	fputs("quire fuzz: an agent process died, and fresh ones too; repeat with: quire fuzz --replay ",
	      stderr);
	print_bytes(stderr, run);
	fputc('\n', stderr);
	return EXIT_MISSING;
}

static int run_random(struct run *run)
{
	const struct options *o = &run->options;

	for (uint64_t i = 0; run->totals.findings < o->findings; i++) {
		uint64_t state = o->seed * 0x2545f4914f6cdd1dul + i;
		uint64_t records = o->length ? o->length : 20 + ops_random(&state) % (o->threads ? 41 : 381);
		struct finding finding;

		if ((o->seconds && now() - run->began >= (double)o->seconds) ||
		    (o->ops && run->totals.ops >= o->ops))
			break;
		ops_generate(&state, run->bytes, records, (unsigned)o->threads);
		run->count = records * OPS_RECORD;
		finding = fuzzer_run(&run->fuzzer, run->bytes, run->count);
		if (finding.kind == FINDING_AGENT_DIED)
			return agent_died(run);
		count_operations(run);
		if (finding.kind != FINDING_NONE)
			handle(run, finding);
		tell_progress(run);
	}
	return run->totals.findings ? EXIT_VIOLATED : EXIT_HELD;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Bytes given as such, if @text is nothing but an even number of hexadecimal digits; else a file's. */
static int read_bytes(struct run *run, const char *text)
{
	size_t digits = strlen(text);
	FILE *file;

	if (digits && digits % 2 == 0 && digits / 2 <= sizeof(run->bytes) &&
	    strspn(text, "0123456789abcdef") == digits) {
		for (run->count = 0; run->count < digits / 2; run->count++)
			run->bytes[run->count] = (uint8_t)(hex_digit(text[run->count * 2]) << 4 |
							   hex_digit(text[run->count * 2 + 1]));
		return 0;
	}
	file = fopen(text, "rb");
	if (!file) {
		fprintf(stderr, "quire fuzz: %s: %s, and not bytes in hexadecimal either\n", text,
			strerror(errno));
		return -1;
	}
	run->count = fread(run->bytes, 1, sizeof(run->bytes), file);
	fclose(file);
	return 0;
}

static int run_replay(struct run *run)
{
	unsigned rounds = run->options.threads ? REPLAY_ROUNDS : 1;
	struct finding finding = { .kind = FINDING_NONE };

	while (rounds-- > 0 && finding.kind == FINDING_NONE)
		finding = fuzzer_run(&run->fuzzer, run->bytes, run->count);
	if (finding.kind == FINDING_AGENT_DIED)
		return agent_died(run);
	count_operations(run);
	if (run->options.program) {
		if (finding.kind == FINDING_NONE)
			finding.divergence.op = run->fuzzer.sequence.count - 1;
		print_program(stdout, &run->fuzzer, &finding);
		return finding.kind == FINDING_NONE ? EXIT_HELD : EXIT_VIOLATED;
	}
	if (finding.kind == FINDING_NONE) {
		print_sequence(stdout, run, &finding);
		return EXIT_HELD;
	}
	run->totals.findings++;
	run->options.no_shrink = true;
	report(run, &finding);
	return EXIT_VIOLATED;
}

static int list_kinds(void)
{
	for (unsigned k = 0; k < WIRE_KINDS; k++)
		puts(ops_kind_name(k));
	return EXIT_HELD;
}

static int run_all(struct run *run)
{
	const char *why;
	int status;

	if (fuzzer_open(&run->fuzzer, run->options.against_itself, (unsigned)run->options.threads, &why)) {
		fprintf(stderr, "quire fuzz: %s\n", why);
		return EXIT_MISSING;
	}
	run->fuzzer.looking = !run->options.blind;
	catch_crashes(run);
	run->began = run->told = now();
	status = run->options.replay ? run_replay(run) : run_random(run);
	run->totals.seconds = now() - run->began;
	run->totals.restarts = run->fuzzer.restarts;
	return status;
}

int command_fuzz(int argc, char **argv)
{
	static struct run run; /* large, and one to a process */
	int status;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--check") == 0)
			return command_fuzz_check(argc, argv);
	memset(&run, 0, sizeof(run));
	run.options = (struct options){ .seed = 1, .findings = 1 };
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&parser, argc, argv, 0, NULL, &run.options);
	if (run.options.list)
		return list_kinds();
	if (!run.options.ops && !run.options.seconds)
		run.options.ops = 100000;
	if (run.options.replay && read_bytes(&run, run.options.replay))
		return EXIT_USAGE;
	status = run_all(&run);
	if (status != EXIT_MISSING && !run.options.replay)
		(run.options.json ? print_json : print_summary)(&run);
	fuzzer_close(&run.fuzzer);
	return status;
}
