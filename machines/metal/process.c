/*
 * process.c - processes: the first one, fork and threads, the end, and waiting for it.
 *
 * A process ends in two steps. Somebody says so (exit_group, a signal, no memory): `dying`, and every task
 * of it is woken; each then ends on its way back to user mode, and the last one lets go of what they shared.
 * Until its parent has asked for its status, a process is a zombie: a struct in the list.
 *
 * When the first process ends, so do all others, and then the machine: its frames are counted, for that is
 * the proof that the core lost none.
 *
 * There are no more tasks at a time than half of the heap has room for, so that who forks without end takes
 * no memory that others need: from there on fork() and clone() say EAGAIN, which the kernel reports once.
 *
 * Order:   process_lock is a spin lock, outside the buckets' and the run queues'.
 */
#include "fs.h"
#include "user.h"
#include "x86.h"

enum {
	CLONE_VM = 0x100,
	CLONE_VFORK = 0x4000,
	CLONE_THREAD = 0x10000,
	CLONE_SETTLS = 0x80000,
	CLONE_PARENT_SETTID = 0x100000,
	CLONE_CHILD_CLEARTID = 0x200000,
	CLONE_CHILD_SETTID = 0x1000000,
};

struct quire_spin process_lock;
static struct process *processes;   /* process_lock */
static struct task *tasks;	    /* process_lock */
static int next_id = 1;		    /* process_lock */
static _Atomic uint32_t task_count; /* and zombies */
static uint64_t frames_at_start, heap_at_start;

static void lock(void)
{
	spin_lock(&process_lock);
}

static void unlock(void)
{
	spin_unlock(&process_lock);
}

static inline bool is_killed(struct task *task)
{
	return atomic_load_explicit(&task->process->dying, memory_order_relaxed);
}

static inline bool has_signal(struct task *task)
{
	return is_killed(task) ||
	       (atomic_load_explicit(&task->pending, memory_order_relaxed) & ~task->blocked);
}

bool task_is_killed(void)
{
	return is_killed(current());
}

bool task_has_signal(void)
{
	return has_signal(current());
}

/* ---- beginning ------------------------------------------------------------------------------------- */

#define TASK_BYTES \
	(STACK_BYTES + sizeof(struct task) + 2 * sizeof(struct process)) /* and what else there is to one */

static void uncount_task(void)
{
	atomic_fetch_sub_explicit(&task_count, 1, memory_order_relaxed);
}

static bool count_task(void)
{
	static _Atomic bool told;
	uint32_t most = (uint32_t)(kernel_heap_bytes() / 2 / TASK_BYTES);
	struct task *task = current();

	if (atomic_fetch_add_explicit(&task_count, 1, memory_order_relaxed) < most)
		return true;
	uncount_task();
	if (!atomic_exchange_explicit(&told, true, memory_order_relaxed))
		kprintf("quire: %s %d makes no more tasks: there are %u\n", task->name, task->tid, most);
	return false;
}

/* A task of @process, or of a new one that is a copy of @process but for its address space. */
static struct task *make_task(struct process *process, bool thread)
{
	struct task *task = task_create(current()->name);
	struct process *new = thread ? process : task ? kernel_alloc(sizeof(*new)) : NULL;

	if (!new || !task) {
		if (task) {
			kernel_free(task->stack, STACK_BYTES);
			kernel_free(task, sizeof(*task));
		}
		return NULL;
	}
	task->process = new;
	if (!thread && process) {
		new->parent = process;
		new->program = node_get(process->program);
		new->cwd = node_get(process->cwd);
		new->umask = process->umask;
		memcpy(new->actions, process->actions, sizeof(new->actions));
		fd_copy_all(new, process);
	}
	return task;
}

static void drop_files(struct process *process)
{
	fd_close_all(process);
	if (process->program)
		node_put(process->program);
	node_put(process->cwd);
	process->program = process->cwd = NULL;
}

static void drop_task(struct task *task, bool thread)
{
	uncount_task();
	if (!thread) {
		drop_files(task->process);
		kernel_free(task->process, sizeof(*task->process));
	}
	kernel_free(task->stack, STACK_BYTES);
	kernel_free(task, sizeof(*task));
}

/* Into the lists. False: the process is ending, and must not get another task. */
static bool publish(struct task *task, bool thread)
{
	struct process *process = task->process;

	lock();
	bool dying = atomic_load_explicit(&process->dying, memory_order_relaxed);
	if (!dying) {
		task->tid = next_id++;
		process->tasks++;
		task->all_next = tasks;
		tasks = task;
		if (!thread) {
			process->pid = task->tid;
			process->group = process->parent ? process->parent->group : task->tid;
			process->next = processes;
			processes = process;
		}
	}
	unlock();
	return !dying;
}

static void inherit_registers(struct task *task, const struct trap_frame *frame, const struct clone *clone)
{
	struct trap_frame *copy = task_frame(task);

	*copy = *frame;
	copy->rax = 0;
	if (clone->stack)
		copy->rsp = clone->stack;
	task->fs_base = clone->flags & CLONE_SETTLS ? clone->tls : current()->fs_base;
	task->blocked = current()->blocked;
	if (clone->flags & CLONE_CHILD_CLEARTID)
		task->clear_tid = clone->child_tid;
	__asm__ volatile("fxsave64 %0" : "=m"(task->fpu));
}

static int take_mm(struct task *task, struct process *parent, uint64_t flags)
{
	struct quire_cpu *cpu = here();

	if (!(flags & CLONE_VM))
		return quire_fork(&cpu, parent->mm, &task->process->mm);
	task->process->mm = quire_mm_get(parent->mm);
	return 0;
}

/* Who waits for its child to let go of the address space ends first. */
static void forget_vfork(_Atomic uint32_t *word)
{
	lock();
	for (struct process *child = processes; child; child = child->next)
		if (child->vfork_word == word)
			child->vfork_word = NULL;
	atomic_store_explicit(word, 1, memory_order_relaxed);
	unlock();
}

int64_t process_clone(const struct clone *clone, const struct trap_frame *frame)
{
	struct process *parent = current()->process;
	bool thread = (clone->flags & CLONE_THREAD) != 0;
	bool vfork = (clone->flags & CLONE_VFORK) && !thread;
	struct quire_cpu *cpu;

	if (!count_task())
		return -QUIRE_EAGAIN;
	struct task *task = make_task(parent, thread);
	if (!task) {
		uncount_task();
		return -QUIRE_ENOMEM;
	}
	int err = thread ? 0 : take_mm(task, parent, clone->flags);
	if (err) {
		drop_task(task, thread);
		return err;
	}
	inherit_registers(task, frame, clone);
	struct process *process = task->process;
	if (vfork) {
		atomic_store_explicit(&current()->vfork_done, 0, memory_order_relaxed);
		process->vfork_word = &current()->vfork_done;
	}
	if (!publish(task, thread)) {
		drop_task(task, true);
		return -QUIRE_EAGAIN;
	}
	int tid = task->tid;
	if (clone->flags & CLONE_PARENT_SETTID)
		copy_out(clone->parent_tid, &tid, sizeof(tid));
	cpu = here();
	if (clone->flags & CLONE_CHILD_SETTID)
		quire_copy_to(&cpu, process->mm, clone->child_tid, &tid, sizeof(tid));
	task_start(task, NULL);
	/* Acquire pairs with the release in process_let_go_of_mm(). The child may be gone by then. */
	while (vfork && !atomic_load_explicit(&current()->vfork_done, memory_order_acquire)) {
		if (task_is_killed())
			forget_vfork(&current()->vfork_done);
		else
			task_wait_unless_killed(&current()->vfork_done, 0);
	}
	return tid;
}

/* ---- the first ------------------------------------------------------------------------------------- */

/* The boot strings: how many arguments there are, those, the environment. */
static void split(struct strings *arguments, struct strings *environment)
{
	char *strings = (char *)(uintptr_t)tree_boot_strings;
	unsigned left = 0;
	size_t at = 0;

	for (; strings[at] >= '0' && strings[at] <= '9'; at++)
		left = left * 10 + (unsigned)(strings[at] - '0');
	at++;
	*arguments = *environment = (struct strings){ strings + at, 0, 0 };
	while (at < tree_boot_bytes) {
		struct strings *into = left ? arguments : environment;
		size_t bytes = strlen(strings + at) + 1;

		if (!into->count++)
			into->at = strings + at;
		into->bytes += bytes;
		at += bytes;
		left -= left != 0;
	}
}

static void open_console(void)
{
	struct node *node;

	for (unsigned fd = 0; fd < 3; fd++) {
		struct open_file *file = tree_look(tree_root(), "/dev/console", LOOK_FOLLOW, &node, NULL)
						 ? NULL
						 : open_node(node, OPEN_READ_WRITE);
		if (!file || fd_install(file, fd, false) < 0)
			kernel_panic("there is no console");
	}
}

static void run_first(void)
{
	struct strings arguments, environment;

	open_console();
	if (!tree_boot_bytes || tree_boot_strings[tree_boot_bytes - 1])
		kernel_panic("the archive of files does not say what to run");
	split(&arguments, &environment);
	int err = arguments.count ? exec_load(arguments.at, &arguments, &environment, task_frame(current()))
				  : -QUIRE_ENOENT;
	if (err) {
		report("missing %s: %d\n", arguments.at, -err);
		kprintf("quire: cannot run %s: error %d\n", arguments.at, -err);
		process_exit(127 << 8);
	}
}

void process_start_first(void)
{
	struct quire_stats stats;
	struct task *task = make_task(NULL, false);

	if (!task)
		kernel_panic("there is no memory for the first process");
	task->process->cwd = node_get(tree_root());
	task->process->umask = 022;
	publish(task, false);
	quire_stats_read(metal_quire, &stats);
	frames_at_start = stats.frames_free;
	heap_at_start = kernel_heap_used();
	task_start(task, run_first);
}

/* ---- ending ---------------------------------------------------------------------------------------- */

/* Under process_lock: let every task of @process end. */
void process_begin_end(struct process *process, int status)
{
	if (atomic_load_explicit(&process->dying, memory_order_relaxed))
		return;
	process->status = status;
	atomic_store_explicit(&process->dying, true, memory_order_relaxed);
	quire_port_fence(); /* see task_wait(): it puts itself into the table, and then looks for this */
	for (struct task *task = tasks; task; task = task->all_next)
		if (task->process == process)
			task_wake(task);
	/* Those that run a program notice at their next tick; it need not be that long. */
	for (unsigned id = 0; id < metal_cpu_count; id++)
		if (metal_cpus[id] != this_cpu())
			apic_send(metal_cpus[id], VECTOR_WAKE);
}

void process_exit(int status)
{
	lock();
	process_begin_end(current()->process, status);
	unlock();
	task_exit();
}

void process_out_of_memory(void)
{
	struct task *task = current();

	kprintf("quire: %s %d ended: there is no memory left\n", task->name, task->tid);
	lock();
	process_begin_end(task->process, SIGNAL_KILL);
	unlock();
}

/* Its last task, or exec's only one: the address space may go. */
void process_let_go_of_mm(struct process *process)
{
	struct quire_mm *mm = process->mm;
	struct quire_cpu *cpu = here();

	process->mm = NULL;
	if (!mm)
		return;
	quire_cpu_leave(cpu);
	quire_mm_put(&cpu, mm);
	lock();
	_Atomic uint32_t *word = process->vfork_word;
	process->vfork_word = NULL;
	if (word) {
		atomic_store_explicit(word, 1, memory_order_release);
		waits_wake(word, ~0u);
	}
	unlock();
}

static void forget_task(struct task *task)
{
	for (struct task **link = &tasks; *link; link = &(*link)->all_next) {
		if (*link == task) {
			*link = task->all_next;
			return;
		}
	}
}

static void forget_process(struct process *process)
{
	for (struct process **link = &processes; *link; link = &(*link)->next) {
		if (*link == process) {
			*link = process->next;
			return;
		}
	}
}

static void changed(struct process *parent)
{
	atomic_fetch_add_explicit(&parent->event, 1, memory_order_release);
	waits_wake(&parent->event, ~0u);
}

static struct process *first_process(void)
{
	struct process *process = processes;

	while (process && process->pid != 1)
		process = process->next;
	return process;
}

/* That which gets the process's signals; NULL: it has none any more. */
static struct task *task_of(const struct process *process)
{
	struct task *task = tasks;

	while (task && task->process != process)
		task = task->all_next;
	return task;
}

/* Its children are the first process's now, and its parent hears of it. */
static void become_zombie(struct process *process)
{
	lock();
	struct process *first = first_process();
	for (struct process *other = processes; other; other = other->next)
		if (other->parent == process)
			other->parent = first;
	process->zombie = true;
	struct process *parent = process->parent;
	if (parent) {
		struct task *task = task_of(parent);
		if (task)
			signal_send(task, SIGNAL_CHLD, SENT_BY_KERNEL);
		changed(parent);
	}
	if (first && first != parent)
		changed(first);
	unlock();
}

/* A zombie that was asked for. */
static void free_process(struct process *process)
{
	kernel_free(process, sizeof(*process));
	uncount_task();
}

/* The first process ends: all others do, and are waited for. */
static void end_others(struct process *first)
{
	for (;;) {
		uint32_t seen = atomic_load_explicit(&first->event, memory_order_acquire);
		struct process *gone = NULL;
		bool others = false;

		lock();
		for (struct process *process = processes; process; process = process->next) {
			if (process == first)
				continue;
			others = true;
			process_begin_end(process, SIGNAL_KILL);
			if (process->zombie)
				gone = process;
		}
		if (gone)
			forget_process(gone);
		unlock();
		if (!others)
			return;
		if (gone)
			free_process(gone);
		else
			task_wait_patiently(&first->event, seen, 0);
	}
}

static int exit_status(int status)
{
	return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}

static void print_stats(const struct quire_stats *stats)
{
	struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "faults", stats->faults },
		{ "faults: fresh zeroed pages", stats->faults_anon },
		{ "faults: the zero page", stats->faults_zero },
		{ "faults: pages of files", stats->faults_file },
		{ "faults: further pages of files", stats->faults_around },
		{ "faults: copies on write", stats->faults_cow },
		{ "faults: reused on write", stats->faults_reuse },
		{ "faults: restarts", stats->faults_restarts },
		{ "faults: under RCU alone", stats->faults_rcu },
		{ "faults: using the mapping", stats->faults_held },
		{ "faults: holding their address", stats->faults_locked },
		{ "pages flushed", stats->flushes_page },
		{ "full flushes", stats->flushes_full },
		{ "shootdowns", stats->shootdowns },
		{ "CPUs interrupted", stats->ipis },
		{ "page tables freed", stats->tables_freed },
		{ "frames, at most in use", stats->frames_peak },
	};

	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		report("stat %lu %s\n", lines[i].value, lines[i].name);
	report("stat %lu bytes of small objects\n", kernel_heap_used());
	report("stat %lu of them before the first process\n", heap_at_start);
	report("stat %lu milliseconds\n", time_monotonic() / 1000000);
}

/* Everything is gone that the program had; is it? */
static _Noreturn void end_machine(struct process *first)
{
	struct quire_stats stats;

	end_others(first);
	tree_end();
	rcu_wait_all();
	quire_stats_read(metal_quire, &stats);
	if (boot_option("stats"))
		print_stats(&stats);
	report("frames %ld\n", (int64_t)(frames_at_start - stats.frames_free));
	report("tables %lu committed %lu\n", stats.frames_tables, stats.committed_pages);
	power_off(exit_status(first->status));
}

void task_exit(void)
{
	struct task *task = current();
	struct process *process = task->process;
	uint32_t zero = 0;

	if (task->clear_tid && copy_out(task->clear_tid, &zero, sizeof(zero)) == 0)
		futex_wake_at(process->mm, task->clear_tid, 1);
	lock();
	forget_task(task);
	bool last = --process->tasks == 0;
	bool whole = atomic_load_explicit(&process->dying, memory_order_relaxed);
	if (last && !whole)
		atomic_store_explicit(&process->dying, true, memory_order_relaxed);
	unlock();
	if (last) {
		drop_files(process);
		process_let_go_of_mm(process);
		if (process->pid == 1)
			end_machine(process);
		become_zombie(process);
		/* From here on the process may be gone. */
	}
	if (!last)
		uncount_task();
	task_end();
}

/* ---- waiting --------------------------------------------------------------------------------------- */

static bool is_meant(const struct process *child, int64_t pid)
{
	return pid > 0 ? child->pid == pid
		       : pid == -1 || child->group == (pid ? -pid : current()->process->group);
}

int64_t process_wait(int64_t pid, quire_vaddr status, unsigned options, quire_vaddr usage)
{
	struct process *me = current()->process;
	static const char no_usage[144];

	for (;;) {
		uint32_t seen = atomic_load_explicit(&me->event, memory_order_acquire);
		struct process *found = NULL;
		bool any = false;

		lock();
		for (struct process *child = processes; child; child = child->next) {
			if (child->parent != me || !is_meant(child, pid))
				continue;
			any = true;
			if (child->zombie)
				found = child;
		}
		if (found)
			forget_process(found);
		unlock();
		if (found) {
			int result = found->pid, how = found->status;

			free_process(found);
			if ((status && copy_out(status, &how, sizeof(how))) ||
			    (usage && copy_out(usage, no_usage, sizeof(no_usage))))
				return -QUIRE_EFAULT;
			return result;
		}
		if (!any)
			return -ERROR_CHILD;
		if (options & 1) /* WNOHANG */
			return 0;
		if (task_has_signal())
			return -QUIRE_EINTR;
		task_wait(&me->event, seen, 0);
	}
}

/* ---- looking --------------------------------------------------------------------------------------- */

static struct process *process_find(int64_t pid)
{
	struct process *process = processes;

	while (process && process->pid != pid)
		process = process->next;
	return process;
}

int64_t process_group_of(int64_t pid)
{
	lock();
	struct process *process = pid ? process_find(pid) : current()->process;
	int64_t group = process ? process->group : -QUIRE_ESRCH;
	unlock();
	return group;
}

int64_t process_set_group(int64_t pid, int64_t group)
{
	lock();
	struct process *process = pid ? process_find(pid) : current()->process;
	if (process)
		process->group = group ? (int)group : process->pid;
	unlock();
	return process ? 0 : -QUIRE_ESRCH;
}

int64_t process_kill(int64_t pid, int64_t tid, unsigned signal)
{
	struct process *me = current()->process;
	bool found = false, sent = false;

	if (signal > SIGNALS)
		return -QUIRE_EINVAL;
	lock();
	for (struct task *task = tasks; task; task = task->all_next) {
		struct process *process = task->process;
		bool meant = tid       ? task->tid == tid && (pid <= 0 || process->pid == pid)
			     : pid > 0 ? process->pid == pid && !found
			     : pid == -1
				     ? process != me && process->pid != 1 && task == task_of(process)
				     : process->group == (pid ? -pid : me->group) && task == task_of(process);
		if (!meant)
			continue;
		found = true;
		if (signal == SIGNAL_KILL)
			process_begin_end(process, SIGNAL_KILL);
		else if (signal && !sent)
			signal_send(task, (int)signal, tid ? SENT_BY_TKILL : SENT_BY_KILL);
		sent = pid > 0 || tid;
	}
	if (!found && pid > 0 && !tid && process_find(pid))
		found = true; /* a zombie */
	unlock();
	return found ? 0 : -QUIRE_ESRCH;
}

/* When the machine stops, whatever the lock says. */
void processes_print(void)
{
	static const char *const states[] = { "ready", "running", "waiting", "dead" };

	kprintf("process_lock %s; heap in use %lu bytes\n", process_lock.word ? "held" : "free",
		kernel_heap_used());
	for (struct task *task = tasks; task; task = task->all_next) {
		kprintf("  %s %d of %d: %s, CPU %u, %lu calls, waits for %p\n", task->name, task->tid,
			task->process->pid, states[task->state & 3], task->cpu->id, task->calls,
			(void *)task->waits_for);
		for (unsigned i = 0; i < HELD_LOCKS; i++)
			if (task->held[i])
				kprintf("    has the lock %p\n", task->held[i]);
	}
}

/* ---- back to the program --------------------------------------------------------------------------- */

void process_end_by(int signal)
{
	lock();
	process_begin_end(current()->process, signal);
	unlock();
}

/* Signals to deliver, others to run. Out of line, as most often there is nothing to do. */
static __attribute__((noinline)) void user_work(struct trap_frame *frame)
{
	for (;;) {
		struct metal_cpu *me = this_cpu();

		me->spin_since = 0;
		if (has_signal(me->current)) {
			if (is_killed(me->current))
				task_exit();
			signal_deliver(frame);
			continue;
		}
		if (!me->resched)
			return;
		me->resched = false;
		rcu_work(me);
		sched_yield_cpu();
	}
}

void user_return(struct trap_frame *frame)
{
	struct metal_cpu *me = this_cpu();

	me->spin_since = 0;
	if (has_signal(me->current) || me->resched)
		user_work(frame);
}
