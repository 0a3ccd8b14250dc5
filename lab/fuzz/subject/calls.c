/*
 * calls.c - operations, as Quire carries them out.
 */
#include "inside.h"
#include "lab/fuzz/stretch.h"

#include <quire/notifier.h>

#include <string.h>

enum {
	RESOURCE_DATA = 2,
	RESOURCE_STACK = 3,
	RESOURCE_MEMLOCK = 8,
	RESOURCE_AS = 9,
};

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
			   const struct wire_op *op, uint64_t addr, struct wire_record *head)
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
		head->value = wire_sum(1, subject->buffer, sizeof(subject->buffer) / 8);
	} else {
		for (size_t i = 0; i < bytes; i++)
			subject->buffer[i] = wire_pattern(op->value, i);
		bytes = quire_poke(cpu, other, addr, subject->buffer, bytes);
	}
	quire_mm_set_limits(cpu, other, &limits);
	return bytes ? (int64_t)bytes : -QUIRE_EIO;
}

static int64_t do_file(struct subject *subject, struct quire_cpu **cpu, const struct wire_op *op,
		       struct wire_record *head)
{
	struct quire_file *file = file_of(subject, op->file);
	uint64_t bytes = op->length < sizeof(subject->buffer) ? op->length : sizeof(subject->buffer);
	int64_t result;

	switch (op->kind) {
	case WIRE_FILE_READ:
		memset(subject->buffer, 0, sizeof(subject->buffer));
		result = quire_file_read(cpu, file, op->addr2, subject->buffer, bytes);
		head->value = wire_sum(1, subject->buffer, sizeof(subject->buffer) / 8);
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
			  uint64_t length, struct wire_record *head)
{
	int error;

	memset(subject->buffer, 0, WIRE_PAGE);
	error = quire_mincore(cpu, mm, addr, length, subject->buffer);
	if (!error)
		head->value = wire_sum(1, subject->buffer, WIRE_PAGE / 8);
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

static int64_t do_access(struct quire_cpu **cpu, struct quire_mm *mm, const struct wire_op *op, uint64_t addr,
			 struct wire_record *head)
{
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

void fault_in_page(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		   const struct wire_op *op)
{
	uint64_t addr = address(subject, op->process, op->base, op->addr);
	struct quire_fault fault;

	if (wire_is_canonical(addr))
		(void)quire_fault(cpu, mm, addr,
				  op->kind == WIRE_LOAD ? QUIRE_ACCESS_READ : QUIRE_ACCESS_WRITE, &fault);
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
			    const struct wire_op *op, uint64_t addr, struct wire_record *head)
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
		return do_mincore(subject, cpu, mm, addr, op->length, head);
	case WIRE_BRK:
		return (int64_t)quire_brk(cpu, mm, addr);
	default:
		return locking_call(cpu, mm, op, addr);
	}
}

struct wire_op as_placed(const struct subject *subject, const struct wire_op *op, int64_t result)
{
	struct wire_op placed = *op;

	if (!stretch_chooses(op) || !wire_gives_address(result))
		return placed;
	if (op->kind == WIRE_MMAP) {
		placed.flags |= QUIRE_MAP_FIXED_NOREPLACE;
		placed.base = WIRE_ABSOLUTE;
		placed.addr = (uint64_t)result;
	} else if ((op->flags & QUIRE_MREMAP_MAYMOVE) &&
		   (uint64_t)result != address(subject, op->process, op->base, op->addr)) {
		placed.flags |= QUIRE_MREMAP_FIXED;
		placed.base2 = WIRE_ABSOLUTE;
		placed.addr2 = (uint64_t)result;
	}
	return placed;
}

int64_t carry_out(struct subject *subject, struct quire_cpu **cpu, struct quire_mm *mm,
		  const struct wire_op *op, struct wire_record *head)
{
	uint64_t addr = address(subject, op->process, op->base, op->addr);

	switch (op->kind) {
	case WIRE_FORK:
		return do_fork(subject, cpu, mm, op);
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		return do_vm_copy(subject, cpu, mm, op, addr, &head->aliased);
	case WIRE_MEM_READ:
	case WIRE_MEM_WRITE:
		return do_mem_copy(subject, cpu, mm, op, addr, head);
	case WIRE_LOAD:
	case WIRE_STORE:
		return do_access(cpu, mm, op, addr, head);
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		return do_file(subject, cpu, op, head);
	case WIRE_LIMIT:
		return do_limit(cpu, mm, op);
	case WIRE_LOOK:
	case WIRE_READ_ALL:
	case WIRE_EXIT:
		return 0;
	default:
		return mapping_call(subject, cpu, mm, op, addr, head);
	}
}
