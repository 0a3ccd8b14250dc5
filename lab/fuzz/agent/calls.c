/*
 * calls.c - operations, as the host's kernel carries them out.
 */
#include "agent.h"

static uint8_t buffer[4 * WIRE_PAGE]; /* for operations that are no thread's */

static uint64_t address(const struct agent_thread *t, uint8_t base, uint64_t offset)
{
	if (base == WIRE_ABSOLUTE)
		return offset;
	if (base == WIRE_HEAP)
		return control->heap + offset;
	return t->slots[base - WIRE_SLOT0] + offset;
}

static word vm_copy(struct agent_thread *t, const struct wire_op *op)
{
	uint64_t local[2] = { address(t, op->base, op->addr), op->length };
	uint64_t remote[2] = { address(t, op->base2, op->addr2), op->length2 };

	return CALL(op->kind == WIRE_VM_READ ? SYS_process_vm_readv : SYS_process_vm_writev,
		    control->pid[op->peer], local, 1, remote, 1, 0);
}

/* /proc/PID/mem; @pid is not negative. */
word open_memory(uint32_t pid)
{
	char path[32] = "/proc/", digits[12];
	unsigned at = 6, count = 0;

	do
		digits[count++] = (char)('0' + pid % 10);
	while (pid /= 10);
	while (count)
		path[at++] = digits[--count];
	memcpy(path + at, "/mem", 5);
	return CALL(SYS_open, path, 2 /* O_RDWR */);
}

static word mem_copy(struct agent_thread *t, const struct wire_op *op)
{
	uint64_t addr = address(t, op->base, op->addr);
	uint64_t bytes = op->length < sizeof(buffer) ? op->length : sizeof(buffer);
	word result, fd;

	if (!control->forced || !wire_is_canonical(addr) || wire_hits_agent(control->heap, addr, bytes))
		return WIRE_LEFT_OUT;
	fd = open_memory((uint32_t)control->pid[op->peer]);
	if (fd < 0)
		return fd;
	if (op->kind == WIRE_MEM_READ) {
		memset(buffer, 0, sizeof(buffer));
		result = CALL(SYS_pread, fd, buffer, bytes, addr);
		t->head.value = wire_sum(1, buffer, sizeof(buffer) / 8);
	} else {
		for (uint64_t i = 0; i < bytes; i++)
			buffer[i] = wire_pattern(op->value, i);
		result = CALL(SYS_pwrite, fd, buffer, bytes, addr);
	}
	CALL(SYS_close, fd);
	return result;
}

static word file_call(struct agent_thread *t, const struct wire_op *op)
{
	int fd = WIRE_FD_FILES + op->file;
	uint64_t bytes = op->length < sizeof(buffer) ? op->length : sizeof(buffer);
	word result;

	switch (op->kind) {
	case WIRE_FILE_READ:
		memset(buffer, 0, sizeof(buffer));
		result = CALL(SYS_pread, fd, buffer, bytes, op->addr2);
		t->head.value = wire_sum(1, buffer, sizeof(buffer) / 8);
		return result;
	case WIRE_FILE_WRITE:
		for (uint64_t i = 0; i < bytes; i++)
			buffer[i] = wire_pattern(op->value, i);
		return CALL(SYS_pwrite, fd, buffer, bytes, op->addr2);
	case WIRE_TRUNCATE:
		return CALL(SYS_ftruncate, fd, op->length);
	default:
		return CALL(SYS_fallocate, fd, 3 /* PUNCH_HOLE | KEEP_SIZE */, op->addr2, op->length);
	}
}

static word explicit_mincore(struct agent_thread *t, uint64_t addr, uint64_t length)
{
	word result;

	memset(buffer, 0, WIRE_PAGE);
	result = CALL(SYS_mincore, addr, length, buffer);
	for (uint64_t i = 0; i < WIRE_PAGE; i++)
		buffer[i] &= 1;
	t->head.value = result ? 0 : wire_sum(1, buffer, WIRE_PAGE / 8);
	return result;
}

static word set_limit(const struct wire_op *op)
{
	uint64_t limit[2];

	CALL(SYS_prlimit, 0, op->flags, 0, limit);
	limit[0] = op->value;
	return CALL(SYS_setrlimit, op->flags, limit);
}

static word mapping_call(struct agent_thread *t, const struct wire_op *op)
{
	uint64_t addr = address(t, op->base, op->addr), length = op->length;

	if (wire_hits_agent(control->heap, addr, length) ||
	    (op->kind == WIRE_MREMAP &&
	     wire_hits_agent(control->heap, address(t, op->base2, op->addr2), op->length2)))
		return WIRE_LEFT_OUT;
	switch (op->kind) {
	case WIRE_MMAP:
		return CALL(SYS_mmap, addr, length, op->prot, op->flags,
			    op->file == WIRE_NO_FILE ? -1 : WIRE_FD_FILES + op->file, op->addr2);
	case WIRE_MUNMAP:
		return CALL(SYS_munmap, addr, length);
	case WIRE_MPROTECT:
		return CALL(SYS_mprotect, addr, length, op->prot);
	case WIRE_MREMAP:
		return CALL(SYS_mremap, addr, length, op->length2, op->flags,
			    address(t, op->base2, op->addr2));
	case WIRE_MADVISE:
		return CALL(SYS_madvise, addr, length, op->flags);
	case WIRE_MLOCK:
		return op->flags ? CALL(SYS_mlock2, addr, length, op->flags) : CALL(SYS_mlock, addr, length);
	case WIRE_MUNLOCK:
		return CALL(SYS_munlock, addr, length);
	case WIRE_MLOCKALL:
		return CALL(SYS_mlockall, op->flags);
	case WIRE_MUNLOCKALL:
		return CALL(SYS_munlockall);
	case WIRE_MSYNC:
		return CALL(SYS_msync, addr, length, op->flags);
	case WIRE_MINCORE:
		return explicit_mincore(t, addr, length);
	default: /* WIRE_BRK */
		return CALL(SYS_brk, addr);
	}
}

word carry_out(struct agent_thread *t, const struct wire_op *op)
{
	if ((op->kind == WIRE_LOAD || op->kind == WIRE_STORE) &&
	    !wire_is_canonical(address(t, op->base, op->addr)))
		return WIRE_LEFT_OUT;
	switch (op->kind) {
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		return vm_copy(t, op);
	case WIRE_MEM_READ:
	case WIRE_MEM_WRITE:
		return mem_copy(t, op);
	case WIRE_LOAD:
		t->head.value = load(t, address(t, op->base, op->addr));
		break;
	case WIRE_STORE:
		store(t, address(t, op->base, op->addr), op->value);
		break;
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		return file_call(t, op);
	case WIRE_LIMIT:
		return set_limit(op);
	case WIRE_LOOK:
	case WIRE_READ_ALL:
	case WIRE_EXIT:
		return 0;
	default:
		return mapping_call(t, op);
	}
	t->head.signal = t->signal_number;
	t->head.code = t->signal_number ? t->signal_code : 0;
	return 0;
}
