/*
 * layout.h - where things are in memory; for C, assembly and the linker script.
 *
 *	virtual					physical
 *	0 to 0x7fffffffe000			the program's, by its own tables
 *	0xffff800000000000, 4 GiB		the first 4 GiB: direct map
 *	0xffffffff80000000, 1 GiB		the first GiB: the kernel as it is linked
 */
#ifndef METAL_LAYOUT_H
#define METAL_LAYOUT_H

#define KERNEL_BASE 0xffffffff80000000
#define KERNEL_START 0x100000 /* physical */

#define DIRECT_SLOT 256 /* the two entries of every root that are the kernel's */
#define KERNEL_SLOT 511
#define DIRECT_BASE 0xffff800000000000
#define DIRECT_END 0x100000000 /* physical */

#define AP_PAGE 0x90000 /* where the other CPUs begin, in real mode */

/* Frames of [LOW_RESERVED, end of the kernel) are never the core's: that page, the BIOS, video memory, us. */
#define LOW_RESERVED 0x80000

#ifndef STACK_BYTES
#define STACK_BYTES 16384 /* a kernel stack */
#endif

#endif
