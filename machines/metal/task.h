/*
 * task.h - tasks: what the CPUs run; and processes, which are tasks that share an address space and files.
 */
#ifndef METAL_TASK_H
#define METAL_TASK_H

#include "metal.h"

enum task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DEAD };

#define OPEN_MAX 256
#define SIGNALS 64
#define HELD_LOCKS 8

struct node;
struct open_file;

struct signal_action { /* as the kernel's ABI has it */
	uint64_t handler, flags, restorer, mask;
};

/*
 * Locks:  P  process_lock	F  files_lock	A  atomic
 *         O  its only task's; at exec and exit the last one's
 */
struct process {
	struct process *parent, *next;	  /* P; next: of all processes */
	struct quire_mm *mm;		  /* O */
	struct node *program, *cwd;	  /* O; F */
	struct open_file *open[OPEN_MAX]; /* F */
	uint64_t close_on_exec[OPEN_MAX / 64];
	struct quire_spin files_lock;
	struct signal_action actions[SIGNALS + 1]; /* P */
	int pid, group;
	unsigned tasks;		      /* P: living */
	int status;		      /* P: as wait4() tells it; set by the first exit_group() */
	bool zombie;		      /* P */
	_Atomic bool dying;	      /* A: every task of it ends before it returns to user mode */
	_Atomic uint32_t event;	      /* A: moves when a child changes */
	_Atomic uint32_t *vfork_word; /* P: its parent waits for that; NULL: it does not */
	uint32_t umask;
};

struct task {
	struct task *next;	 /* in a run queue, or in a bucket of waiters */
	struct task *all_next;	 /* of all tasks; process_lock */
	struct process *process; /* NULL: the kernel's own */
	char *stack;
	uint64_t stack_at;	  /* where switch_stacks() left it */
	struct metal_cpu *cpu;	  /* where it runs, or ran last */
	struct metal_cpu *pinned; /* the only one that may run it; NULL: any */
	_Atomic uint32_t on_cpu;  /* 1 until its stack is no longer in use */
	_Atomic uint32_t state;	  /* enum task_state */
	_Atomic(_Atomic uint32_t *) waits_for;
	_Atomic bool woken;	 /* by a waker, not by time or a signal */
	uint64_t deadline;	 /* timers_lock; 0: none */
	struct task *timer_next; /* timers_lock */
	int tid;
	uint64_t fs_base;
	_Atomic uint32_t vfork_done; /* the child has let go of our address space */
	uint64_t clear_tid;	     /* set_tid_address(): zeroed, and its futex woken, at the end */
	_Atomic uint64_t pending;    /* signals, bit n - 1 */
	struct {
		int32_t code, pid;
	} sent[SIGNALS + 1]; /* how, and by whom: process_lock */
	uint64_t blocked, saved_mask;
	bool restore_mask; /* sigsuspend(): saved_mask is the one to go back to */
	uint64_t calls;
	const void *held[HELD_LOCKS]; /* debug builds: locks of the core's that it has */
	char name[16];
	_Alignas(64) char fpu[512];
};

/* ---- sched.c --------------------------------------------------------------------------------------- */

void sched_start(struct metal_cpu *me); /* this flow of control becomes the CPU's idle task */
_Noreturn void sched_idle(void);	/* that task's work, from then on */
void schedule(void);			/* the current task's state is set */
void sched_yield_cpu(void);
void sched_tick(void);
void sched_breathe(void); /* between pieces of long work: interrupts, and others whose turn it is; SLEEPS */
void sched_limit(const char *what); /* the limit counts from now on; what to say when it has passed */
void sched_kick(struct metal_cpu *target);

struct task *task_create(const char *name);
void task_start(struct task *task, void (*run)(void)); /* NULL: returns by the trap frame on its stack */
struct trap_frame *task_frame(struct task *task);
_Noreturn void task_end(void); /* of the current one */
void task_wake(struct task *task);
void task_note_fs_base(uint64_t base);

/*
 * SLEEPS until *word is not @seen, @deadline (time_monotonic(); 0: none) has passed, the task is to end or
 * has a signal, or for no reason at all. True: it was woken.
 */
bool task_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline);
void task_wait_patiently(_Atomic uint32_t *word, uint32_t seen,
			 uint64_t deadline);			     /* whatever signals come */
void task_wait_unless_killed(_Atomic uint32_t *word, uint32_t seen); /* but for the process's end */
bool task_is_killed(void);					     /* the process ends */
bool task_has_signal(void);					     /* that, or a signal to act upon */

/* A lock whose waiters sleep. */
struct mutex {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and waited for */
};

void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

#endif
