/*
 * user.h - a program's memory, as the kernel reaches it: through the core's copies, which check and fault.
 */
#ifndef METAL_USER_H
#define METAL_USER_H

#include "task.h"

/* 0 or -EFAULT; all or nothing as far as the result tells. SLEEP. */
static inline int copy_in(void *to, quire_vaddr from, size_t bytes)
{
	struct quire_cpu *cpu = here();

	return quire_copy_from(&cpu, current()->process->mm, to, from, bytes) == bytes ? 0 : -QUIRE_EFAULT;
}

static inline int copy_out(quire_vaddr to, const void *from, size_t bytes)
{
	struct quire_cpu *cpu = here();

	return quire_copy_to(&cpu, current()->process->mm, to, from, bytes) == bytes ? 0 : -QUIRE_EFAULT;
}

/* A string with its end; its length, -ENAMETOOLONG or -EFAULT. */
int64_t copy_in_string(char *to, quire_vaddr from, size_t room);

/* ---- futex.c --------------------------------------------------------------------------------------- */

int64_t futex_call(quire_vaddr at, unsigned operation, uint32_t value, quire_vaddr timeout, quire_vaddr other,
		   uint32_t value3);
void futex_wake_at(struct quire_mm *mm, quire_vaddr at, unsigned most);

/* ---- process.c, signal.c: what the table of calls names -------------------------------------------- */

struct clone {
	uint64_t flags;
	quire_vaddr stack, parent_tid, child_tid, tls;
};

int64_t process_clone(const struct clone *clone, const struct trap_frame *frame);
int64_t process_wait(int64_t pid, quire_vaddr status, unsigned options, quire_vaddr usage);
int64_t process_kill(int64_t pid, int64_t tid, unsigned signal);
int64_t process_exec(quire_vaddr path, quire_vaddr arguments, quire_vaddr environment,
		     struct trap_frame *frame);
int64_t process_group_of(int64_t pid);
int64_t process_set_group(int64_t pid, int64_t group);
int64_t signal_return(struct trap_frame *frame);
int64_t signal_action(unsigned signal, quire_vaddr new, quire_vaddr old);
int64_t signal_mask(unsigned how, quire_vaddr new, quire_vaddr old);
int64_t signal_pause(void);
int64_t signal_suspend(quire_vaddr mask);

#endif
