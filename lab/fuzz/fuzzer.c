/*
 * fuzzer.c - one sequence on both sides, and what came of it.
 *
 * The host's processes run beside Quire, so that two processors are busy; the comparison comes after both.
 *
 * Somebody may kill an agent (the host, when memory is short), or a busy host may let it wait for longer than
 * the others do. That says nothing of Quire: fresh agents run the sequence again.
 */
#include "fuzzer.h"
#include "stretch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TRIES = 4,
	HOST_RUNS = 1, /* of a sequence with stretches */
	QUIRE_RUNS = 4,
	STUCK_SECONDS = 60, /* Quire, in one sequence */
};

/* How many seconds an agent may do nothing, with each try. */
static const unsigned patience[TRIES] = { 10, 10, 30, 90 };

static void name_files(struct names *names, const struct oracle *oracle)
{
	names->who = "Linux";
	for (unsigned i = 0; i < WIRE_FILES; i++)
		names->file[wire_files[i].file] = oracle_inode(oracle, i);
}

static int open_host(struct oracle **oracle, struct names *names, unsigned which, unsigned seconds,
		     const char **why)
{
	*oracle = oracle_create(which, seconds, why);
	if (!*oracle)
		return -1;
	name_files(names, *oracle);
	return 0;
}

static void close_hosts(struct fuzzer *fuzzer)
{
	if (fuzzer->other)
		oracle_destroy(fuzzer->other);
	if (fuzzer->host)
		oracle_destroy(fuzzer->host);
	fuzzer->host = fuzzer->other = NULL;
}

int fuzzer_open(struct fuzzer *fuzzer, bool against_itself, unsigned threads, const char **why)
{
	memset(fuzzer, 0, sizeof(*fuzzer));
	fuzzer->threads = threads;
	fuzzer->effort = (struct effort){ HOST_RUNS, QUIRE_RUNS };
	fuzzer->observed = threads ? malloc(WIRE_LOG_BYTES) : NULL;
	*why = "no memory";
	if (threads && !fuzzer->observed)
		return -1;
	fuzzer->looking = true;
	fuzzer->against_itself = against_itself;
	if (open_host(&fuzzer->host, &fuzzer->host_names, 0, patience[0], why))
		return -1;
	if (against_itself)
		open_host(&fuzzer->other, &fuzzer->other_names, 1, patience[0], why);
	else
		fuzzer->quire = subject_create(oracle_layout(fuzzer->host), threads, why);
	if (fuzzer->other || fuzzer->quire)
		return 0;
	fuzzer_close(fuzzer);
	return -1;
}

/* Fresh agents on the host's side, or on both. 0 or -1. */
static int start_anew(struct fuzzer *fuzzer, unsigned seconds)
{
	const char *why;

	fuzzer->restarts++;
	close_hosts(fuzzer);
	if (open_host(&fuzzer->host, &fuzzer->host_names, 0, seconds, &why))
		return -1;
	if (fuzzer->against_itself)
		return open_host(&fuzzer->other, &fuzzer->other_names, 1, seconds, &why);
	subject_place(fuzzer->quire, oracle_layout(fuzzer->host));
	return 0;
}

void fuzzer_close(struct fuzzer *fuzzer)
{
	if (fuzzer->quire)
		subject_destroy(fuzzer->quire);
	close_hosts(fuzzer);
	legal_free(&fuzzer->legal);
	free(fuzzer->observed);
	memset(fuzzer, 0, sizeof(*fuzzer));
}

const struct names *fuzzer_quire_names(const struct fuzzer *fuzzer)
{
	return fuzzer->quire ? subject_names(fuzzer->quire) : &fuzzer->other_names;
}

/* Both logs, or -1 when an agent died. */
static int run_both(struct fuzzer *fuzzer, const char **leak)
{
	oracle_start(fuzzer->host, &fuzzer->sequence, fuzzer->looking);
	if (fuzzer->quire) {
		alarm(STUCK_SECONDS);
		fuzzer->quire_log = subject_run(fuzzer->quire, &fuzzer->sequence, fuzzer->looking, leak);
		alarm(0);
	} else {
		oracle_start(fuzzer->other, &fuzzer->sequence, fuzzer->looking);
		fuzzer->quire_log.at = oracle_finish(fuzzer->other, &fuzzer->quire_log.bytes);
	}
	fuzzer->host_log.at = oracle_finish(fuzzer->host, &fuzzer->host_log.bytes);
	return fuzzer->host_log.at && fuzzer->quire_log.at ? 0 : -1;
}

/* ---- stretches ------------------------------------------------------------------------------- */

static struct finding leaked(const struct fuzzer *fuzzer, const char *leak)
{
	struct finding finding = { .kind = FINDING_LEAK };

	finding.divergence.op = fuzzer->sequence.count - 1;
	snprintf(finding.divergence.what, sizeof(finding.divergence.what), "%s", leak);
	return finding;
}

static struct finding judge(struct fuzzer *fuzzer, struct log log, const struct names *names,
			    enum finding_kind kind)
{
	struct finding finding = { .kind = FINDING_NONE };
	enum verdict verdict = legal_judge(&fuzzer->legal, log, names, &fuzzer->nearest);

	if (verdict == VERDICT_ILLEGAL && kind == FINDING_HOST_RACE &&
	    stretch_may_show_two_steps(&fuzzer->sequence)) {
		fuzzer->excused++;
	} else if (verdict == VERDICT_ILLEGAL) {
		finding.kind = kind;
		finding.divergence = fuzzer->nearest.divergence;
	}
	fuzzer->undecided += verdict == VERDICT_OPEN;
	return finding;
}

/* As often as is wanted, or until it finds something. */
static struct finding run_quire(struct fuzzer *fuzzer)
{
	struct finding finding = { .kind = FINDING_NONE };

	alarm(STUCK_SECONDS);
	for (unsigned i = 0; i < fuzzer->effort.quire && finding.kind == FINDING_NONE; i++) {
		const char *leak;
		struct log log = subject_run(fuzzer->quire, &fuzzer->sequence, fuzzer->looking, &leak);
		struct names names = *subject_names(fuzzer->quire);

		memcpy(fuzzer->observed, log.at, log.bytes);
		fuzzer->quire_log = (struct log){ fuzzer->observed, log.bytes };
		fuzzer->observed_names = names;
		finding = leak ? leaked(fuzzer, leak)
			       : judge(fuzzer, fuzzer->quire_log, &names, FINDING_RACE);
	}
	alarm(0);
	return finding;
}

/* Both sides beside each other. FINDING_AGENT_DIED: the host's side has no result. */
static struct finding run_host(struct fuzzer *fuzzer)
{
	struct finding finding, died = { .kind = FINDING_AGENT_DIED };

	for (unsigned try = 0; try < TRIES; try++) {
		if ((try || !fuzzer->host) && start_anew(fuzzer, patience[try]))
			continue;
		oracle_start(fuzzer->host, &fuzzer->sequence, fuzzer->looking);
		finding = run_quire(fuzzer);
		fuzzer->host_log.at = oracle_finish(fuzzer->host, &fuzzer->host_log.bytes);
		if (finding.kind != FINDING_NONE)
			return finding;
		if (fuzzer->host_log.at)
			return judge(fuzzer, fuzzer->host_log, &fuzzer->host_names, FINDING_HOST_RACE);
	}
	return died;
}

static struct finding run_stretches(struct fuzzer *fuzzer)
{
	struct finding finding = { .kind = FINDING_NONE };

	legal_begin(&fuzzer->legal, fuzzer->quire, &fuzzer->sequence, fuzzer->looking);
	if (!fuzzer->effort.host)
		return run_quire(fuzzer);
	for (unsigned i = 0; i < fuzzer->effort.host && finding.kind == FINDING_NONE; i++)
		finding = run_host(fuzzer);
	return finding;
}

struct finding fuzzer_run(struct fuzzer *fuzzer, const uint8_t *bytes, size_t count)
{
	struct finding finding = { .kind = FINDING_NONE };
	const char *leak = NULL;
	int died;

	ops_decode(bytes, count, fuzzer->threads, &fuzzer->sequence);
	if (fuzzer->threads)
		return run_stretches(fuzzer);
	died = fuzzer->host ? run_both(fuzzer, &leak) : -1;
	for (unsigned try = 1; died && try < TRIES; try++)
		died = start_anew(fuzzer, patience[try]) ? -1 : run_both(fuzzer, &leak);
	if (died) {
		finding.kind = FINDING_AGENT_DIED;
		return finding;
	}
	if (logs_differ(&fuzzer->sequence, fuzzer->host_log, &fuzzer->host_names, fuzzer->quire_log,
			fuzzer_quire_names(fuzzer), &finding.divergence)) {
		finding.kind = FINDING_DIVERGENCE;
	} else if (leak) {
		finding = leaked(fuzzer, leak);
	}
	return finding;
}
