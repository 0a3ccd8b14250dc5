/*
 * forks.c - a program for the metal machine: forks without end, leaves zombies without end, and makes threads
 * without end. Each must be refused with EAGAIN at some time, and all must be as before when they are gone.
 * It is to be the first process: whose parent is gone is then its child. Exits with 0 when that held.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void ignore_nothing(int signal)
{
	(void)signal;
}

/* Everybody forks, and so do its children, until it is refused; then it waits for its end. */
static void explode(void)
{
	for (;;)
		if (fork() < 0)
			pause();
}

static void bomb(void)
{
	pid_t child;
	int count = 0;

	do {
		child = fork();
		if (child == 0)
			explode();
		count += child > 0;
	} while (child > 0);
	if (errno != EAGAIN)
		fail("a fork too many");
	/* Who is born while the signals go out hears of the next ones. */
	for (count = 0;;) {
		kill(-1, SIGKILL);
		child = waitpid(-1, NULL, 0);
		count += child > 0;
		if (child < 0 && errno == ECHILD)
			break;
	}
	printf("%d processes at once\n", count);
}

static void leave_zombies(void)
{
	int count = 0, gone = 0;
	pid_t child;

	while ((child = fork()) > 0)
		count++;
	if (child == 0)
		_exit(0);
	if (errno != EAGAIN)
		fail("a zombie too many");
	while (waitpid(-1, NULL, 0) > 0)
		gone++;
	if (gone != count)
		fail("zombies");
	printf("%d zombies at once\n", count);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_all(void *nothing)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return nothing;
}

static void thread_bomb(void)
{
	static pthread_t threads[100000];
	pthread_attr_t small;
	int count = 0, err;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_mutex_lock(&lock);
	while ((err = pthread_create(&threads[count], &small, wait_for_all, NULL)) == 0)
		count++;
	pthread_mutex_unlock(&lock);
	if (err != EAGAIN)
		fail("a thread too many");
	for (int i = 0; i < count; i++)
		if (pthread_join(threads[i], NULL))
			fail("pthread_join");
	printf("%d threads at once\n", count);
}

static void fork_once(void)
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(7);
	if (child < 0 || waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7)
		fail("one fork after many");
}

int main(void)
{
	void (*const ways[])(void) = { bomb, leave_zombies, thread_bomb };

	signal(SIGCHLD, ignore_nothing);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		ways[i]();
		fork_once();
	}
	return 0;
}
