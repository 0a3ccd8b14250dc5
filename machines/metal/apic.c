/*
 * apic.c - the CPUs there are, how they are started, and interrupts between them.
 *
 * ACPI's MADT lists the local APICs. Without one there is a single CPU. The others are started one after the
 * other, by INIT and STARTUP, on AP_PAGE (boot.S), with the stack and the struct that the boot CPU has laid
 * out.
 */
#include "task.h"
#include "x86.h"

#define APIC_ID 0x20
#define APIC_END 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_COMMAND 0x300
#define APIC_COMMAND_TARGET 0x310
#define APIC_TIMER 0x320
#define APIC_TIMER_START 0x380
#define APIC_TIMER_DIVIDE 0x3e0

#define COMMAND_NMI 0x400u
#define COMMAND_INIT 0x4500u
#define COMMAND_STARTUP 0x4600u
#define COMMAND_PENDING 0x1000u
#define COMMAND_TO_OTHERS 0xc0000u

#define TIMER_PERIODIC 0x20000u
#define DIVIDE_BY_16 3

struct acpi_table {
	char signature[4];
	uint32_t bytes;
	uint8_t revision, checksum;
	char maker[6], name[8];
	uint32_t versions[3];
};

static volatile uint32_t *apic;
static uint32_t io_apic; /* physical; 0: there is none */

static volatile uint32_t *reg(unsigned at)
{
	return apic + at / 4;
}

unsigned apic_here(void)
{
	return *reg(APIC_ID) >> 24;
}

/* ---- finding --------------------------------------------------------------------------------------- */

static void add_cpu(unsigned apic_id)
{
	struct metal_cpu *boot = metal_cpus[0], *cpu;

	if (apic_id == boot->apic_id || metal_cpu_count == MAX_CPUS)
		return;
	cpu = kernel_alloc(sizeof(*cpu));
	if (!cpu || quire_cpu_create(boot->cpu, metal_quire, metal_cpu_count, cpu, &cpu->cpu))
		kernel_panic("there is no memory for another CPU");
	cpu->id = metal_cpu_count;
	cpu->apic_id = apic_id;
	cpu->queue.last = &cpu->queue.first;
	metal_cpus[metal_cpu_count++] = cpu;
}

static void read_madt(const struct acpi_table *madt)
{
	const uint8_t *at = (const uint8_t *)(madt + 1) + 8, *end = (const uint8_t *)madt + madt->bytes;

	for (; at + 2 <= end && at[1] >= 2; at += at[1])
		if (at[0] == 0 && at[1] >= 8 && (at[4] & 1)) /* a local APIC, enabled */
			add_cpu(at[3]);
		else if (at[0] == 1 && at[1] >= 12)
			memcpy(&io_apic, at + 4, 4);
}

static const struct acpi_table *table_at(uint64_t physical)
{
	return physical && physical < DIRECT_END - sizeof(struct acpi_table) ? direct(physical) : NULL;
}

void apic_find(void)
{
	const uint8_t *rsdp = boot_info.rsdp ? direct(boot_info.rsdp) : NULL;
	uint64_t root = 0;
	unsigned step = 4;

	out8(0x21, 0xff); /* the old interrupt controllers are not used, and say nothing */
	out8(0xa1, 0xff);
	apic = direct(read_msr(MSR_APIC_BASE) & QUIRE_PAGE_MASK);
	metal_cpus[0]->apic_id = apic_here();
	if (!rsdp || memcmp(rsdp, "RSD PTR ", 8) != 0)
		return;
	if (rsdp[15] >= 2) {
		memcpy(&root, rsdp + 24, 8);
		step = 8;
	}
	if (!root) {
		memcpy(&root, rsdp + 16, 4);
		step = 4;
	}
	const struct acpi_table *list = table_at(root);
	if (!list)
		return;
	for (uint32_t at = sizeof(*list); at + step <= list->bytes; at += step) {
		uint64_t address = 0;

		memcpy(&address, (const char *)list + at, step);
		const struct acpi_table *table = table_at(address);
		if (table && memcmp(table->signature, "APIC", 4) == 0)
			read_madt(table);
	}
}

/* ---- this CPU's ------------------------------------------------------------------------------------ */

void apic_start(void)
{
	*reg(APIC_SPURIOUS) = 0x100 | VECTOR_SPURIOUS;
	*reg(APIC_TIMER_DIVIDE) = DIVIDE_BY_16;
	*reg(APIC_TIMER) = TIMER_PERIODIC | VECTOR_TICK;
	*reg(APIC_TIMER_START) = time_timer_count();
}

void apic_route(unsigned line, unsigned vector)
{
	volatile uint32_t *io = direct(io_apic);

	if (!io_apic)
		return;
	io[0] = 0x11 + 2 * line;
	io[4] = metal_cpus[0]->apic_id << 24;
	io[0] = 0x10 + 2 * line;
	io[4] = vector;
}

void apic_end(void)
{
	*reg(APIC_END) = 0;
}

static void command(unsigned apic_id, uint32_t what)
{
	*reg(APIC_COMMAND_TARGET) = apic_id << 24;
	*reg(APIC_COMMAND) = what;
	while (*reg(APIC_COMMAND) & COMMAND_PENDING)
		pause_cpu();
}

void apic_send(const struct metal_cpu *target, unsigned vector)
{
	command(target->apic_id, vector);
}

void apic_send_nmi_to_others(void)
{
	if (apic && metal_cpu_count > 1)
		command(0, COMMAND_TO_OTHERS | COMMAND_NMI);
}

/* ---- the others ------------------------------------------------------------------------------------ */

extern char ap_begin[], ap_end[];

uint64_t ap_stack; /* boot.S */
static struct metal_cpu *starting;

void metal_ap_main(void);
void metal_ap_main(void)
{
	struct metal_cpu *me = starting;

	cpu_start_traps(me);
	sched_start(me);
	rcu_start(me);
	apic_start();
	/* Release pairs with the acquire in start_other(). */
	atomic_store_explicit(&me->online, true, memory_order_release);
	sched_idle();
}

static void wait_ms(unsigned ms)
{
	uint64_t end = time_monotonic() + ms * 1000000ull;

	while (time_monotonic() < end)
		pause_cpu();
}

static bool start_other(struct metal_cpu *cpu)
{
	char *stack = kernel_alloc(STACK_BYTES);

	if (!stack)
		return false;
	ap_stack = (uint64_t)stack + STACK_BYTES;
	starting = cpu;
	command(cpu->apic_id, COMMAND_INIT);
	wait_ms(1);
	command(cpu->apic_id, COMMAND_STARTUP | AP_PAGE >> 12);
	for (unsigned ms = 0; ms < 5000; ms++) {
		if (atomic_load_explicit(&cpu->online, memory_order_acquire))
			return true;
		wait_ms(1);
	}
	return false;
}

void apic_start_others(void)
{
	memcpy(direct(AP_PAGE), ap_begin, (size_t)(ap_end - ap_begin));
	for (unsigned id = 1; id < metal_cpu_count; id++)
		if (!start_other(metal_cpus[id]))
			kernel_panic("a CPU does not start");
}
