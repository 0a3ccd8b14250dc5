/*
 * main.c - quire-check-GEOMETRY: one litmus file, one search, one result. `quire check` calls it.
 *
 * With --fuzz as its first word it is `quire fuzz --check` that does (fuzz.c).
 */
#include "lab/check/worker/fuzz.h"
#include "lab/check/worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void tell(struct run *run, json_t *line)
{
	(void)run;
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

int main(int argc, char **argv)
{
	static struct run run = { .is_heard = true };

	if (argc > 1 && strcmp(argv[1], "--fuzz") == 0)
		return fuzz_main(argc, argv);
	worker_options(&run, argc, argv);
	worker_begin(&run);
	if (run.options.claims) {
		run.share = share_by_memory(run.options.claims);
		run.tell = tell;
		if (!run.share)
			mistake(&run, (struct litmus_place){ 1, 1 }, "no shared memory: %s", strerror(errno));
	}
	if (!run.options.replay || run.options.order.is_given)
		orders_begin(&run);
	search(&run);
	share_tell(&run);
	tell(&run, json_pack("{s:o}", "result", result_json(&run)));
	/* The process ends: nothing is given back. */
	_exit(0);
}
