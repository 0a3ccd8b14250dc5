/*
 * calls_fd.c - the calls on descriptors: reading, writing, pipes, terminals, and waiting for one of several.
 */
#include "calls.h"

/* ---- reading and writing --------------------------------------------------------------------------- */

enum direction { IN, OUT };

#define BYTES_MOST 0x7ffff000ul /* by one call */

static int64_t transfer(uint64_t fd, quire_vaddr address, size_t bytes, const uint64_t *at,
			enum direction direction)
{
	struct open_file *file = fd_get(fd);

	if (!file)
		return -QUIRE_EBADF;
	if (bytes > BYTES_MOST)
		bytes = BYTES_MOST;
	int64_t result = direction == IN ? open_read(file, address, bytes, at)
					 : open_write(file, address, bytes, at);
	open_put(file);
	return result;
}

CALL_IS(read, transfer(a[0], a[1], a[2], NULL, IN))
CALL_IS(write, transfer(a[0], a[1], a[2], NULL, OUT))
CALL_IS(pread64, (int64_t)a[3] < 0 ? -QUIRE_EINVAL : transfer(a[0], a[1], a[2], &a[3], IN))
CALL_IS(pwrite64, (int64_t)a[3] < 0 ? -QUIRE_EINVAL : transfer(a[0], a[1], a[2], &a[3], OUT))

static int64_t transfer_vector(const uint64_t *a, enum direction direction)
{
	int64_t done = 0;

	if (a[2] > 1024)
		return -QUIRE_EINVAL;
	for (uint64_t i = 0; i < a[2]; i++) {
		struct quire_iovec part;

		if (copy_in(&part, a[1] + i * sizeof(part), sizeof(part)))
			return done ? done : -QUIRE_EFAULT;
		if ((int64_t)part.length < 0)
			return done ? done : -QUIRE_EINVAL;
		if (part.length > BYTES_MOST - (uint64_t)done)
			part.length = BYTES_MOST - (uint64_t)done;
		if (!part.length)
			continue;
		int64_t moved = transfer(a[0], part.base, part.length, NULL, direction);
		if (moved < 0)
			return done ? done : moved;
		done += moved;
		if ((uint64_t)moved < part.length)
			break;
	}
	return done;
}

CALL_IS(readv, transfer_vector(a, IN))
CALL_IS(writev, transfer_vector(a, OUT))

int64_t call_lseek(const uint64_t *a)
{
	struct open_file *file = fd_get(a[0]);
	int64_t result = -ERROR_SPIPE;

	if (!file)
		return -QUIRE_EBADF;
	if (file->node && !file->node->device) {
		mutex_lock(&file->lock);
		int64_t base = a[2] == 0	  ? 0
			       : a[2] == 1	  ? (int64_t)file->offset
			       : file->node->file ? (int64_t)quire_file_size(file->node->file)
						  : 0;
		result = a[2] > 2 || base + (int64_t)a[1] < 0 ? -QUIRE_EINVAL : base + (int64_t)a[1];
		if (result >= 0)
			file->offset = (uint64_t)result;
		mutex_unlock(&file->lock);
	}
	open_put(file);
	return result;
}

/* ---- descriptors ----------------------------------------------------------------------------------- */

CALL_IS(close, fd_close(a[0]))

int64_t call_dup(const uint64_t *a)
{
	struct open_file *file = fd_get(a[0]);

	return file ? fd_install(file, 0, false) : -QUIRE_EBADF;
}

static int64_t dup_to(uint64_t from, uint64_t to, bool close_on_exec)
{
	struct open_file *file = fd_get(from);

	if (!file)
		return -QUIRE_EBADF;
	if (to < OPEN_MAX)
		return fd_install_at(file, (unsigned)to, close_on_exec);
	open_put(file);
	return -QUIRE_EBADF;
}

int64_t call_dup2(const uint64_t *a)
{
	struct open_file *file;

	if (a[0] != a[1])
		return dup_to(a[0], a[1], false);
	file = fd_get(a[0]);
	if (!file)
		return -QUIRE_EBADF;
	open_put(file);
	return (int64_t)a[1];
}

CALL_IS(dup3, a[0] == a[1] ? -QUIRE_EINVAL : dup_to(a[0], a[1], (a[2] & OPEN_CLOSE_ON_EXEC) != 0))

static int64_t pipe_make(quire_vaddr to, uint32_t flags)
{
	struct open_file *reader, *writer;
	bool close_on_exec = (flags & OPEN_CLOSE_ON_EXEC) != 0;
	int fds[2], err = pipe_create(&reader, &writer);

	if (err)
		return err;
	reader->flags |= flags & OPEN_NONBLOCK;
	writer->flags |= flags & OPEN_NONBLOCK;
	fds[0] = fd_install(reader, 0, close_on_exec);
	fds[1] = fd_install(writer, 0, close_on_exec);
	if (fds[0] >= 0 && fds[1] >= 0 && copy_out(to, fds, sizeof(fds)) == 0)
		return 0;
	err = fds[0] < 0 || fds[1] < 0 ? -ERROR_MFILE : -QUIRE_EFAULT;
	if (fds[0] >= 0)
		fd_close((unsigned)fds[0]);
	if (fds[1] >= 0)
		fd_close((unsigned)fds[1]);
	return err;
}

CALL_IS(pipe, pipe_make(a[0], 0))
CALL_IS(pipe2, pipe_make(a[0], (uint32_t)a[1]))

int64_t call_fcntl(const uint64_t *a)
{
	enum { DUP = 0, GET_FD, SET_FD, GET_FLAGS, SET_FLAGS, DUP_CLOSE_ON_EXEC = 1030 };
	struct process *process = current()->process;
	struct open_file *file = fd_get(a[0]);
	uint64_t bit = 1ull << a[0] % 64;
	int64_t result = 0;

	if (!file)
		return -QUIRE_EBADF;
	switch (a[1]) {
	case DUP:
	case DUP_CLOSE_ON_EXEC:
		if (a[2] < OPEN_MAX) /* takes over the reference */
			return fd_install(file, (unsigned)a[2], a[1] == DUP_CLOSE_ON_EXEC);
		result = -QUIRE_EINVAL;
		break;
	case GET_FD:
		result = (process->close_on_exec[a[0] / 64] & bit) != 0;
		break;
	case SET_FD:
		spin_lock(&process->files_lock);
		process->close_on_exec[a[0] / 64] &= ~bit;
		if (a[2] & 1)
			process->close_on_exec[a[0] / 64] |= bit;
		spin_unlock(&process->files_lock);
		break;
	case GET_FLAGS:
		result = file->flags;
		break;
	case SET_FLAGS:
		file->flags = (file->flags & ~(uint32_t)(OPEN_NONBLOCK | OPEN_APPEND)) |
			      (a[2] & (OPEN_NONBLOCK | OPEN_APPEND));
		break;
	default:
		result = -QUIRE_EINVAL;
	}
	open_put(file);
	return result;
}

int64_t call_ioctl(const uint64_t *a)
{
	enum {
		TERMINAL_GET = 0x5401,
		TERMINAL_SET = 0x5402,
		TERMINAL_SET_FLUSH = 0x5404,
		WINDOW_SIZE = 0x5413
	};
	static const uint16_t size[4] = { 24, 80 };
	struct open_file *file = fd_get(a[0]);

	if (!file)
		return -QUIRE_EBADF;
	uint32_t modes[9];
	bool terminal = file->node && file->node->device == DEVICE_CONSOLE && boot_option("terminal");
	open_put(file);
	if (!terminal)
		return -ERROR_NOTTY;
	if (a[1] == TERMINAL_GET) {
		console_modes(modes, NULL);
		return copy_out(a[2], modes, sizeof(modes));
	}
	if (a[1] >= TERMINAL_SET && a[1] <= TERMINAL_SET_FLUSH) {
		if (copy_in(modes, a[2], sizeof(modes)))
			return -QUIRE_EFAULT;
		console_modes(NULL, modes);
		return 0;
	}
	if (a[1] == WINDOW_SIZE)
		return copy_out(a[2], size, sizeof(size));
	return -ERROR_NOTTY;
}

struct poll {
	int32_t fd;
	int16_t wanted, got;
};

enum { POLL_IN = 1, POLL_OUT = 4, POLL_ERROR = 8, POLL_HANG_UP = 0x10, POLL_INVALID = 0x20 };

static int64_t poll_once(quire_vaddr at, uint64_t count)
{
	int64_t ready = 0;

	for (uint64_t i = 0; i < count; i++) {
		struct poll poll;

		if (copy_in(&poll, at + i * sizeof(poll), sizeof(poll)))
			return -QUIRE_EFAULT;
		struct open_file *file = poll.fd < 0 ? NULL : fd_get((unsigned)poll.fd);
		poll.got = 0;
		if (!file && poll.fd >= 0)
			poll.got = POLL_INVALID;
		if (file && (poll.wanted & POLL_IN) && open_ready(file, false))
			poll.got |= POLL_IN;
		if (file && (poll.wanted & POLL_OUT) && open_ready(file, true))
			poll.got |= POLL_OUT;
		if (file && open_ended(file))
			poll.got |= file->flags & OPEN_ACCESS ? POLL_ERROR : POLL_HANG_UP;
		if (file)
			open_put(file);
		if (copy_out(at + i * sizeof(poll), &poll, sizeof(poll)))
			return -QUIRE_EFAULT;
		ready += poll.got != 0;
	}
	return ready;
}

/* Looks again at every tick: what it waits for has no common word to sleep on. */
int64_t call_poll(const uint64_t *a)
{
	static _Atomic uint32_t never;
	uint64_t tick = 1000000000 / TICKS_PER_SECOND, now = time_monotonic();
	uint64_t end = (int)a[2] < 0 ? ~0ull : now + (uint64_t)(int)a[2] * 1000000;

	if (a[1] > OPEN_MAX)
		return -QUIRE_EINVAL;
	for (;;) {
		int64_t ready = poll_once(a[0], a[1]);

		now = time_monotonic();
		if (ready || now >= end)
			return ready;
		if (task_has_signal())
			return -QUIRE_EINTR;
		task_wait(&never, 0, now + tick < end ? now + tick : end);
	}
}

int64_t call_getrandom(const uint64_t *a)
{
	struct node *node;
	int err = tree_look(tree_root(), "/dev/urandom", LOOK_FOLLOW, &node, NULL);

	if (err)
		return err;
	struct open_file *file = open_node(node, 0);
	if (!file)
		return -QUIRE_ENOMEM;
	int64_t result = open_read(file, a[0], a[1] < 1 << 20 ? a[1] : 1 << 20, NULL);
	open_put(file);
	return result;
}
