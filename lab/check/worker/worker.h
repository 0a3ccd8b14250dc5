/*
 * worker.h - one litmus file on the check machine: what the worker's files share.
 *
 *	begin.c      options, the file               world.c       set-up, references
 *	main.c, mpi/main.c  a process of `quire check`'s, and one of many computers'
 *	interpret.c  statements                      evaluate.c    conditions, states
 *	search.c     which searches, how long        witness.c     a violation's steps, run again
 *	orders.c     orders of locks, told
 *	result.c     the result as JSON              explain.c     addresses in texts
 *	shorten.c    a witness made shorter
 *	fields.c     addresses to names of fields
 *	tables.c, tlb.c  pictures of the state       safeguards.c  switching them off
 *
 * `quire check` runs it, one process a shard, and reads from its standard output lines of JSON: progress,
 * then one result (docs/litmus-format.md says nothing of these: they are between the two, of one build).
 */
#ifndef LAB_CHECK_WORKER_H
#define LAB_CHECK_WORKER_H

#include "lab/check/litmus/litmus.h"
#include "lab/source.h"
#include "machines/check/machine.h"

#include <jansson.h>

enum { EXIT_BAD_FILE = 2, EXIT_BROKEN = 4 };

enum search_kind { SEARCH_FOR_FILE, SEARCH_BY_PCT, SEARCH_BY_POS };

struct worker_order {
	bool is_given;
	unsigned held, taken, how; /* orders.c */
};

struct worker_options {
	const char *path;
	enum litmus_model model;
	bool has_model;
	const char *without[16]; /* switched off */
	unsigned without_count;
	int bound; /* -1: the file's */
	enum search_kind kind;
	uint64_t samples, seed;
	double seconds; /* 0: the file's */
	uint64_t executions;
	unsigned shard, shards; /* 0: one process, no frontier */
	uint64_t at_most; /* without shards: give up after so many, so that others may share; 0: never */
	const char *replay;
	struct worker_order order; /* with replay: that ends when it is seen, and is made shorter */
	bool tables;		   /* with the witness: the page tables at each step */
	bool lines;		   /* which cache lines the columns share */
	bool optimal;
	bool again;	     /* every execution from its beginning to its end, whatever is known of it */
	bool quick;	     /* any witness will do */
	int claims;	     /* a file that is memory shared with others at this search; 0: none */
	unsigned frontier;   /* depth at which parts begin; 0: to be found out */
	const char *witness; /* a schedule that is known to contradict the file */
};

/* What an execution changes outside the arena. Copied back at each reset. */
struct world {
	uint64_t registers[LITMUS_CPUS][LITMUS_REGISTERS];
	uint32_t reached[LITMUS_CPUS], faulted[LITMUS_CPUS]; /* labels */
	uint8_t signals[LITMUS_CPUS][LITMUS_LABELS];
	bool idle[LITMUS_CPUS];
	int current[LITMUS_CPUS]; /* name of the mm that it runs or idles in, -1: none */
	struct quire_mm *mms[LITMUS_NAMES];
	uint64_t held[LITMUS_NAMES];  /* a bit for each column that has a reference */
	uint64_t waited[LITMUS_CPUS]; /* children whose fork this column has seen */
};

enum { HELD_BY_WORKER = 63 };

struct state { /* of the end of an execution, as far as the condition tells */
	char *text;
	uint64_t count, settled, told;
	bool holds;
};

struct tally {
	uint64_t executions, blocked, given_up, transitions, instrumented, run, holding, failing, violations;
};

enum witness_kind { WITNESS_NONE, WITNESS_VIOLATION, WITNESS_CONDITION };

struct witness {
	enum witness_kind kind;
	char *text, *schedule;
	unsigned preemptions, switches;
	size_t steps;
};

struct run {
	struct worker_options options;
	const struct litmus *litmus;
	struct machine *machine;
	struct engine *engine;
	unsigned cpus;
	struct world world, frozen;
	struct quire_file *files[LITMUS_NAMES];
	void *words[LITMUS_NAMES]; /* words, events, and of a forked mm the event of its being there */
	unsigned device[LITMUS_NAMES];
	/* the search */
	struct state *states;
	size_t state_count, state_room;
	uint64_t holding, failing, violations;
	bool tracing;	      /* statements are written down */
	bool minimising;      /* a contradicted condition ends the search, nothing is counted */
	bool out_of_patience; /* a condition was contradicted, and long enough */
	bool has_ended;	      /* finish() has looked at this execution: */
	bool holds;
	const char *end; /* its state */
	char *own_end;	 /* that one, if it was not known */
	struct witness witness;
	json_t *orders;	 /* seen and not yet told; NULL: a circle of them is a violation like others */
	bool has_circle; /* among all of them */
	struct engine_counts counts;
	enum memory_model model;
	/*
	 * "violation", "elsewhere": one that others have found, "circle": of locks, "time", "executions";
	 * NULL: it was complete
	 */
	const char *stopped;
	const char *search; /* "complete", "bounded", "sampled" */
	int complete_bound; /* -1: none */
	double began, told;
	bool is_heard; /* progress is told */
	double cpu;    /* seconds of it that the last search took; 0: it still goes on */
	double cpu_from, cpu_told;
	/* shared with others: */
	/* Of a mistake in the file; does not return. NULL: as a line for the command, see result.c. */
	void (*complain)(const struct run *run, struct litmus_place at, const char *text);
	const struct share *share;
	uint64_t found_in; /* the part with the violation */
	unsigned frontier;
	uint64_t parts_given_up; /* that were one execution, and that was abandoned */
	void (*tell)(struct run *run,
		     json_t *line);    /* takes the reference; NULL: nobody listens before the end */
	struct tally settled, told_of; /* when a part was last finished; of that, what has been told */
};

/* ---- begin.c ------------------------------------------------------------------------------------------- */

void worker_options(struct run *run, int argc, char **argv);
void worker_begin(struct run *run); /* up to where the search can begin */

double now(void);
double cpu_time(void); /* of this process */

/* ---- world.c ------------------------------------------------------------------------------------------- */

/* The file cannot be set up: says why, and does not return. */
_Noreturn void mistake(const struct run *run, struct litmus_place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void world_create(struct run *run);
quire_vaddr va_of(const struct run *run, const struct litmus_address *address, const uint64_t *registers);
uint64_t file_position(const struct litmus_address *address);
void put_mm(struct run *run, struct quire_cpu **cpu, int name, unsigned holder);
void check_stores(struct run *run);    /* at an execution's end: a clean page is what its store has */
void check_file_ends(struct run *run); /* truncation has left no page behind, nor a private copy (BASE-5) */

/* ---- interpret.c --------------------------------------------------------------------------------------- */

void run_block(struct run *run, unsigned column, struct quire_cpu **cpu,
	       const struct litmus_statement *block);
int64_t do_mmap(struct run *run, struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr at,
		quire_vaddr length, const struct litmus_mapping *mapping);
uint32_t protection(uint32_t flags);

/* ---- evaluate.c ---------------------------------------------------------------------------------------- */

int64_t value_of(const struct run *run, const struct litmus_value *value, const uint64_t *registers);
bool condition_holds(struct run *run, const struct litmus_condition *condition);
char *state_text(struct run *run); /* to be freed */

/* ---- ends.c -------------------------------------------------------------------------------------------- */

/*
 * Did an execution end exactly so before, and in order? Then what finish() found is here. If not,
 * ends_remember() says what it finds now; not calling it forgets.
 */
bool ends_find(struct run *run, const char **text, bool *holds);
void ends_remember(const char *text, bool holds);
void ends_forget(void);	    /* a search begins */
void ends_bring_back(void); /* one of them as it was before all was torn down: places have names then */

/* ---- search.c ------------------------------------------------------------------------------------------ */

void search(struct run *run);

/* ---- shorten.c ----------------------------------------------------------------------------------------- */

void shorten(struct run *run); /* run->witness is there */

/* ---- witness.c, result.c ------------------------------------------------------------------------------- */

json_t *witness_json(struct run *run);
void trace_statement(struct run *run, unsigned column, const struct litmus_statement *s);
json_t *result_json(struct run *run);
void tell_progress(struct run *run);

/* ---- orders.c ------------------------------------------------------------------------------------------ */

void orders_begin(struct run *run); /* before the search */
bool orders_closed(void *run);

/* ---- share.c, settle.c --------------------------------------------------------------------------------- */

/* Where the numbers of parts come from. */
struct share {
	uint64_t (*next)(void);
	bool (*is_done)(uint64_t part);		       /* before this search began */
	bool (*is_same)(uint64_t part, uint64_t path); /* as everybody else's */
	void (*found)(uint64_t part);		       /* a violation */
	uint64_t (*lowest)(void);		       /* of all that were found, NO_PART */
};

#define NO_PART UINT64_MAX

const struct share *share_by_memory(int fd); /* NULL: errno says why */
void share_begin(struct run *run, struct engine_config *config);
unsigned share_depth(struct run *run); /* at which the search falls into enough parts, and not too many */
void share_tell(struct run *run);      /* of parts that are finished and not told of */
void share_ended(struct run *run);     /* the search: with a violation, or because of one elsewhere? */

void settle(struct run *run);	       /* a part is finished */
json_t *settled_json(struct run *run); /* what was settled since the last call */
json_t *rest_json(struct run *run);    /* at the end: what was counted and not told */

/* ---- explain.c ----------------------------------------------------------------------------------------- */

/* @text with lines and places for the addresses in it, as they are now. To be freed. */
char *explain(struct run *run, const char *text);

/* ---- fields.c ------------------------------------------------------------------------------------------ */

/* What stands at an address, by debug information: "quire_mm.refs", and the same with whose it is. */
struct field {
	char name[160], where[240];
};
struct field field_at(struct run *run, uintptr_t address);

/* ---- tables.c ------------------------------------------------------------------------------------------ */

void tables_prepare(struct run *run); /* unscheduled */
json_t *tables_json(struct run *run);
void entry_text(uint64_t entry, char out[16]); /* its bits as letters */
uint64_t entry_frame_of(uint64_t entry);

/* ---- tlb.c --------------------------------------------------------------------------------------------- */

json_t *tlb_json(struct run *run, unsigned cpu);

/* ---- safeguards.c -------------------------------------------------------------------------------------- */

json_t *safeguards_json(void);

#endif
