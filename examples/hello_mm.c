/*
 * hello_mm.c - link Quire, make an address space, map a page, use it, fork, and see copy-on-write at work.
 *
 * The machine underneath is the smallest there is: hello_port.c. Prints what happened; exits with 0 when all
 * of it was right.
 */
#include "hello_port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/mm.h>
#include <quire/quire.h>

#define FRAMES 1024

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static _Noreturn void fail(int line, const char *condition)
{
	fprintf(stderr, "hello_mm.c:%d: %s\n", line, condition);
	exit(1);
}

static void hello(struct quire_cpu **cpu)
{
	struct quire_mm *mm, *child;
	CHECK(quire_mm_create(cpu, &mm) == 0);
	quire_mm_set_layout(cpu, mm,
			    &(struct quire_layout){ .mmap_base = 0x7ffff0000000, .mmap_bottom = 0x10000 });

	struct quire_mmap map = {
		.length = 16 * QUIRE_PAGE_SIZE,
		.prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
		.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS,
	};
	int64_t addr = quire_mmap(cpu, mm, &map);
	CHECK(addr > 0);

	char text[16] = "";
	CHECK(quire_copy_to(cpu, mm, (quire_vaddr)addr, "hello", 6) == 6);
	CHECK(quire_fork(cpu, mm, &child) == 0);
	CHECK(quire_copy_to(cpu, child, (quire_vaddr)addr, "child", 6) == 6);
	CHECK(quire_copy_from(cpu, mm, text, (quire_vaddr)addr, 6) == 6);
	printf("parent reads: %s\n", text);
	CHECK(strcmp(text, "hello") == 0);
	CHECK(quire_copy_from(cpu, child, text, (quire_vaddr)addr, 6) == 6);
	printf("child reads:  %s\n", text);
	CHECK(strcmp(text, "child") == 0);

	CHECK(quire_munmap(cpu, mm, (quire_vaddr)addr, map.length) == 0);
	CHECK(quire_copy_from(cpu, mm, text, (quire_vaddr)addr, 6) == 0); /* EFAULT: nothing is there */

	quire_mm_put(cpu, child);
	quire_mm_put(cpu, mm);
}

int main(void)
{
	struct quire_config config = {
		.memory = aligned_alloc(QUIRE_PAGE_SIZE, FRAMES * QUIRE_PAGE_SIZE),
		.frames = FRAMES,
		.metadata = aligned_alloc(64, (quire_metadata_bytes(FRAMES) + 63) / 64 * 64),
		.max_map_count = 65530,
		.mmap_min_addr = 0x10000,
	};
	CHECK(config.memory && config.metadata);
	memset(config.metadata, 0, quire_metadata_bytes(FRAMES));

	struct quire *quire;
	struct quire_cpu *cpu;
	CHECK(quire_create(&config, NULL, &quire, &cpu) == 0);

	hello(&cpu);
	hello_port_rest(cpu);

	struct quire_stats stats;
	quire_stats_read(quire, &stats);
	printf("faults: %llu, copies on write: %llu, frames not given back: %llu\n",
	       (unsigned long long)stats.faults, (unsigned long long)stats.faults_cow,
	       (unsigned long long)(stats.frames_total - stats.frames_reserved - stats.frames_free));
	CHECK(stats.faults_cow == 1);
	CHECK(stats.frames_total - stats.frames_reserved == stats.frames_free);

	quire_destroy(&cpu);
	free(config.metadata);
	free(config.memory);
	return 0;
}
