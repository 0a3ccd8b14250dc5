/*
 * scale.h - what the files of `quire bench scale` share.
 *
 *	scale.c		options		scale_host.c	on this computer's CPUs
 *	scale_report.c	tables, JSON	scale_model.c	on modelled CPUs: processes, curves, knees
 *	scale_plot.c	the picture
 */
#ifndef LAB_BENCH_SCALE_H
#define LAB_BENCH_SCALE_H

#include "lab/bench/bench.h"
#include "lab/bench/workload.h"

#include <stdio.h>

enum scale_locks { SCALE_VMA, SCALE_SINGLE, SCALE_LOCKS };

enum {
	SCALE_POINTS = 12,   /* 1, 2, 3, 4, 6, 8, 12, 16, 32 ... 256 CPUs */
	SCALE_THREADS = 16,  /* numbers of threads that are measured here, at most */
	SCALE_LINES = 5,     /* dearest lines that are printed */
	SCALE_LINES_AT = 64, /* CPUs of the run whose lines these are */
};

enum scale_cost { COST_INSTRUCTION, COST_TRANSFER, COST_IPI, SCALE_COSTS };

/* As they are; and each halved, and doubled. */
enum { SCALE_SETTINGS = 1 + 2 * SCALE_COSTS };

struct scale_options {
	const struct workload *load;
	unsigned cpus;	      /* modelled, at most */
	unsigned pages;	      /* of each CPU */
	unsigned repetitions; /* on this computer */
	bool no_host, no_model, json;
	const char *plot;
};

/* Faults a second. */
struct scale_host {
	unsigned count;
	struct {
		unsigned threads;
		struct bench_figure figure[SCALE_LOCKS];
	} row[SCALE_THREADS];
};

struct scale_curve {
	double rate[SCALE_POINTS]; /* faults a second */
	double knee;		   /* CPUs */
	bool rises;		   /* up to the last point: the knee is at least that */
};

struct scale_model {
	unsigned points;
	unsigned cpus[SCALE_POINTS];
	uint64_t cost[SCALE_SETTINGS][SCALE_COSTS]; /* picoseconds */
	const char *setting[SCALE_SETTINGS];
	struct scale_curve curve[SCALE_SETTINGS][SCALE_LOCKS];
	unsigned lines_at;
	json_t *lines[SCALE_LOCKS]; /* the dearest, at so many CPUs */
};

extern const char *const scale_lock_names[SCALE_LOCKS]; /* for tables */

/* False: it was said why not. */
bool scale_run_host(const struct scale_options *options, struct scale_host *host);
bool scale_run_model(const struct scale_options *options, struct scale_model *model);

/* By what factor the knee moves, at most, when one cost is halved or doubled. */
double scale_knee_moves(const struct scale_model *model, enum scale_locks locks);

void scale_print(const struct scale_options *options, const struct scale_host *host,
		 const struct scale_model *model);
json_t *scale_json(const struct scale_options *options, const struct scale_host *host,
		   const struct scale_model *model);
void scale_draw(FILE *to, const struct scale_model *model);

#endif
