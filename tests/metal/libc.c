/*
 * libc.c - of the C library, what tests use that run in the kernel too.
 */
#include "machines/metal/metal.h"
#include "machines/metal/task.h"

#include "include/sched.h"
#include "include/stdio.h"
#include "include/stdlib.h"
#include "include/string.h"
#include "include/time.h"

int strncmp(const char *a, const char *b, size_t most)
{
	for (; most; most--, a++, b++)
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
	return 0;
}

size_t strspn(const char *text, const char *set)
{
	size_t length = 0;

	for (; text[length]; length++) {
		const char *at = set;

		while (*at && *at != text[length])
			at++;
		if (!*at)
			break;
	}
	return length;
}

/* TAP's comments. */
static int say(const char *format, va_list args)
{
	char text[256];
	size_t length = format_text(text, sizeof(text), format, args);

	console_write("# ", 2);
	console_write(text, length);
	return (int)length;
}

int fprintf(FILE *file, const char *format, ...)
{
	va_list args;

	(void)file;
	va_start(args, format);
	int length = say(format, args);
	va_end(args);
	return length;
}

int printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = say(format, args);
	va_end(args);
	return length;
}

int snprintf(char *to, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	size_t length = format_text(to, room, format, args);
	va_end(args);
	return (int)length;
}

#define HEADER 64 /* the size, for free() */

void *calloc(size_t count, size_t bytes)
{
	size_t whole = count * bytes + HEADER;
	char *object = kernel_alloc(whole);

	if (!object)
		return NULL;
	memcpy(object, &whole, sizeof(whole));
	return object + HEADER;
}

void *malloc(size_t bytes)
{
	return calloc(1, bytes);
}

void free(void *object)
{
	size_t whole;

	if (!object)
		return;
	memcpy(&whole, (char *)object - HEADER, sizeof(whole));
	kernel_free((char *)object - HEADER, whole);
}

char *getenv(const char *name)
{
	(void)name;
	return NULL;
}

unsigned long strtoul(const char *text, char **end, int base)
{
	(void)text, (void)end, (void)base;
	return 0;
}

unsigned long long strtoull(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}

time_t time(time_t *out)
{
	(void)out;
	return (time_t)(time_monotonic() / 1000000000);
}

int sched_yield(void)
{
	sched_yield_cpu();
	return 0;
}
