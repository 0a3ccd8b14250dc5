/*
 * program.c - a sequence as a C program that asserts what Linux did.
 *
 * All processes run the same straight line; each waits for its turn at its own steps. Addresses that the
 * kernel chose are not asserted, since they depend on what else is mapped; the arena's mappings after the
 * last step are.
 */
#include "fuzzer.h"

#include <inttypes.h>

static const char prelude[] =
	"#define _GNU_SOURCE\n"
	"#include <assert.h>\n#include <errno.h>\n#include <fcntl.h>\n#include <setjmp.h>\n#include <signal.h>\n"
	"#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/mman.h>\n"
	"#include <sys/resource.h>\n#include <sys/syscall.h>\n#include <sys/uio.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
	"#include <linux/falloc.h>\n"
	"\n"
	"#define P 4096ul\n"
	"#define A 0x3fff00000ul /* the arena */\n"
	"static uint64_t heap, p[8];\n"
	"static int fd[5], me;\n"
	"static struct { volatile int step; volatile int pid[4]; } *shared;\n"
	"static sigjmp_buf recover;\n"
	"static int signal_number, signal_code;\n"
	"\n"
	"static void on_signal(int n, siginfo_t *info, void *c)\n"
	"{\n\t(void)c;\n\tsignal_number = n;\n\tsignal_code = info->si_code;\n\tsiglongjmp(recover, 1);\n}\n"
	"static int my_turn(int process, int step)\n"
	"{\n\tif (process != me)\n\t\treturn 0;\n\twhile (shared->step != step)\n\t\tusleep(10);\n\treturn 1;\n}\n"
	"static long call(long n, long a, long b, long c, long d, long e, long f)\n"
	"{\n\tlong r = syscall(n, a, b, c, d, e, f);\n\treturn r == -1 ? -errno : r;\n}\n"
	"#define CALL(n, a, b, c, d, e, f) call(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))\n"
	"#define mmap(a, b, c, d, e, f) CALL(mmap, a, b, c, d, e, f)\n"
	"#define munmap(a, b) CALL(munmap, a, b, 0, 0, 0, 0)\n"
	"#define mprotect(a, b, c) CALL(mprotect, a, b, c, 0, 0, 0)\n"
	"#define mremap(a, b, c, d, e) CALL(mremap, a, b, c, d, e, 0)\n"
	"#define madvise(a, b, c) CALL(madvise, a, b, c, 0, 0, 0)\n"
	"#define mlock(a, b) CALL(mlock, a, b, 0, 0, 0, 0)\n"
	"#define mlock2(a, b, c) CALL(mlock2, a, b, c, 0, 0, 0)\n"
	"#define munlock(a, b) CALL(munlock, a, b, 0, 0, 0, 0)\n"
	"#define mlockall(a) CALL(mlockall, a, 0, 0, 0, 0, 0)\n"
	"#define munlockall() CALL(munlockall, 0, 0, 0, 0, 0, 0)\n"
	"#define msync(a, b, c) CALL(msync, a, b, c, 0, 0, 0)\n"
	"#define break_to(a) CALL(brk, a, 0, 0, 0, 0, 0)\n"
	"#define ftruncate(a, b) CALL(ftruncate, a, b, 0, 0, 0, 0)\n"
	"#define punch(a, b, c) CALL(fallocate, a, 3, c, b, 0, 0)\n"
	"static long mincore_(uint64_t a, uint64_t n) { static unsigned char v[P]; return CALL(mincore, a, n, v, 0, 0, 0); }\n"
	"#define mincore(a, n) mincore_(a, n)\n"
	"static uint64_t load(uint64_t a)\n"
	"{\n\tsignal_number = signal_code = 0;\n\treturn sigsetjmp(recover, 1) ? 0 : *(volatile uint64_t *)a;\n}\n"
	"static void store(uint64_t a, uint64_t v)\n"
	"{\n\tsignal_number = signal_code = 0;\n\tif (!sigsetjmp(recover, 1))\n\t\t*(volatile uint64_t *)a = v;\n}\n"
	"static long vm(int write, int pid, uint64_t a, uint64_t n, uint64_t b, uint64_t m)\n"
	"{\n\tstruct iovec x = { (void *)a, n }, y = { (void *)b, m };\n"
	"\treturn write ? CALL(process_vm_writev, pid, &x, 1, &y, 1, 0) : CALL(process_vm_readv, pid, &x, 1, &y, 1, 0);\n}\n"
	"#define vm_readv(pid, a, n, b, m) vm(0, pid, a, n, b, m)\n"
	"#define vm_writev(pid, a, n, b, m) vm(1, pid, a, n, b, m)\n"
	"static long mem(int write, int pid, uint64_t a, void *b, uint64_t n)\n"
	"{\n\tchar path[64];\n\tsnprintf(path, sizeof(path), \"/proc/%d/mem\", pid);\n\tint f = open(path, O_RDWR);\n"
	"\tlong r = write ? CALL(pwrite64, f, b, n, a, 0, 0) : CALL(pread64, f, b, n, a, 0, 0);\n\tclose(f);\n\treturn r;\n}\n"
	"static long mem_read(int pid, uint64_t a, uint64_t n) { static char b[4 * P]; return mem(0, pid, a, b, n); }\n"
	"static long mem_write(int pid, uint64_t a, uint64_t n, uint64_t value)\n"
	"{\n\tstatic uint8_t b[4 * P];\n\tfor (uint64_t i = 0; i < n; i++)\n\t\tb[i] = value * 31 + i * 7 + (i >> 8);\n"
	"\treturn mem(1, pid, a, b, n);\n}\n"
	"static long limit(int resource, uint64_t soft)\n"
	"{\n\tstruct rlimit r;\n\tgetrlimit(resource, &r);\n\tr.rlim_cur = soft;\n\treturn setrlimit(resource, &r) ? -errno : 0;\n}\n"
	"static long file_read(int f, uint64_t n, uint64_t at) { static char b[4 * P]; return CALL(pread64, f, b, n, at, 0, 0); }\n"
	"static long file_write(int f, uint64_t n, uint64_t at, uint64_t value)\n"
	"{\n\tstatic uint8_t b[4 * P];\n\tfor (uint64_t i = 0; i < n; i++)\n\t\tb[i] = value * 31 + i * 7 + (i >> 8);\n"
	"\treturn CALL(pwrite64, f, b, n, at, 0, 0);\n}\n"
	"static void expect_map(uint64_t start, uint64_t end, const char *prot)\n"
	"{\n\tchar line[512];\n\tFILE *maps = fopen(\"/proc/self/maps\", \"r\");\n\tint found = 0;\n"
	"\twhile (fgets(line, sizeof(line), maps)) {\n\t\tuint64_t s, e;\n\t\tchar q[8];\n"
	"\t\tif (sscanf(line, \"%lx-%lx %4s\", &s, &e, q) == 3 && s == start && e == end && !strcmp(q, prot))\n\t\t\tfound = 1;\n\t}\n"
	"\tfclose(maps);\n\tassert(found);\n}\n"
	"static void expect_page(uint64_t at, int present, int resident)\n"
	"{\n\tuint64_t entry = 0;\n\tunsigned char core = 0;\n\tint map = open(\"/proc/self/pagemap\", O_RDONLY);\n"
	"\tpread(map, &entry, 8, at / P * 8);\n\tclose(map);\n\tsyscall(SYS_mincore, at, P, &core);\n"
	"\tassert((int)(entry >> 63) == present && (core & 1) == resident);\n}\n"
	"static void make_file(int i, int file, uint64_t bytes)\n"
	"{\n\tfd[i] = file == 2 ? open(\"/var/tmp\", O_TMPFILE | O_RDWR, 0600) : memfd_create(\"f\", 0);\n"
	"\tfor (uint64_t w = 0; w * 8 < bytes; w++) {\n\t\tuint64_t v = (0xf11e000000000000ul | (uint64_t)file << 32) + w;\n"
	"\t\tpwrite(fd[i], &v, 8, w * 8);\n\t}\n\tftruncate(fd[i], bytes);\n}\n"
	"static void open_again(int i, int of)\n"
	"{\n\tchar path[64];\n\tsnprintf(path, sizeof(path), \"/proc/self/fd/%d\", fd[of]);\n\tfd[i] = open(path, O_RDONLY);\n}\n"
	"static void prepare(void)\n"
	"{\n\tstruct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };\n"
	"\tstatic char room[65536];\n\tstack_t stack = { .ss_sp = room, .ss_size = sizeof(room) };\n"
	"\tsigaltstack(&stack, NULL);\n\tsigaction(SIGSEGV, &action, NULL);\n\tsigaction(SIGBUS, &action, NULL);\n"
	"\theap = ((uint64_t)sbrk(0) + P - 1) & -P;\n\tfor (int i = 0; i < 8; i++)\n\t\tp[i] = A;\n"
	"\tshared = (void *)mmap(0, P, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);\n\tshared->pid[0] = getpid();\n"
	"\tlimit(RLIMIT_MEMLOCK, 1 << 20);\n\tmake_file(0, 0, 12 * P - 1000);\n\tmake_file(1, 1, 3 * P + 8);\n"
	"\tmake_file(3, 2, 10 * P);\n\topen_again(2, 0);\n\topen_again(4, 3);\n}\n"
	"#define DONE(step_) (shared->step = (step_) + 1)\n"
	"\nint main(void)\n{\n\tlong r = 0;\n\n\tprepare();\n";

static bool in_arena(uint64_t address)
{
	return address - WIRE_ARENA < WIRE_ARENA_PAGES * WIRE_PAGE;
}

static void print_expectation(FILE *to, const struct wire_op *op, const struct wire_record *host)
{
	const char *error = ops_errno_name(host->result);

	if (op->kind == WIRE_LOAD || op->kind == WIRE_STORE) {
		fprintf(to, "\t\tassert(signal_number == %d && signal_code == %d);\n", host->signal,
			host->code);
		if (op->kind == WIRE_LOAD && !host->signal)
			fprintf(to, "\t\tassert(r == (long)%#" PRIx64 ");\n", host->value);
	} else if (error) {
		fprintf(to, "\t\tassert(r == -%s);\n", error);
	} else if (op->slot != WIRE_NO_SLOT && !in_arena((uint64_t)host->result)) {
		fputs("\t\tassert(r > 0 || r < -4095);\n", to);
	} else if (op->kind != WIRE_BRK) {
		fprintf(to, "\t\tassert(r == %#" PRIx64 ");\n", (uint64_t)host->result);
	}
	if (op->slot != WIRE_NO_SLOT && !error)
		fprintf(to, "\t\tp[%u] = r;\n", op->slot);
}

static void print_state(FILE *to, const struct wire_record *host)
{
	const struct wire_vma *vma = (const struct wire_vma *)(host + 1);
	const uint8_t *page = (const uint8_t *)(vma + host->vmas);

	for (unsigned v = 0; v < host->vmas; v++, vma++) {
		if (in_arena(vma->start))
			fprintf(to, "\t\texpect_map(%#" PRIx64 ", %#" PRIx64 ", \"%c%c%c%c\");\n", vma->start,
				vma->end, vma->flags & WIRE_READ ? 'r' : '-',
				vma->flags & WIRE_WRITE ? 'w' : '-', vma->flags & WIRE_EXEC ? 'x' : '-',
				vma->flags & WIRE_SHARED ? 's' : 'p');
		for (uint32_t i = 0; i < vma->looked; i++, page++) {
			if (in_arena(vma->start))
				fprintf(to, "\t\texpect_page(%#" PRIx64 ", %d, %d);\n",
					vma->start + i * WIRE_PAGE, *page & 1, *page >> 1);
		}
	}
}

static void print_step(FILE *to, const struct wire_op *op, const struct wire_record *host, uint32_t step,
		       bool state)
{
	fprintf(to, "\tif (my_turn(%u, %u)) {\n", op->process, step);
	if (op->kind == WIRE_FORK) {
		fprintf(to,
			"\t\tr = fork();\n\t\tif (r == 0)\n\t\t\tme = %u;\n\t\telse\n\t\t\tshared->pid[%u] = r;\n",
			op->peer, op->peer);
	} else if (op->kind == WIRE_VM_READ || op->kind == WIRE_VM_WRITE || op->kind == WIRE_MEM_READ ||
		   op->kind == WIRE_MEM_WRITE) {
		fputs("\t\tconst volatile int *pid = shared->pid;\n\t\tr = ", to);
		ops_print_call(to, op);
		fputs(";\n", to);
	} else if (op->kind != WIRE_LOOK && op->kind != WIRE_READ_ALL && op->kind != WIRE_EXIT) {
		fputs(op->kind == WIRE_STORE ? "\t\t" : "\t\tr = ", to);
		ops_print_call(to, op);
		fputs(";\n", to);
	}
	if (host && op->kind != WIRE_FORK && op->kind != WIRE_LOOK && op->kind != WIRE_READ_ALL &&
	    op->kind != WIRE_EXIT)
		print_expectation(to, op, host);
	if (host && state)
		print_state(to, host);
	if (op->kind == WIRE_FORK)
		fprintf(to, "\t\tif (me == %u)\n\t", op->process);
	fprintf(to, "\t\tDONE(%u);\n", step);
	fputs(op->kind == WIRE_EXIT ? "\t\t_exit(0);\n\t}\n" : "\t}\n", to);
}

void print_program(FILE *to, const struct fuzzer *fuzzer, const struct finding *finding)
{
	const struct sequence *sequence = &fuzzer->sequence;

	fprintf(to, "/* Linux does this; Quire does not. After the last step, %s */\n%s",
		finding->divergence.what, prelude);
	for (uint32_t i = 0; i <= finding->divergence.op && i < sequence->count; i++)
		print_step(to, &sequence->ops[i], log_find(fuzzer->host_log, i), i,
			   i == finding->divergence.op);
	fputs("\twhile (wait(NULL) > 0)\n\t\t;\n\treturn 0;\n}\n", to);
}
