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

static void set_layout(struct quire_mm *mm, const struct quire_layout *layout)
{
	mm->layout = *layout;
	if (!mm->layout.end || mm->layout.end > QUIRE_USER_END)
		mm->layout.end = QUIRE_USER_END;
	mm->brk = layout->brk_start;
}

int quire_exec(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout)
{
	struct door door;
	door_close(&door, cpu, mm);
	unmap_all(&door);
	mm->default_flags = 0;
	set_layout(mm, layout);
	door_open(&door);
	return 0;
}

void quire_mm_set_layout(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_layout *layout)
{
	rwlock_write(cpu, &mm->lock);
	set_layout(mm, layout);
	rwlock_write_done(*cpu, &mm->lock);
}

void quire_mm_get_layout(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_layout *layout)
{
	rwlock_read(cpu, &mm->lock);
	*layout = mm->layout;
	rwlock_read_done(*cpu, &mm->lock);
}

void quire_mm_set_limits(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_limits *limits)
{
	rwlock_write(cpu, &mm->lock);
	mm->limits = *limits;
	rwlock_write_done(*cpu, &mm->lock);
}

void quire_mm_get_limits(struct quire_cpu **cpu, struct quire_mm *mm, struct quire_limits *limits)
{
	rwlock_read(cpu, &mm->lock);
	*limits = mm->limits;
	rwlock_read_done(*cpu, &mm->lock);
}

/* Where a list of ranges stands. */
struct walk {
	const struct quire_iovec *vec;
	unsigned left;
	uint64_t done; /* of *vec */
};

static bool walk_settle(struct walk *walk)
{
	while (walk->left && walk->done == walk->vec->length) {
		walk->vec++;
		walk->left--;
		walk->done = 0;
	}
	return walk->left != 0;
}

/* The longest piece that stays in one page on both sides: its bytes can be moved through a buffer of a page. */
static size_t piece(const struct walk *a, const struct walk *b)
{
	quire_vaddr at_a = a->vec->base + a->done, at_b = b->vec->base + b->done;
	uint64_t bytes = min_u64(a->vec->length - a->done, b->vec->length - b->done);
	bytes = min_u64(bytes, QUIRE_PAGE_SIZE - (at_a & ~QUIRE_PAGE_MASK));
	return min_u64(bytes, QUIRE_PAGE_SIZE - (at_b & ~QUIRE_PAGE_MASK));
}

int64_t quire_process_vm(struct quire_cpu **cpu, struct quire_mm *mm, const struct quire_iovec *local, unsigned locals,
			 struct quire_mm *other, const struct quire_iovec *remote, unsigned remotes, bool write)
{
	struct walk here = {local, locals, 0}, there = {remote, remotes, 0};
	struct walk *from = write ? &here : &there, *to = write ? &there : &here;
	struct quire_mm *from_mm = write ? mm : other, *to_mm = write ? other : mm;
	char buffer[256];
	int64_t total = 0;
	while (walk_settle(&here) && walk_settle(&there)) {
		size_t bytes = min_u64(piece(&here, &there), sizeof(buffer));
		size_t got = quire_copy_from(cpu, from_mm, buffer, from->vec->base + from->done, bytes);
		size_t put = quire_copy_to(cpu, to_mm, to->vec->base + to->done, buffer, got);
		total += (int64_t)put;
		here.done += put;
		there.done += put;
		if (put < bytes)
			return total ? total : -QUIRE_EFAULT;
	}
	return total;
}
