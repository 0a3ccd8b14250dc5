/*
 * inside.h - what the files of Quire's side share.
 *
 *	run.c		sequences		files.c		files, and the disk behind one
 *	threads.c	stretches		calls.c		operations
 *	process.c	address spaces		look.c		mappings, pages, records
 */
#ifndef SUBJECT_INSIDE_H
#define SUBJECT_INSIDE_H

#include "lab/fuzz/oracle.h"
#include "lab/fuzz/subject.h"

#include "machines/hosted/hosted.h"

#include <stdatomic.h>
#include <time.h>

enum { STORE_PAGES = 64 };

/* The store behind the file on disk: what has been written back. */
struct disk {
	uint8_t bytes[STORE_PAGES * WIRE_PAGE];
};

struct record_buffer {
	struct wire_record head;
	struct wire_vma vmas[WIRE_VMAS];
	uint8_t pages[WIRE_PAGES];
	uint64_t reads[WIRE_READ_PAGES];
};

/* A thread's part in a stretch. */
struct part {
	struct subject *subject;
	unsigned thread; /* and CPU; 0 is the one that runs everything else */
	uint64_t random;
	bool has_timer;
	timer_t timer; /* that stops it */
};

struct stretch {
	struct part parts[WIRE_THREADS]; /* each its thread's */
	struct quire_mm *mm;		 /* this and the next two: written before the others are told */
	uint32_t from, to;		 /* operations */
	unsigned threads;
	_Atomic unsigned arrived, working, clock;
	struct wire_record heads[WIRE_STRETCH_OPS]; /* each written by its operation's thread */
};

struct subject {
	struct hosted *machine;
	unsigned threads; /* CPUs */
	const struct wire_control *layout;
	struct names names;
	struct quire_mm *mms[WIRE_PROCESSES];
	uint64_t slots[WIRE_PROCESSES][WIRE_SLOTS];
	struct quire_file *files[WIRE_DISTINCT_FILES];
	struct quire_mm *running[WIRE_THREADS]; /* by CPU; each its own, or CPU 0's while they sleep */
	bool idle[WIRE_THREADS];		/* the same: in it lazily */
	struct disk disk;
	/* one run */
	const struct sequence *sequence;
	const struct trial *trial; /* NULL: stretches run as such */
	/* of the trial */
	uint32_t step;
	bool failed;
	struct names trial_names;
	struct comparison comparison;
	bool looking;
	struct stretch stretch;
	const char *leak;
	char leak_room[256];
	struct record_buffer record;
	uint8_t *log;
	size_t log_bytes;
	uint8_t present[WIRE_GROUP_PAGES], resident[WIRE_GROUP_PAGES];
	uint8_t buffer[4 * WIRE_PAGE] __attribute__((aligned(8)));
};

/* ---- files.c ---- */
int make_files(struct subject *subject, struct quire_cpu **cpu);
struct quire_file *file_of(struct subject *subject, unsigned descriptor);

/* ---- process.c ---- */
int make_first_process(struct subject *subject, struct quire_cpu **cpu);
void end_process(struct subject *subject, struct quire_cpu **cpu, unsigned process);
/* CPU @which, on which this is, runs @mm from now on; NULL: nobody. */
void switch_to(struct subject *subject, unsigned which, struct quire_cpu *cpu, struct quire_mm *mm);

/* ---- calls.c ---- */
/* The result; what else there is to tell goes to @head. */
int64_t carry_out(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		  const struct wire_op *op, struct wire_record *head);

/* @op that chose the address which is its result is told to take that one. */
struct wire_op as_placed(const struct subject *subject, const struct wire_op *op, int64_t result);

/* The fault of an access, whatever comes of it. */
void fault_in_page(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		   const struct wire_op *op);

/* ---- look.c: a record's parts, in this order, after its head ---- */
void record_look(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm);
void record_contents(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm);
void record_write(struct subject *subject);

/* ---- threads.c ---- */
/* Carry out the stretch that begins at operation @from, and write its records. Returns what follows it. */
uint32_t run_stretch(struct subject *subject, struct quire_cpu **cpu, uint32_t from);

#endif
