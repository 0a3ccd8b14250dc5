/*
 * agent.c - a process whose only purpose is to be an address space: carries out operations on the host's
 * kernel.
 *
 * It is a program of its own, without a library, linked far from where operations work, and it takes away
 * what the kernel put into it (stack, vdso). So its address space is empty but for its own few mappings, the
 * same in every run, and Quire's side can be given the same. wire.h has the protocol.
 */
#include "agent.h"

static char stack[16 << 10] __attribute__((aligned(16), used));

static char threads[WIRE_THREADS][AGENT_THREAD_BYTES] __attribute__((aligned(AGENT_THREAD_BYTES)));

unsigned me;

struct agent_thread *agent_thread(unsigned index)
{
	return (struct agent_thread *)threads[index];
}

void *memset(void *to, int byte, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

/* ---- taking turns ---------------------------------------------------------------------------- */

static uint32_t seen; /* of go[me], last */

static void be_born(unsigned index, uint32_t go);

static word fork_process(const struct wire_op *op)
{
	uint32_t go = __atomic_load_n(&control->go[op->peer], __ATOMIC_ACQUIRE);
	word child = CALL(SYS_fork);

	if (child == 0)
		be_born(op->peer, go);
	else if (child > 0)
		control->pid[op->peer] = (int32_t)child;
	return child < 0 ? child : 0;
}

static void run_one(uint32_t at, const struct wire_op *op)
{
	struct agent_thread *t = agent_thread(0);

	memset(&t->head, 0, sizeof(t->head));
	t->head.op = (uint16_t)at;
	t->head.result = op->kind == WIRE_FORK ? fork_process(op) : carry_out(t, op);
	if (op->slot != WIRE_NO_SLOT && wire_gives_address(t->head.result))
		t->slots[op->slot] = (uint64_t)t->head.result;
	record_begin(&t->head);
	if ((control->looking || op->kind == WIRE_READ_ALL) && op->kind != WIRE_EXIT)
		record_look();
	if (op->kind == WIRE_READ_ALL)
		record_contents(t);
	record_write();
}

/* Carry out what is this process's, from operation @at on, until the sequence or the process ends. */
static void run(uint32_t at)
{
	struct wire_op op;

	for (;;) {
		read_op(at, &op);
		if (op.process != me) {
			wake(&control->go[op.process], at);
			at = seen = wait_change(&control->go[me], seen, 0);
			continue;
		}
		if (op.thread) {
			at = run_stretch(at);
			continue;
		}
		run_one(at, &op);
		if (++at == control->count) {
			wake(&control->done, control->start);
			CALL(SYS_exit_group, 0);
		}
		if (op.kind == WIRE_EXIT) {
			control->pid[me] = 0;
			read_op(at, &op);
			wake(&control->go[op.process], at);
			CALL(SYS_exit_group, 0);
		}
	}
}

static void open_proc(const char *path, int as)
{
	word fd = CALL(SYS_open, path, 0);

	if (fd == as)
		return;
	CALL(SYS_dup2, fd, as);
	CALL(SYS_close, fd);
}

/* A new process: its own eyes, its own place in the turn. */
static void be_born(unsigned index, uint32_t go)
{
	me = index;
	seen = go;
	threads_none();
	CALL(SYS_prctl, HOST_PR_SET_PTRACER, -1);
	open_proc("/proc/self/maps", WIRE_FD_MAPS);
	open_proc("/proc/self/pagemap", WIRE_FD_PAGEMAP);
	run(seen = wait_change(&control->go[me], seen, 0));
}

/* ---- the zygote ------------------------------------------------------------------------------ */

static void give_up(word error, unsigned where)
{
	control->where = where;
	control->error = (int32_t)error;
	wake(&control->ready, 1);
	CALL(SYS_exit_group, 1);
}

/* Take away what exec mapped besides this program. */
static void clear_out(void)
{
	struct wire_vma vma;
	uint64_t addr = 0;
	word error;

	while ((error = next_vma(addr, &vma)) == 0) {
		addr = vma.end;
		if (vma.start < WIRE_CONTROL || vma.start >= WIRE_AGENT_LIMIT)
			CALL(SYS_munmap, vma.start, vma.end - vma.start);
	}
	if (error != -HOST_ENOENT)
		give_up(error, __LINE__);
}

/* Does a write by way of /proc/PID/mem go past the mapping's protection? */
static uint32_t may_force(void)
{
	word at = CALL(SYS_mmap, 0, WIRE_PAGE, 1, 0x22, -1, 0), fd = open_memory((uint32_t)CALL(SYS_getpid));
	word wrote = CALL(SYS_pwrite, fd, &at, 1, at);

	CALL(SYS_close, fd);
	CALL(SYS_munmap, at, WIRE_PAGE);
	return wrote == 1;
}

static void find_out(void)
{
	struct wire_vma vma;
	uint64_t addr = 0;
	word top;

	control->heap = (uint64_t)CALL(SYS_brk, 0);
	if (control->heap < WIRE_AGENT_TEXT || control->heap > WIRE_AGENT_LIMIT)
		give_up(-HOST_ENOMEM, __LINE__);
	top = CALL(SYS_mmap, 0, WIRE_PAGE, 0, 0x22, -1, 0);
	if (top < 0)
		give_up(top, __LINE__);
	CALL(SYS_munmap, top, WIRE_PAGE);
	control->mmap_top = (uint64_t)top + WIRE_PAGE;
	control->task_end = 0x7ffffffff000ul;
	control->forced = may_force();
	top = CALL(SYS_mmap, WIRE_PAGE, WIRE_PAGE, 0, 0x22, -1, 0);
	CALL(SYS_munmap, top, WIRE_PAGE);
	control->mmap_lowest = (uint64_t)top;
	while (next_vma(addr, &vma) == 0 && control->vmas < 16) {
		addr = vma.end;
		control->own[control->vmas++] = vma;
	}
}

static void drop_capabilities(void)
{
	uint32_t head[2] = { 0x20080522, 0 }, none[6] = { 0 };

	CALL(SYS_capset, head, none);
}

static void zygote(void)
{
	uint32_t sequence = 0;

	for (;;) {
		sequence = wait_change(&control->start, sequence, 1);
		word child = CALL(SYS_fork);

		if (child == 0) {
			for (unsigned i = 0; i < WIRE_SLOTS; i++)
				agent_thread(0)->slots[i] = WIRE_ARENA;
			control->pid[0] = (int32_t)CALL(SYS_getpid);
			open_proc("/proc/self/maps", WIRE_FD_MAPS);
			open_proc("/proc/self/pagemap", WIRE_FD_PAGEMAP);
			CALL(SYS_prctl, HOST_PR_SET_PDEATHSIG, HOST_SIGKILL);
			CALL(SYS_prctl, HOST_PR_SET_PTRACER, -1);
			seen = ~0u;
			run(0);
		}
		if (child < 0)
			give_up(child, __LINE__);
	}
}

void agent_main(void)
{
	word at = CALL(SYS_mmap, WIRE_CONTROL, WIRE_PAGE, 3, 0x11 /* SHARED | FIXED */, WIRE_FD_CONTROL, 0);

	if (at != WIRE_CONTROL)
		CALL(SYS_exit_group, 97);
	drop_capabilities();
	CALL(SYS_prctl, HOST_PR_SET_PDEATHSIG, HOST_SIGKILL);
	CALL(SYS_prctl, HOST_PR_SET_CHILD_SUBREAPER, 1);
	open_proc("/proc/self/maps", WIRE_FD_MAPS);
	clear_out();
	use_signal_stack(agent_thread(0));
	catch_signal(HOST_SIGSEGV, 0);
	catch_signal(HOST_SIGBUS, 0);
	catch_signal(HOST_SIGCHLD, 1);
	find_out();
	wake(&control->ready, 1);
	zygote();
}

__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"	lea stack+16384(%rip), %rsp\n"
	"	call agent_main\n");
