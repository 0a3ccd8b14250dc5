/*
 * file_fault.c - faults on file mappings: page-cache pages mapped, private copies made, first writes told to
 * the store.
 *
 * A page is mapped only under its folio lock, having found that the cache still owns it (store/file.h draws
 * the race with truncate). A try only tries the lock; when somebody else has it, or the page is not there,
 * the try ends and the page is brought, locked, to the next one.
 *
 * Order:   folio lock > what the gear holds > reverse-map locks > a leaf table's lock.
 * Rules:   BASE-1 (SIGBUS past the end), BASE-5, BASE-8.
 */
#include "fault.h"

#include "../base/safeguard.h"

static enum fault_step want(struct fault *fault, enum fault_step step)
{
	if (fault->refused || vma_index(fault->vma, fault->va) >= file_pages(fault->vma->rmap.file))
		return fault_fail(fault, STEP_BUS);
	if (!file_try_get(fault->vma->rmap.file)) /* its last mapping has gone, and with it the VMA */
		return STEP_AGAIN;
	fault->file = fault->vma->rmap.file;
	fault->index = vma_index(fault->vma, fault->va);
	return step;
}

/*
 * The page of the fault, locked and fit to be mapped; or NULL and *step. The caller gives it back with
 * let_go().
 */
static struct folio *hold_page(struct fault *fault, enum fault_step *step)
{
	struct quire_file *file = fault->vma->rmap.file;
	uint64_t index = vma_index(fault->vma, fault->va);
	struct folio *folio = fault->page;
	if (folio) { /* fault_in() has seen that it is the right one */
		fault->page = NULL;
	} else {
		folio = file_find(*fault->cpu, file, index);
		if (folio && !folio_trylock(folio)) {
			folio_put(*fault->cpu, folio);
			folio = NULL;
		}
		if (!folio) {
			*step = want(fault, STEP_READ);
			return NULL;
		}
	}
	if (file_may_map(file, folio) || !QUIRE_SAFEGUARD(map_recheck))
		return folio;
	folio_unlock(*fault->cpu, folio);
	folio_put(*fault->cpu, folio);
	*step = want(fault, STEP_READ);
	return NULL;
}

static void let_go(struct fault *fault, struct folio *folio)
{
	folio_unlock(*fault->cpu, folio);
	folio_put(*fault->cpu, folio);
}

/*
 * May the entry of a shared mapping be writable at once? Under the folio lock, which keeps the page from
 * being cleaned.
 */
static bool may_write_now(const struct fault *fault, const struct folio *folio)
{
	return !file_tracks_writes(fault->vma->rmap.file) || (folio_flags(folio) & FOLIO_DIRTY);
}

/*
 * Map what is in the cache, idle and up to date, of the aligned block of pages round a read fault, in the
 * same table and VMA. Linux's window and Linux's moment, since what is mapped shows in pagemap: the block is
 * aligned in the table, not in the file, and its pages are mapped even if then the fault's own is past the
 * end.
 */
static void map_around(struct fault *fault, struct cursor *cursor)
{
	struct vma *vma = fault->vma;
	quire_vaddr block = fault->mm->quire->config.fault_around_pages * QUIRE_PAGE_SIZE;
	quire_vaddr start = max_u64(align_down(fault->va, block), fault->is.start);
	start = max_u64(start, align_down(fault->va, QUIRE_HUGE_SIZE));
	quire_vaddr end = min_u64(start + block, align_down(fault->va, QUIRE_HUGE_SIZE) + QUIRE_HUGE_SIZE);
	end = min_u64(end, fault->is.end);

	for (quire_vaddr va = start; va < end; va += QUIRE_PAGE_SIZE) {
		if (!cursor_move(cursor, va) || cursor->entry)
			continue;
		struct folio *folio = file_find(*fault->cpu, vma->rmap.file, vma_index(vma, va));
		if (!folio)
			continue;
		if (folio_trylock(folio)) {
			if (file_may_map(vma->rmap.file, folio)) {
				folio_get(folio);
				cursor_set(cursor,
					   entry_make(folio_pfn(fault->mm->quire, folio),
						      vma_entry_bits(fault->is.flags, vma->rmap.file)),
					   folio);
				count(va == fault->va ? &(*fault->cpu)->faults->file
						      : &(*fault->cpu)->faults->around);
			}
			folio_unlock(*fault->cpu, folio);
		}
		folio_put(*fault->cpu, folio);
	}
}

/* Once a fault, on its first try. *done: the fault's own page was there. */
static enum fault_step read_around(struct fault *fault, bool *done)
{
	struct cursor cursor;
	fault->around = true;
	int err = fault_open(fault, &cursor, CURSOR_FILL, NULL);
	if (err)
		return fault_open_failed(err);
	map_around(fault, &cursor);
	*done = cursor_move(&cursor, fault->va) && cursor.entry;
	cursor_close(&cursor);
	return STEP_DONE;
}

static enum fault_step map_page(struct fault *fault)
{
	enum fault_step step = STEP_DONE;
	if (!(fault->flags & FAULT_WRITE) && !fault->around &&
	    fault->mm->quire->config.fault_around_pages > 1) {
		bool done = false;
		step = read_around(fault, &done);
		if (step != STEP_DONE || done)
			return step;
	}
	struct vma *vma = fault->vma;
	struct folio *folio = hold_page(fault, &step);
	if (!folio)
		return step;
	quire_entry bits = vma_entry_bits(fault->is.flags, vma->rmap.file);
	if (fault->flags & FAULT_WRITE) {
		if (!may_write_now(fault, folio)) {
			let_go(fault, folio);
			return want(fault, STEP_WRITABLE);
		}
		bits |= ENTRY_WRITE | ENTRY_DIRTY;
	}
	struct cursor cursor;
	int err = fault_open(fault, &cursor, CURSOR_FILL, NULL);
	if (err) {
		step = fault_open_failed(err);
	} else if (cursor.entry) {
		cursor_close(&cursor);
		step = STEP_AGAIN;
	} else {
		folio_get(folio);
		cursor_set(&cursor, entry_make(folio_pfn(fault->mm->quire, folio), bits), folio);
		count(&(*fault->cpu)->faults->file);
		cursor_close(&cursor);
	}
	let_go(fault, folio);
	return step;
}

/*
 * A first write to a private mapping: copy without mapping the cache's page. Locked until the copy is in, or
 * truncate would miss it.
 */
static enum fault_step copy_page(struct fault *fault)
{
	enum fault_step step = fault_prepare_anon(fault);
	if (step != STEP_DONE)
		return step;
	if (!fault_get_fresh(fault))
		return STEP_NO_MEMORY;
	struct folio *folio = hold_page(fault, &step);
	if (!folio)
		return step;
	folio_copy(fault->mm->quire, fault->fresh, folio);
	struct cursor cursor;
	int err = fault_open(fault, &cursor, CURSOR_FILL, NULL);
	if (err) {
		step = fault_open_failed(err);
	} else if (cursor.entry) {
		cursor_close(&cursor);
		step = STEP_AGAIN;
	} else {
		quire_entry bits = fault_anon_bits(fault);
		struct folio *copy = fault_take_fresh(fault);
		cursor_set(&cursor, entry_make(folio_pfn(fault->mm->quire, copy), bits), copy);
		count(&(*fault->cpu)->faults->cow);
		cursor_close(&cursor);
	}
	let_go(fault, folio);
	return step;
}

/* A shared entry is present and read-only, and the mapping may be written. */
static enum fault_step make_writable(struct fault *fault)
{
	enum fault_step step = STEP_DONE;
	struct folio *folio = hold_page(fault, &step);
	if (!folio)
		return step;
	if (!may_write_now(fault, folio)) {
		let_go(fault, folio);
		return want(fault, STEP_WRITABLE);
	}
	struct cursor cursor;
	int err = fault_open(fault, &cursor, CURSOR_FILL, NULL);
	step = STEP_AGAIN;
	if (!err) {
		if (entry_is_live(cursor.entry) &&
		    entry_pfn(cursor.entry) == folio_pfn(fault->mm->quire, folio)) {
			cursor_protect(&cursor, 0, ENTRY_WRITE | ENTRY_DIRTY | ENTRY_ACCESSED);
			count(&(*fault->cpu)->faults->reuse);
			step = STEP_DONE;
		}
		cursor_close(&cursor);
	} else {
		step = fault_open_failed(err);
	}
	let_go(fault, folio);
	return step;
}

enum fault_step fault_file(struct fault *fault)
{
	bool write = fault->flags & FAULT_WRITE;
	bool private = !(fault->is.flags & VMA_MAY_SHARE);
	struct cursor cursor;
	int err = fault_open(fault, &cursor, CURSOR_LOOK, NULL);
	if (err == -QUIRE_EAGAIN)
		return STEP_AGAIN;
	if (!err && cursor.entry) {
		if (private || !write || entry_is_writable(cursor.entry))
			return fault_break_cow(fault, &cursor);
		cursor_close(&cursor);
		return make_writable(fault);
	}
	if (!err)
		cursor_close(&cursor);
	return write && private ? copy_page(fault) : map_page(fault);
}
