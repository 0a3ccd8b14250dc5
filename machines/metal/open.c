/*
 * open.c - open files, descriptors, pipes; and moving bytes between them and a program.
 *
 * Every byte goes through a buffer of the kernel's and the core's copies, which check the program's address
 * and fault its pages in. The buffer is not on the stack, which is small.
 *
 * Order:   a file's offset mutex sleeps, and is outside everything; the spin locks of pipes and descriptors
 *          are leaves.
 */
#include "fs.h"
#include "x86.h"

#define PIECE 16384
#define PIPE_BYTES 65536

static _Atomic uint64_t next_opening = 1;

/* ---- open files ------------------------------------------------------------------------------------ */

static struct open_file *create(uint32_t flags)
{
	struct open_file *file = kernel_alloc(sizeof(*file));

	if (!file)
		return NULL;
	atomic_store_explicit(&file->refs, 1, memory_order_relaxed);
	file->flags = flags;
	file->number = atomic_fetch_add_explicit(&next_opening, 1, memory_order_relaxed);
	return file;
}

struct open_file *open_node(struct node *node, uint32_t flags)
{
	struct open_file *file = create(flags);

	if (file)
		file->node = node;
	else
		node_put(node);
	return file;
}

struct open_file *open_get(struct open_file *file)
{
	atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	return file;
}

static bool may_write(const struct open_file *file)
{
	return (file->flags & OPEN_ACCESS) != 0;
}

static bool may_read(const struct open_file *file)
{
	return (file->flags & OPEN_ACCESS) != OPEN_WRITE_ONLY;
}

static void pipe_changed(struct pipe *pipe)
{
	atomic_fetch_add_explicit(&pipe->event, 1, memory_order_release);
	waits_wake(&pipe->event, ~0u);
}

static void pipe_leave(struct pipe *pipe, bool writer)
{
	spin_lock(&pipe->lock);
	if (writer)
		pipe->writers--;
	else
		pipe->readers--;
	bool gone = !pipe->readers && !pipe->writers;
	spin_unlock(&pipe->lock);
	if (!gone) {
		pipe_changed(pipe);
		return;
	}
	kernel_free(pipe->bytes, PIPE_BYTES);
	kernel_free(pipe, sizeof(*pipe));
}

void open_put(struct open_file *file)
{
	/* Release and acquire: what others did with it comes before its end. */
	if (atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (file->pipe)
		pipe_leave(file->pipe, may_write(file));
	if (file->node)
		node_put(file->node);
	kernel_free(file, sizeof(*file));
}

/* ---- pipes ----------------------------------------------------------------------------------------- */

int pipe_create(struct open_file **reader, struct open_file **writer)
{
	struct pipe *pipe = kernel_alloc(sizeof(*pipe));
	char *bytes = kernel_alloc(PIPE_BYTES);

	*reader = create(0);
	*writer = create(OPEN_WRITE_ONLY);
	if (!pipe || !bytes || !*reader || !*writer) {
		kernel_free(pipe, sizeof(*pipe));
		kernel_free(bytes, PIPE_BYTES);
		kernel_free(*reader, sizeof(**reader));
		kernel_free(*writer, sizeof(**writer));
		return -QUIRE_ENOMEM;
	}
	pipe->bytes = bytes;
	pipe->readers = pipe->writers = 1;
	(*reader)->pipe = (*writer)->pipe = pipe;
	return 0;
}

/* Both move at most @bytes, under the lock. */
static size_t pipe_take(struct pipe *pipe, char *to, size_t bytes)
{
	size_t done = 0;

	for (; done < bytes && pipe->first != pipe->last; done++)
		to[done] = pipe->bytes[pipe->first++ % PIPE_BYTES];
	return done;
}

static size_t pipe_give(struct pipe *pipe, const char *from, size_t bytes)
{
	size_t done = 0;

	for (; done < bytes && pipe->last - pipe->first < PIPE_BYTES; done++)
		pipe->bytes[pipe->last++ % PIPE_BYTES] = from[done];
	return done;
}

static int64_t pipe_read(struct open_file *file, char *to, size_t bytes)
{
	struct pipe *pipe = file->pipe;

	for (;;) {
		uint32_t seen = atomic_load_explicit(&pipe->event, memory_order_acquire);

		spin_lock(&pipe->lock);
		size_t done = pipe_take(pipe, to, bytes);
		bool more = pipe->writers != 0;
		spin_unlock(&pipe->lock);
		if (done)
			pipe_changed(pipe);
		if (done || !more)
			return (int64_t)done;
		if (file->flags & OPEN_NONBLOCK)
			return -QUIRE_EAGAIN;
		if (task_has_signal())
			return -QUIRE_EINTR;
		task_wait(&pipe->event, seen, 0);
	}
}

/* Up to 4096 bytes go in one piece. */
static int64_t pipe_write(struct open_file *file, const char *from, size_t bytes)
{
	struct pipe *pipe = file->pipe;
	size_t done = 0;

	while (done < bytes) {
		uint32_t seen = atomic_load_explicit(&pipe->event, memory_order_acquire);
		size_t part = 0;

		spin_lock(&pipe->lock);
		bool broken = !pipe->readers;
		if (!broken && (bytes > 4096 || PIPE_BYTES - (pipe->last - pipe->first) >= bytes))
			part = pipe_give(pipe, from + done, bytes - done);
		spin_unlock(&pipe->lock);
		if (broken && !done) {
			spin_lock(&process_lock);
			signal_send(current(), SIGNAL_PIPE, SENT_BY_KERNEL);
			spin_unlock(&process_lock);
			return -ERROR_PIPE;
		}
		if (part)
			pipe_changed(pipe);
		done += part;
		if (broken || done == bytes)
			break;
		if (file->flags & OPEN_NONBLOCK)
			return done ? (int64_t)done : -QUIRE_EAGAIN;
		if (task_has_signal())
			return done ? (int64_t)done : -QUIRE_EINTR;
		task_wait(&pipe->event, seen, 0);
	}
	return (int64_t)done;
}

/* ---- reading and writing --------------------------------------------------------------------------- */

static void random_bytes(char *to, size_t bytes)
{
	static _Atomic uint64_t state;
	uint64_t x;

	/* Good enough for hash seeds; there is no secret on this machine. */
	for (size_t i = 0; i < bytes; i++) {
		x = atomic_fetch_add_explicit(&state, 0x9e3779b97f4a7c15ull, memory_order_relaxed) +
		    read_tsc();
		x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ x >> 27) * 0x94d049bb133111ebull;
		to[i] = (char)(x >> 56);
	}
}

/* One piece, between the object and kernel memory. */
static int64_t read_piece(struct open_file *file, uint64_t at, char *to, size_t bytes)
{
	struct quire_cpu *cpu = here();

	if (file->pipe)
		return pipe_read(file, to, bytes);
	if (file->node->file)
		return quire_file_read(&cpu, file->node->file, at, to, bytes);
	switch (file->node->device) {
	case DEVICE_CONSOLE:
		return console_read(to, bytes);
	case DEVICE_NULL:
		return 0;
	case DEVICE_ZERO:
		memset(to, 0, bytes);
		return (int64_t)bytes;
	case DEVICE_RANDOM:
		random_bytes(to, bytes);
		return (int64_t)bytes;
	default:
		return -ERROR_ISDIR;
	}
}

static int64_t write_piece(struct open_file *file, uint64_t at, const char *from, size_t bytes)
{
	struct quire_cpu *cpu = here();

	if (file->pipe)
		return pipe_write(file, from, bytes);
	if (file->node->file)
		return quire_file_write(&cpu, file->node->file, at, from, bytes);
	if (file->node->device == DEVICE_CONSOLE)
		console_write(from, bytes);
	return file->node->device ? (int64_t)bytes : -ERROR_ISDIR;
}

static bool has_offset(const struct open_file *file)
{
	return file->node && file->node->file;
}

/* What comes in pieces of its own, and must not be waited for when there was something already. */
static bool comes_in_pieces(const struct open_file *file)
{
	return file->pipe || file->node->device == DEVICE_CONSOLE;
}

struct buffer {
	char *at;
	size_t bytes;
};

static int64_t read_pieces(struct open_file *file, quire_vaddr to, size_t bytes, uint64_t at,
			   struct buffer *buffer)
{
	struct quire_cpu *cpu = here();
	int64_t done = 0;

	while ((uint64_t)done < bytes) {
		size_t part = bytes - (size_t)done < buffer->bytes ? bytes - (size_t)done : buffer->bytes;
		int64_t got = read_piece(file, at + (uint64_t)done, buffer->at, part);

		if (got <= 0)
			return done ? done : got;
		cpu = here();
		size_t copied = quire_copy_to(&cpu, current()->process->mm, to + (uint64_t)done, buffer->at,
					      (size_t)got);
		done += (int64_t)copied;
		if (copied < (size_t)got)
			return done ? done : -QUIRE_EFAULT;
		if ((size_t)got < part || comes_in_pieces(file) || task_is_killed())
			break;
		if ((uint64_t)done < bytes)
			sched_breathe();
	}
	return done;
}

static int64_t write_pieces(struct open_file *file, quire_vaddr from, size_t bytes, uint64_t at,
			    struct buffer *buffer)
{
	struct quire_cpu *cpu = here();
	int64_t done = 0;

	while ((uint64_t)done < bytes) {
		size_t part = bytes - (size_t)done < buffer->bytes ? bytes - (size_t)done : buffer->bytes;

		cpu = here();
		size_t copied = quire_copy_from(&cpu, current()->process->mm, buffer->at,
						from + (uint64_t)done, part);
		int64_t put = copied ? write_piece(file, at + (uint64_t)done, buffer->at, copied)
				     : -QUIRE_EFAULT;

		if (put <= 0)
			return done ? done : put;
		done += put;
		if ((size_t)put < part || task_is_killed())
			break;
		if ((uint64_t)done < bytes)
			sched_breathe();
	}
	return done;
}

static int64_t move(struct open_file *file, quire_vaddr address, size_t bytes, const uint64_t *at, bool write)
{
	bool moves_offset = !at && has_offset(file);
	char small[256]; /* a program that has used up the kernel's memory can still say so */
	char *large = kernel_alloc(PIECE);
	struct buffer buffer = { large ? large : small, large ? PIECE : sizeof(small) };

	if (moves_offset)
		mutex_lock(&file->lock);
	uint64_t from = at ? *at : file->offset;
	if (write && moves_offset && (file->flags & OPEN_APPEND))
		from = quire_file_size(file->node->file);
	int64_t done = write ? write_pieces(file, address, bytes, from, &buffer)
			     : read_pieces(file, address, bytes, from, &buffer);
	if (moves_offset) {
		if (done > 0)
			file->offset = from + (uint64_t)done;
		mutex_unlock(&file->lock);
	}
	kernel_free(large, PIECE);
	return done;
}

int64_t open_read(struct open_file *file, quire_vaddr to, size_t bytes, const uint64_t *at)
{
	if (!may_read(file))
		return -QUIRE_EBADF;
	if (at && !has_offset(file))
		return -ERROR_SPIPE;
	return move(file, to, bytes, at, false);
}

int64_t open_write(struct open_file *file, quire_vaddr from, size_t bytes, const uint64_t *at)
{
	if (!may_write(file))
		return -QUIRE_EBADF;
	if (at && !has_offset(file))
		return -ERROR_SPIPE;
	return move(file, from, bytes, at, true);
}

bool open_ready(struct open_file *file, bool to_write)
{
	struct pipe *pipe = file->pipe;

	if (!pipe)
		return to_write || file->node->device != DEVICE_CONSOLE || console_has_input();
	spin_lock(&pipe->lock);
	bool ready = to_write ? !pipe->readers || pipe->last - pipe->first <= PIPE_BYTES - 4096
			      : !pipe->writers || pipe->last != pipe->first;
	spin_unlock(&pipe->lock);
	return ready;
}

bool open_ended(struct open_file *file)
{
	struct pipe *pipe = file->pipe;

	if (!pipe)
		return false;
	spin_lock(&pipe->lock);
	bool ended = may_write(file) ? !pipe->readers : !pipe->writers;
	spin_unlock(&pipe->lock);
	return ended;
}

/* ---- descriptors ----------------------------------------------------------------------------------- */

static void mark(struct process *process, unsigned fd, bool close_on_exec)
{
	uint64_t bit = 1ull << fd % 64;

	process->close_on_exec[fd / 64] &= ~bit;
	if (close_on_exec)
		process->close_on_exec[fd / 64] |= bit;
}

struct open_file *fd_get(uint64_t fd)
{
	struct process *process = current()->process;
	struct open_file *file = NULL;

	if (fd >= OPEN_MAX)
		return NULL;
	spin_lock(&process->files_lock);
	file = process->open[fd];
	if (file)
		open_get(file);
	spin_unlock(&process->files_lock);
	return file;
}

int fd_install(struct open_file *file, unsigned lowest, bool close_on_exec)
{
	struct process *process = current()->process;
	unsigned fd = lowest;

	spin_lock(&process->files_lock);
	while (fd < OPEN_MAX && process->open[fd])
		fd++;
	if (fd < OPEN_MAX) {
		process->open[fd] = file;
		mark(process, fd, close_on_exec);
	}
	spin_unlock(&process->files_lock);
	if (fd < OPEN_MAX)
		return (int)fd;
	open_put(file);
	return -ERROR_MFILE;
}

int fd_install_at(struct open_file *file, unsigned fd, bool close_on_exec)
{
	struct process *process = current()->process;

	spin_lock(&process->files_lock);
	struct open_file *old = process->open[fd];
	process->open[fd] = file;
	mark(process, fd, close_on_exec);
	spin_unlock(&process->files_lock);
	if (old)
		open_put(old);
	return (int)fd;
}

static int close_of(struct process *process, uint64_t fd)
{
	struct open_file *file = NULL;

	if (fd >= OPEN_MAX)
		return -QUIRE_EBADF;
	spin_lock(&process->files_lock);
	file = process->open[fd];
	process->open[fd] = NULL;
	spin_unlock(&process->files_lock);
	if (!file)
		return -QUIRE_EBADF;
	open_put(file);
	return 0;
}

int fd_close(uint64_t fd)
{
	return close_of(current()->process, fd);
}

void fd_copy_all(struct process *to, struct process *from)
{
	spin_lock(&from->files_lock);
	for (unsigned fd = 0; fd < OPEN_MAX; fd++)
		if (from->open[fd])
			to->open[fd] = open_get(from->open[fd]);
	memcpy(to->close_on_exec, from->close_on_exec, sizeof(to->close_on_exec));
	spin_unlock(&from->files_lock);
}

void fd_close_all(struct process *process)
{
	for (unsigned fd = 0; fd < OPEN_MAX; fd++)
		close_of(process, fd);
}

void fd_close_on_exec(struct process *process)
{
	for (unsigned fd = 0; fd < OPEN_MAX; fd++)
		if (process->close_on_exec[fd / 64] >> fd % 64 & 1)
			close_of(process, fd);
}
