/*
 * memory.c - what memory there is, and who has it: the kernel, the core, the heap.
 *
 *	0	  0x80000	  kernel_end			heap	   metadata   archive	end
 *	|  core	  |  reserved	  |  core			|  heap	   |	      |		|
 *
 * A page-table entry holds a physical frame number, so the core's frame 0 is physical page 0, and its memory
 * begins there: with pages in it that are not memory (the BIOS, video) or are not free (the kernel, the page
 * on which the other CPUs begin). The core takes a range without holes; what it must not use is taken from
 * it at boot, through its own door: memory_reserve() reads a file whose store looks where each page lies and
 * leaves its content alone, until every reserved frame is a page of that file. The others are punched out
 * again.
 *
 * The heap is for small objects, the core's and the kernel's: buddies, blocks of 2^n units at multiples of
 * their size, halved as needed and joined again when both halves are free. So what was used for one size
 * serves others. But most often the next object is of the same size: what the core frees is kept as it is
 * first, on the CPU that freed it, up to a part of the heap, and joined when that CPU finds nothing else. No
 * lock is needed for what a CPU keeps: the kernel is not preempted, and interrupts allocate nothing.
 *
 * Order:   the heap's lock is a leaf; any context.
 * Errors:  allocation returns NULL. Too little memory to begin with is a panic.
 */
#include "metal.h"

#include "x86.h"

#define PVH_MAGIC 0x336ec578u

struct pvh_start_info {
	uint32_t magic, version, flags, modules;
	uint64_t module_list, options, rsdp, memory_map;
	uint32_t memory_map_entries, reserved;
};

struct pvh_module {
	uint64_t address, bytes, options, reserved;
};

struct pvh_memory {
	uint64_t address, bytes;
	uint32_t type, reserved; /* type 1: memory */
};

struct boot_info boot_info;
struct quire *metal_quire;
struct metal_cpu *metal_cpus[MAX_CPUS];
unsigned metal_cpu_count;

extern char kernel_end[];

/* ---- the heap -------------------------------------------------------------------------------------- */

#define UNIT 64ul	   /* the smallest block; every object is aligned to it */
#define ORDERS HEAP_ORDERS /* up to 64 KiB */
#define LARGEST (UNIT << (ORDERS - 1))
#define FREE 0x80
#define KEPT_PART 8 /* of the heap: so much of it the CPUs keep together, or a little more */

struct block {
	struct block *next, *previous;
};

/* All under heap_lock. */
static struct quire_spin heap_lock;
static struct block heap_free[ORDERS]; /* heads of rings */
static char *heap;
static uint8_t *heap_map;   /* for each unit: FREE and the order, where a free block begins */
static uint64_t heap_taken; /* of heap_bytes: in use, or kept by a CPU */
static uint64_t heap_bytes;
static uint64_t heap_keep_bytes; /* a CPU's; fixed once all are known */

static uint8_t *map_of(const void *block)
{
	return &heap_map[(size_t)((const char *)block - heap) / UNIT];
}

static void put_block(void *at, unsigned order)
{
	struct block *block = at, *head = &heap_free[order];

	block->next = head->next;
	block->previous = head;
	head->next->previous = block;
	head->next = block;
	*map_of(at) = (uint8_t)(FREE | order);
}

static void take_block(struct block *block)
{
	block->next->previous = block->previous;
	block->previous->next = block->next;
	*map_of(block) = 0;
}

static unsigned order_of(size_t bytes)
{
	return bytes <= UNIT ? 0 : 64 - (unsigned)__builtin_clzl((bytes - 1) / UNIT);
}

/* The smallest block that is large enough, and what is too much of it back. */
static void *take_half(unsigned order)
{
	unsigned from = order;

	while (from < ORDERS && heap_free[from].next == &heap_free[from])
		from++;
	if (from == ORDERS)
		return NULL;
	char *block = (char *)heap_free[from].next;
	take_block((struct block *)(void *)block);
	while (from > order) {
		from--;
		put_block(block + (UNIT << from), from);
	}
	return block;
}

static void join(char *block, unsigned order)
{
	size_t at = (size_t)(block - heap);

	for (; order < ORDERS - 1; order++) {
		char *buddy = heap + (at ^ UNIT << order);

		if (*map_of(buddy) != (FREE | order))
			break;
		take_block((struct block *)(void *)buddy);
		at &= ~(UNIT << order);
	}
	put_block(heap + at, order);
}

/* ---- what a CPU keeps ------------------------------------------------------------------------------ */

static void *take_kept(struct heap_cpu *mine, unsigned order)
{
	struct block *block = mine->kept[order];

	if (block) {
		mine->kept[order] = block->next;
		mine->bytes -= UNIT << order;
	}
	return block;
}

/* Under heap_lock. */
static void join_kept(struct heap_cpu *mine)
{
	void *block;

	heap_taken -= mine->bytes;
	for (unsigned order = 0; order < ORDERS; order++)
		while ((block = take_kept(mine, order)))
			join(block, order);
}

/* As it is; see quire_port_alloc(). Out of line, so that what is kept is found without saving registers. */
static __attribute__((noinline)) void *heap_alloc(struct heap_cpu *mine, unsigned order)
{
	void *block = NULL;

	if (order >= ORDERS)
		return NULL;
	spin_lock(&heap_lock);
	block = take_half(order);
	if (!block && mine) {
		join_kept(mine);
		block = take_half(order);
	}
	if (block)
		heap_taken += UNIT << order;
	spin_unlock(&heap_lock);
	return block;
}

static __attribute__((noinline)) void heap_release(char *block, unsigned order)
{
	spin_lock(&heap_lock);
	heap_taken -= UNIT << order;
	join(block, order);
	spin_unlock(&heap_lock);
}

static void poison(void *object, size_t bytes)
{
#ifdef QUIRE_DEBUG
	memset(object, 0xdb, bytes); /* so that who still reads it notices */
#else
	(void)object, (void)bytes;
#endif
}

void *quire_port_alloc(struct quire_cpu *cpu, size_t bytes)
{
	struct heap_cpu *mine = &((struct metal_cpu *)cpu->machine)->heap;
	unsigned order = order_of(bytes);
	void *block = order < ORDERS ? take_kept(mine, order) : NULL;

	return block ? block : heap_alloc(mine, order);
}

void quire_port_free(struct quire_cpu *cpu, void *object, size_t bytes)
{
	struct heap_cpu *mine = &((struct metal_cpu *)cpu->machine)->heap;
	unsigned order = order_of(bytes);
	struct block *block = object;

	poison(object, bytes);
	if (mine->bytes >= heap_keep_bytes) {
		heap_release(object, order);
		return;
	}
	block->next = mine->kept[order];
	mine->kept[order] = block;
	mine->bytes += UNIT << order;
}

/* Early, there is no CPU yet to have kept anything. */
void *kernel_alloc(size_t bytes)
{
	void *block = heap_alloc(metal_quire ? &this_cpu()->heap : NULL, order_of(bytes));

	return block ? memset(block, 0, bytes) : NULL;
}

void kernel_free(void *object, size_t bytes)
{
	if (!object)
		return;
	poison(object, bytes);
	heap_release(object, order_of(bytes));
}

static void heap_start(char *start, char *end)
{
	size_t blocks = (size_t)(end - start) / (LARGEST + LARGEST / UNIT);

	heap = start;
	heap_bytes = blocks * LARGEST;
	heap_keep_bytes = heap_bytes / KEPT_PART;
	heap_map = (uint8_t *)start + blocks * LARGEST;
	memset(heap_map, 0, blocks * LARGEST / UNIT);
	for (unsigned order = 0; order < ORDERS; order++)
		heap_free[order].next = heap_free[order].previous = &heap_free[order];
	while (blocks--)
		put_block(heap + blocks * LARGEST, ORDERS - 1);
}

void kernel_heap_share(void)
{
	heap_keep_bytes = heap_bytes / KEPT_PART / metal_cpu_count;
}

uint64_t kernel_heap_used(void)
{
	uint64_t used = heap_taken;

	for (unsigned id = 0; id < metal_cpu_count; id++)
		used -= metal_cpus[id]->heap.bytes;
	return used;
}

uint64_t kernel_heap_bytes(void)
{
	return heap_bytes;
}

/* ---- the start ------------------------------------------------------------------------------------- */

bool boot_option(const char *name)
{
	size_t length = strlen(name);

	for (const char *at = boot_info.options; *at;) {
		size_t word = 0;

		while (at[word] && at[word] != ' ')
			word++;
		if (word == length && memcmp(at, name, length) == 0)
			return true;
		at += word;
		while (*at == ' ')
			at++;
	}
	return false;
}

uint64_t boot_number(const char *name)
{
	size_t length = strlen(name);

	for (const char *at = boot_info.options; *at; at++) {
		uint64_t number = 0;

		if ((at != boot_info.options && at[-1] != ' ') || memcmp(at, name, length) != 0)
			continue;
		for (at += length; *at >= '0' && *at <= '9'; at++)
			number = number * 10 + (uint64_t)(*at - '0');
		return number;
	}
	return 0;
}

static void read_start_info(const struct pvh_start_info *info)
{
	const struct pvh_memory *map = direct(info->memory_map);
	const struct pvh_module *module = direct(info->module_list);

	if (info->magic != PVH_MAGIC || info->version < 1)
		kernel_panic("this was not started by the PVH protocol, version 1");
	if (info->options)
		copy_string(boot_info.options, direct(info->options), sizeof(boot_info.options));
	if (info->modules) {
		boot_info.archive = module->address;
		boot_info.archive_bytes = module->bytes;
	}
	boot_info.rsdp = info->rsdp;
	for (uint32_t i = 0; i < info->memory_map_entries; i++)
		if (map[i].type == 1 && map[i].address <= KERNEL_START &&
		    map[i].address + map[i].bytes > KERNEL_START)
			boot_info.memory_end = map[i].address + map[i].bytes;
	if (boot_info.memory_end > DIRECT_END)
		boot_info.memory_end = DIRECT_END;
}

#define PAGE_DOWN(address) ((address)&QUIRE_PAGE_MASK)

static uint64_t metadata, metadata_end; /* physical; the heap ends where it begins */

int memory_instance(struct quire_config *config)
{
	config->memory = direct(0);
	config->metadata = direct(metadata);
	/* Memory that no firmware has touched is zero, but nobody promises it. */
	memset(config->metadata, 0, metadata_end - metadata);
	return quire_create(config, metal_cpus[0], &metal_quire, &metal_cpus[0]->cpu);
}

void memory_start(uint32_t start_info)
{
	read_start_info(direct(start_info));

	uint64_t top = boot_info.memory_end;
	if (boot_info.archive_bytes && boot_info.archive < top)
		top = boot_info.archive;
	metadata_end = top = PAGE_DOWN(top);
	metadata = PAGE_DOWN(top - quire_metadata_bytes(top / QUIRE_PAGE_SIZE));
	uint64_t low = PAGE_DOWN(metadata - metadata / 8);
	if (metadata > top || low < physical_of(kernel_end) + (4ul << 20))
		kernel_panic("there is too little memory");
	heap_start(direct(low), direct(metadata));

	struct quire_config config = {
		.frames = low / QUIRE_PAGE_SIZE,
		.overcommit = QUIRE_OVERCOMMIT_GUESS,
		.mmap_min_addr = 0x10000,
		.fault_around_pages = boot_option("without=fault-around") ? 1 : 0,
		.without_vma_locks = boot_option("without=vma-locks"),
	};
	struct metal_cpu *boot = kernel_alloc(sizeof(*boot));
	if (!boot)
		kernel_panic("there is too little memory");
	metal_cpus[0] = boot;
	cpu_start_traps(boot);
	metal_cpu_count = 1;
	if (memory_instance(&config))
		kernel_panic("there is too little memory");
}

/* ---- frames that are not to be used ---------------------------------------------------------------- */

#define LOOKED_AT 4096 /* pages of that file */

static uint64_t last_page; /* where the page lies that was read last */

static bool is_reserved(uint64_t physical)
{
	return physical >= LOW_RESERVED && physical < physical_of(kernel_end);
}

static int look_where(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t index, void *page)
{
	(void)cpu, (void)file, (void)data, (void)index;
	last_page = physical_of(page);
	return 0;
}

static int keep_nothing(struct quire_cpu **cpu, struct quire_file *file, void *data, uint64_t start,
			uint64_t end)
{
	(void)cpu, (void)file, (void)data, (void)start, (void)end;
	return 0;
}

uint64_t memory_frames_kept(void)
{
	return (physical_of(kernel_end) - LOW_RESERVED) / QUIRE_PAGE_SIZE;
}

/*
 * The allocator hands out low frames first, so this ends soon; but all it rests on is that every frame comes
 * in the end, if nobody gives any back.
 */
struct quire_file *memory_reserve(void)
{
	static const struct quire_store store = { .read = look_where, .punch = keep_nothing };
	static bool kept[LOOKED_AT];
	uint64_t left = memory_frames_kept(), pages = 0;
	struct quire_cpu *cpu = here();
	struct quire_file *file;

	if (quire_file_create(&cpu, &store, NULL, QUIRE_FILE_READ, LOOKED_AT * QUIRE_PAGE_SIZE, 0, &file))
		kernel_panic("there is no memory for the list of reserved frames");
	for (; left; pages++) {
		char byte;

		if (pages == LOOKED_AT || quire_file_read(&cpu, file, pages * QUIRE_PAGE_SIZE, &byte, 1) != 1)
			kernel_panic("a reserved frame was used before it could be reserved");
		kept[pages] = is_reserved(last_page);
		left -= kept[pages];
	}
	while (pages--)
		if (!kept[pages])
			quire_file_punch(&cpu, file, pages * QUIRE_PAGE_SIZE, QUIRE_PAGE_SIZE);
	return file;
}
