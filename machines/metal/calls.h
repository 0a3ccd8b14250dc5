/*
 * calls.h - what the system calls are, for the table and the files that do them.
 */
#ifndef METAL_CALLS_H
#define METAL_CALLS_H

#include "fs.h"
#include "user.h"

/* @a: the six arguments. The registers that the program will have are in task_frame(current()). */
typedef int64_t call_function(const uint64_t *a);

/* A call that is one expression, most often a function of its arguments. */
#define CALL_IS(name, expression)              \
	int64_t call_##name(const uint64_t *a) \
	{                                      \
		(void)a;                       \
		return expression;             \
	}

#define CALL(number, name) call_function call_##name;
#include "calls.def"
#undef CALL

#endif
