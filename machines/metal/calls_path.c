/*
 * calls_path.c - the calls that name files: opening, looking, and changing the tree.
 */
#include "calls.h"

#define AT_CWD (-100)
#define AT_NOFOLLOW 0x100u
#define AT_REMOVEDIR 0x200u
#define AT_EMPTY_PATH 0x1000u

/* ---- paths ----------------------------------------------------------------------------------------- */

/* The directory that a path at @fd begins in, with a reference. */
static int start_of(int fd, struct node **out)
{
	struct open_file *file;

	if (fd == AT_CWD) {
		spin_lock(&current()->process->files_lock);
		*out = node_get(current()->process->cwd);
		spin_unlock(&current()->process->files_lock);
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

CALL_IS(open, open_at(AT_CWD, a[0], (uint32_t)a[1], (uint32_t)a[2]))
CALL_IS(openat, open_at((int)a[0], a[1], (uint32_t)a[2], (uint32_t)a[3]))

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

CALL_IS(stat, stat_at(AT_CWD, a[0], a[1], LOOK_FOLLOW))
CALL_IS(lstat, stat_at(AT_CWD, a[0], a[1], 0))
CALL_IS(fstat, stat_open(a[0], a[1]))

int64_t call_newfstatat(const uint64_t *a)
{
	char first;

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

CALL_IS(access, access_at(AT_CWD, a[0], a[1]))
CALL_IS(faccessat, access_at((int)a[0], a[1], a[2]))
CALL_IS(faccessat2, access_at((int)a[0], a[1], a[2]))

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

CALL_IS(readlink, readlink_at(AT_CWD, a[0], a[1], a[2]))
CALL_IS(readlinkat, readlink_at((int)a[0], a[1], a[2], a[3]))

int64_t call_getcwd(const uint64_t *a)
{
	char text[PATH_BYTES];
	struct node *cwd;

	start_of(AT_CWD, &cwd);
	size_t length = tree_path(cwd, text, sizeof(text));
	node_put(cwd);
	if (!length)
		return -QUIRE_ENOENT;
	if (length + 1 > a[1])
		return -ERROR_RANGE;
	return copy_out(a[0], text, length + 1) ? -QUIRE_EFAULT : (int64_t)length + 1;
}

int64_t call_chdir(const uint64_t *a)
{
	struct process *process = current()->process;
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

	if (err)
		return err;
	if ((node->mode & MODE_TYPE) != MODE_DIRECTORY) {
		node_put(node);
		return -ERROR_NOTDIR;
	}
	spin_lock(&process->files_lock);
	struct node *old = process->cwd;
	process->cwd = node;
	spin_unlock(&process->files_lock);
	node_put(old);
	return 0;
}

/* ---- changing the tree ----------------------------------------------------------------------------- */

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

CALL_IS(mkdir, mkdir_at(AT_CWD, a[0], a[1]))
CALL_IS(mkdirat, mkdir_at((int)a[0], a[1], a[2]))

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

CALL_IS(unlink, remove_at(AT_CWD, a[0], false))
CALL_IS(rmdir, remove_at(AT_CWD, a[0], true))
CALL_IS(unlinkat, remove_at((int)a[0], a[1], (a[2] & AT_REMOVEDIR) != 0))

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

CALL_IS(rename, rename_at(AT_CWD, a[0], AT_CWD, a[1]))
CALL_IS(renameat, rename_at((int)a[0], a[1], (int)a[2], a[3]))
CALL_IS(renameat2, a[4] ? -QUIRE_EINVAL : rename_at((int)a[0], a[1], (int)a[2], a[3]))

int64_t call_symlink(const uint64_t *a)
{
	char to[PATH_BYTES], name[256];
	struct node *directory;
	int64_t length = copy_in_string(to, a[0], sizeof(to));
	int err = length < 0 ? (int)length : look(AT_CWD, a[1], LOOK_PARENT, &directory, name);

	if (err)
		return err;
	err = tree_link_symbolic(directory, name, to);
	node_put(directory);
	return err;
}

int64_t call_chmod(const uint64_t *a)
{
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

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

int64_t call_truncate(const uint64_t *a)
{
	struct node *node;
	int err = look(AT_CWD, a[0], LOOK_FOLLOW, &node, NULL);

	if (err)
		return err;
	int64_t result = truncate_node(node, a[1]);
	node_put(node);
	return result;
}

int64_t call_ftruncate(const uint64_t *a)
{
	struct open_file *file = fd_get(a[0]);

	if (!file)
		return -QUIRE_EBADF;
	int64_t result = file->flags & OPEN_ACCESS ? truncate_node(file->node, a[1]) : -QUIRE_EINVAL;
	open_put(file);
	return result;
}

#define ENTRIES_MOST 32768ul /* bytes at once: every entry is looked for from the first on */
#define ENTRY_HEAD 19	     /* bytes of struct linux_dirent64 before the name */

int64_t call_getdents64(const uint64_t *a)
{
	struct open_file *file = fd_get(a[0]);
	struct node node;
	char entry[ENTRY_HEAD + 256 + 8];
	uint64_t done = 0, room = a[2] < ENTRIES_MOST ? a[2] : ENTRIES_MOST;

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
		if (done + bytes > room || copy_out(a[1] + done, entry, bytes))
			break;
		done += bytes;
		file->offset = next;
	}
	bool more = tree_entry(file->node, file->offset, entry, &node);
	mutex_unlock(&file->lock);
	open_put(file);
	return done || !more ? (int64_t)done : -QUIRE_EINVAL;
}
