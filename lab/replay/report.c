/*
 * report.c - what came of a replay: differences as they are found, then a table, or the same as JSON.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/replay/replay.h"

enum { DIFFERENCES_SHOWN = 20 };

void report_difference(struct replay *replay, const struct step *step, const char *format, ...)
{
	uint64_t number = atomic_fetch_add_explicit(&replay->tally.differences, 1, memory_order_relaxed);

	if (number >= DIFFERENCES_SHOWN || replay->options->quiet)
		return;
	va_list args;
	va_start(args, format);
	pthread_mutex_lock(&replay->talk);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
	fprintf(stderr, "quire replay: %s: ", replay->path);
	if (step) {
		fprintf(stderr, step->kind == STEP_CHECK ? "looking at all pages before event " : "event ");
		trace_event_print(replay->plan->reader, step->event, stderr);
		fprintf(stderr, ": ");
	}
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	if (number + 1 == DIFFERENCES_SHOWN)
		fprintf(stderr, "quire replay: %s: further differences are only counted\n", replay->path);
	pthread_mutex_unlock(&replay->talk);
	va_end(args);
}

const char *report_leftover(const struct replay *replay)
{
	const struct quire_stats *stats = &replay->stats;

	if (stats->frames_free + stats->frames_reserved != stats->frames_total)
		return "frames";
	if (stats->frames_tables)
		return "page tables";
	if (stats->frames_cached)
		return "page-cache pages";
	if (stats->committed_pages)
		return "committed pages";
	if (stats->objects != replay->objects_before)
		return "objects";
	return NULL;
}

/* ---- the table ---- */

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void row(const char *name, uint64_t ours, const char *recorded_name, uint64_t recorded)
{
	printf("  %-34s %14llu", name, (unsigned long long)ours);
	if (recorded_name)
		printf("   %-26s %14llu", recorded_name, (unsigned long long)recorded);
	printf("\n");
}

static void table_faults(const struct replay *replay)
{
	const struct quire_stats *s = &replay->stats;
	const struct plan *plan = replay->plan;
	const struct tally *t = &replay->tally;

	row("touches", get(&t->touches), "faults recorded", plan->faults);
	row("  loads", get(&t->touches_by[QUIRE_ACCESS_READ]), "  reads",
	    plan->faults_by_access[TRACE_ACCESS_READ]);
	row("  stores", get(&t->touches_by[QUIRE_ACCESS_WRITE]), "  writes",
	    plan->faults_by_access[TRACE_ACCESS_WRITE]);
	row("  fetches", get(&t->touches_by[QUIRE_ACCESS_EXEC]), "  fetches",
	    plan->faults_by_access[TRACE_ACCESS_EXEC]);
	if (plan->faults_by_access[TRACE_ACCESS_UNKNOWN])
		row("", 0, "  access not recorded", plan->faults_by_access[TRACE_ACCESS_UNKNOWN]);
	row("  by the kernel", get(&t->touches_kernel), "  by the kernel", plan->faults_kernel);
	row("  that end in a signal", get(&t->touches_bad), "  signals", plan->signals);
	if (plan->minor + plan->major)
		row("faults", s->faults, "faults counted by kernel", plan->minor + plan->major);
	else
		row("faults", s->faults, NULL, 0);
	row("  anonymous, a fresh page", s->faults_anon, NULL, 0);
	row("  the zero page", s->faults_zero, NULL, 0);
	row("  page-cache page mapped", s->faults_file, NULL, 0);
	row("  mapped along with it", s->faults_around, NULL, 0);
	row("  page read from its file", s->faults_read, NULL, 0);
	row("  copy-on-write: copied", s->faults_cow, NULL, 0);
	row("  copy-on-write: reused", s->faults_reuse, "  entry was present", plan->faults_present);
	row("  nothing to do", s->faults_spurious, NULL, 0);
	row("  failed", s->faults_failed, NULL, 0);
	row("  restarted", s->faults_restarts, NULL, 0);
	row("  under RCU alone", s->faults_rcu, NULL, 0);
	row("  using the mapping", s->faults_held, NULL, 0);
	row("  holding their address", s->faults_locked, NULL, 0);
}

static void table_rest(const struct replay *replay)
{
	const struct quire_stats *s = &replay->stats;
	const struct plan *plan = replay->plan;
	const struct tally *t = &replay->tally;

	row("calls", get(&t->calls), "calls recorded", plan->calls);
	row("  replayed in another form", get(&t->calls_adapted), NULL, 0);
	row("  Quire does not have yet", get(&t->calls_unsupported), NULL, 0);
	row("  left out, no matter of memory", get(&t->calls_left_out), NULL, 0);
	if (get(&t->races))
		row("raced with other threads' calls", get(&t->races), NULL, 0);
	if (get(&t->files_grown))
		row("files found to have grown", get(&t->files_grown), NULL, 0);
	row("pages flushed one by one", s->flushes_page, NULL, 0);
	row("full flushes", s->flushes_full, NULL, 0);
	row("shootdowns", s->shootdowns, NULL, 0);
	row("IPIs", s->ipis, NULL, 0);
	row("page-table bytes, peak", get(&t->tables_peak) * QUIRE_PAGE_SIZE,
	    plan->table_bytes ? "sum of each at its exit" : NULL, plan->table_bytes);
	row("frames, peak", s->frames_peak, plan->peak_rss_pages ? "sum of each peak RSS" : NULL,
	    plan->peak_rss_pages);
	row("pages compared besides", get(&t->pages_checked), NULL, 0);
	row("milliseconds", replay->nanoseconds / 1000000, "of recording", plan->duration / 1000000);
}

void report_table(const struct replay *replay)
{
	const struct trace_header *header = &replay->plan->header;
	const char *leftover = report_leftover(replay);
	uint64_t differences = get(&replay->tally.differences);

	printf("%s: %s\n", replay->path, header->command);
	printf("  %u threads, %u address spaces, %u steps, on %u CPU%s; recorded on Linux %s, %u CPUs\n",
	       replay->plan->threads, replay->plan->mm_count, replay->plan->count, replay->options->cpus,
	       replay->options->cpus == 1 ? "" : "s", header->kernel, header->cpus);
	if (replay->plan->lost)
		printf("  the recording lost %llu events: differences may come from that\n",
		       (unsigned long long)replay->plan->lost);
	printf("\n  %-34s %14s   %s\n", "Quire", "", "the recording kernel");
	table_faults(replay);
	table_rest(replay);
	printf("\n  %llu difference%s", (unsigned long long)differences, differences == 1 ? "" : "s");
	if (leftover)
		printf("; left over at the end: %s\n\n", leftover);
	else
		printf("; every count is zero at the end (%llu frames, all free)\n\n",
		       (unsigned long long)(replay->stats.frames_total - replay->stats.frames_reserved));
}

/* ---- JSON ---- */

static void put(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *json_recorded(const struct plan *plan)
{
	json_t *out = json_object();

	put(out, "faults", plan->faults);
	put(out, "reads", plan->faults_by_access[TRACE_ACCESS_READ]);
	put(out, "writes", plan->faults_by_access[TRACE_ACCESS_WRITE]);
	put(out, "fetches", plan->faults_by_access[TRACE_ACCESS_EXEC]);
	put(out, "access_unknown", plan->faults_by_access[TRACE_ACCESS_UNKNOWN]);
	put(out, "kernel", plan->faults_kernel);
	put(out, "present", plan->faults_present);
	put(out, "signals", plan->signals);
	put(out, "calls", plan->calls);
	put(out, "lost", plan->lost);
	put(out, "faults_minor", plan->minor);
	put(out, "faults_major", plan->major);
	put(out, "table_bytes_at_exit", plan->table_bytes);
	put(out, "peak_rss_pages", plan->peak_rss_pages);
	put(out, "nanoseconds", plan->duration);
	return out;
}

static json_t *json_replay(const struct replay *replay)
{
	const struct tally *t = &replay->tally;
	json_t *out = json_object();

	put(out, "touches", get(&t->touches));
	put(out, "loads", get(&t->touches_by[QUIRE_ACCESS_READ]));
	put(out, "stores", get(&t->touches_by[QUIRE_ACCESS_WRITE]));
	put(out, "fetches", get(&t->touches_by[QUIRE_ACCESS_EXEC]));
	put(out, "touches_by_kernel", get(&t->touches_kernel));
	put(out, "touches_failed", get(&t->touches_bad));
	put(out, "raced", get(&t->races));
	put(out, "calls", get(&t->calls));
	put(out, "calls_adapted", get(&t->calls_adapted));
	put(out, "calls_unsupported", get(&t->calls_unsupported));
	put(out, "calls_left_out", get(&t->calls_left_out));
	put(out, "files_grown", get(&t->files_grown));
	put(out, "pages_compared", get(&t->pages_checked));
	put(out, "table_bytes_peak", get(&t->tables_peak) * QUIRE_PAGE_SIZE);
	put(out, "nanoseconds", replay->nanoseconds);
	return out;
}

static json_t *json_stats(const struct replay *replay)
{
	const struct quire_stats *s = &replay->stats;
	json_t *out = json_replay(replay);

	put(out, "frames_total", s->frames_total);
	put(out, "frames_free", s->frames_free);
	put(out, "frames_reserved", s->frames_reserved);
	put(out, "frames_peak", s->frames_peak);
	put(out, "faults", s->faults);
	put(out, "faults_anon", s->faults_anon);
	put(out, "faults_zero", s->faults_zero);
	put(out, "faults_file", s->faults_file);
	put(out, "faults_around", s->faults_around);
	put(out, "faults_read", s->faults_read);
	put(out, "faults_cow", s->faults_cow);
	put(out, "faults_reuse", s->faults_reuse);
	put(out, "faults_spurious", s->faults_spurious);
	put(out, "faults_failed", s->faults_failed);
	put(out, "faults_restarts", s->faults_restarts);
	put(out, "faults_rcu", s->faults_rcu);
	put(out, "faults_held", s->faults_held);
	put(out, "faults_locked", s->faults_locked);
	put(out, "flushes_page", s->flushes_page);
	put(out, "flushes_full", s->flushes_full);
	put(out, "shootdowns", s->shootdowns);
	put(out, "ipis", s->ipis);
	put(out, "accesses", replay->counts.accesses);
	put(out, "tlb_hits", replay->counts.tlb_hits);
	put(out, "walks", replay->counts.walks);
	return out;
}

/* Text that need not be UTF-8, which JSON must be: then what is not ASCII is written as \xNN. */
static json_t *json_text(const char *text)
{
	json_t *out = json_string(text);
	char *escaped = out ? NULL : malloc(4 * strlen(text) + 1), *at = escaped;

	for (; escaped && *text; text++)
		at += sprintf(at, *text & 0x80 ? "\\x%02x" : "%c", *text & 0xff);
	if (escaped) {
		*at = 0;
		out = json_string(escaped);
	}
	free(escaped);
	return out;
}

json_t *report_json(const struct replay *replay)
{
	const char *leftover = report_leftover(replay);
	json_t *out = json_object();

	json_object_set_new(out, "trace", json_text(replay->path));
	json_object_set_new(out, "command", json_text(replay->plan->header.command));
	json_object_set_new(out, "kernel", json_text(replay->plan->header.kernel));
	put(out, "cpus", replay->options->cpus);
	put(out, "steps", replay->plan->count);
	put(out, "threads", replay->plan->threads);
	put(out, "address_spaces", replay->plan->mm_count);
	put(out, "differences", get(&replay->tally.differences));
	json_object_set_new(out, "left_over", leftover ? json_string(leftover) : json_null());
	json_object_set_new(out, "quire", json_stats(replay));
	json_object_set_new(out, "recorded", json_recorded(replay->plan));
	return out;
}
