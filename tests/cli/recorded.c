/*
 * recorded.c SCENE - small programs for recorded.sh: calls whose recording is no plain matter to replay.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 16, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static sigjmp_buf back;

static void on_signal(int number)
{
	siglongjmp(back, number);
}

static void look(volatile char *at)
{
	if (!sigsetjmp(back, 1))
		(void)*at;
}

static void store(volatile char *at)
{
	if (!sigsetjmp(back, 1))
		*at = 1;
}

static void *map(size_t pages, int prot, int flags, int file)
{
	void *at = mmap(NULL, pages * PAGE, prot, flags, file, 0);

	return at == MAP_FAILED ? exit(9), NULL : at;
}

/* A file with something in it that is gone when the program is. */
static int a_file(int flags)
{
	char path[] = "./recordedXXXXXX", page[PAGE];
	int file = mkstemp(path);

	memset(page, 5, sizeof(page));
	for (int i = 0; i < PAGES; i++)
		if (pwrite(file, page, PAGE, (off_t)i * PAGE) != PAGE)
			exit(9);
	if (flags != O_RDWR) {
		close(file);
		file = open(path, flags);
	}
	unlink(path);
	return file;
}

static void validated(void)
{
	char *at = map(PAGES, RW, MAP_SHARED_VALIDATE, a_file(O_RDWR));

	store(at + PAGE);
	look(at);
}

static void holes(void)
{
	int file = a_file(O_RDWR);
	char *at;

	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE))
		return; /* not on this file system */
	at = map(PAGES, RW, MAP_SHARED, file);
	store(at);
	store(at + PAGE);
	fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE);
	madvise(at, PAGE, MADV_REMOVE);
	look(at);
	look(at + PAGE);
	look(at + 2 * PAGE);
}

static void no_memory(void)
{
	char *at = map(1, RW, ANON, -1);

	free(malloc(1ul << 45));
	if (sbrk(1l << 45) == (void *)-1)
		at[0] = 1;
	if (mremap(at, PAGE, 1ul << 45, MREMAP_MAYMOVE) == MAP_FAILED)
		at[1] = 1;
	at = mmap(NULL, 1ul << 45, PROT_READ, ANON, -1, 0);
	if (at != MAP_FAILED && mprotect(at, 1ul << 45, RW))
		store(at);
}

static void refused_advice(void)
{
	char *at = map(PAGES, RW, ANON, -1);
	int memory = memfd_create("recorded", 0);

	memset(at, 1, PAGES * PAGE);
	mlock(at + 2 * PAGE, PAGE);
	madvise(at, 4 * PAGE, MADV_DONTNEED);
	for (int i = 0; i < 4; i++)
		look(at + i * PAGE);
	store(at + 8 * PAGE);
	if (ftruncate(memory, PAGES * PAGE))
		return;
	mmap(at + 10 * PAGE, 2 * PAGE, RW, MAP_SHARED | MAP_FIXED, memory, 0);
	store(at + 10 * PAGE);
	mmap(at + 12 * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, memory, 0);
	madvise(at + 8 * PAGE, 4 * PAGE, MADV_WIPEONFORK);
	madvise(at + 10 * PAGE, 4 * PAGE, MADV_REMOVE);
	look(at + 10 * PAGE);
	if (fork() == 0) {
		look(at + 8 * PAGE);
		_exit(0);
	}
	wait(NULL);
}

static void forbidden_stack(void)
{
	char *at = mmap((void *)0x200000000, PAGE, PROT_NONE, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);

	store(at - 8 * PAGE);
	mremap(at - 8 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x300000000);
}

static void no_data_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_DATA, &limit);
	limit.rlim_cur = 0;
	setrlimit(RLIMIT_DATA, &limit);
	execl("/proc/self/exe", "recorded", "validated", NULL);
}

static void rights(void)
{
	char *at = map(1, PROT_READ, MAP_SHARED, a_file(O_RDONLY));
	int segment = shmget(IPC_PRIVATE, 4 * PAGE, 0600 | IPC_CREAT);

	mprotect(at, PAGE, RW);
	store(at);
	at = map(4, RW, ANON, -1);
	store(at);
	syscall(SYS_pkey_mprotect, at, PAGE, PROT_READ, 15);
	store(at);
	if (segment >= 0 && shmat(segment, at, SHM_REMAP) == at)
		store(at);
	shmctl(segment, IPC_RMID, NULL);
	mmap((void *)PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	store((char *)PAGE);
}

int main(int count, char **words)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenes[] = {
		{ "validated", validated },
		{ "holes", holes },
		{ "no-memory", no_memory },
		{ "refused-advice", refused_advice },
		{ "forbidden-stack", forbidden_stack },
		{ "no-data-limit", no_data_limit },
		{ "rights", rights },
	};

	signal(SIGSEGV, on_signal);
	for (size_t i = 0; count == 2 && i < sizeof(scenes) / sizeof(scenes[0]); i++)
		if (strcmp(words[1], scenes[i].name) == 0)
			return scenes[i].run(), 0;
	for (size_t i = 0; count == 1 && i < sizeof(scenes) / sizeof(scenes[0]); i++)
		puts(scenes[i].name);
	return count == 1 ? 0 : 2;
}
