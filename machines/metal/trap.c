/*
 * trap.c - the CPU's tables, faults, interrupts; and what is said when the machine stops.
 *
 * A fault in a program is the core's to handle, or the program's end. One in the kernel is a bug: the kernel
 * reaches a program's memory only through the core's copies, by way of the direct map, and SMAP is on where
 * there is one, so that it cannot do otherwise.
 *
 * Double faults and NMIs come on a stack of their own. The latter are sent by a CPU that stops the machine,
 * to see what the others are doing, interrupts off or on.
 */
#include "process.h"
#include "task.h"
#include "x86.h"

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

enum { VECTOR_DEBUG = 1, VECTOR_NMI = 2, VECTOR_BREAKPOINT = 3, VECTOR_OVERFLOW = 4, VECTOR_INVALID = 6 };
enum { VECTOR_DOUBLE = 8, VECTOR_STACK = 12, VECTOR_PAGE = 14, VECTOR_FPU = 16, VECTOR_ALIGN = 17 };
enum { VECTOR_MACHINE_CHECK = 18, VECTOR_SIMD = 19 };

#define FATAL_IST 1

extern char trap_stubs[], syscall_entry[];

static struct gate idt[VECTORS] __attribute__((aligned(16)));

static void fill_idt(void)
{
	for (unsigned vector = 0; vector < VECTORS; vector++) {
		uint64_t at = (uint64_t)trap_stubs + vector * 16;
		bool fatal = vector == VECTOR_NMI || vector == VECTOR_DOUBLE ||
			     vector == VECTOR_MACHINE_CHECK;
		bool users = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;

		idt[vector] = (struct gate){
			.low = (uint16_t)at,
			.selector = KERNEL_CS,
			.ist = fatal ? FATAL_IST : 0,
			.type = users ? 0xee : 0x8e,
			.middle = (uint16_t)(at >> 16),
			.high = (uint32_t)(at >> 32),
		};
	}
}

static void load_tables(struct metal_cpu *cpu)
{
	uint64_t tss = (uint64_t)&cpu->tss;
	struct table_pointer gdt_at = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };
	struct table_pointer idt_at = { sizeof(idt) - 1, (uint64_t)idt };

	cpu->gdt[1] = 0x00209a0000000000; /* KERNEL_CS */
	cpu->gdt[2] = 0x0000920000000000;
	cpu->gdt[3] = 0x0000f20000000000; /* USER_DS */
	cpu->gdt[4] = 0x0020fa0000000000; /* USER_CS */
	cpu->gdt[5] = (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
		      (tss >> 24 & 0xff) << 56;
	cpu->gdt[6] = tss >> 32;
	cpu->tss.ist[FATAL_IST - 1] = (uint64_t)cpu->fatal_stack + sizeof(cpu->fatal_stack);
	cpu->tss.io_map = sizeof(cpu->tss);
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(gdt_at), "m"(idt_at), "r"(TSS_SELECTOR));
	__asm__ volatile("movl %0, %%ss; movl %0, %%ds; movl %0, %%es" : : "r"(KERNEL_DS));
}

static bool has_smap;

void cpu_start_traps(struct metal_cpu *cpu)
{
	struct cpuid features = read_cpuid(7);
	uint64_t cr4 = read_cr4();

	if (cpu == metal_cpus[0])
		fill_idt();
	load_tables(cpu);
	cpu->self = cpu;
	write_msr(MSR_GS_BASE, (uint64_t)cpu);
	write_msr(MSR_KERNEL_GS_BASE, 0);
	write_msr(MSR_STAR, (uint64_t)KERNEL_CS << 32 | (uint64_t)KERNEL_DS << 48);
	write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
	/* NT too, or IRETQ would fault. */
	write_msr(MSR_SFMASK, FLAGS_IF | FLAGS_DF | FLAGS_TF | FLAGS_NT | FLAGS_AC);
	if (features.b & 1u << 7)
		cr4 |= CR4_SMEP;
	if (features.b & 1u << 20)
		cr4 |= CR4_SMAP;
	if (features.c & 1u << 2)
		cr4 |= CR4_UMIP;
	has_smap = (cr4 & CR4_SMAP) != 0;
	write_cr4(cr4);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static _Atomic uint32_t stopping; /* the number of the CPU that stops the machine, plus 1 */
static _Atomic uint32_t told;

static void print_frame(const struct trap_frame *f)
{
	kprintf("  rip %p  rsp %p  flags %lx  cs %lx  vector %lu  error %lx  cr2 %p\n", (void *)f->rip,
		(void *)f->rsp, f->rflags, f->cs, f->vector, f->error, (void *)read_cr2());
	kprintf("  rax %p  rbx %p  rcx %p  rdx %p\n", (void *)f->rax, (void *)f->rbx, (void *)f->rcx,
		(void *)f->rdx);
	kprintf("  rsi %p  rdi %p  rbp %p\n", (void *)f->rsi, (void *)f->rdi, (void *)f->rbp);
}

/* Words of the stack that lie in the kernel's text: whose calls these are, mostly. */
static void print_stack(uint64_t rsp)
{
	extern char kernel_text[], kernel_rodata[];

	if (rsp < DIRECT_BASE || rsp % 8)
		return;
	kprintf("  calls:");
	for (unsigned words = 0, shown = 0; words < 256 && shown < 16; words++, rsp += 8) {
		uint64_t word = *(const uint64_t *)rsp;

		if (rsp % STACK_BYTES == 0 && words)
			break;
		if (word >= (uint64_t)kernel_text && word < (uint64_t)kernel_rodata) {
			kprintf(" %lx", word);
			shown++;
		}
	}
	kprintf("\n");
}

static void print_cpu(const struct metal_cpu *cpu)
{
	const struct task *task = cpu->current;

	kprintf("CPU %u: %s %d, %lu ticks, %u tasks ready, RCU depth %u, IPIs: to run %lx, unanswered %u\n",
		cpu->id, task ? task->name : "no task", task ? task->tid : 0, cpu->ticks,
		atomic_load_explicit(&cpu->queue.length, memory_order_relaxed), cpu->rcu.depth,
		atomic_load_explicit(&cpu->from, memory_order_relaxed),
		atomic_load_explicit(&cpu->ipi.pending, memory_order_relaxed));
}

static struct metal_cpu *cpu_by_apic(void)
{
	unsigned apic_id = metal_cpu_count > 1 ? apic_here() : metal_cpus[0]->apic_id;

	for (unsigned id = 0; id < metal_cpu_count; id++)
		if (metal_cpus[id]->apic_id == apic_id)
			return metal_cpus[id];
	return metal_cpus[0];
}

/*
 * Whoever comes first stops the machine; the others only tell what they were doing, one after the other. If
 * that goes wrong too, it is enough.
 */
void trap_stop_all(const char *why)
{
	uint32_t me = metal_cpu_count ? cpu_by_apic()->id + 1 : 1, first = 0;
	uint64_t rsp;

	if (!atomic_compare_exchange_strong_explicit(&stopping, &first, me, memory_order_seq_cst,
						     memory_order_seq_cst)) {
		if (first == me)
			power_off(-1);
		for (;;)
			halt();
	}
	console_break_lock();
	kprintf("\nquire: %s\n", why);
	report("stopped %s\n", why);
	if (!metal_cpu_count)
		power_off(-1);
	__asm__ volatile("mov %%rsp, %0" : "=r"(rsp));
	print_cpu(cpu_by_apic());
	print_stack(rsp);
	apic_send_nmi_to_others();
	for (uint64_t end = time_monotonic() + 1000000000; time_monotonic() < end;)
		if (atomic_load_explicit(&told, memory_order_acquire) >= metal_cpu_count - 1)
			break;
	processes_print();
	power_off(-1);
}

void kernel_panic(const char *why)
{
	trap_stop_all(why);
	for (;;)
		halt();
}

void fatal_trap(struct trap_frame *frame);
void fatal_trap(struct trap_frame *frame)
{
	static struct quire_spin turn;
	struct metal_cpu *me = cpu_by_apic();

	console_break_lock();
	if (frame->vector != VECTOR_NMI)
		write_msr(MSR_GS_BASE, (uint64_t)me); /* it may be the program's */
	while (!spin_trylock(&turn))
		pause_cpu();
	print_cpu(me);
	print_frame(frame);
	print_stack(frame->cs == KERNEL_CS ? frame->rsp : 0);
	spin_unlock(&turn);
	atomic_fetch_add_explicit(&told, 1, memory_order_release);
	if (frame->vector != VECTOR_NMI)
		trap_stop_all(frame->vector == VECTOR_DOUBLE ? "a double fault" : "a machine check");
	for (;;)
		halt();
}

static void kernel_fault(struct trap_frame *frame)
{
	if (frame->vector == VECTOR_PAGE && this_cpu()->resume) {
		frame->rip = this_cpu()->resume;
		return;
	}
	console_break_lock();
	print_frame(frame);
	print_stack(frame->rsp);
	kernel_panic("a fault in the kernel");
}

/* ---- faults of programs ---------------------------------------------------------------------------- */

static void page_fault(struct trap_frame *frame)
{
	quire_vaddr at = read_cr2();
	struct quire_cpu *cpu = here();
	struct quire_fault fault = { 0 };
	unsigned access = frame->error & FAULT_ON_FETCH	  ? QUIRE_ACCESS_EXEC
			  : frame->error & FAULT_ON_WRITE ? QUIRE_ACCESS_WRITE
							  : QUIRE_ACCESS_READ;

	if (!(frame->error & FAULT_ON_PRESENT))
		access |= QUIRE_ACCESS_ABSENT;
	if (frame->error & FAULT_ON_RESERVED) {
		print_frame(frame);
		kernel_panic("a page table has a reserved bit set");
	}
	int err = quire_fault(&cpu, current()->process->mm, at, access, &fault);
	if (err == -QUIRE_ENOMEM) { /* what is free already, but for a grace period, counts too */
		rcu_wait();
		cpu = here();
		err = quire_fault(&cpu, current()->process->mm, at, access, &fault);
	}
	if (err == -QUIRE_EFAULT)
		signal_fault(frame, fault.signal, fault.code, at);
	else if (err)
		process_out_of_memory();
}

static void user_exception(struct trap_frame *frame)
{
	switch (frame->vector) {
	case VECTOR_DEBUG:
	case VECTOR_BREAKPOINT:
		signal_fault(frame, SIGNAL_TRAP, 1, frame->rip);
		return;
	case VECTOR_INVALID:
		signal_fault(frame, SIGNAL_ILL, 2, frame->rip);
		return;
	case 0:
	case VECTOR_FPU:
	case VECTOR_SIMD:
		signal_fault(frame, SIGNAL_FPE, 1, frame->rip);
		return;
	case VECTOR_STACK:
	case VECTOR_ALIGN:
		signal_fault(frame, SIGNAL_BUS, 1, 0);
		return;
	default:
		signal_fault(frame, SIGNAL_SEGV, 0x80, 0);
	}
}

static void interrupt(struct trap_frame *frame)
{
	struct metal_cpu *me = this_cpu();

	if (frame->vector == VECTOR_SPURIOUS)
		return;
	apic_end();
	if (frame->vector == VECTOR_TICK)
		sched_tick();
	else if (frame->vector == VECTOR_IPI)
		ipi_serve(me);
	else if (frame->vector == VECTOR_SERIAL)
		console_poll();
}

void trap(struct trap_frame *frame);
void trap(struct trap_frame *frame)
{
	bool from_user = (frame->cs & 3) != 0;

	/* A program may have set AC, which would let the kernel reach its memory. SYSCALL clears it. */
	if (has_smap)
		clear_ac();
	if (from_user && frame->vector == VECTOR_PAGE)
		page_fault(frame);
	else if (frame->vector >= VECTOR_TICK)
		interrupt(frame);
	else if (from_user)
		user_exception(frame);
	else
		kernel_fault(frame);
	if (from_user)
		user_return(frame);
}
