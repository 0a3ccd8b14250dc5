/*
 * scene.h - a test whose body runs on a CPU of a hosted machine, and whose counts must be where they were
 * when it ends.
 *
 * For tests below the address space; stage.h is for tests of it. The body runs on the machine's thread,
 * where cmocka's assertions may not be used: CHECK() and its relatives note what failed and return; the
 * test fails when the job is done.
 */
#ifndef QUIRE_TESTS_SCENE_H
#define QUIRE_TESTS_SCENE_H

#include "../../machines/hosted/hosted.h"

#include <stdio.h>
#include <string.h>

struct scene {
	struct hosted *machine;
	char failed[2000];	  /* empty: nothing */
	uint64_t frames, objects; /* free, and held, before the body */
	void (*body)(struct scene *s, struct quire_cpu **cpu);
	void *argument;
};

/* Run @body on CPU 0 of a machine of @cpus CPUs; fail the test if it fails or does not give all back. */
void scene_run(void (*body)(struct scene *s, struct quire_cpu **cpu), void *argument, unsigned cpus);

/* Are the counts what they were before the body? Notes a failure if not. */
void scene_check_counts(struct scene *s, struct quire_cpu **cpu);

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s", __FILE__, __LINE__, #condition); \
			return;                                                                              \
		}                                                                                            \
	} while (0)

#define CHECK_EQUAL(found, expected)                                                                         \
	do {                                                                                                 \
		long long found_ = (long long)(found), expected_ = (long long)(expected);                    \
		if (found_ != expected_) {                                                                   \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s is %lld, expected %lld", __FILE__, \
				 __LINE__, #found, found_, expected_);                                       \
			return;                                                                              \
		}                                                                                            \
	} while (0)

#define CHECK_DRAWN(drawn, expected)                                                                        \
	do {                                                                                                \
		const char *picture_ = (drawn);                                                             \
		if (strcmp(picture_, (expected)) != 0) {                                                    \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s draws %s, expected %s", __FILE__, \
				 __LINE__, #drawn, picture_, (expected));                                   \
			return;                                                                             \
		}                                                                                           \
	} while (0)

#endif
