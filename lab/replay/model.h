/*
 * model.h - what memory must contain: a flat model of processes, sharing no code with the core.
 *
 * A space is one address space: a sorted array of ranges, and for private memory the pages that were
 * written, each with the words that were written to it. An object is what may be shared: a file, or shared
 * anonymous memory. Nothing is copy-on-write here, nothing is cached, nothing is lazy: a fork copies, a
 * write writes.
 *
 * The contents of files are invented: model_content() gives every page of every file its own. Where the
 * model cannot know (bytes past a file's end) it does not judge.
 *
 * Threads: every call may come from any thread. A space has one lock, an object one, taken in this order
 * and held for the length of a call. Who wants a value to stand still while he compares it keeps others
 * from that page himself.
 */
#ifndef LAB_REPLAY_MODEL_H
#define LAB_REPLAY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_object;
struct model_space;

/* ---- objects ---- */

/* Fill @page with what page @index of the file named by @seed holds before anybody writes to it. */
void model_content(uint64_t seed, uint64_t index, void *page);

/* An object of @bytes: a file's invented contents, or zeroes. One reference. NULL: out of memory. */
struct model_object *model_object_create(uint64_t seed, uint64_t bytes, bool zeroes);
struct model_object *model_object_get(struct model_object *object);
void model_object_put(struct model_object *object);

uint64_t model_object_bytes(struct model_object *object);
void model_object_resize(struct model_object *object, uint64_t bytes);
void model_object_punch(struct model_object *object, uint64_t start, uint64_t bytes);

struct model_bad {   /* a word that is not what it must be */
	uint64_t at; /* address, or offset in the object */
	uint64_t expected, found;
};

/* Pages of the object that were written through some mapping: malloc()ed, *count of them. */
uint64_t *model_object_written(struct model_object *object, size_t *count);

/* Is @page what page @index of the object holds? */
bool model_object_check(struct model_object *object, uint64_t index, const void *page, struct model_bad *bad);

/* ---- spaces ---- */

enum {
	MODEL_READ = 1, /* PROT_*'s values */
	MODEL_WRITE = 2,
	MODEL_EXEC = 4,
};

enum {
	MODEL_SHARED = 0x1,
	MODEL_GROWSDOWN = 0x2,
	MODEL_DONTFORK = 0x4,
	MODEL_WIPEONFORK = 0x8,
};

struct model_space *model_space_create(void);
struct model_space *model_space_fork(struct model_space *space); /* NULL: out of memory */
void model_space_destroy(struct model_space *space);

/* All addresses and lengths are whole pages. They do what the calls of that name do when they succeed. */
bool model_map(struct model_space *space, uint64_t start, uint64_t length, unsigned prot, unsigned flags,
	       struct model_object *object, uint64_t first_page);
bool model_unmap(struct model_space *space, uint64_t start, uint64_t length);
bool model_protect(struct model_space *space, uint64_t start, uint64_t length,
		   unsigned prot); /* up to a hole */
/* 0, -ENOMEM, or -ENOENT: there is nothing to move, or to make longer. */
int model_move(struct model_space *space, uint64_t old, uint64_t old_length, uint64_t to, uint64_t length,
	       bool leave_old);
bool model_set_flags(struct model_space *space, uint64_t start, uint64_t length, unsigned set,
		     unsigned clear);
void model_discard(struct model_space *space, uint64_t start, uint64_t length); /* MADV_DONTNEED */
void model_free(struct model_space *space, uint64_t start, uint64_t length);	/* MADV_FREE */
void model_remove(struct model_space *space, uint64_t start, uint64_t length);	/* MADV_REMOVE */

/* The object was cut off: private copies past its new end go too. For every space that may map it. */
void model_cut(struct model_space *space, struct model_object *object, uint64_t bytes);

enum model_outcome {
	MODEL_FINE,
	MODEL_GROWS,  /* below a range that grows down: fine, or no mapping, as the limits and gaps have it */
	MODEL_MAPERR, /* SIGSEGV, nothing mapped */
	MODEL_ACCERR, /* SIGSEGV, not allowed */
	MODEL_BUS,    /* SIGBUS, past the object's end */
};

struct model_view {
	enum model_outcome outcome;
	unsigned prot, flags;
	struct model_object *object; /* NULL: anonymous and private. Lives as long as the mapping. */
	uint64_t page;		     /* its page */
	uint64_t start, end;	     /* the range */
};

/* What an access of kind @access (one of MODEL_READ, _WRITE, _EXEC) at @addr meets. */
struct model_view model_look(struct model_space *space, uint64_t addr, unsigned access);

/* The range that grows down and begins above @addr now begins with its page. */
bool model_grow(struct model_space *space, uint64_t addr);

/* A store of 8 bytes at @addr, which is a multiple of 8. */
bool model_store(struct model_space *space, uint64_t addr, uint64_t value);

/* Is @page, loaded from the page at @addr, what must be there? */
bool model_check(struct model_space *space, uint64_t addr, const void *page, struct model_bad *bad);

/* Addresses of the pages that hold private data: malloc()ed, *count of them, ascending. */
uint64_t *model_written(struct model_space *space, size_t *count);

/* The next range that ends above @addr, or false. */
bool model_next(struct model_space *space, uint64_t addr, struct model_view *out);

#endif
