/*
 * tree.c - the file tree: unpacked from the boot archive (cpio, "newc"), kept in memory from then on.
 *
 * A regular file is a file of the core's with the page cache as its only copy. What the archive has of it is
 * read in page by page when it is touched; a file that shrinks forgets the rest of that.
 *
 * Order:   tree_lock is a leaf. The store's calls come under the core's locks and take none.
 * Errors:  an archive that is damaged is a panic: there would be nothing to run.
 */
#include "fs.h"

static struct quire_spin tree_lock;
static struct node *root;
static _Atomic uint64_t next_number = 1;

const char *tree_boot_strings;
size_t tree_boot_bytes;

/* ---- the store ------------------------------------------------------------------------------------- */

static int store_read(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	struct node *node = data;
	uint64_t at = index * QUIRE_PAGE_SIZE;
	uint64_t left = at < node->data_bytes ? node->data_bytes - at : 0;

	(void)cpu, (void)file;
	if (left > QUIRE_PAGE_SIZE)
		left = QUIRE_PAGE_SIZE;
	memcpy(page, node->data + at, left);
	memset((char *)page + left, 0, QUIRE_PAGE_SIZE - left);
	return 0;
}

static int store_resize(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t bytes)
{
	struct node *node = data;

	(void)cpu, (void)file;
	if (node->data_bytes > bytes)
		node->data_bytes = bytes;
	return 0;
}

static const struct quire_store store = { .read = store_read, .resize = store_resize };

/* ---- nodes ----------------------------------------------------------------------------------------- */

static void node_free(struct node *node)
{
	if (node->name)
		kernel_free(node->name, strlen(node->name) + 1);
	if (node->link)
		kernel_free(node->link, strlen(node->link) + 1);
	kernel_free(node, sizeof(*node));
}

static char *copy_of(const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = kernel_alloc(bytes);

	if (copy)
		memcpy(copy, text, bytes);
	return copy;
}

/* With one reference. @link is a symbolic link's. */
static struct node *node_create(const char *name, uint32_t mode, const char *link, const char *data,
				uint64_t bytes)
{
	struct node *node = kernel_alloc(sizeof(*node));
	struct quire_cpu *cpu = here();

	if (!node)
		return NULL;
	node->mode = mode;
	node->refs = 1;
	node->data = data;
	node->data_bytes = bytes;
	node->name = copy_of(name);
	node->link = link ? copy_of(link) : NULL;
	node->number = atomic_fetch_add_explicit(&next_number, 1, memory_order_relaxed);
	node->changed = time_real() / 1000000000;
	if (!node->name || (link && !node->link) ||
	    ((mode & MODE_TYPE) == MODE_FILE &&
	     quire_file_create(&cpu, &store, node, QUIRE_FILE_READ | QUIRE_FILE_WRITE, bytes, node->number,
			       &node->file))) {
		node_free(node);
		return NULL;
	}
	return node;
}

struct node *node_get(struct node *node)
{
	spin_lock(&tree_lock);
	node->refs++;
	spin_unlock(&tree_lock);
	return node;
}

void node_put(struct node *node)
{
	struct quire_cpu *cpu = here();

	spin_lock(&tree_lock);
	bool last = --node->refs == 0;
	spin_unlock(&tree_lock);
	if (!last)
		return;
	if (node->file)
		quire_file_put(&cpu, node->file);
	node_free(node);
}

/* ---- looking up: under tree_lock ------------------------------------------------------------------- */

static struct node *child(struct node *directory, const char *name, size_t length)
{
	for (struct node *node = directory->first; node; node = node->next)
		if (strlen(node->name) == length && memcmp(node->name, name, length) == 0)
			return node;
	return NULL;
}

/* Every directory has them, and no node is called so. */
static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

struct look {
	struct node *at;
	unsigned how, links, depth; /* links followed; those that we are within */
	char *name;		    /* LOOK_PARENT's */
};

static int look_path(struct look *look, const char *path);

static int look_component(struct look *look, const char *name, size_t length, bool last)
{
	if ((look->at->mode & MODE_TYPE) != MODE_DIRECTORY)
		return -ERROR_NOTDIR;
	if (length == 1 && name[0] == '.')
		return 0;
	if (length == 2 && name[0] == '.' && name[1] == '.') {
		if (look->at->parent)
			look->at = look->at->parent;
		return 0;
	}
	struct node *next = child(look->at, name, length);
	if (!next)
		return -QUIRE_ENOENT;
	if ((next->mode & MODE_TYPE) == MODE_LINK && (!last || look->depth || (look->how & LOOK_FOLLOW))) {
		if (++look->links > 16)
			return -ERROR_LOOP;
		look->depth++;
		int err = look_path(look, next->link);
		look->depth--;
		return err;
	}
	look->at = next;
	return 0;
}

static int look_path(struct look *look, const char *path)
{
	if (*path == '/')
		look->at = root;
	for (;;) {
		size_t length = 0, after;

		while (*path == '/')
			path++;
		if (!*path)
			return 0;
		while (path[length] && path[length] != '/')
			length++;
		for (after = length; path[after] == '/';)
			after++;
		bool last = !path[after];
		if (last && (look->how & LOOK_PARENT) && look->depth == 0) {
			if (length > 255)
				return -ERROR_NAMETOOLONG;
			memcpy(look->name, path, length);
			look->name[length] = '\0';
			return (look->at->mode & MODE_TYPE) == MODE_DIRECTORY ? 0 : -ERROR_NOTDIR;
		}
		int err = look_component(look, path, length, last && after == length);
		if (err)
			return err;
		path += length;
		if (*path && (look->at->mode & MODE_TYPE) != MODE_DIRECTORY)
			return -ERROR_NOTDIR;
	}
}

int tree_look(struct node *from, const char *path, unsigned how, struct node **out, char *name)
{
	struct look look = { .at = from, .how = how, .name = name };

	if (!*path)
		return -QUIRE_ENOENT;
	if (how & LOOK_PARENT)
		*name = '\0';
	spin_lock(&tree_lock);
	int err = look_path(&look, path);
	if (!err) {
		look.at->refs++;
		*out = look.at;
	}
	spin_unlock(&tree_lock);
	if (!err && (how & LOOK_PARENT) && (!*name || is_dots(name))) { /* a directory that is there */
		node_put(*out);
		return -QUIRE_EEXIST;
	}
	return err;
}

/* ---- changing -------------------------------------------------------------------------------------- */

static void attach(struct node *directory, struct node *node)
{
	struct node **link = &directory->first;

	while (*link)
		link = &(*link)->next;
	node->next = NULL;
	node->parent = directory;
	*link = node;
}

static void detach(struct node *node)
{
	struct node **link = &node->parent->first;

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	node->next = NULL;
	node->parent = NULL;
}

/* Put a new node into the tree. @out, if wanted, comes with a reference. */
static int insert(struct node *directory, struct node *node, struct node **out)
{
	int err = 0;

	if (!node)
		return -QUIRE_ENOMEM;
	spin_lock(&tree_lock);
	if (child(directory, node->name, strlen(node->name)))
		err = -QUIRE_EEXIST;
	else if (directory != root && !directory->parent)
		err = -QUIRE_ENOENT; /* it was removed */
	else
		attach(directory, node);
	if (!err && out) {
		node->refs++;
		*out = node;
	}
	spin_unlock(&tree_lock);
	if (err)
		node_put(node);
	return err;
}

int tree_create(struct node *directory, const char *name, uint32_t mode, struct node **out)
{
	return insert(directory, node_create(name, mode, NULL, NULL, 0), out);
}

int tree_link_symbolic(struct node *directory, const char *name, const char *to)
{
	return insert(directory, node_create(name, MODE_LINK | 0777, to, NULL, 0), NULL);
}

int tree_remove(struct node *directory, const char *name, bool want_directory)
{
	int err = 0;

	spin_lock(&tree_lock);
	struct node *node = child(directory, name, strlen(name));
	if (!node)
		err = -QUIRE_ENOENT;
	else if (want_directory && (node->mode & MODE_TYPE) != MODE_DIRECTORY)
		err = -ERROR_NOTDIR;
	else if (!want_directory && (node->mode & MODE_TYPE) == MODE_DIRECTORY)
		err = -ERROR_ISDIR;
	else if (node->first)
		err = -ERROR_NOTEMPTY;
	else
		detach(node);
	spin_unlock(&tree_lock);
	if (!err)
		node_put(node);
	return err;
}

static bool is_directory(const struct node *node)
{
	return (node->mode & MODE_TYPE) == MODE_DIRECTORY;
}

static bool is_above(const struct node *node, const struct node *other)
{
	for (; other; other = other->parent)
		if (other == node)
			return true;
	return false;
}

int tree_rename(struct node *from, const char *name, struct node *to, const char *new_name)
{
	char *copy = copy_of(new_name);
	struct node *replaced = NULL;
	int err = 0;

	if (!copy)
		return -QUIRE_ENOMEM;
	spin_lock(&tree_lock);
	struct node *node = child(from, name, strlen(name));
	replaced = child(to, new_name, strlen(new_name));
	if (!node)
		err = -QUIRE_ENOENT;
	else if (is_above(node, to) || (to != root && !to->parent))
		err = -QUIRE_EINVAL;
	else if (replaced && is_directory(node) != is_directory(replaced))
		err = is_directory(node) ? -ERROR_NOTDIR : -ERROR_ISDIR;
	else if (replaced && replaced->first)
		err = -ERROR_NOTEMPTY;
	if (err || replaced == node) {
		replaced = NULL;
	} else {
		if (replaced)
			detach(replaced);
		detach(node);
		char *old = node->name;
		node->name = copy;
		copy = old;
		attach(to, node);
	}
	spin_unlock(&tree_lock);
	kernel_free(copy, strlen(copy) + 1);
	if (replaced)
		node_put(replaced);
	return err;
}

/* ---- looking --------------------------------------------------------------------------------------- */

struct node *tree_root(void)
{
	return root;
}

void tree_name(struct node *node, char *to, size_t room)
{
	spin_lock(&tree_lock);
	copy_string(to, node->name, room);
	spin_unlock(&tree_lock);
}

size_t tree_path(struct node *node, char *to, size_t room)
{
	size_t at = room;

	spin_lock(&tree_lock);
	for (; node != root && node->parent && at; node = node->parent) {
		size_t length = strlen(node->name);

		if (length + 1 >= at) {
			at = 0;
			break;
		}
		at -= length;
		memcpy(to + at, node->name, length);
		to[--at] = '/';
	}
	spin_unlock(&tree_lock);
	if (!at)
		return 0;
	if (at == room)
		to[--at] = '/';
	size_t length = room - at;
	if (length == room)
		return 0;
	memmove(to, to + at, length);
	to[length] = '\0';
	return length;
}

bool tree_entry(struct node *directory, uint64_t index, char *name, struct node *copy)
{
	struct node *node;

	spin_lock(&tree_lock);
	if (index < 2) {
		node = index && directory->parent ? directory->parent : directory;
		copy_string(name, index ? ".." : ".", 3);
	} else {
		node = directory->first;
		for (index -= 2; node && index; index--)
			node = node->next;
		if (node)
			copy_string(name, node->name, 256);
	}
	if (node)
		*copy = *node;
	spin_unlock(&tree_lock);
	return node != NULL;
}

/* ---- the archive ----------------------------------------------------------------------------------- */

#define HEADER_BYTES 110
#define BOOT_STRINGS ".quire-boot" /* what to run: `quire boot` packs it */

static uint64_t hex(const char *text)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		unsigned digit = (unsigned char)text[i];

		value = value << 4 | (digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
	}
	return value;
}

/* The directory that @path is in, made if it is not there. */
static struct node *make_way(const char *path, char *name)
{
	struct node *directory = root;

	for (;;) {
		size_t length = 0;

		while (*path == '/')
			path++;
		while (path[length] && path[length] != '/')
			length++;
		if (length > 255)
			kernel_panic("the archive has too long a name");
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		if (!*path)
			return directory;
		if (is_dots(name)) {
			if (name[1] && directory->parent)
				directory = directory->parent;
			continue;
		}
		struct node *next = child(directory, name, length);
		if (!next) {
			next = node_create(name, MODE_DIRECTORY | 0755, NULL, NULL, 0);
			if (!next)
				kernel_panic("there is no memory for the file tree");
			attach(directory, next);
		}
		directory = next;
	}
}

static void unpack(const char *path, uint32_t mode, const char *data, uint64_t bytes)
{
	char name[256], link[PATH_BYTES];

	if (strcmp(path, BOOT_STRINGS) == 0) {
		tree_boot_strings = data;
		tree_boot_bytes = bytes;
		return;
	}
	struct node *directory = make_way(path, name);
	if (!*name || is_dots(name) || child(directory, name, strlen(name)))
		return;
	bool is_link = (mode & MODE_TYPE) == MODE_LINK;
	if (is_link) {
		size_t length = bytes < PATH_BYTES ? bytes : PATH_BYTES - 1;

		memcpy(link, data, length);
		link[length] = '\0';
	}
	bool has_data = (mode & MODE_TYPE) == MODE_FILE;
	struct node *node = node_create(name, mode, is_link ? link : NULL, has_data ? data : NULL,
					has_data ? bytes : 0);
	if (!node)
		kernel_panic("there is no memory for the file tree");
	attach(directory, node);
}

static void unpack_all(const char *archive, uint64_t bytes)
{
	uint64_t at = 0;

	while (at + HEADER_BYTES <= bytes && memcmp(archive + at, "070701", 6) == 0) {
		const char *header = archive + at;
		uint64_t size = hex(header + 54), name_bytes = hex(header + 94);
		uint64_t data = (at + HEADER_BYTES + name_bytes + 3) & ~3ull;

		if (!name_bytes || data + size > bytes || header[HEADER_BYTES + name_bytes - 1])
			kernel_panic("the archive of files is damaged");
		if (strcmp(header + HEADER_BYTES, "TRAILER!!!") == 0)
			return;
		unpack(header + HEADER_BYTES, (uint32_t)hex(header + 14), archive + data, size);
		at = (data + size + 3) & ~3ull;
	}
	kernel_panic("the archive of files has no end");
}

static void make_device(const char *path, enum device device)
{
	char name[256];
	struct node *directory = make_way(path, name), *node = child(directory, name, strlen(name));

	if (node && (node->mode & MODE_TYPE) == MODE_DEVICE) {
		node->device = device;
		return;
	}
	if (node)
		return;
	node = node_create(name, MODE_DEVICE | 0666, NULL, NULL, 0);
	if (!node)
		kernel_panic("there is no memory for the file tree");
	node->device = device;
	attach(directory, node);
}

void tree_start(void)
{
	char name[256];

	root = node_create("", MODE_DIRECTORY | 0755, NULL, NULL, 0);
	if (!root)
		kernel_panic("there is no memory for the file tree");
	if (boot_info.archive_bytes)
		unpack_all(direct(boot_info.archive), boot_info.archive_bytes);
	make_device("/dev/console", DEVICE_CONSOLE);
	make_device("/dev/tty", DEVICE_CONSOLE);
	make_device("/dev/null", DEVICE_NULL);
	make_device("/dev/zero", DEVICE_ZERO);
	make_device("/dev/random", DEVICE_RANDOM);
	make_device("/dev/urandom", DEVICE_RANDOM);
	make_way("/tmp/x", name);
}

/* Nobody runs any more. */
static void drop_pages(struct node *node)
{
	struct quire_cpu *cpu = here();

	if (node->file)
		quire_file_truncate(&cpu, node->file, 0);
	for (struct node *next = node->first; next; next = next->next)
		drop_pages(next);
}

void tree_end(void)
{
	drop_pages(root);
}
