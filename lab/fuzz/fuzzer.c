/*
 * fuzzer.c - one sequence on both sides, and what came of it.
 *
 * The host's processes run beside Quire, so that two processors are busy; the comparison comes after both.
 */
#include "fuzzer.h"

#include <string.h>

static void name_files(struct names *names, const struct oracle *oracle)
{
	for (unsigned i = 0; i < WIRE_FILES; i++)
		names->file[wire_files[i].file] = oracle_inode(oracle, i);
}

int fuzzer_open(struct fuzzer *fuzzer, bool against_itself, const char **why)
{
	memset(fuzzer, 0, sizeof(*fuzzer));
	fuzzer->looking = true;
	fuzzer->host = oracle_create(0, why);
	if (!fuzzer->host)
		return -1;
	name_files(&fuzzer->host_names, fuzzer->host);
	if (against_itself) {
		fuzzer->other = oracle_create(1, why);
		if (fuzzer->other)
			name_files(&fuzzer->other_names, fuzzer->other);
	} else {
		fuzzer->quire = subject_create(oracle_layout(fuzzer->host), why);
	}
	if (fuzzer->other || fuzzer->quire)
		return 0;
	fuzzer_close(fuzzer);
	return -1;
}

void fuzzer_close(struct fuzzer *fuzzer)
{
	if (fuzzer->quire)
		subject_destroy(fuzzer->quire);
	if (fuzzer->other)
		oracle_destroy(fuzzer->other);
	if (fuzzer->host)
		oracle_destroy(fuzzer->host);
	memset(fuzzer, 0, sizeof(*fuzzer));
}

const struct names *fuzzer_quire_names(const struct fuzzer *fuzzer)
{
	return fuzzer->quire ? subject_names(fuzzer->quire) : &fuzzer->other_names;
}

struct finding fuzzer_run(struct fuzzer *fuzzer, const uint8_t *bytes, size_t count)
{
	struct finding finding = { .kind = FINDING_NONE };
	const char *leak = NULL;

	ops_decode(bytes, count, &fuzzer->sequence);
	oracle_start(fuzzer->host, &fuzzer->sequence, fuzzer->looking);
	if (fuzzer->quire) {
		fuzzer->quire_log = subject_run(fuzzer->quire, &fuzzer->sequence, fuzzer->looking, &leak);
	} else {
		oracle_start(fuzzer->other, &fuzzer->sequence, fuzzer->looking);
		fuzzer->quire_log.at = oracle_finish(fuzzer->other, &fuzzer->quire_log.bytes);
	}
	fuzzer->host_log.at = oracle_finish(fuzzer->host, &fuzzer->host_log.bytes);
	if (!fuzzer->host_log.at || !fuzzer->quire_log.at) {
		finding.kind = FINDING_AGENT_DIED;
		return finding;
	}
	if (logs_differ(&fuzzer->sequence, fuzzer->host_log, &fuzzer->host_names, fuzzer->quire_log,
			fuzzer_quire_names(fuzzer), &finding.divergence)) {
		finding.kind = FINDING_DIVERGENCE;
	} else if (leak) {
		finding.kind = FINDING_LEAK;
		finding.divergence.op = fuzzer->sequence.count - 1;
		snprintf(finding.divergence.what, sizeof(finding.divergence.what), "%s", leak);
	}
	return finding;
}
