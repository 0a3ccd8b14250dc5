/*
 * test_stress.c - random calls and faults of many CPUs on one address space, forks among them; accounting is
 * exact at the end.
 *
 *	test_stress [seconds [seed]]
 *
 * Each CPU has a page of its own in a corner where nobody unmaps, and counts up in it: a lost store would
 * show. Everything else is fought over. Rules: BASE-3, BASE-4, VMA-3, VMA-7, BASE-8 (nobody waits for ever:
 * the test would).
 */
#include "stage.h"

#include <time.h>

#ifdef QUIRE_TEST_CPUS /* where it runs has no more */
#define CPUS QUIRE_TEST_CPUS
#else
#define CPUS (QUIRE_MAX_CPUS > 16 ? 16 : QUIRE_MAX_CPUS - 1)
#endif
#define WINDOW 64 /* pages that all fight over */

static unsigned seconds = 20;
static uint64_t first_seed = 20260101;

struct worker {
	struct stress *stress;
	unsigned id;
	uint64_t state, operations;
	uint8_t count;
};

struct stress {
	struct hosted *machine;
	struct quire_mm *mm;
	struct quire_file *file;
	struct worker workers[CPUS];
	time_t end;
	uint64_t frames; /* free, before */
	char failed[200];
};

static uint64_t next_random(struct worker *w)
{
	w->state ^= w->state << 13;
	w->state ^= w->state >> 7;
	w->state ^= w->state << 17;
	return w->state;
}

static unsigned pick(struct worker *w, unsigned n)
{
	return (unsigned)(next_random(w) >> 20) % n;
}

static void random_map(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr, quire_vaddr bytes)
{
	static const uint32_t prots[] = { RW, RW, RW, RO, QUIRE_PROT_NONE };
	bool file = pick(w, 3) == 0;
	struct quire_mmap map = {
		.addr = addr,
		.length = bytes,
		.prot = prots[pick(w, 5)],
		.flags = QUIRE_MAP_FIXED | (pick(w, 3) ? QUIRE_MAP_PRIVATE : QUIRE_MAP_SHARED) |
			 (file ? 0 : QUIRE_MAP_ANONYMOUS) | (pick(w, 4) ? 0 : QUIRE_MAP_POPULATE),
		.file = file ? w->stress->file : NULL,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = 1,
		.offset = pick(w, 8) * PAGE,
	};
	quire_mmap(cpu, w->stress->mm, &map);
}

static void random_touch(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr)
{
	struct quire_fault fault;
	uint64_t value = next_random(w);
	if (pick(w, 2))
		hosted_store(cpu, w->stress->mm, addr, &value, 8, &fault);
	else
		hosted_load(cpu, w->stress->mm, addr, &value, 8, &fault);
}

static void random_fork(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mm *child;
	struct quire_fault fault;
	uint8_t byte = 1;
	if (quire_fork(cpu, w->stress->mm, &child))
		return;
	quire_cpu_run(*cpu, child);
	for (int i = 0; i < 4; i++)
		hosted_store(cpu, child, AT(pick(w, WINDOW)), &byte, 1, &fault);
	quire_cpu_run(*cpu, w->stress->mm);
	quire_mm_put(cpu, child);
}

static void random_advice(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr, quire_vaddr bytes)
{
	static const int kinds[] = { QUIRE_MADV_DONTNEED,      QUIRE_MADV_FREE,		  QUIRE_MADV_REMOVE,
				     QUIRE_MADV_POPULATE_READ, QUIRE_MADV_POPULATE_WRITE, QUIRE_MADV_DONTFORK,
				     QUIRE_MADV_DOFORK,	       QUIRE_MADV_SEQUENTIAL,	  QUIRE_MADV_NORMAL };
	quire_madvise(cpu, w->stress->mm, addr, bytes, kinds[pick(w, 9)]);
}

static void random_file_call(struct worker *w, struct quire_cpu **cpu)
{
	char data[64] = { 1 };
	struct quire_file *file = w->stress->file;
	switch (pick(w, 4)) {
	case 0:
		quire_file_truncate(cpu, file, (2 + pick(w, 16)) * PAGE);
		break;
	case 1:
		quire_file_write(cpu, file, pick(w, 16) * PAGE, data, sizeof(data));
		break;
	case 2:
		quire_file_punch(cpu, file, pick(w, 16) * PAGE, PAGE);
		break;
	default:
		quire_msync(cpu, w->stress->mm, AT(0), WINDOW * PAGE, QUIRE_MS_SYNC);
		break;
	}
}

static void random_call(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mm *mm = w->stress->mm;
	unsigned page = pick(w, WINDOW);
	quire_vaddr addr = AT(page), bytes = (1 + pick(w, WINDOW - page < 8 ? WINDOW - page : 8)) * PAGE;
	switch (pick(w, 24)) {
	case 0:
	case 1:
		random_map(w, cpu, addr, bytes);
		break;
	case 2:
		quire_munmap(cpu, mm, addr, bytes);
		break;
	case 3:
	case 4:
		quire_mprotect(cpu, mm, addr, bytes, pick(w, 2) ? RW : RO);
		break;
	case 5:
		quire_mremap(cpu, mm, addr, bytes, bytes, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED,
			     AT(pick(w, WINDOW - 8)));
		break;
	case 6:
	case 7:
		random_advice(w, cpu, addr, bytes);
		break;
	case 8:
		random_file_call(w, cpu);
		break;
	case 9:
		if (!pick(w, 4))
			random_fork(w, cpu);
		break;
	case 10:
		pick(w, 2) ? quire_mlock(cpu, mm, addr, bytes, 0) : quire_munlock(cpu, mm, addr, bytes);
		break;
	case 11:
		quire_cpu_idle(*cpu);
		hosted_poll(*cpu);
		quire_cpu_run(*cpu, mm);
		break;
	default:
		random_touch(w, cpu, addr);
		break;
	}
}

/* The worker's own byte must be what it wrote last. */
static bool own_page_holds(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_fault fault;
	quire_vaddr own = AT(WINDOW + w->id);
	uint8_t found;
	if (hosted_load(cpu, w->stress->mm, own, &found, 1, &fault) || found != w->count) {
		snprintf(w->stress->failed, sizeof(w->stress->failed),
			 "CPU %u lost a store after %llu operations", w->id,
			 (unsigned long long)w->operations);
		return false;
	}
	w->count++;
	return hosted_store(cpu, w->stress->mm, own, &w->count, 1, &fault) == 0;
}

static void work(struct quire_cpu **cpu, void *argument)
{
	struct worker *w = argument;
	quire_cpu_run(*cpu, w->stress->mm);
	do {
		for (int i = 0; i < 50; i++, w->operations++)
			random_call(w, cpu);
	} while (own_page_holds(w, cpu) && time(NULL) < w->stress->end);
	quire_cpu_leave(*cpu);
}

static void begin(struct quire_cpu **cpu, void *argument)
{
	struct stress *stress = argument;
	struct quire_stats stats;
	struct quire_mmap map = { AT(WINDOW), CPUS * PAGE,
				  RW,	      QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED,
				  NULL,	      0,
				  0,	      0 };
	quire_stats_read((*cpu)->quire, &stats);
	stress->frames = stats.frames_free;
	if (quire_mm_create(cpu, &stress->mm) || quire_file_create_ram(cpu, 16 * PAGE, 1, &stress->file) ||
	    quire_mmap(cpu, stress->mm, &map) < 0)
		snprintf(stress->failed, sizeof(stress->failed), "set-up failed");
}

static void finish(struct quire_cpu **cpu, void *argument)
{
	struct stress *stress = argument;
	struct quire_stats stats;
	const char *what;
	if (quire_mm_check(cpu, stress->mm, &what))
		snprintf(stress->failed, sizeof(stress->failed), "%s", what);
	quire_mm_put(cpu, stress->mm);
	quire_file_put(cpu, stress->file);
	quire_port_rcu_barrier(cpu);
	quire_stats_read((*cpu)->quire, &stats);
	if (stats.frames_free != stress->frames || stats.committed_pages)
		snprintf(stress->failed, sizeof(stress->failed), "leaked %llu frames, %llu committed pages",
			 (unsigned long long)(stress->frames - stats.frames_free),
			 (unsigned long long)stats.committed_pages);
	printf("faults: %llu under RCU, %llu using their mapping, %llu with the lock\n",
	       (unsigned long long)stats.faults_rcu, (unsigned long long)stats.faults_held,
	       (unsigned long long)stats.faults_locked);
	printf("%llu faults, %llu copies, %llu shootdowns, %llu IPIs, %llu restarts\n",
	       (unsigned long long)stats.faults, (unsigned long long)stats.faults_cow,
	       (unsigned long long)stats.shootdowns, (unsigned long long)stats.ipis,
	       (unsigned long long)stats.faults_restarts);
}

static void base_4_counts_are_exact_after_random_calls_of_many_cpus(void **state)
{
	(void)state;
	struct hosted_config config = {
		.cpus = CPUS, .memory_bytes = 8192 * PAGE, .speculation = 4, .seed = first_seed
	};
	struct stress *stress = calloc(1, sizeof(*stress));
	assert_non_null(stress);
	assert_int_equal(hosted_create(&config, &stress->machine), 0);
	hosted_run(stress->machine, 0, begin, stress);
	stress->end = time(NULL) + seconds;
	for (unsigned id = 0; id < CPUS; id++) {
		stress->workers[id] = (struct worker){ .stress = stress,
						       .id = id,
						       .state = first_seed * 2654435761u + id + 1 };
		hosted_post(stress->machine, id, work, &stress->workers[id]);
	}
	hosted_wait(stress->machine);
	uint64_t operations = 0;
	for (unsigned id = 0; id < CPUS; id++)
		operations += stress->workers[id].operations;
	printf("%llu operations, seed %llu\n", (unsigned long long)operations,
	       (unsigned long long)first_seed);
	hosted_run(stress->machine, 0, finish, stress);
	if (stress->failed[0])
		fail_msg("%s; again: test_stress %u %llu", stress->failed, seconds,
			 (unsigned long long)first_seed);
	hosted_destroy(stress->machine);
	free(stress);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_4_counts_are_exact_after_random_calls_of_many_cpus),
	};
	if (getenv("QUIRE_SOAK"))
		seconds = 600;
	if (argc > 1)
		seconds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
