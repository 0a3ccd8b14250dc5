/*
 * land_mmu.c - what the hosted machine's hardware sees; see land.h. (tests/metal/machine.c has a real one.)
 */
#include "land.h"

#include "../../machines/hosted/machine.h"

uint64_t land_load(struct quire_cpu *cpu, quire_vaddr va)
{
	struct softmmu_fault fault;
	_Atomic uint64_t *word = softmmu_translate(&hosted_cpu_of(cpu)->mmu, va, QUIRE_ACCESS_READ, &fault);

	return word ? atomic_load_explicit(word, memory_order_relaxed) : 0;
}

bool land_store(struct quire_cpu *cpu, quire_vaddr va, uint64_t value)
{
	struct softmmu_fault fault;
	_Atomic uint64_t *word = softmmu_translate(&hosted_cpu_of(cpu)->mmu, va, QUIRE_ACCESS_WRITE, &fault);

	if (word)
		atomic_store_explicit(word, value, memory_order_relaxed);
	return word != NULL;
}
