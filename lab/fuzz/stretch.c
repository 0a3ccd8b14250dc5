/*
 * stretch.c - which operations may run at once.
 */
#include "stretch.h"
#include "oracle.h"

#include <quire/abi.h>

enum {
	MEETING_PAGE = WIRE_ARENA_PAGES / 2 - 4, /* four pages on each side of the gigabyte boundary */
	MEETING_PAGES = 8,
	MOST_OF_THREAD = 3,
	MOST_ORDERS = 100,
	FIRST_THREAD = 0x10, /* in a record's second byte */
};

unsigned stretch_thread(uint8_t byte, unsigned threads)
{
	unsigned which = byte / FIRST_THREAD;

	return threads && which ? 1 + (which - 1) % threads : 0;
}

uint8_t stretch_free_kind(uint8_t kind)
{
	return kind == WIRE_MLOCK || kind == WIRE_MUNLOCK || kind == WIRE_MLOCKALL ? WIRE_MADVISE : kind;
}

uint8_t stretch_kind(uint8_t kind, uint8_t byte)
{
	kind = stretch_free_kind(kind);
	switch (kind) {
	case WIRE_MMAP:
	case WIRE_MUNMAP:
	case WIRE_MPROTECT:
	case WIRE_MREMAP:
	case WIRE_MADVISE:
	case WIRE_BRK:
		return kind;
	case WIRE_MSYNC:
	case WIRE_MINCORE:
	case WIRE_MUNLOCKALL:
		return WIRE_BRK;
	default:
		return byte & 1 ? WIRE_STORE : WIRE_LOAD;
	}
}

/* ---- making them meet ------------------------------------------------------------------------ */

static uint64_t meeting_place(uint64_t addr)
{
	return WIRE_ARENA + (MEETING_PAGE + addr / WIRE_PAGE % MEETING_PAGES) * WIRE_PAGE;
}

/* What lies in the arena comes to the meeting place; in a stretch so does what an earlier result leads to. */
static void gather_place(const struct wire_op *op, uint8_t *base, uint64_t *addr)
{
	if (*base == WIRE_ABSOLUTE && *addr - WIRE_ARENA < WIRE_ARENA_PAGES * WIRE_PAGE) {
		*addr = meeting_place(*addr) + *addr % WIRE_PAGE;
	} else if (*base >= WIRE_SLOT0 && op->thread) {
		*base = WIRE_ABSOLUTE;
		*addr = meeting_place(*addr);
	}
}

static void fit_for_stretch(struct wire_op *op)
{
	switch (op->kind) {
	case WIRE_LOAD:
		op->addr = (op->addr & ~(WIRE_PAGE - 1)) + 8 * (1 + op->addr / 8 % WIRE_THREADS);
		break;
	case WIRE_STORE:
		op->addr = (op->addr & ~(WIRE_PAGE - 1)) + 8 * op->thread;
		break;
	case WIRE_MMAP:
		op->flags &= ~(uint32_t)QUIRE_MAP_POPULATE;
		break;
	case WIRE_MPROTECT:
		op->prot &= ~(QUIRE_PROT_GROWSDOWN | QUIRE_PROT_GROWSUP);
		break;
	case WIRE_MADVISE:
		if (op->flags == QUIRE_MADV_REMOVE || op->flags == QUIRE_MADV_WILLNEED)
			op->flags = QUIRE_MADV_DONTNEED;
		break;
	default:
		break;
	}
}

/* The first file is mapped privately, the others are shared. */
static void map_in_one_way(struct wire_op *op)
{
	uint32_t type = op->flags & QUIRE_MAP_TYPE;

	if (op->file == WIRE_NO_FILE)
		return;
	if (wire_files[op->file].file == 0)
		op->flags = (op->flags & ~(uint32_t)QUIRE_MAP_TYPE) | QUIRE_MAP_PRIVATE;
	else if (type == QUIRE_MAP_PRIVATE)
		op->flags = (op->flags & ~(uint32_t)QUIRE_MAP_TYPE) | QUIRE_MAP_SHARED;
}

void stretch_gather(struct wire_op *op)
{
	gather_place(op, &op->base, &op->addr);
	if (op->kind == WIRE_MREMAP)
		gather_place(op, &op->base2, &op->addr2);
	if (op->kind == WIRE_MMAP) {
		op->flags &= ~(uint32_t)(QUIRE_MAP_LOCKED | QUIRE_MAP_GROWSDOWN);
		map_in_one_way(op);
	}
	if (op->thread)
		fit_for_stretch(op);
}

/* ---- what others may see of an operation ------------------------------------------------------ */

enum effect {
	EFFECT_NONE,   /* on pages */
	EFFECT_TOUCH,  /* one page */
	EFFECT_FAULT,  /* touches many */
	EFFECT_EMPTY,  /* takes pages away, not mappings */
	EFFECT_CHANGE, /* mappings, and pages with them */
};

static enum effect effect_of(const struct wire_op *op)
{
	switch (op->kind) {
	case WIRE_LOAD:
	case WIRE_STORE:
		return EFFECT_TOUCH;
	case WIRE_MMAP:
	case WIRE_MUNMAP:
	case WIRE_MPROTECT:
	case WIRE_MREMAP:
	case WIRE_BRK:
		return EFFECT_CHANGE;
	case WIRE_MADVISE:
		if (op->flags == QUIRE_MADV_POPULATE_READ || op->flags == QUIRE_MADV_POPULATE_WRITE)
			return EFFECT_FAULT;
		if (op->flags == QUIRE_MADV_DONTNEED || op->flags == QUIRE_MADV_DONTNEED_LOCKED)
			return EFFECT_EMPTY;
		return EFFECT_NONE;
	default:
		return EFFECT_NONE;
	}
}

static bool sees(enum effect one, enum effect other)
{
	return (one == EFFECT_TOUCH || one == EFFECT_FAULT) &&
	       (other == EFFECT_EMPTY || other == EFFECT_CHANGE);
}

/* One page may be seen by others, but no page that is populated may lose its mapping meanwhile. */
static bool may_meet(enum effect one, enum effect other)
{
	return !(one == EFFECT_FAULT && other == EFFECT_CHANGE) &&
	       !(one == EFFECT_CHANGE && other == EFFECT_FAULT);
}

struct pages {
	uint8_t base;
	uint64_t from, to;
};

static struct pages pages_at(uint8_t base, uint64_t addr, uint64_t bytes)
{
	uint64_t from = addr / WIRE_PAGE, end = addr + bytes < addr ? ~0ul : addr + bytes;
	uint64_t to = end / WIRE_PAGE + (end % WIRE_PAGE != 0);

	return (struct pages){ base, from, to > from ? to : from + 1 };
}

/* The pages of @op, in one range or two. Returns how many ranges. */
static unsigned pages_of(const struct wire_op *op, struct pages out[2])
{
	uint64_t longer = op->length > op->length2 ? op->length : op->length2;

	switch (op->kind) {
	case WIRE_BRK: /* wherever the heap ends now */
		out[0] = (struct pages){ WIRE_HEAP, 0, ~0ul };
		return 1;
	case WIRE_MREMAP:
		out[0] = pages_at(op->base, op->addr, longer);
		out[1] = pages_at(op->base2, op->addr2, op->length2);
		return 2;
	case WIRE_LOAD:
	case WIRE_STORE:
		out[0] = pages_at(op->base, op->addr, 1);
		return 1;
	default:
		out[0] = pages_at(op->base, op->addr, op->length);
		return 1;
	}
}

struct span {
	uint64_t first, last;
	bool any;
};

static void span_add(struct span *span, const struct pages *one, const struct pages *other)
{
	uint64_t from = one->from > other->from ? one->from : other->from;
	uint64_t to = one->to < other->to ? one->to : other->to;

	if (one->base != other->base || from >= to)
		return;
	if (!span->any || from < span->first)
		span->first = from;
	if (!span->any || to - 1 > span->last)
		span->last = to - 1;
	span->any = true;
}

/* The pages of @one that are also @other's. */
static void span_meet(struct span *span, const struct wire_op *one, const struct wire_op *other)
{
	struct pages mine[2], theirs[2];
	unsigned ranges = pages_of(one, mine);

	for (unsigned t = pages_of(other, theirs); t-- > 0;) {
		for (unsigned m = 0; m < ranges; m++)
			span_add(span, &mine[m], &theirs[t]);
	}
}

/* Can other threads of the stretch see that @op is not one step? */
static bool is_seen_in_pieces(const struct wire_op *op, const struct wire_op *ops, uint32_t count)
{
	enum effect effect = effect_of(op);
	struct span span = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		if (ops[i].thread == op->thread ||
		    (!sees(effect, effect_of(&ops[i])) && !sees(effect_of(&ops[i]), effect)))
			continue;
		span_meet(&span, op, &ops[i]);
		if (span.any && !may_meet(effect, effect_of(&ops[i])))
			return true;
	}
	return span.any && span.first != span.last;
}

static bool takes_mappings(const struct wire_op *op)
{
	return op->kind == WIRE_MUNMAP || op->kind == WIRE_BRK || op->kind == WIRE_MREMAP;
}

static bool meet(const struct wire_op *one, const struct wire_op *other)
{
	struct span span = { 0 };

	span_meet(&span, one, other);
	return span.any;
}

/* Are there two threads' operations in one stretch to which @applies does? */
static bool any_pair(const struct sequence *sequence,
		     bool (*applies)(const struct wire_op *one, const struct wire_op *other))
{
	const struct wire_op *ops = sequence->ops;

	for (uint32_t i = 0; i < sequence->count; i++) {
		for (uint32_t j = i; ops[i].thread && j-- > 0 && ops[j].thread;) {
			if (ops[i].thread != ops[j].thread &&
			    (applies(&ops[i], &ops[j]) || applies(&ops[j], &ops[i])))
				return true;
		}
	}
	return false;
}

static bool takes_from_under(const struct wire_op *one, const struct wire_op *other)
{
	return takes_mappings(one) && effect_of(other) == EFFECT_TOUCH && meet(one, other);
}

bool stretch_may_show_two_steps(const struct sequence *sequence)
{
	return any_pair(sequence, takes_from_under);
}

static bool writes(const struct wire_op *op)
{
	return op->kind == WIRE_STORE || (op->kind == WIRE_MADVISE && op->flags == QUIRE_MADV_POPULATE_WRITE);
}

static bool write_both(const struct wire_op *one, const struct wire_op *other)
{
	return writes(one) && writes(other);
}

bool stretch_chooses(const struct wire_op *op)
{
	if (op->kind == WIRE_MMAP)
		return !(op->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE));
	return op->kind == WIRE_MREMAP && !(op->flags & QUIRE_MREMAP_FIXED);
}

static bool chooses_beside(const struct wire_op *one, const struct wire_op *other)
{
	return stretch_chooses(one) && takes_mappings(other);
}

bool stretch_may_place_late(const struct sequence *sequence)
{
	return any_pair(sequence, chooses_beside);
}

bool stretch_may_part_mappings(const struct sequence *sequence)
{
	return any_pair(sequence, write_both);
}

/* In how many ways can @count operations be ordered? More than MOST_ORDERS need not be exact. */
static unsigned orders_of(const struct wire_op *ops, uint32_t count)
{
	unsigned of_thread[WIRE_THREADS + 1] = { 0 }, orders = 1;

	for (uint32_t i = 0; i < count && orders <= MOST_ORDERS; i++) {
		if (++of_thread[ops[i].thread] > MOST_OF_THREAD)
			return MOST_ORDERS + 1;
		orders = orders * (i + 1) / of_thread[ops[i].thread];
	}
	return orders;
}

bool stretch_admits(const struct wire_op *ops, uint32_t joined)
{
	if (joined + 1 > WIRE_STRETCH_OPS || orders_of(ops, joined + 1) > MOST_ORDERS)
		return false;
	for (uint32_t i = 0; i <= joined; i++) {
		if (is_seen_in_pieces(&ops[i], ops, joined + 1))
			return false;
	}
	return true;
}

/* ---- generating ------------------------------------------------------------------------------ */

/*
 * A few operations before, then stretches with a few in between. Records that do not fit are left out
 * when they are decoded, so there are more than fit.
 */
void stretch_generate(uint64_t *state, uint8_t *bytes, size_t records)
{
	size_t alone = 4 + ops_random(state) % 6, together = 0;

	for (size_t r = 0; r < records; r++) {
		uint8_t *who = &bytes[r * OPS_RECORD + 1];

		if (alone) {
			*who %= FIRST_THREAD;
			if (--alone == 0)
				together = 5 + ops_random(state) % 6;
			continue;
		}
		*who = (uint8_t)(*who % FIRST_THREAD + FIRST_THREAD * (1 + ops_random(state) % 12));
		if (--together == 0)
			alone = 1 + ops_random(state) % 4;
	}
}
