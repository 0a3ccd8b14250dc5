/*
 * calls.h - which of the kernel's system calls are recorded, and as what.
 */
#ifndef LAB_RECORD_CALLS_H
#define LAB_RECORD_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../trace/trace.h"

/* Is system call @nr gathered: recorded itself, or needed to understand another? */
bool calls_wanted(int nr);

/* All of the numbers gathered, for a filter. */
const int *calls_list(size_t *count);

/* What the trace calls it, or 0. */
enum trace_call calls_trace(int nr);

/* Which argument is the descriptor of the file that it is about; -1 for none. */
int calls_fd_argument(int nr, const uint64_t *args);

#endif
