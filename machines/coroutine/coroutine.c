/*
 * coroutine.c - a new coroutine's first frame; the switch itself is coroutine.S.
 */
#include "coroutine.h"

#include <stdint.h>

void coroutine_begin(void);

void coroutine_prepare(struct coroutine *coroutine, void *stack, size_t bytes, void (*body)(void *argument),
		       void *argument)
{
	uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
	uintptr_t *frame = (uintptr_t *)top -
			   9; /* seven are popped: coroutine_begin() finds the stack aligned to 16 */

	frame[0] = frame[1] = frame[2] = frame[3] = 0; /* r15 to r12 */
	frame[4] = (uintptr_t)body;		       /* rbx */
	frame[5] = (uintptr_t)argument;		       /* rbp */
	frame[6] = (uintptr_t)coroutine_begin;
	frame[7] = 0;
	coroutine->stack_pointer = frame;
}
