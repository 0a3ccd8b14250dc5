/*
 * calls_file.c - the calls on files, directories and descriptors.
 */
#include "calls.h"

#define AT_CWD (-100)
#define AT_NOFOLLOW 0x100u
#define AT_REMOVEDIR 0x200u
#define AT_EMPTY_PATH 0x1000u

/* ---- reading and writing -------------------------------------------------------------------------------- */

enum direction { IN, OUT };

static int64_t transfer(uint64_t fd, quire_vaddr address, size_t bytes, const uint64_t *at,
			enum direction direction)
{
	struct open_file *file = fd_get(fd);

	if (!file)
		return -QUIRE_EBADF;
	if (bytes > 0x7ffff000)
		bytes = 0x7ffff000;
	int64_t result = direction == IN ? open_read(file, address, bytes, at)
					 : open_write(file, address, bytes, at);
	open_put(file);
	return result;
}

int64_t call_read(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return transfer(a[0], a[1], a[2], NULL, IN);
}

int64_t call_write(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return transfer(a[0], a[1], a[2], NULL, OUT);
}

int64_t call_pread64(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return (int64_t)a[3] < 0 ? -QUIRE_EINVAL : transfer(a[0], a[1], a[2], &a[3], IN);
}

int64_t call_pwrite64(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return (int64_t)a[3] < 0 ? -QUIRE_EINVAL : transfer(a[0], a[1], a[2], &a[3], OUT);
}

static int64_t transfer_vector(const uint64_t *a, enum direction direction)
{
	int64_t done = 0;

	if (a[2] > 1024)
		return -QUIRE_EINVAL;
	for (uint64_t i = 0; i < a[2]; i++) {
		struct quire_iovec part;

		if (copy_in(&part, a[1] + i * sizeof(part), sizeof(part)))
			return done ? done : -QUIRE_EFAULT;
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

int64_t call_readv(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return transfer_vector(a, IN);
}

int64_t call_writev(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return transfer_vector(a, OUT);
}

int64_t call_lseek(const uint64_t *a, struct trap_frame *frame)
{
	struct open_file *file = fd_get(a[0]);
	int64_t result = -ERROR_SPIPE;

	(void)frame;
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

/* ---- paths ---------------------------------------------------------------------------------------------- */

/* The directory that a path at @fd begins in, with a reference. */
static int start_of(int fd, struct node **out)
{
	struct open_file *file;

	if (fd == AT_CWD) {
		quire_spin_lock(here(), &current()->process->files_lock);
		*out = node_get(current()->process->cwd);
		quire_spin_unlock(here(), &current()->process->files_lock);
		return 0;
	}
	file = fd_get((unsigned)fd);
	if (!file)
		return -QUIRE_EBADF;
	*out = file->node ? node_get(file->node) : NULL;
	open_put(file);
	return *out ? 0 : -ERROR_NOTDIR;
}

/* LOOK_EMPTY: an empty path is the descriptor itself. */
#define LOOK_EMPTY 0x100u

static int look(int fd, quire_vaddr path, unsigned how, struct node **out, char *name)
{
	char text[PATH_BYTES];
	struct node *start;
	int64_t length = copy_in_string(text, path, sizeof(text));
	int err = length < 0 ? (int)length : start_of(fd, &start);

	if (err)
		return err;
	if (!length && (how & LOOK_EMPTY)) {
		*out = start;
		return 0;
	}
	err = tree_look(start, text, how & ~LOOK_EMPTY, out, name);
	node_put(start);
	return err;
}

static int64_t open_at(int fd, quire_vaddr path, uint32_t flags, uint32_t mode)
{
	struct node *node, *directory;
	char name[256];
	int err = look(fd, path, flags & OPEN_NOFOLLOW ? 0 : LOOK_FOLLOW, &node, NULL);

	if (err == -QUIRE_ENOENT && (flags & OPEN_CREATE)) {
		err = look(fd, path, LOOK_PARENT, &directory, name);
		if (err)
			return err;
		err = tree_create(directory, name, MODE_FILE | (mode & 0777 & ~current()->process->umask),
				  &node);
		node_put(directory);
		if (err == -QUIRE_EEXIST) /* another was quicker, or a link leads nowhere */
			err = look(fd, path, LOOK_FOLLOW, &node, NULL);
	} else if (!err && (flags & OPEN_CREATE) && (flags & OPEN_EXCLUSIVE)) {
		node_put(node);
		return -QUIRE_EEXIST;
	}
	if (err)
		return err;
	bool is_directory = (node->mode & MODE_TYPE) == MODE_DIRECTORY;
	if ((node->mode & MODE_TYPE) == MODE_LINK)
		err = -ERROR_LOOP;
	else if (is_directory && ((flags & OPEN_ACCESS) || (flags & OPEN_CREATE)))
		err = -ERROR_ISDIR;
	else if (!is_directory && (flags & OPEN_DIRECTORY))
		err = -ERROR_NOTDIR;
	struct quire_cpu *cpu = here();
	if (!err && node->file && (flags & OPEN_TRUNCATE) && (flags & OPEN_ACCESS))
		err = quire_file_truncate(&cpu, node->file, 0);
	if (err) {
		node_put(node);
		return err;
	}
	struct open_file *file = open_node(node,
					   flags & ~(uint32_t)(OPEN_CREATE | OPEN_EXCLUSIVE | OPEN_TRUNCATE));
	return file ? fd_install(file, 0, (flags & OPEN_CLOSE_ON_EXEC) != 0) : -QUIRE_ENOMEM;
}

int64_t call_open(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return open_at(AT_CWD, a[0], (uint32_t)a[1], (uint32_t)a[2]);
}

int64_t call_openat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return open_at((int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]);
}

struct stat {
	uint64_t device, number, links;
	uint32_t mode, user, group, pad;
	uint64_t device_number, bytes, block_bytes, blocks, times[6], reserved[3];
};

static int64_t stat_out(quire_vaddr to, const struct node *node, uint32_t mode)
{
	struct stat stat = { .device = 1, .links = 1, .mode = mode, .block_bytes = QUIRE_PAGE_SIZE };

	if (node) {
		stat.number = node->number;
		stat.mode = node->mode;
		stat.device_number = node->device;
		stat.bytes = node->file ? quire_file_size(node->file) : node->link ? strlen(node->link) : 0;
		stat.blocks = (stat.bytes + 511) / 512;
		stat.times[0] = stat.times[2] = stat.times[4] = node->changed;
	}
	return copy_out(to, &stat, sizeof(stat));
}

static int64_t stat_at(int fd, quire_vaddr path, quire_vaddr to, unsigned how)
{
	struct node *node;
	int err = look(fd, path, how, &node, NULL);

	if (err)
		return err;
	int64_t result = stat_out(to, node, 0);
	node_put(node);
	return result;
}

static int64_t stat_open(uint64_t fd, quire_vaddr to)
{
	struct open_file *file = fd_get(fd);

	if (!file)
		return -QUIRE_EBADF;
	int64_t result = stat_out(to, file->node, MODE_PIPE | 0600);
	open_put(file);
	return result;
}

int64_t call_stat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return stat_at(AT_CWD, a[0], a[1], LOOK_FOLLOW);
}

int64_t call_lstat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return stat_at(AT_CWD, a[0], a[1], 0);
}

int64_t call_fstat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return stat_open(a[0], a[1]);
}

int64_t call_newfstatat(const uint64_t *a, struct trap_frame *frame)
{
	char first;

	(void)frame;
	if ((a[3] & AT_EMPTY_PATH) && (int)a[0] >= 0 && copy_in(&first, a[1], 1) == 0 && !first)
		return stat_open(a[0], a[2]);
	return stat_at((int)a[0], a[1], a[2],
		       (a[3] & AT_NOFOLLOW ? 0 : LOOK_FOLLOW) | (a[3] & AT_EMPTY_PATH ? LOOK_EMPTY : 0));
}

static int64_t access_at(int fd, quire_vaddr path, uint64_t mode)
{
	struct node *node;
	int err = look(fd, path, LOOK_FOLLOW, &node, NULL);

	if (err)
		return err;
	/* Everybody is root: may do everything but execute what nobody may. */
	bool refused = (mode & 1) && !(node->mode & 0111);
	node_put(node);
	return refused ? -QUIRE_EACCES : 0;
}

int64_t call_access(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return access_at(AT_CWD, a[0], a[1]);
}

int64_t call_faccessat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return access_at((int)a[0], a[1], a[2]);
}

int64_t call_faccessat2(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return access_at((int)a[0], a[1], a[2]);
}

static int64_t copy_path_out(quire_vaddr to, size_t room, const char *text, size_t bytes)
{
	if (bytes > room)
		bytes = room;
	return copy_out(to, text, bytes) ? -QUIRE_EFAULT : (int64_t)bytes;
}

static int64_t readlink_at(int fd, quire_vaddr path, quire_vaddr to, size_t room)
{
	char text[PATH_BYTES];
	struct node *node;
	int64_t result = copy_in_string(text, path, sizeof(text));

	if (result < 0)
		return result;
	if (strcmp(text, "/proc/self/exe") == 0) {
		size_t length = tree_path(current()->process->program, text, sizeof(text));

		return length ? copy_path_out(to, room, text, length) : -QUIRE_ENOENT;
	}
	int err = look(fd, path, 0, &node, NULL);
	if (err)
		return err;
	result = node->link ? copy_path_out(to, room, node->link, strlen(node->link)) : -QUIRE_EINVAL;
	node_put(node);
	return result;
}

int64_t call_readlink(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return readlink_at(AT_CWD, a[0], a[1], a[2]);
}

int64_t call_readlinkat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return readlink_at((int)a[0], a[1], a[2], a[3]);
}

int64_t call_getcwd(const uint64_t *a, struct trap_frame *frame)
{
	char text[PATH_BYTES];
	struct node *cwd;

	(void)frame;
	start_of(AT_CWD, &cwd);
	size_t length = tree_path(cwd, text, sizeof(text));
	node_put(cwd);
	if (!length)
		return -QUIRE_ENOENT;
	if (length + 1 > a[1])
		return -ERROR_RANGE;
	return copy_out(a[0], text, length + 1) ? -QUIRE_EFAULT : (int64_t)length + 1;
}

int64_t call_chdir(const uint64_t *a, struct trap_frame *frame)
{
	struct process *process = current()->process;
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

	(void)frame;
	if (err)
		return err;
	if ((node->mode & MODE_TYPE) != MODE_DIRECTORY) {
		node_put(node);
		return -ERROR_NOTDIR;
	}
	quire_spin_lock(here(), &process->files_lock);
	struct node *old = process->cwd;
	process->cwd = node;
	quire_spin_unlock(here(), &process->files_lock);
	node_put(old);
	return 0;
}

/* ---- changing the tree ---------------------------------------------------------------------------------- */

static int64_t mkdir_at(int fd, quire_vaddr path, uint64_t mode)
{
	struct node *directory;
	char name[256];
	int err = look(fd, path, LOOK_PARENT, &directory, name);

	if (err)
		return err;
	err = tree_create(directory, name, MODE_DIRECTORY | (mode & 0777 & ~current()->process->umask), NULL);
	node_put(directory);
	return err;
}

int64_t call_mkdir(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return mkdir_at(AT_CWD, a[0], a[1]);
}

int64_t call_mkdirat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return mkdir_at((int)a[0], a[1], a[2]);
}

static int64_t remove_at(int fd, quire_vaddr path, bool want_directory)
{
	struct node *directory;
	char name[256];
	int err = look(fd, path, LOOK_PARENT, &directory, name);

	if (err)
		return err;
	err = tree_remove(directory, name, want_directory);
	node_put(directory);
	return err;
}

int64_t call_unlink(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return remove_at(AT_CWD, a[0], false);
}

int64_t call_rmdir(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return remove_at(AT_CWD, a[0], true);
}

int64_t call_unlinkat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return remove_at((int)a[0], a[1], (a[2] & AT_REMOVEDIR) != 0);
}

static int64_t rename_at(int from_fd, quire_vaddr from_path, int to_fd, quire_vaddr to_path)
{
	struct node *from, *to;
	char name[256], new_name[256];
	int err = look(from_fd, from_path, LOOK_PARENT, &from, name);

	if (err)
		return err;
	err = look(to_fd, to_path, LOOK_PARENT, &to, new_name);
	if (!err) {
		err = tree_rename(from, name, to, new_name);
		node_put(to);
	}
	node_put(from);
	return err;
}

int64_t call_rename(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return rename_at(AT_CWD, a[0], AT_CWD, a[1]);
}

int64_t call_renameat(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return rename_at((int)a[0], a[1], (int)a[2], a[3]);
}

int64_t call_renameat2(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return a[4] ? -QUIRE_EINVAL : rename_at((int)a[0], a[1], (int)a[2], a[3]);
}

int64_t call_symlink(const uint64_t *a, struct trap_frame *frame)
{
	char to[PATH_BYTES], name[256];
	struct node *directory;
	int64_t length = copy_in_string(to, a[0], sizeof(to));
	int err = length < 0 ? (int)length : look(AT_CWD, a[1], LOOK_PARENT, &directory, name);

	(void)frame;
	if (err)
		return err;
	err = tree_link_symbolic(directory, name, to);
	node_put(directory);
	return err;
}

int64_t call_chmod(const uint64_t *a, struct trap_frame *frame)
{
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

	(void)frame;
	if (err)
		return err;
	node->mode = (node->mode & MODE_TYPE) | (a[1] & 07777);
	node_put(node);
	return 0;
}

static int64_t truncate_node(struct node *node, uint64_t bytes)
{
	struct quire_cpu *cpu = here();

	return node && node->file && (int64_t)bytes >= 0 ? quire_file_truncate(&cpu, node->file, bytes)
							 : -QUIRE_EINVAL;
}

int64_t call_truncate(const uint64_t *a, struct trap_frame *frame)
{
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

	(void)frame;
	if (err)
		return err;
	int64_t result = truncate_node(node, a[1]);
	node_put(node);
	return result;
}

int64_t call_ftruncate(const uint64_t *a, struct trap_frame *frame)
{
	struct open_file *file = fd_get(a[0]);

	(void)frame;
	if (!file)
		return -QUIRE_EBADF;
	int64_t result = file->flags & OPEN_ACCESS ? truncate_node(file->node, a[1]) : -QUIRE_EINVAL;
	open_put(file);
	return result;
}

#define ENTRY_HEAD 19 /* bytes of struct linux_dirent64 before the name */

int64_t call_getdents64(const uint64_t *a, struct trap_frame *frame)
{
	struct open_file *file = fd_get(a[0]);
	struct node node;
	char entry[ENTRY_HEAD + 256 + 8];
	uint64_t done = 0;

	(void)frame;
	if (!file)
		return -QUIRE_EBADF;
	if (!file->node || (file->node->mode & MODE_TYPE) != MODE_DIRECTORY) {
		open_put(file);
		return -ERROR_NOTDIR;
	}
	mutex_lock(&file->lock);
	while (tree_entry(file->node, file->offset, entry + ENTRY_HEAD, &node)) {
		uint16_t bytes = (uint16_t)((ENTRY_HEAD + strlen(entry + ENTRY_HEAD) + 1 + 7) & ~7ul);
		uint64_t next = file->offset + 1;

		memcpy(entry, &node.number, 8);
		memcpy(entry + 8, &next, 8);
		memcpy(entry + 16, &bytes, 2);
		entry[18] = (char)((node.mode & MODE_TYPE) >> 12);
		if (done + bytes > a[2] || copy_out(a[1] + done, entry, bytes))
			break;
		done += bytes;
		file->offset = next;
	}
	bool more = tree_entry(file->node, file->offset, entry, &node);
	mutex_unlock(&file->lock);
	open_put(file);
	return done || !more ? (int64_t)done : -QUIRE_EINVAL;
}

/* ---- descriptors ---------------------------------------------------------------------------------------- */

int64_t call_close(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return fd_close(a[0]);
}

int64_t call_dup(const uint64_t *a, struct trap_frame *frame)
{
	struct open_file *file = fd_get(a[0]);

	(void)frame;
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

int64_t call_dup2(const uint64_t *a, struct trap_frame *frame)
{
	struct open_file *file;

	(void)frame;
	if (a[0] != a[1])
		return dup_to(a[0], a[1], false);
	file = fd_get(a[0]);
	if (!file)
		return -QUIRE_EBADF;
	open_put(file);
	return (int64_t)a[1];
}

int64_t call_dup3(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return a[0] == a[1] ? -QUIRE_EINVAL : dup_to(a[0], a[1], (a[2] & OPEN_CLOSE_ON_EXEC) != 0);
}

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

int64_t call_pipe(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return pipe_make(a[0], 0);
}

int64_t call_pipe2(const uint64_t *a, struct trap_frame *frame)
{
	(void)frame;
	return pipe_make(a[0], (uint32_t)a[1]);
}

int64_t call_fcntl(const uint64_t *a, struct trap_frame *frame)
{
	enum { DUP = 0, GET_FD, SET_FD, GET_FLAGS, SET_FLAGS, DUP_CLOSE_ON_EXEC = 1030 };
	struct process *process = current()->process;
	struct open_file *file = fd_get(a[0]);
	uint64_t bit = 1ull << a[0] % 64;
	int64_t result = 0;

	(void)frame;
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
		quire_spin_lock(here(), &process->files_lock);
		process->close_on_exec[a[0] / 64] &= ~bit;
		if (a[2] & 1)
			process->close_on_exec[a[0] / 64] |= bit;
		quire_spin_unlock(here(), &process->files_lock);
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

int64_t call_ioctl(const uint64_t *a, struct trap_frame *frame)
{
	enum {
		TERMINAL_GET = 0x5401,
		TERMINAL_SET = 0x5402,
		TERMINAL_SET_FLUSH = 0x5404,
		WINDOW_SIZE = 0x5413
	};
	static const uint32_t modes[9] = { 0x500, 5, 0xbf, 0x8a3b }; /* struct termios of a cooked terminal */
	static const uint16_t size[4] = { 24, 80 };
	struct open_file *file = fd_get(a[0]);

	(void)frame;
	if (!file)
		return -QUIRE_EBADF;
	bool terminal = file->node && file->node->device == DEVICE_CONSOLE && boot_option("terminal");
	open_put(file);
	if (!terminal)
		return -ERROR_NOTTY;
	if (a[1] == TERMINAL_GET)
		return copy_out(a[2], modes, sizeof(modes));
	if (a[1] == WINDOW_SIZE)
		return copy_out(a[2], size, sizeof(size));
	return a[1] >= TERMINAL_SET && a[1] <= TERMINAL_SET_FLUSH ? 0 : -ERROR_NOTTY;
}

struct poll {
	int32_t fd;
	int16_t wanted, got;
};

enum { POLL_IN = 1, POLL_OUT = 4, POLL_INVALID = 0x20 };

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
		if (file)
			open_put(file);
		if (copy_out(at + i * sizeof(poll), &poll, sizeof(poll)))
			return -QUIRE_EFAULT;
		ready += poll.got != 0;
	}
	return ready;
}

/* Looks again at every tick: what it waits for has no common word to sleep on. */
int64_t call_poll(const uint64_t *a, struct trap_frame *frame)
{
	static _Atomic uint32_t never;
	uint64_t tick = 1000000000 / TICKS_PER_SECOND, now = time_monotonic();
	uint64_t end = (int)a[2] < 0 ? ~0ull : now + (uint64_t)(int)a[2] * 1000000;

	(void)frame;
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

int64_t call_getrandom(const uint64_t *a, struct trap_frame *frame)
{
	struct node *node;
	int err = tree_look(tree_root(), "/dev/urandom", LOOK_FOLLOW, &node, NULL);

	(void)frame;
	if (err)
		return err;
	struct open_file *file = open_node(node, 0);
	if (!file)
		return -QUIRE_ENOMEM;
	int64_t result = open_read(file, a[0], a[1] < 1 << 20 ? a[1] : 1 << 20, NULL);
	open_put(file);
	return result;
}
