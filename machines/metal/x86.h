/*
 * x86.h - the instructions that C has no words for, and the registers' numbers.
 */
#ifndef METAL_X86_H
#define METAL_X86_H

#include <quire/types.h>

/* Selectors. The order of the last two user ones is SYSRET's, and kept although IRETQ returns. */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_DS 0x1b
#define USER_CS 0x23
#define TSS_SELECTOR 0x28

#define MSR_APIC_BASE 0x1b
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define CR4_UMIP (1ul << 11)
#define CR4_SMEP (1ul << 20)
#define CR4_SMAP (1ul << 21)

#define FLAGS_TF 0x100ul
#define FLAGS_IF 0x200ul
#define FLAGS_DF 0x400ul
#define FLAGS_NT 0x4000ul
#define FLAGS_AC 0x40000ul
#define FLAGS_USER 0xcd5ul /* what a signal handler may have changed: arithmetic, DF */

/* Error code of a page fault. */
#define FAULT_ON_PRESENT 0x1u
#define FAULT_ON_WRITE 0x2u
#define FAULT_FROM_USER 0x4u
#define FAULT_ON_RESERVED 0x8u
#define FAULT_ON_FETCH 0x10u

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t read_cr2(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

static inline uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static inline void write_cr3(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static inline void write_cr4(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline void invalidate_page(uint64_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

struct cpuid {
	uint32_t a, b, c, d;
};

static inline struct cpuid read_cpuid(uint32_t leaf)
{
	struct cpuid id;

	__asm__ volatile("cpuid" : "=a"(id.a), "=b"(id.b), "=c"(id.c), "=d"(id.d) : "a"(leaf), "c"(0));
	return id;
}

static inline void interrupts_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Sleep until an interrupt. None is lost that comes between the caller's last look and the halt. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* Those that are pending are served; and off again. */
static inline void let_interrupts_in(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

/* Where there is SMAP. */
static inline void clear_ac(void)
{
	__asm__ volatile("clac" : : : "memory");
}

static inline void halt(void)
{
	__asm__ volatile("cli; hlt" : : : "memory");
}

static inline void pause_cpu(void)
{
	__builtin_ia32_pause();
}

#endif
