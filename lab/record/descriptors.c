/*
 * descriptors.c - follows file descriptors through a recording.
 *
 * A descriptor is followed from the call that names it (ftruncate, fallocate, pwrite) to the mmap that says
 * which file it is, before or after, as long as nothing closes it between: a "binding" is one such stretch. A
 * duplicate's binding points to the one that it was made from.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "convert.h"

uint32_t binding_find(struct conversion *v, uint32_t pid, int fd)
{
	for (uint32_t i = v->nr_bindings; i-- > 0;)
		if (v->bindings[i].pid == pid && v->bindings[i].fd == fd && !v->bindings[i].closed)
			return i;
	if (v->nr_bindings == v->room_bindings) {
		uint32_t room = v->room_bindings ? v->room_bindings * 2 : 64;
		struct binding *grown = realloc(v->bindings, room * sizeof(*grown));
		if (!grown) {
			v->failed = true;
			return TRACE_NONE;
		}
		v->bindings = grown;
		v->room_bindings = room;
	}
	struct binding *binding = &v->bindings[v->nr_bindings];
	*binding = (struct binding){ .pid = pid, .fd = fd, .same = v->nr_bindings, .file = TRACE_NONE };
	return v->nr_bindings++;
}

void binding_close(struct conversion *v, uint32_t pid, int first, int last)
{
	for (uint32_t i = v->nr_bindings; i-- > 0;) {
		struct binding *binding = &v->bindings[i];
		if (binding->pid == pid && binding->fd >= first && binding->fd <= last)
			binding->closed = true;
	}
}

/* Descriptor @copy of process @to is now what @fd of process @from is. */
static void duplicate(struct conversion *v, uint32_t from, int fd, uint32_t to, int copy)
{
	binding_close(v, to, copy, copy);
	uint32_t original = binding_find(v, from, fd), duplicate = binding_find(v, to, copy);
	if (original != TRACE_NONE && duplicate != TRACE_NONE)
		v->bindings[duplicate].same = v->bindings[original].same;
}

void bindings_copy(struct conversion *v, uint32_t parent, uint32_t child)
{
	for (uint32_t i = 0, count = v->nr_bindings; i < count; i++)
		if (v->bindings[i].pid == parent && !v->bindings[i].closed)
			duplicate(v, parent, v->bindings[i].fd, child, v->bindings[i].fd);
}

void bindings_follow(struct conversion *v, uint32_t pid, const struct raw *enter, int64_t result)
{
	const uint64_t *args = enter->call.args;

	switch (enter->call.nr) {
	case __NR_close:
		binding_close(v, pid, (int)args[0], (int)args[0]);
		break;
	case __NR_fcntl:
		if (args[1] != F_DUPFD && args[1] != F_DUPFD_CLOEXEC)
			break;
		/* fall through */
	case __NR_dup:
	case __NR_dup2:
	case __NR_dup3:
		if (result >= 0 && result != (int64_t)args[0])
			duplicate(v, pid, (int)args[0], pid, (int)result);
		break;
	case __NR_close_range:
		binding_close(v, pid, (int)args[0], args[1] > INT32_MAX ? INT32_MAX : (int)args[1]);
		break;
	}
}

uint32_t binding_file(const struct conversion *v, uint32_t binding)
{
	return v->bindings[v->bindings[binding].same].file;
}

void binding_is(struct conversion *v, uint32_t binding, uint32_t file)
{
	v->bindings[v->bindings[binding].same].file = file;
}
