/*
 * port.c - port.h for the model: what the core asks for is done at once, and its price put on the CPU's
 * clock.
 *
 * Grace periods. A CPU is quiet between two jobs' calls (model_quiescent()), when it sleeps, and when it has
 * no job. A callback runs on the CPU that handed it in, once all have been quiet. What this costs real
 * machines is not counted.
 *
 * Objects come from one heap, and go to the CPU that frees them, whose next one of the size it is.
 */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HERE __builtin_return_address(0)

static struct model_cpu *me_of(const struct quire_cpu *cpu)
{
	return cpu->machine;
}

/* ---- objects ------------------------------------------------------------------------------------------- */

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	struct model_cpu *me = me_of(cpu);
	size_t class = (bytes + MODEL_LINE - 1) / MODEL_LINE;

	if (model_now.self)
		spend(me, MODEL_OBJECT);
	if (class <= MODEL_CLASSES && me->free[class]) {
		void *object = me->free[class];

		memcpy(&me->free[class], object, sizeof(void *));
		return object;
	}
	if ((size_t)(model_now.heap_end - model_now.heap) < class * MODEL_LINE)
		return NULL;
	void *object = model_now.heap;
	model_now.heap += class * MODEL_LINE;
	return object;
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	struct model_cpu *me = me_of(cpu);
	size_t class = (bytes + MODEL_LINE - 1) / MODEL_LINE;

	if (!object || class > MODEL_CLASSES)
		return;
	if (model_now.self) {
		spend(me, MODEL_OBJECT);
		lines_touch(me, (uintptr_t)object, sizeof(void *), true, HERE);
	}
	memcpy(object, &me->free[class], sizeof(void *));
	me->free[class] = object;
}

/* ---- contents ------------------------------------------------------------------------------------------ */

static bool *written(const void *address)
{
	size_t offset = (size_t)((const char *)address - model_now.memory);

	return offset < model_now.memory_bytes ? &model_now.written[offset >> QUIRE_PAGE_SHIFT] : NULL;
}

static void block(const void *address, size_t bytes, bool write, const void *code)
{
	struct model_cpu *me = model_now.self;

	if (!me)
		return;
	lines_block(me, (uintptr_t)address, write, code);
	if (write)
		spend(me, bytes / MODEL_WORD);
}

void quire_port_copy(void *to, const void *from, size_t bytes)
{
	block(from, bytes, false, HERE);
	block(to, bytes, true, HERE);
	memcpy(to, from, bytes);
	if (written(to))
		*written(to) = true;
}

/* The price is paid in any case; the host is spared to clear what is clear. */
void quire_port_zero(void *to, size_t bytes)
{
	bool *dirty = written(to);

	block(to, bytes, true, HERE);
	if (dirty && bytes == QUIRE_PAGE_SIZE && !*dirty)
		return;
	memset(to, 0, bytes);
	if (dirty && bytes == QUIRE_PAGE_SIZE)
		*dirty = false;
}

/* ---- waiting ------------------------------------------------------------------------------------------- */

void quire_port_fence(void)
{
	if (model_now.self)
		model_now.self->clock += model_now.access_cost;
}

void quire_port_relax(struct quire_cpu *cpu)
{
	(void)cpu;
	spend(model_now.self, MODEL_PAUSE);
	take_turn(model_now.self);
}

void quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	struct model_cpu *me = me_of(*cpu);

	lines_touch(me, (uintptr_t)word, sizeof(*word), false, HERE);
	if (atomic_load_explicit(word, memory_order_relaxed) != seen)
		return;
	me->word = word;
	me->quiet = ++model_now.states;
	me->counts.sleeps += model_now.counting;
	turn_sleep(me);
}

/* ---- spin locks ---------------------------------------------------------------------------------------- */

/*
 * Queued, as kernels have them: who finds the lock taken is handed it, in the order of coming, and meanwhile
 * looks at nothing that others write. With port.h's own, all who wait look at one word, each change of which
 * then costs as many transfers.
 */
enum { FREE, HELD, WANTED };

static struct model_cpu *first_for(const struct quire_spin *lock)
{
	struct model_cpu *first = NULL;

	for (unsigned id = 0; id < model_now.config.cpus; id++) {
		struct model_cpu *cpu = model_now.cpu[id];

		if (cpu->spins_for == lock && (!first || cpu->ticket < first->ticket))
			first = cpu;
	}
	return first;
}

bool quire_spin_trylock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	(void)cpu;
	access_memory(&lock->word, sizeof(lock->word), true, HERE);
	if (atomic_load_explicit(&lock->word, memory_order_relaxed) != FREE)
		return false;
	atomic_store_explicit(&lock->word, HELD, memory_order_relaxed);
	return true;
}

void quire_spin_lock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	struct model_cpu *me = me_of(cpu);
	uint64_t began = me->clock;

	access_memory(&lock->word, sizeof(lock->word), true, HERE);
	if (atomic_load_explicit(&lock->word, memory_order_relaxed) == FREE) {
		atomic_store_explicit(&lock->word, HELD, memory_order_relaxed);
		return;
	}
	atomic_store_explicit(&lock->word, WANTED, memory_order_relaxed);
	me->spins_for = lock;
	me->ticket = ++model_now.tickets;
	turn_sleep(me);
	lines_note(me, (uintptr_t)lock, me->clock - began, HERE);
}

void quire_spin_unlock(struct quire_cpu *cpu, struct quire_spin *lock)
{
	struct model_cpu *me = me_of(cpu), *next;

	access_memory(&lock->word, sizeof(lock->word), true, HERE);
	if (atomic_load_explicit(&lock->word, memory_order_relaxed) == HELD) {
		atomic_store_explicit(&lock->word, FREE, memory_order_relaxed);
		return;
	}
	next = first_for(lock);
	next->spins_for = NULL;
	atomic_store_explicit(&lock->word, first_for(lock) ? WANTED : HELD, memory_order_relaxed);
	turn_wake(next, me->clock + model_now.config.costs.transfer);
}

/* ---- sleep --------------------------------------------------------------------------------------------- */

/* The waker pays for a line of the sleeper's CPU; the IPI is under way meanwhile. */
static void wake(struct quire_cpu *cpu, const _Atomic uint32_t *word, unsigned most)
{
	struct model_cpu *me = me_of(cpu);

	for (unsigned i = 1; i < model_now.config.cpus && most; i++) {
		struct model_cpu *other = model_now.cpu[(me->id + i) % model_now.config.cpus];

		if (other->word != word)
			continue;
		other->word = NULL;
		me->clock += model_now.config.costs.transfer;
		turn_wake(other, me->clock + model_now.config.costs.ipi);
		most--;
	}
}

void quire_port_wake_one(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	wake(cpu, word, 1);
}

void quire_port_wake_all(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	wake(cpu, word, QUIRE_MAX_CPUS);
}

/* ---- grace periods ------------------------------------------------------------------------------------- */

void quire_port_rcu_lock(struct quire_cpu *cpu)
{
	if (model_now.self)
		spend(me_of(cpu), MODEL_SECTION);
}

void quire_port_rcu_unlock(struct quire_cpu *cpu)
{
	if (model_now.self)
		spend(me_of(cpu), MODEL_SECTION);
}

void quire_port_rcu_call(struct quire_cpu *cpu, struct quire_rcu *head)
{
	struct model_cpu *me = me_of(cpu);

	head->next = me->fresh;
	me->fresh = head;
}

static bool all_were_quiet_since(uint64_t state)
{
	for (unsigned id = 0; id < model_now.config.cpus; id++) {
		const struct model_cpu *cpu = model_now.cpu[id];

		if (!cpu->idle && !cpu->word && cpu->quiet < state)
			return false;
	}
	return true;
}

static void callbacks_run(struct model_cpu *me)
{
	if (me->waiting && all_were_quiet_since(me->waits_for)) {
		struct quire_rcu *head = me->waiting;

		me->waiting = NULL;
		while (head) {
			struct quire_rcu *next = head->next; /* done() may free it */

			head->done(me->cpu, head);
			head = next;
		}
	}
	if (!me->waiting && me->fresh) {
		me->waiting = me->fresh;
		me->fresh = NULL;
		me->waits_for = ++model_now.states;
	}
}

void model_quiescent(struct quire_cpu *cpu)
{
	struct model_cpu *me = me_of(cpu);

	me->quiet = ++model_now.states;
	callbacks_run(me);
}

/* For tearing down, which the model does not. */
void quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	(void)cpu;
	fprintf(stderr, "quire-model: there is no waiting for grace periods here\n");
	abort();
}

/* ---- other CPUs ---------------------------------------------------------------------------------------- */

static void send(struct model_cpu *me, struct model_cpu *target)
{
	uint64_t at;

	me->clock += model_now.config.costs.transfer;
	at = me->clock + model_now.config.costs.ipi / 2;
	target->mail[(target->mail_first + target->mail_count) % QUIRE_MAX_CPUS] = (struct mail){ me, at };
	target->mail_count++;
	me->pending++;
	me->counts.ipis += model_now.counting;
	turn_mail(target, at);
}

void quire_port_ipi(struct quire_cpu *cpu, const struct quire_cpu_mask *targets,
		    void (*handler)(struct quire_cpu *cpu, void *argument), void *argument)
{
	struct model_cpu *me = me_of(cpu);

	take_turn(me);
	me->handler = handler;
	me->argument = argument;
	for (unsigned id = 0; id < model_now.config.cpus; id++)
		if (atomic_load_explicit(&targets->bits[id / 64], memory_order_relaxed) >> id % 64 & 1)
			send(me, model_now.cpu[id]);
	if (me->pending)
		turn_sleep(me);
}

void serve(struct model_cpu *me)
{
	struct model_cpu *from = me->mail[me->mail_first].from;

	me->mail_first = (me->mail_first + 1) % QUIRE_MAX_CPUS;
	me->mail_count--;
	me->clock += model_now.config.costs.ipi / 2;
	me->in_handler = true;
	from->handler(me->cpu, from->argument);
	me->in_handler = false;
	if (--from->pending == 0)
		turn_wake(from, me->clock + model_now.config.costs.transfer);
}

/* ---- the CPU's own MMU --------------------------------------------------------------------------------- */

void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	(void)root;
	(void)asid;
	if (model_now.self)
		spend(me_of(cpu), MODEL_FLUSH);
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	(void)asid;
	if (model_now.self)
		spend(me_of(cpu), MODEL_FLUSH * ((end - start) >> QUIRE_PAGE_SHIFT));
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	(void)asid;
	if (model_now.self)
		spend(me_of(cpu), MODEL_FLUSH);
}

_Noreturn void quire_port_panic(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}
