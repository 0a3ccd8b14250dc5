/*
 * threads.c - a program for the metal machine: 8 threads that map, touch, protect, unmap and move memory,
 * each its own, beside a counter under a mutex, a barrier, and forks. Exits with 0 when every byte was
 * right, and every count too: rounds by thread and in all, faults asked for and taken.
 *
 * BASE-1, BASE-3: nobody sees another's memory, and a store through a translation that was taken away faults.
 *
 *	threads ROUNDS		of each thread
 *	threads SECONDSs	as many as there is time for
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define PAGES 40
#define PAGE 4096ul

static int rounds = 60;
static time_t seconds, end; /* 0: so many rounds */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static unsigned long counter, done[THREADS]; /* rounds: under the lock; each thread's own */
static atomic_ulong faults;
static _Thread_local sigjmp_buf *volatile way_out;

static void fail(const char *what, int thread, int round)
{
	fprintf(stderr, "thread %d, round %d: %s\n", thread, round, what);
	_exit(1);
}

static void on_fault(int signal)
{
	if (!way_out)
		_exit(2);
	atomic_fetch_add(&faults, 1);
	siglongjmp(*way_out, signal);
}

/* Does a store to @at fault? */
static int store_faults(volatile unsigned long *at)
{
	sigjmp_buf out;

	if (sigsetjmp(out, 1)) {
		way_out = NULL;
		return 1;
	}
	way_out = &out;
	*at = 1;
	way_out = NULL;
	return 0;
}

static void one_round(int thread, int round)
{
	unsigned long *pages[PAGES], mark = (unsigned long)thread << 32 | (unsigned)round;
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap", thread, round);
	for (int i = 0; i < PAGES; i++) {
		pages[i] = (unsigned long *)(void *)(memory + i * PAGE);
		if (*pages[i])
			fail("a fresh page is not zero", thread, round);
		*pages[i] = mark + (unsigned long)i * 1000;
	}
	if (mprotect(memory + PAGE, 3 * PAGE, PROT_READ) || !store_faults(pages[2]))
		fail("a protected page takes a store", thread, round);
	if (mprotect(memory + PAGE, 3 * PAGE, PROT_READ | PROT_WRITE) || store_faults(pages[2] + 1))
		fail("a page that is writable again does not", thread, round);
	if (madvise(memory + 5 * PAGE, PAGE, MADV_DONTNEED) || *pages[5])
		fail("a page given back is not zero", thread, round);
	*pages[5] = mark + 5000;
	if (munmap(memory + 7 * PAGE, PAGE) || !store_faults(pages[7]))
		fail("an unmapped page takes a store", thread, round);
	for (int i = 0; i < PAGES; i++)
		if (i != 7 && *pages[i] != mark + (unsigned long)i * 1000)
			fail("a page does not hold what was stored", thread, round);
	char *moved = mremap(memory + 10 * PAGE, 10 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED || *(unsigned long *)(void *)moved != mark + 10000)
		fail("mremap", thread, round);
	if (munmap(moved, 20 * PAGE) || munmap(memory, 10 * PAGE) ||
	    munmap(memory + 20 * PAGE, (PAGES - 20) * PAGE))
		fail("munmap", thread, round);
	pthread_mutex_lock(&lock);
	counter++;
	pthread_mutex_unlock(&lock);
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void *work(void *argument)
{
	int thread = (int)(intptr_t)argument;

	pthread_barrier_wait(&barrier);
	for (int round = 0; seconds ? now() < end : round < rounds; round++) {
		one_round(thread, round);
		done[thread]++;
	}
	return argument;
}

static int counts_are_exact(void)
{
	unsigned long sum = 0;

	for (int i = 0; i < THREADS; i++) {
		if (!done[i] || (!seconds && done[i] != (unsigned long)rounds))
			return 0;
		sum += done[i];
	}
	return counter == sum && faults == 2 * sum;
}

static void fork_some(void)
{
	for (int i = 0; i < 10; i++) {
		int status;
		pid_t child = fork();

		if (child == 0)
			_exit(i);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != i)
			fail("fork", -1, i);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	struct sigaction action = { .sa_handler = on_fault };

	if (argc > 1)
		rounds = atoi(argv[1]);
	if (argc > 1 && strchr(argv[1], 's'))
		seconds = rounds;
	end = now() + seconds;
	sigaction(SIGSEGV, &action, NULL);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			fail("pthread_create", (int)i, 0);
	fork_some();
	for (long i = 0; i < THREADS; i++) {
		void *result;

		if (pthread_join(threads[i], &result) || result != (void *)i)
			fail("pthread_join", (int)i, 0);
	}
	printf("%lu rounds, %lu faults, %s\n", counter, faults,
	       counts_are_exact() ? "all as it should be" : "WRONG");
	return counts_are_exact() ? 0 : 1;
}
