/*
 * entry.h - what a page-table entry says. The only file that knows its bits.
 *
 * The layout is x86-64's; the frame number stands at bit 12 whatever the page size. Bits that hardware
 * ignores carry what software needs: SPECIAL (a frame that is not counted: the zero page) and, where the
 * present bit is off, NONE: mapped, but PROT_NONE, so that hardware faults and everything else still sees the
 * page.
 *
 *	63   62..52   51..12        11 10 9        8      7     6  5  4  3  2  1  0
 *	NX   -        frame number  -  -  SPECIAL  NONE*  HUGE  D  A  -  -  U  W  P     * only when P is 0
 */
#ifndef QUIRE_TABLE_ENTRY_H
#define QUIRE_TABLE_ENTRY_H

#include <quire/types.h>

#define ENTRY_PRESENT (1ul << 0)
#define ENTRY_WRITE (1ul << 1)
#define ENTRY_USER (1ul << 2)
#define ENTRY_ACCESSED (1ul << 5)
#define ENTRY_DIRTY (1ul << 6)
#define ENTRY_HUGE (1ul << 7)
#define ENTRY_NONE (1ul << 8)
#define ENTRY_SPECIAL (1ul << 9)
#define ENTRY_NX (1ul << 63)
#define ENTRY_PFN_SHIFT 12
#define ENTRY_PFN_MASK 0x000ffffffffff000ul

/* What mprotect changes; the rest of an entry stays. */
#define ENTRY_PROT_MASK (ENTRY_PRESENT | ENTRY_NONE | ENTRY_WRITE | ENTRY_NX)

enum rss_kind { RSS_ANON, RSS_FILE, RSS_SHMEM, RSS_KINDS };

static inline quire_pfn entry_pfn(quire_entry entry)
{
	return (entry & ENTRY_PFN_MASK) >> ENTRY_PFN_SHIFT;
}

/* Maps a page, whether hardware may use it or not. */
static inline bool entry_is_mapped(quire_entry entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_NONE)) != 0;
}

/* Hardware may have cached it. */
static inline bool entry_is_live(quire_entry entry)
{
	return (entry & ENTRY_PRESENT) != 0;
}

static inline bool entry_is_writable(quire_entry entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_WRITE)) == (ENTRY_PRESENT | ENTRY_WRITE);
}

static inline quire_entry entry_make(quire_pfn pfn, quire_entry bits)
{
	return pfn << ENTRY_PFN_SHIFT | bits;
}

/* An upper entry: permissions are decided at the leaf. */
static inline quire_entry entry_table(quire_pfn pfn)
{
	return entry_make(pfn, ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER);
}

/* Does @entry at @level (above 0) lead to a table? */
static inline bool entry_is_table(quire_entry entry)
{
	return (entry & (ENTRY_PRESENT | ENTRY_HUGE)) == ENTRY_PRESENT;
}

/*
 * Does taking @old for @new, which maps the same page, need a flush: could a CPU do with the cached old one
 * what the new forbids?
 */
static inline bool entry_change_needs_flush(quire_entry old, quire_entry new)
{
	quire_entry lost = old & ~new, gained = new & ~old;

	return entry_is_live(old) && ((lost & (ENTRY_PRESENT | ENTRY_WRITE)) || (gained & ENTRY_NX));
}

#endif
