/*
 * machine.c - the hosted machine's interface (machines/hosted/hosted.h) on this one: so tests that were
 * written for the other run on real page tables and real TLBs.
 *
 * There is one machine, the real one. To create it anew is to make a new instance of the core on the same
 * memory, with the CPUs that there are. A CPU's jobs run one after the other in a task that stays there. A
 * load is a load: with the CPU's own MMU, under SMAP's lifted hand, and a fault of it is quire_fault()'s.
 *
 * Between hosted_destroy() and the next hosted_create() nobody runs but the task that calls them, on CPU 0:
 * so nobody uses an instance that goes. One that a failed test has left as it was is only forgotten, and so
 * is the first, which the kernel began with.
 *
 * What differs: the memory asked for comes on top of the kernel's own frames, which a file of the core has.
 * And the kernel cannot execute a program's page: whether one may is read from the entry.
 */
#include "machines/hosted/hosted.h"

#include "core/table/tlb.h"
#include "land.h"
#include "machines/metal/task.h"
#include "machines/metal/x86.h"
#include "tap.h"

#define JOBS 16

struct job {
	hosted_job *run;
	void *argument;
	_Atomic uint32_t *done; /* set to 1; NULL: nobody waits */
};

struct worker {
	struct quire_spin lock;
	struct job jobs[JOBS];	/* lock: [first, last) by the remainders */
	uint32_t first, last;	/* lock */
	_Atomic uint32_t event; /* moves when a job comes, or the end */
};

struct hosted {
	struct worker workers[MAX_CPUS];
	unsigned cpus;
	_Atomic uint32_t busy, alive; /* jobs that are not done, workers */
	_Atomic bool ends;
	bool given_back; /* by its test: the instance may be destroyed */
	struct quire_file *reserved;
};

static struct hosted *machine;
static _Atomic uint64_t refuse_after = UINT64_MAX;

/* ---- the instance ---------------------------------------------------------------------------------- */

extern uint64_t boot_pml4[];

/* The root that is loaded goes with its instance. */
static void leave_root(struct quire_cpu *cpu, void *argument)
{
	struct metal_cpu *me = cpu->machine;

	(void)argument;
	me->root = physical_of(boot_pml4);
	me->asid = 0;
	write_cr3(me->root);
}

static void leave_roots(void)
{
	struct quire_cpu_mask others = { { ((1ull << metal_cpu_count) - 1) & ~(1ull << this_cpu()->id) } };

	quire_port_ipi(here(), &others, leave_root, NULL);
	leave_root(here(), NULL);
}

static void end_instance(void)
{
	struct quire_cpu *cpu = here();
	bool is_whole = machine && machine->given_back;

	if (is_whole)
		quire_file_put(&cpu, machine->reserved);
	rcu_wait_all();
	leave_roots();
	cpu = here();
	if (is_whole)
		quire_destroy(&cpu);
}

static int create_instance(const struct hosted_config *wanted)
{
	struct quire_config config = wanted->quire;
	uint64_t pages = wanted->memory_bytes / QUIRE_PAGE_SIZE;
	uint32_t ratio = config.overcommit_ratio ? config.overcommit_ratio : 50;

	config.frames = pages + memory_frames_kept();
	config.overcommit_ratio = (uint32_t)(ratio * pages / config.frames);
	int err = memory_instance(&config);
	for (unsigned id = 1; !err && id < metal_cpu_count; id++)
		err = quire_cpu_create(here(), metal_quire, id, metal_cpus[id], &metal_cpus[id]->cpu);
	return err;
}

/* ---- jobs ------------------------------------------------------------------------------------------ */

static bool take_job(struct worker *worker, struct job *out)
{
	spin_lock(&worker->lock);
	bool any = worker->first != worker->last;
	if (any)
		*out = worker->jobs[worker->first++ % JOBS];
	spin_unlock(&worker->lock);
	return any;
}

static void wake(_Atomic uint32_t *word)
{
	waits_wake(word, ~0u);
}

static void finish(struct job *job)
{
	if (job->done) {
		/* Release pairs with the acquire in wait_until(). */
		atomic_store_explicit(job->done, 1, memory_order_release);
		wake(job->done);
	}
	atomic_fetch_sub_explicit(&machine->busy, 1, memory_order_release);
	wake(&machine->busy);
}

static void work(void)
{
	struct worker *worker = &machine->workers[this_cpu()->id];
	struct job job;

	for (;;) {
		uint32_t seen = atomic_load_explicit(&worker->event, memory_order_acquire);

		if (take_job(worker, &job)) {
			struct quire_cpu *cpu = here();

			job.run(&cpu, job.argument);
			finish(&job);
			continue;
		}
		if (atomic_load_explicit(&machine->ends, memory_order_acquire))
			break;
		task_wait_patiently(&worker->event, seen, 0);
	}
	atomic_fetch_sub_explicit(&machine->alive, 1, memory_order_release);
	wake(&machine->alive);
	task_end();
}

static void wait_until(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t is;

	/* Acquire pairs with the releases above. */
	while ((is = atomic_load_explicit(word, memory_order_acquire)) != value)
		task_wait_patiently(word, is, 0);
}

static void post(unsigned cpu, struct job job)
{
	struct worker *worker = &machine->workers[cpu];

	atomic_fetch_add_explicit(&machine->busy, 1, memory_order_relaxed);
	spin_lock(&worker->lock);
	if (worker->last - worker->first == JOBS)
		kernel_panic("a test posts more jobs than a CPU has room for");
	worker->jobs[worker->last++ % JOBS] = job;
	spin_unlock(&worker->lock);
	atomic_fetch_add_explicit(&worker->event, 1, memory_order_release);
	wake(&worker->event);
}

void hosted_post(struct hosted *on, unsigned cpu, hosted_job *run, void *argument)
{
	(void)on;
	post(cpu, (struct job){ run, argument, NULL });
}

void hosted_run(struct hosted *on, unsigned cpu, hosted_job *run, void *argument)
{
	_Atomic uint32_t done = 0;

	(void)on;
	post(cpu, (struct job){ run, argument, &done });
	wait_until(&done, 1);
}

void hosted_wait(struct hosted *on)
{
	wait_until(&on->busy, 0);
}

/* ---- the machine ----------------------------------------------------------------------------------- */

static void end_workers(void)
{
	atomic_store_explicit(&machine->ends, true, memory_order_release);
	for (unsigned id = 0; id < machine->cpus; id++) {
		atomic_fetch_add_explicit(&machine->workers[id].event, 1, memory_order_release);
		wake(&machine->workers[id].event);
	}
	wait_until(&machine->alive, 0);
}

int hosted_create(const struct hosted_config *config, struct hosted **out)
{
	if (config->cpus > metal_cpu_count)
		tap_skip("it needs more CPUs");
	if (machine && !machine->given_back)
		end_workers();
	end_instance();
	kernel_free(machine, sizeof(*machine));
	machine = kernel_alloc(sizeof(*machine));
	if (!machine || create_instance(config))
		kernel_panic("there is no memory for a test's instance");
	machine->cpus = config->cpus;
	machine->reserved = memory_reserve();
	atomic_store_explicit(&machine->alive, config->cpus, memory_order_relaxed);
	for (unsigned id = 0; id < config->cpus; id++)
		tap_task("worker", id, work);
	*out = machine;
	return 0;
}

void hosted_destroy(struct hosted *on)
{
	hosted_wait(on);
	end_workers();
	on->given_back = true;
}

struct quire *hosted_quire(struct hosted *on)
{
	(void)on;
	return metal_quire;
}

void hosted_poll(struct quire_cpu *cpu)
{
	ipi_serve(cpu->machine);
}

void hosted_fail_objects_after(struct hosted *on, uint64_t succeed)
{
	(void)on;
	atomic_store_explicit(&refuse_after, succeed, memory_order_relaxed);
}

/* ---- before the port's own, by the linker (--wrap) --------------------------------------------------- */

/*
 * Who sleeps lets other tasks onto the CPU, and runs no address space afterwards: the kernel knows of no
 * space of a test's. The hosted machine's CPU goes on with what it had.
 */
static void run_again(struct quire_cpu *cpu, struct quire_as *as)
{
	if (as)
		as_run(cpu, as);
}

static struct quire_as *running(struct quire_cpu *cpu)
{
	struct cpu_tlb *tlb = cpu->tlb;

	return atomic_load_explicit(&tlb->lazy, memory_order_relaxed)
		       ? NULL
		       : atomic_load_explicit(&tlb->as, memory_order_relaxed);
}

void __real_quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen);
void __wrap_quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen);
void __wrap_quire_port_wait(struct quire_cpu **cpu, _Atomic uint32_t *word, uint32_t seen)
{
	struct quire_as *as = running(*cpu);

	__real_quire_port_wait(cpu, word, seen);
	run_again(*cpu, as);
}

void __real_quire_port_rcu_barrier(struct quire_cpu **cpu);
void __wrap_quire_port_rcu_barrier(struct quire_cpu **cpu);
void __wrap_quire_port_rcu_barrier(struct quire_cpu **cpu)
{
	struct quire_as *as = running(*cpu);

	__real_quire_port_rcu_barrier(cpu);
	run_again(*cpu, as);
}

void *__real_quire_port_alloc(struct quire_cpu *cpu, size_t bytes);
void *__wrap_quire_port_alloc(struct quire_cpu *cpu, size_t bytes);
void *__wrap_quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	uint64_t left = atomic_load_explicit(&refuse_after, memory_order_relaxed);

	/* Once refused it wraps round, and is off. */
	if (left != UINT64_MAX && atomic_fetch_sub_explicit(&refuse_after, 1, memory_order_relaxed) == 0)
		return NULL;
	return __real_quire_port_alloc(cpu, bytes);
}

/*
 * The kernel's own frames go back to an instance that ends, and a debug build writes into a frame that is
 * free. They are reached by the direct map then: by the kernel's addresses only the kernel itself is.
 */
void __real_quire_port_copy(void *to, const void *from, size_t bytes);
void __wrap_quire_port_copy(void *to, const void *from, size_t bytes);
void __wrap_quire_port_copy(void *to, const void *from, size_t bytes)
{
	extern char kernel_end[];

	if (to < direct(LOW_RESERVED) || to >= direct(physical_of(kernel_end)))
		__real_quire_port_copy(to, from, bytes);
}

/* ---- the program ----------------------------------------------------------------------------------- */

/*
 * memcpy(), one side of it at the program's addresses; bytes that are left when that faulted. Words go as
 * words: no other CPU sees half of a number.
 */
#define COPY_AS_PROGRAM(instruction, count)                                          \
	__asm__ volatile("movq $1f, %[resume]\n\t"                                   \
			 "stac\n\t" instruction "\n\t"                               \
			 "1: clac\n\t"                                               \
			 "movq $0, %[resume]"                                        \
			 : "+c"(count), "+S"(from), "+D"(to), [resume] "=m"(*resume) \
			 :                                                           \
			 : "memory", "cc")

static size_t copy_as_program(void *to, const void *from, size_t bytes)
{
	uint64_t *resume = &this_cpu()->resume;
	size_t words = bytes / 8;

	if (((uintptr_t)to | (uintptr_t)from | bytes) % 8) {
		COPY_AS_PROGRAM("rep movsb", bytes);
		return bytes;
	}
	COPY_AS_PROGRAM("rep movsq", words);
	return words * 8;
}

static bool may_execute(quire_vaddr at)
{
	const uint64_t *table = direct(this_cpu()->root);

	for (unsigned level = QUIRE_LEVELS - 1;; level--) {
		uint64_t entry = table[at >> QUIRE_LEVEL_SHIFT(level) & (QUIRE_TABLE_ENTRIES - 1)];

		if (!(entry & 1) || entry >> 63)
			return false;
		if (!level || (entry & 0x80))
			return true;
		table = direct(entry & 0xffffffffff000);
	}
}

/* What is left of @bytes, which lie in one page, when it faulted. */
static size_t try_access(unsigned access, quire_vaddr at, void *buffer, size_t bytes)
{
	void *place = (void *)at;

	if (at >= QUIRE_USER_END || (access == QUIRE_ACCESS_EXEC && !may_execute(at)))
		return bytes;
	return access == QUIRE_ACCESS_WRITE ? copy_as_program(place, buffer, bytes)
					    : copy_as_program(buffer, place, bytes);
}

static int access_all(struct quire_cpu **cpu, struct quire_mm *mm, unsigned access, quire_vaddr at,
		      char *buffer, size_t bytes, struct quire_fault *fault)
{
	/* Here the CPU is as in user mode, where a kernel's grace periods get on and interrupts come. */
	hosted_poll(*cpu);
	if (!this_cpu()->rcu.depth)
		rcu_work(this_cpu());
	quire_cpu_run(*cpu, mm);
	while (bytes) {
		size_t part = QUIRE_PAGE_SIZE - at % QUIRE_PAGE_SIZE;

		if (part > bytes)
			part = bytes;
		size_t left = try_access(access, at, buffer, part);
		at += part - left;
		buffer += part - left;
		bytes -= part - left;
		int err = left ? quire_fault(cpu, mm, at, access, fault) : 0;
		if (err)
			return err;
	}
	return 0;
}

int hosted_load(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		struct quire_fault *fault)
{
	return access_all(cpu, mm, QUIRE_ACCESS_READ, from, to, bytes, fault);
}

int hosted_store(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr to, const void *from, size_t bytes,
		 struct quire_fault *fault)
{
	return access_all(cpu, mm, QUIRE_ACCESS_WRITE, to, (char *)(uintptr_t)from, bytes, fault);
}

int hosted_fetch(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr from, void *to, size_t bytes,
		 struct quire_fault *fault)
{
	return access_all(cpu, mm, QUIRE_ACCESS_EXEC, from, to, bytes, fault);
}

/* What tests of the tables ask, without an mm: no fault is taken. */
uint64_t land_load(struct quire_cpu *cpu, quire_vaddr va)
{
	uint64_t word = 0;

	(void)cpu;
	return try_access(QUIRE_ACCESS_READ, va, &word, sizeof(word)) ? 0 : word;
}

bool land_store(struct quire_cpu *cpu, quire_vaddr va, uint64_t word)
{
	(void)cpu;
	return !try_access(QUIRE_ACCESS_WRITE, va, &word, sizeof(word));
}
