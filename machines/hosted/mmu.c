/*
 * mmu.c - what a CPU's MMU does: the port's side, and the program's accesses.
 *
 * An access is one translation and the access itself, with no poll point between: whoever flushes an
 * address and waits for this CPU's answer knows that no access is still under way with the old
 * translation. IPIs are served before.
 *
 * The bytes are moved in aligned pieces of up to 8 by relaxed atomics, so the program's races tear no more
 * than on hardware, and are races of the program and not of this one.
 *
 * Order:   accesses sleep; the port's functions run anywhere.
 * Errors:  those of quire_fault(). An access that faults for ever with nothing changing is a panic.
 * Rules:   BASE-2, BASE-3.
 */
#include "machine.h"

#include <string.h>

#define SAME_FAULTS 10000 /* one access, the same fault, the same entry: nobody can be at work on it */
#define GIVE_WAY_EVERY 32 /* accesses */

void quire_port_load_root(struct quire_cpu *cpu, quire_pfn root, unsigned asid)
{
	softmmu_load_root(&hosted_cpu_of(cpu)->mmu, root, asid);
}

void quire_port_tlb_flush_range(struct quire_cpu *cpu, unsigned asid, quire_vaddr start, quire_vaddr end)
{
	softmmu_flush_range(&hosted_cpu_of(cpu)->mmu, asid, start, end);
}

void quire_port_tlb_flush_asid(struct quire_cpu *cpu, unsigned asid)
{
	softmmu_flush_asid(&hosted_cpu_of(cpu)->mmu, asid);
}

/* ---- moving bytes ------------------------------------------------------------------------------- */

/* The largest aligned piece at @at that @bytes leave room for. */
static size_t piece_at(const void *at, size_t bytes)
{
	size_t piece = 8;

	while (piece > bytes || ((uintptr_t)at & (piece - 1)))
		piece /= 2;
	return piece;
}

#define LOAD(type, at) atomic_load_explicit((const _Atomic type *)(at), memory_order_relaxed)
#define STORE(type, at, value) atomic_store_explicit((_Atomic type *)(at), (value), memory_order_relaxed)

static void load_bytes(char *to, const char *from, size_t bytes)
{
	while (bytes) {
		size_t piece = piece_at(from, bytes);
		const void *at = from;
		uint64_t value = piece == 8   ? LOAD(uint64_t, at)
				 : piece == 4 ? LOAD(uint32_t, at)
				 : piece == 2 ? LOAD(uint16_t, at)
					      : LOAD(uint8_t, at);

		memcpy(to, &value, piece); /* little-endian: the low bytes come first */
		from += piece;
		to += piece;
		bytes -= piece;
	}
}

static void store_bytes(char *to, const char *from, size_t bytes)
{
	while (bytes) {
		size_t piece = piece_at(to, bytes);
		void *at = to;
		uint64_t value = 0;

		memcpy(&value, from, piece);
		if (piece == 8)
			STORE(uint64_t, at, value);
		else if (piece == 4)
			STORE(uint32_t, at, (uint32_t)value);
		else if (piece == 2)
			STORE(uint16_t, at, (uint16_t)value);
		else
			STORE(uint8_t, at, (uint8_t)value);
		from += piece;
		to += piece;
		bytes -= piece;
	}
}

/* ---- accesses ----------------------------------------------------------------------------------- */

/* Somebody waits for a CPU that the host does not run: step aside now and then. */
static void poll_access(struct hosted_cpu *me)
{
	cpu_poll(me);
	if (atomic_load_explicit(&me->mmu.counts.translations, memory_order_relaxed) % GIVE_WAY_EVERY == 0)
		cpu_give_way(me);
}

struct repeats {
	struct softmmu_fault last;
	unsigned same;
};

static void check_repeats(struct repeats *repeats, const struct softmmu_fault *fault)
{
	bool same = fault->error == repeats->last.error && fault->level == repeats->last.level &&
		    fault->entry == repeats->last.entry;

	repeats->same = same ? repeats->same + 1 : 0;
	repeats->last = *fault;
	if (repeats->same >= SAME_FAULTS)
		quire_port_panic(__FILE__, __LINE__,
				 "an access gets on: the fault handler says so, but nothing changes");
	if (fault->error & X86_PF_RSVD)
		quire_port_panic(__FILE__, __LINE__,
				 "page tables have no reserved bit set and lead into memory");
}

/* Find the byte at @va, faulting it in. On success nothing is polled until the caller has made its access. */
static int reach(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr va, unsigned access, char **out,
		 struct quire_fault *fault)
{
	struct repeats repeats = { .same = 0 };

	for (;;) {
		struct hosted_cpu *me = hosted_cpu_of(*cpu);
		struct softmmu_fault what;

		poll_access(me);
		softmmu_speculate(&me->mmu);
		*out = softmmu_translate(&me->mmu, va, access, &what);
		if (*out)
			return 0;
		check_repeats(&repeats, &what);
		int err = quire_fault(cpu, mm, va, access, fault);
		if (err)
			return err;
	}
}

/* How many of @bytes at @va lie in its page. */
static size_t in_page(quire_vaddr va, size_t bytes)
{
	size_t rest = QUIRE_PAGE_SIZE - (va & (QUIRE_PAGE_SIZE - 1));

	return bytes < rest ? bytes : rest;
}

static int read_as(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		   unsigned access, struct quire_fault *fault)
{
	for (char *into = to; bytes;) {
		size_t part = in_page(from, bytes);
		char *at;
		int err = reach(cpu, mm, from, access, &at, fault);

		if (err)
			return err;
		load_bytes(into, at, part);
		from += part;
		into += part;
		bytes -= part;
	}
	return 0;
}

int hosted_load(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		struct quire_fault *fault)
{
	return read_as(cpu, mm, from, to, bytes, QUIRE_ACCESS_READ, fault);
}

int hosted_fetch(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		 struct quire_fault *fault)
{
	return read_as(cpu, mm, from, to, bytes, QUIRE_ACCESS_EXEC, fault);
}

int hosted_store(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from, size_t bytes,
		 struct quire_fault *fault)
{
	for (const char *out = from; bytes;) {
		size_t part = in_page(to, bytes);
		char *at;
		int err = reach(cpu, mm, to, QUIRE_ACCESS_WRITE, &at, fault);

		if (err)
			return err;
		store_bytes(at, out, part);
		to += part;
		out += part;
		bytes -= part;
	}
	return 0;
}
