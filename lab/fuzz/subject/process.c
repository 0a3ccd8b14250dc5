/*
 * process.c - the address spaces of a sequence's processes, and which CPU runs which.
 */
#include "inside.h"

#include <sched.h>

static int mirror(struct subject *subject, struct quire_cpu **cpu, const struct wire_vma *own)
{
	struct quire_mmap map = {
		.addr = own->start,
		.length = own->end - own->start,
		.prot = own->flags & (WIRE_READ | WIRE_WRITE | WIRE_EXEC),
		.flags = QUIRE_MAP_FIXED | (own->flags & WIRE_SHARED ? QUIRE_MAP_SHARED : QUIRE_MAP_PRIVATE),
	};
	int64_t at;

	if (own->flags & WIRE_FILE) {
		int error = quire_file_create_ram(cpu, map.length, 99, &map.file);

		if (error)
			return error;
		map.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE;
	} else {
		map.flags |= QUIRE_MAP_ANONYMOUS;
	}
	at = quire_mmap(cpu, subject->mms[0], &map);
	if (map.file)
		quire_file_put(cpu, map.file);
	return at == (int64_t)own->start ? 0 : (int)at;
}

int make_first_process(struct subject *subject, struct quire_cpu **cpu)
{
	const struct wire_control *layout = subject->layout;
	struct quire_layout place = {
		.mmap_base = layout->mmap_top,
		.mmap_bottom = (layout->task_end / 3 + WIRE_PAGE - 1) & ~(WIRE_PAGE - 1),
		.brk_start = layout->heap,
		.data_start = WIRE_AGENT,
		.data_end = WIRE_AGENT + layout->data_bytes,
		.end = layout->task_end,
	};
	struct quire_limits limits = { QUIRE_UNLIMITED, QUIRE_UNLIMITED, 8 << 20,
				       1 << 20,		false,		 QUIRE_UNLIMITED };
	int error = quire_mm_create(cpu, &subject->mms[0]);

	if (error)
		return error;
	quire_mm_set_layout(cpu, subject->mms[0], &place);
	quire_mm_set_limits(cpu, subject->mms[0], &limits);
	for (unsigned i = 0; i < layout->vmas && !error; i++)
		error = mirror(subject, cpu, &layout->own[i]);
	for (unsigned i = 0; i < WIRE_SLOTS; i++)
		subject->slots[0][i] = WIRE_ARENA;
	return error;
}

void switch_to(struct subject *subject, unsigned which, struct quire_cpu *cpu, struct quire_mm *mm)
{
	if (subject->running[which] == mm && !subject->idle[which])
		return;
	subject->idle[which] = false;
	if (mm)
		quire_cpu_run(cpu, mm);
	else
		quire_cpu_leave(cpu);
	subject->running[which] = mm;
}

static void leave_job(struct quire_cpu **cpu, void *argument)
{
	struct part *part = argument;

	switch_to(part->subject, part->thread, *cpu, NULL);
	atomic_fetch_sub_explicit(&part->subject->stretch.working, 1, memory_order_release);
}

/* No other CPU runs @mm any more. */
static void others_leave(struct subject *subject, struct quire_cpu *cpu, struct quire_mm *mm)
{
	struct stretch *s = &subject->stretch;

	for (unsigned i = 1; i < subject->threads; i++) {
		if (subject->running[i] != mm)
			continue;
		atomic_fetch_add_explicit(&s->working, 1, memory_order_relaxed);
		hosted_post(subject->machine, i, leave_job, &s->parts[i]);
	}
	while (atomic_load_explicit(&s->working, memory_order_acquire)) {
		hosted_poll(cpu);
		sched_yield();
	}
}

void end_process(struct subject *subject, struct quire_cpu **cpu, unsigned process)
{
	struct quire_mm *mm = subject->mms[process];

	if (!mm)
		return;
	others_leave(subject, *cpu, mm);
	if (subject->running[0] == mm)
		switch_to(subject, 0, *cpu, NULL);
	subject->mms[process] = NULL;
	quire_mm_put(cpu, mm);
}
