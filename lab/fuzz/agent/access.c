/*
 * access.c - loads and stores that may fail.
 *
 * The handler runs on a stack of its own, inside the struct of the thread that failed: so it knows whose
 * signal this is, notes it there, and goes on behind the access.
 */
#include "agent.h"

__asm__(".text\n"
	"agent_restorer:\n"
	"	mov $15, %eax\n"
	"	syscall\n");
void agent_restorer(void);

/*
 * Offsets in siginfo and ucontext are the kernel's: si_signo at 0, si_code at 8, and rip the 17th saved
 * register.
 */
static void on_signal(int number, const int32_t *info, uint64_t *context)
{
	struct agent_thread *t = (struct agent_thread *)((uint64_t)__builtin_frame_address(0) &
							 ~(AGENT_THREAD_BYTES - 1ul));

	t->signal_number = number;
	t->signal_code = info[2];
	if (!t->resume)
		CALL(SYS_exit_group, 99);
	context[5 + 16] = (uint64_t)t->resume;
}

void catch_signal(int number, int ignore)
{
	struct {
		word handler, flags, restorer, mask;
	} action = {
		ignore ? 1 : (word)on_signal,
		HOST_SA_SIGINFO | HOST_SA_RESTORER | HOST_SA_ONSTACK | HOST_SA_NODEFER,
		(word)agent_restorer,
		0,
	};

	CALL(SYS_rt_sigaction, number, &action, 0, 8);
}

void use_signal_stack(struct agent_thread *t)
{
	struct {
		void *at;
		word flags, bytes;
	} alternate = { t->signal_stack, 0, AGENT_THREAD_BYTES - sizeof(*t) };

	CALL(SYS_sigaltstack, &alternate, 0);
}

/* A load and a store that may fail: the handler goes on at 2. */
uint64_t load(struct agent_thread *t, uint64_t addr)
{
	uint64_t value = 0, scratch;

	t->signal_number = 0;
	__asm__ volatile("	lea 2f(%%rip), %1\n"
			 "	mov %1, %2\n"
			 "	mov (%3), %0\n"
			 "2:	movq $0, %2\n"
			 : "+&r"(value), "=&r"(scratch), "+m"(t->resume)
			 : "r"(addr)
			 : "memory");
	return t->signal_number ? 0 : value;
}

void store(struct agent_thread *t, uint64_t addr, uint64_t value)
{
	uint64_t scratch;

	t->signal_number = 0;
	__asm__ volatile("	lea 2f(%%rip), %0\n"
			 "	mov %0, %1\n"
			 "	mov %3, (%2)\n"
			 "2:	movq $0, %1\n"
			 : "=&r"(scratch), "+m"(t->resume)
			 : "r"(addr), "r"(value)
			 : "memory");
}
