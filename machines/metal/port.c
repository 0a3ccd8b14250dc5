/*
 * port.c - what the core asks of a machine: port.h, but for RCU (rcu.c) and the heap (memory.c).
 *
 * The MMU's side. A root is loaded by a write of CR3, and every such write forgets what the CPU has cached,
 * but for the kernel's own global entries: PCIDs are not used. So there is never anything cached under a tag
 * that is not the loaded one, and a flush of one is done already. INVLPG forgets the page, and all
 * upper-level entries.
 *
 * The kernel's half. Before a root is loaded its two upper entries that are the kernel's are written. They
 * are the same in all roots and never change, so that to write them again does no harm; the core leaves the
 * upper half to us.
 *
 * IPIs. A sender has one request at a time, in its own struct; a target has a bit per sender. So nothing is
 * allocated and nothing can overflow.
 *
 *	sender					target
 *	handler, argument, pending = n
 *	from |= me		(release) -->	from taken (acquire)
 *	interrupt				handler(target, argument)
 *	pending == 0 ?		(acquire) <--	pending-- (release)
 *
 * A target in the kernel takes no interrupt, and looks at `from` whenever it waits; the interrupt stays
 * pending and finds nothing to do. A CPU that has not started is in no mask.
 *
 * Order:   takes no lock but waits' buckets; called under any of the core's.
 * Rules:   BASE-2, BASE-3.
 */
#include "task.h"
#include "x86.h"

#define SPINS 100

/* ---- memory ---------------------------------------------------------------------------------------- */

void quire_port_copy(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

/*
 * One call may fill gigabytes, or tables for as much: the watchdog is to see that this CPU is alive. The core
 * may hold what it likes, as in its waits (see ipi_wait()). That it fills every 64th page says the address,
 * which costs less than to count. Before the first tick no interrupt is wanted.
 */
void quire_port_zero(void *to, size_t bytes)
{
	memset(to, 0, bytes);
	if ((uintptr_t)to / QUIRE_PAGE_SIZE % 64 == 0 && metal_cpu_count && this_cpu()->ticks)
		let_interrupts_in();
}

/* ---- waiting --------------------------------------------------------------------------------------- */

/*
 * The watchdog's part in the kernel. spin_since is cleared whenever the CPU runs a program, or another task:
 * who waits in one stretch for so long waits for something that will not come.
 */
void quire_port_relax(struct quire_cpu *cpu)
{
	struct metal_cpu *me = this_cpu();
	uint64_t now = read_tsc();

	(void)cpu;
	ipi_serve(me);
	if (!me->spin_since)
		me->spin_since = now;
	else if (now > me->spin_since && time_of_tsc(now - me->spin_since) > HANG_SECONDS * 1000000000ull)
		trap_stop_all("a CPU waits in the kernel and does not get on");
	pause_cpu();
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	task_wait_patiently(word, seen, 0);
	*cpu = here();
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	waits_wake(word, 1);
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	waits_wake(word, ~0u);
}

/* ---- other CPUs ------------------------------------------------------------------------------------ */

void ipi_serve(struct metal_cpu *me)
{
	/* A hint first: this is called in every turn of every wait. */
	if (!atomic_load_explicit(&me->from, memory_order_relaxed))
		return;
	/* Acquire pairs with the release in quire_port_ipi(). */
	uint64_t senders = atomic_exchange_explicit(&me->from, 0, memory_order_acquire);

	for (; senders; senders &= senders - 1) {
		struct metal_cpu *sender = metal_cpus[__builtin_ctzll(senders)];
		struct ipi *ipi = &sender->ipi;

		ipi->handler(me->cpu, ipi->argument);
		/* Pairs with the acquire in quire_port_ipi(); after the last the request may be another. */
		if (atomic_fetch_sub_explicit(&ipi->pending, 1, memory_order_seq_cst) == 1 &&
		    atomic_load_explicit(&ipi->sleeps, memory_order_seq_cst))
			apic_send(sender, VECTOR_WAKE);
	}
}

/*
 * A turn of waiting for the targets. Where CPUs are threads of a busy host, a target may not be running at
 * all, and spinning keeps it from that; so a wait that is not short is a halt. Interrupts are on meanwhile,
 * under whatever locks the core holds: what they do takes the machine's own locks only, and none of those is
 * held here.
 *
 *	sender					the last target
 *	sleeps = true				pending = 0
 *	FULL FENCE				(a full fence)
 *	pending still? halt			sleeps? interrupt the sender
 */
static void ipi_wait(struct metal_cpu *me, unsigned turn)
{
	if (turn < SPINS) {
		quire_port_relax(me->cpu);
		return;
	}
	atomic_store_explicit(&me->ipi.sleeps, true, memory_order_seq_cst);
	quire_port_fence();
	ipi_serve(me);
	if (atomic_load_explicit(&me->ipi.pending, memory_order_acquire))
		wait_for_interrupt();
	atomic_store_explicit(&me->ipi.sleeps, false, memory_order_relaxed);
	quire_port_relax(me->cpu);
}

void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	struct metal_cpu *me = cpu->machine;
	uint64_t mask = atomic_load_explicit(&targets->bits[0], memory_order_relaxed) & ~(1ull << me->id);

	uint32_t count = 0;

	for (uint64_t rest = mask; rest; rest &= rest - 1)
		count++;
	me->ipi.handler = handler;
	me->ipi.argument = argument;
	atomic_store_explicit(&me->ipi.pending, count, memory_order_relaxed);
	for (uint64_t rest = mask; rest; rest &= rest - 1) {
		struct metal_cpu *target = metal_cpus[__builtin_ctzll(rest)];

		atomic_fetch_or_explicit(&target->from, 1ull << me->id, memory_order_release);
		apic_send(target, VECTOR_IPI);
	}
	/* Acquire pairs with the release in ipi_serve(). */
	for (unsigned turn = 0; atomic_load_explicit(&me->ipi.pending, memory_order_acquire); turn++)
		ipi_wait(me, turn);
}

/* ---- the MMU --------------------------------------------------------------------------------------- */

extern uint64_t boot_pml4[];

void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	struct metal_cpu *me = cpu->machine;
	_Atomic uint64_t *table = direct(root << QUIRE_PAGE_SHIFT);

	/* Relaxed: the CPU's walker reads them after the write of CR3, which is a full fence. */
	atomic_store_explicit(&table[DIRECT_SLOT], boot_pml4[DIRECT_SLOT], memory_order_relaxed);
	atomic_store_explicit(&table[KERNEL_SLOT], boot_pml4[KERNEL_SLOT], memory_order_relaxed);
	me->root = root << QUIRE_PAGE_SHIFT;
	me->asid = asid;
	write_cr3(me->root);
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	struct metal_cpu *me = cpu->machine;

	if (me->asid != asid)
		return;
	for (quire_vaddr at = start; at < end; at += QUIRE_PAGE_SIZE)
		invalidate_page(at);
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	struct metal_cpu *me = cpu->machine;

	if (me->asid == asid)
		write_cr3(me->root);
}

/* ---- failure --------------------------------------------------------------------------------------- */

_Noreturn void quire_port_panic(const char *file, int line, const char *condition)
{
	console_break_lock();
	kprintf("\nquire: %s:%d: does not hold on CPU %u: %s\n", file, line, this_cpu()->id, condition);
	kernel_panic("an invariant of the core is broken");
}

bool quire_port_is_here(struct quire_cpu *cpu)
{
	return cpu->machine == this_cpu();
}

/* For the watchdog, which tells what everybody has. */
void quire_port_lock_note(const void *lock, enum quire_lock_note note)
{
	struct task *task = metal_cpu_count && this_cpu() ? current() : NULL;

	for (unsigned i = 0; task && i < HELD_LOCKS; i++) {
		if (task->held[i] != (note == QUIRE_LOCK_GIVEN ? lock : NULL))
			continue;
		task->held[i] = note == QUIRE_LOCK_GIVEN ? NULL : lock;
		return;
	}
}
