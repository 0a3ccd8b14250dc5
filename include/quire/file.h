/*
 * file.h - what can be mapped: a file, its page cache, and the store behind it.
 */
#ifndef QUIRE_FILE_H
#define QUIRE_FILE_H

#include <quire/types.h>

/*
 * The store behind a file. All calls may sleep, and hand back in *cpu the CPU they end on. They are made
 * with no lock held but the page's own and the one that keeps this file's length, and never with a VMA or
 * an mm held, so that a store may itself allocate, wait, or fault (BASE-8): on other files than its own.
 * @page is QUIRE_PAGE_SIZE bytes of the instance's memory. Results are 0 or a negative errno.
 */
struct quire_store {
	/* Fill @page with page @index of the file; what lies past the end is zero. */
	int (*read)(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page);

	/*
	 * Write @page back; what lies past the end of the file is zero and not to be kept. NULL: nothing is
	 * ever written back; the page cache is the only copy (RAM).
	 */
	int (*write)(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		     const void *page);

	/*
	 * A clean page is about to become writable through a mapping. May refuse (-ENOSPC: SIGBUS). Or NULL.
	 */
	int (*make_writable)(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index);

	/* The file's length is now @bytes; or [start, end) of it was punched out. Either may be NULL. */
	int (*resize)(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes);
	int (*punch)(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		     uint64_t end);

	/* The last reference is gone, the cache is empty: free @data. Or NULL. */
	void (*release)(struct quire_cpu **cpu, struct quire_file *file, void *data);
};

enum {
	QUIRE_FILE_READ = 0x1,	 /* opened for reading: may be mapped at all */
	QUIRE_FILE_WRITE = 0x2,	 /* opened for writing: may be mapped shared and writable */
	QUIRE_FILE_NOEXEC = 0x4, /* on a mount without exec */
	/* kept in memory: counts as shared memory, MADV_REMOVE works, nothing to sync */
	QUIRE_FILE_RAM = 0x8,
};

/*
 * Create a file of @bytes with one reference. @id is the caller's name for it (device and inode, say), handed
 * back in map listings. Errors: -ENOMEM.
 */
int quire_file_create(struct quire_cpu **cpu, const struct quire_store *store, void *data, uint32_t flags,
		      uint64_t bytes, uint64_t id, struct quire_file **out);

/* A file in memory, all zeroes: tmpfs, memfd, and what is behind shared anonymous mappings. */
int quire_file_create_ram(struct quire_cpu **cpu, uint64_t bytes, uint64_t id, struct quire_file **out);

struct quire_file *quire_file_get(struct quire_file *file);
void quire_file_put(struct quire_cpu **cpu, struct quire_file *file); /* SLEEPS */

uint64_t quire_file_size(struct quire_file *file); /* bytes */
uint64_t quire_file_id(struct quire_file *file);
void *quire_file_data(struct quire_file *file); /* the store's */

/*
 * read() and write(): through the page cache, so that mappings see it. write() past the end extends the file.
 * @buffer is kernel memory. Return bytes moved, fewer when an error came after some, or a negative errno.
 * SLEEP.
 */
int64_t quire_file_read(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, void *buffer,
			size_t bytes);
int64_t quire_file_write(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, const void *buffer,
			 size_t bytes);

/*
 * ftruncate(): set the length. Pages wholly past it leave every mapping, private copies included, and the
 * cache; the rest of the last page is zeroed. SLEEPS.
 */
int quire_file_truncate(struct quire_cpu **cpu, struct quire_file *file, uint64_t bytes);

/* fallocate(PUNCH_HOLE | KEEP_SIZE): [at, at + bytes) reads as zeroes again. Private copies stay. SLEEPS. */
int quire_file_punch(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, uint64_t bytes);

/* fsync(): write dirty pages of [first, last] back. Returns a write error since the last call. SLEEPS. */
int quire_file_sync(struct quire_cpu **cpu, struct quire_file *file, uint64_t first_page, uint64_t last_page);

/*
 * The store's content of pages [first, last] changed behind our back (a network file system, another host):
 * drop them from every mapping and from the cache, dirty ones written back first. Private copies stay.
 * SLEEPS.
 */
int quire_file_invalidate(struct quire_cpu **cpu, struct quire_file *file, uint64_t first_page,
			  uint64_t last_page);

/* Is page @index in the cache and up to date? (mincore) */
bool quire_file_cached(struct quire_cpu *cpu, struct quire_file *file, uint64_t index);

#endif
