/*
 * entry.S - into the kernel and back: traps, interrupts, SYSCALL; and from one task's stack to another's.
 *
 * There is one frame for all of them, struct trap_frame, and one way back, IRETQ, whose checks make a bad
 * return address the program's fault. The kernel runs with interrupts off; so GS is the kernel's here,
 * always, but for the instructions before a SWAPGS, where nothing can come but a non-maskable interrupt,
 * which therefore does without.
 */
#include "layout.h"

	.macro SAVE
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	.endm

	.text
	.code64
	.balign 16
	.globl trap_stubs
trap_stubs:				/* 16 bytes each */
	vector = 0
	.rept 64
	.balign 16
	.if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 \
		&& vector != 17 && vector != 21
	pushq $0			/* no error code from the CPU */
	.endif
	pushq $vector
	.if vector == 2 || vector == 8 || vector == 18
	jmp fatal_common
	.else
	jmp trap_common
	.endif
	vector = vector + 1
	.endr

trap_common:
	testb $3, 24(%rsp)
	jz 1f
	swapgs
1:	SAVE
	movq %rsp, %rdi
	call trap
	.globl trap_return
trap_return:
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	testb $3, 24(%rsp)
	jz 1f
	swapgs
1:	addq $16, %rsp
	.globl trap_iretq
trap_iretq:
	iretq

fatal_common:				/* on a stack of its own, GS unknown, never to return */
	SAVE
	movq %rsp, %rdi
	call fatal_trap

	.globl syscall_entry
syscall_entry:
	swapgs
	movq %rsp, %gs:16
	movq %gs:8, %rsp
	pushq $0x1b			/* USER_DS */
	pushq %gs:16
	pushq %r11
	pushq $0x23			/* USER_CS */
	pushq %rcx
	pushq $0
	pushq $256
	SAVE
	movq %rsp, %rdi
	call system_call
	jmp trap_return

/* void switch_stacks(uint64_t *save, uint64_t load): the callee-saved registers go with the stack. */
	.globl switch_stacks
switch_stacks:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

/* A new task's first instructions: R12 is its function, or 0 to return to user mode by the frame on its stack. */
	.globl task_begin
task_begin:
	call task_first
	testq %r12, %r12
	jz trap_return
	call *%r12
	jmp trap_return

	.section .note.GNU-stack, "", @progbits
