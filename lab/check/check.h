/*
 * check.h - what the files of `quire check` share.
 *
 *	command.c  options, files, exit status     pool.c   worker processes
 *	merge.c    one result of many shards'      verdict.c  what a result says about a file
 *	report.c   the text                        steps.c, columns.c  a witness in words
 *	zoo.c      the table of safeguards         html.c, dot.c  pictures of it
 *	parts.c    searches that are shared        checkpoint.c  and that may be interrupted
 *	circles.c  circles in the orders of locks
 *
 * A check is one file with one set of safeguards switched off. It is first given to one worker; one that is
 * not through after so many executions is begun again by all of them, who take it part by part. The number of
 * executions is what decides, so that counts do not depend on the machine.
 */
#ifndef LAB_CHECK_CHECK_H
#define LAB_CHECK_CHECK_H

#include "lab/check/litmus/litmus.h"

#include <jansson.h>
#include <stdio.h>

enum { CHECK_WITHOUT = 16, CHECK_WORKERS = 256 };

struct check_options {
	const char *model, *replay, *html, *dot;
	const char *without[CHECK_WITHOUT];
	unsigned without_count;
	int bound; /* -1: the file's */
	uint64_t random, executions;
	bool pos, json, list, zoo, strict, verbose, optimal, lines;
	bool samples; /* something was said of how to sample */
	uint64_t seed;
	double seconds;
	unsigned jobs;
	unsigned shard, shards; /* of machines; 0: this one alone */
	const char *checkpoint, *resume;
	json_t *resumed; /* what that file has */
	const char **paths;
	unsigned path_count;
};

enum check_state { CHECK_WAITING, CHECK_RUNNING, CHECK_DONE };

struct check {
	const struct check_options *options;
	const char *path;
	const struct litmus *litmus;
	const char *zoo; /* one of the file's safeguards, off besides: the check is to fail */
	enum check_state state;
	unsigned running;  /* workers at it */
	bool shared;	   /* the second stage */
	json_t *circle;	   /* the last stage: one worker shows how locks are taken in a circle; else NULL */
	json_t *result;	   /* merged */
	char *mistake;	   /* "line:column: text", or what became of a worker */
	bool missing;	   /* no worker for this geometry */
	uint64_t progress; /* executions so far, as told */
	double began, ended;
	struct parts *parts;	       /* NULL: the first stage */
	struct checkpoint *checkpoint; /* NULL: none */
};

/* ---- pool.c -------------------------------------------------------------------------------------------- */

/* Runs all of them; @done is called for each in their order. */
void pool_run(struct check *checks, unsigned count, void (*done)(struct check *check, void *data),
	      void *data);

/* Beside ourselves. */
void worker_path(const struct check *check, char *out); /* PATH_MAX */
bool is_shareable(const struct check *check);		/* a complete search, by source-DPOR */

/* ---- parts.c ------------------------------------------------------------------------------------------- */

bool parts_begin(struct check *check, unsigned frontier); /* false: errno */
void parts_know(struct check *check, json_t *done, json_t *result, json_t *found);
void parts_take(struct check *check, json_t *line);
bool parts_end(struct check *check); /* the result is there; is it complete? */
int parts_claims(const struct check *check);
unsigned parts_frontier(const struct check *check);
json_t *parts_done(const struct check *check); /* these are borrowed */
json_t *parts_result(const struct check *check);
json_t *parts_found(const struct check *check);

/* ---- checkpoint.c -------------------------------------------------------------------------------------- */

/* These say what is wrong. */
bool checkpoint_read(struct check_options *options); /* of --resume */
bool checkpoint_begin(struct check *check);
bool checkpoint_write(struct check *check);
void checkpoint_look(struct check *check); /* now and then: is it time? */
void checkpoint_end(struct check *check, bool is_complete);
void checkpoint_interrupted(struct check *check);

/* ---- merge.c ------------------------------------------------------------------------------------------- */

void merge_result(struct check *check, json_t *result); /* takes the reference */
json_t *merge_results(json_t *to, json_t *from);	/* takes both; to may be NULL */
void merge_hottest(json_t *result); /* of the places where steps meet, to be shown, the few that do so most */

/* ---- circles.c ----------------------------------------------------------------------------------------- */

bool is_order(const json_t *order);			/* as a worker tells it */
json_t *orders_merge(const json_t *a, const json_t *b); /* a new list; each may be NULL */
json_t *orders_circle(const json_t *orders);		/* those that make one; NULL: there is none */
const json_t *circle_last(const json_t *circle);	/* the one that closes it */
json_t *circle_found(json_t *result); /* the violation that ends this search, part of @result; or NULL */
void circle_shown(json_t *result, const json_t *circle, json_t *witness);

/* ---- verdict.c ----------------------------------------------------------------------------------------- */

enum verdict { VERDICT_HOLDS, VERDICT_UNSURE, VERDICT_FAILS };

struct finding {
	enum verdict verdict;
	enum litmus_result observed;
	bool violated;	  /* an oracle spoke */
	char search[120]; /* "complete", "complete for <= 2 preemptions", "200000 sampled", ... */
};

struct finding verdict_of(const struct check *check);

/* ---- report.c, steps.c, columns.c, html.c, dot.c ------------------------------------------------------- */

void report_line(FILE *to, const struct check *check);
void report_full(FILE *to, const struct check *check);
void report_command(FILE *to, const struct check *check); /* the options that repeat this check */
void steps_prepare(json_t *witness);			  /* gives each step "text", and "shown" */
void columns_print(FILE *to, const struct check *check, json_t *witness);
bool html_write(const char *path, const struct check *check);
bool dot_write(const char *path, const struct check *check);

/* Of an object; 0, "" or NULL when it is not there. */
int64_t json_number(const json_t *object, const char *key);
const char *json_text(const json_t *object, const char *key);

#endif
