/*
 * file.c - a file's life, and read() and write() through its page cache.
 *
 * write() copies into the cached page under its lock, so shared mappings see it at once. It holds
 * resize_lock, for reading where the length stays, for writing where it grows. A page that is overwritten
 * whole, or lies past the old end, is not read in first. The length follows page by page, each after its
 * data: nobody sees bytes inside the length that were not written yet.
 *
 * Errors:  after some bytes were moved, their number is returned and the error is lost, as on Linux; the
 *          next call meets it again.
 * Rules:   BASE-5.
 */
#include "cache.h"

#include "../base/bits.h"
#include "../base/object.h"

#define LARGEST_FILE ((uint64_t)INT64_MAX)

int quire_file_create(struct quire_cpu **cpu, const struct quire_store *store, void *data, uint32_t flags,
		      uint64_t bytes, uint64_t id, struct quire_file **out)
{
	struct quire_file *file = object_alloc(*cpu, sizeof(*file));

	if (!file)
		return -QUIRE_ENOMEM;
	file->id = id;
	file->flags = flags;
	file->quire = (*cpu)->quire;
	file->store = store;
	file->data = data;
	file->tracks_writes = store->write != NULL || store->make_writable != NULL;
	/* Relaxed: nobody else knows the file yet. */
	atomic_store_explicit(&file->refs, 1, memory_order_relaxed);
	atomic_store_explicit(&file->size, bytes, memory_order_relaxed);
	*out = file;
	return 0;
}

struct quire_file *quire_file_get(struct quire_file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed); /* the caller has one */
	return file;
}

/* Nobody else knows the file, and nothing maps it: what is dirty goes to the store, and every page goes. */
static void empty(struct quire_cpu **cpu, struct quire_file *file)
{
	struct folio *folio;

	for (uint64_t index = 0; (folio = cache_next(*cpu, file, &index, UINT64_MAX)); index++) {
		if (cache_lock(cpu, file, folio)) {
			cache_write_back(cpu, file, folio); /* nobody is left to ask for the error */
			cache_remove(*cpu, file, folio);
			folio_unlock(*cpu, folio);
		}
		folio_put(*cpu, folio);
	}
}

static void free_after_grace(struct quire_cpu *cpu, struct quire_rcu *head)
{
	object_free(cpu, container_of(head, struct quire_file, rcu), sizeof(struct quire_file));
}

void quire_file_put(struct quire_cpu **cpu, struct quire_file *file)
{
	/* Acquire and release: the last one sees what all the others did. */
	if (atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	empty(cpu, file);
	if (file->store->release)
		file->store->release(cpu, file, file->data);
	file->rcu.done = free_after_grace;
	quire_port_rcu_call(*cpu, &file->rcu);
}

uint64_t quire_file_size(struct quire_file *file)
{
	return file_bytes(file);
}

uint64_t quire_file_id(struct quire_file *file)
{
	return file->id;
}

void *quire_file_data(struct quire_file *file)
{
	return file->data;
}

/* Bytes of [at, at + bytes) that lie in @at's page. */
static size_t part_of_page(uint64_t at, uint64_t bytes)
{
	return (size_t)min_u64(bytes, QUIRE_PAGE_SIZE - (at & ~QUIRE_PAGE_MASK));
}

static char *memory_at(struct quire_file *file, struct folio *folio, uint64_t at)
{
	return (char *)folio_memory(file->quire, folio) + (at & ~QUIRE_PAGE_MASK);
}

/* A hole of a file in memory reads as zeroes and stays a hole, as on Linux: mincore shows it. */
static bool read_hole(struct quire_cpu *cpu, struct quire_file *file, uint64_t at, char *to, size_t *bytes)
{
	if (!(file->flags & QUIRE_FILE_RAM))
		return false;
	struct folio *folio = file_find(cpu, file, page_of(at));
	if (folio) {
		folio_put(cpu, folio);
		return false;
	}
	uint64_t size = file_bytes(file);
	*bytes = at < size ? (size_t)min_u64(*bytes, size - at) : 0;
	quire_port_zero(to, *bytes);
	return true;
}

/* Read inside one page: how many bytes, 0 past the end, or an error. */
static int64_t read_part(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, char *to, size_t bytes)
{
	struct folio *folio;
	bool read;

	if (read_hole(*cpu, file, at, to, &bytes))
		return (int64_t)bytes;
	int err = file_page(cpu, file, page_of(at), &folio, &read);
	if (err)
		return err == -QUIRE_EFAULT ? 0 : err;

	/* The length after the page is at hand: what was cut off meanwhile is not read. */
	uint64_t size = file_bytes(file);
	bytes = at < size ? (size_t)min_u64(bytes, size - at) : 0;
	quire_port_copy(to, memory_at(file, folio, at), bytes);
	folio_put(*cpu, folio);
	return (int64_t)bytes;
}

int64_t quire_file_read(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, void *buffer,
			size_t bytes)
{
	int64_t done = 0;

	if (at > LARGEST_FILE)
		return -QUIRE_EINVAL;
	bytes = min_u64(bytes, LARGEST_FILE - at);
	while ((uint64_t)done < bytes) {
		uint64_t from = at + (uint64_t)done;
		size_t part = part_of_page(from, bytes - (uint64_t)done);
		int64_t got = read_part(cpu, file, from, (char *)buffer + done, part);
		if (got < 0)
			return done ? done : got;
		done += got;
		if ((size_t)got < part)
			break;
	}
	return done;
}

/*
 * A page that nothing of is kept: the cached one, or a new one, which is zero unless @whole of it is
 * about to be written.
 */
static int blank_page(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, bool whole,
		      struct folio **out)
{
	*out = file_find(*cpu, file, index);
	if (*out)
		return cache_lock(cpu, file, *out) ? 0 : CACHE_CHANGED;

	int err = cache_add(*cpu, file, index, out);
	if (!err && !whole)
		quire_port_zero(folio_memory(file->quire, *out), QUIRE_PAGE_SIZE);
	return err == -QUIRE_EEXIST ? CACHE_CHANGED : err;
}

/* The page as it is, read in if need be. */
static int filled_page(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out)
{
	bool read;
	int err = cache_read(cpu, file, index, out, &read);

	if (err)
		return err;
	return cache_lock(cpu, file, *out) ? 0 : CACHE_CHANGED;
}

/* The page at @index to write into, locked, with a reference. Under resize_lock. */
static int page_to_write(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, bool whole,
			 struct folio **out)
{
	int err;

	for (;;) {
		*out = NULL;
		if (whole || index >= file_pages(file))
			err = blank_page(cpu, file, index, whole, out);
		else
			err = filled_page(cpu, file, index, out);
		if (err != CACHE_CHANGED)
			return err;
		if (*out)
			folio_put(*cpu, *out);
	}
}

/* Write inside one page. Under resize_lock, written where the length grows. */
static int write_part(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, const char *from,
		      size_t bytes)
{
	struct folio *folio;

	int err = page_to_write(cpu, file, page_of(at), bytes == QUIRE_PAGE_SIZE, &folio);
	if (err)
		return err;
	quire_port_copy(memory_at(file, folio, at), from, bytes);
	folio_set(folio, FOLIO_UPTODATE | FOLIO_DIRTY);
	if (at + bytes > file_bytes(file)) /* release pairs with the acquire in file_pages() */
		atomic_store_explicit(&file->size, at + bytes, memory_order_release);
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
	return 0;
}

static int64_t write_parts(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, const char *from,
			   size_t bytes)
{
	int64_t done = 0;

	while ((uint64_t)done < bytes) {
		size_t part = part_of_page(at + (uint64_t)done, bytes - (uint64_t)done);
		int err = write_part(cpu, file, at + (uint64_t)done, from + done, part);
		if (err)
			return done ? done : err;
		done += (int64_t)part;
	}
	return done;
}

/* The same, growing the file. Under resize_lock, written. */
static int64_t write_growing(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, const char *from,
			     size_t bytes)
{
	uint64_t old = file_bytes(file);
	int (*resize)(struct quire_cpu **, struct quire_file *, void *, uint64_t) = file->store->resize;

	if (resize && at + bytes > old) {
		int err = resize(cpu, file, file->data, at + bytes);
		if (err)
			return err;
	}
	/* What a mapping wrote past the end does not enter the file; RAM files keep it (truncate.c). */
	if (at > old && file->store->write && !is_aligned(old, QUIRE_PAGE_SIZE))
		cache_zero(cpu, file, old, min_u64(at, align_up(old, QUIRE_PAGE_SIZE)));

	int64_t done = write_parts(cpu, file, at, from, bytes);
	uint64_t size = file_bytes(file);
	if (resize && size < at + bytes) { /* fell short */
		int err = resize(cpu, file, file->data, size);
		if (err)
			atomic_store_explicit(&file->error, err, memory_order_relaxed); /* to report */
	}
	return done;
}

int64_t quire_file_write(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, const void *buffer,
			 size_t bytes)
{
	int64_t done;

	if (at > LARGEST_FILE)
		return -QUIRE_EINVAL;
	if (bytes == 0)
		return 0;
	if (at == LARGEST_FILE)
		return -QUIRE_EFBIG;
	bytes = min_u64(bytes, LARGEST_FILE - at);

	rwlock_read(cpu, &file->resize_lock);
	if (at + bytes <= file_bytes(file)) {
		done = write_parts(cpu, file, at, buffer, bytes);
		rwlock_read_done(*cpu, &file->resize_lock);
		return done;
	}
	rwlock_read_done(*cpu, &file->resize_lock);

	rwlock_write(cpu, &file->resize_lock);
	done = write_growing(cpu, file, at, buffer, bytes);
	rwlock_write_done(*cpu, &file->resize_lock);
	return done;
}
