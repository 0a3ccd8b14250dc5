/*
 * subject.c - Quire's side: the same operations, the same records.
 *
 * The hosted machine with one CPU; each process of a sequence is an mm that this CPU runs in turn. The first
 * process is given the layout of the host's agents, and opaque mappings where theirs lie, so that both have
 * the same gaps, and the same totals against their limits. Instance and machine live for all sequences; files
 * are made for each.
 */
#include "subject.h"
#include "oracle.h"

#include "../../machines/hosted/hosted.h"

#include <quire/notifier.h>
#include <quire/port.h>

#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
	RESOURCE_DATA = 2,
	RESOURCE_STACK = 3,
	RESOURCE_MEMLOCK = 8,
	RESOURCE_AS = 9,
	STORE_PAGES = 64,
};

/* The store behind the file on disk: what has been written back. */
struct disk {
	uint8_t bytes[STORE_PAGES * WIRE_PAGE];
};

struct record_buffer {
	struct wire_record head;
	struct wire_vma vmas[WIRE_VMAS];
	uint8_t pages[WIRE_PAGES];
	uint64_t reads[WIRE_READ_PAGES];
};

struct subject {
	struct hosted *machine;
	const struct wire_control *layout;
	struct names names;
	struct quire_mm *mms[WIRE_PROCESSES];
	uint64_t slots[WIRE_PROCESSES][WIRE_SLOTS];
	struct quire_file *files[WIRE_DISTINCT_FILES];
	struct quire_mm *running;
	struct disk disk;
	/* one run */
	const struct sequence *sequence;
	bool looking;
	const char *leak;
	char leak_room[256];
	struct record_buffer record;
	uint8_t *log;
	size_t log_bytes;
	uint8_t present[WIRE_GROUP_PAGES], resident[WIRE_GROUP_PAGES];
	uint8_t buffer[4 * WIRE_PAGE] __attribute__((aligned(8)));
	uint64_t sequences;
};

/* ---- files ----------------------------------------------------------------------------------- */

static int disk_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	memset(page, 0, WIRE_PAGE);
	if (index < STORE_PAGES)
		memcpy(page, disk->bytes + index * WIRE_PAGE, WIRE_PAGE);
	return 0;
}

static int disk_write(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
		      const void *page)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (index >= STORE_PAGES)
		return -QUIRE_ENOSPC;
	memcpy(disk->bytes + index * WIRE_PAGE, page, WIRE_PAGE);
	return 0;
}

static int disk_make_writable(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index)
{
	(void)cpu;
	(void)file;
	(void)data;
	return index < STORE_PAGES ? 0 : -QUIRE_ENOSPC;
}

static int disk_clear(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
		      uint64_t end)
{
	struct disk *disk = data;

	(void)cpu;
	(void)file;
	if (end > sizeof(disk->bytes))
		end = sizeof(disk->bytes);
	if (start < end)
		memset(disk->bytes + start, 0, end - start);
	return 0;
}

static int disk_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	return disk_clear(cpu, file, data, bytes, UINT64_MAX);
}

static const struct quire_store disk_store = {
	.read = disk_read,
	.write = disk_write,
	.make_writable = disk_make_writable,
	.resize = disk_resize,
	.punch = disk_clear,
};

static int make_file(struct subject *subject, struct quire_cpu **cpu, const struct wire_file *file)
{
	uint64_t *words = (uint64_t *)subject->buffer;
	struct quire_file **out = &subject->files[file->file];
	int error;

	if (file->regular)
		error = quire_file_create(cpu, &disk_store, &subject->disk,
					  QUIRE_FILE_READ | QUIRE_FILE_WRITE, 0, file->file + 1u, out);
	else
		error = quire_file_create_ram(cpu, 0, file->file + 1u, out);
	if (error)
		return error;
	for (uint64_t at = 0; at < file->bytes; at += WIRE_PAGE) {
		uint64_t bytes = file->bytes - at < WIRE_PAGE ? file->bytes - at : WIRE_PAGE;

		for (uint64_t w = 0; w < WIRE_PAGE / 8; w++)
			words[w] = wire_file_word(file->file, at / 8 + w);
		if (quire_file_write(cpu, *out, at, words, bytes) != (int64_t)bytes)
			return -QUIRE_ENOMEM;
	}
	subject->names.file[file->file] = (uint64_t)(uintptr_t)*out;
	return 0;
}

static int make_files(struct subject *subject, struct quire_cpu **cpu)
{
	memset(&subject->disk, 0, sizeof(subject->disk));
	for (unsigned i = 0; i < WIRE_FILES; i++) {
		int error = wire_files[i].writable ? make_file(subject, cpu, &wire_files[i]) : 0;

		if (error)
			return error;
	}
	return 0;
}

static struct quire_file *file_of(struct subject *subject, unsigned descriptor)
{
	return subject->files[wire_files[descriptor].file];
}

/* ---- processes ------------------------------------------------------------------------------- */

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

static int make_first_process(struct subject *subject, struct quire_cpu **cpu)
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

static void switch_to(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	if (subject->running == mm)
		return;
	if (mm)
		quire_cpu_run(*cpu, mm);
	else
		quire_cpu_leave(*cpu);
	subject->running = mm;
}

static void end_process(struct subject *subject, struct quire_cpu **cpu, unsigned process)
{
	struct quire_mm *mm = subject->mms[process];

	if (!mm)
		return;
	if (subject->running == mm)
		switch_to(subject, cpu, NULL);
	subject->mms[process] = NULL;
	quire_mm_put(cpu, mm);
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool is_own(const struct subject *subject, uint64_t addr)
{
	return addr >= WIRE_CONTROL && addr < subject->layout->heap;
}

static void list_vmas(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;
	struct quire_map_info info;
	uint64_t addr = 0;

	while (r->head.vmas < WIRE_VMAS && quire_map_next(cpu, mm, addr, &info) == 0) {
		struct wire_vma *vma = &r->vmas[r->head.vmas];

		addr = info.end;
		if (is_own(subject, info.start)) {
			addr = subject->layout->heap;
			continue;
		}
		vma->start = info.start;
		vma->end = info.end;
		vma->offset = info.file ? info.offset : 0;
		vma->file = (uint64_t)(uintptr_t)info.file;
		vma->flags = (info.prot & 7) | (info.shared ? WIRE_SHARED : 0) | (info.file ? WIRE_FILE : 0);
		vma->looked = 0;
		r->head.vmas++;
	}
}

/* The agents do the same (agent.c). */
static void choose_pages(struct record_buffer *r)
{
	uint64_t room = 0, all = WIRE_PAGES;

	for (unsigned v = 0; v < r->head.vmas; v++) {
		uint64_t pages = (r->vmas[v].end - r->vmas[v].start) / WIRE_PAGE;

		if (v == 0 || r->vmas[v].start != r->vmas[v - 1].end)
			room = WIRE_GROUP_PAGES;
		if (pages > room)
			pages = room;
		if (pages > all)
			pages = all;
		room -= pages;
		all -= pages;
		r->vmas[v].looked = (uint32_t)pages;
		r->head.pages += (uint32_t)pages;
	}
}

static void look(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;
	uint8_t *bits = r->pages;

	list_vmas(subject, cpu, mm);
	choose_pages(r);
	for (unsigned v = 0; v < r->head.vmas; bits += r->vmas[v++].looked) {
		const struct wire_vma *vma = &r->vmas[v];
		uint64_t bytes = vma->looked * WIRE_PAGE;

		if (!bytes)
			continue;
		quire_present(cpu, mm, vma->start, bytes, subject->present);
		if (vma->file)
			quire_mincore(cpu, mm, vma->start, bytes, subject->resident);
		for (uint32_t i = 0; i < vma->looked; i++) {
			bool resident = vma->file ? subject->resident[i] & 1 : subject->present[i];

			bits[i] = (uint8_t)((subject->present[i] ? WIRE_PRESENT : 0) |
					    (resident ? WIRE_RESIDENT : 0));
		}
	}
}

static void read_all(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm)
{
	struct record_buffer *r = &subject->record;

	for (unsigned v = 0; v < r->head.vmas; v++) {
		if (!(r->vmas[v].flags & WIRE_READ))
			continue;
		for (uint64_t p = 0; p < r->vmas[v].looked && r->head.reads < WIRE_READ_PAGES; p++) {
			struct quire_fault fault = { 0, 0 };
			int error = hosted_load(cpu, mm, r->vmas[v].start + p * WIRE_PAGE, subject->buffer,
						WIRE_PAGE, &fault);

			r->reads[r->head.reads++] = error ? (uint64_t)fault.signal << 32 |
								    (uint32_t)fault.code
							  : wire_sum(1, subject->buffer, WIRE_PAGE / 8);
		}
	}
}

static void append(struct subject *subject, const void *bytes, size_t count)
{
	memcpy(subject->log + subject->log_bytes, bytes, count);
	subject->log_bytes += count;
}

static void write_record(struct subject *subject)
{
	struct record_buffer *r = &subject->record;
	size_t pages = (r->head.pages + 7) / 8 * 8;

	r->head.bytes = (uint32_t)(sizeof(r->head) + r->head.vmas * sizeof(r->vmas[0]) + pages +
				   r->head.reads * 8ul);
	append(subject, &r->head, sizeof(r->head));
	append(subject, r->vmas, r->head.vmas * sizeof(r->vmas[0]));
	append(subject, r->pages, pages);
	append(subject, r->reads, r->head.reads * 8ul);
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint64_t address(const struct subject *subject, unsigned process, uint8_t base, uint64_t offset)
{
	if (base == WIRE_ABSOLUTE)
		return offset;
	if (base == WIRE_HEAP)
		return subject->layout->heap + offset;
	return subject->slots[process][base - WIRE_SLOT0] + offset;
}

static int64_t do_mmap(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		       const struct wire_op *op, uint64_t addr)
{
	struct quire_mmap map = {
		.addr = addr,
		.length = op->length,
		.prot = op->prot,
		.flags = op->flags,
		.offset = op->addr2,
	};

	if (op->file != WIRE_NO_FILE) {
		map.file = file_of(subject, op->file);
		map.access = QUIRE_FILE_READ | (wire_files[op->file].writable ? QUIRE_FILE_WRITE : 0u);
		map.opened = op->file + 1u;
	}
	return quire_mmap(cpu, mm, &map);
}

/* Frames behind the pages of [addr, addr + bytes), which were accessed just now. Returns how many. */
static unsigned frames_of(struct quire_cpu **cpu, struct quire_mm *mm, uint64_t addr, uint64_t bytes,
			  quire_pfn *frames, unsigned most)
{
	unsigned count = 0;
	bool writable;

	for (uint64_t va = addr & ~(WIRE_PAGE - 1); va < addr + bytes && count < most; va += WIRE_PAGE) {
		if (!quire_translate(cpu, mm, va, QUIRE_ACCESS_READ, &frames[count], &writable))
			count++;
	}
	return count;
}

/* Did the copy go between two views of one page? Then its result depends on the order of its pieces. */
static bool went_onto_itself(struct quire_cpu **cpu, struct quire_mm *mm, uint64_t local,
			     struct quire_mm *other, uint64_t remote, int64_t bytes)
{
	enum { MOST = 16 };
	quire_pfn here[MOST], there[MOST];

	if (bytes <= 0)
		return false;
	unsigned locals = frames_of(cpu, mm, local, (uint64_t)bytes, here, MOST);
	unsigned remotes = frames_of(cpu, other, remote, (uint64_t)bytes, there, MOST);
	for (unsigned i = 0; i < locals; i++) {
		for (unsigned j = 0; j < remotes; j++) {
			if (here[i] == there[j])
				return true;
		}
	}
	return false;
}

static int64_t do_vm_copy(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
			  const struct wire_op *op, uint64_t addr, uint64_t *aliased)
{
	struct quire_mm *other = subject->mms[op->peer];
	struct quire_iovec local = { addr, op->length };
	struct quire_iovec remote = { address(subject, op->process, op->base2, op->addr2), op->length2 };

	int64_t bytes = quire_process_vm(cpu, mm, &local, 1, other, &remote, 1, op->kind == WIRE_VM_WRITE);
	*aliased = went_onto_itself(cpu, mm, local.base, other, remote.base, bytes);
	return bytes;
}

/*
 * By way of /proc/PID/mem. Where a stack grows for it, Linux asks the limits of the process that reads or
 * writes: the mm has them meanwhile.
 */
static int64_t do_mem_copy(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
			   const struct wire_op *op, uint64_t addr)
{
	struct quire_mm *other = subject->mms[op->peer];
	struct quire_limits limits, lent;
	size_t bytes = op->length < sizeof(subject->buffer) ? op->length : sizeof(subject->buffer);

	if (!subject->layout->forced || !wire_is_canonical(addr) ||
	    wire_hits_agent(subject->layout->heap, addr, bytes))
		return WIRE_LEFT_OUT;
	quire_mm_get_limits(cpu, mm, &lent);
	quire_mm_get_limits(cpu, other, &limits);
	quire_mm_set_limits(cpu, other, &lent);
	if (op->kind == WIRE_MEM_READ) {
		memset(subject->buffer, 0, sizeof(subject->buffer));
		bytes = quire_peek(cpu, other, subject->buffer, addr, bytes);
		subject->record.head.value = wire_sum(1, subject->buffer, sizeof(subject->buffer) / 8);
	} else {
		for (size_t i = 0; i < bytes; i++)
			subject->buffer[i] = wire_pattern(op->value, i);
		bytes = quire_poke(cpu, other, addr, subject->buffer, bytes);
	}
	quire_mm_set_limits(cpu, other, &limits);
	return bytes ? (int64_t)bytes : -QUIRE_EIO;
}

static int64_t do_file(struct subject *subject, struct quire_cpu **cpu, const struct wire_op *op)
{
	struct quire_file *file = file_of(subject, op->file);
	uint64_t bytes = op->length < sizeof(subject->buffer) ? op->length : sizeof(subject->buffer);
	int64_t result;

	switch (op->kind) {
	case WIRE_FILE_READ:
		memset(subject->buffer, 0, sizeof(subject->buffer));
		result = quire_file_read(cpu, file, op->addr2, subject->buffer, bytes);
		subject->record.head.value = wire_sum(1, subject->buffer, sizeof(subject->buffer) / 8);
		return result;
	case WIRE_FILE_WRITE:
		for (uint64_t i = 0; i < bytes; i++)
			subject->buffer[i] = wire_pattern(op->value, i);
		return quire_file_write(cpu, file, op->addr2, subject->buffer, bytes);
	case WIRE_TRUNCATE:
		return quire_file_truncate(cpu, file, op->length);
	default:
		return quire_file_punch(cpu, file, op->addr2, op->length);
	}
}

static int64_t do_mincore(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm, uint64_t addr,
			  uint64_t length)
{
	int error;

	memset(subject->buffer, 0, WIRE_PAGE);
	error = quire_mincore(cpu, mm, addr, length, subject->buffer);
	if (!error)
		subject->record.head.value = wire_sum(1, subject->buffer, WIRE_PAGE / 8);
	return error;
}

static int64_t do_fork(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		       const struct wire_op *op)
{
	int error = quire_fork(cpu, mm, &subject->mms[op->peer]);

	memcpy(subject->slots[op->peer], subject->slots[op->process], sizeof(subject->slots[0]));
	return error;
}

static int64_t do_limit(struct quire_cpu **cpu, struct quire_mm *mm, const struct wire_op *op)
{
	struct quire_limits limits;

	quire_mm_get_limits(cpu, mm, &limits);
	switch (op->flags) {
	case RESOURCE_DATA:
		limits.data = op->value;
		break;
	case RESOURCE_STACK:
		limits.stack = op->value;
		break;
	case RESOURCE_MEMLOCK:
		limits.memlock = op->value;
		break;
	default:
		limits.address_space = op->value;
	}
	quire_mm_set_limits(cpu, mm, &limits);
	return 0;
}

static int64_t do_access(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
			 const struct wire_op *op, uint64_t addr)
{
	struct wire_record *head = &subject->record.head;
	struct quire_fault fault = { 0, 0 };
	uint64_t value = 0;
	int error;

	if (!wire_is_canonical(addr))
		return WIRE_LEFT_OUT;
	if (op->kind == WIRE_LOAD)
		error = hosted_load(cpu, mm, addr, &value, sizeof(value), &fault);
	else
		error = hosted_store(cpu, mm, addr, &op->value, sizeof(op->value), &fault);
	if (error) {
		head->signal = fault.signal;
		head->code = fault.code;
	} else {
		head->value = value;
	}
	return error == -QUIRE_EFAULT ? 0 : error;
}

static int64_t locking_call(struct quire_cpu **cpu, struct quire_mm *mm, const struct wire_op *op,
			    uint64_t addr)
{
	switch (op->kind) {
	case WIRE_MLOCK:
		return quire_mlock(cpu, mm, addr, op->length, op->flags);
	case WIRE_MUNLOCK:
		return quire_munlock(cpu, mm, addr, op->length);
	case WIRE_MLOCKALL:
		return quire_mlockall(cpu, mm, op->flags);
	default:
		return quire_munlockall(cpu, mm);
	}
}

static int64_t mapping_call(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
			    const struct wire_op *op, uint64_t addr)
{
	uint64_t heap = subject->layout->heap;

	if (wire_hits_agent(heap, addr, op->length) ||
	    (op->kind == WIRE_MREMAP &&
	     wire_hits_agent(heap, address(subject, op->process, op->base2, op->addr2), op->length2)))
		return WIRE_LEFT_OUT;
	switch (op->kind) {
	case WIRE_MMAP:
		return do_mmap(subject, cpu, mm, op, addr);
	case WIRE_MUNMAP:
		return quire_munmap(cpu, mm, addr, op->length);
	case WIRE_MPROTECT:
		return quire_mprotect(cpu, mm, addr, op->length, op->prot);
	case WIRE_MREMAP:
		return quire_mremap(cpu, mm, addr, op->length, op->length2, op->flags,
				    address(subject, op->process, op->base2, op->addr2));
	case WIRE_MADVISE:
		return quire_madvise(cpu, mm, addr, op->length, (int)op->flags);
	case WIRE_MSYNC:
		return quire_msync(cpu, mm, addr, op->length, op->flags);
	case WIRE_MINCORE:
		return do_mincore(subject, cpu, mm, addr, op->length);
	case WIRE_BRK:
		return (int64_t)quire_brk(cpu, mm, addr);
	default:
		return locking_call(cpu, mm, op, addr);
	}
}

static int64_t carry_out(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
			 const struct wire_op *op, uint64_t *aliased)
{
	uint64_t addr = address(subject, op->process, op->base, op->addr);

	switch (op->kind) {
	case WIRE_FORK:
		return do_fork(subject, cpu, mm, op);
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		return do_vm_copy(subject, cpu, mm, op, addr, aliased);
	case WIRE_MEM_READ:
	case WIRE_MEM_WRITE:
		return do_mem_copy(subject, cpu, mm, op, addr);
	case WIRE_LOAD:
	case WIRE_STORE:
		return do_access(subject, cpu, mm, op, addr);
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		return do_file(subject, cpu, op);
	case WIRE_LIMIT:
		return do_limit(cpu, mm, op);
	case WIRE_LOOK:
	case WIRE_READ_ALL:
	case WIRE_EXIT:
		return 0;
	default:
		return mapping_call(subject, cpu, mm, op, addr);
	}
}

/* Quire's own idea of whether @mm is in order; a complaint is a finding like a leak. */
static void check(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm, unsigned process)
{
	const char *what;

	if (quire_mm_check(cpu, mm, &what) == 0 || subject->leak)
		return;
	snprintf(subject->leak_room, sizeof(subject->leak_room), "process %u: %s", process, what);
	subject->leak = subject->leak_room;
}

static void run_one(struct subject *subject, struct quire_cpu **cpu, uint32_t at)
{
	const struct wire_op *op = &subject->sequence->ops[at];
	struct quire_mm *mm = subject->mms[op->process];
	struct wire_record *head = &subject->record.head;

	memset(head, 0, sizeof(*head));
	head->op = (uint16_t)at;
	switch_to(subject, cpu, mm);
	head->result = carry_out(subject, cpu, mm, op, &head->aliased);
	if (op->slot != WIRE_NO_SLOT && (head->result >= 0 || head->result < -4095))
		subject->slots[op->process][op->slot] = (uint64_t)head->result;
	if ((subject->looking || op->kind == WIRE_READ_ALL) && op->kind != WIRE_EXIT)
		look(subject, cpu, mm);
	if (op->kind == WIRE_READ_ALL) {
		read_all(subject, cpu, mm);
		check(subject, cpu, mm, op->process);
	}
	write_record(subject);
	if (op->kind == WIRE_EXIT)
		end_process(subject, cpu, op->process);
}

/*
 * Everybody has gone: what is left? RCU callbacks may still hold some, so wait for them before complaining.
 */
static void look_for_leaks(struct subject *subject, struct quire_cpu **cpu)
{
	struct quire *quire = hosted_quire(subject->machine);
	struct quire_stats stats;

	if (subject->leak)
		return;
	quire_stats_read(quire, &stats);
	if (stats.frames_free + stats.frames_reserved == stats.frames_total && !stats.committed_pages)
		return;
	quire_port_rcu_barrier(cpu);
	quire_stats_read(quire, &stats);
	if (stats.frames_free + stats.frames_reserved == stats.frames_total && !stats.committed_pages)
		return;
	snprintf(
		subject->leak_room, sizeof(subject->leak_room),
		"%lu frames, %lu of them tables and %lu in the page cache, %ld committed pages are left when everybody has gone",
		stats.frames_total - stats.frames_reserved - stats.frames_free, stats.frames_tables,
		stats.frames_cached, (long)stats.committed_pages);
	subject->leak = subject->leak_room;
}

static void run_job(struct quire_cpu **cpu, void *argument)
{
	struct subject *subject = argument;

	subject->log_bytes = 0;
	subject->leak = NULL;
	subject->running = NULL;
	memset(subject->files, 0, sizeof(subject->files));
	if (make_files(subject, cpu) == 0 && make_first_process(subject, cpu) == 0) {
		for (uint32_t i = 0; i < subject->sequence->count; i++) {
			if (!subject->mms[subject->sequence->ops[i].process])
				break;
			run_one(subject, cpu, i);
		}
	}
	for (unsigned p = 0; p < WIRE_PROCESSES; p++)
		end_process(subject, cpu, p);
	for (unsigned f = 0; f < WIRE_DISTINCT_FILES; f++) {
		if (subject->files[f])
			quire_file_put(cpu, subject->files[f]);
	}
	look_for_leaks(subject, cpu);
}

struct log subject_run(struct subject *subject, const struct sequence *sequence, bool looking,
		       const char **leak)
{
	subject->sequence = sequence;
	subject->looking = looking;
	subject->sequences++;
	hosted_run(subject->machine, 0, run_job, subject);
	*leak = subject->leak;
	return (struct log){ subject->log, subject->log_bytes };
}

/*
 * As much memory as the host has, swap included, for that is what Linux compares a single request with. Only
 * what is touched costs anything.
 */
static uint64_t host_memory(void)
{
	struct sysinfo info;

	if (sysinfo(&info))
		return 1ul << 30;
	return ((uint64_t)info.totalram + info.totalswap) * info.mem_unit & ~(WIRE_PAGE - 1);
}

struct subject *subject_create(const struct wire_control *layout, const char **why)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct hosted_config config = {
		.cpus = 1,
		.memory_bytes = host_memory(),
		.quire = { .overcommit = QUIRE_OVERCOMMIT_GUESS, .mmap_min_addr = layout->mmap_lowest },
	};

	*why = "no memory";
	if (!subject)
		return NULL;
	subject->layout = layout;
	subject->log = malloc(WIRE_LOG_BYTES);
	if (!subject->log || hosted_create(&config, &subject->machine)) {
		free(subject->log);
		free(subject);
		return NULL;
	}
	return subject;
}

void subject_place(struct subject *subject, const struct wire_control *layout)
{
	subject->layout = layout;
}

void subject_destroy(struct subject *subject)
{
	hosted_destroy(subject->machine);
	free(subject->log);
	free(subject);
}

const struct names *subject_names(const struct subject *subject)
{
	return &subject->names;
}
