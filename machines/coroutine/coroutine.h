/*
 * coroutine.h - stacks that take turns.
 *
 * A switch saves what the calling convention says a callee saves, and nothing else: no signal mask, no system
 * call. It ends in an indirect jump, not a return, so that the processor's return predictor is not led
 * astray: some 5 ns there and back, where swapcontext() takes 300.
 */
#ifndef COROUTINE_H
#define COROUTINE_H

#include <stddef.h>

struct coroutine {
	void *stack_pointer; /* while it does not run */
};

/*
 * Make @coroutine ready to call @body(@argument) on a stack of its own when it is switched to first. @body
 * does not return. An old life on the same stack is forgotten.
 */
void coroutine_prepare(struct coroutine *coroutine, void *stack, size_t bytes, void (*body)(void *argument),
		       void *argument);

/* Stop here, as @from; go on where @to stopped. Returns when somebody switches to @from. */
void coroutine_switch(struct coroutine *from, struct coroutine *to);

#endif
