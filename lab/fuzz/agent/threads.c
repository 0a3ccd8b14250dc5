/*
 * threads.c - a stretch: operations of several threads of one process, all at once.
 *
 * A process's other threads are born at its first stretch and wait for the next one afterwards. All of a
 * stretch's threads meet at a barrier, and then each carries out its operations in their order, with a
 * pause of random length before each, and takes the time from the stretch's clock before and after it,
 * which is a full fence. Thread 0 takes part itself, waits for the others, and writes all records.
 *
 *	thread 0		thread 1		thread 2
 *	turn++ ---------------> wakes ----------------> wakes
 *	arrived++ .............	arrived++ ............. arrived++
 *	op, op			op			op, op
 *	working == 0 <--------- working-- <------------	working--
 *	records
 */
#include "agent.h"

enum { STACK_BYTES = 16 << 10 };

static char stacks[WIRE_THREADS][STACK_BYTES] __attribute__((aligned(16)));

static struct {
	uint32_t turn;	  /* futex: one more for each stretch */
	uint32_t working; /* futex: threads that are not done */
	uint32_t arrived;
	uint32_t clock;
	uint32_t threads; /* all that there are, whether they have anything to do or not */
	uint32_t count;
	struct wire_op ops[WIRE_STRETCH_OPS];
	struct wire_record heads[WIRE_STRETCH_OPS];
} stretch = { .threads = 1 };

void threads_none(void)
{
	stretch.threads = 1;
}

static uint64_t next_random(struct agent_thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random;
}

/* Mostly short; now and then somebody else runs. */
static void pause_a_while(struct agent_thread *t)
{
	uint64_t choice = next_random(t);

	if (choice % 16 == 0)
		CALL(SYS_sched_yield);
	for (uint64_t turns = (choice >> 8) & (choice & 0x20 ? 127 : 7); turns; turns--)
		__builtin_ia32_pause();
}

static void meet(void)
{
	__atomic_fetch_add(&stretch.arrived, 1, __ATOMIC_ACQ_REL);
	for (unsigned turn = 1; __atomic_load_n(&stretch.arrived, __ATOMIC_ACQUIRE) < stretch.threads;
	     turn++) {
		if (turn % 64)
			__builtin_ia32_pause();
		else
			CALL(SYS_sched_yield);
	}
}

static void take_part(struct agent_thread *t)
{
	meet();
	for (uint32_t i = 0; i < stretch.count; i++) {
		const struct wire_op *op = &stretch.ops[i];

		if (op->thread != t->index + 1)
			continue;
		pause_a_while(t);
		memset(&t->head, 0, sizeof(t->head));
		t->head.began = __atomic_add_fetch(&stretch.clock, 1, __ATOMIC_SEQ_CST);
		t->head.result = carry_out(t, op);
		t->head.ended = __atomic_add_fetch(&stretch.clock, 1, __ATOMIC_SEQ_CST);
		stretch.heads[i] = t->head;
	}
	if (__atomic_sub_fetch(&stretch.working, 1, __ATOMIC_ACQ_REL) == 0)
		CALL(SYS_futex, &stretch.working, HOST_FUTEX_WAKE, 1);
}

/* ---- the other threads ----------------------------------------------------------------------- */

static void go_to_processor(unsigned processor)
{
	uint64_t mask[16] = { 0 };

	if (processor < sizeof(mask) * 8) {
		mask[processor / 64] = 1ul << processor % 64;
		CALL(SYS_sched_setaffinity, 0, sizeof(mask), mask);
	}
}

void agent_thread_main(struct agent_thread *t) __attribute__((used));

void agent_thread_main(struct agent_thread *t)
{
	uint32_t seen = t->born;

	use_signal_stack(t);
	go_to_processor(control->processors[t->index]);
	for (;;) {
		seen = wait_change(&stretch.turn, seen, 1);
		take_part(t);
	}
}

/* A new thread finds its struct on top of its stack. */
word agent_clone(word flags, void *top);
__asm__(".text\n"
	"agent_clone:\n"
	"	mov $56, %eax\n"
	"	xor %edx, %edx\n"
	"	xor %r10d, %r10d\n"
	"	xor %r8d, %r8d\n"
	"	syscall\n"
	"	test %rax, %rax\n"
	"	jz 1f\n"
	"	ret\n"
	"1:	xor %ebp, %ebp\n"
	"	pop %rdi\n"
	"	call agent_thread_main\n");

static void give_birth(unsigned threads)
{
	for (; stretch.threads < threads; stretch.threads++) {
		unsigned index = stretch.threads;
		void **top = (void **)(stacks[index] + STACK_BYTES) - 1;

		agent_thread(index)->index = index;
		agent_thread(index)->born = stretch.turn;
		*top = agent_thread(index);
		if (agent_clone(HOST_CLONE_THREAD, top) < 0)
			CALL(SYS_exit_group, 95);
	}
}

/* ---- the stretch ----------------------------------------------------------------------------- */

static uint32_t read_stretch(uint32_t at)
{
	stretch.count = 0;
	for (; at < control->count; at++) {
		struct wire_op *op = &stretch.ops[stretch.count];

		read_op(at, op);
		if (!op->thread)
			break;
		give_birth(op->thread);
		stretch.count++;
	}
	return at;
}

static void write_records(uint32_t at)
{
	for (uint32_t i = 0; i < stretch.count; i++) {
		struct wire_record *head = &stretch.heads[i];

		head->op = (uint16_t)(at + i);
		if (stretch.ops[i].slot != WIRE_NO_SLOT && wire_gives_address(head->result))
			agent_thread(0)->slots[stretch.ops[i].slot] = (uint64_t)head->result;
		record_begin(head);
		record_write();
	}
}

uint32_t run_stretch(uint32_t at)
{
	uint32_t next = read_stretch(at), left;

	stretch.arrived = stretch.clock = 0;
	for (unsigned i = 0; i < stretch.threads; i++)
		agent_thread(i)->random = (control->start * 64ul + i + 1) * 0x9e3779b97f4a7c15ul + at;
	__atomic_store_n(&stretch.working, stretch.threads, __ATOMIC_RELEASE);
	wake(&stretch.turn, stretch.turn + 1);
	take_part(agent_thread(0));
	while ((left = __atomic_load_n(&stretch.working, __ATOMIC_ACQUIRE)) != 0)
		wait_change(&stretch.working, left, 0);
	write_records(at);
	return next;
}
