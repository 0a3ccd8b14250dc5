/*
 * begin.c - how the kernel for tests begins: it switches off the safeguard that it is to do without, and then
 * runs a program, as the kernel that it is otherwise, or its tests.
 *
 * Boot options: `without=NAME`; `test`; `only=TEXT`, of those tests only that have TEXT in their name.
 */
#include "tests.h"

#include "machines/metal/fs.h"
#include "machines/metal/process.h"
#include "machines/safeguards/safeguards.h"
#include "tap.h"

size_t begin_option(const char *name, char *to, size_t room)
{
	size_t length = strlen(name), found = 0;

	for (const char *at = boot_info.options; *at; at++) {
		if ((at != boot_info.options && at[-1] != ' ') || memcmp(at, name, length) != 0)
			continue;
		for (at += length; at[found] && at[found] != ' ' && found + 1 < room; found++)
			to[found] = at[found];
		break;
	}
	to[found] = '\0';
	return found;
}

void kernel_begin(void)
{
	char name[64];

	if (begin_option("without=", name, sizeof(name)) && strcmp(name, "fault-around") != 0 &&
	    !safeguard_off(name))
		kernel_panic("there is no safeguard of that name");
	if (boot_option("test")) {
		tap_start();
	} else {
		tree_start();
		process_start_first();
	}
}
