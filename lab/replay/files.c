/*
 * files.c - what a trace's programs map: files with invented contents, and files in memory.
 *
 * A regular file's page is model_content() of the file's seed and the page's number, to the shortest length
 * that the file ever had; what was cut off and grows again is zero, and so is what was punched out. Nothing
 * is written back: the page cache is the only copy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/replay.h"

struct content {
	uint64_t seed;
	_Atomic uint64_t bytes; /* of invented contents */
	pthread_mutex_t lock;
	struct span *holes; /* lock; in bytes, ascending, disjoint */
	size_t count, room; /* lock */
};

/* The first hole that ends at or above @at. Under the lock. */
static size_t hole_above(const struct content *content, uint64_t at)
{
	size_t low = 0, high = content->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (content->holes[middle].end >= at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Zero what of @page, which begins at byte @start of the file, lies in holes. */
static void dig(struct content *content, uint64_t start, char *page)
{
	uint64_t end = start + QUIRE_PAGE_SIZE;

	pthread_mutex_lock(&content->lock);
	for (size_t i = hole_above(content, start); i < content->count && content->holes[i].start < end;
	     i++) {
		struct span hole = content->holes[i];
		uint64_t from = hole.start > start ? hole.start : start, to = hole.end < end ? hole.end : end;

		memset(page + (from - start), 0, to - from);
	}
	pthread_mutex_unlock(&content->lock);
}

static int content_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index,
			void *page)
{
	struct content *content = data;
	uint64_t bytes = atomic_load_explicit(&content->bytes, memory_order_relaxed);
	uint64_t start = index * QUIRE_PAGE_SIZE;
	uint64_t known = bytes <= start ? 0 : bytes - start;

	(void)cpu;
	(void)file;
	if (known)
		model_content(content->seed, index, page);
	dig(content, start, page);
	if (known < QUIRE_PAGE_SIZE)
		memset((char *)page + known, 0, QUIRE_PAGE_SIZE - known);
	return 0;
}

static int content_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	struct content *content = data;

	(void)cpu;
	(void)file;
	if (bytes < atomic_load_explicit(&content->bytes, memory_order_relaxed))
		atomic_store_explicit(&content->bytes, bytes, memory_order_relaxed);
	return 0;
}

/* Holes that meet run together. */
static int content_punch(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
			 uint64_t end)
{
	struct content *content = data;
	struct span hole = { start, end };

	(void)cpu;
	(void)file;
	pthread_mutex_lock(&content->lock);
	if (content->count == content->room) {
		size_t room = content->room ? 2 * content->room : 8;
		struct span *more = realloc(content->holes, room * sizeof(*more));

		if (!more) {
			pthread_mutex_unlock(&content->lock);
			return -ENOMEM;
		}
		content->holes = more;
		content->room = room;
	}
	size_t first = hole_above(content, start), last = first;
	for (; last < content->count && content->holes[last].start <= end; last++) {
		struct span *met = &content->holes[last];

		hole.start = met->start < hole.start ? met->start : hole.start;
		hole.end = met->end > hole.end ? met->end : hole.end;
	}
	memmove(&content->holes[first + 1], &content->holes[last],
		(content->count - last) * sizeof(*content->holes));
	content->holes[first] = hole;
	content->count = content->count - (last - first) + 1;
	pthread_mutex_unlock(&content->lock);
	return 0;
}

static void content_free(struct content *content)
{
	pthread_mutex_destroy(&content->lock);
	free(content->holes);
	free(content);
}

static void content_release(struct quire_cpu **cpu, struct quire_file *file, void *data)
{
	(void)cpu;
	(void)file;
	content_free(data);
}

static const struct quire_store content_store = {
	.read = content_read,
	.resize = content_resize,
	.punch = content_punch,
	.release = content_release,
};

static bool in_memory(const struct trace_file *file)
{
	return file->kind != TRACE_FILE_REGULAR;
}

static int create(struct quire_cpu **cpu, const struct plan_file *plan, uint32_t number, struct file *out)
{
	uint64_t bytes = plan->file.size == TRACE_SIZE_UNKNOWN ? plan->extent : plan->file.size;
	uint64_t seed = number + 1;

	/* A device's length says nothing: whatever was mapped was there. */
	if (plan->file.kind != TRACE_FILE_REGULAR && plan->file.kind != TRACE_FILE_MEMFD &&
	    bytes < plan->extent)
		bytes = plan->extent;
	out->object = model_object_create(seed, bytes, in_memory(&plan->file));
	if (!out->object)
		return -ENOMEM;
	if (in_memory(&plan->file))
		return quire_file_create_ram(cpu, bytes, seed, &out->quire);

	struct content *content = calloc(1, sizeof(*content));
	if (!content)
		return -ENOMEM;
	content->seed = seed;
	pthread_mutex_init(&content->lock, NULL);
	atomic_store_explicit(&content->bytes, bytes, memory_order_relaxed);
	int error = quire_file_create(cpu, &content_store, content, QUIRE_FILE_READ | QUIRE_FILE_WRITE, bytes,
				      seed, &out->quire);
	if (error)
		content_free(content);
	return error;
}

int files_create(struct replay *replay, struct quire_cpu **cpu)
{
	replay->files = calloc(replay->plan->file_count + 1, sizeof(*replay->files));
	if (!replay->files)
		return -ENOMEM;
	for (uint32_t i = 0; i < replay->plan->file_count; i++) {
		int error = create(cpu, &replay->plan->files[i], i, &replay->files[i]);

		if (error)
			return error;
	}
	return 0;
}

int file_set_size(struct replay *replay, struct quire_cpu **cpu, uint32_t number, uint64_t bytes)
{
	struct file *file = &replay->files[number];
	bool shorter = bytes < model_object_bytes(file->object);
	int error = quire_file_truncate(cpu, file->quire, bytes);

	if (error)
		return error;
	model_object_resize(file->object, bytes);
	for (uint32_t i = 0; shorter && i < replay->plan->mm_count; i++)
		if (replay->processes[i].model)
			model_cut(replay->processes[i].model, file->object, bytes);
	return 0;
}

int file_grown(struct replay *replay, struct quire_cpu **cpu, const struct model_object *object,
	       uint64_t bytes)
{
	uint32_t number = 0;
	int error = 0;

	while (number < replay->plan->file_count && replay->files[number].object != object)
		number++;
	if (number == replay->plan->file_count)
		return 0;
	worker_lock(*cpu, &replay->growing);
	if (model_object_bytes(replay->files[number].object) < bytes) {
		atomic_fetch_add_explicit(&replay->tally.files_grown, 1, memory_order_relaxed);
		error = file_set_size(replay, cpu, number, bytes);
	}
	worker_unlock(&replay->growing);
	return error;
}

/* A page that was written through a mapping must be read back by read(). */
static void check_file(struct replay *replay, struct quire_cpu **cpu, uint32_t number)
{
	struct file *file = &replay->files[number];
	size_t count;
	uint64_t *pages = model_object_written(file->object, &count);
	unsigned char page[QUIRE_PAGE_SIZE];
	struct model_bad bad;

	for (size_t i = 0; i < count; i++) {
		memset(page, 0, sizeof(page));
		int64_t got = quire_file_read(cpu, file->quire, pages[i] * QUIRE_PAGE_SIZE, page,
					      sizeof(page));

		atomic_fetch_add_explicit(&replay->tally.pages_checked, 1, memory_order_relaxed);
		if (got < 0 && got != -EIO)
			replay_fail(replay, (int)-got);
		else if (!model_object_check(file->object, pages[i], page, &bad))
			report_difference(replay, NULL, "%s at %#llx: holds %#llx, must hold %#llx",
					  replay->plan->files[number].file.path, (unsigned long long)bad.at,
					  (unsigned long long)bad.found, (unsigned long long)bad.expected);
	}
	free(pages);
}

void files_check(struct replay *replay, struct quire_cpu **cpu)
{
	for (uint32_t i = 0; i < replay->plan->file_count; i++)
		check_file(replay, cpu, i);
}

void files_put(struct replay *replay, struct quire_cpu **cpu)
{
	for (uint32_t i = 0; replay->files && i < replay->plan->file_count; i++) {
		if (replay->files[i].quire)
			quire_file_put(cpu, replay->files[i].quire);
		model_object_put(replay->files[i].object);
	}
	free(replay->files);
	replay->files = NULL;
}
