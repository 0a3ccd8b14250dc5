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
 * The heap is for small objects, the core's and the kernel's: blocks of a few sizes, each with a list of its
 * free ones; a size's list is filled from the heap's end, and what was one size once stays so.
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

#define SIZES 22 /* 64, 96, 128, 192, ... */
#define LARGEST_PIECE (64ul << 10)

struct block {
	struct block *next;
};

static struct quire_spin heap_lock;
static struct block *heap_free[SIZES];
static char *heap_at, *heap_end;
static uint64_t heap_used;

/* Sizes alternate between 2^n and 3 * 2^(n-1), multiples of 64 but for the 96. */
static size_t size_of(unsigned size)
{
	return (size & 1 ? 96ul : 64ul) << size / 2;
}

static unsigned size_for(size_t bytes)
{
	unsigned size = 0;

	while (size < SIZES && (size_of(size) < bytes || size == 1))
		size++;
	return size;
}

void *kernel_alloc(size_t bytes)
{
	unsigned size = size_for(bytes);
	struct block *block;

	if (size == SIZES)
		return NULL;
	spin_lock(&heap_lock);
	block = heap_free[size];
	if (block) {
		heap_free[size] = block->next;
	} else if (size_of(size) <= (size_t)(heap_end - heap_at)) {
		block = (struct block *)(void *)heap_at;
		heap_at += size_of(size);
	}
	if (block)
		heap_used += size_of(size);
	spin_unlock(&heap_lock);
	return block ? memset(block, 0, bytes) : NULL;
}

void kernel_free(void *object, size_t bytes)
{
	unsigned size = size_for(bytes);
	struct block *block = object;

	if (!block)
		return;
#ifdef QUIRE_DEBUG
	memset(object, 0xdb, bytes); /* so that who still reads it notices */
#endif
	spin_lock(&heap_lock);
	block->next = heap_free[size];
	heap_free[size] = block;
	heap_used -= size_of(size);
	spin_unlock(&heap_lock);
}

uint64_t kernel_heap_used(void)
{
	return heap_used;
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

void memory_start(uint32_t start_info)
{
	read_start_info(direct(start_info));

	uint64_t top = boot_info.memory_end;
	if (boot_info.archive_bytes && boot_info.archive < top)
		top = boot_info.archive;
	top = PAGE_DOWN(top);
	uint64_t metadata = PAGE_DOWN(top - quire_metadata_bytes(top / QUIRE_PAGE_SIZE));
	uint64_t heap = PAGE_DOWN(metadata - metadata / 16);
	if (metadata > top || heap < physical_of(kernel_end) + (4ul << 20))
		kernel_panic("there is too little memory");
	heap_at = direct(heap);
	heap_end = direct(metadata);

	/* Memory that no firmware has touched is zero, but nobody promises it. */
	struct quire_config config = {
		.memory = direct(0),
		.frames = heap / QUIRE_PAGE_SIZE,
		.metadata = direct(metadata),
		.overcommit = QUIRE_OVERCOMMIT_GUESS,
		.mmap_min_addr = 0x10000,
		.fault_around_pages = boot_option("without=fault-around") ? 1 : 0,
	};
	memset(config.metadata, 0, top - metadata);
	struct metal_cpu *boot = kernel_alloc(sizeof(*boot));
	if (!boot)
		kernel_panic("there is too little memory");
	metal_cpus[0] = boot;
	cpu_start_traps(boot);
	metal_cpu_count = 1;
	if (quire_create(&config, boot, &metal_quire, &boot->cpu))
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
void memory_reserve(void)
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
}
