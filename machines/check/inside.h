/*
 * inside.h - the check machine's insides, for the files that make it.
 *
 *	machine.c	putting it together; freezing, resetting; who is which thread; the end
 *	heap.c		small objects: per-thread heaps, freed ones poisoned
 *	locks.c		spin locks and rwlocks as conditions	rwlock.c	core/base/sync.h on top of it
 *	lockorder.c	classes of locks, and the graph of their orders
 *	sleep.c		waits and wakes, the short wait, events
 *	ipi.c, rcu.c	interrupts; grace periods
 *	copy.c		copies and fills of frames' contents
 *	history.c	what every word of physical memory held, since when
 *	frames.c	lives of frames: from a reference count of zero to the next
 *	mmu.c		roots and flushes	walk.c		what a CPU may have cached
 *	access.c	a program's loads and stores
 *	oracle.c	what must hold of a translation that is used; calls; the end's accounts
 *	device.c	secondary MMUs
 *	describe.c	names of places		notes.c		what a step did
 *
 * Time. Every event that a translation's legality may depend on (a word written, a root loaded, a flush, an
 * access) has a number, in the order in which they happen: machine->time.
 *
 * State. What an execution changes is either in the arena and copied back, or in arrays that only grow and
 * are cut to where they were. All of it is listed for images (machine_image()), from which executions go on
 * in the midst.
 */
#ifndef CHECK_INSIDE_H
#define CHECK_INSIDE_H

#include "machine.h"

#include "../../core/phys/folio.h"
#include "../../core/space/mm.h"

#include <quire/port.h>

enum {
	COLUMNS = 8, /* CPUs that a file may name, at most */
	CPUS = COLUMNS + 1,
	OUTSIDE = ENGINE_THREADS, /* the "thread" that does what is not scheduled */
	LOOKS = 160,		  /* a walk of a file with several mappings is a turn too */
	FRAMES = 4096,		  /* at most */
	HELD = 24,		  /* locks that one thread holds at a time */
	NOBODY = 255,
	FOREVER = -1, /* an end of time: UINT32_MAX */
	WORD = 8,     /* bytes of physical memory whose history is kept together */
};

/* Locations that are no addresses. */
enum place {
	PLACE_QUEUE = 0x40, /* of a word's waiters; below are memory.h's marks */
	PLACE_WAITERS,	    /* the same; the other is its lock, and what it orders */
	PLACE_WOKEN,	    /* of a thread */
	PLACE_READERS,	    /* of a lock: what its readers have done, for the next writer */
	PLACE_WRITERS,	    /* of a lock: whether one waits */
	PLACE_TLB,	    /* of a CPU */
	PLACE_ORDER,	    /* of a word of a table: its entry goes, or a flush covers it */
	PLACE_ORDERS,	    /* of all words: the same */
	PLACE_RETURN,	    /* of a page of an mm: a call returns, or a stale translation is used */
	PLACE_RETURNS,	    /* of a whole mm */
	PLACE_IPI,	    /* of a target */
	PLACE_ACK,	    /* of a sender */
	PLACE_READER,	    /* of a thread: its read-side section */
	PLACE_CALLBACKS,
	PLACE_GRACE,
	PLACE_DEVICE, /* its owner's lock */
	PLACE_EVENT,  /* posted */
	PLACE_DRAIN,  /* of a thread: its store buffer is written out */
};

static inline uintptr_t place(enum place kind, uintptr_t what)
{
	return (uintptr_t)kind << 56 | (what & ((1ul << 56) - 1));
}

static inline enum place place_kind(uintptr_t location)
{
	return (enum place)(location >> 56);
}

static inline uintptr_t place_what(uintptr_t location)
{
	return location & ((1ul << 56) - 1);
}

/* ---- parts ------------------------------------------------------------------------------------------ */

enum held_how { HELD_SPIN, HELD_READ, HELD_WRITE, HELD_FOLIO };

struct held {
	uintptr_t lock;
	enum held_how how;
	uint8_t class;
	uint32_t step; /* in which it was taken */
};

struct thread_state {
	struct held held[HELD];
	unsigned held_count, spins;
	void *wants; /* a lock, while its transition is not chosen */
	unsigned rcu_depth;
	uint32_t rcu_since;  /* time at which the outermost section began */
	uintptr_t waits_for; /* word; 0: does not wait */
	bool woken;
	unsigned relaxes;
	uint32_t relaxed_at;   /* step of the last one */
	uintptr_t look[LOOKS]; /* while it waits so: what it had looked at */
	unsigned looks;
	uint32_t changed;    /* a bit for each of these that was changed since */
	const char *blocked; /* what for, for reports; NULL */
	uintptr_t blocked_on;
	int call;				       /* of machine_call_begin(), -1: none */
	struct quire_rcu *callbacks, **callbacks_last; /* handed in by this thread, oldest first */
};

struct check_cpu {
	unsigned id;
	struct quire_cpu *cpu;
};

struct ipi {
	void (*handler)(struct quire_cpu *cpu, void *argument);
	void *argument;
	uint32_t targets; /* that have not run it yet */
};

/* What a word of physical memory held. */
struct version {
	uint64_t value;
	uint32_t from;	 /* when it was written */
	uint32_t before; /* the version before it; 0: the first */
	uint32_t step;
	uint32_t life;	 /* of the frame that the word is in, then */
	uint32_t target; /* life of the frame that the value leads to if it is a present entry */
	uint8_t thread;
};

struct history {
	uint32_t words;
	uint32_t *newest, *frozen; /* of each word, a version */
	struct version *version;   /* [0]: what memory held at first */
	uint32_t count, room, frozen_count;
	uint32_t *dirty; /* words with versions of this execution */
	uint32_t dirty_count;
};

/*
 * A frame from the moment its count leaves zero to the moment it is zero again. Tails live with their head.
 */
struct life {
	uint32_t number;    /* of this life, or of the last one; 0: never lived */
	bool alive, locked; /* the folio lock */
	uint8_t thread;	    /* who began or ended it */
	uint32_t step, since;
	uintptr_t parent; /* a table: the slot that leads here, as last written; 0 */
	uint32_t stored;  /* by the program, last, in this execution */
	uint32_t cleaned; /* its folio last lost DIRTY */
	bool dirty;	  /* has it */
};

struct window { /* a root was loaded on a CPU */
	uint32_t from, to;
	quire_pfn root;
	uint32_t life; /* the root's */
	unsigned asid;
};

struct flush_record {
	uint32_t at, step;
	unsigned asid;
	bool fault; /* not a flush, but a page fault, which drops what is cached for its address */
	quire_vaddr start, end;
};

struct mmu {
	struct window *window;
	uint32_t windows, window_room, frozen_windows;
	struct flush_record *flush;
	uint32_t flushes, flush_room, frozen_flushes;
};

struct call { /* of the core, by a column */
	struct quire_mm *mm;
	quire_vaddr start, end;
	const char *what;
	unsigned takes; /* accesses, a bit each */
	uint8_t thread;
	uint32_t begin, end_at, step; /* end_at FOREVER: not returned */
};

/* Each return is a step, so that no execution has room for more; and a call each that has not returned. */
enum { CALLS = ENGINE_STEPS + ENGINE_THREADS };

enum { DEVICES = 4, DEVICE_ENTRIES = 8 };

/* Lies in the arena. */
struct device {
	struct quire_notifier notifier;
	struct quire_mm *mm; /* NULL: not open */
	unsigned index, count;
	struct device_entry {
		quire_vaddr va;
		quire_pfn pfn;
		uint32_t life;
		bool writable;
	} entry[DEVICE_ENTRIES];
};

struct machine {
	struct machine_config config;
	struct quire *quire;
	struct check_cpu cpu[CPUS]; /* columns, then the service CPU */
	struct quire_cpu *handle[CPUS];
	unsigned cpus; /* columns */
	unsigned threads, first_handler, first_buffer, grace_agent, first_walker;
	char *arena, *memory, *metadata, *heaps;
	size_t arena_bytes, memory_bytes, metadata_bytes;
	struct folio *folios;
	char *frozen_memory, *frozen_metadata;
	bool frozen;
	struct folio *hog; /* frames taken away so that memory is scarce, linked by lru.next */
	uint64_t objects_at_first;

	uint32_t frozen_time;
	struct life *frozen_life;
	struct device *device[DEVICES];
	quire_pfn probed; /* within a step: does a walk reach this table? */
	bool probe_hit;

	/* What executions change, see machine_image(). */
	struct history history;
	struct life *life;
	struct mmu mmu[CPUS];
	struct call call[CALLS];
	struct thread_state thread[ENGINE_THREADS + 1];
	/* from here to the end as a whole: */
	uint32_t calls;
	struct ipi ipi[ENGINE_THREADS + 1]; /* by sender */
	uint32_t time;
	unsigned held;		  /* locks, by all threads */
	unsigned relaxing;	  /* threads in a short wait */
	uint8_t interrupts[CPUS]; /* pending, of each target */
	uint32_t grace_waits;	  /* threads that were in a section when the grace period began */
	struct quire_rcu *grace_batch;
	bool grace;
};

extern struct machine *machine_now;

/* ---- machine.c -------------------------------------------------------------------------------------- */

static inline unsigned self(void)
{
	return engine_now ? engine_self() : OUTSIDE;
}

static inline struct thread_state *here(void)
{
	return &machine_now->thread[self()];
}

static inline bool is_handler(const struct machine *machine, unsigned thread)
{
	return thread >= machine->first_handler && thread < machine->first_handler + machine->cpus;
}

struct check_cpu *cpu_of(const struct quire_cpu *cpu);
unsigned cpu_of_thread(const struct machine *machine, unsigned thread);
unsigned actor(void);	       /* the thread whose doing it is: of a store buffer, its CPU's */
bool is_drained(void *thread); /* a condition: the store buffer of that thread_state's CPU is empty */
const char *thread_name(unsigned thread);
void machine_look(struct machine *machine); /* set-up: note whatever has changed */

/* A violation outside a run too: set-up must not violate anything, and ends the process. */
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* In the end's accounts: straight to their end. Elsewhere nothing. */
void machine_escape(void);

/* The end of a transition's begin(): what the thread waits for, for reports of deadlocks. */
void block_on(const char *what, uintptr_t where);

/* ---- heap.c ----------------------------------------------------------------------------------------- */

void heap_create(struct machine *machine, char *base);
size_t heap_bytes(void); /* of all heaps */
void heap_freeze(struct machine *machine);
void heap_reset(struct machine *machine);
void heap_image(struct machine *machine, struct image *image);
void heap_destroy(struct machine *machine);
/* Where it was allocated: the call of the port's, the call of what called that, and so on. */
struct heap_sites {
	unsigned count;
	const void *code[3];
};
void *heap_alloc(size_t bytes, const struct heap_sites *sites); /* NULL: by nobody of the core */
void heap_free(void *object, size_t bytes);
/* The object that @address is in: its start, size and state. */
bool heap_find(uintptr_t address, uintptr_t *start, size_t *bytes, bool *freed);
const struct heap_sites *heap_sites(uintptr_t start);
void heap_changed(uintptr_t address);

/* ---- locks.c ---------------------------------------------------------------------------------------- */

void locks_reset(struct machine *machine);
void locks_image(struct image *image);
void lock_born(uintptr_t at); /* held for writing by its maker */
void lock_exclusive(unsigned what, uintptr_t lock, enum held_how how);
void lock_exclusive_from(unsigned what, uintptr_t lock, enum held_how how, const void *code);
bool lock_try_exclusive(unsigned what, uintptr_t lock, enum held_how how);
void unlock_exclusive(unsigned what, uintptr_t lock);
void lock_shared(unsigned what, uintptr_t lock);
void lock_shared_from(unsigned what, uintptr_t lock, const void *code);
bool lock_try_shared(unsigned what, uintptr_t lock);
void unlock_shared(unsigned what, uintptr_t lock);
bool lock_is_held_exclusive(uintptr_t lock);
uintptr_t lock_held_within(uintptr_t start, size_t bytes); /* 0: none */
void folio_lock_changed(uintptr_t flags, bool locked);
void must_not_sleep(const char *what); /* a violation when the thread may not */
bool locks_are_free(const char **which);

/* ---- lockorder.c ------------------------------------------------------------------------------------ */

unsigned class_of(uintptr_t lock, enum held_how how);
const char *class_name(unsigned class);
void order_check(const struct held *held, unsigned count, uintptr_t lock, unsigned class, enum held_how how);
void order_sleep(const struct held *held, unsigned count, uintptr_t word);

/* ---- sleep.c, ipi.c, rcu.c, copy.c ------------------------------------------------------------------ */

void relax_changed(uintptr_t address);
void ipi_agent(struct machine *machine, unsigned thread);
void grace_agent(struct machine *machine);
void rcu_run_all(struct machine *machine);
bool rcu_is_idle(const struct machine *machine);

/* ---- history.c -------------------------------------------------------------------------------------- */

int history_create(struct machine *machine);
void history_destroy(struct machine *machine);
void history_freeze(struct machine *machine);
void history_reset(struct machine *machine);
void history_image(struct machine *machine, struct image *image);
/* Physical memory [address, address + bytes) may have changed: note it. */
void history_note(uintptr_t address, size_t bytes);
const struct version *history_newest(uintptr_t address);
static inline const struct version *history_version(uint32_t index)
{
	return &machine_now->history.version[index];
}
uint32_t history_index(uintptr_t address);

static inline bool is_physical(const struct machine *machine, uintptr_t address)
{
	return address - (uintptr_t)machine->memory < machine->memory_bytes;
}

static inline quire_pfn frame_of(const struct machine *machine, uintptr_t address)
{
	return (address - (uintptr_t)machine->memory) >> QUIRE_PAGE_SHIFT;
}

static inline uintptr_t address_of(const struct machine *machine, quire_pfn pfn)
{
	return (uintptr_t)machine->memory + (pfn << QUIRE_PAGE_SHIFT);
}

static inline uintptr_t slot_address(const struct machine *machine, quire_pfn table, quire_vaddr va,
				     unsigned level)
{
	return address_of(machine, table) +
	       ((va >> QUIRE_LEVEL_SHIFT(level)) & (QUIRE_TABLE_ENTRIES - 1)) * sizeof(quire_entry);
}

/* The location of a program's data: pieces of a page, so that a large page has not too many. */
static inline uintptr_t data_location(uintptr_t address)
{
	return address & ~(uintptr_t)((QUIRE_PAGE_SIZE / 8 > WORD ? QUIRE_PAGE_SIZE / 8 : WORD) - 1);
}

/* ---- frames.c --------------------------------------------------------------------------------------- */

#define POISON 0xdeadf4eeul /* the upper half of a word of a frame that is free; the core's own has it too */

void frames_changed(uintptr_t address); /* metadata was stored to */
void frames_looked_at(quire_pfn pfn);
struct folio *folio_at(quire_pfn pfn); /* its own struct */
struct life *life_of(quire_pfn pfn);
quire_pfn head_of(quire_pfn pfn);
static inline bool is_poison(uint64_t word)
{
	return word >> 32 == POISON;
}

/* ---- mmu.c, walk.c ---------------------------------------------------------------------------------- */

enum { OUTCOMES = 16 };

struct hop { /* one level of a walk */
	uintptr_t slot;
	uint32_t version;
	uint32_t read_at; /* the latest moment at which it can have been read */
};

/* What an access may do. */
struct outcome {
	bool fault;
	bool now;	/* walked at this moment, else cached before */
	unsigned level; /* of the leaf */
	quire_pfn pfn;	/* of the page, within a large leaf too */
	uint8_t set_a;	/* a bit a level: accessed bits to be set now */
	bool set_d;
	unsigned rights;
	struct hop hop[QUIRE_LEVELS]; /* by level, from the leaf's up */
	uint32_t same[6];	      /* further leaf versions that would do exactly this */
	unsigned same_count;
};

struct walk_result {
	unsigned count;
	struct outcome outcome[OUTCOMES];
};

void mmu_freeze(struct machine *machine);
void mmu_reset(struct machine *machine);
void mmu_image(struct machine *machine, struct image *image);
void mmu_destroy(struct machine *machine);
unsigned mmu_asid(const struct mmu *mmu);
quire_pfn mmu_root(const struct mmu *mmu);
/* Whatever an access of @va at this moment may do, the usual first. */
void walk_all(struct machine *machine, unsigned cpu, quire_vaddr va, unsigned access,
	      struct walk_result *out);
/* What memory says now, nothing cached. False: nothing that allows it; *pfn and *present in any case. */
bool walk_truth(struct machine *machine, quire_pfn root, quire_vaddr va, unsigned access, quire_pfn *pfn,
		bool *present);
void walk_touch(struct machine *machine, quire_pfn root, quire_vaddr va); /* the words that this looks at */
void mmu_used(struct machine *machine, unsigned cpu, quire_vaddr va, unsigned access,
	      const struct outcome *outcome);
void mmu_dropped(struct machine *machine, unsigned cpu, quire_vaddr va); /* by a page fault */
/* The last flush at @time or before, the first after it, that meets [start, end). 0; UINT32_MAX. */
uint32_t mmu_flush_before(const struct mmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end,
			  uint32_t time);
uint32_t mmu_flush_after(const struct mmu *mmu, unsigned asid, quire_vaddr start, quire_vaddr end,
			 uint32_t time);
bool mmu_may_use(unsigned cpu, unsigned asid, quire_vaddr va, unsigned level, unsigned access, uint32_t index,
		 uint32_t read_at);
/* A table is given back: can a CPU that has its tree loaded still walk into it? */
void mmu_check_table(struct machine *machine, quire_pfn table);
void hardware_set(uintptr_t slot, uint64_t bits); /* accessed and dirty bits, in memory */
/* Loads or stores (or, by @access, fetches) at @pfn's frame, by the running transition. */
uint64_t move_data(struct machine *machine, quire_vaddr va, quire_pfn pfn, unsigned bytes, uint64_t value,
		   unsigned access);
void walker_agent(struct machine *machine, unsigned thread);

/* ---- oracle.c --------------------------------------------------------------------------------------- */

void oracle_use(struct machine *machine, unsigned cpu, struct quire_mm *mm, quire_vaddr va, unsigned access,
		const struct outcome *outcome);
/* At the end: a store to a file's page has left a trace (PIN-8). False after a violation. */
bool oracle_traces(struct machine *machine);
void oracle_loaded(struct machine *machine, quire_vaddr va, quire_pfn pfn, uint64_t word);

/* ---- notes.c, describe.c ---------------------------------------------------------------------------- */

enum note_kind {
	NOTE_FAULT,
	NOTE_CACHED,
	NOTE_WALK,
	NOTE_ACCESSED,
	NOTE_DIRTY,
	NOTE_GIVEN_BACK,
	NOTE_TAKEN,
	NOTE_ROOT,
	NOTE_FLUSH,
	NOTE_FLUSH_ALL,
	NOTE_CALL,
	NOTE_RETURN,
};

void note(enum note_kind kind, uint64_t a, uint64_t b, uint64_t c);
void notes_reset(void);
void notes_image(struct image *image);
const char *describe_va(quire_vaddr va);		   /* a few of these at a time are valid */
unsigned described_pages(quire_vaddr *out, unsigned most); /* those that have names */
void describe_reset(void);				   /* forget all names */

/* ---- device.c --------------------------------------------------------------------------------------- */

int devices_create(struct machine *machine);

#endif
