/*
 * print.c - operations for people: one line each, or the call as a C program writes it.
 */
#include "ops.h"

#include <quire/abi.h>

#include <inttypes.h>
#include <string.h>

static const struct {
	int value;
	const char *name;
} errors[] = {
	{ 1, "EPERM" },	      { 2, "ENOENT" },	{ 3, "ESRCH" },	  { 4, "EINTR" },   { 5, "EIO" },
	{ 9, "EBADF" },	      { 11, "EAGAIN" }, { 12, "ENOMEM" }, { 13, "EACCES" }, { 14, "EFAULT" },
	{ 16, "EBUSY" },      { 17, "EEXIST" }, { 19, "ENODEV" }, { 22, "EINVAL" }, { 26, "ETXTBSY" },
	{ 27, "EFBIG" },      { 28, "ENOSPC" }, { 29, "ESPIPE" }, { 38, "ENOSYS" }, { 75, "EOVERFLOW" },
	{ 95, "EOPNOTSUPP" },
};

const char *ops_errno_name(int64_t result)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (result == -errors[i].value)
			return errors[i].name;
	}
	return NULL;
}

struct flag {
	uint32_t bit;
	const char *name;
};

static const struct flag prot_flags[] = {
	{ 1, "PROT_READ" },
	{ 2, "PROT_WRITE" },
	{ 4, "PROT_EXEC" },
	{ QUIRE_PROT_GROWSDOWN, "PROT_GROWSDOWN" },
	{ QUIRE_PROT_GROWSUP, "PROT_GROWSUP" },
	{ 0, NULL },
};

static const struct flag map_flags[] = {
	{ QUIRE_MAP_FIXED, "MAP_FIXED" },
	{ QUIRE_MAP_ANONYMOUS, "MAP_ANONYMOUS" },
	{ QUIRE_MAP_GROWSDOWN, "MAP_GROWSDOWN" },
	{ QUIRE_MAP_LOCKED, "MAP_LOCKED" },
	{ QUIRE_MAP_NORESERVE, "MAP_NORESERVE" },
	{ QUIRE_MAP_POPULATE, "MAP_POPULATE" },
	{ QUIRE_MAP_STACK, "MAP_STACK" },
	{ QUIRE_MAP_32BIT, "MAP_32BIT" },
	{ QUIRE_MAP_NONBLOCK, "MAP_NONBLOCK" },
	{ QUIRE_MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE" },
	{ 0, NULL },
};

static const struct flag mremap_flags[] = {
	{ 1, "MREMAP_MAYMOVE" },
	{ 2, "MREMAP_FIXED" },
	{ 4, "MREMAP_DONTUNMAP" },
	{ 0, NULL },
};

static const struct flag msync_flags[] = {
	{ 1, "MS_ASYNC" }, { 2, "MS_INVALIDATE" }, { 4, "MS_SYNC" }, { 0, NULL }
};

static const struct flag mcl_flags[] = {
	{ 1, "MCL_CURRENT" }, { 2, "MCL_FUTURE" }, { 4, "MCL_ONFAULT" }, { 0, NULL }
};

static const struct flag advices[] = {
	{ 0, "MADV_NORMAL" },	       { 1, "MADV_RANDOM" },	       { 2, "MADV_SEQUENTIAL" },
	{ 3, "MADV_WILLNEED" },	       { 4, "MADV_DONTNEED" },	       { 8, "MADV_FREE" },
	{ 9, "MADV_REMOVE" },	       { 10, "MADV_DONTFORK" },	       { 11, "MADV_DOFORK" },
	{ 15, "MADV_NOHUGEPAGE" },     { 16, "MADV_DONTDUMP" },	       { 17, "MADV_DODUMP" },
	{ 18, "MADV_WIPEONFORK" },     { 19, "MADV_KEEPONFORK" },      { 22, "MADV_POPULATE_READ" },
	{ 23, "MADV_POPULATE_WRITE" }, { 24, "MADV_DONTNEED_LOCKED" }, { 0, NULL },
};

static const struct flag resources[] = {
	{ 2, "RLIMIT_DATA" }, { 3, "RLIMIT_STACK" }, { 8, "RLIMIT_MEMLOCK" }, { 9, "RLIMIT_AS" }, { 0, NULL },
};

static void print_bits(FILE *to, uint32_t bits, const struct flag *flags, const char *none)
{
	const char *between = "";

	if (!bits)
		fputs(none, to);
	for (; flags->name; flags++) {
		if (!(bits & flags->bit))
			continue;
		fprintf(to, "%s%s", between, flags->name);
		between = " | ";
		bits &= ~flags->bit;
	}
	if (bits)
		fprintf(to, "%s%#x", between, bits);
}

static void print_one_of(FILE *to, uint32_t value, const struct flag *flags)
{
	for (; flags->name; flags++) {
		if (flags->bit == value) {
			fputs(flags->name, to);
			return;
		}
	}
	fprintf(to, "%u", value);
}

static void print_map_flags(FILE *to, uint32_t flags)
{
	static const char *const types[4] = { "0", "MAP_SHARED", "MAP_PRIVATE", "MAP_SHARED_VALIDATE" };

	fputs(types[flags & 3], to);
	if (flags & ~3u) {
		fputs(" | ", to);
		print_bits(to, flags & ~3u, map_flags, "0");
	}
}

/* Lengths and offsets: in pages where they are. */
static void print_length(FILE *to, uint64_t bytes)
{
	if (bytes && bytes % WIRE_PAGE == 0 && bytes / WIRE_PAGE < 1ul << 32)
		fprintf(to, "%" PRIu64 " * P", bytes / WIRE_PAGE);
	else
		fprintf(to, "%#" PRIx64, bytes);
}

static void print_place(FILE *to, uint8_t base, uint64_t offset)
{
	if (base == WIRE_ABSOLUTE && offset - WIRE_ARENA < WIRE_ARENA_PAGES * WIRE_PAGE) {
		base = WIRE_SLOT0 - 1;
		offset -= WIRE_ARENA;
		fputs("A", to);
	} else if (base == WIRE_ABSOLUTE) {
		fprintf(to, "%#" PRIx64, offset);
		return;
	} else if (base == WIRE_HEAP) {
		fputs("heap", to);
	} else {
		fprintf(to, "p[%d]", base - WIRE_SLOT0);
	}
	if (offset / WIRE_PAGE)
		fprintf(to, " + %" PRIu64 " * P", offset / WIRE_PAGE);
	if (offset % WIRE_PAGE)
		fprintf(to, " + %" PRIu64, offset % WIRE_PAGE);
}

#define PLACE(op) (print_place(to, (op)->base, (op)->addr))
#define PLACE2(op) (print_place(to, (op)->base2, (op)->addr2))

static void print_mmap(FILE *to, const struct wire_op *op)
{
	fputs("mmap(", to);
	PLACE(op);
	fputs(", ", to);
	print_length(to, op->length);
	fputs(", ", to);
	print_bits(to, op->prot, prot_flags, "PROT_NONE");
	fputs(", ", to);
	print_map_flags(to, op->flags);
	if (op->file == WIRE_NO_FILE)
		fputs(", -1, ", to);
	else
		fprintf(to, ", fd[%u], ", op->file);
	print_length(to, op->addr2);
	fputs(")", to);
}

static void print_mremap(FILE *to, const struct wire_op *op)
{
	fputs("mremap(", to);
	PLACE(op);
	fputs(", ", to);
	print_length(to, op->length);
	fputs(", ", to);
	print_length(to, op->length2);
	fputs(", ", to);
	print_bits(to, op->flags, mremap_flags, "0");
	fputs(", ", to);
	PLACE2(op);
	fputs(")", to);
}

static void print_range_call(FILE *to, const struct wire_op *op, const char *name)
{
	fprintf(to, "%s(", name);
	PLACE(op);
	fputs(", ", to);
	print_length(to, op->length);
}

static void print_file_call(FILE *to, const struct wire_op *op)
{
	static const char *const names[] = { "file_read", "file_write", "ftruncate", "punch" };

	fprintf(to, "%s(fd[%u], ", names[op->kind - WIRE_FILE_READ], op->file);
	print_length(to, op->length);
	if (op->kind != WIRE_TRUNCATE) {
		fputs(", ", to);
		print_length(to, op->addr2);
	}
	if (op->kind == WIRE_FILE_WRITE)
		fprintf(to, ", %" PRIu64, op->value);
	fputs(")", to);
}

static void print_vm_copy(FILE *to, const struct wire_op *op)
{
	fprintf(to, "%s(pid[%u], ", op->kind == WIRE_VM_READ ? "vm_readv" : "vm_writev", op->peer);
	PLACE(op);
	fputs(", ", to);
	print_length(to, op->length);
	fputs(", ", to);
	PLACE2(op);
	fputs(", ", to);
	print_length(to, op->length2);
	fputs(")", to);
}

static void print_mem_copy(FILE *to, const struct wire_op *op)
{
	fprintf(to, "%s(pid[%u], ", ops_kind_name(op->kind), op->peer);
	PLACE(op);
	fputs(", ", to);
	print_length(to, op->length);
	if (op->kind == WIRE_MEM_WRITE)
		fprintf(to, ", %" PRIu64, op->value);
	fputs(")", to);
}

static void print_range_flags(FILE *to, const struct wire_op *op)
{
	switch (op->kind) {
	case WIRE_MPROTECT:
		print_range_call(to, op, "mprotect");
		fputs(", ", to);
		print_bits(to, op->prot, prot_flags, "PROT_NONE");
		break;
	case WIRE_MADVISE:
		print_range_call(to, op, "madvise");
		fputs(", ", to);
		print_one_of(to, op->flags, advices);
		break;
	case WIRE_MSYNC:
		print_range_call(to, op, "msync");
		fputs(", ", to);
		print_bits(to, op->flags, msync_flags, "0");
		break;
	case WIRE_MLOCK:
		print_range_call(to, op, op->flags ? "mlock2" : "mlock");
		if (op->flags)
			fprintf(to, ", %u", op->flags);
		break;
	default:
		print_range_call(to, op, ops_kind_name(op->kind));
	}
	fputs(")", to);
}

void ops_print_call(FILE *to, const struct wire_op *op)
{
	switch (op->kind) {
	case WIRE_MMAP:
		print_mmap(to, op);
		break;
	case WIRE_MREMAP:
		print_mremap(to, op);
		break;
	case WIRE_MLOCKALL:
		fputs("mlockall(", to);
		print_bits(to, op->flags, mcl_flags, "0");
		fputs(")", to);
		break;
	case WIRE_BRK:
		fputs("break_to(", to);
		PLACE(op);
		fputs(")", to);
		break;
	case WIRE_LOAD:
		fputs("load(", to);
		PLACE(op);
		fputs(")", to);
		break;
	case WIRE_STORE:
		fputs("store(", to);
		PLACE(op);
		fprintf(to, ", %#" PRIx64 ")", op->value);
		break;
	case WIRE_LIMIT:
		fputs("limit(", to);
		print_one_of(to, op->flags, resources);
		fprintf(to, ", %#" PRIx64 ")", op->value);
		break;
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		print_vm_copy(to, op);
		break;
	case WIRE_MEM_READ:
	case WIRE_MEM_WRITE:
		print_mem_copy(to, op);
		break;
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		print_file_call(to, op);
		break;
	case WIRE_FORK:
		fprintf(to, "fork() /* process %u */", op->peer);
		break;
	case WIRE_EXIT:
	case WIRE_LOOK:
	case WIRE_READ_ALL:
	case WIRE_MUNLOCKALL:
		fprintf(to, "%s()", ops_kind_name(op->kind));
		break;
	default:
		print_range_flags(to, op);
	}
}

void ops_print(FILE *to, const struct wire_op *op)
{
	fprintf(to, "[%u] ", op->process);
	ops_print_call(to, op);
	if (op->slot != WIRE_NO_SLOT)
		fprintf(to, " -> p[%u]", op->slot);
}
