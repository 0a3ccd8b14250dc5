/*
 * main.c - the order in which the machine begins, and how it ends.
 *
 * Power-off: the status goes out by the report, for its number may be too large for the debug-exit device,
 * which ends QEMU then. Without one, the keyboard controller resets the machine, and QEMU ends by
 * -no-reboot.
 */
#include "process.h"
#include "fs.h"
#include "x86.h"

#define DEBUG_EXIT_PORT 0xf4
#define KEYBOARD_PORT 0x64
#define KEYBOARD_RESET 0xfe

void power_off(int status)
{
	syscalls_report();
	if (status >= 0)
		report("exit %d\n", status);
	out32(DEBUG_EXIT_PORT, status >= 0 ? 0 : 1);
	out8(KEYBOARD_PORT, KEYBOARD_RESET);
	for (;;)
		halt();
}

/* The kernel for tests has its own (tests/metal/begin.c). */
__attribute__((weak)) void kernel_begin(void)
{
	tree_start();
	process_start_first();
}

_Noreturn void metal_main(uint32_t start_info);
void metal_main(uint32_t start_info)
{
	console_start();
	report("started\n"); /* what is sent before would be lost */
	memory_start(start_info);
	struct metal_cpu *boot = metal_cpus[0];
	sched_start(boot);
	rcu_start(boot);
	atomic_store_explicit(&boot->online, true, memory_order_release);
	(void)memory_reserve();
	apic_find();
	kernel_heap_share();
	time_start();
	apic_start();
	apic_start_others();
	console_listen();
	if (boot_option("terminal"))
		console_typed_by_hand();
	kernel_begin();
	sched_idle();
}
