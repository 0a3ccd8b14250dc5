/*
 * files.c - what a trace's programs map: files with invented contents, and files in memory.
 *
 * A regular file's page is model_content() of the file's seed and the page's number, to the shortest length
 * that the file ever had; what was cut off and grows again is zero. Nothing is written back: the page cache
 * is the only copy.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/replay/replay.h"

struct content {
	uint64_t seed;
	_Atomic uint64_t bytes; /* of invented contents */
};

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

static void content_release(struct quire_cpu **cpu, struct quire_file *file, void *data)
{
	(void)cpu;
	(void)file;
	free(data);
}

static const struct quire_store content_store = {
	.read = content_read,
	.resize = content_resize,
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
	atomic_store_explicit(&content->bytes, bytes, memory_order_relaxed);
	int error = quire_file_create(cpu, &content_store, content, QUIRE_FILE_READ | QUIRE_FILE_WRITE, bytes,
				      seed, &out->quire);
	if (error)
		free(content);
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
