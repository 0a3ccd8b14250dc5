/*
 * truncate.c - what takes pages out of a file: a new length, a hole, and news that the store has changed.
 *
 * All three hold resize_lock for writing, so that nothing is read in, written by write() or written back
 * meanwhile. Mappings are not held off. A page goes out under its folio lock, unmapped there; whoever
 * faults on it waits for that lock and then finds that it has no owner (file.h).
 *
 *	truncate			punch				invalidate
 *	the store, which may refuse	the store, which may refuse	-
 *	size = new			-				-
 *	unmap all, copies too		unmap cache pages		unmap cache pages
 *	each page: lock, unmap, out	each page: lock, unmap, out	each page: lock, unmap, write, out
 *	unmap all, copies too		unmap cache pages		unmap cache pages
 *	zero the last page's rest	zero the ends (before)		-
 *
 * The first unmapping is for speed: most pages are then mapped nowhere when their turn comes. The second
 * one of a truncation is for private copies: a fault that had found its page inside the old length may
 * finish its copy after the first. For all three it also waits for CPUs: a page may have been mapped after
 * the first unmapping and been unmapped by somebody else, whose flush is outstanding (table/gather.c).
 *
 * Order:   resize_lock -> folio lock -> rmap_lock -> tables.
 * Rules:   BASE-4, BASE-5.
 */
#include "cache.h"
#include "zap.h"

#include "../base/bits.h"

#define LARGEST_FILE ((uint64_t)INT64_MAX)

/*
 * Unmap a locked page for good. No fault maps it again, since that needs the folio lock; but a walk can
 * miss an entry that fork or mremap copies from where the walk comes later to where it has been. Then the
 * count says so.
 */
static void unmap_locked(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio,
			 enum zap_what what)
{
	/* Acquire pairs with the release half of the change that takes an entry away. */
	while (atomic_load_explicit(&folio->maps, memory_order_acquire) != 0) {
		zap_file(cpu, file, folio->index, folio->index, what);
		quire_port_relax(*cpu);
	}
}

/* Take pages [first, last] out of mappings and cache, as they are. */
static void drop_pages(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last,
		       enum zap_what what)
{
	struct folio *folio;

	zap_file(cpu, file, first, last, what);
	for (uint64_t index = first; (folio = cache_next(*cpu, file, &index, last)); index++) {
		if (cache_lock(cpu, file, folio)) {
			unmap_locked(cpu, file, folio, what);
			cache_remove(*cpu, file, folio);
			folio_unlock(*cpu, folio);
		}
		folio_put(*cpu, folio);
	}
	zap_file(cpu, file, first, last, what);
}

/*
 * The bytes between the end and the end of its page, which a mapping may have written, become part of the
 * file: they read as zeroes. Linux does so for files with a store behind them and leaves them as they are
 * in RAM files; so do we.
 */
static void zero_tail(struct quire_cpu **cpu, struct quire_file *file, uint64_t from)
{
	if (!is_aligned(from, QUIRE_PAGE_SIZE))
		cache_zero(cpu, file, from, align_up(from, QUIRE_PAGE_SIZE));
}

/* Under resize_lock, written. */
static int set_size(struct quire_cpu **cpu, struct quire_file *file, uint64_t bytes)
{
	uint64_t old = file_bytes(file);

	if (file->store->resize) {
		int err = file->store->resize(cpu, file, file->data, bytes);
		if (err)
			return err;
	}
	if (bytes > old && file->store->write)
		zero_tail(cpu, file, old);
	/* Release pairs with the acquire in file_pages(): the tail is zero before it can be read. */
	atomic_store_explicit(&file->size, bytes, memory_order_release);
	if (bytes <= old) {
		drop_pages(cpu, file, file_pages(file), UINT64_MAX, ZAP_ALL);
		zero_tail(cpu, file, bytes);
	}
	return 0;
}

int quire_file_truncate(struct quire_cpu **cpu, struct quire_file *file, uint64_t bytes)
{
	if (bytes > LARGEST_FILE)
		return -QUIRE_EINVAL;
	rwlock_write(cpu, &file->resize_lock);
	int err = set_size(cpu, file, bytes);
	rwlock_write_done(*cpu, &file->resize_lock);
	return err;
}

/* Zero the parts of [start, end) that are not whole pages, where they are cached. */
static void zero_ends(struct quire_cpu **cpu, struct quire_file *file, uint64_t start, uint64_t end)
{
	uint64_t head = min_u64(end, align_up(start, QUIRE_PAGE_SIZE));
	uint64_t tail = max_u64(head, align_down(end, QUIRE_PAGE_SIZE));

	if (start < head)
		cache_zero(cpu, file, start, head);
	if (tail < end)
		cache_zero(cpu, file, tail, end);
}

int quire_file_punch(struct quire_cpu **cpu, struct quire_file *file, uint64_t at, uint64_t bytes)
{
	if (bytes == 0 || at > LARGEST_FILE || bytes > LARGEST_FILE)
		return -QUIRE_EINVAL;
	if (at + bytes > LARGEST_FILE)
		return -QUIRE_EFBIG;
	if (!file->store->punch)
		return -QUIRE_EOPNOTSUPP;

	uint64_t end = at + bytes;
	uint64_t first = page_of(align_up(at, QUIRE_PAGE_SIZE));
	uint64_t past = page_of(end);

	rwlock_write(cpu, &file->resize_lock);
	int err = file->store->punch(cpu, file, file->data, at, end);
	if (!err) {
		zero_ends(cpu, file, at, end);
		if (first < past)
			drop_pages(cpu, file, first, past - 1, ZAP_CACHE_ONLY);
	}
	rwlock_write_done(*cpu, &file->resize_lock);
	return err;
}

/*
 * A page whose only copy is here, dirty with no way to write it, stays. Unmapped before it is written: no
 * store comes in between the write and the removal.
 */
static int invalidate_page(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio)
{
	int err = 0;

	if (cache_lock(cpu, file, folio)) {
		unmap_locked(cpu, file, folio, ZAP_CACHE_ONLY);
		err = cache_write_back(cpu, file, folio);
		if (!(folio_flags(folio) & FOLIO_DIRTY))
			cache_remove(*cpu, file, folio);
		folio_unlock(*cpu, folio);
	}
	return err;
}

int quire_file_invalidate(struct quire_cpu **cpu, struct quire_file *file, uint64_t first_page,
			  uint64_t last_page)
{
	struct folio *folio;
	int first_error = 0;

	rwlock_write(cpu, &file->resize_lock);
	zap_file(cpu, file, first_page, last_page, ZAP_CACHE_ONLY);
	for (uint64_t index = first_page; (folio = cache_next(*cpu, file, &index, last_page)); index++) {
		int err = invalidate_page(cpu, file, folio);
		if (!first_error)
			first_error = err;
		folio_put(*cpu, folio);
	}
	zap_file(cpu, file, first_page, last_page, ZAP_CACHE_ONLY);
	rwlock_write_done(*cpu, &file->resize_lock);
	return first_error;
}
