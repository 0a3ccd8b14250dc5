/*
 * fs.h - the file tree in memory, what is open, and pipes.
 */
#ifndef METAL_FS_H
#define METAL_FS_H

#include "process.h"

#define MODE_TYPE 0170000u
#define MODE_DIRECTORY 0040000u
#define MODE_FILE 0100000u
#define MODE_LINK 0120000u
#define MODE_DEVICE 0020000u
#define MODE_PIPE 0010000u

enum {
	OPEN_WRITE_ONLY = 01,
	OPEN_READ_WRITE = 02,
	OPEN_ACCESS = 03,
	OPEN_CREATE = 0100,
	OPEN_EXCLUSIVE = 0200,
	OPEN_TRUNCATE = 01000,
	OPEN_APPEND = 02000,
	OPEN_NONBLOCK = 04000,
	OPEN_DIRECTORY = 0200000,
	OPEN_NOFOLLOW = 0400000,
	OPEN_CLOSE_ON_EXEC = 02000000,
};

/* Errors beside the core's. */
enum {
	ERROR_2BIG = 7,
	ERROR_NOEXEC = 8,
	ERROR_CHILD = 10,
	ERROR_NOTDIR = 20,
	ERROR_ISDIR = 21,
	ERROR_MFILE = 24,
	ERROR_NOTTY = 25,
	ERROR_SPIPE = 29,
	ERROR_PIPE = 32,
	ERROR_RANGE = 34,
	ERROR_NAMETOOLONG = 36,
	ERROR_NOSYS = 38,
	ERROR_NOTEMPTY = 39,
	ERROR_LOOP = 40,
	ERROR_TIMEDOUT = 110,
};

enum device { DEVICE_CONSOLE = 1, DEVICE_NULL, DEVICE_ZERO, DEVICE_RANDOM };

#define PATH_BYTES 1024

/* Locks:  T  tree_lock	   C  constant    D  the file's own, by way of the store's calls */
struct node {
	struct node *parent, *next, *first; /* T; NULL parent: the root, or taken out of the tree */
	char *name;			    /* T */
	char *link;			    /* C: of a symbolic link */
	struct quire_file *file;	    /* C: of a regular file */
	const char *data;		    /* C: what the archive has of it */
	uint64_t data_bytes;		    /* D */
	uint32_t mode;			    /* C but for the permissions */
	uint32_t refs;			    /* T; the tree's own is one */
	enum device device;		    /* C */
	uint64_t number;		    /* C */
	uint64_t changed;		    /* seconds; of no consequence */
};

struct pipe {
	struct quire_spin lock;
	char *bytes;
	uint32_t first, last;	   /* lock; first to last, modulo the size */
	uint32_t readers, writers; /* lock */
	_Atomic uint32_t event;	   /* moves at every change */
};

struct open_file {
	_Atomic uint32_t refs;
	uint32_t flags; /* OPEN_* */
	struct node *node;
	struct pipe *pipe;
	struct mutex lock; /* protects the offset */
	uint64_t offset;
	uint64_t number; /* of this opening */
};

/* ---- tree.c: all but tree_start() and node_put() do not sleep -------------------------------------- */

void tree_start(void); /* unpacks the archive */
void tree_end(void);   /* drops every page, so that the frames can be counted */
extern const char *tree_boot_strings;
extern size_t tree_boot_bytes;

enum { LOOK_FOLLOW = 1, LOOK_PARENT = 2 };

/*
 * Find @path, from @from on if it is relative. With LOOK_PARENT the directory that it is or would be in, and
 * its last component in @name. The node comes with a reference. Returns 0 or -errno.
 */
int tree_look(struct node *from, const char *path, unsigned how, struct node **out, char *name);
struct node *node_get(struct node *node);
void node_put(struct node *node);
int tree_create(struct node *directory, const char *name, uint32_t mode, struct node **out);
int tree_link_symbolic(struct node *directory, const char *name, const char *to);
int tree_remove(struct node *directory, const char *name, bool want_directory);
int tree_rename(struct node *from, const char *name, struct node *to, const char *new_name);
void tree_name(struct node *node, char *to, size_t room);   /* without its directory; cut to fit */
size_t tree_path(struct node *node, char *to, size_t room); /* its length; 0: does not fit */
/* The @index-th entry of a directory. False: there is none. */
bool tree_entry(struct node *directory, uint64_t index, char *name, struct node *copy);
struct node *tree_root(void);

/* ---- open.c ---------------------------------------------------------------------------------------- */

struct open_file *open_node(struct node *node,
			    uint32_t flags); /* takes over the reference; NULL: no memory */
struct open_file *open_get(struct open_file *file);
void open_put(struct open_file *file);
int64_t open_read(struct open_file *file, quire_vaddr to, size_t bytes, const uint64_t *at);
int64_t open_write(struct open_file *file, quire_vaddr from, size_t bytes, const uint64_t *at);
bool open_ready(struct open_file *file, bool to_write);
bool open_ended(struct open_file *file); /* a pipe that has no other end any more */
int pipe_create(struct open_file **reader, struct open_file **writer);

/* Descriptors of the current process. */
struct open_file *fd_get(uint64_t fd); /* with a reference; NULL: EBADF */
int fd_install(struct open_file *file, unsigned lowest, bool close_on_exec); /* takes over the reference */
int fd_install_at(struct open_file *file, unsigned fd, bool close_on_exec);
int fd_close(uint64_t fd);
void fd_copy_all(struct process *to, struct process *from);
void fd_close_all(struct process *process);
void fd_close_on_exec(struct process *process);

#endif
