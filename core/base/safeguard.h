/*
 * safeguard.h - the one hook that tests have in the core: a step that protects something, by name.
 *
 *	if (QUIRE_SAFEGUARD(munmap_flush))
 *		gather_range(...);
 *
 * This is the constant true, and nothing of it is left, but where QUIRE_CHECKED is defined: in the checker's
 * builds, and in the metal machine's kernel for tests. There, it can be switched off by name (`quire check
 * --without munmap-flush`, `quire boot --without munmap-flush`). A litmus file shows what then goes wrong
 * (CHK-7), and tests/boot/stale.c how real TLBs show it.
 */
#ifndef QUIRE_BASE_SAFEGUARD_H
#define QUIRE_BASE_SAFEGUARD_H

#include <stdbool.h>

#ifdef QUIRE_CHECKED
struct quire_safeguard {
	const char *name, *file;
	int line;
	bool on;
};

/*
 * One for each place; the linker gathers them into an array. The alignment is said, or compilers choose a
 * larger one, which leaves holes in it.
 */
/* clang-format off */
#define QUIRE_SAFEGUARD(which)                                                                   \
	__extension__({                                                                          \
		static struct quire_safeguard here                                               \
			__attribute__((section("quire_safeguards"), used, aligned(8))) = {       \
				#which, __FILE__, __LINE__, true };                              \
		here.on;                                                                         \
	})
/* clang-format on */
#else
#define QUIRE_SAFEGUARD(which) true
#endif

#endif
