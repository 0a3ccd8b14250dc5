/*
 * disk.h - a backing store in memory that counts its calls and fails on demand, and files drawn.
 */
#ifndef QUIRE_TESTS_DISK_H
#define QUIRE_TESTS_DISK_H

#include <quire/file.h>
#include <quire/quire.h>

#define DISK_PAGES 8

struct disk {
	char bytes[DISK_PAGES * QUIRE_PAGE_SIZE];
	uint64_t size;
	int fail_read, fail_write, fail_resize, refuse; /* 0, or the error to give; refuse: make_writable's */
	int fail_page;			   /* reads and writes of this one fail; -1: of every page */
	int reads, writes, asks, releases; /* calls */
};

/* A disk of @pages pages, each filled with its letter: a, b, c, ...; and a file of it. NULL: no memory. */
struct quire_file *disk_file(struct quire_cpu **cpu, struct disk *disk, unsigned pages);

/*
 * What read() sees, one character a page: its letter when every byte is the same, '.' for zeroes, '?' for a
 * mixture, '!' for an error. The string is good until the next call.
 */
const char *draw_file(struct quire_cpu **cpu, struct quire_file *file);

/* Which pages are cached: 'x' or '-'. */
const char *draw_cache(struct quire_cpu **cpu, struct quire_file *file);

/* write() @letter over pages [first, first + pages). */
int64_t fill_file(struct quire_cpu **cpu, struct quire_file *file, unsigned first, unsigned pages,
		  char letter);

#endif
