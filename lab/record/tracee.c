/*
 * tracee.c - starts the program and serves its stops.
 *
 * The program and all that it creates run under ptrace, which costs little unless every call is to stop it:
 * the stops are at exec, where the new layout is read from /proc/PID/maps while nobody can change it; at
 * clone, for the flags (clone3's are in memory and no tracepoint shows them); at exit, for what the kernel
 * counted. With `calls` every system call stops twice as well: that is the way to record calls where
 * tracepoints are not allowed.
 *
 * Contexts: one thread, the one that created the program (ptrace wants that).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptrace.h>

#include "calls.h"
#include "capture.h"

enum {
	OPTIONS = PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
		  PTRACE_O_TRACEEXIT | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL,
	EVENT_STOP = 128, /* PTRACE_EVENT_STOP */
	ORPHAN_MS = 500,  /* a parent tells of its child much sooner than this, or not at all */
};

/* One thread that is traced. */
struct member {
	pid_t tid, pid;
	bool announced; /* its parent's stop was seen, so `pid` is known */
	uint64_t waits; /* when it stopped, to wait until it is announced; 0 */
	bool in_call, gone;
	uint64_t nr, args[TRACE_ARGS]; /* of the call that it is in */
};

struct crowd {
	struct capture *capture;
	struct tracee *tracee;
	struct member *members;
	size_t count, room;
};

static volatile sig_atomic_t asked_to_stop;

static void on_terminate(int signal)
{
	(void)signal;
	asked_to_stop = 1;
}

int tracee_start(struct capture *c, struct tracee *t, char **argv)
{
	int go[2], failed[2];

	if (pipe2(go, O_CLOEXEC) || pipe2(failed, O_CLOEXEC))
		return capture_fail(c, "cannot create a pipe: %s", strerror(errno));
	t->pid = fork();
	if (t->pid < 0)
		return capture_fail(c, "cannot create a process: %s", strerror(errno));
	if (!t->pid) {
		char byte;
		close(go[1]);
		if (read(go[0], &byte, 1) != 1)
			_exit(127);
		execvp(argv[0], argv);
		int error = errno;
		if (write(failed[1], &error, sizeof(error)) < 0)
			_exit(126);
		_exit(127);
	}
	close(go[0]);
	close(failed[1]);
	t->go = go[1];
	t->exec_errno = failed[0];
	if (!ptrace(PTRACE_SEIZE, t->pid, 0, OPTIONS))
		return 0;
	int error = errno;
	tracee_abandon(t);
	return capture_fail(
		c, "ptrace is not allowed here (%s): run as root, or give the container CAP_SYS_PTRACE",
		strerror(error));
}

void tracee_abandon(struct tracee *t)
{
	close(t->go);
	close(t->exec_errno);
	kill(t->pid, SIGKILL);
	while (waitpid(t->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static struct member *find(struct crowd *crowd, pid_t tid)
{
	for (size_t i = crowd->count; i-- > 0;)
		if (crowd->members[i].tid == tid)
			return &crowd->members[i];
	return NULL;
}

/* The member with @tid, created if it is new. NULL when memory runs out. */
static struct member *find_or_add(struct crowd *crowd, pid_t tid)
{
	struct member *member = find(crowd, tid);
	if (member)
		return member;
	if (crowd->count == crowd->room) {
		size_t room = crowd->room ? crowd->room * 2 : 64;
		struct member *grown = realloc(crowd->members, room * sizeof(*grown));
		if (!grown)
			return NULL;
		crowd->members = grown;
		crowd->room = room;
	}
	member = &crowd->members[crowd->count++];
	*member = (struct member){ .tid = tid, .pid = tid };
	return member;
}

static void forget(struct crowd *crowd, pid_t tid)
{
	struct member *member = find(crowd, tid);
	if (member)
		*member = crowd->members[--crowd->count];
}

static void resume(struct crowd *crowd, pid_t tid, int signal)
{
	/* It can fail only when the thread was killed meanwhile: then its end is reported next. */
	ptrace(crowd->tracee->calls ? PTRACE_SYSCALL : PTRACE_CONT, tid, 0, signal);
}

static struct raw raw_now(const struct member *member, enum raw_kind kind)
{
	return (struct raw){
		.time = capture_now(),
		.pid = (uint32_t)member->pid,
		.tid = (uint32_t)member->tid,
		.kind = kind,
	};
}

/* The flags of the clone that @tid is in. */
static uint64_t clone_flags(pid_t tid)
{
	struct user_regs_struct regs;
	uint64_t flags = 0;

	if (ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return 0;
	switch (regs.orig_rax) {
	case __NR_clone:
		return regs.rdi;
	case __NR_vfork:
		return CLONE_VM | CLONE_VFORK;
	case __NR_clone3: {
		struct iovec here = { &flags, sizeof(flags) }, there = { (void *)regs.rdi, sizeof(flags) };
		if (process_vm_readv(tid, &here, 1, &there, 1, 0) != sizeof(flags))
			flags = 0;
		return flags;
	}
	default:
		return 0;
	}
}

static void serve_clone(struct crowd *crowd, struct member *parent)
{
	unsigned long child_tid = 0;
	ptrace(PTRACE_GETEVENTMSG, parent->tid, 0, &child_tid);

	struct raw raw = raw_now(parent, RAW_CLONED);
	raw.fork.flags = clone_flags(parent->tid);
	raw.fork.tid = (uint32_t)child_tid;
	raw.fork.pid = raw.fork.flags & CLONE_THREAD ? (uint32_t)parent->pid : (uint32_t)child_tid;
	capture_add(crowd->capture, &raw);
	if (crowd->tracee->calls) {
		raw.kind = RAW_FORK;
		capture_add(crowd->capture, &raw);
	}
	struct member *child = find_or_add(crowd, (pid_t)child_tid);
	if (!child) {
		capture_incomplete(crowd->capture);
		return;
	}
	child->pid = (pid_t)raw.fork.pid;
	child->announced = true;
	if (child->waits) {
		child->waits = 0;
		resume(crowd, child->tid, 0);
	}
}

static void serve_exec(struct crowd *crowd, pid_t tid)
{
	unsigned long former = 0;
	struct snapshot snapshot;

	ptrace(PTRACE_GETEVENTMSG, tid, 0, &former);
	for (size_t i = crowd->count; i-- > 0;) {
		struct member *other = &crowd->members[i];
		if (other->pid == tid && other->tid != tid)
			*other = crowd->members[--crowd->count];
	}
	struct member *member = find_or_add(crowd, tid);
	if (!member || proc_snapshot(crowd->capture, tid, &snapshot)) {
		capture_incomplete(crowd->capture);
		return;
	}
	member->announced = true;
	member->in_call = false;
	member->gone = false;
	struct raw raw = raw_now(member, RAW_LAYOUT);
	raw.layout.former_tid = (uint32_t)former;
	raw.layout.snapshot = capture_snapshot(crowd->capture, &snapshot);
	if (raw.layout.snapshot != TRACE_NONE)
		capture_add(crowd->capture, &raw);
}

static void serve_gone(struct crowd *crowd, struct member *member)
{
	if (member->gone || !crowd->tracee->calls)
		return;
	member->gone = true;
	struct raw raw = raw_now(member, RAW_EXIT);
	capture_add(crowd->capture, &raw);
}

static void serve_exit(struct crowd *crowd, struct member *member)
{
	struct raw raw = raw_now(member, RAW_USAGE);
	proc_usage(member->pid, member->tid, &raw);
	capture_add(crowd->capture, &raw);
	serve_gone(crowd, member);
}

/* Which file the call that just ended is about. */
static uint32_t call_file(struct crowd *crowd, const struct member *member, const struct raw *raw)
{
	int argument = calls_fd_argument((int)member->nr, member->args);
	if (raw->leave.result < 0 && raw->leave.result > -4096)
		return TRACE_NONE;
	if (calls_trace((int)member->nr) == TRACE_SHMAT)
		return proc_mapped_file(crowd->capture, member->pid, (uint64_t)raw->leave.result, raw);
	if (argument < 0 || !calls_trace((int)member->nr))
		return TRACE_NONE;
	bool sizes = calls_trace((int)member->nr) != TRACE_MMAP; /* the call itself tells the size */
	return proc_fd_file(crowd->capture, member->pid, (int)member->args[argument], sizes ? NULL : raw);
}

static void serve_call(struct crowd *crowd, struct member *member)
{
	struct ptrace_syscall_info info;
	memset(&info, 0, sizeof(info));
	if (ptrace(PTRACE_GET_SYSCALL_INFO, member->tid, sizeof(info), &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		struct raw raw = raw_now(member, RAW_ENTER);
		member->in_call = true;
		member->nr = info.entry.nr;
		raw.call.nr = (int32_t)info.entry.nr;
		memcpy(raw.call.args, info.entry.args, sizeof(raw.call.args));
		memcpy(member->args, info.entry.args, sizeof(member->args));
		if (calls_wanted((int)member->nr))
			capture_add(crowd->capture, &raw);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && member->in_call) {
		struct raw raw = raw_now(member, RAW_LEAVE);
		member->in_call = false;
		raw.leave.nr = (int32_t)member->nr;
		raw.leave.result = info.exit.rval;
		raw.leave.file = call_file(crowd, member, &raw);
		if (calls_wanted((int)member->nr))
			capture_add(crowd->capture, &raw);
	}
}

static void serve_signal(struct crowd *crowd, struct member *member, int signal)
{
	siginfo_t info;

	if ((signal != SIGSEGV && signal != SIGBUS) || !crowd->tracee->calls ||
	    ptrace(PTRACE_GETSIGINFO, member->tid, 0, &info))
		return;
	struct raw raw = raw_now(member, RAW_SIGNAL);
	raw.signal.signal = (uint32_t)signal;
	raw.signal.code = info.si_code;
	capture_add(crowd->capture, &raw);
}

/* A stop of @tid: do what it is for, and let it run on. */
static void serve_stop(struct crowd *crowd, pid_t tid, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_EXEC) {
		serve_exec(crowd, tid);
		resume(crowd, tid, 0);
		return;
	}
	struct member *member = find_or_add(crowd, tid);
	if (!member) {
		capture_incomplete(crowd->capture);
		resume(crowd, tid, event ? 0 : signal);
		return;
	}
	if (!member->announced && !member->waits) {
		member->waits = capture_now();
		return;
	}
	switch (event) {
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		serve_clone(crowd, member);
		resume(crowd, tid, 0);
		break;
	case PTRACE_EVENT_EXIT:
		serve_exit(crowd, member);
		resume(crowd, tid, 0);
		break;
	case EVENT_STOP:
		if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
			ptrace(PTRACE_LISTEN, tid, 0, 0);
		else
			resume(crowd, tid, 0);
		break;
	default:
		if (signal == (SIGTRAP | 0x80)) {
			serve_call(crowd, member);
			resume(crowd, tid, 0);
		} else {
			serve_signal(crowd, member, signal);
			resume(crowd, tid, signal);
		}
	}
}

/*
 * Let those go on whose parent will not announce them any more, because it was killed just after it had
 * created them. Returns whether others still wait.
 */
static bool release_orphans(struct crowd *crowd)
{
	bool others = false;

	for (size_t i = 0; i < crowd->count; i++) {
		struct member *member = &crowd->members[i];
		if (member->announced || !member->waits)
			continue;
		if (capture_now() < member->waits + ORPHAN_MS * 1000000u) {
			others = true;
			continue;
		}
		member->announced = true;
		member->waits = 0;
		member->pid = proc_process_of(member->tid);
		resume(crowd, member->tid, 0);
	}
	return others;
}

/* The next thread that has something to say, as waitpid() has it. */
static pid_t wait_for_any(struct crowd *crowd, int *status)
{
	struct timespec pause = { .tv_nsec = 1000000 };

	while (release_orphans(crowd)) {
		pid_t tid = waitpid(-1, status, __WALL | WNOHANG);
		if (tid)
			return tid;
		nanosleep(&pause, NULL);
	}
	return waitpid(-1, status, __WALL);
}

static void serve_all(struct crowd *crowd)
{
	for (;;) {
		int status;
		pid_t tid = wait_for_any(crowd, &status);
		if (tid < 0 && errno != EINTR)
			return;
		if (asked_to_stop) {
			asked_to_stop = 0;
			for (size_t i = 0; i < crowd->count; i++)
				kill(crowd->members[i].pid, SIGKILL);
		}
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			serve_stop(crowd, tid, status);
			continue;
		}
		if (tid == crowd->tracee->pid)
			crowd->tracee->status = status;
		struct member *member = find(crowd, tid);
		if (member)
			serve_gone(crowd, member);
		forget(crowd, tid);
	}
}

int tracee_run(struct capture *c, struct tracee *t)
{
	struct crowd crowd = { .capture = c, .tracee = t };
	struct member *first = find_or_add(&crowd, t->pid);
	struct sigaction stop = { .sa_handler = on_terminate }, ignore = { .sa_handler = SIG_IGN };
	struct sigaction old_term, old_int, old_quit;

	if (!first) {
		tracee_abandon(t);
		return capture_fail(c, "out of memory");
	}
	first->announced = true;
	/* The terminal's ^C is for the program; we stay to write down how it ended. */
	sigaction(SIGTERM, &stop, &old_term);
	sigaction(SIGINT, &ignore, &old_int);
	sigaction(SIGQUIT, &ignore, &old_quit);
	if (t->calls) /* from the stop that this makes on, it is resumed so that calls stop it */
		ptrace(PTRACE_INTERRUPT, t->pid, 0, 0);
	bool went = write(t->go, "", 1) == 1;
	close(t->go);
	serve_all(&crowd);
	sigaction(SIGTERM, &old_term, NULL);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGQUIT, &old_quit, NULL);
	free(crowd.members);

	int error = 0;
	if (went && read(t->exec_errno, &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(t->exec_errno);
	return error;
}
