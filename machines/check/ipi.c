/*
 * ipi.c - interrupts: each CPU has a thread that is its handler, and runs in the midst of its column.
 *
 *	sender					handler of a target			its column
 *	[ post to every target ]
 *						[ enter; handler runs ...
 *						  ... its atomics are steps ...		does not go on
 *						  leave; acknowledge ]
 *	[ all have acknowledged: go on ]
 *
 * An interrupt comes between any two steps of the column, also while that sleeps, waits or has ended; posted
 * by several, each is an interrupt of its own, in any order. Interrupt delivery empties the CPU's store
 * buffer (TSO): a handler begins when it is empty.
 *
 * For races on plain data a handler is a thread of its own. What its CPU did before, it has seen; what it
 * does, its CPU sees only by atomics.
 *
 * Whoever has no handler (the service CPU) executes nothing that a flush could be about; its handler is run
 * for it by the sender (port.h allows that for a CPU that is off line).
 *
 * Rules:   BASE-3, CHK-4.
 */
#include "inside.h"

/*
 * What a handler waits for: its sender's doing alone. Others may send before it begins or after: then the
 * order tells which of them are there to be chosen from.
 */
static uintptr_t sent(unsigned sender, unsigned target)
{
	return place(PLACE_IPI, (sender + 1ul) << 8 | target);
}

static bool all_have_run(void *argument)
{
	const struct ipi *ipi = argument;

	return !ipi->targets;
}

static void run_handler(struct machine *machine, const struct ipi *ipi, unsigned target)
{
	ipi->handler(machine->cpu[target].cpu, ipi->argument);
}

void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	struct machine *machine = machine_now;
	unsigned sender = self(), me = cpu_of(cpu)->id;
	struct ipi *ipi = &machine->ipi[sender];
	uint64_t bits = *(const uint64_t *)(const void *)&targets->bits[0];

	if (is_handler(machine, sender))
		violation("an interrupt handler of %s sends an interrupt", thread_name(sender));
	if (bits >> me & 1)
		violation("%s interrupts itself", thread_name(sender));
	*ipi = (struct ipi){ .handler = handler, .argument = argument };
	for (unsigned target = 0; target <= machine->cpus; target++)
		if ((bits >> target & 1) && (!engine_now || target == machine->cpus))
			run_handler(machine, ipi, target);
	bits &= (1ul << machine->cpus) - 1;
	if (!engine_now || !bits)
		return;
	engine_at(__builtin_return_address(0), place(PLACE_ACK, sender));
	engine_begin(STEP_IPI_SEND, is_drained, here());
	for (uint64_t rest = bits; rest; rest &= rest - 1) {
		unsigned target = (unsigned)__builtin_ctzl(rest);

		engine_touch(place(PLACE_IPI, target), TOUCH_ADD);
		engine_touch(sent(sender, target), TOUCH_SIGNAL);
		machine->interrupts[target]++;
	}
	engine_note(bits);
	memory_release(place(PLACE_IPI, sender + CPUS));
	ipi->targets = (uint32_t)bits;
	block_on("interrupts that it has sent", 0);
	engine_at(__builtin_return_address(0), place(PLACE_ACK, sender));
	engine_begin(STEP_IPI_WAIT, all_have_run, ipi);
	block_on(NULL, 0);
	engine_touch(place(PLACE_ACK, sender), TOUCH_AWAIT);
	memory_acquire(place(PLACE_ACK, sender));
}

static bool may_interrupt(void *argument)
{
	struct machine *machine = machine_now;
	unsigned target = (unsigned)((struct check_cpu *)argument - machine->cpu);

	return machine->interrupts[target] && memory_is_drained(target);
}

static unsigned choose_sender(struct machine *machine, unsigned target)
{
	unsigned senders[ENGINE_THREADS], count = 0;

	for (unsigned t = 0; t < machine->threads; t++)
		if (machine->ipi[t].targets >> target & 1)
			senders[count++] = t;
	return senders[engine_choose(count)];
}

void ipi_agent(struct machine *machine, unsigned thread)
{
	unsigned target = thread - machine->first_handler;

	for (;;) {
		engine_at(NULL, place(PLACE_IPI, target));
		engine_begin(STEP_IPI, may_interrupt, &machine->cpu[target]);
		engine_touch(place(PLACE_IPI, target), TOUCH_WRITE);
		engine_interrupt_enter();
		unsigned sender = choose_sender(machine, target);
		engine_touch(sent(sender, target), TOUCH_AWAIT);
		memory_join(target);
		memory_acquire(place(PLACE_IPI, sender + CPUS));
		run_handler(machine, &machine->ipi[sender], target);
		memory_release(place(PLACE_ACK, sender));
		engine_touch(place(PLACE_ACK, sender), TOUCH_SIGNAL);
		machine->ipi[sender].targets &= ~(1u << target);
		machine->interrupts[target]--;
		memory_resume(target);
		engine_interrupt_leave();
	}
}
