/*
 * programs_threads.c - does what a program says, one operation of the port after the other.
 */
#include "programs_threads.h"

#include <quire/port.h>

struct program program;
struct program_state *program_state;

static void run(struct quire_cpu **cpu, unsigned part);

void setup_program(void)
{
	program_state = machine_memory(scene_machine, sizeof(*program_state));
	machine_name(scene_machine, program_state, "state");
}

static void saw(unsigned part, uint64_t value)
{
	program_state->part[part].seen = program_state->part[part].seen * 100 + value;
}

static void interrupted(struct quire_cpu *cpu, void *argument)
{
	unsigned number = 0;

	(void)argument;
	while (*machine_cpu(scene_machine, number) != cpu)
		number++;
	run(&cpu, HANDLER + number);
}

static void interrupt(struct quire_cpu *cpu, unsigned targets)
{
	struct quire_cpu_mask mask = { .bits = { targets } };

	quire_port_ipi(cpu, &mask, interrupted, NULL);
}

static void called_back(struct quire_cpu *cpu, struct quire_rcu *head)
{
	(void)head;
	run(&cpu, CALLBACK);
}

static void call(struct quire_cpu *cpu, unsigned part)
{
	struct quire_rcu *head = &program_state->part[part].head;

	head->done = called_back;
	quire_port_rcu_call(cpu, head);
}

/* Orders stand here one by one: what is only known at run time the compiler takes for the strongest. */
static void access_memory(unsigned part, const struct op *op)
{
	_Atomic uint64_t *atomic = &program_state->atomic[op->place % PROGRAM_PLACES];
	uint64_t *plain = &program_state->plain[op->place % PROGRAM_PLACES];

	switch (op->kind) {
	case OP_READ:
		saw(part, *plain);
		break;
	case OP_WRITE:
		*plain = part + 1;
		break;
	case OP_LOAD:
		saw(part, op->is_ordered ? atomic_load_explicit(atomic, memory_order_acquire)
					 : atomic_load_explicit(atomic, memory_order_relaxed));
		break;
	case OP_STORE:
		if (op->is_ordered)
			atomic_store_explicit(atomic, part + 1, memory_order_release);
		else
			atomic_store_explicit(atomic, part + 1, memory_order_relaxed);
		break;
	case OP_ADD:
		if (op->is_ordered)
			atomic_fetch_add_explicit(atomic, 10, memory_order_acq_rel);
		else
			atomic_fetch_add_explicit(atomic, 10, memory_order_relaxed);
		break;
	case OP_SWAP:
		saw(part, op->is_ordered ? atomic_exchange_explicit(atomic, part + 1, memory_order_acq_rel)
					 : atomic_exchange_explicit(atomic, part + 1, memory_order_relaxed));
		break;
	case OP_FENCE:
		atomic_thread_fence(memory_order_seq_cst);
		break;
	}
}

static void lock_or_unlock(struct quire_cpu **cpu, const struct op *op)
{
	struct quire_spin *spin = &program_state->spin[op->place % PROGRAM_PLACES];

	switch (op->kind) {
	case OP_LOCK:
		quire_spin_lock(*cpu, spin);
		break;
	case OP_UNLOCK:
		quire_spin_unlock(*cpu, spin);
		break;
	case OP_READ_LOCK:
		rwlock_read(cpu, &program_state->rwlock);
		break;
	case OP_READ_UNLOCK:
		rwlock_read_done(*cpu, &program_state->rwlock);
		break;
	case OP_WRITE_LOCK:
		rwlock_write(cpu, &program_state->rwlock);
		break;
	case OP_WRITE_UNLOCK:
		rwlock_write_done(*cpu, &program_state->rwlock);
		break;
	}
}

static void ask_port(struct quire_cpu **cpu, unsigned part, const struct op *op)
{
	_Atomic uint32_t *word = &program_state->word[op->place % PROGRAM_PLACES];

	switch (op->kind) {
	case OP_RCU_LOCK:
		quire_port_rcu_lock(*cpu);
		break;
	case OP_RCU_UNLOCK:
		quire_port_rcu_unlock(*cpu);
		break;
	case OP_CALL:
		call(*cpu, part);
		break;
	case OP_BARRIER:
		quire_port_rcu_barrier(cpu);
		break;
	case OP_WAIT:
		quire_port_wait(cpu, word, 0);
		break;
	case OP_SET:
		if (op->is_ordered)
			atomic_store_explicit(word, 1, memory_order_release);
		else
			atomic_store_explicit(word, 1, memory_order_relaxed);
		break;
	case OP_WAKE:
		quire_port_wake_all(*cpu, word);
		break;
	case OP_IPI:
		interrupt(*cpu, op->place);
		break;
	}
}

static void run(struct quire_cpu **cpu, unsigned part)
{
	for (unsigned i = 0; i < program.ops[part]; i++) {
		const struct op *op = &program.op[part][i];

		if (op->kind <= OP_FENCE)
			access_memory(part, op);
		else if (op->kind <= OP_WRITE_UNLOCK)
			lock_or_unlock(cpu, op);
		else
			ask_port(cpu, part, op);
	}
}

static void col_0(struct quire_cpu **cpu)
{
	run(cpu, COLUMN + 0);
}

static void col_1(struct quire_cpu **cpu)
{
	run(cpu, COLUMN + 1);
}

static void col_2(struct quire_cpu **cpu)
{
	run(cpu, COLUMN + 2);
}

void (*const program_column[PROGRAM_CPUS])(struct quire_cpu **cpu) = { col_0, col_1, col_2 };
