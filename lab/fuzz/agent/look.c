/*
 * look.c - what a process sees of its address space, and the records of it.
 */
#include "agent.h"

/* PROCMAP_QUERY of linux/fs.h, since 6.11; written down here because headers are often older than kernels. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY 0xc0686611ul
#define PROCMAP_COVERING_OR_NEXT 0x10

/* PAGEMAP_SCAN, since 6.7. */
struct pm_scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct pm_region {
	uint64_t start, end, categories;
};
#define PAGEMAP_SCAN 0xc0606610ul
#define PAGE_IS_PRESENT 8

static struct {
	struct wire_record head;
	uint8_t payload[WIRE_VMAS * sizeof(struct wire_vma) + WIRE_PAGES + 8 + WIRE_READ_PAGES * 8];
} out;
static struct pm_region regions[256];
static uint8_t resident[WIRE_GROUP_PAGES];

word next_vma(uint64_t addr, struct wire_vma *vma)
{
	struct procmap_query query = { .size = sizeof(query), .query_flags = PROCMAP_COVERING_OR_NEXT };
	word error;

	query.query_addr = addr;
	error = CALL(SYS_ioctl, WIRE_FD_MAPS, PROCMAP_QUERY, &query);
	if (error)
		return error;
	vma->start = query.vma_start;
	vma->end = query.vma_end;
	vma->offset = query.vma_offset;
	vma->file = query.inode;
	vma->flags = query.vma_flags & (WIRE_READ | WIRE_WRITE | WIRE_EXEC | WIRE_SHARED);
	if (query.inode)
		vma->flags |= WIRE_FILE;
	vma->looked = 0;
	return 0;
}

static int is_own(uint64_t addr)
{
	return addr >= WIRE_CONTROL && addr < control->heap;
}

void record_begin(const struct wire_record *head)
{
	out.head = *head;
}

/* All mappings but the agent's own. */
static struct wire_vma *list_vmas(void)
{
	struct wire_vma *vmas = (struct wire_vma *)out.payload;
	uint64_t addr = 0;

	out.head.vmas = 0;
	while (out.head.vmas < WIRE_VMAS) {
		struct wire_vma *vma = &vmas[out.head.vmas];

		if (next_vma(addr, vma))
			break;
		addr = vma->end;
		if (is_own(vma->start))
			addr = control->heap;
		else
			out.head.vmas++;
	}
	return vmas;
}

/*
 * How many pages of each mapping are shown: of a run of adjoining ones no more than the first
 * WIRE_GROUP_PAGES.
 */
static void choose_pages(struct wire_vma *vmas)
{
	uint64_t room = 0, all = WIRE_PAGES;

	for (unsigned v = 0; v < out.head.vmas; v++) {
		uint64_t pages = (vmas[v].end - vmas[v].start) / WIRE_PAGE;

		if (v == 0 || vmas[v].start != vmas[v - 1].end)
			room = WIRE_GROUP_PAGES;
		if (pages > room)
			pages = room;
		if (pages > all)
			pages = all;
		room -= pages;
		all -= pages;
		vmas[v].looked = (uint32_t)pages;
		out.head.pages += (uint32_t)pages;
	}
}

/* One call finds every present entry of the address space; mark them among the chosen pages. */
static void mark_present(const struct wire_vma *vma, uint8_t *bits)
{
	const struct wire_vma *end = vma + out.head.vmas;
	struct pm_scan scan = {
		.size = sizeof(scan),
		.start = control->heap,
		.end = control->task_end,
		.vec = (uint64_t)regions,
		.vec_len = sizeof(regions) / sizeof(regions[0]),
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};

	if (vma < end && vma->start < control->heap)
		scan.start = 0;
	while (scan.start < scan.end) {
		word found = CALL(SYS_ioctl, WIRE_FD_PAGEMAP, PAGEMAP_SCAN, &scan);

		for (word i = 0; i < found; i++) {
			for (uint64_t at = regions[i].start; at < regions[i].end; at += WIRE_PAGE) {
				while (vma < end && vma->end <= at) {
					bits += vma->looked;
					vma++;
				}
				if (vma < end && at >= vma->start &&
				    (at - vma->start) / WIRE_PAGE < vma->looked)
					bits[(at - vma->start) / WIRE_PAGE] = WIRE_PRESENT | WIRE_RESIDENT;
			}
		}
		if (found < 0 || scan.walk_end <= scan.start)
			break;
		scan.start = scan.walk_end;
	}
}

/*
 * Anonymous pages are resident when they are present, so mincore is asked for files only (and by its own
 * operation).
 */
static void mark_resident(const struct wire_vma *vmas, uint8_t *bits)
{
	for (unsigned v = 0; v < out.head.vmas; bits += vmas[v++].looked) {
		if (!vmas[v].file || !vmas[v].looked)
			continue;
		CALL(SYS_mincore, vmas[v].start, vmas[v].looked * WIRE_PAGE, resident);
		for (uint32_t i = 0; i < vmas[v].looked; i++)
			bits[i] = (uint8_t)((bits[i] & WIRE_PRESENT) | (resident[i] & 1 ? WIRE_RESIDENT : 0));
	}
}

void record_look(void)
{
	struct wire_vma *vmas = list_vmas();
	uint8_t *bits = (uint8_t *)&vmas[out.head.vmas];

	choose_pages(vmas);
	memset(bits, 0, (out.head.pages + 7) / 8 * 8);
	mark_present(vmas, bits);
	mark_resident(vmas, bits);
}

/* Everything readable, page by page; what cannot be read gives its signal. */
void record_contents(struct agent_thread *t)
{
	struct wire_vma *vmas = (struct wire_vma *)out.payload;
	uint64_t *words = (uint64_t *)(out.payload + out.head.vmas * sizeof(*vmas) +
				       (out.head.pages + 7) / 8 * 8);

	out.head.reads = 0;
	for (unsigned v = 0; v < out.head.vmas; v++) {
		if (!(vmas[v].flags & WIRE_READ))
			continue;
		for (uint64_t p = 0; p < vmas[v].looked && out.head.reads < WIRE_READ_PAGES; p++) {
			uint64_t addr = vmas[v].start + p * WIRE_PAGE;

			load(t, addr);
			words[out.head.reads++] = t->signal_number ? (uint64_t)t->signal_number << 32 |
									     (uint32_t)t->signal_code
								   : wire_sum(1, (void *)addr, WIRE_PAGE / 8);
		}
	}
}

void record_write(void)
{
	uint64_t bytes = sizeof(out.head) + out.head.vmas * sizeof(struct wire_vma) +
			 (out.head.pages + 7) / 8 * 8 + out.head.reads * 8ul;

	out.head.bytes = (uint32_t)bytes;
	CALL(SYS_pwrite, WIRE_FD_LOG, &out, bytes, control->log_at);
	control->log_at += bytes;
}
