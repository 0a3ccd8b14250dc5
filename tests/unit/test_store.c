/*
 * test_store.c - files: page cache, stores, truncation, writeback; the reverse map from a file's page.
 *
 * Each test's body runs in a scene (support/scene.h), after which every frame and object that it took must
 * be back.
 */
#include "../../core/store/cache.h"
#include "../../core/store/zap.h"
#include "../../core/table/as.h"
#include "../support/disk.h"
#include "../support/scene.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE

/* ---- RAM files ----------------------------------------------------------------------------------------- */

/* BASE-5: what was written is read, what was not reads as zeroes, and a read ends where the file does. */
static void ram_reads_back(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_file *file;
	char buffer[2 * PAGE] = { 0 };

	CHECK_EQUAL(quire_file_create_ram(cpu, 3 * PAGE + 10, 42, &file), 0);
	CHECK_EQUAL(quire_file_id(file), 42);
	CHECK_DRAWN(draw_file(cpu, file), "....");
	CHECK_EQUAL(quire_file_write(cpu, file, PAGE - 3, "abcdef", 6), 6);
	CHECK_EQUAL(quire_file_read(cpu, file, PAGE - 4, buffer, 8), 8);
	CHECK(memcmp(buffer, "\0abcdef\0", 8) == 0);
	CHECK_EQUAL(quire_file_read(cpu, file, 3 * PAGE, buffer, sizeof(buffer)), 10);
	CHECK_EQUAL(quire_file_read(cpu, file, 3 * PAGE + 10, buffer, 1), 0);
	CHECK_EQUAL(quire_file_read(cpu, file, 1ul << 40, buffer, 1), 0);
	CHECK_EQUAL(quire_file_read(cpu, file, UINT64_MAX, buffer, 1), -QUIRE_EINVAL);
	quire_file_put(cpu, file);
}

/* BASE-5: a write past the end makes the file longer; the gap is a hole. */
static void ram_grows(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_file *file;

	CHECK_EQUAL(quire_file_create_ram(cpu, 0, 0, &file), 0);
	CHECK_EQUAL(fill_file(cpu, file, 2, 2, 'x'), 2 * PAGE);
	CHECK_EQUAL(quire_file_size(file), 4 * PAGE);
	CHECK_DRAWN(draw_cache(cpu, file), "--xx");
	CHECK_DRAWN(draw_file(cpu, file), "..xx");
	CHECK_EQUAL(quire_file_write(cpu, file, 4 * PAGE, "end", 3), 3);
	CHECK_EQUAL(quire_file_size(file), 4 * PAGE + 3);
	CHECK_EQUAL(quire_file_write(cpu, file, INT64_MAX, "end", 3), -QUIRE_EFBIG);
	CHECK_EQUAL(quire_file_write(cpu, file, 1ul << 63, "end", 3), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_file_write(cpu, file, 9 * PAGE, "", 0), 0);
	CHECK_EQUAL(quire_file_size(file), 4 * PAGE + 3);
	quire_file_put(cpu, file);
}

/* BASE-5: what truncation cuts off is zero when the file grows again, the rest of the last page too. */
static void ram_truncates(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_file *file;
	char byte = 1;

	CHECK_EQUAL(quire_file_create_ram(cpu, 0, 0, &file), 0);
	CHECK_EQUAL(fill_file(cpu, file, 0, 4, 'x'), 4 * PAGE);
	CHECK_EQUAL(quire_file_truncate(cpu, file, PAGE + PAGE / 2), 0);
	CHECK_DRAWN(draw_cache(cpu, file), "xx");
	CHECK_EQUAL(quire_file_truncate(cpu, file, 4 * PAGE), 0);
	CHECK_DRAWN(draw_file(cpu, file), "x?..");
	CHECK_EQUAL(quire_file_read(cpu, file, PAGE + PAGE / 2, &byte, 1), 1);
	CHECK_EQUAL(byte, 0);
	CHECK_EQUAL(quire_file_read(cpu, file, PAGE + PAGE / 2 - 1, &byte, 1), 1);
	CHECK_EQUAL(byte, 'x');
	CHECK_EQUAL(quire_file_truncate(cpu, file, 0), 0);
	CHECK_EQUAL(quire_file_size(file), 0);
	CHECK_EQUAL(quire_file_truncate(cpu, file, 1ul << 63), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_file_truncate(cpu, file, INT64_MAX), 0);
	CHECK_EQUAL(quire_file_write(cpu, file, INT64_MAX - 2, "abc", 3), 2);
	CHECK_EQUAL(quire_file_truncate(cpu, file, 0), 0);
	quire_file_put(cpu, file);
}

/* BASE-5: a punched hole reads as zeroes; its whole pages leave the cache, its ends are zeroed in place. */
static void ram_punches(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_file *file;
	char bytes[4];

	CHECK_EQUAL(quire_file_create_ram(cpu, 0, 0, &file), 0);
	CHECK_EQUAL(fill_file(cpu, file, 0, 5, 'x'), 5 * PAGE);
	CHECK_EQUAL(quire_file_punch(cpu, file, PAGE - 2, 3 * PAGE + 4), 0);
	CHECK_DRAWN(draw_cache(cpu, file), "x---x");
	CHECK_DRAWN(draw_file(cpu, file), "?...?");
	CHECK_EQUAL(quire_file_read(cpu, file, 4 * PAGE, bytes, 4), 4);
	CHECK(memcmp(bytes, "\0\0xx", 4) == 0);
	CHECK_EQUAL(fill_file(cpu, file, 0, 5, 'y'), 5 * PAGE);
	CHECK_EQUAL(quire_file_punch(cpu, file, PAGE + 1, 2), 0); /* inside one page */
	CHECK_DRAWN(draw_file(cpu, file), "y?yyy");
	CHECK_EQUAL(quire_file_punch(cpu, file, 0, 100 * PAGE), 0); /* the length stays */
	CHECK_DRAWN(draw_file(cpu, file), ".....");
	CHECK_EQUAL(quire_file_punch(cpu, file, 0, 0), -QUIRE_EINVAL);
	CHECK_EQUAL(quire_file_punch(cpu, file, INT64_MAX, 10), -QUIRE_EFBIG);
	quire_file_put(cpu, file);
}

/* BASE-5: a RAM file has no other copy: invalidation leaves what was written, and sync has nothing to do. */
static void ram_keeps_its_only_copy(struct scene *s, struct quire_cpu **cpu)
{
	struct quire_file *file;

	CHECK_EQUAL(quire_file_create_ram(cpu, 3 * PAGE, 0, &file), 0);
	CHECK_EQUAL(fill_file(cpu, file, 1, 1, 'x'), PAGE);
	CHECK_EQUAL(quire_file_invalidate(cpu, file, 0, UINT64_MAX), 0);
	CHECK_DRAWN(draw_file(cpu, file), ".x.");
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), 0);
	CHECK(!file_tracks_writes(file));
	quire_file_put(cpu, file);
}

/* ---- stores -------------------------------------------------------------------------------------------- */

/* BASE-5: a page is read in once; a page overwritten whole not at all. */
static void store_is_asked_once(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 4);
	struct folio *folio;
	bool read;

	CHECK(file);
	CHECK_EQUAL(file_page(cpu, file, 1, &folio, &read), 0);
	CHECK(read && (folio_flags(folio) & FOLIO_UPTODATE));
	folio_put(*cpu, folio);
	CHECK_EQUAL(file_page(cpu, file, 1, &folio, &read), 0);
	CHECK(!read);
	folio_lock(cpu, folio);
	CHECK(file_may_map(file, folio));
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
	CHECK_EQUAL(file_page(cpu, file, 4, &folio, &read), -QUIRE_EFAULT);
	CHECK_EQUAL(fill_file(cpu, file, 2, 1, 'x'), PAGE);
	CHECK_EQUAL(disk.reads, 1);
	CHECK_DRAWN(draw_cache(cpu, file), "-xx-");
	file_read_ahead(cpu, file, 0, 1000);
	CHECK_DRAWN(draw_cache(cpu, file), "xxxx");
	CHECK_EQUAL(disk.reads, 3);
	CHECK_DRAWN(draw_file(cpu, file), "abxd");
	quire_file_put(cpu, file);
	CHECK_EQUAL(disk.releases, 1);
}

/* BASE-5: a failing read is an error when nothing came before it, else a short count; no page stays. */
static void read_errors(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	static char buffer[4 * PAGE];
	struct quire_file *file = disk_file(cpu, &disk, 4);
	struct folio *folio;
	bool read;

	CHECK(file);
	disk.fail_read = -QUIRE_EIO;
	disk.fail_page = 2;
	CHECK_EQUAL(quire_file_read(cpu, file, 10, buffer, 4 * PAGE), 2 * PAGE - 10);
	CHECK_EQUAL(quire_file_read(cpu, file, 2 * PAGE, buffer, PAGE), -QUIRE_EIO);
	CHECK_EQUAL(file_page(cpu, file, 2, &folio, &read), -QUIRE_EIO);
	CHECK_EQUAL(quire_file_write(cpu, file, 2 * PAGE + 1, "x", 1),
		    -QUIRE_EIO); /* needs the rest of the page */
	CHECK_EQUAL(quire_file_write(cpu, file, 2 * PAGE - 1, "xy", 2), 1);
	CHECK_DRAWN(draw_cache(cpu, file), "xx--");
	disk.fail_read = 0;
	CHECK_DRAWN(draw_file(cpu, file), "a?cd");
	quire_file_put(cpu, file);
}

/* BASE-5: what lies past the end in the last page reads as zeroes, whatever the store gives. */
static void tail_is_zero(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 2);
	struct folio *folio;
	bool read;

	CHECK(file);
	atomic_store_explicit(&file->size, PAGE + 5, memory_order_release);
	CHECK_EQUAL(file_page(cpu, file, 1, &folio, &read), 0);
	const char *page = folio_memory((*cpu)->quire, folio);
	CHECK(page[4] == 'b' && page[5] == 0 && page[PAGE - 1] == 0);
	folio_put(*cpu, folio);
	quire_file_put(cpu, file);
}

/* BASE-5: sync writes each dirty page once, in its range only; a clean page not at all. */
static void sync_writes_dirty_pages(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 4);

	CHECK(file);
	CHECK_EQUAL(fill_file(cpu, file, 1, 1, 'x'), PAGE);
	CHECK_EQUAL(fill_file(cpu, file, 3, 1, 'y'), PAGE);
	CHECK_DRAWN(draw_file(cpu, file), "axcy");
	CHECK_EQUAL(disk.bytes[PAGE], 'b');
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, 1), 0);
	CHECK_EQUAL(disk.writes, 1);
	CHECK_EQUAL(disk.bytes[PAGE], 'x');
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, 1), 0);
	CHECK_EQUAL(disk.writes, 1);
	CHECK_EQUAL(disk.bytes[3 * PAGE], 'd');
	quire_file_put(cpu, file); /* the rest */
	CHECK_EQUAL(disk.writes, 2);
	CHECK_EQUAL(disk.bytes[3 * PAGE], 'y');
}

/* BASE-5: a write error is reported once, and what could not be written is not lost. */
static void write_errors_are_reported_once(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 4);

	CHECK(file);
	CHECK_EQUAL(fill_file(cpu, file, 0, 3, 'x'), 3 * PAGE);
	disk.fail_write = -QUIRE_ENOSPC;
	disk.fail_page = 1;
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), -QUIRE_ENOSPC);
	CHECK_EQUAL(disk.writes, 3); /* the others were written all the same */
	CHECK(disk.bytes[0] == 'x' && disk.bytes[PAGE] == 'b' && disk.bytes[2 * PAGE] == 'x');
	disk.fail_write = 0;
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), 0);
	CHECK_EQUAL(disk.writes, 4);
	CHECK_EQUAL(disk.bytes[PAGE], 'x');
	quire_file_put(cpu, file);
}

/* BASE-5: a store that refuses a length, or runs out of space, leaves the file as it was. */
static void refused_lengths_change_nothing(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, DISK_PAGES);

	CHECK(file);
	CHECK_EQUAL(fill_file(cpu, file, DISK_PAGES - 1, 2, 'x'), -QUIRE_ENOSPC);
	CHECK_DRAWN(draw_file(cpu, file), "abcdefgh");
	disk.fail_resize = -QUIRE_EIO;
	CHECK_EQUAL(quire_file_truncate(cpu, file, PAGE), -QUIRE_EIO);
	CHECK_EQUAL(quire_file_size(file), DISK_PAGES * PAGE);
	CHECK_DRAWN(draw_file(cpu, file), "abcdefgh");
	disk.fail_resize = 0;
	CHECK_EQUAL(quire_file_truncate(cpu, file, 3 * PAGE - 1), 0);
	CHECK_EQUAL(quire_file_truncate(cpu, file, 4 * PAGE), 0);
	CHECK_DRAWN(draw_file(cpu, file), "ab?.");
	quire_file_put(cpu, file);
}

/* BASE-5: a hole in a file with a store, over cached, dirty and absent pages. */
static void store_punches(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 6);

	CHECK(file);
	CHECK_EQUAL(fill_file(cpu, file, 1, 2, 'x'), 2 * PAGE);
	CHECK_EQUAL(quire_file_punch(cpu, file, PAGE / 2, 4 * PAGE), 0);
	CHECK_DRAWN(draw_cache(cpu, file), "------");
	CHECK_DRAWN(draw_file(cpu, file), "?...?f");
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), 0);
	CHECK_EQUAL(disk.writes, 0);
	CHECK_EQUAL(quire_file_punch(cpu, file, 4 * PAGE, PAGE), 0); /* clean and cached now */
	CHECK_DRAWN(draw_file(cpu, file), "?....f");
	quire_file_put(cpu, file);
}

/* LUF-3's call: the store changed behind our back. Clean pages are read again; dirty ones win. */
static void invalidate_reads_again(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 4);

	CHECK(file);
	CHECK_DRAWN(draw_file(cpu, file), "abcd");
	CHECK_EQUAL(fill_file(cpu, file, 1, 2, 'x'), 2 * PAGE);
	memset(disk.bytes, 'A', PAGE);
	memset(disk.bytes + 3 * PAGE, 'D', PAGE);
	CHECK_EQUAL(quire_file_invalidate(cpu, file, 0, 1), 0);
	CHECK_DRAWN(draw_cache(cpu, file), "--xx");
	CHECK_DRAWN(draw_file(cpu, file), "Axxd");
	disk.fail_write = -QUIRE_EIO;
	CHECK_EQUAL(quire_file_invalidate(cpu, file, 0, UINT64_MAX), -QUIRE_EIO);
	CHECK_DRAWN(draw_cache(cpu, file), "--x-"); /* not lost */
	disk.fail_write = 0;
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), -QUIRE_EIO);
	CHECK_EQUAL(quire_file_invalidate(cpu, file, 0, UINT64_MAX), 0);
	CHECK_DRAWN(draw_file(cpu, file), "AxxD");
	quire_file_put(cpu, file);
}

/* BASE-5: the store is asked before a clean page becomes writable, not while it is dirty, and may refuse. */
static void store_is_asked_before_a_write(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 2);
	struct folio *folio;
	bool read;

	CHECK(file && file_tracks_writes(file));
	CHECK_EQUAL(file_page(cpu, file, 0, &folio, &read), 0);
	folio_lock(cpu, folio);
	disk.refuse = -QUIRE_ENOSPC;
	CHECK_EQUAL(file_make_writable(cpu, file, folio), -QUIRE_ENOSPC);
	CHECK(!(folio_flags(folio) & FOLIO_DIRTY));
	disk.refuse = 0;
	CHECK_EQUAL(file_make_writable(cpu, file, folio), 0);
	CHECK_EQUAL(file_make_writable(cpu, file, folio), 0);
	CHECK_EQUAL(disk.asks, 2);
	folio_unlock(*cpu, folio);
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, 0), 0);
	CHECK_EQUAL(disk.writes, 1);
	folio_lock(cpu, folio);
	CHECK_EQUAL(file_make_writable(cpu, file, folio), 0);
	CHECK_EQUAL(disk.asks, 3);
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
	quire_file_put(cpu, file);
}

/* ---- mappings ------------------------------------------------------------------------------------------ */

#define BASE_ADDRESS (16 * QUIRE_HUGE_SIZE)

struct mapping {
	struct quire_as as;
	struct rmap_node node;
};

/* [BASE_ADDRESS, ...) maps @pages of @file from @pgoff on. */
static int map(struct quire_cpu **cpu, struct mapping *m, struct quire_file *file, uint64_t pgoff,
	       unsigned pages)
{
	memset(m, 0, sizeof(*m));
	int err = as_create(*cpu, &m->as);
	if (err)
		return err;
	rmap_node_init(&m->node, &m->as);
	m->node.start = BASE_ADDRESS;
	m->node.end = BASE_ADDRESS + pages * PAGE;
	m->node.pgoff = pgoff;
	m->node.file = file;
	m->node.shared = true;
	rmap_node_attach(cpu, &m->node);
	return 0;
}

static void unmap(struct quire_cpu **cpu, struct mapping *m)
{
	struct gather gather;

	gather_begin(cpu, &gather, &m->as, m->node.start, m->node.end);
	zap_range(*cpu, &m->as, m->node.start, m->node.end, ZAP_ALL, CURSOR_MM, &gather, NULL);
	gather_end(cpu, &gather);
	rmap_node_detach(cpu, &m->node);
	anon_unlink(cpu, &m->node);
	as_destroy(cpu, &m->as);
}

#define READ_BITS (ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | ENTRY_NX)
#define DIRTY_BITS (READ_BITS | ENTRY_WRITE | ENTRY_DIRTY)

static quire_vaddr address(unsigned page)
{
	return BASE_ADDRESS + page * PAGE;
}

/* Install @folio, whose reference is used up, at the node's page @page. */
static int set(struct quire_cpu **cpu, struct mapping *m, unsigned page, struct folio *folio,
	       quire_entry bits)
{
	struct cursor cursor;

	int err = cursor_open(&cursor, *cpu, &m->as, address(page), CURSOR_FILL, NULL, NULL);
	if (err) {
		folio_put(*cpu, folio);
		return err;
	}
	cursor_set(&cursor, entry_make(folio_pfn((*cpu)->quire, folio), bits), folio);
	cursor_close(&cursor);
	return 0;
}

/* What a fault does: the cached page, mapped at the node's page @page. */
static int touch(struct quire_cpu **cpu, struct mapping *m, unsigned page, quire_entry bits)
{
	struct folio *folio;
	bool read;

	int err = file_page(cpu, m->node.file, m->node.pgoff + page, &folio, &read);
	if (err)
		return err;
	folio_lock(cpu, folio);
	if (bits & ENTRY_WRITE)
		err = file_make_writable(cpu, m->node.file, folio);
	if (!err) {
		folio_get(folio);
		err = set(cpu, m, page, folio, bits);
	}
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
	return err;
}

/* A private copy at the node's page @page. */
static int copy(struct quire_cpu **cpu, struct mapping *m, unsigned page)
{
	int err = anon_prepare(cpu, &m->node, NULL);
	if (err)
		return err;
	struct folio *folio = folio_alloc_zeroed(*cpu, FOLIO_ANON, 0);
	if (!folio)
		return -QUIRE_ENOMEM;
	folio->index = m->node.pgoff + page;
	atomic_store_explicit(&folio->owner, atomic_load_explicit(&m->node.anon, memory_order_relaxed),
			      memory_order_release);
	return set(cpu, m, page, folio, DIRTY_BITS);
}

/* A mapping's entries: '.' none, 'r' read-only, 'W' writable, 'C' a private copy. */
static const char *draw_map(struct quire_cpu **cpu, struct mapping *m)
{
	static char picture[64];
	unsigned pages = (unsigned)((m->node.end - m->node.start) / PAGE), at = 0;

	for (; at < pages; at++) {
		struct cursor cursor;

		picture[at] = '.';
		if (cursor_open(&cursor, *cpu, &m->as, address(at), CURSOR_READ, NULL, NULL))
			continue;
		struct folio *folio = entry_folio((*cpu)->quire, cursor.entry);
		if (folio)
			picture[at] = folio->kind == FOLIO_ANON	   ? 'C'
				      : cursor.entry & ENTRY_WRITE ? 'W'
								   : 'r';
		cursor_close(&cursor);
	}
	picture[at] = 0;
	return picture;
}

/* BASE-4, BASE-5: truncation takes pages past the end out of every mapping, private copies too. */
static void truncate_unmaps(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	static struct mapping a, b;
	struct quire_file *file = disk_file(cpu, &disk, 8);

	CHECK(file);
	CHECK_EQUAL(map(cpu, &a, file, 0, 8), 0);
	CHECK_EQUAL(map(cpu, &b, file, 2, 6), 0);
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQUAL(touch(cpu, &a, i, READ_BITS), 0);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQUAL(touch(cpu, &b, i, READ_BITS), 0);
	CHECK_EQUAL(copy(cpu, &b, 5), 0);
	CHECK_EQUAL(copy(cpu, &a, 7), 0);
	CHECK_DRAWN(draw_map(cpu, &a), "rrrrrr.C");
	CHECK_DRAWN(draw_map(cpu, &b), "rrrr.C");
	CHECK_EQUAL(quire_file_truncate(cpu, file, 4 * PAGE - 1), 0);
	CHECK_DRAWN(draw_map(cpu, &a), "rrrr....");
	CHECK_DRAWN(draw_map(cpu, &b), "rr....");
	CHECK_EQUAL(quire_file_truncate(cpu, file, 8 * PAGE), 0);
	CHECK_EQUAL(touch(cpu, &a, 6, READ_BITS), 0);
	CHECK_EQUAL(quire_file_truncate(cpu, file, 0), 0);
	CHECK_DRAWN(draw_map(cpu, &a), "........");
	unmap(cpu, &a);
	unmap(cpu, &b);
	quire_file_put(cpu, file);
}

/* BASE-5: a hole takes page-cache pages out of mappings; private copies stay. */
static void punch_spares_copies(struct scene *s, struct quire_cpu **cpu)
{
	static struct mapping m;
	struct quire_file *file;

	CHECK_EQUAL(quire_file_create_ram(cpu, 6 * PAGE, 0, &file), 0);
	CHECK_EQUAL(map(cpu, &m, file, 0, 6), 0);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQUAL(touch(cpu, &m, i, i & 1 ? DIRTY_BITS : READ_BITS), 0);
	CHECK_EQUAL(copy(cpu, &m, 5), 0);
	CHECK_DRAWN(draw_map(cpu, &m), "rWrWrC");
	CHECK_EQUAL(quire_file_punch(cpu, file, PAGE, 5 * PAGE), 0);
	CHECK_DRAWN(draw_map(cpu, &m), "r....C");
	CHECK_DRAWN(draw_cache(cpu, file), "x-----");
	CHECK_EQUAL(quire_file_invalidate(cpu, file, 0, UINT64_MAX), 0);
	CHECK_DRAWN(draw_map(cpu, &m), ".....C");
	unmap(cpu, &m);
	quire_file_put(cpu, file);
}

/* BASE-5: writing back takes the right to write away everywhere, and finds what mappings wrote. */
static void sync_protects_mappings(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	static struct mapping a, b;
	struct quire_file *file = disk_file(cpu, &disk, 3);
	struct folio *folio;

	CHECK(file);
	CHECK_EQUAL(map(cpu, &a, file, 0, 3), 0);
	CHECK_EQUAL(map(cpu, &b, file, 0, 3), 0);
	CHECK_EQUAL(touch(cpu, &a, 1, DIRTY_BITS), 0);
	CHECK_EQUAL(touch(cpu, &b, 1, DIRTY_BITS), 0);
	CHECK_EQUAL(touch(cpu, &b, 2, READ_BITS), 0);
	CHECK_EQUAL(disk.asks, 1);
	folio = file_find(*cpu, file, 1);
	CHECK(folio && (folio_flags(folio) & FOLIO_DIRTY));
	CHECK_EQUAL(atomic_load(&folio->maps), 2);
	memset(folio_memory((*cpu)->quire, folio), 'x', PAGE); /* a store of the program's */
	CHECK_EQUAL(quire_file_sync(cpu, file, 0, UINT64_MAX), 0);
	CHECK_DRAWN(draw_map(cpu, &a), ".r.");
	CHECK_DRAWN(draw_map(cpu, &b), ".rr");
	CHECK_EQUAL(disk.writes, 1);
	CHECK_EQUAL(disk.bytes[PAGE], 'x');
	CHECK(!(folio_flags(folio) & FOLIO_DIRTY));
	folio_lock(cpu, folio);
	CHECK(!clean_file_folio(cpu, folio));
	folio_unlock(*cpu, folio);
	folio_put(*cpu, folio);
	unmap(cpu, &a);
	unmap(cpu, &b);
	quire_file_put(cpu, file);
}

/* BASE-5: write() shows in mappings; the length's last page is zeroed past the end for mappings too. */
static void mappings_see_calls(struct scene *s, struct quire_cpu **cpu)
{
	static struct mapping m;
	struct quire_file *file;

	CHECK_EQUAL(quire_file_create_ram(cpu, 2 * PAGE, 0, &file), 0);
	CHECK_EQUAL(map(cpu, &m, file, 0, 2), 0);
	CHECK_EQUAL(touch(cpu, &m, 1, DIRTY_BITS), 0);
	struct folio *folio = file_find(*cpu, file, 1);
	CHECK(folio);
	char *page = folio_memory((*cpu)->quire, folio);
	CHECK_EQUAL(quire_file_write(cpu, file, PAGE + 1, "hello", 5), 5);
	CHECK(memcmp(page, "\0hello", 7) == 0);
	CHECK_EQUAL(quire_file_truncate(cpu, file, PAGE + 3), 0);
	CHECK(memcmp(page, "\0he\0\0\0", 6) == 0);
	CHECK_DRAWN(draw_map(cpu, &m), ".W");
	page[7] = 'z'; /* a store past the end: RAM files keep it, as tmpfs does */
	CHECK_EQUAL(quire_file_truncate(cpu, file, 2 * PAGE), 0);
	CHECK_EQUAL(page[7], 'z');
	folio_put(*cpu, folio);
	unmap(cpu, &m);
	quire_file_put(cpu, file);
}

/* BASE-4: a node that changes its bounds is found by the new ones, attached or not. */
static void moved_nodes_are_found(struct scene *s, struct quire_cpu **cpu)
{
	static struct mapping m;
	struct quire_file *file;

	CHECK_EQUAL(quire_file_create_ram(cpu, 8 * PAGE, 0, &file), 0);
	CHECK_EQUAL(map(cpu, &m, file, 0, 4), 0);
	rmap_node_move(cpu, &m.node, address(0), address(8), 0);
	CHECK_EQUAL(touch(cpu, &m, 6, READ_BITS), 0);
	rmap_node_detach(cpu, &m.node);
	zap_file(cpu, file, 0, UINT64_MAX, ZAP_ALL);
	CHECK_DRAWN(draw_map(cpu, &m), "......r.");
	rmap_node_move(cpu, &m.node, address(0), address(7), 0);
	rmap_node_attach(cpu, &m.node);
	rmap_node_attach(cpu, &m.node); /* once is enough */
	zap_file(cpu, file, 0, 5, ZAP_ALL);
	CHECK_DRAWN(draw_map(cpu, &m), "......r");
	zap_file(cpu, file, 6, 6, ZAP_ALL);
	CHECK_DRAWN(draw_map(cpu, &m), ".......");
	unmap(cpu, &m);
	quire_file_put(cpu, file);
}

/* ---- out of memory ------------------------------------------------------------------------------------- */

/* Every call that can fail, once. Returns whether something did; whatever it took it gives back. */
static bool everything(struct quire_cpu **cpu)
{
	static struct disk disk;
	static struct mapping m;
	static char buffer[3 * PAGE];
	bool failed = false;
	struct quire_file *file = disk_file(cpu, &disk, 4);

	if (!file)
		return true;
	failed |= quire_file_read(cpu, file, 0, buffer, sizeof(buffer)) != sizeof(buffer);
	failed |= quire_file_write(cpu, file, 3 * PAGE + 1, buffer, sizeof(buffer)) != sizeof(buffer);
	failed |= quire_file_size(file) != 6 * PAGE + 1;
	if (map(cpu, &m, file, 0, 6)) {
		failed = true;
	} else {
		failed |= touch(cpu, &m, 2, DIRTY_BITS) != 0;
		failed |= copy(cpu, &m, 4) != 0;
		failed |= quire_file_punch(cpu, file, PAGE, 2 * PAGE) != 0;
		failed |= touch(cpu, &m, 2, READ_BITS) != 0;
		failed |= quire_file_sync(cpu, file, 0, UINT64_MAX) != 0;
		failed |= quire_file_invalidate(cpu, file, 0, UINT64_MAX) != 0;
		failed |= quire_file_truncate(cpu, file, 10) != 0;
		unmap(cpu, &m);
	}
	quire_file_put(cpu, file);
	return failed;
}

/* BASE-6: each allocation failing in turn: an error, nothing lost, nothing leaked. */
static void allocations_fail_in_turn(struct scene *s, struct quire_cpu **cpu)
{
	uint64_t tried;
	bool failed;

	CHECK(!everything(cpu));
	for (tried = 0, failed = true; failed; tried++) {
		phys_fail_after((*cpu)->quire, tried);
		failed = everything(cpu);
		phys_fail_after((*cpu)->quire, UINT64_MAX);
		scene_check_counts(s, cpu);
		if (s->failed[0])
			return;
	}
	CHECK(tried > 8);
	for (tried = 0, failed = true; failed; tried++) {
		hosted_fail_objects_after(s->machine, tried);
		failed = everything(cpu);
		hosted_fail_objects_after(s->machine, UINT64_MAX);
		scene_check_counts(s, cpu);
		if (s->failed[0])
			return;
	}
	CHECK(tried > 5);
}

/* BASE-6: a write that runs out of memory in the middle says how far it came, and the store hears of it. */
static void short_writes_are_told(struct scene *s, struct quire_cpu **cpu)
{
	static struct disk disk;
	struct quire_file *file = disk_file(cpu, &disk, 1);

	CHECK(file);
	phys_fail_after((*cpu)->quire, 2);
	int64_t done = fill_file(cpu, file, 1, 4, 'x');
	phys_fail_after((*cpu)->quire, UINT64_MAX);
	CHECK_EQUAL(done, 2 * PAGE);
	CHECK_EQUAL(quire_file_size(file), 3 * PAGE);
	CHECK_EQUAL(disk.size, 3 * PAGE);
	CHECK_DRAWN(draw_file(cpu, file), "axx");
	quire_file_put(cpu, file);
}

#define TEST(name, body)                  \
	static void name(void **state)    \
	{                                 \
		(void)state;              \
		scene_run(body, NULL, 1); \
	}

TEST(base_5_ram_file_reads_back_what_was_written, ram_reads_back)
TEST(base_5_write_past_the_end_extends, ram_grows)
TEST(base_5_truncated_bytes_come_back_as_zeroes, ram_truncates)
TEST(base_5_punched_hole_reads_as_zeroes, ram_punches)
TEST(base_5_ram_file_keeps_its_only_copy, ram_keeps_its_only_copy)
TEST(base_5_store_is_asked_once_a_page, store_is_asked_once)
TEST(base_5_read_error_is_short_count_or_error, read_errors)
TEST(base_5_bytes_past_the_end_are_zero, tail_is_zero)
TEST(base_5_sync_writes_dirty_pages_of_its_range, sync_writes_dirty_pages)
TEST(base_5_write_error_is_reported_once, write_errors_are_reported_once)
TEST(base_5_refused_length_changes_nothing, refused_lengths_change_nothing)
TEST(base_5_punch_reaches_the_store, store_punches)
TEST(base_5_invalidated_page_is_read_again, invalidate_reads_again)
TEST(base_5_store_is_asked_before_a_clean_page_is_written, store_is_asked_before_a_write)
TEST(base_4_truncate_unmaps_everywhere, truncate_unmaps)
TEST(base_4_punch_spares_private_copies, punch_spares_copies)
TEST(base_5_sync_write_protects_mappings, sync_protects_mappings)
TEST(base_5_mappings_see_file_calls, mappings_see_calls)
TEST(base_4_moved_node_is_found, moved_nodes_are_found)
TEST(base_6_each_allocation_may_fail, allocations_fail_in_turn)
TEST(base_6_short_write_is_told, short_writes_are_told)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_5_ram_file_reads_back_what_was_written),
		cmocka_unit_test(base_5_write_past_the_end_extends),
		cmocka_unit_test(base_5_truncated_bytes_come_back_as_zeroes),
		cmocka_unit_test(base_5_punched_hole_reads_as_zeroes),
		cmocka_unit_test(base_5_ram_file_keeps_its_only_copy),
		cmocka_unit_test(base_5_store_is_asked_once_a_page),
		cmocka_unit_test(base_5_read_error_is_short_count_or_error),
		cmocka_unit_test(base_5_bytes_past_the_end_are_zero),
		cmocka_unit_test(base_5_sync_writes_dirty_pages_of_its_range),
		cmocka_unit_test(base_5_write_error_is_reported_once),
		cmocka_unit_test(base_5_refused_length_changes_nothing),
		cmocka_unit_test(base_5_punch_reaches_the_store),
		cmocka_unit_test(base_5_invalidated_page_is_read_again),
		cmocka_unit_test(base_5_store_is_asked_before_a_clean_page_is_written),
		cmocka_unit_test(base_4_truncate_unmaps_everywhere),
		cmocka_unit_test(base_4_punch_spares_private_copies),
		cmocka_unit_test(base_5_sync_write_protects_mappings),
		cmocka_unit_test(base_5_mappings_see_file_calls),
		cmocka_unit_test(base_4_moved_node_is_found),
		cmocka_unit_test(base_6_each_allocation_may_fail),
		cmocka_unit_test(base_6_short_write_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
