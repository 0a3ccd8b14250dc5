/*
 * solo_port.c - the port of solo.h.
 */
#include "solo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct solo solo = { .fail_after = UINT64_MAX };

void solo_reset(void)
{
	solo = (struct solo){ .fail_after = UINT64_MAX };
}

uint64_t solo_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	(void)cpu;
	if (solo.fail_after != UINT64_MAX && solo.fail_after-- == 0)
		return NULL; /* and fail_after is UINT64_MAX now */

	size_t whole = (bytes + 63) / 64 * 64;
	void *object = aligned_alloc(64, whole);
	if (!object)
		return NULL;
	memset(object, 0xa5, whole);
	solo.objects++;
	return object;
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	(void)cpu;
	memset(object, 0x5a, bytes);
	solo.objects--;
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

static void let_the_other_side_run(const char *who)
{
	if (!solo.on_wait) {
		fprintf(stderr, "%s: waits, and there is nobody else\n", who);
		abort();
	}
	solo.on_wait(solo.argument);
}

void quire_port_relax(struct quire_cpu *cpu)
{
	(void)cpu;
	let_the_other_side_run(__func__);
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	(void)cpu;
	solo.waits++;
	if (atomic_load_explicit(word, memory_order_relaxed) == seen)
		let_the_other_side_run(__func__);
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	(void)word;
	solo.wakes++;
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	(void)cpu;
	(void)word;
	solo.wakes++;
}

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
	head->next = solo.callbacks;
	solo.callbacks = head;
}

unsigned solo_run_rcu(struct quire_cpu *cpu)
{
	unsigned ran = 0;

	while (solo.callbacks) {
		struct quire_rcu *head = solo.callbacks;

		solo.callbacks = head->next;
		head->done(cpu, head);
		ran++;
	}
	return ran;
}

void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	solo_run_rcu(*cpu);
}

/* Other CPUs execute nothing: their handlers are run for them. */
void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	for (unsigned id = 0; id < QUIRE_MAX_CPUS; id++) {
		uint64_t bits = atomic_load_explicit(&targets->bits[id / 64], memory_order_relaxed);

		if (bits >> (id % 64) & 1)
			handler(atomic_load_explicit(&cpu->quire->cpus[id], memory_order_relaxed), argument);
	}
}

void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	(void)cpu;
	(void)root;
	(void)asid;
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	(void)cpu;
	(void)asid;
	(void)start;
	(void)end;
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	(void)cpu;
	(void)asid;
}

void quire_port_panic(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: %s does not hold\n", file, line, condition);
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
void quire_port_fence(void)
{
}
#endif
