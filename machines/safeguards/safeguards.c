/*
 * safeguards.c - the core's safeguards, as the linker has gathered them.
 */
#include "machines/safeguards/safeguards.h"

#include <stddef.h>
#include <stdint.h>

/* Weak: a core without safeguards has no such section. */
extern struct quire_safeguard __start_quire_safeguards[] __attribute__((weak));
extern struct quire_safeguard __stop_quire_safeguards[] __attribute__((weak));

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '-' || *a == '_') && (*b == '-' || *b == '_')))
			return false;
	return *a == *b;
}

/*
 * Where one object file's end and another's begin, the linker may leave a gap: zeroes, which no safeguard
 * begins with.
 */
struct quire_safeguard *safeguard_next(struct quire_safeguard *before)
{
	uintptr_t at = before ? (uintptr_t)(before + 1) : (uintptr_t)__start_quire_safeguards;
	uintptr_t end = (uintptr_t)__stop_quire_safeguards;

	for (; at + sizeof(*before) <= end; at += _Alignof(struct quire_safeguard))
		if (((struct quire_safeguard *)at)->name)
			return (struct quire_safeguard *)at;
	return NULL;
}

bool safeguard_exists(const char *name)
{
	for (struct quire_safeguard *s = NULL; (s = safeguard_next(s));)
		if (same_name(s->name, name))
			return true;
	return false;
}

bool safeguard_off(const char *name)
{
	for (struct quire_safeguard *s = NULL; (s = safeguard_next(s));)
		if (same_name(s->name, name))
			s->on = false;
	return safeguard_exists(name);
}
