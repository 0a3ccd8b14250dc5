/*
 * calls.c - recorded system calls, made again: the recorded addresses imposed, the results compared, the
 * model told.
 *
 * Where the recording kernel chose an address, we ask for that address and for nothing to be replaced, so
 * that it must be free here too. What Quire is known not to have is counted (`unsupported`), what depends
 * on things outside memory is left out (`left out`), what is replayed in another form is counted as
 * `adapted`; all else must give the recorded result.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/replay.h"

enum verdict {
	MADE,	     /* compare the result */
	UNSUPPORTED, /* a known gap: the recording succeeded, Quire refused */
	LEFT_OUT,    /* not made here at all */
};

enum { /* Linux's numbers for what the public header has no name for */
       MAP_TYPE_DROPPABLE = 0x08,
       MADV_HWPOISON_ = 100,
       MADV_GUARD_INSTALL_ = 102,
       MADV_GUARD_REMOVE_ = 103,
       SHM_RDONLY_ = 010000,
       SHM_REMAP_ = 040000,
       SHM_EXEC_ = 0100000,
       FALLOC_KEEP_SIZE_ = 1,
       FALLOC_PUNCH_HOLE_ = 2,
       HUGETLB_BYTES = 2 << 20,
};

struct call {
	struct worker *worker;
	struct quire_cpu **cpu;
	const struct step *step;
	struct process *process;
	const uint64_t *args;
	int64_t recorded;
	int64_t result; /* Quire's */
};

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void told(struct call *c, bool done)
{
	if (!done)
		replay_fail(c->worker->replay, ENOMEM);
}

static struct file *file_of(struct call *c, uint32_t number)
{
	return number == TRACE_NONE ? NULL : &c->worker->replay->files[number];
}

/* ---- mapping ---- */

/* The model's view of a mapping that was made. */
static void tell_map(struct call *c, const struct quire_mmap *map, uint64_t start, struct file *file)
{
	struct model_space *model = c->process->model;
	uint64_t length = page_up(map->length);
	bool shared = (map->flags & QUIRE_MAP_TYPE) != QUIRE_MAP_PRIVATE;
	unsigned flags = (shared ? MODEL_SHARED : 0) |
			 (map->flags & QUIRE_MAP_GROWSDOWN ? MODEL_GROWSDOWN : 0);
	unsigned prot = map->prot & (MODEL_READ | MODEL_WRITE | MODEL_EXEC);

	if (file) {
		told(c, model_map(model, start, length, prot, flags, file->object,
				  map->offset / QUIRE_PAGE_SIZE));
	} else if (shared) {
		struct model_object *object = model_object_create(0, length, true);

		told(c, object && model_map(model, start, length, prot, flags, object, 0));
		model_object_put(object);
	} else {
		told(c, model_map(model, start, length, prot, flags, NULL, 0));
	}
}

/*
 * An address that the recording kernel chose, or was hinted at, is demanded. MAP_SHARED_VALIDATE would refuse
 * the flag for that, which is younger than it; what it had to validate was found good when it was recorded.
 */
static void impose(struct quire_mmap *map, int64_t recorded)
{
	if (recorded < 0 || (map->flags & (QUIRE_MAP_FIXED | QUIRE_MAP_FIXED_NOREPLACE)))
		return;
	map->addr = (uint64_t)recorded;
	map->flags |= QUIRE_MAP_FIXED_NOREPLACE;
	if ((map->flags & QUIRE_MAP_TYPE) == QUIRE_MAP_SHARED_VALIDATE)
		map->flags = (map->flags & ~(uint32_t)QUIRE_MAP_TYPE) | QUIRE_MAP_SHARED;
}

static enum verdict call_mmap(struct call *c)
{
	struct file *file = file_of(c, c->step->event->call.file);
	struct quire_mmap map = {
		.addr = c->args[0],
		.length = c->args[1],
		.prot = (uint32_t)c->args[2],
		.flags = (uint32_t)c->args[3],
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.offset = c->args[5],
	};
	bool droppable = (map.flags & QUIRE_MAP_TYPE) == MAP_TYPE_DROPPABLE && c->recorded >= 0;

	if (map.flags & QUIRE_MAP_ANONYMOUS)
		file = NULL;
	else if (!file) { /* which one is not known: memory of nobody else's stands for it */
		map.flags |= QUIRE_MAP_ANONYMOUS;
		if ((map.flags & QUIRE_MAP_TYPE) == QUIRE_MAP_SHARED_VALIDATE)
			map.flags = (map.flags & ~(uint32_t)QUIRE_MAP_TYPE) | QUIRE_MAP_SHARED;
		map.offset = 0;
		count(&c->worker->replay->tally.calls_adapted);
	}
	if (file) {
		map.file = file->quire;
		map.opened = c->step->event->call.file + 1;
	}
	if (droppable)
		map.flags = (map.flags & ~(uint32_t)QUIRE_MAP_TYPE) | QUIRE_MAP_PRIVATE | QUIRE_MAP_NORESERVE;
	if ((map.flags & QUIRE_MAP_HUGETLB) && c->recorded >= 0) {
		map.flags &= ~(uint32_t)QUIRE_MAP_HUGETLB & 0x03ffffff; /* and the size of its pages */
		map.length = (map.length + HUGETLB_BYTES - 1) & ~(uint64_t)(HUGETLB_BYTES - 1);
		count(&c->worker->replay->tally.calls_adapted);
	}
	impose(&map, c->recorded);
	c->result = quire_mmap(c->cpu, c->process->mm, &map);
	if (c->result < 0)
		return MADE;
	tell_map(c, &map, (uint64_t)c->result, file);
	if (droppable) {
		uint64_t start = (uint64_t)c->result, length = page_up(map.length);

		count(&c->worker->replay->tally.calls_adapted);
		quire_madvise(c->cpu, c->process->mm, start, length, QUIRE_MADV_WIPEONFORK);
		told(c, model_set_flags(c->process->model, start, length, MODEL_WIPEONFORK, 0));
	}
	return MADE;
}

static enum verdict call_munmap(struct call *c)
{
	c->result = quire_munmap(c->cpu, c->process->mm, c->args[0], c->args[1]);
	if (c->result == 0)
		told(c, model_unmap(c->process->model, c->args[0], page_up(c->args[1])));
	return MADE;
}

static enum verdict call_mprotect(struct call *c)
{
	uint32_t prot = (uint32_t)c->args[2];
	uint64_t start = c->args[0];
	uint64_t end = start + page_up(c->args[1]);
	struct model_view view = model_look(c->process->model, start, MODEL_READ);

	c->result = quire_mprotect(c->cpu, c->process->mm, start, c->args[1], prot);
	if (c->result != 0 && c->result != -QUIRE_ENOMEM)
		return MADE;
	if ((prot & QUIRE_PROT_GROWSDOWN) && (view.flags & MODEL_GROWSDOWN))
		start = view.start;
	told(c, end <= start || model_protect(c->process->model, start, end - start,
					      prot & (MODEL_READ | MODEL_WRITE | MODEL_EXEC)));
	return MADE;
}

static enum verdict call_mremap(struct call *c)
{
	uint32_t flags = (uint32_t)c->args[3];
	uint64_t to = c->args[4];

	if (c->recorded >= 0 && (uint64_t)c->recorded != c->args[0] && !(flags & QUIRE_MREMAP_FIXED)) {
		flags |= QUIRE_MREMAP_FIXED | QUIRE_MREMAP_MAYMOVE;
		to = (uint64_t)c->recorded;
	}
	c->result = quire_mremap(c->cpu, c->process->mm, c->args[0], c->args[1], c->args[2], flags, to);
	if (c->result < 0)
		return MADE;
	int error = model_move(c->process->model, c->args[0], page_up(c->args[1]), (uint64_t)c->result,
			       page_up(c->args[2]), flags & QUIRE_MREMAP_DONTUNMAP);

	told(c, error != -ENOMEM);
	if (error == -ENOENT)
		report_difference(c->worker->replay, c->step, "the model has nothing mapped there");
	return MADE;
}

static enum verdict call_brk(struct call *c)
{
	struct process *process = c->process;
	uint64_t old = page_up(process->brk), brk = quire_brk(c->cpu, process->mm, c->args[0]),
		 now = page_up(brk);

	c->result = (int64_t)brk;
	if (now > old)
		told(c, model_map(process->model, old, now - old, MODEL_READ | MODEL_WRITE, 0, NULL, 0));
	else if (now < old)
		told(c, model_unmap(process->model, now, old - now));
	process->brk = brk;
	return MADE;
}

/* ---- advice ---- */

static bool known_gap(int advice)
{
	switch (advice) {
	case QUIRE_MADV_COLD:
	case QUIRE_MADV_PAGEOUT:
	case QUIRE_MADV_HUGEPAGE:
	case QUIRE_MADV_NOHUGEPAGE:
	case QUIRE_MADV_COLLAPSE:
	case QUIRE_MADV_MERGEABLE:
	case QUIRE_MADV_UNMERGEABLE:
	case MADV_GUARD_INSTALL_:
	case MADV_GUARD_REMOVE_:
		return true;
	default:
		return false;
	}
}

static void tell_advice(struct call *c, uint64_t start, uint64_t length, int advice)
{
	struct model_space *model = c->process->model;

	switch (advice) {
	case QUIRE_MADV_DONTNEED:
	case QUIRE_MADV_DONTNEED_LOCKED:
		model_discard(model, start, length);
		break;
	case QUIRE_MADV_FREE:
		model_free(model, start, length);
		break;
	case QUIRE_MADV_REMOVE:
		model_remove(model, start, length);
		break;
	case QUIRE_MADV_DONTFORK:
		told(c, model_set_flags(model, start, length, MODEL_DONTFORK, 0));
		break;
	case QUIRE_MADV_DOFORK:
		told(c, model_set_flags(model, start, length, 0, MODEL_DONTFORK));
		break;
	case QUIRE_MADV_WIPEONFORK:
		told(c, model_set_flags(model, start, length, MODEL_WIPEONFORK, 0));
		break;
	case QUIRE_MADV_KEEPONFORK:
		told(c, model_set_flags(model, start, length, 0, MODEL_WIPEONFORK));
		break;
	default:
		break;
	}
}

static bool is_told(int advice)
{
	switch (advice) {
	case QUIRE_MADV_DONTNEED:
	case QUIRE_MADV_DONTNEED_LOCKED:
	case QUIRE_MADV_FREE:
	case QUIRE_MADV_REMOVE:
	case QUIRE_MADV_DONTFORK:
	case QUIRE_MADV_DOFORK:
	case QUIRE_MADV_WIPEONFORK:
	case QUIRE_MADV_KEEPONFORK:
		return true;
	default:
		return false;
	}
}

/*
 * A mapping refused, and those before it were advised. How far it went is seen by advising one mapping after
 * the other; what that does again is done already.
 */
static void tell_advice_until_refused(struct call *c, uint64_t start, uint64_t length, int advice)
{
	struct quire_mm *mm = c->process->mm;
	struct quire_map_info map;
	uint64_t end = start + length;

	if (!is_told(advice) || start % QUIRE_PAGE_SIZE)
		return;
	for (; start < end && quire_map_next(c->cpu, mm, start, &map) == 0 && map.start < end;
	     start = map.end) {
		uint64_t from = map.start > start ? map.start : start, to = map.end < end ? map.end : end;

		if (quire_madvise(c->cpu, mm, from, to - from, advice))
			return;
		tell_advice(c, from, to - from, advice);
	}
}

static enum verdict call_madvise(struct call *c)
{
	int advice = (int)c->args[2];

	if (advice >= MADV_HWPOISON_ && !known_gap(advice))
		return LEFT_OUT;
	c->result = quire_madvise(c->cpu, c->process->mm, c->args[0], c->args[1], advice);
	if (c->result == 0 || c->result == -QUIRE_ENOMEM)
		tell_advice(c, c->args[0], page_up(c->args[1]), advice);
	else
		tell_advice_until_refused(c, c->args[0], page_up(c->args[1]), advice);
	return known_gap(advice) && c->result == -QUIRE_EINVAL && c->recorded == 0 ? UNSUPPORTED : MADE;
}

static enum verdict call_mincore(struct call *c)
{
	uint64_t pages = page_up(c->args[1]) / QUIRE_PAGE_SIZE;
	uint8_t *vec = pages < 1u << 28 ? malloc(pages + 1) : NULL;

	if (!vec || c->recorded == -EFAULT) {
		free(vec);
		return LEFT_OUT;
	}
	c->result = quire_mincore(c->cpu, c->process->mm, c->args[0], c->args[1], vec);
	free(vec);
	return MADE;
}

/* ---- files ---- */

static enum verdict call_ftruncate(struct call *c)
{
	uint32_t file = c->step->event->call.file;

	if (file == TRACE_NONE || c->recorded != 0)
		return LEFT_OUT;
	c->result = file_set_size(c->worker->replay, c->cpu, file, c->args[1]);
	return MADE;
}

static enum verdict call_fallocate(struct call *c)
{
	struct file *file = file_of(c, c->step->event->call.file);
	uint64_t at = c->args[2], bytes = c->args[3];

	if (!file || c->recorded != 0)
		return LEFT_OUT;
	c->result = 0;
	switch (c->args[1]) {
	case FALLOC_PUNCH_HOLE_ | FALLOC_KEEP_SIZE_:
		c->result = quire_file_punch(c->cpu, file->quire, at, bytes);
		if (c->result == 0)
			model_object_punch(file->object, at, bytes);
		return MADE;
	case 0:
		if (at + bytes > quire_file_size(file->quire))
			c->result = file_set_size(c->worker->replay, c->cpu, c->step->event->call.file,
						  at + bytes);
		return MADE;
	case FALLOC_KEEP_SIZE_:
		return MADE;
	default:
		return LEFT_OUT;
	}
}

void size_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step)
{
	int error = file_set_size(worker->replay, cpu, step->event->file_size.file,
				  step->event->file_size.size);

	if (error == -QUIRE_ENOMEM)
		replay_fail(worker->replay, ENOMEM);
	else if (error)
		report_difference(worker->replay, step, "the size cannot be set: error %d", -error);
}

static enum verdict call_shmat(struct call *c)
{
	struct file *file = file_of(c, c->step->event->call.file);

	if (!file || c->recorded < 0)
		return LEFT_OUT;
	struct quire_mmap map = {
		.addr = (uint64_t)c->recorded,
		.length = quire_file_size(file->quire),
		.prot = QUIRE_PROT_READ | (c->args[2] & SHM_RDONLY_ ? 0 : QUIRE_PROT_WRITE) |
			(c->args[2] & SHM_EXEC_ ? QUIRE_PROT_EXEC : 0),
		.flags = QUIRE_MAP_SHARED |
			 (c->args[2] & SHM_REMAP_ ? QUIRE_MAP_FIXED : QUIRE_MAP_FIXED_NOREPLACE),
		.file = file->quire,
		.access = QUIRE_FILE_READ | QUIRE_FILE_WRITE,
		.opened = c->step->event->call.file + 1,
	};

	count(&c->worker->replay->tally.calls_adapted);
	c->result = quire_mmap(c->cpu, c->process->mm, &map);
	if (c->result >= 0)
		tell_map(c, &map, (uint64_t)c->result, file);
	return MADE;
}

/* What is mapped of the segment where attaching it at @addr put it. */
static enum verdict call_shmdt(struct call *c)
{
	struct model_view first, range;

	if (c->recorded != 0 || !model_next(c->process->model, c->args[0], &first) || !first.object)
		return LEFT_OUT;
	count(&c->worker->replay->tally.calls_adapted);
	uint64_t end = c->args[0] + model_object_bytes(first.object);

	c->result = 0;
	for (uint64_t at = c->args[0]; at < end && model_next(c->process->model, at, &range);
	     at = range.end) {
		if (range.start >= end)
			break;
		if (range.object != first.object)
			continue;
		int64_t result = quire_munmap(c->cpu, c->process->mm, range.start, range.end - range.start);

		if (result)
			c->result = result;
		told(c, model_unmap(c->process->model, range.start, range.end - range.start));
	}
	return MADE;
}

/* ---- all of them ---- */

static enum verdict make(struct call *c)
{
	struct quire_mm *mm = c->process->mm;
	const uint64_t *args = c->args;

	switch (c->step->event->call.nr) {
	case TRACE_MMAP:
		return call_mmap(c);
	case TRACE_MUNMAP:
		return call_munmap(c);
	case TRACE_MPROTECT:
	case TRACE_PKEY_MPROTECT:
		return call_mprotect(c);
	case TRACE_MREMAP:
		return call_mremap(c);
	case TRACE_MADVISE:
		return call_madvise(c);
	case TRACE_BRK:
		return call_brk(c);
	case TRACE_MLOCK:
		c->result = quire_mlock(c->cpu, mm, args[0], args[1], 0);
		return MADE;
	case TRACE_MLOCK2:
		c->result = quire_mlock(c->cpu, mm, args[0], args[1], (uint32_t)args[2]);
		return MADE;
	case TRACE_MUNLOCK:
		c->result = quire_munlock(c->cpu, mm, args[0], args[1]);
		return MADE;
	case TRACE_MLOCKALL:
		c->result = quire_mlockall(c->cpu, mm, (uint32_t)args[0]);
		return MADE;
	case TRACE_MUNLOCKALL:
		c->result = quire_munlockall(c->cpu, mm);
		return MADE;
	case TRACE_MSYNC:
		c->result = quire_msync(c->cpu, mm, args[0], args[1], (uint32_t)args[2]);
		return MADE;
	case TRACE_MINCORE:
		return call_mincore(c);
	case TRACE_FTRUNCATE:
		return call_ftruncate(c);
	case TRACE_FALLOCATE:
		return call_fallocate(c);
	case TRACE_SHMAT:
		return call_shmat(c);
	case TRACE_SHMDT:
		return call_shmdt(c);
	case TRACE_PROCESS_VM_READV: /* their vectors are not in the trace */
	case TRACE_PROCESS_VM_WRITEV:
	case TRACE_PROCESS_MADVISE:
	case TRACE_REMAP_FILE_PAGES:
	case TRACE_MSEAL:
	case TRACE_CALL_END:
		break;
	}
	return LEFT_OUT;
}

/* With a hole or without: calls that go on over it, and only read the space. */
static bool may_meet_hole(const struct call *c)
{
	enum trace_call nr = c->step->event->call.nr;

	return (c->result == 0 || c->result == -QUIRE_ENOMEM) &&
	       (c->recorded == 0 || c->recorded == -ENOMEM) &&
	       (nr == TRACE_MADVISE || nr == TRACE_MSYNC || nr == TRACE_MINCORE);
}

void call_step(struct worker *worker, struct quire_cpu **cpu, const struct step *step)
{
	struct replay *replay = worker->replay;
	struct call c = {
		.worker = worker,
		.cpu = cpu,
		.step = step,
		.process = &replay->processes[step->mm],
		.args = step->event->call.args,
		.recorded = step->event->call.result,
	};
	enum verdict verdict = refused_elsewhere(c.process, step->event) ? LEFT_OUT : make(&c);

	if (verdict == LEFT_OUT) {
		count(&replay->tally.calls_left_out);
		return;
	}
	count(&replay->tally.calls);
	if (verdict == UNSUPPORTED)
		count(&replay->tally.calls_unsupported);
	else if (c.result == -QUIRE_ENOMEM && c.recorded != c.result && replay_memory_is_out(replay))
		replay_fail(replay, ENOMEM);
	else if (c.result != c.recorded && may_meet_hole(&c) && step_races(replay->plan, step))
		count(&replay->tally.races);
	else if (c.result < 0 && c.result != c.recorded)
		report_difference(replay, step, "here the result is %lld", (long long)c.result);
	else if (c.result != c.recorded)
		report_difference(replay, step, "here the result is %#llx", (unsigned long long)c.result);
}
