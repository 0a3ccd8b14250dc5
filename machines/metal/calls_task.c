/*
 * calls_task.c - the calls on processes, threads, signals and time.
 */
#include "calls.h"
#include "x86.h"

/* ---- processes and threads ------------------------------------------------------------------------- */

#define CLONE_VM 0x100u
#define CLONE_SIGHAND 0x800u
#define CLONE_THREAD 0x10000u
#define CLONE_SETTLS 0x80000u
#define CLONE_VM_VFORK 0x4100u

int64_t call_clone(const uint64_t *a)
{
	struct clone clone = { a[0], a[1], a[2], a[3], a[4] };

	/* Threads share handlers, and who shares handlers shares memory. */
	if (((a[0] & CLONE_THREAD) && !(a[0] & CLONE_SIGHAND)) ||
	    ((a[0] & CLONE_SIGHAND) && !(a[0] & CLONE_VM)))
		return -QUIRE_EINVAL;
	if ((a[0] & CLONE_SETTLS) && a[4] >= QUIRE_USER_END)
		return -QUIRE_EPERM;
	return process_clone(&clone, task_frame(current()));
}

int64_t call_fork(const uint64_t *a)
{
	struct clone clone = { 0 };

	(void)a;
	return process_clone(&clone, task_frame(current()));
}

int64_t call_vfork(const uint64_t *a)
{
	struct clone clone = { .flags = CLONE_VM_VFORK };

	(void)a;
	return process_clone(&clone, task_frame(current()));
}

int64_t call_exit(const uint64_t *a)
{
	if (current()->process->tasks == 1)
		process_exit((int)(a[0] & 0xff) << 8);
	task_exit();
}

int64_t call_exit_group(const uint64_t *a)
{
	process_exit((int)(a[0] & 0xff) << 8);
}

CALL_IS(wait4, process_wait((int)a[0], a[1], (unsigned)a[2], a[3]))

#define STRINGS_BYTES 65536 /* of arguments, and of the environment */

static int gather(quire_vaddr vector, struct strings *out)
{
	*out = (struct strings){ kernel_alloc(STRINGS_BYTES), 0, 0 };
	if (!out->at)
		return -QUIRE_ENOMEM;
	while (vector) {
		uint64_t string;

		if (copy_in(&string, vector + out->count * 8ull, 8))
			return -QUIRE_EFAULT;
		if (!string)
			return 0;
		int64_t length = copy_in_string(out->at + out->bytes, string, STRINGS_BYTES - out->bytes);
		if (length < 0)
			return length == -ERROR_NAMETOOLONG ? -ERROR_2BIG : (int)length;
		out->bytes += (size_t)length + 1;
		out->count++;
	}
	return 0;
}

int64_t process_exec(quire_vaddr path, quire_vaddr arguments, quire_vaddr environment,
		     struct trap_frame *frame)
{
	struct strings argv = { 0 }, envp = { 0 };
	char name[PATH_BYTES];

	if (current()->process->tasks > 1)
		return -QUIRE_EBUSY; /* its other threads would have to end first */
	int64_t err = copy_in_string(name, path, sizeof(name));
	if (err >= 0)
		err = gather(arguments, &argv);
	if (err >= 0)
		err = gather(environment, &envp);
	if (err >= 0)
		err = exec_load(name, &argv, &envp, frame);
	kernel_free(argv.at, STRINGS_BYTES);
	kernel_free(envp.at, STRINGS_BYTES);
	return err;
}

CALL_IS(execve, process_exec(a[0], a[1], a[2], task_frame(current())))
CALL_IS(getpid, current()->process->pid)

int64_t call_getppid(const uint64_t *a)
{
	(void)a;
	spin_lock(&process_lock);
	struct process *parent = current()->process->parent;
	int64_t pid = parent ? parent->pid : 0;
	spin_unlock(&process_lock);
	return pid;
}

CALL_IS(gettid, current()->tid)
CALL_IS(getpgrp, process_group_of(0))
CALL_IS(getpgid, process_group_of((int)a[0]))
CALL_IS(setpgid, process_set_group((int)a[0], (int)a[1]))

int64_t call_setsid(const uint64_t *a)
{
	(void)a;
	process_set_group(0, 0);
	return current()->process->pid;
}

/* Everybody is root. */
CALL_IS(getuid, 0)
CALL_IS(getgid, 0)
CALL_IS(geteuid, 0)
CALL_IS(getegid, 0)

int64_t call_umask(const uint64_t *a)
{
	struct process *process = current()->process;
	uint32_t was = process->umask;

	process->umask = a[0] & 0777;
	return was;
}

int64_t call_set_tid_address(const uint64_t *a)
{
	current()->clear_tid = a[0];
	return current()->tid;
}

/* Locks held at the end of a thread are not given back. */
CALL_IS(set_robust_list, 0)

int64_t call_arch_prctl(const uint64_t *a)
{
	enum { SET_FS = 0x1002, GET_FS = 0x1003 };
	uint64_t base = current()->fs_base;

	if (a[0] == GET_FS)
		return copy_out(a[1], &base, sizeof(base));
	if (a[0] != SET_FS)
		return -QUIRE_EINVAL;
	if (a[1] >= QUIRE_USER_END)
		return -QUIRE_EPERM;
	task_note_fs_base(a[1]);
	return 0;
}

CALL_IS(futex, futex_call(a[0], (unsigned)a[1], (uint32_t)a[2], a[3], a[4], (uint32_t)a[5]))

int64_t call_sched_yield(const uint64_t *a)
{
	(void)a;
	sched_yield_cpu();
	return 0;
}

int64_t call_sched_getaffinity(const uint64_t *a)
{
	uint64_t mask = (1ull << metal_cpu_count) - 1;

	if (a[1] < sizeof(mask))
		return -QUIRE_EINVAL;
	return copy_out(a[2], &mask, sizeof(mask)) ? -QUIRE_EFAULT : (int64_t)sizeof(mask);
}

/* ---- signals --------------------------------------------------------------------------------------- */

CALL_IS(kill, process_kill((int)a[0], 0, (unsigned)a[1]))
CALL_IS(tkill, (int)a[0] > 0 ? process_kill(-1, (int)a[0], (unsigned)a[1]) : -QUIRE_EINVAL)
CALL_IS(tgkill,
	(int)a[0] > 0 && (int)a[1] > 0 ? process_kill((int)a[0], (int)a[1], (unsigned)a[2]) : -QUIRE_EINVAL)
CALL_IS(rt_sigaction, a[3] == 8 ? signal_action((unsigned)a[0], a[1], a[2]) : -QUIRE_EINVAL)
CALL_IS(rt_sigprocmask, a[3] == 8 ? signal_mask((unsigned)a[0], a[1], a[2]) : -QUIRE_EINVAL)
CALL_IS(pause, signal_pause())
CALL_IS(rt_sigsuspend, a[1] == 8 ? signal_suspend(a[0]) : -QUIRE_EINVAL)
CALL_IS(rt_sigreturn, signal_return(task_frame(current())))

/* One that is set is not used: handlers run on the program's own stack. */
int64_t call_sigaltstack(const uint64_t *a)
{
	struct {
		uint64_t at;
		int32_t flags, pad;
		uint64_t bytes;
	} stack = { .flags = 2 /* SS_DISABLE */ };

	if (a[1] && copy_out(a[1], &stack, sizeof(stack)))
		return -QUIRE_EFAULT;
	return a[0] ? copy_in(&stack, a[0], sizeof(stack)) : 0;
}

/* ---- time ------------------------------------------------------------------------------------------ */

struct timespec {
	int64_t seconds, ns;
};

static struct timespec split(uint64_t ns)
{
	return (struct timespec){ (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000) };
}

static bool is_real(uint64_t clock)
{
	return clock == 0 || clock == 5 || clock == 11;
}

int64_t call_clock_gettime(const uint64_t *a)
{
	struct timespec now = split(is_real(a[0]) ? time_real() : time_monotonic());

	if (a[0] > 11)
		return -QUIRE_EINVAL;
	return copy_out(a[1], &now, sizeof(now));
}

int64_t call_clock_getres(const uint64_t *a)
{
	struct timespec one = { 0, 1 };

	return a[1] ? copy_out(a[1], &one, sizeof(one)) : 0;
}

int64_t call_gettimeofday(const uint64_t *a)
{
	struct timespec now = split(time_real());

	now.ns /= 1000;
	return a[0] ? copy_out(a[0], &now, sizeof(now)) : 0;
}

int64_t call_time(const uint64_t *a)
{
	int64_t now = split(time_real()).seconds;

	return a[0] && copy_out(a[0], &now, sizeof(now)) ? -QUIRE_EFAULT : now;
}

static int64_t sleep(uint64_t clock, bool until, quire_vaddr request, quire_vaddr left)
{
	static _Atomic uint32_t never;
	struct timespec time;

	if (copy_in(&time, request, sizeof(time)))
		return -QUIRE_EFAULT;
	if (time.seconds < 0 || time.ns < 0 || time.ns >= 1000000000)
		return -QUIRE_EINVAL;
	uint64_t ns = time.seconds > 1ll << 33 ? ~0ull >> 1
					       : (uint64_t)time.seconds * 1000000000 + (uint64_t)time.ns;
	uint64_t now = time_monotonic(), shift = is_real(clock) ? time_real() - now : 0;
	uint64_t end = until ? ns > shift ? ns - shift : 0 : now + ns;
	while (time_monotonic() < end) {
		if (task_has_signal()) {
			time = split(end > time_monotonic() ? end - time_monotonic() : 0);
			if (!until && left)
				copy_out(left, &time, sizeof(time));
			return -QUIRE_EINTR;
		}
		task_wait(&never, 0, end);
	}
	return 0;
}

CALL_IS(nanosleep, sleep(1, false, a[0], a[1]))
CALL_IS(clock_nanosleep, a[0] > 11 ? -QUIRE_EINVAL : sleep(a[0], (a[1] & 1) != 0, a[2], a[3]))

/* ---- the system ------------------------------------------------------------------------------------ */

int64_t call_uname(const uint64_t *a)
{
	static const char names[6][65] = { "Linux",	   "quire",  "6.18.0-quire",
					   "#1 SMP Quire", "x86_64", "(none)" };

	return copy_out(a[0], names, sizeof(names));
}

int64_t call_sysinfo(const uint64_t *a)
{
	struct quire_stats stats;
	struct {
		uint64_t uptime, loads[3], total, free, shared, buffers, swap, free_swap;
		uint16_t processes, pad[3];
		uint64_t high, free_high;
		uint32_t unit, pad2;
	} info = { .uptime = time_monotonic() / 1000000000, .unit = 1 };

	quire_stats_read(metal_quire, &stats);
	info.total = stats.frames_total * QUIRE_PAGE_SIZE;
	info.free = stats.frames_free * QUIRE_PAGE_SIZE;
	info.shared = stats.frames_cached * QUIRE_PAGE_SIZE;
	return copy_out(a[0], &info, sizeof(info));
}

static uint64_t *limit_of(struct quire_limits *limits, uint64_t resource)
{
	enum { LIMIT_DATA = 2, LIMIT_STACK = 3, LIMIT_MEMLOCK = 8, LIMIT_AS = 9 };

	switch (resource) {
	case LIMIT_DATA:
		return &limits->data;
	case LIMIT_STACK:
		return &limits->stack;
	case LIMIT_MEMLOCK:
		return &limits->memlock;
	case LIMIT_AS:
		return &limits->address_space;
	default:
		return NULL;
	}
}

/* The hard limit is the soft one: everybody is root. */
static int64_t limit(uint64_t resource, quire_vaddr new, quire_vaddr old)
{
	enum { LIMIT_NOFILE = 7, LIMITS = 16 };
	struct quire_cpu *cpu = here();
	struct quire_mm *mm = current()->process->mm;
	struct quire_limits limits;
	uint64_t pair[2], was[2];

	if (resource >= LIMITS)
		return -QUIRE_EINVAL;
	if (new &&copy_in(pair, new, sizeof(pair)))
		return -QUIRE_EFAULT;
	cpu = here();
	quire_mm_get_limits(&cpu, mm, &limits);
	uint64_t *value = limit_of(&limits, resource);
	was[0] = was[1] = value ? *value : resource == LIMIT_NOFILE ? OPEN_MAX : QUIRE_UNLIMITED;
	was[1] = value ? QUIRE_UNLIMITED : was[1];
	if (new &&value) {
		*value = pair[0];
		quire_mm_set_limits(&cpu, mm, &limits);
	}
	return old && copy_out(old, was, sizeof(was)) ? -QUIRE_EFAULT : 0;
}

CALL_IS(getrlimit, limit(a[0], 0, a[1]))
CALL_IS(prlimit64, a[0] && (int)a[0] != current()->process->pid ? -QUIRE_EPERM : limit(a[1], a[2], a[3]))
