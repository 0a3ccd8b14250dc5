/*
 * hello_port.c - the smallest port: one CPU, no MMU, no interrupts. docs/porting.md goes through it.
 *
 * It is enough to run address spaces whose memory is reached through quire_copy_to() and quire_copy_from(),
 * as an emulator might that translates in software. What a second CPU or a real MMU adds is said at each
 * function.
 */
#include "hello_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/port.h>

/* Small objects. A kernel has a slab allocator for this. */
void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	(void)cpu;
	return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	(void)cpu, (void)bytes;
	free(object);
}

void quire_port_copy(void *to, const void *from, size_t bytes)
{
	memcpy(to, from, bytes);
}

void quire_port_zero(void *to, size_t bytes)
{
	memset(to, 0, bytes);
}

/*
 * Waiting. With one CPU that never switches between tasks nobody else can hold a lock, so nobody ever waits.
 * With more, relax serves the IPIs that came in, and wait and wake are a futex or a wait queue.
 */
void quire_port_relax(struct quire_cpu *cpu)
{
	(void)cpu;
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	(void)cpu, (void)word, (void)seen;
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu, (void)word;
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu, (void)word;
}

/*
 * RCU. The one reader that could still look is the caller itself, and it may be in the middle of something:
 * callbacks wait until it is not. hello_port_rest() is that moment.
 */
static struct quire_rcu *waiting;

void quire_port_rcu_lock(struct quire_cpu *cpu)
{
	(void)cpu;
}

void quire_port_rcu_unlock(struct quire_cpu *cpu)
{
	(void)cpu;
}

void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head)
{
	(void)cpu;
	head->next = waiting;
	waiting = head;
}

void hello_port_rest(struct quire_cpu *cpu)
{
	while (waiting) {
		struct quire_rcu *head = waiting;
		waiting = head->next;
		head->done(cpu, head);
	}
}

void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	hello_port_rest(*cpu);
}

/* Other CPUs: there are none. */
void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	(void)cpu, (void)targets, (void)handler, (void)argument;
}

/* The MMU: none either. With one, these write CR3 and run INVLPG or INVPCID. */
void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	(void)cpu, (void)root, (void)asid;
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	(void)cpu, (void)asid, (void)start, (void)end;
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	(void)cpu, (void)asid;
}

/* Only debug builds of the library call these three. */
_Noreturn void quire_port_panic(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, condition);
	abort();
}

void quire_port_lock_note(const void *lock, enum quire_lock_note note)
{
	(void)lock;
	(void)note;
}

bool quire_port_is_here(struct quire_cpu *cpu)
{
	(void)cpu;
	return true;
}

#ifdef QUIRE_PORT_OWN_FENCE
/* Builds under ThreadSanitizer ask for a fence that it can follow. */
void quire_port_fence(void)
{
	static _Atomic uint32_t word;
	atomic_fetch_add_explicit(&word, 1, memory_order_seq_cst);
}
#endif
