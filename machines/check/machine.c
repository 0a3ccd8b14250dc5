/*
 * machine.c - puts a check machine together, freezes it, brings it back, and holds the accounts at the end.
 *
 *	arena	[ memory: frames | metadata: folios | heaps: one a thread, and one for what is not scheduled ]
 *
 * at one address in every process, so that a schedule means the same everywhere.
 *
 * freeze: callbacks have run; every CPU's frame cache holds half of what it can, so that CPUs do not meet in
 * the allocator (or, with a shared pool, nothing, and memory is made scarce, so that caches stay empty); what
 * the arena holds is kept. reset copies it back and voids whatever the execution noted.
 *
 * Beside its columns the machine has one more CPU, which runs RCU callbacks.
 *
 * Errors:  -EINVAL, -ENOMEM on creation. Set-up that violates something ends the process with status 3.
 * Rules:   CHK-1, CHK-5 (the accounts).
 */
#include "inside.h"

#include "../../core/phys/frames.h"
#include "../../core/table/tlb.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_ADDRESS ((void *)0x710000000000)

struct machine *machine_now;

static sigjmp_buf at_end; /* where a crash in the end's accounts leads */
static bool is_ending;

/* ---- who is who ------------------------------------------------------------------------------------- */

struct check_cpu *cpu_of(const struct quire_cpu *cpu)
{
	return cpu->machine;
}

unsigned cpu_of_thread(const struct machine *machine, unsigned thread)
{
	if (thread < machine->cpus)
		return thread;
	if (is_handler(machine, thread))
		return thread - machine->first_handler;
	if (thread >= machine->first_buffer && thread < machine->first_buffer + machine->cpus &&
	    machine->config.model == MEMORY_TSO)
		return thread - machine->first_buffer;
	return machine->cpus;
}

static bool is_buffer(const struct machine *machine, unsigned thread)
{
	return machine->config.model == MEMORY_TSO && thread >= machine->first_buffer &&
	       thread < machine->first_buffer + machine->cpus;
}

unsigned actor(void)
{
	unsigned thread = self();

	return is_buffer(machine_now, thread) ? thread - machine_now->first_buffer : thread;
}

bool is_drained(void *thread)
{
	return memory_is_drained((unsigned)((struct thread_state *)thread - machine_now->thread));
}

unsigned machine_threads(struct machine *machine)
{
	return machine->threads;
}

const char *machine_thread_name(struct machine *machine, unsigned thread)
{
	static char names[ENGINE_THREADS + 1][24];
	char *name = names[thread];

	if (thread == OUTSIDE)
		return "set-up";
	if (thread < machine->cpus)
		snprintf(name, sizeof(names[0]), "P%u", thread);
	else if (is_handler(machine, thread))
		snprintf(name, sizeof(names[0]), "P%u interrupt", thread - machine->first_handler);
	else if (is_buffer(machine, thread))
		snprintf(name, sizeof(names[0]), "P%u buffer", thread - machine->first_buffer);
	else if (machine->config.rcu_agent && thread == machine->grace_agent)
		snprintf(name, sizeof(names[0]), "RCU");
	else
		snprintf(name, sizeof(names[0]), "walker of P%u",
			 (thread - machine->first_walker) % machine->cpus);
	return name;
}

const char *thread_name(unsigned thread)
{
	return machine_thread_name(machine_now, thread);
}

bool machine_is_agent(struct machine *machine, unsigned thread)
{
	return thread >= machine->cpus;
}

unsigned machine_works_for(struct machine *machine, unsigned thread)
{
	return is_buffer(machine, thread) ? thread - machine->first_buffer : thread;
}

void machine_agent(struct machine *machine, unsigned thread)
{
	if (is_handler(machine, thread))
		ipi_agent(machine, thread);
	else if (is_buffer(machine, thread))
		memory_buffer_agent(thread - machine->first_buffer);
	else if (machine->config.rcu_agent && thread == machine->grace_agent)
		grace_agent(machine);
	else
		walker_agent(machine, thread);
}

void block_on(const char *what, uintptr_t where)
{
	struct thread_state *thread = here();

	thread->blocked = what;
	thread->blocked_on = where;
}

void machine_describe_wait(struct machine *machine, unsigned thread, char *out, size_t room)
{
	const struct thread_state *state = &machine->thread[thread];

	if (!state->blocked)
		return;
	snprintf(out, room, "%s%s", state->blocked,
		 state->blocked_on ? machine_describe(machine, state->blocked_on) : "");
}

/* ---- violations ------------------------------------------------------------------------------------- */

void machine_escape(void)
{
	if (is_ending)
		siglongjmp(at_end, 1);
}

void violation(const char *format, ...)
{
	char text[480];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (machine_now && machine_now->frozen) {
		engine_violation("%s", text);
		return;
	}
	fprintf(stderr, "quire check: set-up: %s\n", text);
	exit(3);
}

/* A wild pointer, most often poison: an execution that crashes is a violation like others. */
static void crashed(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (machine_now && machine_now->frozen && (engine_now || is_ending)) {
		violation(
			"%s crashes (signal %d) at address %p: a pointer to nothing, or out of freed memory",
			engine_now ? thread_name(self()) : "the end", number, info->si_addr);
		machine_escape();
	}
	signal(number, SIG_DFL);
}

static void catch_crashes(void)
{
	static char stack[64 << 10];
	stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = { .sa_sigaction = crashed,
				    .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigaltstack(&other, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* ---- what memory.h tells ---------------------------------------------------------------------------- */

static void changed(void *data, uintptr_t address, size_t bytes)
{
	struct machine *machine = data;

	relax_changed(address);
	if (is_physical(machine, address))
		history_note(address, bytes);
	else if (address - (uintptr_t)machine->metadata < machine->metadata_bytes)
		frames_changed(address);
	else
		heap_changed(address);
}

static bool is_exempt(void *data, uintptr_t address)
{
	struct machine *machine = data;

	return is_physical(machine, address) &&
	       machine->folios[frame_of(machine, address)].kind != FOLIO_TABLE;
}

static const char *name_of_thread(void *data, unsigned thread)
{
	return machine_thread_name(data, thread);
}

void machine_look(struct machine *machine)
{
	if (engine_now || machine->frozen || !machine->quire)
		return;
	for (quire_pfn pfn = 0; pfn < machine->config.frames; pfn++)
		frames_looked_at(pfn);
	history_note((uintptr_t)machine->memory, machine->memory_bytes);
}

/* ---- creation --------------------------------------------------------------------------------------- */

static size_t rounded(size_t bytes)
{
	return (bytes + 4095) & ~(size_t)4095;
}

static int create_arena(struct machine *machine)
{
	machine->memory_bytes = machine->config.frames << QUIRE_PAGE_SHIFT;
	machine->metadata_bytes = quire_metadata_bytes(machine->config.frames);
	machine->arena_bytes = rounded(machine->memory_bytes) + rounded(machine->metadata_bytes) +
			       heap_bytes();
	void *at = mmap(ARENA_ADDRESS, machine->arena_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (at == MAP_FAILED)
		at = mmap(NULL, machine->arena_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -ENOMEM;
	machine->arena = at;
	machine->memory = machine->arena;
	machine->metadata = machine->memory + rounded(machine->memory_bytes);
	/* They stand last (core/phys/phys.c), and are looked at while that is still being created. */
	machine->folios = (struct folio *)(machine->metadata + machine->metadata_bytes) -
			  machine->config.frames;
	machine->heaps = machine->metadata + rounded(machine->metadata_bytes);
	machine->frozen_memory = malloc(machine->memory_bytes);
	machine->frozen_metadata = malloc(machine->metadata_bytes);
	machine->life = calloc(machine->config.frames, sizeof(*machine->life));
	machine->frozen_life = calloc(machine->config.frames, sizeof(*machine->life));
	if (!machine->frozen_memory || !machine->frozen_metadata || !machine->life || !machine->frozen_life)
		return -ENOMEM;
	heap_create(machine, machine->heaps);
	return history_create(machine);
}

static int create_memory(struct machine *machine)
{
	struct memory_config config = {
		.model = machine->config.model,
		.base = machine->arena,
		.bytes = machine->arena_bytes,
		.threads = machine->threads,
		.first_buffer = machine->first_buffer,
		.buffers = machine->config.model == MEMORY_TSO ? machine->cpus : 0,
		.changed = changed,
		.is_exempt = is_exempt,
		.name = name_of_thread,
		.interrupts = true,
		.walked = machine->memory,
		.walked_bytes = machine->memory_bytes,
		.data = machine,
	};

	return memory_create(&config);
}

static int create_core(struct machine *machine)
{
	struct quire_config *config = &machine->config.quire;

	config->memory = machine->memory;
	config->metadata = machine->metadata;
	config->frames = machine->config.frames;
	for (unsigned i = 0; i < CPUS; i++)
		machine->cpu[i].id = i;
	int err = quire_create(config, &machine->cpu[0], &machine->quire, &machine->cpu[0].cpu);
	for (unsigned i = 1; i <= machine->cpus && !err; i++)
		err = quire_cpu_create(machine->cpu[0].cpu, machine->quire, i, &machine->cpu[i],
				       &machine->cpu[i].cpu);
	if (err)
		return err;
	struct quire_stats stats;
	quire_stats_read(machine->quire, &stats);
	machine->objects_at_first = stats.objects;
	/* The others start with nothing mapped, as the first was told to. */
	for (unsigned i = 1; i <= machine->cpus; i++)
		quire_port_load_root(machine->cpu[i].cpu, mmu_root(&machine->mmu[0]), 0);
	return 0;
}

static void lay_out_threads(struct machine *machine)
{
	unsigned next = machine->cpus;

	machine->first_handler = next;
	next += machine->cpus;
	machine->first_buffer = next;
	next += machine->config.model == MEMORY_TSO ? machine->cpus : 0;
	machine->grace_agent = next;
	next += machine->config.rcu_agent;
	machine->first_walker = next;
	next += machine->config.walkers;
	machine->threads = next;
}

int machine_create(const struct machine_config *config, struct machine **out)
{
	if (config->cpus < 1 || config->cpus > COLUMNS || config->cpus > QUIRE_MAX_CPUS - 1 ||
	    config->frames > FRAMES || machine_now)
		return -EINVAL;
	struct machine *machine = calloc(1, sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->config = *config;
	machine->cpus = config->cpus;
	lay_out_threads(machine);
	machine_now = machine;
	for (unsigned t = 0; t <= ENGINE_THREADS; t++)
		machine->thread[t].call = -1;
	locks_reset(machine);
	describe_reset();
	int err = machine->threads > ENGINE_THREADS ? -EINVAL : create_arena(machine);
	if (!err)
		err = create_memory(machine);
	if (!err)
		err = create_core(machine);
	if (!err)
		err = devices_create(machine);
	if (err) {
		machine_destroy(machine);
		return err;
	}
	catch_crashes();
	*out = machine;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	memory_destroy();
	heap_destroy(machine);
	history_destroy(machine);
	mmu_destroy(machine);
	free(machine->frozen_memory);
	free(machine->frozen_metadata);
	free(machine->life);
	free(machine->frozen_life);
	if (machine->arena)
		munmap(machine->arena, machine->arena_bytes);
	free(machine);
	machine_now = NULL;
}

struct quire *machine_quire(struct machine *machine)
{
	return machine->quire;
}

struct quire_cpu **machine_cpu(struct machine *machine, unsigned cpu)
{
	return &machine->cpu[cpu].cpu;
}

void *machine_memory(struct machine *machine, size_t bytes)
{
	(void)machine;
	return heap_alloc(bytes, NULL);
}

/* ---- freezing, and back ----------------------------------------------------------------------------- */

/* The cache of @cpu holds half of what it can, or nothing. */
static void fill_cache(struct quire_cpu *cpu, bool fill)
{
	struct folio *folio[QUIRE_CPU_FRAMES];
	unsigned count = 0;

	cache_empty(cpu, cpu->frames);
	while (fill && count < (QUIRE_CPU_FRAMES + 1) / 2 && (folio[count] = folio_alloc(cpu, FOLIO_ANON, 0)))
		count++;
	while (count)
		folio_put(cpu, folio[--count]);
}

/* Take frames until so few are left that CPUs keep none for themselves (core/phys/cache.c). */
static void make_scarce(struct machine *machine)
{
	struct quire_cpu *cpu = machine->cpu[0].cpu;
	uint64_t keep = (uint64_t)QUIRE_CPU_FRAMES * (machine->cpus + 1) - 1;

	for (;;) {
		struct phys_counts counts;
		struct folio *folio;

		phys_counts(machine->quire, &counts);
		if (counts.free <= keep || !(folio = folio_alloc(cpu, FOLIO_ANON, 0)))
			break;
		folio->lru.next = (struct list *)machine->hog;
		machine->hog = folio;
	}
}

static void return_hog(struct machine *machine)
{
	for (struct folio *folio = machine->hog, *next; folio; folio = next) {
		next = (struct folio *)folio->lru.next;
		folio_put(machine->cpu[0].cpu, folio);
	}
}

void machine_freeze(struct machine *machine)
{
	const char *which;

	rcu_run_all(machine);
	if (machine->config.shared_pool)
		make_scarce(machine);
	for (unsigned i = 0; i <= machine->cpus; i++)
		fill_cache(machine->cpu[i].cpu, !machine->config.shared_pool);
	if (!locks_are_free(&which))
		violation("set-up ends with %s held", which);
	machine_look(machine);
	for (quire_pfn pfn = 0; pfn < machine->config.frames; pfn++)
		machine->life[pfn].stored = 0;
	memcpy(machine->frozen_memory, machine->memory, machine->memory_bytes);
	memcpy(machine->frozen_metadata, machine->metadata, machine->metadata_bytes);
	memcpy(machine->frozen_life, machine->life, machine->config.frames * sizeof(*machine->life));
	heap_freeze(machine);
	history_freeze(machine);
	mmu_freeze(machine);
	machine->frozen_time = machine->time;
	machine->frozen = true;
}

static void reset_threads(struct machine *machine)
{
	for (unsigned t = 0; t <= ENGINE_THREADS; t++) {
		struct thread_state *thread = &machine->thread[t];

		thread->held_count = thread->spins = thread->rcu_depth = thread->relaxes = 0;
		thread->waits_for = thread->blocked_on = 0;
		thread->woken = false;
		thread->relaxed_at = thread->looks = 0;
		thread->blocked = NULL;
		thread->call = -1;
		thread->callbacks = NULL;
		machine->ipi[t].targets = 0;
	}
}

void machine_reset(struct machine *machine)
{
	memcpy(machine->memory, machine->frozen_memory, machine->memory_bytes);
	memcpy(machine->metadata, machine->frozen_metadata, machine->metadata_bytes);
	memcpy(machine->life, machine->frozen_life, machine->config.frames * sizeof(*machine->life));
	heap_reset(machine);
	history_reset(machine);
	mmu_reset(machine);
	locks_reset(machine);
	notes_reset();
	reset_threads(machine);
	machine->time = machine->frozen_time;
	machine->calls = 0;
	machine->relaxing = machine->held = 0;
	memset(machine->interrupts, 0, sizeof(machine->interrupts));
	machine->grace_waits = 0;
	machine->grace_batch = NULL;
	machine->grace = false;
	machine->probed = 0;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		memory_interrupts(machine->first_handler + cpu, cpu);
	memory_begin();
}

void machine_image(struct machine *machine, struct image *image)
{
	image_add(image, machine->memory, machine->memory_bytes);
	image_add(image, machine->metadata, machine->metadata_bytes);
	image_add(image, machine->life, machine->config.frames * sizeof(*machine->life));
	image_add(image, &machine->calls, sizeof(*machine) - offsetof(struct machine, calls));
	image_add_some(image, machine->call, &machine->calls, sizeof(machine->call[0]));
	image_add(image, machine->thread, machine->threads * sizeof(machine->thread[0]));
	image_add(image, &machine->thread[OUTSIDE], sizeof(machine->thread[0]));
	heap_image(machine, image);
	history_image(machine, image);
	mmu_image(machine, image);
	locks_image(image);
	notes_image(image);
	memory_image(image);
}

void machine_end_image(struct machine *machine, struct image *image)
{
	image_add(image, machine->memory, machine->memory_bytes);
	image_add(image, machine->metadata, machine->metadata_bytes);
	heap_image(machine, image);
	for (unsigned t = 0; t <= ENGINE_THREADS; t++) {
		struct thread_state *thread = &machine->thread[t];

		if (t >= machine->threads && t != OUTSIDE)
			continue;
		image_add(image, &thread->held_count, sizeof(thread->held_count));
		image_add(image, &thread->rcu_depth, sizeof(thread->rcu_depth));
		image_add(image, &thread->callbacks, sizeof(thread->callbacks));
	}
	image_add(image, &machine->grace_batch, sizeof(machine->grace_batch));
}

/* ---- the end ---------------------------------------------------------------------------------------- */

static bool check_threads(struct machine *machine)
{
	const char *which;

	if (!locks_are_free(&which)) {
		violation("the end comes with %s held", which);
		return false;
	}
	for (unsigned t = 0; t < machine->threads; t++) {
		if (!machine->thread[t].rcu_depth)
			continue;
		violation("%s ends in a read-side section", thread_name(t));
		return false;
	}
	return true;
}

static bool check_mms(struct machine *machine, struct quire_mm **mms, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const char *what;

		if (!mms[i] || !quire_mm_check(&machine->cpu[0].cpu, mms[i], &what))
			continue;
		violation("%s: %s", machine_describe(machine, (uintptr_t)mms[i]), what);
		return false;
	}
	return true;
}

static void check_accounts(struct machine *machine)
{
	struct quire_stats stats;
	const char *what;

	quire_stats_read(machine->quire, &stats);
	if (stats.frames_free + stats.frames_reserved != stats.frames_total)
		violation("leak: %lu frames are not free at the end (%lu tables, %lu of files)",
			  (unsigned long)(stats.frames_total - stats.frames_reserved - stats.frames_free),
			  (unsigned long)stats.frames_tables, (unsigned long)stats.frames_cached);
	else if (stats.objects != machine->objects_at_first)
		violation("leak: %ld objects more than at first",
			  (long)(stats.objects - machine->objects_at_first));
	else if (stats.committed_pages)
		violation("%ld pages are still committed at the end", (long)stats.committed_pages);
	else if (!phys_check(machine->quire, &what))
		violation("the allocator: %s", what);
}

static void finish(struct machine *machine, struct quire_mm **mms, unsigned count, struct quire_file **files,
		   unsigned file_count)
{
	memory_settle();
	if (!check_threads(machine))
		return;
	for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
		quire_cpu_leave(machine->cpu[cpu].cpu);
	if (!check_mms(machine, mms, count) || !oracle_traces(machine))
		return;
	for (unsigned i = 0; i < machine->config.devices; i++)
		machine_device_close(machine, i, &machine->cpu[0].cpu);
	for (unsigned i = 0; i < count; i++)
		if (mms[i])
			quire_mm_put(&machine->cpu[0].cpu, mms[i]);
	for (unsigned i = 0; i < file_count; i++)
		if (files[i])
			quire_file_put(&machine->cpu[0].cpu, files[i]);
	rcu_run_all(machine);
	return_hog(machine);
	check_accounts(machine);
}

void machine_look_back(struct machine *machine)
{
	oracle_traces(machine);
}

void machine_finish(struct machine *machine, struct quire_mm **mms, unsigned count, struct quire_file **files,
		    unsigned file_count)
{
	is_ending = true;
	if (!sigsetjmp(at_end, 0))
		finish(machine, mms, count, files, file_count);
	is_ending = false;
}
