/*
 * tap.h - the tests inside the kernel: each in a task of its own, one line of TAP each on the console.
 */
#ifndef METAL_TESTS_TAP_H
#define METAL_TESTS_TAP_H

#include <stddef.h>

struct tap_test {
	const char *name;
	void (*run)(void **state);
};

/* SLEEPS. Run those that are wanted; how many failed. */
int tap_run(const struct tap_test *tests, size_t count);

/* The test that runs has failed, and why. It ends here. */
__attribute__((format(printf, 1, 2))) _Noreturn void tap_fail(const char *format, ...);

/* It cannot run on this machine. It ends here. */
_Noreturn void tap_skip(const char *why);

/* The task that runs all of them, and then switches the machine off. */
void tap_start(void);

/* A task that stays on one CPU. */
struct task;
struct task *tap_task(const char *name, unsigned cpu, void (*run)(void));

#endif
