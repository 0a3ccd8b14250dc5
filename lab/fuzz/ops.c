/*
 * ops.c - from bytes to operations.
 *
 * A record's first byte chooses the kind by weight, its second the process; the others are addresses, lengths
 * and flags. Most addresses fall into a few pages in the middle of the arena, so that operations meet; some
 * are slots (what the kernel chose earlier), the heap, or nonsense. No decoded operation maps or populates
 * more than the host's memory bears.
 */
#include "ops.h"
#include "stretch.h"

#include <quire/abi.h>

#include <string.h>

enum {
	HOT_PAGE = WIRE_ARENA_PAGES / 2 - 12, /* the busy part of the arena begins here */
	HOT_PAGES = 24,
	MOST_POPULATED = 4 << 20, /* bytes */
	RESOURCE_DATA = 2,
	RESOURCE_STACK = 3,
	RESOURCE_MEMLOCK = 8,
	RESOURCE_AS = 9,
};

static const struct {
	uint8_t kind, weight; /* of 256 */
} weights[] = {
	{ WIRE_MMAP, 53 },	{ WIRE_MUNMAP, 22 }, { WIRE_MPROTECT, 26 }, { WIRE_MREMAP, 25 },
	{ WIRE_MADVISE, 28 },	{ WIRE_MLOCK, 8 },   { WIRE_MUNLOCK, 6 },   { WIRE_MLOCKALL, 1 },
	{ WIRE_MUNLOCKALL, 1 }, { WIRE_MSYNC, 4 },   { WIRE_MINCORE, 3 },   { WIRE_BRK, 6 },
	{ WIRE_FORK, 4 },	{ WIRE_EXIT, 3 },    { WIRE_VM_READ, 4 },   { WIRE_VM_WRITE, 4 },
	{ WIRE_LOAD, 18 },	{ WIRE_STORE, 26 },  { WIRE_FILE_READ, 2 }, { WIRE_FILE_WRITE, 4 },
	{ WIRE_TRUNCATE, 3 },	{ WIRE_PUNCH, 2 },   { WIRE_LIMIT, 3 },
};

static const char *const kind_names[WIRE_KINDS] = {
	"mmap",	    "munmap",	  "mprotect", "mremap",	  "madvise",   "mlock",	     "munlock",
	"mlockall", "munlockall", "msync",    "mincore",  "brk",       "fork",	     "exit",
	"vm_read",  "vm_write",	  "load",     "store",	  "file_read", "file_write", "truncate",
	"punch",    "limit",	  "look",     "read_all", "mem_read",  "mem_write",
};

const char *ops_kind_name(unsigned kind)
{
	return kind < WIRE_KINDS ? kind_names[kind] : "?";
}

/* ---- fields ---------------------------------------------------------------------------------- */

struct place {
	uint8_t base;
	uint64_t offset;
};

/* Any address for a call; @what and @how are the record's bytes. */
static struct place decode_place(uint8_t what, uint8_t how)
{
	static const uint64_t odd[] = {
		0,
		16 * WIRE_PAGE,
		0x7ffffffff000ul,
		0x7fffffffe000ul,
		0x7fffffff0000ul,
		0x800000000000ul,
		~0ul - WIRE_PAGE + 1,
		1ul << 63,
		~0ul,
		WIRE_ARENA - WIRE_PAGE,
		WIRE_ARENA - 300 * WIRE_PAGE,
	};

	if (how < 160)
		return (struct place){ WIRE_ABSOLUTE,
				       WIRE_ARENA + (HOT_PAGE + what % HOT_PAGES) * WIRE_PAGE };
	if (how < 195)
		return (struct place){ WIRE_ABSOLUTE, WIRE_ARENA + what * 2ul * WIRE_PAGE };
	if (how < 211)
		return (struct place){ WIRE_HEAP, what % 32 * WIRE_PAGE };
	if (how < 246)
		return (struct place){ (uint8_t)(WIRE_SLOT0 + how % WIRE_SLOTS), what % 16 * WIRE_PAGE };
	if (how < 251)
		return (struct place){ WIRE_ABSOLUTE, WIRE_ARENA + HOT_PAGE * WIRE_PAGE + what * 16ul + 1 };
	return (struct place){ WIRE_ABSOLUTE, odd[what % (sizeof(odd) / sizeof(odd[0]))] };
}

enum {
	LENGTH_SMALL,
	LENGTH_LARGE, /* what is never populated may be large */
};

static uint64_t decode_length(uint8_t what, uint8_t how, int most)
{
	static const uint64_t absurd[] = {
		~0ul,	   ~0ul - WIRE_PAGE + 1,	  ~0ul - 2 * WIRE_PAGE,
		1ul << 47, (1ul << 47) - WIRE_PAGE,	  1ul << 48,
		1ul << 63, 0x7ffffffff000ul - WIRE_ARENA,
	};

	if (how < 140)
		return (1 + what % 3) * WIRE_PAGE;
	if (how < 200)
		return (1 + what % 8) * WIRE_PAGE;
	if (how < 224)
		return (1 + what % 64) * WIRE_PAGE;
	if (how < 232)
		return (1 + what % 8) * WIRE_PAGE - 1 - what * 8ul;
	if (how < 236)
		return 0;
	if (how < 242)
		return (WIRE_ARENA_PAGES - 1 + what % 3) * WIRE_PAGE;
	if (how < 250)
		return most == LENGTH_LARGE ? (1ul << (21 + what % 20)) + what / 128 * WIRE_PAGE
					    : (9 + what % 16) * WIRE_PAGE;
	return absurd[what % (sizeof(absurd) / sizeof(absurd[0]))];
}

/* PROT_EXEC alone is left out: with protection keys it means "not readable", without them it does not. */
static uint32_t decode_prot(uint8_t byte)
{
	static const uint8_t prots[16] = { 3, 3, 3, 3, 3, 3, 1, 1, 1, 0, 0, 5, 7, 2, 6, 1 };

	if (byte == 0xff)
		return 0x100;
	if (byte == 0xfe)
		return QUIRE_PROT_GROWSDOWN | 3;
	if (byte == 0xfd)
		return QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP | 1;
	if (byte == 0xfc)
		return QUIRE_PROT_GROWSUP | 1;
	return prots[byte % 16];
}

/* ---- operations ------------------------------------------------------------------------------ */

static void set_place(struct wire_op *op, uint8_t what, uint8_t how)
{
	struct place place = decode_place(what, how);

	op->base = place.base;
	op->addr = place.offset;
}

static void set_place2(struct wire_op *op, uint8_t what, uint8_t how)
{
	struct place place = decode_place(what, how);

	op->base2 = place.base;
	op->addr2 = place.offset;
}

static void decode_mmap_kind(struct wire_op *op, uint8_t byte)
{
	unsigned file = byte - 150u;

	op->flags = QUIRE_MAP_PRIVATE;
	if (byte < 115) {
		op->flags |= QUIRE_MAP_ANONYMOUS;
	} else if (byte < 150) {
		op->flags = QUIRE_MAP_SHARED | QUIRE_MAP_ANONYMOUS;
	} else if (byte < 250) {
		op->file = file % WIRE_FILES;
		if (file / WIRE_FILES % 2)
			op->flags = file > 90 ? QUIRE_MAP_SHARED_VALIDATE : QUIRE_MAP_SHARED;
	} else if (byte < 252) {
		op->flags = QUIRE_MAP_ANONYMOUS;
	} else {
		op->file = byte % 2;
		op->flags = QUIRE_MAP_SHARED_VALIDATE | (byte & 2 ? 0x04000000 : 0x200000);
	}
}

static void decode_mmap_place(struct wire_op *op, const uint8_t *b)
{
	set_place(op, b[2], b[3]);
	if (b[10] < 150) {
		op->flags |= QUIRE_MAP_FIXED;
	} else if (b[10] < 170) {
		op->flags |= QUIRE_MAP_FIXED_NOREPLACE | (b[10] < 165 ? 0 : QUIRE_MAP_FIXED);
	} else if (b[10] >= 205) {
		op->base = WIRE_ABSOLUTE;
		op->addr = 0;
	}
	op->slot = b[11] % WIRE_SLOTS;
}

static void decode_mmap(struct wire_op *op, const uint8_t *b)
{
	static const uint32_t special[8] = {
		0,
		0,
		0,
		0,
		QUIRE_MAP_STACK,
		QUIRE_MAP_LOCKED,
		QUIRE_MAP_GROWSDOWN,
		QUIRE_MAP_GROWSDOWN | QUIRE_MAP_STACK,
	};
	static const uint32_t rare[8] = {
		QUIRE_MAP_32BIT,
		QUIRE_MAP_NONBLOCK,
		0,
		QUIRE_MAP_32BIT | QUIRE_MAP_NONBLOCK,
		QUIRE_MAP_32BIT,
		QUIRE_MAP_NONBLOCK,
		QUIRE_MAP_32BIT,
		0,
	};

	op->length = b[5] < 150 ? (1 + b[4] % 12) * WIRE_PAGE : decode_length(b[4], b[5], LENGTH_LARGE);
	op->prot = decode_prot(b[6]);
	decode_mmap_kind(op, b[8]);
	decode_mmap_place(op, b);
	if (op->length > MOST_POPULATED && op->length < 1ul << 46) {
		op->flags |= QUIRE_MAP_NORESERVE;
	} else {
		if ((b[7] & 3) == 3 && op->length < MOST_POPULATED)
			op->flags |= QUIRE_MAP_POPULATE;
		if ((b[7] & 0xc) == 0xc)
			op->flags |= QUIRE_MAP_NORESERVE;
		op->flags |= special[b[7] >> 4 & 7];
	}
	if (b[7] & 0x80)
		op->flags |= rare[b[7] >> 4 & 7];
	if (op->file != WIRE_NO_FILE || b[9] > 220)
		op->addr2 = b[9] % 16 * WIRE_PAGE;
	if (b[9] == 0xff)
		op->addr2 = 12;
	if (b[9] == 0xfe)
		op->addr2 = ~0ul - WIRE_PAGE + 1;
	if (b[9] == 0xfd)
		op->addr2 = (1ul << 63) - WIRE_PAGE;
}

/*
 * A mapping that shrinks on its way to a fixed place is charged by Linux 6.18 with what it loses. So an old
 * length that reaches to the address space's end, which is harmless elsewhere, makes it say ENOMEM; Quire
 * moves what is there. Such a call does not shrink here.
 */
static void avoid_absurd_charge(struct wire_op *op)
{
	if ((op->flags & QUIRE_MREMAP_FIXED) && op->length > op->length2 && op->length > 1ul << 40 &&
	    op->length < (1ul << 47) - WIRE_PAGE)
		op->length = op->length2;
}

static void decode_mremap(struct wire_op *op, const uint8_t *b)
{
	static const uint8_t flags[16] = { 1, 1, 1, 1, 0, 0, 3, 3, 3, 3, 5, 5, 5, 7, 2, 8 };

	set_place(op, b[2], b[3]);
	op->length = decode_length(b[4], b[5], b[7] < 90 ? LENGTH_LARGE : LENGTH_SMALL);
	op->length2 = b[7] < 90 ? op->length : decode_length(b[6], b[7], LENGTH_SMALL);
	set_place2(op, b[8], b[9]);
	op->flags = flags[b[10] % 16];
	op->slot = b[11] % WIRE_SLOTS;
	avoid_absurd_charge(op);
}

static void decode_madvise(struct wire_op *op, const uint8_t *b)
{
	static const uint8_t advices[] = {
		QUIRE_MADV_DONTNEED,
		QUIRE_MADV_DONTNEED,
		QUIRE_MADV_DONTNEED,
		QUIRE_MADV_DONTNEED,
		QUIRE_MADV_FREE,
		QUIRE_MADV_FREE,
		QUIRE_MADV_POPULATE_READ,
		QUIRE_MADV_POPULATE_READ,
		QUIRE_MADV_POPULATE_WRITE,
		QUIRE_MADV_POPULATE_WRITE,
		QUIRE_MADV_WILLNEED,
		QUIRE_MADV_DONTFORK,
		QUIRE_MADV_DONTFORK,
		QUIRE_MADV_DOFORK,
		QUIRE_MADV_WIPEONFORK,
		QUIRE_MADV_WIPEONFORK,
		QUIRE_MADV_KEEPONFORK,
		QUIRE_MADV_REMOVE,
		QUIRE_MADV_REMOVE,
		QUIRE_MADV_NORMAL,
		QUIRE_MADV_RANDOM,
		QUIRE_MADV_SEQUENTIAL,
		QUIRE_MADV_DONTDUMP,
		QUIRE_MADV_DODUMP,
		QUIRE_MADV_DONTNEED_LOCKED,
		QUIRE_MADV_NOHUGEPAGE,
		5,
		99,
	};

	set_place(op, b[2], b[3]);
	op->length = decode_length(b[4], b[5], LENGTH_SMALL);
	op->flags = advices[b[6] % sizeof(advices)];
	if ((op->flags == QUIRE_MADV_POPULATE_READ || op->flags == QUIRE_MADV_POPULATE_WRITE) &&
	    op->length > MOST_POPULATED && op->length < ~0ul - MOST_POPULATED)
		op->length = WIRE_PAGE;
}

static void decode_locking(struct wire_op *op, const uint8_t *b)
{
	static const uint8_t all[8] = { 1, 2, 3, 5, 6, 4, 0, 8 };
	static const uint8_t some[8] = { 0, 0, 0, 0, 0, 1, 1, 2 };

	set_place(op, b[2], b[3]);
	op->length = decode_length(b[4], b[5], LENGTH_SMALL);
	if (op->kind == WIRE_MLOCK)
		op->flags = some[b[6] % 8];
	else if (op->kind == WIRE_MLOCKALL)
		op->flags = all[b[6] % 8];
	/* Mincore's answer has a byte for each page, and room for four pages of them. */
	else if (op->kind == WIRE_MINCORE && op->length > 4 * WIRE_PAGE * WIRE_PAGE &&
		 op->length < (1ul << 47) - WIRE_PAGE)
		op->length = 8 * WIRE_PAGE;
}

static void decode_msync(struct wire_op *op, const uint8_t *b)
{
	static const uint8_t flags[8] = { 4, 1, 2, 6, 5, 8, 0, 3 };

	set_place(op, b[2], b[3]);
	op->length = decode_length(b[4], b[5], LENGTH_SMALL);
	op->flags = flags[b[6] % 8];
}

static void decode_brk(struct wire_op *op, const uint8_t *b)
{
	op->base = WIRE_HEAP;
	op->addr = b[2] % 64 * WIRE_PAGE + (b[3] > 200 ? b[4] * 16ul : 0);
	if (b[3] == 0xff) {
		op->base = WIRE_ABSOLUTE;
		op->addr = b[4] & 1 ? 0 : 0x7e0000000000ul;
	}
}

/*
 * Loads and stores stay within a page: one across two may be done in part, which is no promise of anybody's.
 */
static void decode_access(struct wire_op *op, const uint8_t *b)
{
	set_place(op, b[2], b[3] > 250 ? b[3] - 100 : b[3]);
	op->addr = (op->addr & ~(WIRE_PAGE - 1)) + (b[5] & 0xf) * 8 + (b[5] & 0x10 ? WIRE_PAGE - 128 : 0);
	if (op->kind == WIRE_STORE)
		op->value = (b[6] + 1ul) * 0x0101010101010101ul ^ (uint64_t)b[7] << 20;
}

static void decode_vm_copy(struct wire_op *op, const uint8_t *b)
{
	static const uint64_t absurd[8] = {
		~0ul, 1ul << 63, (1ul << 63) - 1, 1ul << 47, 1ul << 46, 0x7ffff000, 0x7ffff001, 0,
	};

	set_place(op, b[2], b[3]);
	set_place2(op, b[4], b[5]);
	op->addr += b[6] & 0x80 ? b[6] * 17u : 0;
	op->addr2 += b[7] & 0x80 ? b[7] * 13u : 0;
	op->length = b[8] < 128 ? 8 + b[8] * 40ul : (1 + b[8] % 4) * WIRE_PAGE;
	op->length2 = b[9] < 200 ? op->length : 1 + b[9] * 31ul;
	if (b[9] >= 248) /* one of them only: how much is copied the other one decides */
		*(b[9] & 4 ? &op->length : &op->length2) = absurd[b[8] % 8];
}

/* Half of the copies between processes go by way of /proc/PID/mem, whose places are not negative. */
static void decode_mem_copy(struct wire_op *op, const uint8_t *b)
{
	op->kind = op->kind == WIRE_VM_READ ? WIRE_MEM_READ : WIRE_MEM_WRITE;
	set_place(op, b[2], b[3]);
	op->addr += b[6] & 0x80 ? b[6] * 17u : 0;
	op->length = b[8] < 128 ? 8 + b[8] * 40ul : (1 + b[8] % 4) * WIRE_PAGE;
	op->value = b[7];
}

/*
 * Only openings for writing; the regular file only by whole pages, for writeback may clear what lies past its
 * end.
 */
static void decode_file(struct wire_op *op, const uint8_t *b)
{
	static const uint8_t files[8] = { 0, 0, 0, 1, 1, 3, 3, 0 };

	op->file = files[b[2] % 8];
	op->addr2 = b[4] % 12 * WIRE_PAGE + (b[5] > 100 ? b[5] * 8ul : 0);
	op->length = b[6] < 100 ? WIRE_PAGE : b[6] * 40ul;
	op->value = b[7];
	if (op->kind == WIRE_TRUNCATE)
		op->length = b[4] % 16 * WIRE_PAGE + (b[5] > 128 ? b[5] * 16ul - 1 : 0);
	/* Up to the first page's end, tmpfs unmaps more than it punches: no harm, but visible. */
	if (op->kind == WIRE_PUNCH && op->addr2 + op->length < WIRE_PAGE)
		op->length = WIRE_PAGE;
	if (op->file != 3)
		return;
	if (op->kind == WIRE_TRUNCATE)
		op->length &= ~(WIRE_PAGE - 1);
	if (op->kind == WIRE_FILE_WRITE && op->addr2 + op->length > 10 * WIRE_PAGE)
		op->addr2 = 0;
}

static void decode_limit(struct wire_op *op, const uint8_t *b)
{
	static const struct {
		uint8_t resource;
		uint64_t values[8];
	} limits[4] = {
		{ RESOURCE_AS, { ~0ul, ~0ul, ~0ul, 1ul << 20, 2ul << 20, 4ul << 20, 1ul << 30, 16ul << 20 } },
		{ RESOURCE_DATA, { ~0ul, ~0ul, 0, WIRE_PAGE, 500 << 10, 600 << 10, 1ul << 20, 4ul << 20 } },
		{ RESOURCE_STACK,
		  { 8ul << 20, 8ul << 20, 8ul << 20, WIRE_PAGE, 16 << 10, 64 << 10, 256 << 10, 1ul << 20 } },
		{ RESOURCE_MEMLOCK,
		  { 1ul << 20, 1ul << 20, 1ul << 20, 0, 16 << 10, 64 << 10, 256 << 10, 8191 } },
	};

	op->flags = limits[b[2] % 4].resource;
	op->value = limits[b[2] % 4].values[b[4] % 8];
}

static void decode_one(struct wire_op *op, const uint8_t *b, unsigned threads)
{
	switch (op->kind) {
	case WIRE_MMAP:
		decode_mmap(op, b);
		break;
	case WIRE_MUNMAP:
	case WIRE_MPROTECT:
		set_place(op, b[2], b[3]);
		op->length = decode_length(b[4], b[5], LENGTH_LARGE);
		op->prot = op->kind == WIRE_MPROTECT ? decode_prot(b[6]) : 0;
		break;
	case WIRE_MREMAP:
		decode_mremap(op, b);
		break;
	case WIRE_MADVISE:
		decode_madvise(op, b);
		break;
	case WIRE_MLOCK:
	case WIRE_MUNLOCK:
	case WIRE_MLOCKALL:
	case WIRE_MINCORE:
		decode_locking(op, b);
		break;
	case WIRE_MSYNC:
		decode_msync(op, b);
		break;
	case WIRE_BRK:
		decode_brk(op, b);
		break;
	case WIRE_VM_READ:
	case WIRE_VM_WRITE:
		if ((b[10] & 1) || threads)
			decode_mem_copy(op, b);
		else
			decode_vm_copy(op, b);
		break;
	case WIRE_LOAD:
	case WIRE_STORE:
		decode_access(op, b);
		break;
	case WIRE_FILE_READ:
	case WIRE_FILE_WRITE:
	case WIRE_TRUNCATE:
	case WIRE_PUNCH:
		decode_file(op, b);
		break;
	case WIRE_LIMIT:
		decode_limit(op, b);
		break;
	default:
		break;
	}
}

/* ---- sequences ------------------------------------------------------------------------------- */

static uint8_t kind_of(uint8_t byte)
{
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++) {
		sum += weights[i].weight;
		if (byte < sum)
			return weights[i].kind;
	}
	return WIRE_LOOK;
}

/* The @n-th living process, counted round. */
static unsigned pick_process(unsigned alive, unsigned n)
{
	n %= (unsigned)__builtin_popcount(alive);
	for (unsigned p = 0;; p++) {
		if (alive & 1u << p && n-- == 0)
			return p;
	}
}

static struct wire_op *add(struct sequence *sequence, uint8_t kind, unsigned process, size_t record)
{
	struct wire_op *op = &sequence->ops[sequence->count];

	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->process = (uint8_t)process;
	op->slot = WIRE_NO_SLOT;
	op->file = WIRE_NO_FILE;
	op->origin = record == OPS_MAX;
	sequence->record[sequence->count++] = (uint16_t)record;
	return op;
}

static void add_fork(struct sequence *sequence, unsigned process, size_t record, unsigned *alive)
{
	unsigned child = 0;

	while (child < WIRE_PROCESSES && *alive & 1u << child)
		child++;
	if (child == WIRE_PROCESSES)
		return;
	add(sequence, WIRE_FORK, process, record)->peer = (uint8_t)child;
	*alive |= 1u << child;
	add(sequence, WIRE_LOOK, child, record);
}

struct decoding {
	struct sequence *sequence;
	unsigned alive;	 /* processes */
	uint32_t joined; /* operations of the stretch that is open */
};

/* A stretch ends here, if there is one: what its process then sees is recorded. */
static void end_stretch(struct decoding *d)
{
	struct sequence *sequence = d->sequence;

	if (d->joined)
		add(sequence, WIRE_LOOK, sequence->ops[sequence->count - 1].process,
		    sequence->record[sequence->count - 1]);
	d->joined = 0;
}

/* An operation of a stretch, if it is one that can be judged. */
static void decode_joined(struct decoding *d, const uint8_t *b, size_t record)
{
	struct sequence *sequence = d->sequence;
	unsigned process = d->joined ? sequence->ops[sequence->count - 1].process
				     : pick_process(d->alive, b[1] & 3);
	struct wire_op *op = add(sequence, stretch_kind(kind_of(b[0]), b[0]), process, record);

	op->thread = (uint8_t)stretch_thread(b[1], sequence->threads);
	decode_one(op, b, sequence->threads);
	stretch_gather(op);
	if (stretch_admits(op - d->joined, d->joined))
		d->joined++;
	else
		sequence->count--;
}

static void decode_alone(struct decoding *d, const uint8_t *b, size_t record)
{
	struct sequence *sequence = d->sequence;
	unsigned process = pick_process(d->alive, b[1] & 3);
	uint8_t kind = sequence->threads ? stretch_free_kind(kind_of(b[0])) : kind_of(b[0]);
	struct wire_op *op;

	if (kind == WIRE_FORK) {
		add_fork(sequence, process, record, &d->alive);
		return;
	}
	if (kind == WIRE_EXIT) {
		if (d->alive == 1u << process)
			return;
		d->alive &= ~(1u << process);
	}
	op = add(sequence, kind, process, record);
	op->peer = (uint8_t)(d->alive ? pick_process(d->alive, b[1] >> 2 & 3) : 0);
	decode_one(op, b, sequence->threads);
	if (sequence->threads)
		stretch_gather(op);
}

void ops_decode(const uint8_t *bytes, size_t count, unsigned threads, struct sequence *sequence)
{
	struct decoding d = { .sequence = sequence, .alive = 1 };

	sequence->count = 0;
	sequence->threads = threads;
	for (size_t r = 0; r < count / OPS_RECORD && r < OPS_MAX && sequence->count < WIRE_OPS - 16; r++) {
		const uint8_t *b = bytes + r * OPS_RECORD;

		if (stretch_thread(b[1], threads)) {
			decode_joined(&d, b, r);
		} else {
			end_stretch(&d);
			decode_alone(&d, b, r);
		}
	}
	end_stretch(&d);
	for (unsigned p = 0; p < WIRE_PROCESSES; p++) {
		if (d.alive & 1u << p)
			add(sequence, WIRE_READ_ALL, p, OPS_MAX);
	}
	for (unsigned p = 0; p < WIRE_PROCESSES; p++) {
		if (d.alive & 1u << p)
			add(sequence, WIRE_EXIT, p, OPS_MAX);
	}
}

uint64_t ops_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ul);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
	return z ^ (z >> 31);
}

/*
 * Uniform bytes, but neighbours often have something in common: the address, the length, the process. A
 * sequence begins with a few mappings, or most of what follows would meet nothing.
 */
void ops_generate(uint64_t *state, uint8_t *bytes, size_t records, unsigned threads)
{
	for (size_t r = 0; r < records; r++) {
		uint8_t *b = bytes + r * OPS_RECORD;
		uint64_t choice;

		for (unsigned i = 0; i < OPS_RECORD; i += 4) {
			uint32_t some = (uint32_t)(ops_random(state) >> 16);

			memcpy(b + i, &some, 4);
		}
		if (r < 5)
			b[0] = WIRE_MMAP;
		if (r == 0)
			continue;
		choice = ops_random(state);
		if (choice & 3)
			b[1] = b[1 - OPS_RECORD];
		if ((choice >> 2 & 7) < 3)
			memcpy(b + 2, b + 2 - OPS_RECORD, 2);
		if ((choice >> 5 & 7) < 2)
			memcpy(b + 4, b + 4 - OPS_RECORD, 2);
		if ((choice >> 8 & 15) == 0)
			b[2]++;
	}
	if (threads)
		stretch_generate(state, bytes, records);
}
