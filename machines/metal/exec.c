/*
 * exec.c - a program from its file: a static ELF executable, position-independent or not.
 *
 * Segments are private mappings of the file; what of them the file does not have is anonymous memory, and
 * the rest of the last page is zeroed. The stack grows by itself.
 *
 *	0x400000 or 0x555555554000	the program, then its break
 *	up to MMAP_BASE			mmap, downwards
 *	up to STACK_TOP			the stack, at most STACK_LIMIT
 *
 * Rules: BASE-1 (exec).
 */
#include "fs.h"
#include "user.h"
#include "x86.h"

#define STACK_TOP 0x7fffffff0000ull
#define STACK_FIRST (128ull << 10)
#define STACK_LIMIT (8ull << 20)
#define MMAP_BASE 0x7fff7fff0000ull
#define PIE_BASE 0x555555554000ull
#define HEADER_BYTES 4096
#define SEGMENTS_MAX 32

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, segments, sections;
	uint32_t flags;
	uint16_t header_bytes, segment_bytes, segment_count, section_bytes, section_count, names;
};

struct elf_segment {
	uint32_t type, flags;
	uint64_t offset, address, physical, file_bytes, memory_bytes, align;
};

enum { ELF_EXEC = 2, ELF_DYN = 3, ELF_X86_64 = 62, SEGMENT_LOAD = 1, SEGMENT_INTERPRETER = 3 };

enum {
	AUX_PHDR = 3,
	AUX_PHENT = 4,
	AUX_PHNUM = 5,
	AUX_PAGESZ = 6,
	AUX_BASE = 7,
	AUX_FLAGS = 8,
	AUX_ENTRY = 9,
	AUX_UID = 11,
	AUX_EUID = 12,
	AUX_GID = 13,
	AUX_EGID = 14,
	AUX_PLATFORM = 15,
	AUX_HWCAP = 16,
	AUX_CLKTCK = 17,
	AUX_SECURE = 23,
	AUX_RANDOM = 25,
	AUX_EXECFN = 31,
};

struct program {
	struct node *node;
	struct quire_mm *mm;
	const struct elf_header *elf;
	const struct elf_segment *segments;
	uint64_t bias;
	uint64_t end; /* of the highest segment */
	uint64_t data_start, data_end;
	uint64_t stack;
};

#define PAGE_DOWN(x) ((x)&QUIRE_PAGE_MASK)
#define PAGE_UP(x) PAGE_DOWN((x) + QUIRE_PAGE_SIZE - 1)

static int check(struct program *program, uint64_t bytes)
{
	const struct elf_header *elf = program->elf;

	if (bytes < sizeof(*elf) || memcmp(elf->ident, "\177ELF\2\1", 6) != 0 || elf->machine != ELF_X86_64 ||
	    (elf->type != ELF_EXEC && elf->type != ELF_DYN) ||
	    elf->segment_bytes != sizeof(struct elf_segment) || !elf->segment_count ||
	    elf->segment_count > SEGMENTS_MAX || elf->segments % 8 || elf->segments > bytes ||
	    elf->segment_count * sizeof(struct elf_segment) > bytes - elf->segments)
		return -ERROR_NOEXEC;
	program->bias = elf->type == ELF_DYN ? PIE_BASE : 0;
	program->segments = (const void *)((const char *)elf + elf->segments);
	for (unsigned i = 0; i < elf->segment_count; i++) {
		const struct elf_segment *s = &program->segments[i];

		if (s->type == SEGMENT_INTERPRETER) {
			kprintf("quire: this program is not statically linked\n");
			return -ERROR_NOEXEC;
		}
		if (s->type != SEGMENT_LOAD)
			continue;
		if (s->address > MMAP_BASE / 2 || s->memory_bytes > MMAP_BASE / 4 ||
		    s->file_bytes > s->memory_bytes || (s->address - s->offset) % QUIRE_PAGE_SIZE ||
		    s->offset > 1ull << 40)
			return -ERROR_NOEXEC;
		uint64_t start = s->address + program->bias, end = start + s->memory_bytes;
		if (end > program->end)
			program->end = end;
		if (s->flags & 2) {
			program->data_start = start;
			program->data_end = start + s->file_bytes;
		}
	}
	uint64_t entry = elf->entry + program->bias;
	return program->end && entry < program->end ? 0 : -ERROR_NOEXEC;
}

static int map(struct program *program, struct quire_mmap *what)
{
	struct quire_cpu *cpu = here();
	int64_t at = quire_mmap(&cpu, program->mm, what);

	return at < 0 ? (int)at : 0;
}

static int map_segment(struct program *program, const struct elf_segment *s)
{
	static const char zeroes[QUIRE_PAGE_SIZE];
	uint64_t start = s->address + program->bias, first = PAGE_DOWN(start);
	uint64_t file_end = start + s->file_bytes, end = PAGE_UP(start + s->memory_bytes);
	struct quire_mmap mapping = {
		.addr = first,
		.length = PAGE_UP(file_end) - first,
		.prot = (s->flags & 4 ? QUIRE_PROT_READ : 0u) | (s->flags & 2 ? QUIRE_PROT_WRITE : 0u) |
			(s->flags & 1 ? QUIRE_PROT_EXEC : 0u),
		.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_FIXED,
		.file = program->node->file,
		.access = QUIRE_FILE_READ,
		.offset = s->offset - (start - first),
	};
	int err = 0;

	if (s->file_bytes)
		err = map(program, &mapping);
	else
		file_end = first;
	uint64_t rest = PAGE_UP(file_end);
	if (!err && s->file_bytes && s->memory_bytes > s->file_bytes && rest != file_end && (s->flags & 2)) {
		struct quire_cpu *cpu = here();

		if (quire_copy_to(&cpu, program->mm, file_end, zeroes, rest - file_end) != rest - file_end)
			err = -QUIRE_ENOMEM;
	}
	if (err || rest >= end)
		return err;
	mapping.addr = rest;
	mapping.length = end - rest;
	mapping.flags |= QUIRE_MAP_ANONYMOUS;
	mapping.file = NULL;
	mapping.offset = 0;
	return map(program, &mapping);
}

static int map_all(struct program *program)
{
	struct quire_cpu *cpu = here();
	struct quire_layout layout = {
		.mmap_base = MMAP_BASE,
		.mmap_bottom = 0x10000,
		.brk_start = PAGE_UP(program->end),
		.data_start = program->data_start,
		.data_end = program->data_end,
	};
	struct quire_limits limits = {
		.address_space = QUIRE_UNLIMITED,
		.data = QUIRE_UNLIMITED,
		.stack = STACK_LIMIT,
		.memlock = 8ul << 20,
		.data_hard = QUIRE_UNLIMITED,
	};
	struct quire_mmap stack = {
		.addr = STACK_TOP - STACK_FIRST,
		.length = STACK_FIRST,
		.prot = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
		.flags = QUIRE_MAP_PRIVATE | QUIRE_MAP_ANONYMOUS | QUIRE_MAP_FIXED | QUIRE_MAP_GROWSDOWN,
	};

	quire_mm_set_layout(&cpu, program->mm, &layout);
	quire_mm_set_limits(&cpu, program->mm, &limits);
	for (unsigned i = 0; i < program->elf->segment_count; i++) {
		int err = program->segments[i].type == SEGMENT_LOAD
				  ? map_segment(program, &program->segments[i])
				  : 0;
		if (err)
			return err;
	}
	return map(program, &stack);
}

/* ---- the stack ------------------------------------------------------------------------------------- */

static uint64_t segments_at(const struct program *program)
{
	for (unsigned i = 0; i < program->elf->segment_count; i++) {
		const struct elf_segment *s = &program->segments[i];

		if (s->type == SEGMENT_LOAD && s->offset <= program->elf->segments &&
		    program->elf->segments < s->offset + s->file_bytes)
			return program->bias + s->address + program->elf->segments - s->offset;
	}
	return 0;
}

/* Pointers to @strings, which lie at @at in the program, and the 0 after them. */
static uint64_t *point_to(uint64_t *to, const struct strings *strings, uint64_t at)
{
	for (unsigned i = 0, done = 0; i < strings->count; i++) {
		*to++ = at + done;
		done += (unsigned)strlen(strings->at + done) + 1;
	}
	*to++ = 0;
	return to;
}

/*
 *	rsp -> argc, argv..., 0, envp..., 0, auxiliary vector, 0, 0 | random, platform, path, argv, envp
 */
static int build_stack(struct program *program, const char *path, const struct strings *arguments,
		       const struct strings *environment)
{
	size_t path_bytes = strlen(path) + 1;
	uint64_t strings = STACK_TOP - 8 - environment->bytes, arguments_at = strings - arguments->bytes;
	uint64_t path_at = arguments_at - path_bytes, platform_at = path_at - 8;
	uint64_t random_at = (platform_at - 16) & ~15ull;
	uint64_t aux[][2] = {
		{ AUX_PHDR, segments_at(program) },
		{ AUX_PHENT, sizeof(struct elf_segment) },
		{ AUX_PHNUM, program->elf->segment_count },
		{ AUX_PAGESZ, QUIRE_PAGE_SIZE },
		{ AUX_BASE, 0 },
		{ AUX_FLAGS, 0 },
		{ AUX_ENTRY, program->elf->entry + program->bias },
		{ AUX_UID, 0 },
		{ AUX_EUID, 0 },
		{ AUX_GID, 0 },
		{ AUX_EGID, 0 },
		{ AUX_PLATFORM, platform_at },
		{ AUX_HWCAP, read_cpuid(1).d },
		{ AUX_CLKTCK, TICKS_PER_SECOND },
		{ AUX_SECURE, 0 },
		{ AUX_RANDOM, random_at },
		{ AUX_EXECFN, path_at },
		{ 0, 0 },
	};
	uint64_t words = 1 + arguments->count + 1 + environment->count + 1 + sizeof(aux) / 8;
	uint64_t random[2] = { read_tsc() * 0x9e3779b97f4a7c15ull, read_tsc() * 0xbf58476d1ce4e5b9ull };
	uint64_t *vector = kernel_alloc(words * 8), *at = vector;

	program->stack = (random_at - words * 8) & ~15ull;
	if (!vector)
		return -QUIRE_ENOMEM;
	*at++ = arguments->count;
	at = point_to(at, arguments, arguments_at);
	at = point_to(at, environment, strings);
	memcpy(at, aux, sizeof(aux));

	struct {
		uint64_t to;
		const void *from;
		size_t bytes;
	} parts[] = {
		{ program->stack, vector, words * 8 },
		{ random_at, random, 16 },
		{ platform_at, "x86_64", 7 },
		{ path_at, path, path_bytes },
		{ arguments_at, arguments->at, arguments->bytes },
		{ strings, environment->at, environment->bytes },
	};
	int err = 0;
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct quire_cpu *cpu = here();

		if (quire_copy_to(&cpu, program->mm, parts[i].to, parts[i].from, parts[i].bytes) !=
		    parts[i].bytes)
			err = -QUIRE_ENOMEM;
	}
	kernel_free(vector, words * 8);
	return err;
}

/* ---- the change ------------------------------------------------------------------------------------ */

static int find_program(const char *path, struct node **out)
{
	int err = tree_look(current()->process->cwd, path, LOOK_FOLLOW, out, NULL);

	if (err)
		return err;
	if ((*out)->file && ((*out)->mode & 0111))
		return 0;
	node_put(*out);
	return -QUIRE_EACCES;
}

static void take_over(struct program *program, struct trap_frame *frame)
{
	struct task *task = current();
	struct process *process = task->process;

	process_let_go_of_mm(process);
	process->mm = program->mm;
	quire_cpu_run(here(), process->mm);
	if (process->program)
		node_put(process->program);
	process->program = program->node;
	fd_close_on_exec(process);
	for (unsigned i = 1; i <= SIGNALS; i++)
		if (process->actions[i].handler > 1)
			process->actions[i] = (struct signal_action){ 0 };
	tree_name(program->node, task->name, sizeof(task->name));
	task->clear_tid = 0;
	task_note_fs_base(0);
	*frame = (struct trap_frame){
		.rip = program->elf->entry + program->bias,
		.cs = USER_CS,
		.rflags = FLAGS_IF,
		.rsp = program->stack,
		.ss = USER_DS,
	};
	memset(task->fpu, 0, sizeof(task->fpu));
	*(uint16_t *)(void *)&task->fpu[0] = 0x37f;
	*(uint32_t *)(void *)&task->fpu[24] = 0x1f80;
	__asm__ volatile("fxrstor64 %0" : : "m"(task->fpu));
}

int exec_load(const char *path, const struct strings *arguments, const struct strings *environment,
	      struct trap_frame *frame)
{
	struct program program = { 0 };
	struct quire_cpu *cpu = here();
	int err = find_program(path, &program.node);

	if (err)
		return err;
	char *header = kernel_alloc(HEADER_BYTES);
	program.elf = (const void *)header;
	err = -QUIRE_ENOMEM;
	if (!header)
		goto node;
	int64_t got = quire_file_read(&cpu, program.node->file, 0, header, HEADER_BYTES);
	err = got < 0 ? (int)got : check(&program, (uint64_t)got);
	if (err)
		goto header;
	err = quire_mm_create(&cpu, &program.mm);
	if (err)
		goto header;
	err = map_all(&program);
	if (!err)
		err = build_stack(&program, path, arguments, environment);
	if (!err) {
		take_over(&program, frame);
		kernel_free(header, HEADER_BYTES);
		return 0;
	}
	cpu = here();
	quire_mm_put(&cpu, program.mm);
header:
	kernel_free(header, HEADER_BYTES);
node:
	node_put(program.node);
	return err;
}
