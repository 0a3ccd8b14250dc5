/*
 * coroutine.S - the switch of coroutine.h for x86-64 (System V convention).
 *
 * A coroutine that does not run has on its stack, from the stack pointer upwards: r15 r14 r13 r12 rbx rbp and
 * where it goes on. MXCSR and the x87 control word are never changed by what runs here.
 */
	.text
	.globl	coroutine_switch
	.type	coroutine_switch, @function
coroutine_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	popq	%rcx
	jmp	*%rcx
	.size	coroutine_switch, . - coroutine_switch

/* Where a new coroutine begins: its body is in rbx, the body's argument in rbp (coroutine_prepare()). */
	.globl	coroutine_begin
	.type	coroutine_begin, @function
coroutine_begin:
	movq	%rbp, %rdi
	xorl	%ebp, %ebp
	callq	*%rbx
	ud2
	.size	coroutine_begin, . - coroutine_begin

	.section .note.GNU-stack, "", @progbits
