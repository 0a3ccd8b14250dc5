/*
 * writeback.c - dirty pages: how a page becomes dirty through a mapping, and how it becomes clean.
 *
 * A store that wants to know before a clean page changes (it allocates the blocks, or writes pages back)
 * has its shared mappings begin read-only. The first store faults and comes to file_make_writable();
 * writing back takes the right away again:
 *
 *	store through a mapping				write back
 *	fault: lock folio				lock folio
 *	ask the store; folio DIRTY			every entry: not writable, not dirty; flush
 *	entry writable					folio not DIRTY
 *	unlock folio					hand the page to the store; unlock
 *
 * So a writable entry means a DIRTY folio, a folio that is not DIRTY needs no look at its mappings, and the
 * store sees a page that nobody changes under it.
 *
 * A page that could not be written stays dirty: its data is not lost, and the next sync tries again. The
 * error stays in the file until a sync reports it, once; the sync that met it reports it in any case.
 *
 * Order:   resize_lock (read) -> folio lock -> the store, or rmap_lock.
 * Rules:   BASE-5, BASE-8.
 */
#include "cache.h"
#include "zap.h"

#include "../base/safeguard.h"

int file_make_writable(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio)
{
	if (folio_flags(folio) & FOLIO_DIRTY)
		return 0;
	if (file->store->make_writable) {
		int err = file->store->make_writable(cpu, file, file->data, folio->index);
		if (err)
			return err;
	}
	folio_set(folio, FOLIO_DIRTY);
	return 0;
}

int cache_write_back(struct quire_cpu **cpu, struct quire_file *file, struct folio *folio)
{
	if (!file->store->write || !(folio_flags(folio) & FOLIO_DIRTY))
		return 0;

	if (QUIRE_SAFEGUARD(writeback_protect))
		clean_file_folio(cpu, folio);
	folio_set(folio, FOLIO_WRITEBACK); /* first: a sync that comes by sees one or the other */
	folio_clear(folio, FOLIO_DIRTY);
	cache_zero_past_end(file, folio); /* a mapping may have written there */
	int err = file->store->write(cpu, file, file->data, folio->index, folio_memory(file->quire, folio));
	if (err)
		folio_set(folio, FOLIO_DIRTY);
	folio_clear(folio, FOLIO_WRITEBACK);
	if (err) {
		/* Relaxed: a value of its own, which says nothing of other memory. */
		atomic_store_explicit(&file->error, err, memory_order_relaxed);
	}
	return err;
}

int quire_file_sync(struct quire_cpu **cpu, struct quire_file *file, uint64_t first_page, uint64_t last_page)
{
	struct folio *folio;
	int own = 0;

	if (file->store->write) {
		rwlock_read(cpu, &file->resize_lock); /* the store's end stays where it is */
		for (uint64_t index = first_page; (folio = cache_next(*cpu, file, &index, last_page));
		     index++) {
			/* What is clean is not waited for; what another sync is writing is, by its lock. */
			if ((folio_flags(folio) & (FOLIO_DIRTY | FOLIO_WRITEBACK)) &&
			    cache_lock(cpu, file, folio)) {
				int err = cache_write_back(cpu, file, folio);
				folio_unlock(*cpu, folio);
				own = own ? own : err;
			}
			folio_put(*cpu, folio);
		}
		rwlock_read_done(*cpu, &file->resize_lock);
	}
	/* Ours is in there too, unless another sync has taken it meanwhile: then it is reported to both. */
	int seen = atomic_exchange_explicit(&file->error, 0, memory_order_relaxed); /* as above */
	return own ? own : seen;
}
