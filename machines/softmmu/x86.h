/*
 * x86.h - a page-table entry as x86-64 hardware reads it.
 *
 * The MMU's own view, written from the architecture and not from the core: what the core believes about an
 * entry is what is tested against it. Bits not named here are ignored by the hardware, except that an
 * address beyond the memory, or one inside a large page, is a reserved bit set.
 */
#ifndef SOFTMMU_X86_H
#define SOFTMMU_X86_H

#include <stdint.h>

#define X86_P (1ull << 0)   /* present; without it nothing else is looked at */
#define X86_RW (1ull << 1)  /* writes allowed */
#define X86_US (1ull << 2)  /* user accesses allowed */
#define X86_A (1ull << 5)   /* set when the entry is used */
#define X86_D (1ull << 6)   /* set in a leaf when it is written through */
#define X86_PS (1ull << 7)  /* above the leaf table: maps a large page */
#define X86_XD (1ull << 63) /* no instruction fetches */

#define X86_FRAME_SHIFT 12
#define X86_FRAME_MASK 0x000ffffffffff000ull

/* The page-fault error code. */
#define X86_PF_P 0x1u	 /* the translation is there, but forbids the access */
#define X86_PF_WR 0x2u	 /* a write */
#define X86_PF_US 0x4u	 /* by user code */
#define X86_PF_RSVD 0x8u /* a reserved bit is set: the tables are broken */
#define X86_PF_ID 0x10u	 /* an instruction fetch */

#endif
