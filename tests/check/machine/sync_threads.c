/*
 * sync_threads.c - core/base/sync.c under other names (machines/check/rwlock.c has its own), and who uses it.
 *
 * Who is inside counts itself in and out of a plain word, which is a race if the lock does not order it, and
 * looks whether he is alone.
 */
#include "sync_threads.h"

#include <quire/port.h>

enum sync_fault sync_fault;

static void wake_all_or_not(struct quire_cpu *cpu, _Atomic uint32_t *word);
static void wait_or_blindly(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen);

#define rwlock sync_rwlock
#define rwlock_read sync_read
#define rwlock_try_read sync_try_read
#define rwlock_read_done sync_read_done
#define rwlock_write sync_write
#define rwlock_try_write sync_try_write
#define rwlock_write_done sync_write_done
#define rwlock_found sync_found
#define rwlock_init_write sync_init_write
#define rwlock_is_write_held sync_is_write_held
#define quire_port_wait wait_or_blindly
#define quire_port_wake_all wake_all_or_not
#include "../../../core/base/sync.c"
#undef quire_port_wait
#undef quire_port_wake_all

static struct guarded {
	struct rwlock lock;
	_Alignas(64) uint64_t value;
	_Alignas(64) _Atomic uint32_t readers, writers;
} * guarded;

static void wake_all_or_not(struct quire_cpu *cpu, _Atomic uint32_t *word)
{
	if (sync_fault != SYNC_NEVER_WAKES)
		quire_port_wake_all(cpu, word);
}

static void wait_or_blindly(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	if (sync_fault == SYNC_SLEEPS_BLIND)
		seen = atomic_load_explicit(word, memory_order_relaxed);
	quire_port_wait(cpu, word, seen);
}

void setup_sync(void)
{
	guarded = machine_memory(scene_machine, sizeof(*guarded));
	machine_name(scene_machine, guarded, "guarded");
}

static void inside(bool writes)
{
	uint32_t readers = atomic_load_explicit(&guarded->readers, memory_order_relaxed);
	uint32_t writers = atomic_load_explicit(&guarded->writers, memory_order_relaxed);

	if (writers || (writes && readers))
		quire_port_panic(__FILE__, __LINE__, "whoever writes is alone");
}

static void read_guarded(void)
{
	atomic_fetch_add_explicit(&guarded->readers, 1, memory_order_relaxed);
	inside(false);
	scene_find((unsigned)guarded->value);
	atomic_fetch_sub_explicit(&guarded->readers, 1, memory_order_relaxed);
}

static void write_guarded(void)
{
	inside(true);
	atomic_store_explicit(&guarded->writers, 1, memory_order_relaxed);
	guarded->value++;
	atomic_store_explicit(&guarded->writers, 0, memory_order_relaxed);
}

void col_reader(struct quire_cpu **cpu)
{
	sync_read(cpu, &guarded->lock);
	read_guarded();
	sync_read_done(*cpu, &guarded->lock);
}

void col_writer(struct quire_cpu **cpu)
{
	sync_write(cpu, &guarded->lock);
	write_guarded();
	sync_write_done(*cpu, &guarded->lock);
}

void col_two_writes(struct quire_cpu **cpu)
{
	col_writer(cpu);
	col_writer(cpu);
}

void col_try_reader(struct quire_cpu **cpu)
{
	if (!sync_try_read(&guarded->lock))
		return;
	read_guarded();
	sync_read_done(*cpu, &guarded->lock);
}

void col_try_writer(struct quire_cpu **cpu)
{
	if (!sync_try_write(&guarded->lock))
		return;
	write_guarded();
	sync_write_done(*cpu, &guarded->lock);
}
