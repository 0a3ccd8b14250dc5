/*
 * process.h - processes: their life, their signals, their programs.
 */
#ifndef METAL_PROCESS_H
#define METAL_PROCESS_H

#include "task.h"

enum {
	SIGNAL_HUP = 1,
	SIGNAL_ILL = 4,
	SIGNAL_TRAP = 5,
	SIGNAL_ABRT = 6,
	SIGNAL_BUS = 7,
	SIGNAL_FPE = 8,
	SIGNAL_KILL = 9,
	SIGNAL_SEGV = 11,
	SIGNAL_PIPE = 13,
	SIGNAL_CHLD = 17,
	SIGNAL_CONT = 18,
	SIGNAL_STOP = 19,
	SIGNAL_URG = 23,
	SIGNAL_WINCH = 28,
};

extern struct quire_spin process_lock;

/* ---- process.c ------------------------------------------------------------------------------------- */

void process_start_first(void);
_Noreturn void process_exit(int status); /* the whole process; status as wait4() tells it */
_Noreturn void task_exit(void);		 /* this task; the process with the last one */
void process_out_of_memory(void);	 /* ends the program, and only that */
void process_let_go_of_mm(struct process *process);
void processes_print(void);
void process_end_by(int signal); /* the current one, by a signal; goes on until it returns to user mode */
void process_begin_end(struct process *process, int status); /* under process_lock */

/* What is to be done before a program goes on: its end, signals, another task's turn. */
void user_return(struct trap_frame *frame);

/* ---- signal.c -------------------------------------------------------------------------------------- */

void signal_fault(struct trap_frame *frame, int signal, int code, quire_vaddr at);
void signal_deliver(struct trap_frame *frame);
enum { SENT_BY_KERNEL = 0x80, SENT_BY_KILL = 0, SENT_BY_TKILL = -6 }; /* si_code */
void signal_send(struct task *task, int signal, int code);	      /* under process_lock */

/* ---- exec.c ---------------------------------------------------------------------------------------- */

struct strings { /* argv or envp, in kernel memory: one after the other, each with its end */
	char *at;
	size_t bytes;
	unsigned count;
};

/*
 * Load @path into a new address space of the current process, and its start into @frame. What there was
 * before goes only when nothing can fail any more. Takes the strings' content, not the strings.
 */
int exec_load(const char *path, const struct strings *arguments, const struct strings *environment,
	      struct trap_frame *frame);

/* ---- syscall.c ------------------------------------------------------------------------------------- */

void syscalls_report(void);

#endif
