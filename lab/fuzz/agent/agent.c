/*
 * agent.c - a process whose only purpose is to be an address space: carries out operations on the host's
 * kernel.
 *
 * It is a program of its own, without a library, linked far from where operations work, and it takes away
 * what the kernel put into it (stack, vdso). So its address space is empty but for its own few mappings, the
 * same in every run, and Quire's side can be given the same. wire.h has the protocol.
 *
 * Loads and stores may fail: the handler, on a stack of its own, notes the signal and goes on behind the
 * access.
 */
#include "../wire.h"

#include <stddef.h>

typedef int64_t word;

enum {
	SYS_mmap = 9,
	SYS_mprotect = 10,
	SYS_munmap = 11,
	SYS_brk = 12,
	SYS_rt_sigaction = 13,
	SYS_ioctl = 16,
	SYS_pread = 17,
	SYS_pwrite = 18,
	SYS_mremap = 25,
	SYS_msync = 26,
	SYS_mincore = 27,
	SYS_madvise = 28,
	SYS_getpid = 39,
	SYS_fork = 57,
	SYS_ftruncate = 77,
	SYS_open = 2,
	SYS_close = 3,
	SYS_dup2 = 33,
	SYS_capset = 126,
	SYS_sigaltstack = 131,
	SYS_mlock = 149,
	SYS_munlock = 150,
	SYS_mlockall = 151,
	SYS_munlockall = 152,
	SYS_prctl = 157,
	SYS_setrlimit = 160,
	SYS_futex = 202,
	SYS_exit_group = 231,
	SYS_fallocate = 285,
	SYS_prlimit = 302,
	SYS_process_vm_readv = 310,
	SYS_process_vm_writev = 311,
	SYS_mlock2 = 325,
};

enum {
	HOST_EINTR = 4,
	HOST_ETIMEDOUT = 110,
	HOST_ENOMEM = 12,
	HOST_ENOENT = 2,
	HOST_PR_SET_PDEATHSIG = 1,
	HOST_PR_SET_PTRACER = 0x59616d61,
	HOST_PR_SET_CHILD_SUBREAPER = 36,
	HOST_FUTEX_WAIT = 0,
	HOST_FUTEX_WAKE = 1,
	HOST_SIGKILL = 9,
	HOST_SIGBUS = 7,
	HOST_SIGSEGV = 11,
	HOST_SIGCHLD = 17,
	HOST_SA_SIGINFO = 4,
	HOST_SA_RESTORER = 0x04000000,
	HOST_SA_ONSTACK = 0x08000000,
	HOST_SA_NODEFER = 0x40000000,
};

static word call6(word number, word a, word b, word c, word d, word e, word f)
{
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	register word r9 __asm__("r9") = f;
	word result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

#define CALL(number, ...) CALL_(number, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(number, a, b, c, d, e, f, ...) \
	call6(number, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e), (word)(f))

/* PROCMAP_QUERY of linux/fs.h, since 6.11; written down here because headers are often older than kernels. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY 0xc0686611ul
#define PROCMAP_COVERING_OR_NEXT 0x10

/* PAGEMAP_SCAN, since 6.7. */
struct pm_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct pm_region {
	uint64_t start, end, categories;
};
#define PAGEMAP_SCAN 0xc0606610ul
#define PAGE_IS_PRESENT 8

static char stack[16 << 10] __attribute__((aligned(16), used));
static char signal_stack[32 << 10] __attribute__((aligned(16)));

static struct wire_control *const control = (struct wire_control *)WIRE_CONTROL;
static uint64_t slots[WIRE_SLOTS];
static unsigned me;

static struct {
	struct wire_record head;
	uint8_t payload[WIRE_VMAS * sizeof(struct wire_vma) + WIRE_PAGES + 8 + WIRE_READ_PAGES * 8];
} out;
static struct pm_region regions[256];
static uint8_t resident[WIRE_GROUP_PAGES];
static uint8_t buffer[4 * WIRE_PAGE];

static volatile word resume; /* where the handler goes on */
static volatile int32_t signal_number, signal_code;

void *memset(void *to, int byte, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
	return to;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

/* ---- signals --------------------------------------------------------------------------------- */

__asm__(".text\n"
	"agent_restorer:\n"
	"	mov $15, %eax\n"
	"	syscall\n");
void agent_restorer(void);

/*
 * Offsets in siginfo and ucontext are the kernel's: si_signo at 0, si_code at 8, and rip the 17th saved
 * register.
 */
static void on_signal(int number, const int32_t *info, uint64_t *context)
{
	signal_number = number;
	signal_code = info[2];
	if (!resume)
		CALL(SYS_exit_group, 99);
	context[5 + 16] = (uint64_t)resume;
}

static void catch_signal(int number, int ignore)
{
	struct {
		word handler, flags, restorer, mask;
	} action = {
		ignore ? 1 : (word)on_signal,
		HOST_SA_SIGINFO | HOST_SA_RESTORER | HOST_SA_ONSTACK | HOST_SA_NODEFER,
		(word)agent_restorer,
		0,
	};

	CALL(SYS_rt_sigaction, number, &action, 0, 8);
}

/* A load and a store that may fail: the handler goes on at 2. */
static uint64_t load(uint64_t addr)
{
	uint64_t value = 0, scratch;

	signal_number = 0;
	__asm__ volatile("	lea 2f(%%rip), %1\n"
			 "	mov %1, %2\n"
			 "	mov (%3), %0\n"
			 "2:	movq $0, %2\n"
			 : "+&r"(value), "=&r"(scratch), "+m"(resume)
			 : "r"(addr)
			 : "memory");
	return signal_number ? 0 : value;
}

static void store(uint64_t addr, uint64_t value)
{
	uint64_t scratch;

	signal_number = 0;
	__asm__ volatile("	lea 2f(%%rip), %0\n"
			 "	mov %0, %1\n"
			 "	mov %3, (%2)\n"
			 "2:	movq $0, %1\n"
			 : "=&r"(scratch), "+m"(resume)
			 : "r"(addr), "r"(value)
			 : "memory");
}

/* ---- looking --------------------------------------------------------------------------------- */

static word next_vma(uint64_t addr, struct wire_vma *vma)
{
	struct procmap_query query = { .size = sizeof(query), .query_flags = PROCMAP_COVERING_OR_NEXT };
	word error;

	query.query_addr = addr;
	error = CALL(SYS_ioctl, WIRE_FD_MAPS, PROCMAP_QUERY, &query);
	if (error)
		return error;
	vma->start = query.vma_start;
	vma->end = query.vma_end;
	vma->offset = query.vma_offset;
	vma->file = query.inode;
	vma->flags = query.vma_flags & (WIRE_READ | WIRE_WRITE | WIRE_EXEC | WIRE_SHARED);
	if (query.inode)
		vma->flags |= WIRE_FILE;
	vma->looked = 0;
	return 0;
}

static int is_own(uint64_t addr)
{
	return addr >= WIRE_CONTROL && addr < control->heap;
}

/* All mappings but the agent's own. */
static struct wire_vma *list_vmas(void)
{
	struct wire_vma *vmas = (struct wire_vma *)out.payload;
	uint64_t addr = 0;

	out.head.vmas = 0;
	while (out.head.vmas < WIRE_VMAS) {
		struct wire_vma *vma = &vmas[out.head.vmas];

		if (next_vma(addr, vma))
			break;
		addr = vma->end;
		if (is_own(vma->start))
			addr = control->heap;
		else
			out.head.vmas++;
	}
	return vmas;
}

/*
 * How many pages of each mapping are shown: of a run of adjoining ones no more than the first
 * WIRE_GROUP_PAGES.
 */
static void choose_pages(struct wire_vma *vmas)
{
	uint64_t room = 0, all = WIRE_PAGES;

	for (unsigned v = 0; v < out.head.vmas; v++) {
		uint64_t pages = (vmas[v].end - vmas[v].start) / WIRE_PAGE;

		if (v == 0 || vmas[v].start != vmas[v - 1].end)
			room = WIRE_GROUP_PAGES;
		if (pages > room)
			pages = room;
		if (pages > all)
			pages = all;
		room -= pages;
		all -= pages;
		vmas[v].looked = (uint32_t)pages;
		out.head.pages += (uint32_t)pages;
	}
}

/* One call finds every present entry of the address space; mark them among the chosen pages. */
static void mark_present(const struct wire_vma *vma, uint8_t *bits)
{
	const struct wire_vma *end = vma + out.head.vmas;
	struct pm_scan scan = {
		.size = sizeof(scan),
		.start = control->heap,
		.end = control->task_end,
		.vec = (uint64_t)regions,
		.vec_len = sizeof(regions) / sizeof(regions[0]),
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};

	if (vma < end && vma->start < control->heap)
		scan.start = 0;
	while (scan.start < scan.end) {
		word found = CALL(SYS_ioctl, WIRE_FD_PAGEMAP, PAGEMAP_SCAN, &scan);

		for (word i = 0; i < found; i++) {
			for (uint64_t at = regions[i].start; at < regions[i].end; at += WIRE_PAGE) {
				while (vma < end && vma->end <= at) {
					bits += vma->looked;
					vma++;
				}
				if (vma < end && at >= vma->start &&
				    (at - vma->start) / WIRE_PAGE < vma->looked)
					bits[(at - vma->start) / WIRE_PAGE] = WIRE_PRESENT | WIRE_RESIDENT;
			}
		}
		if (found < 0 || scan.walk_end <= scan.start)
			break;
		scan.start = scan.walk_end;
	}
}

/*
 * Anonymous pages are resident when they are present, so mincore is asked for files only (and by its own
 * operation).
 */
static void mark_resident(const struct wire_vma *vmas, uint8_t *bits)
{
	for (unsigned v = 0; v < out.head.vmas; bits += vmas[v++].looked) {
		if (!vmas[v].file || !vmas[v].looked)
			continue;
		CALL(SYS_mincore, vmas[v].start, vmas[v].looked * WIRE_PAGE, resident);
		for (uint32_t i = 0; i < vmas[v].looked; i++)
			bits[i] = (uint8_t)((bits[i] & WIRE_PRESENT) | (resident[i] & 1 ? WIRE_RESIDENT : 0));
	}
}

static void look(void)
{
	struct wire_vma *vmas = list_vmas();
	uint8_t *bits = (uint8_t *)&vmas[out.head.vmas];

	choose_pages(vmas);
	memset(bits, 0, (out.head.pages + 7) / 8 * 8);
	mark_present(vmas, bits);
	mark_resident(vmas, bits);
}

/* Everything readable, page by page; what cannot be read gives its signal. */
static void read_all(void)
{
	struct wire_vma *vmas = (struct wire_vma *)out.payload;
	uint64_t *words = (uint64_t *)(out.payload + out.head.vmas * sizeof(*vmas) +
				       (out.head.pages + 7) / 8 * 8);

	out.head.reads = 0;
	for (unsigned v = 0; v < out.head.vmas; v++) {
		if (!(vmas[v].flags & WIRE_READ))
			continue;
		for (uint64_t p = 0; p < vmas[v].looked && out.head.reads < WIRE_READ_PAGES; p++) {
			uint64_t addr = vmas[v].start + p * WIRE_PAGE;

			load(addr);
			words[out.head.reads++] = signal_number ? (uint64_t)signal_number << 32 |
									  (uint32_t)signal_code
								: wire_sum(1, (void *)addr, WIRE_PAGE / 8);
		}
	}
}

static void write_record(void)
{
	uint64_t bytes = sizeof(out.head) + out.head.vmas * sizeof(struct wire_vma) +
			 (out.head.pages + 7) / 8 * 8 + out.head.reads * 8ul;

	out.head.bytes = (uint32_t)bytes;
	CALL(SYS_pwrite, WIRE_FD_LOG, &out, bytes, control->log_at);
	control->log_at += bytes;
}

/* ---- operations ------------------------------------------------------------------------------ */

static uint64_t address(uint8_t base, uint64_t offset)
{
	if (base == WIRE_ABSOLUTE)
		return offset;
	if (base == WIRE_HEAP)
		return control->heap + offset;
	return slots[base - WIRE_SLOT0] + offset;
}

static word vm_copy(const struct wire_op *op)
{
	uint64_t local[2] = { address(op->base, op->addr), op->length };
	uint64_t remote[2] = { address(op->base2, op->addr2), op->length2 };

	return CALL(op->kind == WIRE_VM_READ ? SYS_process_vm_readv : SYS_process_vm_writev,
		    control->pid[op->peer], local, 1, remote, 1, 0);
}

/* /proc/PID/mem; @pid is not negative. */
static word open_memory(uint32_t pid)
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

static word mem_copy(const struct wire_op *op)
{
	uint64_t addr = address(op->base, op->addr);
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
		out.head.value = wire_sum(1, buffer, sizeof(buffer) / 8);
	} else {
		for (uint64_t i = 0; i < bytes; i++)
			buffer[i] = wire_pattern(op->value, i);
		result = CALL(SYS_pwrite, fd, buffer, bytes, addr);
	}
	CALL(SYS_close, fd);
	return result;
}

static word file_call(const struct wire_op *op)
{
	int fd = WIRE_FD_FILES + op->file;
	uint64_t bytes = op->length < sizeof(buffer) ? op->length : sizeof(buffer);
	word result;

	switch (op->kind) {
	case WIRE_FILE_READ:
		memset(buffer, 0, sizeof(buffer));
		result = CALL(SYS_pread, fd, buffer, bytes, op->addr2);
		out.head.value = wire_sum(1, buffer, sizeof(buffer) / 8);
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

static word explicit_mincore(uint64_t addr, uint64_t length)
{
	word result;

	memset(buffer, 0, WIRE_PAGE);
	result = CALL(SYS_mincore, addr, length, buffer);
	for (uint64_t i = 0; i < WIRE_PAGE; i++)
		buffer[i] &= 1;
	out.head.value = result ? 0 : wire_sum(1, buffer, WIRE_PAGE / 8);
	return result;
}

static void be_born(unsigned index, uint32_t go);

static word fork_process(const struct wire_op *op)
{
	uint32_t go = __atomic_load_n(&control->go[op->peer], __ATOMIC_ACQUIRE);
	word child = CALL(SYS_fork);

	if (child == 0)
		be_born(op->peer, go);
	else if (child > 0)
		control->pid[op->peer] = (int32_t)child;
	return child < 0 ? child : 0;
}

static word set_limit(const struct wire_op *op)
{
	uint64_t limit[2];

	CALL(SYS_prlimit, 0, op->flags, 0, limit);
	limit[0] = op->value;
	return CALL(SYS_setrlimit, op->flags, limit);
}

static word mapping_call(const struct wire_op *op)
{
	uint64_t addr = address(op->base, op->addr), length = op->length;

	if (wire_hits_agent(control->heap, addr, length) ||
	    (op->kind == WIRE_MREMAP &&
	     wire_hits_agent(control->heap, address(op->base2, op->addr2), op->length2)))
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
		return CALL(SYS_mremap, addr, length, op->length2, op->flags, address(op->base2, op->addr2));
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
		return explicit_mincore(addr, length);
	default: /* WIRE_BRK */
		return CALL(SYS_brk, addr);
	}
}

static word carry_out(const struct wire_op *op)
{
	if ((op->kind == WIRE_LOAD || op->kind == WIRE_STORE) &&
	    !wire_is_canonical(address(op->base, op->addr)))
		return WIRE_LEFT_OUT;
	switch (op->kind) {
	case WIRE_FORK:
		return fork_process(op);
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		return vm_copy(op);
	case WIRE_MEM_READ:
	case WIRE_MEM_WRITE:
		return mem_copy(op);
	case WIRE_LOAD:
		out.head.value = load(address(op->base, op->addr));
		break;
	case WIRE_STORE:
		store(address(op->base, op->addr), op->value);
		break;
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		return file_call(op);
	case WIRE_LIMIT:
		return set_limit(op);
	case WIRE_LOOK:
	case WIRE_READ_ALL:
	case WIRE_EXIT:
		return 0;
	default:
		return mapping_call(op);
	}
	out.head.signal = signal_number;
	out.head.code = signal_number ? signal_code : 0;
	return 0;
}

static int gives_address(word result)
{
	return result >= 0 || result < -4095;
}

/* ---- taking turns ---------------------------------------------------------------------------- */

/* Wait until *word is not @seen; too long without a change means that somebody died. */
static uint32_t wait_change(uint32_t *at, uint32_t seen, int forever)
{
	struct {
		word seconds, nanoseconds;
	} timeout = { control->patience, 0 };
	uint32_t now;

	for (unsigned turn = 0; (now = __atomic_load_n(at, __ATOMIC_ACQUIRE)) == seen; turn++) {
		if (turn < 100) {
			__builtin_ia32_pause();
			continue;
		}
		if (CALL(SYS_futex, at, HOST_FUTEX_WAIT, seen, forever ? 0 : &timeout) == -HOST_ETIMEDOUT)
			CALL(SYS_exit_group, 98);
	}
	return now;
}

static void wake(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
	CALL(SYS_futex, at, HOST_FUTEX_WAKE, 1 << 30);
}

static uint32_t seen; /* of go[me], last */

static void read_op(uint32_t at, struct wire_op *op)
{
	CALL(SYS_pread, WIRE_FD_CONTROL, op, sizeof(*op), WIRE_OPS_AT + at * sizeof(*op));
}

static void run_one(uint32_t at, const struct wire_op *op)
{
	memset(&out.head, 0, sizeof(out.head));
	out.head.op = (uint16_t)at;
	out.head.result = carry_out(op);
	if (op->slot != WIRE_NO_SLOT && gives_address(out.head.result))
		slots[op->slot] = (uint64_t)out.head.result;
	if ((control->looking || op->kind == WIRE_READ_ALL) && op->kind != WIRE_EXIT)
		look();
	if (op->kind == WIRE_READ_ALL)
		read_all();
	write_record();
}

/* Carry out what is this process's, from operation @at on, until the sequence or the process ends. */
static void run(uint32_t at)
{
	struct wire_op op;

	for (;;) {
		read_op(at, &op);
		if (op.process != me) {
			wake(&control->go[op.process], at);
			at = seen = wait_change(&control->go[me], seen, 0);
			continue;
		}
		run_one(at, &op);
		if (++at == control->count) {
			wake(&control->done, control->start);
			CALL(SYS_exit_group, 0);
		}
		if (op.kind == WIRE_EXIT) {
			control->pid[me] = 0;
			read_op(at, &op);
			wake(&control->go[op.process], at);
			CALL(SYS_exit_group, 0);
		}
	}
}

static void open_proc(const char *path, int as)
{
	word fd = CALL(SYS_open, path, 0);

	if (fd == as)
		return;
	CALL(SYS_dup2, fd, as);
	CALL(SYS_close, fd);
}

/* A new process: its own eyes, its own place in the turn. */
static void be_born(unsigned index, uint32_t go)
{
	me = index;
	seen = go;
	CALL(SYS_prctl, HOST_PR_SET_PTRACER, -1);
	open_proc("/proc/self/maps", WIRE_FD_MAPS);
	open_proc("/proc/self/pagemap", WIRE_FD_PAGEMAP);
	run(seen = wait_change(&control->go[me], seen, 0));
}

/* ---- the zygote ------------------------------------------------------------------------------ */

static void give_up(word error, unsigned where)
{
	control->where = where;
	control->error = (int32_t)error;
	wake(&control->ready, 1);
	CALL(SYS_exit_group, 1);
}

/* Take away what exec mapped besides this program. */
static void clear_out(void)
{
	struct wire_vma vma;
	uint64_t addr = 0;
	word error;

	while ((error = next_vma(addr, &vma)) == 0) {
		addr = vma.end;
		if (vma.start < WIRE_CONTROL || vma.start >= WIRE_AGENT_LIMIT)
			CALL(SYS_munmap, vma.start, vma.end - vma.start);
	}
	if (error != -HOST_ENOENT)
		give_up(error, __LINE__);
}

/* Does a write by way of /proc/PID/mem go past the mapping's protection? */
static uint32_t may_force(void)
{
	word at = CALL(SYS_mmap, 0, WIRE_PAGE, 1, 0x22, -1, 0), fd = open_memory((uint32_t)CALL(SYS_getpid));
	word wrote = CALL(SYS_pwrite, fd, &at, 1, at);

	CALL(SYS_close, fd);
	CALL(SYS_munmap, at, WIRE_PAGE);
	return wrote == 1;
}

static void find_out(void)
{
	struct wire_vma vma;
	uint64_t addr = 0;
	word top;

	control->heap = (uint64_t)CALL(SYS_brk, 0);
	if (control->heap < WIRE_AGENT_TEXT || control->heap > WIRE_AGENT_LIMIT)
		give_up(-HOST_ENOMEM, __LINE__);
	top = CALL(SYS_mmap, 0, WIRE_PAGE, 0, 0x22, -1, 0);
	if (top < 0)
		give_up(top, __LINE__);
	CALL(SYS_munmap, top, WIRE_PAGE);
	control->mmap_top = (uint64_t)top + WIRE_PAGE;
	control->task_end = 0x7ffffffff000ul;
	control->forced = may_force();
	top = CALL(SYS_mmap, WIRE_PAGE, WIRE_PAGE, 0, 0x22, -1, 0);
	CALL(SYS_munmap, top, WIRE_PAGE);
	control->mmap_lowest = (uint64_t)top;
	while (next_vma(addr, &vma) == 0 && control->vmas < 16) {
		addr = vma.end;
		control->own[control->vmas++] = vma;
	}
}

static void drop_capabilities(void)
{
	uint32_t head[2] = { 0x20080522, 0 }, none[6] = { 0 };

	CALL(SYS_capset, head, none);
}

static void zygote(void)
{
	uint32_t sequence = 0;

	for (;;) {
		sequence = wait_change(&control->start, sequence, 1);
		word child = CALL(SYS_fork);

		if (child == 0) {
			for (unsigned i = 0; i < WIRE_SLOTS; i++)
				slots[i] = WIRE_ARENA;
			control->pid[0] = (int32_t)CALL(SYS_getpid);
			open_proc("/proc/self/maps", WIRE_FD_MAPS);
			open_proc("/proc/self/pagemap", WIRE_FD_PAGEMAP);
			CALL(SYS_prctl, HOST_PR_SET_PDEATHSIG, HOST_SIGKILL);
			CALL(SYS_prctl, HOST_PR_SET_PTRACER, -1);
			seen = ~0u;
			run(0);
		}
		if (child < 0)
			give_up(child, __LINE__);
	}
}

void agent_main(void)
{
	struct {
		void *at;
		word flags, bytes;
	} alternate = { signal_stack, 0, sizeof(signal_stack) };
	word at = CALL(SYS_mmap, WIRE_CONTROL, WIRE_PAGE, 3, 0x11 /* SHARED | FIXED */, WIRE_FD_CONTROL, 0);

	if (at != WIRE_CONTROL)
		CALL(SYS_exit_group, 97);
	drop_capabilities();
	CALL(SYS_prctl, HOST_PR_SET_PDEATHSIG, HOST_SIGKILL);
	CALL(SYS_prctl, HOST_PR_SET_CHILD_SUBREAPER, 1);
	open_proc("/proc/self/maps", WIRE_FD_MAPS);
	clear_out();
	CALL(SYS_sigaltstack, &alternate, 0);
	catch_signal(HOST_SIGSEGV, 0);
	catch_signal(HOST_SIGBUS, 0);
	catch_signal(HOST_SIGCHLD, 1);
	find_out();
	wake(&control->ready, 1);
	zygote();
}

__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"	lea stack+16384(%rip), %rsp\n"
	"	call agent_main\n");
