/*
 * stdio.h - of the C library, what tests use that run in the kernel too.
 */
#ifndef METAL_TESTS_STDIO_H
#define METAL_TESTS_STDIO_H

#include <stdarg.h>
#include <stddef.h>

typedef struct stream FILE;
#define stderr ((FILE *)0) /* there is only the console */

__attribute__((format(printf, 1, 2))) int printf(const char *format, ...);
__attribute__((format(printf, 2, 3))) int fprintf(FILE *file, const char *format, ...);
__attribute__((format(printf, 3, 4))) int snprintf(char *to, size_t room, const char *format, ...);

#endif
