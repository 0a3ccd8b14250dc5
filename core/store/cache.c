/*
 * cache.c - the page cache: finding a page, reading it in, taking it out.
 *
 * Searches hold nothing but RCU. The page found may leave the cache and be freed, even used again for
 * something else, between the look and the reference, so the slot is read again after it:
 *
 *	search						removal
 *	slot -> folio					slot = NULL
 *	refs += 1, unless it is 0			refs -= 1; at 0 the frame goes to its next owner
 *	slot still -> folio?
 *
 * The reference keeps the frame from changing its owner, and the slot, read after that, says whose it is:
 * if the folio is in the slot now, then it was this page when the reference was taken, or has become it
 * again, which is the same. (The folio's own fields would not do: in a frame that has become a page table
 * they mean something else.)
 *
 * A page that is read in is locked and in the cache before the store is asked, so that whoever wants it too
 * finds it and waits for its lock instead of reading it once more. If the store fails, the page leaves the
 * cache before it is unlocked: those who waited find that it has no owner, and ask the store themselves.
 *
 * Order:   resize_lock -> folio lock -> pages_lock. No page is read in under a lock of the mm's.
 * Rules:   BASE-5, BASE-8.
 */
#include "cache.h"

#include "../base/assert.h"
#include "../base/safeguard.h"

struct folio *file_find(struct quire_cpu *cpu, struct quire_file *file, uint64_t index)
{
	struct folio *folio;

	quire_port_rcu_lock(cpu);
	while ((folio = radix_find(&file->pages, index)) != NULL) {
		if (!folio_try_get(folio))
			continue; /* its removal is done: the slot is empty or another's */
		if (radix_find(&file->pages, index) == folio || !QUIRE_SAFEGUARD(cache_recheck))
			break;
		folio_put(cpu, folio);
	}
	quire_port_rcu_unlock(cpu);
	return folio;
}

struct folio *cache_next(struct quire_cpu *cpu, struct quire_file *file, uint64_t *index, uint64_t last)
{
	quire_spin_lock(cpu, &file->pages_lock);
	struct folio *folio = radix_next(&file->pages, index);
	if (folio && *index > last)
		folio = NULL;
	if (folio)
		folio_get(folio);
	quire_spin_unlock(cpu, &file->pages_lock);
	return folio;
}

bool cache_lock(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio)
{
	folio_lock(cpu, folio);
	if (atomic_load_explicit(&folio->owner, memory_order_relaxed) == file) /* under the folio lock */
		return true;
	folio_unlock(*cpu, folio);
	return false;
}

/* Insert under pages_lock, with nodes from @stock. False when the place is taken. */
static bool insert(struct quire_cpu *cpu, struct quire_file *file, struct radix_stock *stock,
		   struct folio *folio)
{
	quire_spin_lock(cpu, &file->pages_lock);
	bool vacant = radix_find(&file->pages, folio->index) == NULL;
	if (vacant) {
		/* Relaxed: published by the slot, and looked at under the folio lock. */
		atomic_store_explicit(&folio->owner, file, memory_order_relaxed);
		radix_insert(cpu, &file->pages, stock, folio->index, folio);
	}
	quire_spin_unlock(cpu, &file->pages_lock);
	return vacant;
}

int cache_add(struct quire_cpu *cpu, struct quire_file *file, uint64_t index, struct folio **out)
{
	struct radix_stock stock = { 0 };
	struct folio *folio = folio_alloc(cpu, FOLIO_FILE, 0);

	if (!folio)
		return -QUIRE_ENOMEM;
	int err = radix_stock_fill(cpu, &stock);
	if (err)
		goto drop;

	folio->index = index;
	atomic_store_explicit(&folio->owner, NULL, memory_order_relaxed);
	if (file->flags & QUIRE_FILE_RAM)
		folio_set(folio, FOLIO_SHMEM);
	bool locked = folio_trylock(folio);
	quire_assert(locked); /* nobody else knows it */
	(void)locked;
	if (!insert(cpu, file, &stock, folio)) {
		folio_unlock(cpu, folio);
		err = -QUIRE_EEXIST;
		goto drop;
	}
	folio_get(folio);
	radix_stock_drain(cpu, &stock);
	*out = folio;
	return 0;

drop:
	radix_stock_drain(cpu, &stock);
	folio_put(cpu, folio);
	return err;
}

void cache_remove(struct quire_cpu *cpu, struct quire_file *file, struct folio *folio)
{
	quire_assert(atomic_load_explicit(&folio->maps, memory_order_relaxed) == 0);

	quire_spin_lock(cpu, &file->pages_lock);
	radix_remove(cpu, &file->pages, folio->index);
	atomic_store_explicit(&folio->owner, NULL, memory_order_relaxed); /* looked at under the folio lock */
	quire_spin_unlock(cpu, &file->pages_lock);
	folio_put(cpu, folio);
}

void cache_zero_past_end(struct quire_file *file, struct folio *folio)
{
	uint64_t size = file_bytes(file);
	uint64_t used = size & ~QUIRE_PAGE_MASK;

	if (folio->index == size >> QUIRE_PAGE_SHIFT)
		quire_port_zero((char *)folio_memory(file->quire, folio) + used, QUIRE_PAGE_SIZE - used);
}

/* Fill a locked page that is in the cache from the store. On an error it leaves the cache. */
static int fill(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio)
{
	int err = file->store->read(cpu, file, file->data, folio->index, folio_memory(file->quire, folio));
	if (err) {
		cache_remove(*cpu, file, folio);
		return err;
	}
	cache_zero_past_end(file, folio);
	folio_set(folio, FOLIO_UPTODATE);
	return 0;
}

/* One try: 0 and *out, an error, or CACHE_CHANGED. */
static int read_once(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out,
		     bool *read)
{
	int err = 0;
	struct folio *folio = file_find(*cpu, file, index);

	if (folio && (folio_flags(folio) & FOLIO_UPTODATE))
		goto done;
	if (!folio) {
		err = cache_add(*cpu, file, index, &folio);
		if (err)
			return err == -QUIRE_EEXIST ? CACHE_CHANGED : err;
	} else if (!cache_lock(cpu, file, folio)) {
		err = CACHE_CHANGED;
		goto drop;
	}

	if (!(folio_flags(folio) & FOLIO_UPTODATE)) {
		*read = true;
		err = fill(cpu, file, folio);
	}
	folio_unlock(*cpu, folio);
	if (err)
		goto drop;
done:
	*out = folio;
	return 0;
drop:
	folio_put(*cpu, folio);
	return err;
}

int cache_read(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out,
	       bool *read)
{
	int err;

	do {
		if (index >= file_pages(file))
			return -QUIRE_EFAULT;
		err = read_once(cpu, file, index, out, read);
	} while (err == CACHE_CHANGED);
	return err;
}

int file_page(struct quire_cpu **cpu, struct quire_file *file, uint64_t index, struct folio **out, bool *read)
{
	*read = false;
	if (index >= file_pages(file))
		return -QUIRE_EFAULT;

	struct folio *folio = file_find(*cpu, file, index);
	if (folio) {
		if ((folio_flags(folio) & FOLIO_UPTODATE) || !QUIRE_SAFEGUARD(cache_uptodate)) {
			*out = folio;
			return 0;
		}
		folio_put(*cpu, folio);
	}

	rwlock_read(cpu, &file->resize_lock);
	int err = cache_read(cpu, file, index, out, read);
	rwlock_read_done(*cpu, &file->resize_lock);
	return err;
}

void file_read_ahead(struct quire_cpu **cpu, struct quire_file *file, uint64_t first, uint64_t last)
{
	for (uint64_t index = first; index <= last; index++) {
		struct folio *folio;
		bool read;

		if (file_page(cpu, file, index, &folio, &read))
			return;
		folio_put(*cpu, folio);
	}
}

bool file_may_map(struct quire_file *file, struct folio *folio)
{
	return atomic_load_explicit(&folio->owner, memory_order_relaxed) == file && /* under the folio lock */
	       (folio_flags(folio) & FOLIO_UPTODATE) && folio->index < file_pages(file);
}

void cache_zero(struct quire_cpu **cpu, struct quire_file *file, uint64_t from, uint64_t to)
{
	uint64_t start = from & ~QUIRE_PAGE_MASK;
	struct folio *folio = file_find(*cpu, file, from >> QUIRE_PAGE_SHIFT);

	if (!folio)
		return;
	if (cache_lock(cpu, file, folio)) {
		quire_port_zero((char *)folio_memory(file->quire, folio) + start, to - from);
		folio_unlock(*cpu, folio);
	}
	folio_put(*cpu, folio);
}

bool quire_file_cached(struct quire_cpu *cpu, struct quire_file *file, uint64_t index)
{
	struct folio *folio = file_find(cpu, file, index);

	if (!folio)
		return false;
	bool cached = (folio_flags(folio) & FOLIO_UPTODATE) != 0;
	folio_put(cpu, folio);
	return cached;
}
