/*
 * calls_mm.c - the calls on memory: the core's, with descriptors turned into files.
 */
#include "calls.h"

#define CPU_AND_MM                      \
	struct quire_cpu *cpu = here(); \
	struct quire_mm *mm = current()->process->mm

#define CALL_ON_MM(name, expression)           \
	int64_t call_##name(const uint64_t *a) \
	{                                      \
		CPU_AND_MM;                    \
		(void)a;                       \
		return expression;             \
	}

static uint32_t access_of(const struct open_file *file)
{
	unsigned access = file->flags & OPEN_ACCESS;

	return (access != OPEN_WRITE_ONLY ? QUIRE_FILE_READ : 0u) | (access ? QUIRE_FILE_WRITE : 0u);
}

int64_t call_mmap(const uint64_t *a)
{
	CPU_AND_MM;
	struct quire_mmap map = {
		.addr = a[0],
		.length = a[1],
		.prot = (uint32_t)a[2],
		.flags = (uint32_t)a[3],
		.offset = a[5],
	};
	struct open_file *file = NULL;

	if (a[5] % QUIRE_PAGE_SIZE)
		return -QUIRE_EINVAL;
	if (!(map.flags & QUIRE_MAP_ANONYMOUS)) {
		file = fd_get(a[4]);
		if (!file)
			return -QUIRE_EBADF;
		if (!file->node || !file->node->file) {
			bool zero = file->node && file->node->device == DEVICE_ZERO;

			open_put(file);
			if (!zero)
				return -QUIRE_ENODEV;
			map.flags |= QUIRE_MAP_ANONYMOUS;
			return quire_mmap(&cpu, mm, &map);
		}
		map.file = file->node->file;
		map.access = access_of(file);
		map.opened = file->number;
	}
	int64_t result = quire_mmap(&cpu, mm, &map);
	if (file)
		open_put(file);
	return result;
}

CALL_ON_MM(munmap, quire_munmap(&cpu, mm, a[0], a[1]))
CALL_ON_MM(mprotect, quire_mprotect(&cpu, mm, a[0], a[1], (uint32_t)a[2]))
CALL_ON_MM(mremap, quire_mremap(&cpu, mm, a[0], a[1], a[2], (uint32_t)a[3], a[4]))
CALL_ON_MM(madvise, quire_madvise(&cpu, mm, a[0], a[1], (int)a[2]))
CALL_ON_MM(msync, quire_msync(&cpu, mm, a[0], a[1], (uint32_t)a[2]))
CALL_ON_MM(mlock, quire_mlock(&cpu, mm, a[0], a[1], 0))
CALL_ON_MM(mlock2, quire_mlock(&cpu, mm, a[0], a[1], (uint32_t)a[2]))
CALL_ON_MM(munlock, quire_munlock(&cpu, mm, a[0], a[1]))
CALL_ON_MM(mlockall, quire_mlockall(&cpu, mm, (uint32_t)a[0]))
CALL_ON_MM(munlockall, quire_munlockall(&cpu, mm))
CALL_ON_MM(brk, (int64_t)quire_brk(&cpu, mm, a[0]))

#define MINCORE_PAGES 4096

int64_t call_mincore(const uint64_t *a)
{
	CPU_AND_MM;
	uint64_t pages = (a[1] + QUIRE_PAGE_SIZE - 1) / QUIRE_PAGE_SIZE;
	int64_t result = 0;

	if (a[0] % QUIRE_PAGE_SIZE)
		return -QUIRE_EINVAL;
	if (a[0] >= QUIRE_USER_END || a[1] > QUIRE_USER_END - a[0])
		return -QUIRE_ENOMEM;
	uint8_t *vec = kernel_alloc(MINCORE_PAGES);
	if (!vec)
		return -QUIRE_ENOMEM;
	for (uint64_t done = 0; done < pages && !result;) {
		uint64_t part = pages - done < MINCORE_PAGES ? pages - done : MINCORE_PAGES;

		result = quire_mincore(&cpu, mm, a[0] + done * QUIRE_PAGE_SIZE, part * QUIRE_PAGE_SIZE, vec);
		if (!result)
			result = copy_out(a[2] + done, vec, part);
		cpu = here();
		done += part;
	}
	kernel_free(vec, MINCORE_PAGES);
	return result;
}
