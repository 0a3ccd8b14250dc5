/*
 * oracle.c - the host kernel's side: a zygote, and the processes that it forks for each sequence.
 *
 * The zygote is the agent program, executed from memory with address randomisation off and every limit known,
 * so that each process begins with the same address space in every run. Files are made anew for each
 * sequence.
 */
#define _GNU_SOURCE
#include "oracle.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The agent's program, put here by the assembler; QUIRE_FUZZ_AGENT is the path of the linked agent. */
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	"fuzz_agent_begin:\n"
	".incbin \"" QUIRE_FUZZ_AGENT "\"\n"
	"fuzz_agent_end:\n"
	".popsection\n");
extern const char fuzz_agent_begin[], fuzz_agent_end[];

const struct wire_file wire_files[WIRE_FILES] = {
	{ 0, 1, 0, 12 * WIRE_PAGE - 1000 }, { 1, 1, 0, 3 * WIRE_PAGE + 8 },
	{ 0, 0, 0, 12 * WIRE_PAGE - 1000 }, { 2, 1, 1, 10 * WIRE_PAGE },
	{ 2, 0, 1, 10 * WIRE_PAGE },
};

struct oracle {
	pid_t zygote;
	unsigned which;	   /* of several oracles */
	unsigned patience; /* seconds */
	int control_fd, log_fd, program_fd;
	int files[WIRE_FILES];
	uint64_t inodes[WIRE_FILES];
	uint8_t *image; /* what files hold at first: the longest one's bytes, room for one file */
	struct wire_control *control;
	struct wire_op *ops;
	void *log;
	int regular_dirty; /* its length may have changed: it must be cut before it is filled */
};

static int make_memory_file(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd >= 0 && bytes && ftruncate(fd, (off_t)bytes)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int make_regular_file(void)
{
	const char *directory = getenv("TMPDIR");
	const char *places[] = { directory ? directory : "/var/tmp", "/var/tmp", "/tmp" };

	for (unsigned i = 0; i < 3; i++) {
		int fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static int open_again(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int make_files(struct oracle *oracle)
{
	int distinct[WIRE_DISTINCT_FILES] = { -1, -1, -1 };

	for (unsigned i = 0; i < WIRE_FILES; i++) {
		const struct wire_file *file = &wire_files[i];
		struct stat status;

		if (!file->writable)
			oracle->files[i] = open_again(distinct[file->file]);
		else if (file->regular)
			oracle->files[i] = make_regular_file();
		else
			oracle->files[i] = make_memory_file("quire-fuzz", 0);
		if (oracle->files[i] < 0 || fstat(oracle->files[i], &status))
			return -1;
		if (file->writable)
			distinct[file->file] = oracle->files[i];
		oracle->inodes[i] = status.st_ino;
	}
	return 0;
}

/*
 * Page by page, so that the cache holds single pages: larger ones would be mapped whole where they are on a
 * disk.
 */
static int write_pages(int fd, const uint8_t *from, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += WIRE_PAGE) {
		uint64_t some = bytes - at < WIRE_PAGE ? bytes - at : WIRE_PAGE;

		if (pwrite(fd, from + at, some, (off_t)at) != (ssize_t)some)
			return -1;
	}
	return 0;
}

/* Every file as it is at a sequence's beginning. */
static int fill_files(struct oracle *oracle)
{
	for (unsigned i = 0; i < WIRE_FILES; i++) {
		const struct wire_file *file = &wire_files[i];
		uint64_t *words = (uint64_t *)oracle->image;

		if (!file->writable)
			continue;
		if ((!file->regular || oracle->regular_dirty) && ftruncate(oracle->files[i], 0))
			return -1;
		for (uint64_t w = 0; w < (file->bytes + 7) / 8; w++)
			words[w] = wire_file_word(file->file, w);
		if (write_pages(oracle->files[i], oracle->image, file->bytes))
			return -1;
	}
	oracle->regular_dirty = 0;
	return 0;
}

/* ---- the zygote ------------------------------------------------------------------------------ */

static void limit_to(int resource, rlim_t soft)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0 && (limit.rlim_max == RLIM_INFINITY || soft <= limit.rlim_max)) {
		limit.rlim_cur = soft;
		setrlimit(resource, &limit);
	}
}

/*
 * Agents take turns, so one processor is enough for them, and better: to wake a neighbour on the same one is
 * a context switch, to wake one on another that is idle takes an interrupt. They get the last; @which counts
 * from there. So do the threads of an agent, which are to run at once: each goes to the next one.
 */
static unsigned choose_processor(const cpu_set_t *allowed, unsigned which)
{
	which = (unsigned)CPU_COUNT(allowed) - 1 - which % (unsigned)CPU_COUNT(allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, allowed) && which-- == 0)
			return cpu;
	}
	return 0;
}

static void pin_to_processors(unsigned which, struct wire_control *control)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	for (unsigned i = 0; i < WIRE_THREADS; i++)
		control->processors[i] = choose_processor(&allowed, which + i);
	CPU_ZERO(&one);
	CPU_SET(control->processors[0], &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* In the child: put the descriptors where the agent looks for them, and become it. */
static void become_agent(struct oracle *oracle)
{
	int from[WIRE_FD_FILES + WIRE_FILES];
	char *none[] = { NULL };
	char *name[] = { (char *)"quire-fuzz-agent", NULL };

	memset(from, -1, sizeof(from));
	from[WIRE_FD_CONTROL] = oracle->control_fd;
	from[WIRE_FD_LOG] = oracle->log_fd;
	for (int i = 0; i < WIRE_FILES; i++)
		from[WIRE_FD_FILES + i] = oracle->files[i];
	int program = fcntl(oracle->program_fd, F_DUPFD_CLOEXEC, 200);
	for (int i = 0; i < WIRE_FD_FILES + WIRE_FILES; i++)
		from[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, 100);
	for (int i = 0; i < WIRE_FD_FILES + WIRE_FILES; i++) {
		if (from[i] >= 0)
			dup2(from[i], i);
		else if (i > 2)
			close(i);
	}
	for (int i = WIRE_FD_FILES + WIRE_FILES; i < 100; i++)
		close(i);
	limit_to(RLIMIT_AS, RLIM_INFINITY);
	limit_to(RLIMIT_DATA, RLIM_INFINITY);
	limit_to(RLIMIT_STACK, 8 << 20);
	limit_to(RLIMIT_MEMLOCK, 1 << 20);
	limit_to(RLIMIT_CORE, 0);
	pin_to_processors(oracle->which, oracle->control);
	personality(ADDR_NO_RANDOMIZE);
	syscall(SYS_execveat, program, "", name, none, AT_EMPTY_PATH);
	_exit(96);
}

/* Is the zygote or one of the sequence's processes no more, before its time? Nobody leaves a zombie there. */
static bool somebody_died(struct oracle *oracle)
{
	if (oracle->zygote <= 0 || waitpid(oracle->zygote, NULL, WNOHANG) != 0) {
		oracle->zygote = 0; /* its number may be another's now */
		return true;
	}
	for (unsigned p = 0; p < WIRE_PROCESSES; p++) {
		pid_t pid = __atomic_load_n(&oracle->control->pid[p], __ATOMIC_RELAXED);

		if (pid > 0 && kill(pid, 0) && errno == ESRCH &&
		    __atomic_load_n(&oracle->control->pid[p], __ATOMIC_RELAXED) == pid)
			return true;
	}
	return false;
}

/*
 * Wait until *word is not @seen. 0, or -1 when an agent is gone, or when the log did not grow for longer than
 * agents wait for each other.
 */
static int wait_word(struct oracle *oracle, uint32_t *word, uint32_t seen)
{
	struct timespec step = { 0, 200000000 };
	uint64_t log_at = 0;

	for (unsigned turn = 0; turn < (oracle->control->patience + 2) * 5 + 200; turn++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen)
			return 0;
		if (turn < 200) {
			__builtin_ia32_pause();
			continue;
		}
		if (__atomic_load_n(&oracle->control->log_at, __ATOMIC_RELAXED) != log_at) {
			log_at = __atomic_load_n(&oracle->control->log_at, __ATOMIC_RELAXED);
			turn = 200;
		}
		syscall(SYS_futex, word, FUTEX_WAIT, seen, &step, NULL, 0);
		if (turn > 200 && somebody_died(oracle))
			break;
	}
	return __atomic_load_n(word, __ATOMIC_ACQUIRE) != seen ? 0 : -1;
}

enum { STARTS = 3 };

/* One that is killed before it is ready is replaced, as later ones are. */
static const char *start_zygote(struct oracle *oracle)
{
	for (unsigned start = 0; start < STARTS && !oracle->control->ready; start++) {
		oracle->zygote = fork();
		if (oracle->zygote < 0)
			return "no process for the agents";
		if (oracle->zygote == 0)
			become_agent(oracle);
		if (wait_word(oracle, &oracle->control->ready, 0) && oracle->zygote)
			break; /* it lives, and is too slow */
	}
	if (!oracle->control->ready)
		return "the agent does not start";
	if (oracle->control->error == -ENOTTY)
		return "the kernel has no PROCMAP_QUERY (Linux 6.11 or later is needed)";
	if (oracle->control->error)
		return "the agent cannot look at itself: /proc is needed";
	return NULL;
}

/*
 * RLIMIT_DATA counts the program's data with its heap: from the last segment's start to the furthest byte in
 * the file.
 */
static uint64_t program_data_bytes(void)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)fuzz_agent_begin;
	const Elf64_Phdr *segment = (const Elf64_Phdr *)(fuzz_agent_begin + header->e_phoff);
	uint64_t start = 0, end = 0;

	for (unsigned i = 0; i < header->e_phnum; i++, segment++) {
		if (segment->p_type != PT_LOAD)
			continue;
		if (segment->p_vaddr > start)
			start = segment->p_vaddr;
		if (segment->p_vaddr + segment->p_filesz > end)
			end = segment->p_vaddr + segment->p_filesz;
	}
	return end > start ? end - start : 0;
}

static const char *make_shared(struct oracle *oracle)
{
	size_t program_bytes = (size_t)(fuzz_agent_end - fuzz_agent_begin);
	size_t control_bytes = WIRE_OPS_AT + sizeof(struct wire_op) * WIRE_OPS;
	uint8_t *control;

	oracle->control_fd = make_memory_file("quire-fuzz-control", control_bytes);
	oracle->log_fd = make_memory_file("quire-fuzz-log", WIRE_LOG_BYTES);
	oracle->program_fd = make_memory_file("quire-fuzz-agent", 0);
	if (oracle->control_fd < 0 || oracle->log_fd < 0 || oracle->program_fd < 0)
		return "no memory files (memfd_create)";
	if (write(oracle->program_fd, fuzz_agent_begin, program_bytes) != (ssize_t)program_bytes)
		return "no room for the agent's program";
	control = mmap(NULL, control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, oracle->control_fd, 0);
	oracle->log = mmap(NULL, WIRE_LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, oracle->log_fd, 0);
	if (control == MAP_FAILED || oracle->log == MAP_FAILED)
		return "no memory";
	oracle->control = (struct wire_control *)control;
	oracle->control->data_bytes = program_data_bytes();
	oracle->control->patience = oracle->patience;
	oracle->ops = (struct wire_op *)(control + WIRE_OPS_AT);
	oracle->image = calloc(1, 64 * WIRE_PAGE);
	return oracle->image ? NULL : "no memory";
}

struct oracle *oracle_create(unsigned which, unsigned patience, const char **why)
{
	struct oracle *oracle = calloc(1, sizeof(*oracle));

	if (!oracle) {
		*why = "no memory";
		return NULL;
	}
	oracle->which = which;
	oracle->patience = patience;
	oracle->regular_dirty = 1;
	*why = make_shared(oracle);
	if (!*why && make_files(oracle))
		*why = "no files in memory or in TMPDIR (O_TMPFILE)";
	if (!*why)
		*why = start_zygote(oracle);
	if (*why) {
		oracle_destroy(oracle);
		return NULL;
	}
	return oracle;
}

/*
 * Processes of a sequence that has not come to its end. After one that has, their numbers may be somebody
 * else's.
 */
static void end_sequence(const struct wire_control *control)
{
	if (control->done == control->start)
		return;
	for (unsigned p = 0; p < WIRE_PROCESSES; p++) {
		if (control->pid[p] > 0)
			kill(control->pid[p], SIGKILL);
	}
}

void oracle_destroy(struct oracle *oracle)
{
	if (oracle->control)
		end_sequence(oracle->control);
	if (oracle->zygote > 0) {
		kill(oracle->zygote, SIGKILL);
		waitpid(oracle->zygote, NULL, 0);
	}
	if (oracle->control)
		munmap(oracle->control, WIRE_OPS_AT + sizeof(struct wire_op) * WIRE_OPS);
	if (oracle->log && oracle->log != MAP_FAILED)
		munmap(oracle->log, WIRE_LOG_BYTES);
	for (unsigned i = 0; i < WIRE_FILES; i++) {
		if (oracle->files[i] > 0)
			close(oracle->files[i]);
	}
	int fds[] = { oracle->control_fd, oracle->log_fd, oracle->program_fd };
	for (unsigned i = 0; i < 3; i++) {
		if (fds[i] > 0)
			close(fds[i]);
	}
	free(oracle->image);
	free(oracle);
}

const struct wire_control *oracle_layout(const struct oracle *oracle)
{
	return oracle->control;
}

uint64_t oracle_inode(const struct oracle *oracle, unsigned file)
{
	return oracle->inodes[file];
}

/* ---- sequences ------------------------------------------------------------------------------- */

void oracle_start(struct oracle *oracle, const struct sequence *sequence, int looking)
{
	struct wire_control *control = oracle->control;

	if (fill_files(oracle))
		control->error = -EIO;
	memcpy(oracle->ops, sequence->ops, sequence->count * sizeof(sequence->ops[0]));
	control->count = sequence->count;
	control->looking = (uint32_t)looking;
	control->log_at = 0;
	for (unsigned p = 0; p < WIRE_PROCESSES; p++) {
		control->go[p] = ~0u;
		control->pid[p] = 0;
	}
	for (unsigned i = 0; i < sequence->count; i++) {
		const struct wire_op *op = &sequence->ops[i];

		if (op->kind == WIRE_TRUNCATE || op->kind == WIRE_PUNCH || op->kind == WIRE_FILE_WRITE ||
		    (op->kind == WIRE_MADVISE && op->flags == MADV_REMOVE))
			oracle->regular_dirty = 1;
	}
	__atomic_fetch_add(&control->start, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, &control->start, FUTEX_WAKE, 1, NULL, NULL, 0);
}

const void *oracle_finish(struct oracle *oracle, size_t *bytes)
{
	struct wire_control *control = oracle->control;

	if (wait_word(oracle, &control->done, control->start - 1) || control->error)
		return NULL;
	*bytes = control->log_at;
	return oracle->log;
}
