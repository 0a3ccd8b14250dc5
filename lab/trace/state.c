/*
 * state.c - what holds between the events of a trace: which threads live, in which mm, and what an event may
 * say.
 *
 * Every check of a trace's meaning is here; the reader itself checks only the encoding. See format.h.
 */
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format.h"

/* Make room for one more element of @size bytes. NULL when there is none: @array is then unchanged. */
static void *room_for(void *array, uint32_t used, uint32_t *room, size_t size)
{
	if (used < *room)
		return array;
	uint32_t more = *room ? *room * 2 : 64;
	void *grown = more > *room ? realloc(array, more * size) : NULL;
	if (grown)
		*room = more;
	return grown;
}

static const char *add_thread(struct trace_state *s, uint32_t mm, uint64_t address)
{
	struct state_thread *threads = room_for(s->threads, s->nr_threads, &s->room_threads,
						sizeof(*threads));
	if (!threads)
		return "out of memory";
	s->threads = threads;
	threads[s->nr_threads++] = (struct state_thread){ .mm = mm, .alive = true, .address = address };
	return NULL;
}

static const char *add_mm(struct trace_state *s)
{
	uint32_t *users = room_for(s->mm_users, s->nr_mms, &s->room_mms, sizeof(*users));
	if (!users)
		return "out of memory";
	s->mm_users = users;
	users[s->nr_mms++] = 1;
	return NULL;
}

static const char *apply_exec(struct trace_state *s, struct trace_event *event)
{
	const char *wrong = add_mm(s);
	if (wrong)
		return wrong;
	event->mm = s->nr_mms - 1;
	event->exec.old_mm = TRACE_NONE;
	event->exec.last = false;
	if (!s->nr_threads) {
		wrong = add_thread(s, event->mm, 0);
		if (wrong)
			return wrong;
	} else {
		struct state_thread *thread = &s->threads[event->thread];
		event->exec.old_mm = thread->mm;
		event->exec.last = !--s->mm_users[thread->mm];
		thread->mm = event->mm;
	}
	s->layouts_due = event->exec.mappings;
	s->layout_thread = event->thread;
	s->layout_mm = event->mm;
	s->layout_end = 0;
	return NULL;
}

static const char *apply_layout(struct trace_state *s, struct trace_event *event)
{
	if (!s->layouts_due || event->thread != s->layout_thread)
		return "a mapping of the initial layout outside of one";
	s->layouts_due--;
	event->mm = s->layout_mm;
	if (event->layout.start % s->page_size || event->layout.end % s->page_size ||
	    event->layout.offset % s->page_size)
		return "a mapping of the initial layout is not page aligned";
	if (event->layout.start < s->layout_end || event->layout.start >= event->layout.end ||
	    event->layout.end >> TRACE_ADDRESS_BITS)
		return "the mappings of the initial layout are not ascending and disjoint";
	s->layout_end = event->layout.end;
	uint32_t type = event->layout.flags & MAP_TYPE;
	if (event->layout.prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    event->layout.flags & ~(uint32_t)(MAP_TYPE | MAP_GROWSDOWN) ||
	    (type != MAP_SHARED && type != MAP_PRIVATE))
		return "a mapping of the initial layout has flags that cannot be";
	if (event->layout.region >= TRACE_REGIONS)
		return "a mapping of the initial layout of no known kind";
	if ((event->layout.region == TRACE_REGION_FILE) != (event->layout.file != TRACE_NONE) ||
	    (event->layout.file != TRACE_NONE && event->layout.file >= s->nr_files))
		return "a mapping of the initial layout names no known file";
	return NULL;
}

static const char *apply_clone(struct trace_state *s, struct trace_event *event)
{
	uint32_t mm = event->mm;
	const char *wrong = NULL;
	if (event->clone.flags & CLONE_VM) {
		s->mm_users[mm]++;
	} else {
		wrong = add_mm(s);
		mm = s->nr_mms - 1;
	}
	if (!wrong)
		wrong = add_thread(s, mm, s->threads[event->thread].address);
	event->clone.child = s->nr_threads - 1;
	event->clone.child_mm = mm;
	return wrong;
}

static const char *apply_exit(struct trace_state *s, struct trace_event *event)
{
	s->threads[event->thread].alive = false;
	event->exited.last = !--s->mm_users[event->mm];
	return NULL;
}

static const char *check_call(const struct trace_state *s, const struct trace_event *event)
{
	if (!trace_call_signature(event->call.nr))
		return "a call of no known number";
	if (event->call.file != TRACE_NONE && event->call.file >= s->nr_files)
		return "a call names no known file";
	if (event->call.peer != TRACE_NONE &&
	    (event->call.peer >= s->nr_threads || !trace_call_has_peer(event->call.nr)))
		return "a call names no known thread";
	return NULL;
}

static const char *apply_kind(struct trace_state *s, struct trace_event *event)
{
	switch (event->kind) {
	case TRACE_EXEC:
		return apply_exec(s, event);
	case TRACE_LAYOUT:
		return apply_layout(s, event);
	case TRACE_CLONE:
		return apply_clone(s, event);
	case TRACE_EXIT:
		return apply_exit(s, event);
	case TRACE_CALL:
		return check_call(s, event);
	case TRACE_FAULT:
		return event->fault.access < TRACE_ACCESSES ? NULL : "a fault with no known kind of access";
	case TRACE_FILE_SIZE:
		return event->file_size.file < s->nr_files ? NULL : "a size of no known file";
	case TRACE_SIGNAL:
	case TRACE_LOST:
		return NULL;
	default:
		return "an event of no known kind";
	}
}

static bool kind_has_thread(enum trace_kind kind)
{
	return kind != TRACE_FILE_SIZE && kind != TRACE_LOST;
}

const char *trace_state_apply(struct trace_state *s, struct trace_event *event)
{
	bool first = event->kind == TRACE_EXEC && !s->nr_threads && event->thread == 0;

	if (event->time < s->time)
		return "time runs backwards";
	if (event->entry > event->time || event->exit < event->time)
		return "a call that ends before it begins";
	if (s->layouts_due && event->kind != TRACE_LAYOUT)
		return "an initial layout is not complete";
	event->mm = TRACE_NONE;
	if (!kind_has_thread(event->kind)) {
		event->thread = TRACE_NONE;
	} else if (!first) {
		if (event->thread >= s->nr_threads || !s->threads[event->thread].alive)
			return "an event of a thread that does not exist";
		event->mm = s->threads[event->thread].mm;
	}
	s->time = event->time;
	event->index = s->index++;
	return apply_kind(s, event);
}

void trace_state_free(struct trace_state *s)
{
	free(s->threads);
	free(s->mm_users);
	*s = (struct trace_state){ 0 };
}

const char *trace_header_check(const struct trace_header *header)
{
	if (header->features & ~(uint32_t)TRACE_FEATURES)
		return "the header names features that this program does not know";
	if (header->page_size < 4096 || header->page_size > 65536 ||
	    header->page_size & (header->page_size - 1))
		return "the header's page size cannot be";
	if (header->thp > TRACE_THP_ALWAYS)
		return "the header's huge-page policy cannot be";
	return NULL;
}

const char *trace_file_check(const struct trace_file *file)
{
	if (file->kind >= TRACE_FILE_KINDS)
		return "a file of no known kind";
	if (file->build_id_size > TRACE_BUILD_ID_MAX)
		return "a file's build-id is too long";
	if (strlen(file->path) > TRACE_STRING_MAX)
		return "a file's path is too long";
	return NULL;
}

uint32_t trace_checksum(uint32_t start, const void *bytes, size_t size)
{
	/* CRC-32 (reflected 0xedb88320), four bits at a time: a table of sixteen is enough for our sizes. */
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = bytes;
	uint32_t crc = ~start;
	while (size--) {
		crc ^= *p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
