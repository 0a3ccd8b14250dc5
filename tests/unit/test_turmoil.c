/*
 * test_turmoil.c - many CPUs in several address spaces that come and go, with memory so short that calls fail
 * all the time.
 *
 *	test_turmoil [seconds [seed]]
 *
 * What test_stress does not have: children that live on and fork again, and share pages with their parents
 * under other CPUs' hands; exec; heaps and stacks that grow; copies from and to other address spaces; a file
 * whose store is slow and fails now and then, synced, invalidated and cut; a device beside each CPU that
 * keeps a translation of its own and writes through it until it is told to let go.
 *
 * Each CPU counts up in a page of its own in the first address space, which nobody unmaps: a store that is
 * lost would show. A device that writes to a frame that is not the mm's any more shows in the frame's poison,
 * or in somebody's page. At the end everything is free.
 *
 * Rules: BASE-3 to BASE-8.
 */
#include "../../core/phys/phys.h"
#include "../support/disk.h"
#include "stage.h"

#include <quire/notifier.h>

#include <pthread.h>
#include <sched.h>
#include <time.h>

#define CPUS (QUIRE_MAX_CPUS > 6 ? 6 : QUIRE_MAX_CPUS - 1)
#define SPACES 4
#define WINDOW 24 /* pages that all fight over */
#define STACK 200 /* the page where a growing stack begins */
#define HEAP 300
#define FRAMES (56 + first_seed % 4 * 16) /* by seed: hardly enough, and a little more */
#define DISK_FILE_PAGES 8

static unsigned seconds = 2;
static uint64_t first_seed = 20260102;

struct turmoil;

/* A device: one translation of a page of a space, good while present. */
struct device {
	struct quire_notifier notifier;
	struct turmoil *turmoil;
	struct quire_mm *mm; /* registered with, referenced; NULL: with none */
	pthread_mutex_t lock;
	bool present; /* under lock */
	quire_vaddr va;
	quire_pfn pfn;
};

struct worker {
	struct turmoil *turmoil;
	struct device device;
	unsigned id;
	uint64_t state, operations, no_memory;
	struct quire_mm *mm; /* of this batch; referenced */
	uint8_t count;
};

struct turmoil {
	struct hosted *machine;
	pthread_mutex_t lock; /* for spaces[] */
	struct quire_mm *spaces[SPACES];
	struct quire_file *files[2]; /* in memory; with a store */
	char disk[DISK_FILE_PAGES * PAGE];
	_Atomic uint64_t disk_calls;
	struct worker workers[CPUS];
	time_t end;
	uint64_t objects;
	_Atomic bool over; /* something failed */
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

static void complain(struct turmoil *t, const char *what, unsigned long long n)
{
	if (!atomic_exchange(&t->over, true))
		snprintf(t->failed, sizeof(t->failed), "%s (%llu)", what, n);
}

/* ---- the store --------------------------------------------------------------------------------------- */

/* One call in 16 fails; the others take their time. */
static int slow_call(struct quire_cpu **cpu, struct turmoil *t, char *to, const char *from, uint64_t index)
{
	if (atomic_fetch_add(&t->disk_calls, 1) % 16 == 5)
		return -QUIRE_EIO;
	if (index >= DISK_FILE_PAGES)
		return 0;
	memcpy(to, from, PAGE / 2);
	hosted_poll(*cpu);
	sched_yield();
	memcpy(to + PAGE / 2, from + PAGE / 2, PAGE / 2);
	return 0;
}

static int store_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct turmoil *t = data;
	(void)file;
	return slow_call(cpu, t, page, t->disk + (index % DISK_FILE_PAGES) * PAGE, index);
}

static int store_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		       const void *page)
{
	struct turmoil *t = data;
	(void)file;
	return slow_call(cpu, t, t->disk + (index % DISK_FILE_PAGES) * PAGE, page, index);
}

static int store_ask(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index)
{
	struct turmoil *t = data;
	(void)file;
	(void)index;
	hosted_poll(*cpu);
	return atomic_fetch_add(&t->disk_calls, 1) % 16 == 5 ? -QUIRE_ENOSPC : 0;
}

static const struct quire_store slow_store = {
	.read = store_read,
	.write = store_write,
	.make_writable = store_ask,
};

/* ---- the device -------------------------------------------------------------------------------------- */

static void device_lets_go(struct quire_notifier *notifier, struct quire_cpu **cpu, quire_vaddr start,
			   quire_vaddr end)
{
	struct device *device = notifier->data;
	(void)cpu;
	pthread_mutex_lock(&device->lock);
	if (device->present && start <= device->va && device->va < end)
		device->present = false;
	pthread_mutex_unlock(&device->lock);
}

static void device_released(struct quire_notifier *notifier, struct quire_cpu **cpu)
{
	device_lets_go(notifier, cpu, 0, QUIRE_USER_END);
}

static const struct quire_notifier_ops device_ops = { .start = device_lets_go, .release = device_released };

static void device_detach(struct device *device, struct quire_cpu **cpu)
{
	if (!device->mm)
		return;
	quire_notifier_remove(cpu, device->mm, &device->notifier);
	quire_mm_put(cpu, device->mm);
	device->mm = NULL;
	device->present = false; /* nobody calls any more */
}

static void device_attach(struct device *device, struct quire_cpu **cpu, struct quire_mm *mm)
{
	device_detach(device, cpu);
	device->notifier = (struct quire_notifier){ .ops = &device_ops, .data = device };
	device->mm = quire_mm_get(mm);
	quire_notifier_register(cpu, mm, &device->notifier);
}

/* Bytes of their own, which no program looks at but the poison of a free frame covers. */
static void device_writes(struct device *device, struct quire_cpu *cpu)
{
	pthread_mutex_lock(&device->lock);
	if (device->present)
		quire_port_zero((char *)frame_memory(cpu->quire, device->pfn) + 16, 8);
	pthread_mutex_unlock(&device->lock);
}

static void device_translates(struct device *device, struct quire_cpu **cpu, quire_vaddr va)
{
	quire_pfn pfn;
	bool writable;
	uint64_t seq = quire_notifier_seq(&device->notifier);
	if (quire_translate(cpu, device->mm, va, QUIRE_ACCESS_WRITE, &pfn, &writable) || !writable)
		return;
	pthread_mutex_lock(&device->lock);
	if (!quire_notifier_retry(&device->notifier, seq)) {
		device->va = va;
		device->pfn = pfn;
		device->present = true;
	}
	pthread_mutex_unlock(&device->lock);
}

static void use_device(struct worker *w, struct quire_cpu **cpu)
{
	if (!w->device.mm || !pick(w, 16))
		device_attach(&w->device, cpu, w->mm);
	else if (!pick(w, 16))
		device_detach(&w->device, cpu);
	else
		device_translates(&w->device, cpu, AT(pick(w, WINDOW)));
}

/* ---- spaces ------------------------------------------------------------------------------------------ */

static struct quire_mm *space_take(struct turmoil *t, unsigned slot)
{
	pthread_mutex_lock(&t->lock);
	struct quire_mm *mm = t->spaces[slot] ? quire_mm_get(t->spaces[slot]) : NULL;
	pthread_mutex_unlock(&t->lock);
	return mm;
}

/* Put @mm in a slot, not the first's; what was there goes. */
static void space_replace(struct worker *w, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct turmoil *t = w->turmoil;
	unsigned slot = 1 + pick(w, SPACES - 1);
	pthread_mutex_lock(&t->lock);
	struct quire_mm *old = t->spaces[slot];
	t->spaces[slot] = mm;
	pthread_mutex_unlock(&t->lock);
	if (old)
		quire_mm_put(cpu, old);
}

static void lay_out(struct quire_layout *layout, unsigned n)
{
	*layout = (struct quire_layout){
		.mmap_base = AT(0),
		.mmap_bottom = QUIRE_HUGE_SIZE,
		.brk_start = AT(HEAP),
		.end = n % 2 ? AT(HEAP + 1000) : 0,
	};
}

static void random_life(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mm *child;
	struct quire_layout layout;
	lay_out(&layout, pick(w, 2));
	if (pick(w, 3)) {
		if (quire_fork(cpu, w->mm, &child))
			w->no_memory++;
		else
			space_replace(w, cpu, child);
	} else if (w->mm != w->turmoil->spaces[0]) {
		quire_exec(cpu, w->mm, &layout);
	}
}

/* ---- calls ------------------------------------------------------------------------------------------- */

static void random_map(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr, quire_vaddr bytes)
{
	static const uint32_t prots[] = { RW, RW, RW, RO, QUIRE_PROT_NONE };
	unsigned file = pick(w, 4); /* 2 and 3: none */
	struct quire_mmap map = {
		.addr = addr,
		.length = bytes,
		.prot = prots[pick(w, 5)],
		.flags = QUIRE_MAP_FIXED | (pick(w, 2) ? QUIRE_MAP_PRIVATE : QUIRE_MAP_SHARED) |
			 (file > 1 ? QUIRE_MAP_ANONYMOUS : 0) | (pick(w, 4) ? 0 : QUIRE_MAP_POPULATE),
		.file = file > 1 ? NULL : w->turmoil->files[file],
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = 1,
		.offset = pick(w, 6) * PAGE,
	};
	if (quire_mmap(cpu, w->mm, &map) == -QUIRE_ENOMEM)
		w->no_memory++;
}

static void random_touch(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr)
{
	struct quire_fault fault;
	uint32_t value = (uint32_t)next_random(w);
	int err = pick(w, 2) ? hosted_store(cpu, w->mm, addr, &value, 4, &fault)
			     : hosted_load(cpu, w->mm, addr, &value, 4, &fault);
	if (err == -QUIRE_ENOMEM)
		w->no_memory++;
}

static void random_growth(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mmap stack = { .addr = AT(STACK), .length = PAGE, .prot = RW };
	stack.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED | QUIRE_MAP_GROWSDOWN;
	switch (pick(w, 4)) {
	case 0:
		quire_brk(cpu, w->mm, AT(HEAP + pick(w, 16)));
		break;
	case 1:
		random_touch(w, cpu, AT(HEAP + pick(w, 16)));
		break;
	case 2:
		if (pick(w, 3))
			quire_munmap(cpu, w->mm, AT(STACK - 16), 17 * PAGE);
		else
			quire_mmap(cpu, w->mm, &stack);
		break;
	default:
		random_touch(w, cpu, AT(STACK - pick(w, 12)));
		break;
	}
}

static void random_copy(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr)
{
	char buffer[3 * PAGE / 2];
	struct quire_iovec here = { AT(pick(w, WINDOW - 2)), PAGE + 9 }, there = { addr, PAGE + 9 };
	struct quire_mm *other;
	memset(buffer, 3, sizeof(buffer));
	switch (pick(w, 5)) {
	case 0:
		quire_copy_from(cpu, w->mm, buffer, addr + PAGE / 3, sizeof(buffer));
		break;
	case 1:
		quire_copy_to(cpu, w->mm, addr + PAGE / 3, buffer, sizeof(buffer));
		break;
	case 2:
		quire_peek(cpu, w->mm, buffer, addr + PAGE / 3, sizeof(buffer));
		break;
	case 3:
		quire_poke(cpu, w->mm, addr + PAGE / 3, buffer, PAGE / 3);
		break;
	default:
		other = space_take(w->turmoil, pick(w, SPACES));
		if (!other)
			break;
		quire_process_vm(cpu, w->mm, &here, 1, other, &there, 1, pick(w, 2));
		quire_mm_put(cpu, other);
		break;
	}
}

static void random_file_call(struct worker *w, struct quire_cpu **cpu)
{
	char data[64] = { 1 };
	struct quire_file *file = w->turmoil->files[pick(w, 2)];
	uint64_t page = pick(w, DISK_FILE_PAGES);
	switch (pick(w, 6)) {
	case 0:
		quire_file_truncate(cpu, file, (2 + pick(w, DISK_FILE_PAGES - 2)) * PAGE + pick(w, 2) * 100);
		break;
	case 1:
		quire_file_write(cpu, file, page * PAGE + 50, data, sizeof(data));
		break;
	case 2:
		quire_file_read(cpu, file, page * PAGE + 50, data, sizeof(data));
		break;
	case 3:
		quire_file_punch(cpu, file, page * PAGE, PAGE);
		break;
	case 4:
		quire_file_invalidate(cpu, file, page, page + 2);
		break;
	default:
		quire_file_sync(cpu, file, 0, DISK_FILE_PAGES);
		break;
	}
}

static void random_advice(struct worker *w, struct quire_cpu **cpu, quire_vaddr addr, quire_vaddr bytes)
{
	static const int kinds[] = { QUIRE_MADV_DONTNEED,      QUIRE_MADV_DONTNEED,
				     QUIRE_MADV_FREE,	       QUIRE_MADV_REMOVE,
				     QUIRE_MADV_POPULATE_READ, QUIRE_MADV_POPULATE_WRITE,
				     QUIRE_MADV_WILLNEED,      QUIRE_MADV_DONTFORK,
				     QUIRE_MADV_DOFORK,	       QUIRE_MADV_WIPEONFORK,
				     QUIRE_MADV_KEEPONFORK };
	quire_madvise(cpu, w->mm, addr, bytes, kinds[pick(w, 11)]);
}

static void random_look(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mm_stats stats;
	uint8_t vec[WINDOW];
	const char *what;
	switch (pick(w, 4)) {
	case 0:
		quire_mincore(cpu, w->mm, AT(0), WINDOW * PAGE, vec);
		break;
	case 1:
		quire_present(cpu, w->mm, AT(0), WINDOW * PAGE, vec);
		break;
	case 2:
		quire_mm_stats(cpu, w->mm, &stats);
		break;
	default:
		if (quire_mm_check(cpu, w->mm, &what))
			complain(w->turmoil, what, w->operations);
		break;
	}
}

static void random_change(struct worker *w, struct quire_cpu **cpu, unsigned page, quire_vaddr bytes)
{
	quire_vaddr addr = AT(page), to = AT(pick(w, WINDOW - 8));
	switch (pick(w, 9)) {
	case 0:
	case 1:
		random_map(w, cpu, addr, bytes);
		break;
	case 2:
		quire_munmap(cpu, w->mm, addr, bytes);
		break;
	case 3:
		quire_mprotect(cpu, w->mm, addr, bytes, pick(w, 4) ? RW : pick(w, 2) ? RO : QUIRE_PROT_NONE);
		break;
	case 4:
		quire_mremap(cpu, w->mm, addr, bytes, bytes, QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED, to);
		break;
	case 5:
		quire_mremap(cpu, w->mm, addr, bytes, pick(w, 2) ? bytes / 2 : bytes + PAGE, 0, 0);
		break;
	case 6:
		quire_mremap(cpu, w->mm, addr, bytes, bytes,
			     QUIRE_MREMAP_MAYMOVE | QUIRE_MREMAP_FIXED | QUIRE_MREMAP_DONTUNMAP, to);
		break;
	case 7:
		pick(w, 3) ? quire_munlock(cpu, w->mm, addr, bytes)
			   : quire_mlock(cpu, w->mm, addr, bytes, pick(w, 2) ? QUIRE_MLOCK_ONFAULT : 0);
		break;
	default:
		quire_msync(cpu, w->mm, addr, bytes, QUIRE_MS_SYNC);
		break;
	}
}

static void random_call(struct worker *w, struct quire_cpu **cpu)
{
	unsigned page = pick(w, WINDOW);
	quire_vaddr bytes = (1 + pick(w, WINDOW - page < 6 ? WINDOW - page : 6)) * PAGE;
	switch (pick(w, 20)) {
	case 0:
	case 1:
	case 2:
	case 3:
		random_change(w, cpu, page, bytes);
		break;
	case 4:
	case 5:
		random_advice(w, cpu, AT(page), bytes);
		break;
	case 6:
	case 7:
		random_file_call(w, cpu);
		break;
	case 8:
		random_growth(w, cpu);
		break;
	case 9:
	case 10:
		random_copy(w, cpu, AT(pick(w, WINDOW - 2)));
		break;
	case 11:
		use_device(w, cpu);
		break;
	case 12:
		pick(w, 2) ? random_look(w, cpu) : random_life(w, cpu);
		break;
	case 13:
		quire_cpu_idle(*cpu);
		hosted_poll(*cpu);
		quire_cpu_run(*cpu, w->mm);
		break;
	default:
		random_touch(w, cpu, AT(page));
		break;
	}
	device_writes(&w->device, *cpu);
}

/* ---- the workers ------------------------------------------------------------------------------------- */

/*
 * The worker's own byte must be what it wrote last. Only a store may find no memory, since a fork has shared
 * the page.
 */
static void count_up(struct worker *w, struct quire_cpu **cpu)
{
	struct quire_mm *mm = w->turmoil->spaces[0];
	struct quire_fault fault;
	quire_vaddr own = AT(WINDOW + w->id);
	uint8_t found, next = (uint8_t)(w->count + 1);
	quire_cpu_run(*cpu, mm);
	int err = hosted_load(cpu, mm, own, &found, 1, &fault);
	if (err || found != w->count)
		complain(w->turmoil, "a CPU lost a store", w->operations);
	if (!hosted_store(cpu, mm, own, &next, 1, &fault))
		w->count = next;
	else
		w->no_memory++;
}

static void work(struct quire_cpu **cpu, void *argument)
{
	struct worker *w = argument;
	struct turmoil *t = w->turmoil;
	while (!atomic_load(&t->over) && time(NULL) < t->end) {
		w->mm = space_take(t, pick(w, 2) ? 0 : pick(w, SPACES));
		if (!w->mm)
			continue;
		quire_cpu_run(*cpu, w->mm);
		for (int i = 0; i < 30; i++, w->operations++)
			random_call(w, cpu);
		count_up(w, cpu);
		if (pick(w, 2))
			quire_cpu_leave(*cpu);
		else
			quire_cpu_idle(*cpu); /* lazy, in the first space */
		quire_mm_put(cpu, w->mm);
	}
	device_detach(&w->device, cpu);
	quire_cpu_leave(*cpu);
}

static void begin(struct quire_cpu **cpu, void *argument)
{
	struct turmoil *t = argument;
	struct quire_stats stats;
	struct quire_layout layout;
	struct quire_fault fault;
	uint8_t zero = 0;
	quire_stats_read((*cpu)->quire, &stats);
	t->objects = stats.objects;
	lay_out(&layout, 0);
	struct quire_mmap own = { AT(WINDOW), CPUS * PAGE,
				  RW,	      QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED,
				  NULL,	      0,
				  0,	      0 };
	if (quire_mm_create(cpu, &t->spaces[0]) || quire_mmap(cpu, t->spaces[0], &own) < 0 ||
	    quire_file_create_ram(cpu, DISK_FILE_PAGES * PAGE, 1, &t->files[0]) ||
	    quire_file_create(cpu, &slow_store, t, QUIRE_FILE_READ | QUIRE_FILE_WRITE, DISK_FILE_PAGES * PAGE,
			      2, &t->files[1]))
		complain(t, "set-up failed", 0);
	quire_mm_set_layout(cpu, t->spaces[0], &layout);
	quire_cpu_run(*cpu, t->spaces[0]);
	for (unsigned id = 0; id < CPUS; id++)
		hosted_store(cpu, t->spaces[0], AT(WINDOW + id), &zero, 1, &fault);
	quire_cpu_leave(*cpu);
}

static void finish(struct quire_cpu **cpu, void *argument)
{
	struct turmoil *t = argument;
	struct quire_stats stats;
	const char *what;
	for (unsigned slot = 0; slot < SPACES; slot++) {
		if (!t->spaces[slot])
			continue;
		if (quire_mm_check(cpu, t->spaces[slot], &what))
			complain(t, what, slot);
		quire_mm_put(cpu, t->spaces[slot]);
	}
	quire_file_put(cpu, t->files[0]);
	quire_file_put(cpu, t->files[1]);
	quire_port_rcu_barrier(cpu);
	quire_stats_read((*cpu)->quire, &stats);
	if (stats.frames_free + stats.frames_reserved != stats.frames_total)
		complain(t, "leaked frames", stats.frames_total - stats.frames_reserved - stats.frames_free);
	if (stats.committed_pages)
		complain(t, "leaked committed pages", stats.committed_pages);
	if (stats.objects != t->objects)
		complain(t, "leaked objects", stats.objects - t->objects);
	printf("%llu faults, %llu copies, %llu reuses, %llu failed, %llu restarts\n",
	       (unsigned long long)stats.faults, (unsigned long long)stats.faults_cow,
	       (unsigned long long)stats.faults_reuse, (unsigned long long)stats.faults_failed,
	       (unsigned long long)stats.faults_restarts);
}

static void begin_worker(struct turmoil *t, unsigned id)
{
	struct worker *w = &t->workers[id];
	*w = (struct worker){ .turmoil = t, .id = id, .state = first_seed * 2654435761u + id + 1 };
	w->device.turmoil = t;
	pthread_mutex_init(&w->device.lock, NULL);
	hosted_post(t->machine, id, work, w);
}

static void base_6_nothing_is_lost_when_memory_is_short(void **state)
{
	(void)state;
	struct hosted_config config = {
		.cpus = CPUS, .memory_bytes = FRAMES * PAGE, .speculation = 4, .seed = first_seed
	};
	struct turmoil *t = calloc(1, sizeof(*t));
	uint64_t operations = 0, no_memory = 0;
	assert_non_null(t);
	config.quire.overcommit = QUIRE_OVERCOMMIT_ALWAYS;
	assert_int_equal(hosted_create(&config, &t->machine), 0);
	pthread_mutex_init(&t->lock, NULL);
	hosted_run(t->machine, 0, begin, t);
	t->end = time(NULL) + seconds;
	for (unsigned id = 0; id < CPUS; id++)
		begin_worker(t, id);
	hosted_wait(t->machine);
	for (unsigned id = 0; id < CPUS; id++) {
		operations += t->workers[id].operations;
		no_memory += t->workers[id].no_memory;
	}
	printf("%llu operations, %llu without memory, seed %llu\n", (unsigned long long)operations,
	       (unsigned long long)no_memory, (unsigned long long)first_seed);
	hosted_run(t->machine, 0, finish, t);
	if (t->failed[0])
		fail_msg("%s; again: test_turmoil %u %llu", t->failed, seconds,
			 (unsigned long long)first_seed);
	hosted_destroy(t->machine);
	free(t);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_6_nothing_is_lost_when_memory_is_short),
	};
	if (getenv("QUIRE_SOAK"))
		seconds = 60;
	if (argc > 1)
		seconds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
