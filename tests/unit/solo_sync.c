/*
 * solo_sync.c - the reader/writer lock and the folio lock, step by step: the "other side" runs where this
 * one waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/base/sync.h"
#include "../support/solo.h"

static struct quire_cpu here;
static struct rwlock lock;

static void begin(void (*on_wait)(void *))
{
	solo_reset();
	memset(&here, 0, sizeof(here));
	memset(&lock, 0, sizeof(lock));
	solo.on_wait = on_wait;
}

static void base_8_readers_together_writers_alone(void **state)
{
	(void)state;
	begin(NULL);
	assert_true(rwlock_try_read(&lock));
	assert_true(rwlock_try_read(&lock));
	assert_false(rwlock_try_write(&lock));
	rwlock_read_done(&here, &lock);
	assert_false(rwlock_try_write(&lock));
	rwlock_read_done(&here, &lock);
	assert_true(rwlock_try_write(&lock));
	assert_true(rwlock_is_write_held(&lock));
	assert_false(rwlock_try_write(&lock));
	assert_false(rwlock_try_read(&lock));
	rwlock_write_done(&here, &lock);
	assert_false(rwlock_is_write_held(&lock));
	assert_int_equal(solo.wakes, 0); /* nobody slept */
	assert_int_equal(atomic_load(&lock.word), 0);
}

static void let_writer_go(void *argument)
{
	(void)argument;
	if (rwlock_is_write_held(&lock))
		rwlock_write_done(&here, &lock);
}

static void base_8_a_reader_sleeps_until_the_writer_goes(void **state)
{
	struct quire_cpu *cpu = &here;

	(void)state;
	begin(let_writer_go);
	assert_true(rwlock_try_write(&lock));
	rwlock_read(&cpu, &lock);
	assert_int_equal(solo.waits, 1);
	assert_int_equal(solo.wakes, 1);
	rwlock_read_done(&here, &lock);
	assert_int_equal(atomic_load(&lock.word), 0);
}

static void base_8_a_writer_sleeps_until_the_writer_goes(void **state)
{
	struct quire_cpu *cpu = &here;

	(void)state;
	begin(let_writer_go);
	assert_true(rwlock_try_write(&lock));
	rwlock_write(&cpu, &lock);
	assert_int_equal(solo.waits, 1);
	assert_int_equal(solo.wakes, 1);
	rwlock_write_done(&here, &lock);
	assert_int_equal(atomic_load(&lock.word), 0);
}

static void readers_come_and_one_goes(void *argument)
{
	unsigned *readers = argument;

	assert_false(rwlock_try_read(&lock)); /* a writer waits */
	rwlock_read_done(&here, &lock);
	--*readers;
}

static void base_8_a_waiting_writer_holds_new_readers_off(void **state)
{
	struct quire_cpu *cpu = &here;
	unsigned readers = 3;

	(void)state;
	begin(readers_come_and_one_goes);
	solo.argument = &readers;
	for (unsigned i = 0; i < readers; i++)
		assert_true(rwlock_try_read(&lock));
	rwlock_write(&cpu, &lock);
	assert_int_equal(readers, 0);
	assert_int_equal(solo.wakes, 1); /* the last reader's */
	rwlock_write_done(&here, &lock);
	assert_true(rwlock_try_read(&lock));
	rwlock_read_done(&here, &lock);
	assert_int_equal(atomic_load(&lock.word), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_8_readers_together_writers_alone),
		cmocka_unit_test(base_8_a_reader_sleeps_until_the_writer_goes),
		cmocka_unit_test(base_8_a_writer_sleeps_until_the_writer_goes),
		cmocka_unit_test(base_8_a_waiting_writer_holds_new_readers_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
