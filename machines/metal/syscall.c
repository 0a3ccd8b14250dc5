/*
 * syscall.c - the table of calls, with Linux's numbers, and those that are not done, counted.
 *
 * A call takes its arguments as an array. Calls on memory are in calls_mm.c, on files in calls_path.c and
 * calls_fd.c, the rest in calls_task.c.
 */
#include "calls.h"

#define CALLS 512

static call_function *const table[CALLS] = {
#define CALL(number, name) [number] = call_##name,
#include "calls.def"
#undef CALL
};

static _Atomic uint32_t unknown[CALLS + 1]; /* the last: of all larger numbers */

void system_call(struct trap_frame *frame);
void system_call(struct trap_frame *frame)
{
	uint64_t arguments[6] = { frame->rdi, frame->rsi, frame->rdx, frame->r10, frame->r8, frame->r9 };
	uint64_t number = frame->rax;

	frame->error = number; /* a restarted call needs it again */
	current()->calls++;
	if (number < CALLS && table[number]) {
		frame->rax = (uint64_t)table[number](arguments);
	} else {
		atomic_fetch_add_explicit(&unknown[number < CALLS ? number : CALLS], 1, memory_order_relaxed);
		frame->rax = (uint64_t)-ERROR_NOSYS;
	}
	user_return(frame);
}

void syscalls_report(void)
{
	for (unsigned number = 0; number <= CALLS; number++)
		if (unknown[number])
			report("unknown %u %u\n", number, unknown[number]);
}

int64_t copy_in_string(char *to, quire_vaddr from, size_t room)
{
	for (size_t done = 0; done < room;) {
		struct quire_cpu *cpu = here();
		size_t part = QUIRE_PAGE_SIZE - (from + done) % QUIRE_PAGE_SIZE;

		if (part > room - done)
			part = room - done;
		size_t got = quire_copy_from(&cpu, current()->process->mm, to + done, from + done, part);
		for (size_t i = done; i < done + got; i++)
			if (!to[i])
				return (int64_t)i;
		if (got < part)
			return -QUIRE_EFAULT;
		done += part;
	}
	return -ERROR_NAMETOOLONG;
}
