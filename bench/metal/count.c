/*
 * count.c - a plugin for QEMU: how often each of the kernel's instructions ran, between which of the
 * program's looks at the clock.
 *
 * ops.c reads the TSC where a measurement begins and where it ends, and each such place is an RDTSC of its
 * own. So the last RDTSC that ran in user mode says what is being measured: a phase. At the end there is a
 * line for each phase and instruction of the upper half:
 *
 *	PHASE ADDRESS COUNT
 *
 * Phases are numbered in the order of their first RDTSC. bench/metal/profile compiles this, and makes
 * functions and lines of it. QEMU's interface is written out here: Debian has no package with its header.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;

extern int qemu_plugin_version;
int qemu_plugin_version = 1;

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*function)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*function)(unsigned cpu, void *data), int registers,
					    void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*function)(uint64_t id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

#define PHASES 32
#define SLOTS (1u << 18)

struct instruction {
	uint64_t address, count[PHASES];
};

static struct instruction *instructions[SLOTS]; /* hashed by address */
static uint64_t begins[PHASES];			/* the RDTSC's address */
static unsigned phases = 1, phase;

static struct instruction *instruction_at(uint64_t address)
{
	unsigned slot = (unsigned)(address * 0x9e3779b97f4a7c15ull >> 46);

	while (instructions[slot] && instructions[slot]->address != address)
		slot = (slot + 1) % SLOTS;
	if (!instructions[slot]) {
		instructions[slot] = calloc(1, sizeof(*instructions[slot]));
		if (!instructions[slot])
			abort();
		instructions[slot]->address = address;
	}
	return instructions[slot];
}

static void ran(unsigned cpu, void *data)
{
	struct instruction *instruction = data;

	(void)cpu;
	instruction->count[phase]++;
}

static void read_clock(unsigned cpu, void *data)
{
	uint64_t address = (uint64_t)(uintptr_t)data;
	unsigned i = 1;

	(void)cpu;
	while (i < phases && begins[i] != address)
		i++;
	if (i == PHASES)
		abort();
	if (i == phases)
		begins[phases++] = address;
	phase = i;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		const unsigned char *code = qemu_plugin_insn_data(insn);

		if (address >> 63)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, ran, 0, instruction_at(address));
		else if (qemu_plugin_insn_size(insn) == 2 && code[0] == 0x0f && code[1] == 0x31)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, read_clock, 0,
							       (void *)(uintptr_t)address);
	}
}

static void write_counts(uint64_t id, void *data)
{
	FILE *file = fopen(data, "w");

	(void)id;
	if (!file)
		abort();
	for (unsigned slot = 0; slot < SLOTS; slot++)
		for (unsigned i = 0; instructions[slot] && i < phases; i++)
			if (instructions[slot]->count[i])
				fprintf(file, "%u %lx %lu\n", i, instructions[slot]->address,
					instructions[slot]->count[i]);
	fclose(file);
}

/* The file to write is in the environment. */
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info, (void)argc, (void)argv;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, write_counts, getenv("QUIRE_COUNTS"));
	return 0;
}
