/*
 * zoo.c - the table of safeguards.
 *
 * What is documented of real kernels stands under its public name. What is not, is a step of this core that
 * its comments call necessary: the litmus file shows that it is.
 */
#include "lab/check/zoo.h"

const struct zoo_safeguard zoo[] = {
	/* The flush */
	{ "munmap-flush", NULL, "BASE-3", "an unmapped page can still be reached through another CPU's TLB",
	  "munmap-vs-load", 2 },
	{ "free-after-flush", NULL, "BASE-3", "a frame is given back while a CPU can still store to it",
	  "munmap-vs-store", 2 },
	{ "protect-flush", NULL, "BASE-3",
	  "a CPU goes on writing where mprotect or fork has taken the right away", "mprotect-vs-store", 2 },
	{ "fork-flush", NULL, "BASE-3", "a CPU goes on writing to a page that is the child's too",
	  "fork-vs-store", 2 },
	{ "mremap-flush", "CVE-2018-18281", "BASE-3",
	  "a moved page is found at its new address and freed, and reached at its old one",
	  "mremap-vs-truncate", 2 },
	{ "owed-flush", "zap dirty loss", "BASE-3",
	  "who finds nothing to clear returns before the one who cleared it has flushed",
	  "dontneed-vs-dontneed", 2 },
	{ "set-flush", "two translations", "VMA-4",
	  "a new page is seen at an address where another CPU still has the old one", "dontneed-vs-store",
	  3 },
	{ "missed-flush", NULL, "BASE-3", "a CPU takes a later flush for all that it has missed",
	  "two-flushes", 2 },
	{ "generation-first", NULL, "BASE-3", "a flush that comes while a CPU catches up is taken for done",
	  "wake-vs-flushes", 2 },
	{ "flush-fence", NULL, "BASE-3", "a flush reads who is lazy before its generation has moved",
	  "flush-vs-wake", 2 },
	/* A CPU that switches or wakes */
	{ "flush-by-tag", "CVE-2025-37964", "BASE-3",
	  "a flush in the midst of a switch finds another root said to be loaded, and does nothing",
	  "switch-vs-flush", 2 },
	{ "run-announce", NULL, "BASE-3", "a CPU looks whether it was flushed before flushes can see it",
	  "switch-vs-flush", 2 },
	{ "wake-recheck", NULL, "BASE-3", "a CPU that was lazy uses what was flushed meanwhile",
	  "wake-vs-flush", 2 },
	{ "wake-fence", NULL, "BASE-3", "a CPU takes itself for flushed, and the flush takes it for lazy",
	  "wake-vs-flush", 2 },
	{ "wake-flush-first", NULL, "BASE-3",
	  "a root is loaded with a tag that still leads into tables that are gone", "switch-vs-walk", 2 },
	{ "tag-nobodys", NULL, "BASE-3", "a flush of a tag's old owner leaves its generation to the new one",
	  "tag-changes-hands", 2 },
	{ "lazy-leave", NULL, "BASE-3", "a lazy CPU keeps a root under which tables are freed",
	  "munmap-vs-lazy-walk", 2 },
	{ "exit-evict", NULL, "BASE-3", "a root is freed that a lazy CPU has loaded", "exit-vs-lazy", 2 },
	/* VMAs */
	{ "gate-recheck", NULL, "VMA-4", "an entry is set behind the back of who has cleared the range",
	  "munmap-vs-read", 2 },
	{ "close-wait", NULL, "VMA-3", "a mapping is taken away under a fault that uses it",
	  "munmap-vs-fault", 2 },
	{ "enter-recheck", "CVE-2025-38554", "VMA-2", "a fault uses a mapping that is gone",
	  "munmap-vs-fault", 2 },
	{ "vma-grace", "CVE-2023-3269", "VMA-3", "a fault looks at a mapping that was freed",
	  "munmap-vs-read", 2 },
	{ "newborn", NULL, "VMA-4", "a page is faulted in where pages are being moved to", "mremap-vs-target",
	  2 },
	{ "absent-lock", "newborn missing", "VMA-7", "a fault sees the hole in the midst of a replacement",
	  "replace-vs-load", 2 },
	{ "dead-recheck", NULL, "VMA-6", "a leaf of the tree is changed that another one stands for by now",
	  "leaf-goes-vs-munmap", 2 },
	{ "owner-early", NULL, "VMA-4", "a new page has no owner, as its mapping merges into another",
	  "merge-vs-first-store", 2 },
	{ "refusal-recheck", NULL, "VMA-7", "SIGSEGV by flags of one moment and bounds of another",
	  "mprotect-vs-refusal", 2 },
	{ "close-fence", NULL, "VMA-4", "who closes finds no table, and the fault finds no mark",
	  "munmap-vs-first-table", 2 },
	{ "gate-fence", NULL, "VMA-4", "who closes finds no table, and the fault finds no mark",
	  "munmap-vs-first-table", 2 },
	/* Tables */
	{ "table-flush", "CVE-2025-22045", "BASE-3",
	  "a flush of leaves alone lets a lazy CPU walk into a freed table", "munmap-vs-lazy-walk", 2 },
	{ "table-after-flush", NULL, "BASE-3", "a table is given back while hardware can still walk into it",
	  "munmap-vs-walk", 2 },
	{ "table-grace", NULL, "BASE-4", "a descent without locks comes to a table that is a page by now",
	  "munmap-vs-copy", 2 },
	{ "walk-dead", NULL, "BASE-4", "an entry is set in a table that is out of the tree",
	  "dontneed-vs-fault", 2 },
	{ "prune-recheck", NULL, "BASE-4", "a table is taken out in which a fault has just set an entry",
	  "dontneed-vs-fault", 2 },
	/* Copy-on-write and fork */
	{ "cow-hide", NULL, "VMA-4", "a CPU caches the old page behind the flush, and keeps it",
	  "cow-vs-load", 2 },
	{ "cow-flush", NULL, "BASE-3", "a CPU goes on reading the page that was copied", "cow-vs-load", 2 },
	{ "cow-flush-first", NULL, "VMA-4", "two CPUs see two pages at one address", "cow-vs-two", 3 },
	{ "cow-recheck", NULL, "BASE-1", "a copy takes the place of a newer one: a store is lost",
	  "cow-vs-cow", 2 },
	{ "cow-refs", "CVE-2020-29374", "PIN-1",
	  "a page is written in place that another process still reads", "cow-vs-unmap", 3 },
	{ "fork-close", "fork during faults (6.4)", "VMA-3",
	  "the child has a later store of a thread, and not its earlier one", "fork-vs-faults", 2 },
	{ "fork-exclusive", NULL, "PIN-1", "parent and child write to one page", "fork-then-store", 1 },
	{ "poke-again", "CVE-2016-5195", "BASE-1", "a forced write to a private mapping reaches the file",
	  "poke-vs-dontneed", 2 },
	/* Faults and copies */
	{ "fill-recheck", NULL, "BASE-1", "two faults set one entry, and a page is lost", "fault-vs-fault",
	  2 },
	{ "anon-once", NULL, "BASE-4", "a mapping gets two lineages at once", "first-faults", 2 },
	{ "anon-mapped", "CVE-2022-42703", "BASE-4",
	  "a page that is mapped nowhere leads to an owner that is gone", "rmap-vs-munmap", 2 },
	{ "anon-grace", NULL, "BASE-4", "an owner is freed while a walk takes a reference to it",
	  "rmap-vs-munmap", 2 },
	{ "copy-locked", NULL, "BASE-5", "the kernel copies from a frame that is another page by now",
	  "copy-vs-dontneed", 2 },
	/* Files */
	{ "map-recheck", NULL, "BASE-5", "a fault maps a page that truncation has taken out",
	  "truncate-vs-fault", 2 },
	{ "truncate-unmap", NULL, "BASE-5", "a page leaves the cache that was mapped again meanwhile",
	  "truncate-vs-fault", 2 },
	{ "truncate-again", NULL, "BASE-5", "a private copy of a page past the end stays", "truncate-vs-copy",
	  2 },
	{ "invalidate-again", NULL, "BASE-5", "a page is read after it was invalidated",
	  "invalidate-vs-dontneed", 2 },
	{ "cache-recheck", NULL, "BASE-5", "a search finds another file's page", "reuse-vs-read", 2 },
	{ "cache-uptodate", NULL, "BASE-5", "a page is read before the store has filled it", "read-vs-read",
	  2 },
	{ "get-not-free", NULL, "BASE-4", "a free page gets a reference", "truncate-vs-read", 2 },
	{ "index-grace", NULL, "BASE-5", "a search goes down a freed node", "truncate-vs-read", 2 },
	{ "folio-waited", NULL, "BASE-8", "who waits for a page is not woken", "truncate-vs-fault", 2 },
	{ "clear-exchange", NULL, "PIN-8",
	  "hardware sets a dirty bit in an entry that has been read and is then emptied", "clear-vs-dirty",
	  2 },
	{ "dirty-mark", NULL, "PIN-8", "a dirty bit goes with its entry, and the page is taken for clean",
	  "clear-vs-dirty", 2 },
	{ "writeback-protect", NULL, "BASE-5",
	  "a store after a sync leaves no trace, and is never written out", "sync-vs-store", 2 },
	/* Secondary MMUs */
	{ "notifier-start", NULL, "BASE-7", "a device keeps a translation whose page is freed",
	  "device-vs-dontneed", 2 },
	{ "notifier-active", NULL, "BASE-7",
	  "a device takes a translation in the midst of its being taken away", "device-vs-dontneed", 2 },
	{ "notifier-seq", NULL, "BASE-7",
	  "a device installs what it read before an operation that has ended since", "device-vs-dontneed",
	  2 },
	{ "untold-grace", NULL, "BASE-7", "a copy is made that a new device is not told of",
	  "register-vs-store", 2 },
	{ "notifier-close", NULL, "BASE-8", "removing a device, a move and a truncation wait for one another",
	  "unregister-vs-truncate", 3 },
};

const size_t zoo_count = sizeof(zoo) / sizeof(zoo[0]);

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		bool dash = *a == '-' && *b == '_';

		if (*a != *b && !dash)
			return false;
	}
	return *a == *b;
}

const struct zoo_safeguard *zoo_find(const char *name)
{
	for (size_t i = 0; i < zoo_count; i++) {
		if (same_name(zoo[i].name, name))
			return &zoo[i];
	}
	return NULL;
}
