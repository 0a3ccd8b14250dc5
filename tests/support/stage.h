/*
 * stage.h - the stage for tests of address spaces: a small machine, one address space that CPU 0 runs, and
 * pictures of it.
 *
 * A test's body runs as a job on CPU 0, where cmocka's assertions may not be used: CHECK() and its relatives
 * note what failed and leave the body, and the test fails when the job is done. When it has ended well, the
 * space is checked and torn down, and every frame, table and promise must be back.
 *
 * Pictures. A window of STAGE_PAGES pages begins at STAGE_BASE. maps() draws one character a page: '.' where
 * nothing is mapped, the VMAs as letters in order of address. present() draws '#' where an entry is. So
 * "AA.BB" says two mappings and a hole between them.
 */
#ifndef QUIRE_TESTS_STAGE_H
#define QUIRE_TESTS_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "../../machines/hosted/hosted.h"

#include <stdio.h>
#include <string.h>

#include <quire/mm.h>
#include <quire/port.h>

#include <cmocka.h>

#define PAGE QUIRE_PAGE_SIZE
#define STAGE_PAGES 16
#define STAGE_BASE (QUIRE_USER_END / 4 & ~(QUIRE_HUGE_SIZE - 1))
#define AT(page) (STAGE_BASE + (quire_vaddr)(page)*PAGE)

struct stage {
	struct hosted *machine;
	struct quire_cpu **cpu;
	struct quire_mm *mm;
	struct quire_stats before; /* the machine may have frames of its own */
	char failed[400];	   /* empty: nothing */
	char picture[STAGE_PAGES + 1];
	void (*body)(struct stage *s);
};

#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s", __FILE__, __LINE__, #condition); \
			return;                                                                              \
		}                                                                                            \
	} while (0)

#define CHECK_EQUAL(found, expected)                                                                     \
	do {                                                                                             \
		long long found_ = (long long)(found), expected_ = (long long)(expected);                \
		if (found_ != expected_) {                                                               \
			snprintf(s->failed, sizeof(s->failed),                                           \
				 "%s:%d: %s is %lld (%#llx), expected %lld (%#llx)", __FILE__, __LINE__, \
				 #found, found_, (unsigned long long)found_, expected_,                  \
				 (unsigned long long)expected_);                                         \
			return;                                                                          \
		}                                                                                        \
	} while (0)

/* The picture begins so, and the rest of the window is empty. */
#define CHECK_PICTURE(found, expected)                                                                      \
	do {                                                                                                \
		const char *picture_ = (found);                                                             \
		size_t length_ = strlen(expected);                                                          \
		if (strncmp(picture_, expected, length_) ||                                                 \
		    strspn(picture_ + length_, ".") != strlen(picture_ + length_)) {                        \
			snprintf(s->failed, sizeof(s->failed), "%s:%d: %s draws %s, expected %s", __FILE__, \
				 __LINE__, #found, picture_, expected);                                     \
			return;                                                                             \
		}                                                                                           \
	} while (0)

/* Run @body on a machine of @cpus CPUs, or of another configuration; a failure fails the test. */
void stage_run(void (*body)(struct stage *s), unsigned cpus);
void stage_run_with(void (*body)(struct stage *s), const struct hosted_config *config);

const char *maps(struct stage *s, struct quire_mm *mm);
const char *present(struct stage *s, struct quire_mm *mm);

/* Calls on s->mm, in pages of the window; an address comes back as a page. */
int64_t map_at(struct stage *s, int page, int pages, uint32_t prot, uint32_t flags);
int64_t map_file(struct stage *s, int page, int pages, uint32_t prot, uint32_t flags, struct quire_file *file,
		 int from);
int unmap_at(struct stage *s, int page, int pages);
int protect_at(struct stage *s, int page, int pages, uint32_t prot);
int advise_at(struct stage *s, int page, int pages, int advice);

/*
 * The program loads or stores one byte at a page's beginning. The byte, or 0; or minus the signal; or
 * -ENOMEM.
 */
int load_at(struct stage *s, int page);
int store_at(struct stage *s, int page, uint8_t byte);

/* The same in another space, which the CPU runs meanwhile. */
int load_in(struct stage *s, struct quire_mm *mm, int page);
int store_in(struct stage *s, struct quire_mm *mm, int page, uint8_t byte);

enum {
	RO = QUIRE_PROT_READ,
	RW = QUIRE_PROT_READ | QUIRE_PROT_WRITE,
	RX = QUIRE_PROT_READ | QUIRE_PROT_EXEC
};

#endif
