/*
 * sched.c - tasks: which one a CPU runs, how it stops and goes on.
 *
 * Each CPU has a queue of tasks that are ready. A task that wakes goes into the queue of the CPU that it
 * last ran on, where it may still be on its way to sleep: its stack is in use until the CPU has switched to
 * another. Only that CPU takes such a task (and finds that it need not switch); others, which have nothing
 * to do and look into the queues of their neighbours, leave it alone.
 *
 *	RUNNING --> WAITING --(wake)--> READY, in a queue --> RUNNING	DEAD: freed by who runs next
 *
 * A task sleeps until a word changes, in a table hashed by the word's address. waits_wake() comes after the
 * word's change and looks under the bucket's lock; the sleeper looks at the word again under the same lock,
 * when it is in the table. So one of the two sees the other. Signals and time wake a task out of the table
 * as well, for no reason as far as the word is concerned; whoever takes it out of the bucket's list under
 * the lock wakes it, and nobody else.
 *
 * Order:   a bucket's lock or the timers', then a run queue's. Two queues' never.
 */
#include "task.h"

#include "process.h"
#include "x86.h"

void switch_stacks(uint64_t *save, uint64_t load);
void task_begin(void);

/* The last word of a stack: whoever needs more writes over it first. */
#define STACK_MARK 0x6b6361747320666full

/* ---- queues ---------------------------------------------------------------------------------------- */

static void enqueue(struct metal_cpu *target, struct task *task)
{
	struct run_queue *queue = &target->queue;

	spin_lock(&queue->lock);
	task->next = NULL;
	*queue->last = task;
	queue->last = &task->next;
	atomic_fetch_add_explicit(&queue->length, 1, memory_order_relaxed);
	spin_unlock(&queue->lock);
}

/* The first task in @target's queue that @me may run. */
static struct task *dequeue(struct metal_cpu *me, struct metal_cpu *target)
{
	struct run_queue *queue = &target->queue;
	struct task **link, *task;

	if (!atomic_load_explicit(&queue->length, memory_order_relaxed))
		return NULL;
	spin_lock(&queue->lock);
	for (link = &queue->first; (task = *link) != NULL; link = &task->next) {
		/* Acquire pairs with the release in finish_switch(): its stack is as it left it. */
		if (me != target &&
		    (task->pinned || atomic_load_explicit(&task->on_cpu, memory_order_acquire)))
			continue;
		*link = task->next;
		if (!*link)
			queue->last = link;
		atomic_fetch_sub_explicit(&queue->length, 1, memory_order_relaxed);
		break;
	}
	spin_unlock(&queue->lock);
	return task;
}

static struct task *pick(struct metal_cpu *me)
{
	struct task *task = dequeue(me, me);

	for (unsigned i = 1; !task && i < metal_cpu_count; i++)
		task = dequeue(me, metal_cpus[(me->id + i) % metal_cpu_count]);
	return task;
}

static bool is_idle(struct metal_cpu *cpu)
{
	return atomic_load_explicit(&cpu->rcu.idle, memory_order_relaxed);
}

/* There is work: for @target if it is idle, for any that is. */
void sched_kick(struct metal_cpu *target)
{
	/*
	 * A CPU goes idle, then looks at the queues, then halts; we queued, then look whether it is idle. The
	 * fence pairs with the one in sched_idle().
	 */
	quire_port_fence();
	for (unsigned i = 0; i < metal_cpu_count; i++) {
		struct metal_cpu *cpu = metal_cpus[(target->id + i) % metal_cpu_count];

		if (is_idle(cpu) && atomic_load_explicit(&cpu->online, memory_order_relaxed)) {
			if (cpu != this_cpu())
				apic_send(cpu, VECTOR_WAKE);
			return;
		}
	}
}

static void make_ready(struct task *task)
{
	struct metal_cpu *target = task->cpu;

	atomic_store_explicit(&task->state, TASK_READY, memory_order_relaxed);
	enqueue(target, task);
	sched_kick(target);
}

/* ---- switching ------------------------------------------------------------------------------------- */

static void task_free(struct task *task)
{
	kernel_free(task->stack, STACK_BYTES);
	kernel_free(task, sizeof(*task));
}

/* On the new task's stack. */
static void finish_switch(void)
{
	struct task *previous = this_cpu()->previous;

	if (atomic_load_explicit(&previous->state, memory_order_relaxed) == TASK_DEAD) {
		task_free(previous);
		return;
	}
	/* Release pairs with the acquire in dequeue(). */
	atomic_store_explicit(&previous->on_cpu, 0, memory_order_release);
}

/* The first thing that a new task does. */
void task_first(void);
void task_first(void)
{
	finish_switch();
}

static void save_user_state(struct task *task)
{
	if (task->process)
		__asm__ volatile("fxsave64 %0" : "=m"(task->fpu));
}

static void load_user_state(struct metal_cpu *me, struct task *task)
{
	me->kernel_stack = (uint64_t)task->stack + STACK_BYTES;
	me->tss.rsp0 = me->kernel_stack;
	if (!task->process || !task->process->mm) {
		quire_cpu_idle(me->cpu);
		return;
	}
	__asm__ volatile("fxrstor64 %0" : : "m"(task->fpu));
	write_msr(MSR_FS_BASE, task->fs_base);
	quire_cpu_run(me->cpu, task->process->mm);
}

static void switch_to(struct metal_cpu *me, struct task *next)
{
	struct task *previous = me->current;

	atomic_store_explicit(&next->state, TASK_RUNNING, memory_order_relaxed);
	me->resched = false;
	me->spin_since = 0;
	if (next == previous)
		return;
	if (previous->stack && *(uint64_t *)(void *)previous->stack != STACK_MARK)
		kernel_panic("a kernel stack has overflowed");
	save_user_state(previous);
	atomic_store_explicit(&next->on_cpu, 1, memory_order_relaxed);
	next->cpu = me;
	me->current = next;
	me->previous = previous;
	load_user_state(me, next);
	switch_stacks(&previous->stack_at, next->stack_at);
	finish_switch(); /* perhaps on another CPU */
}

void schedule(void)
{
	struct metal_cpu *me = this_cpu();

	if (me->rcu.depth)
		kernel_panic("a task sleeps in a read-side section");
	rcu_quiescent(me);
	struct task *next = pick(me);
	switch_to(me, next ? next : me->idle);
}

void sched_yield_cpu(void)
{
	struct task *task = current();

	if (task == this_cpu()->idle)
		return;
	atomic_store_explicit(&task->state, TASK_READY, memory_order_relaxed);
	enqueue(this_cpu(), task);
	schedule();
}

void sched_breathe(void)
{
	struct metal_cpu *me = this_cpu();

	let_interrupts_in();
	me->spin_since = 0;
	if (!me->resched)
		return;
	me->resched = false;
	sched_yield_cpu();
}

void task_note_fs_base(uint64_t base)
{
	current()->fs_base = base;
	write_msr(MSR_FS_BASE, base);
}

/* ---- the idle task --------------------------------------------------------------------------------- */

void sched_start(struct metal_cpu *me)
{
	struct task *idle = kernel_alloc(sizeof(*idle));

	if (!idle)
		kernel_panic("there is no memory for an idle task");
	copy_string(idle->name, "idle", sizeof(idle->name));
	idle->cpu = me;
	atomic_store_explicit(&idle->state, TASK_RUNNING, memory_order_relaxed);
	atomic_store_explicit(&idle->on_cpu, 1, memory_order_relaxed);
	me->queue.last = &me->queue.first;
	me->idle = me->current = idle;
}

static bool is_work(void)
{
	for (unsigned id = 0; id < metal_cpu_count; id++)
		if (atomic_load_explicit(&metal_cpus[id]->queue.length, memory_order_relaxed))
			return true;
	return false;
}

void sched_idle(void)
{
	for (;;) {
		struct metal_cpu *me = this_cpu();

		me->spin_since = 0;
		ipi_serve(me);
		if (rcu_work(me))
			continue;
		rcu_idle_begin(me);
		quire_port_fence(); /* see sched_kick() */
		if (!is_work())
			wait_for_interrupt();
		rcu_idle_end(me);
		struct task *next = pick(me);
		if (next) {
			/* Who woke us may have had more to do than for one. */
			if (is_work())
				sched_kick(me);
			switch_to(me, next);
		}
	}
}

/* ---- waiting --------------------------------------------------------------------------------------- */

#define BUCKETS 64

static struct bucket {
	_Alignas(64) struct quire_spin lock;
	struct task *first;
} buckets[BUCKETS];

static struct quire_spin timers_lock;
static struct task *timers; /* unsorted: a few */

static struct bucket *bucket_of(_Atomic uint32_t *word)
{
	return &buckets[((uintptr_t)word >> 2) * 0x9e3779b97f4a7c15ull >> 58];
}

/* Under the bucket's lock. False: somebody else has taken it out. */
static bool take_out(struct bucket *bucket, struct task *task)
{
	for (struct task **link = &bucket->first; *link; link = &(*link)->next) {
		if (*link == task) {
			*link = task->next;
			return true;
		}
	}
	return false;
}

static void timer_add(struct task *task, uint64_t deadline)
{
	spin_lock(&timers_lock);
	task->deadline = deadline;
	task->timer_next = timers;
	timers = task;
	spin_unlock(&timers_lock);
}

static void timer_remove(struct task *task)
{
	spin_lock(&timers_lock);
	for (struct task **link = &timers; *link; link = &(*link)->timer_next) {
		if (*link == task) {
			*link = task->timer_next;
			break;
		}
	}
	task->deadline = 0;
	spin_unlock(&timers_lock);
}

enum patience { INTERRUPTIBLE, KILLABLE, PATIENT };

static bool wait_for(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline, enum patience patience)
{
	struct task *task = current();
	struct bucket *bucket = bucket_of(word);
	bool may_end = patience != PATIENT && task->process;

	if (task == this_cpu()->idle) { /* at the start, when there is nobody to wait for */
		quire_port_relax(here());
		return true;
	}
	if (deadline)
		timer_add(task, deadline);
	spin_lock(&bucket->lock);
	atomic_store_explicit(&task->woken, false, memory_order_relaxed);
	bool waits = atomic_load_explicit(word, memory_order_seq_cst) == seen;
	if (waits) {
		atomic_store_explicit(&task->waits_for, word, memory_order_relaxed);
		/* Whoever takes it out makes it ready, which this CPU may find before it has switched. */
		atomic_store_explicit(&task->state, TASK_WAITING, memory_order_relaxed);
		task->next = NULL;
		struct task **link = &bucket->first;
		while (*link)
			link = &(*link)->next;
		*link = task;
	}
	spin_unlock(&bucket->lock);
	/*
	 * A signal, the end of the process or the deadline may have come before we were in the table. Full
	 * fence: against kill and tick, which make their mark and then look for us.
	 */
	quire_port_fence();
	may_end = may_end && (patience == KILLABLE ? task_is_killed() : task_has_signal());
	if (waits && (may_end || (deadline && time_monotonic() >= deadline)))
		task_wake(task);
	if (waits)
		schedule();
	atomic_store_explicit(&task->waits_for, NULL, memory_order_relaxed);
	if (deadline)
		timer_remove(task);
	return !waits || atomic_load_explicit(&task->woken, memory_order_relaxed);
}

bool task_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline)
{
	return wait_for(word, seen, deadline, INTERRUPTIBLE);
}

void task_wait_unless_killed(_Atomic uint32_t *word, uint32_t seen)
{
	wait_for(word, seen, 0, KILLABLE);
}

void task_wait_patiently(_Atomic uint32_t *word, uint32_t seen, uint64_t deadline)
{
	wait_for(word, seen, deadline, PATIENT);
}

/* Wake @task out of whatever it waits for. The caller sees to it that it does not go away. */
void task_wake(struct task *task)
{
	_Atomic uint32_t *word = atomic_load_explicit(&task->waits_for, memory_order_relaxed);

	if (!word)
		return;
	struct bucket *bucket = bucket_of(word);
	spin_lock(&bucket->lock);
	if (take_out(bucket, task))
		make_ready(task);
	spin_unlock(&bucket->lock);
}

void waits_wake(_Atomic uint32_t *word, unsigned most)
{
	struct bucket *bucket = bucket_of(word);

	spin_lock(&bucket->lock);
	for (struct task **link = &bucket->first; *link && most;) {
		struct task *task = *link;

		if (atomic_load_explicit(&task->waits_for, memory_order_relaxed) != word) {
			link = &task->next;
			continue;
		}
		*link = task->next;
		most--;
		atomic_store_explicit(&task->woken, true, memory_order_relaxed);
		make_ready(task);
	}
	spin_unlock(&bucket->lock);
}

/* On the first CPU: those whose time has come. */
static void run_timers(void)
{
	uint64_t now = time_monotonic();

	spin_lock(&timers_lock);
	for (struct task *task = timers; task; task = task->timer_next)
		if (task->deadline <= now)
			task_wake(task); /* it takes itself out of the list, and cannot go before */
	spin_unlock(&timers_lock);
}

/*
 * The watchdog. A run has its limit; and a CPU that takes no ticks is in the kernel, or nowhere, for so long
 * that it will not come back. (One that spins there notices by itself: quire_port_relax().) The time is
 * generous: CPUs that are threads of a busy host may get nothing for seconds.
 */
static _Atomic uint64_t limit_from;
static const char *_Atomic limit_of = "the run takes longer than its limit";

void sched_limit(const char *what)
{
	atomic_store_explicit(&limit_from, time_monotonic(), memory_order_relaxed);
	atomic_store_explicit(&limit_of, what, memory_order_relaxed);
}

static void watch(struct metal_cpu *me)
{
	static uint64_t limit = ~0ull;
	uint64_t now = time_monotonic();

	atomic_store_explicit(&me->ticked, now, memory_order_relaxed);
	if (limit == ~0ull)
		limit = boot_number("limit=") * 1000000000;
	if (limit && now > limit + atomic_load_explicit(&limit_from, memory_order_relaxed))
		trap_stop_all(atomic_load_explicit(&limit_of, memory_order_relaxed));
	for (unsigned id = 0; id < metal_cpu_count; id++) {
		struct metal_cpu *other = metal_cpus[id];
		uint64_t ticked = atomic_load_explicit(&other->ticked, memory_order_relaxed);

		if (atomic_load_explicit(&other->online, memory_order_relaxed) && ticked && now > ticked &&
		    now - ticked > HANG_SECONDS * 1000000000ull)
			trap_stop_all("a CPU takes no interrupts any more");
	}
}

void sched_tick(void)
{
	struct metal_cpu *me = this_cpu();

	me->ticks++;
	me->resched = true;
	watch(me);
	if (me->id == 0) {
		console_poll();
		run_timers();
	}
}

/* ---- tasks ----------------------------------------------------------------------------------------- */

struct task *task_create(const char *name)
{
	struct task *task = kernel_alloc(sizeof(*task));

	if (!task)
		return NULL;
	task->stack = kernel_alloc(STACK_BYTES);
	if (!task->stack) {
		kernel_free(task, sizeof(*task));
		return NULL;
	}
	copy_string(task->name, name, sizeof(task->name));
	*(uint64_t *)(void *)task->stack = STACK_MARK;
	/* An FPU as a program finds it: all exceptions masked. */
	*(uint16_t *)(void *)&task->fpu[0] = 0x37f;
	*(uint32_t *)(void *)&task->fpu[24] = 0x1f80;
	return task;
}

struct trap_frame *task_frame(struct task *task)
{
	return (struct trap_frame *)(void *)(task->stack + STACK_BYTES) - 1;
}

struct switch_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, rip;
};

void task_start(struct task *task, void (*run)(void))
{
	struct switch_frame *frame = (struct switch_frame *)(void *)task_frame(task) - 1;
	struct metal_cpu *target = task->pinned ? task->pinned : this_cpu();

	*frame = (struct switch_frame){ .r12 = (uint64_t)run, .rip = (uint64_t)task_begin };
	task->stack_at = (uint64_t)frame;
	for (unsigned id = 0; id < metal_cpu_count && !task->pinned; id++) {
		struct metal_cpu *cpu = metal_cpus[id];

		if (atomic_load_explicit(&cpu->online, memory_order_relaxed) && is_idle(cpu) &&
		    !atomic_load_explicit(&cpu->queue.length, memory_order_relaxed)) {
			target = cpu;
			break;
		}
	}
	task->cpu = target;
	make_ready(task);
}

void task_end(void)
{
	atomic_store_explicit(&current()->state, TASK_DEAD, memory_order_relaxed);
	schedule();
	kernel_panic("a dead task runs");
}

/* ---- mutexes --------------------------------------------------------------------------------------- */

void mutex_lock(struct mutex *mutex)
{
	uint32_t word = 0;

	/* Acquire pairs with the release in mutex_unlock(). */
	if (atomic_compare_exchange_strong_explicit(&mutex->word, &word, 1, memory_order_acquire,
						    memory_order_relaxed))
		return;
	while (atomic_exchange_explicit(&mutex->word, 2, memory_order_acquire))
		task_wait_patiently(&mutex->word, 2, 0);
}

void mutex_unlock(struct mutex *mutex)
{
	if (atomic_exchange_explicit(&mutex->word, 0, memory_order_release) == 2)
		waits_wake(&mutex->word, 1);
}
