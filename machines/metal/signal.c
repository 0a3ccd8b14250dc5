/*
 * signal.c - signals: the default is the end of the program, or nothing; a handler runs on the program's
 * stack.
 *
 * The frame that a handler finds, and rt_sigreturn() takes back, is Linux's. What comes back is the
 * program's to have changed: only what a program may have in its registers is taken from it.
 *
 * A fault that nobody handles ends the program with a report: where, what was accessed, and why not.
 *
 * Left out: stopping, queues of signals, other stacks (sigaltstack).
 */
#include "process.h"
#include "user.h"
#include "x86.h"

enum { ACTION_SIGINFO = 4, ACTION_RESTORER = 0x04000000, ACTION_RESTART = 0x10000000 };
enum { ACTION_NODEFER = 0x40000000 };
#define ACTION_RESET 0x80000000u

enum { HANDLER_DEFAULT = 0, HANDLER_IGNORE = 1 };

/* Linux's struct rt_sigframe. */
struct signal_frame {
	uint64_t return_to;
	/* struct ucontext */
	uint64_t flags, link, stack[3];
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2, fpu, reserved[8];
	uint64_t mask;
	/* siginfo_t */
	int32_t signal, number, code, pad;
	uint64_t address, rest[13];
};

static uint64_t bit(int signal)
{
	return 1ull << (signal - 1);
}

static bool is_ignored_by_default(int signal)
{
	return signal == SIGNAL_CHLD || signal == SIGNAL_CONT || signal == SIGNAL_URG ||
	       signal == SIGNAL_WINCH ||
	       (signal >= 20 && signal <= 22); /* TSTP, TTIN, TTOU: nobody stops here */
}

void signal_send(struct task *task, int signal, int code)
{
	struct process *process = task->process;
	uint64_t handler = process->actions[signal].handler;

	if (signal == SIGNAL_KILL || signal == SIGNAL_STOP)
		handler = HANDLER_DEFAULT;
	if (handler == HANDLER_IGNORE || (handler == HANDLER_DEFAULT && is_ignored_by_default(signal)) ||
	    signal == SIGNAL_STOP)
		return;
	if (signal == SIGNAL_KILL || (handler == HANDLER_DEFAULT && !(task->blocked & bit(signal)))) {
		process_begin_end(process, signal);
		return;
	}
	task->sent[signal].code = code;
	task->sent[signal].pid = code == SENT_BY_KERNEL ? 0 : current()->process->pid;
	/* A full fence: see task_wait(). */
	atomic_fetch_or_explicit(&task->pending, bit(signal), memory_order_seq_cst);
	task_wake(task);
}

/* ---- delivery -------------------------------------------------------------------------------------- */

static const char *why(int signal, int code)
{
	if (signal == SIGNAL_SEGV)
		return code == QUIRE_SEGV_MAPERR   ? "nothing is mapped there"
		       : code == QUIRE_SEGV_ACCERR ? "that is not allowed there"
						   : "a general protection fault";
	if (signal == SIGNAL_BUS)
		return "past the end of the file, or not aligned";
	return signal == SIGNAL_ILL   ? "no such instruction"
	       : signal == SIGNAL_FPE ? "an arithmetic error"
				      : "a breakpoint";
}

static void report_fault(const struct trap_frame *frame, int signal, int code, quire_vaddr at)
{
	struct task *task = current();
	const char *what = !(frame->vector == 14)	   ? "executes"
			   : frame->error & FAULT_ON_FETCH ? "executes"
			   : frame->error & FAULT_ON_WRITE ? "writes"
							   : "reads";

	kprintf("quire: %s %d: signal %d: %s 0x%lx, %s (rip 0x%lx, rsp 0x%lx)\n", task->name, task->tid,
		signal, what, at, why(signal, code), frame->rip, frame->rsp);
}

static void save(struct signal_frame *to, const struct trap_frame *f)
{
	*to = (struct signal_frame){
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rdi = f->rdi,
		.rsi = f->rsi,
		.rbp = f->rbp,
		.rbx = f->rbx,
		.rdx = f->rdx,
		.rax = f->rax,
		.rcx = f->rcx,
		.rsp = f->rsp,
		.rip = f->rip,
		.rflags = f->rflags,
		.cs = USER_CS,
		.ss = USER_DS,
		.error = f->error,
		.trap = f->vector,
	};
}

static void restore(struct trap_frame *f, const struct signal_frame *from)
{
	f->r8 = from->r8, f->r9 = from->r9, f->r10 = from->r10, f->r11 = from->r11;
	f->r12 = from->r12, f->r13 = from->r13, f->r14 = from->r14, f->r15 = from->r15;
	f->rdi = from->rdi, f->rsi = from->rsi, f->rbp = from->rbp, f->rbx = from->rbx;
	f->rdx = from->rdx, f->rax = from->rax, f->rcx = from->rcx;
	f->rsp = from->rsp, f->rip = from->rip;
	f->rflags = (from->rflags & FLAGS_USER) | FLAGS_IF;
}

/* Push the frame and turn @frame to the handler. False: there is no room for it. */
static bool push(struct trap_frame *frame, const struct signal_action *action, int signal, int code,
		 quire_vaddr at)
{
	struct task *task = current();
	struct signal_frame to;
	uint64_t fpu = (frame->rsp - 128 - sizeof(task->fpu)) & ~63ull;
	uint64_t base = ((fpu - sizeof(to)) & ~15ull) - 8;

	save(&to, frame);
	to.return_to = action->restorer;
	to.cr2 = at;
	to.fpu = fpu;
	to.mask = to.old_mask = task->restore_mask ? task->saved_mask : task->blocked;
	task->restore_mask = false;
	to.signal = signal;
	to.code = code;
	to.address = at;
	__asm__ volatile("fxsave64 %0" : "=m"(task->fpu));
	if (action->handler >= QUIRE_USER_END || !(action->flags & ACTION_RESTORER) ||
	    copy_out(fpu, task->fpu, sizeof(task->fpu)) || copy_out(base, &to, sizeof(to)))
		return false;
	frame->rip = action->handler;
	frame->rsp = base;
	frame->rdi = (uint64_t)signal;
	frame->rsi = base + offsetof(struct signal_frame, signal);
	frame->rdx = base + offsetof(struct signal_frame, flags);
	frame->rax = 0;
	frame->rflags &= ~(FLAGS_DF | FLAGS_TF);
	task->blocked |= action->mask & ~(bit(SIGNAL_KILL) | bit(SIGNAL_STOP));
	if (!(action->flags & ACTION_NODEFER))
		task->blocked |= bit(signal);
	return true;
}

static struct signal_action take_action(int signal)
{
	struct process *process = current()->process;

	spin_lock(&process_lock);
	struct signal_action action = process->actions[signal];
	if ((action.flags & ACTION_RESET) && action.handler > HANDLER_IGNORE)
		process->actions[signal].handler = HANDLER_DEFAULT;
	spin_unlock(&process_lock);
	return action;
}

void signal_fault(struct trap_frame *frame, int signal, int code, quire_vaddr at)
{
	struct signal_action action = take_action(signal);

	if (action.handler > HANDLER_IGNORE && !(current()->blocked & bit(signal)) &&
	    push(frame, &action, signal, code, at))
		return;
	report_fault(frame, signal, code, at);
	process_end_by(signal);
}

#define SYSCALL_VECTOR 256
#define SYSCALL_BYTES 2

/* As in Linux, a wait for a signal or for time ends with the handler, whatever SA_RESTART says. */
static bool is_restarted(uint64_t call)
{
	enum { POLL = 7, PAUSE = 34, NANOSLEEP, SUSPEND = 130, CLOCK_NANOSLEEP = 230 };

	return call != POLL && call != PAUSE && call != NANOSLEEP && call != SUSPEND &&
	       call != CLOCK_NANOSLEEP;
}

void signal_deliver(struct trap_frame *frame)
{
	struct task *task = current();
	uint64_t due = atomic_load_explicit(&task->pending, memory_order_relaxed) & ~task->blocked;

	if (!due)
		return;
	int signal = __builtin_ctzll(due) + 1;
	atomic_fetch_and_explicit(&task->pending, ~bit(signal), memory_order_relaxed);
	struct signal_action action = take_action(signal);
	if (action.handler == HANDLER_IGNORE ||
	    (action.handler == HANDLER_DEFAULT && is_ignored_by_default(signal))) {
		if (task->restore_mask)
			task->blocked = task->saved_mask;
		task->restore_mask = false;
		return;
	}
	if (action.handler == HANDLER_DEFAULT) {
		process_end_by(signal);
		return;
	}
	if (frame->vector == SYSCALL_VECTOR && (int64_t)frame->rax == -QUIRE_EINTR &&
	    (action.flags & ACTION_RESTART) && is_restarted(frame->error)) {
		frame->rax = frame->error; /* the call's number */
		frame->rip -= SYSCALL_BYTES;
	}
	frame->vector = 0; /* it is restarted once */
	/* Where a fault has its address, a signal that was sent has the sender. */
	if (!push(frame, &action, signal, task->sent[signal].code, (uint32_t)task->sent[signal].pid))
		process_end_by(SIGNAL_SEGV);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

#define FPU_MXCSR 24
#define FPU_MXCSR_MASK 28 /* which bits the CPU has; 0: those */
#define MXCSR_ALLOWED 0xffbfu

int64_t signal_return(struct trap_frame *frame)
{
	struct task *task = current();
	struct signal_frame from;
	_Alignas(16) char fpu[sizeof(task->fpu)];

	if (copy_in(&from, frame->rsp - 8, sizeof(from)) || from.rip >= QUIRE_USER_END) {
		process_end_by(SIGNAL_SEGV);
		return 0;
	}
	/* Not to the task's own place: whoever sleeps in the copy has its registers saved there. */
	if (from.fpu && copy_in(fpu, from.fpu, sizeof(fpu)) == 0) {
		uint32_t allowed = *(uint32_t *)(void *)&task->fpu[FPU_MXCSR_MASK];

		/* Or FXRSTOR faults. */
		*(uint32_t *)(void *)&fpu[FPU_MXCSR] &= allowed ? allowed : MXCSR_ALLOWED;
		__asm__ volatile("fxrstor64 %0" : : "m"(fpu));
	}
	restore(frame, &from);
	task->blocked = from.mask & ~(bit(SIGNAL_KILL) | bit(SIGNAL_STOP));
	frame->vector = 0;
	return (int64_t)frame->rax;
}

int64_t signal_action(unsigned signal, quire_vaddr new, quire_vaddr old)
{
	struct process *process = current()->process;
	struct signal_action action, was;

	if (signal < 1 || signal > SIGNALS || (new && (signal == SIGNAL_KILL || signal == SIGNAL_STOP)))
		return -QUIRE_EINVAL;
	if (new &&copy_in(&action, new, sizeof(action)))
		return -QUIRE_EFAULT;
	spin_lock(&process_lock);
	was = process->actions[signal];
	if (new)
		process->actions[signal] = action;
	spin_unlock(&process_lock);
	return old && copy_out(old, &was, sizeof(was)) ? -QUIRE_EFAULT : 0;
}

int64_t signal_mask(unsigned how, quire_vaddr new, quire_vaddr old)
{
	struct task *task = current();
	uint64_t mask = 0, was = task->blocked;

	if (new &&copy_in(&mask, new, sizeof(mask)))
		return -QUIRE_EFAULT;
	if (new &&how > 2)
		return -QUIRE_EINVAL;
	if (new)
		task->blocked = (how == 0   ? was | mask
				 : how == 1 ? was & ~mask
					    : mask) &
				~(bit(SIGNAL_KILL) | bit(SIGNAL_STOP));
	return old && copy_out(old, &was, sizeof(was)) ? -QUIRE_EFAULT : 0;
}

int64_t signal_pause(void)
{
	static _Atomic uint32_t never;

	while (!task_has_signal())
		task_wait(&never, 0, 0);
	return -QUIRE_EINTR;
}

/* The handler runs under the temporary mask; its frame has the one to go back to. */
int64_t signal_suspend(quire_vaddr at)
{
	struct task *task = current();
	uint64_t mask, was = task->blocked;

	if (copy_in(&mask, at, sizeof(mask)))
		return -QUIRE_EFAULT;
	task->blocked = mask & ~(bit(SIGNAL_KILL) | bit(SIGNAL_STOP));
	signal_pause();
	task->restore_mask = true;
	task->saved_mask = was;
	return -QUIRE_EINTR;
}
