/*
 * stage.c - see stage.h.
 */
#include "stage.h"

static void run_body(struct quire_cpu **cpu, void *argument)
{
	struct stage *s = argument;
	const char *what;
	s->cpu = cpu;
	quire_stats_read((*cpu)->quire, &s->before);
	CHECK_EQUAL(quire_mm_create(cpu, &s->mm), 0);
	quire_cpu_run(*cpu, s->mm);
	s->body(s);
	if (s->failed[0])
		return;
	if (quire_mm_check(cpu, s->mm, &what)) {
		snprintf(s->failed, sizeof(s->failed), "at the end: %s", what);
		return;
	}
	quire_cpu_leave(*cpu);
	quire_mm_put(cpu, s->mm);
}

static void check_empty(struct quire_cpu **cpu, void *argument)
{
	struct stage *s = argument;
	struct quire_stats stats;
	quire_port_rcu_barrier(cpu);
	quire_stats_read((*cpu)->quire, &stats);
	CHECK_EQUAL(stats.frames_free, s->before.frames_free);
	CHECK_EQUAL(stats.frames_tables, 0);
	CHECK_EQUAL(stats.frames_cached, s->before.frames_cached);
	CHECK_EQUAL(stats.committed_pages, 0);
}

void stage_run_with(void (*body)(struct stage *s), const struct hosted_config *config)
{
	struct stage *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->body = body;
	assert_int_equal(hosted_create(config, &s->machine), 0);
	hosted_run(s->machine, 0, run_body, s);
	if (!s->failed[0])
		hosted_run(s->machine, 0, check_empty, s);
	if (s->failed[0])
		/* the machine is left as it is: taking it down would only complain */
		fail_msg("%s", s->failed);
	hosted_destroy(s->machine);
	free(s);
}

void stage_run(void (*body)(struct stage *s), unsigned cpus)
{
	struct hosted_config config = {
		.cpus = cpus, .memory_bytes = 4096 * PAGE, .seed = 1, .speculation = 3
	};
	stage_run_with(body, &config);
}

const char *maps(struct stage *s, struct quire_mm *mm)
{
	struct quire_map_info info;
	char letter = 'A';
	memset(s->picture, '.', STAGE_PAGES);
	for (quire_vaddr at = AT(0); !quire_map_next(s->cpu, mm, at, &info) && info.start < AT(STAGE_PAGES);
	     at = info.end, letter++) {
		for (int page = 0; page < STAGE_PAGES; page++) {
			if (info.start <= AT(page) && AT(page) < info.end)
				s->picture[page] = letter;
		}
	}
	return s->picture;
}

const char *present(struct stage *s, struct quire_mm *mm)
{
	uint8_t vec[STAGE_PAGES];
	memset(s->picture, '?', STAGE_PAGES);
	if (!quire_present(s->cpu, mm, AT(0), STAGE_PAGES * PAGE, vec)) {
		for (int page = 0; page < STAGE_PAGES; page++)
			s->picture[page] = vec[page] ? '#' : '.';
	}
	return s->picture;
}

int64_t map_file(struct stage *s, int page, int pages, uint32_t prot, uint32_t flags, struct quire_file *file,
		 int from)
{
	struct quire_mmap map = {
		.addr = AT(page),
		.length = (quire_vaddr)pages * PAGE,
		.prot = prot,
		.flags = flags | QUIRE_MAP_FIXED | (file ? 0 : QUIRE_MAP_ANONYMOUS),
		.file = file,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = 1,
		.offset = (uint64_t)from * PAGE,
	};
	int64_t addr = quire_mmap(s->cpu, s->mm, &map);
	return addr < 0 ? addr : (int64_t)(((uint64_t)addr - STAGE_BASE) / PAGE);
}

int64_t map_at(struct stage *s, int page, int pages, uint32_t prot, uint32_t flags)
{
	return map_file(s, page, pages, prot, flags, NULL, 0);
}

int unmap_at(struct stage *s, int page, int pages)
{
	return quire_munmap(s->cpu, s->mm, AT(page), (quire_vaddr)pages * PAGE);
}

int protect_at(struct stage *s, int page, int pages, uint32_t prot)
{
	return quire_mprotect(s->cpu, s->mm, AT(page), (quire_vaddr)pages * PAGE, prot);
}

int advise_at(struct stage *s, int page, int pages, int advice)
{
	return quire_madvise(s->cpu, s->mm, AT(page), (quire_vaddr)pages * PAGE, advice);
}

int load_in(struct stage *s, struct quire_mm *mm, int page)
{
	struct quire_fault fault;
	uint8_t byte;
	quire_cpu_run(*s->cpu, mm);
	int err = hosted_load(s->cpu, mm, AT(page), &byte, 1, &fault);
	quire_cpu_run(*s->cpu, s->mm);
	if (err)
		return err == -QUIRE_EFAULT ? -fault.signal : err;
	return byte;
}

int store_in(struct stage *s, struct quire_mm *mm, int page, uint8_t byte)
{
	struct quire_fault fault;
	quire_cpu_run(*s->cpu, mm);
	int err = hosted_store(s->cpu, mm, AT(page), &byte, 1, &fault);
	quire_cpu_run(*s->cpu, s->mm);
	return err == -QUIRE_EFAULT ? -fault.signal : err;
}

int load_at(struct stage *s, int page)
{
	return load_in(s, s->mm, page);
}

int store_at(struct stage *s, int page, uint8_t byte)
{
	return store_in(s, s->mm, page, byte);
}
