/*
 * stress.c - a program for the metal machine: threads of one process make random calls on memory beside each
 * other, and check what they can. Exits with 0 when all was as it should be. It says the same on any Linux.
 *
 *	stress [SECONDS [SEED]]
 *
 * Each thread has pages of its own, of which it knows everything: what is mapped, what is allowed, what was
 * stored. They lie in chunks between those of the others, so that mappings merge and split across threads:
 *
 *	| chunk 0 of thread 0 | chunk 0 of thread 1 | ... | chunk 1 of thread 0 | ...
 *
 * A load or store there faults exactly where it has to, with the right code and address; every page holds
 * what was stored last, and zero when it is new or was given back. In another window all of them map, unmap,
 * protect and move; what is found there is zero or was stored there by somebody. A thread forks now and then,
 * and does not wait: the child's pages are those of the moment of the fork, while the parent goes on.
 *
 * Rules: BASE-1, BASE-3, VMA-3, VMA-7, BASE-8 (nobody waits for ever: the run would).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
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
#define CHUNKS 8 /* of a thread */
#define CHUNK 8	 /* pages */
#define OWN (CHUNKS * CHUNK)
#define WINDOW 64 /* pages that all fight over */
#define PAGE 4096ul
#define WORDS (PAGE / sizeof(uint64_t))
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define NEW (MAP_PRIVATE | MAP_ANONYMOUS)

/* Far from where the kernel puts what may lie anywhere; each has a border of page tables in its middle. */
#define OWN_AT 0x200000100000ul
#define WINDOW_AT (0x200000600000ul - WINDOW / 2 * PAGE)

/* Values: who stored them, where, and the how many-th of that thread it is. */
#define IN_WINDOW (1ull << 63)
#define STORER_SHIFT 48
#define COUNT_MASK ((1ull << STORER_SHIFT) - 1)

struct page {
	int mapped, shared, prot;
	uint64_t value; /* in its first and last word; 0: all zero */
};

struct worker {
	int id;
	uint64_t state, count;
	uint64_t operations, faults, forks;
	pid_t child; /* not waited for yet, or 0 */
	struct page pages[OWN];
};

static struct worker workers[THREADS];
static _Atomic uint64_t *counts; /* by thread, shared with children: no value of the window's is beyond it */
static uint64_t seed = 1;
static int seconds = 5;
static time_t end;

/* In one piece, and the first one only: others may be about to say something too. */
__attribute__((format(printf, 2, 3), noreturn)) static void fail(const struct worker *w, const char *format,
								 ...)
{
	static atomic_flag failed = ATOMIC_FLAG_INIT;
	char what[300];
	va_list arguments;

	while (atomic_flag_test_and_set(&failed))
		pause();
	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	fprintf(stderr, "stress: thread %d, operation %llu: %s; again: stress %d %llu\n", w->id,
		(unsigned long long)w->operations, what, seconds, (unsigned long long)seed);
	_exit(1);
}

static unsigned pick(struct worker *w, unsigned n)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return (unsigned)(w->state >> 20) % n;
}

static int pick_prot(struct worker *w)
{
	static const int prots[] = { READ_WRITE, READ_WRITE, READ_WRITE, PROT_READ, PROT_NONE };

	return prots[pick(w, 5)];
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* ---- loads and stores that may fault ----------------------------------------------------------------- */

static _Thread_local struct worker *me;
static _Thread_local sigjmp_buf way_out;
static _Thread_local volatile uint64_t *volatile accessed; /* where a fault is expected, or NULL */

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	if (!accessed || info->si_addr != (void *)accessed)
		fail(me, "a fault at %p, where none can be", info->si_addr);
	accessed = NULL;
	siglongjmp(way_out, info->si_code);
}

/* 0, or the fault's code. */
static int load(struct worker *w, uint64_t *at, uint64_t *value)
{
	int code = sigsetjmp(way_out, 0);

	if (code) {
		w->faults++;
		return code;
	}
	accessed = at;
	*value = *accessed;
	accessed = NULL;
	return 0;
}

static int store(struct worker *w, uint64_t *at, uint64_t value)
{
	int code = sigsetjmp(way_out, 0);

	if (code) {
		w->faults++;
		return code;
	}
	accessed = at;
	*accessed = value;
	accessed = NULL;
	return 0;
}

/* ---- pages of one's own ------------------------------------------------------------------------------ */

static uint64_t *own_at(const struct worker *w, int page)
{
	unsigned long at = ((unsigned long)(page / CHUNK * THREADS + w->id) * CHUNK + page % CHUNK) * PAGE;

	return (uint64_t *)(OWN_AT + at);
}

static uint64_t next_value(struct worker *w)
{
	return (uint64_t)(w->id + 1) << STORER_SHIFT | ++w->count;
}

/* What an access that needs @prot is answered with. */
static int expected(const struct page *page, int prot)
{
	return !page->mapped ? SEGV_MAPERR : (page->prot & prot) == prot ? 0 : SEGV_ACCERR;
}

static void check_page(struct worker *w, int number, int word, int value_counts)
{
	const struct page *page = &w->pages[number];
	uint64_t found, *at = own_at(w, number) + word;
	int code = load(w, at, &found), right = expected(page, PROT_READ);

	if (code != right)
		fail(w, "a load from page %d at %p is answered with %d, not %d", number, (void *)at, code,
		     right);
	if (!code && value_counts && found != page->value)
		fail(w, "page %d at %p holds %llx, not %llx", number, (void *)at, (unsigned long long)found,
		     (unsigned long long)page->value);
}

static void check_pages(struct worker *w)
{
	for (int page = 0; page < OWN; page++)
		check_page(w, page, page % 2 ? WORDS - 1 : 0, 1);
}

static void store_to_page(struct worker *w, int number)
{
	struct page *page = &w->pages[number];
	uint64_t value = next_value(w), *at = own_at(w, number);
	int code = store(w, at, value), right = expected(page, READ_WRITE);

	if (code != right)
		fail(w, "a store to page %d at %p is answered with %d, not %d", number, (void *)at, code,
		     right);
	if (code)
		return;
	if (store(w, at + WORDS - 1, value))
		fail(w, "page %d at %p takes one store and not another", number, (void *)at);
	page->value = value;
}

/* A range inside a chunk. */
struct range {
	int first, pages;
	void *at;
	size_t bytes;
};

static struct range pick_range(struct worker *w)
{
	struct range range = { .first = (int)pick(w, OWN) };

	range.pages = 1 + (int)pick(w, (unsigned)(CHUNK - range.first % CHUNK));
	range.at = own_at(w, range.first);
	range.bytes = (size_t)range.pages * PAGE;
	return range;
}

static int count_mapped(const struct worker *w, const struct range *range)
{
	int mapped = 0;

	for (int i = 0; i < range->pages; i++)
		mapped += w->pages[range->first + i].mapped;
	return mapped;
}

/* By force; or where nothing is, as a wish or as the only place. */
static void map_own(struct worker *w)
{
	static const int ways[] = { MAP_FIXED, MAP_FIXED, 0, MAP_FIXED_NOREPLACE };
	struct range range = pick_range(w);
	int prot = pick_prot(w), way = ways[pick(w, 4)], shared = pick(w, 4) == 0;
	int kind = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS | (pick(w, 4) ? 0 : MAP_POPULATE);
	int fits = way == MAP_FIXED || !count_mapped(w, &range);
	void *at = mmap(range.at, range.bytes, prot, kind | way, -1, 0);

	if (!fits && way == MAP_FIXED_NOREPLACE) {
		if (at != MAP_FAILED || errno != EEXIST)
			fail(w, "mmap(%p) over what is there: %p, %s", range.at, at, strerror(errno));
		return;
	}
	if (at == MAP_FAILED || (at == range.at) != fits)
		fail(w, "mmap(%p, %zu) with flag %x: %p, %s", range.at, range.bytes, way, at,
		     strerror(errno));
	if (!fits) {
		if (munmap(at, range.bytes))
			fail(w, "munmap(%p): %s", at, strerror(errno));
		return;
	}
	for (int i = 0; i < range.pages; i++)
		w->pages[range.first + i] = (struct page){ .mapped = 1, .shared = shared, .prot = prot };
}

static void unmap_own(struct worker *w)
{
	struct range range = pick_range(w);

	if (munmap(range.at, range.bytes))
		fail(w, "munmap(%p, %zu): %s", range.at, range.bytes, strerror(errno));
	memset(&w->pages[range.first], 0, (size_t)range.pages * sizeof(w->pages[0]));
}

static void expect_hole(struct worker *w, const char *call, const struct range *range, int result)
{
	int error = result ? errno : 0, right = count_mapped(w, range) == range->pages ? 0 : ENOMEM;

	if (error != right)
		fail(w, "%s(%p, %zu): error %d, not %d", call, range->at, range->bytes, error, right);
}

/* Up to the first hole. */
static void protect_own(struct worker *w)
{
	struct range range = pick_range(w);
	int prot = pick_prot(w);

	expect_hole(w, "mprotect", &range, mprotect(range.at, range.bytes, prot));
	for (int i = 0; i < range.pages && w->pages[range.first + i].mapped; i++)
		w->pages[range.first + i].prot = prot;
}

/* Around holes. What is shared stays in the file that it is of. */
static void discard_own(struct worker *w)
{
	struct range range = pick_range(w);

	expect_hole(w, "madvise", &range, madvise(range.at, range.bytes, MADV_DONTNEED));
	for (int i = 0; i < range.pages; i++)
		if (!w->pages[range.first + i].shared)
			w->pages[range.first + i].value = 0;
}

/* One page over another; or only what it holds. */
static void move_own(struct worker *w)
{
	int from = (int)pick(w, OWN), to = (int)pick(w, OWN);
	struct page *page = &w->pages[from];
	int stay = !page->shared && pick(w, 3) == 0;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (stay ? MREMAP_DONTUNMAP : 0);

	if (!page->mapped || from == to)
		return;
	if (mremap(own_at(w, from), PAGE, PAGE, flags, own_at(w, to)) != own_at(w, to))
		fail(w, "mremap(%p, to %p): %s", (void *)own_at(w, from), (void *)own_at(w, to),
		     strerror(errno));
	w->pages[to] = *page;
	if (stay)
		page->value = 0;
	else
		*page = (struct page){ .mapped = 0 };
}

/* ---- a mapping anywhere, beside those of others ------------------------------------------------------ */

static void expect_word(struct worker *w, const volatile uint64_t *at, uint64_t value, const char *what)
{
	uint64_t found = *at;

	if (found != value)
		fail(w, "%s at %p holds %llx, not %llx", what, (const void *)at, (unsigned long long)found,
		     (unsigned long long)value);
}

/* New, filled, grown, cut; and then a part of a chunk, or gone. */
static void roam(struct worker *w)
{
	struct range home = pick_range(w);
	size_t bytes = home.bytes;
	uint64_t values[CHUNK], *at = mmap(NULL, bytes, READ_WRITE, NEW, -1, 0);

	if (at == MAP_FAILED)
		fail(w, "mmap(%zu): %s", bytes, strerror(errno));
	for (int i = 0; i < home.pages; i++) {
		expect_word(w, at + (size_t)i * WORDS, 0, "a new page");
		at[(size_t)i * WORDS] = at[(size_t)(i + 1) * WORDS - 1] = values[i] = next_value(w);
	}
	uint64_t *grown = mremap(at, bytes, 2 * bytes, MREMAP_MAYMOVE);
	if (grown == MAP_FAILED)
		fail(w, "mremap(%p, to %zu): %s", (void *)at, 2 * bytes, strerror(errno));
	for (int i = 0; i < home.pages; i++) {
		expect_word(w, grown + (size_t)i * WORDS, values[i], "a page that was moved");
		expect_word(w, grown + (size_t)(home.pages + i) * WORDS, 0, "a page that was added");
	}
	if (pick(w, 2)) {
		if (munmap(grown, 2 * bytes))
			fail(w, "munmap(%p, %zu): %s", (void *)grown, 2 * bytes, strerror(errno));
		return;
	}
	if (mremap(grown, 2 * bytes, bytes, 0) != grown ||
	    mremap(grown, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, home.at) != home.at)
		fail(w, "mremap(%p, %zu, to %p): %s", (void *)grown, bytes, home.at, strerror(errno));
	for (int i = 0; i < home.pages; i++)
		w->pages[home.first + i] =
			(struct page){ .mapped = 1, .prot = READ_WRITE, .value = values[i] };
}

/* ---- the window -------------------------------------------------------------------------------------- */

static void store_to_window(struct worker *w, uint64_t *at, uint64_t count)
{
	store(w, at, IN_WINDOW | (uint64_t)w->id << STORER_SHIFT | count);
}

static void load_from_window(struct worker *w, uint64_t *at)
{
	uint64_t value;

	if (load(w, at, &value) || !value)
		return;
	uint64_t storer = (value ^ IN_WINDOW) >> STORER_SHIFT;
	if (storer >= THREADS || (value & COUNT_MASK) > atomic_load(&counts[storer]))
		fail(w, "in the window at %p is %llx, which nobody stored there", (void *)at,
		     (unsigned long long)value);
}

static void touch_window(struct worker *w, uint64_t *at)
{
	if (pick(w, 2)) {
		load_from_window(w, at);
	} else {
		atomic_store(&counts[w->id], ++w->count);
		store_to_window(w, at, w->count);
	}
}

/* Any result will do. */
static void call_in_window(struct worker *w)
{
	unsigned page = pick(w, WINDOW), most = WINDOW - page < 8 ? WINDOW - page : 8;
	char *window = (char *)WINDOW_AT, *at = window + page * PAGE;
	size_t bytes = (1 + pick(w, most)) * PAGE;
	int share = pick(w, 4) ? MAP_PRIVATE : MAP_SHARED;

	switch (pick(w, 20)) {
	case 0:
	case 1:
		mmap(at, bytes, pick_prot(w), share | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 2: {
		void *got = mmap(at, bytes, pick_prot(w), share | MAP_ANONYMOUS, -1, 0);
		if (got != at && got != MAP_FAILED)
			munmap(got, bytes);
		break;
	}
	case 3:
		pick(w, 16) ? munmap(at, bytes) : munmap(window, WINDOW * PAGE);
		break;
	case 4:
	case 5:
		mprotect(at, bytes, pick_prot(w));
		break;
	case 6:
		madvise(at, bytes, MADV_DONTNEED);
		break;
	case 7:
		bytes = pick(w, 2) ? bytes : PAGE;
		mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, window + pick(w, WINDOW - 8) * PAGE);
		break;
	default:
		touch_window(w, (uint64_t *)(void *)(at + pick(w, 2) * 8));
		break;
	}
}

/* ---- forks ------------------------------------------------------------------------------------------- */

static void reap(struct worker *w)
{
	int status;

	if (w->child &&
	    (waitpid(w->child, &status, 0) != w->child || !WIFEXITED(status) || WEXITSTATUS(status)))
		fail(w, "a child ended with %x", (unsigned)status);
	w->child = 0;
}

/* What is private is as it was, for as long as this process has it. */
static void live_as_child(struct worker *w)
{
	for (int round = 0; round < 2; round++)
		for (int page = 0; page < OWN; page++) {
			check_page(w, page, 0, !w->pages[page].shared);
			if (!w->pages[page].shared && pick(w, 3) == 0)
				store_to_page(w, page);
		}
	for (int i = 0; i < 8; i++) {
		uint64_t *at = (uint64_t *)(WINDOW_AT + pick(w, WINDOW) * PAGE);
		load_from_window(w, at);
		store_to_window(w, at, 0);
	}
	_exit(0);
}

static void fork_one(struct worker *w)
{
	reap(w);
	w->child = fork();
	if (w->child < 0)
		fail(w, "fork: %s", strerror(errno));
	if (!w->child)
		live_as_child(w);
	w->forks++;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static void act(struct worker *w)
{
	static void (*const acts[])(struct worker *) = { map_own,     map_own,	   unmap_own, protect_own,
							 protect_own, discard_own, move_own,  roam };
	unsigned choice = pick(w, 24);

	w->operations++;
	if (choice < sizeof(acts) / sizeof(acts[0]))
		acts[choice](w);
	else if (choice < 16)
		call_in_window(w);
	else if (choice < 20)
		store_to_page(w, (int)pick(w, OWN));
	else if (choice < 23 || pick(w, 8))
		check_page(w, (int)pick(w, OWN), 0, 1);
	else
		fork_one(w);
}

static void *work(void *argument)
{
	struct worker *w = argument;

	me = w;
	do {
		for (int i = 0; i < 128; i++)
			act(w);
		check_pages(w);
	} while (now() < end);
	reap(w);
	return argument;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	uint64_t operations = 0, faults = 0, forks = 0;
	pthread_t threads[THREADS];

	if (argc > 1)
		seconds = atoi(argv[1]);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10);
	end = now() + seconds;
	sigaction(SIGSEGV, &action, NULL);
	counts = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		fail(&workers[0], "mmap: %s", strerror(errno));
	for (int id = 0; id < THREADS; id++) {
		struct worker *w = &workers[id];
		w->id = id;
		w->state = (seed * THREADS + (uint64_t)id + 1) * 0x9e3779b97f4a7c15ull;
		if (pthread_create(&threads[id], NULL, work, w))
			fail(w, "pthread_create");
	}
	for (int id = 0; id < THREADS; id++) {
		pthread_join(threads[id], NULL);
		operations += workers[id].operations;
		faults += workers[id].faults;
		forks += workers[id].forks;
	}
	printf("%llu operations, %llu faults, %llu forks, seed %llu: all as it should be\n",
	       (unsigned long long)operations, (unsigned long long)faults, (unsigned long long)forks,
	       (unsigned long long)seed);
	return 0;
}
