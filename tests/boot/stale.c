/*
 * stale.c - a program for the metal machine that looks for stale TLB entries: translations that a CPU goes on
 * using when the entry is gone, or forbids it.
 *
 * An access is made, so that the translation is cached; the call takes it away; the access is made again by
 * the same thread. With the call's flush it must fail, or must see the new page. tests/cli/boot.sh runs each
 * way with the flush, and again with the core's safeguard of that name switched off: then it must be seen to
 * go wrong. Nothing here waits in a call between the two accesses, for a switch of address spaces would
 * flush.
 *
 *	munmap		the page is gone			a load must fault
 *	mprotect	the page is readable only		a store must fault
 *	cow		another thread has written a copy	a load must see it
 *	fork		the child has the page too		a store must not reach the child's
 *
 * The accesses are those of a helper thread on another CPU, when there is one. (The CPU that copies a page
 * forgets the old translation by itself, at the fault: cow needs two CPUs.)
 *
 *	stale WAY [ROUNDS]	exits with 0, or with 9 when a stale translation was used
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define STALE 9

enum order { NOTHING, LOAD, STORE };

static char *pages;
static atomic_int order; /* to the helper; it takes it back when it has obeyed */
static volatile unsigned long *place;
static volatile unsigned long word; /* stored, or loaded */
static int faulted, helped;
static sigjmp_buf way_out;

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(way_out, 1);
}

/* Signals stay as they are: a call would be made to save them. */
static void obey(int what)
{
	faulted = 0;
	if (sigsetjmp(way_out, 0)) {
		faulted = 1;
		return;
	}
	if (what == LOAD)
		word = *place;
	else
		*place = word;
}

static void *help(void *nothing)
{
	for (;;) {
		int what = atomic_load_explicit(&order, memory_order_acquire);

		if (what == NOTHING)
			continue;
		obey(what);
		atomic_store_explicit(&order, NOTHING, memory_order_release);
	}
	return nothing;
}

/* False: it faulted. */
static int make(enum order what, char *page, unsigned long value)
{
	place = (unsigned long *)(void *)page;
	word = value;
	if (helped) {
		atomic_store_explicit(&order, what, memory_order_release);
		while (atomic_load_explicit(&order, memory_order_acquire) != NOTHING)
			;
	} else {
		obey(what);
	}
	return !faulted;
}

/* Each way: 1 when a stale translation was used. */

static int by_munmap(char *page)
{
	if (!make(STORE, page, 1) || munmap(page, PAGE))
		give_up("munmap");
	return make(LOAD, page, 0);
}

static int by_mprotect(char *page)
{
	if (!make(STORE, page, 1) || mprotect(page, PAGE, PROT_READ))
		give_up("mprotect");
	return make(STORE, page, 2);
}

static int by_cow(char *page)
{
	if (!make(LOAD, page, 0) || word != 1)
		give_up("a page has not its content");
	*(volatile unsigned long *)(void *)page = 2; /* a child has the page too */
	if (!make(LOAD, page, 0))
		give_up("a page is gone");
	return word != 2;
}

/* Without its flush our stores to any page reach the child's: so it has a stack that we do not write to. */
static _Alignas(4096) char child_stack[4 * PAGE];
static atomic_int *go;

static int look(void *page)
{
	while (!atomic_load(go))
		sched_yield();
	return *(volatile unsigned long *)page == 1 ? 0 : STALE;
}

static int by_fork(char *page)
{
	int status = 0;

	go = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (go == MAP_FAILED || !make(STORE, page, 1))
		give_up("mmap");
	pid_t child = clone(look, child_stack + sizeof(child_stack), SIGCHLD, page);
	make(STORE, page, 2);
	atomic_store(go, 1);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		give_up("fork");
	munmap(go, PAGE);
	return WEXITSTATUS(status) == STALE;
}

/* A child that has all pages, and does nothing. */
static pid_t share_all(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		*(volatile unsigned long *)(void *)(pages + 2 * i * PAGE) = 1;
	pid_t child = fork();
	if (child == 0)
		for (;;)
			pause();
	if (child < 0)
		give_up("fork");
	return child;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(char *page);
	} ways[] = {
		{ "munmap", by_munmap }, { "mprotect", by_mprotect }, { "cow", by_cow }, { "fork", by_fork }
	};
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 20, stale = 0;
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	pthread_t thread;
	pid_t child = 0;
	unsigned way = 0;

	while (way < 4 && (argc < 2 || strcmp(argv[1], ways[way].name) != 0))
		way++;
	/* Every second page stays: a table that is left empty would be flushed for. */
	pages = mmap(NULL, 2 * rounds * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (way == 4 || pages == MAP_FAILED || sigaction(SIGSEGV, &action, NULL))
		return 2;
	if (ways[way].run == by_cow)
		child = share_all(rounds);
	helped = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	if (helped && pthread_create(&thread, NULL, help, NULL))
		give_up("pthread_create");
	for (unsigned i = 0; i < rounds; i++)
		stale += (unsigned)ways[way].run(pages + 2 * i * PAGE);
	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	printf("%s: %u of %u stale\n", ways[way].name, stale, rounds);
	return stale ? STALE : 0;
}
