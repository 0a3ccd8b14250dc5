/*
 * boot.S - the first instructions of every CPU, up to C in the upper half.
 *
 * The boot CPU comes from the PVH entry: 32-bit protected mode, no paging, EBX the physical address of the
 * start info. The others come from a STARTUP IPI in real mode, at a page below 1 MiB into which the boot CPU
 * has copied ap_begin to ap_end. Both meet in enter_long, with EBX 0 for the latter.
 *
 *	boot_pml4	0	identity, 1 GiB: for the steps between here and the upper half, and never loaded again
 *			256	all of the first 4 GiB: the direct map, not executable
 *			511	the first GiB once more, 2 GiB below the top: the kernel as it is linked
 *
 * The last two entries are copied into every root, and what they lead to never changes.
 */
#include "layout.h"

#define PHYSICAL(symbol) (symbol - KERNEL_BASE)

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18			/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYSICAL(pvh_start)

	.section .text.boot, "ax"
	.code32
	.globl pvh_start
pvh_start:
	cli
	cld
	lgdtl PHYSICAL(boot_gdt_32)
	ljmpl $0x18, $PHYSICAL(1f)
1:
	movl $PHYSICAL(boot_pd), %edi
	movl $0x183, %eax		/* present, writable, 2 MiB, global */
	movl $2048, %ecx
2:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 2b

	movl $(PHYSICAL(boot_pd) + 3), %eax
	movl %eax, PHYSICAL(boot_pdpt_low)
	movl %eax, PHYSICAL(boot_pdpt_kernel) + 510 * 8
	movl $PHYSICAL(boot_pdpt_direct), %edi
	movl $4, %ecx
3:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	decl %ecx
	jnz 3b
	movl $(PHYSICAL(boot_pdpt_low) + 3), PHYSICAL(boot_pml4)
	movl $(PHYSICAL(boot_pdpt_direct) + 3), PHYSICAL(boot_pml4) + 256 * 8
	movl $0x80000000, PHYSICAL(boot_pml4) + 256 * 8 + 4
	movl $(PHYSICAL(boot_pdpt_kernel) + 3), PHYSICAL(boot_pml4) + 511 * 8

enter_long:
	movl $0x10, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl %cr4, %eax
	orl $0x6a0, %eax		/* PAE, PGE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $0x901, %eax		/* SCE, LME, NXE */
	wrmsr
	movl $PHYSICAL(boot_pml4), %eax
	movl %eax, %cr3
	movl $0x80010033, %eax		/* PG, WP, NE, ET, MP, PE */
	movl %eax, %cr0
	ljmpl $0x08, $PHYSICAL(1f)

	.code64
1:	movabsq $2f, %rax
	jmp *%rax
2:	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	xorl %ebp, %ebp
	testl %ebx, %ebx
	jz 3f
	movabsq $boot_stack_end, %rsp
	movl %ebx, %edi
	call metal_main
3:	movq ap_stack(%rip), %rsp
	call metal_ap_main

	/* Copied to AP_PAGE; the addresses here are only differences. */
	.code16
	.globl ap_begin, ap_end
ap_begin:
	cli
	cld
	movw %cs, %ax
	movw %ax, %ds
	lgdtl ap_gdt_32 - ap_begin
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x18, $PHYSICAL(ap_protected)
	.balign 4
ap_gdt_32:
	.word boot_gdt_end - boot_gdt - 1
	.long PHYSICAL(boot_gdt)
ap_end:

	.code32
ap_protected:
	xorl %ebx, %ebx
	jmp enter_long

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00209a0000000000	/* 64-bit code */
	.quad 0x00cf92000000ffff	/* data */
	.quad 0x00cf9a000000ffff	/* 32-bit code */
boot_gdt_end:
	.balign 4
boot_gdt_32:
	.word boot_gdt_end - boot_gdt - 1
	.long PHYSICAL(boot_gdt)

	.bss
	.balign 4096
	.globl boot_pml4
boot_pml4:
	.skip 4096
boot_pdpt_low:
	.skip 4096
boot_pdpt_direct:
	.skip 4096
boot_pdpt_kernel:
	.skip 4096
boot_pd:
	.skip 4 * 4096
	.skip 16384
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
