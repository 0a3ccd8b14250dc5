/*
 * greedy.c - a program for the metal machine: children that touch memory until there is none are ended, and
 * only they. Exits with 0 when that held, and their parent's memory with it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK (1ul << 20)
#define CHILDREN 3

/* Until it is ended. */
static void take_all(void)
{
	for (;;) {
		char *memory = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED)
			_exit(1);
		memset(memory, 1, CHUNK);
	}
}

static int round_of(int children)
{
	int status;

	for (int i = 0; i < children; i++) {
		pid_t child = fork();

		if (child == 0)
			take_all();
		if (child < 0)
			return 0;
	}
	for (int i = 0; i < children; i++)
		if (waitpid(-1, &status, 0) < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			return 0;
	return 1;
}

int main(void)
{
	static unsigned char mine[64 * 4096];

	memset(mine, 5, sizeof(mine));
	for (int round = 0; round < 4; round++) {
		if (!round_of(round % 2 ? CHILDREN : 1)) {
			printf("round %d: a child was not ended for want of memory, or could not be made\n",
			       round);
			return 1;
		}
		for (size_t i = 0; i < sizeof(mine); i++)
			if (mine[i] != 5)
				return 2;
	}
	printf("ended, and nobody else was\n");
	return 0;
}
