/*
 * boot.h - inside `quire boot`: what is packed, and the run of QEMU.
 */
#ifndef LAB_BOOT_BOOT_H
#define LAB_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct boot_options {
	unsigned cpus;
	uint64_t memory_bytes;
	const char *root; /* a directory whose files come along; NULL: none */
	unsigned limit;	  /* seconds */
	bool stats;
	const char *without; /* fault-around, or a safeguard; NULL: with all */
	bool test;	     /* run the kernel's tests, not a program */
	const char *only;    /* those whose names have that; NULL: all */
	char **program;	     /* its arguments, the first its path; NULL at the end */
};

/* What the kernel told, by lines (docs/metal.md). */
struct boot_report {
	bool ended, stopped;
	int status;    /* the program's; after its end */
	long frames;   /* not given back */
	char why[200]; /* it stopped */
	char test[80]; /* the last one that began */
};

/* ---- archive.c ------------------------------------------------------------------------------------- */

struct archive {
	FILE *file;
	uint64_t most;	 /* bytes */
	unsigned number; /* of the next member */
	bool failed;
};

/* What goes wrong is said, and kept in archive->failed. */
void archive_add(struct archive *archive, const char *name, uint32_t mode, const void *data, size_t bytes);
void archive_add_file(struct archive *archive, const char *path, const char *name);
void archive_add_tree(struct archive *archive, const char *root);
void archive_end(struct archive *archive);

/* ---- qemu.c ---------------------------------------------------------------------------------------- */

int qemu_interrupted(void); /* the signal that ended the run early, or 0 */

/* Returns QEMU's wait status, or -1 when it could not be started, or its output not passed on (said). */
int qemu_run(const struct boot_options *options, const char *kernel, const char *archive, const char *report);

/* ---- report.c -------------------------------------------------------------------------------------- */

/* Read the kernel's report; print which system calls are missing, and with --stats what it counted. */
void report_read(const char *path, const struct boot_options *options, struct boot_report *out);

#endif
