/*
 * metal.h - the machine's inside: its CPUs, what they run, and how they reach each other.
 *
 * The kernel is not preempted and runs with interrupts off; a program runs with them on. So between two
 * calls that sleep a task stays on its CPU, as the core wants it, and a CPU's own data need no lock. What
 * other CPUs want of this one (IPIs) is served at every turn of every wait, on the way back to the program,
 * and when idle.
 *
 * The kernel's own locks are spin locks, whose every turn of waiting serves IPIs. They are leaves, but for
 * what is said at each; none is held while the core is called.
 */
#ifndef METAL_METAL_H
#define METAL_METAL_H

#include "layout.h"

#ifndef QUIRE_PORT_OWN_SPIN
#define QUIRE_PORT_OWN_SPIN /* spin.c */
#endif
#include <quire/mm.h>
#include <quire/port.h>
#include <quire/quire.h>

#include <stdarg.h>

#define MAX_CPUS 16

struct task;

/* As entry.S pushes it. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp0, rsp1, rsp2, reserved1, ist[7], reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed, aligned(8)));

/* What this CPU has sent to others. Written by its owner before the targets learn of it. */
struct ipi {
	void (*handler)(struct quire_cpu *cpu, void *argument);
	void *argument;
	_Atomic uint32_t pending; /* targets that have not run it yet */
	_Atomic bool sleeps;	  /* the sender has halted, and is to be interrupted when they have */
};

/* Tasks that are ready, and the CPU that they last ran on. */
struct run_queue {
	struct quire_spin lock;
	struct task *first, **last;
	_Atomic uint32_t length; /* changed under the lock, read by anybody */
};

/* Objects of the core that were freed on this CPU, by size; see memory.c. */
#define HEAP_ORDERS 11

struct heap_cpu {
	struct block *kept[HEAP_ORDERS];
	uint64_t bytes;
};

/* See rcu.c. */
struct rcu_list {
	struct quire_rcu *first, **last;
};

struct rcu_cpu {
	_Atomic uint64_t seen;		/* the grace period current at its last quiescent state */
	_Atomic bool idle;		/* in no read-side section, and in none before it looks again */
	unsigned depth;			/* sections it is in */
	struct rcu_list fresh, waiting; /* the CPU's own */
	uint64_t target;		/* when all have seen this, @waiting are done */
};

struct metal_cpu {
	/* entry.S knows these three by their offsets */
	struct metal_cpu *self;
	uint64_t kernel_stack; /* of the task that runs: where a trap from user mode begins */
	uint64_t user_stack;   /* scratch of syscall_entry */

	struct quire_cpu *cpu;
	unsigned id, apic_id;
	struct task *current, *idle, *previous; /* previous: switched away from just now */
	uint64_t root;				/* CR3 */
	unsigned asid;				/* of @root, as the core calls it */
	bool resched;				/* the tick, or somebody else, wants another task to run */
	uint64_t ticks;
	_Atomic uint64_t ticked; /* time_monotonic() of the last tick */
	uint64_t resume;     /* where to go on after a page fault of the kernel's own; 0: it may have none */
	uint64_t spin_since; /* TSC at the first turn of the wait that it is in; 0: in none */
	struct run_queue queue;
	struct rcu_cpu rcu;
	struct heap_cpu heap;
	struct ipi ipi;
	_Alignas(64) _Atomic uint64_t from; /* CPUs whose ipi is to be run here */
	_Atomic bool online;
	struct quire_spin *_Atomic halts_for; /* a lock; see spin.c */
	_Alignas(16) uint64_t gdt[7];
	struct tss tss;
	_Alignas(16) char fatal_stack[4096];
};

extern struct metal_cpu *metal_cpus[MAX_CPUS];
extern unsigned metal_cpu_count;
extern struct quire *metal_quire;

static inline struct metal_cpu *this_cpu(void)
{
	struct metal_cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline struct task *current(void)
{
	return this_cpu()->current;
}

/* The core's CPU that this is, until the next call that sleeps. */
static inline struct quire_cpu *here(void)
{
	return this_cpu()->cpu;
}

static inline void *direct(uint64_t physical)
{
	return (void *)(DIRECT_BASE + physical);
}

static inline uint64_t physical_of(const void *address)
{
	uint64_t at = (uint64_t)address;

	return at >= KERNEL_BASE ? at - KERNEL_BASE : at - DIRECT_BASE;
}

/* ---- string.c -------------------------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *at, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
size_t copy_string(char *to, const char *from, size_t room); /* cut to fit; its length */

/* ---- console.c ------------------------------------------------------------------------------------- */

void console_start(void);
void console_listen(void);
void console_write(const char *text, size_t bytes);
int64_t console_read(char *to, size_t bytes); /* what is there of a line; SLEEPS while there is nothing */
bool console_has_input(void);
void console_poll(void);			/* take in what was typed */
void console_modes(void *get, const void *set); /* struct termios; NULL: not wanted */
void console_typed_by_hand(void);		/* echo it */
void console_break_lock(void);			/* the machine stops, whoever held it */

/* %s %c %d %u %x %p, l and ll, a width, 0 before it, a precision; # is read over. Cut to fit; its length. */
size_t format_text(char *to, size_t room, const char *format, va_list args);
__attribute__((format(printf, 1, 2))) void kprintf(const char *format, ...);
__attribute__((format(printf, 1, 2))) void report(const char *format, ...); /* to who started the machine */

/* ---- memory.c -------------------------------------------------------------------------------------- */

struct boot_info {
	char options[256];
	uint64_t archive, archive_bytes; /* physical */
	uint64_t rsdp;			 /* physical */
	uint64_t memory_end;		 /* physical; the first MiB's memory goes on to here without a hole */
};

extern struct boot_info boot_info;

void memory_start(uint32_t start_info);
int memory_instance(struct quire_config *config); /* of the core; its memory and metadata are filled in */
struct quire_file *memory_reserve(
	void); /* takes what is not ours to use from the core's frames, as pages of that */
uint64_t memory_frames_kept(void);	/* how many that are */
bool boot_option(const char *name);	/* is it among the options? */
uint64_t boot_number(const char *name); /* of an option like "limit="; 0: it is not there */
void *kernel_alloc(size_t bytes);	/* zeroed, aligned to 64 bytes; NULL */
void kernel_free(void *object, size_t bytes);
void kernel_heap_share(void); /* all CPUs are known */
uint64_t kernel_heap_used(void);
uint64_t kernel_heap_bytes(void); /* in use or not */

/* ---- trap.c, apic.c, time.c ------------------------------------------------------------------------ */

enum { VECTOR_TICK = 32, VECTOR_IPI, VECTOR_WAKE, VECTOR_SERIAL, VECTOR_SPURIOUS = 63, VECTORS = 64 };

void cpu_start_traps(struct metal_cpu *cpu); /* GDT, IDT, TSS, SYSCALL; from then on this_cpu() works */
void trap_stop_all(const char *why);	     /* every CPU tells what it was doing, and halts */

void apic_find(void);  /* fills metal_cpus */
void apic_start(void); /* this CPU's */
void apic_start_others(void);
void apic_route(unsigned line, unsigned vector); /* a device's interrupts to the boot CPU */
void apic_send(const struct metal_cpu *target, unsigned vector);
void apic_send_nmi_to_others(void);
void apic_end(void);
unsigned apic_here(void);

#define TICKS_PER_SECOND 100
#ifndef HANG_SECONDS
#define HANG_SECONDS 20 /* nothing in the kernel takes so long; a test may */
#endif

void time_start(void);
uint64_t time_monotonic(void); /* ns */
uint64_t time_real(void);      /* ns since 1970 */
uint64_t time_of_tsc(uint64_t cycles);
uint32_t time_timer_count(void); /* the local APIC's timer's, for a tick */

/* ---- spin.c: the kernel's own locks; the core's are in port.h ------------------------------------- */

static inline bool spin_enter(struct quire_spin *lock, uint32_t how)
{
	/* Acquire pairs with the release in spin_unlock() and quire_spin_unlock(). */
	return atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
	       atomic_exchange_explicit(&lock->word, how, memory_order_acquire) == 0;
}

void spin_wait(struct quire_spin *lock);

static inline bool spin_trylock(struct quire_spin *lock)
{
	return spin_enter(lock, 1);
}

static inline void spin_lock(struct quire_spin *lock)
{
	if (!spin_trylock(lock))
		spin_wait(lock);
}

static inline void spin_unlock(struct quire_spin *lock)
{
	atomic_store_explicit(&lock->word, 0, memory_order_release);
}

/* ---- port.c, rcu.c --------------------------------------------------------------------------------- */

void ipi_serve(struct metal_cpu *me);
void waits_wake(_Atomic uint32_t *word, unsigned most);

void rcu_start(struct metal_cpu *me);
void rcu_quiescent(struct metal_cpu *me);
void rcu_idle_begin(struct metal_cpu *me);
void rcu_idle_end(struct metal_cpu *me);
bool rcu_work(struct metal_cpu *me); /* run what is due; false when nothing was */
void rcu_wait(void);		     /* SLEEPS until as many have run as are handed in now */
void rcu_wait_all(void);	     /* SLEEPS until nothing is handed in any more */

/* ---- main.c ---------------------------------------------------------------------------------------- */

void kernel_begin(void); /* the machine is ready: make the first task */
_Noreturn void power_off(int status);
_Noreturn void kernel_panic(const char *why);

#endif
