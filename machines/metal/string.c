/*
 * string.c - the four functions that compilers and the core call, and three more.
 */
#include "metal.h"

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *at = to;
	size_t words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep movsq; mov %3, %2; rep movsb"
			 : "+D"(at), "+S"(from), "+c"(words)
			 : "r"(rest)
			 : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	char *t = to;
	const char *f = from;

	if ((uintptr_t)t - (uintptr_t)f >= bytes)
		return memcpy(to, from, bytes);
	while (bytes--) {
		t[bytes] = f[bytes];
		__asm__ volatile("" : : : "memory"); /* or compilers make a call of memmove() of it */
	}
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
	void *at = to;
	size_t words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep stosq; mov %2, %1; rep stosb"
			 : "+D"(at), "+c"(words)
			 : "r"(rest), "a"((unsigned char)byte * 0x0101010101010101ull)
			 : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *x = a, *y = b;

	for (; bytes; x++, y++, bytes--)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *text)
{
	const char *end = text;

	while (*end)
		end++;
	return (size_t)(end - text);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}

size_t copy_string(char *to, const char *from, size_t room)
{
	size_t length = 0;

	for (; from[length] && length + 1 < room; length++)
		to[length] = from[length];
	to[length] = '\0';
	return length;
}
