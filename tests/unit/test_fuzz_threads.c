/*
 * test_fuzz_threads.c - what `quire fuzz --threads` takes for legal: orders, and logs judged by them.
 *
 * A log that is right is made wrong by hand, and must be found so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/fuzz/legal.h"
#include "lab/fuzz/stretch.h"

#include <quire/abi.h>

enum { PAGE = WIRE_ARENA_PAGES / 2, PROT_READ_WRITE = 3 };

/* Process 0 from here to there, nothing of its own in it. */
static const struct wire_control layout = {
	.heap = 0x10102000,
	.mmap_top = 0x7ffff7fff000,
	.mmap_lowest = 0x10000,
	.task_end = 0x7ffffffff000,
};

static struct wire_op *add(struct sequence *sequence, uint8_t kind, uint8_t thread, uint64_t page,
			   uint64_t pages)
{
	struct wire_op *op = &sequence->ops[sequence->count++];

	*op = (struct wire_op){
		.kind = kind,
		.thread = thread,
		.slot = WIRE_NO_SLOT,
		.file = WIRE_NO_FILE,
		.addr = WIRE_ARENA + (PAGE + page) * WIRE_PAGE,
		.length = pages * WIRE_PAGE,
	};
	return op;
}

static void begin(struct sequence *sequence)
{
	struct wire_op *op;

	memset(sequence, 0, sizeof(*sequence));
	sequence->threads = 2;
	op = add(sequence, WIRE_MMAP, 0, 0, 2);
	op->prot = PROT_READ_WRITE;
	op->flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED;
}

static void end(struct sequence *sequence)
{
	add(sequence, WIRE_LOOK, 0, 0, 0);
	add(sequence, WIRE_READ_ALL, 0, 0, 0);
	add(sequence, WIRE_EXIT, 0, 0, 0);
}

/* A store of thread 1 and a load of thread 2, of one word. */
enum { STORE = 1, LOAD = 2, VALUE = 77 };

static void store_and_load(struct sequence *sequence)
{
	begin(sequence);
	add(sequence, WIRE_STORE, 1, 0, 0)->value = VALUE;
	add(sequence, WIRE_LOAD, 2, 0, 0);
	end(sequence);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static struct sequence sequence;
static struct orders orders;

static bool keeps_threads(void)
{
	uint32_t last[WIRE_THREADS + 1] = { 0 };

	for (uint32_t i = 0; i < orders.count; i++) {
		uint32_t op = orders.steps[i].op;
		uint32_t *before = &last[sequence.ops[op].thread];

		if (op < *before)
			return false;
		*before = op;
	}
	return true;
}

static unsigned count_orders(enum cut cut, struct log log)
{
	unsigned count = 0;

	orders_begin(&orders, &sequence, cut, log);
	do {
		count++;
		assert_true(keeps_threads());
	} while (orders_next(&orders, orders.count - 1));
	return count;
}

/* Records of nothing but times: operations of a stretch as @times has them, in pairs. */
static struct log log_of_times(const uint64_t *times, unsigned count)
{
	static struct wire_record records[WIRE_STRETCH_OPS];

	for (unsigned i = 0; i < count; i++) {
		records[i] = (struct wire_record){ .bytes = sizeof(records[0]), .op = (uint16_t)(i + 1) };
		records[i].began = times[i * 2];
		records[i].ended = times[i * 2 + 1];
	}
	return (struct log){ records, count * sizeof(records[0]) };
}

/* Four operations of two threads come in six orders; with an access cut in two, in ten. */
static void vma_7_every_order_is_tried_once(void **state)
{
	const uint64_t at_once[] = { 1, 8, 9, 16, 2, 7, 10, 15 };
	const uint64_t first_then_rest[] = { 1, 2, 3, 8, 4, 5, 6, 7 };

	(void)state;
	begin(&sequence);
	add(&sequence, WIRE_STORE, 1, 0, 0);
	add(&sequence, WIRE_MUNMAP, 1, 0, 1);
	add(&sequence, WIRE_MUNMAP, 2, 1, 1);
	add(&sequence, WIRE_MUNMAP, 2, 1, 1);
	end(&sequence);
	assert_int_equal(count_orders(CUT_COARSE, log_of_times((uint64_t[8]){ 0, 9, 0, 9, 0, 9, 0, 9 }, 4)),
			 6);
	assert_int_equal(count_orders(CUT_FINE, log_of_times((uint64_t[8]){ 0, 9, 0, 9, 0, 9, 0, 9 }, 4)),
			 10);
	/* Fewer, when some are over before others begin. */
	assert_int_equal(count_orders(CUT_COARSE, log_of_times(at_once, 4)), 4);
	assert_int_equal(count_orders(CUT_COARSE, log_of_times(first_then_rest, 4)), 3);
}

/* ---- logs ------------------------------------------------------------------------------------ */

static struct subject *subject;
static struct legal legal;
static struct nearest nearest;
static uint8_t *log_room;

static int open_subject(void **state)
{
	const char *why;

	(void)state;
	subject = subject_create(&layout, 2, &why);
	log_room = malloc(WIRE_LOG_BYTES);
	return subject && log_room ? 0 : -1;
}

static int close_subject(void **state)
{
	(void)state;
	legal_free(&legal);
	free(log_room);
	subject_destroy(subject);
	return 0;
}

/* Run it; the log is ours. */
static struct log run(void)
{
	const char *leak;
	struct log log = subject_run(subject, &sequence, true, &leak);

	assert_null(leak);
	memcpy(log_room, log.at, log.bytes);
	return (struct log){ log_room, log.bytes };
}

static struct wire_record *record(struct log log, uint32_t op)
{
	return (struct wire_record *)(uintptr_t)log_find(log, op);
}

static enum verdict judge(struct log log)
{
	struct names names = *subject_names(subject);

	legal_begin(&legal, subject, &sequence, true);
	return legal_judge(&legal, log, &names, &nearest);
}

static void vma_7_what_ran_is_legal(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		store_and_load(&sequence);
		assert_int_equal(judge(run()), VERDICT_LEGAL);
	}
}

/* The load may come first or last while both are under way, and sees one of two values. */
static void vma_7_a_value_of_no_order_is_found(void **state)
{
	struct log log;

	(void)state;
	store_and_load(&sequence);
	log = run();
	record(log, STORE)->began = 1, record(log, STORE)->ended = 4;
	record(log, LOAD)->began = 2, record(log, LOAD)->ended = 3;
	record(log, LOAD)->value = VALUE;
	assert_int_equal(judge(log), VERDICT_LEGAL);
	record(log, LOAD)->value = 0;
	assert_int_equal(judge(log), VERDICT_LEGAL);
	record(log, LOAD)->value = VALUE + 1;
	assert_int_equal(judge(log), VERDICT_ILLEGAL);
	assert_int_equal(nearest.divergence.op, LOAD);
}

/* What ended before it began, it has seen. */
static void vma_7_a_value_of_the_past_is_found(void **state)
{
	struct log log;

	(void)state;
	store_and_load(&sequence);
	log = run();
	record(log, STORE)->began = 1, record(log, STORE)->ended = 2;
	record(log, LOAD)->began = 3, record(log, LOAD)->ended = 4;
	record(log, LOAD)->value = VALUE;
	assert_int_equal(judge(log), VERDICT_LEGAL);
	record(log, LOAD)->value = 0;
	assert_int_equal(judge(log), VERDICT_ILLEGAL);
}

/* A store that is lost shows at the end. */
static void vma_7_a_state_of_no_order_is_found(void **state)
{
	struct log log;

	(void)state;
	store_and_load(&sequence);
	log = run();
	((uint64_t *)((uint8_t *)record(log, 4) + record(log, 4)->bytes))[-1] ^= 1;
	assert_int_equal(judge(log), VERDICT_ILLEGAL);
	assert_int_equal(nearest.divergence.op, 4);
}

/*
 * Thread 2 takes away 32 pages from the only mapping of 32 bits on (or protects them), while thread 1 makes
 * one more of these. It goes behind the other one, for that was there when it looked; alone it never would.
 */
static struct log placed_late(uint8_t kind)
{
	enum { LOW = 0x40000000 };
	struct wire_op *op;
	struct log log;

	begin(&sequence);
	op = add(&sequence, WIRE_MMAP, 0, 0, 1);
	*op = (struct wire_op){ .kind = WIRE_MMAP,     .length = WIRE_PAGE, .base = WIRE_ABSOLUTE,
				.slot = WIRE_NO_SLOT,  .file = WIRE_NO_FILE, .prot = PROT_READ_WRITE,
				.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_32BIT };
	op = add(&sequence, kind, 0, 0, 32);
	op->base = WIRE_ABSOLUTE;
	op->addr = LOW;
	sequence.ops[sequence.count++] = sequence.ops[1];
	end(&sequence);
	log = run(); /* one after another; then made what two threads at once may give */
	sequence.ops[2].thread = 2;
	sequence.ops[3].thread = 1;
	for (unsigned at = 2; at <= 3; at++) {
		record(log, at)->began = 1, record(log, at)->ended = 4;
		record(log, at)->vmas = 0, record(log, at)->pages = 0; /* nobody looks within a stretch */
	}
	record(log, 3)->result = LOW + WIRE_PAGE;
	for (unsigned at = 4; at <= 5; at++) {
		struct wire_vma *lowest = (struct wire_vma *)(record(log, at) + 1);

		lowest->start = LOW + WIRE_PAGE;
		lowest->end = LOW + 2 * WIRE_PAGE;
	}
	return log;
}

static void vma_7_an_address_may_be_chosen_by_what_was_there(void **state)
{
	(void)state;
	legal.placed = 0;
	assert_int_equal(judge(placed_late(WIRE_MUNMAP)), VERDICT_LEGAL);
	assert_int_equal(legal.placed, 1);
	assert_int_equal(judge(placed_late(WIRE_MPROTECT)), VERDICT_ILLEGAL);
}

/* ---- stretches ------------------------------------------------------------------------------- */

/* Beside a call that changes two pages, another thread touches one of them, but not both. */
static void vma_7_no_call_is_seen_in_pieces(void **state)
{
	(void)state;
	memset(&sequence, 0, sizeof(sequence));
	add(&sequence, WIRE_MUNMAP, 1, 0, 2);
	assert_true(stretch_admits(sequence.ops, 0));
	add(&sequence, WIRE_LOAD, 2, 0, 0);
	assert_true(stretch_admits(sequence.ops, 1));
	add(&sequence, WIRE_LOAD, 2, 1, 0);
	assert_false(stretch_admits(sequence.ops, 2));
	sequence.ops[2].thread = 1;
	assert_true(stretch_admits(sequence.ops, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vma_7_every_order_is_tried_once),
		cmocka_unit_test(vma_7_what_ran_is_legal),
		cmocka_unit_test(vma_7_a_value_of_no_order_is_found),
		cmocka_unit_test(vma_7_a_value_of_the_past_is_found),
		cmocka_unit_test(vma_7_a_state_of_no_order_is_found),
		cmocka_unit_test(vma_7_an_address_may_be_chosen_by_what_was_there),
		cmocka_unit_test(vma_7_no_call_is_seen_in_pieces),
	};

	return cmocka_run_group_tests(tests, open_subject, close_subject);
}
