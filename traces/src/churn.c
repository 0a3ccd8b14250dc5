/*
 * churn.c - ten threads that map and unmap all the time: the program behind churn.trace.
 *
 * Each thread keeps a few mappings of its own and changes them at random: maps, unmaps whole and in parts,
 * protects, discards, moves, writes. All share one file mapping and one arena: slots of one reservation that
 * a lock hands out, so that an address goes from thread to thread with other permissions. Threads end and are
 * created meanwhile, and a child is forked in the middle of it all.
 *
 *   churn [steps per thread]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 10, KEPT = 12, SLOTS = 64, SLOT_PAGES = 16, FILE_PAGES = 64 };

static size_t page;
static int steps = 800, file;
static char *shared, *arena;
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char slot_used[SLOTS];

static uint32_t next(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void *check(void *mapped)
{
	if (mapped != MAP_FAILED)
		return mapped;
	perror("churn");
	exit(1);
}

static int take_slot(void)
{
	int slot = -1;
	pthread_mutex_lock(&slots_lock);
	for (int i = 0; i < SLOTS && slot < 0; i++)
		if (!slot_used[i])
			slot = i;
	if (slot >= 0)
		slot_used[slot] = 1;
	pthread_mutex_unlock(&slots_lock);
	return slot;
}

static void give_slot(int slot)
{
	pthread_mutex_lock(&slots_lock);
	slot_used[slot] = 0;
	pthread_mutex_unlock(&slots_lock);
}

/* Use a slot of the arena as an allocator would: open it, write, discard, close it. */
static void use_slot(uint32_t *state)
{
	int slot = take_slot();
	if (slot < 0)
		return;
	char *at = arena + (size_t)slot * SLOT_PAGES * page;
	size_t size = (1 + next(state) % SLOT_PAGES) * page;
	mprotect(at, size, PROT_READ | PROT_WRITE);
	for (size_t i = 0; i < size; i += page)
		at[i] = (char)slot;
	if (next(state) % 2)
		madvise(at, size, MADV_DONTNEED);
	if (next(state) % 2)
		mprotect(at, size, PROT_NONE);
	else
		check(mmap(at, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			   0));
	give_slot(slot);
}

struct kept {
	char *at;
	size_t size;
	int of_file; /* never grown: there is nothing behind the file's end */
};

static void map_one(struct kept *kept, uint32_t *state)
{
	uint32_t what = next(state) % 4;
	kept->size = (1 + next(state) % 32) * page;
	kept->of_file = what == 3;
	if (kept->of_file)
		kept->at = check(mmap(NULL, kept->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0));
	else
		kept->at = check(
			mmap(NULL, kept->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (size_t i = 0; i < kept->size; i += page << what)
		kept->at[i] = 1;
}

static void change_one(struct kept *kept, uint32_t *state)
{
	size_t half = kept->size / 2 & ~(page - 1);

	switch (next(state) % 7) {
	case 0:
	case 1:
		munmap(kept->at, kept->size);
		kept->at = NULL;
		break;
	case 2:
		if (!half)
			break;
		munmap(kept->at, half);
		kept->at += half;
		kept->size -= half;
		break;
	case 3:
		mprotect(kept->at, page, PROT_READ);
		mprotect(kept->at, kept->size, PROT_READ | PROT_WRITE);
		kept->at[0] = 2;
		break;
	case 4:
		madvise(kept->at, kept->size, MADV_DONTNEED);
		kept->at[kept->size - 1] = 3;
		break;
	case 5:
		if (kept->of_file || kept->size > FILE_PAGES * page / 2)
			break;
		kept->at = check(mremap(kept->at, kept->size, kept->size * 2, MREMAP_MAYMOVE));
		kept->size *= 2;
		break;
	default:
		shared[next(state) % FILE_PAGES * page] = 4;
		break;
	}
}

static void *churn(void *argument)
{
	uint32_t state = (uint32_t)(uintptr_t)argument * 2654435761u + 1;
	struct kept kept[KEPT];

	memset(kept, 0, sizeof(kept));
	for (int i = 0; i < steps; i++) {
		struct kept *one = &kept[next(&state) % KEPT];
		if (next(&state) % 3 == 0)
			use_slot(&state);
		else if (one->at)
			change_one(one, &state);
		else
			map_one(one, &state);
	}
	for (int i = 0; i < KEPT; i++)
		if (kept[i].at)
			munmap(kept[i].at, kept[i].size);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	page = (size_t)sysconf(_SC_PAGESIZE);
	if (argc > 1)
		steps = atoi(argv[1]);
	file = memfd_create("churn", 0);
	if (file < 0 || ftruncate(file, (off_t)(FILE_PAGES * page)))
		return 1;
	shared = check(mmap(NULL, FILE_PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
	arena = check(mmap(NULL, SLOTS * SLOT_PAGES * page, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	for (int round = 0; round < 2; round++) {
		for (uintptr_t i = 0; i < THREADS; i++)
			if (pthread_create(&threads[i], NULL, churn,
					   (void *)(i + 1 + (unsigned)round * THREADS)))
				return 1;
		pid_t child = fork();
		if (!child) {
			churn((void *)(uintptr_t)99);
			_exit(0);
		}
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		waitpid(child, NULL, 0);
	}
	puts("done");
	return 0;
}
