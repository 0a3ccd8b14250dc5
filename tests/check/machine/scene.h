/*
 * scene.h - a few columns in C on the check machine, searched; for tests of the machine itself.
 *
 * Most scenes begin alike: an address space A that every CPU runs, a page of it at X that holds 7 and has
 * been stored to, so that any CPU may have it cached, and nothing at Y, the page behind it.
 */
#ifndef TESTS_CHECK_MACHINE_SCENE_H
#define TESTS_CHECK_MACHINE_SCENE_H

#include "../../../machines/check/machine.h"

#define X ((quire_vaddr)64 * QUIRE_PAGE_SIZE)
#define Y (X + QUIRE_PAGE_SIZE)

enum { SCENE_COLUMNS = 3, SCENE_FINDINGS = 63 };

struct scene {
	struct machine_config config; /* cpus and frames are filled in */
	void (*setup)(void);	      /* after the usual one; may be NULL */
	void (*column[SCENE_COLUMNS])(struct quire_cpu **cpu);
	struct quire_file *(*file)(void); /* to be put at the end; may be NULL */
	struct quire_mm **(*pair)(void);  /* A and its child, to be put at the end; may be NULL: A alone */
	void (*ended)(struct engine *engine, const char *violation); /* of each execution; may be NULL */
	struct engine_config limits; /* executions, bound and seed, where they matter */
	bool is_bare;		     /* without the usual beginning, and then without accounts */
	bool without_accounts;	     /* the columns leave A in pieces: the end is not looked at */
	bool may_stop;		     /* the space need not be explored completely */
};

struct scene_result {
	struct engine_counts counts;
	char violation[512];		/* the first one; "" */
	uint64_t found[SCENE_FINDINGS]; /* executions that ended with this scene_find(): its last */
	uint64_t outcomes;		/* a bit for each finding that there was, the last for violations */
};

struct scene_result scene_run(const struct scene *scene, enum engine_search search);

extern struct machine *scene_machine;
extern struct quire_mm *scene_mm;

void scene_find(unsigned finding); /* by a column: what this execution shows */

/* Violates with a text that has each of these words in it; or not at all, having been explored completely. */
void scene_must_violate(const struct scene *scene, const char *words);
void scene_must_hold(const struct scene *scene);

/* Searches that reorder only what conflicts find what all schedules do. Returns the outcomes. */
uint64_t scene_must_agree(const struct scene *scene);

#endif
