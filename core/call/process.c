/*
 * process.c - fork, exec, and reading and writing another process.
 *
 * Rules: BASE-1.
 */
#include "../base/bits.h"
#include "../space/access.h"
#include "../space/life.h"
#include "../space/unmap.h"

int quire_fork(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_mm **out)
{
	return mm_fork(cpu, mm, out);
}

/* Searches begin at whole pages and stay inside the space, whatever a caller says. */
static void set_layout(struct quire_mm *mm, const struct quire_layout *layout)
{
	struct quire_layout whole = *layout;
	if (!whole.end || whole.end > QUIRE_USER_END)
		whole.end = QUIRE_USER_END;
	whole.end = align_down(whole.end, QUIRE_PAGE_SIZE);
	whole.mmap_base = align_down(min_u64(whole.mmap_base, whole.end), QUIRE_PAGE_SIZE);
	whole.mmap_bottom = align_up(min_u64(whole.mmap_bottom, whole.end), QUIRE_PAGE_SIZE);
	mm_lay_out(mm, &whole);
	mm_set_brk(mm, layout->brk_start);
}

int quire_exec(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	int err = door_reserve(&door, 0);
	if (err) {
		door_open(&door);
		return err;
	}
	unmap_all(&door);
	door_empty(&door);
	as_notifiers_release(cpu, &mm->as); /* what they knew is another program's space now */
	mm->default_flags = 0;
	mm->lock_debt = 0;
	set_layout(mm, layout);
	mm_judge(mm);
	door_open(&door);
	return 0;
}

void quire_mm_set_layout(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	set_layout(mm, layout);
	door_open(&door);
}

void quire_mm_get_layout(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_layout *layout)
{
	struct range_hold hold;
	mm_hold(cpu, mm, 0, 1, &hold); /* any part will do */
	*layout = mm->layout;
	mm_hold_done(*cpu, mm, &hold);
}

void quire_mm_set_limits(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_limits *limits)
{
	struct door door;
	door_close_whole(&door, cpu, mm);
	mm->limits = *limits;
	mm_judge(mm);
	door_open(&door);
}

void quire_mm_get_limits(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_limits *limits)
{
	struct range_hold hold;
	mm_hold(cpu, mm, 0, 1, &hold);
	*limits = mm->limits;
	mm_hold_done(*cpu, mm, &hold);
}

/* Pages of the other process that are faulted in before any of them is copied. */
#define PAGES_AT_ONCE 1024u

/* Linux's MAX_RW_COUNT: more than that is not copied by one call. */
#define MOST_BYTES (INT32_MAX & QUIRE_PAGE_MASK)

/* Where a list of ranges stands. */
struct walk {
	const struct quire_iovec *vec;
	unsigned left;
	uint64_t done; /* of *vec */
	uint64_t most; /* bytes that may still be copied */
};

static bool walk_settle(struct walk *walk)
{
	while (walk->left && walk->done == walk->vec->length) {
		walk->vec++;
		walk->left--;
		walk->done = 0;
	}
	return walk->left && walk->most;
}

static uint64_t walk_rest(const struct walk *walk)
{
	return min_u64(walk->vec->length - walk->done, walk->most);
}

static void walk_advance(struct walk *walk, uint64_t bytes)
{
	walk->done += bytes;
	walk->most -= bytes;
}

/*
 * The longest piece that stays in one page on both sides: its bytes can be moved through a buffer of a page.
 */
static size_t piece(const struct walk *a, const struct walk *b)
{
	quire_vaddr at_a = a->vec->base + a->done, at_b = b->vec->base + b->done;
	uint64_t bytes = min_u64(walk_rest(a), walk_rest(b));
	bytes = min_u64(bytes, QUIRE_PAGE_SIZE - (at_a & ~QUIRE_PAGE_MASK));
	return min_u64(bytes, QUIRE_PAGE_SIZE - (at_b & ~QUIRE_PAGE_MASK));
}

/*
 * Make the other process's pages accessible first, as many as Linux pins at a time, for that shows: whole
 * pages of the remote range are faulted in even if the local one is shorter or unmapped. Returns how many
 * bytes from @start on can be reached.
 */
static uint64_t reach(struct quire_cpu **cpu, struct quire_mm *mm, quire_vaddr start, uint64_t bytes,
		      bool write)
{
	quire_vaddr space_end = mm_end(mm);
	if (start >= space_end)
		return 0;
	bytes = min_u64(bytes, space_end - start);
	quire_vaddr va = align_down(start, QUIRE_PAGE_SIZE);
	quire_vaddr last = align_down(start + bytes - 1, QUIRE_PAGE_SIZE);
	for (unsigned pages = 0; va <= last && pages < PAGES_AT_ONCE; pages++, va += QUIRE_PAGE_SIZE) {
		struct quire_fault fault;
		if (fault_in(cpu, mm, va, FAULT_REMOTE | (write ? FAULT_WRITE : 0), &fault))
			break;
	}
	return va > start ? min_u64(bytes, va - start) : 0;
}

struct transfer {
	struct quire_mm *mm, *other;
	struct walk here;
	bool write;
	uint64_t total;
};

/*
 * Copy @bytes between @remote, which can be reached, and what is left of the local ranges. False: a local
 * page was missing.
 */
static bool copy_reached(struct quire_cpu **cpu, struct transfer *transfer, quire_vaddr remote,
			 uint64_t bytes)
{
	struct quire_iovec range = { remote, bytes };
	struct walk there = { &range, 1, 0, UINT64_MAX };
	char buffer[256];
	while (walk_settle(&there) && walk_settle(&transfer->here)) {
		quire_vaddr at = transfer->here.vec->base + transfer->here.done, from = remote + there.done;
		size_t part = min_u64(piece(&transfer->here, &there), sizeof(buffer)), got, put;
		if (transfer->write) {
			got = access_copy(cpu, transfer->mm, at, buffer, part, 0);
			put = access_copy(cpu, transfer->other, from, buffer, got,
					  FAULT_REMOTE | FAULT_WRITE);
		} else {
			got = access_copy(cpu, transfer->other, from, buffer, part, FAULT_REMOTE);
			put = access_copy(cpu, transfer->mm, at, buffer, got, FAULT_WRITE);
		}
		transfer->total += put;
		walk_advance(&transfer->here, put);
		walk_advance(&there, put);
		if (put < part)
			return false;
	}
	return true;
}

static bool transfer_range(struct quire_cpu **cpu, struct transfer *transfer, quire_vaddr start,
			   uint64_t bytes)
{
	while (bytes && walk_settle(&transfer->here)) {
		uint64_t now = reach(cpu, transfer->other, start, bytes, transfer->write);
		if (!now || !copy_reached(cpu, transfer, start, now))
			return false;
		start += now;
		bytes -= now;
	}
	return true;
}

/*
 * The ranges as Linux judges them before anything is copied. A length is signed. Of one local range alone
 * only what can be copied must lie in the space; of several, all. Returns the local bytes, up to MOST_BYTES.
 */
static int64_t check_ranges(quire_vaddr space_end, const struct quire_iovec *local, unsigned locals,
			    const struct quire_iovec *remote, unsigned remotes)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < locals; i++) {
		if (local[i].length > INT64_MAX)
			return -QUIRE_EINVAL;
	}
	for (unsigned i = 0; i < locals; i++) {
		uint64_t length = locals == 1 ? min_u64(local[i].length, MOST_BYTES) : local[i].length;
		if (local[i].base > space_end || length > space_end - local[i].base)
			return -QUIRE_EFAULT;
		total = min_u64(total + length, MOST_BYTES);
	}
	for (unsigned i = 0; total && i < remotes; i++) {
		if (remote[i].length > INT64_MAX)
			return -QUIRE_EINVAL;
	}
	return (int64_t)total;
}

int64_t quire_process_vm(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_iovec *local,
			 unsigned locals, struct quire_mm *other, const struct quire_iovec *remote,
			 unsigned remotes, bool write)
{
	int64_t bytes = check_ranges(mm_end(mm), local, locals, remote, remotes);
	if (bytes <= 0)
		return bytes;
	struct transfer transfer = { mm, other, { local, locals, 0, (uint64_t)bytes }, write, 0 };
	for (unsigned i = 0; i < remotes; i++) {
		if (!transfer_range(cpu, &transfer, remote[i].base, remote[i].length))
			return transfer.total ? (int64_t)transfer.total : -QUIRE_EFAULT;
	}
	return (int64_t)transfer.total;
}
