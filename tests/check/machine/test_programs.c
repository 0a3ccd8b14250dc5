/*
 * test_programs.c - random programs over the machine's port: what is sampled, a complete search must find.
 *
 * Brute force is the judge where it can be: with interrupts, locks and waits small programs have millions of
 * schedules. But random ones are taken without any notion of what conflicts with what. So each outcome and
 * each violation that some of them show and a complete search does not is one that the search, or what the
 * machine tells it, has lost. The same for the search with few preemptions and those samples that have no
 * more; and what is found under a stronger memory model must be found under a weaker one.
 *
 * Programs are written as programs.h says.
 *
 *	QUIRE_PROGRAM='P0 ipi1 P1 ld0 H1 st0'	this one alone
 *	QUIRE_SEED, QUIRE_PROGRAMS		others; so many
 *	QUIRE_SOAK=1				more of them, and more samples of each
 */
#include "programs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const model_name[] = { "sc", "tso", "weak" };

/* ---- what searches find ----------------------------------------------------------------------------- */

enum { OUTCOMES = 2000, BOUND = 2 };

/* What each part has read, and what memory holds at the end. */
struct outcome {
	uint64_t seen[PARTS], atomic[PROGRAM_PLACES], plain[PROGRAM_PLACES];
};

enum violation { RACE, DEADLOCK, OTHER, VIOLATIONS };

struct findings {
	struct engine_counts counts;
	unsigned outcomes;
	struct outcome outcome[OUTCOMES];
	char violation[VIOLATIONS][512]; /* the first of each kind; "" */
};

/* Of the search under way: all of it, and what has no more than BOUND preemptions. */
static struct findings *found, *found_bounded;

static struct outcome outcome_now(void)
{
	struct outcome now = { 0 };

	for (unsigned part = 0; part < PARTS; part++)
		now.seen[part] = program_state->part[part].seen;
	for (unsigned i = 0; i < PROGRAM_PLACES; i++) {
		now.atomic[i] = atomic_load_explicit(&program_state->atomic[i], memory_order_relaxed);
		now.plain[i] = program_state->plain[i];
	}
	return now;
}

static bool has_outcome(const struct findings *findings, const struct outcome *outcome)
{
	for (unsigned i = 0; i < findings->outcomes; i++)
		if (!memcmp(&findings->outcome[i], outcome, sizeof(*outcome)))
			return true;
	return false;
}

static void note(struct findings *to, const char *violation)
{
	if (violation) {
		enum violation kind = strstr(violation, "data race")  ? RACE
				      : strstr(violation, "deadlock") ? DEADLOCK
								      : OTHER;
		if (!to->violation[kind][0])
			snprintf(to->violation[kind], sizeof(to->violation[kind]), "%s", violation);
		return;
	}
	struct outcome now = outcome_now();
	if (has_outcome(to, &now))
		return;
	if (to->outcomes == OUTCOMES)
		fail_msg("%s: more than %d outcomes", program_text(&program), OUTCOMES);
	to->outcome[to->outcomes++] = now;
}

static void ended(struct engine *engine, const char *violation)
{
	note(found, violation);
	if (found_bounded && engine_preemptions(engine) <= BOUND)
		note(found_bounded, violation);
}

static bool needs_grace(void)
{
	for (unsigned column = 0; column < program.cpus; column++)
		if (program_has(&program, column, OP_CALL) || program_has(&program, column, OP_BARRIER))
			return true;
	return false;
}

/* Searches the program that is @program now. @few may be NULL: what few preemptions suffice for. */
static void search(enum engine_search how, enum memory_model model, struct engine_config limits,
		   struct findings *all, struct findings *few)
{
	struct scene scene = { .config = { .model = model, .rcu_agent = needs_grace() },
			       .setup = setup_program,
			       .ended = ended,
			       .limits = limits,
			       .is_bare = true };

	memcpy(scene.column, program_column, program.cpus * sizeof(scene.column[0]));
	found = all;
	found_bounded = few;
	*all = (struct findings){ 0 };
	if (few)
		*few = (struct findings){ 0 };
	all->counts = scene_run(&scene, how).counts;
}

/* ---- comparisons ------------------------------------------------------------------------------------ */

static struct findings complete, stronger, bounded, samples, samples_few, every;

static const char *outcome_text(const struct outcome *outcome)
{
	static char text[256];
	size_t used = 0;

	for (unsigned part = 0; part < PARTS; part++)
		if (program.ops[part])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%c%u read %lu, ",
						 "PHC"[part / PROGRAM_CPUS], part % PROGRAM_CPUS,
						 outcome->seen[part]);
	snprintf(text + used, sizeof(text) - used, "in the end atomics %lu %lu, plain %lu %lu",
		 outcome->atomic[0], outcome->atomic[1], outcome->plain[0], outcome->plain[1]);
	return text;
}

/* Something of @some that @all has not, or NULL. Where there is a race, all else is anybody's guess. */
static const char *difference(const struct findings *all, const struct findings *some)
{
	if (all->violation[RACE][0])
		return NULL;
	for (unsigned kind = 0; kind < VIOLATIONS; kind++)
		if (some->violation[kind][0] && !all->violation[kind][0])
			return some->violation[kind];
	for (unsigned i = 0; i < some->outcomes; i++)
		if (!has_outcome(all, &some->outcome[i]))
			return outcome_text(&some->outcome[i]);
	return NULL;
}

struct verdict {
	const char *what; /* is wrong; NULL: nothing */
	const char *text; /* a violation or an outcome */
};

/* Holds @complete against every schedule there is, if there are not too many. */
static struct verdict judge_by_all(enum memory_model model, uint64_t schedules)
{
	search(SEARCH_BRUTE, model, (struct engine_config){ .executions = schedules }, &every, NULL);
	if (!every.counts.complete)
		return (struct verdict){ 0 };
	const char *text = difference(&complete, &every);
	if (text)
		return (struct verdict){ "a complete search misses what one of all schedules has", text };
	text = difference(&every, &complete);
	return (struct verdict){ text ? "a complete search finds what no schedule has" : NULL, text };
}

/* Searches @program in all ways. Nothing is wrong with what takes too long: @complete says so. */
static struct verdict judge(enum memory_model model)
{
	bool is_soak = getenv("QUIRE_SOAK");
	struct engine_config limits = { .executions = is_soak ? 100000 : 3000, .bound = BOUND };
	struct engine_config sampling = { .executions = 1500, .seed = 7 };
	const char *text;

	search(SEARCH_SOURCE, model, limits, &complete, NULL);
	/* These programs cannot do worse than to race and to wait in vain. */
	if (complete.violation[OTHER][0])
		return (struct verdict){ "a violation is found", complete.violation[OTHER] };
	if (!complete.counts.complete)
		return (struct verdict){ 0 };
	/* What has few executions shows soon what it has. */
	if (!is_soak && 200 + 4 * complete.counts.executions < sampling.executions)
		sampling.executions = 200 + 4 * complete.counts.executions;
	search(SEARCH_POS, model, sampling, &samples, &samples_few);
	text = difference(&complete, &samples);
	if (text)
		return (struct verdict){ "a complete search misses", text };
	if (model > MEMORY_SC) {
		search(SEARCH_SOURCE, model - 1, limits, &stronger, NULL);
		text = stronger.violation[OTHER][0] ? NULL : difference(&complete, &stronger);
	}
	if (text)
		return (struct verdict){ "a complete search misses what a stronger model allows", text };
	struct verdict verdict = judge_by_all(model, is_soak ? 60000 : 500);
	if (verdict.what)
		return verdict;
	search(SEARCH_BOUNDED, model, limits, &bounded, NULL);
	text = bounded.counts.complete ? difference(&bounded, &samples_few) : NULL;
	if (text)
		return (struct verdict){ "a search with two preemptions misses", text };
	return (struct verdict){ 0 };
}

/* One operation less, and still wrong? */
static bool shrink_once(enum memory_model model)
{
	struct program whole = program;

	for (unsigned part = 0; part < PARTS; part++)
		for (unsigned i = 0; i < whole.ops[part]; i++) {
			if (op_is_end(&whole.op[part][i]))
				continue;
			program = program_without(&whole, part, i);
			if (judge(model).what)
				return true;
		}
	program = whole;
	return false;
}

static struct {
	uint64_t programs, racing, too_large, outcomes, executions, samples, bounded;
} totals[3];

static unsigned wrong; /* in the test under way, which goes on: another program may say it more shortly */

static void report(enum memory_model model)
{
	struct program whole = program;

	while (shrink_once(model))
		;
	struct verdict verdict = judge(model);
	print_error("under %s, %s: %s\nQUIRE_PROGRAM='%s' repeats it\n", model_name[model], verdict.what,
		    verdict.text, program_text(&program));
	program = whole;
	wrong++;
}

/* Returns the outcomes of @program under @model; 0 when that takes too long, or something is wrong. */
static unsigned compare(enum memory_model model)
{
	if (judge(model).what) {
		report(model);
		return 0;
	}
	if (!complete.counts.complete) {
		totals[model].too_large++;
		return 0;
	}
	totals[model].programs++;
	totals[model].racing += complete.violation[RACE][0] != 0;
	totals[model].outcomes += complete.outcomes;
	totals[model].executions += complete.counts.executions;
	totals[model].samples += samples.counts.executions;
	totals[model].bounded += bounded.counts.complete;
	return complete.outcomes;
}

/* ---- tests ------------------------------------------------------------------------------------------ */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void compare_random(uint64_t programs, enum program_size size)
{
	wrong = 0;
	memset(totals, 0, sizeof(totals));
	for (uint64_t i = 0; i < programs; i++) {
		program = program_random(from_environment("QUIRE_SEED", 1) + i, size);
		for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
			compare(model);
	}
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++)
		print_message("%-4s %lu programs (%lu race, %lu too large), %lu outcomes in %lu executions; "
			      "%lu samples, %lu bounded\n",
			      model_name[model], totals[model].programs, totals[model].racing,
			      totals[model].too_large, totals[model].outcomes, totals[model].executions,
			      totals[model].samples, totals[model].bounded);
	assert_int_equal(wrong, 0);
	/* Many of them say something. */
	assert_true(totals[MEMORY_WEAK].programs - totals[MEMORY_WEAK].racing >= programs / 3);
}

/* CHK-2, CHK-3: what a complete search leaves out is nowhere to be found. */
static void chk_2_random_programs(void **state)
{
	(void)state;
	compare_random(from_environment("QUIRE_PROGRAMS", getenv("QUIRE_SOAK") ? 4000 : 600), PROGRAM_SMALL);
}

/* The same where several interrupts of several steps are under way at a time. */
static void chk_2_entangled_programs(void **state)
{
	(void)state;
	compare_random(from_environment("QUIRE_PROGRAMS", getenv("QUIRE_SOAK") ? 2000 : 60),
		       PROGRAM_ENTANGLED);
}

/* The one of QUIRE_PROGRAM. */
static void chk_2_given_program(void **state)
{
	(void)state;
	program = program_read(getenv("QUIRE_PROGRAM"));
	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		unsigned outcomes = compare(model);

		print_message("%-4s %s: %u outcomes%s%s\n", model_name[model], program_text(&program),
			      outcomes, complete.violation[RACE][0] ? ", races" : "",
			      complete.violation[DEADLOCK][0] ? ", deadlocks" : "");
	}
	assert_int_equal(wrong, 0);
}

enum { SC = 1 << MEMORY_SC, TSO = 1 << MEMORY_TSO, WEAK = 1 << MEMORY_WEAK, EVERY = SC | TSO | WEAK };

/* Programs that a search once missed something of, and how many outcomes they have. */
static const struct {
	const char *text;
	unsigned models, outcomes;
} known[] = {
	/* That P1 is interrupted is to come before ld1, which waits for P1, which the interrupt holds off. */
	{ "P0 ipi1 ld1 P1 ipi0 H0 st1", EVERY, 2 },
	/* Two send to one CPU. Whose interrupt comes first is a choice only where both have been sent. */
	{ "P0 ipi1 P1 P2 st1 ipi1 H1 ld1", EVERY, 2 },
	/* One sends twice, and is interrupted before, between and behind. */
	{ "P0 ipi1 ipi1 P1 ipi0 H0 st0 H1 ld0", EVERY, 3 },
	/* A store in a buffer against one of two interrupts that are under way at a time. */
	{ "P0 ipi1 P1 ipi0 P2 st1 H0 add1 H1 ld1", TSO, 6 },
	/* P2 is interrupted before it has seen add1 by way of P1, or after. */
	{ "P0 ipi2 P1 add1 P2 ipi1 H1 ld1 H2 ld1", WEAK, 4 },
	/* The interrupt reads what its own CPU wrote, and tells somebody whom that CPU tells too. */
	{ "P0 ipi1 P1 add1 ipi0 H0 ld0 H1 ld1 st0", WEAK, 4 },
	/* The same, where the CPU reads what the interrupt wrote. */
	{ "P0 ipi1 P1 ld1 ipi0 H0 ld0 H1 st1 st0", WEAK, 4 },
	/* A store in a buffer, whose CPU is interrupted, and something else that comes the other way. */
	{ "P0 st0 P1 ipi0 P2 ld0 H0 ld0", EVERY, 4 },
	{ "P0 st0 P1 lock0 unlock0 ld1 P2 ipi0 st1 H0 ld0", EVERY, 4 },
	/* H0 is to come behind ld0, which comes behind H1, while H1 is not over. */
	{ "P0 ld0 P1 P2 ipi01 H0 swap0 H1 add0 ld0", EVERY, 9 },
	/* The same about a callback. */
	{ "P0 ipi1 st1 P1 call ipi0 H0 st1 H1 ld0 C add0", SC | TSO, 4 },
	/* st0 comes between two steps of H2; H0 after it, and is not over when H2 goes on. */
	{ "P0 st0 P1 ipi2 ld1 P2 ipi0 H0 st1 swap0 H2 add0 swap1", SC, 12 },
	/* H0 is tried early, and sleeps while P0 takes and gives back a lock. */
	{ "P0 lock1 rd1 unlock1 swap1 P1 ipi2 lock1 wr1 unlock1 ipi2 P2 ipi0 H0 ld1 H2 ld1", EVERY, 10 },
	/* H2 is under way when H0 and swap1 change places. */
	{ "P0 swap1 P1 ipi2 P2 ipi01 H0 st1 H1 ld1 H2 ld1*", SC, 18 },
	/* H0 sleeps, and st0 of H1 is what it reads. */
	{ "P0 add1 P1 ipi02 P2 ipi1 H0 ld0* H1 ld1 st0 H2 ld1", SC, 8 },
	/* P2 is interrupted between two stores, both of which stay in the buffer. */
	{ "P0 ld0 ipi2 P1 st0 P2 st0 st1 H2 swap1*", TSO, 12 },
	/* P2 goes on after H2, which comes after H1, which came before st0. */
	{ "P0 ipi12 P1 st0 P2 ld0 H1 st1* H2 st0 add1", TSO, 12 },
	/* P0 reads by a read-modify-write what it knows only from its interrupt. */
	{ "P0 swap0 P1 st0 ipi0 add0*", WEAK, 3 },
	{ "P0 swap0 P1 ipi0 swap0 H0 add0", WEAK, 3 },
	{ "P0 P1 add1 P2 ipi1 ipi0 H0 swap1 H1 add1", WEAK, 2 },
	/* That H1 comes before st1 matters, but st1 is asleep. */
	{ "P0 add1 P1 st1 P2 ipi01 ld1", WEAK, 6 },
	/* st1 happens to be before H0, and need not be. */
	{ "P0 st1* P1 swap0* swap1* P2 ipi0 H0 swap0*", WEAK, 4 },
	/* What P0 knows only from its interrupt it would not know before that. */
	{ "P0 swap0 ld1 P1 add1* P2 ld1 ipi01 H1 add0*", WEAK, 8 },
	/* P1 has nothing new to read, as long as it reads behind its interrupt. */
	{ "P0 st1* ipi1 P1 ld1 P2 swap1 ld0 H1 add0", WEAK, 12 },
	/* Each handler is to come before the other CPU's store, and before its own. */
	{ "P0 ipi12 P1 st0* P2 st1 H1 ld1 H2 ld0", EVERY, 4 },
	{ "P0 st0 P1 ipi02 P2 st1* H0 ld1 H2 swap0", EVERY, 4 },
	{ "P0 ipi2 st1 P1 ipi0 P2 st0* H0 ld0* ld1*", EVERY, 4 },
	{ "P0 st0 P1 ipi0 swap1 P2 ipi1 H1 st0 ld1*", EVERY, 4 },
	{ "P0 ipi1 P1 ipi2 st1 P2 st0* H1 st0* swap1*", EVERY, 4 },
	{ "P0 st0 P1 ipi02 ipi02 P2 st1 H0 ld1 H2 ld0", EVERY, 9 },
	/* st0 is in v, its end in memory is not: it stays behind H1. */
	{ "P0 ipi1 P1 st0 ipi2 P2 ipi0 ipi1 H0 st1 H1 ld0 H2 st1*", TSO, 5 },
	/* H2 as a whole comes after ld1, and H0 after H2: add1 before ld1, with both of them later. */
	{ "P0 add1 P1 add0 ipi02 P2 ipi01 ld1 H0 swap0 H1 swap1 H2 ld0 st1", EVERY, 44 },
	{ "P0 ipi12 P1 add1 P2 st0* ld0* H1 st0 H2 add0 ld1 st1", EVERY, 27 },
	/* A mending of these left these out. */
	{ "P0 st0* P1 ld0 P2 ipi1 ipi0 H0 ld0", EVERY, 4 },
	{ "P0 ipi1 P1 ipi2 call P2 swap1* rcu st0 rcuend H1 st1 st0 add0 H2 ld0 C st0", SC | TSO, 24 },
	/* How often ld1 has read an old store must not depend on where others' steps came. */
	{ "P0 ipi12 P1 P2 ipi1 ipi1 H1 ld1 ld1 ld0* H2 st0* set0 st1", WEAK, 26 },
	/* That wr0 and rd0 are one CPU's is all that orders them. */
	{ "P0 ipi1 ipi1 P1 ld0 wr0 H1 rd0", EVERY, 1 },
	/* Who waits for callbacks has stored what he had stored. */
	{ "P0 st1 barrier P1", EVERY, 1 },
};

static void chk_2_what_was_missed(void **state)
{
	(void)state;
	wrong = 0;
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		program = program_read(known[i].text);
		for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
			if (!(known[i].models >> model & 1))
				continue;
			unsigned outcomes = compare(model);
			if (outcomes == known[i].outcomes)
				continue;
			print_error("%s under %s: %u outcomes, not %u\n", known[i].text, model_name[model],
				    outcomes, known[i].outcomes);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void must_race(enum engine_search how, unsigned bound)
{
	static struct findings findings;

	for (enum memory_model model = MEMORY_SC; model <= MEMORY_WEAK; model++) {
		search(how, model, (struct engine_config){ .bound = bound }, &findings, NULL);
		assert_true(findings.counts.complete);
		if (!findings.violation[RACE][0])
			fail_msg("%s under %s: no race found by %s", program_text(&program),
				 model_name[model],
				 how == SEARCH_SOURCE ? "a complete search" : "one with one preemption");
	}
}

/*
 * CHK-5: what a handler does before its first atomic is no step of its own, and races with its CPU all the
 * same. (What a column does before its first step is done before anything can interrupt it.)
 */
static void chk_5_plain_access_first_in_a_handler(void **state)
{
	static const char *const racing[] = {
		"P0 ipi1 P1 ld1 wr0 H1 rd0",
		"P0 ipi1 P1 ld1 rd0 H1 wr0",
		"P0 ipi1 P1 ld1 wr0 H1 wr0 ld1",
		"P0 ipi1 P1 ld1 wr0 ld1 H1 rd0 st0",
		/* To be interrupted before ld1, which nobody else knows of, is what matters here. */
		"P0 wait0 ipi1 P1 set0 ld1 wr0 H1 rd0",
		/* What P1 knows of P0 it knows from an interrupt. */
		"P0 rd1 ld1 P1 ipi0 P2 ipi1 H1 wr1",
		"P0 rd1 set0 P1 ipi0 P2 ipi1 H1 wr1",
		"P0 wr1 P1 ipi2 P2 ipi0 H2 rd1",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(racing) / sizeof(racing[0]); i++) {
		program = program_read(racing[i]);
		must_race(SEARCH_SOURCE, 0);
		must_race(SEARCH_BOUNDED, 1);
	}
}

/* What is printed can be given back. */
static void chk_2_notation(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct program made = program_random(i, i % 2 ? PROGRAM_ENTANGLED : PROGRAM_SMALL),
			       again = program_read(program_text(&made));

		assert_memory_equal(&made, &again, sizeof(made));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chk_2_notation),
		cmocka_unit_test(chk_2_what_was_missed),
		cmocka_unit_test(chk_5_plain_access_first_in_a_handler),
		cmocka_unit_test(chk_2_random_programs),
		cmocka_unit_test(chk_2_entangled_programs),
	};
	const struct CMUnitTest given[] = { cmocka_unit_test(chk_2_given_program) };

	if (getenv("QUIRE_PROGRAM"))
		return cmocka_run_group_tests(given, NULL, NULL);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
