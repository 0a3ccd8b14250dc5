/*
 * shootdown.c - a program for the metal machine: threads on other CPUs store to pages without pause, while
 * the first one takes the pages away from them. Exits with 0 when no store landed where none could.
 *
 * BASE-3: after mprotect() has returned nobody stores through an old translation, in whatever TLB it was;
 * after munmap() and a new mapping at the same address all see the new page.
 *
 *	first thread				the others
 *	mprotect(page, read)			page[me] += 1, for ever; a fault waits until it may
 *	read page; wait; read again: the same
 *	mprotect(page, read and write)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STORERS 3
#define PAGE 4096ul

static volatile unsigned long *page;
static atomic_int closed, stop;
static atomic_ulong faults;

static void on_fault(int signal)
{
	(void)signal;
	atomic_fetch_add(&faults, 1);
	while (atomic_load(&closed) && !atomic_load(&stop))
		sched_yield();
}

static void *store(void *argument)
{
	unsigned long me = (unsigned long)argument;

	while (!atomic_load(&stop))
		for (int i = 0; i < 100; i++)
			page[me * 8]++;
	return NULL;
}

/* Long enough for a store that is under way to land. */
static void pass_time(void)
{
	for (volatile int i = 0; i < 20000; i++)
		;
}

static int stands_still(void)
{
	unsigned long before[STORERS];

	for (int i = 0; i < STORERS; i++)
		before[i] = page[i * 8];
	pass_time();
	for (int i = 0; i < STORERS; i++)
		if (page[i * 8] != before[i])
			return 0;
	return 1;
}

static int protect(void)
{
	atomic_store(&closed, 1);
	if (mprotect((void *)page, PAGE, PROT_READ) || !stands_still())
		return 0;
	if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		return 0;
	atomic_store(&closed, 0);
	return 1;
}

/* A new page over the old one, with no store before it is looked at: it is all zeroes. */
static int replace(void)
{
	atomic_store(&closed, 1);
	if (mmap((void *)page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    (void *)page)
		return 0;
	for (int i = 0; i < STORERS; i++)
		if (page[i * 8])
			return 0;
	if (!stands_still() || mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
		return 0;
	atomic_store(&closed, 0);
	return 1;
}

/* Frames that were the page's are somebody else's at once: no storer reaches them any more. */
static int unmap(void)
{
	unsigned long *other = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				    0);

	atomic_store(&closed, 1);
	if (other == MAP_FAILED || munmap((void *)page, PAGE))
		return 0;
	memset(other, 0x55, 8 * PAGE);
	pass_time();
	for (unsigned long i = 0; i < 8 * PAGE / sizeof(*other); i++)
		if (other[i] != 0x5555555555555555)
			return 0;
	if (munmap(other, 8 * PAGE) || mmap((void *)page, PAGE, PROT_READ | PROT_WRITE,
					    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != (void *)page)
		return 0;
	atomic_store(&closed, 0);
	return 1;
}

int main(int argc, char **argv)
{
	static int (*const ways[])(void) = { protect, replace, unmap };
	static const char *const names[] = { "protect", "replace", "unmap" };
	struct sigaction action = { .sa_handler = on_fault };
	int rounds = argc > 1 ? atoi(argv[1]) : 100;
	pthread_t threads[STORERS];

	sigaction(SIGSEGV, &action, NULL);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 2;
	for (long i = 0; i < STORERS; i++)
		if (pthread_create(&threads[i], NULL, store, (void *)i))
			return 2;
	for (int i = 0; i < STORERS; i++)
		while (!page[i * 8])
			sched_yield();
	for (int round = 0; round < rounds; round++) {
		pass_time();
		if (!ways[round % 3]()) {
			printf("round %d: a store landed after %s\n", round, names[round % 3]);
			return 1;
		}
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < STORERS; i++)
		pthread_join(threads[i], NULL);
	printf("%d rounds, %lu stores refused, none landed\n", rounds, atomic_load(&faults));
	return 0;
}
